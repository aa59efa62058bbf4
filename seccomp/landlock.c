/* Landlock: what a process may open, whatever its uid and its filter say. Constants as the kernel
 * documents them, since an older header lacks the newer ones; rights that the running kernel does
 * not know are masked out. Runs in: every confined process but exec.  Trusts: its caller's
 * descriptors. Source: landlock(7), landlock_create_ruleset(2), landlock_add_rule(2),
 * landlock_restrict_self(2). */
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/steps.h"

#define VERSION_QUERY	  1u /* LANDLOCK_CREATE_RULESET_VERSION */
#define RULE_PATH_BENEATH 1  /* LANDLOCK_RULE_PATH_BENEATH */
#define RULE_NET_PORT	  2  /* LANDLOCK_RULE_NET_PORT */
#define NET_CONNECT_TCP	  2ull

#define FS_WRITE_FILE  (1ull << 1)
#define FS_READ_FILE   (1ull << 2)
#define FS_READ_DIR    (1ull << 3)
#define FS_REMOVE_FILE (1ull << 5)
#define FS_MAKE_DIR    (1ull << 7)
#define FS_MAKE_REG    (1ull << 8)
#define FS_TRUNCATE    (1ull << 14)
#define FS_ON_A_FILE   (FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE)

struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};

struct path_beneath_attr {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

/* Every right that an ABI knows: what is handled and not granted is denied. */
static struct ruleset_attr
handled_by(long abi)
{
	struct ruleset_attr a = {.handled_access_fs = (1ull << 13) - 1};

	if (abi >= 2)
		a.handled_access_fs |= 1ull << 13; /* link or rename to another directory */
	if (abi >= 3)
		a.handled_access_fs |= FS_TRUNCATE;
	if (abi >= 4)
		a.handled_access_net = 3; /* TCP bind, connect */
	if (abi >= 5)
		a.handled_access_fs |= 1ull << 15; /* ioctl on devices */
	if (abi >= 6)
		a.scoped = 3; /* abstract sockets and signals beyond the domain */
	return a;
}

static void
grant_path(int ruleset, uint64_t handled, const struct sandbox_path *p)
{
	struct path_beneath_attr rule = {.parent_fd = p->fd};
	struct stat st;

	if (p->access & SANDBOX_READ)
		rule.allowed_access |= FS_READ_FILE | FS_READ_DIR;
	if (p->access & SANDBOX_WRITE)
		rule.allowed_access |=
		    FS_WRITE_FILE | FS_TRUNCATE | FS_MAKE_REG | FS_MAKE_DIR | FS_REMOVE_FILE;
	if (fstat(p->fd, &st) < 0)
		log_fatal("sandbox: descriptor %d of a granted path: %s", p->fd, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= FS_ON_A_FILE;
	rule.allowed_access &= handled;
	if (rule.allowed_access == 0)
		log_fatal("sandbox: descriptor %d is granted with no access", p->fd);
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0u) < 0)
		log_fatal("sandbox: Landlock rule for descriptor %d: %s", p->fd, strerror(errno));
}

uint32_t
landlock_confine(const struct sandbox *s)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0ul, VERSION_QUERY);
	struct ruleset_attr attr = handled_by(abi);
	cleanup_close int ruleset = -1;

	if (abi < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)) {
		/* Go on only because namespaces, the empty root, the uid and the filter each stand
		 * alone. */
		log_warn(
		    "this kernel has no Landlock: files are guarded by root, uid and filter alone");
		return 0;
	}
	if (abi < 1)
		log_fatal("sandbox: Landlock version: %s", strerror(errno));
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0u);
	if (ruleset < 0)
		log_fatal("sandbox: Landlock rule set: %s", strerror(errno));
	for (unsigned i = 0; i < s->n_paths; i++)
		grant_path(ruleset, attr.handled_access_fs, &s->paths[i]);
	for (unsigned i = 0; i < s->n_ports && attr.handled_access_net; i++) {
		const uint64_t rule[] = {NET_CONNECT_TCP, s->ports[i]}; /* struct landlock_net_port_attr */

		if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, rule, 0u) < 0)
			log_fatal("sandbox: Landlock rule for port %u: %s", s->ports[i], strerror(errno));
	}
	if (syscall(SYS_landlock_restrict_self, ruleset, 0u) < 0)
		log_fatal("sandbox: Landlock: %s", strerror(errno));
	return (uint32_t)abi;
}
