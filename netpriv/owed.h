/* Attachments whose undoing did not finish: tried again with back-off, 1 s doubling to an hour, until it does.
 * Runs in: netpriv. The list is in memory; the journal's mark outlives the process. */
#ifndef NETPRIV_OWED_H
#define NETPRIV_OWED_H

#include <stdbool.h>
#include <stdint.h>

#include "netpriv/wire.h"

extern unsigned owed_entries; /* how many there are */

bool owed_known(const struct wire_target *t);

/* Adds it, or puts its next try further off. */
void owed_add(const struct wire_target *t);
void owed_remove(const struct wire_target *t);

/* Begins the tries that are due at now (util_now_ms()). Returns when the next one is, INT64_MAX = never. */
int64_t owed_tick(int64_t now);

#endif
