/* The journal's blob: there and back, and everything that a damaged or forged one could say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "broker/json.h"
#include "broker/plan.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

static const char good[] =
    "{\"format\":1,\"target\":{\"containerID\":\"c1\",\"ifname\":\"eth0\",\"netns\":\"/run/netns/"
    "a\",\"podNamespace\":"
    "\"default\",\"podName\":\"p\"},\"networks\":[{\"display\":\"cluster\",\"name\":\"cluster\","
    "\"cniVersion\":\"1.0.0\","
    "\"ifname\":\"eth0\",\"list\":true,\"disableCheck\":true,\"plugins\":[{\"type\":\"bridge\","
    "\"n\":9007199254740993}],"
    "\"runtime\":{\"portMappings\":[1]},\"result\":{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":"
    "\"10.1.1.2/24\"}]}},"
    "{\"display\":\"default/"
    "m\",\"name\":\"m\",\"ifname\":\"net1\",\"mac\":\"02:00:00:00:00:01\",\"ips\":\"10.9.9.9/24\","
    "\"plugins\":[{\"type\":\"macvlan\"},{\"type\":\"tuning\"}],\"defaultRoute\":[\"10.9.9.1\"]}]}";

static void
there_and_back(void **state)
{
	struct wire_target target = { .container_id = "c1",
				      .ifname = "eth0",
				      .netns = "/run/netns/a",
				      .pod_ns = "default",
				      .pod_name = "p" };
	struct delegate_list l;
	struct cnierr e = { 0 };
	cleanup_free char *text = NULL;

	(void)state;
	assert_int_equal(plan_read(good, strlen(good), &l, &e), 0);
	assert_int_equal(l.n, 2);
	assert_true(l.e[0].master && l.e[0].list && l.e[0].disable_check && !l.e[0].disable_gc);
	assert_false(l.e[1].master);
	assert_string_equal(l.e[1].display, "default/m");
	assert_string_equal(l.e[1].version, "");
	assert_string_equal(l.e[1].ips, "10.9.9.9/24");
	assert_non_null(l.e[0].result);
	assert_null(l.e[1].result);
	text = plan_text(&l, &target);
	assert_string_equal(text, good);
	delegate_list_clear(&l);
}

/* good with the first occurrence of from replaced by to must be refused with a text that holds part. */
static void
refuse(const char *from, const char *to, const char *part)
{
	char text[4096];
	const char *at = strstr(good, from);
	struct delegate_list l;
	struct cnierr e = { 0 };

	assert_non_null(at);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
	if (plan_read(text, strlen(text), &l, &e) == 0 || !strstr(e.msg, part) ||
	    !strstr(e.msg, "journal entry"))
		fail_msg("%s -> %s: %s", from, to, e.msg);
	assert_int_equal(l.n, 0);
}

static void
refuses(void **state)
{
	(void)state;
	refuse("{\"format\"", "[{\"format\"", "");
	refuse("\"format\":1", "\"format\":2", "format");
	refuse("\"format\":1", "\"format\":\"1\"", "format");
	refuse("\"format\":1,", "", "format");
	refuse("\"networks\":[{", "\"networks\":[7,{", "must be an object");
	refuse("\"networks\"", "\"other\"", "1 to");
	refuse("\"ifname\":\"net1\"", "\"ifname\":\"eth0\"", "comes twice");
	refuse("\"ifname\":\"net1\"", "\"ifname\":\"a/b\"", "interface name");
	refuse("\"ifname\":\"net1\"", "\"ifname\":\"0123456789abcdef\"", "longer");
	refuse("\"ifname\":\"net1\",", "", "interface name");
	refuse("\"name\":\"m\"", "\"name\":\"../m\"", "network name");
	refuse("\"name\":\"m\"", "\"name\":5", "name");
	refuse("02:00:00:00:00:01", "02;IP=1.2.3.4", "MAC or IP");
	refuse("\"ips\":\"10.9.9.9/24\"", "\"ips\":\"10.9.9.9;MAC=1\"", "MAC or IP");
	refuse("\"cniVersion\":\"1.0.0\"", "\"cniVersion\":\"7.0.0\"", "unsupported");
	refuse("\"type\":\"tuning\"", "\"type\":\"../tuning\"", "type");
	refuse("{\"type\":\"tuning\"}", "null", "type");
	refuse("[{\"type\":\"macvlan\"},{\"type\":\"tuning\"}]", "[]", "plugins");
	refuse("\"defaultRoute\":[\"10.9.9.1\"]", "\"defaultRoute\":[1]", "defaultRoute");
	refuse("\"runtime\":{\"portMappings\":[1]}", "\"runtime\":[]", "runtime");
	refuse("10.1.1.2/24", "10.1.1.2", "prefix length");
	refuse("\"list\":true", "\"list\":1", "list");
}

static void
not_json(void **state)
{
	struct delegate_list l;
	struct cnierr e = { 0 };

	(void)state;
	for (size_t len = 0; len < sizeof(good) - 1; len += 7) {
		memset(&e, 0, sizeof(e));
		assert_int_equal(plan_read(good, len, &l, &e), -1);
		assert_int_equal(l.n, 0);
		assert_int_not_equal(e.code, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(refuses),
		cmocka_unit_test(not_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
