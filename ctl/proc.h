/* What /proc says of another process. Runs in: posternctl, as root.  Source: proc(5). */
#ifndef CTL_PROC_H
#define CTL_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum proc_cap {
	PROC_INHERITABLE, PROC_PERMITTED, PROC_EFFECTIVE, PROC_BOUNDING, PROC_AMBIENT,
	PROC_CAPS
};

struct proc_status {
	uint32_t uid[4], gid[4]; /* real, effective, saved, file system */
	char groups[128];
	uint64_t caps[PROC_CAPS];
	unsigned no_new_privs, seccomp, filters;
};

enum proc_kind {
	PROC_UNIX, PROC_NETLINK, PROC_INET, PROC_OTHER_SOCKET,
	PROC_MEMFD, PROC_PIPE, PROC_NSFS, PROC_FILE, PROC_DIRECTORY, PROC_DEVICE, PROC_ANON,
	PROC_KINDS
};

/* Each returns 0 or -errno (-ESRCH: no such process). */
int proc_status(pid_t pid, struct proc_status *st);

/* Identity of a namespace ("net", "mnt", ...) of the process. */
int proc_namespace(pid_t pid, const char *which, uint64_t *id);

/* "empty", or how much its root directory holds ("23 entries"). */
int proc_root(pid_t pid, char *text, size_t size);

/* Counts the open descriptors by kind; 0, 1 and 2 are left out: they are whatever the service
 * was started with. */
int proc_descriptors(pid_t pid, unsigned count[PROC_KINDS]);
const char *proc_kind_name(enum proc_kind kind);

/* The AppArmor label, "none" when the kernel has none. */
int proc_label(pid_t pid, char *text, size_t size);

/* Opens the memfd called name that the process holds. A descriptor or -errno. */
int proc_memfd(pid_t pid, const char *name);

#endif
