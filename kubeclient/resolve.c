/* Name resolution.  Source: getaddrinfo(3), nsswitch.conf(5). */
#include "kubeclient/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <nss.h>
#include <sys/socket.h>

#include "netpriv/util.h"

bool
resolve_literal(const char *host, struct resolve_address *a)
{
	memset(a, 0, sizeof(*a));
	a->family = strchr(host, ':') ? AF_INET6 : AF_INET;
	return inet_pton((int)a->family, host, a->bytes) == 1;
}

static bool
add_address(struct resolve_answer *r, const struct addrinfo *i)
{
	struct resolve_address *a = &r->list[r->n];
	const void *from;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (i->ai_family == AF_INET) {
		memcpy(&v4, i->ai_addr, sizeof(v4));
		from = &v4.sin_addr;
	} else if (i->ai_family == AF_INET6) {
		memcpy(&v6, i->ai_addr, sizeof(v6));
		from = &v6.sin6_addr;
	} else {
		return false;
	}
	a->family = (uint32_t)i->ai_family;
	memcpy(a->bytes, from, i->ai_family == AF_INET ? 4 : 16);
	return ++r->n < RESOLVE_MAX;
}

void
resolve_name(int out, const void *host)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct resolve_answer r = { 0 };
	struct addrinfo *list = NULL;

	/* Whatever nsswitch.conf says: its modules are code that would be loaded, and the filter kills for that. */
	if (__nss_configure_lookup("hosts", "files dns") < 0)
		_exit(1);
	r.error = getaddrinfo(host, NULL, &hints, &list);
	for (struct addrinfo *i = r.error ? NULL : list; i; i = i->ai_next)
		if (!add_address(&r, i) && r.n == RESOLVE_MAX)
			break;
	if (!r.error && !r.n)
		r.error = EAI_NONAME;
	util_write_all(out, &r, sizeof(r));
}

bool
resolve_check(const struct resolve_answer *r)
{
	if (r->error ? r->n != 0 : r->n < 1 || r->n > RESOLVE_MAX)
		return false;
	for (uint32_t i = 0; i < r->n; i++)
		if (r->list[i].family != AF_INET && r->list[i].family != AF_INET6)
			return false;
	return true;
}
