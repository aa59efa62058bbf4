/* The wall replaced: priv_* and kube_* that a test scripts, in place of the library's. For one test program at a time. */
#ifndef TESTS_FAKEWALL_H
#define TESTS_FAKEWALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/json.h"
#include "broker/plan.h"
#include "broker/priv.h"
#include "broker/result.h"
#include "broker/run.h"
#include "broker/verbs.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

#define MAX_RUNS 32

/* What one plugin does when it is asked for a verb; verb 0 ends the table. */
struct act {
	uint32_t verb;
	const char *type, *ifname; /* NULL: any */
	uint32_t how, status;
	const char *out, *err;
	bool overflow;
};

static struct {
	const struct act *acts;
	char log[4096];		  /* "ADD bridge eth0; ..." */
	json_t *stdins[MAX_RUNS]; /* of the runs, in order */
	size_t runs;
	const char *cluster, *pod, *nad,
	    *present; /* texts served; interface that is already there */
	const char *scratch, *cached; /* of Multus */
	unsigned kind;
	char *blob;
	bool fail_plan, fail_status, fail_route, unready, unreachable;
	char status[2048];
	int sweep;
	uint32_t code;
	bool clean;
	unsigned verdicts;
	char text[4096], note[WIRE_TEXT], events[4096];
} w;

__attribute__((format(printf, 1, 2))) static void
note(const char *fmt, ...)
{
	size_t used = strlen(w.log);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w.log + used, sizeof(w.log) - used, fmt, ap);
	va_end(ap);
}

int
priv_delegate_run(const struct msg_delegate_run *run, const char *stdin_text, size_t len,
		  struct priv_run *out, struct cnierr *e)
{
	static const struct act fine = { .out = "{}" };
	const struct act *a = w.acts;

	assert_int_equal(len, strlen(stdin_text));
	assert_int_equal(e->code, 0);
	note("%s %s %s; ", cni_verb_name(run->verb), run->plugin, run->ifname);
	assert_true(w.runs < MAX_RUNS);
	w.stdins[w.runs++] = json_loads(stdin_text, 0, NULL);
	while (a && a->verb &&
	       (a->verb != run->verb || strcmp(a->type, run->plugin) ||
		(a->ifname && strcmp(a->ifname, run->ifname))))
		a++;
	if (!a || !a->verb)
		a = &fine;
	*out = (struct priv_run){ .done = { .how = a->how, .status = a->status },
				  .out = strdup(a->out ? a->out : ""),
				  .err = strdup(a->err ? a->err : ""),
				  .overflow = a->overflow };
	out->out_len = strlen(out->out);
	out->err_len = strlen(out->err);
	if (a->how == DONE_FAILED)
		util_copy(out->done.text, sizeof(out->done.text), "no such plugin in /opt/cni/bin");
	return 0;
}

int
priv_state_get(unsigned *kind, char **text, size_t *len, struct cnierr *e)
{
	(void)e;
	*kind = w.kind;
	*text = w.blob ? strdup(w.blob) : NULL;
	*len = w.blob ? strlen(w.blob) : 0;
	return 0;
}

/* One entry at most: the blob, as container "abc" has it. */
int
priv_state_next(struct msg_state *at, char **text, size_t *len, struct cnierr *e)
{
	if (!w.blob || at->container_id[0])
		return 0;
	*at = (struct msg_state){ .kind = w.kind, .container_id = "abc", .ifname = "eth0" };
	return priv_state_get(&at->kind, text, len, e) ? -1 : 1;
}

bool
priv_ready(void)
{
	return !w.unready;
}

int
kube_ping(struct cnierr *e)
{
	return w.unreachable ? cnierr_set(e, CNI_ERR_TRY_AGAIN, "the API server cannot be reached") : 0;
}

int
priv_cache_get(const char *net, const char *ifname, char **text, size_t *len, struct cnierr *e)
{
	const char *from = *net ? w.cached : w.scratch;

	(void)e;
	note("cache %s %s; ", net, ifname);
	if (!from)
		return 0;
	*text = strdup(from);
	*len = strlen(from);
	return 1;
}

static int
keep_blob(const char *text, size_t len, bool fail, const char *what, struct cnierr *e)
{
	note("%s; ", what);
	if (fail)
		return cnierr_set(e, CNI_ERR_INTERNAL, "%s failed", what);
	free(w.blob);
	w.blob = strndup(text, len);
	return 0;
}

int
priv_conf_get(unsigned net, const char *sub, unsigned index, char **text, size_t *len, char *name,
	      struct cnierr *e)
{
	(void)e;
	if (net != 0 || *sub || index)
		return 0;
	strcpy(name, "10-cluster.conflist");
	*text = strdup(w.cluster);
	*len = strlen(*text);
	return 1;
}

int
priv_link_get(const char *const *ifname, size_t n, uint64_t *there, struct cnierr *e)
{
	(void)e;
	*there = 0;
	for (size_t i = 0; i < n; i++)
		*there |= (uint64_t)(w.present && strcmp(w.present, ifname[i]) == 0) << i;
	return 0;
}

int
priv_state_plan(const char *text, size_t len, const char *const *ifname, size_t n, uint64_t *there, struct cnierr *e)
{
	priv_link_get(ifname, n, there, e);
	return *there ? 0 : keep_blob(text, len, w.fail_plan, "plan", e);
}

int
priv_route_default(const char *ifname, const char *gateway, struct cnierr *e)
{
	note("route %s %s; ", ifname, gateway);
	return w.fail_route ? cnierr_set(e, CNI_ERR_INTERNAL, "unreachable") : 0;
}

int
priv_gc_valid(const char *container_id, const char *ifname, struct cnierr *e)
{
	(void)e;
	note("valid %s %s; ", container_id, ifname);
	return 0;
}

int
priv_gc_sweep(struct cnierr *e)
{
	(void)e;
	note("sweep; ");
	return w.sweep;
}

void
priv_verdict(uint32_t code, bool clean, const char *text, const char *results, const char *log_text)
{
	if (results) {
		struct cnierr e = { 0 };

		assert_non_null(text);
		keep_blob(results, strlen(results), false, "results", &e);
	}
	w.verdicts++;
	w.code = code;
	w.clean = clean;
	snprintf(w.text, sizeof(w.text), "%s", text ? text : "");
	snprintf(w.note, sizeof(w.note), "%s", log_text ? log_text : "");
}

json_t *
kube_get_pod(bool full, char *where, struct cnierr *e)
{
	(void)full;
	(void)e;
	strcpy(where, "no pods/ns1/p1.yaml in the store");
	return w.pod ? json_loads(w.pod, 0, NULL) : NULL;
}

json_t *
kube_get_nad(const char *ns, const char *name, bool fresh, char *where, struct cnierr *e)
{
	char text[1024];

	(void)e;
	(void)fresh;
	strcpy(where, "store");
	if (!w.nad || strcmp(name, "missing") == 0)
		return NULL;
	snprintf(
	    text, sizeof(text),
	    "{\"kind\":\"NetworkAttachmentDefinition\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
	    "\"%s\"}}",
	    name, ns);
	return json_pack("{s:s, s:{s:s, s:s}, s:{s:s}}", "kind", "NetworkAttachmentDefinition",
			 "metadata", "name", name, "namespace", ns, "spec", "config", w.nad);
}

json_t *
kube_get_claim(const char *name, char *where, struct cnierr *e)
{
	(void)e;
	snprintf(where, 512, "%s", name);
	return NULL;
}

json_t *
kube_get_slices(const char *driver, const char *node, const char *more, unsigned limit, char *where, struct cnierr *e)
{
	(void)node;
	(void)more;
	(void)limit;
	return kube_get_claim(driver, where, e);
}

json_t *
kubelet_devices(const char *resource, const char *pod_uid, struct cnierr *e)
{
	(void)resource;
	(void)pod_uid;
	(void)e;
	return json_array();
}

int
kubelet_devinfo(unsigned op, const struct delegate *d, char **text, size_t *len, struct cnierr *e)
{
	(void)op;
	(void)d;
	(void)text;
	(void)len;
	(void)e;
	return 0;
}

int
kube_put_status(const char *pod_uid, const char *text, struct cnierr *e)
{
	note("status; ");
	assert_string_equal(pod_uid, "u1");
	snprintf(w.status, sizeof(w.status), "%s", text);
	return w.fail_status ? cnierr_set(e, CNI_ERR_INTERNAL, "no status today") : 0;
}

void
kube_tell_event(const struct msg_kube_event *event)
{
	size_t used = strlen(w.events);

	assert_int_equal(w.verdicts, 1); /* nobody waits for events */
	snprintf(w.events + used, sizeof(w.events) - used, "%u %s %s; ", event->kind, event->pod_uid, event->text);
}

static struct conf conf;
static struct msg_offer offer;

__attribute__((unused)) static int
start(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	memset(&conf, 0, sizeof(conf));
	conf.n_networks = 1;
	strcpy(conf.networks[0], "/etc/cluster");
	strcpy(conf.multus_namespace, "kube-system");
	offer = (struct msg_offer){ .verb = CNI_ADD,
				    .flags = OFFER_NETNS,
				    .target = { .container_id = "c1",
						.ifname = "eth0",
						.netns = "/run/netns/a",
						.pod_ns = "ns1",
						.pod_name = "p1",
						.pod_uid = "u1" } };
	w.cluster = "{\"cniVersion\":\"1.0.0\",\"name\":\"cluster\",\"plugins\":[{\"type\":"
		    "\"bridge\",\"name\":\"other\"},"
		    "{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true,\"ips\":false}},"
		    "{\"type\":\"tuning\"}]}";
	w.nad = "{\"cniVersion\":\"0.3.1\",\"name\":\"mac\",\"type\":\"macvlan\"}";
	w.pod =
	    "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p1\",\"namespace\":\"ns1\",\"uid\":\"u1\","
	    "\"annotations\":{"
	    "\"k8s.v1.cni.cncf.io/"
	    "networks\":\"[{\\\"name\\\":\\\"m\\\",\\\"default-route\\\":[\\\"10.2.0.1\\\"]}]\"}}}";
	return 0;
}

__attribute__((unused)) static void
forget_runs(void)
{
	while (w.runs > 0)
		json_decref(w.stdins[--w.runs]);
}

__attribute__((unused)) static int
stop(void **state)
{
	(void)state;
	forget_runs();
	free(w.blob);
	return 0;
}

__attribute__((unused)) static void
command(enum cni_verb verb, const char *config)
{
	offer.verb = verb;
	w.log[0] = w.events[0] = '\0';
	w.verdicts = 0;
	verbs_run(&conf, &offer, config, strlen(config));
	assert_int_equal(w.verdicts, 1);
}

#define CONFIG "{\"cniVersion\":\"1.1.0\",\"name\":\"postern\",\"type\":\"postern-shim\"}"

__attribute__((unused)) static const char *
at(size_t run, const char *path)
{
	const char *dot = strchr(path, '.');
	char key[64];
	json_t *j = w.stdins[run];

	while (dot) {
		snprintf(key, sizeof(key), "%.*s", (int)(dot - path), path);
		j = json_object_get(j, key);
		path = dot + 1;
		dot = strchr(path, '.');
	}
	j = json_object_get(j, path);
	return j ? json_is_string(j) ? json_string_value(j) : "there" : NULL;
}

#endif
