/* Field checks of the bodies that no privileged process is ever sent: what broker, worker, kube, dial and devices say to each other.
 * Runs in: every process.  Trusts: nothing.  Only exact, fixed-size structs reach these functions. */
#include <string.h>

#include "netpriv/wire_check.h"

NOTHING(kube_ping)

bool
wire_check_kube_pod(const struct msg_kube_pod *m)
{
	return m->full <= 1 && m->zero == 0;
}

bool
wire_check_kube_bind(const struct msg_kube_bind *m)
{
	return EMPTY_OR(m->pod_ns, check_dns_label) && EMPTY_OR(m->pod_name, check_dns_subdomain) &&
	       EMPTY_OR(m->pod_uid, check_uid);
}

bool
wire_check_kube_nad(const struct msg_kube_nad *m)
{
	return FIELD(m->ns) && check_dns_label(m->ns) && FIELD(m->name) && check_dns_subdomain(m->name) && m->fresh <= 1 &&
	       m->zero == 0;
}

bool
wire_check_kube_status(const struct msg_kube_status *m)
{
	return EMPTY_OR(m->pod_uid, check_uid);
}

bool
wire_check_kube_event(const struct msg_kube_event *m)
{
	return m->kind <= EVENT_NO_NETWORK && m->zero == 0 && EMPTY_OR(m->pod_uid, check_uid) &&
	       FIELD(m->text);
}

bool
wire_check_kube_reply(const struct msg_kube_reply *m)
{
	return m->code >= 100 && m->code < 600 && m->format <= KUBE_YAML && FIELD(m->text);
}

bool
wire_check_dial(const struct msg_dial *m)
{
	return m->want != 0 && (m->want & ~(DIAL_CONN | DIAL_REREAD)) == 0 && m->zero == 0;
}

bool
wire_check_server(const struct msg_server *m)
{
	return m->flags <= SERVER_BOOTSTRAP && m->ca_len <= SERVER_ITEM_MAX &&
	       m->cert_len <= SERVER_ITEM_MAX && m->key_len <= SERVER_ITEM_MAX &&
	       m->token_len <= SERVER_ITEM_MAX && FIELD(m->name) && m->name[0] && check_visible(m->name) &&
	       FIELD(m->authority) && m->authority[0] && check_visible(m->authority) &&
	       EMPTY_OR(m->prefix, check_visible) && (m->prefix[0] == '\0' || m->prefix[0] == '/');
}

bool
wire_check_conn(const struct msg_conn *m)
{
	return m->error <= 0 && m->zero == 0 && FIELD(m->text);
}

bool
wire_check_kube_claim(const struct msg_kube_claim *m)
{
	return FIELD(m->name) && check_dns_subdomain(m->name);
}

bool
wire_check_kube_slices(const struct msg_kube_slices *m)
{
	return FIELD(m->driver) && check_dns_subdomain(m->driver) && EMPTY_OR(m->node, check_dns_subdomain) &&
	       EMPTY_OR(m->more, check_visible) && m->limit > 0 && m->limit <= 100 && m->zero == 0;
}

bool
wire_check_devices_get(const struct msg_devices_get *m)
{
	return FIELD(m->resource) && m->resource[0] && check_visible(m->resource);
}

bool
wire_check_devices_bind(const struct msg_devices_bind *m)
{
	return wire_check_kube_bind(&m->pod) && FIELD(m->container_id) && check_container_id(m->container_id);
}

bool
wire_check_devinfo(const struct msg_devinfo *m)
{
	return m->op <= DEVINFO_REMOVE && m->zero == 0 && EMPTY_OR(m->resource, check_visible) &&
	       EMPTY_OR(m->device, check_visible) && FIELD(m->network) && m->network[0] && check_visible(m->network) &&
	       FIELD(m->ifname) && check_ifname(m->ifname);
}

bool
wire_check_devices_reply(const struct msg_devices_reply *m)
{
	return m->error <= 0 && m->source <= DEVICES_CHECKPOINT && FIELD(m->text);
}
