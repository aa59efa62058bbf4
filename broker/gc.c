/* GC: what the runtime does not name is undone, and then every network's own plugins hear which attachments are left.
 * Runs in: worker.  Trusts: conf and the offer; not the configuration, the journal's blobs or a plugin. */
#include "broker/gc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/json.h"
#include "broker/plan.h"
#include "broker/priv.h"
#include "broker/run.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

/* What the journal holds, by the network's name: plugins keep their state by it, whatever else two configurations have in common. */
struct gc {
	json_t *named;    /* the runtime's list: "<container>/<interface>" -> attachment */
	json_t *valid;    /* name -> the same of that network */
	json_t *networks; /* array of the different networks, as plan_network() writes them */
	bool strangers;   /* the runtime names containers that the journal does not know */
};

static const char *
member(const json_t *attachment, const char *key)
{
	return json_string_value(json_object_get(attachment, key));
}

static void
name_attachment(char key[WIRE_ID + 16], const char *id, const char *ifname)
{
	snprintf(key, WIRE_ID + 16, "%s/%s", id, ifname);
}

/* Twice is once. */
static void
add_attachment(json_t *list, const char *id, const char *ifname)
{
	char key[WIRE_ID + 16];

	name_attachment(key, id, ifname);
	json_object_set_new(list, key, json_pack("{s:s, s:s}", "containerID", id, "ifname", ifname));
}

/* The attachments of networks of that name. */
static json_t *
valid_of(struct gc *gc, const char *name)
{
	if (!json_object_get(gc->valid, name))
		json_object_set_new(gc->valid, name, json_object());
	return json_object_get(gc->valid, name);
}

/* One element of the runtime's list. An attachment to "lo" is never one of ours. */
static int
take_named(struct gc *gc, const json_t *item, struct cnierr *e)
{
	const char *id = "", *ifname = "";

	if (!json_is_object(item))
		return cnierr_set(e, CNI_ERR_DECODE, "valid attachments: each must be an object");
	if (json_member_string(item, "containerID", "valid attachments", &id, e) ||
	    json_member_string(item, "ifname", "valid attachments", &ifname, e))
		return -1;
	if (strcmp(ifname, "lo") == 0)
		return 0;
	if (!check_container_id(id) || !check_ifname(ifname))
		return cnierr_set(e, CNI_ERR_CONFIG, "valid attachments: container \"%s\", interface \"%s\" cannot be", id, ifname);
	add_attachment(gc->named, id, ifname);
	return 0;
}

/* The runtime's list, checked as a whole before any of it counts. No list at all is not an empty list: a runtime that forgot it
 * would have everything removed. */
static int
read_named(struct gc *gc, const struct netconf *nc, struct cnierr *e)
{
	json_t *list = json_object_get(nc->root, "cni.dev/valid-attachments"), *item;
	size_t i;

	if (!list)
		list = json_object_get(nc->root, "cni.dev/attachments");
	if (!json_is_array(list) && !json_is_null(list))
		return cnierr_set(e, CNI_ERR_CONFIG, "GC needs the list \"cni.dev/valid-attachments\": nothing was removed");
	json_array_foreach(list, i, item)
		if (take_named(gc, item, e))
			return -1;
	return 0;
}

/* Undoes what is not in the list. 0, or -1 with e; what could not be undone is in e as well, with 0. */
static int
sweep(struct gc *gc, struct cnierr *e)
{
	const char *key;
	json_t *item;
	int left;

	json_object_foreach(gc->named, key, item)
		if (priv_gc_valid(member(item, "containerID"), member(item, "ifname"), e))
			return -1;
	left = priv_gc_sweep(e);
	if (left > 0)
		cnierr_set(e, CNI_ERR_INTERNAL, "%d stale attachments could not be removed: they are tried again", left);
	return left < 0 ? -1 : 0;
}

static void
add_network(struct gc *gc, const struct delegate *d)
{
	json_t *network = plan_network(d), *other;
	size_t i;

	/* Of one attachment, not of the network. */
	json_object_del(network, "ifname");
	json_object_del(network, "mac");
	json_object_del(network, "ips");
	json_object_del(network, "runtime");
	json_object_del(network, "result");
	json_object_del(network, "defaultRoute");
	json_array_foreach(gc->networks, i, other)
		if (json_equal(other, network)) {
			json_decref(network);
			return;
		}
	json_array_append_new(gc->networks, network);
}

/* What a DEL owes is not valid: its plugin may well clean it up now. */
static void
take_entry(struct gc *gc, const struct msg_state *at, const struct delegate_list *l)
{
	char key[WIRE_ID + 16];

	name_attachment(key, at->container_id, at->main[0] ? at->main : at->ifname);
	for (size_t i = 0; i < l->n; i++) {
		if (!at->owed || json_object_get(gc->named, key))
			add_attachment(valid_of(gc, l->e[i].net), at->container_id, l->e[i].ifname);
		add_network(gc, &l->e[i]);
	}
}

static int
read_journal(struct gc *gc, struct cnierr *e)
{
	cleanup_json json_t *known = json_object();
	struct msg_state at = { 0 };
	const char *key;
	json_t *item;
	size_t len;
	char *text;
	int r;

	while ((r = priv_state_next(&at, &text, &len, e)) == 1) {
		struct delegate_list l = { 0 };
		struct cnierr bad = { 0 };

		if (plan_read(text, len, &l, &bad) == 0) {
			take_entry(gc, &at, &l);
			json_object_set_new(known, at.container_id, json_true());
		} else {
			/* Its networks are not known, so nothing can be said of any network. */
			log_warn("GC: container %s: %s", at.container_id, bad.msg);
			gc->strangers = true;
		}
		delegate_list_clear(&l);
		free(text);
	}
	json_object_foreach(gc->named, key, item)
		if (!json_object_get(known, member(item, "containerID")))
			gc->strangers = true;
	return r;
}

/* Errors are collected: the first one is the runtime's, the others the log's. */
static void
run_one(struct gc *gc, struct delegate *d, const struct msg_offer *offer, struct cnierr *e)
{
	cleanup_json json_t *list = json_array();
	struct cnierr one = { 0 };
	const char *key;
	json_t *item;

	json_object_foreach(valid_of(gc, d->net), key, item)
		json_array_append(list, item);
	if (run_network(d, CNI_GC, offer, list, &one) == 0)
		return;
	if (e->code == 0)
		*e = one;
	else
		log_warn("GC: %s", one.msg);
}

/* The cluster network as it is configured now; the runtime's own list is about it. */
static void
clean_cluster(struct gc *gc, const struct conf *conf, const struct msg_offer *offer, const struct netconf *nc, struct cnierr *e)
{
	struct delegate_list l = { 0 };
	struct cnierr wrong = { 0 };

	if (delegates_build(conf, nc, &offer->target, NULL, &verbs_source, &l, &wrong)) {
		log_warn("GC: %s", wrong.msg);
		if (e->code == 0)
			*e = wrong;
		return;
	}
	json_object_update(valid_of(gc, l.e[0].net), gc->named);
	add_network(gc, &l.e[0]);
	/* Others' attachments on other networks are not known: those plugins would be told that they are gone. */
	if (gc->strangers && json_array_size(gc->networks) > 1)
		log_info("GC: the runtime names containers that are not in the journal: only network \"%s\" is cleaned up", l.e[0].net);
	if (gc->strangers)
		run_one(gc, &l.e[0], offer, e);
	delegate_list_clear(&l);
}

static void
clean_networks(struct gc *gc, const struct conf *conf, const struct msg_offer *offer, struct cnierr *e)
{
	json_t *network;
	size_t i;

	json_array_foreach(gc->networks, i, network) {
		struct delegate d = { 0 };
		struct cnierr wrong = { 0 };

		json_object_set_new(network, "ifname", json_string("net0"));
		if (plan_read_network(network, &d, &wrong) == 0 && delegate_ipam(conf, &d, &wrong) == 0)
			run_one(gc, &d, offer, e);
		else
			log_warn("GC: %s", wrong.msg);
		delegate_clear(&d);
	}
}

void
gc_run(const struct conf *conf, const struct msg_offer *offer, const struct netconf *nc, struct verdict *v)
{
	cleanup_json json_t *named = json_object(), *valid = json_object(), *networks = json_array();
	struct gc gc = { named, valid, networks, false };

	if (read_named(&gc, nc, &v->e) || sweep(&gc, &v->e) || read_journal(&gc, &v->e) < 0)
		return;
	clean_cluster(&gc, conf, offer, nc, &v->e);
	if (!gc.strangers)
		clean_networks(&gc, conf, offer, &v->e);
}
