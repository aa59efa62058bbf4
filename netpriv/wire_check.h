/* Field checks of the messages, one function a body: what wire_recv() calls before any handler sees a byte.
 * Runs in: every process.  Each returns true when every field is well formed. */
#ifndef NETPRIV_WIRE_CHECK_H
#define NETPRIV_WIRE_CHECK_H

#include <stdbool.h>

#include "netpriv/wire.h"

#define MSG(name, body, from, to, fds, states, once)                                               \
	bool wire_check_##body(const struct msg_##body *m);
#include "netpriv/wire.def"
#undef MSG

/* For those functions: a string that is well formed; one that may also be "". And a body that says nothing. */
#define FIELD(f) check_field((f), sizeof(f))
#define EMPTY_OR(f, check) (FIELD(f) && ((f)[0] == '\0' || check(f)))
#define NOTHING(body)                                                                              \
	bool wire_check_##body(const struct msg_##body *m) { return m->zero == 0; }

/* A target for verb: GC and STATUS name no container; the others name one, and an interface. */
bool wire_check_target(const struct wire_target *t, unsigned verb);

#endif
