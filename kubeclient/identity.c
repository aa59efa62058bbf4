/* The API server, and what we show it.
 * Runs in: kube.  Trusts: dial, as far as wire_recv() has checked what it says. */
#include "kubeclient/identity.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "netpriv/log.h"
#include "netpriv/util.h"

struct pem {
	char *text; /* malloc'd */
	size_t len;
};

static struct {
	struct msg_server server;
	char *data; /* what came with it: CA, certificate, key, token; NULL: nothing came yet */
	struct pem cert, key; /* our own, in place of dial's; NULL: none */
	SSL_CTX *context;
	char *token; /* NULL: none */
	void (*changed)(void);
} identity;

void
identity_init(void (*changed)(void))
{
	identity.changed = changed;
}

const char *
identity_server(void)
{
	return identity.data ? identity.server.authority : NULL;
}

const char *
identity_prefix(void)
{
	return identity.server.prefix;
}

bool
identity_full(void)
{
	return identity.cert.text || !(identity.server.flags & SERVER_BOOTSTRAP);
}

struct h2 *
identity_connect(int fd, const struct h2_times *times, char *why, size_t size)
{
	return h2_new(fd, identity.context, identity.server.name, identity.server.authority, identity.token, times, why, size);
}

static void
forget(char **secret, size_t len)
{
	if (*secret)
		explicit_bzero(*secret, len);
	free(*secret);
	*secret = NULL;
}

/* Context and token are made of what dial sent, and of our own certificate when there is one. */
static int
use(const struct msg_server *s, const char *data, const struct pem *own, const struct pem *own_key, char *why, size_t size)
{
	const char *cert = data + s->ca_len, *key = cert + s->cert_len, *token = key + s->key_len;
	SSL_CTX *context = own->text ? h2_context(data, s->ca_len, own->text, own->len, own_key->text, own_key->len, why, size)
				     : h2_context(data, s->ca_len, cert, s->cert_len, key, s->key_len, why, size);

	if (!context)
		return -EINVAL;
	SSL_CTX_free(identity.context);
	identity.context = context;
	forget(&identity.token, identity.token ? strlen(identity.token) : 0);
	if (s->token_len > 0 && !own->text)
		identity.token = strndup(token, s->token_len);
	return 0;
}

static size_t
data_len(const struct msg_server *s)
{
	return (size_t)s->ca_len + s->cert_len + s->key_len + s->token_len;
}

static int
keep(const struct msg_server *s, const char *data, size_t len, char *why, size_t size)
{
	char *copy;
	int err;

	if (data_len(s) != len) {
		snprintf(why, size, "dial: the lengths are wrong");
		return -EPROTO;
	}
	err = use(s, data, &identity.cert, &identity.key, why, size);
	if (err < 0)
		return err;
	copy = malloc(len + 1);
	if (!copy)
		log_fatal("out of memory for credentials");
	memcpy(copy, data, len);
	forget(&identity.data, data_len(&identity.server));
	identity.data = copy;
	identity.server = *s;
	identity.changed();
	return 0;
}

int
identity_take(const struct msg_server *s, int memfd, char *why, size_t size)
{
	void *map;
	size_t len;
	int err = util_map_memfd(memfd, 4u * SERVER_ITEM_MAX, &map, &len);

	if (err < 0) {
		snprintf(why, size, "dial: %s", strerror(-err));
		return err;
	}
	err = keep(s, map ? map : "", len, why, size);
	if (map)
		munmap(map, len);
	return err;
}

static void
set_pem(struct pem *p, const char *text, size_t len)
{
	forget(&p->text, p->len);
	p->text = text ? strndup(text, len) : NULL;
	p->len = text ? len : 0;
}

int
identity_set(const char *cert, size_t cert_len, const char *key, size_t key_len, char *why, size_t size)
{
	struct pem new_cert = { 0 }, new_key = { 0 };
	int err = -ENOMEM;

	/* The one in use is good until the new one is seen to be. */
	set_pem(&new_cert, cert, cert_len);
	set_pem(&new_key, key, key_len);
	if (new_cert.text && new_key.text)
		err = use(&identity.server, identity.data, &new_cert, &new_key, why, size);
	else
		snprintf(why, size, "out of memory");
	set_pem(err < 0 ? &new_cert : &identity.cert, NULL, 0);
	set_pem(err < 0 ? &new_key : &identity.key, NULL, 0);
	if (err < 0)
		return err;
	identity.cert = new_cert;
	identity.key = new_key;
	identity.changed();
	return 0;
}

bool
identity_forget(void)
{
	char why[WIRE_TEXT];

	if (!identity.cert.text)
		return false;
	set_pem(&identity.cert, NULL, 0);
	set_pem(&identity.key, NULL, 0);
	if (use(&identity.server, identity.data, &identity.cert, &identity.key, why, sizeof(why)) < 0)
		log_error("bootstrap credentials: %s", why);
	identity.changed();
	return true;
}
