/* The spool's writing side.  Runs in: shim.  Trusts: directories that are root's alone. */
#include "shim/spool.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "netpriv/spool.h"
#include "netpriv/util.h"

/* Opens name beneath at (made 0700 when absent); refuses one that others could have put files into.
 */
static int
open_private_dir(int at, const char *name, char *why, size_t size)
{
	cleanup_close int fd = -1;
	struct stat st;

	if (mkdirat(at, name, 0700) < 0 && errno != EEXIST) {
		snprintf(why, size, "cannot make directory %s: %s", name, strerror(errno));
		return -errno;
	}
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		snprintf(why, size, "cannot open directory %s: %s", name, strerror(errno));
		return -errno;
	}
	if (st.st_uid != 0 || (st.st_mode & 022) != 0) {
		snprintf(why, size, "directory %s must belong to root and be writable by root only",
			 name);
		return -EPERM;
	}
	return util_take_fd(&fd);
}

static int
write_file(int dir, const char *temp, const char *name, const struct spool_file *head,
	   const void *config)
{
	cleanup_close int fd =
	    openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int err;

	if (fd < 0)
		return -errno;
	err = util_write_all(fd, head, sizeof(*head));
	if (err == 0)
		err = util_write_all(fd, config, head->length);
	if (err == 0 && fsync(fd) < 0)
		err = -errno;
	if (err == 0 && renameat(dir, temp, dir, name) < 0)
		err = -errno;
	if (err < 0)
		unlinkat(dir, temp, 0);
	else if (fsync(dir) < 0)
		err = -errno;
	return err;
}

int
spool_put(const char *socket_dir, const struct msg_attach *attach, const void *config, size_t len,
	  struct spool_entry *entry, char *why, size_t size)
{
	struct spool_file head = {.magic = SPOOL_MAGIC, .version = WIRE_VERSION, .attach = *attach};
	cleanup_close int base = open_private_dir(AT_FDCWD, socket_dir, why, size);
	char temp[sizeof(SPOOL_TEMP) + 16];
	uint64_t random;
	int err;

	entry->dir = -1;
	if (base < 0)
		return base;
	entry->dir = open_private_dir(base, SPOOL_DIR, why, size);
	if (entry->dir < 0)
		return entry->dir;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint64_t)getpid() << 32 ^ (uint64_t)util_now_ms();
	snprintf(temp, sizeof(temp), SPOOL_TEMP "%016llx", (unsigned long long)random);
	snprintf(entry->name, sizeof(entry->name), "%s:%s.%016llx" SPOOL_SUFFIX,
		 attach->target.container_id, attach->target.ifname, (unsigned long long)random);
	head.length = (uint32_t)len;
	err = write_file(entry->dir, temp, entry->name, &head, config);
	if (err < 0) {
		snprintf(why, size, "cannot write %s/" SPOOL_DIR "/%s: %s", socket_dir, entry->name,
			 strerror(-err));
		close(util_take_fd(&entry->dir));
	}
	return err;
}

void
spool_forget(struct spool_entry *entry)
{
	if (entry->dir < 0)
		return;
	unlinkat(entry->dir, entry->name, 0);
	close(util_take_fd(&entry->dir));
}
