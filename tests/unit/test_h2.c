/* One HTTP/2 connection to a server that keeps the rules: requests, the ways that they end, and time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/h2client.h"

/* Requests. */

static void
test_get(void **state)
{
	(void)state;
	ready();
	server.answer = answer_hello;
	send_get(0);
	expect_end(0, 0);
	assert_int_equal(ended[0].a.status, 200);
	assert_string_equal(ended[0].a.type, "application/json");
	assert_string_equal(ended[0].start, "hello");
	assert_string_equal(server.method, "GET");
	assert_string_equal(server.path, "/api");
	assert_string_equal(server.auth, "Bearer " TOKEN);
	assert_string_equal(server.agent, "postern/" POSTERN_VERSION);
	assert_string_equal(server.accept, "application/json");
	assert_string_equal(server.authority, "api.example:6443");
}

/* More than the server's first window, and copied at once. */
static void
test_patch(void **state)
{
	static char body[300000] = "{\"metadata\":{}}";
	struct h2_request r = get(0);

	(void)state;
	ready();
	server.answer = answer_hello;
	r.method = "PATCH";
	r.type = "application/merge-patch+json";
	r.body = body;
	r.len = sizeof(body);
	send_request(0, &r);
	memset(body, 'x', 15);
	expect_end(0, 0);
	assert_string_equal(server.method, "PATCH");
	assert_int_equal(server.body_len, sizeof(body));
	assert_string_equal(server.body_start, "{\"metadata\":{}}");
}

static void
answer_number(struct server *s, int32_t id)
{
	char text[16];

	snprintf(text, sizeof(text), "number %d", id);
	respond(s, id, "200", NULL, NULL, text, strlen(text));
}

static void
test_many(void **state)
{
	(void)state;
	ready();
	server.answer = answer_number;
	for (unsigned i = 0; i < 200; i++)
		send_get(i);
	for (unsigned i = 0; i < 200; i++) {
		char text[16];

		expect_end(i, 0);
		snprintf(text, sizeof(text), "number %d", ended[i].id);
		assert_string_equal(ended[i].start, text);
	}
}

/* Streams have no end but the server's, and no length. */
static void
test_stream(void **state)
{
	static char body[3 << 20];
	struct h2_request r = get(0);

	(void)state;
	ready();
	r.on_data = note_data;
	send_request(0, &r);
	UNTIL(server.requests == 1);
	respond(&server, ended[0].id, "200", NULL, NULL, body, sizeof(body));
	expect_end(0, 0);
	assert_int_equal(ended[0].data, sizeof(body));
	assert_null(ended[0].a.body);
}

static void
test_stream_refused(void **state)
{
	struct h2_request r = get(0);

	(void)state;
	ready();
	r.on_data = note_data;
	send_request(0, &r);
	UNTIL(server.requests == 1);
	respond(&server, ended[0].id, "410", NULL, NULL, "gone", 4);
	expect_end(0, 0);
	assert_int_equal(ended[0].a.status, 410);
	assert_int_equal(ended[0].data, 0);
	expect_still_good();
}

/* Three digits that are no status of HTTP, with a body on its way. */
static void
test_no_status(void **state)
{
	static const char *const none[] = { "006", "099", "600", "999" };
	struct h2_request r = get(0);

	(void)state;
	ready();
	for (unsigned i = 0; i < ARRAY_LEN(none); i++) {
		r.ctx = &ended[i];
		r.on_data = i % 2 ? note_data : NULL;
		send_request(i, &r);
		UNTIL(server.requests == i + 1);
		respond(&server, ended[i].id, none[i], NULL, NULL, "body", i < 2 ? 4 : 0);
		expect_end(i, -EPROTO);
		assert_int_equal(ended[i].data, 0);
	}
	expect_still_good();
}

static void
test_cancel(void **state)
{
	struct h2_request r = get(1);

	(void)state;
	ready();
	/* Before it left, after it left, and from inside. */
	send_get(0);
	h2_cancel(client, ended[0].id);
	send_get(2);
	UNTIL(server.requests == 1);
	assert_int_equal(server.last, ended[2].id);
	h2_cancel(client, ended[2].id);
	UNTIL(server.resets == 1);
	ended[1].cancel = true;
	r.on_data = note_data;
	send_request(1, &r);
	UNTIL(server.requests == 2);
	respond(&server, ended[1].id, "200", NULL, NULL, why, sizeof(why));
	UNTIL(ended[1].data > 0);
	h2_cancel(client, 77);
	expect_still_good();
	assert_int_equal(ended[0].times + ended[1].times + ended[2].times, 0);
}

static void
test_too_long(void **state)
{
	static char body[2 << 20];

	(void)state;
	ready();
	send_get(0);
	UNTIL(server.requests == 1);
	respond(&server, ended[0].id, "200", NULL, NULL, body, sizeof(body));
	expect_end(0, -EMSGSIZE);
	assert_null(ended[0].a.body);
	UNTIL(server.resets == 1);
	/* As long as allowed is not too long. */
	send_get(1);
	UNTIL(server.requests == 2);
	respond(&server, ended[1].id, "200", NULL, NULL, body, 1000);
	expect_end(1, 0);
	assert_int_equal(ended[1].a.len, 1000);
	expect_still_good();
}

static void
test_retry_after(void **state)
{
	static const struct {
		const char *text;
		unsigned seconds;
	} rows[] = { { "7", 7 }, { "Fri, 31 Dec 1999 23:59:59 GMT", 0 }, { "-1", 0 }, { "99999999999999999999", 999999 } };

	(void)state;
	ready();
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		send_get(i);
		UNTIL(server.requests == i + 1);
		respond(&server, ended[i].id, "429", "retry-after", rows[i].text, "", 0);
		expect_end(i, 0);
		assert_int_equal(ended[i].a.status, 429);
		assert_int_equal(ended[i].a.retry_after, rows[i].seconds);
	}
}

/* An interim answer is not the answer, and nothing of it stays. */
static void
test_interim(void **state)
{
	nghttp2_nv fields[] = { field(":status", "103"), field("retry-after", "9"), field("content-type", "x/y") };

	(void)state;
	ready();
	send_get(0);
	UNTIL(server.requests == 1);
	assert_int_equal(nghttp2_submit_headers(server.session, 0, ended[0].id, NULL, fields, 3, NULL), 0);
	respond(&server, ended[0].id, "200", NULL, NULL, "hello", 5);
	expect_end(0, 0);
	assert_int_equal(ended[0].a.status, 200);
	assert_int_equal(ended[0].a.retry_after, 0);
	assert_string_equal(ended[0].a.type, "");
}

static void
test_max_streams(void **state)
{
	const struct server_setup u = { .id = &server_id, .max_streams = 2 };
	struct h2_request r = get(2);

	(void)state;
	ready_with(&u, &H2_TIMES);
	send_get(0);
	send_get(1);
	assert_false(h2_ready(client));
	assert_int_equal(h2_send(client, &r), -EAGAIN);
	/* A cancelled one counts until the server knows. */
	h2_cancel(client, ended[0].id);
	assert_false(h2_ready(client));
	UNTIL(h2_ready(client));
	expect_still_good();
}

/* Ends that are not answers. */

static void
test_goaway(void **state)
{
	(void)state;
	ready();
	for (unsigned i = 0; i < 3; i++)
		send_get(i);
	UNTIL(server.requests == 3);
	nghttp2_submit_goaway(server.session, 0, ended[0].id, NGHTTP2_NO_ERROR, (const uint8_t *)"be\nback", 7);
	expect_end(1, -EAGAIN);
	expect_end(2, -EAGAIN);
	assert_true(h2_leaving(client));
	assert_false(h2_ready(client));
	assert_int_equal(ended[0].times + client_rc, 0);
	respond(&server, ended[0].id, "200", NULL, NULL, "hello", 5);
	expect_over(-ESHUTDOWN, "be\\x0aback");
	assert_int_equal(ended[0].times, 1);
	assert_int_equal(ended[0].a.error, 0);
}

/* It arrives when requests are made that have not left yet. */
static void
test_goaway_unsent(void **state)
{
	(void)state;
	ready();
	nghttp2_submit_goaway(server.session, 0, 0, NGHTTP2_NO_ERROR, NULL, 0);
	server_turn(&server);
	send_get(0);
	send_get(1);
	expect_end(0, -EAGAIN);
	expect_end(1, -EAGAIN);
	expect_over(-ESHUTDOWN, "NO_ERROR");
	assert_int_equal(server.requests, 0);
}

static void
test_reset(void **state)
{
	static const struct {
		uint32_t code;
		int error;
	} rows[] = { { NGHTTP2_REFUSED_STREAM, -EAGAIN }, { NGHTTP2_INTERNAL_ERROR, -ECONNRESET }, { NGHTTP2_NO_ERROR, -ECONNRESET } };

	(void)state;
	ready();
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		send_get(i);
		UNTIL(server.requests == i + 1);
		nghttp2_submit_rst_stream(server.session, 0, ended[i].id, rows[i].code);
		expect_end(i, rows[i].error);
	}
	expect_still_good();
}

static void
test_closed_mid_body(void **state)
{
	(void)state;
	ready();
	send_get(0);
	UNTIL(server.requests == 1);
	say_frame(&server, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, ended[0].id, "\x88", 1);
	say_frame(&server, NGHTTP2_DATA, 0, ended[0].id, "half", 4);
	turn();
	server_close(&server);
	send_get(1);
	expect_over(-ECONNRESET, "it closed the connection");
	h2_free(client);
	client = NULL;
	assert_int_equal(ended[0].times, 1);
	assert_int_equal(ended[0].a.error, -ECONNRESET);
	/* It may have left by then, or not: never is it answered. */
	assert_int_equal(ended[1].times, 1);
	assert_true(ended[1].a.error == -EAGAIN || ended[1].a.error == -ECONNRESET);
}

static void
send_again(void *ctx, const struct h2_answer *a)
{
	struct h2_request r = get(5);

	note_end(ctx, a);
	assert_int_equal(h2_send(client, &r), -EAGAIN);
	assert_true(h2_leaving(client));
	h2_cancel(client, ended[1].id);
}

static void
test_free_unsent(void **state)
{
	struct h2_request r = get(0);

	(void)state;
	ready();
	send_get(1);
	r.on_end = send_again;
	send_request(0, &r);
	h2_free(client);
	assert_int_equal(ended[0].a.error, -EAGAIN);
	assert_int_equal(ended[0].times, 1);
	assert_int_equal(ended[1].times, 0);
	client = NULL;
}

static void
test_refused(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	cleanup_close int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(to);

	(void)state;
	/* Bound and not listening: nobody else can be there. */
	assert_int_equal(bind(taken, (struct sockaddr *)&to, len), 0);
	assert_int_equal(getsockname(taken, (struct sockaddr *)&to, &len), 0);
	assert_true(connect(fd, (struct sockaddr *)&to, len) == 0 || errno == EINPROGRESS || errno == ECONNREFUSED);
	server = (struct server){ .fd = -1 };
	client = h2_new(fd, context, NAME, "a", TOKEN, &H2_TIMES, why, sizeof(why));
	assert_non_null(client);
	UNTIL(client_rc < 0);
	/* The kernel tells once: on the loopback connect() itself may have been told. */
	assert_true(client_rc == -ECONNREFUSED || client_rc == -ECONNRESET);
	assert_non_null(strstr(why, "onnection"));
}

static void
test_bad_token(void **state)
{
	(void)state;
	server = (struct server){ .fd = -1 };
	for (unsigned i = 0; i < 3; i++) {
		const char *token = (const char *[]){ "tok\nen", "", "tok en" }[i];

		assert_null(h2_new(socket(AF_UNIX, SOCK_STREAM, 0), context, NAME, "a", token, &H2_TIMES, why, sizeof(why)));
		assert_non_null(strstr(why, "token"));
		assert_null(strstr(why, "tok\n"));
	}
}

/* Time. */

static void
test_silent(void **state)
{
	static const struct h2_times brief = { 50, 50, 50 };

	(void)state;
	begin(NAME, NULL, &brief);
	expect_over(-ETIMEDOUT, "TLS handshake does not end");
}

static void
test_mute(void **state)
{
	static const struct h2_times brief = { 500, 50, 50 };

	(void)state;
	begin(NAME, &usual, &brief);
	server.mute = true;
	expect_over(-ETIMEDOUT, "nothing in HTTP/2");
}

static void
test_dead(void **state)
{
	static const struct h2_times brief = { 30000, 50, 50 };
	struct pollfd p;
	int64_t due;

	(void)state;
	ready_with(&usual, &brief);
	h2_poll(client, &p, &due);
	assert_true(due == INT64_MAX);
	send_get(0);
	UNTIL(server.requests == 1);
	server.mute = true;
	expect_over(-ETIMEDOUT, "silent");
	assert_true(server.pings > 0);
}

/* No answer, but signs of life: the request waits as long as its owner likes. */
static void
test_slow(void **state)
{
	static const struct h2_times brief = { 30000, 20, 30000 };

	(void)state;
	ready_with(&usual, &brief);
	send_get(0);
	UNTIL(server.pings == 3 || client_rc < 0);
	assert_int_equal(client_rc, 0);
	assert_int_equal(ended[0].times, 0);
	respond(&server, ended[0].id, "200", NULL, NULL, "late", 4);
	expect_end(0, 0);
}

/* It speaks and does not listen. */
static void
test_deaf(void **state)
{
	static const struct h2_times brief = { 30000, 50, 50 };
	static char body[4 << 20];
	struct h2_request r = get(0);

	(void)state;
	ready_with(&usual, &brief);
	r.body = body;
	r.len = sizeof(body);
	send_request(0, &r);
	server.deaf = true;
	for (int i = 0; i < 64; i++)
		say_frame(&server, NGHTTP2_WINDOW_UPDATE, 0, i % 2 ? ended[0].id : 0, "\0\1\0\0", 4);
	for (int64_t last = 0; client_rc == 0; turn()) {
		if (util_now_ms() < last + 10)
			continue;
		last = util_now_ms();
		say_frame(&server, NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4);
	}
	expect_over(-ETIMEDOUT, "taken nothing");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(get), TEST(patch), TEST(many), TEST(stream), TEST(stream_refused), TEST(no_status), TEST(cancel),
		TEST(too_long), TEST(retry_after), TEST(interim), TEST(max_streams), TEST(goaway), TEST(goaway_unsent), TEST(reset),
		TEST(closed_mid_body), TEST(free_unsent), TEST(refused), TEST(bad_token), TEST(silent), TEST(mute),
		TEST(dead), TEST(slow), TEST(deaf),
	};

	return cmocka_run_group_tests(tests, make_ids, free_ids);
}
