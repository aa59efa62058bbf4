/* The annotations that ask for networks: the text of one, in either form, read as the list and as the default network. Every network
 * asked for is there and takes every request. */
#include <string.h>

#include "broker/json.h"
#include "broker/netsel.h"
#include "netpriv/check.h"
#include "netpriv/util.h"
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
	static const char config[] = "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\",\"args\":{\"cni\":{\"x\":1}}},{\"type\":\"b\","
				     "\"capabilities\":{\"portMappings\":true,\"bandwidth\":true,\"ips\":true,\"mac\":true,"
				     "\"infinibandGUID\":true,\"deviceID\":true}}]}";

	(void)ctx, (void)e, (void)fresh;
	return json_pack("{s:s, s:{s:s, s:s}, s:{s:s}}", "kind", "NetworkAttachmentDefinition", "metadata", "name", name, "namespace",
			 ns, "spec", "config", config);
}

static void
check_selection(const struct netsel *s)
{
	json_t *v;
	size_t i;

	MUST(check_dns_label(s->ns) && check_dns_subdomain(s->name));
	MUST(!s->ifname[0] || check_ifname(s->ifname));
	MUST(check_mac(s->mac) && check_mac(s->guid));
	json_array_foreach(s->ips, i, v)
		MUST(json_is_string(v) && check_ip_list(json_string_value(v)));
	json_array_foreach(s->default_route, i, v)
		MUST(json_is_string(v) && check_ip_list(json_string_value(v)));
	MUST(!s->port_mappings || json_is_array(s->port_mappings));
	MUST(!s->bandwidth || json_is_object(s->bandwidth));
	MUST(!s->cni_args || json_is_object(s->cni_args));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct delegate_source src = { .conf_file = get_file, .nad = get_nad };
	static struct delegate_list l;
	cleanup_free char *text = fuzz_text(data, size);
	struct netsel_list list = { 0 };
	struct cnierr e = { 0 };

	fuzz_error(netsel_parse(text, "test", "networks", &list, &e), &e);
	MUST(list.n <= NETSEL_MAX && (!e.code || list.n == 0));
	for (size_t i = 0; i < list.n; i++)
		check_selection(&list.e[i]);
	netsel_clear(&list);
	fuzz_build(&src, text, NULL, &l);
	delegate_list_clear(&l);
	fuzz_build(&src, "other@other0", text, &l);
	delegate_list_clear(&l);
	return 0;
}
