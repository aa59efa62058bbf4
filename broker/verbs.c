/* DEL, CHECK, GC and STATUS; ADD is add.c's.
 * Runs in: worker.  Trusts: conf and the offer; not the configuration, the journal's blob, the API or a plugin. */
#include "broker/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/event.h"
#include "broker/json.h"
#include "broker/plan.h"
#include "broker/priv.h"
#include "broker/result.h"
#include "broker/run.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

static json_t *
read_file(void *ctx, unsigned net, const char *sub, unsigned index, char *name, struct cnierr *e)
{
	cleanup_free char *text = NULL;
	char what[320];
	size_t len;

	(void)ctx;
	if (priv_conf_get(net, sub, index, &text, &len, name, e) != 1)
		return NULL;
	snprintf(what, sizeof(what), "configuration file %s", name);
	return json_read(text, len, what, e);
}

static json_t *
read_nad(void *ctx, const char *ns, const char *name, bool fresh, struct cnierr *e)
{
	char where[512];

	(void)ctx;
	return kube_get_nad(ns, name, fresh, where, e);
}

const struct delegate_source verbs_source = { .conf_file = read_file, .nad = read_nad, .missing = event_missing };

bool
verbs_undo(struct delegate_list *l, size_t n, const struct msg_offer *offer, char note[WIRE_TEXT])
{
	bool clean = true;

	note[0] = '\0';
	while (n-- > 0) {
		struct cnierr e = { 0 };

		if (run_network(&l->e[n], CNI_DEL, offer, NULL, &e) == 0)
			continue;
		log_warn("container %s: DEL: %s", offer->target.container_id, e.msg);
		if (clean)
			snprintf(note, WIRE_TEXT, "%.*s", WIRE_TEXT - 1, e.msg);
		clean = false;
	}
	return clean;
}

/* The journal's entry of this attachment. STATE_* or -1 with e; l is filled unless STATE_NONE. */
static int
load_plan(struct delegate_list *l, struct cnierr *e)
{
	cleanup_free char *text = NULL;
	unsigned kind;
	size_t len;

	if (priv_state_get(&kind, &text, &len, e))
		return -1;
	if (kind != STATE_NONE && plan_read(text, len, l, e))
		return -1;
	return (int)kind;
}

/* What ADD journalled is undone, whatever the network configuration says by now. A failure is not the runtime's to solve: the pod
 * goes, and netpriv keeps the entry and tries again. */
static void
run_del(const struct msg_offer *offer, struct verdict *v)
{
	struct delegate_list l = { 0 };
	struct cnierr e = { 0 };
	int kind = load_plan(&l, &e);

	if (kind < 0) {
		log_error("container %s: DEL cannot run: %s", offer->target.container_id, e.msg);
		snprintf(v->note, sizeof(v->note), "%.*s", WIRE_TEXT - 1, e.msg);
		return;
	}
	v->clean = kind == STATE_NONE || verbs_undo(&l, l.n, offer, v->note);
	delegate_list_clear(&l);
}

/* Does the network's result say that there is a link of that name in the pod? Not every network makes one. */
static bool
has_link(const struct delegate *d)
{
	json_t *interface;
	size_t i;

	if (json_object_get(d->result, "ip4") || json_object_get(d->result, "ip6"))
		return true;
	json_array_foreach(json_object_get(d->result, "interfaces"), i, interface) {
		const char *name = json_string_value(json_object_get(interface, "name"));

		if (name && strcmp(name, d->ifname) == 0 && json_object_get(interface, "sandbox"))
			return true;
	}
	return false;
}

static int
check_network(struct delegate *d, const struct msg_offer *offer, struct cnierr *e)
{
	const char *name = d->ifname;
	uint64_t there = 1;

	if (has_link(d) && priv_link_get(&name, 1, &there, e))
		return cnierr_prefix(e, "network \"%s\"", d->net);
	if (there == 0)
		return cnierr_set(e, CNI_ERR_INTERNAL,
				  "network \"%s\": interface \"%s\" is no longer in the pod",
				  d->net, d->ifname);
	return run_network(d, CNI_CHECK, offer, NULL, e);
}

static void
run_check(const struct msg_offer *offer, struct verdict *v)
{
	const struct wire_target *t = &offer->target;
	struct delegate_list l = { 0 };
	int kind = load_plan(&l, &v->e);

	if (kind == STATE_NONE)
		cnierr_set(&v->e, CNI_ERR_UNKNOWN_CONTAINER,
			   "container %s has no interface \"%s\" from here", t->container_id,
			   t->ifname);
	else if (kind == STATE_IS_PLAN)
		cnierr_set(&v->e, CNI_ERR_INTERNAL,
			   "the ADD of container %s, interface \"%s\", did not finish: DEL it",
			   t->container_id, t->ifname);
	for (size_t i = 0; i < l.n && v->e.code == 0; i++)
		check_network(&l.e[i], offer, &v->e);
	delegate_list_clear(&l);
}

/* The cluster network's plugins, asked for GC or STATUS. Without that network no ADD could be served. */
static void
ask_cluster(const struct conf *conf, const struct msg_offer *offer, const struct netconf *nc,
	    const json_t *valid, struct cnierr *e)
{
	struct delegate_list l = { 0 };

	if (delegates_build(conf, nc, &offer->target, NULL, &verbs_source, &l, e) == 0)
		run_network(&l.e[0], offer->verb, offer, valid, e);
	else if (offer->verb == CNI_STATUS)
		e->code = CNI_ERR_NOT_AVAILABLE;
	delegate_list_clear(&l);
}

/* One element of the runtime's list, copied into valid. An attachment to "lo" is never one of ours. */
static int
take_valid(const json_t *item, json_t *valid, struct cnierr *e)
{
	const char *id = "", *ifname = "";
	json_t *copy;

	if (!json_is_object(item))
		return cnierr_set(e, CNI_ERR_DECODE, "valid attachments: each must be an object");
	if (json_member_string(item, "containerID", "valid attachments", &id, e) ||
	    json_member_string(item, "ifname", "valid attachments", &ifname, e))
		return -1;
	if (strcmp(ifname, "lo") == 0)
		return 0;
	if (!check_container_id(id) || !check_ifname(ifname))
		return cnierr_set(e, CNI_ERR_CONFIG,
				  "valid attachments: container \"%s\", interface \"%s\" cannot be",
				  id, ifname);
	copy = json_object();
	json_object_set_new(copy, "containerID", json_string(id));
	json_object_set_new(copy, "ifname", json_string(ifname));
	return json_array_append_new(valid, copy);
}

/* The runtime's list, checked as a whole before any of it counts. No list at all is not an empty list: a runtime that forgot it
 * would have everything removed. */
static json_t *
read_valid(const struct netconf *nc, struct cnierr *e)
{
	json_t *list = json_object_get(nc->root, "cni.dev/valid-attachments"), *item;
	cleanup_json json_t *valid = json_array();
	size_t i;

	if (!list)
		list = json_object_get(nc->root, "cni.dev/attachments");
	if (!json_is_array(list) && !json_is_null(list)) {
		cnierr_set(e, CNI_ERR_CONFIG,
			   "GC needs the list \"cni.dev/valid-attachments\": nothing was removed");
		return NULL;
	}
	json_array_foreach(list, i, item)
		if (take_valid(item, valid, e))
			return NULL;
	return json_incref(valid);
}

static void
run_gc(const struct conf *conf, const struct msg_offer *offer, const struct netconf *nc,
       struct verdict *v)
{
	cleanup_json json_t *valid = read_valid(nc, &v->e);
	json_t *item;
	size_t i;
	int left;

	if (!valid)
		return;
	json_array_foreach(valid, i, item)
		if (priv_gc_valid(json_string_value(json_object_get(item, "containerID")),
				  json_string_value(json_object_get(item, "ifname")), &v->e))
			return;
	left = priv_gc_sweep(&v->e);
	if (left < 0)
		return;
	if (left > 0)
		cnierr_set(&v->e, CNI_ERR_INTERNAL,
			   "%d stale attachments could not be removed: they are tried again", left);
	if (v->e.code) {
		struct cnierr other = { 0 };

		ask_cluster(conf, offer, nc, valid, &other);
		if (other.code)
			log_warn("GC: %s", other.msg);
	} else {
		ask_cluster(conf, offer, nc, valid, &v->e);
	}
}

static void
run_verb(const struct conf *conf, const struct msg_offer *offer, const char *config, size_t len,
	 struct verdict *v)
{
	struct netconf nc = { 0 };

	/* DEL must go on when the configuration is broken or, after a restart, not known. */
	if (offer->verb == CNI_DEL) {
		run_del(offer, v);
		return;
	}
	if (netconf_parse(config, len, offer->verb, &nc, &v->e))
		return;
	switch (offer->verb) {
	case CNI_ADD:
		add_run(conf, offer, &nc, v);
		break;
	case CNI_CHECK:
		run_check(offer, v);
		break;
	case CNI_GC:
		run_gc(conf, offer, &nc, v);
		break;
	default:
		ask_cluster(conf, offer, &nc, NULL, &v->e);
		break;
	}
	netconf_clear(&nc);
}

void
verbs_run(const struct conf *conf, const struct msg_offer *offer, const char *config, size_t len)
{
	struct verdict v = { 0 };

	run_verb(conf, offer, config, len, &v);
	if (v.e.code) {
		free(v.text);
		v.text = cnierr_json(&v.e);
	}
	priv_verdict(v.e.code, v.clean, v.text, v.results, v.e.code ? v.e.msg : v.note);
	event_send(v.pod_uid);
	free(v.text);
	free(v.results);
}
