/* GC behind the wall: op_gc_valid() and op_gc_sweep() of the table, in a file of their own.
 * Runs in: netpriv. */
#ifndef NETPRIV_SWEEP_H
#define NETPRIV_SWEEP_H

#include "netpriv/attach.h"

/* Remembers one attachment that may stay. */
void sweep_valid(struct cmd *c, struct wire_msg *m);

/* Begins a DEL for every other one; attach_swept() answers when the last has ended. */
void sweep_begin(struct cmd *c, struct wire_msg *m);

#endif
