/* Children that are thrown away: each works out one fixed struct and is gone. It holds nothing but a pipe to answer and what it was
 * given, and ends itself at its deadline: its parent, of uid 0, may send no signals at all.
 * Runs in: dial, autoconf, devices.  Trusts: nothing that a child answers. */
#ifndef KUBECLIENT_CHILD_H
#define KUBECLIENT_CHILD_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
	pid_t pid; /* 0: none */
	int out;   /* to poll for POLLIN; -1: none */
	size_t used;
	int64_t due; /* util_now_ms() */
};
#define CHILD_NONE ((struct child){ .out = -1 })

/* Starts a child that has s seconds: run() writes its answer to the descriptor it is given. in: becomes its descriptor 0, -1 = none.
 * filter: loaded before, NULL = none but its parent's. 0 or -errno. */
int child_start(struct child *c, unsigned s, int in, const struct sock_fprog *filter, void (*run)(int out, const void *arg),
		const void *arg);

/* Takes what has come of the answer of exactly size bytes. 1: it is whole, and the child is gone; 0: more is to come; -errno: it
 * failed, and is gone. */
int child_read(struct child *c, void *answer, size_t size);

/* The same until it is whole or failed. 0 or -errno. */
int child_wait(struct child *c, void *answer, size_t size);

#endif
