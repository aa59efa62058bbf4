/* Identity and capabilities: what a role holds and what a plugin gets. Read back as a whole in
 * sandbox.c. Runs in: every confined process; sandbox_delegate_caps() in exec's children. Source:
 * capabilities(7), capng_apply(3), prctl(2), capset(2). */
#include <cap-ng.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/steps.h"

#define CAP_BIT(c) (1ull << (c))

/* No exec gives uid 0 or a file's owner anything, no uid change keeps or restores anything, and
 * nobody can undo it. */
#define BITS_NEVER (SECURE_ALL_BITS & ~issecure_mask(SECURE_KEEP_CAPS))
/* exec's children are uid 0 and execute plugins, which hold their mask by the rule that uid 0 gets
 * its bounding set, cut (by no_new_privs) to what it held before. So that rule stays as it is,
 * locked; ambient stays impossible. */
#define BITS_ROOT_EXEC issecure_mask(SECURE_NO_CAP_AMBIENT_RAISE)

uint64_t
sandbox_caps(enum role role)
{
	switch (role) {
	case ROLE_NETPRIV: /* netlink, and setns() into pods */
	case ROLE_EXEC:	   /* the same for its plugins, and their private mounts */
		return CAP_BIT(CAP_NET_ADMIN) | CAP_BIT(CAP_SYS_ADMIN);
	default:
		return 0;
	}
}

static void
apply_mask(uint64_t mask, unsigned sets, capng_select_t what)
{
	int err = 0;

	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned c = 0; c < 64 && err == 0; c++)
		if (mask & CAP_BIT(c))
			err = capng_update(CAPNG_ADD, (capng_type_t)sets, c);
	if (err == 0)
		err = capng_apply(what);
	if (err != 0)
		log_fatal("sandbox: capabilities cannot be set (libcap-ng %d): %s", err,
			  strerror(errno));
}

void
caps_drop(uint32_t uid, uint32_t gid, uint64_t mask, bool root_exec)
{
	unsigned long bits = root_exec ? BITS_ROOT_EXEC : BITS_NEVER;

	/* SETPCAP must outlive the uid: the bounding set and the securebits need it. */
	if (prctl(PR_SET_KEEPCAPS, 1ul, 0ul, 0ul, 0ul) < 0)
		log_fatal("sandbox: keeping capabilities over the uid: %s", strerror(errno));
	if (setgroups(0, NULL) < 0)
		log_fatal("sandbox: no supplementary groups: %s", strerror(errno));
	if (setresgid(gid, gid, gid) < 0)
		log_fatal("sandbox: gid %u: %s", gid, strerror(errno));
	if (setresuid(uid, uid, uid) < 0)
		log_fatal("sandbox: uid %u: %s", uid, strerror(errno));
	apply_mask(mask | CAP_BIT(CAP_SETPCAP), CAPNG_EFFECTIVE | CAPNG_PERMITTED,
		   CAPNG_SELECT_CAPS);
	if (prctl(PR_SET_SECUREBITS, bits | SECURE_ALL_LOCKS, 0ul, 0ul, 0ul) < 0)
		log_fatal("sandbox: securebits: %s", strerror(errno));
	apply_mask(mask, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, CAPNG_SELECT_ALL);
}

int
sandbox_delegate_caps(uint64_t mask)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct want[2] = {0}, have[2] = {0};

	for (unsigned i = 0; i < 2; i++)
		want[i].effective = want[i].permitted = (uint32_t)(mask >> (32 * i));
	if (prctl(PR_CAP_AMBIENT, (unsigned long)PR_CAP_AMBIENT_CLEAR_ALL, 0ul, 0ul, 0ul) < 0)
		return -errno;
	if (syscall(SYS_capset, &head, want) < 0 || syscall(SYS_capget, &head, have) < 0)
		return -errno;
	if (memcmp(want, have, sizeof(want)) != 0)
		return -EPERM;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1ul, 0ul, 0ul, 0ul) < 0)
		return -errno;
	return prctl(PR_GET_NO_NEW_PRIVS, 0ul, 0ul, 0ul, 0ul) == 1 ? 0 : -EPERM;
}
