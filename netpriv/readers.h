/* The one-shot readers: a fresh process without privilege parses, a fixed struct comes back.
 * Runs in: supervisor. */
#ifndef NETPRIV_READERS_H
#define NETPRIV_READERS_H

#include <stddef.h>

#include "netpriv/conf.h"

/* Reads the node configuration at path through <libexec>/postern-readconf and checks it; both must
 * be root's alone. 0, or -errno and one line in why that names what is wrong and where. Warnings
 * are in c, not printed. */
int readers_conf(const char *libexec, const char *path, struct conf *c, char *why, size_t size);

#endif
