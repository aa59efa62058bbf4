/* What a plugin printed: read, converted to every version, shown in network-status. */
#include "broker/result.h"

#include <string.h>

#include "broker/json.h"
#include "netpriv/util.h"
#include "tests/fuzz/fuzz.h"

/* Read again, it is what it was: nothing is left to put right. */
static void
check_settled(const json_t *result)
{
	struct cnierr e = { 0 };
	cleanup_json json_t *again = result_check(result, "", "again", &e);

	MUST(!e.code && again && json_equal(again, (json_t *)(uintptr_t)result));
}

static void
convert(const json_t *result, const char *version)
{
	const char *own = json_string_value(json_object_get(result, "cniVersion")), *label;
	struct cnierr e = { 0 };
	cleanup_json json_t *to = result_convert(result, version, &e);
	cleanup_free char *text = NULL;

	fuzz_error(to ? 0 : -1, &e);
	/* What is lost is lost to types that cannot hold it: without addresses, or indexes that are named. */
	MUST(to || result_family(version) != result_family(own));
	if (!to)
		return;
	label = json_string_value(json_object_get(to, "cniVersion"));
	MUST(label && strcmp(label, version) == 0);
	/* No address is lost on the way to a type that has room for it. */
	if (result_family(version) > 0 && result_family(own) > 0)
		MUST(json_array_size(json_object_get(to, "ips")) == json_array_size(json_object_get(result, "ips")));
	check_settled(to);
	text = result_text(to);
	MUST(text);
}

static void
show(json_t *result, bool master)
{
	static struct delegate_list l;
	struct cnierr e = { 0 };
	cleanup_free char *text = NULL;
	cleanup_json json_t *j = NULL;
	json_t *element;
	size_t i, defaults = 0;

	l.n = 1;
	l.e[0] = (struct delegate){ .display = "test/nad", .master = master, .result = json_incref(result) };
	text = status_text(&l, &e);
	MUST(!e.code || !text);
	if (text) {
		struct cnierr bad = { 0 };

		j = json_read(text, strlen(text), "network-status", &bad);
		MUST(json_array_size(j) > 0);
	}
	json_array_foreach(j, i, element) {
		MUST(json_is_string(json_object_get(element, "name")) && json_is_object(json_object_get(element, "dns")));
		defaults += json_is_true(json_object_get(element, "default"));
	}
	MUST(defaults <= master);
	delegate_list_clear(&l);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const configured[] = { "", "0.4.0", "1.1.0" };

	for (size_t i = 0; i < ARRAY_LEN(configured); i++) {
		struct cnierr e = { 0 };
		cleanup_json json_t *result = result_read((const char *)data, size, configured[i], "plugin", &e);

		fuzz_error(result ? 0 : -1, &e);
		if (!result)
			continue;
		check_settled(result);
		for (const char *const *v = result_versions; *v; v++)
			convert(result, *v);
		show(result, true);
		show(result, false);
		result_sandbox(result, "/run/netns/x", "/run/cni/netns");
		check_settled(result);
	}
	return 0;
}
