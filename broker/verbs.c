/* DEL, CHECK, GC and STATUS; ADD is add.c's.
 * Runs in: worker.  Trusts: conf and the offer; not the configuration, the journal's blob, the API or a plugin. */
#include "broker/verbs.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/devices.h"
#include "broker/event.h"
#include "broker/gc.h"
#include "broker/json.h"
#include "broker/plan.h"
#include "broker/priv.h"
#include "broker/result.h"
#include "broker/run.h"
#include "broker/takeover.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

#define READY_MS 45000
#define READY_POLL_MS 250

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

static json_t *
read_devices(void *ctx, const struct device_request *q, struct cnierr *why, struct cnierr *e)
{
	json_t *ids = kubelet_devices(q->resource, q->pod_uid, e);

	(void)ctx;
	if (!ids || json_array_size(ids) >= q->wanted || !q->pod)
		return ids;
	dra_devices(q->pod, q->resource, ids, why);
	if (devices_sort(ids, e) == 0)
		return ids;
	json_decref(ids);
	return NULL;
}

static json_t *
read_used(void *ctx, struct cnierr *e)
{
	cleanup_json json_t *used = json_array();
	struct msg_state at = { 0 };
	char *text;
	size_t len;
	int r;

	(void)ctx;
	while ((r = priv_state_next(&at, &text, &len, e)) == 1) {
		struct delegate_list l = { 0 };

		if (plan_read(text, len, &l, e) == 0)
			for (size_t i = 0; i < l.n; i++)
				if (l.e[i].device[0])
					json_array_append_new(used, json_pack("[s, s]", l.e[i].resource, l.e[i].device));
		delegate_list_clear(&l);
		free(text);
	}
	return r == 0 && !e->code ? json_incref(used) : NULL;
}

const struct delegate_source verbs_source = { .conf_file = read_file, .nad = read_nad, .devices = read_devices,
					     .used = read_used, .missing = event_missing };

int
verbs_ready(const struct conf *conf, bool wait, struct cnierr *e)
{
	int64_t end = util_now_ms() + READY_MS;

	/* Where the runtime's configuration is ours to write, there is none before the file is there. */
	if (!conf->ready_file[0] || conf->autoconf_base[0])
		return 0;
	while (!priv_ready()) {
		if (!wait || util_now_ms() >= end)
			return cnierr_set(e, CNI_ERR_TRY_AGAIN,
					  "have you checked that your default network is ready? still waiting for "
					  "readinessindicatorfile @ %s", conf->ready_file);
		poll(NULL, 0, READY_POLL_MS);
	}
	return 0;
}

int
verbs_plan(const struct delegate_list *l, const struct wire_target *target, uint64_t *there, struct cnierr *e)
{
	cleanup_free char *text = plan_make(l, target, e);
	const char *names[DELEGATE_MAX];

	_Static_assert(DELEGATE_MAX <= WIRE_LINKS, "one question for all of them");
	for (size_t i = 0; i < l->n; i++)
		names[i] = l->e[i].ifname;
	return text ? priv_state_plan(text, strlen(text), names, l->n, there, e) : -1;
}

bool
verbs_undo(const struct conf *conf, struct delegate_list *l, size_t n, const struct msg_offer *offer, char note[WIRE_TEXT])
{
	bool clean = true;

	note[0] = '\0';
	while (n-- > 0) {
		struct cnierr e = { 0 };

		if (delegate_ipam(conf, &l->e[n], &e) == 0 && run_network(&l->e[n], CNI_DEL, offer, NULL, &e) == 0 &&
		    devices_info_remove(&l->e[n], &e) == 0)
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

/* What Multus knew of a container that the journal does not: journalled, so that undoing it is owed like any other. 1, 0 = nothing,
 * or -1 with e. */
static int
take_over(const struct conf *conf, const struct msg_offer *offer, const char *config, size_t len, struct delegate_list *l,
	  struct cnierr *e)
{
	struct netconf nc = { 0 };
	struct cnierr unreadable = { 0 };
	uint64_t there;
	int r;

	netconf_parse(config, len, CNI_DEL, &nc, &unreadable);
	r = takeover_load(conf, &offer->target, &nc, l, e);
	if (r == 1 && verbs_plan(l, &offer->target, &there, e))
		r = -1;
	netconf_clear(&nc);
	return r;
}

/* What ADD journalled is undone, whatever the network configuration says by now. A failure is not the runtime's to solve: the pod
 * goes, and netpriv keeps the entry and tries again. */
static void
run_del(const struct conf *conf, const struct msg_offer *offer, const char *config, size_t len, struct verdict *v)
{
	struct delegate_list l = { 0 };
	struct cnierr e = { 0 };
	int known = load_plan(&l, &e);

	if (known == STATE_NONE && !(offer->flags & OFFER_PLUG))
		known = take_over(conf, offer, config, len, &l, &e);
	if (known < 0) {
		log_error("container %s: DEL cannot run: %s", offer->target.container_id, e.msg);
		snprintf(v->note, sizeof(v->note), "%.*s", WIRE_TEXT - 1, e.msg);
	} else {
		v->clean = verbs_undo(conf, &l, l.n, offer, v->note);
	}
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
check_network(const struct conf *conf, struct delegate *d, const struct msg_offer *offer, struct cnierr *e)
{
	const char *name = d->ifname;
	uint64_t there = 1;

	if (!d->disable_check && has_link(d) && priv_link_get(&name, 1, &there, e))
		return cnierr_prefix(e, "network \"%s\"", d->net);
	if (there == 0)
		return cnierr_set(e, CNI_ERR_INTERNAL,
				  "network \"%s\": interface \"%s\" is no longer in the pod",
				  d->net, d->ifname);
	return delegate_ipam(conf, d, e) ? -1 : run_network(d, CNI_CHECK, offer, NULL, e);
}

/* Networks that were attached to the pod while it ran. */
static void
check_plugged(const struct conf *conf, const struct msg_offer *offer, struct cnierr *e)
{
	struct msg_state at = { 0 };
	char *text;
	size_t len;

	while (e->code == 0 && priv_state_next(&at, &text, &len, e) == 1) {
		struct delegate_list l = { 0 };

		if (strcmp(at.main, offer->target.ifname) == 0 && at.kind == STATE_IS_DONE && plan_read(text, len, &l, e) == 0)
			check_network(conf, &l.e[0], offer, e);
		delegate_list_clear(&l);
		free(text);
	}
}

static void
run_check(const struct conf *conf, const struct msg_offer *offer, const struct netconf *nc, struct verdict *v)
{
	const struct wire_target *t = &offer->target;
	struct delegate_list l = { 0 };
	int kind = load_plan(&l, &v->e);

	if (kind == STATE_NONE && takeover_load(conf, t, nc, &l, &v->e) == 0)
		cnierr_set(&v->e, CNI_ERR_UNKNOWN_CONTAINER,
			   "container %s has no interface \"%s\" from here", t->container_id,
			   t->ifname);
	else if (kind == STATE_IS_PLAN)
		cnierr_set(&v->e, CNI_ERR_INTERNAL,
			   "the ADD of container %s, interface \"%s\", did not finish: DEL it",
			   t->container_id, t->ifname);
	for (size_t i = 0; i < l.n && v->e.code == 0; i++)
		check_network(conf, &l.e[i], offer, &v->e);
	delegate_list_clear(&l);
	check_plugged(conf, offer, &v->e);
}

/* Can the next ADD be served? The API must answer (or the store be readable), the cluster network be resolvable, and its plugins say so
 * themselves, each with a code of its own. */
static void
run_status(const struct conf *conf, const struct msg_offer *offer, const struct netconf *nc, struct verdict *v)
{
	struct delegate_list l = { 0 };

	if (kube_ping(&v->e) || verbs_ready(conf, false, &v->e) ||
	    delegates_build(conf, nc, &offer->target, NULL, &verbs_source, &l, &v->e))
		v->e.code = CNI_ERR_NOT_AVAILABLE;
	else
		run_network(&l.e[0], CNI_STATUS, offer, NULL, &v->e);
	delegate_list_clear(&l);
}

static void
run_verb(const struct conf *conf, const struct msg_offer *offer, const char *config, size_t len,
	 struct verdict *v)
{
	struct netconf nc = { 0 };

	/* DEL must go on when the configuration is broken or, after a restart, not known. */
	if (offer->verb == CNI_DEL) {
		run_del(conf, offer, config, len, v);
		if (offer->flags & OFFER_PLUG)
			add_unplugged(conf, offer);
		return;
	}
	if (offer->flags & OFFER_PLUG ? netconf_selection(config, len, &nc, &v->e)
				      : netconf_parse(config, len, offer->verb, &nc, &v->e))
		return;
	switch (offer->verb) {
	case CNI_ADD:
		add_run(conf, offer, &nc, v);
		break;
	case CNI_CHECK:
		if (!conf->no_check)
			run_check(conf, offer, &nc, v);
		break;
	case CNI_GC:
		gc_run(conf, offer, &nc, v);
		break;
	default:
		run_status(conf, offer, &nc, v);
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
