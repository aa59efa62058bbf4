/* Typed netlink in a pod's namespace: link facts and default routes. Nothing that a peer sent is ever passed on to the
 * kernel as a message: each request is built here.
 * Runs in: netpriv (CAP_NET_ADMIN).  Source: rtnetlink(7), libnl-3 and libnl-route-3.
 * Functions return 0 or -errno, and then one line in text (size bytes). */
#ifndef NETPRIV_ROUTE_H
#define NETPRIV_ROUTE_H

#include <stddef.h>

#include "netpriv/wire.h"

/* Marks the routes that Postern made (ip route: "proto 80"). */
#define ROUTE_PROTOCOL 80

struct nl_sock;

/* A netlink socket in the namespace, for the functions below; NULL when there is none to be had. */
struct nl_sock *route_open(int netns);
void route_close(struct nl_sock *sk);

/* 1 = the link is there, 0 = it is not, -errno with text. */
int route_link(struct nl_sock *sk, const char *ifname, char *text, size_t size);

/* Removes every default route of the family from the main table, adds the one asked for, and reads back that it is the only one. */
int route_default(struct nl_sock *sk, const struct msg_route_default *want, char *text, size_t size);

#endif
