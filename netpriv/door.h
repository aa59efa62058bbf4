/* The front door: where shims come in.
 * Runs in: netpriv. */
#ifndef NETPRIV_DOOR_H
#define NETPRIV_DOOR_H

#include <stdbool.h>

#include "netpriv/attach.h"

/* Room at that door (CMD_SHIM, CMD_PLUG) for another connection that has not said yet what it wants? */
bool door_open(enum cmd_origin origin);

/* Accepts one connection of a listening socket: of root, or, at the hot-plug door, of the user that the configuration names. */
void door_accept(int listener, enum cmd_origin origin);

/* The shim of c sent something: its ATTACH, or what it may not. */
void door_read(struct cmd *c);

#endif
