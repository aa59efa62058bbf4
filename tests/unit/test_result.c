/* Reading results: what is refused, what is left out, how it is spelled afterwards. */
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

static json_t *
read_text(const char *text, const char *version, struct cnierr *e)
{
	memset(e, 0, sizeof(*e));
	return result_read(text, strlen(text), version, "network \"n\"", e);
}

static void
expect(const char *text, const char *version, const char *wanted)
{
	struct cnierr e;
	cleanup_json json_t *j = read_text(text, version, &e);
	cleanup_free char *got = j ? json_text(j, false) : NULL;

	if (!j)
		fail_msg("%s: %s", text, e.msg);
	assert_string_equal(got, wanted);
}

static void
refuse(const char *text, const char *version, uint32_t code, const char *part)
{
	struct cnierr e;
	cleanup_json json_t *j = read_text(text, version, &e);

	if (j || e.code != code || !strstr(e.msg, part) || !strstr(e.msg, "network \"n\""))
		fail_msg("%s: code %u, \"%s\", not \"%s\"", text, e.code, e.msg, part);
}

static void
versions(void **state)
{
	(void)state;
	assert_true(result_version_supported("0.3.1"));
	assert_false(result_version_supported(""));
	assert_false(result_version_supported("1.2.0"));
	assert_int_equal(result_version_cmp("", "0.1.0"), 0);
	assert_true(result_version_cmp("0.4.0", "0.3.1") > 0);
	assert_true(result_version_cmp("0.9.0", "0.10.0") < 0);
	assert_int_equal(result_version_cmp("1.0", "1.0.0"), 0);
	assert_int_equal(result_family(""), 0);
	assert_int_equal(result_family("0.3.0"), 1);
	assert_int_equal(result_family("1.1.0"), 2);
}

static void
fills_version(void **state)
{
	(void)state;
	expect("{}", "1.0.0", "{\"cniVersion\":\"1.0.0\"}");
	expect("null", "0.4.0", "{\"cniVersion\":\"0.4.0\",\"dns\":{}}");
	expect("{\"cniVersion\":\"\"}", "", "{\"cniVersion\":\"0.1.0\",\"dns\":{}}");
	expect("{\"cniVersion\":\"0.3.1\"}", "1.0.0", "{\"cniVersion\":\"0.3.1\",\"dns\":{}}");
	refuse("{\"cniVersion\":\"9.9.9\"}", "1.0.0", CNI_ERR_VERSION,
	       "unsupported CNI result version \"9.9.9\"");
	refuse("{\"cniVersion\":1}", "1.0.0", CNI_ERR_DECODE, "cniVersion");
}

static void
orders_and_filters(void **state)
{
	(void)state;
	expect("{\"dns\":{\"search\":[\"a\"],\"nameservers\":[\"1.1.1.1\"]},\"routes\":[{\"gw\":"
	       "\"10.1.1.1\",\"dst\":"
	       "\"0.0.0.0/0\",\"x\":1}],\"ips\":[{\"gateway\":\"10.1.1.1\",\"address\":\"10.1.1.2/"
	       "24\",\"interface\":0}],"
	       "\"Interfaces\":[{\"mtu\":1500,\"sandbox\":\"/"
	       "s\",\"mac\":\"aa\",\"name\":\"eth0\",\"pciID\":\"p\"}],"
	       "\"other\":true}",
	       "0.4.0",
	       "{\"cniVersion\":\"0.4.0\",\"interfaces\":[{\"name\":\"eth0\",\"mac\":\"aa\","
	       "\"sandbox\":\"/s\"}],"
	       "\"ips\":[{\"version\":\"4\",\"interface\":0,\"address\":\"10.1.1.2/"
	       "24\",\"gateway\":\"10.1.1.1\"}],"
	       "\"routes\":[{\"dst\":\"0.0.0.0/"
	       "0\",\"gw\":\"10.1.1.1\"}],\"dns\":{\"nameservers\":[\"1.1.1.1\"],"
	       "\"search\":[\"a\"]}}");
	expect("{\"interfaces\":[{\"name\":\"e\",\"mtu\":0,\"socketPath\":\"/"
	       "p\"}],\"ips\":[{\"version\":\"6\","
	       "\"address\":\"FD00::0:2/64\"}],\"dns\":{}}",
	       "1.1.0",
	       "{\"cniVersion\":\"1.1.0\",\"interfaces\":[{\"name\":\"e\",\"socketPath\":\"/p\"}],"
	       "\"ips\":[{\"address\":\"fd00::2/64\"}]}");
	expect("{\"interfaces\":null,\"ips\":[],\"routes\":[{\"dst\":\"10.1.2.3/"
	       "8\",\"gw\":\"\",\"table\":0,\"mtu\":0}]}",
	       "1.1.0",
	       "{\"cniVersion\":\"1.1.0\",\"routes\":[{\"dst\":\"10.1.2.3/8\",\"table\":0}]}");
	expect("{\"ips\":[{\"address\":\"::ffff:10.1.1.2/120\"}]}", "1.0.0",
	       "{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.1.1.2/24\"}]}");
	expect("{\"ip4\":{\"ip\":\"10.1.1.2/24\",\"routes\":[{\"dst\":\"0.0.0.0/"
	       "0\",\"mtu\":9}]},\"ips\":[]}",
	       "0.2.0",
	       "{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":\"10.1.1.2/"
	       "24\",\"routes\":[{\"dst\":\"0.0.0.0/0\"}]},"
	       "\"dns\":{}}");
}

static void
refuses(void **state)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{ "", "empty" },
		{ "[]", "must be a JSON object" },
		{ "x", "not valid JSON" },
		{ "{}{}", "behind the end" },
		{ "{\"ips\":{}}", "\"ips\" must be an array" },
		{ "{\"ips\":[null]}", "must be an object" },
		{ "{\"ips\":[{}]}", "\"address\" must be there" },
		{ "{\"ips\":[{\"address\":\"10.1.1.2\"}]}", "prefix length" },
		{ "{\"ips\":[{\"address\":\"10.1.1.2/33\"}]}", "prefix length" },
		{ "{\"ips\":[{\"address\":\"10.1.1.2/\"}]}", "prefix length" },
		{ "{\"ips\":[{\"address\":\"10.1.1.2/2x\"}]}", "prefix length" },
		{ "{\"ips\":[{\"address\":\"fd00::%eth0/64\"}]}", "prefix length" },
		{ "{\"ips\":[{\"address\":\"fd00::2/129\"}]}", "prefix length" },
		{ "{\"ips\":[{\"address\":5}]}", "prefix length" },
		{ "{\"ips\":[{\"address\":\"10.1.1.2/24\",\"gateway\":\"gw\"}]}",
		  "\"gateway\" must be an IP address" },
		{ "{\"ips\":[{\"address\":\"10.1.1.2/24\",\"interface\":0}]}",
		  "names interface 0, but there are 0" },
		{ "{\"interfaces\":[{\"name\":\"a\"}],\"ips\":[{\"address\":\"10.1.1.2/"
		  "24\",\"interface\":1}]}",
		  "names interface 1" },
		{ "{\"interfaces\":[{\"name\":\"a\"}],\"ips\":[{\"address\":\"10.1.1.2/"
		  "24\",\"interface\":-1}]}",
		  "names interface -1" },
		{ "{\"interfaces\":[{\"name\":\"a\",\"mtu\":1500.5}]}",
		  "\"mtu\" must be an integer" },
		{ "{\"interfaces\":[{\"name\":\"\"}]}", "\"name\" must be an interface name" },
		{ "{\"interfaces\":[{\"name\":\"../x\"}]}", "\"name\" must be an interface name" },
		{ "{\"interfaces\":[{\"name\":\"1234567890123456\"}]}", "\"name\" must be an interface name" },
		{ "{\"interfaces\":[{\"name\":\"a\",\"sandbox\":\"/"
		  "s\"},{\"name\":\"a\",\"sandbox\":\"/s\"}]}",
		  "twice" },
		{ "{\"interfaces\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "twice" },
		{ "{\"routes\":[{\"dst\":\"0/0\"}]}", "prefix length" },
		{ "{\"dns\":[]}", "\"dns\" must be an object" },
		{ "{\"dns\":{\"search\":\"a\"}}", "\"search\" must be an array" },
		{ "{\"dns\":{\"search\":[1]}}", "\"search\" must be a string" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refuse(rows[i].text, "1.0.0", CNI_ERR_DECODE, rows[i].part);
	refuse("{\"ip4\":[]}", "0.2.0", CNI_ERR_DECODE, "\"ip4\" must be an object");
	refuse("{\"ip6\":{}}", "0.2.0", CNI_ERR_DECODE, "\"ip\" must be there");
	refuse("{\"ips\":[{\"version\":4,\"address\":\"10.1.1.2/24\"}]}", "0.4.0", CNI_ERR_DECODE,
	       "\"version\"");
}

static void
one_name_in_two_sandboxes(void **state)
{
	struct cnierr e;
	cleanup_json json_t *j = read_text(
	    "{\"interfaces\":[{\"name\":\"a\"},{\"name\":\"a\",\"sandbox\":\"/s\"}]}", "1.0.0", &e);

	(void)state;
	assert_non_null(j);
}

static void
prints(void **state)
{
	struct cnierr e;
	cleanup_json json_t *new = read_text(
	    "{\"interfaces\":[{\"name\":\"eth0\",\"mac\":\"aa\"}],\"dns\":{\"domain\":\"d\"}}",
	    "1.0.0", &e);
	cleanup_json json_t *mid =
	    read_text("{\"interfaces\":[{\"name\":\"eth0\",\"mac\":\"aa\"}]}", "0.3.1", &e);
	cleanup_free char *a = result_text(new), *b = result_text(mid);

	(void)state;
	assert_string_equal(
	    a,
	    "{\n    \"cniVersion\": \"1.0.0\",\n    \"dns\": {\n        \"domain\": \"d\"\n    },\n"
	    "    \"interfaces\": [\n        {\n            \"mac\": \"aa\",\n"
	    "            \"name\": \"eth0\"\n        }\n    ]\n}");
	assert_string_equal(
	    b, "{\n    \"cniVersion\": \"0.3.1\",\n    \"interfaces\": [\n        {\n"
	       "            \"name\": \"eth0\",\n            \"mac\": \"aa\"\n        }\n    ],\n"
	       "    \"dns\": {}\n}");
}

static void
sandbox(void **state)
{
	struct cnierr e;
	cleanup_json json_t *j = read_text(
	    "{\"interfaces\":[{\"name\":\"h\"},{\"name\":\"a\",\"sandbox\":\"/run/netns\"},"
	    "{\"name\":\"b\",\"sandbox\":\"/other\"}]}",
	    "1.0.0", &e);
	cleanup_free char *text = NULL;

	(void)state;
	result_sandbox(j, "/run/netns", "/proc/7/ns/net");
	text = json_text(j, false);
	assert_string_equal(text, "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"h\"},{"
				  "\"name\":\"a\",\"sandbox\":"
				  "\"/proc/7/ns/net\"},{\"name\":\"b\",\"sandbox\":\"/other\"}]}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions),
		cmocka_unit_test(fills_version),
		cmocka_unit_test(orders_and_filters),
		cmocka_unit_test(refuses),
		cmocka_unit_test(one_name_in_two_sandboxes),
		cmocka_unit_test(prints),
		cmocka_unit_test(sandbox),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
