/* CNI results: reading what a plugin printed, converting between versions, network-status.
 * Runs in: worker.  Source: CNI spec 0.1.0-1.1.0 section 5, NPWG 1.3 section 5. */
#ifndef BROKER_RESULT_H
#define BROKER_RESULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/cnierr.h"
#include "broker/delegate.h"

/* The supported versions, oldest first, NULL-terminated. */
extern const char *const result_versions[];
bool result_version_supported(const char *version);
/* Compares dotted versions as libcni does ("" = 0.1.0): <0, 0, >0. */
int result_version_cmp(const char *a, const char *b);

/* Parses a plugin's stdout as the result of an ADD with configuration version (""=0.1.0): typed checks of every known member,
 * cniVersion filled in when absent, unsupported version refused. what names network and plugin. New reference or NULL with e. */
json_t *result_read(const char *text, size_t len, const char *version, const char *what, struct cnierr *e);

/* The same for JSON that is already parsed (the journal). The new object has the known members only, each in one spelling and
 * in the order in which the version's result type declares them. */
json_t *result_check(const json_t *j, const char *version, const char *what, struct cnierr *e);

/* Result types: 0 = 0.1.0 and 0.2.0, 1 = 0.3.x and 0.4.0, 2 = 1.x. */
int result_family(const char *version);

/* Converts a result (from the functions above) to version. Never drops an address silently: -> 0.1.0/0.2.0 keeps the first of each family, as the spec
 * conversion does, and fails with none. New reference or NULL with e. */
json_t *result_convert(const json_t *result, const char *version, struct cnierr *e);

/* Replaces sandbox strings equal to from by to, in place (OFFER_ALIAS). */
void result_sandbox(json_t *result, const char *from, const char *to);

/* Text for the runtime: indented by four spaces, no trailing newline; malloc'd. */
char *result_text(const json_t *result);

/* The value of k8s.v1.cni.cncf.io/network-status for the delegates' results, byte for byte in the shape that tools parse
 * (elements indented by four spaces, joined by ","); malloc'd; NULL with e on failure. "[]" never: NULL text and code 0 when
 * there is no element. */
char *status_text(const struct delegate_list *l, struct cnierr *e);

#endif
