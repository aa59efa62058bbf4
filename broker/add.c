/* ADD: every network that the pod asks for, or none. Nothing runs before it is journalled; whatever fails afterwards, what was
 * started is undone, last one first.
 * Runs in: worker.  Trusts: conf and the offer; not the configuration, the pod, the NADs or a plugin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/devices.h"
#include "broker/event.h"
#include "broker/json.h"
#include "broker/plan.h"
#include "broker/priv.h"
#include "broker/result.h"
#include "broker/run.h"
#include "broker/verbs.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

struct add {
	const struct conf *conf;
	const struct msg_offer *offer;
	const struct netconf *nc;
	struct pod pod;
	struct delegate_list l;
	size_t started;		       /* networks whose ADD was begun */
	const struct delegate *failed; /* the network that an error is about, or NULL */
	struct cnierr *e;
};

static int
find_pod(struct add *a)
{
	const struct wire_target *t = &a->offer->target;
	bool named = t->pod_ns[0] && t->pod_name[0];
	cleanup_json json_t *manifest = NULL;
	char where[512] = "";

	if (!named && !a->conf->unknown_pods)
		return cnierr_set(a->e, CNI_ERR_ENV,
				  "required CNI variable missing. pod name: %s; pod namespace: %s",
				  t->pod_name, t->pod_ns);
	if (named)
		manifest = kube_get_pod(false, where, a->e);
	if (a->e->code)
		return -1;
	if (manifest)
		return pod_parse(manifest, t, &a->pod, a->e);
	if (!a->conf->unknown_pods)
		return cnierr_set(a->e, CNI_ERR_INTERNAL, "pod %s/%s not found: %s", t->pod_ns,
				  t->pod_name, where);
	log_info("pod %s/%s is not known: it gets the cluster network alone", t->pod_ns,
		 t->pod_name);
	util_copy(a->pod.ns, sizeof(a->pod.ns), t->pod_ns);
	util_copy(a->pod.name, sizeof(a->pod.name), t->pod_name);
	return 0;
}

/* Journalled only when all its interface names are free in the pod. */
static int
write_plan(struct add *a)
{
	uint64_t there;

	if (verbs_plan(&a->l, &a->offer->target, &there, a->e))
		return -1;
	if (there == 0)
		return 0;
	a->failed = &a->l.e[__builtin_ctzll(there)];
	return cnierr_set(a->e, CNI_ERR_INTERNAL,
			  "interface \"%s\" for network \"%s\" is already in the pod",
			  a->failed->ifname, a->failed->net);
}

static int
prepare(struct add *a)
{
	if (a->offer->flags & OFFER_STATE)
		return cnierr_set(a->e, CNI_ERR_INTERNAL,
				  "container %s already has its networks attached at interface "
				  "\"%s\": DEL it first",
				  a->offer->target.container_id, a->offer->target.ifname);
	if (verbs_ready(a->conf, true, a->e) || find_pod(a) ||
	    delegates_build(a->conf, a->nc, &a->offer->target, &a->pod, &verbs_source, &a->l, a->e))
		return -1;
	return write_plan(a);
}

static int
add_networks(struct add *a)
{
	for (size_t i = 0; i < a->l.n; i++) {
		a->failed = &a->l.e[i];
		if (devices_info_copy(&a->l.e[i], a->e))
			return cnierr_prefix(a->e, "network %s", a->l.e[i].display);
		a->started = i + 1;
		if (run_network(&a->l.e[i], CNI_ADD, a->offer, NULL, a->e))
			return -1;
		devices_info_read(&a->l.e[i]);
		event_added(&a->l.e[i]);
	}
	a->failed = NULL;
	return 0;
}

/* After all networks are up, since each of them may bring default routes of its own. */
static int
set_routes(struct add *a)
{
	for (size_t i = 0; i < a->l.n; i++) {
		const struct delegate *d = &a->l.e[i];
		json_t *gateway;
		size_t k;

		a->failed = d;
		json_array_foreach(d->default_route, k, gateway)
			if (priv_route_default(d->ifname, json_string_value(gateway), a->e))
				return cnierr_prefix(a->e, "network \"%s\": default-route", d->net);
	}
	a->failed = NULL;
	return 0;
}

/* Adds to all what the journal holds of this container beside the interface at hand: plugged or not. */
static int
collect_networks(const struct wire_target *t, bool plugged, struct delegate_list *all, struct cnierr *e)
{
	struct msg_state at = { 0 };
	char *text;
	size_t len;
	int r;

	while ((r = priv_state_next(&at, &text, &len, e)) == 1) {
		struct delegate_list l = { 0 };
		bool wanted = at.kind == STATE_IS_DONE && strcmp(at.ifname, t->ifname) != 0 && (at.main[0] != '\0') == plugged;

		if (wanted && plan_read(text, len, &l, e) == 0) {
			for (size_t i = 0; i < l.n && all->n < DELEGATE_MAX; i++) {
				all->e[all->n] = l.e[i];
				all->e[all->n++].master = i == 0 && !plugged;
				l.e[i] = (struct delegate){ 0 };
			}
		}
		delegate_list_clear(&l);
		free(text);
	}
	return r;
}

/* The network-status of a pod whose networks change while it runs: what the journal says, and the new one, if there is one. */
static char *
changed_status(const struct wire_target *t, const struct delegate *plugged, struct cnierr *e)
{
	struct delegate_list all = { 0 };
	char *text = NULL;

	if (collect_networks(t, false, &all, e) == 0 && collect_networks(t, true, &all, e) == 0 && !e->code) {
		bool added = plugged && all.n < DELEGATE_MAX;

		if (added)
			all.e[all.n++] = *plugged;
		else if (plugged)
			cnierr_set(e, CNI_ERR_CONFIG, "more than %d networks for one pod", DELEGATE_MAX);
		text = e->code ? NULL : status_text(&all, e);
		if (!text && !e->code)
			text = strdup("[]");
		if (added)
			all.n--; /* it stays the caller's */
	}
	delegate_list_clear(&all);
	return text;
}

static int
publish_status(struct add *a)
{
	bool plugged = a->offer->flags & OFFER_PLUG;
	cleanup_free char *text = plugged ? changed_status(&a->offer->target, &a->l.e[0], a->e)
				  : a->pod.known ? status_text(&a->l, a->e) : NULL;

	return text ? kube_put_status(a->pod.uid, text, a->e) : a->e->code ? -1 : 0;
}

/* The cluster network's result, for the runtime. */
static char *
answer(struct add *a)
{
	cleanup_json json_t *result = result_convert(a->l.e[0].result, a->nc->version, a->e);
	char *text = result ? result_text(result) : NULL;

	if (!text)
		cnierr_set(a->e, CNI_ERR_INTERNAL, "out of memory for the result");
	return text;
}

static void
prefix_pod(struct add *a)
{
	const struct wire_target *t = &a->offer->target;

	if (a->failed)
		cnierr_prefix(a->e, "[%s/%s/%s:%s]", t->pod_ns, t->pod_name, t->pod_uid,
			      a->failed->net);
	else
		cnierr_prefix(a->e, "[%s/%s/%s]", t->pod_ns, t->pod_name, t->pod_uid);
}

/* Undoes what was started, last one first. What could not be undone stays journalled, and only that: no later try may stumble over
 * a plugin that never ran. */
static void
roll_back(struct add *a, struct verdict *v)
{
	struct cnierr e = { 0 };

	while (a->l.n > a->started || (a->l.n > 0 && json_array_size(a->l.e[a->l.n - 1].plugins) == 0)) {
		if (a->l.n == a->started && devices_info_remove(&a->l.e[a->l.n - 1], &e))
			log_warn("container %s: %s", a->offer->target.container_id, e.msg);
		delegate_list_pop(&a->l);
	}
	e = (struct cnierr){ 0 };
	v->clean = verbs_undo(a->conf, &a->l, a->l.n, a->offer, v->note);
	if (v->clean)
		return;
	v->results = plan_make(&a->l, &a->offer->target, &e);
	if (!v->results)
		log_warn("container %s: %s", a->offer->target.container_id, e.msg);
}

void
add_unplugged(const struct conf *conf, const struct msg_offer *offer)
{
	struct cnierr e = { 0 };
	struct add a = { .conf = conf, .offer = offer, .e = &e };
	cleanup_free char *text = find_pod(&a) == 0 ? changed_status(&offer->target, NULL, &e) : NULL;

	if (text)
		kube_put_status(a.pod.uid, text, &e);
	if (e.code)
		log_warn("container %s: interface %s is detached, but the pod's network-status may still name it: %s",
			 offer->target.container_id, offer->target.ifname, e.msg);
	pod_clear(&a.pod);
}

void
add_run(const struct conf *conf, const struct msg_offer *offer, const struct netconf *nc,
	struct verdict *v)
{
	struct add a = { .conf = conf, .offer = offer, .nc = nc, .e = &v->e };

	/* The status before the results: an entry that says "done" is of a pod whose ADD succeeded. */
	if (prepare(&a) == 0 && add_networks(&a) == 0 && set_routes(&a) == 0 &&
	    (v->text = answer(&a)) != NULL && publish_status(&a) == 0)
		v->results = plan_make(&a.l, &offer->target, &v->e);
	if (v->e.code) {
		prefix_pod(&a);
		if (a.started)
			roll_back(&a, v);
	}
	util_copy(v->pod_uid, sizeof(v->pod_uid), a.pod.uid);
	delegate_list_clear(&a.l);
	pod_clear(&a.pod);
}
