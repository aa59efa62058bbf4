/* NetworkAttachmentDefinitions that are kept.
 * Runs in: kube.  Trusts: nothing that the server sends. */
#include "kubeclient/nads.h"

#include <stdio.h>

#include "kubeclient/answer.h"
#include "kubeclient/link.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

#define MOST 256
#define NADS_PATH "/apis/k8s.cni.cncf.io/v1/namespaces/%s/network-attachment-definitions"
#define AGAIN_MS 30000 /* after a watch that the server would not have */
#define BUSY_MS 1000   /* after one that it could not have just then */

struct nad {
	char ns[64], name[256]; /* ns "": free */
	int memfd;		/* its object, -1: none */
	size_t size;
	int64_t fetched, used, watch_after;
	struct link_stream watch;
	bool present;  /* the watch's first line has come */
	uint64_t mark; /* new at every change, loss and reuse: whose answer may be kept */
};

static struct nad nads[MOST];
static unsigned most;
static size_t bytes;
static int64_t max_age, deadline_ms;

void
nads_init(const struct conf *conf)
{
	most = conf->nads;
	max_age = conf->nad_age_ms;
	deadline_ms = conf->api_ms;
	for (unsigned i = 0; i < MOST; i++)
		nads[i].memfd = -1;
}

static void
forget(struct nad *n)
{
	n->mark++;
	if (n->memfd >= 0) {
		close(util_take_fd(&n->memfd));
		bytes -= n->size;
	}
}

static void
unwatch(struct nad *n)
{
	link_cancel(&n->watch);
	n->present = false;
	forget(n);
}

void
nads_unwatch(void)
{
	for (unsigned i = 0; i < most; i++)
		unwatch(&nads[i]);
}

static struct nad *
find(const char *ns, const char *name)
{
	for (unsigned i = 0; i < most; i++)
		if (strcmp(nads[i].ns, ns) == 0 && strcmp(nads[i].name, name) == 0)
			return &nads[i];
	return NULL;
}

/* A place: a free one, or that of what was not asked for the longest. */
static struct nad *
claim(const char *ns, const char *name)
{
	struct nad *n = most ? &nads[0] : NULL;

	for (unsigned i = 0; i < most && n->ns[0]; i++)
		if (!nads[i].ns[0] || nads[i].used < n->used)
			n = &nads[i];
	if (!n)
		return NULL;
	unwatch(n);
	util_copy(n->ns, sizeof(n->ns), ns);
	util_copy(n->name, sizeof(n->name), name);
	n->watch_after = 0;
	return n;
}

static void
on_data(void *ctx, const char *data, size_t len)
{
	struct nad *n = ctx;
	const char *end = n->present ? data : memchr(data, '\n', len);

	if (!n->present && end) {
		n->present = true;
		end++;
	}
	if (end && end < data + len) {
		log_debug("network %s/%s changed", n->ns, n->name);
		forget(n);
	}
}

static void
on_end(void *ctx, const struct h2_answer *a)
{
	struct nad *n = ctx;

	n->watch.stream = 0;
	if (a->error == 0 && a->status != 200) {
		n->watch_after = util_now_ms() + (a->status == 429 || a->status >= 500 ? BUSY_MS : AGAIN_MS);
		log_warn("network %s/%s cannot be watched, and so not be kept: the API server answers %u%s", n->ns, n->name,
			 a->status, a->status == 403 ? ": RBAC must allow \"watch\" on \"network-attachment-definitions\"" : "");
	}
	n->present = false;
	forget(n);
}

static void
watch(struct nad *n)
{
	char path[API_PATH];
	const struct h2_request r = { .method = "GET",
				      .path = path,
				      .accept = API_METADATA,
				      .on_data = on_data,
				      .on_end = on_end,
				      .ctx = n };

	if (n->watch.stream || n->watch_after > util_now_ms())
		return;
	snprintf(path, sizeof(path), NADS_PATH "?watch=1&fieldSelector=metadata.name%%3D%s&resourceVersion=0&timeoutSeconds=%u",
		 n->ns, n->name, 300 + link_dice());
	link_watch(&r, &n->watch);
}

/* Of those that are kept, the one that was not asked for the longest. */
static struct nad *
oldest_kept(void)
{
	struct nad *oldest = NULL;

	for (unsigned i = 0; i < most; i++)
		if (nads[i].memfd >= 0 && (!oldest || nads[i].used < oldest->used))
			oldest = &nads[i];
	return oldest;
}

static void
keep(struct nad *n, const char *body, size_t len)
{
	struct nad *o;

	forget(n);
	while (bytes + len > NADS_BYTES && (o = oldest_kept()) != NULL)
		forget(o);
	n->memfd = util_sealed_memfd("nad", body, len);
	if (n->memfd < 0)
		return;
	n->size = len;
	bytes += len;
	n->fetched = util_now_ms();
}

static void
fetched(const struct api_request *q, unsigned code, const char *text, const char *body, size_t len)
{
	struct nad *n = find(q->ns, q->name);

	answer_object(q, code, text, body, len);
	if (!n)
		return;
	if (code == 404)
		unwatch(n); /* nothing to be told of */
	else if (code == 200 && q->mark && n->mark == q->mark)
		keep(n, body, len);
}

void
nads_get(const struct serve_ticket *t, const char *ns, const char *name, bool fresh)
{
	int64_t now = util_now_ms();
	struct nad *n = find(ns, name) ?: claim(ns, name);
	struct api_request q = { .verb = "get",
				 .resource = "network-attachment-definitions",
				 .group = "k8s.cni.cncf.io",
				 .method = "GET",
				 .accept = API_JSON,
				 .urgent = true,
				 .deadline = now + deadline_ms,
				 .done = fetched,
				 .ticket = *t };

	if (n)
		n->used = now;
	if (n && fresh)
		forget(n);
	if (n && n->memfd >= 0 && now - n->fetched < max_age) {
		const struct msg_kube_reply r = { .code = 200, .text = "the API server" };

		serve_answer(t, &r, n->memfd);
		return;
	}
	if (n)
		watch(n);
	/* Only an object that was asked for after the watch stood cannot have missed a change. */
	q.mark = n && n->present ? n->mark : 0;
	util_copy(q.ns, sizeof(q.ns), ns);
	util_copy(q.name, sizeof(q.name), name);
	snprintf(q.path, sizeof(q.path), NADS_PATH "/%s", ns, name);
	if (api_start(&q) < 0)
		answer_object(&q, 503, "too many requests are under way", NULL, 0);
}
