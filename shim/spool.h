/* Leaves a DEL on disk for the service to do later.
 * Runs in: shim. */
#ifndef SHIM_SPOOL_H
#define SHIM_SPOOL_H

#include <stddef.h>

#include "netpriv/wire.h"

struct spool_entry {
	int dir;	/* the spool directory, or -1; owned */
	char name[256]; /* file in it */
};

/* Writes attach and its configuration (len bytes) as a new file into <socket_dir>/spool, on disk
 * when it returns. Makes socket_dir and spool (0700) when absent. On failure -errno and one line in
 * why, and nothing stays behind. */
int spool_put(const char *socket_dir, const struct msg_attach *attach, const void *config,
	      size_t len, struct spool_entry *entry, char *why, size_t size);

/* Removes the file again: the service did the DEL after all. */
void spool_forget(struct spool_entry *entry);

#endif
