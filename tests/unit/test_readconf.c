/* The node configuration: a table of files, and what the reader makes of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

int readconf_main(void);
#define main readconf_main
#include "broker/readconf.c"
#undef main

static struct conf conf;

static void
read_text(const char *text)
{
	read_config(&conf, text, strlen(text));
}

/* The text is usable, also for the one who checks the struct. */
static void
accept(const char *text)
{
	char why[256];

	read_text(text);
	if (conf.error[0])
		fail_msg("%s: %s", text, conf.error);
	if (conf_check(&conf, why, sizeof(why)) < 0)
		fail_msg("%s: conf_check: %s", text, why);
}

static void
keep_defaults(void **state)
{
	static struct conf want;

	(void)state;
	conf_defaults(&want);
	accept("{}");
	assert_memory_equal(&conf, &want, sizeof(conf));
	accept("{\"binDir\": null, \"plugins\": null, \"limits\": {}, \"logLevel\": \"\", \"clusterNetwork\": \"\","
	       "\"globalNamespaces\": \"\"}");
	assert_memory_equal(&conf, &want, sizeof(conf));
}

static void
read_multus_keys(void **state)
{
	(void)state;
	accept("{\"clusterNetwork\": \"/etc/cni/net.d/10-flannel.conflist\", \"defaultNetworks\": [\"a\", \"/b/c/\"],"
	       "\"BINDIR\": \"/x/bin/\", \"confDir\": \"/x/conf\", \"cniDir\": \"/x/cni\", \"socketDir\": \"/run/m/\","
	       "\"daemonSocketDir\": \"/run/other\", \"loglevel\": \"Verbose\", \"logToStderr\": true,"
	       "\"multusNamespace\": \"mm\", \"systemNamespaces\": [\"a\", \"b\"], \"namespaceIsolation\": true,"
	       "\"globalNamespaces\": \"c, d ,,e\"}");
	assert_int_equal(conf.n_networks, 3);
	assert_string_equal(conf.networks[0], "/etc/cni/net.d/10-flannel.conflist");
	assert_string_equal(conf.networks[1], "a");
	assert_string_equal(conf.networks[2], "/b/c");
	assert_string_equal(conf.bin_dir, "/x/bin");
	assert_string_equal(conf.conf_dir, "/x/conf");
	assert_string_equal(conf.cni_dir, "/x/cni");
	assert_string_equal(conf.socket_dir, "/run/m");
	assert_int_equal(conf.log_level, LOG_INFO);
	assert_string_equal(conf.multus_namespace, "mm");
	assert_int_equal(conf.n_system_namespaces, 2);
	assert_string_equal(conf.system_namespaces[1], "b");
	assert_int_equal(conf.namespace_isolation, 1);
	assert_int_equal(conf.n_global_namespaces, 3);
	assert_string_equal(conf.global_namespaces[2], "e");
	assert_int_equal(conf.n_warnings, 0);

	accept("{\"daemonSocketDir\": \"/run/other\", \"globalNamespaces\": [\"x\"], \"systemNamespaces\": []}");
	assert_string_equal(conf.socket_dir, "/run/other");
	assert_string_equal(conf.global_namespaces[0], "x");
	assert_int_equal(conf.n_system_namespaces, 0);
}

static void
read_own_keys(void **state)
{
	(void)state;
	accept("{\"store\": \"/s\", \"unknownPods\": \"cluster-network\", \"sandbox\": \"trap\","
	       "\"users\": {\"broker\": 7, \"kube\": 8, \"reader\": 9}, \"limits\": {\"attachments\": 64, \"waiting\": 0},"
	       "\"deadlines\": {\"wait\": 1.5, \"command\": 2, \"delegate\": 0.001, \"stop\": 3600},"
	       "\"plugins\": [\"a\", {\"name\": \"b\", \"capabilities\": [\"NET_RAW\", \"cap_chown\"], \"deadline\": 2.5,"
	       "\"sha256\": \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}, \"*\"]}");
	assert_string_equal(conf.store, "/s");
	assert_int_equal(conf.unknown_pods, 1);
	assert_int_equal(conf.sandbox, CONF_TRAP);
	assert_int_equal(conf.broker_uid, 7);
	assert_int_equal(conf.kube_gid, 8);
	assert_int_equal(conf.reader_gid, 9);
	assert_int_equal(conf.attachments, 64);
	assert_int_equal(conf.waiting, 0);
	assert_int_equal(conf.wait_ms, 1500);
	assert_int_equal(conf.command_ms, 2000);
	assert_int_equal(conf.delegate_ms, 1);
	assert_int_equal(conf.stop_ms, 3600000);
	assert_int_equal(conf.n_plugins, 3);
	assert_string_equal(conf.plugins[0].name, "a");
	assert_string_equal(conf.plugins[1].name, "b");
	assert_int_equal(conf.plugins[1].caps, 1u << CAP_NET_RAW | 1u << CAP_CHOWN);
	assert_int_equal(conf.plugins[1].deadline_ms, 2500);
	assert_int_equal(strlen(conf.plugins[1].sha256), 64);
	assert_string_equal(conf.plugins[2].name, "*");
	assert_int_equal(conf.n_warnings, 0);
}

/* Each text is refused with an error that holds the words. */
static void
refuse_bad(void **state)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{ "", "empty" },
		{ " ", "line 1" },
		{ "[]", "must be one JSON object" },
		{ "1", "must be one JSON object" },
		{ "null", "must be one JSON object" },
		{ "{\"binDir\": \"/a\",}", "not valid JSON" },
		{ "{} x", "behind the end" },
		{ "{\"binDir\": \"/a\", \"binDir\": \"/b\"}", "duplicate key" },
		{ "{\"binDir\": \"/a\", \"bindir\": \"/b\"}", "\"binDir\": is given twice" },
		{ "{\"x\": \"\xff\"}", "not valid UTF-8" },
		{ "{\"binDir\": 1}", "\"binDir\": must be a string" },
		{ "{\"binDir\": \"\"}", "\"binDir\": must be an absolute path" },
		{ "{\"binDir\": \"opt\"}", "\"binDir\": must be an absolute path" },
		{ "{\"confDir\": \"/a/../b\"}", "\"confDir\": must be an absolute path" },
		{ "{\"store\": [\"/a\"]}", "\"store\": must be a string" },
		{ "{\"clusterNetwork\": \"a/b\"}", "\"clusterNetwork\": must name a network" },
		{ "{\"clusterNetwork\": \"a b\"}", "\"clusterNetwork\": must name a network" },
		{ "{\"defaultNetworks\": \"a\"}", "\"defaultNetworks\": must be an array" },
		{ "{\"defaultNetworks\": [1]}", "\"defaultNetworks\": must be a string" },
		{ "{\"defaultNetworks\": [\"\"]}", "\"defaultNetworks\": must name a network" },
		{ "{\"defaultNetworks\": [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\"]}", "at most 7" },
		{ "{\"logLevel\": \"loud\"}", "\"logLevel\": must be one of: panic error" },
		{ "{\"logLevel\": 3}", "\"logLevel\": must be one of" },
		{ "{\"logToStderr\": \"true\"}", "\"logToStderr\": must be true or false" },
		{ "{\"namespaceIsolation\": 1}", "\"namespaceIsolation\": must be true or false" },
		{ "{\"multusNamespace\": \"A_b\"}", "\"multusNamespace\": must be a namespace" },
		{ "{\"systemNamespaces\": [null]}", "\"systemNamespaces\": must hold namespace names" },
		{ "{\"globalNamespaces\": \"a/b\"}", "\"globalNamespaces\": must hold namespace names" },
		{ "{\"globalNamespaces\": {}}", "\"globalNamespaces\": must be an array" },
		{ "{\"unknownPods\": true}", "\"unknownPods\": must be one of: error cluster-network" },
		{ "{\"sandbox\": \"off\"}", "\"sandbox\": must be one of: enforce trap log" },
		{ "{\"users\": 1}", "\"users\": must be an object" },
		{ "{\"users\": {\"kube\": \"nobody\"}}", "users: key \"kube\": must be a user id above 0: a number" },
		{ "{\"users\": {\"kube\": 0}}", "above 0" },
		{ "{\"users\": {\"kube\": 4294967295}}", "above 0" },
		{ "{\"limits\": {\"attachments\": 0}}", "limits: key \"attachments\": must be a whole number from 1" },
		{ "{\"limits\": {\"attachments\": 65}}", "from 1 to 64" },
		{ "{\"limits\": {\"waiting\": 1.5}}", "from 0 to 1024" },
		{ "{\"limits\": {\"waiting\": -1}}", "from 0 to 1024" },
		{ "{\"deadlines\": {\"stop\": 0}}", "deadlines: key \"stop\": must be a number of seconds" },
		{ "{\"deadlines\": {\"stop\": 3601}}", "0.001 to 3600" },
		{ "{\"deadlines\": {\"stop\": \"1\"}}", "0.001 to 3600" },
		{ "{\"plugins\": \"*\"}", "\"plugins\": must be an array" },
		{ "{\"plugins\": [1]}", "\"plugins\": must hold names or objects" },
		{ "{\"plugins\": [\"../x\"]}", "plugins: key \"name\": must be a plugin's file name" },
		{ "{\"plugins\": [{}]}", "without \"name\"" },
		{ "{\"plugins\": [{\"name\": \"a\", \"sha256\": \"AB\"}]}", "64 lower-case" },
		{ "{\"plugins\": [{\"name\": \"a\", \"capabilities\": [\"FLY\"]}]}", "must hold capability names" },
		{ "{\"plugins\": [{\"name\": \"a\", \"capabilities\": \"NET_RAW\"}]}", "must be an array of capability" },
		{ "{\"plugins\": [\"a\", {\"name\": \"a\"}]}", "names a plugin twice" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		read_text(rows[i].text);
		if (!strstr(conf.error, rows[i].words))
			fail_msg("%s: \"%s\" lacks \"%s\"", rows[i].text, conf.error, rows[i].words);
	}
}

static void
refuse_huge(void **state)
{
	static char text[JSON_MAX_BYTES + 2];

	(void)state;
	memset(text, '[', 10000);
	read_text(text);
	assert_non_null(strstr(conf.error, "nested deeper"));
	memset(text, ' ', sizeof(text) - 1);
	read_text(text);
	assert_string_equal(conf.error, "longer than 1 MiB");
	memset(text, 'a', 1000);
	memcpy(text, "{\"store\": \"/", 12);
	memcpy(text + 1000, "\"}", 3);
	read_text(text);
	assert_string_equal(conf.error, "key \"store\": must be at most 255 bytes");
}

static void
warn_by_name(void **state)
{
	char text[1024] = "{";

	(void)state;
	accept("{\"foo\": 1, \"chrootDir\": \"/hostroot\", \"logToStderr\": false, \"limits\": {\"b\\n\\u0007\": 1}}");
	assert_int_equal(conf.n_warnings, 4);
	assert_string_equal(conf.warnings[0], "key \"foo\" is unknown and has no effect");
	assert_string_equal(conf.warnings[1], "key \"chrootDir\" is known but not used by this version");
	assert_string_equal(conf.warnings[2], "key \"logToStderr\" is false, but this version logs to stderr only");
	assert_string_equal(conf.warnings[3], "key \"b\\x0a\\x07\" is unknown and has no effect in limits");

	for (int i = 0; i < 40; i++)
		sprintf(text + strlen(text), "%s\"key%d\": 0", i ? "," : "", i);
	strcat(text, "}");
	accept(text);
	assert_int_equal(conf.n_warnings, CONF_WARNINGS);
	assert_string_equal(conf.warnings[CONF_WARNINGS - 1], "more keys are unknown or not used");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keep_defaults), cmocka_unit_test(read_multus_keys),
		cmocka_unit_test(read_own_keys), cmocka_unit_test(refuse_bad),
		cmocka_unit_test(refuse_huge),	 cmocka_unit_test(warn_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
