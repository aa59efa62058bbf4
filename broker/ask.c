/* The worker's questions to kube, which fetches bytes; they are parsed here.
 * Runs in: worker.  Trusts: nothing that kube or the API says. */
#include "broker/priv.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "broker/json.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

#define WHERE 512
#define NO_MSG                                                                                     \
	{                                                                                          \
		.fds = { -1, -1, -1, -1 }                                                          \
	}

static struct wire channel = { .fd = -1 };

void
ask_init(int kube_fd)
{
	channel = WIRE_INIT(kube_fd, ROLE_WORKER, ROLE_KUBE);
}

static void
call_kube(enum msg_type type, const void *body, int fd, struct wire_msg *m)
{
	int err = wire_call(&channel, type, body, &fd, fd >= 0, MSG_KUBE_REPLY, m);

	if (err)
		log_fatal("%s: the channel to kube broke: %s", wire_name(type), strerror(-err));
}

/* The document in a memfd; what and where are for messages. New reference or NULL with e. */
static json_t *
read_body(int memfd, uint32_t format, const char *what, const char *where, struct cnierr *e)
{
	json_t *j;
	void *map;
	size_t len;
	int err = memfd < 0 ? -EPROTO : util_map_memfd(memfd, JSON_MAX_BYTES, &map, &len);

	if (err) {
		cnierr_set(e, CNI_ERR_IO, "%s: %s: %s", what, where, strerror(-err));
		return NULL;
	}
	j = format == KUBE_YAML ? json_read_yaml(map ? map : "", len, where, e)
				: json_read(map ? map : "", len, where, e);
	if (map)
		munmap(map, len);
	return j;
}

/* A transient answer tells the runtime to come back. */
static int
refuse_reply(const struct wire_msg *m, const char *what, struct cnierr *e)
{
	const struct msg_kube_reply *r = &m->body.kube_reply;
	bool later = r->code == 401 || r->code == 409 || r->code == 429 || r->code >= 500;
	struct cnierr ignored = { 0 };
	/* What the API server says itself: a Status object, when there is one. */
	cleanup_json json_t *status = read_body(m->fds[0], KUBE_JSON, what, "Status", &ignored);
	const char *says = json_string_value(json_object_get(status, "message"));

	return cnierr_set(e, later ? CNI_ERR_TRY_AGAIN : CNI_ERR_INTERNAL, "%s: %s (%u)%s%.300s", what,
			  r->text[0] ? r->text : "refused", r->code, says ? ": " : "", says ? says : "");
}

static json_t *
ask_object(enum msg_type type, const void *body, const char *what, char *where, struct cnierr *e)
{
	cleanup_msg struct wire_msg m = NO_MSG;
	const struct msg_kube_reply *r = &m.body.kube_reply;

	call_kube(type, body, -1, &m);
	snprintf(where, WHERE, "%s", r->text);
	if (r->code == 404)
		return NULL;
	if (r->code != 200) {
		refuse_reply(&m, what, e);
		return NULL;
	}
	return read_body(m.fds[0], r->format, what, where, e);
}

json_t *
kube_get_pod(bool full, char *where, struct cnierr *e)
{
	struct msg_kube_pod pod = { .full = full };

	return ask_object(MSG_KUBE_POD, &pod, "pod", where, e);
}

json_t *
kube_get_nad(const char *ns, const char *name, bool fresh, char *where, struct cnierr *e)
{
	struct msg_kube_nad nad = { .fresh = fresh };

	if (!check_dns_label(ns) || !check_dns_subdomain(name)) {
		cnierr_set(e, CNI_ERR_CONFIG,
			   "\"%s/%s\" is not the name of a NetworkAttachmentDefinition", ns, name);
		return NULL;
	}
	util_copy(nad.ns, sizeof(nad.ns), ns);
	util_copy(nad.name, sizeof(nad.name), name);
	return ask_object(MSG_KUBE_NAD, &nad, "NetworkAttachmentDefinition", where, e);
}

json_t *
kube_get_claim(const char *name, char *where, struct cnierr *e)
{
	struct msg_kube_claim claim = { 0 };

	if (!check_dns_subdomain(name) || util_copy(claim.name, sizeof(claim.name), name)) {
		cnierr_set(e, CNI_ERR_DECODE, "\"%s\" is not the name of a ResourceClaim", name);
		return NULL;
	}
	return ask_object(MSG_KUBE_CLAIM, &claim, "ResourceClaim", where, e);
}

json_t *
kube_get_slices(const char *driver, const char *node, const char *more, unsigned limit, char *where, struct cnierr *e)
{
	struct msg_kube_slices slices = { .limit = limit };

	if (!check_dns_subdomain(driver) || util_copy(slices.driver, sizeof(slices.driver), driver) ||
	    (*node && !check_dns_subdomain(node)) || util_copy(slices.node, sizeof(slices.node), node) ||
	    (*more && !check_visible(more)) || util_copy(slices.more, sizeof(slices.more), more)) {
		cnierr_set(e, CNI_ERR_DECODE, "no ResourceSlices can be of driver \"%s\" on node \"%s\"", driver, node);
		return NULL;
	}
	return ask_object(MSG_KUBE_SLICES, &slices, "ResourceSlices", where, e);
}

int
kube_put_status(const char *pod_uid, const char *text, struct cnierr *e)
{
	struct msg_kube_status status = { 0 };
	cleanup_close int fd = util_sealed_memfd("status", text, strlen(text));
	cleanup_msg struct wire_msg m = NO_MSG;

	if (fd < 0)
		return cnierr_set(e, CNI_ERR_INTERNAL, "network-status: %s", strerror(-fd));
	util_copy(status.pod_uid, sizeof(status.pod_uid), pod_uid);
	call_kube(MSG_KUBE_STATUS, &status, fd, &m);
	return m.body.kube_reply.code == 200 ? 0 : refuse_reply(&m, "network-status", e);
}

int
kube_ping(struct cnierr *e)
{
	struct msg_kube_ping ping = { 0 };
	cleanup_msg struct wire_msg m = NO_MSG;

	call_kube(MSG_KUBE_PING, &ping, -1, &m);
	return m.body.kube_reply.code == 200 ? 0 : refuse_reply(&m, "pods and networks cannot be asked for", e);
}

void
kube_tell_event(const struct msg_kube_event *event)
{
	int err = channel.fd < 0 ? 0 : wire_send(&channel, MSG_KUBE_EVENT, 0, event, NULL, 0);

	if (err < 0)
		log_warn("event: %s", strerror(-err));
}
