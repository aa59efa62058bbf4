/* Starting a role's binary with its descriptors at the numbers of role.h.
 * Runs in: supervisor. */
#ifndef NETPRIV_SPAWN_H
#define NETPRIV_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

#define SPAWN_FDS 10

struct spawn_fd {
	int fd;	    /* stays the caller's */
	int number; /* where the child finds it */
};

/* Starts <libexec>/postern-<name> with descriptors 0 to 2 and fds (n of them), nothing else, in a
 * session of its own, with PATH as its whole environment and no signal blocked; it dies with the
 * caller. Returns a pidfd that the caller owns and *pid, or -errno. Whether the binary could be
 * executed shows in its exit status only (127). */
int spawn_role(const char *libexec, const char *name, const struct spawn_fd *fds, unsigned n,
	       pid_t *pid);

/* Children of delegates outlive a killed exec and come to us. Kills and reaps every child that is left, for at most ms
 * milliseconds: before the next set undoes what they may still be doing. 0 or -ETIMEDOUT. */
int spawn_end_strangers(int64_t ms);

#endif
