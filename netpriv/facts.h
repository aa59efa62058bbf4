/* What the supervisor publishes for posternctl and metrics: a memfd named "postern-roles" that it keeps open and rewrites when the set
 * is ready. Only root can open it, through /proc/<supervisor>/fd; metrics is given a read-only
 * descriptor. Nothing is left on disk.
 * Runs in: supervisor (writes), posternctl, metrics (read). */
#ifndef NETPRIV_FACTS_H
#define NETPRIV_FACTS_H

#include <stdint.h>

#include "netpriv/conf.h"
#include "netpriv/wire.h"

#define FACTS_MAGIC 0x50464354u /* "PFCT" */
#define FACTS_NAME "postern-roles"
#define FACTS_ROLES 8 /* netpriv, exec, broker, kube or the store, dial, devices, autoconf, metrics */

struct facts_role {
	int32_t pid;
	uint32_t zero;
	struct msg_ready ready; /* .role says which */
};

struct facts {
	uint32_t magic, size;
	uint32_t restarts; /* of the whole set, since the supervisor started */
	uint32_t sandbox;  /* enum conf_sandbox in force */
	uint32_t uids[3];  /* broker, kube, reader */
	uint32_t stopping; /* 1: commands in flight finish, and then it ends */
	struct facts_role role[FACTS_ROLES]; /* pid 0 while it is down, or not there in this configuration */
	char config[CONF_PATH];              /* path of the configuration file */
};

#endif
