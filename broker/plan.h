/* The journal's blob: a delegate list as JSON bytes, exactly what DEL and CHECK need to replay ADD.
 * Runs in: worker (writes and reads it); netpriv keeps the bytes and never looks inside. */
#ifndef BROKER_PLAN_H
#define BROKER_PLAN_H

#include "broker/delegate.h"

#define PLAN_FORMAT 1

/* malloc'd text of l for pod target; results included when they are set. NULL when out of memory. */
char *plan_text(const struct delegate_list *l, const struct wire_target *target);

/* The same, tried: what could not be read back could not be undone. NULL with e. */
char *plan_make(const struct delegate_list *l, const struct wire_target *target, struct cnierr *e);

/* Reads it back, re-checking every field as if hostile. 0, or -1 with e set and l cleared. */
int plan_read(const char *text, size_t len, struct delegate_list *l, struct cnierr *e);

/* One network of it; d zeroed. */
json_t *plan_network(const struct delegate *d);
int plan_read_network(const json_t *j, struct delegate *d, struct cnierr *e);

#endif
