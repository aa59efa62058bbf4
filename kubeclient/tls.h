/* The TLS under one HTTP/2 connection: a non-blocking client over a socket, one CA, one name, ALPN h2 or nothing.
 * Runs in: kube.  Trusts: the CA that the caller gives, for the name that the caller gives; nothing else that comes over the socket.
 * Errors: 0 or a count, or -errno with why: -EAGAIN wait (no why), -EKEYREJECTED a wrong certificate, -EPROTO not what it should speak,
 * -ECONNRESET closed, otherwise the socket's own. Source: RFC 8446, RFC 7301; OpenSSL 3.0. */
#ifndef KUBECLIENT_TLS_H
#define KUBECLIENT_TLS_H

#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tls {
	int fd; /* -1 = none */
	SSL *ssl;
	int error;  /* errno of the socket's last call, 0 = none */
	bool eof;
	bool shaken; /* hands, that is */
	bool broken; /* nothing may be said any more, not even goodbye */
	short want;  /* after -EAGAIN: POLLIN or POLLOUT */
	char name[256];
};

/* As h2_init() and h2_context(). */
int tls_init(void);
SSL_CTX *tls_context(const char *ca, size_t ca_len, const char *cert, size_t cert_len, const char *key, size_t key_len,
		     char *why, size_t size);

/* Takes fd, also when it fails. t stays where it is until tls_close(). */
int tls_open(struct tls *t, int fd, SSL_CTX *context, const char *name, char *why, size_t size);

/* 0 once the server is who it should be and speaks HTTP/2. */
int tls_handshake(struct tls *t, char *why, size_t size);
ssize_t tls_read(struct tls *t, void *buf, size_t len, char *why, size_t size);
ssize_t tls_write(struct tls *t, const void *buf, size_t len, char *why, size_t size);

/* Says goodbye if that is possible at once, and closes. */
void tls_close(struct tls *t);

#endif
