/* The embedded store: names become paths here, after the checks that make them harmless.
 * Runs in: kube.  Trusts: nothing that a peer says; names are checked again although wire_recv() did so. */
#include "kubeclient/store.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include "kubeclient/beneath.h"
#include "netpriv/check.h"
#include "netpriv/util.h"

#define STORE_PATH (sizeof(STORE_NADS) + 64 + 256 + 8)

__attribute__((format(printf, 3, 4))) static void
set_reply(struct msg_kube_reply *r, uint32_t code, const char *fmt, ...)
{
	va_list ap;

	*r = (struct msg_kube_reply){ .code = code };
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
}

static void
set_errno(struct msg_kube_reply *r, const char *path, int err)
{
	switch (err) {
	case ELOOP:
	case EXDEV:
		set_reply(r, 403, "store: %s: is or leads through a symbolic link, which the store does not follow", path);
		break;
	case EACCES:
	case EPERM:
		set_reply(r, 403, "store: %s: %s (the kube user must be able to read it)", path, strerror(err));
		break;
	default:
		set_reply(r, 500, "store: %s: %s", path, strerror(err));
	}
}

static bool
names_ok(const char *ns, const char *name, struct msg_kube_reply *r)
{
	if (check_dns_label(ns) && check_dns_subdomain(name))
		return true;
	set_reply(r, 404, "store: \"%s/%s\" cannot be the name of an object", ns, name);
	return false;
}

void
store_ping(int dir, struct msg_kube_reply *r)
{
	cleanup_close int fd = beneath_open(dir, STORE_PODS, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0 && fd != -ENOENT)
		set_errno(r, STORE_PODS, -fd);
	else
		set_reply(r, 200, "store");
}

static int
copy_file(int fd, const char *path, struct msg_kube_reply *r)
{
	int memfd = beneath_copy(fd, STORE_MAX, "postern-object");

	if (memfd == -EINVAL)
		set_reply(r, 403, "store: %s: is not a regular file", path);
	else if (memfd == -EFBIG)
		set_reply(r, 500, "store: %s: is larger than %u bytes", path, STORE_MAX);
	else if (memfd < 0)
		set_errno(r, path, -memfd);
	return memfd < 0 ? -1 : memfd;
}

int
store_read(int dir, const char *kind, const char *ns, const char *name, struct msg_kube_reply *r)
{
	static const char *const suffix[] = { "yaml", "json" };
	static const uint32_t format[] = { KUBE_YAML, KUBE_JSON };
	char path[STORE_PATH];
	int memfd;

	if (!names_ok(ns, name, r))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(suffix); i++) {
		cleanup_close int fd = -1;

		if (snprintf(path, sizeof(path), "%s/%s/%s.%s", kind, ns, name, suffix[i]) >= (int)sizeof(path)) {
			set_reply(r, 500, "store: %s/%s: name too long", ns, name);
			return -1;
		}
		/* O_NONBLOCK: a FIFO put in place of a manifest must not stop the other pods' requests. */
		fd = beneath_open(dir, path, O_RDONLY | O_NONBLOCK, 0);
		if (fd == -ENOENT || fd == -ENOTDIR)
			continue;
		if (fd < 0) {
			set_errno(r, path, -fd);
			return -1;
		}
		memfd = copy_file(fd, path, r);
		if (memfd >= 0) {
			set_reply(r, 200, "%s", path);
			r->format = format[i];
		}
		return memfd;
	}
	set_reply(r, 404, "the store has neither %s/%s/%s.yaml nor .json", kind, ns, name);
	return -1;
}

/* Not synced to disk: the pod that it describes does not outlive a power failure either. */
static int
write_new(int dir, const char *text, size_t len)
{
	cleanup_close int fd = -1;

	if (unlinkat(dir, ".new", 0) < 0 && errno != ENOENT)
		return -errno;
	fd = beneath_open(dir, ".new", O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (fd < 0)
		return fd;
	return util_write_all(fd, text, len);
}

void
store_write(int dir, const char *ns, const char *name, int memfd, struct msg_kube_reply *r)
{
	cleanup_close int sub = -1;
	char file[256 + 8], path[STORE_PATH];
	void *map = NULL;
	size_t len = 0;
	int err;

	if (!names_ok(ns, name, r))
		return;
	snprintf(file, sizeof(file), "%s.json", name);
	snprintf(path, sizeof(path), "status/%s/%s", ns, file);
	err = util_map_memfd(memfd, STORE_MAX, &map, &len);
	if (err < 0) {
		set_errno(r, path, -err);
		return;
	}
	sub = beneath_open(dir, ns, O_RDONLY | O_DIRECTORY, 0);
	if (sub == -ENOENT && mkdirat(dir, ns, 0755) == 0)
		sub = beneath_open(dir, ns, O_RDONLY | O_DIRECTORY, 0);
	else if (sub == -ENOENT)
		sub = -errno;
	err = sub < 0 ? sub : write_new(sub, map, len);
	if (map)
		munmap(map, len);
	if (err == 0 && renameat(sub, ".new", sub, file) < 0) {
		err = -errno;
		unlinkat(sub, ".new", 0);
	}
	if (err < 0)
		set_errno(r, path, -err);
	else
		set_reply(r, 200, "%s", path);
}
