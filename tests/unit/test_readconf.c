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
	strcpy(want.pod_resources, "/var/lib/kubelet/pod-resources/kubelet.sock");
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

/* Keys of Multus' daemon that have an effect here; no warning. */
static void
read_daemon_keys(void **state)
{
	(void)state;
	accept("{\"auxiliaryCNIChainName\": \"aux\", \"check\": false, \"connectionLimit\": 7, \"retryDeleteOnError\": true,"
	       "\"delegates\": [{\"name\": \"a\", \"type\": \"b\"}], \"hotplug\": {\"socketDir\": \"/run/plug\", \"uid\": 0},"
	       "\"logFile\": \"/var/log/x\", \"logToStderr\": false, \"readinessindicatorfile\": \"/r\", \"takeOver\": \"/t\","
	       "\"cniDir\": \"/c\"}");
	assert_string_equal(conf.aux_chain, "aux");
	assert_int_equal(conf.no_check, 1);
	assert_int_equal(conf.attachments, 7);
	assert_string_equal(conf.node_delegates, "[{\"name\":\"a\",\"type\":\"b\"}]");
	assert_string_equal(conf.plug_dir, "/run/plug");
	assert_int_equal(conf.plug_uid, 0);
	assert_string_equal(conf.log_file, "/var/log/x");
	assert_string_equal(conf.ready_file, "/r");
	assert_string_equal(conf.multus_dir, "/t");
	assert_int_equal(conf.n_warnings, 0);

	accept("{\"connectionLimit\": 1000, \"cniDir\": \"/c\", \"delegates\": []}");
	assert_int_equal(conf.attachments, 64);
	assert_string_equal(conf.multus_dir, "/c");
	assert_string_equal(conf.node_delegates, "");
	accept("{\"connectionLimit\": 7, \"limits\": {\"attachments\": 3}, \"takeOver\": \"\", \"cniDir\": \"/c\"}");
	assert_int_equal(conf.attachments, 3);
	assert_string_equal(conf.multus_dir, "");
}

static void
read_auto(void **state)
{
	(void)state;
	accept("{\"multusConfigFile\": \"auto\", \"cniVersion\": \"1.0.0\"}");
	assert_string_equal(conf.autoconf_dir, "/etc/cni/net.d");
	assert_string_equal(conf.autoconf_out, "/etc/cni/net.d");
	assert_string_equal(conf.autoconf_file, "00-postern.conf");
	assert_string_equal(conf.networks[0], "/etc/cni/net.d");
	assert_string_equal(conf.autoconf_base, "{\"cniVersion\":\"1.0.0\"}");
	accept("{\"multusAutoconfigDir\": \"/d/\", \"cniVersion\": \"0.3.1\", \"multusMasterCNI\": \"x.conflist\","
	       "\"cniConfigFile\": \"01-a.conf\", \"cniConfigDir\": \"/o\", \"replaceMultusConfig\": true, \"type\": \"sh\","
	       "\"overrideNetworkName\": true, \"forceCNIVersion\": true, \"capabilities\": {\"a\": true}, \"logLevel\": \"\","
	       "\"namespaceIsolation\": false, \"socketDir\": \"/run/x\", \"globalNamespaces\": [\"a\"], \"binDir\": \"/b\"}");
	assert_string_equal(conf.networks[0], "/d/x.conflist");
	assert_string_equal(conf.autoconf_primary, "x.conflist");
	assert_string_equal(conf.autoconf_file, "01-a.conf");
	assert_string_equal(conf.autoconf_out, "/o");
	assert_int_equal(conf.autoconf_replace, 1);
	assert_int_equal(conf.autoconf_name, 1);
	assert_int_equal(conf.force_version, 1);
	assert_string_equal(conf.autoconf_base, "{\"binDir\":\"/b\",\"capabilities\":{\"a\":true},\"cniVersion\":\"0.3.1\","
						"\"type\":\"sh\",\"overrideNetworkName\":true}");
	assert_int_equal(conf.n_warnings, 0);
	accept("{\"multusAutoconfigDir\": \"/d\", \"cniVersion\": \"0.3.1\", \"clusterNetwork\": \"mine\"}");
	assert_string_equal(conf.networks[0], "mine");
	accept("{\"multusConfigFile\": \"/u/mine.conflist\", \"multusAutoconfigDir\": \"/d\"}");
	assert_string_equal(conf.autoconf_dir, "/u");
	assert_string_equal(conf.autoconf_primary, "mine.conflist");
	assert_string_equal(conf.autoconf_file, "mine.conflist");
	assert_string_equal(conf.autoconf_base, "");
	assert_string_equal(conf.networks[0], "");
	accept("{\"cniVersion\": \"1.0.0\", \"type\": \"x\"}");
	assert_string_equal(conf.autoconf_dir, "");
	assert_string_equal(conf.warnings[0], "key \"type\" has no effect without multusConfigFile or multusAutoconfigDir");
}

#define AUTO(more) "{\"multusConfigFile\": \"auto\", \"cniVersion\": \"1.0.0\", " more "}"

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
		{ "{\"auxiliaryCNIChainName\": \"../x\"}", "must be a network's name" },
		{ "{\"check\": \"no\"}", "\"check\": must be true or false" },
		{ "{\"connectionLimit\": 0}", "\"connectionLimit\": must be a whole number greater than 0" },
		{ "{\"delegates\": {}}", "\"delegates\": must be an array" },
		{ "{\"delegates\": [null]}", "\"delegates\": must hold objects" },
		{ "{\"hotplug\": true}", "\"hotplug\": must be an object" },
		{ "{\"hotplug\": {\"uid\": -1}}", "hotplug: key \"uid\": must be a whole number" },
		{ "{\"logFile\": \"x\"}", "\"logFile\": must be an absolute path" },
		{ "{\"readinessindicatorfile\": \"x\"}", "\"readinessindicatorfile\": must be an absolute path" },
		{ "{\"retryDeleteOnError\": 1}", "\"retryDeleteOnError\": must be true or false" },
		{ "{\"takeOver\": true}", "\"takeOver\": must be a string" },
		{ "{\"multusConfigFile\": \"manual\"}", "\"multusConfigFile\": must be \"auto\" or the absolute path" },
		{ "{\"multusConfigFile\": \"auto\"}", "\"cniVersion\": must be given" },
		{ "{\"multusAutoconfigDir\": \"/d\", \"cniVersion\": \"9.9.9\"}", "\"cniVersion\": must be a CNI version" },
		{ "{\"forceCNIVersion\": true}", "\"forceCNIVersion\": needs \"cniVersion\"" },
		{ "{\"multusMasterCNI\": \"/d/x\"}", "\"multusMasterCNI\": must be a file's name" },
		{ AUTO("\"multusMasterCNI\": \"00-multus.conf\""), "\"multusMasterCNI\": must not be a file that" },
		{ AUTO("\"multusMasterCNI\": \"00-postern.conf\""), "it would name itself" },
		{ AUTO("\"cniConfigFile\": \"1.conf\", \"multusMasterCNI\": \"1.conf\""), "it would name itself" },
		{ AUTO("\"cniConfigFile\": \"00-multus.conf\""), "replaceMultusConfig" },
		{ AUTO("\"cniConfigFile\": \"a.conflist\""), "must end in \".conf\"" },
		{ AUTO("\"cniConfigFile\": \".a.conf\""), "must end in \".conf\"" },
		{ AUTO("\"type\": \"a/b\""), "\"type\": must be the file name" },
		{ AUTO("\"capabilities\": {\"a\": 1}"), "\"capabilities\": must hold true or false" },
		{ AUTO("\"overrideNetworkName\": \"x\""), "\"overrideNetworkName\": must be true or false" },
		{ "{\"multusConfigFile\": \"/etc/cni/net.d/a.conf\"}", "is where it would be installed" },
		{ "{\"multusConfigFile\": \"/x/00-multus.conf\"}", "replaceMultusConfig" },
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
	assert_string_equal(conf.warnings[1], "key \"chrootDir\" has no effect: plugins run on the root directory that Postern itself sees");
	assert_string_equal(conf.warnings[2], "key \"b\\x0a\\x07\" is unknown and has no effect in limits");
	assert_string_equal(conf.warnings[3], "key \"logToStderr\" is false, but without logFile records go to stderr");

	accept("{\"dns\": {}, \"ipam\": {}, \"logOptions\": {}, \"name\": \"x\", \"prevResult\": {}, \"runtimeConfig\": {},"
	       "\"logFile\": \"/x\", \"logToStderr\": true, \"enablePprof\": true}");
	assert_int_equal(conf.n_warnings, 8);
	for (int i = 0; i < 8; i++)
		assert_true(strstr(conf.warnings[i], "has no effect") || strstr(conf.warnings[i], "not used"));
	assert_string_equal(conf.log_file, "");

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
		cmocka_unit_test(read_own_keys), cmocka_unit_test(read_daemon_keys), cmocka_unit_test(read_auto), cmocka_unit_test(refuse_bad),
		cmocka_unit_test(refuse_huge),	 cmocka_unit_test(warn_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
