/* A NetworkAttachmentDefinition, in YAML or JSON; behind a line "---" the annotation that asks for it, if not simply "nad". */
#include <string.h>

#include "broker/json.h"
#include "broker/resolve.h"
#include "netpriv/util.h"
#include "tests/fuzz/fuzz.h"

#define CONF(name, more) "{\"cniVersion\":\"1.0.0\",\"name\":\"" name "\"," more "}"

/* A configuration by name, and a list whose plugins are partly in a directory. */
static json_t *
get_file(void *ctx, unsigned net, const char *sub, unsigned index, char *name, struct cnierr *e)
{
	static const struct {
		const char *sub, *name, *text;
	} files[] = {
		{ "", "10-nad.conf", CONF("nad", "\"type\":\"macvlan\"") },
		{ "", "20-list.conflist", CONF("list", "\"plugins\":[{\"type\":\"bridge\"}]") },
		{ "list", "a.conf", "{\"type\":\"tuning\"}" },
	};

	(void)ctx, (void)net;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (strcmp(files[i].sub, sub) || index-- > 0)
			continue;
		snprintf(name, 256, "%s", files[i].name);
		return json_read(files[i].text, strlen(files[i].text), name, e);
	}
	return NULL;
}

static json_t *
get_nad(void *ctx, const char *ns, const char *name, bool fresh, struct cnierr *e)
{
	const char *text = ctx;

	(void)fresh;
	if (strcmp(ns, "test"))
		return NULL;
	return *text == '{' ? json_read(text, strlen(text), name, e) : json_read_yaml(text, strlen(text), name, e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct delegate_list l;
	cleanup_free char *text = fuzz_text(data, size);
	char *asked = fuzz_cut(text);
	const struct delegate_source src = { .ctx = text, .conf_file = get_file, .nad = get_nad };
	struct cnierr e = { 0 };
	int ret;

	memset(&l, 0, sizeof(l));
	ret = resolve_nad(&src, "test", "nad", &l.e[l.n++], &e);
	fuzz_error(ret, &e);
	if (ret == 0)
		MUST(strcmp(l.e[0].display, "test/nad") == 0 && json_array_size(l.e[0].plugins) > 0);
	delegate_list_clear(&l);
	fuzz_build(&src, asked ? asked : "nad", NULL, &l);
	delegate_list_clear(&l);
	return 0;
}
