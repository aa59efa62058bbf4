/* What a selection asks of its network, put into the delegate: CNI_ARGS, capability
 * arguments, args.cni.
 * Runs in: worker. */
#ifndef BROKER_INJECT_H
#define BROKER_INJECT_H

#include "broker/delegate.h"
#include "broker/netsel.h"

/* Applies sel to d (loaded, d->master set). A request that no plugin of the chain can take is an
 * error, and a device when the pod may not choose it. 0, or -1 with e. */
int inject_selection(struct delegate *d, const struct netsel *sel, bool own_device, struct cnierr *e);

/* Gives d the device, which the pod did not choose itself. 0, or -1 with e. */
int inject_device(struct delegate *d, const char *device, struct cnierr *e);

/* Gives d the runtime's capability arguments: the master all of them; another network those that it declares and its selection
 * does not ask for itself, except ports of the host, addresses and devices. 0, or -1 with e. */
int inject_runtime(struct delegate *d, const json_t *runtime, struct cnierr *e);

#endif
