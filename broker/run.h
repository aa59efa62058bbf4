/* One network's plugins for one verb, as CNI 1.1.0 section 3 says: ADD, CHECK, GC and STATUS forwards, DEL backwards.
 * Runs in: worker. */
#ifndef BROKER_RUN_H
#define BROKER_RUN_H

#include <jansson.h>

#include "broker/cnierr.h"
#include "broker/delegate.h"
#include "netpriv/wire.h"

/* Runs network d for verb, which need not be offer->verb (rollback). valid: GC's valid attachments, an array or NULL for none.
 *
 * ADD sets d->result (in d's version; no cniVersion counts as 0.1.0, which is also what its plugins then get). It stops at
 * the first failure, drops from d->plugins those that never ran, and undoes nothing: that is the caller's. DEL stops at the first failure; CHECK below version 0.4.0 or
 * with disableCheck, GC below 1.1.0 or with disableGC and STATUS below 1.1.0 run nothing. GC goes on over failures.
 *
 * 0, or -1 with e: a plugin's own error code is kept; the text names network, interface and plugin. */
int run_network(struct delegate *d, enum cni_verb verb, const struct msg_offer *offer, const json_t *valid,
		struct cnierr *e);

#endif
