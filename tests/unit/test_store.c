/* The embedded store: which names become which files, and what is refused. The module is included whole: it belongs to a program,
 * not to a library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "kubeclient/store.c"

static char root[] = "/tmp/test-store-XXXXXX";
static int dir = -1;

static void
put_file(const char *path, const char *text)
{
	cleanup_close int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(util_write_all(fd, text, strlen(text)), 0);
}

static int
make_store(void **state)
{
	(void)state;
	if (!mkdtemp(root) || (dir = open(root, O_RDONLY | O_DIRECTORY)) < 0)
		return -1;
	if (mkdirat(dir, STORE_PODS, 0755) || mkdirat(dir, STORE_PODS "/ns", 0755))
		return -1;
	return 0;
}

static int
drop_store(void **state)
{
	char cmd[64];

	(void)state;
	close(dir);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
	return system(cmd);
}

static void
expect_read(const char *name, uint32_t code, uint32_t format, const char *bytes)
{
	struct msg_kube_reply r;
	cleanup_close int fd = store_read(dir, STORE_PODS, "ns", name, &r);
	char buf[64] = "";

	assert_int_equal(r.code, code);
	assert_true(r.text[0]);
	assert_int_equal(fd >= 0, code == 200);
	if (code != 200)
		return;
	assert_int_equal(r.format, format);
	assert_true(util_read_full(fd, buf, sizeof(buf) - 1) >= 0);
	assert_string_equal(buf, bytes);
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
}

static void
test_yaml_before_json(void **state)
{
	(void)state;
	expect_read("a", 404, 0, NULL);
	put_file("pods/ns/a.json", "{}");
	expect_read("a", 200, KUBE_JSON, "{}");
	put_file("pods/ns/a.yaml", "a: 1");
	expect_read("a", 200, KUBE_YAML, "a: 1");
	put_file("pods/ns/empty.yaml", "");
	expect_read("empty", 200, KUBE_YAML, "");
}

static void
test_missing_names_both_paths(void **state)
{
	struct msg_kube_reply r;

	(void)state;
	assert_int_equal(store_read(dir, STORE_NADS, "ns", "none", &r), -1);
	assert_int_equal(r.code, 404);
	assert_non_null(strstr(r.text, "network-attachment-definitions/ns/none.yaml"));
	assert_non_null(strstr(r.text, ".json"));
}

static void
test_only_regular_files(void **state)
{
	(void)state;
	put_file("target", "x");
	assert_int_equal(symlinkat("../../target", dir, "pods/ns/link.yaml"), 0);
	assert_int_equal(mkfifoat(dir, "pods/ns/fifo.yaml", 0644), 0);
	assert_int_equal(mkdirat(dir, "pods/ns/dir.yaml", 0755), 0);
	assert_int_equal(symlinkat("ns", dir, "pods/linked"), 0);
	expect_read("link", 403, 0, NULL);
	expect_read("fifo", 403, 0, NULL);
	expect_read("dir", 403, 0, NULL);

	struct msg_kube_reply r;

	put_file("pods/ns/in-linked.yaml", "x");
	assert_int_equal(store_read(dir, STORE_PODS, "linked", "in-linked", &r), -1);
	assert_int_equal(r.code, 403);
}

static void
test_size_limit(void **state)
{
	struct msg_kube_reply r;
	int fd;

	(void)state;
	put_file("pods/ns/big.yaml", "x");
	fd = openat(dir, "pods/ns/big.yaml", O_WRONLY);
	assert_int_equal(ftruncate(fd, STORE_MAX), 0);
	close(store_read(dir, STORE_PODS, "ns", "big", &r));
	assert_int_equal(r.code, 200);
	assert_int_equal(ftruncate(fd, STORE_MAX + 1), 0);
	close(fd);
	assert_int_equal(store_read(dir, STORE_PODS, "ns", "big", &r), -1);
	assert_int_equal(r.code, 500);
	assert_non_null(strstr(r.text, "larger"));
}

static void
test_names_that_are_no_names(void **state)
{
	static const char *const bad[] = { "", ".", "..", "../a", "a/b", "A", "a\nb", "a%s" };
	struct msg_kube_reply r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(store_read(dir, STORE_PODS, "ns", bad[i], &r), -1);
		assert_int_equal(r.code, 404);
		assert_int_equal(store_read(dir, STORE_PODS, bad[i], "a", &r), -1);
		assert_int_equal(r.code, 404);
		store_write(dir, bad[i], "a", -1, &r);
		assert_int_equal(r.code, 404);
	}
}

static void
write_status(const char *name, const char *text, uint32_t code)
{
	struct msg_kube_reply r;
	cleanup_close int fd = util_sealed_memfd("t", text, strlen(text));

	assert_true(fd >= 0);
	store_write(dir, "ns2", name, fd, &r);
	assert_int_equal(r.code, code);
	assert_true(r.text[0]);
}

static void
test_status(void **state)
{
	char long_name[254];
	struct stat st;

	(void)state;
	write_status("pod", "[1]", 200);
	write_status("pod", "[22]", 200);
	assert_int_equal(fstatat(dir, "ns2/pod.json", &st, 0), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(fstatat(dir, "ns2/.new", &st, 0), -1);
	/* A name of an object that is too long for a file: an error, never another file. */
	memset(long_name, 'a', sizeof(long_name) - 1);
	for (size_t i = 50; i < sizeof(long_name) - 2; i += 50)
		long_name[i] = '.';
	long_name[sizeof(long_name) - 1] = '\0';
	write_status(long_name, "[1]", 500);
	/* What lies in the way is not followed. */
	assert_int_equal(symlinkat("../target2", dir, "ns2/.new"), 0);
	write_status("pod", "[333]", 200);
	assert_int_equal(fstatat(dir, "target2", &st, 0), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_yaml_before_json),
		cmocka_unit_test(test_missing_names_both_paths),
		cmocka_unit_test(test_only_regular_files),
		cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_names_that_are_no_names),
		cmocka_unit_test(test_status),
	};

	return cmocka_run_group_tests(tests, make_store, drop_store);
}
