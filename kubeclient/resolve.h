/* Host names to addresses. A literal is read at once; a name is looked up by a child: hosts file and DNS, no other service and no
 * module that libc would load.
 * Runs in: dial, and in its child.  Trusts: no name server. */
#ifndef KUBECLIENT_RESOLVE_H
#define KUBECLIENT_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>

#define RESOLVE_MAX 8
#define RESOLVE_PORT 53
#define RESOLVE_CONF "/etc/resolv.conf"

struct resolve_address {
	uint32_t family; /* AF_INET, AF_INET6 */
	uint8_t bytes[16];
};

struct resolve_answer {
	int32_t error; /* 0 with n >= 1, or as getaddrinfo(3) */
	uint32_t n;
	struct resolve_address list[RESOLVE_MAX];
};

/* True when host is an address. */
bool resolve_literal(const char *host, struct resolve_address *a);

/* A child's work (child.h): writes one struct resolve_answer for the name host. */
void resolve_name(int out, const void *host);

/* Is r, which a child answered, well formed? */
bool resolve_check(const struct resolve_answer *r);

#endif
