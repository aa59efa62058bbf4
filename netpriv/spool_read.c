/* Replays the DELs that shims spooled.
 * Runs in: netpriv.  Trusts: the directory, which only root can write to; checks every field all the same. */
#include "netpriv/spool_read.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "netpriv/attach.h"
#include "netpriv/log.h"
#include "netpriv/spool.h"
#include "netpriv/util.h"
#include "netpriv/wire_check.h"

static int dir = -1;

void
spool_init(int dirfd)
{
	dir = dirfd;
}

void
spool_remove(const char *name)
{
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		log_error("spool/%s: %s", name, strerror(errno));
}

/* A file of another version still has the two names that the journal goes by: "<container id>:<interface>.<random>.del". */
static int
target_from_name(const char *name, struct wire_target *t)
{
	char copy[256], *colon, *dot;

	memset(t, 0, sizeof(*t));
	if (util_copy(copy, sizeof(copy), name) < 0)
		return -EINVAL;
	colon = strchr(copy, ':');
	for (int i = 0; i < 2; i++) {
		dot = colon ? strrchr(colon, '.') : NULL;
		if (!dot)
			return -EINVAL;
		*dot = '\0';
	}
	*colon = '\0';
	if (util_copy(t->container_id, sizeof(t->container_id), copy) < 0 ||
	    util_copy(t->ifname, sizeof(t->ifname), colon + 1) < 0)
		return -EINVAL;
	return wire_check_target(t, CNI_DEL) ? 0 : -EINVAL;
}

static int
read_target(const char *name, struct wire_target *t)
{
	cleanup_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct spool_file f;
	struct stat st;
	int err;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || util_read_full(fd, &f, sizeof(f)) != (ssize_t)sizeof(f))
		return target_from_name(name, t);
	err = spool_check(&f, (uint64_t)st.st_size);
	if (err < 0)
		return target_from_name(name, t);
	*t = f.attach.target;
	return 0;
}

static void
replay(const char *name)
{
	struct wire_target t;
	struct journal_entry e;
	struct cmd *c;
	int err = read_target(name, &t);

	if (err < 0) {
		log_error("spool/%s: %s; left there", name, strerror(-err));
		return;
	}
	if (journal_load(&t, false, &e) < 0)
		e = (struct journal_entry){ .head.target = t, .stale = true, .blob = -1 };
	log_info("spool: DEL %s %s", t.container_id, t.ifname);
	c = attach_internal(CMD_SPOOL, &e);
	if (c)
		util_copy(c->spool, sizeof(c->spool), name);
}

void
spool_replay(void)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!d)
		log_fatal("spool: %s", strerror(errno));
	while ((de = readdir(d)) != NULL)
		if (de->d_name[0] != '.')
			replay(de->d_name);
	closedir(d);
}
