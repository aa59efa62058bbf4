/* What Multus kept of a pod that it attached, read as if the journal had kept it.
 * Runs in: worker. */
#ifndef BROKER_TAKEOVER_H
#define BROKER_TAKEOVER_H

#include "broker/delegate.h"

/* The networks of target's container, for DEL or CHECK, into the zeroed l. nc: the command's own configuration, zeroed when that
 * cannot be read. Only what cannot be used is left out, and logged. 1 = l has at least one; 0 = Multus kept nothing of it;
 * -1 with e, which names the file: it did, but nothing of that can be used; l is then empty. */
int takeover_load(const struct conf *conf, const struct wire_target *target, const struct netconf *nc, struct delegate_list *l,
		  struct cnierr *e);

#endif
