/* Network configuration files of the node, handed to workers as sealed memfds. Places come from struct conf alone.
 * Runs in: netpriv. The bytes are not looked at. */
#ifndef NETPRIV_CONFDIR_H
#define NETPRIV_CONFDIR_H

#include "netpriv/conf.h"
#include "netpriv/wire.h"

/* Adds to paths the directories that confdir_get() will read, opened O_PATH, for Landlock; at most max. Returns how many.
 * A place that is not there is left out, and logged. The descriptors are the caller's to close. */
unsigned confdir_open_places(const struct conf *c, int *fds, unsigned max);

/* Answers a CONF_GET: reply is filled in; a sealed memfd (the caller's) or -1. */
int confdir_get(const struct conf *c, const struct msg_conf_get *want, struct msg_conf *reply);

/* Answers a CACHE_GET about container: like confdir_get(). */
int confdir_cache(const struct conf *c, const char *container, const struct msg_cache_get *want, struct msg_conf *reply);

/* Removes what Multus kept of a container that is gone now. */
void confdir_forget(const struct conf *c, const char *container);

#endif
