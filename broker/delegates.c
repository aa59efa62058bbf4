/* The networks of one pod, in order, each with an interface name of its own.
 * Runs in: worker.  Trusts: conf; the pod's annotations and NADs are tenants' text. */
#include <stdio.h>
#include <string.h>

#include "broker/chain.h"
#include "broker/delegate.h"
#include "broker/devices.h"
#include "broker/inject.h"
#include "broker/json.h"
#include "broker/netsel.h"
#include "broker/primary.h"
#include "broker/resolve.h"
#include "broker/result.h"
#include "netpriv/check.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

#define NETWORKS_ANNOTATION "k8s.v1.cni.cncf.io/networks"
#define DEFAULT_ANNOTATION  "v1.multus-cni.io/default-network"
#define ANNOTATION(key)	    "annotation " key
#define bad(e, ...)	    cnierr_set(e, CNI_ERR_CONFIG, __VA_ARGS__)

struct builder {
	const struct conf *conf;
	const struct netconf *nc;
	const struct wire_target *target;
	const struct pod *pod; /* NULL: nothing but the cluster network */
	const struct delegate_source *src;
	struct delegate_list *l;
	struct cnierr *e;
};

void
delegate_clear(struct delegate *d)
{
	json_decref(d->plugins);
	json_decref(d->runtime);
	json_decref(d->default_route);
	json_decref(d->result);
	json_decref(d->device_info);
	memset(d, 0, sizeof(*d));
}

void
delegate_list_pop(struct delegate_list *l)
{
	delegate_clear(&l->e[--l->n]);
}

void
delegate_list_clear(struct delegate_list *l)
{
	while (l->n > 0)
		delegate_list_pop(l);
}

/* The next free delegate; counted at once, so that delegate_list_clear() finds it. */
static struct delegate *
next_delegate(struct builder *b)
{
	if (b->l->n == DELEGATE_MAX) {
		bad(b->e, "more than %d networks for one pod", DELEGATE_MAX);
		return NULL;
	}
	return &b->l->e[b->l->n++];
}

static bool
is_listed(const char (*names)[64], uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* A path from stdin would name files of the node past its configuration. */
static int
add_named(struct builder *b, const char *name)
{
	struct delegate *d = next_delegate(b);

	if (!d)
		return -1;
	if (strchr(name, '/'))
		return bad(b->e, "network configuration: \"clusterNetwork\" is a path: set "
				 "clusterNetwork in the node "
				 "configuration");
	if (resolve_network(b->conf, b->src, 0, name, d, b->e))
		return cnierr_prefix(b->e, "clusterNetwork");
	return 0;
}

/* "delegates" of the node configuration or, without these, of the network configuration; without a pod only the first. */
static int
add_static(struct builder *b)
{
	const char *text = b->conf->node_delegates, *where = *text ? "node configuration" : "network configuration";
	cleanup_json json_t *own = *text ? json_read(text, strlen(text), "node configuration, delegates", b->e) : NULL;
	json_t *list = own, *v;
	char what[64];
	size_t i;

	if (*text ? !own : json_member_array(b->nc->root, "delegates", where, &list, b->e))
		return -1;
	if (json_array_size(list) == 0)
		return bad(b->e, "at least one delegate/clusterNetwork must be specified: set "
				 "clusterNetwork in the "
				 "node configuration");
	json_array_foreach(list, i, v)
	{
		struct delegate *d = next_delegate(b);

		snprintf(what, sizeof(what), "%s, delegates[%zu]", where, i);
		if (!d || chain_load(v, CHAIN_ANY, what, d, b->e))
			return -1;
		if (!b->pod)
			break;
	}
	return 0;
}

/* The generated configuration names the file that was the primary when it was made: a name among those of the directory, never a
 * path. One that was not generated here must not look as if it could choose. */
static int
add_primary(struct builder *b)
{
	const char *dir = b->conf->autoconf_dir, *path = "", *slash;
	struct delegate *d = next_delegate(b);

	if (!d || json_member_string(b->nc->root, "clusterNetwork", "network configuration", &path, b->e))
		return -1;
	slash = strrchr(path, '/');
	if (*path && (!slash || (size_t)(slash - path) != strlen(dir) || strncmp(path, dir, strlen(dir)) != 0 ||
		      primary_reserved(b->conf, slash + 1)))
		return bad(b->e, "network configuration: \"clusterNetwork\" must be a file of %s: set clusterNetwork in the node "
				 "configuration", dir);
	if (resolve_primary(b->conf, b->src, slash ? slash + 1 : "", d, b->e))
		return cnierr_prefix(b->e, "clusterNetwork");
	return 0;
}

static int
add_cluster(struct builder *b)
{
	const char *name = "";
	struct delegate *d;

	if (b->conf->autoconf_base[0] && strcmp(b->conf->networks[0], b->conf->autoconf_dir) == 0)
		return add_primary(b);
	if (b->conf->n_networks > 0 && b->conf->networks[0][0]) {
		d = next_delegate(b);
		if (!d || resolve_network(b->conf, b->src, 0, b->conf->networks[0], d, b->e))
			return cnierr_prefix(b->e, "clusterNetwork");
		return 0;
	}
	if (!b->conf->node_delegates[0] &&
	    json_member_string(b->nc->root, "clusterNetwork", "network configuration", &name, b->e))
		return -1;
	return *name ? add_named(b, name) : add_static(b);
}

/* What only the node configuration decides must not look as if stdin had decided it. */
static int
check_node_keys(struct builder *b)
{
	json_t *networks = NULL;
	bool isolation = false;

	if (chain_flag(b->nc->root, "namespaceIsolation", "network configuration", &isolation,
		       b->e) ||
	    json_member_array(b->nc->root, "defaultNetworks", "network configuration", &networks,
			      b->e))
		return -1;
	if (isolation && !b->conf->namespace_isolation)
		return bad(b->e, "network configuration: set namespaceIsolation in the node "
				 "configuration instead");
	if (json_array_size(networks) && b->conf->n_networks <= 1)
		return bad(
		    b->e,
		    "network configuration: set defaultNetworks in the node configuration instead");
	return 0;
}

static int
add_defaults(struct builder *b)
{
	const struct conf *c = b->conf;

	if (is_listed(c->system_namespaces, c->n_system_namespaces, b->pod->ns))
		return 0;
	for (unsigned i = 1; i < c->n_networks; i++) {
		struct delegate *d = next_delegate(b);

		if (!d || resolve_network(c, b->src, i, c->networks[i], d, b->e))
			return cnierr_prefix(b->e, "defaultNetworks");
	}
	return 0;
}

/* The NAD that sel names into the zeroed d. */
static int
load_selection(struct builder *b, const struct netsel *sel, const char *what,
	       struct delegate *d)
{
	const struct conf *c = b->conf;
	int r;

	if (c->namespace_isolation && strcmp(sel->ns, b->pod->ns) != 0 &&
	    !is_listed(c->global_namespaces, c->n_global_namespaces, sel->ns) &&
	    !(d->master && strcmp(sel->ns, c->multus_namespace) == 0))
		return bad(b->e,
			   "%s: namespace isolation is enabled: the pod is in namespace "
			   "%s but asks for "
			   "network %s in namespace %s",
			   what, b->pod->ns, sel->name, sel->ns);
	r = resolve_nad(b->src, sel->ns, sel->name, d, b->e);
	if (r == 1 && b->src->missing)
		b->src->missing(sel->ns, sel->name);
	if (r == 1)
		return bad(
		    b->e,
		    "%s: there is no NetworkAttachmentDefinition %s in namespace %s",
		    what, sel->name, sel->ns);
	return r ? -1 : inject_selection(d, sel, c->allow_device_id, b->e);
}

/* The default-network annotation puts a NAD in place of the cluster network. */
static int
replace_default(struct builder *b)
{
	const json_t *v = json_object_get(b->pod->annotations, DEFAULT_ANNOTATION);
	struct netsel_list list = {0};
	int r;

	if (!v)
		return 0;
	if (netsel_parse(json_string_value(v), b->conf->multus_namespace, ANNOTATION(DEFAULT_ANNOTATION), &list,
			 b->e))
		return -1;
	if (list.n == 1) {
		delegate_clear(&b->l->e[0]);
		b->l->e[0].master = true;
		r = load_selection(b, &list.e[0], ANNOTATION(DEFAULT_ANNOTATION), &b->l->e[0]);
	} else {
		r = bad(b->e, "annotation %s: must name exactly one network, not %zu",
			DEFAULT_ANNOTATION, list.n);
	}
	netsel_clear(&list);
	return r;
}

static int
add_selections(struct builder *b)
{
	const json_t *v = json_object_get(b->pod->annotations, NETWORKS_ANNOTATION);
	struct netsel_list list = {0};
	int r = 0;

	if (!v)
		return 0;
	if (netsel_parse(json_string_value(v), b->pod->ns, ANNOTATION(NETWORKS_ANNOTATION), &list, b->e))
		return -1;
	for (size_t i = 0; i < list.n && !r; i++) {
		struct delegate *d = next_delegate(b);

		r = d ? load_selection(b, &list.e[i], ANNOTATION(NETWORKS_ANNOTATION), d) : -1;
	}
	netsel_clear(&list);
	return r;
}

/* Two default gateways of a family would need multi-path routes. */
static int
check_gateways(struct builder *b)
{
	const char *owner[2] = {NULL, NULL};

	for (size_t i = 0; i < b->l->n; i++) {
		const struct delegate *d = &b->l->e[i];
		json_t *v;
		size_t k;

		json_array_foreach(d->default_route, k, v)
		{
			unsigned v6 = strchr(json_string_value(v), ':') != NULL;

			if (owner[v6])
				return bad(b->e,
					   "default-route: network %s and network %s each give an "
					   "IPv%d gateway: only "
					   "one is allowed",
					   owner[v6], d->display, v6 ? 6 : 4);
			owner[v6] = d->display;
		}
	}
	return 0;
}

/* auxiliaryCNIChainName: plugins that get no result but an empty one to begin with, last of all; their directory lies beside the
 * cluster network's file. */
static int
add_auxiliary(struct builder *b)
{
	const char *name = b->conf->aux_chain;
	char file[256], where[360];
	struct delegate *d;

	if (!*name)
		return 0;
	if (b->conf->networks[0][0] != '/')
		return bad(b->e, "auxiliaryCNIChainName needs a clusterNetwork that is a path: %s/ is looked for beside it", name);
	d = next_delegate(b);
	if (!d)
		return -1;
	util_copy(d->display, sizeof(d->display), name);
	util_copy(d->net, sizeof(d->net), name);
	util_copy(d->version, sizeof(d->version), b->nc->version);
	d->list = true;
	d->plugins = json_array();
	for (unsigned i = 0;; i++) {
		cleanup_json json_t *plugin = b->src->conf_file(b->src->ctx, 0, name, i, file, b->e);

		if (!plugin && b->e->code)
			return cnierr_prefix(b->e, "auxiliaryCNIChainName %s", name);
		if (!plugin)
			break;
		snprintf(where, sizeof(where), "plugin file %s/%s", name, file);
		if (chain_append(d, plugin, where, b->e))
			return -1;
	}
	if (json_array_size(d->plugins) == 0)
		delegate_list_pop(b->l);
	else
		d->result = result_read("{}", 2, d->version, "auxiliaryCNIChainName", b->e);
	return b->e->code ? -1 : 0;
}

static int
name_interfaces(struct builder *b)
{
	for (size_t i = 0; i < b->l->n; i++) {
		struct delegate *d = &b->l->e[i];

		/* GC and STATUS have no interface. */
		if (i == 0 && !d->ifname[0] && !b->target->ifname[0] && !b->pod)
			continue;
		if (!d->ifname[0] && i == 0)
			util_copy(d->ifname, sizeof(d->ifname), b->target->ifname);
		else if (!d->ifname[0])
			snprintf(d->ifname, sizeof(d->ifname), "net%u", (unsigned)i % 1000);
		if (!check_ifname(d->ifname))
			return bad(b->e, "network %s: \"%s\" is not an interface name", d->display,
				   d->ifname);
		for (size_t k = 0; k < i; k++)
			if (strcmp(b->l->e[k].ifname, d->ifname) == 0)
				return bad(b->e,
					   "interface %s is asked for by network %s and by network "
					   "%s: change one",
					   d->ifname, b->l->e[k].display, d->display);
	}
	return 0;
}

/* IPAM plugins of the reference set; not networks of their own, so not in the table of those. */
static bool
is_known_ipam(const char *type)
{
	return strcmp(type, "host-local") == 0 || strcmp(type, "static") == 0 ||
	       strcmp(type, "dhcp") == 0;
}

int
delegate_ipam(const struct conf *conf, const struct delegate *d, struct cnierr *e)
{
	json_t *plugin;
	size_t i;

	json_array_foreach(d->plugins, i, plugin) {
		const char *type = json_string_value(json_object_get(json_object_get(plugin, "ipam"), "type"));
		const char *sha256;
		uint32_t deadline;
		uint64_t caps;

		if (type && !is_known_ipam(type) && !conf_plugin(conf, type, &caps, &deadline, &sha256))
			return bad(e,
				   "network %s: ipam plugin \"%s\" is not allowed on this node: "
				   "add it to \"plugins\" in the node configuration",
				   d->display, type);
	}
	return 0;
}

static int
check_ipam(struct builder *b)
{
	for (size_t i = 0; i < b->l->n; i++)
		if (delegate_ipam(b->conf, &b->l->e[i], b->e))
			return -1;
	return 0;
}

static int
build_list(struct builder *b)
{
	if (check_node_keys(b) || add_cluster(b))
		return -1;
	b->l->e[0].master = true;
	if (b->pod && (add_defaults(b) || replace_default(b) || add_selections(b) || add_auxiliary(b)))
		return -1;
	for (size_t i = 0; i < b->l->n; i++)
		if (inject_runtime(&b->l->e[i], b->nc->runtime, b->e))
			return -1;
	if (check_gateways(b) || name_interfaces(b) || check_ipam(b))
		return -1;
	/* GC and STATUS are of no pod that could have any. */
	return b->target->container_id[0] ? devices_allocate(b->conf, b->target, b->pod, b->src, NULL, b->l, b->e) : 0;
}

/* The one network of a request to attach it to a pod that runs, at the target's interface. */
static int
build_plugged(struct builder *b, const char *selection)
{
	struct netsel_list list = {0};
	struct delegate *d = next_delegate(b);
	cleanup_json json_t *used = NULL;
	int r = b->pod ? netsel_parse(selection, b->pod->ns, "network selection", &list, b->e)
		       : bad(b->e, "the pod is not known any more: no network can be attached to it");

	if (r == 0 && list.n != 1)
		r = bad(b->e, "network selection: must be one JSON object");
	if (r == 0 && list.e[0].ifname[0] && strcmp(list.e[0].ifname, b->target->ifname) != 0)
		r = bad(b->e, "network selection: \"interface\" is not %s, which is asked for", b->target->ifname);
	if (r == 0)
		r = load_selection(b, &list.e[0], "network selection", d);
	util_copy(d->ifname, sizeof(d->ifname), b->target->ifname);
	netsel_clear(&list);
	if (r || check_gateways(b) || check_ipam(b))
		return -1;
	used = b->src->used(b->src->ctx, b->e);
	return used ? devices_allocate(b->conf, b->target, b->pod, b->src, used, b->l, b->e) : -1;
}

int
delegates_build(const struct conf *conf, const struct netconf *nc, const struct wire_target *target,
		const struct pod *pod, const struct delegate_source *src, struct delegate_list *l,
		struct cnierr *e)
{
	struct builder b = {
	    .conf = conf,
	    .nc = nc,
	    .target = target,
	    .pod = pod && pod->known ? pod : NULL,
	    .src = src,
	    .l = l,
	    .e = e,
	};
	int r = nc->selection ? build_plugged(&b, nc->selection) : build_list(&b);

	if (r)
		delegate_list_clear(l);
	return r;
}
