/* One CNI command from its offer to its verdict.
 * Runs in: worker. */
#ifndef BROKER_VERBS_H
#define BROKER_VERBS_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/cnierr.h"
#include "broker/delegate.h"
#include "netpriv/conf.h"
#include "netpriv/wire.h"

struct verdict {
	struct cnierr e;      /* code 0: success */
	bool clean;           /* nothing that the journal names is left */
	char *text;           /* what the shim prints on success, or NULL; owned */
	char *results;        /* ADD: what the journal is to hold from now on, or NULL; owned */
	char note[WIRE_TEXT]; /* for netpriv's log, on success */
	char pod_uid[64];     /* ADD: of the pod as it was read */
};

/* Runs the command; ends with exactly one priv_verdict(). */
void verbs_run(const struct conf *conf, const struct msg_offer *offer, const char *config, size_t len);

/* Where delegates_build() gets its texts in a worker. */
extern const struct delegate_source verbs_source;

/* 0 when the readiness indicator file is there, or none is configured; else waits for it, when wait, then -1 with e. */
int verbs_ready(const struct conf *conf, bool wait, struct cnierr *e);

/* Journals l before anything of it is run. ADD: only if none of its interfaces is in the pod; *there says which are. 0, or -1 with e. */
int verbs_plan(const struct delegate_list *l, const struct wire_target *target, uint64_t *there, struct cnierr *e);

/* Runs DEL for networks [0, n) of l, last one first, past errors; note gets the first one. True when all succeeded. */
bool verbs_undo(const struct conf *conf, struct delegate_list *l, size_t n, const struct msg_offer *offer, char note[WIRE_TEXT]);

/* ADD (add.c). */
void add_run(const struct conf *conf, const struct msg_offer *offer, const struct netconf *nc, struct verdict *v);

/* Takes a hot-plugged network that is being detached off the pod's network-status; failures are logged. */
void add_unplugged(const struct conf *conf, const struct msg_offer *offer);

#endif
