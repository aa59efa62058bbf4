/* A certificate of our own: what is asked, and whose answers count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "kubeclient/api.h"
#include "kubeclient/csr.h"
#include "netpriv/util.h"
#include "tests/unit/fakelink.h"

static struct api_request sent[8];
static unsigned n_sent;
static bool had_identity;

int
api_start(const struct api_request *q)
{
	assert_true(n_sent < ARRAY_LEN(sent));
	assert_true(q->bootstrap && q->urgent);
	sent[n_sent] = *q;
	free(sent[n_sent].body);
	sent[n_sent++].body = NULL;
	return 0;
}

bool
identity_forget(void)
{
	return had_identity;
}

static void
answer(unsigned i, unsigned code, const char *name)
{
	char body[128];

	snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"%s\"}}", name);
	sent[i].done(&sent[i], code, "", code < 300 ? body : NULL, code < 300 ? strlen(body) : 0);
}

static void
wait_sent(unsigned n)
{
	for (int i = 0; i < 5000 && n_sent < n; i++) {
		usleep(2000);
		csr_step();
	}
	assert_int_equal(n_sent, n);
}

static void
last_round_counts(void **state)
{
	static struct conf conf;

	(void)state;
	conf_defaults(&conf);
	conf.node_cert = 1;
	snprintf(conf.node_name, sizeof(conf.node_name), "n");
	csr_init(&conf);
	csr_step();
	assert_int_equal(n_sent, 1);
	assert_string_equal(sent[0].method, "POST");
	answer(0, 201, "csr-old");
	wait_sent(2);
	assert_string_equal(strrchr(sent[1].path, '/'), "/csr-old");
	/* A fault that passes: the same one is looked at again. */
	answer(1, 503, "");
	wait_sent(3);
	assert_string_equal(strrchr(sent[2].path, '/'), "/csr-old");
	/* The certificate in use is refused while a look is under way: what that one says is of another key. */
	had_identity = true;
	csr_lost();
	csr_step();
	assert_int_equal(n_sent, 4);
	assert_string_equal(sent[3].method, "POST");
	answer(3, 201, "csr-new");
	answer(2, 200, "csr-old");
	wait_sent(5);
	assert_string_equal(strrchr(sent[4].path, '/'), "/csr-new");
	/* It is gone: a new one. */
	answer(4, 404, "");
	wait_sent(6);
	assert_string_equal(sent[5].method, "POST");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(last_round_counts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
