/* primary.c: which file may be the primary configuration, and what is generated of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "broker/primary.h"
#include "netpriv/util.h"

static struct conf conf;

static void
set_conf(const char *version, const char *base)
{
	conf_defaults(&conf);
	util_copy(conf.autoconf_dir, sizeof(conf.autoconf_dir), "/d");
	util_copy(conf.cni_version, sizeof(conf.cni_version), version);
	util_copy(conf.autoconf_base, sizeof(conf.autoconf_base), base);
}

static void
test_names(void **state)
{
	static const char *const good[] = { "10-a.conf", "a.conflist", "00-a.conf", "01-multus.conf" };
	static const char *const bad[] = { "00-multus.conf", "00-multus-x.conflist", "00-postern.conf", "00-postern-old.conf", "mine.conf",
					   "a.json", "a.conf.bak", ".a.conf", "conf", "a.CONF" };

	(void)state;
	conf_defaults(&conf);
	util_copy(conf.autoconf_file, sizeof(conf.autoconf_file), "mine.conf");
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(primary_eligible(&conf, good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(primary_eligible(&conf, bad[i]));
}

#define BASE(version) "{\"cniVersion\":\"" version "\"}"
#define MADE(version, more) "{" more "\"cniVersion\":\"" version "\",\"name\":\"multus-cni-network\",\"clusterNetwork\":\"/d/%s\"," \
			    "\"type\":\"postern-shim\"}"
#define CONF(version, more) "{\"cniVersion\":\"" version "\",\"name\":\"n\",\"type\":\"t\"" more "}"

static void
test_generate(void **state)
{
	static const struct {
		const char *version, *base, *file, *text, *want, *error;
	} rows[] = {
		{ "0.4.0", BASE("0.4.0"), "a.conf", CONF("0.4.0", ""), MADE("0.4.0", ""), NULL },
		{ "0.4.0", BASE("0.4.0"), "a.conf", CONF("0.3.1", ""), NULL,
		  "/d/a.conf: delegate cni version is 0.3.1 while top level cni version is 0.4.0" },
		{ "0.4.0", BASE("0.4.0"), "a.conf", "{\"name\":\"n\",\"type\":\"t\"}", NULL, "couldn't get cni version of delegate" },
		{ "0.3.1", BASE("0.3.1"), "a.conf", "{\"name\":\"n\",\"type\":\"t\"}", MADE("0.3.1", ""), NULL },
		{ "1.0.0", BASE("1.0.0"), "a.conf", CONF("9.9.9", ""), NULL, "not supported" },
		{ "0.4.0", BASE("0.4.0"), "a.conf", CONF("0.4.0", ",\"capabilities\":{\"z\":true,\"b\":false,\"a\":true}"),
		  MADE("0.4.0", "\"capabilities\":{\"a\":true,\"z\":true},"), NULL },
		{ "0.4.0", "{\"capabilities\":{\"m\":true,\"n\":false},\"cniVersion\":\"0.4.0\"}", "a.conflist",
		  "{\"cniVersion\":\"0.4.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"t\",\"capabilities\":{\"z\":true}},{\"type\":\"u\"}]}",
		  MADE("0.4.0", "\"capabilities\":{\"m\":true,\"z\":true},"), NULL },
		{ "0.4.0", BASE("0.4.0"), "a.conflist", "{\"cniVersion\":\"0.4.0\",\"name\":\"n\",\"plugins\":[null]}", NULL, "must be an object" },
		{ "0.4.0", BASE("0.4.0"), "a.conflist", "{\"cniVersion\":\"0.4.0\",\"name\":\"n\",\"plugins\":[]}", NULL, "\"plugins\" is empty" },
		{ "0.4.0", BASE("0.4.0"), "a.conf", "{\"cniVersion\":\"0.4.0\",\"type\":\"t\"}", NULL, "missing \"name\"" },
		{ "0.4.0", BASE("0.4.0"), "a.conf", "", NULL, "empty" },
		{ "", "", "a.conf", CONF("0.3.1", ""), "", NULL },
		{ "", "", "a.conf", "{}", NULL, "missing \"name\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cnierr e = { 0 };
		char *made = NULL, want[512];
		int r;

		set_conf(rows[i].version, rows[i].base);
		r = primary_generate(&conf, rows[i].file, rows[i].text, strlen(rows[i].text), &made, &e);
		if (rows[i].error && (r != -1 || made || !strstr(e.msg, rows[i].error)))
			fail_msg("row %zu: %d, \"%s\" lacks \"%s\"", i, r, e.msg, rows[i].error);
		if (rows[i].want && r != 0)
			fail_msg("row %zu: %s", i, e.msg);
		if (rows[i].want && *rows[i].want) {
			const char *at = strchr(rows[i].want, '%');

			snprintf(want, sizeof(want), "%.*s%s%s", (int)(at - rows[i].want), rows[i].want, rows[i].file, at + 2);
			assert_string_equal(made, want);
		} else {
			assert_null(made);
		}
		free(made);
	}
}

static void
test_forced_version_and_name(void **state)
{
	struct cnierr e = { 0 };
	char *made = NULL;

	(void)state;
	set_conf("1.0.0", "{\"cniVersion\":\"1.0.0\",\"overrideNetworkName\":true}");
	conf.force_version = conf.autoconf_name = 1;
	assert_int_equal(primary_generate(&conf, "a.conf", CONF("0.2.0", ""), strlen(CONF("0.2.0", "")), &made, &e), 0);
	assert_string_equal(made, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"clusterNetwork\":\"/d/a.conf\",\"type\":\"postern-shim\","
				  "\"overrideNetworkName\":true}");
	free(made);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_generate),
		cmocka_unit_test(test_forced_version_and_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
