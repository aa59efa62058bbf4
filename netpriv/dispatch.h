/* The operations behind the wall: what a worker's channel can make netpriv do.
 * Runs in: netpriv. */
#ifndef NETPRIV_DISPATCH_H
#define NETPRIV_DISPATCH_H

#include "netpriv/attach.h"

/* One message from the worker of c; a broken channel loses it. */
void dispatch_worker(struct cmd *c);

#endif
