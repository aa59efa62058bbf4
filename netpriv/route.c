/* Typed netlink in a pod's namespace.
 * Runs in: netpriv.  Trusts: the kernel's answers. */
#include "netpriv/route.h"

#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>
#include <stdio.h>
#include <sys/socket.h>

#include "netpriv/netns.h"
#include "netpriv/util.h"

#define CLEANUP(name, type, release)                                                               \
	static void name##_cleanup(struct type **p) { release(*p); }
CLEANUP(cache, nl_cache, nl_cache_free)
CLEANUP(route, rtnl_route, rtnl_route_put)
CLEANUP(link, rtnl_link, rtnl_link_put)
CLEANUP(addr, nl_addr, nl_addr_put)

#define cleanup_with(fn) __attribute__((cleanup(fn)))

/* What the kernel said last: libnl has no words for some of it. */
static int kernel_error;

static int
keep_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	(void)from;
	(void)arg;
	kernel_error = -e->error;
	return NL_STOP;
}

/* A libnl error as -errno; text says what was being done. */
static int
fail(int nlerr, const char *what, const char *ifname, char *text, size_t size)
{
	snprintf(text, size, "%s on interface %s: %s", what, ifname,
		 nlerr == -NLE_FAILURE && kernel_error > 0 ? strerror(kernel_error) : nl_geterror(nlerr));
	switch (-nlerr) {
	case NLE_OBJ_NOTFOUND:
	case NLE_NODEV:
		return -ENODEV;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_NOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static int
connect_here(void *arg)
{
	return nl_connect(arg, NETLINK_ROUTE);
}

/* A netlink socket belongs to the namespace that it was opened in, so the visit is short. */
struct nl_sock *
route_open(int netns)
{
	struct nl_sock *sk = nl_socket_alloc();

	if (sk && netns_visit(netns, connect_here, sk) == 0 && nl_socket_modify_err_cb(sk, NL_CB_CUSTOM, keep_error, NULL) == 0)
		return sk;
	nl_socket_free(sk);
	return NULL;
}

void
route_close(struct nl_sock *sk)
{
	nl_socket_free(sk);
}

int
route_link(struct nl_sock *sk, const char *ifname, char *text, size_t size)
{
	cleanup_with(link_cleanup) struct rtnl_link *link = NULL;
	int err = rtnl_link_get_kernel(sk, 0, ifname, &link);

	if (err >= 0)
		return 1;
	err = fail(err, "reading", ifname, text, size);
	return err == -ENODEV ? 0 : err;
}

static bool
is_default(struct rtnl_route *r, unsigned family)
{
	struct nl_addr *dst = rtnl_route_get_dst(r);

	return rtnl_route_get_family(r) == family && rtnl_route_get_table(r) == RT_TABLE_MAIN &&
	       rtnl_route_get_type(r) == RTN_UNICAST && (!dst || nl_addr_get_prefixlen(dst) == 0);
}

static int
delete_defaults(struct nl_sock *sk, unsigned family)
{
	cleanup_with(cache_cleanup) struct nl_cache *cache = NULL;
	int err = rtnl_route_alloc_cache(sk, (int)family, 0, &cache);

	if (err < 0)
		return err;
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
		struct rtnl_route *r = (struct rtnl_route *)o;

		if (!is_default(r, family))
			continue;
		err = rtnl_route_delete(sk, r, 0);
		if (err < 0 && err != -NLE_OBJ_NOTFOUND)
			return err;
	}
	return 0;
}

static int
add_default(struct nl_sock *sk, const struct msg_route_default *want, int ifindex)
{
	size_t len = want->family == AF_INET ? 4 : 16;
	cleanup_with(addr_cleanup) struct nl_addr *gw =
	    nl_addr_build((int)want->family, want->gateway, len);
	cleanup_with(addr_cleanup) struct nl_addr *dst = nl_addr_build((int)want->family, NULL, 0);
	cleanup_with(route_cleanup) struct rtnl_route *r = rtnl_route_alloc();
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();

	if (!gw || !dst || !r || !hop) {
		if (hop)
			rtnl_route_nh_free(hop);
		return -NLE_NOMEM;
	}
	rtnl_route_nh_set_ifindex(hop, ifindex);
	rtnl_route_nh_set_gateway(hop, gw);
	rtnl_route_add_nexthop(r, hop);
	rtnl_route_set_family(r, (uint8_t)want->family);
	rtnl_route_set_table(r, RT_TABLE_MAIN);
	rtnl_route_set_scope(r, RT_SCOPE_UNIVERSE);
	rtnl_route_set_type(r, RTN_UNICAST);
	rtnl_route_set_protocol(r, ROUTE_PROTOCOL);
	rtnl_route_set_dst(r, dst);
	return rtnl_route_add(sk, r, NLM_F_EXCL);
}

/* 1 when the only default route of the family leaves by ifindex, 0 when not, or a libnl error. */
static int
only_default(struct nl_sock *sk, unsigned family, int ifindex)
{
	cleanup_with(cache_cleanup) struct nl_cache *cache = NULL;
	unsigned count = 0, ours = 0;
	int err = rtnl_route_alloc_cache(sk, (int)family, 0, &cache);

	if (err < 0)
		return err;
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
		struct rtnl_route *r = (struct rtnl_route *)o;
		struct rtnl_nexthop *hop;

		if (!is_default(r, family))
			continue;
		count++;
		hop = rtnl_route_nexthop_n(r, 0);
		ours += hop && rtnl_route_nh_get_ifindex(hop) == ifindex &&
			rtnl_route_get_protocol(r) == ROUTE_PROTOCOL;
	}
	return count == 1 && ours == 1;
}

int
route_default(struct nl_sock *sk, const struct msg_route_default *want, char *text, size_t size)
{
	cleanup_with(link_cleanup) struct rtnl_link *link = NULL;
	int err, ifindex;

	err = rtnl_link_get_kernel(sk, 0, want->ifname, &link);
	if (err < 0)
		return fail(err, "default route", want->ifname, text, size);
	ifindex = rtnl_link_get_ifindex(link);
	err = delete_defaults(sk, want->family);
	if (err < 0)
		return fail(err, "removing the old default route", want->ifname, text, size);
	err = add_default(sk, want, ifindex);
	if (err < 0)
		return fail(err, "adding the default route", want->ifname, text, size);
	err = only_default(sk, want->family, ifindex);
	if (err < 0)
		return fail(err, "reading back the default route", want->ifname, text, size);
	if (err == 0) {
		snprintf(text, size, "default route on interface %s: another one appeared beside it",
			 want->ifname);
		return -EEXIST;
	}
	return 0;
}
