/* Network configuration files of the node.
 * Runs in: netpriv.  Trusts: struct conf, which root wrote; from the worker come an index and a checked network name. */
#include "netpriv/confdir.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "netpriv/log.h"
#include "netpriv/util.h"

#define FILE_MAX (1u << 20) /* bytes of one configuration */

/* The directory of a place, and the file in it when the place is a file ("" when it is a directory). */
static int
open_place(const char *path, char file[256])
{
	char parent[CONF_PATH];
	const char *slash = strrchr(path, '/');
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	file[0] = '\0';
	if (fd >= 0)
		return fd;
	if (errno != ENOTDIR || !slash)
		return -errno;
	snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	snprintf(file, 256, "%s", slash + 1);
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static const char *
place_path(const struct conf *c, uint32_t net)
{
	if (net == CONF_NET_DIR)
		return c->conf_dir;
	return net < c->n_networks && c->networks[net][0] == '/' ? c->networks[net] : NULL;
}

unsigned
confdir_open_places(const struct conf *c, int *fds, unsigned max)
{
	unsigned n = 0;

	for (uint32_t i = 0; i <= c->n_networks && n < max; i++) {
		uint32_t net = i < c->n_networks ? i : CONF_NET_DIR;
		const char *path = place_path(c, net);
		char file[256];
		int fd;

		if (!path)
			continue;
		fd = open_place(path, file);
		if (fd >= 0)
			fds[n++] = fd;
		else if (net != CONF_NET_DIR || fd != -ENOENT)
			log_warn("%s: %s; networks from there cannot be attached before a restart", path,
				 strerror(-fd));
	}
	return n;
}

static bool
has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), s = strlen(suffix);

	return n > s && strcmp(name + n - s, suffix) == 0;
}

static bool
is_candidate(const char *name, bool sub)
{
	return check_file_name(name) &&
	       (has_suffix(name, ".conf") ||
		(!sub && (has_suffix(name, ".conflist") || has_suffix(name, ".json"))));
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The index-th candidate of a directory, in byte order. 0, or -ENOENT behind the last. */
static int
nth_file(int dirfd, bool sub, uint32_t index, char name[256])
{
	char(*names)[256] = NULL;
	size_t n = 0;
	struct dirent *de;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		return -errno;
	names = calloc(WIRE_CONF_FILES, sizeof(*names));
	while (names && n < WIRE_CONF_FILES && (de = readdir(d)) != NULL)
		if (de->d_type != DT_DIR && is_candidate(de->d_name, sub))
			snprintf(names[n++], sizeof(*names), "%s", de->d_name);
	closedir(d);
	if (!names)
		return -ENOMEM;
	qsort(names, n, sizeof(*names), compare_names);
	if (index < n)
		memcpy(name, names[index], sizeof(*names));
	free(names);
	return index < n ? 0 : -ENOENT;
}

/* Beneath dirfd only; symbolic links are followed within it, as mounted configuration maps need. */
static int
open_beneath(int dirfd, const char *name, uint64_t flags)
{
	struct open_how how = { .flags = flags | O_RDONLY | O_CLOEXEC | O_NONBLOCK,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	long fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static int
copy_file(int dirfd, const char *name)
{
	cleanup_close int fd = open_beneath(dirfd, name, 0);
	cleanup_free char *buf = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > FILE_MAX)
		return -EFBIG;
	buf = malloc(FILE_MAX + 1);
	if (!buf)
		return -ENOMEM;
	n = util_read_full(fd, buf, FILE_MAX + 1);
	if (n < 0)
		return (int)n;
	return n > FILE_MAX ? -EFBIG : util_sealed_memfd("conf", buf, (size_t)n);
}

int
confdir_get(const struct conf *c, const struct msg_conf_get *want, struct msg_conf *reply)
{
	const char *path = place_path(c, want->net);
	cleanup_close int dirfd = -1;
	char file[256] = "";
	bool sub = want->sub[0] != '\0';
	int err = -ENOENT, fd;

	memset(reply, 0, sizeof(*reply));
	if (want->net == CONF_NET_READY) {
		struct stat st;

		reply->error = stat(c->ready_file, &st) < 0 ? -errno : 0;
		snprintf(reply->text, sizeof(reply->text), "%s", c->ready_file);
		return -1;
	}
	if (path)
		err = dirfd = open_place(path, file);
	if (dirfd >= 0 && sub) {
		err = open_beneath(dirfd, want->sub, O_DIRECTORY);
		close(dirfd);
		dirfd = err;
	}
	if (dirfd >= 0 && file[0] && !sub)
		err = want->index == 0 ? util_copy(reply->name, sizeof(reply->name), file) : -ENOENT;
	else if (dirfd >= 0)
		err = nth_file(dirfd, sub, want->index, reply->name);
	if (err >= 0) {
		err = fd = copy_file(dirfd, reply->name);
		if (fd >= 0)
			return fd;
		if (err == -ENOENT) /* which would read as "no more files": a link to nowhere, say */
			err = -ESTALE;
	}
	reply->error = err;
	snprintf(reply->text, sizeof(reply->text), "%s%s%s%s%s: %s", path ? path : "confDir",
		 sub ? "/" : "", want->sub, reply->name[0] && !file[0] ? "/" : "",
		 file[0] ? "" : reply->name, strerror(-err));
	return -1;
}

int
confdir_cache(const struct conf *c, const char *container, const struct msg_cache_get *want, struct msg_conf *reply)
{
	cleanup_close int dirfd = c->multus_dir[0] ? open(c->multus_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	char name[512];
	int fd = dirfd < 0 ? -ENOENT : 0;

	memset(reply, 0, sizeof(*reply));
	if (want->net[0])
		snprintf(name, sizeof(name), "results/%s-%s-%s", want->net, container, want->ifname);
	else
		snprintf(name, sizeof(name), "%s", container);
	if (fd == 0)
		fd = copy_file(dirfd, name);
	if (fd >= 0)
		return fd;
	reply->error = fd;
	snprintf(reply->text, sizeof(reply->text), "%s/%s: %s", c->multus_dir, name, strerror(-fd));
	return -1;
}

void
confdir_forget(const struct conf *c, const char *container)
{
	cleanup_close int dirfd = c->multus_dir[0] ? open(c->multus_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct dirent *de;
	char part[WIRE_ID + 3];
	int fd;
	DIR *d;

	if (dirfd < 0 || unlinkat(dirfd, container, 0) < 0)
		return;
	fd = openat(dirfd, "results", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	d = fd < 0 ? NULL : fdopendir(fd);
	snprintf(part, sizeof(part), "-%s-", container);
	while (d && (de = readdir(d)) != NULL) {
		const char *at = strstr(de->d_name, part);

		/* "<network>-<container>-<interface>" */
		if (at && check_ifname(at + strlen(part)))
			unlinkat(fd, de->d_name, 0);
	}
	if (d)
		closedir(d);
}
