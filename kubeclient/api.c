/* Requests to the API server.
 * Runs in: kube.  Trusts: nothing that the server sends.
 *
 * Every request here may be sent twice without harm: reads, a merge patch that says the same again, an event whose name is
 * its own. So whatever looks like a passing fault is tried again until the deadline. */
#include "kubeclient/api.h"

#include <stdio.h>
#include <strings.h>

#include "kubeclient/csr.h"
#include "kubeclient/link.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

#define EVENTS 64 /* places for what nobody waits for */
#define URGENT (SERVE_CHANNELS + 2) /* one a worker; and this node's certificate, which must not wait behind events */
#define CALLS (URGENT + EVENTS)
#define RETRY_MS 50 /* first pause, doubling */
#define RETRY_MAX 600
#define DOUBT_MS 2000 /* without an answer: is the connection still there? */
#define REFUSED_MS 250 /* between tries while the credentials are refused */
#define REFUSED_TRIES 8
#define CONFLICT_MS 10
#define CONFLICT_TRIES 5
#define ABSENT_MS 500

struct call {
	bool used;
	uint64_t began; /* util_boot_ns() */
	struct api_request q;
	struct link_stream stream; /* 0: not under way */
	int64_t due;		   /* next try; under way: when to doubt, 0 = done */
	bool blocked;		   /* was due, and there was no connection */
	unsigned tries, refused, conflicts;
	int64_t absent; /* since when it is not there; 0: it may be */
	unsigned code;	/* of the last answer, 0: none */
	char why[WIRE_TEXT];
};

static struct call calls[CALLS];
static struct stats_kube unseen, *page = &unseen;

void
api_count(struct stats_kube *counters)
{
	page = counters;
}

static void
count(const struct call *c)
{
	size_t i = 0;

	while (i < ARRAY_LEN(stats_api) &&
	       (strcmp(stats_api[i][0], c->q.verb) != 0 || strcmp(stats_api[i][1], c->q.resource) != 0))
		i++;
	stats_add(&page->requests[i][c->code < 600 ? c->code / 100 : 0]);
	stats_observe(&page->time[i], util_boot_ns() - c->began);
}

static void
finish(struct call *c, unsigned code, const char *text, const char *body, size_t len)
{
	struct api_request q = c->q;

	count(c);
	c->used = false; /* before: done() may start another one */
	q.done(&q, code, text, body, len);
	free(q.body);
}

static int64_t
jitter(int64_t ms)
{
	return ms / 2 + ms * link_dice() / 256;
}

static void
try_again(struct call *c, int64_t ms)
{
	int64_t now = util_now_ms();

	c->blocked = false;
	c->due = now + (ms > 0 ? ms : 1);
	if (c->due < c->q.deadline) {
		stats_add(&page->tries);
		return;
	}
	log_debug("%s: %s", c->q.path, c->why);
	finish(c, c->code >= 400 ? c->code : 503, c->why, NULL, 0);
}

static int64_t
next_pause(struct call *c)
{
	int64_t ms = RETRY_MS;

	for (unsigned i = 0; i < c->tries && ms < RETRY_MAX; i++)
		ms *= 2;
	c->tries++;
	return jitter(ms < RETRY_MAX ? ms : RETRY_MAX);
}

static bool
is_json(const struct h2_answer *a)
{
	return strncasecmp(a->type, API_JSON, strlen(API_JSON)) == 0 && strchr(" ;", a->type[strlen(API_JSON)]) != NULL;
}

/* The request did not get an answer. */
static void
lost(struct call *c, int err)
{
	if (err == -EMSGSIZE || err == -EPROTO) {
		snprintf(c->why, sizeof(c->why), "the API server's answer %s",
			 err == -EMSGSIZE ? "is longer than 1 MiB" : "is malformed");
		finish(c, 502, c->why, NULL, 0);
		return;
	}
	/* What an earlier try was told is no longer known to be so. */
	c->code = 0;
	snprintf(c->why, sizeof(c->why), "the connection to the API server was lost: %s",
		 link_why()[0] ? link_why() : err == -EAGAIN ? "it did not look at the request" : strerror(-err));
	try_again(c, next_pause(c));
}

/* 401: the token may have been replaced a moment ago. */
static void
refused(struct call *c)
{
	snprintf(c->why, sizeof(c->why), "the API server does not accept the credentials (401)");
	/* An older connection's are not those of now. A server may end the connection with that answer: this says nothing. */
	if (link_refused(&c->stream) && ++c->refused == REFUSED_TRIES)
		csr_lost();
	if (c->refused >= REFUSED_TRIES)
		finish(c, 401, c->why, NULL, 0);
	else
		try_again(c, REFUSED_MS);
}

static void
conflict(struct call *c)
{
	snprintf(c->why, sizeof(c->why), "the API server sees a conflict with another change");
	if (++c->conflicts >= CONFLICT_TRIES)
		finish(c, 409, c->why, NULL, 0);
	else
		try_again(c, jitter(CONFLICT_MS));
}

static void
absent(struct call *c, const struct h2_answer *a)
{
	if (!is_json(a)) {
		/* Not the object is unknown, but its kind. */
		snprintf(c->why, sizeof(c->why), "the API server knows no %s in group \"%s\": is its CRD installed?",
			 c->q.resource, c->q.group);
		finish(c, 501, c->why, NULL, 0);
		return;
	}
	snprintf(c->why, sizeof(c->why), "%s \"%.253s\" not found", c->q.resource, c->q.name);
	c->absent = c->absent ?: util_now_ms();
	if (c->q.await && util_now_ms() - c->absent < API_AWAIT_MS)
		try_again(c, ABSENT_MS);
	else
		finish(c, 404, c->why, NULL, 0);
}

static void
answered(struct call *c, const struct h2_answer *a)
{
	bool json = is_json(a);

	c->code = a->status;
	snprintf(c->why, sizeof(c->why), "the API server answers %u", a->status);
	switch (a->status) {
	case 200:
	case 201:
		if (json || c->q.only_status)
			finish(c, a->status, "the API server", a->body, a->len);
		else
			finish(c, 502, "the API server's answer is not JSON", NULL, 0);
		return;
	case 401:
		refused(c);
		return;
	case 403:
		snprintf(c->why, sizeof(c->why), "the API server forbids it: RBAC must allow \"%s\" on \"%s\" in group \"%s\"",
			 c->q.verb, c->q.resource, c->q.group);
		break;
	case 404:
		absent(c, a);
		return;
	case 409:
		conflict(c);
		return;
	case 422:
		if (c->q.only_status)
			snprintf(c->why, sizeof(c->why), "the API server does not take it (422): the object was replaced by another of "
							 "that name, or its annotations are too long");
		break;
	default:
		if (a->status == 429 || a->status >= 500) {
			try_again(c, a->retry_after ? a->retry_after * 1000 : next_pause(c));
			return;
		}
	}
	finish(c, a->status, c->why, json ? a->body : NULL, json ? a->len : 0);
}

static void
on_end(void *ctx, const struct h2_answer *a)
{
	struct call *c = ctx;

	c->stream.stream = 0;
	if (a->error)
		lost(c, a->error);
	else
		answered(c, a);
}

/* A body that nobody reads. */
static void
ignore_data(void *ctx, const char *data, size_t len)
{
	(void)ctx;
	(void)data;
	(void)len;
}

static void
send_call(struct call *c)
{
	const struct h2_request r = { .method = c->q.method,
				      .path = c->q.path,
				      .accept = c->q.accept,
				      .type = c->q.type,
				      .body = c->q.body,
				      .len = c->q.len,
				      .max = API_OBJECT_MAX,
				      .on_data = c->q.only_status ? ignore_data : NULL,
				      .on_end = on_end,
				      .ctx = c };
	int err = link_send(&r, c->q.bootstrap, &c->stream);

	c->blocked = err == -EAGAIN;
	if (err == 0) {
		c->due = util_now_ms() + DOUBT_MS;
		return;
	}
	if (err != -EAGAIN) {
		finish(c, 500, strerror(-err), NULL, 0);
		return;
	}
	/* Until there is a connection: api_step() comes here at every round. */
	if (link_why()[0])
		snprintf(c->why, sizeof(c->why), "the API server cannot be reached: %s", link_why());
}

static void
expire(struct call *c)
{
	link_cancel(&c->stream);
	if (!c->why[0])
		snprintf(c->why, sizeof(c->why), "the API server does not answer");
	finish(c, c->code >= 400 ? c->code : 503, c->why, NULL, 0);
}

void
api_step(void)
{
	int64_t now = util_now_ms();

	for (struct call *c = calls; c < calls + CALLS; c++) {
		if (!c->used)
			continue;
		if (c->q.deadline <= now)
			expire(c);
		else if (!c->stream.stream && c->due <= now)
			send_call(c);
		else if (c->stream.stream && c->due && c->due <= now) {
			link_doubt(&c->stream);
			c->due = 0;
		}
	}
}

void
api_due(int64_t *due)
{
	for (struct call *c = calls; c < calls + CALLS; c++) {
		bool quiet = c->stream.stream ? c->due == 0 : c->blocked;
		int64_t next;

		if (!c->used)
			continue;
		/* One that only waits for a connection is woken by that. What has become due since api_step() is due at once. */
		next = quiet || c->due > c->q.deadline ? c->q.deadline : c->due;
		if (next < *due)
			*due = next;
	}
}

int
api_start(const struct api_request *q)
{
	unsigned first = q->urgent ? 0 : URGENT, end = q->urgent ? URGENT : CALLS;

	for (unsigned i = first; i < end; i++) {
		if (calls[i].used)
			continue;
		calls[i] = (struct call){ .used = true, .q = *q, .began = util_boot_ns() };
		send_call(&calls[i]);
		return 0;
	}
	free(q->body);
	return -EBUSY;
}
