/* The journal's files: whole, torn at every byte, foreign. Includes the .c: it is linked into netpriv only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "netpriv/journal.c"

static int tmp = -1;
static char tmp_path[] = "/tmp/postern-journal-XXXXXX";

static int
setup(void **state)
{
	(void)state;
	if (!mkdtemp(tmp_path))
		return -1;
	tmp = open(tmp_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	journal_init(tmp);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	close(tmp);
	return rmdir(tmp_path);
}

static struct journal_head
head_of(const char *id)
{
	struct journal_head h = { .cookie = 77 };

	util_copy(h.target.container_id, sizeof(h.target.container_id), id);
	util_copy(h.target.ifname, sizeof(h.target.ifname), "eth0");
	return h;
}

static int
blob(const char *text)
{
	return util_sealed_memfd("blob", text, strlen(text));
}

static void
expect_blob(int fd, const char *text)
{
	char buf[64] = "";

	assert_int_equal(util_read_full(fd, buf, sizeof(buf)), (ssize_t)strlen(text));
	assert_string_equal(buf, text);
	close(fd);
}

static void
test_life(void **state)
{
	struct journal_head h = head_of("life");
	struct journal_entry e;
	int plan = blob("plan"), done = blob("done!");

	(void)state;
	assert_int_equal(journal_load(&h.target, true, &e), -ENOENT);
	assert_int_equal(journal_owe(&h.target), -ENOENT);
	assert_int_equal(journal_plan(&h, plan), 0);
	assert_int_equal(journal_plan(&h, plan), -EEXIST);
	assert_int_equal(journal_load(&h.target, true, &e), 0);
	assert_int_equal(e.kind, STATE_IS_PLAN);
	assert_int_equal(e.head.cookie, 77);
	assert_false(e.owed || e.stale);
	expect_blob(e.blob, "plan");
	assert_int_equal(journal_done(&h.target, plan), 0);
	assert_int_equal(journal_load(&h.target, false, &e), 0);
	assert_true(e.kind == STATE_IS_DONE && e.live == 0);
	assert_int_equal(journal_live(&h.target, done), 0);
	assert_int_equal(journal_owe(&h.target), 0);
	assert_int_equal(journal_load(&h.target, true, &e), 0);
	assert_int_equal(e.kind, STATE_IS_DONE);
	assert_true(e.owed && e.live >= e.head.time);
	expect_blob(e.blob, "done!");
	assert_int_equal(journal_remove(&h.target), 0);
	assert_int_equal(journal_remove(&h.target), 0);
	close(plan);
	close(done);
}

static void
count_entries(const struct journal_entry *e, void *arg)
{
	(void)e;
	++*(int *)arg;
}

/* Cut off behind every byte, the entry is what was whole by then, or is recognised as torn. */
static void
test_torn(void **state)
{
	struct journal_head h = head_of("torn");
	int plan = blob("plan"), done = blob("done!");
	size_t plan_end = 2 * sizeof(struct record) + sizeof(h) + 4;
	cleanup_close int fd = -1;
	struct stat st;
	int seen = 0;

	(void)state;
	assert_int_equal(journal_plan(&h, plan), 0);
	assert_int_equal(journal_done(&h.target, done), 0);
	fd = openat(tmp, "torn:eth0", O_RDWR | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t len = st.st_size - 1; len >= 0; len--) {
		struct journal_entry e;
		int err;

		assert_int_equal(ftruncate(fd, len), 0);
		err = journal_load(&h.target, true, &e);
		if ((size_t)len < plan_end) {
			assert_int_equal(err, -ENODATA);
			continue;
		}
		assert_int_equal(err, 0);
		assert_int_equal(e.kind, STATE_IS_PLAN);
		expect_blob(e.blob, "plan");
	}
	journal_each(NULL, count_entries, &seen);
	assert_int_equal(seen, 0);
	assert_int_equal(faccessat(tmp, "torn:eth0", F_OK, 0), -1); /* cleaned away */
	close(plan);
	close(done);
}

static void
test_flipped_bits(void **state)
{
	struct journal_head h = head_of("bits");
	int plan = blob("plan");
	size_t size = 2 * sizeof(struct record) + sizeof(h) + 4;
	/* A changed length may point behind the end. */
	LargestIntegralType damaged[] = { (LargestIntegralType)-EBADMSG, (LargestIntegralType)-ENODATA };
	cleanup_close int fd = -1;

	(void)state;
	assert_int_equal(journal_plan(&h, plan), 0);
	fd = openat(tmp, "bits:eth0", O_RDWR | O_CLOEXEC);
	for (size_t at = 0; at < size; at++) {
		struct journal_entry e;
		char c, flipped;

		assert_int_equal(pread(fd, &c, 1, (off_t)at), 1);
		flipped = (char)(c ^ 0x20);
		assert_int_equal(pwrite(fd, &flipped, 1, (off_t)at), 1);
		assert_in_set(journal_load(&h.target, false, &e), damaged, 2);
		assert_int_equal(pwrite(fd, &c, 1, (off_t)at), 1);
	}
	assert_int_equal(journal_remove(&h.target), 0);
	close(plan);
}

/* One of another version, or damaged, is set aside, never taken for torn. */
static void
test_set_aside(void **state)
{
	struct journal_head h = head_of("aside");
	int plan = blob("plan"), seen = 0;
	cleanup_close int fd = -1;

	(void)state;
	assert_int_equal(journal_plan(&h, plan), 0);
	fd = openat(tmp, "aside:eth0", O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, sizeof(struct record) + 5), 1);
	journal_each(NULL, count_entries, &seen);
	assert_int_equal(seen, 0);
	assert_int_equal(unlinkat(tmp, ".bad-aside:eth0", 0), 0);
	close(plan);
}

/* An entry that was moved to another name is not that other attachment's. */
static void
test_foreign_name(void **state)
{
	struct journal_head h = head_of("one"), other = head_of("two");
	struct journal_entry e;
	int plan = blob("plan");

	(void)state;
	assert_int_equal(journal_plan(&h, plan), 0);
	assert_int_equal(renameat(tmp, "one:eth0", tmp, "two:eth0"), 0);
	assert_int_equal(journal_load(&other.target, false, &e), -EBADMSG);
	assert_int_equal(journal_remove(&other.target), 0);
	close(plan);
}

/* The order of names, one container's or all; what cannot be read is passed over. */
static void
test_next(void **state)
{
	static const char *const ids[] = { "b", "a", "a-1" };
	struct journal_entry e;
	unsigned all = 0;
	char id[WIRE_ID] = "", ifname[16] = "";
	int fd;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct journal_head h = head_of(ids[i]);
		cleanup_close int plan = util_sealed_memfd("plan", ids[i], strlen(ids[i]));

		assert_int_equal(journal_plan(&h, plan), 0);
	}
	fd = openat(tmp, "a:bad", O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0 && write(fd, "x", 1) == 1);
	close(fd);
	for (; journal_next("", id, ifname, &e) == 0; all++) {
		assert_true(strcmp(e.head.target.container_id, id) != 0);
		strcpy(id, e.head.target.container_id);
		strcpy(ifname, e.head.target.ifname);
		close(e.blob);
	}
	assert_int_equal(all, 3);
	assert_int_equal(journal_next("a", "", "", &e), 0);
	assert_string_equal(e.head.target.container_id, "a");
	close(e.blob);
	assert_int_equal(journal_next("a", "a", e.head.target.ifname, &e), -ENOENT);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct journal_head h = head_of(ids[i]);

		assert_int_equal(journal_remove(&h.target), 0);
	}
	unlinkat(tmp, "a:bad", 0);
}

/* An entry of a version that did not know of hot-plugging. */
static void
test_older_head(void **state)
{
	struct journal_head h = head_of("older");
	struct journal_entry e;
	char name[NAME_SIZE];
	int fd;

	(void)state;
	memcpy(h.boot, boot_id, sizeof(h.boot));
	name_entry(name, &h.target);
	fd = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_equal(write_record(fd, RECORD_HEAD, &h, offsetof(struct journal_head, main)), 0);
	assert_int_equal(write_record(fd, RECORD_PLAN, "plan", 4), 0);
	close(fd);
	memset(&e, 0xff, sizeof(e));
	assert_int_equal(journal_load(&h.target, true, &e), 0);
	assert_int_equal(e.head.cookie, 77);
	assert_string_equal(e.head.main, "");
	expect_blob(e.blob, "plan");
	assert_int_equal(journal_remove(&h.target), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_flipped_bits),
		cmocka_unit_test(test_set_aside),
		cmocka_unit_test(test_foreign_name),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_older_head),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
