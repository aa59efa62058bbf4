/* What kube, the embedded store and devices have in common: channels to workers, each bound by the broker to one pod; one request
 * at a time on each; the supervisor's STOP. Whoever answers is the backend.
 * Runs in: kube, store, devices.  Trusts: no peer. */
#ifndef KUBECLIENT_SERVE_H
#define KUBECLIENT_SERVE_H

#include <poll.h>
#include <stdint.h>

#include "netpriv/conf.h"
#include "netpriv/wire.h"

/* Served attachments, and workers of commands that are ending while the next ones start. */
#define SERVE_CHANNELS (64 + 32)
#define SERVE_POLLED 8 /* descriptors of a backend */

/* Which question an answer belongs to. The channel may be gone by then: the answer is dropped. */
struct serve_ticket {
	unsigned slot;
	uint64_t epoch, serial;
};

struct serve_backend {
	enum role self; /* on the wire: ROLE_KUBE, or ROLE_DEVICES, to whom the broker also says which container */
	/* A request of a worker (then an answer, now or later) or its KUBE_EVENT (no answer). What is kept of m->fds is set to -1
	 * there. */
	void (*request)(const struct serve_ticket *t, const struct msg_devices_bind *who, struct wire_msg *m);
	/* Fills in at most SERVE_POLLED descriptors, and *due (util_now_ms()); returns how many. NULL: none. */
	unsigned (*poll)(struct pollfd *p, int64_t *due);
	/* After each round, with what became of those descriptors. */
	void (*step)(const struct pollfd *p, unsigned n);
};

/* How many channels this configuration can need. */
unsigned serve_channels(const struct conf *conf);

/* memfd: -1 = none; stays the caller's. */
void serve_answer(const struct serve_ticket *t, const struct msg_kube_reply *r, int memfd);
void serve_send(const struct serve_ticket *t, enum msg_type type, const void *body, int memfd);

/* Serves until STOP. control and broker at their places (role.h). */
__attribute__((noreturn)) void serve_run(const struct conf *conf, struct wire *control, const struct serve_backend *b);

#endif
