/* Pages of counters: each is written by one role and read by metrics, whose descriptor of it is read-only. The supervisor makes them once,
 * so that they go on when the set is restarted. A writer that lies, lies in its own page.
 * Runs in: netpriv, kube (write), metrics (reads).  Trusts: nothing here decides anything. */
#ifndef NETPRIV_STATS_H
#define NETPRIV_STATS_H

#include <stdint.h>
#include <sys/mman.h>

#include "netpriv/log.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

/* Upper edges of the buckets in microseconds; a last bucket holds what is longer. */
static const uint32_t stats_edges[] = { 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
					30000000, 60000000 };
#define STATS_EDGES ARRAY_LEN(stats_edges)

struct stats_time {
	uint64_t sum; /* microseconds */
	uint64_t bucket[STATS_EDGES + 1]; /* each for itself, not added up */
};

/* The CNI codes that are told apart; the place behind them is for all others. */
static const uint32_t stats_codes[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 50, 51, 100, 999 };
#define STATS_CODES (ARRAY_LEN(stats_codes) + 1)

enum stats_origin { STATS_RUNTIME, STATS_HOTPLUG, STATS_INTERNAL, STATS_ORIGINS };
enum stats_phase { STATS_QUEUE, STATS_PREPARE, STATS_DELEGATES, STATS_FINISH, STATS_TOTAL, STATS_PHASES };
enum stats_end { STATS_OK, STATS_FAILED, STATS_SIGNAL, STATS_TIMEOUT, STATS_NOT_STARTED, STATS_ENDS };

struct stats_netpriv {
	uint64_t requests[CNI_VERB_COUNT][STATS_CODES][STATS_ORIGINS];
	struct stats_time phases[CNI_VERB_COUNT][STATS_PHASES];
	uint64_t runs[CNI_VERB_COUNT][STATS_ENDS];
	struct stats_time run_time[CNI_VERB_COUNT];
	uint64_t lost;	   /* commands whose worker died or was given up */
	uint64_t leaks[2]; /* entries to undo that were found at a start; by a GC */
	uint64_t queued, running, entries, owed; /* now */
};

/* What kube asks for, verb and resource; the place behind them is for all others. */
#define STATS_API(ROW)                                                                                                 \
	ROW("get", "pods") ROW("patch", "pods/status") ROW("get", "network-attachment-definitions") ROW("create", "events")             \
	ROW("create", "certificatesigningrequests") ROW("get", "certificatesigningrequests") ROW("get", "resourceclaims")               \
	ROW("list", "resourceslices")
#define STATS_ROW(verb, resource) { verb, resource },
static const char *const stats_api[][2] = { STATS_API(STATS_ROW) };
#undef STATS_ROW
#define STATS_APIS (ARRAY_LEN(stats_api) + 1)

struct stats_kube {
	uint64_t requests[STATS_APIS][6]; /* by the hundreds of the last answer's status; 0: there was none */
	uint64_t tries; /* again, after a fault that may pass */
	struct stats_time time[STATS_APIS];
};

static inline void
stats_add(uint64_t *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

static inline void
stats_set(uint64_t *n, uint64_t v)
{
	__atomic_store_n(n, v, __ATOMIC_RELAXED);
}

static inline uint64_t
stats_get(const uint64_t *n)
{
	return __atomic_load_n(n, __ATOMIC_RELAXED);
}

/* An edge belongs to the bucket below it. */
static inline void
stats_observe(struct stats_time *t, uint64_t ns)
{
	uint64_t us = ns / 1000 + (ns % 1000 != 0);
	size_t i = 0;

	while (i < STATS_EDGES && us > stats_edges[i])
		i++;
	stats_add(&t->bucket[i]);
	__atomic_fetch_add(&t->sum, us, __ATOMIC_RELAXED);
}

/* Maps a page for the life of the process and closes its descriptor; ends the process when that cannot be done. */
static inline void *
stats_map(int fd, size_t size, int prot)
{
	void *page = mmap(NULL, size, prot, MAP_SHARED, fd, 0);

	if (page == MAP_FAILED)
		log_fatal("counters: %s", strerror(errno));
	close(fd);
	return page;
}

#endif
