/* The connection to the API server: asked for from dial when somebody needs it, replaced when the credentials change.
 * Runs in: kube.  Trusts: dial, as far as wire_recv() has checked what it says; nothing that the server sends. */
#ifndef KUBECLIENT_LINK_H
#define KUBECLIENT_LINK_H

#include <poll.h>
#include <stdint.h>

#include "kubeclient/h2.h"
#include "netpriv/wire.h"

#define LINK_POLLED 4 /* descriptors: dial's channel and the connections */

/* A request under way. */
struct link_stream {
	uint64_t conn;
	int32_t stream; /* 0: none */
};

/* on_change: the connection that long requests (watches) run on is being left; they end now, without on_end(). */
void link_init(void (*on_change)(void));

unsigned link_poll(struct pollfd *p, int64_t *due);
void link_step(const struct pollfd *p, unsigned n);

/* Sends; *s says where. r->path is without the server's prefix. bootstrap: the credentials that only buy a certificate will do.
 * 0, or -EAGAIN: not now, and a connection is on its way. */
int link_send(const struct h2_request *r, bool bootstrap, struct link_stream *s);
/* As link_send(), for a request that lasts: refused while few more fit on the connection. */
int link_watch(const struct h2_request *r, struct link_stream *s);
void link_cancel(struct link_stream *s);
/* It waits for long: is the connection still there? */
void link_doubt(const struct link_stream *s);

/* The server refused the credentials of this request: dial looks whether there are newer ones. False: the connection that it went out
 * on has older ones than are there already. */
bool link_refused(const struct link_stream *s);

/* 0 to 255, so that not every node does everything at the same moment. */
unsigned link_dice(void);

/* Why there is no connection, for people; "" when there is one. */
const char *link_why(void);

#endif
