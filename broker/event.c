/* Events about the pod.
 * Runs in: worker. */
#include "broker/event.h"

#include <stdio.h>
#include <string.h>

#include "broker/json.h"
#include "broker/priv.h"
#include "broker/result.h"
#include "netpriv/util.h"

static struct msg_kube_event events[DELEGATE_MAX];
static unsigned n;

static struct msg_kube_event *
next_event(unsigned kind)
{
	if (n == DELEGATE_MAX)
		return NULL;
	events[n] = (struct msg_kube_event){ .kind = kind };
	return &events[n++];
}

/* Appends, as far as there is room: what is cut is for people only. */
static void
append(struct msg_kube_event *e, const char *before, const char *text)
{
	size_t used = strlen(e->text);

	snprintf(e->text + used, sizeof(e->text) - used, "%s%s", before, text);
}

void
event_added(const struct delegate *d)
{
	struct cnierr ignored = { 0 };
	cleanup_json json_t *result = d->result ? result_convert(d->result, "1.1.0", &ignored) : NULL;
	json_t *ip, *ips = json_object_get(result, "ips");
	struct msg_kube_event *e;
	size_t i;

	if (json_array_size(ips) + json_array_size(json_object_get(result, "interfaces")) == 0)
		return;
	e = next_event(EVENT_ADDED);
	if (!e)
		return;
	append(e, "Add ", d->ifname);
	append(e, " ", "[");
	json_array_foreach(ips, i, ip)
		append(e, i ? " " : "", json_string_value(json_object_get(ip, "address")));
	append(e, "]", "");
	if (d->display[0])
		append(e, " from ", d->display);
}

void
event_missing(const char *ns, const char *name)
{
	struct msg_kube_event *e = next_event(EVENT_NO_NETWORK);

	if (e)
		snprintf(e->text, sizeof(e->text),
			 "cannot find a network-attachment-definition (%s) in namespace (%s): it does not exist", name, ns);
}

void
event_send(const char *pod_uid)
{
	for (unsigned i = 0; i < n; i++) {
		util_copy(events[i].pod_uid, sizeof(events[i].pod_uid), pod_uid);
		kube_tell_event(&events[i]);
	}
	n = 0;
}
