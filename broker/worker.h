/* The body of a worker: one process for one CNI command.
 * Runs in: the child that broker forks. */
#ifndef BROKER_WORKER_H
#define BROKER_WORKER_H

#include <linux/filter.h>
#include <sys/types.h>

#include "netpriv/conf.h"
#include "netpriv/wire.h"

/* The life of a worker: confines the calling process, a child of broker, further; waits on task (a descriptor) for its one
 * command; runs it; ends the process. Broker forks it ahead of need, so that a command need not wait for it. */
__attribute__((noreturn)) void worker_run(const struct conf *conf, const struct sock_fprog *filter,
					  pid_t broker, int task);

#endif
