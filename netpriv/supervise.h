/* The life of the set of roles: start, watch, restart with back-off, reload, stop.
 * Runs in: supervisor. */
#ifndef NETPRIV_SUPERVISE_H
#define NETPRIV_SUPERVISE_H

#include <stdint.h>

#include "netpriv/conf.h"

struct supervise {
	const char *config;  /* absolute or as given; read again on SIGHUP */
	const char *libexec; /* where the role binaries are */
	uint64_t caps;	     /* most that plugins may get beyond the base: our bounding set */
	struct conf conf;
};

/* Capabilities that the plugins of c may be given. */
uint64_t supervise_caps(const struct conf *c);

/* Serves until SIGTERM or SIGINT, both blocked as SIGHUP and SIGCHLD are. Returns the exit status:
 * 0 after a clean stop, 1 when the first set never got ready (logged). */
int supervise_run(struct supervise *s);

/* Tells the service manager, when there is one: "READY=1". */
void supervise_notify(const char *state);

#endif
