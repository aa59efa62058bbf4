/* A server against the HTTP/2 client, without TLS: h2.c and stream.c over memory. The input is a script, a line a step; %XX is any byte.
 *   >[flags][max]            a request: d streamed, b with a body, c cancels itself at its first callback, o cancels the oldest,
 *                            s sends another; max in bytes
 *   !<n>                     the caller cancels stream n        ?   the caller doubts
 *   |                        from now on the server takes nothing; again: it does
 *   ~                        from now on it takes a few bytes at a time; again: all
 *   S H D R P G W C U<n>[flags] payload      a frame of stream n: SETTINGS, HEADERS, DATA, RST_STREAM, PING, GOAWAY, WINDOW_UPDATE,
 *                            CONTINUATION, PUSH_PROMISE; e END_STREAM or ACK, m more headers follow, p padded.
 *                            H, C: "name=value name=value"
 *   anything else            bytes of the server as they are
 * An input that begins with a NUL byte: all that the server says, two requests being open. */
#include <ctype.h>
#include <string.h>

#include "kubeclient/stream.h"
#include "netpriv/util.h"
#include "tests/fuzz/fuzz.h"

#define REQUESTS 24
#define BYTES (64u << 10)

struct request {
	int32_t id; /* 0: never sent */
	bool ended, cancelled, streamed;
	bool cancels_self, cancels_oldest, sends;
	size_t max, heard;
};

static struct {
	struct h2 *h;
	struct request list[REQUESTS];
	unsigned n;
	bool blocked, slow;
	size_t used, taken; /* of bytes: the server's */
	char bytes[BYTES];
} s;

/* In place of tls.c. */

int
tls_init(void)
{
	return 0;
}

SSL_CTX *
tls_context(const char *ca, size_t ca_len, const char *cert, size_t cert_len, const char *key, size_t key_len, char *why, size_t size)
{
	(void)ca, (void)ca_len, (void)cert, (void)cert_len, (void)key, (void)key_len, (void)why, (void)size;
	return NULL;
}

int
tls_open(struct tls *t, int fd, SSL_CTX *context, const char *name, char *why, size_t size)
{
	(void)context, (void)name, (void)why, (void)size;
	t->fd = fd;
	return 0;
}

int
tls_handshake(struct tls *t, char *why, size_t size)
{
	(void)t, (void)why, (void)size;
	return 0;
}

ssize_t
tls_read(struct tls *t, void *buf, size_t len, char *why, size_t size)
{
	size_t n = s.used - s.taken < len ? s.used - s.taken : len;

	(void)why, (void)size;
	t->want = POLLIN;
	if (n == 0)
		return -EAGAIN;
	memcpy(buf, s.bytes + s.taken, n);
	s.taken += n;
	return (ssize_t)n;
}

ssize_t
tls_write(struct tls *t, const void *buf, size_t len, char *why, size_t size)
{
	(void)buf, (void)why, (void)size;
	t->want = POLLOUT;
	if (s.slow && len > 7)
		len = 7;
	return s.blocked ? -EAGAIN : (ssize_t)len;
}

void
tls_close(struct tls *t)
{
	t->fd = -1;
}

int
SSL_pending(const SSL *ssl)
{
	(void)ssl;
	return 0;
}

/* The caller. */

static void begin_request(const char *flags);

static void
cancel(struct request *r)
{
	if (r->id <= 0 || r->ended || r->cancelled)
		return;
	r->cancelled = true;
	h2_cancel(s.h, r->id);
}

static void
act(struct request *r)
{
	if (r->cancels_self && !r->ended)
		cancel(r);
	for (unsigned i = 0; r->cancels_oldest && i < s.n; i++)
		if (s.list[i].id > 0 && !s.list[i].ended && !s.list[i].cancelled) {
			cancel(&s.list[i]);
			break;
		}
	if (r->sends)
		begin_request("");
}

static void
on_data(void *ctx, const char *data, size_t len)
{
	struct request *r = ctx;

	MUST(r->streamed && !r->ended && !r->cancelled && len > 0);
	MUST(memchr(data, data[len - 1], len));
	r->heard += len;
	act(r);
}

static void
on_end(void *ctx, const struct h2_answer *a)
{
	struct request *r = ctx;

	MUST(!r->ended && !r->cancelled);
	r->ended = true;
	MUST(a->error == 0 || a->error == -EAGAIN || a->error == -ECONNRESET || a->error == -EMSGSIZE || a->error == -EPROTO);
	MUST(a->error || (a->status >= 200 && a->status <= 599));
	MUST(a->retry_after <= 999999 && memchr(a->type, '\0', sizeof(a->type)));
	MUST(!a->error || (!a->body && a->len == 0));
	MUST(a->len <= r->max && (a->body || a->len == 0));
	MUST(a->len == 0 || memchr(a->body, a->body[a->len - 1], a->len));
	MUST(!r->streamed || (a->error != -EMSGSIZE && !a->body));
	/* What was handed on as it came was the object, not the text of an error. */
	MUST(a->error || r->heard == 0 || a->status / 100 == 2);
	act(r);
}

static void
begin_request(const char *flags)
{
	struct request *r = &s.list[s.n];
	struct h2_request q = { .method = "GET", .path = "/api/v1/pods", .accept = "application/json", .on_end = on_end, .ctx = r };
	unsigned room = h2_room(s.h);
	bool body = false;

	if (s.n == REQUESTS)
		return;
	*r = (struct request){ .max = 100 };
	for (; *flags && !isdigit((unsigned char)*flags); flags++) {
		r->streamed |= *flags == 'd';
		r->cancels_self |= *flags == 'c';
		r->cancels_oldest |= *flags == 'o';
		r->sends |= *flags == 's';
		body |= *flags == 'b';
	}
	if (*flags)
		r->max = strtoul(flags, NULL, 10) % (1 << 20);
	if (body) {
		static const char filler[40000];

		q.method = "PATCH";
		q.type = "application/merge-patch+json";
		q.body = filler;
		q.len = r->max * 100 < sizeof(filler) ? r->max * 100 : sizeof(filler);
	}
	q.max = r->max;
	q.on_data = r->streamed ? on_data : NULL;
	s.n++;
	r->id = h2_send(s.h, &q);
	MUST(room > 0 ? r->id > 0 : r->id == -EAGAIN);
}

static void
cancel_stream(const char *number)
{
	long id = strtol(number, NULL, 10);

	for (unsigned i = 0; i < s.n; i++)
		if (s.list[i].id == id)
			cancel(&s.list[i]);
}

/* The server. */

static void
say(const void *bytes, size_t len)
{
	if (s.taken == s.used)
		s.taken = s.used = 0;
	len = len < BYTES - s.used ? len : BYTES - s.used;
	memcpy(s.bytes + s.used, bytes, len);
	s.used += len;
}

/* "name=value name=value" as literal fields. Returns the length; no more than three times that of the text. */
static size_t
pack_headers(const char *text, size_t len, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len;) {
		const char *from = text + i, *end = memchr(from, ' ', len - i);
		size_t all = end ? (size_t)(end - from) : len - i;
		const char *split = all > 1 ? memchr(from + 1, '=', all - 1) : NULL;
		size_t name = split ? (size_t)(split - from) : all, value = split ? all - name - 1 : 0;

		i += all + 1;
		if (name == 0 || name > 126 || value > 126)
			continue;
		out[n++] = 0;
		out[n++] = (uint8_t)name;
		memcpy(out + n, from, name);
		n += name;
		out[n++] = (uint8_t)value;
		memcpy(out + n, split ? split + 1 : from, value);
		n += value;
	}
	return n;
}

static void
say_frame(uint8_t type, char *line)
{
	static uint8_t frame[9 + 1 + 3 * BYTES];
	uint8_t flags = type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION || type == NGHTTP2_PUSH_PROMISE ? NGHTTP2_FLAG_END_HEADERS
													       : 0;
	uint32_t stream = (uint32_t)strtoul(line, &line, 10) & 0x7fffffff;
	size_t len, n = 9;

	for (; *line && *line != ' '; line++) {
		flags |= *line == 'e' ? NGHTTP2_FLAG_END_STREAM : 0;
		flags &= *line == 'm' ? (uint8_t)~NGHTTP2_FLAG_END_HEADERS : 0xff;
		flags |= *line == 'p' ? NGHTTP2_FLAG_PADDED : 0;
	}
	line += *line == ' ';
	len = fuzz_unescape(line);
	if (flags & NGHTTP2_FLAG_PADDED)
		frame[n++] = 0;
	if (type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION) {
		n += pack_headers(line, len, frame + n);
	} else {
		memcpy(frame + n, line, len);
		n += len;
	}
	memcpy(frame, (const uint8_t[]){ (uint8_t)((n - 9) >> 16), (uint8_t)((n - 9) >> 8), (uint8_t)(n - 9), type, flags,
					 (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream }, 9);
	say(frame, n);
}

/* What is known is what the caller waits for. Once all is said that is what the server knows as well: a stream that only it knows would
 * take its place for ever. */
static void
check_open(bool all_said)
{
	unsigned waiting = 0, known = 0;

	for (unsigned i = 0; i < s.n; i++)
		waiting += s.list[i].id > 0 && !s.list[i].ended && !s.list[i].cancelled;
	for (const struct stream *p = s.h->streams; p; p = p->next) {
		MUST(p->used <= p->room && p->used <= p->max);
		known++;
	}
	MUST(known == waiting && h2_open(s.h) >= waiting);
	MUST(!all_said || h2_open(s.h) == waiting);
}

/* One turn of the loop. False: the connection is over. */
static bool
turn(void)
{
	char why[160] = "";
	struct pollfd p;
	int64_t due;
	int rc = h2_run(s.h, POLLIN | POLLOUT, why, sizeof(why));

	h2_poll(s.h, &p, &due);
	check_open(rc == 0 && !s.blocked && !(p.events & POLLOUT));
	MUST(rc == 0 || rc == -EAGAIN || (why[0] && memchr(why, '\0', sizeof(why))));
	return rc == 0 || rc == -EAGAIN;
}

static bool
step(char *line)
{
	static const char frames[] = "DHxRSUPGWC"; /* by their numbers; x: PRIORITY */
	const char *frame = *line && *line != 'x' ? strchr(frames, *line) : NULL;

	switch (*line) {
	case '>':
		begin_request(line + 1);
		break;
	case '!':
		cancel_stream(line + 1);
		break;
	case '?':
		h2_doubt(s.h);
		break;
	case '|':
		s.blocked = !s.blocked;
		break;
	case '~':
		s.slow = !s.slow;
		break;
	default:
		if (frame)
			say_frame((uint8_t)(frame - frames), line + 1);
		else
			say(line, fuzz_unescape(line));
	}
	return turn();
}

static void
run_script(const uint8_t *data, size_t size)
{
	cleanup_free char *text = fuzz_text(data, size);
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line && step(line); line = strtok_r(NULL, "\n", &rest))
		;
}

static void
run_bytes(const uint8_t *data, size_t size)
{
	say_frame(NGHTTP2_SETTINGS, (char[]){ "" });
	if (!turn())
		return;
	begin_request("");
	begin_request("do");
	say(data, size);
	turn();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct h2_times times = { 1 << 20, 1 << 20, 1 << 20 };
	char why[160] = "";

	s.n = 0;
	s.blocked = s.slow = false;
	s.used = s.taken = 0;
	s.h = h2_new(-1, NULL, "api.example", "api.example:6443", "t0ken", &times, why, sizeof(why));
	MUST(s.h);
	s.h->phase = PHASE_TLS;
	if (size > 0 && data[0] == 0)
		run_bytes(data + 1, size - 1);
	else
		run_script(data, size);
	h2_free(s.h);
	for (unsigned i = 0; i < s.n; i++)
		MUST(s.list[i].id <= 0 || s.list[i].ended != s.list[i].cancelled);
	return 0;
}
