/* The requests of one HTTP/2 connection: from h2_send() to on_end(). What h2.c and stream.c share.
 * Runs in: kube.  Trusts: nothing that comes over the connection.
 * Source: RFC 9113; nghttp2 1.52. */
#ifndef KUBECLIENT_STREAM_H
#define KUBECLIENT_STREAM_H

#include <nghttp2/nghttp2.h>

#include "kubeclient/h2.h"
#include "kubeclient/tls.h"

#define STREAM_HEADERS 128u		/* fields of one answer, interim answers and trailers among them */
#define STREAM_HEADER_BYTES (16u << 10) /* of them, each counted as RFC 9113 does: 32 bytes more */
#define STREAM_USELESS 1000u		/* frames a second that carry nothing for us */
#define STREAM_FRAME ((16u << 10) + 16)	/* what nghttp2 hands out at a time, at most */

struct stream {
	struct stream *next;
	int32_t id;
	bool begun;    /* serialized */
	uint64_t from; /* then: where in all that we said */
	void (*on_data)(void *ctx, const char *data, size_t len);
	void (*on_end)(void *ctx, const struct h2_answer *a);
	void *ctx;
	char *body; /* the request's */
	size_t len, sent;
	bool final; /* the answer's header was there, not only an interim one's */
	size_t max, header_bytes;
	unsigned headers;
	char *got; /* the answer's body */
	size_t used, room;
	struct h2_answer a;
};

enum phase { PHASE_TCP, PHASE_TLS, PHASE_SETTINGS, PHASE_OPEN };

struct h2 {
	enum phase phase;
	struct tls tls;
	nghttp2_session *session;
	struct h2_times times;
	bool ending;	   /* h2_free() has begun */
	bool leaving;	   /* GOAWAY */
	bool more;	   /* input is left that poll() does not know of */
	bool pinged;	   /* and heard nothing since */
	int64_t now;	   /* of this h2_run() */
	int64_t since;	   /* h2_new(); later the last sign of life */
	int64_t stuck;	   /* since when the server takes nothing, 0 = it does */
	int64_t second;	   /* that useless counts */
	unsigned useless;  /* frames */
	short read_wants, write_wants;
	struct stream *streams;
	unsigned open;	   /* as the server counts: cancelled ones until it was told */
	char *authority, *bearer;
	char fault[160];   /* what it did to us: the connection is over */
	char goodbye[160]; /* its own words with GOAWAY */
	uint64_t made, gone; /* bytes said, and taken by TLS */
	size_t held;	   /* of out; made - gone */
	uint8_t out[2 * STREAM_FRAME];
};

/* The session with its callbacks. 0 or -ENOMEM. */
int stream_begin(struct h2 *h);
/* As h2_send() and h2_cancel(), when the connection is ready. */
int32_t stream_open(struct h2 *h, const struct h2_request *r);
void stream_cancel(struct h2 *h, int32_t id);
/* Each open request ends, by error or as never sent. */
void stream_end_all(struct h2 *h, int error);

#endif
