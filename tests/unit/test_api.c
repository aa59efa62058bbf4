/* Requests to the API server and the NADs that are kept, with the connection replaced: what is sent, and what becomes of answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/mman.h>

#include "kubeclient/answer.h"
#include "kubeclient/api.h"
#include "kubeclient/csr.h"
#include "kubeclient/nads.h"
#include "netpriv/util.h"
#include "tests/unit/fakelink.h"

#define SENT 64

static struct {
	struct h2_request r;
	char path[API_PATH], method[8];
	bool open;
} sent[SENT];
static unsigned n_sent, refusals, lost, doubts;
static bool down;
static struct {
	unsigned code, times;
	char text[WIRE_TEXT], body[256];
} told;

/* The connection. */

static int
take(const struct h2_request *r, struct link_stream *s)
{
	if (down)
		return -EAGAIN;
	assert_true(n_sent < SENT);
	sent[n_sent].r = *r;
	snprintf(sent[n_sent].path, API_PATH, "%s", r->path);
	snprintf(sent[n_sent].method, 8, "%s", r->method);
	sent[n_sent].open = true;
	*s = (struct link_stream){ 1, (int32_t)++n_sent };
	return 0;
}

int
link_send(const struct h2_request *r, bool bootstrap, struct link_stream *s)
{
	assert_false(bootstrap);
	return take(r, s);
}

int
link_watch(const struct h2_request *r, struct link_stream *s)
{
	return take(r, s);
}

void
link_cancel(struct link_stream *s)
{
	if (s->stream)
		sent[s->stream - 1].open = false;
	s->stream = 0;
}

void
link_doubt(const struct link_stream *s)
{
	assert_true(s->stream && sent[s->stream - 1].open);
	doubts++;
}

bool
link_refused(const struct link_stream *s)
{
	(void)s;
	refusals++;
	return true;
}

const char *
link_why(void)
{
	return down ? "connection refused" : "";
}

bool
identity_forget(void)
{
	lost++;
	return false;
}

/* Who asked. */

void
serve_answer(const struct serve_ticket *t, const struct msg_kube_reply *r, int memfd)
{
	ssize_t n = memfd < 0 ? 0 : pread(memfd, told.body, sizeof(told.body) - 1, 0);

	(void)t;
	told.body[n > 0 ? n : 0] = '\0';
	told.code = r->code;
	told.times++;
	snprintf(told.text, sizeof(told.text), "%s", r->text);
}

void
answer_object(const struct api_request *q, unsigned code, const char *text, const char *body, size_t len)
{
	(void)q;
	told.code = code;
	told.times++;
	snprintf(told.text, sizeof(told.text), "%s", text);
	snprintf(told.body, sizeof(told.body), "%.*s", (int)len, body ? body : "");
}

static void
answer(unsigned i, int error, unsigned status, const char *type, const char *body, unsigned retry_after)
{
	struct h2_answer a = { .error = error, .status = status, .retry_after = retry_after, .body = body, .len = strlen(body) };

	assert_true(i < n_sent && sent[i].open);
	sent[i].open = false;
	snprintf(a.type, sizeof(a.type), "%s", type);
	sent[i].r.on_end(sent[i].r.ctx, &a);
}

static void
ok(unsigned i, const char *body)
{
	answer(i, 0, 200, API_JSON, body, 0);
}

static int
start(void **state)
{
	static struct conf conf;

	(void)state;
	conf_defaults(&conf);
	conf.nads = 2;
	conf.nad_age_ms = 3600000;
	nads_init(&conf);
	csr_init(&conf);
	down = false;
	n_sent = refusals = lost = 0;
	memset(&told, 0, sizeof(told));
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	nads_unwatch();
	return 0;
}

static void
ask_for(int64_t ms, bool await)
{
	const struct api_request q = { .verb = "get", .resource = "pods", .group = "", .method = "GET", .accept = API_JSON,
				       .path = "/p", .name = "p", .urgent = true, .await = await, .deadline = util_now_ms() + ms,
				       .done = answer_object };

	memset(&told, 0, sizeof(told));
	assert_int_equal(api_start(&q), 0);
}

/* Lets the pauses pass. */
static void
wait_sent(unsigned n)
{
	for (int i = 0; i < 2000 && n_sent < n && told.times == 0; i++) {
		usleep(2000);
		api_step();
	}
	assert_int_equal(n_sent, n);
}

static void
wait_told(void)
{
	for (int i = 0; i < 5000 && told.times == 0; i++) {
		usleep(2000);
		api_step();
	}
	assert_int_equal(told.times, 1);
}

static void
final_answers(void **state)
{
	static const struct {
		int error;
		unsigned status;
		const char *type, *body;
		unsigned code;
		const char *words;
	} rows[] = {
		{ 0, 200, "application/json", "{}", 200, "" },
		{ 0, 200, "application/json; charset=utf-8", "{}", 200, "" },
		{ 0, 200, "text/html", "<html>", 502, "not JSON" },
		{ 0, 200, "", "{}", 502, "not JSON" },
		{ 0, 403, "application/json", "{\"kind\":\"Status\"}", 403, "RBAC must allow \"get\" on \"pods\"" },
		{ 0, 404, "application/json", "{}", 404, "pods \"p\" not found" },
		{ 0, 404, "text/plain", "404 page not found", 501, "CRD" },
		{ 0, 422, "application/json", "{}", 422, "422" },
		{ 0, 302, "text/html", "", 302, "302" },
		{ -EMSGSIZE, 0, "", "", 502, "1 MiB" },
		{ -EPROTO, 0, "", "", 502, "malformed" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		n_sent = 0;
		ask_for(60000, false);
		answer(0, rows[i].error, rows[i].status, rows[i].type, rows[i].body, 0);
		assert_int_equal(told.times, 1);
		assert_int_equal(told.code, rows[i].code);
		assert_non_null(strstr(told.text, rows[i].words));
		api_step();
		assert_int_equal(n_sent, 1);
	}
}

/* Passing faults are tried again; what comes after them counts. */
static void
passing_faults(void **state)
{
	static const struct {
		int error;
		unsigned status;
	} rows[] = { { -EAGAIN, 0 }, { -ECONNRESET, 0 }, { 0, 429 }, { 0, 500 }, { 0, 503 }, { 0, 504 }, { 0, 401 }, { 0, 409 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		n_sent = 0;
		ask_for(60000, false);
		answer(0, rows[i].error, rows[i].status, "application/json", "{}", 0);
		assert_int_equal(told.times, 0);
		wait_sent(2);
		ok(1, "{\"a\":1}");
		assert_int_equal(told.code, 200);
		assert_string_equal(told.body, "{\"a\":1}");
	}
	assert_int_equal(refusals, 1);
}

static void
deadlines(void **state)
{
	int64_t due = INT64_MAX, began = util_now_ms();

	(void)state;
	/* A pause that the deadline cuts short is not waited for; however long the server says. */
	ask_for(300, false);
	answer(0, 0, 429, "application/json", "{}", 999999);
	assert_int_equal(told.code, 429);
	/* No answer. */
	ask_for(20, false);
	api_due(&due);
	assert_true(due <= util_now_ms() + 20);
	wait_told();
	assert_int_equal(told.code, 503);
	assert_non_null(strstr(told.text, "does not answer"));
	assert_false(sent[1].open);
	/* None for so long that the connection is doubted, once. */
	ask_for(2300, false);
	wait_told();
	assert_int_equal(doubts, 1);
	/* No connection. */
	down = true;
	ask_for(20, false);
	wait_told();
	assert_int_equal(told.code, 503);
	assert_non_null(strstr(told.text, "cannot be reached: connection refused"));
	/* A connection in the end. */
	ask_for(60000, false);
	down = false;
	api_step();
	ok(n_sent - 1, "{}");
	assert_int_equal(told.code, 200);
	assert_true(util_now_ms() - began < 60000);
}

/* However late the loop comes: what is due wakes it, what waits for a connection does not. */
static void
wakes(void **state)
{
	int64_t due = INT64_MAX;

	(void)state;
	ask_for(60000, false);
	answer(0, 0, 503, "application/json", "{}", 0);
	usleep(200000);
	api_due(&due);
	assert_true(due <= util_now_ms());
	down = true;
	api_step();
	due = INT64_MAX;
	api_due(&due);
	assert_true(due > util_now_ms() + 30000);
	down = false;
	api_step();
	ok(1, "{}");
	assert_int_equal(told.code, 200);
}

static void
gives_up(void **state)
{
	(void)state;
	ask_for(60000, false);
	for (unsigned i = 0; told.times == 0; i++) {
		wait_sent(i + 1);
		answer(i, 0, 409, "application/json", "{}", 0);
		assert_true(i < 16);
	}
	assert_int_equal(told.code, 409);
	n_sent = 0;
	ask_for(60000, false);
	for (unsigned i = 0; told.times == 0; i++) {
		wait_sent(i + 1);
		answer(i, 0, 401, "application/json", "{}", 0);
		assert_true(i < 16);
	}
	assert_int_equal(told.code, 401);
	assert_non_null(strstr(told.text, "credentials"));
	assert_true(refusals > 1);
}

/* A mirror pod may be a moment late. */
static void
awaits(void **state)
{
	(void)state;
	ask_for(60000, true);
	answer(0, 0, 404, "application/json", "{}", 0);
	wait_sent(2);
	ok(1, "{}");
	assert_int_equal(told.code, 200);
}

/* Nobody knows any more that it is not there. */
static void
awaits_in_vain(void **state)
{
	(void)state;
	ask_for(2000, true);
	answer(0, 0, 404, "application/json", "{}", 0);
	wait_sent(2);
	answer(1, -ECONNRESET, 0, "", "", 0);
	wait_sent(3);
	wait_told();
	assert_int_equal(told.code, 503);
}

/* NADs. */

static const struct serve_ticket ticket;

static unsigned
get(const char *name)
{
	unsigned before = n_sent;

	told.times = 0;
	nads_get(&ticket, "ns", name, false);
	return n_sent - before;
}

static void
data(unsigned i, const char *text)
{
	sent[i].r.on_data(sent[i].r.ctx, text, strlen(text));
}

static void
kept(void **state)
{
	(void)state;
	assert_int_equal(get("a"), 2); /* the watch, the object */
	assert_non_null(strstr(sent[0].path, "/namespaces/ns/network-attachment-definitions?watch=1&fieldSelector=metadata.name%3Da&"));
	assert_string_equal(sent[1].path, "/apis/k8s.cni.cncf.io/v1/namespaces/ns/network-attachment-definitions/a");
	ok(1, "old");
	assert_string_equal(told.body, "old");
	/* The watch did not stand when that was asked for: it is not kept. */
	data(0, "{\"type\":\"ADDED\"");
	assert_int_equal(get("a"), 1);
	data(0, "}\n");
	ok(2, "older"); /* nor that: the line's end came after the question */
	assert_int_equal(get("a"), 1);
	ok(3, "new");
	assert_int_equal(get("a"), 0);
	assert_true(told.code == 200 && told.times == 1);
	assert_string_equal(told.body, "new");
	/* One byte more: it changed. */
	data(0, "{");
	assert_int_equal(get("a"), 1);
	data(0, "}\n"); /* and again, before the answer */
	ok(4, "newer");
	assert_int_equal(get("a"), 1);
	ok(5, "newest");
	assert_int_equal(get("a"), 0);
	assert_string_equal(told.body, "newest");
	/* The watch ends, as all do: fetched anew, watched anew. */
	answer(0, 0, 200, API_JSON, "", 0);
	assert_int_equal(get("a"), 2);
	ok(7, "x");
	assert_int_equal(get("a"), 1);
	ok(8, "x");
}

static void
first_line_and_more(void **state)
{
	(void)state;
	get("a");
	ok(1, "1");
	data(0, "{}\n{}\n"); /* the present state and a change at once: what comes later may be kept */
	assert_int_equal(get("a"), 1);
	ok(2, "2");
	assert_int_equal(get("a"), 0);
	nads_get(&ticket, "ns", "a", true); /* of no use to who asked */
	ok(3, "3");
	assert_string_equal(told.body, "3");
	assert_int_equal(get("a"), 0);
	assert_string_equal(told.body, "3");
	nads_unwatch(); /* the connection is left */
	assert_false(sent[0].open);
	assert_int_equal(get("a"), 2);
	ok(5, "3");
}

static void
bounded(void **state)
{
	(void)state;
	for (const char *name = "abc"; *name; name++) {
		char one[2] = { *name };

		get(one);
		data(n_sent - 2, "{}\n");
		ok(n_sent - 1, one);
		assert_int_equal(get(one), 1);
		ok(n_sent - 1, one);
		assert_int_equal(get(one), 0);
		usleep(2000); /* "used" counts milliseconds */
	}
	assert_false(sent[0].open); /* a had to go, and its watch with it */
	assert_int_equal(get("b"), 0);
	assert_int_equal(get("a"), 2);
	ok(n_sent - 1, "a");
}

static void
not_kept(void **state)
{
	(void)state;
	get("a");
	answer(1, 0, 404, "application/json", "{}", 0);
	assert_int_equal(told.code, 404);
	assert_false(sent[0].open); /* nothing to watch */
	/* A watch that RBAC forbids is not asked for each time. */
	get("b");
	answer(2, 0, 403, "application/json", "", 0);
	ok(3, "b");
	assert_int_equal(get("b"), 1);
	ok(4, "b");
	/* Without places nothing is kept or watched. */
	struct conf none = { 0 };

	conf_defaults(&none);
	none.nads = 0;
	nads_unwatch();
	nads_init(&none);
	assert_int_equal(get("c"), 1);
	ok(n_sent - 1, "c");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(final_answers, start, stop),
		cmocka_unit_test_setup_teardown(passing_faults, start, stop),
		cmocka_unit_test_setup_teardown(deadlines, start, stop),
		cmocka_unit_test_setup_teardown(wakes, start, stop),
		cmocka_unit_test_setup_teardown(gives_up, start, stop),
		cmocka_unit_test_setup_teardown(awaits, start, stop),
		cmocka_unit_test_setup_teardown(awaits_in_vain, start, stop),
		cmocka_unit_test_setup_teardown(kept, start, stop),
		cmocka_unit_test_setup_teardown(first_line_and_more, start, stop),
		cmocka_unit_test_setup_teardown(bounded, start, stop),
		cmocka_unit_test_setup_teardown(not_kept, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
