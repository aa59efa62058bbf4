/* The counters as Prometheus' text format, version 0.0.4.
 * Runs in: metrics. */
#ifndef BROKER_PROMTEXT_H
#define BROKER_PROMTEXT_H

#include <stdio.h>

#include "netpriv/conf.h"
#include "netpriv/facts.h"
#include "netpriv/stats.h"

#define PROMTEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* What there is to tell: all of it is written by others meanwhile. */
struct promtext {
	const struct conf *conf;
	const struct facts *facts;
	const struct stats_netpriv *netpriv;
	const struct stats_kube *kube;
};

void promtext_write(FILE *f, const struct promtext *t);

#endif
