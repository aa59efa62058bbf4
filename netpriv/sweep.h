/* GC behind the wall: op_gc_valid() and op_gc_sweep() of the table, in a file of their own; and what goes with a pod.
 * Runs in: netpriv. */
#ifndef NETPRIV_SWEEP_H
#define NETPRIV_SWEEP_H

#include "netpriv/attach.h"

/* It is the turn of c. A pod's DEL first has undone what was attached to the pod while it ran; at the hot-plug door, the pod must still
 * be there. False: not yet, or refused. */
bool sweep_plugged(struct cmd *c);

/* Remembers one attachment that may stay. */
void sweep_valid(struct cmd *c, struct wire_msg *m);

/* Begins a DEL for every other one; attach_swept() answers when the last has ended. */
void sweep_begin(struct cmd *c, struct wire_msg *m);

#endif
