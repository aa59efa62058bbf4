/* postern-kube: pods, network attachment definitions, statuses and events between workers and the API server. Each worker's channel
 * was bound to one pod by the broker: the channel says which pod, never the worker; paths are built here, of checked names.
 * Runs in: kube (uid B, no capability, no network of its own, no files).  Trusts: no peer, and nothing that the server sends. */
#include <ctype.h>
#include <stdio.h>
#include <sys/mman.h>

#include "kubeclient/answer.h"
#include "kubeclient/body.h"
#include "kubeclient/csr.h"
#include "kubeclient/h2.h"
#include "kubeclient/link.h"
#include "kubeclient/nads.h"
#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

#define EVENT_MS 120000 /* for so long an event is worth telling */
#define PING_MS 800 /* STATUS is asked for every few seconds, and not to take one of them */
#define STATUS_MAX (256u << 10) /* bytes; what the API allows to all annotations of an object */

static struct wire control = WIRE_INIT(FD_CONTROL, ROLE_KUBE, ROLE_SUPERVISOR);
static const struct conf *conf;

void
answer_object(const struct api_request *q, unsigned code, const char *text, const char *body, size_t len)
{
	struct msg_kube_reply r = { .code = code == 201 ? 200 : code };
	cleanup_close int memfd = body && len > 0 ? util_sealed_memfd("answer", body, len) : -1;

	snprintf(r.text, sizeof(r.text), "%s", text);
	if (code == 200 && !q->only_status && memfd < 0) {
		r.code = 502;
		snprintf(r.text, sizeof(r.text), "the API server's answer is empty");
	}
	serve_answer(&q->ticket, &r, memfd);
}

static void
ask(struct api_request *q, const struct serve_ticket *t, const struct msg_kube_bind *pod)
{
	q->ticket = *t;
	q->urgent = true;
	q->deadline = util_now_ms() + conf->api_ms;
	q->done = answer_object;
	memcpy(q->ns, pod->pod_ns, sizeof(q->ns));
	memcpy(q->name, pod->pod_name, sizeof(q->name));
	if (api_start(q) < 0)
		answer_object(q, 503, "too many requests are under way", NULL, 0);
}

static void
serve_get_pod(const struct serve_ticket *t, const struct msg_kube_bind *pod, const struct msg_kube_pod *m)
{
	struct api_request q = { .verb = "get", .resource = "pods", .group = "", .method = "GET", .accept = API_METADATA, .await = true };

	if (m->full)
		q.accept = API_JSON;

	snprintf(q.path, sizeof(q.path), "/api/v1/namespaces/%s/pods/%s", pod->pod_ns, pod->pod_name);
	ask(&q, t, pod);
}

#define DRA "resource.k8s.io"

static void
serve_get_claim(const struct serve_ticket *t, const struct msg_kube_bind *pod, const struct msg_kube_claim *m)
{
	struct api_request q = { .verb = "get", .resource = "resourceclaims", .group = DRA, .method = "GET", .accept = API_JSON };

	snprintf(q.path, sizeof(q.path), "/apis/" DRA "/v1/namespaces/%s/resourceclaims/%s", pod->pod_ns, m->name);
	ask(&q, t, pod);
}

/* A token that the server gave goes back to it as it was, whatever it holds. */
static void
serve_get_slices(const struct serve_ticket *t, const struct msg_kube_bind *pod, const struct msg_kube_slices *m)
{
	struct api_request q = { .verb = "list", .resource = "resourceslices", .group = DRA, .method = "GET", .accept = API_JSON };
	char more[3 * sizeof(m->more)] = "", *p = more;

	for (const char *s = m->more; *s; s++)
		p += sprintf(p, isalnum((unsigned char)*s) ? "%c" : "%%%02X", (unsigned char)*s);
	if (snprintf(q.path, sizeof(q.path),
		     "/apis/" DRA "/v1/resourceslices?fieldSelector=spec.driver%%3D%s%%2Cspec.nodeName%%3D%s&limit=%u%s%s", m->driver,
		     m->node, m->limit, *more ? "&continue=" : "", more) < (int)sizeof(q.path)) {
		ask(&q, t, pod);
		return;
	}
	q.ticket = *t;
	answer_object(&q, 400, "the list of ResourceSlices has a token that is too long", NULL, 0);
}

static void
serve_put_status(const struct serve_ticket *t, const struct msg_kube_bind *pod, const struct wire_msg *m)
{
	struct api_request q = { .verb = "patch", .resource = "pods/status", .group = "", .method = "PATCH", .accept = API_METADATA,
				 .type = "application/merge-patch+json", .only_status = true };
	void *map;
	size_t len;
	int err = util_map_memfd(m->fds[0], STATUS_MAX, &map, &len);

	q.body = err < 0 ? NULL : body_status(m->body.kube_status.pod_uid, map ? map : "", len);
	if (err == 0 && map)
		munmap(map, len);
	if (!q.body) {
		q.ticket = *t;
		answer_object(&q, 400, err < 0 ? strerror(-err) : "not valid UTF-8", NULL, 0);
		return;
	}
	q.len = strlen(q.body);
	snprintf(q.path, sizeof(q.path), "/api/v1/namespaces/%s/pods/%s/status", pod->pod_ns, pod->pod_name);
	ask(&q, t, pod);
}

static void
event_told(const struct api_request *q, unsigned code, const char *text, const char *body, size_t len)
{
	(void)body;
	(void)len;
	/* 409: an earlier try had arrived after all. */
	if (code != 201 && code != 200 && code != 409)
		log_warn("event about pod %s/%s: %s", q->ns, q->name, text);
}

/* Nobody waits for it. */
static void
serve_event(const struct msg_kube_bind *pod, const struct msg_kube_event *e)
{
	struct api_request q = { .verb = "create", .resource = "events", .group = "", .method = "POST", .accept = API_METADATA,
				 .type = API_JSON, .only_status = true, .done = event_told,
				 .deadline = util_now_ms() + EVENT_MS };
	char name[256];

	q.body = body_event(pod, e, conf->node_name, name);
	if (!q.body)
		return;
	q.len = strlen(q.body);
	memcpy(q.ns, pod->pod_ns, sizeof(q.ns));
	memcpy(q.name, pod->pod_name, sizeof(q.name));
	snprintf(q.path, sizeof(q.path), "/api/v1/namespaces/%s/events", pod->pod_ns);
	if (api_start(&q) < 0)
		log_warn("event about pod %s/%s: dropped, too many wait", pod->pod_ns, pod->pod_name);
}

/* Any answer will do: who may ask for what is not the question. */
static void
answer_ping(const struct api_request *q, unsigned code, const char *text, const char *body, size_t len)
{
	struct msg_kube_reply r = { .code = code >= 500 || code == 401 ? code : 200 };

	(void)body;
	(void)len;
	snprintf(r.text, sizeof(r.text), "%s", text);
	serve_answer(&q->ticket, &r, -1);
}

static void
serve_ping(const struct serve_ticket *t)
{
	struct api_request q = { .verb = "get", .resource = "/readyz", .group = "", .method = "GET", .accept = "*/*", .only_status = true,
				 .urgent = true, .done = answer_ping, .ticket = *t, .path = "/readyz",
				 .deadline = util_now_ms() + (conf->api_ms < PING_MS ? conf->api_ms : PING_MS) };

	if (api_start(&q) < 0)
		answer_ping(&q, 503, "too many requests are under way", NULL, 0);
}

static void
serve_request(const struct serve_ticket *t, const struct msg_devices_bind *who, struct wire_msg *m)
{
	const struct msg_kube_bind *pod = &who->pod;

	switch (m->head.type) {
	case MSG_KUBE_POD:
		serve_get_pod(t, pod, &m->body.kube_pod);
		break;
	case MSG_KUBE_NAD:
		nads_get(t, m->body.kube_nad.ns, m->body.kube_nad.name, m->body.kube_nad.fresh);
		break;
	case MSG_KUBE_PING:
		serve_ping(t);
		break;
	case MSG_KUBE_STATUS:
		serve_put_status(t, pod, m);
		break;
	case MSG_KUBE_CLAIM:
		serve_get_claim(t, pod, &m->body.kube_claim);
		break;
	case MSG_KUBE_SLICES:
		serve_get_slices(t, pod, &m->body.kube_slices);
		break;
	default:
		serve_event(pod, &m->body.kube_event);
	}
}

static unsigned
poll_server(struct pollfd *p, int64_t *due)
{
	api_due(due);
	csr_due(due);
	return link_poll(p, due);
}

static void
step_server(const struct pollfd *p, unsigned n)
{
	link_step(p, n);
	csr_step();
	api_step();
}

int
main(void)
{
	static const struct serve_backend backend = { ROLE_KUBE, serve_request, poll_server, step_server };
	struct sandbox s = { .role = ROLE_KUBE };
	struct sandbox_facts facts;

	_Static_assert(LINK_POLLED <= SERVE_POLLED, "room for them");
	sandbox_close_fds(FD_KUBE_STATS + 1);
	log_init("kube", LOG_INFO);
	conf = conf_map(FD_CONF);
	log_init("kube", (enum log_level)conf->log_level);
	/* Each opens files, which is over after sandbox_enter(); without a TZ libc would look at the zone's file again and again. */
	setenv("TZ", "UTC0", 1);
	api_count(stats_map(FD_KUBE_STATS, sizeof(struct stats_kube), PROT_READ | PROT_WRITE));
	body_init();
	if (h2_init() < 0)
		log_fatal("OpenSSL cannot be initialised");
	s.mode = (enum conf_sandbox)conf->sandbox;
	s.uid = conf->kube_uid;
	s.gid = conf->kube_gid;
	/* One message's surplus and the objects in hand and kept come on top of the channels. */
	s.max_fd = FD_KUBE_STATS + 1 + 2 * serve_channels(conf) + conf->nads + LINK_POLLED + WIRE_MAX_FDS + 8;
	sandbox_enter(&s, &facts);
	sandbox_report(&control, &facts);
	link_init(nads_unwatch);
	nads_init(conf);
	csr_init(conf);
	serve_run(conf, &control, &backend);
}
