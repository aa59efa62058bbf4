/* DEL and CHECK of what Multus attached: what is asked of the wall in which order, and what the plugins get. */
#include <resolv.h>

#include "tests/unit/fakewall.h"

static char *
b64(const char *text)
{
	size_t size = strlen(text) * 2 + 8;
	char *out = malloc(size);

	assert_true(b64_ntop((const unsigned char *)text, strlen(text), out, size) > 0);
	return out;
}

/* Two networks; more: members of the second one. */
static char *
make_scratch(const char *more)
{
	static const char list[] = "{\"cniVersion\":\"1.0.0\",\"name\":\"cluster\",\"plugins\":[{\"type\":\"bridge\"},"
				   "{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true}}]}";
	static const char one[] = "{\"cniVersion\":\"1.0.0\",\"name\":\"mac\",\"type\":\"macvlan\",\"capabilities\":{"
				  "\"mac\":true,\"ips\":true,\"infinibandGUID\":true,\"deviceID\":true}}";
	cleanup_free char *first = b64(list), *second = b64(one);
	char *text;

	assert_true(asprintf(&text, "[{\"Conf\":{\"ipam\":{}},\"ConfList\":{\"name\":\"cluster\",\"plugins\":[{\"type\":\"bridge\"}]},"
				    "\"Name\":\"cluster\",\"Bytes\":\"%s\"},{\"ConfList\":{},\"Name\":\"ns1/m\",%s\"Bytes\":\"%s\"}]",
			     first, more, second) > 0);
	return text;
}

static void
journalled_before_anything_runs(void **state)
{
	cleanup_free char *scratch = make_scratch("");

	(void)state;
	w.scratch = scratch;
	offer.flags = 0;
	command(CNI_DEL, CONFIG);
	assert_string_equal(w.log, "cache  ; cache cluster eth0; cache mac net1; plan; DEL macvlan net1; DEL portmap eth0; DEL bridge eth0; ");
	assert_true(w.code == 0 && w.clean);
	assert_null(at(0, "prevResult"));
	forget_runs();
	w.fail_plan = true;
	command(CNI_DEL, CONFIG);
	assert_string_equal(w.log, "cache  ; cache cluster eth0; cache mac net1; plan; ");
	assert_true(w.code == 0 && !w.clean);
}

/* Two commands later the journal has it, and nobody asks for the file. */
static void
owed_like_any_other(void **state)
{
	static const struct act acts[] = { { CNI_DEL, "macvlan", NULL, 0, 1, "{\"code\":100,\"msg\":\"busy\"}", NULL, false }, { 0 } };
	cleanup_free char *scratch = make_scratch("\"ifnameRequest\":\"bk0\",");

	(void)state;
	w.scratch = scratch;
	w.acts = acts;
	command(CNI_DEL, CONFIG);
	assert_true(w.code == 0 && !w.clean && strstr(w.note, "busy"));
	w.kind = STATE_IS_PLAN;
	w.acts = NULL;
	command(CNI_DEL, "nonsense");
	assert_string_equal(w.log, "DEL macvlan bk0; DEL portmap eth0; DEL bridge eth0; ");
	assert_true(w.clean);
}

/* Without a result the scratch file's requests are the arguments; with one, those that ADD had. */
static void
arguments(void **state)
{
	static const char cached[] = "{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"ifName\":\"net1\",\"networkName\":\"mac\","
				     "\"capabilityArgs\":{\"ips\":[\"10.2.0.9/24\"]},\"result\":{\"cniVersion\":\"0.4.0\",\"ips\":"
				     "[{\"version\":\"4\",\"address\":\"10.2.0.9/24\"}],\"dns\":{}}}";
	cleanup_free char *scratch = make_scratch("\"macRequest\":\"02:00:00:00:00:01\",\"ipRequest\":[\"10.2.0.9/24\"],"
						  "\"infinibandGUIDRequest\":\"c2:11\",\"deviceID\":\"0000:00:01.0\",");

	(void)state;
	w.scratch = scratch;
	command(CNI_DEL, "{\"cniVersion\":\"1.0.0\",\"name\":\"postern\",\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":1}]}}");
	assert_string_equal(at(0, "runtimeConfig.mac"), "02:00:00:00:00:01");
	assert_string_equal(at(0, "runtimeConfig.infinibandGUID"), "c2:11");
	assert_string_equal(at(0, "runtimeConfig.deviceID"), "0000:00:01.0");
	assert_non_null(at(0, "runtimeConfig.ips"));
	assert_non_null(at(1, "runtimeConfig.portMappings"));
	forget_runs();
	w.cached = cached;
	command(CNI_DEL, CONFIG);
	assert_non_null(at(0, "runtimeConfig.ips"));
	assert_null(at(0, "runtimeConfig.mac"));
	assert_string_equal(at(0, "prevResult.cniVersion"), "1.0.0");
	assert_null(at(2, "prevResult")); /* the cached one is the other network's */
}

static void
check_reads_only(void **state)
{
	static const char cached[] = "{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"ifName\":\"net1\",\"networkName\":\"mac\","
				     "\"result\":{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"net1\",\"sandbox\":\"/run/netns/a\"}]}}";
	cleanup_free char *scratch = make_scratch("");

	(void)state;
	w.scratch = scratch;
	w.cached = cached;
	w.present = "net1";
	command(CNI_CHECK, CONFIG);
	assert_string_equal(w.log, "cache  ; cache cluster eth0; cache mac net1; CHECK bridge eth0; CHECK portmap eth0; CHECK macvlan net1; ");
	assert_true(w.code == 0);
	w.present = "eth0";
	command(CNI_CHECK, CONFIG);
	assert_non_null(strstr(w.note, "interface \"net1\" is no longer in the pod"));
	w.scratch = "[";
	command(CNI_CHECK, CONFIG);
	assert_true(w.code != 0 && strstr(w.note, "/c1: line 1"));
}

static void
unusable(void **state)
{
	static const char *const texts[] = { "", "null", "[]", "{}", "[null]", "[{}]", "[[", "[{\"Bytes\":\"e30=\"}]", "[{\"Bytes\":\"e30\"}]" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		w.scratch = texts[i];
		command(CNI_DEL, CONFIG);
		assert_string_equal(w.log, "cache  ; ");
		assert_true(w.code == 0 && !w.clean && strstr(w.note, "/c1"));
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = { TEST(journalled_before_anything_runs), TEST(owed_like_any_other), TEST(arguments),
					    TEST(check_reads_only), TEST(unusable) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
