/* netconf.c and pod.c: what the runtime and the store hand in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "broker/delegate.h"
#include "broker/json.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

struct conf_row {
	const char *id;
	enum cni_verb verb;
	const char *text;
	uint32_t code;	  /* 0 = accepted */
	const char *want; /* "<version> <name>", or part of the message */
};

static void
test_netconf(void **state)
{
	static const struct conf_row rows[] = {
	    {"plain", CNI_ADD, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"postern\"}", 0,
	     "1.0.0 n"},
	    {"no version", CNI_ADD, "{\"name\":\"n\"}", 0, "0.1.0 n"},
	    {"empty version", CNI_DEL, "{\"name\":\"n\",\"cniVersion\":\"\"}", 0, "0.1.0 n"},
	    {"Go's case", CNI_ADD, "{\"CNIVersion\":\"1.1.0\",\"Name\":\"n\"}", 0, "1.1.0 n"},
	    {"N2", CNI_ADD, "{\"name\":\"n\"", CNI_ERR_DECODE, "ends too early"},
	    {"not JSON", CNI_ADD, "x", CNI_ERR_DECODE, "network configuration: line 1"},
	    {"null", CNI_ADD, "null", CNI_ERR_DECODE, "must be a JSON object"},
	    {"array", CNI_ADD, "[]", CNI_ERR_DECODE, "must be a JSON object"},
	    {"no name", CNI_ADD, "{}", CNI_ERR_CONFIG, "missing network name"},
	    {"empty name", CNI_ADD, "{\"name\":\"\"}", CNI_ERR_CONFIG, "missing network name"},
	    {"bad name", CNI_ADD, "{\"name\":\"../n\"}", CNI_ERR_CONFIG,
	     "invalid characters found in network name"},
	    {"name 7", CNI_ADD, "{\"name\":7}", CNI_ERR_DECODE, "\"name\" must be a string"},
	    {"version", CNI_ADD, "{\"name\":\"n\",\"cniVersion\":\"9.9.9\"}", CNI_ERR_VERSION,
	     "incompatible CNI versions"},
	    {"version 1", CNI_ADD, "{\"name\":\"n\",\"cniVersion\":1}", CNI_ERR_DECODE,
	     "must be a string"},
	    {"CHECK 0.3.1", CNI_CHECK, "{\"name\":\"n\",\"cniVersion\":\"0.3.1\"}", CNI_ERR_VERSION,
	     "config version does not allow CHECK"},
	    {"CHECK 0.4.0", CNI_CHECK, "{\"name\":\"n\",\"cniVersion\":\"0.4.0\"}", 0, "0.4.0 n"},
	    {"GC 1.0.0", CNI_GC, "{\"name\":\"n\",\"cniVersion\":\"1.0.0\"}", CNI_ERR_VERSION,
	     "config version does not allow GC"},
	    {"GC 1.1.0", CNI_GC, "{\"name\":\"n\",\"cniVersion\":\"1.1.0\"}", 0, "1.1.0 n"},
	    {"STATUS", CNI_STATUS, "{\"name\":\"n\"}", CNI_ERR_VERSION,
	     "config version does not allow STATUS"},
	    {"N10", CNI_ADD, "{\"name\":\"n\",\"prevResult\":{\"ips\":[]}}", 0, "0.1.0 n"},
	    {"prevResult", CNI_ADD, "{\"name\":\"n\",\"prevResult\":[]}", CNI_ERR_DECODE,
	     "\"prevResult\" must be an object"},
	    {"prevResult null", CNI_ADD, "{\"name\":\"n\",\"prevResult\":null}", 0, "0.1.0 n"},
	    {"runtimeConfig", CNI_ADD, "{\"name\":\"n\",\"runtimeConfig\":7}", CNI_ERR_DECODE,
	     "\"runtimeConfig\" must be an object"},
	    /* prevResult is not used, so its version is not judged either */
	    {"N12", CNI_ADD, "{\"name\":\"n\",\"cniVersion\":\"1.0.0\",\"prevResult\":{}}", 0,
	     "1.0.0 n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct conf_row *r = &rows[i];
		struct cnierr e = {0};
		struct netconf nc;
		char got[300] = "";
		int ret = netconf_parse(r->text, strlen(r->text), r->verb, &nc, &e);

		if (ret == 0)
			snprintf(got, sizeof(got), "%s %s", nc.version, nc.name);
		if (e.code != r->code || (ret == 0) != (r->code == 0) ||
		    (ret ? !strstr(e.msg, r->want) : strcmp(got, r->want)))
			fail_msg("%s: got %d \"%s\" %u \"%s\"", r->id, ret, got, e.code, e.msg);
		netconf_clear(&nc);
	}
}

static void
test_netconf_details(void **state)
{
	const char *text = "{\"name\":\"n\",\"cniVersion\":\"9\\n9\"}";
	struct cnierr e = {0};
	struct netconf nc;

	(void)state;
	assert_int_equal(netconf_parse(text, strlen(text), CNI_ADD, &nc, &e), -1);
	assert_string_equal(
	    e.details,
	    "config is \"9\\x0a9\", plugin supports [\"0.1.0\" \"0.2.0\" \"0.3.0\" \"0.3.1\" "
	    "\"0.4.0\" \"1.0.0\" \"1.1.0\"]");
	memset(&e, 0, sizeof(e));
	text = "{\"name\":\"n\",\"runtimeConfig\":{\"dns\":{}}}";
	assert_int_equal(netconf_parse(text, strlen(text), CNI_ADD, &nc, &e), 0);
	assert_non_null(json_object_get(nc.runtime, "dns"));
	netconf_clear(&nc);
	assert_null(nc.root);
}

struct pod_row {
	const char *id;
	const char *text;
	const char *want; /* "<uid> <static> <number of annotations>", or NULL */
	const char *error;
};

#define META(rest) "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\"" rest "}}"

static void
test_pod(void **state)
{
	static const struct pod_row rows[] = {
	    {"plain", META(",\"uid\":\"u1\",\"annotations\":{\"a\":\"b\"}"), "u1 0 1", NULL},
	    {"no uid", META(""), " 0 0", NULL},
	    {"partial",
	     "{\"kind\":\"PartialObjectMetadata\",\"metadata\":{\"name\":\"p\",\"namespace\":"
	     "\"ns\"}}",
	     " 0 0", NULL},
	    {"no namespace", "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\"}}", " 0 0", NULL},
	    {"null annotations", META(",\"annotations\":null"), " 0 0", NULL},
	    {"api pod", META(",\"annotations\":{\"kubernetes.io/config.source\":\"api\"}"), " 0 1",
	     NULL},
	    {"static",
	     META(",\"uid\":\"u2\",\"annotations\":{\"kubernetes.io/config.source\":\"file\"}"),
	     "u2 1 1", NULL},
	    {"other uid", META(",\"uid\":\"u2\""), NULL, "pod ns/p: its uid is now u2"},
	    {"api, other uid",
	     META(",\"uid\":\"u2\",\"annotations\":{\"kubernetes.io/config.source\":\"api\"}"),
	     NULL, "the pod was replaced"},
	    {"bad uid", META(",\"uid\":\"u/2\""), NULL, "not a uid"},
	    {"not an object", "[]", NULL, "must be an object"},
	    {"kind", "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"p\"}}", NULL,
	     "kind is \"Secret\""},
	    {"no kind", "{\"metadata\":{\"name\":\"p\"}}", NULL, "kind is \"\""},
	    {"no metadata", "{\"kind\":\"Pod\"}", NULL, "has no metadata"},
	    {"metadata list", "{\"kind\":\"Pod\",\"metadata\":[]}", NULL,
	     "\"metadata\" must be an object"},
	    {"other name", "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"q\"}}", NULL,
	     "is of pod ns/q"},
	    {"other namespace",
	     "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"x\"}}", NULL,
	     "is of pod x/p"},
	    {"annotation 7", META(",\"annotations\":{\"k\":7}"), NULL,
	     "annotation \"k\" must be a string"},
	    {"annotations []", META(",\"annotations\":[]"), NULL,
	     "\"annotations\" must be an object"},
	};
	const struct wire_target target = {.pod_ns = "ns", .pod_name = "p", .pod_uid = "u1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct pod_row *r = &rows[i];
		cleanup_json json_t *manifest = json_loads(r->text, 0, NULL);
		struct cnierr e = {0};
		struct pod p;
		char got[100] = "";
		int ret = pod_parse(manifest, &target, &p, &e);

		if (ret == 0) {
			assert_string_equal(p.ns, "ns");
			assert_string_equal(p.name, "p");
			assert_true(p.known);
			snprintf(got, sizeof(got), "%s %d %zu", p.uid, p.is_static,
				 json_object_size(p.annotations));
		}
		if (ret != (r->want ? 0 : -1) ||
		    (ret ? !strstr(e.msg, r->error) : strcmp(got, r->want)))
			fail_msg("%s: got %d \"%s\" \"%s\"", r->id, ret, got, e.msg);
		pod_clear(&p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_netconf),
	    cmocka_unit_test(test_netconf_details),
	    cmocka_unit_test(test_pod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
