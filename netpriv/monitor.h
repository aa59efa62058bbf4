/* What the supervisor makes for metrics, once, and keeps over every restart of the set: the listening socket, so that scrapers queue in its
 * backlog, and the pages of counters (stats.h).
 * Runs in: supervisor.  A function that fails writes one line into why and leaves nothing open. */
#ifndef NETPRIV_MONITOR_H
#define NETPRIV_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "netpriv/conf.h"

struct monitor {
	int netpriv, kube; /* pages, for those who count */
	int netpriv_ro, kube_ro, facts_ro; /* for metrics */
	int socket; /* -1: not configured */
	int dir;    /* of a unix socket, -1: it has none */
	const char *name; /* there; points into the configuration that was opened */
	dev_t dev;
	ino_t ino;
};

/* Makes the pages. facts: what the supervisor publishes. 0 or -errno. */
int monitor_make(struct monitor *m, int facts);

/* Listens where c says, if it does. A unix socket is root's, mode 0600; a stale one is replaced. c stays valid until monitor_shut(). */
int monitor_open(const struct conf *c, struct monitor *m, char *why, size_t size);
/* Stops listening and unlinks the socket's file if it is still ours. */
void monitor_shut(struct monitor *m);

/* Do both want the same place? */
bool monitor_same(const struct conf *a, const struct conf *b);

#endif
