/* The client's side of the tests of kubeclient/h2.h: one connection to the server of h2server.h, and what became of its requests. */
#ifndef TEST_H2CLIENT_H
#define TEST_H2CLIENT_H

#include "tests/unit/h2server.h"

#define TOKEN "secret.token-of.the-test"
#define NAME "api.example"

static struct id ca, other_ca, server_id;
static struct server server;
static struct h2 *client;
static SSL_CTX *context;
static int client_rc;
static char why[256];

/* What on_end() was told, by request; and on_data(). */
static struct ended {
	unsigned times;
	struct h2_answer a;
	char start[32];
	size_t data;
	bool cancel;
	int32_t id;
} ended[300];

static inline void
note_end(void *ctx, const struct h2_answer *a)
{
	struct ended *e = ctx;

	e->times++;
	e->a = *a;
	if (a->len > 0)
		memcpy(e->start, a->body, a->len < sizeof(e->start) - 1 ? a->len : sizeof(e->start) - 1);
}

static inline void
note_data(void *ctx, const char *data, size_t len)
{
	struct ended *e = ctx;

	assert_non_null(data);
	e->data += len;
	if (e->cancel)
		h2_cancel(client, e->id);
}

static inline struct h2_request
get(unsigned i)
{
	return (struct h2_request){ .method = "GET", .path = "/api", .accept = "application/json", .max = 1000,
				    .on_end = note_end, .ctx = &ended[i] };
}

static inline void
send_request(unsigned i, const struct h2_request *r)
{
	ended[i].id = h2_send(client, r);
	assert_true(ended[i].id > 0);
}

static inline void
send_get(unsigned i)
{
	struct h2_request r = get(i);

	send_request(i, &r);
}

/* One round of both sides: the client moves only when h2_poll() says so. */
static inline void
turn(void)
{
	struct pollfd p[2] = { { .fd = -1 }, { .fd = server.fd, .events = POLLIN } };
	int64_t due = INT64_MAX;

	if (client_rc == 0)
		h2_poll(client, &p[0], &due);
	assert_true(poll(p, 2, due <= util_now_ms() ? 0 : 2) >= 0);
	if (client_rc == 0 && (p[0].revents || due <= util_now_ms()))
		client_rc = h2_run(client, p[0].revents, why, sizeof(why));
	server_turn(&server);
}

#define UNTIL(condition)                                        \
	do {                                                    \
		int64_t give_up = util_now_ms() + 30000;        \
		while (!(condition)) {                          \
			if (util_now_ms() > give_up)            \
				fail_msg("never: " #condition); \
			turn();                                 \
		}                                               \
	} while (0)

static inline SSL_CTX *
trust(const struct id *by, const struct id *own)
{
	SSL_CTX *c = h2_context(by->pem, strlen(by->pem), own ? own->pem : NULL, own ? strlen(own->pem) : 0,
				own ? own->key_pem : NULL, own ? strlen(own->key_pem) : 0, why, sizeof(why));

	assert_non_null(c);
	return c;
}

static inline void
begin(const char *name, const struct server_setup *u, const struct h2_times *times)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	server = (struct server){ .fd = pair[1] };
	if (u)
		start_server(&server, pair[1], u);
	client = h2_new(pair[0], context, name, "api.example:6443", TOKEN, times, why, sizeof(why));
	assert_non_null(client);
}

static const struct server_setup usual = { .id = &server_id };

static inline void
ready_with(const struct server_setup *u, const struct h2_times *times)
{
	begin(NAME, u, times);
	UNTIL(h2_ready(client) || client_rc < 0);
	assert_string_equal(why, "");
	assert_true(h2_ready(client));
}

static inline void
ready(void)
{
	ready_with(&usual, &H2_TIMES);
}

/* The connection ends, and the reason given says so. */
static inline void
expect_over(int error, const char *text)
{
	UNTIL(client_rc < 0);
	if (!strstr(why, text))
		fail_msg("\"%s\" is not in \"%s\"", text, why);
	assert_int_equal(client_rc, error);
	assert_null(strstr(why, TOKEN));
	for (const char *c = why; *c; c++)
		assert_true(*c >= ' ');
}

static inline void
expect_end(unsigned i, int error)
{
	UNTIL(ended[i].times || client_rc < 0);
	assert_int_equal(ended[i].times, 1);
	assert_int_equal(ended[i].a.error, error);
}

static inline void
expect_still_good(void)
{
	unsigned i = ARRAY_LEN(ended) - 1;
	void (*before)(struct server *, int32_t) = server.answer;

	server.answer = NULL;
	send_get(i);
	UNTIL(server.last == ended[i].id || client_rc < 0);
	assert_int_equal(client_rc, 0);
	respond(&server, ended[i].id, "200", NULL, NULL, "good", 4);
	expect_end(i, 0);
	assert_string_equal(ended[i].start, "good");
	server.answer = before;
}

static inline int
set_up(void **state)
{
	(void)state;
	memset(ended, 0, sizeof(ended));
	memset(why, 0, sizeof(why));
	client_rc = 0;
	context = trust(&ca, NULL);
	return 0;
}

static inline int
tear_down(void **state)
{
	(void)state;
	h2_free(client);
	client = NULL;
	SSL_CTX_free(context);
	stop_server(&server);
	for (unsigned i = 0; i < ARRAY_LEN(ended); i++)
		if (ended[i].times > 1)
			return -1;
	return 0;
}

static inline void
answer_hello(struct server *s, int32_t id)
{
	respond(s, id, "200", "content-type", "application/json", "hello", 5);
}

static inline int
make_ids(void **state)
{
	const struct claims authority = { .name = "test CA", .basic = "critical,CA:TRUE" }, s = { .name = NAME, .san = "DNS:" NAME };

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	if (h2_init() < 0)
		return -1;
	make_id(&ca, NULL, &authority);
	make_id(&other_ca, NULL, &authority);
	make_id(&server_id, &ca, &s);
	return 0;
}

static inline int
free_ids(void **state)
{
	(void)state;
	free_id(&ca);
	free_id(&other_ca);
	free_id(&server_id);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

#endif
