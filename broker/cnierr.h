/* A CNI error on its way to the runtime. One line: what, where (network, file, field), what to do.
 * Runs in: worker, readers.  Never holds: stdin, a token, raw control characters (cnierr_set escapes them). */
#ifndef BROKER_CNIERR_H
#define BROKER_CNIERR_H

#include <stdint.h>

struct cnierr {
	uint32_t code; /* CNI_ERR_* of netpriv/role.h; 0 = none */
	char msg[640];
	char details[256];
};

/* Sets code and msg; text from outside goes in as an argument, never as fmt. Always returns -1, so that a caller can
 * "return cnierr_set(...)". The first error set stays: a later call on a set one does nothing. */
__attribute__((format(printf, 3, 4))) int cnierr_set(struct cnierr *e, uint32_t code, const char *fmt, ...);

/* Puts "fmt: " in front of msg, keeping the code. Always returns -1. */
__attribute__((format(printf, 2, 3))) int cnierr_prefix(struct cnierr *e, const char *fmt, ...);

/* The CNI error object as JSON text, indented by four spaces, no newline; malloc'd, caller frees. */
char *cnierr_json(const struct cnierr *e);

#endif
