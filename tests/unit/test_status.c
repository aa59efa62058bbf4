/* network-status: which elements, in which shape, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "broker/json.h"
#include "broker/result.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

static struct delegate_list list;

static void
add_network(const char *display, const char *version, const char *result)
{
	struct delegate *d = &list.e[list.n];
	struct cnierr e = { 0 };

	util_copy(d->display, sizeof(d->display), display);
	d->master = list.n++ == 0;
	d->result = result_read(result, strlen(result), version, "t", &e);
	if (!d->result)
		fail_msg("%s", e.msg);
}

static char *
make_status(void)
{
	struct cnierr e = { 0 };
	char *text = status_text(&list, &e);

	assert_int_equal(e.code, 0);
	for (size_t i = 0; i < list.n; i++)
		json_decref(list.e[i].result);
	memset(&list, 0, sizeof(list));
	return text;
}

/* Elements of one network, without white space. second: as a network that is not the cluster's. */
static void
expect(bool master, const char *version, const char *result, const char *wanted)
{
	cleanup_free char *text = NULL, *got = NULL;
	cleanup_json json_t *j = NULL;

	add_network("n", version, master ? result : "{}");
	if (!master)
		add_network("n", version, result);
	text = make_status();
	j = text ? json_loads(text, 0, NULL) : json_array();
	got = json_text(j, false);
	assert_string_equal(got, wanted);
}

static void
one_interface(void **state)
{
	(void)state;
	expect(false, "1.1.0",
	       "{\"interfaces\":[{\"name\":\"net1\",\"mac\":\"aa\",\"mtu\":1500,\"sandbox\":\"/"
	       "s\"}],\"ips\":[{\"address\":"
	       "\"10.1.1.2/24\"},{\"address\":\"fd00::2/64\"}],\"routes\":[{\"dst\":\"0.0.0.0/"
	       "0\",\"gw\":\"10.1.1.1\"},"
	       "{\"dst\":\"0.0.0.0/0\"},{\"dst\":\"0.0.0.0/1\",\"gw\":\"10.1.1.9\"},{\"dst\":\"::/"
	       "0\",\"gw\":\"fd00::1\"},"
	       "{\"dst\":\"10.9.0.0/16\",\"gw\":\"10.1.1.3\"}]}",
	       "[{\"name\":\"n\",\"interface\":\"net1\",\"ips\":[\"10.1.1.2\",\"fd00::2\"],\"mac\":"
	       "\"aa\",\"mtu\":1500,"
	       "\"dns\":{},\"gateway\":[\"10.1.1.1\",\"fd00::1\"]}]");
	expect(true, "1.0.0",
	       "{\"interfaces\":[{\"name\":\"x\",\"mac\":\"aa\"}],\"ips\":[{\"address\":\"10.1.1.2/"
	       "24\"}]}",
	       "[{\"name\":\"n\",\"ips\":[\"10.1.1.2\"],\"default\":true,\"dns\":{}}]");
	expect(false, "0.3.1", "{\"interfaces\":[{\"name\":\"x\",\"sandbox\":\"/s\"}]}",
	       "[{\"name\":\"n\",\"interface\":\"x\",\"dns\":{}}]");
}

static void
several_interfaces(void **state)
{
	(void)state;
	expect(true, "1.0.0",
	       "{\"interfaces\":[{\"name\":\"cni0\"},{\"name\":\"veth0\"},{\"name\":\"eth0\","
	       "\"sandbox\":\"/s\"}],\"ips\":[{"
	       "\"interface\":2,\"address\":\"10.1.1.2/24\",\"gateway\":\"10.1.1.1\"}]}",
	       "[{\"name\":\"n\",\"interface\":\"eth0\",\"ips\":[\"10.1.1.2\"],\"default\":true,"
	       "\"dns\":{}}]");
	expect(true, "1.0.0",
	       "{\"interfaces\":[{\"name\":\"h\"},{\"name\":\"a0\",\"sandbox\":\"/"
	       "s\"},{\"name\":\"a1\",\"sandbox\":\"/s\"}],"
	       "\"ips\":[{\"interface\":1,\"address\":\"10.1.1.2/"
	       "24\"},{\"interface\":2,\"address\":\"10.1.1.3/24\","
	       "\"gateway\":\"10.1.1.1\"},{\"address\":\"10.1.1.4/24\"}]}",
	       "[{\"name\":\"n\",\"interface\":\"a0\",\"ips\":[\"10.1.1.2\"],\"dns\":{}},{\"name\":"
	       "\"n\",\"interface\":\"a1\","
	       "\"ips\":[\"10.1.1.3\",\"10.1.1.4\"],\"default\":true,\"dns\":{}}]");
	expect(true, "1.0.0",
	       "{\"interfaces\":[{\"name\":\"a0\",\"sandbox\":\"/"
	       "s\"},{\"name\":\"a1\",\"sandbox\":\"/s\"}]}",
	       "[{\"name\":\"n\",\"interface\":\"a0\",\"default\":true,\"dns\":{}},{\"name\":\"n\","
	       "\"interface\":\"a1\","
	       "\"dns\":{}}]");
	expect(true, "1.0.0",
	       "{\"interfaces\":[{\"name\":\"h\"},{\"name\":\"a1\",\"sandbox\":\"/"
	       "s\"}],\"ips\":[{\"interface\":0,"
	       "\"address\":\"10.1.1.2/24\",\"gateway\":\"10.1.1.1\"}]}",
	       "[{\"name\":\"n\",\"interface\":\"a1\",\"dns\":{}}]");
}

static void
no_element(void **state)
{
	(void)state;
	expect(true, "1.0.0", "{\"ips\":[{\"address\":\"10.1.1.2/24\"}]}", "[]");
	expect(true, "0.2.0", "{\"ip4\":{\"ip\":\"10.1.1.2/24\"}}", "[]");
	expect(true, "1.0.0", "{\"interfaces\":[{\"name\":\"a\"},{\"name\":\"b\"}]}", "[]");
	assert_null(make_status());
}

static void
unknown_version(void **state)
{
	struct cnierr e = { 0 };

	(void)state;
	list.n = 1;
	list.e[0].result = json_pack("{s:s}", "cniVersion", "1.2.3");
	assert_null(status_text(&list, &e));
	assert_int_equal(e.code, CNI_ERR_VERSION);
	json_decref(list.e[0].result);
	memset(&list, 0, sizeof(list));
}

static void
exact_bytes(void **state)
{
	cleanup_free char *text = NULL;

	(void)state;
	add_network("clusternet", "1.0.0",
		    "{\"interfaces\":[{\"name\":\"eth0\",\"mac\":\"0a:00:00:00:00:01\",\"sandbox\":"
		    "\"/s\"}],\"ips\":[{"
		    "\"interface\":0,\"address\":\"10.1.1.2/"
		    "24\",\"gateway\":\"10.1.1.1\"}],\"routes\":[{\"dst\":"
		    "\"0.0.0.0/0\",\"gw\":\"10.1.1.1\"}]}");
	add_network("default/macvlan", "1.0.0",
		    "{\"interfaces\":[{\"name\":\"net1\",\"sandbox\":\"/"
		    "s\"}],\"dns\":{\"domain\":\"<a>&\\u2028\\u001f\\\\\"}}");
	text = make_status();
	assert_string_equal(
	    text,
	    "[{\n    \"name\": \"clusternet\",\n    \"interface\": \"eth0\",\n    \"ips\": [\n"
	    "        \"10.1.1.2\"\n    ],\n    \"mac\": \"0a:00:00:00:00:01\",\n    \"default\": "
	    "true,\n"
	    "    \"dns\": {},\n    \"gateway\": [\n        \"10.1.1.1\"\n    ]\n},{\n"
	    "    \"name\": \"default/macvlan\",\n    \"interface\": \"net1\",\n    \"dns\": {\n"
	    "        \"domain\": \"\\u003ca\\u003e\\u0026\\u2028\\u001f\\\\\"\n    }\n}]");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_interface), cmocka_unit_test(several_interfaces),
		cmocka_unit_test(no_element),	 cmocka_unit_test(unknown_version),
		cmocka_unit_test(exact_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
