/* Requests: their way through nghttp2 and the bounds on what comes back.
 * Runs in: kube.  Trusts: nghttp2 for the framing; nothing that the server says.
 * A stream may be gone after any on_data() or on_end(): they may cancel. nghttp2 knows a stream as its user data, which is taken away
 * first; so what still comes for it is ignored. */
#include "kubeclient/stream.h"

#include <stdio.h>

#include "netpriv/util.h"

static void
drop_stream(struct h2 *h, struct stream *s)
{
	struct stream **p = &h->streams;

	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	if (h->session)
		nghttp2_session_set_stream_user_data(h->session, s->id, NULL);
	free(s->body);
	free(s->got);
	free(s);
}

/* The server has certainly not seen a request of which TLS has not taken the first byte. */
static bool
has_left(const struct h2 *h, const struct stream *s)
{
	return s->begun && h->gone > s->from;
}

static void
end_stream(struct h2 *h, struct stream *s, int error)
{
	void (*on_end)(void *, const struct h2_answer *) = s->on_end;
	struct h2_answer a = s->a;
	char *got = s->got;
	void *ctx = s->ctx;

	a.error = error;
	a.body = error ? NULL : got;
	a.len = error ? 0 : s->used;
	s->got = NULL;
	drop_stream(h, s);
	on_end(ctx, &a);
	free(got);
}

static void
reset_stream(struct h2 *h, struct stream *s, int error)
{
	nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
	end_stream(h, s, error);
}

void
stream_cancel(struct h2 *h, int32_t id)
{
	struct stream *s = h->streams;

	while (s && s->id != id)
		s = s->next;
	if (!s)
		return;
	if (h->session)
		nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
	drop_stream(h, s);
}

void
stream_end_all(struct h2 *h, int error)
{
	while (h->streams)
		end_stream(h, h->streams, has_left(h, h->streams) ? error : -EAGAIN);
}

/* Sending. */

static ssize_t
read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t size, uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
	struct stream *s = nghttp2_session_get_stream_user_data(session, id);
	size_t n;

	(void)source;
	(void)ctx;
	if (!s)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = s->len - s->sent < size ? s->len - s->sent : size;
	memcpy(buf, s->body + s->sent, n);
	s->sent += n;
	if (s->sent == s->len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static void
add_field(nghttp2_nv *fields, size_t *n, const char *name, const char *value, uint8_t flags)
{
	if (!value)
		return;
	fields[(*n)++] = (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name, .namelen = strlen(name),
				       .value = (uint8_t *)(uintptr_t)value, .valuelen = strlen(value), .flags = flags };
}

static int32_t
submit(struct h2 *h, const struct h2_request *r, struct stream *s)
{
	/* The token is not copied by nghttp2, and not kept by either side's compression. */
	const uint8_t secret = NGHTTP2_NV_FLAG_NO_INDEX | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
	nghttp2_data_provider provider = { .read_callback = read_body };
	nghttp2_nv fields[10];
	char length[24];
	size_t n = 0;

	snprintf(length, sizeof(length), "%zu", r->len);
	add_field(fields, &n, ":method", r->method, 0);
	add_field(fields, &n, ":scheme", "https", 0);
	add_field(fields, &n, ":authority", h->authority, 0);
	add_field(fields, &n, ":path", r->path, 0);
	add_field(fields, &n, "user-agent", "postern/" POSTERN_VERSION, 0);
	add_field(fields, &n, "accept", r->accept, 0);
	add_field(fields, &n, "content-type", r->type, 0);
	add_field(fields, &n, "content-length", r->len > 0 ? length : NULL, 0);
	add_field(fields, &n, "authorization", h->bearer, secret);
	return nghttp2_submit_request(h->session, NULL, fields, n, r->len > 0 ? &provider : NULL, s);
}

int32_t
stream_open(struct h2 *h, const struct h2_request *r)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (s && r->len > 0)
		s->body = malloc(r->len);
	if (!s || (r->len > 0 && !s->body)) {
		free(s);
		return -ENOMEM;
	}
	if (r->len > 0)
		memcpy(s->body, r->body, r->len);
	s->len = r->len;
	s->max = r->max;
	s->on_data = r->on_data;
	s->on_end = r->on_end;
	s->ctx = r->ctx;
	s->id = submit(h, r, s);
	if (s->id < 0) {
		int32_t error = s->id == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EAGAIN;

		free(s->body);
		free(s);
		return error;
	}
	s->next = h->streams;
	h->streams = s;
	h->open++;
	return s->id;
}

static int
before_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
	struct h2 *h = ctx;
	struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	if (frame->hd.type == NGHTTP2_HEADERS && s) {
		s->begun = true;
		s->from = h->made;
	}
	/* nghttp2 sends this by itself only, when the server has broken the protocol. */
	if (frame->hd.type == NGHTTP2_GOAWAY)
		snprintf(h->fault, sizeof(h->fault), "it breaks the rules of HTTP/2 (%s%s%.*s)",
			 nghttp2_http2_strerror(frame->goaway.error_code), frame->goaway.opaque_data_len ? ": " : "",
			 (int)frame->goaway.opaque_data_len, (const char *)frame->goaway.opaque_data);
	return 0;
}

/* Receiving. */

static int
count_useless(struct h2 *h)
{
	if (++h->useless <= STREAM_USELESS)
		return 0;
	snprintf(h->fault, sizeof(h->fault), "it floods us with frames that carry nothing (more than %u in a second)", STREAM_USELESS);
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* DATA is looked at when it is there: it may be all padding. */
static int
begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *ctx)
{
	if (hd->type == NGHTTP2_DATA ||
	    (hd->type == NGHTTP2_HEADERS && nghttp2_session_get_stream_user_data(session, hd->stream_id)))
		return 0;
	return count_useless(ctx);
}

static int
begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
	struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)ctx;
	/* What an interim answer said is void. */
	if (s && !s->final)
		s->a = (struct h2_answer){ 0 };
	return 0;
}

/* Decimal digits only, cut at 999999; anything else is 0. */
static unsigned
read_number(nghttp2_vec v)
{
	unsigned n = 0;

	for (size_t i = 0; i < v.len; i++) {
		if (v.base[i] < '0' || v.base[i] > '9')
			return 0;
		n = n > 99999 ? 999999 : n * 10 + (v.base[i] - '0');
	}
	return n;
}

static void
keep_field(struct h2_answer *a, nghttp2_vec name, nghttp2_vec value)
{
	const char *key = (const char *)name.base;

	if (name.len == 7 && memcmp(key, ":status", 7) == 0) {
		a->status = read_number(value);
	} else if (name.len == 11 && memcmp(key, "retry-after", 11) == 0) {
		a->retry_after = read_number(value);
	} else if (name.len == 12 && memcmp(key, "content-type", 12) == 0) {
		size_t n = value.len < sizeof(a->type) - 1 ? value.len : sizeof(a->type) - 1;

		memcpy(a->type, value.base, n);
		a->type[n] = '\0';
	}
}

static int
take_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *ctx)
{
	nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
	struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)flags;
	if (!s)
		return 0;
	/* At most 64 KiB each, says nghttp2: the sum cannot overflow. */
	s->header_bytes += n.len + v.len + 32;
	if (++s->headers > STREAM_HEADERS || s->header_bytes > STREAM_HEADER_BYTES) {
		reset_stream(ctx, s, -EPROTO);
		return 0;
	}
	if (!s->final)
		keep_field(&s->a, n, v);
	return 0;
}

/* Room for len bytes more. 0 or -errno. */
static int
grow_body(struct stream *s, size_t len)
{
	size_t room = s->room ? s->room : 4096;
	char *bigger;

	if (len > s->max || s->used > s->max - len)
		return -EMSGSIZE;
	while (room < s->used + len)
		room *= 2;
	if (room == s->room)
		return 0;
	bigger = realloc(s->got, room);
	if (!bigger)
		return -ENOMEM;
	s->got = bigger;
	s->room = room;
	return 0;
}

static int
take_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *ctx)
{
	struct stream *s = nghttp2_session_get_stream_user_data(session, id);
	int rc;

	(void)flags;
	if (!s || len == 0)
		return 0;
	if (s->on_data) {
		s->on_data(s->ctx, (const char *)data, len);
		return 0;
	}
	rc = grow_body(s, len);
	if (rc < 0) {
		reset_stream(ctx, s, rc);
		return 0;
	}
	memcpy(s->got + s->used, data, len);
	s->used += len;
	return 0;
}

static void
hear_goaway(struct h2 *h, const nghttp2_goaway *g)
{
	char text[64] = "";
	struct stream *s, *next;

	if (g->opaque_data_len > 0)
		memcpy(text, g->opaque_data, g->opaque_data_len < sizeof(text) ? g->opaque_data_len : sizeof(text) - 1);
	h->leaving = true;
	util_escape(h->goodbye, sizeof(h->goodbye), text[0] ? text : nghttp2_http2_strerror(g->error_code));
	/* Those above the last stream that it looks at are closed by nghttp2; those that wait in our own queue are not. */
	for (s = h->streams; s; s = next) {
		next = s->next;
		if (s->begun)
			continue;
		reset_stream(h, s, -EAGAIN);
		/* on_end() may have cancelled any other. */
		next = h->streams;
	}
}

static void
hear_stream(struct h2 *h, struct stream *s, const nghttp2_frame *frame)
{
	bool bad = false;

	if (frame->hd.type == NGHTTP2_RST_STREAM) {
		end_stream(h, s, frame->rst_stream.error_code == NGHTTP2_REFUSED_STREAM ? -EAGAIN : -ECONNRESET);
		return;
	}
	/* nghttp2 is content with any three digits. */
	if (frame->hd.type == NGHTTP2_HEADERS && !s->final) {
		bad = s->a.status < 100 || s->a.status > 599;
		s->final = s->a.status >= 200;
	}
	/* The whole answer; or a stream that will not come, whose body is not worth waiting for. A request that is still being sent is
	 * answered before its end and goes no further. */
	if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && s->sent == s->len)
		end_stream(h, s, bad ? -EPROTO : 0);
	else if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) || bad || (s->on_data && s->final && s->a.status / 100 != 2))
		reset_stream(h, s, bad ? -EPROTO : 0);
}

static int
hear_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
	struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	struct h2 *h = ctx;

	if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK) && h->phase == PHASE_SETTINGS)
		h->phase = PHASE_OPEN;
	else if (frame->hd.type == NGHTTP2_GOAWAY)
		hear_goaway(h, &frame->goaway);
	else if (s && frame->hd.stream_id > 0)
		hear_stream(h, s, frame);
	return frame->hd.type == NGHTTP2_DATA && frame->hd.length == frame->data.padlen ? count_useless(h) : 0;
}

/* Whatever did not end above: GOAWAY, our own reset of a malformed answer, a request that cannot be sent any more. */
static int
close_stream(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
	struct stream *s = nghttp2_session_get_stream_user_data(session, id);
	struct h2 *h = ctx;

	h->open--;
	if (s)
		end_stream(h, s, code == NGHTTP2_REFUSED_STREAM || !has_left(h, s) ? -EAGAIN : -EPROTO);
	return 0;
}

static nghttp2_session_callbacks *
make_callbacks(void)
{
	nghttp2_session_callbacks *c;

	if (nghttp2_session_callbacks_new(&c) != 0)
		return NULL;
	nghttp2_session_callbacks_set_before_frame_send_callback(c, before_frame);
	nghttp2_session_callbacks_set_on_begin_frame_callback(c, begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(c, take_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, take_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, hear_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, close_stream);
	return c;
}

int
stream_begin(struct h2 *h)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 4096 },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, STREAM_HEADER_BYTES },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20 },
	};
	nghttp2_session_callbacks *callbacks = make_callbacks();
	nghttp2_option *option = NULL;
	int rc = callbacks ? nghttp2_option_new(&option) : NGHTTP2_ERR_NOMEM;

	if (rc == 0) {
		nghttp2_option_set_max_outbound_ack(option, 64);
		nghttp2_option_set_no_closed_streams(option, 1);
		rc = nghttp2_session_client_new2(&h->session, callbacks, h, option);
	}
	if (rc == 0)
		rc = nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
	if (rc == 0)
		rc = nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, 8 << 20);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	return rc == 0 ? 0 : -ENOMEM;
}
