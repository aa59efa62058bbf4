/* kubeconfig files: what is read of good ones, and the line that each refused one gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "kubeclient/kubeconfig.h"
#include "netpriv/util.h"

/* base64 of "-----BEGIN X-----\n" and of "hello" */
#define PEM "LS0tLS1CRUdJTiBYLS0tLS0K"
#define NOT_PEM "aGVsbG8="
#define SECRET "s3cr3t-t0ken"

#define TOP "apiVersion: v1\nkind: Config\ncurrent-context: here\nclusters:\n- name: k\n  cluster:\n"
#define USERS "users:\n- name: u\n  user:\n"
#define CONTEXTS                                                                                                   \
	"contexts:\n- name: other\n  context: {cluster: x, user: y}\n- name: here\n"                               \
	"  context: {cluster: k, user: u, namespace: n}\n"
#define CA "    certificate-authority: ca.crt\n"
#define SERVER "    server: https://10.0.0.1:6443\n"
#define TOKEN "    tokenFile: token\n"
#define FILE_OF(cluster, user) TOP cluster USERS user CONTEXTS

static struct kubeconfig k;

static void
parse(const char *text)
{
	kubeconfig_parse(text, strlen(text), &k);
	assert_int_equal(kubeconfig_check(&k), 0);
}

static void
accept(const char *text)
{
	parse(text);
	if (k.error[0])
		fail_msg("%s\nrefused: %s", text, k.error);
}

static void
refuse(const char *text, const char *says)
{
	parse(text);
	if (!strstr(k.error, says))
		fail_msg("%s\nwanted: %s\ngot: %s", text, says, k.error);
	/* Whatever was wrong: nothing of the content comes along, in the error or beside it. */
	assert_null(strstr(k.error, SECRET));
	assert_string_equal(k.host, "");
	for (unsigned i = 0; i < PART_COUNT; i++)
		assert_true(!k.items[i].path[0] && k.items[i].len == 0);
}

static void
test_files(void **state)
{
	(void)state;
	accept(FILE_OF(SERVER CA "    tls-server-name: api.example\n    disable-compression: true\n",
		       TOKEN "    client-certificate: pki/c.pem\n    client-key: /abs/k.pem\n"));
	assert_string_equal(k.host, "10.0.0.1");
	assert_int_equal(k.port, 6443);
	assert_string_equal(k.prefix, "");
	assert_string_equal(k.tls_name, "api.example");
	assert_int_equal(kubeconfig_resolve(&k, "/etc/kube/config"), 0);
	assert_string_equal(k.items[PART_CA].path, "/etc/kube/ca.crt");
	assert_string_equal(k.items[PART_CERT].path, "/etc/kube/pki/c.pem");
	assert_string_equal(k.items[PART_KEY].path, "/abs/k.pem");
	assert_string_equal(k.items[PART_TOKEN].path, "/etc/kube/token");
}

static void
test_data(void **state)
{
	static const char split[] = FILE_OF(SERVER "    certificate-authority-data: |\n      LS0tLS1CRUdJ\n      TiBYLS0tLS0K\n",
					    TOKEN);

	(void)state;
	accept(FILE_OF(SERVER "    certificate-authority-data: " PEM "\n",
		       "    client-certificate-data: " PEM "\n    client-key-data: " PEM "\n    token: " SECRET "\n"));
	for (unsigned i = PART_CA; i <= PART_KEY; i++) {
		assert_int_equal(k.items[i].len, 18);
		assert_memory_equal(k.items[i].data, "-----BEGIN X-----\n", 18);
		assert_string_equal(k.items[i].path, "");
	}
	assert_int_equal(k.items[PART_TOKEN].len, strlen(SECRET));
	assert_memory_equal(k.items[PART_TOKEN].data, SECRET, strlen(SECRET));
	accept(split);
	assert_int_equal(k.items[PART_CA].len, 18);
}

static void
test_json_and_token_file_wins(void **state)
{
	(void)state;
	accept("{\"kind\":\"Config\",\"current-context\":\"c\",\"contexts\":[{\"name\":\"c\",\"context\":{\"cluster\":\"k\","
	       "\"user\":\"u\"}}],\"clusters\":[{\"name\":\"k\",\"cluster\":{\"server\":\"https://[fd00::1]\","
	       "\"certificate-authority\":\"/ca\",\"insecure-skip-tls-verify\":false,\"proxy-url\":\"\"}}],"
	       "\"users\":[{\"name\":\"u\",\"user\":{\"token\":\"" SECRET "\",\"tokenFile\":\"/t\",\"exec\":null,"
	       "\"as-groups\":[]}}]}");
	assert_string_equal(k.host, "fd00::1");
	assert_int_equal(k.port, 443);
	assert_string_equal(k.items[PART_TOKEN].path, "/t");
	assert_int_equal(k.items[PART_TOKEN].len, 0);
}

static void
test_servers(void **state)
{
	static const struct {
		const char *url, *host, *prefix;
		unsigned port;
	} good[] = {
		{ "https://10.0.0.1:6443", "10.0.0.1", "", 6443 },
		{ "https://api.example", "api.example", "", 443 },
		{ "https://API.example:1/", "API.example", "", 1 },
		{ "https://[::1]:65535/k8s/c-1//", NULL, NULL, 0 },
		{ "https://[::1]:65535/k8s/c-1/", "::1", "/k8s/c-1", 65535 },
		{ "HTTPS://h/p", "h", "/p", 443 },
	};
	static const struct {
		const char *url, *says;
	} bad[] = {
		{ "http://10.0.0.1:6443", "server: http is refused" },
		{ "10.0.0.1:6443", "server: must be a URL" },
		{ "ftp://x", "server: must be a URL" },
		{ "", "server: is missing" },
		{ "https://", "server: the host must be" },
		{ "https://user@host", "server: the host must be" },
		{ "https://h?x=1", "server: the host must be" },
		{ "https://h/p?x=1", "server: the prefix must be" },
		{ "https://h/../x", "server: the prefix must be" },
		{ "https://h/%2e", "server: the prefix must be" },
		{ "https://h:0", "server: the port must be 1 to 65535" },
		{ "https://h:65536", "server: the port must be 1 to 65535" },
		{ "https://h:", "server: the port must be 1 to 65535" },
		{ "https://h:1x", "server: the port must be a number" },
		{ "https://h:-1", "server: the port must be a number" },
		{ "https://::1:6443", "server: an IPv6 address needs brackets" },
		{ "https://[::1", "server: a bracket" },
		{ "https://[h]:1", "server: brackets" },
		{ "https://[fe80::1%25eth0]:1", "server: the host must be" },
		{ "https://[::1]x", "server: the port must be a number" },
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		snprintf(text, sizeof(text), TOP CA "    server: \"%s\"\n" USERS TOKEN CONTEXTS, good[i].url);
		if (!good[i].host) {
			refuse(text, "server: the prefix must be");
			continue;
		}
		accept(text);
		assert_string_equal(k.host, good[i].host);
		assert_string_equal(k.prefix, good[i].prefix);
		assert_int_equal(k.port, good[i].port);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof(text), TOP CA "    server: \"%s\"\n" USERS TOKEN CONTEXTS, bad[i].url);
		refuse(text, bad[i].says);
	}
}

static void
test_refused(void **state)
{
	static const struct {
		const char *cluster, *user, *says;
	} rows[] = {
		{ SERVER CA "    insecure-skip-tls-verify: true\n", TOKEN, "clusters: insecure-skip-tls-verify: is not done" },
		{ SERVER CA "    insecure-skip-tls-verify: 'yes'\n", TOKEN, "insecure-skip-tls-verify: is not done" },
		{ SERVER CA "    proxy-url: http://p\n", TOKEN, "clusters: proxy-url: is not supported" },
		{ SERVER, TOKEN, "certificate-authority: is missing: Postern trusts no system roots" },
		{ CA, TOKEN, "server: is missing" },
		{ SERVER CA "    certificate-authority-data: " PEM "\n", TOKEN,
		  "certificate-authority and certificate-authority-data: only one" },
		{ SERVER "    certificate-authority-data: " NOT_PEM "\n", TOKEN, "certificate-authority-data: must be base64 of PEM" },
		{ SERVER "    certificate-authority-data: '-----BEGIN X-----'\n", TOKEN, "must be base64 of PEM" },
		{ SERVER "    certificate-authority-data: " SECRET "!\n", TOKEN, "must be base64 of PEM" },
		{ SERVER CA "    tls-server-name: 'a b'\n", TOKEN, "tls-server-name: must be" },
		{ SERVER CA "    certificate-authority: twice\n", TOKEN, "duplicate key" },
		{ SERVER CA, "    exec: {command: /bin/x, apiVersion: v1}\n", "users: exec: is not supported" },
		{ SERVER CA, "    auth-provider: {name: gcp}\n", "users: auth-provider: is not supported" },
		{ SERVER CA, TOKEN "    username: joe\n", "users: username: is not supported" },
		{ SERVER CA, "    token: " SECRET "\n    password: " SECRET "\n", "users: password: is not supported" },
		{ SERVER CA, TOKEN "    as: joe\n", "users: as: is not supported" },
		{ SERVER CA, TOKEN "    as-uid: '1'\n", "users: as-uid: is not supported" },
		{ SERVER CA, TOKEN "    as-groups: [a]\n", "users: as-groups: is not supported" },
		{ SERVER CA, TOKEN "    as-user-extra: {a: [b]}\n", "users: as-user-extra: is not supported" },
		{ SERVER CA, "    client-certificate: c\n", "client-key: is missing" },
		{ SERVER CA, "    client-key-data: " PEM "\n", "client-certificate: is missing" },
		{ SERVER CA, "    client-certificate: c\n    client-certificate-data: " PEM "\n    client-key: k\n",
		  "client-certificate and client-certificate-data: only one" },
		{ SERVER CA, "    client-certificate: c\n    client-key: k\n    client-key-data: " PEM "\n",
		  "client-key and client-key-data: only one" },
		{ SERVER CA, "    token: ''\n", "users: the user has neither" },
		{ SERVER CA, "    token: [" SECRET "]\n", "\"token\" must be a string" },
	};
	char text[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text), TOP "%s" USERS "%s" CONTEXTS, rows[i].cluster, rows[i].user);
		refuse(text, rows[i].says);
	}
}

static void
test_contexts(void **state)
{
	(void)state;
	refuse("", "kubeconfig:");
	refuse("[]", "must be an object");
	refuse("{}", "current-context: is not set");
	refuse("{current-context: a}", "contexts: no entry");
	refuse("{current-context: a, contexts: {}}", "\"contexts\" must be an array");
	refuse("{current-context: a, contexts: [1]}", "contexts: must hold objects");
	refuse("{current-context: a, contexts: [{name: a}]}", "contexts: no entry with a \"context\"");
	refuse("{current-context: a, contexts: [{name: a, context: {}}, {name: a, context: {}}]}", "contexts: two entries");
	refuse("{current-context: a, contexts: [{name: a, context: {cluster: b}}]}", "clusters: no entry");
	refuse(TOP SERVER CA CONTEXTS, "users: no entry");
	refuse("a: &x 1\nb: *x\n", "anchors");
}

static void
test_lengths(void **state)
{
	static char text[300000], part[KUBECONFIG_DATA * 2];
	char want[CONF_PATH];

	(void)state;
	memset(part, 'a', CONF_PATH);
	snprintf(text, sizeof(text), TOP SERVER "    certificate-authority: %s\n" USERS TOKEN CONTEXTS, part);
	refuse(text, "certificate-authority: the path is too long");
	part[CONF_PATH - 1] = '\0';
	snprintf(text, sizeof(text), TOP SERVER "    certificate-authority: %s\n" USERS TOKEN CONTEXTS, part);
	accept(text);
	assert_int_equal(kubeconfig_resolve(&k, "/d/config"), -ENAMETOOLONG);
	accept(FILE_OF(SERVER CA, TOKEN));
	assert_int_equal(kubeconfig_resolve(&k, "/config"), 0);
	util_copy(want, sizeof(want), k.items[PART_CA].path);
	assert_string_equal(want, "/ca.crt");

	memset(part, 'A', sizeof(part) - 1);
	snprintf(text, sizeof(text), TOP SERVER "    certificate-authority-data: %s\n" USERS TOKEN CONTEXTS, part);
	refuse(text, "certificate-authority-data: must be base64");
	snprintf(text, sizeof(text), TOP SERVER CA USERS "    token: %s\n" CONTEXTS, part);
	refuse(text, "token: is longer");
	part[KUBECONFIG_DATA] = '\0';
	snprintf(text, sizeof(text), TOP SERVER CA USERS "    token: %s\n" CONTEXTS, part);
	accept(text);
	part[300] = '\0';
	snprintf(text, sizeof(text), TOP CA "    server: https://%s\n" USERS TOKEN CONTEXTS, part);
	refuse(text, "server: the host is too long");
	snprintf(text, sizeof(text), TOP CA "    server: https://h/%s\n" USERS TOKEN CONTEXTS, part);
	refuse(text, "server: the prefix is too long");
}

/* What a child that was taken over might answer. */
static void
test_check(void **state)
{
	const struct kubeconfig zero = { 0 };

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		accept(FILE_OF(SERVER CA, TOKEN));
		switch (i) {
		case 0: k.port = 65536; break;
		case 1: k.port = 0; break;
		case 2: strcpy(k.host, "a b"); break;
		case 3: memset(k.prefix, '/', sizeof(k.prefix)); break;
		case 4: strcpy(k.prefix, "x"); break;
		case 5: k.items[PART_KEY].len = KUBECONFIG_DATA + 1; break;
		case 6: memset(k.items[PART_CA].path, 'a', CONF_PATH); break;
		default: memset(k.error, 'a', sizeof(k.error)); break;
		}
		assert_int_equal(kubeconfig_check(&k), -EPROTO);
	}
	assert_int_equal(kubeconfig_check(&zero), -EPROTO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),	 cmocka_unit_test(test_data),
		cmocka_unit_test(test_json_and_token_file_wins), cmocka_unit_test(test_servers),
		cmocka_unit_test(test_refused),	 cmocka_unit_test(test_contexts),
		cmocka_unit_test(test_lengths),	 cmocka_unit_test(test_check),
	};

	kubeconfig_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
