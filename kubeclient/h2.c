/* One HTTP/2 connection: its phases, its input and output, its time.
 * Runs in: kube.  Trusts: nothing that comes over the connection. */
#include "kubeclient/h2.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "kubeclient/stream.h"
#include "kubeclient/tls.h"
#include "netpriv/util.h"

#define ROUNDS 16		 /* of 16 KiB input, then the caller's loop has its turn */
#define STREAMS 256u		 /* open at once, if the server allows more */
#define QUEUE 1000u		 /* frames that wait because the server takes nothing */
#define REQUEST_HEAD (32u << 10) /* path and all; nghttp2 sends no more than 64 KiB of header */

int
h2_init(void)
{
	return tls_init();
}

SSL_CTX *
h2_context(const char *ca, size_t ca_len, const char *cert, size_t cert_len, const char *key, size_t key_len, char *why, size_t size)
{
	return tls_context(ca, ca_len, cert, cert_len, key, key_len, why, size);
}

static int __attribute__((format(printf, 4, 5)))
fail(int error, char *why, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return error;
}

/* "Bearer " and the token, which must be one that a header can hold. NULL when it is not, or without memory. */
static char *
make_bearer(const char *token)
{
	size_t len = strlen(token);
	char *bearer;

	for (size_t i = 0; i < len; i++)
		if (token[i] <= ' ' || token[i] > '~')
			return NULL;
	if (len == 0 || len > REQUEST_HEAD / 2)
		return NULL;
	bearer = malloc(7 + len + 1);
	if (bearer) {
		memcpy(bearer, "Bearer ", 7);
		memcpy(bearer + 7, token, len + 1);
	}
	return bearer;
}

struct h2 *
h2_new(int fd, SSL_CTX *context, const char *name, const char *authority, const char *token, const struct h2_times *times, char *why,
       size_t size)
{
	struct h2 *h = calloc(1, sizeof(*h));

	if (!h) {
		close(fd);
		fail(0, why, size, "out of memory");
		return NULL;
	}
	h->times = *times;
	h->since = util_now_ms();
	h->read_wants = POLLIN;
	h->write_wants = POLLOUT;
	h->authority = strdup(authority);
	h->bearer = token ? make_bearer(token) : NULL;
	if (tls_open(&h->tls, fd, context, name, why, size) < 0) {
		h2_free(h);
		return NULL;
	}
	if (!h->authority || (token && !h->bearer)) {
		fail(0, why, size, "%s", h->authority ? "the token is empty, too long or has characters that no token has" :
							"out of memory");
		h2_free(h);
		return NULL;
	}
	return h;
}

/* Due times. Only an open connection with requests, or one that is not open yet, has any. */

static bool
has_output(const struct h2 *h)
{
	return h->held > 0 || (h->session && nghttp2_session_want_write(h->session));
}

static int64_t
due_silence(const struct h2 *h)
{
	return h->since + h->times.idle + (h->pinged ? h->times.ping : 0);
}

static int64_t
due_stuck(const struct h2 *h)
{
	return h->stuck ? h->stuck + h->times.idle + h->times.ping : INT64_MAX;
}

void
h2_poll(const struct h2 *h, struct pollfd *p, int64_t *due)
{
	*p = (struct pollfd){ .fd = h->tls.fd };
	*due = INT64_MAX;
	if (h->phase == PHASE_TCP)
		p->events = POLLOUT;
	else if (h->phase == PHASE_TLS)
		p->events = h->tls.want;
	else
		p->events = (short)(h->read_wants | (has_output(h) ? h->write_wants : 0));
	if (h->phase != PHASE_OPEN)
		*due = h->since + h->times.connect;
	else if (h->streams)
		*due = due_silence(h) < due_stuck(h) ? due_silence(h) : due_stuck(h);
	if (h->more)
		*due = 0;
}

static int
check_time(struct h2 *h, char *why, size_t size)
{
	static const char *const late[] = { "it does not answer", "its TLS handshake does not end", "it says nothing in HTTP/2" };

	if (h->phase != PHASE_OPEN) {
		if (h->now < h->since + h->times.connect)
			return 0;
		return fail(-ETIMEDOUT, why, size, "%s: no connection within %d ms", late[h->phase], h->times.connect);
	}
	if (!h->streams)
		return 0;
	if (h->now >= due_stuck(h))
		return fail(-ETIMEDOUT, why, size, "it has taken nothing of what we send for %d ms", h->times.idle + h->times.ping);
	if (h->now < due_silence(h))
		return 0;
	if (h->pinged)
		return fail(-ETIMEDOUT, why, size, "it has been silent for %d ms", h->times.idle + h->times.ping);
	h->pinged = true;
	return nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL) == 0 ? 0 : fail(-ENOMEM, why, size, "out of memory");
}

/* Input and output. */

static int
end_tcp(struct h2 *h, short revents, char *why, size_t size)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (!revents)
		return -EAGAIN;
	if (getsockopt(h->tls.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error)
		return fail(-error, why, size, "%s", strerror(error));
	h->phase = PHASE_TLS;
	return 0;
}

static int
end_tls(struct h2 *h, char *why, size_t size)
{
	int rc = tls_handshake(&h->tls, why, size);

	if (rc < 0)
		return rc;
	h->phase = PHASE_SETTINGS;
	return stream_begin(h) == 0 ? 0 : fail(-ENOMEM, why, size, "out of memory");
}

static int
take_input(struct h2 *h, char *why, size_t size)
{
	uint8_t buf[16 << 10];

	for (int i = 0; i < ROUNDS; i++) {
		ssize_t n = tls_read(&h->tls, buf, sizeof(buf), why, size), used;

		h->read_wants = POLLIN;
		if (n == -EAGAIN)
			h->read_wants = h->tls.want;
		if (n < 0)
			return n == -EAGAIN ? 0 : (int)n;
		if (h->phase == PHASE_OPEN)
			h->since = h->now;
		h->pinged = false;
		used = nghttp2_session_mem_recv(h->session, buf, (size_t)n);
		if (used != n && !h->fault[0])
			snprintf(h->fault, sizeof(h->fault), "it breaks the rules of HTTP/2 (%s)",
				 used < 0 ? nghttp2_strerror((int)used) : "input left over");
		if (h->fault[0])
			break;
	}
	return 0;
}

/* A frame or more into the buffer, as long as any frame has room. */
static int
fill_output(struct h2 *h)
{
	while (sizeof(h->out) - h->held >= STREAM_FRAME) {
		const uint8_t *data;
		ssize_t n = nghttp2_session_mem_send(h->session, &data);

		if (n <= 0)
			return n == 0 ? 0 : n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
		if ((size_t)n > sizeof(h->out) - h->held)
			return -EPROTO;
		memcpy(h->out + h->held, data, (size_t)n);
		h->held += (size_t)n;
		h->made += (size_t)n;
	}
	return 0;
}

static int
give_output(struct h2 *h, char *why, size_t size)
{
	for (int i = 0; i < ROUNDS; i++) {
		int rc = fill_output(h);
		ssize_t n;

		if (rc < 0)
			return fail(rc, why, size, "cannot send: %s", strerror(-rc));
		if (h->held == 0)
			return 0;
		n = tls_write(&h->tls, h->out, h->held, why, size);
		if (n == -EAGAIN) {
			h->write_wants = h->tls.want;
			h->stuck = h->stuck ? h->stuck : h->now;
			if (nghttp2_session_get_outbound_queue_size(h->session) > QUEUE)
				return fail(-EPROTO, why, size, "it makes us answer and does not take the answers");
			return 0;
		}
		if (n < 0)
			return (int)n;
		h->write_wants = POLLOUT;
		h->stuck = 0;
		h->held -= (size_t)n;
		h->gone += (size_t)n;
		memmove(h->out, h->out + n, h->held);
	}
	return 0;
}

static int
talk(struct h2 *h, short revents, char *why, size_t size)
{
	int rc = 0;

	if (h->now - h->second >= 1000) {
		h->second = h->now;
		h->useless = 0;
	}
	if (h->more || revents & (h->read_wants | POLLERR | POLLHUP))
		rc = take_input(h, why, size);
	h->more = rc == 0 && SSL_pending(h->tls.ssl) > 0;
	if (rc == 0)
		rc = give_output(h, why, size);
	if (rc < 0)
		return rc;
	if (h->fault[0])
		return fail(-EPROTO, why, size, "%s", h->fault);
	if (h2_leaving(h) && !h->streams)
		return fail(-ESHUTDOWN, why, size, "it has ended the connection (%s)",
			    h->goodbye[0] ? h->goodbye : "no request number left");
	return 0;
}

int
h2_run(struct h2 *h, short revents, char *why, size_t size)
{
	int rc = 0;

	h->now = util_now_ms();
	if (h->phase == PHASE_TCP)
		rc = end_tcp(h, revents, why, size);
	if (rc == 0 && h->phase == PHASE_TLS) {
		rc = end_tls(h, why, size);
		/* What came with the end of the handshake may already be here. */
		revents |= POLLIN;
	}
	if (rc == 0)
		rc = talk(h, revents, why, size);
	if (rc == 0 || rc == -EAGAIN)
		rc = check_time(h, why, size);
	return rc;
}

unsigned
h2_open(const struct h2 *h)
{
	return h->open;
}

unsigned
h2_room(const struct h2 *h)
{
	uint32_t most;

	if (h->phase != PHASE_OPEN || h->ending || h->fault[0] || !nghttp2_session_check_request_allowed(h->session))
		return 0;
	most = nghttp2_session_get_remote_settings(h->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	most = most < STREAMS ? most : STREAMS;
	return h->open < most ? most - h->open : 0;
}

void
h2_doubt(struct h2 *h)
{
	int64_t past = util_now_ms() - h->times.idle;

	if (h->phase == PHASE_OPEN && !h->pinged && h->since > past)
		h->since = past;
}

bool
h2_ready(const struct h2 *h)
{
	return h2_room(h) > 0;
}

bool
h2_leaving(const struct h2 *h)
{
	return h->phase == PHASE_OPEN && (h->leaving || h->ending || !nghttp2_session_check_request_allowed(h->session));
}

int32_t
h2_send(struct h2 *h, const struct h2_request *r)
{
	if (!h2_ready(h))
		return -EAGAIN;
	if (strlen(r->path) + strlen(r->method) + (r->accept ? strlen(r->accept) : 0) + (r->type ? strlen(r->type) : 0) >
	    REQUEST_HEAD - REQUEST_HEAD / 4)
		return -EMSGSIZE;
	/* Time begins with the first request; silence before it is no sign of anything. */
	if (!h->streams) {
		h->since = util_now_ms();
		h->stuck = h->stuck ? h->since : 0;
		h->pinged = false;
	}
	return stream_open(h, r);
}

void
h2_cancel(struct h2 *h, int32_t stream)
{
	stream_cancel(h, stream);
}

static void
free_secret(char *text)
{
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

void
h2_free(struct h2 *h)
{
	if (!h)
		return;
	h->ending = true;
	nghttp2_session_del(h->session);
	h->session = NULL;
	stream_end_all(h, -ECONNRESET);
	tls_close(&h->tls);
	free(h->authority);
	free_secret(h->bearer);
	OPENSSL_cleanse(h, sizeof(*h));
	free(h);
}
