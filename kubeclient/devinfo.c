/* Device-information files.  Runs in: devices.  Trusts: no peer; a file is bytes, which the worker will read. */
#include "kubeclient/devinfo.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "kubeclient/beneath.h"
#include "netpriv/check.h"
#include "netpriv/util.h"

#define TEMPORARY ".postern-new"

static int
fail(struct msg_devices_reply *r, int err, const char *dir, const char *name)
{
	r->error = err;
	snprintf(r->text, sizeof(r->text), "device-information file %s/%s: %s", dir, name, strerror(-err));
	return err;
}

static void
no_slashes(char *name)
{
	while ((name = strchr(name, '/')))
		*name = '-';
}

/* Both names are one component each, whatever was asked for: then no path leads elsewhere. */
static int
make_names(const char *container_id, const struct msg_devinfo *m, char dp[256], char cni[256], struct msg_devices_reply *r)
{
	int a = snprintf(dp, 256, "%s-%s-device.json", m->resource, m->device);
	int b = snprintf(cni, 256, "%s-%s_%s", m->network, container_id, m->ifname);

	no_slashes(dp);
	no_slashes(cni);
	if (a >= 256 || b >= 256 || !check_file_name(dp) || !check_file_name(cni))
		return fail(r, -ENAMETOOLONG, a >= 256 ? "dp" : "cni", a >= 256 ? dp : cni);
	return 0;
}

int
devinfo_read(int dir, const char *path, size_t max)
{
	/* O_NONBLOCK: a FIFO in its place must not stop other pods' requests. */
	cleanup_close int fd = dir < 0 ? -ENOENT : beneath_open(dir, path, O_RDONLY | O_NONBLOCK, 0);

	return fd < 0 ? fd : beneath_copy(fd, max, "postern-devices");
}

/* All or nothing. What has that name already is an earlier try's of the same container, whose name it bears. */
static int
write_file(int dir, const char *name, int memfd)
{
	cleanup_close int fd = -1;
	void *map;
	size_t len;
	int err = util_map_memfd(memfd, DEVINFO_MAX, &map, &len);

	if (err < 0)
		return err;
	if (unlinkat(dir, TEMPORARY, 0) < 0 && errno != ENOENT)
		err = -errno;
	fd = err < 0 ? err : beneath_open(dir, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL, 0600);
	err = fd < 0 ? fd : map ? util_write_all(fd, map, len) : 0;
	if (map)
		munmap(map, len);
	if (err == 0 && (fchmod(fd, 0444) < 0 || renameat(dir, TEMPORARY, dir, name) < 0))
		err = -errno;
	if (err < 0 && fd >= 0)
		unlinkat(dir, TEMPORARY, 0);
	return err;
}

void
devinfo_serve(int info, int cni, const char *container_id, const struct msg_devinfo *m, struct msg_devices_reply *r, int *memfd)
{
	char dp_name[256], cni_name[256], path[260];
	cleanup_close int source = -1;
	int err;

	*memfd = -1;
	if (make_names(container_id, m, dp_name, cni_name, r) < 0)
		return;
	switch (m->op) {
	case DEVINFO_COPY:
		snprintf(path, sizeof(path), "dp/%s", dp_name);
		source = devinfo_read(info, path, DEVINFO_MAX);
		if (source < 0) {
			fail(r, source, "dp", dp_name);
			return;
		}
		err = cni < 0 ? -EROFS : write_file(cni, cni_name, source);
		break;
	case DEVINFO_READ:
		*memfd = devinfo_read(cni, cni_name, DEVINFO_MAX);
		err = *memfd < 0 ? *memfd : 0;
		break;
	default:
		err = cni < 0 || unlinkat(cni, cni_name, 0) == 0 || errno == ENOENT ? 0 : -errno;
		break;
	}
	if (err < 0)
		fail(r, err, "cni", cni_name);
}
