/* Credential files: limits, trimming, links; the blob that kube gets; children that are thrown away. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "kubeclient/child.h"
#include "kubeclient/cred.h"
#include "kubeclient/resolve.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

#define PEM "-----BEGIN X-----\n"
#define SECRET "s3cr3t"

static char top[] = "/tmp/postern-cred-XXXXXX";
static char buf[SERVER_ITEM_MAX], why[512];
static struct kubeconfig k;

static const char *
path(const char *name)
{
	static char p[4][128];
	static unsigned n;

	n = (n + 1) % 4;
	snprintf(p[n], sizeof(p[n]), "%s/%s", top, name);
	return p[n];
}

static void
put(const char *name, const void *data, size_t len)
{
	cleanup_close int fd = open(path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(util_write_all(fd, data, len), 0);
}

static void
put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static ssize_t
read_it(const char *name, bool token)
{
	why[0] = '\0';
	return cred_read_file(path(name), token, buf, sizeof(buf), why, sizeof(why));
}

static void
test_read_token(void **state)
{
	(void)state;
	put_text("t", " \n\t" SECRET "\r\n\n");
	assert_int_equal(read_it("t", true), strlen(SECRET));
	assert_memory_equal(buf, SECRET, strlen(SECRET));
	put_text("t", " \n ");
	assert_int_equal(read_it("t", true), -ENODATA);
	assert_non_null(strstr(why, "/t: is empty"));
	put_text("t", "");
	assert_int_equal(read_it("t", true), -ENODATA);
	assert_int_equal(read_it("none", true), -ENOENT);
	assert_non_null(strstr(why, "/none: No such file"));
}

static void
test_read_pem(void **state)
{
	static char big[SERVER_ITEM_MAX + 1];

	(void)state;
	put_text("p", "comment\n" PEM);
	assert_int_equal(read_it("p", false), strlen("comment\n" PEM));
	put_text("p", SECRET);
	assert_int_equal(read_it("p", false), -EINVAL);
	assert_null(strstr(why, SECRET));
	memset(big, ' ', sizeof(big));
	memcpy(big, PEM, strlen(PEM));
	put("p", big, sizeof(big) - 1);
	assert_int_equal(read_it("p", false), sizeof(big) - 1);
	put("p", big, sizeof(big));
	assert_int_equal(read_it("p", false), -EFBIG);
}

static void
test_not_regular(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path("fifo"), 0600), 0);
	assert_int_equal(read_it("fifo", true), -EINVAL);
	assert_int_equal(read_it(".", true), -EINVAL);
	assert_int_equal(cred_read_file("/dev/zero", true, buf, sizeof(buf), why, sizeof(why)), -EINVAL);
}

static void
test_not_ours_alone(void **state)
{
	static const mode_t open_modes[] = { 0620, 0602, 0666 };

	(void)state;
	put_text("w", "token");
	for (size_t i = 0; i < ARRAY_LEN(open_modes); i++) {
		assert_int_equal(chmod(path("w"), open_modes[i]), 0);
		assert_int_equal(read_it("w", true), -EPERM);
		assert_non_null(strstr(why, "nobody else may write"));
	}
	assert_int_equal(chmod(path("w"), 0644), 0);
	assert_int_equal(read_it("w", true), 5);
	assert_int_equal(chown(path("w"), 1, 1), 0);
	assert_int_equal(read_it("w", true), -EPERM);
	assert_int_equal(unlink(path("w")), 0);
}

static void
fill_config(void)
{
	memset(&k, 0, sizeof(k));
	strcpy(k.host, "fd00::1");
	k.port = 6443;
	strcpy(k.prefix, "/p");
	util_copy(k.items[PART_CA].path, CONF_PATH, path("ca"));
	util_copy(k.items[PART_TOKEN].path, CONF_PATH, path("t"));
	put_text("ca", PEM);
	put_text("t", SECRET "\n");
}

static void
expect_blob(int fd, const char *want)
{
	void *map;
	size_t len;

	assert_true(fd >= 0);
	assert_int_equal(util_map_memfd(fd, WIRE_MEMFD_MAX, &map, &len), 0);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(map, want, len);
	munmap(map, len);
}

static void
test_load(void **state)
{
	struct msg_server m;
	cleanup_close int fd = -1, again = -1, other = -1;

	(void)state;
	fill_config();
	fd = cred_load(&k, true, &m, why, sizeof(why));
	expect_blob(fd, PEM SECRET);
	assert_int_equal(m.flags, SERVER_BOOTSTRAP);
	assert_string_equal(m.name, "fd00::1");
	assert_string_equal(m.authority, "[fd00::1]:6443");
	assert_string_equal(m.prefix, "/p");
	assert_true(m.ca_len == strlen(PEM) && m.cert_len == 0 && m.key_len == 0 && m.token_len == strlen(SECRET));
	again = cred_load(&k, false, &m, why, sizeof(why));
	assert_int_equal(m.flags, 0);
	assert_true(cred_same(fd, again));

	/* Certificate and key beside them, of one file; and the name that was asked for. */
	put_text("pair", PEM "pair");
	util_copy(k.items[PART_CERT].path, CONF_PATH, path("pair"));
	k.items[PART_KEY] = k.items[PART_CERT];
	memset(k.items[PART_TOKEN].path, 0, CONF_PATH);
	memcpy(k.items[PART_TOKEN].data, "inline ", 7);
	k.items[PART_TOKEN].len = 7;
	strcpy(k.tls_name, "api");
	other = cred_load(&k, false, &m, why, sizeof(why));
	expect_blob(other, PEM PEM "pair" PEM "pairinline");
	assert_string_equal(m.name, "api");
	assert_false(cred_same(fd, other) || cred_same(fd, -1));
}

/* One part that cannot be read is enough for nothing to be sent, and its content is not told. */
static void
test_load_all_or_nothing(void **state)
{
	static const char *const names[] = { "ca", "t" };
	struct msg_server m;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		fill_config();
		unlink(path(names[i]));
		assert_int_equal(cred_load(&k, false, &m, why, sizeof(why)), -ENOENT);
		assert_non_null(strstr(why, path(names[i])));
	}
	fill_config();
	put_text("ca", SECRET);
	assert_int_equal(cred_load(&k, false, &m, why, sizeof(why)), -EINVAL);
	assert_null(strstr(why, SECRET));
	fill_config();
	put_text("t", SECRET "\nX-Header: 1");
	assert_int_equal(cred_load(&k, false, &m, why, sizeof(why)), -EINVAL);
	assert_null(strstr(why, SECRET));
}

static bool
listed(const struct cred_places *p, const char *dir)
{
	for (unsigned i = 0; i < p->n; i++)
		if (strcmp(p->list[i], dir) == 0)
			return true;
	return false;
}

static void
test_places(void **state)
{
	struct cred_places p;

	(void)state;
	fill_config();
	mkdir(path("v1"), 0700);
	mkdir(path("far"), 0700);
	put_text("far/t", SECRET);
	assert_int_equal(symlink("v1", path("..data")), 0);
	put_text("v1/token", SECRET);
	assert_int_equal(symlink("..data/token", path("token")), 0);
	util_copy(k.items[PART_TOKEN].path, CONF_PATH, path("token"));
	assert_int_equal(cred_places(&k, "", &p, why, sizeof(why)), 0);
	assert_int_equal(p.n, 1);
	assert_true(listed(&p, top));
	/* A link that leads out of its directory takes the other one along. */
	mkdir(path("sub"), 0700);
	assert_int_equal(symlink("../far/t", path("sub/t")), 0);
	util_copy(k.items[PART_TOKEN].path, CONF_PATH, path("sub/t"));
	assert_int_equal(cred_places(&k, path("far/config"), &p, why, sizeof(why)), 0);
	assert_int_equal(p.n, 3);
	assert_true(listed(&p, top) && listed(&p, path("sub")) && listed(&p, path("far")));
	/* A file may come later; its directory must be there. */
	util_copy(k.items[PART_TOKEN].path, CONF_PATH, path("none"));
	assert_int_equal(cred_places(&k, "", &p, why, sizeof(why)), 0);
	util_copy(k.items[PART_TOKEN].path, CONF_PATH, path("no/t"));
	assert_int_equal(cred_places(&k, "", &p, why, sizeof(why)), -ENOENT);
}

static struct sock_fprog filter;

static void
test_find(void **state)
{
	static struct conf conf;
	char *text = NULL;
	size_t len = 0;

	(void)state;
	conf_defaults(&conf);
	assert_int_equal(cred_find(&conf, &filter, &k, &text, &len, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "KUBERNETES_SERVICE_HOST"));
	strcpy(conf.api_host, "10.0.0.1");
	conf.api_port = 443;
	assert_int_equal(cred_find(&conf, &filter, &k, &text, &len, why, sizeof(why)), 1);
	assert_string_equal(k.items[PART_CA].path, "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");
	strcpy(conf.api_host, "h/p");
	assert_int_equal(cred_find(&conf, &filter, &k, &text, &len, why, sizeof(why)), -EINVAL);

	util_copy(conf.kubeconfig, CONF_PATH, path("kc"));
	put_text("kc", "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
		       "clusters: [{name: k, cluster: {server: 'https://h', certificate-authority: x/ca}}]\n"
		       "users: [{name: u, user: {token: " SECRET "}}]\n");
	assert_int_equal(cred_find(&conf, &filter, &k, &text, &len, why, sizeof(why)), 1);
	assert_string_equal(k.items[PART_CA].path, path("x/ca"));
	assert_int_equal(cred_find(&conf, &filter, &k, &text, &len, why, sizeof(why)), 0);
	put_text("kc", "a: [" SECRET);
	assert_int_equal(cred_find(&conf, &filter, &k, &text, &len, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "/kc: kubeconfig: line"));
	assert_null(strstr(why, SECRET));
	free(text);
}

static void
answer_twice(int out, const void *arg)
{
	util_write_all(out, arg, 4);
	util_write_all(out, arg, 4);
}

static void
answer_half(int out, const void *arg)
{
	util_write_all(out, arg, 4);
}

static void
hang(int out, const void *arg)
{
	(void)arg;
	(void)out;
	for (;;)
		pause();
}

static void
open_file(int out, const void *arg)
{
	(void)open(arg, O_RDONLY);
	util_write_all(out, arg, 8);
}

static void
test_child(void **state)
{
	char got[8];
	struct child c;

	(void)state;
	assert_int_equal(child_start(&c, 5, -1, NULL, answer_twice, "abcd"), 0);
	assert_int_equal(child_wait(&c, got, sizeof(got)), 0);
	assert_memory_equal(got, "abcdabcd", 8);
	assert_int_equal(child_start(&c, 5, -1, NULL, answer_half, "abcd"), 0);
	assert_int_equal(child_wait(&c, got, sizeof(got)), -ECHILD);
	assert_int_equal(child_start(&c, 1, -1, NULL, hang, NULL), 0);
	assert_int_equal(child_wait(&c, got, sizeof(got)), -ETIMEDOUT);
	/* The readers' filter: no file can be opened. */
	assert_int_equal(child_start(&c, 5, -1, &filter, open_file, "/dev/null"), 0);
	assert_int_equal(child_wait(&c, got, sizeof(got)), -ECHILD);
	assert_int_equal(child_start(&c, 5, -1, NULL, open_file, "/dev/null"), 0);
	assert_int_equal(child_wait(&c, got, sizeof(got)), 0);
}

static void
test_resolve(void **state)
{
	struct resolve_answer r = { 0 };
	struct resolve_address a;
	struct child c;

	(void)state;
	assert_true(resolve_literal("10.0.0.1", &a));
	assert_memory_equal(a.bytes, "\x0a\0\0\1", 4);
	assert_true(resolve_literal("::1", &a));
	assert_false(resolve_literal("h", &a) || resolve_literal("1.2.3", &a));
	assert_false(resolve_check(&r));
	r.error = -2;
	assert_true(resolve_check(&r));
	r = (struct resolve_answer){ .n = RESOLVE_MAX + 1 };
	assert_false(resolve_check(&r));
	r.n = 1;
	assert_false(resolve_check(&r));
	assert_int_equal(child_start(&c, 10, -1, NULL, resolve_name, "localhost"), 0);
	assert_int_equal(child_wait(&c, &r, sizeof(r)), 0);
	assert_true(resolve_check(&r) && r.error == 0);
}

static int
prepare(void **state)
{
	(void)state;
	kubeconfig_init();
	sandbox_compile(ROLE_READER, CONF_ENFORCE, &filter);
	return mkdtemp(top) ? 0 : -1;
}

static int
clean(void **state)
{
	static const char *const names[] = { "v1/token", "far/t", "sub/t", "v1", "far", "sub", "..data", "token",
					     "t", "p", "fifo", "ca", "pair", "kc" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		remove(path(names[i]));
	return rmdir(top);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_token),	    cmocka_unit_test(test_read_pem),
		cmocka_unit_test(test_not_regular),	    cmocka_unit_test(test_load),
cmocka_unit_test(test_not_ours_alone),	    cmocka_unit_test(test_load),
		cmocka_unit_test(test_load_all_or_nothing), cmocka_unit_test(test_places),
		cmocka_unit_test(test_find),		    cmocka_unit_test(test_child),
		cmocka_unit_test(test_resolve),
	};

	return cmocka_run_group_tests(tests, prepare, clean);
}
