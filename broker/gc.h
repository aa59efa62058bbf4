/* GC (gc.c).
 * Runs in: worker. */
#ifndef BROKER_GC_H
#define BROKER_GC_H

#include "broker/verbs.h"

void gc_run(const struct conf *conf, const struct msg_offer *offer, const struct netconf *nc, struct verdict *v);

#endif
