/* The API server, and what we show it: what dial sent last, or a certificate of our own in its place (csr.c).
 * Runs in: kube.  Trusts: dial, as far as wire_recv() has checked what it says. Secrets are wiped when they are replaced. */
#ifndef KUBECLIENT_IDENTITY_H
#define KUBECLIENT_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#include "kubeclient/h2.h"
#include "netpriv/wire.h"

/* changed: new connections will differ from those made so far. */
void identity_init(void (*changed)(void));

/* The server as dial describes it now; what cannot be used changes nothing. 0, or -errno with why. */
int identity_take(const struct msg_server *s, int memfd, char *why, size_t size);

/* A certificate and its key (PEM) in place of dial's credentials; what cannot be used changes nothing. 0, or -errno with why. */
int identity_set(const char *cert, size_t cert_len, const char *key, size_t key_len, char *why, size_t size);
/* Back to dial's. False: there was none. */
bool identity_forget(void);

/* "host:port" of the server, NULL before dial described one. */
const char *identity_server(void);
/* In front of every path: "" or "/a/b". */
const char *identity_prefix(void);
/* The credentials are good for everything; else for asking for a certificate only. */
bool identity_full(void);

/* As h2_new(), with the server and credentials of now. */
struct h2 *identity_connect(int fd, const struct h2_times *times, char *why, size_t size);

#endif
