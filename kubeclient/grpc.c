/* One unary gRPC call over a connected socket.
 * Runs in: children of devices, under a filter that knows read() and write(); whoever dawdles runs into the child's alarm.
 * Trusts: nothing that the server sends.  Source: gRPC over HTTP/2; nghttp2. */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

#include "kubeclient/podres.h"
#include "netpriv/util.h"

#define PREFIX 5 /* a flag, and the length of the message */
#define WINDOW (1 << 20)
#define CONNECTION 0 /* descriptor */

struct call {
	struct podres_answer *a;
	int32_t stream;
	bool closed;
	uint32_t why;    /* what the stream was closed with */
	unsigned status; /* HTTP; 0: none yet */
	int grpc;        /* -1: none yet */
	bool is_grpc;    /* content type */
	char said[160];  /* grpc-message */
	uint8_t *body;
	size_t len, size;
	bool too_long;
};

static bool
is_header(const char *want, const uint8_t *name, size_t len)
{
	return strlen(want) == len && memcmp(want, name, len) == 0;
}

/* A number of at most nine digits, or -1. nghttp2 ends each value with a NUL. */
static int
read_number(const uint8_t *value, size_t len)
{
	int n = 0;

	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -1;
		n = n * 10 + value[i] - '0';
	}
	return len > 0 && len < 10 ? n : -1;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len, const uint8_t *value,
	  size_t len, uint8_t flags, void *arg)
{
	struct call *c = arg;

	(void)session;
	(void)flags;
	if (frame->hd.stream_id != c->stream)
		return 0;
	if (is_header(":status", name, name_len))
		c->status = (unsigned)read_number(value, len > 9 ? 0 : len);
	else if (is_header("content-type", name, name_len))
		c->is_grpc = len >= 16 && memcmp(value, "application/grpc", 16) == 0;
	else if (is_header("grpc-status", name, name_len))
		c->grpc = read_number(value, len > 9 ? 0 : len);
	else if (is_header("grpc-message", name, name_len))
		snprintf(c->said, sizeof(c->said), "%s", (const char *)value);
	return 0;
}

static int
on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t len, void *arg)
{
	struct call *c = arg;
	uint8_t *more;

	(void)session;
	(void)flags;
	if (stream != c->stream || c->too_long)
		return 0;
	if (len > PODRES_MAX + PREFIX - c->len) {
		c->too_long = true;
		return 0;
	}
	if (len > c->size - c->len) {
		size_t size = c->size ? 2 * c->size : 1 << 16;

		more = realloc(c->body, size); /* len is at most a frame's, which is less than the smallest size */
		if (!more)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		c->body = more;
		c->size = size;
	}
	memcpy(c->body + c->len, data, len);
	c->len += len;
	return 0;
}

static int
on_close(nghttp2_session *session, int32_t stream, uint32_t why, void *arg)
{
	struct call *c = arg;

	(void)session;
	if (stream == c->stream) {
		c->closed = true;
		c->why = why;
	}
	return 0;
}

/* The request's message has no field: a prefix and nothing behind it. */
static ssize_t
read_request(nghttp2_session *session, int32_t stream, uint8_t *buf, size_t size, uint32_t *flags, nghttp2_data_source *source,
	     void *arg)
{
	(void)session;
	(void)stream;
	(void)source;
	(void)arg;
	if (size < PREFIX)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	memset(buf, 0, PREFIX);
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	return PREFIX;
}

#define HEADER(k, v)                                                                                                           \
	{                                                                                                                      \
		(uint8_t *)(uintptr_t)(k), (uint8_t *)(uintptr_t)(v), strlen(k), strlen(v), NGHTTP2_NV_FLAG_NONE                \
	}

static nghttp2_session *
begin(struct call *c, const char *path)
{
	const nghttp2_nv headers[] = { HEADER(":method", "POST"), HEADER(":scheme", "http"), HEADER(":path", path),
				       HEADER(":authority", "localhost"), HEADER("content-type", "application/grpc"),
				       HEADER("te", "trailers"), HEADER("user-agent", "postern/" POSTERN_VERSION) };
	const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
						    { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW } };
	const nghttp2_data_provider body = { .read_callback = read_request };
	nghttp2_session_callbacks *callbacks;
	nghttp2_session *session = NULL;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_session_client_new(&session, callbacks, c);
	nghttp2_session_callbacks_del(callbacks);
	if (!session || nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) != 0 ||
	    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, WINDOW) != 0)
		return NULL;
	c->stream = nghttp2_submit_request(session, NULL, headers, ARRAY_LEN(headers), &body, NULL);
	return c->stream > 0 ? session : NULL;
}

static int
send_all(nghttp2_session *session, struct call *c)
{
	const uint8_t *data;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(session, &data)) > 0) {
		int err = util_write_all(CONNECTION, data, (size_t)n);

		if (err < 0)
			return podres_fail(c->a, err, "the connection broke: %s", strerror(-err));
	}
	return n < 0 ? podres_fail(c->a, -EPROTO, "HTTP/2: %s", nghttp2_strerror((int)n)) : 0;
}

/* Until the stream is closed. */
static int
exchange(nghttp2_session *session, struct call *c)
{
	static uint8_t buf[16384];
	int err;

	while ((err = send_all(session, c)) == 0 && !c->closed && !c->too_long) {
		ssize_t n, used;

		if (!nghttp2_session_want_read(session))
			return podres_fail(c->a, -EPROTO, "it does not speak HTTP/2");
		n = read(CONNECTION, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return podres_fail(c->a, -errno, "the connection broke: %s", strerror(errno));
		if (n == 0)
			return podres_fail(c->a, -ECONNRESET, "it hung up before it had answered");
		used = nghttp2_session_mem_recv(session, buf, (size_t)n);
		if (used != n)
			return podres_fail(c->a, -EPROTO, "it does not speak HTTP/2: %s",
					   nghttp2_strerror(used < 0 ? (int)used : NGHTTP2_ERR_PROTO));
	}
	return err;
}

/* What the answer means. gRPC statuses 8 and 14: it is busy, or not yet up. */
static int
judge(const struct call *c, const void **message, size_t *len)
{
	uint32_t n;

	if (c->too_long)
		return podres_fail(c->a, -EFBIG, "its answer is longer than %u bytes", PODRES_MAX);
	if (c->grpc > 0)
		return podres_fail(c->a, c->grpc == 8 || c->grpc == 14 ? -EBUSY : -EIO, "gRPC status %d: %s", c->grpc, c->said);
	if (c->status != 200 || !c->is_grpc)
		return podres_fail(c->a, -EPROTO, "it does not speak gRPC: HTTP status %u", c->status);
	if (c->why != NGHTTP2_NO_ERROR || c->grpc < 0)
		return podres_fail(c->a, -EPROTO, "it broke its answer off: %s",
				   c->why ? nghttp2_http2_strerror(c->why) : "no gRPC status");
	if (c->len < PREFIX)
		return podres_fail(c->a, -EPROTO, "its answer is empty");
	n = (uint32_t)c->body[1] << 24 | (uint32_t)c->body[2] << 16 | (uint32_t)c->body[3] << 8 | c->body[4];
	if (c->body[0] != 0 || n != c->len - PREFIX)
		return podres_fail(c->a, -EPROTO, "its answer is not one plain message of the length that it says");
	*message = c->body + PREFIX;
	*len = n;
	return 0;
}

int
grpc_call(const char *path, const void **message, size_t *len, struct podres_answer *a)
{
	struct call c = { .a = a, .grpc = -1 };
	nghttp2_session *session = begin(&c, path);

	if (!session)
		return podres_fail(a, -ENOMEM, "out of memory");
	return exchange(session, &c) ?: judge(&c, message, len);
}
