/* netsel.c: both annotation forms. Accepted elements are written as
 * "<ns>/<name>[@<ifname>][ mac=][ guid=][ dev=][ ips=][ pm=][ bw=][ args=][ gw=]", joined by "; ".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "broker/json.h"
#include "broker/netsel.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

struct row {
	const char *id;
	const char *value;
	const char *want;  /* NULL = refused */
	const char *error; /* part of the message */
};

static void
put(char *out, size_t size, const char *label, const char *text)
{
	size_t len = strlen(out);

	if (text && *text)
		snprintf(out + len, size - len, "%s%s", label, text);
}

static void
put_json(char *out, size_t size, const char *label, const json_t *j)
{
	cleanup_free char *text = j ? json_text(j, false) : NULL;

	put(out, size, label, text);
}

static void
describe(const struct netsel_list *l, char *out, size_t size)
{
	*out = '\0';
	for (size_t i = 0; i < l->n; i++) {
		const struct netsel *n = &l->e[i];

		put(out, size, i ? "; " : "", n->ns);
		put(out, size, "/", n->name);
		put(out, size, "@", n->ifname);
		put(out, size, " mac=", n->mac);
		put(out, size, " guid=", n->guid);
		put(out, size, " dev=", n->device_id);
		put_json(out, size, " ips=", n->ips);
		put_json(out, size, " pm=", n->port_mappings);
		put_json(out, size, " bw=", n->bandwidth);
		put_json(out, size, " args=", n->cni_args);
		put_json(out, size, " gw=", n->default_route);
	}
}

static void
check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &rows[i];
		struct netsel_list list = {0};
		struct cnierr e = {0};
		char got[4096];
		int ret = netsel_parse(r->value, "dns", "annotation test/a", &list, &e);

		describe(&list, got, sizeof(got));
		if (r->want && (ret || strcmp(got, r->want)))
			fail_msg("%s: got \"%s\" (%s), want \"%s\"", r->id, got, e.msg, r->want);
		if (!r->want) {
			if (ret != -1 || list.n != 0 || !e.code || !strstr(e.msg, r->error))
				fail_msg("%s: got %d \"%s\" (%s), want error \"%s\"", r->id, ret,
					 got, e.msg, r->error);
			assert_memory_equal(e.msg, "annotation test/a", 17);
		}
		netsel_clear(&list);
	}
}

static void
test_text(void **state)
{
	static const struct row rows[] = {
	    {"absent", NULL, "", NULL},
	    {"empty", "", "", NULL},
	    {"A1", "net1", "dns/net1", NULL},
	    {"A2", "default/net1", "default/net1", NULL},
	    {"A3", "net1@my_interface", "dns/net1@my_interface", NULL},
	    {"A4", "default/net1@my_interface", "default/net1@my_interface", NULL},
	    {"A5", " net1 , net2 ", "dns/net1; dns/net2", NULL},
	    {"A6", "ns / net1 @ if0", "ns/net1@if0", NULL},
	    /* a network without a name is a mistake, and is said to be one at once */
	    {"A7", "net1,", NULL, "element 2: empty"},
	    {"A7b", "net1,,net2", NULL, "element 2: empty"},
	    {"A7c", " ", NULL, "element 1: empty"},
	    {"A8a", "ns/", NULL, "element 1: the network's name is empty"},
	    {"A8b", "/net1", "dns/net1", NULL},
	    {"A8c", "net1@", "dns/net1", NULL},
	    {"A8d", "@if", NULL, "element 1: the network's name is empty"},
	    {"A9a", "net1@0123456789abcde", "dns/net1@0123456789abcde", NULL},
	    {"A9b", "net1@0123456789abcdef", NULL, "element 1: interface \"0123456789abcdef\""},
	    /* interface names follow CNI's and the kernel's rules in both forms */
	    {"A10a", "net1@if:0", NULL, "interface \"if:0\""},
	    {"A10b", "net1@.", NULL, "interface \".\""},
	    {"A10c", "net1@IF", "dns/net1@IF", NULL},
	    {"A10d", "net1@lo", NULL, "interface \"lo\""},
	    {"A10e", "net1@a%d", NULL, "interface \"a%d\""},
	    {"A10f", "net1@\x1b[0m", NULL, "not valid JSON"}, /* the '[' makes it JSON */
	    {"A10g", "net1@\x1b", NULL, "interface \"\\x1b\""},
	    {"A11", "default/net1@myIfc Name", NULL, "interface"},
	    {"A12", "default/net1@very_long_interface_name", NULL, "interface"},
	    {"A13", "root@someIP/root@someOtherIP/root@thirdIP", NULL, "more than one '/'"},
	    {"A14", "root@someIP/root@someOtherIP@garbagevalue", NULL, "more than one '@'"},
	    {"A15", "root@someIP/root@x", NULL, "namespace \"root@someIP\""},
	    {"A16a", "Net1", NULL, "\"Net1\" is not a network's name"},
	    {"A16b", "net.1", NULL, "\"net.1\""},
	    {"A16c", "net_1", NULL, "\"net_1\""},
	    {"A16d", "-a", NULL, "\"-a\""},
	    {"A16e", "a-", NULL, "\"a-\""},
	    {"A16f", "a..b/net1", NULL, "namespace \"a..b\""},
	    {"A16g", "a/../b", NULL, "more than one '/'"},
	    {"A17", "a2345678901234567890123456789012345678901234567890123456789012345678901",
	     "dns/a2345678901234567890123456789012345678901234567890123456789012345678901", NULL},
	    {"A18", "null", "dns/null", NULL},
	    {"A19", "net1,\nnet2", "dns/net1; dns/net2", NULL},
	    {"twice", "net1,net1", "dns/net1; dns/net1", NULL},
	    {"%n", "%n%s", NULL, "\"%n%s\""},
	};

	(void)state;
	check_rows(rows, ARRAY_LEN(rows));
}

#define N "[{\"name\":\"a\","
static void
test_json(void **state)
{
	static const struct row rows[] = {
	    {"J1",
	     "[{\"name\":\"net1\"},{\"name\":\"net2\"},{\"name\":\"net3\",\"namespace\":\"other-"
	     "ns\"}]",
	     "dns/net1; dns/net2; other-ns/net3", NULL},
	    {"J2", "[adsfasdfasdfasf]", NULL, "line 1, column"},
	    {"J3a", "{\"name\":\"x\"}", NULL, "must be a JSON array"},
	    {"J3b", "\"net1\"", NULL, "must be a JSON array"},
	    {"J3c", "[\"net1\"]", NULL, "element 1 must be an object"},
	    {"J3d", "[{\"name\":\"a\"}] trailing", NULL, "behind the end"},
	    {"J3e", "[null]", NULL, "element 1 must be an object"},
	    {"J3f", "[[]]", NULL, "element 1 must be an object"},
	    {"J3g", "[{\"name\":\"a\",\"name\":\"b\"}]", NULL, "duplicate key"},
	    {"J4", "[]", "", NULL},
	    /* a network without a name is a mistake, and is said to be one at once */
	    {"J5", "[{}]", NULL, "element 1: the network's name is empty"},
	    {"J5b", "[{\"name\":\"a\"},{\"name\":null}]", NULL,
	     "element 2: the network's name is empty"},
	    {"J5c", "[{\"name\":7}]", NULL, "\"name\" must be a string"},
	    {"J5d", "[{\"name\":\"../x\"}]", NULL, "\"../x\" is not a network's name"},
	    {"J5e", "[{\"name\":\"a.b\"}]", "dns/a.b", NULL},
	    {"J5f", N "\"namespace\":\"a.b\"}]", NULL, "namespace \"a.b\""},
	    {"J5g", N "\"namespace\":\"\"}]", "dns/a", NULL},
	    {"J6", N "\"mac\":\"zz\"}]", NULL, "element 1: \"mac\": \"zz\""},
	    {"J7a", N "\"mac\":\"aa-bb-cc-dd-ee-ff\"}]", "dns/a mac=aa-bb-cc-dd-ee-ff", NULL},
	    {"J7b", N "\"mac\":\"aabb.ccdd.eeff\"}]", "dns/a mac=aabb.ccdd.eeff", NULL},
	    {"J7c", N "\"mac\":\"02:00:00:00:00:00:00:01\"}]", "dns/a mac=02:00:00:00:00:00:00:01",
	     NULL},
	    {"J7d", N "\"mac\":\"aa:bb-cc:dd:ee:ff\"}]", NULL, "\"mac\""},
	    {"J7e", N "\"mac\":\"aabbccddeeff\"}]", NULL, "\"mac\""},
	    {"J7f", N "\"mac\":\"aa:bb:cc:dd:ee:ff:\"}]", NULL, "\"mac\""},
	    {"J7g", N "\"mac\":\"aa:bb:cc:dd:ee:f\"}]", NULL, "\"mac\""},
	    {"J7h", N "\"mac\":\"\"}]", "dns/a", NULL},
	    {"J7i", N "\"mac\":\"aa:bb:cc:dd:ee:ff;IP=1\"}]", NULL, "\"mac\""},
	    {"J8a", N "\"infiniband-guid\":\"24:8a:07:03:00:8d:ae:2e\"}]",
	     "dns/a guid=24:8a:07:03:00:8d:ae:2e", NULL},
	    {"J8b", N "\"infiniband-guid\":\"24:8a:07\"}]", NULL, "\"infiniband-guid\""},
	    {"J9", N "\"ips\":[\"1.2.3.4\",\"::1\",\"10.0.0.1/33\"]}]", NULL, "\"10.0.0.1/33\""},
	    {"J9b", N "\"ips\":[\"1.2.3.4\",\"::1\",\"10.0.0.1/32\",\"fd00::1/128\"]}]",
	     "dns/a ips=[\"1.2.3.4\",\"::1\",\"10.0.0.1/32\",\"fd00::1/128\"]", NULL},
	    {"J9c", N "\"ips\":[]}]", "dns/a", NULL},
	    {"J9d", N "\"ips\":[\"\"]}]", NULL, "is not an IP address"},
	    {"J9e", N "\"ips\":[\"1.2.3.4/024\"]}]", NULL, "is not an IP address"},
	    {"J9f", N "\"ips\":[\"::1/129\"]}]", NULL, "is not an IP address"},
	    {"J9g", N "\"ips\":[\"1.2.3.4/\"]}]", NULL, "is not an IP address"},
	    {"J9h", N "\"ips\":[1]}]", NULL, "item 1 must be a string"},
	    {"J10a", N "\"ips\":[\"fe80::1%eth0\"]}]", NULL, "\"fe80::1%eth0\""},
	    {"J10b", N "\"ips\":[\"01.2.3.4\"]}]", NULL, "\"01.2.3.4\""},
	    {"J10c", N "\"ips\":\"1.2.3.4\"}]", NULL, "\"ips\" must be an array"},
	    {"J11a", N "\"interfaceRequest\":\"if0\"}]", "dns/a@if0", NULL},
	    {"J11b", N "\"interfaceRequest\":\"if0\",\"interface\":\"if1\"}]", "dns/a@if1", NULL},
	    {"J11c", N "\"interface\":\"a/b\"}]", NULL, "interface \"a/b\""},
	    {"J11d", N "\"interface\":\"..\"}]", NULL, "interface \"..\""},
	    {"J11e", N "\"interface\":\"0123456789abcdef\"}]", NULL, "interface"},
	    {"J11f", N "\"interface\":\"a\\tb\"}]", NULL, "interface \"a\\x09b\""},
	    {"J12a", N "\"portMappings\":[{\"hostPort\":\"80\",\"containerPort\":80}]}]", NULL,
	     "item 1: \"hostPort\" must be a number"},
	    {"J12b", N "\"bandwidth\":{\"ingressRate\":1.5}}]", NULL,
	     "\"ingressRate\" must be a whole number"},
	    /* without a protocol it is TCP (NPWG 1.3 4.1.2.1.4) */
	    {"J12c",
	     N "\"portMappings\":[{\"hostPort\":80,\"containerPort\":8080},"
	       "{\"HostPort\":65535,\"containerport\":1,\"protocol\":\"UDP\",\"hostIP\":\"::1\","
	       "\"x\":1}]}]",
	     "dns/a pm=[{\"hostPort\":80,\"containerPort\":8080,\"protocol\":\"tcp\"},"
	     "{\"hostPort\":65535,\"containerPort\":1,\"protocol\":\"UDP\",\"hostIP\":\"::1\"}]",
	     NULL},
	    {"J12d", N "\"portMappings\":[{\"hostPort\":0,\"containerPort\":80}]}]", NULL,
	     "1 to 65535"},
	    {"J12e", N "\"portMappings\":[{\"hostPort\":1,\"containerPort\":65536}]}]", NULL,
	     "1 to 65535"},
	    {"J12f",
	     N "\"portMappings\":[{\"hostPort\":1,\"containerPort\":1,\"protocol\":\"icmp\"}]}]",
	     NULL, "tcp, udp or sctp"},
	    {"J12g",
	     N "\"portMappings\":[{\"hostPort\":1,\"containerPort\":1,\"hostIP\":\"1.2.3\"}]}]",
	     NULL, "\"hostIP\""},
	    {"J12h", N "\"portMappings\":[null]}]", NULL, "item 1 must be an object"},
	    {"J12i", N "\"portMappings\":[]}]", "dns/a", NULL},
	    {"J12j", N "\"bandwidth\":{\"ingressRate\":1000,\"ingressBurst\":2}}]",
	     "dns/a "
	     "bw={\"ingressRate\":1000,\"ingressBurst\":2,\"egressRate\":0,\"egressBurst\":0}",
	     NULL},
	    {"J12k", N "\"bandwidth\":{\"egressBurst\":2}}]", NULL, "a burst needs its rate"},
	    {"J12l", N "\"bandwidth\":{}}]", NULL, "needs ingressRate or egressRate"},
	    {"J12m", N "\"bandwidth\":{\"ingressRate\":-1}}]", NULL, "above 0"},
	    {"J13a", N "\"cni-args\":null}]", "dns/a", NULL},
	    {"J13b", N "\"cni-args\":[]}]", NULL, "\"cni-args\" must be an object"},
	    {"J13c", N "\"cni-args\":{\"i\":12345678901234567,\"o\":{}}}]",
	     "dns/a args={\"i\":12345678901234567,\"o\":{}}", NULL},
	    {"J14a", N "\"default-route\":[\"10.0.0.1/24\"]}]", NULL,
	     "\"10.0.0.1/24\" is not an IP address"},
	    {"J14b", N "\"default-route\":[\"x\"]}]", NULL, "\"x\" is not an IP address"},
	    {"J14c", N "\"default-route\":[\"\"]}]", NULL, "\"\" is not an IP address"},
	    {"J14d", N "\"default-route\":[]}]", "dns/a gw=[]", NULL},
	    {"J15", N "\"ips\":[\"10.0.0.1\"],\"ipam-claim-reference\":\"c\"}]",
	     "dns/a ips=[\"10.0.0.1\"]", NULL},
	    {"J16", "[{\"NAME\":\"a\",\"unknown\":1}]", "dns/a", NULL},
	    {"J17", "[{\"name\":\"net2\",\"default-route\":[\"192.168.2.2\"]},{\"name\":\"net3\"}]",
	     "dns/net2 gw=[\"192.168.2.2\"]; dns/net3", NULL},
	    {"J18", N "\"deviceID\":\"0000:00:00.1\"}]", "dns/a dev=0000:00:00.1", NULL},
	    {"J19", "[{\"name\":\"\xff\"}]", NULL, "UTF-8"},
	};

	(void)state;
	check_rows(rows, ARRAY_LEN(rows));
}

static void
repeat(char *out, const char *first, const char *unit, const char *last, unsigned n)
{
	out += sprintf(out, "%s", first);
	for (unsigned i = 0; i < n; i++)
		out += sprintf(out, "%s%s", i ? "," : "", unit);
	sprintf(out, "%s", last);
}

static void
test_count(void **state)
{
	struct netsel_list list = {0};
	struct cnierr e = {0};
	char text[4096];

	(void)state;
	repeat(text, "", "a", "", NETSEL_MAX);
	assert_int_equal(netsel_parse(text, "dns", "annotation t", &list, &e), 0);
	assert_int_equal(list.n, NETSEL_MAX);
	netsel_clear(&list);
	repeat(text, "", "a", "", NETSEL_MAX + 1);
	assert_int_equal(netsel_parse(text, "dns", "annotation t", &list, &e), -1);
	assert_string_equal(e.msg, "annotation t: more than 32 networks");
	memset(&e, 0, sizeof(e));
	repeat(text, "[", "{\"name\":\"a\",\"cni-args\":{}}", "]", NETSEL_MAX);
	assert_int_equal(netsel_parse(text, "dns", "annotation t", &list, &e), 0);
	assert_int_equal(list.n, NETSEL_MAX);
	netsel_clear(&list);
	repeat(text, "[", "{\"name\":\"a\"}", "]", NETSEL_MAX + 1);
	assert_int_equal(netsel_parse(text, "dns", "annotation t", &list, &e), -1);
	assert_string_equal(e.msg, "annotation t: more than 32 networks");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
