/* Bodies of requests.
 * Runs in: kube.  Trusts: nothing; values become JSON strings and nothing else.
 * Source: RFC 7386; Kubernetes core/v1 Event. */
#include "kubeclient/body.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "netpriv/util.h"

#define STATUS_ANNOTATION "k8s.v1.cni.cncf.io/network-status"
#define COMPONENT "multus" /* what dashboards and alerts for multi-network pods select by */

void
body_init(void)
{
	json_object_seed(0);
}

static char *
print(json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	return text;
}

char *
body_status(const char *pod_uid, const char *status, size_t len)
{
	/* The server refuses a patch that would change a uid: that is the precondition. */
	if (*pod_uid)
		return print(json_pack("{s:{s:s, s:{s:s%}}}", "metadata", "uid", pod_uid, "annotations",
				       STATUS_ANNOTATION, status, len));
	return print(json_pack("{s:{s:{s:s%}}}", "metadata", "annotations", STATUS_ANNOTATION, status, len));
}

/* "<pod>.<nanoseconds, hexadecimal>", as the API's other clients name theirs; at most 253 bytes. */
static void
name_event(const char *pod, const struct timespec *t, char *name)
{
	int len = (int)strnlen(pod, 230);

	while (len > 1 && !isalnum((unsigned char)pod[len - 1]))
		len--;
	snprintf(name, 256, "%.*s.%llx", len, pod, (unsigned long long)t->tv_sec * 1000000000u + (unsigned long long)t->tv_nsec);
}

char *
body_event(const struct msg_kube_bind *pod, const struct msg_kube_event *e, const char *node, char *name)
{
	const char *uid = e->pod_uid[0] ? e->pod_uid : pod->pod_uid;
	bool added = e->kind == EVENT_ADDED;
	struct timespec now;
	char stamp[32];
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &tm);
	name_event(pod->pod_name, &now, name);
	return print(json_pack(
	    "{s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s, s:s, s:s, s:s}, s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:i, s:s, s:s}",
	    "apiVersion", "v1", "kind", "Event", "metadata", "name", name, "namespace", pod->pod_ns, "involvedObject",
	    "apiVersion", "v1", "kind", "Pod", "name", pod->pod_name, "namespace", pod->pod_ns, "uid", uid, "type",
	    added ? "Normal" : "Warning", "reason", added ? "AddedInterface" : "NoNetworkFound", "message", e->text, "source",
	    "component", COMPONENT, "host", node, "firstTimestamp", stamp, "lastTimestamp", stamp, "count", 1,
	    "reportingComponent", COMPONENT, "reportingInstance", node));
}
