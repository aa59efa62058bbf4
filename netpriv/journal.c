/* The journal's files.
 * Runs in: netpriv.  Trusts: the directory, which only root can write to; checksums tell torn records. */
#include "netpriv/journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "netpriv/log.h"
#include "netpriv/util.h"
#include "netpriv/wire_check.h"

#define RECORD_MAGIC 0x504a524eu /* "PJRN" */

enum record_kind { RECORD_HEAD = 1, RECORD_PLAN, RECORD_DONE, RECORD_OWED, RECORD_LIVE };

struct record {
	uint32_t magic;
	uint32_t kind;
	uint64_t length;
	uint64_t sum;
};

/* "<container id>:<interface>" */
#define NAME_SIZE (WIRE_ID + 16 + 1)

static int dir = -1;
static char boot_id[JOURNAL_BOOT];
unsigned journal_entries;

void
journal_init(int dirfd)
{
	cleanup_close int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -errno : util_read_full(fd, boot_id, sizeof(boot_id) - 1);

	if (n < 36)
		log_fatal("/proc/sys/kernel/random/boot_id: cannot be read");
	boot_id[36] = '\0';
	dir = dirfd;
}

static void
name_entry(char name[NAME_SIZE], const struct wire_target *t)
{
	snprintf(name, NAME_SIZE, "%s:%s", t->container_id, t->ifname);
}

/* FNV-1a: it has to tell a torn record from a whole one, no more. */
static uint64_t
checksum(uint32_t kind, const void *buf, size_t len)
{
	uint64_t h = 14695981039346656037ull ^ kind;

	for (size_t i = 0; i < len; i++)
		h = (h ^ ((const unsigned char *)buf)[i]) * 1099511628211ull;
	return h;
}

static int
write_record(int fd, enum record_kind kind, const void *buf, size_t len)
{
	struct record r = { RECORD_MAGIC, (uint32_t)kind, len, checksum(kind, buf, len) };
	int err = util_write_all(fd, &r, sizeof(r));

	return err < 0 ? err : util_write_all(fd, buf, len);
}

int
journal_plan(struct journal_head *head, int blob)
{
	cleanup_close int fd = -1;
	char name[NAME_SIZE];
	void *map;
	size_t len;
	int err = util_map_memfd(blob, WIRE_MEMFD_MAX, &map, &len);

	if (err < 0)
		return err;
	head->time = util_boot_ns();
	memcpy(head->boot, boot_id, sizeof(head->boot));
	name_entry(name, &head->target);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	err = fd < 0 ? -errno : write_record(fd, RECORD_HEAD, head, sizeof(*head));
	if (err == 0)
		err = write_record(fd, RECORD_PLAN, map, len);
	if (map)
		munmap(map, len);
	if (fd < 0)
		return err;
	if (err == 0 && (fsync(fd) < 0 || fsync(dir) < 0))
		err = -errno;
	if (err < 0)
		unlinkat(dir, name, 0);
	else
		journal_entries++;
	return err;
}

/* Adds a record to an entry that is there, and the mark behind it if asked to. A full disk must not leave half of one, which would
 * hide those written after it. */
static int
append_record(const struct wire_target *t, enum record_kind kind, const void *buf, size_t len, bool live)
{
	uint64_t now = util_boot_ns();
	cleanup_close int fd = -1;
	struct stat before;
	char name[NAME_SIZE];
	int err;

	name_entry(name, t);
	fd = openat(dir, name, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &before) < 0)
		return -errno;
	err = write_record(fd, kind, buf, len);
	if (err == 0 && live)
		err = write_record(fd, RECORD_LIVE, &now, sizeof(now));
	if (err < 0 && ftruncate(fd, before.st_size) < 0)
		log_error("journal entry %s: %s", name, strerror(errno));
	return err;
}

static int
append_results(const struct wire_target *t, int blob, bool live)
{
	void *map;
	size_t len;
	int err = util_map_memfd(blob, WIRE_MEMFD_MAX, &map, &len);

	if (err < 0)
		return err;
	err = append_record(t, RECORD_DONE, map, len, live);
	if (map)
		munmap(map, len);
	return err;
}

int
journal_done(const struct wire_target *t, int blob)
{
	return append_results(t, blob, false);
}

int
journal_live(const struct wire_target *t, int blob)
{
	return append_results(t, blob, true);
}

int
journal_owe(const struct wire_target *t)
{
	return append_record(t, RECORD_OWED, "", 0, false);
}

int
journal_remove(const struct wire_target *t)
{
	char name[NAME_SIZE];

	name_entry(name, t);
	if (unlinkat(dir, name, 0) < 0)
		return errno == ENOENT ? 0 : -errno;
	journal_entries -= journal_entries > 0;
	return 0;
}

/* The record at *pos of a mapped file; moves *pos behind it. 0, -ENODATA when the file ends before it does, -EBADMSG when it is
 * damaged. */
static int
next_record(const char *map, size_t len, size_t *pos, struct record *r, const char **body)
{
	const char *at = map + *pos;

	if (len - *pos < sizeof(*r))
		return -ENODATA;
	memcpy(r, at, sizeof(*r));
	if (r->magic != RECORD_MAGIC)
		return -EBADMSG;
	if (r->length > len - *pos - sizeof(*r))
		return -ENODATA;
	if (r->sum != checksum(r->kind, at + sizeof(*r), r->length))
		return -EBADMSG;
	*body = at + sizeof(*r);
	*pos += sizeof(*r) + r->length;
	return 0;
}

static int
parse_entry(const char *map, size_t len, bool blob, struct journal_entry *e)
{
	const char *body, *newest = NULL;
	struct record r;
	size_t pos = 0, newest_len = 0;
	int err = next_record(map, len, &pos, &r, &body);

	if (err < 0)
		return err;
	/* Before hot-plugging the head ended where "main" begins. */
	if (r.kind != RECORD_HEAD || (r.length != sizeof(e->head) && r.length != offsetof(struct journal_head, main)))
		return -EBADMSG;
	memcpy(&e->head, body, r.length);
	if (!wire_check_target(&e->head.target, CNI_DEL) || !check_field(e->head.boot, JOURNAL_BOOT) ||
	    !EMPTY_OR(e->head.main, check_ifname))
		return -EBADMSG;
	while ((err = next_record(map, len, &pos, &r, &body)) == 0) {
		if (r.kind == RECORD_OWED) {
			e->owed = true;
		} else if (r.kind == RECORD_LIVE && r.length == sizeof(e->live)) {
			memcpy(&e->live, body, sizeof(e->live));
		} else {
			e->kind = r.kind == RECORD_PLAN ? STATE_IS_PLAN : STATE_IS_DONE;
			newest = body;
			newest_len = r.length;
		}
	}
	if (!newest)
		return err;
	e->stale = strcmp(e->head.boot, boot_id) != 0;
	if (blob) {
		e->blob = util_sealed_memfd("journal", newest, newest_len);
		return e->blob < 0 ? e->blob : 0;
	}
	return 0;
}

static int
load_name(const char *name, bool blob, struct journal_entry *e)
{
	cleanup_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	void *map;
	size_t len;
	int err;

	memset(e, 0, sizeof(*e));
	e->blob = -1;
	if (fd < 0)
		return -errno;
	err = util_map_memfd(fd, 3 * WIRE_MEMFD_MAX, &map, &len);
	if (err < 0)
		return err;
	if (!map)
		return -ENODATA;
	err = parse_entry(map, len, blob, e);
	munmap(map, len);
	return err;
}

int
journal_load(const struct wire_target *t, bool blob, struct journal_entry *e)
{
	char name[NAME_SIZE];
	int err;

	name_entry(name, t);
	err = load_name(name, blob, e);
	if (err == 0 && (strcmp(e->head.target.container_id, t->container_id) != 0 ||
			 strcmp(e->head.target.ifname, t->ifname) != 0))
		err = -EBADMSG;
	return err;
}

static bool
is_of(const char *name, const char *container)
{
	size_t len = strlen(container);

	return strncmp(name, container, len) == 0 && name[len] == ':';
}

void
journal_each(const char *container, void (*fn)(const struct journal_entry *, void *), void *arg)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!d)
		log_fatal("journal: %s", strerror(errno));
	if (!container)
		journal_entries = 0;
	while ((de = readdir(d)) != NULL) {
		struct journal_entry e;
		int err;

		if (de->d_name[0] == '.' || (container && !is_of(de->d_name, container)))
			continue;
		err = load_name(de->d_name, false, &e);
		journal_entries += err == 0 && !container;
		if (err == 0) {
			fn(&e, arg);
		} else if (err == -ENODATA) {
			/* The plan is on the disk before any delegate starts: a torn one stands for nothing. */
			log_warn("journal entry %s: torn before anything was set up; removed", de->d_name);
			unlinkat(dir, de->d_name, 0);
		} else if (err == -EBADMSG) {
			char aside[NAME_SIZE + 8];

			snprintf(aside, sizeof(aside), ".bad-%s", de->d_name);
			log_error("journal entry %s: damaged, or of another version: what it names is not undone; "
				  "kept as %s", de->d_name, aside);
			renameat(dir, de->d_name, dir, aside);
		} else {
			log_error("journal entry %s: %s", de->d_name, strerror(-err));
		}
	}
	closedir(d);
}

int
journal_next(const char *container, const char *id, const char *ifname, struct journal_entry *e)
{
	char at[NAME_SIZE], next[NAME_SIZE];
	struct dirent *de;

	snprintf(at, sizeof(at), "%s%s%s", id, id[0] ? ":" : "", ifname);
	do {
		int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *d = fd < 0 ? NULL : fdopendir(fd);

		if (!d)
			log_fatal("journal: %s", strerror(errno));
		next[0] = '\0';
		while ((de = readdir(d)) != NULL)
			if (de->d_name[0] != '.' && strlen(de->d_name) < sizeof(next) && strcmp(de->d_name, at) > 0 &&
			    (!next[0] || strcmp(de->d_name, next) < 0) && (!container[0] || is_of(de->d_name, container)))
				memcpy(next, de->d_name, strlen(de->d_name) + 1);
		closedir(d);
		memcpy(at, next, sizeof(at));
	} while (next[0] && load_name(next, true, e) < 0); /* one that cannot be read is passed over */
	return next[0] ? 0 : -ENOENT;
}
