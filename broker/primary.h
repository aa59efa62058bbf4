/* The primary CNI configuration, which is the cluster network's, and what the runtime gets to read in its place.
 * Runs in: worker; autoconf's children; reader. */
#ifndef BROKER_PRIMARY_H
#define BROKER_PRIMARY_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/cnierr.h"
#include "netpriv/conf.h"

/* The keys of a generated configuration, in order; NULL behind the last. */
extern const char *const primary_keys[];

/* A file that Postern or Multus generates can never be the primary one: it would name itself. */
bool primary_reserved(const struct conf *c, const char *file);
/* May the file be taken when none is named. */
bool primary_eligible(const struct conf *c, const char *file);

/* Checks text, the content of file in c->autoconf_dir, and makes of it and c->autoconf_base what the runtime reads: *out, malloc'd.
 * Without a base text is meant as it is: then *out is NULL. 0, or -1 with e. */
int primary_generate(const struct conf *c, const char *file, const char *text, size_t len, char **out, struct cnierr *e);

#endif
