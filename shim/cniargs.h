/* CNI_ARGS: "K=V;K=V" into the fixed target.
 * Runs in: shim.  Trusts: nothing; every value is checked before it is kept. */
#ifndef SHIM_CNIARGS_H
#define SHIM_CNIARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "netpriv/wire.h"

/* Fills t's pod_ns, pod_name, pod_uid and infra_id from text (NULL and "" are fine). A pair needs
 * exactly one '=', a key must be one that Kubernetes runtimes send unless IgnoreUnknown=1 or =true
 * is among the pairs; the last of equal keys wins. lenient (DEL): what is wrong is skipped and 0 is
 * returned. Otherwise -EINVAL and one line in why. */
int cniargs_parse(const char *text, bool lenient, struct wire_target *t, char *why, size_t size);

#endif
