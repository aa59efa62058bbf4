/* Opening what only root can have put there.  Runs in: supervisor; autoconf.
 * Source: path_resolution(7), openat(2). */
#include "netpriv/trust.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "netpriv/util.h"

#define MAX_LINKS 16

struct walk {
	const char *path;    /* as configured, for messages */
	char rest[PATH_MAX]; /* still to go */
	int dir;	     /* reached so far; owned */
	unsigned links;
	char *why;
	size_t size;
};

static int
refuse(const struct walk *w, const char *step, const char *wrong, int err)
{
	if (step[0])
		snprintf(w->why, w->size, "%s: at \"%s\": %s", w->path, step, wrong);
	else
		snprintf(w->why, w->size, "%s: %s", w->path, wrong);
	return err;
}

/* Cuts the next name off w->rest. false: there is none. */
static bool
next_step(struct walk *w, char name[NAME_MAX + 1], bool *last)
{
	const char *p = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(p, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(name, p, len);
	name[len] = '\0';
	p += len;
	p += strspn(p, "/");
	*last = *p == '\0';
	memmove(w->rest, p, strlen(p) + 1);
	return true;
}

/* Puts a link's target in front of the rest. */
static int
follow_link(struct walk *w, int link, const char *name)
{
	char target[PATH_MAX], joined[PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);

	if (n < 0)
		return refuse(w, name, strerror(errno), -errno);
	target[n] = '\0';
	if (++w->links > MAX_LINKS ||
	    snprintf(joined, sizeof(joined), "%s/%s", target, w->rest) >= (int)sizeof(joined))
		return refuse(w, name, strerror(ELOOP), -ELOOP);
	memcpy(w->rest, joined, sizeof(joined));
	if (target[0] == '/') {
		close(w->dir);
		w->dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (w->dir < 0)
			return refuse(w, name, strerror(errno), -errno);
	}
	return 0;
}

/* O_PATH: looking at a step opens nothing, so that a FIFO or a device has no effect. */
static int
open_step(const struct walk *w, const char *name, mode_t make, struct stat *st)
{
	cleanup_close int fd = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && make != 0) {
		/* The umask is the strictest one; the mode is meant as it is written. */
		if ((mkdirat(w->dir, name, make) < 0 && errno != EEXIST) ||
		    fchmodat(w->dir, name, make, 0) < 0)
			return refuse(w, name, strerror(errno), -errno);
		fd = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0 || fstat(fd, st) < 0)
		return refuse(w, name, strerror(errno), -errno);
	if (st->st_uid != 0)
		return refuse(w, name, "must belong to root", -EPERM);
	return util_take_fd(&fd);
}

static int
walk_path(struct walk *w, int flags, mode_t make)
{
	char name[NAME_MAX + 1];
	bool last;

	while (next_step(w, name, &last)) {
		struct stat st;
		cleanup_close int fd = open_step(w, name, last || !make ? make : 0755, &st);
		int err;

		if (fd < 0)
			return fd;
		if (S_ISLNK(st.st_mode)) {
			err = follow_link(w, fd, name);
			if (err < 0)
				return err;
			continue;
		}
		if ((st.st_mode & 022) != 0 &&
		    (last || !S_ISDIR(st.st_mode) || !(st.st_mode & S_ISVTX)))
			return refuse(w, name, "must be writable by root only", -EPERM);
		if (last && !S_ISDIR(st.st_mode)) {
			err = openat(w->dir, name, flags | O_NOFOLLOW | O_CLOEXEC);
			return err < 0 ? refuse(w, "", strerror(errno), -errno) : err;
		}
		if (!S_ISDIR(st.st_mode))
			return refuse(w, name, strerror(ENOTDIR), -ENOTDIR);
		close(w->dir);
		w->dir = util_take_fd(&fd);
	}
	if (w->rest[strspn(w->rest, "/")] != '\0')
		return refuse(w, "", strerror(ENAMETOOLONG), -ENAMETOOLONG);
	/* A directory, and all of the way to it is checked. */
	flags = openat(w->dir, ".", flags | O_CLOEXEC);
	return flags < 0 ? refuse(w, "", strerror(errno), -errno) : flags;
}

int
trust_open(const char *path, int flags, mode_t make, char *why, size_t size)
{
	struct walk w = {.path = path, .dir = -1, .why = why, .size = size};
	int fd;

	if (path[0] != '/')
		return refuse(&w, "", "must be an absolute path", -EINVAL);
	if (util_copy(w.rest, sizeof(w.rest), path) < 0)
		return refuse(&w, "", strerror(ENAMETOOLONG), -ENAMETOOLONG);
	w.dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w.dir < 0)
		return refuse(&w, "", strerror(errno), -errno);
	fd = walk_path(&w, flags, make);
	close(w.dir);
	return fd;
}
