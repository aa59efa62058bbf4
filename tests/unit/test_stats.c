/* Counting into buckets, and the text that is made of it. Includes the .c: it is linked into metrics only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "broker/promtext.c"

#define US 1000ull

static void
assert_bucket(uint64_t ns, size_t bucket)
{
	struct stats_time t = { 0 };

	stats_observe(&t, ns);
	for (size_t i = 0; i <= STATS_EDGES; i++)
		if (t.bucket[i] != (i == bucket))
			fail_msg("%llu ns: bucket %zu holds %llu", (unsigned long long)ns, i, (unsigned long long)t.bucket[i]);
}

/* An edge belongs below ("le"), the next nanosecond above. */
static void
edges(void **state)
{
	(void)state;
	assert_bucket(0, 0);
	assert_bucket(1, 0);
	for (size_t i = 0; i < STATS_EDGES; i++) {
		assert_bucket(stats_edges[i] * US - 1, i);
		assert_bucket(stats_edges[i] * US, i);
		assert_bucket(stats_edges[i] * US + 1, i + 1);
		assert_true(i == 0 || stats_edges[i] > stats_edges[i - 1]);
	}
	assert_bucket(UINT64_MAX, STATS_EDGES);
}

static void
sums(void **state)
{
	struct stats_time t = { 0 };

	(void)state;
	stats_observe(&t, 1500 * US);
	stats_observe(&t, 2 * US + 1);
	assert_int_equal(t.sum, 1503);
}

static char *
text_of(const struct promtext *p)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	promtext_write(f, p);
	fclose(f);
	return text;
}

static void
assert_lines(const char *text, const char *const *lines, bool there)
{
	for (; *lines; lines++)
		if ((strstr(text, *lines) != NULL) != there)
			fail_msg("%s: %s", *lines, there ? "is missing" : "is there");
}

static void
text(void **state)
{
	static struct conf conf;
	static struct facts facts;
	static struct stats_netpriv netpriv;
	static struct stats_kube kube;
	const struct promtext p = { &conf, &facts, &netpriv, &kube };
	static const char *const wanted[] = {
		"\npostern_requests_total{verb=\"ADD\",code=\"0\",origin=\"runtime\"} 2\n",
		"\npostern_requests_total{verb=\"DEL\",code=\"other\",origin=\"hotplug\"} 1\n",
		"\npostern_phase_seconds_bucket{verb=\"GC\",phase=\"total\",le=\"0.001\"} 1\n",
		"\npostern_phase_seconds_bucket{verb=\"GC\",phase=\"total\",le=\"30\"} 1\n",
		"\npostern_phase_seconds_bucket{verb=\"GC\",phase=\"total\",le=\"60\"} 2\n",
		"\npostern_phase_seconds_bucket{verb=\"GC\",phase=\"total\",le=\"+Inf\"} 3\n",
		"\npostern_phase_seconds_sum{verb=\"GC\",phase=\"total\"} 160.000500\n",
		"\npostern_phase_seconds_count{verb=\"GC\",phase=\"total\"} 3\n",
		"\npostern_delegate_runs_total{verb=\"CHECK\",end=\"timeout\"} 1\n",
		"\npostern_journal_entries 18446744073709551615\n",
		"\npostern_api_requests_total{verb=\"other\",resource=\"other\",code=\"none\"} 1\n",
		"\nmultus_server_request_total{code=\"200\",handler=\"/cni\",method=\"post\"} 2\n",
		"\nmultus_server_request_total{code=\"400\",handler=\"/delegate\",method=\"post\"} 1\n",
		"\npostern_role_up{role=\"netpriv\"} 1\n", "\npostern_role_up{role=\"kube\"} 0\n",
		NULL,
	};
	static const char *const absent[] = { "code=\"7\"", "verb=\"?\"", "phase=\"queue\"", "role=\"store\"", "role=\"metrics\"", NULL };
	char *out;

	(void)state;
	netpriv.requests[CNI_ADD][0][STATS_RUNTIME] = 2;
	netpriv.requests[CNI_DEL][STATS_CODES - 1][STATS_HOTPLUG] = 1;
	netpriv.requests[0][0][STATS_RUNTIME] = 7; /* nobody's */
	stats_observe(&netpriv.phases[CNI_GC][STATS_TOTAL], 500 * US);
	stats_observe(&netpriv.phases[CNI_GC][STATS_TOTAL], 60000000 * US);
	stats_observe(&netpriv.phases[CNI_GC][STATS_TOTAL], 100000000 * US);
	netpriv.runs[CNI_CHECK][STATS_TIMEOUT] = 1;
	netpriv.entries = UINT64_MAX;
	kube.requests[STATS_APIS - 1][0] = 1;
	facts.role[0].pid = 1;
	out = text_of(&p);
	assert_lines(out, wanted, true);
	assert_lines(out, absent, false);
	free(out);

	util_copy(conf.store, sizeof(conf.store), "/a");
	out = text_of(&p);
	assert_null(strstr(out, "api_"));
	assert_non_null(strstr(out, "role=\"store\""));
	free(out);
}

/* Whatever is in the pages, and they are somebody else's, becomes text. */
static void
rubbish(void **state)
{
	static struct conf conf;
	static struct facts facts;
	static struct stats_netpriv netpriv;
	static struct stats_kube kube;
	const struct promtext p = { &conf, &facts, &netpriv, &kube };
	char *out;

	(void)state;
	memset(&facts, 0xff, sizeof(facts));
	memset(&netpriv, 0xff, sizeof(netpriv));
	memset(&kube, 0xff, sizeof(kube));
	out = text_of(&p);
	assert_true(strlen(out) > 10000 && out[strlen(out) - 1] == '\n');
	assert_true(strlen(out) < 1 << 18);
	free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edges), cmocka_unit_test(sums), cmocka_unit_test(text), cmocka_unit_test(rubbish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
