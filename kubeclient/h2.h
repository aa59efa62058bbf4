/* One HTTP/2 connection over TLS to one server, many requests at once. Bytes out, bytes in: no body is looked into.
 * Single-threaded and non-blocking: the caller polls.
 * Runs in: kube.  Trusts: nothing that comes over the connection; whatever it sends, memory and time are bounded.
 * Source: RFC 9113, RFC 8446; nghttp2 1.52, OpenSSL 3.0. */
#ifndef KUBECLIENT_H2_H
#define KUBECLIENT_H2_H

#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h2;

/* How a request ended. Valid during on_end() only. */
struct h2_answer {
	/* 0, or why there is no answer: -EAGAIN the server has certainly not acted on it (it may be sent again, whatever its
	 * method); -ECONNRESET the connection or the stream was lost, and nobody knows; -EMSGSIZE the body is longer than max;
	 * -EPROTO malformed. */
	int error;
	unsigned status;      /* HTTP */
	unsigned retry_after; /* seconds of Retry-After, 0 = none, at most 999999; dates are ignored */
	char type[64];	      /* Content-Type, cut; as it came: escape it before showing it */
	const char *body;     /* not NUL-terminated; NULL with on_data */
	size_t len;
};

struct h2_request {
	const char *method;
	const char *path;	  /* with prefix and query, as it goes out; the caller has checked it */
	const char *accept, *type; /* Accept, Content-Type; NULL = none */
	const void *body;	  /* copied; len 0 = none */
	size_t len;
	size_t max; /* of the answer's body, bytes */
	/* With on_data the body is handed on as it comes, and max does not count; any other status than 2xx ends the request at once,
	 * without body. Without on_data the body is collected. Neither callback may call h2_run() or h2_free(); h2_send() and
	 * h2_cancel() they may. */
	void (*on_data)(void *ctx, const char *data, size_t len);
	void (*on_end)(void *ctx, const struct h2_answer *a); /* exactly once, unless cancelled */
	void *ctx;
};

/* Milliseconds. */
struct h2_times {
	int connect; /* from h2_new() until requests can be sent */
	int idle;    /* with a request open and nothing heard for so long: PING */
	int ping;    /* its answer is due within */
};
#define H2_TIMES ((struct h2_times){ 10000, 30000, 15000 })

/* Loads all that OpenSSL and libc load once, random seed included; no configuration file is read. Before the sandbox, where files
 * are out of reach: nothing below opens one. 0 or -errno. */
int h2_init(void);

/* A TLS client context: TLS 1.2 or newer, ALPN h2 only, the given CA certificates (PEM) and no others, our certificate and key
 * when cert_len is not 0. NULL with why. The caller frees it (SSL_CTX_free). Opens no file. */
SSL_CTX *h2_context(const char *ca, size_t ca_len, const char *cert, size_t cert_len, const char *key, size_t key_len,
		    char *why, size_t size);

/* Takes fd (a TCP socket, connected or connecting, non-blocking). name: what the certificate must be for, DNS name or address.
 * token: bearer token for every request, NULL = none; copied, never logged, wiped at the end. NULL with why; fd is then closed. */
struct h2 *h2_new(int fd, SSL_CTX *context, const char *name, const char *authority, const char *token,
		  const struct h2_times *times, char *why, size_t size);

/* fd and events to wait for, and until when (util_now_ms(), INT64_MAX = no matter); then h2_run(). */
void h2_poll(const struct h2 *h, struct pollfd *p, int64_t *due);

/* 0, or -errno with why: the connection is over (refused, not trusted, broken, silent: -ETIMEDOUT, or left by the server with no
 * request open: -ESHUTDOWN); then h2_free(). A wrong certificate is -EKEYREJECTED. Takes no more than 256 KiB at a time. */
int h2_run(struct h2 *h, short revents, char *why, size_t size);

/* Requests can be sent now: connected, not told to go away, room for one more. */
bool h2_ready(const struct h2 *h);
/* Told to go away: what is open may end, nothing new begins; open another connection. */
bool h2_leaving(const struct h2 *h);

/* Requests that are open; and how many more the server takes now. */
unsigned h2_open(const struct h2 *h);
unsigned h2_room(const struct h2 *h);

/* Stream number (> 0), or -errno: -EAGAIN when not ready, -EMSGSIZE when path and headers are over 24 KiB. Nothing is copied but the
 * body; the other strings are used up before it returns. */
int32_t h2_send(struct h2 *h, const struct h2_request *r);
/* Forgets a request: on_end() is not called. */
void h2_cancel(struct h2 *h, int32_t stream);

/* A request waits longer than it should: PING now, not only when the connection has been silent for long. */
void h2_doubt(struct h2 *h);

/* Ends the connection; open requests end with -ECONNRESET, or -EAGAIN when they never left. */
void h2_free(struct h2 *h);

#endif
