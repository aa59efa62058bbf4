/* CNI_ARGS into the fixed target: what is kept, what is refused, what DEL overlooks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shim/cniargs.c"

struct row {
	const char *text;
	int strict; /* what cniargs_parse() returns */
	const char *ns, *name, *uid, *infra; /* after a lenient run */
};

#define LONG64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct row rows[] = {
	{ NULL, 0, "", "", "", "" },
	{ "", 0, "", "", "", "" },
	{ "IgnoreUnknown=1;K8S_POD_NAMESPACE=dns;K8S_POD_NAME=p-1.x;K8S_POD_INFRA_CONTAINER_ID=0a_b;"
	  "K8S_POD_UID=0b5c-11", 0, "dns", "p-1.x", "0b5c-11", "0a_b" },
	{ "K8S_POD_NAMESPACE=a;K8S_POD_NAMESPACE=b", 0, "b", "", "", "" },
	{ "K8S_POD_NAMESPACE=;K8S_POD_NAME=p", 0, "", "p", "", "" },
	{ "IP=10.0.0.1;MAC=02:00:00:00:00:01;K8S_POD_NAME=p", 0, "", "p", "", "" },
	{ "K8S_POD_NAME=p;Foo=bar", -EINVAL, "", "p", "", "" },
	{ "K8S_POD_NAME=p;Foo=bar;IgnoreUnknown=true", 0, "", "p", "", "" },
	{ "IgnoreUnknown=1;Foo=bar;K8S_POD_NAME=p", 0, "", "p", "", "" },
	{ "IgnoreUnknown=0;Foo=bar", -EINVAL, "", "", "", "" },
	{ "IgnoreUnknown=yes;K8S_POD_NAME=p", -EINVAL, "", "p", "", "" },
	{ "ignoreunknown=1", -EINVAL, "", "", "", "" },
	{ "IgnoreUnknown=1;Foo", -EINVAL, "", "", "", "" },
	{ "K8S_POD_NAME=p;", -EINVAL, "", "p", "", "" },
	{ ";K8S_POD_NAME=p", -EINVAL, "", "p", "", "" },
	{ "K8S_POD_NAME=a=b", -EINVAL, "", "", "", "" },
	{ "K8S_POD_NAME==a", -EINVAL, "", "", "", "" },
	{ "=p;K8S_POD_NAME=q", -EINVAL, "", "q", "", "" },
	{ "K8S_POD_NAMESPACE=a/b;K8S_POD_NAME=p", -EINVAL, "", "p", "", "" },
	{ "K8S_POD_NAMESPACE=..;K8S_POD_NAME=../../x", -EINVAL, "", "", "", "" },
	{ "K8S_POD_NAMESPACE=a\nb", -EINVAL, "", "", "", "" },
	{ "K8S_POD_NAMESPACE=" LONG64, -EINVAL, "", "", "", "" },
	{ "K8S_POD_NAME=" LONG64 LONG64 LONG64 LONG64 LONG64 LONG64 LONG64 LONG64 LONG64, -EINVAL, "", "", "",
	  "" },
	{ "K8S_POD_INFRA_CONTAINER_ID=-a", -EINVAL, "", "", "", "" },
	{ "K8S_POD_UID=a;K8S_POD_UID=a b", -EINVAL, "", "", "a", "" },
};

static void
check_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct wire_target t = { 0 };
		char why[128] = "";

		if (cniargs_parse(r->text, false, &t, why, sizeof(why)) != r->strict)
			fail_msg("row %zu: \"%s\": %s", i, r->text, why);
		assert_int_equal(why[0] != '\0', r->strict < 0);

		t = (struct wire_target){ 0 };
		assert_int_equal(cniargs_parse(r->text, true, &t, why, sizeof(why)), 0);
		assert_string_equal(t.pod_ns, r->ns);
		assert_string_equal(t.pod_name, r->name);
		assert_string_equal(t.pod_uid, r->uid);
		assert_string_equal(t.infra_id, r->infra);
	}
}

static void
name_cause(void **state)
{
	struct wire_target t = { 0 };
	char why[256];

	(void)state;
	assert_int_equal(cniargs_parse("a=1", false, &t, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "\"a\" is an unknown key"));
	assert_int_equal(cniargs_parse("K8S_POD_NAME", false, &t, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "exactly one '='"));
	/* A key as long as the environment allows does not fill the message. */
	assert_int_equal(cniargs_parse(LONG64 LONG64 LONG64 "=1", false, &t, why, sizeof(why)), -EINVAL);
	assert_true(strlen(why) < 160);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(check_rows), cmocka_unit_test(name_cause) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
