/* From a network's name to its configuration: NADs, files by path, files by name.
 * Runs in: worker. */
#ifndef BROKER_RESOLVE_H
#define BROKER_RESOLVE_H

#include "broker/delegate.h"

/* Loads the NAD ns/name into the zeroed d. 0 = done, 1 = there is none, -1 with e. */
int resolve_nad(const struct delegate_source *src, const char *ns, const char *name,
		struct delegate *d, struct cnierr *e);

/* Loads the cluster network when the runtime's configuration is generated: of conf->autoconf_dir the file named, or, when that is
 * "", the first that is eligible. 0, or -1 with e. */
int resolve_primary(const struct conf *conf, const struct delegate_source *src, const char *named, struct delegate *d,
		    struct cnierr *e);

/* Loads what a clusterNetwork or defaultNetworks entry names: a path (conf->networks[net]; then
 * name is that text), else a NAD of conf->multus_namespace, else a file of confDir whose "name" it
 * is. 0, or -1 with e. */
int resolve_network(const struct conf *conf, const struct delegate_source *src, unsigned net,
		    const char *name, struct delegate *d, struct cnierr *e);

#endif
