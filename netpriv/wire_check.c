/* Field checks, one function a body.
 * Runs in: every process.  Trusts: nothing.  Only exact, fixed-size structs reach these functions. */
#include "netpriv/wire_check.h"

#include <string.h>
#include <sys/socket.h>

/* A row: body, and what must hold of m. */
#define CHECK(body, ...)                                                                           \
	bool wire_check_##body(const struct msg_##body *m) { return __VA_ARGS__; }

NOTHING(stop)
NOTHING(state_get)
NOTHING(gc_sweep)

/* Bodies that are another one's. */
#define SAME(body, other)                                                                          \
	bool wire_check_##body(const struct msg_##body *m) { return wire_check_##other(m); }
SAME(exec_done, delegate_done)
SAME(task, offer)
SAME(state_plan, link_get)

bool
wire_check_target(const struct wire_target *t, unsigned verb)
{
	bool container = verb == CNI_ADD || verb == CNI_DEL || verb == CNI_CHECK;

	if (!EMPTY_OR(t->container_id, check_container_id) || !EMPTY_OR(t->ifname, check_ifname) ||
	    !FIELD(t->netns) || (t->netns[0] && !check_abs_path(t->netns, sizeof(t->netns))) ||
	    !EMPTY_OR(t->pod_ns, check_dns_label) || !EMPTY_OR(t->pod_name, check_dns_subdomain) ||
	    !EMPTY_OR(t->pod_uid, check_uid) || !EMPTY_OR(t->infra_id, check_container_id))
		return false;
	if (container != (t->container_id[0] != '\0') || container != (t->ifname[0] != '\0'))
		return false;
	return container || t->netns[0] == '\0';
}

static bool
known_verb(unsigned verb)
{
	return verb >= CNI_ADD && verb < CNI_VERB_COUNT;
}

CHECK(attach, known_verb(m->verb) && (m->flags & ~ATTACH_NETNS_OVERRIDE) == 0 &&
	wire_check_target(&m->target, m->verb))
CHECK(plug, (m->verb == CNI_ADD || m->verb == CNI_DEL) && m->zero == 0 && FIELD(m->pod_ns) &&
	check_dns_label(m->pod_ns) && FIELD(m->pod_name) && check_dns_subdomain(m->pod_name) &&
	EMPTY_OR(m->pod_uid, check_uid) && FIELD(m->ifname) && check_ifname(m->ifname))
CHECK(result, m->zero == 0 && FIELD(m->text))
CHECK(ready, m->role >= ROLE_NETPRIV && m->role <= ROLE_METRICS)
CHECK(offer, known_verb(m->verb) && m->flags <= OFFER_ALL && wire_check_target(&m->target, m->verb))

bool
wire_check_delegate_run(const struct msg_delegate_run *m)
{
	bool container = m->verb == CNI_ADD || m->verb == CNI_DEL || m->verb == CNI_CHECK;

	return known_verb(m->verb) && m->zero == 0 && FIELD(m->plugin) && check_plugin(m->plugin) &&
	       EMPTY_OR(m->ifname, check_ifname) && container == (m->ifname[0] != '\0') &&
	       FIELD(m->mac) && check_mac(m->mac) && FIELD(m->ips) && check_ip_list(m->ips);
}

CHECK(exec_run, wire_check_delegate_run(&m->run) && m->alias <= 1 && m->deadline_ms > 0 &&
	wire_check_target(&m->target, m->run.verb))
CHECK(exec_kill, m->target != 0)
CHECK(delegate_done, m->how <= DONE_FAILED && FIELD(m->text))
CHECK(state, m->kind <= STATE_IS_DONE && m->owed <= 1 && EMPTY_OR(m->container_id, check_container_id) &&
	EMPTY_OR(m->ifname, check_ifname) && EMPTY_OR(m->main, check_ifname))
CHECK(state_next, EMPTY_OR(m->container_id, check_container_id) && EMPTY_OR(m->ifname, check_ifname))
CHECK(cache_get, EMPTY_OR(m->net, check_network_name) && EMPTY_OR(m->ifname, check_ifname))
CHECK(conf_get, (m->net < CONF_NETS || m->net >= CONF_NET_READY) && m->index < WIRE_CONF_FILES &&
	EMPTY_OR(m->sub, check_network_name))
CHECK(conf, m->error <= 0 && m->zero == 0 && EMPTY_OR(m->name, check_file_name) && FIELD(m->text))

bool
wire_check_link_get(const struct msg_link_get *m)
{
	for (unsigned i = 0; i < WIRE_LINKS; i++)
		if (!EMPTY_OR(m->ifname[i], check_ifname) || (i > 0 && m->ifname[i][0] && !m->ifname[i - 1][0]))
			return false;
	return m->ifname[0][0] != '\0';
}

CHECK(link, m->error <= 0 && m->zero == 0 && m->there < 1ull << WIRE_LINKS)

/* A gateway is a unicast address: not unspecified, multicast, loopback or limited broadcast. */
static bool
unicast(unsigned family, const uint8_t a[16])
{
	static const uint8_t zero[16];

	if (family == AF_INET)
		return memcmp(a + 4, zero, 12) == 0 && a[0] != 0 && a[0] != 127 && a[0] < 224;
	return family == AF_INET6 && memcmp(a, zero, 15) != 0 && a[0] != 0xff;
}

CHECK(route_default, m->zero == 0 && FIELD(m->ifname) && check_ifname(m->ifname) && unicast(m->family, m->gateway))
CHECK(gc_valid, FIELD(m->container_id) && check_container_id(m->container_id) && FIELD(m->ifname) &&
	check_ifname(m->ifname))
CHECK(verdict, (m->flags & ~VERDICT_CLEAN) == 0 && FIELD(m->text))
CHECK(reply, m->error <= 0 && FIELD(m->text))
