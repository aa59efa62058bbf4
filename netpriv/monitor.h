/* What the supervisor makes for metrics, once, and keeps over every restart of the set: the listening socket, so that scrapers queue in its
 * backlog, and the pages of counters (stats.h).
 * Runs in: supervisor.  A function that fails writes one line into why and leaves nothing open. */
#ifndef NETPRIV_MONITOR_H
#define NETPRIV_MONITOR_H

#include <stdbool.h>
#include <stddef.h>

#include "netpriv/channels.h"

#define MONITOR_BACKLOG 128 /* connections that wait: each may have to be sat out */

struct monitor {
	int netpriv, kube; /* pages, for those who count */
	int netpriv_ro, kube_ro, facts_ro; /* for metrics */
	struct channels_door door; /* no socket: not configured */
};

/* Makes the pages. facts: what the supervisor publishes. 0 or -errno. */
int monitor_make(struct monitor *m, int facts);

/* Listens where c says, if it does, until channels_shut(). */
int monitor_open(const struct conf *c, struct monitor *m, char *why, size_t size);

/* Do both want the same place? */
bool monitor_same(const struct conf *a, const struct conf *b);

#endif
