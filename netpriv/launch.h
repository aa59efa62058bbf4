/* Starting one delegate: its binary by descriptor, its environment from checked fields, the pinned network namespace
 * bound over the runtime's path (in exec's own mount namespace, where delegates live), its limits, capabilities and filter.
 * Runs in: exec (and, behind fork, in what becomes the delegate). */
#ifndef NETPRIV_LAUNCH_H
#define NETPRIV_LAUNCH_H

#include <sys/types.h>

#include "netpriv/conf.h"
#include "netpriv/wire.h"

/* Once, before the sandbox: a mount namespace that hears of the host's mounts and tells it of none, with /proc/sys/net writable
 * in a container too; the delegates' filter; the file that WIRE_NETNS_ALIAS names. */
void launch_init(const struct conf *c);

/* What one start leaves with its caller. */
struct launch {
	pid_t pid;
	int pidfd;
	int errfd;                /* a pipe on which a child that fails before exec says so: launch_why() */
	unsigned bind;            /* where the namespace is bound, 0 = nowhere: launch_unbind() */
};

/* Starts the delegate. fds: stdin, stdout, stderr, network namespace or -1; they stay the caller's. 0, or -errno and text: then
 * nothing is left. */
int launch_start(const struct msg_exec_run *m, const int fds[4], struct launch *l, char *text, size_t size);

/* The delegate has ended, the namespace is no longer needed at the path. The next delegate of the same pod mostly needs it there
 * again at once, so it stays for a moment: launch_tick() takes it away. */
void launch_unbind(struct launch *l);

/* now: util_now_ms(). Milliseconds until there is something to take away, -1 = nothing is left. */
int launch_tick(int64_t now);

/* What the child wrote to errfd: 0 = nothing, it was executed; else its errno, and text. ETXTBSY:
 * somebody was writing the binary; it may be tried again. */
int launch_why(int errfd, char *text, size_t size);

#endif
