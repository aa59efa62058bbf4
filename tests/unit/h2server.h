/* An HTTP/2 server over TLS in the test's own thread: it moves when turn() is called. It keeps the rules, and breaks them on request:
 * raw bytes go out between its frames. Certificates are made here and live in memory only. */
#ifndef TEST_H2SERVER_H
#define TEST_H2SERVER_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "kubeclient/h2.h"
#include "netpriv/util.h"

struct id {
	X509 *cert;
	EVP_PKEY *key;
	char pem[4096], key_pem[2048];
};

/* What a certificate says; 0 = the usual. */
struct claims {
	const char *name, *san, *basic;
	long from, to;
	int serial;
};

struct reply {
	struct reply *next;
	size_t len, sent;
	char body[];
};

struct server {
	int fd;
	SSL *ssl;
	nghttp2_session *session;
	bool shaken, deaf, mute, over; /* deaf: reads nothing; mute: speaks no HTTP/2 */
	void (*answer)(struct server *, int32_t id);
	uint8_t *out;
	size_t out_len, out_room;
	/* Of the last request, and of all. */
	char method[16], path[64], auth[256], agent[64], accept[64], authority[64], body_start[16];
	size_t body_len;
	struct reply *replies;
	unsigned requests, pings, resets;
	uint32_t reset_code;
	int32_t last;
};

static inline void
pem_of(struct id *id)
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert_true(PEM_write_bio_X509(bio, id->cert));
	assert_true(BIO_read(bio, id->pem, sizeof(id->pem) - 1) > 0);
	assert_true(PEM_write_bio_PrivateKey(bio, id->key, NULL, NULL, 0, NULL, NULL));
	assert_true(BIO_read(bio, id->key_pem, sizeof(id->key_pem) - 1) > 0);
	BIO_free(bio);
}

static inline void
add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_true(X509_add_ext(x, e, -1));
	X509_EXTENSION_free(e);
}

/* By is the issuer; NULL = itself. */
static inline void
make_id(struct id *id, const struct id *by, const struct claims *c)
{
	static int serial = 1;
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	id->key = EVP_EC_gen("P-256");
	id->cert = x;
	assert_true(X509_set_version(x, 2) && ASN1_INTEGER_set(X509_get_serialNumber(x), serial++));
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), c->from ? c->from : -3600));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), c->to ? c->to : 3600));
	assert_true(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)c->name, -1, -1, 0));
	assert_true(X509_set_issuer_name(x, by ? X509_get_subject_name(by->cert) : name) && X509_set_pubkey(x, id->key));
	if (c->basic)
		add_extension(x, NID_basic_constraints, c->basic);
	if (c->san)
		add_extension(x, NID_subject_alt_name, c->san);
	assert_true(X509_sign(x, by ? by->key : id->key, EVP_sha256()));
	pem_of(id);
}

static inline void
free_id(struct id *id)
{
	X509_free(id->cert);
	EVP_PKEY_free(id->key);
}

/* Raw bytes into what goes out. */
static inline void
say(struct server *s, const void *data, size_t len)
{
	while (s->out_len + len > s->out_room) {
		s->out_room = s->out_room ? 2 * s->out_room : 65536;
		s->out = realloc(s->out, s->out_room);
		assert_non_null(s->out);
	}
	memcpy(s->out + s->out_len, data, len);
	s->out_len += len;
}

/* A frame of one's own making. */
static inline void
say_frame(struct server *s, uint8_t type, uint8_t flags, int32_t id, const void *payload, size_t len)
{
	const uint8_t head[] = { (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, type, flags,
				 (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id };

	say(s, head, sizeof(head));
	if (len > 0)
		say(s, payload, len);
}

static inline void
flush_session(struct server *s)
{
	const uint8_t *data;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(s->session, &data)) > 0)
		say(s, data, (size_t)n);
}

static inline ssize_t
give_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t size, uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
	struct reply *r = source->ptr;
	size_t n = r->len - r->sent < size ? r->len - r->sent : size;

	(void)session;
	(void)id;
	(void)ctx;
	memcpy(buf, r->body + r->sent, n);
	r->sent += n;
	if (r->sent == r->len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static inline nghttp2_nv
field(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value), 0 };
}

/* name and value may be NULL. */
static inline void
respond(struct server *s, int32_t id, const char *status, const char *name, const char *value, const char *body, size_t len)
{
	nghttp2_nv fields[] = { field(":status", status), field(name ? name : "x-nothing", value ? value : "") };
	struct reply *r = calloc(1, sizeof(*r) + len);
	nghttp2_data_provider provider = { .source.ptr = r, .read_callback = give_body };

	assert_non_null(r);
	memcpy(r->body, body, len);
	r->len = len;
	r->next = s->replies;
	s->replies = r;
	assert_int_equal(nghttp2_submit_response(s->session, id, fields, 2, &provider), 0);
}

static inline void
copy_text(char *to, size_t size, const uint8_t *from, size_t len)
{
	assert_true(len < size);
	memcpy(to, from, len);
	to[len] = '\0';
}

static inline int
hear_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len, const uint8_t *value,
	    size_t value_len, uint8_t flags, void *ctx)
{
	struct server *s = ctx;
	const struct {
		const char *name;
		char *to;
		size_t size;
	} known[] = { { ":method", s->method, sizeof(s->method) },  { ":path", s->path, sizeof(s->path) },
		      { "authorization", s->auth, sizeof(s->auth) }, { "user-agent", s->agent, sizeof(s->agent) },
		      { "accept", s->accept, sizeof(s->accept) },    { ":authority", s->authority, sizeof(s->authority) } };

	(void)session;
	(void)frame;
	(void)name_len;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(known[i].name, (const char *)name) == 0)
			copy_text(known[i].to, known[i].size, value, value_len);
	if (strcmp((const char *)name, "authorization") == 0)
		assert_true(flags & NGHTTP2_NV_FLAG_NO_INDEX);
	return 0;
}

static inline int
hear_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *ctx)
{
	struct server *s = ctx;

	(void)session;
	(void)flags;
	(void)id;
	if (s->body_len == 0 && len >= sizeof(s->body_start))
		memcpy(s->body_start, data, sizeof(s->body_start) - 1);
	s->body_len += len;
	return 0;
}

static inline int
hear_any(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
	struct server *s = ctx;
	bool asks = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;

	(void)session;
	if (frame->hd.type == NGHTTP2_PING && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
		s->pings++;
	if (frame->hd.type == NGHTTP2_RST_STREAM) {
		s->resets++;
		s->reset_code = frame->rst_stream.error_code;
	}
	if (!asks || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	s->requests++;
	s->last = frame->hd.stream_id;
	if (s->answer)
		s->answer(s, s->last);
	return 0;
}

static inline void
start_session(struct server *s, uint32_t max_streams)
{
	const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, max_streams } };
	nghttp2_session_callbacks *c;

	assert_int_equal(nghttp2_session_callbacks_new(&c), 0);
	nghttp2_session_callbacks_set_on_header_callback(c, hear_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, hear_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, hear_any);
	assert_int_equal(nghttp2_session_server_new(&s->session, c, s), 0);
	nghttp2_session_callbacks_del(c);
	assert_int_equal(nghttp2_submit_settings(s->session, 0, settings, 1), 0);
}

static inline int
pick_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg)
{
	(void)ssl;
	(void)arg;
	assert_true(in_len == 3 && memcmp(in, "\2h2", 3) == 0);
	*out = in + 1;
	*out_len = 2;
	return SSL_TLSEXT_ERR_OK;
}

static inline int
accept_any(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	return 1;
}

struct server_setup {
	const struct id *id;
	bool no_alpn, ask_cert;
	int version; /* most, 0 = any */
	uint32_t max_streams;
};

static inline void
start_server(struct server *s, int fd, const struct server_setup *u)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	assert_true(SSL_CTX_use_certificate(context, u->id->cert) && SSL_CTX_use_PrivateKey(context, u->id->key));
	assert_true(SSL_CTX_set_max_proto_version(context, u->version));
	if (!u->no_alpn)
		SSL_CTX_set_alpn_select_cb(context, pick_h2, NULL);
	if (u->ask_cert)
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	s->fd = fd;
	s->ssl = SSL_new(context);
	SSL_CTX_free(context);
	assert_non_null(s->ssl);
	SSL_set_fd(s->ssl, fd);
	SSL_set_accept_state(s->ssl);
	start_session(s, u->max_streams ? u->max_streams : 1000);
}

static inline void
server_say(struct server *s)
{
	while (s->out_len > 0 && !s->over) {
		int n = SSL_write(s->ssl, s->out, (int)s->out_len);

		if (n <= 0) {
			int kind = SSL_get_error(s->ssl, n);

			s->over = kind != SSL_ERROR_WANT_WRITE && kind != SSL_ERROR_WANT_READ;
			return;
		}
		s->out_len -= (size_t)n;
		memmove(s->out, s->out + n, s->out_len);
	}
}

static inline void
move_server(struct server *s)
{
	static uint8_t buf[16384];
	int n = 1;

	ERR_clear_error();
	if (!s->ssl || s->over)
		return;
	if (!s->shaken) {
		n = SSL_do_handshake(s->ssl);
		s->shaken = n == 1;
		s->over = n != 1 && SSL_get_error(s->ssl, n) != SSL_ERROR_WANT_READ;
		return;
	}
	while (!s->deaf && (n = SSL_read(s->ssl, buf, sizeof(buf))) > 0)
		/* What a client hears on raw frames may confuse this side; it does not matter any more then. */
		if (nghttp2_session_mem_recv(s->session, buf, (size_t)n) < 0)
			break;
	if (n <= 0 && SSL_get_error(s->ssl, n) != SSL_ERROR_WANT_READ)
		s->over = true;
	if (!s->mute)
		flush_session(s);
	server_say(s);
}

/* SIGPIPE is this side's affair; the client has to live with it as it is by default. */
static inline void
server_turn(struct server *s)
{
	signal(SIGPIPE, SIG_IGN);
	move_server(s);
	signal(SIGPIPE, SIG_DFL);
}

static inline void
server_close(struct server *s)
{
	SSL_free(s->ssl);
	s->ssl = NULL;
	util_close_cleanup(&s->fd);
	s->fd = -1;
}

static inline void
stop_server(struct server *s)
{
	server_close(s);
	nghttp2_session_del(s->session);
	free(s->out);
	for (struct reply *r = s->replies, *next; r; r = next) {
		next = r->next;
		free(r);
	}
	*s = (struct server){ .fd = -1 };
}

#endif
