/* Whole commands: what is run in which order, and what is left when something fails. */
#include "tests/unit/fakewall.h"

static const struct act up[] = {
	{ CNI_ADD, "bridge", NULL, 0, 0,
	  "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"cni0\"},{\"name\":\"eth0\","
	  "\"sandbox\":\"/run/netns/a\"}],"
	  "\"ips\":[{\"address\":\"10.1.0.2/24\",\"interface\":1,\"gateway\":\"10.1.0.1\"}]}",
	  "careful\n", false },
	{ CNI_ADD, "portmap", NULL, 0, 0,
	  "{\"cniVersion\":\"0.4.0\",\"interfaces\":[{\"name\":\"eth0\",\"sandbox\":"
	  "\"/run/netns/a\"}],\"ips\":[{\"version\":\"4\",\"address\":\"10.1.0.2/24\"}]}",
	  NULL, false },
	{ CNI_ADD, "tuning", NULL, 0, 0,
	  "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"eth0\",\"mac\":\"aa\","
	  "\"sandbox\":\"/run/netns/a\"}],\"ips\":[{\"address\":\"10.1.0.2/24\",\"interface\":0}]}",
	  NULL, false },
	{ CNI_ADD, "macvlan", NULL, 0, 0,
	  "{\"interfaces\":[{\"name\":\"net1\",\"sandbox\":\"/run/netns/a\"}]}", NULL, false },
	{ 0 }
};

static void
add_in_order(void **state)
{
	(void)state;
	w.acts = up;
	command(CNI_ADD, "{\"cniVersion\":\"1.1.0\",\"name\":\"postern\",\"runtimeConfig\":{"
			 "\"portMappings\":[{\"hostPort\":1,"
			 "\"containerPort\":2}],\"ips\":[\"10.1.0.9\"]}}");
	assert_string_equal(w.note, "");
	assert_int_equal(w.code, 0);
	assert_string_equal(
	    w.log, "plan; ADD bridge eth0; ADD portmap eth0; ADD tuning eth0; ADD macvlan net1; "
		   "route net1 10.2.0.1; status; results; ");
	assert_string_equal(at(0, "name"), "cluster");
	assert_string_equal(at(0, "cniVersion"), "1.0.0");
	assert_null(at(0, "prevResult"));
	assert_null(at(0, "runtimeConfig"));
	assert_string_equal(at(1, "prevResult.cniVersion"), "1.0.0");
	assert_non_null(at(1, "runtimeConfig.portMappings"));
	assert_null(at(1, "runtimeConfig.ips"));
	/* portmap answered in another version: tuning gets what its own version demands. */
	assert_string_equal(at(2, "prevResult.cniVersion"), "1.0.0");
	assert_null(at(3, "prevResult"));
	assert_string_equal(at(3, "cniVersion"), "0.3.1");
	assert_non_null(strstr(w.text, "\"mac\": \"aa\""));
	assert_non_null(strstr(w.text, "\"cniVersion\": \"1.1.0\""));
	assert_non_null(strstr(w.status, "\"name\": \"ns1/m\""));
	assert_non_null(strstr(w.blob, "\"result\""));
	assert_non_null(strstr(w.events, "0 u1 Add eth0 ["));
	assert_non_null(strstr(w.events, "from cluster; "));
	assert_non_null(strstr(w.events, "from ns1/m; "));
}

static void
del_backwards(void **state)
{
	(void)state;
	w.acts = up;
	command(CNI_ADD, CONFIG);
	w.kind = STATE_IS_DONE;
	forget_runs();
	/* Broken configuration, no netns, no pod: what was journalled is what runs. */
	w.pod = NULL;
	offer.flags = OFFER_STATE;
	command(CNI_DEL, "nonsense");
	assert_string_equal(
	    w.log, "DEL macvlan net1; DEL tuning eth0; DEL portmap eth0; DEL bridge eth0; ");
	assert_true(w.code == 0 && w.clean && !w.text[0]);
	assert_null(at(0, "prevResult")); /* 0.3.1 */
	assert_string_equal(at(1, "prevResult.cniVersion"), "1.0.0");
	assert_non_null(at(3, "prevResult.ips"));
}

static void
del_goes_on(void **state)
{
	static const struct act acts[] = { { CNI_DEL, "macvlan", NULL, 0, 1,
					     "{\"code\":100,\"msg\":\"busy\"}", NULL, false },
					   { 0 } };

	(void)state;
	w.acts = up;
	command(CNI_ADD, CONFIG);
	w.kind = STATE_IS_PLAN;
	w.acts = acts;
	command(CNI_DEL, CONFIG);
	assert_string_equal(
	    w.log, "DEL macvlan net1; DEL tuning eth0; DEL portmap eth0; DEL bridge eth0; ");
	assert_int_equal(w.code, 0);
	assert_false(w.clean);
	assert_string_equal(
	    w.note,
	    "network \"mac\": interface \"net1\": plugin type=\"macvlan\" failed (delete): busy");
	w.kind = STATE_NONE;
	command(CNI_DEL, CONFIG);
	assert_true(w.code == 0 && w.clean);
	assert_string_equal(w.log, "cache  ; ");
	w.kind = STATE_IS_DONE;
	free(w.blob);
	w.blob = strdup("{\"format\":1");
	command(CNI_DEL, CONFIG);
	assert_true(w.code == 0 && !w.clean);
}

static void
rolls_back(void **state)
{
	static const struct act acts[] = { { CNI_ADD, "macvlan", NULL, 0, 1,
					     "{\"code\":50,\"msg\":\"no master\"}", NULL, false },
					   { 0 } };
	static const struct act worse[] = {
		{ CNI_ADD, "portmap", NULL, 0, 1, "{\"code\":7,\"msg\":\"bad\"}", NULL, false },
		{ CNI_DEL, "portmap", NULL, 0, 1, "{\"code\":7,\"msg\":\"bad\"}", NULL, false },
		{ 0 }
	};

	(void)state;
	w.acts = acts;
	command(CNI_ADD, CONFIG);
	assert_string_equal(
	    w.log, "plan; ADD bridge eth0; ADD portmap eth0; ADD tuning eth0; ADD macvlan net1; "
		   "DEL macvlan net1; DEL tuning eth0; DEL portmap eth0; DEL bridge eth0; ");
	assert_int_equal(w.code, 50);
	assert_true(w.clean);
	assert_string_equal(w.note, "[ns1/p1/u1:mac]: error adding container to network \"mac\": "
				    "interface \"net1\": plugin "
				    "type=\"macvlan\" failed (add): no master");
	assert_non_null(strstr(w.text, "\"code\": 50"));
	w.acts = worse;
	command(CNI_ADD, CONFIG);
	assert_string_equal(
	    w.log, "plan; ADD bridge eth0; ADD portmap eth0; DEL portmap eth0; results; ");
	assert_true(w.code == 7 && !w.clean);
}

static void
rolls_back_late(void **state)
{
	static const char all[] =
	    "DEL macvlan net1; DEL tuning eth0; DEL portmap eth0; DEL bridge eth0; ";

	(void)state;
	w.acts = up;
	w.fail_route = true;
	command(CNI_ADD, CONFIG);
	assert_non_null(strstr(w.log, all));
	assert_null(strstr(w.log, "status"));
	assert_non_null(
	    strstr(w.note, "[ns1/p1/u1:mac]: network \"mac\": default-route: unreachable"));
	w.fail_route = false;
	w.fail_status = true;
	command(CNI_ADD, CONFIG);
	assert_non_null(strstr(w.log, all));
	assert_null(strstr(w.log, "results"));
	assert_string_equal(w.note, "[ns1/p1/u1]: no status today");
	w.fail_status = false;
	w.acts = NULL; /* the cluster network gives no address, which 0.2.0 cannot say */
	command(CNI_ADD, "{\"cniVersion\":\"0.2.0\",\"name\":\"postern\"}");
	assert_non_null(strstr(w.log, all));
	assert_non_null(strstr(w.note, "no valid IP addresses"));
}

static void
expect_nothing_run(const char *config, uint32_t code, const char *part)
{
	command(CNI_ADD, config);
	assert_null(strstr(w.log, "ADD"));
	assert_null(strstr(w.log, "DEL"));
	if (w.code != code || w.clean || !strstr(w.note, part))
		fail_msg("%u %s", w.code, w.note);
}

static void
runs_nothing(void **state)
{
	(void)state;
	expect_nothing_run("{", CNI_ERR_DECODE, "network configuration");
	expect_nothing_run("{\"name\":\"x\",\"cniVersion\":\"3.0.0\"}", CNI_ERR_VERSION,
			   "incompatible CNI versions");
	w.present = "net1";
	expect_nothing_run(
	    CONFIG, 999,
	    "[ns1/p1/u1:mac]: interface \"net1\" for network \"mac\" is already in the pod");
	w.present = NULL;
	w.fail_plan = true;
	expect_nothing_run(CONFIG, 999, "plan failed");
	offer.flags |= OFFER_STATE;
	expect_nothing_run(CONFIG, 999, "DEL it first");
	offer.flags = OFFER_NETNS;
	w.nad = NULL;
	expect_nothing_run(CONFIG, CNI_ERR_CONFIG,
			   "there is no NetworkAttachmentDefinition m in namespace ns1");
	w.pod = NULL;
	expect_nothing_run(CONFIG, 999,
			   "[ns1/p1/u1]: pod ns1/p1 not found: no pods/ns1/p1.yaml in the store");
	offer.target.pod_name[0] = '\0';
	expect_nothing_run(CONFIG, CNI_ERR_ENV,
			   "required CNI variable missing. pod name: ; pod namespace: ns1");
}

static void
unknown_pod(void **state)
{
	(void)state;
	w.acts = up;
	w.pod = NULL;
	conf.unknown_pods = 1;
	command(CNI_ADD, CONFIG);
	assert_int_equal(w.code, 0);
	assert_string_equal(w.log,
			    "plan; ADD bridge eth0; ADD portmap eth0; ADD tuning eth0; results; ");
}

static void
alias(void **state)
{
	static const struct act acts[] = {
		{ CNI_ADD, "bridge", NULL, 0, 0,
		  "{\"interfaces\":[{\"name\":\"eth0\",\"sandbox\":\"" WIRE_NETNS_ALIAS "\"}]}",
		  NULL, false },
		{ CNI_ADD, "portmap", NULL, 0, 0,
		  "{\"interfaces\":[{\"name\":\"eth0\",\"sandbox\":\"" WIRE_NETNS_ALIAS "\"}]}",
		  NULL, false },
		{ CNI_ADD, "tuning", NULL, 0, 0,
		  "{\"interfaces\":[{\"name\":\"eth0\",\"sandbox\":\"" WIRE_NETNS_ALIAS "\"}]}",
		  NULL, false },
		{ 0 }
	};
	const json_t *prev;

	(void)state;
	w.acts = acts;
	offer.flags |= OFFER_ALIAS;
	strcpy(offer.target.netns, "/proc/7/ns/net");
	command(CNI_ADD, CONFIG);
	assert_int_equal(w.code, 0);
	assert_non_null(strstr(w.text, "\"sandbox\": \"/proc/7/ns/net\""));
	prev = json_object_get(w.stdins[1], "prevResult");
	prev = json_array_get(json_object_get(prev, "interfaces"), 0);
	assert_string_equal(json_string_value(json_object_get(prev, "sandbox")), WIRE_NETNS_ALIAS);
	assert_null(strstr(w.blob, WIRE_NETNS_ALIAS));
}

static void
check(void **state)
{
	static const struct act acts[] = { { CNI_CHECK, "portmap", NULL, 0, 1,
					     "{\"code\":102,\"msg\":\"gone\"}", NULL, false },
					   { 0 } };

	(void)state;
	w.acts = up;
	command(CNI_CHECK, CONFIG);
	assert_int_equal(w.code, CNI_ERR_UNKNOWN_CONTAINER);
	command(CNI_ADD, CONFIG);
	w.kind = STATE_IS_DONE;
	command(CNI_CHECK, CONFIG);
	assert_non_null(strstr(w.note, "interface \"eth0\" is no longer in the pod"));
	w.present = "eth0";
	forget_runs();
	command(CNI_CHECK, CONFIG);
	/* net1 is missing, and its network's version has no CHECK. */
	assert_string_equal(w.log, "CHECK bridge eth0; CHECK portmap eth0; CHECK tuning eth0; ");
	assert_non_null(strstr(w.note, "interface \"net1\" is no longer in the pod"));
	assert_non_null(at(0, "prevResult.ips"));
	w.acts = acts;
	command(CNI_CHECK, CONFIG);
	assert_string_equal(w.log, "CHECK bridge eth0; CHECK portmap eth0; ");
	assert_int_equal(w.code, 102);
	w.kind = STATE_IS_PLAN;
	command(CNI_CHECK, CONFIG);
	assert_int_equal(w.code, 999);
	assert_string_equal(w.log, "");
}

#define GC(list) "{\"cniVersion\":\"1.1.0\",\"name\":\"postern\"" list "}"

static void
gc(void **state)
{
	static const struct act acts[] = {
		{ CNI_GC, "a", NULL, 0, 1, "{\"code\":100,\"msg\":\"x\"}", NULL, false }, { 0 }
	};

	(void)state;
	memset(&offer.target, 0, sizeof(offer.target));
	w.cluster = "{\"cniVersion\":\"1.1.0\",\"name\":\"cluster\",\"plugins\":[{\"type\":\"a\"},{"
		    "\"type\":\"b\"}]}";
	w.acts = acts;
	command(CNI_GC, GC(""));
	assert_int_equal(w.code, CNI_ERR_CONFIG);
	assert_string_equal(w.log, "");
	command(
	    CNI_GC,
	    GC(",\"cni.dev/"
	       "valid-attachments\":[{\"containerID\":\"c1\",\"ifname\":\"eth0\"},{\"containerID\":"
	       "\"../c\",\"ifname\":\"eth0\"}]"));
	assert_int_equal(w.code, CNI_ERR_CONFIG);
	assert_string_equal(w.log, "");
	command(CNI_GC, GC(",\"cni.dev/"
			   "attachments\":[{\"containerID\":\"c1\",\"ifname\":\"eth0\"},{"
			   "\"containerID\":\"c1\","
			   "\"ifname\":\"lo\"}]"));
	assert_string_equal(w.log, "valid c1 eth0; sweep; GC a ; GC b ; ");
	assert_int_equal(w.code, 100);
	assert_int_equal(json_array_size(json_object_get(w.stdins[1], "cni.dev/valid-attachments")),
			 1);
	assert_int_equal(json_array_size(json_object_get(w.stdins[1], "cni.dev/attachments")), 1);
	w.acts = NULL;
	w.sweep = 2;
	command(CNI_GC, GC(",\"cni.dev/valid-attachments\":null"));
	assert_string_equal(w.log, "sweep; GC a ; GC b ; ");
	assert_non_null(strstr(w.note, "2 stale attachments"));
	w.sweep = 0;
	w.cluster =
	    "{\"cniVersion\":\"1.0.0\",\"name\":\"cluster\",\"plugins\":[{\"type\":\"a\"}]}";
	command(CNI_GC, GC(",\"cni.dev/valid-attachments\":[]"));
	assert_string_equal(w.log, "sweep; ");
	assert_int_equal(w.code, 0);
}

static void
status(void **state)
{
	static const struct act acts[] = { { CNI_STATUS, "a", NULL, 0, 1,
					     "{\"code\":50,\"msg\":\"not ready\"}", NULL, false },
					   { 0 } };

	(void)state;
	memset(&offer.target, 0, sizeof(offer.target));
	command(CNI_STATUS, CONFIG);
	assert_string_equal(w.log, ""); /* 1.0.0 has no STATUS */
	assert_int_equal(w.code, 0);
	w.cluster = "{\"cniVersion\":\"1.1.0\",\"name\":\"cluster\",\"plugins\":[{\"type\":\"a\"},{"
		    "\"type\":\"b\"}]}";
	w.acts = acts;
	command(CNI_STATUS, CONFIG);
	assert_string_equal(w.log, "STATUS a ; ");
	assert_int_equal(w.code, 50);
	w.cluster = "{";
	command(CNI_STATUS, CONFIG);
	assert_int_equal(w.code, CNI_ERR_NOT_AVAILABLE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(add_in_order, start, stop),
		cmocka_unit_test_setup_teardown(del_backwards, start, stop),
		cmocka_unit_test_setup_teardown(del_goes_on, start, stop),
		cmocka_unit_test_setup_teardown(rolls_back, start, stop),
		cmocka_unit_test_setup_teardown(rolls_back_late, start, stop),
		cmocka_unit_test_setup_teardown(runs_nothing, start, stop),
		cmocka_unit_test_setup_teardown(unknown_pod, start, stop),
		cmocka_unit_test_setup_teardown(alias, start, stop),
		cmocka_unit_test_setup_teardown(check, start, stop),
		cmocka_unit_test_setup_teardown(gc, start, stop),
		cmocka_unit_test_setup_teardown(status, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
