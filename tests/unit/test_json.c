/* json.c and cnierr.c: bounds, refusals, and errors that say where but never quote. */
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
	    {"{\"a\":[1,2.5,true,null,\"x\"]}", 0, "{\"a\":[1,2.5,true,null,\"x\"]}", NULL},
	    {" [] \n", 0, "[]", NULL},
	    {"\"text\"", 0, "\"text\"", NULL},
	    {"null", 0, "null", NULL},
	    {"9007199254740993", 0, "9007199254740993", NULL}, /* beyond 2^53: kept */
	    {"\"[[[[{{{\\\"[\"", 0, "\"[[[[{{{\\\"[\"", NULL},
	    {"12345678901234567890", 0, NULL,
	     "number out of range"}, /* refused rather than changed */
	    {"", 0, NULL, "t: empty"},
	    {"{", 0, NULL, "ends too early"},
	    {"secret", 0, NULL, "t: line 1, column 6: not valid JSON"},
	    {"{\"a\":1,\n \"a\":2}", 0, NULL, "line 2, column 4: duplicate key"},
	    {"{\"a\":1,\"A\":2}", 0, "{\"a\":1,\"A\":2}", NULL},
	    {"[1] trailing", 0, NULL, "behind the end"},
	    {"\"\xff\"", 0, NULL, "UTF-8"},
	    {"\"\xc0\x80\"", 0, NULL, "UTF-8"},
	    {"\"a\\u0000b\"", 0, NULL, "NUL"},
	    {"[1]\0", 4, NULL, "behind the end"},
	    {"\"\\ud800\"", 0, NULL, "not valid JSON"},
	    {"{'a':1}", 0, NULL, "not valid JSON"},
	    {"1e999", 0, NULL, "number out of range"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct cnierr e = {0};
		cleanup_json json_t *j =
		    json_read(r->text, r->len ? r->len : strlen(r->text), "t", &e);

		if (r->want) {
			cleanup_free char *text = json_text(j, false);

			assert_non_null(j);
			assert_string_equal(text, r->want);
			assert_int_equal(e.code, 0);
			continue;
		}
		assert_null(j);
		assert_int_equal(e.code, CNI_ERR_DECODE);
		if (!strstr(e.msg, r->error))
			fail_msg("row %zu: \"%s\" lacks \"%s\"", i, e.msg, r->error);
		assert_null(strstr(e.msg, "secret"));
	}
}

static json_t *
read_nested(size_t depth, struct cnierr *e)
{
	cleanup_free char *text = malloc(2 * depth);

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	return json_read(text, 2 * depth, "t", e);
}

static void
test_bounds(void **state)
{
	static char big[JSON_MAX_BYTES + 1];
	const struct json_limits wide = {2 * JSON_MAX_BYTES, 100, 100};
	struct cnierr e = {0};
	json_t *j = read_nested(JSON_MAX_DEPTH, &e);

	(void)state;
	assert_non_null(j);
	json_decref(j);
	assert_null(read_nested(JSON_MAX_DEPTH + 1, &e));
	assert_string_equal(e.msg, "t: line 1, column 65: nested deeper than 64 levels");
	memset(&e, 0, sizeof(e));
	assert_null(read_nested(10000, &e));
	assert_int_equal(e.code, CNI_ERR_DECODE);

	memset(big, ' ', sizeof(big));
	big[0] = '1';
	memset(&e, 0, sizeof(e));
	j = json_read(big, JSON_MAX_BYTES, "t", &e);
	assert_non_null(j);
	json_decref(j);
	assert_null(json_read(big, JSON_MAX_BYTES + 1, "t", &e));
	assert_non_null(strstr(e.msg, "1048577 bytes"));
	memset(&e, 0, sizeof(e));
	j = json_read_within(big, JSON_MAX_BYTES + 1, &wide, "t", &e);
	assert_non_null(j);
	json_decref(j);

	memset(big, ',', sizeof(big));
	assert_null(json_read(big, JSON_MAX_BYTES, "t", &e));
	assert_non_null(strstr(e.msg, "more than 65536 values"));
}

static void
test_member(void **state)
{
	struct cnierr e = {0};
	cleanup_json json_t *j =
	    json_loads("{\"Name\":\"a\",\"name\":\"b\",\"TYPE\":\"c\",\"x\":null,\"l\":[],\"o\":{},"
		       "\"t\":true}",
		       0, NULL);
	const char *s = "old";
	json_t *v = NULL;
	bool b = false;

	(void)state;
	assert_string_equal(json_string_value(json_member(j, "name")), "b");
	assert_string_equal(json_string_value(json_member(j, "NAME")), "a");
	assert_string_equal(json_string_value(json_member(j, "type")), "c");
	/* As Go folds letters. */
	assert_true(json_same_key("to\u212aenFile\u017f", "tokenFiles"));
	assert_false(json_same_key("to\u212aen", "toke"));
	assert_false(json_same_key("to\u212a", "token"));
	assert_null(json_member(j, "x"));
	assert_null(json_member(j, "none"));
	assert_null(json_member(NULL, "name"));
	assert_int_equal(json_member_string(j, "x", "w", &s, &e), 0);
	assert_string_equal(s, "old");
	assert_int_equal(json_member_bool(j, "t", "w", &b, &e), 0);
	assert_true(b);
	assert_int_equal(json_member_array(j, "l", "w", &v, &e), 0);
	assert_true(json_is_array(v));
	assert_int_equal(json_member_object(j, "o", "w", &v, &e), 0);
	assert_true(json_is_object(v));
	assert_int_equal(json_member_array(j, "o", "the thing", &v, &e), -1);
	assert_string_equal(e.msg, "the thing: \"o\" must be an array");
}

static void
test_error(void **state)
{
	struct cnierr e = {0};
	cleanup_free char *text = NULL;
	char longer[2000];

	(void)state;
	assert_int_equal(cnierr_set(&e, 7, "%s", "a\n\x1b[31m\xff \xc3\xa9 \xc2\x9b%s"), -1);
	assert_string_equal(e.msg, "a\\x0a\\x1b[31m\\xff \xc3\xa9 \\xc2\\x9b%s");
	cnierr_set(&e, 11, "later");
	assert_int_equal(e.code, 7);
	cnierr_prefix(&e, "net %d", 1);
	assert_int_equal(strncmp(e.msg, "net 1: a\\x0a", 12), 0);
	memset(&e, 0, sizeof(e));
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	cnierr_set(&e, 7, "%s", longer);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	cnierr_prefix(&e, "%s", longer);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	memset(&e, 0, sizeof(e));
	for (size_t i = 0; i + 2 < sizeof(longer); i += 2)
		memcpy(longer + i, "\xc3\xa9", 2);
	longer[sizeof(longer) - 2] = '\0';
	cnierr_set(&e, 7, "x%s", longer); /* cut between characters, not within one */
	assert_int_equal(strlen(e.msg), 639);
	cnierr_prefix(&e, "y");
	assert_int_equal(strlen(e.msg), 638);

	memset(&e, 0, sizeof(e));
	cnierr_set(&e, 7, "m \"q\"");
	text = cnierr_json(&e);
	assert_string_equal(text, "{\n    \"code\": 7,\n    \"msg\": \"m \\\"q\\\"\"\n}");
	free(text);
	strcpy(e.details, "d");
	text = cnierr_json(&e);
	assert_string_equal(
	    text, "{\n    \"code\": 7,\n    \"msg\": \"m \\\"q\\\"\",\n    \"details\": \"d\"\n}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_member),
	    cmocka_unit_test(test_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
