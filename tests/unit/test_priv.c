/* The stubs on a real channel, with a child in netpriv's place: output that is too long, that comes late, or whose pipe stays open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "broker/json.h"
#include "broker/priv.h"
#include "netpriv/util.h"

static struct wire peer;
static pid_t child;

/* Forks the other end: serve() is called once, in the child, with the first message. */
static void
start_peer(void (*serve)(struct wire_msg *m), enum role role)
{
	int pair[2];

	assert_int_equal(util_seqpair(pair, false), 0);
	child = fork();
	if (child == 0) {
		struct wire_msg m;

		close(pair[0]);
		peer = WIRE_INIT(pair[1], role, ROLE_WORKER);
		if (wire_recv(&peer, WS_OPEN | WS_PLANNED, &m) != 1)
			_exit(1);
		serve(&m);
		_exit(0);
	}
	close(pair[1]);
	priv_init(role == ROLE_NETPRIV ? pair[0] : -1, role == ROLE_KUBE ? pair[0] : -1, -1);
}

static void
end_peer(void)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
answer_done(const struct wire_msg *m)
{
	struct msg_delegate_done done = { .how = DONE_EXITED };

	if (wire_send(&peer, MSG_DELEGATE_DONE, m->head.serial, &done, NULL, 0))
		_exit(2);
}

static void
serve_echo(struct wire_msg *m)
{
	void *map;
	size_t len;

	if (util_map_memfd(m->fds[0], WIRE_STDIN_MAX, &map, &len) ||
	    strcmp(m->body.delegate_run.plugin, "p"))
		_exit(3);
	util_write_all(m->fds[1], map, len);
	util_write_all(m->fds[2], "some", 4);
	usleep(20000);
	util_write_all(m->fds[2], " words", 6);
	wire_msg_clear(m);
	answer_done(m);
}

static void
serve_flood(struct wire_msg *m)
{
	static char block[65536];

	memset(block, 'a', sizeof(block));
	for (int i = 0; i < 64; i++)
		if (util_write_all(m->fds[1], block, sizeof(block)))
			_exit(4);
	for (int i = 0; i < 4; i++)
		util_write_all(m->fds[2], block, sizeof(block));
	util_write_all(m->fds[2], "the end", 7);
	answer_done(m);
}

/* The pipes stay open and one goes on filling, as a daemon would have it. */
static void
serve_daemon(struct wire_msg *m)
{
	static char block[65536];

	util_write_all(m->fds[1], "{}", 2);
	answer_done(m);
	signal(SIGPIPE, SIG_IGN);
	while (write(m->fds[2], block, sizeof(block)) > 0)
		;
}

static void
run(struct priv_run *out, const char *text)
{
	struct msg_delegate_run request = { .verb = CNI_ADD, .plugin = "p", .ifname = "eth0" };
	struct cnierr e = { 0 };

	assert_int_equal(priv_delegate_run(&request, text, strlen(text), out, &e), 0);
	assert_int_equal(out->done.how, DONE_EXITED);
	end_peer();
}

static void
echoes(void **state)
{
	struct priv_run r;

	(void)state;
	start_peer(serve_echo, ROLE_NETPRIV);
	run(&r, "{\"name\":\"n\"}");
	assert_string_equal(r.out, "{\"name\":\"n\"}");
	assert_string_equal(r.err, "some words");
	assert_int_equal(r.err_len, 10);
	assert_false(r.overflow);
	free(r.out);
	free(r.err);
}

static void
caps(void **state)
{
	struct priv_run r;

	(void)state;
	start_peer(serve_flood, ROLE_NETPRIV);
	run(&r, "{}");
	assert_true(r.overflow);
	assert_int_equal(r.out_len, PRIV_OUT_MAX);
	assert_int_equal(r.err_len, PRIV_ERR_MAX);
	assert_string_equal(r.err + PRIV_ERR_MAX - 7, "the end");
	free(r.out);
	free(r.err);
}

static void
waits_for_no_daemon(void **state)
{
	int64_t start = util_now_ms();
	struct priv_run r;

	(void)state;
	start_peer(serve_daemon, ROLE_NETPRIV);
	run(&r, "{}");
	assert_string_equal(r.out, "{}");
	assert_true(r.err_len <= PRIV_ERR_MAX);
	assert_true(util_now_ms() - start < 5000);
	free(r.out);
	free(r.err);
}

static void
serve_text(struct wire_msg *m, uint32_t code, uint32_t format, const char *text)
{
	struct msg_kube_reply r = { .code = code, .format = format, .text = "nads/a/b.yaml" };
	int fd = text ? util_sealed_memfd("t", text, strlen(text)) : -1;

	wire_send(&peer, MSG_KUBE_REPLY, m->head.serial, &r, &fd, fd >= 0);
}

static void
serve_yaml(struct wire_msg *m)
{
	serve_text(m, 200, KUBE_YAML, "kind: Pod\n");
}

static void
serve_broken(struct wire_msg *m)
{
	serve_text(m, 200, KUBE_JSON, "{");
}

static void
serve_none(struct wire_msg *m)
{
	serve_text(m, 404, KUBE_JSON, NULL);
}

static void
serve_busy(struct wire_msg *m)
{
	serve_text(m, 503, KUBE_JSON, NULL);
}

static void
serve_bodiless(struct wire_msg *m)
{
	serve_text(m, 200, KUBE_JSON, NULL);
}

static void
asks_kube(void **state)
{
	static const struct {
		void (*serve)(struct wire_msg *m);
		bool found;
		uint32_t code;
	} rows[] = {
		{ serve_yaml, true, 0 },
		{ serve_broken, false, CNI_ERR_DECODE },
		{ serve_none, false, 0 },
		{ serve_busy, false, CNI_ERR_TRY_AGAIN },
		{ serve_bodiless, false, CNI_ERR_IO },
	};
	char where[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cnierr e = { 0 };
		cleanup_json json_t *j = NULL;

		start_peer(rows[i].serve, ROLE_KUBE);
		j = kube_get_nad("a", "b", false, where, &e);
		end_peer();
		assert_int_equal(j != NULL, rows[i].found);
		assert_int_equal(e.code, rows[i].code);
		assert_string_equal(where, "nads/a/b.yaml");
	}
}

static void
serve_conf(struct wire_msg *m)
{
	struct msg_conf r = { .name = "10-a.conf" };
	int fd = util_sealed_memfd("t", "{}", 2);

	wire_send(&peer, MSG_CONF, m->head.serial, &r, &fd, 1);
}

static void
serve_no_conf(struct wire_msg *m)
{
	struct msg_conf r = { .error = -ENOENT };

	wire_send(&peer, MSG_CONF, m->head.serial, &r, NULL, 0);
}

static void
asks_netpriv(void **state)
{
	struct cnierr e = { 0 };
	char name[256], *text;
	size_t len;
	uint64_t there;

	(void)state;
	start_peer(serve_conf, ROLE_NETPRIV);
	assert_int_equal(priv_conf_get(0, "", 0, &text, &len, name, &e), 1);
	end_peer();
	assert_string_equal(name, "10-a.conf");
	assert_string_equal(text, "{}");
	free(text);
	start_peer(serve_no_conf, ROLE_NETPRIV);
	assert_int_equal(priv_conf_get(0, "n", 1, &text, &len, name, &e), 0);
	end_peer();
	/* Refused here; nobody is asked. */
	assert_int_equal(priv_conf_get(0, "../n", 1, &text, &len, name, &e), -1);
	memset(&e, 0, sizeof(e));
	assert_int_equal(priv_link_get((const char *[]){ "a/b" }, 1, &there, &e), -1);
	memset(&e, 0, sizeof(e));
	assert_int_equal(priv_route_default("eth0", "gw", &e), -1);
	assert_non_null(strstr(e.msg, "gw"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(echoes),
		cmocka_unit_test(caps),
		cmocka_unit_test(waits_for_no_daemon),
		cmocka_unit_test(asks_kube),
		cmocka_unit_test(asks_netpriv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
