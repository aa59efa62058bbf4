/* yaml.c: manifests as kubectl takes them, and nothing that YAML has beyond JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "broker/json.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

struct row {
	const char *text;
	size_t len;	  /* 0 = strlen(text) */
	const char *want; /* compact text, or NULL when refused */
	const char *error;
};

static void
test_read(void **state)
{
	static const struct row rows[] = {
	    /* scalars */
	    {"[null, ~, Null, true, True, FALSE, 'true', \"1\", y, n, on, off, yes, No]", 0,
	     "[null,null,null,true,true,false,\"true\",\"1\",\"y\",\"n\",\"on\",\"off\",\"yes\","
	     "\"No\"]",
	     NULL},
	    {"[0, -1, +2, 0x1F, 0o17, 0644, 089, 9007199254740993, -9223372036854775808]", 0,
	     "[0,-1,2,31,15,420,89,9007199254740993,-9223372036854775808]", NULL},
	    {"[1.5, -.5, 1e3, 1., 1.2.3, 1e, ., -, 0x, 0xg, 1_0, 2024-01-01T00:00:00Z, "
	     "10.1.1.0/24]",
	     0,
	     "[1.5,-0.5,1000.0,1.0,\"1.2.3\",\"1e\",\".\",\"-\",\"0x\",\"0xg\",\"1_0\","
	     "\"2024-01-01T00:00:00Z\",\"10.1.1.0/24\"]",
	     NULL},
	    {"a:\nb: ''\n", 0, "{\"a\":null,\"b\":\"\"}", NULL},
	    {"1: a\ntrue: b\n", 0, "{\"1\":\"a\",\"true\":\"b\"}", NULL},
	    {"!!str 5", 0, "\"5\"", NULL},
	    {"! 5", 0, "\"5\"", NULL},
	    {"!!int \"5\"", 0, "5", NULL},
	    {"!!map {a: !!seq [1]}", 0, "{\"a\":[1]}", NULL},
	    {"[.inf]", 0, NULL, "number out of range"},
	    {"[-.INF]", 0, NULL, "number out of range"},
	    {"[.nan]", 0, NULL, "number out of range"},
	    {"1e999", 0, NULL, "number out of range"},
	    {"12345678901234567890", 0, NULL, "number out of range"},
	    {"!!int x", 0, NULL, "does not fit its tag"},
	    /* structure */
	    {"---\na: 1\n", 0, "{\"a\":1}", NULL},
	    {"# c\n---\na: 1\n...\n", 0, "{\"a\":1}", NULL},
	    {"{\"a\": [1, {\"b\": \"c\"}]}", 0, "{\"a\":[1,{\"b\":\"c\"}]}", NULL},
	    {"a: 1\n---\nb: 2\n", 0, NULL, "line 2, column 1: a second document"},
	    {"a: 1\n---\n", 0, NULL, "second document"},
	    {"", 0, NULL, "empty"},
	    {"# only a comment\n", 0, NULL, "empty"},
	    {"a: &x 1\n", 0, NULL, "anchors"},
	    {"a: &x [1]\n", 0, NULL, "anchors"},
	    {"a: &x {}\n", 0, NULL, "anchors"},
	    {"&x a: 1\n", 0, NULL, "anchors"},
	    {"a: *x\n", 0, NULL, "aliases"},
	    {"*x : 1\n", 0, NULL, "must be a plain text"},
	    {"<<: {a: 1}\n", 0, NULL, "merge keys"},
	    {"\"<<\": 1\n", 0, "{\"<<\":1}", NULL},
	    {"? [a]\n: 1\n", 0, NULL, "must be a plain text"},
	    {": 1\n", 0, NULL, "line 1"},
	    {"~: 1\n", 0, NULL, "a key is missing"},
	    {"!secret 5", 0, NULL, "tags"},
	    {"!!binary aGk=", 0, NULL, "tags"},
	    {"!!set {a}", 0, NULL, "tags"},
	    {"!!omap [a]", 0, NULL, "tags"},
	    {"a: 1\nb: 2\na: 3\n", 0, NULL, "t: line 3, column 1: duplicate key"},
	    {"a: 1\n\"a\": 3\n", 0, NULL, "duplicate key"},
	    {"a: b: secret\n", 0, NULL, "t: line 1, column 5: mapping values are not allowed"},
	    {"a: [1\n", 0, NULL, "line 2"},
	    {"\ta: 1\n", 0, NULL, "line 1"},
	    {"a: \xff\n", 0, NULL, "byte 3: invalid leading UTF-8 octet"},
	    {"a: \x01\n", 0, NULL, "control characters are not allowed"},
	    {"\"a\\0b\"", 0, NULL, "NUL"},
	    {"{\"a\\0b\": 1}", 0, NULL, "NUL"},
	    {"\xff\xfe\x61\x00", 4, NULL, "byte 0"}, /* UTF-16 */
	    {"a: b\0", 5, NULL, "control characters"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct cnierr e = {0};
		cleanup_json json_t *j =
		    json_read_yaml(r->text, r->len ? r->len : strlen(r->text), "t", &e);
		cleanup_free char *text = j ? json_text(j, false) : NULL;

		if (r->want) {
			if (!text || strcmp(text, r->want))
				fail_msg("row %zu: %s (%s)", i, text ? text : "refused", e.msg);
			assert_int_equal(e.code, 0);
			continue;
		}
		if (j)
			fail_msg("row %zu: accepted: %s", i, text);
		assert_int_equal(e.code, CNI_ERR_DECODE);
		if (!strstr(e.msg, r->error))
			fail_msg("row %zu: \"%s\" lacks \"%s\"", i, e.msg, r->error);
		assert_null(strstr(e.msg, "secret"));
	}
}

/* A NAD's configuration must come through as it was written. */
static void
test_manifest(void **state)
{
	static const char text[] = "apiVersion: k8s.cni.cncf.io/v1\n"
				   "kind: NetworkAttachmentDefinition\n"
				   "metadata:\n"
				   "  name: macvlan\n"
				   "  annotations:\n"
				   "    k8s.v1.cni.cncf.io/networks: '[{\"name\":\"a\"}]'\n"
				   "spec:\n"
				   "  config: |\n"
				   "    {\n"
				   "      \"type\": \"macvlan\",  # kept: it is text\n"
				   "\n"
				   "      \"x\": \"\\t\"\n"
				   "    }\n"
				   "  folded: >-\n"
				   "    a\n"
				   "    b\n";
	struct cnierr e = {0};
	cleanup_json json_t *j = json_read_yaml(text, strlen(text), "nad", &e);
	json_t *spec = json_object_get(j, "spec");

	(void)state;
	assert_string_equal(
	    json_string_value(json_object_get(spec, "config")),
	    "{\n  \"type\": \"macvlan\",  # kept: it is text\n\n  \"x\": \"\\t\"\n}\n");
	assert_string_equal(json_string_value(json_object_get(spec, "folded")), "a b");
}

static json_t *
read_repeated(const char *unit, size_t n, const char *tail, struct cnierr *e)
{
	size_t len = strlen(unit);
	cleanup_free char *text = malloc(n * len + strlen(tail) + 1);

	memset(e, 0, sizeof(*e));
	for (size_t i = 0; i < n; i++)
		memcpy(text + i * len, unit, len);
	strcpy(text + n * len, tail);
	return json_read_yaml(text, strlen(text), "t", e);
}

static void
test_bounds(void **state)
{
	struct cnierr e;
	json_t *j;

	(void)state;
	assert_null(read_repeated("[", 10000, "", &e));
	assert_non_null(strstr(e.msg, "nested too deep"));
	assert_null(read_repeated("{a: ", 10000, "", &e));
	assert_non_null(strstr(e.msg, "nested too deep"));
	assert_null(read_repeated("- ", 1000, "x", &e));
	assert_non_null(strstr(e.msg, "nested too deep"));
	j = read_repeated("- ", JSON_MAX_DEPTH, "x", &e);
	assert_non_null(j);
	json_decref(j);
	assert_null(read_repeated("- x\n", JSON_MAX_NODES, "", &e));
	assert_non_null(strstr(e.msg, "too many values"));
	assert_null(read_repeated("#", JSON_MAX_BYTES + 1, "", &e));
	assert_non_null(strstr(e.msg, "1048577 bytes"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_manifest),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
