/* One network at a time: what its plugins get on stdin, and how each way to fail reads. */
#include "tests/unit/fakewall.h"

/* One failing plugin, and how its failure reads. */
static void
expect_failure(struct act a, uint32_t code, const char *message)
{
	struct act acts[] = { a, { 0 } };
	struct delegate d = { .net = "n", .version = "1.0.0", .ifname = "net1" };
	struct cnierr e = { 0 };

	d.plugins = json_pack("[{s:s}]", "type", "p");
	w.acts = acts;
	assert_int_equal(run_network(&d, CNI_ADD, &offer, NULL, &e), -1);
	assert_int_equal(e.code, code);
	if (strncmp(e.msg,
		    "error adding container to network \"n\": interface \"net1\": plugin "
		    "type=\"p\" failed (add): ",
		    87))
		fail_msg("%s", e.msg);
	assert_string_equal(e.msg + 87, message);
	json_decref(d.plugins);
	json_decref(d.result);
}

static void
maps_errors(void **state)
{
	char err[300];

	(void)state;
	memset(err, 'x', sizeof(err));
	memcpy(err + sizeof(err) - 5, "end\n", 5);
	expect_failure((struct act){ CNI_ADD, "p", NULL, 0, 1,
				     "{\"code\":101,\"msg\":\"no\\nluck\"}", "noise", false },
		       101, "no\\x0aluck");
	expect_failure(
	    (struct act){ CNI_ADD, "p", NULL, 0, 1, "{\"code\":0,\"msg\":\"\"}", NULL, false }, 999,
	    "(no message)");
	expect_failure(
	    (struct act){ CNI_ADD, "p", NULL, 0, 2, "", "panic: \x1b[31m\n", false }, 999,
	    "netplugin failed with exit status 2 and no CNI error object: \"panic: \\x1b[31m\"");
	expect_failure(
	    (struct act){ CNI_ADD, "p", NULL, 0, 2, "{}{\"msg\":\"x\"}", "", false }, 999,
	    "netplugin failed with exit status 2 and no CNI error object: \"{}{\"msg\":\"x\"}\"");
	expect_failure((struct act){ CNI_ADD, "p", NULL, 0, 1, "", "", false }, 999,
		       "netplugin failed with exit status 1 and printed nothing");
	expect_failure((struct act){ CNI_ADD, "p", NULL, DONE_SIGNALED, 9, "", "", false }, 999,
		       "netplugin failed: killed by signal 9");
	expect_failure((struct act){ CNI_ADD, "p", NULL, DONE_TIMEOUT, 500, "", "", false }, 999,
		       "netplugin failed: timed out after 500 ms");
	expect_failure((struct act){ CNI_ADD, "p", NULL, DONE_FAILED, 2, "", "", false }, 999,
		       "could not be started: no such plugin in /opt/cni/bin");
	expect_failure((struct act){ CNI_ADD, "p", NULL, 0, 0, "", "", false }, CNI_ERR_DECODE,
		       "printed nothing where a result was due");
	expect_failure((struct act){ CNI_ADD, "p", NULL, 0, 0, "{}", "", true }, CNI_ERR_DECODE,
		       "printed more than 1 MiB");
	expect_failure(
	    (struct act){ CNI_ADD, "p", NULL, 0, 0, "{\"cniVersion\":\"7.0.0\"}", "", false },
	    CNI_ERR_VERSION, "its output: unsupported CNI result version \"7.0.0\"");
	expect_failure((struct act){ CNI_ADD, "p", NULL, 0, 0, "hello", "", false }, CNI_ERR_DECODE,
		       "its output: line 1, column 5: not valid JSON");
}

static void
keeps_details_and_tail(void **state)
{
	static char err[400];
	static const struct act acts[] = {
		{ CNI_ADD, "a", NULL, 0, 1,
		  "{\"code\":11,\"msg\":\"later\",\"details\":\"d\\u0007\"}", NULL, false },
		{ CNI_ADD, "b", NULL, 0, 1, NULL, err, false },
		{ 0 }
	};
	struct delegate d = { .net = "n", .version = "", .ifname = "net1" };
	struct cnierr e = { 0 };

	(void)state;
	memset(err, 'x', sizeof(err) - 1);
	w.acts = acts;
	d.plugins = json_pack("[{s:s}]", "type", "a");
	assert_int_equal(run_network(&d, CNI_ADD, &offer, NULL, &e), -1);
	assert_int_equal(e.code, 11);
	assert_string_equal(e.details, "d\\x07");
	assert_string_equal(at(0, "cniVersion"), "0.1.0"); /* none in the configuration */
	json_decref(d.plugins);
	memset(&e, 0, sizeof(e));
	d.plugins = json_pack("[{s:s}]", "type", "b");
	assert_int_equal(run_network(&d, CNI_ADD, &offer, NULL, &e), -1);
	assert_int_equal(strlen(strrchr(e.msg, '"') - 200), 201);
	assert_int_equal(strspn(strchr(e.msg, '\0') - 201, "x"), 200);
	json_decref(d.plugins);
}

/* sbr is the one that makes a file where the namespace was. */
static void
sbr_without_netns(void **state)
{
	struct delegate d = { .net = "n", .version = "1.0.0", .ifname = "net1" };
	struct cnierr e = { 0 };

	(void)state;
	d.plugins = json_pack("[{s:s},{s:s}]", "type", "macvlan", "type", "sbr");
	assert_int_equal(run_network(&d, CNI_DEL, &offer, NULL, &e), 0);
	assert_string_equal(w.log, "DEL sbr net1; DEL macvlan net1; ");
	w.log[0] = '\0';
	offer.flags = 0;
	assert_int_equal(run_network(&d, CNI_DEL, &offer, NULL, &e), 0);
	assert_string_equal(w.log, "DEL macvlan net1; ");
	json_decref(d.plugins);
}

/* A plugin reads keys in any case, so ours must be the only one of its name. */
static void
one_spelling(void **state)
{
	struct delegate d = { .net = "n", .version = "1.0.0", .ifname = "net1" };
	struct cnierr e = { 0 };

	(void)state;
	d.plugins = json_pack("[{s:s,s:s,s:s,s:s,s:i}]", "type", "p", "Name", "evil", "CNIVersion",
			      "0.1.0", "cniVer\u017fion", "0.2.0", "mtu", 9);
	assert_int_equal(run_network(&d, CNI_ADD, &offer, NULL, &e), 0);
	assert_int_equal(json_object_size(w.stdins[0]), 4);
	assert_string_equal(at(0, "name"), "n");
	assert_int_equal(json_object_size(json_array_get(d.plugins, 0)), 5);
	json_decref(d.plugins);
	json_decref(d.result);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(maps_errors, start, stop),
		cmocka_unit_test_setup_teardown(keeps_details_and_tail, start, stop),
		cmocka_unit_test_setup_teardown(sbr_without_netns, start, stop),
		cmocka_unit_test_setup_teardown(one_spelling, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
