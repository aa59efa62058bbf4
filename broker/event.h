/* Events about the pod, kept until its command has been answered: nobody waits for them.
 * Runs in: worker.  Source: NPWG pods' events as their readers know them. */
#ifndef BROKER_EVENT_H
#define BROKER_EVENT_H

#include "broker/delegate.h"

/* The network is up: "Add net1 [10.1.2.3/24] from default/storage". Nothing when its result names neither interface nor address. */
void event_added(const struct delegate *d);

/* The pod asks for a network that there is none of. */
void event_missing(const char *ns, const char *name);

/* Hands them to kube. pod_uid: of the pod as it was read, "" when it was not. */
void event_send(const char *pod_uid);

#endif
