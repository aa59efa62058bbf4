/* What /proc says of another process.
 * Runs in: posternctl, as root.  Trusts: the kernel. */
#include "ctl/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "netpriv/util.h"

#define STATUS_MAX 8192

static int
read_text(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	cleanup_close int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = util_read_full(fd, text, size - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	return 0;
}

/* The value of one "name:\tvalue" line, NULL when there is none. */
static const char *
find_value(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = text; p != NULL; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, name, len) == 0 && p[len] == ':')
			return p + len + 1;
	}
	return NULL;
}

static bool
read_ids(const char *text, const char *name, uint32_t id[4])
{
	const char *p = find_value(text, name);

	return p && sscanf(p, "%u %u %u %u", &id[0], &id[1], &id[2], &id[3]) == 4;
}

static bool
read_number(const char *text, const char *name, unsigned *value)
{
	const char *p = find_value(text, name);

	return p && sscanf(p, "%u", value) == 1;
}

int
proc_status(pid_t pid, struct proc_status *st)
{
	static const char *const sets[PROC_CAPS] = {"CapInh", "CapPrm", "CapEff", "CapBnd",
						    "CapAmb"};
	char text[STATUS_MAX];
	const char *p;
	int err = read_text(pid, "status", text, sizeof(text));

	if (err < 0)
		return err;
	*st = (struct proc_status){0};
	if (!read_ids(text, "Uid", st->uid) || !read_ids(text, "Gid", st->gid) ||
	    !read_number(text, "NoNewPrivs", &st->no_new_privs) ||
	    !read_number(text, "Seccomp", &st->seccomp) ||
	    !read_number(text, "Seccomp_filters", &st->filters))
		return -EPROTO;
	for (unsigned i = 0; i < PROC_CAPS; i++) {
		p = find_value(text, sets[i]);
		if (!p)
			return -EPROTO;
		st->caps[i] = strtoull(p, NULL, 16);
	}
	p = find_value(text, "Groups");
	if (!p)
		return -EPROTO;
	p += strspn(p, "\t ");
	snprintf(st->groups, sizeof(st->groups), "%.*s", (int)strcspn(p, "\n"), p);
	for (size_t n = strlen(st->groups); n > 0 && st->groups[n - 1] == ' '; n--)
		st->groups[n - 1] = '\0';
	return 0;
}

int
proc_namespace(pid_t pid, const char *which, uint64_t *id)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, which);
	if (stat(path, &st) < 0)
		return -errno;
	*id = st.st_ino;
	return 0;
}

int
proc_root(pid_t pid, char *text, size_t size)
{
	unsigned entries = 0;
	struct dirent *e;
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/root/", pid);
	d = opendir(path);
	if (!d)
		return -errno;
	while ((e = readdir(d)) != NULL)
		entries += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	if (entries == 0)
		snprintf(text, size, "empty");
	else
		snprintf(text, size, "%u entries", entries);
	return 0;
}

static enum proc_kind
socket_kind(const char *path)
{
	char proto[64] = "";

	/* The socket's own word, whichever network namespace it belongs to. */
	if (getxattr(path, "system.sockprotoname", proto, sizeof(proto) - 1) < 0)
		return PROC_OTHER_SOCKET;
	if (strncmp(proto, "UNIX", 4) == 0)
		return PROC_UNIX;
	if (strcmp(proto, "NETLINK") == 0)
		return PROC_NETLINK;
	if (strncmp(proto, "TCP", 3) == 0 || strncmp(proto, "UDP", 3) == 0 ||
	    strncmp(proto, "RAW", 3) == 0 || strncmp(proto, "PING", 4) == 0 ||
	    strncmp(proto, "MPTCP", 5) == 0)
		return PROC_INET;
	return PROC_OTHER_SOCKET;
}

static enum proc_kind
descriptor_kind(const char *path, const char *target)
{
	struct stat st;

	if (strncmp(target, "socket:", 7) == 0)
		return socket_kind(path);
	if (strncmp(target, "/memfd:", 7) == 0)
		return PROC_MEMFD;
	if (strncmp(target, "pipe:", 5) == 0)
		return PROC_PIPE;
	if (strncmp(target, "anon_inode:", 11) == 0 || strncmp(target, "pidfd:", 6) == 0 ||
	    strncmp(target, "[", 1) == 0)
		return PROC_ANON;
	if (strncmp(target, "net:[", 5) == 0 || strncmp(target, "/run/netns/", 11) == 0 ||
	    stat(path, &st) < 0)
		return PROC_NSFS;
	if (S_ISDIR(st.st_mode))
		return PROC_DIRECTORY;
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		return PROC_DEVICE;
	return S_ISFIFO(st.st_mode) ? PROC_PIPE : PROC_FILE;
}

/* Calls see for each open descriptor until it returns true; 0, 1 when it did, or -errno. */
static int
each_descriptor(pid_t pid, bool (*see)(const char *path, const char *target, int fd, void *arg),
		void *arg)
{
	char path[300], target[512];
	struct dirent *e;
	bool done = false;
	ssize_t n;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	if (!d)
		return -errno;
	while (!done && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, e->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0) /* closed meanwhile */
			continue;
		target[n] = '\0';
		done = see(path, target, atoi(e->d_name), arg);
	}
	closedir(d);
	return done;
}

static bool
count_one(const char *path, const char *target, int fd, void *arg)
{
	unsigned *count = arg;

	if (fd > 2)
		count[descriptor_kind(path, target)]++;
	return false;
}

int
proc_descriptors(pid_t pid, unsigned count[PROC_KINDS])
{
	memset(count, 0, PROC_KINDS * sizeof(*count));
	return each_descriptor(pid, count_one, count);
}

const char *
proc_kind_name(enum proc_kind kind)
{
	static const char *const names[PROC_KINDS] = {
	    [PROC_UNIX] = "unix",	    [PROC_NETLINK] = "netlink",
	    [PROC_INET] = "inet",	    [PROC_OTHER_SOCKET] = "socket",
	    [PROC_MEMFD] = "memfd",	    [PROC_PIPE] = "pipe",
	    [PROC_NSFS] = "nsfs",	    [PROC_FILE] = "file",
	    [PROC_DIRECTORY] = "directory", [PROC_DEVICE] = "device",
	    [PROC_ANON] = "anon",
	};

	return names[kind];
}

int
proc_label(pid_t pid, char *text, size_t size)
{
	int err = read_text(pid, "attr/apparmor/current", text, size);

	text[err < 0 ? 0 : strcspn(text, "\n")] = '\0';
	if (text[0] == '\0')
		snprintf(text, size, "none");
	return 0;
}

struct memfd_search {
	char target[128];
	int fd;
};

static bool
open_match(const char *path, const char *target, int fd, void *arg)
{
	struct memfd_search *s = arg;

	(void)fd;
	if (strcmp(target, s->target) != 0)
		return false;
	s->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0)
		s->fd = -errno;
	return true;
}

int
proc_memfd(pid_t pid, const char *name)
{
	struct memfd_search s = {.fd = -ENOENT};
	int err;

	snprintf(s.target, sizeof(s.target), "/memfd:%s (deleted)", name);
	err = each_descriptor(pid, open_match, &s);
	return err < 0 ? err : s.fd;
}
