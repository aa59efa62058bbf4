/* The TLS below HTTP/2: whom the client trusts, what it does with what is no TLS, and that it needs nothing but its filter allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/prctl.h>
#include <sys/wait.h>

#include "seccomp/sandbox.h"
#include "tests/unit/h2client.h"

/* Trust. */

static void
expect_certificate(const struct claims *c, const struct id *by, const char *name, int error, const char *text)
{
	struct id id = { 0 };
	struct server_setup u = { .id = &id };

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		make_id(&id, by, c);
		u.version = version;
		client_rc = 0;
		begin(name, &u, &H2_TIMES);
		memset(why, 0, sizeof(why));
		if (error)
			expect_over(error, text);
		else
			UNTIL(h2_ready(client) || client_rc < 0);
		if (!error)
			assert_string_equal(why, "");
		h2_free(client);
		client = NULL;
		stop_server(&server);
		free_id(&id);
	}
}

static void
test_certificates(void **state)
{
	const struct claims good = { .name = NAME, .san = "DNS:" NAME }, subject = { .name = NAME },
			    address = { .name = "x", .san = "IP:10.0.0.1,IP:fd00::1" },
			    text = { .name = "10.0.0.1", .san = "DNS:10.0.0.1" },
			    old = { .name = NAME, .san = "DNS:" NAME, .from = -7200, .to = -60 },
			    early = { .name = NAME, .san = "DNS:" NAME, .from = 3600, .to = 7200 },
			    wild = { .name = "x", .san = "DNS:*.b.example" }, partly = { .name = "x", .san = "DNS:a*.b.example" };
	const char *const unsigned_text = "not signed by the given CA (";

	(void)state;
	expect_certificate(&good, &ca, NAME, 0, NULL);
	expect_certificate(&good, &other_ca, NAME, -EKEYREJECTED, unsigned_text);
	expect_certificate(&good, NULL, NAME, -EKEYREJECTED, unsigned_text);
	expect_certificate(&good, &ca, "other.example", -EKEYREJECTED, "its certificate is not for other.example");
	expect_certificate(&good, &ca, "10.0.0.1", -EKEYREJECTED, "its certificate is not for 10.0.0.1");
	expect_certificate(&subject, &ca, NAME, -EKEYREJECTED, "its certificate is not for " NAME);
	expect_certificate(&address, &ca, "10.0.0.1", 0, NULL);
	expect_certificate(&address, &ca, "fd00:0::1", 0, NULL);
	expect_certificate(&address, &ca, "10.0.0.2", -EKEYREJECTED, "not for 10.0.0.2");
	expect_certificate(&text, &ca, "10.0.0.1", -EKEYREJECTED, "not for 10.0.0.1");
	expect_certificate(&wild, &ca, "api.b.example", 0, NULL);
	expect_certificate(&wild, &ca, "a.pi.b.example", -EKEYREJECTED, "not for");
	expect_certificate(&partly, &ca, "api.b.example", -EKEYREJECTED, "not for");
	expect_certificate(&old, &ca, NAME, -EKEYREJECTED, "expired");
	expect_certificate(&early, &ca, NAME, -EKEYREJECTED, "not yet valid");
}

static void
test_client_certificate(void **state)
{
	const struct server_setup u = { .id = &server_id, .ask_cert = true };

	(void)state;
	begin(NAME, &u, &H2_TIMES);
	expect_over(-EPROTO, "client certificate");
	h2_free(client);
	stop_server(&server);
	SSL_CTX_free(context);
	client_rc = 0;
	context = trust(&ca, &server_id);
	memset(why, 0, sizeof(why));
	ready_with(&u, &H2_TIMES);
	assert_non_null(SSL_get0_peer_certificate(server.ssl));
	expect_still_good();
}

static void
refuse_context(const char *ca_pem, const char *cert, const char *key, const char *text)
{
	assert_null(h2_context(ca_pem, strlen(ca_pem), cert, strlen(cert), key, strlen(key), why, sizeof(why)));
	if (!strstr(why, text))
		fail_msg("\"%s\" is not in \"%s\"", text, why);
}

static void
test_bad_context(void **state)
{
	char locked[4096] = "", cut[1000] = "";
	BIO *bio = BIO_new(BIO_s_mem());

	(void)state;
	assert_true(PEM_write_bio_PrivateKey(bio, server_id.key, EVP_aes_128_cbc(), (const unsigned char *)"pass", 4, NULL, NULL));
	assert_true(BIO_read(bio, locked, sizeof(locked) - 1) > 0);
	BIO_free(bio);
	memcpy(cut, ca.pem, 300);
	refuse_context("", "", "", "CA: no certificate");
	refuse_context("garbage", "", "", "CA: no certificate");
	refuse_context(cut, "", "", "CA: malformed");
	refuse_context(ca.pem, "garbage", "garbage", "client certificate: none");
	refuse_context(ca.pem, server_id.pem, "garbage", "client key: ");
	refuse_context(ca.pem, server_id.pem, ca.key_pem, "does not belong");
	refuse_context(ca.pem, server_id.pem, locked, "it is encrypted");
}

static void
test_no_alpn(void **state)
{
	const struct server_setup u = { .id = &server_id, .no_alpn = true };

	(void)state;
	begin(NAME, &u, &H2_TIMES);
	expect_over(-EPROTO, "it does not speak HTTP/2");
}

/* Hostile bytes below HTTP/2. */

static void
test_garbage(void **state)
{
	static const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\nClient sent\x1b[31m an HTTP request";

	(void)state;
	begin(NAME, NULL, &H2_TIMES);
	assert_int_equal(write(server.fd, text, sizeof(text)), sizeof(text));
	expect_over(-EPROTO, "no TLS with it");
}

static void
test_closed_in_handshake(void **state)
{
	(void)state;
	begin(NAME, NULL, &H2_TIMES);
	turn();
	server_close(&server);
	expect_over(-ECONNRESET, "onnection");
}

static void
test_closed_mid_record(void **state)
{
	(void)state;
	ready();
	assert_int_equal(write(server.fd, "\x17\x03\x03\x01\x00half", 9), 9);
	server_close(&server);
	expect_over(-ECONNRESET, "it closed the connection");
}

static void
test_forged_record(void **state)
{
	(void)state;
	ready();
	assert_int_equal(write(server.fd, "\x17\x03\x03\x00\x20" "0123456789abcdef0123456789abcdef", 37), 37);
	expect_over(-EPROTO, "broken TLS");
}

/* What a confined process needs beyond its filter: nothing. This one is forked before anything of OpenSSL was used, so that h2_init()
 * alone has loaded what there is to load; whatever else it would open or ask of the kernel kills it. */

struct papers {
	char ca[sizeof(ca.pem)], cert[sizeof(ca.pem)], key[sizeof(ca.key_pem)];
};

static struct confined {
	pid_t pid;
	int good[2], bad[2], papers[2]; /* ours is 0 */
} confined;

static int
run_confined(int fd, const char *name)
{
	struct h2_request r = get(0);
	int64_t due;
	struct pollfd p;
	int rc = 0;

	client = h2_new(fd, context, name, "a", TOKEN, &H2_TIMES, why, sizeof(why));
	for (; client && rc == 0 && !ended[0].times; rc = h2_run(client, p.revents, why, sizeof(why))) {
		if (h2_ready(client) && !ended[0].id)
			ended[0].id = h2_send(client, &r);
		h2_poll(client, &p, &due);
		poll(&p, 1, 1000);
	}
	h2_free(client);
	return rc;
}

/* Exit status 0 if all is as it should be. */
static void __attribute__((noreturn))
be_confined(const struct confined *c, const struct sock_fprog *filter)
{
	struct papers papers;

	(void)filter;
	if (h2_init() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(10);
	/* A sanitizer asks the kernel for more on its own account. */
#ifndef __SANITIZE_ADDRESS__
	if (sandbox_load(filter) < 0)
		_exit(10);
#endif
	if (util_read_full(c->papers[1], &papers, sizeof(papers)) != sizeof(papers))
		_exit(11);
	context = h2_context(papers.ca, strlen(papers.ca), papers.cert, strlen(papers.cert), papers.key, strlen(papers.key), why,
			     sizeof(why));
	if (!context || run_confined(c->bad[1], "other.example") != -EKEYREJECTED || !strstr(why, "not for"))
		_exit(12);
	if (run_confined(c->good[1], NAME) != 0 || ended[0].a.status != 200 || strcmp(ended[0].start, "hello") != 0)
		_exit(13);
	SSL_CTX_free(context);
	_exit(0);
}

static void
fork_confined(void)
{
	const int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
	struct confined *c = &confined;
	struct sock_fprog filter;

	sandbox_compile(ROLE_KUBE, CONF_ENFORCE, &filter);
	if (socketpair(AF_UNIX, type, 0, c->good) < 0 || socketpair(AF_UNIX, type, 0, c->bad) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c->papers) < 0)
		exit(1);
	c->pid = fork();
	if (c->pid == 0) {
		close(c->good[0]);
		close(c->bad[0]);
		close(c->papers[0]);
		be_confined(c, &filter);
	}
	close(c->good[1]);
	close(c->bad[1]);
	close(c->papers[1]);
	free(filter.filter);
}

static void
test_confined(void **state)
{
	const struct server_setup u = { .id = &server_id, .ask_cert = true };
	struct papers papers = { 0 };
	int status = -1;

	(void)state;
	memcpy(papers.ca, ca.pem, sizeof(papers.ca));
	memcpy(papers.cert, server_id.pem, sizeof(papers.cert));
	memcpy(papers.key, server_id.key_pem, sizeof(papers.key));
	assert_int_equal(util_write_all(confined.papers[0], &papers, sizeof(papers)), 0);
	for (int i = 0; i < 2; i++) {
		struct pollfd p = { .fd = i ? confined.good[0] : confined.bad[0], .events = POLLIN };

		start_server(&server, p.fd, &u);
		server.answer = answer_hello;
		while (!server.over) {
			assert_true(poll(&p, 1, 30000) > 0);
			server_turn(&server);
		}
		assert_int_equal(server.requests, i);
		stop_server(&server);
	}
	close(confined.papers[0]);
	assert_int_equal(waitpid(confined.pid, &status, 0), confined.pid);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(certificates), TEST(client_certificate), TEST(bad_context), TEST(no_alpn), TEST(garbage),
		TEST(closed_in_handshake), TEST(closed_mid_record), TEST(forged_record), TEST(confined),
	};

	fork_confined();
	return cmocka_run_group_tests(tests, make_ids, free_ids);
}
