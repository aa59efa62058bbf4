/* Starting one delegate: its binary by descriptor, its environment from checked fields, its own mount namespace with
 * the pinned network namespace bound over the runtime's path, its limits, capabilities and filter.
 * Runs in: exec (and, behind fork, in what becomes the delegate). */
#ifndef NETPRIV_LAUNCH_H
#define NETPRIV_LAUNCH_H

#include <sys/types.h>

#include "netpriv/conf.h"
#include "netpriv/wire.h"

/* Once, before the sandbox: compiles the delegates' filter, makes the file that WIRE_NETNS_ALIAS names. */
void launch_init(const struct conf *c);

/* Starts the delegate. fds: stdin, stdout, stderr, network namespace or -1; they stay the caller's. On success pid and
 * a pidfd, and errfd: a pipe on which a child that fails before exec says so (launch_why()). On failure -errno and text. */
int launch_start(const struct msg_exec_run *m, const int fds[4], pid_t *pid, int *pidfd, int *errfd,
		 char *text, size_t size);

/* What the child wrote to errfd: 0 = nothing, it was executed; else its errno, and text. */
int launch_why(int errfd, char *text, size_t size);

#endif
