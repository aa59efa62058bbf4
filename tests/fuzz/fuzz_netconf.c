/* The network configuration on stdin, for every verb; and the networks that it names itself. */
#include <string.h>

#include "broker/result.h"
#include "netpriv/check.h"
#include "tests/fuzz/fuzz.h"

static json_t *
get_file(void *ctx, unsigned net, const char *sub, unsigned index, char *name, struct cnierr *e)
{
	(void)ctx, (void)net, (void)sub, (void)index, (void)name, (void)e;
	return NULL;
}

static json_t *
get_nad(void *ctx, const char *ns, const char *name, bool fresh, struct cnierr *e)
{
	(void)ctx, (void)e, (void)fresh;
	return json_pack("{s:s, s:{s:s, s:s}, s:{s:s}}", "kind", "NetworkAttachmentDefinition", "metadata", "name", name, "namespace",
			 ns, "spec", "config", "{\"type\":\"a\",\"capabilities\":{\"portMappings\":true}}");
}

static void
build(const struct netconf *nc, const struct wire_target *target, const struct pod *pod)
{
	static const struct delegate_source src = { .conf_file = get_file, .nad = get_nad };
	static struct conf conf;
	static struct delegate_list l;
	struct cnierr e = { 0 };
	int ret;

	conf_defaults(&conf);
	memset(&l, 0, sizeof(l));
	ret = delegates_build(&conf, nc, target, pod, &src, &l, &e);
	fuzz_error(ret, &e);
	MUST(ret == 0 || l.n == 0);
	if (ret == 0)
		fuzz_list(&l, pod != NULL);
	delegate_list_clear(&l);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (enum cni_verb verb = CNI_ADD; verb < CNI_VERB_COUNT; verb++) {
		const bool container = verb != CNI_GC && verb != CNI_STATUS;
		const struct pod pod = { .ns = "test", .name = "p", .known = true };
		const struct wire_target target = { .ifname = "eth0" }, none = { .ifname = "" };
		struct cnierr e = { 0 };
		struct netconf nc;
		int ret = netconf_parse((const char *)data, size, verb, &nc, &e);

		fuzz_error(ret, &e);
		MUST(ret == 0 || !nc.root);
		if (ret)
			continue;
		MUST(check_network_name(nc.name) && result_version_supported(nc.version));
		MUST(!nc.runtime || json_is_object(nc.runtime));
		build(&nc, container ? &target : &none, container ? &pod : NULL);
		netconf_clear(&nc);
	}
	return 0;
}
