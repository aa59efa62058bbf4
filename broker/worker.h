/* The body of a worker: one process for one CNI command.
 * Runs in: the child that broker forks. */
#ifndef BROKER_WORKER_H
#define BROKER_WORKER_H

#include <linux/filter.h>
#include <sys/types.h>

#include "netpriv/conf.h"
#include "netpriv/wire.h"

/* Descriptors of the worker; all others are closed. kube -1: the command asks kube for nothing. */
struct worker {
	int channel, config, kube;
};

/* Confines the calling process, a child of broker, further; runs the command; ends the process. */
__attribute__((noreturn)) void worker_run(const struct conf *conf, const struct sock_fprog *filter,
					  const struct msg_offer *offer, pid_t broker,
					  const struct worker *w);

#endif
