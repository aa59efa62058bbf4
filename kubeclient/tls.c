/* TLS for the connection to the API server.
 * Runs in: kube.  Trusts: the given CA, for the given name.
 * No file is opened after tls_init(): no openssl.cnf, no default CA, no session, no engine. */
#include "kubeclient/tls.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "netpriv/util.h"

static const unsigned char alpn[] = { 2, 'h', '2' };
static BIO_METHOD *method;

/* The socket as a BIO of ours: sendmsg with MSG_NOSIGNAL, so that a closed connection is an error and no signal whatever the process
 * does with SIGPIPE, and errno is kept until somebody explains it. */
static int
move_bytes(BIO *bio, void *buf, int len, bool out)
{
	struct tls *t = BIO_get_data(bio);
	struct iovec iov = { .iov_base = buf, .iov_len = len > 0 ? (size_t)len : 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	BIO_clear_retry_flags(bio);
	do {
		n = out ? sendmsg(t->fd, &msg, MSG_NOSIGNAL) : recvmsg(t->fd, &msg, 0);
	} while (n < 0 && errno == EINTR);
	t->error = 0;
	if (n < 0 && errno == EAGAIN) {
		if (out)
			BIO_set_retry_write(bio);
		else
			BIO_set_retry_read(bio);
	} else if (n < 0) {
		t->error = errno;
	} else if (n == 0 && !out) {
		t->eof = true;
	}
	return (int)n;
}

static int
write_bio(BIO *bio, const char *buf, int len)
{
	return move_bytes(bio, (void *)(uintptr_t)buf, len, true);
}

static int
read_bio(BIO *bio, char *buf, int len)
{
	return move_bytes(bio, buf, len, false);
}

static long
control_bio(BIO *bio, int cmd, long num, void *ptr)
{
	const struct tls *t = BIO_get_data(bio);

	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH ? 1 : cmd == BIO_CTRL_EOF ? t->eof : 0;
}

static int
make_method(void)
{
	int type = BIO_get_new_index();

	method = type < 0 ? NULL : BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "socket");
	if (!method || !BIO_meth_set_write(method, write_bio) || !BIO_meth_set_read(method, read_bio) ||
	    !BIO_meth_set_ctrl(method, control_bio))
		return -ENOMEM;
	return 0;
}

int
tls_init(void)
{
	/* No configuration file: it could bring providers and engines, which are somebody else's code, and it is not there any more
	 * in the empty root. OpenSSL decides this once for the whole life of the process. */
	const uint64_t what = OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS;
	unsigned char seed[16];
	SSL_CTX *context;

	if (method)
		return 0;
	if (!OPENSSL_init_ssl(what, NULL))
		return -ENOMEM;
	/* The first use of a calendar in libc reads /etc/localtime, also for dates in UTC, as in certificates. */
	tzset();
	if (RAND_bytes(seed, sizeof(seed)) != 1 || RAND_priv_bytes(seed, sizeof(seed)) != 1)
		return -EIO;
	/* Fetches every algorithm that a connection can use. */
	context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_free(context);
	return context ? make_method() : -ENOMEM;
}

static const char *
reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text ? text : "unknown";
}

/* There is nobody to ask for a passphrase. */
static int
refuse_passphrase(char *buf, int size, int writing, void *asked)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

/* After PEM_read_bio: was that the end, or something malformed? */
static bool
at_end(void)
{
	unsigned long e = ERR_peek_last_error();

	return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

static int
add_ca(SSL_CTX *context, BIO *bio, char *why, size_t size)
{
	X509_STORE *store = X509_STORE_new();
	unsigned n = 0;
	X509 *x;
	int ok = store != NULL;

	for (; ok && (x = PEM_read_bio_X509(bio, NULL, refuse_passphrase, &(bool){ false })); n++) {
		ok = X509_STORE_add_cert(store, x);
		X509_free(x);
	}
	if (ok && n > 0 && at_end()) {
		SSL_CTX_set_cert_store(context, store);
		return 0;
	}
	X509_STORE_free(store);
	snprintf(why, size, "CA: %s%s", ok && at_end() ? "no certificate in it" : "malformed certificate: ",
		 ok && at_end() ? "" : reason());
	return -EINVAL;
}

static int
add_cert(SSL_CTX *context, BIO *bio, char *why, size_t size)
{
	unsigned n = 0;
	X509 *x;
	int ok = 1;

	for (; ok && (x = PEM_read_bio_X509(bio, NULL, refuse_passphrase, &(bool){ false })); n++) {
		ok = n == 0 ? SSL_CTX_use_certificate(context, x) : SSL_CTX_add1_chain_cert(context, x);
		X509_free(x);
	}
	if (ok && n > 0 && at_end())
		return 0;
	snprintf(why, size, "client certificate: %s", ok && at_end() ? "none in it" : reason());
	return -EINVAL;
}

static int
add_key(SSL_CTX *context, BIO *bio, char *why, size_t size)
{
	bool asked = false;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, &asked);
	int rc = 0;

	if (asked) {
		snprintf(why, size, "client key: it is encrypted; give one without a passphrase");
		rc = -EINVAL;
	} else if (!key) {
		snprintf(why, size, "client key: %s", at_end() ? "none in it" : reason());
		rc = -EINVAL;
	} else if (!SSL_CTX_use_PrivateKey(context, key) || !SSL_CTX_check_private_key(context)) {
		snprintf(why, size, "client key: it does not belong to the client certificate (%s)", reason());
		rc = -EINVAL;
	}
	EVP_PKEY_free(key);
	return rc;
}

static int
add_pem(SSL_CTX *context, const char *pem, size_t len, int (*add)(SSL_CTX *, BIO *, char *, size_t), char *why, size_t size)
{
	BIO *bio = len <= INT_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
	int rc = -ENOMEM;

	ERR_clear_error();
	if (bio)
		rc = add(context, bio, why, size);
	else
		snprintf(why, size, "TLS: out of memory");
	BIO_free(bio);
	ERR_clear_error();
	return rc;
}

static int
configure(SSL_CTX *context)
{
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	/* One record a call, or a server could keep us inside one SSL_read() with tickets and key updates. */
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	/* What is given is trusted, be it a root or an intermediate, as other clients of the API server have it. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
	return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_alpn_protos(context, alpn, sizeof(alpn)) == 0 ? 0 : -ENOMEM;
}

SSL_CTX *
tls_context(const char *ca, size_t ca_len, const char *cert, size_t cert_len, const char *key, size_t key_len, char *why,
	    size_t size)
{
	SSL_CTX *context = tls_init() == 0 ? SSL_CTX_new(TLS_client_method()) : NULL;

	if (!context || configure(context) < 0) {
		snprintf(why, size, "TLS: %s", reason());
		SSL_CTX_free(context);
		return NULL;
	}
	if (add_pem(context, ca, ca_len, add_ca, why, size) < 0 ||
	    (cert_len > 0 && (add_pem(context, cert, cert_len, add_cert, why, size) < 0 ||
			      add_pem(context, key, key_len, add_key, why, size) < 0))) {
		SSL_CTX_free(context);
		return NULL;
	}
	return context;
}

static int
expect_name(SSL *ssl, const char *name)
{
	unsigned char address[sizeof(struct in6_addr)];
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	/* These flags are not inherited from the context. A name in the subject counts nowhere any more. */
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (inet_pton(AF_INET, name, address) == 1)
		return X509_VERIFY_PARAM_set1_ip(param, address, 4);
	if (inet_pton(AF_INET6, name, address) == 1)
		return X509_VERIFY_PARAM_set1_ip(param, address, 16);
	return name[0] && X509_VERIFY_PARAM_set1_host(param, name, 0) &&
	       SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)name) == 1;
}

int
tls_open(struct tls *t, int fd, SSL_CTX *context, const char *name, char *why, size_t size)
{
	BIO *bio;

	*t = (struct tls){ .fd = fd, .want = POLLOUT };
	ERR_clear_error();
	if (util_copy(t->name, sizeof(t->name), name) == 0)
		t->ssl = SSL_new(context);
	bio = t->ssl ? BIO_new(method) : NULL;
	if (!bio || !expect_name(t->ssl, name)) {
		snprintf(why, size, "TLS: this is no name for a server, or out of memory: %s", t->name);
		BIO_free(bio);
		tls_close(t);
		return -EINVAL;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_connect_state(t->ssl);
	return 0;
}

static int
explain_certificate(const struct tls *t, char *why, size_t size)
{
	long result = SSL_get_verify_result(t->ssl);
	const char *text = X509_verify_cert_error_string(result);

	switch (result) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		snprintf(why, size, "its certificate is not for %s", t->name);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		snprintf(why, size, "its certificate is not signed by the given CA (%s)", text);
		break;
	default:
		snprintf(why, size, "its certificate is not valid (%s)", text);
	}
	return -EKEYREJECTED;
}

/* An error that is neither the socket's nor an end. */
static int
explain_protocol(const struct tls *t, char *why, size_t size)
{
	if (SSL_get_verify_result(t->ssl) != X509_V_OK)
		return explain_certificate(t, why, size);
	switch (ERR_GET_REASON(ERR_peek_last_error())) {
	case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
		snprintf(why, size, "it does not speak HTTP/2 (%s)", reason());
		break;
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		snprintf(why, size, "it does not accept our client certificate, or that we have none (%s)", reason());
		break;
	default:
		snprintf(why, size, "%s (%s)", t->shaken ? "broken TLS" : "no TLS with it", reason());
	}
	return -EPROTO;
}

static int
explain(struct tls *t, int rc, char *why, size_t size)
{
	int kind = SSL_get_error(t->ssl, rc), error;

	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
		t->want = kind == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
		return -EAGAIN;
	}
	t->broken = kind != SSL_ERROR_ZERO_RETURN;
	if (kind == SSL_ERROR_SSL && !t->eof && !t->error) {
		error = explain_protocol(t, why, size);
	} else if (t->error && t->error != EPIPE) {
		error = -t->error;
		snprintf(why, size, "%s", strerror(t->error));
	} else {
		error = -ECONNRESET;
		snprintf(why, size, "it closed the connection%s", t->shaken ? "" : " during the TLS handshake");
	}
	ERR_clear_error();
	return error;
}

int
tls_handshake(struct tls *t, char *why, size_t size)
{
	const unsigned char *protocol;
	unsigned len;
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(t->ssl);
	if (rc != 1)
		return explain(t, rc, why, size);
	SSL_get0_alpn_selected(t->ssl, &protocol, &len);
	if (len != 2 || memcmp(protocol, "h2", 2) != 0) {
		snprintf(why, size, "it does not speak HTTP/2");
		return -EPROTO;
	}
	t->shaken = true;
	return 0;
}

ssize_t
tls_read(struct tls *t, void *buf, size_t len, char *why, size_t size)
{
	size_t n = 0;
	int rc;

	ERR_clear_error();
	rc = SSL_read_ex(t->ssl, buf, len, &n);
	return rc == 1 ? (ssize_t)n : explain(t, rc, why, size);
}

ssize_t
tls_write(struct tls *t, const void *buf, size_t len, char *why, size_t size)
{
	size_t n = 0;
	int rc;

	ERR_clear_error();
	rc = SSL_write_ex(t->ssl, buf, len, &n);
	return rc == 1 ? (ssize_t)n : explain(t, rc, why, size);
}

void
tls_close(struct tls *t)
{
	if (t->ssl && t->shaken && !t->broken)
		SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	util_close_cleanup(&t->fd);
	ERR_clear_error();
	*t = (struct tls){ .fd = -1 };
}
