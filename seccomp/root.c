/* Namespaces and the empty root of the roles that need nothing of the host.
 * Runs in: broker, kube, reader, while still privileged.  Trusts: its caller's descriptors.
 * Source: unshare(2), pivot_root(2), mount(2), open_tree(2). */
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/steps.h"

#define TOP_FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)

void
root_cut(const struct sandbox_path *paths, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int fd = paths[i].fd;
		cleanup_close int tree = (int)syscall(
		    SYS_open_tree, fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

		if (tree < 0 || dup3(tree, fd, O_CLOEXEC) < 0)
			log_fatal("sandbox: descriptor %d cannot be cut out of its tree: %s", fd,
				  strerror(errno));
	}
}

void
root_reopen(const struct sandbox_path *paths, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		cleanup_close int top = -1;

		if ((paths[i].access & SANDBOX_WRITE) == 0)
			continue;
		top = openat(paths[i].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (top < 0 || dup3(top, paths[i].fd, O_CLOEXEC) < 0)
			log_fatal("sandbox: descriptor %d, as uid %u: %s", paths[i].fd, geteuid(),
				  strerror(errno));
	}
}

/* An empty tmpfs covers a directory that exists everywhere, becomes the root and loses the old one:
 * no path leads to any file, and nothing can be made. */
static void
empty_root(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		log_fatal("sandbox: private mounts: %s", strerror(errno));
	if (mount("none", "/proc", "tmpfs", TOP_FLAGS, "mode=0555,size=4k,nr_inodes=2") < 0)
		log_fatal("sandbox: empty root: %s", strerror(errno));
	if (chdir("/proc") < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		log_fatal("sandbox: change of root: %s", strerror(errno));
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		log_fatal("sandbox: leaving the old root: %s", strerror(errno));
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | TOP_FLAGS, NULL) < 0)
		log_fatal("sandbox: read-only root: %s", strerror(errno));
}

void
root_leave(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		log_fatal("sandbox: new namespaces: %s", strerror(errno));
	if (unshare(CLONE_NEWCGROUP) < 0 && errno != EINVAL) /* EINVAL: a kernel without them */
		log_fatal("sandbox: new cgroup namespace: %s", strerror(errno));
	empty_root();
}
