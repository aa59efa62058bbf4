/* The front door: where shims come in.
 * Runs in: netpriv. */
#ifndef NETPRIV_DOOR_H
#define NETPRIV_DOOR_H

#include <stdbool.h>

#include "netpriv/attach.h"

/* Room for another connection that has not said yet what it wants? */
bool door_open(void);

/* Accepts one connection of the listening socket; root's only. */
void door_accept(int listener);

/* The shim of c sent something: its ATTACH, or what it may not. */
void door_read(struct cmd *c);

#endif
