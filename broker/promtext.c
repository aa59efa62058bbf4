/* The metrics' names and labels.
 * Runs in: metrics.  Trusts: no number in the pages; every text is of this program, but for the build's version.
 * Source: Prometheus exposition formats; its naming practices.
 *
 * A series begins with its first event: combinations of labels that never came up are left out. */
#include "broker/promtext.h"

#include "netpriv/channels.h"

static const char *const origins[STATS_ORIGINS] = { "runtime", "hotplug", "internal" };
static const char *const phases[STATS_PHASES] = { "queue", "prepare", "delegates", "finish", "total" };
static const char *const ends[STATS_ENDS] = { "ok", "failed", "signal", "timeout", "not_started" };

static void
begin(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
write_one(FILE *f, const char *name, const char *type, const char *help, uint64_t value)
{
	begin(f, name, type, help);
	fprintf(f, "%s %llu\n", name, (unsigned long long)value);
}

static void
write_seconds(FILE *f, uint64_t us)
{
	fprintf(f, "%llu.%06llu", (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
}

/* labels: without braces. */
static void
write_time(FILE *f, const char *name, const char *labels, const struct stats_time *t)
{
	uint64_t bucket[STATS_EDGES + 1], count = 0;

	for (size_t i = 0; i <= STATS_EDGES; i++)
		bucket[i] = count += stats_get(&t->bucket[i]);
	if (count == 0)
		return;
	for (size_t i = 0; i < STATS_EDGES; i++)
		fprintf(f, "%s_bucket{%s,le=\"%g\"} %llu\n", name, labels, stats_edges[i] / 1e6, (unsigned long long)bucket[i]);
	fprintf(f, "%s_bucket{%s,le=\"+Inf\"} %llu\n%s_sum{%s} ", name, labels, (unsigned long long)count, name, labels);
	write_seconds(f, stats_get(&t->sum));
	fprintf(f, "\n%s_count{%s} %llu\n", name, labels, (unsigned long long)count);
}

static void
write_requests(FILE *f, const struct stats_netpriv *s)
{
	const char *name = "postern_requests_total";

	begin(f, name, "counter", "CNI commands that ended, by verb, CNI error code (0 is success) and who asked.");
	for (unsigned v = CNI_ADD; v < CNI_VERB_COUNT; v++)
		for (size_t c = 0; c < STATS_CODES; c++)
			for (unsigned o = 0; o < STATS_ORIGINS; o++) {
				uint64_t n = stats_get(&s->requests[v][c][o]);
				char code[16] = "other";

				if (c < ARRAY_LEN(stats_codes))
					snprintf(code, sizeof(code), "%u", stats_codes[c]);
				if (n)
					fprintf(f, "%s{verb=\"%s\",code=\"%s\",origin=\"%s\"} %llu\n", name, cni_verb_name(v), code,
						origins[o], (unsigned long long)n);
			}
}

/* For dashboards that were made for Multus' daemon. */
static void
write_multus(FILE *f, const struct stats_netpriv *s)
{
	static const char *const handlers[] = { "/cni", "/delegate" };
	const char *name = "multus_server_request_total";

	begin(f, name, "counter", "Counter of HTTP requests");
	for (unsigned o = STATS_RUNTIME; o <= STATS_HOTPLUG; o++) {
		uint64_t n[2] = { 0 };

		for (unsigned v = CNI_ADD; v < CNI_VERB_COUNT; v++)
			for (size_t c = 0; c < STATS_CODES; c++)
				n[c > 0] += stats_get(&s->requests[v][c][o]); /* the first code is success */
		for (unsigned bad = 0; bad < 2; bad++)
			fprintf(f, "%s{code=\"%s\",handler=\"%s\",method=\"post\"} %llu\n", name, bad ? "400" : "200", handlers[o],
				(unsigned long long)n[bad]);
	}
}

static void
write_phases(FILE *f, const struct stats_netpriv *s)
{
	char labels[64];

	begin(f, "postern_phase_seconds", "histogram", "Where the time of a CNI command went.");
	for (unsigned v = CNI_ADD; v < CNI_VERB_COUNT; v++)
		for (unsigned p = 0; p < STATS_PHASES; p++) {
			snprintf(labels, sizeof(labels), "verb=\"%s\",phase=\"%s\"", cni_verb_name(v), phases[p]);
			write_time(f, "postern_phase_seconds", labels, &s->phases[v][p]);
		}
}

static void
write_delegates(FILE *f, const struct stats_netpriv *s)
{
	char labels[64];

	begin(f, "postern_delegate_runs_total", "counter", "Runs of delegate plugins that ended, by verb and how.");
	for (unsigned v = CNI_ADD; v < CNI_VERB_COUNT; v++)
		for (unsigned e = 0; e < STATS_ENDS; e++)
			if (stats_get(&s->runs[v][e]))
				fprintf(f, "postern_delegate_runs_total{verb=\"%s\",end=\"%s\"} %llu\n", cni_verb_name(v), ends[e],
					(unsigned long long)stats_get(&s->runs[v][e]));
	begin(f, "postern_delegate_seconds", "histogram", "How long delegate plugins ran.");
	for (unsigned v = CNI_ADD; v < CNI_VERB_COUNT; v++) {
		snprintf(labels, sizeof(labels), "verb=\"%s\"", cni_verb_name(v));
		write_time(f, "postern_delegate_seconds", labels, &s->run_time[v]);
	}
}

static void
write_api(FILE *f, const struct stats_kube *s)
{
	static const char *const classes[] = { "none", "1xx", "2xx", "3xx", "4xx", "5xx" };
	char labels[STATS_APIS][128];

	for (size_t i = 0; i < STATS_APIS; i++)
		snprintf(labels[i], sizeof(labels[i]), "verb=\"%s\",resource=\"%s\"", i < ARRAY_LEN(stats_api) ? stats_api[i][0] : "other",
			 i < ARRAY_LEN(stats_api) ? stats_api[i][1] : "other");
	begin(f, "postern_api_requests_total", "counter", "Requests to the API server, each with all its tries, by what became of it.");
	for (size_t i = 0; i < STATS_APIS; i++)
		for (size_t c = 0; c < ARRAY_LEN(classes); c++)
			if (stats_get(&s->requests[i][c]))
				fprintf(f, "postern_api_requests_total{%s,code=\"%s\"} %llu\n", labels[i], classes[c],
					(unsigned long long)stats_get(&s->requests[i][c]));
	begin(f, "postern_api_seconds", "histogram", "How long requests to the API server took, with all their tries.");
	for (size_t i = 0; i < STATS_APIS; i++)
		write_time(f, "postern_api_seconds", labels[i], &s->time[i]);
	write_one(f, "postern_api_retries_total", "counter", "Tries that were not a request's first.", stats_get(&s->tries));
}

static void
write_roles(FILE *f, const struct promtext *t)
{
	begin(f, "postern_role_up", "gauge", "Is the role ready? 0 while the set is started.");
	for (unsigned i = 0; i < FACTS_ROLES; i++)
		if (channels_program(t->conf, i))
			fprintf(f, "postern_role_up{role=\"%s\"} %d\n", channels_program(t->conf, i), t->facts->role[i].pid > 0);
	write_one(f, "postern_set_restarts_total", "counter", "How often the roles were started anew because one died.",
		  t->facts->restarts);
}

void
promtext_write(FILE *f, const struct promtext *t)
{
	const struct stats_netpriv *s = t->netpriv;

	begin(f, "postern_build_info", "gauge", "Always 1; the version that runs.");
	fprintf(f, "postern_build_info{version=\"" POSTERN_VERSION "\"} 1\n");
	write_roles(f, t);
	write_requests(f, s);
	write_phases(f, s);
	write_delegates(f, s);
	write_one(f, "postern_queue_depth", "gauge", "CNI commands that wait for their turn.", stats_get(&s->queued));
	write_one(f, "postern_commands_running", "gauge", "CNI commands that a worker serves.", stats_get(&s->running));
	write_one(f, "postern_commands_lost_total", "counter", "CNI commands whose worker died or was given up.", stats_get(&s->lost));
	write_one(f, "postern_journal_entries", "gauge", "Attachments in the journal.", stats_get(&s->entries));
	write_one(f, "postern_owed_entries", "gauge", "Attachments that could not be undone yet.", stats_get(&s->owed));
	begin(f, "postern_leaks_found_total", "counter", "Attachments that nobody had undone, found at a start or by a GC.");
	fprintf(f, "postern_leaks_found_total{found=\"start\"} %llu\npostern_leaks_found_total{found=\"gc\"} %llu\n",
		(unsigned long long)stats_get(&s->leaks[0]), (unsigned long long)stats_get(&s->leaks[1]));
	if (!t->conf->store[0])
		write_api(f, t->kube);
	write_multus(f, s);
}
