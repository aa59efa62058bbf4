/* What kube sends, composed from checked fields: whoever asked for it chooses values, never structure.
 * Runs in: kube.  Each returns malloc'd JSON text, or NULL when a value is not valid UTF-8. */
#ifndef KUBECLIENT_BODY_H
#define KUBECLIENT_BODY_H

#include <stddef.h>

#include "netpriv/wire.h"

/* Before the sandbox: jansson asks for a seed. */
void body_init(void);

/* A merge patch (RFC 7386) that sets the network-status annotation, of that pod and no other by its name. */
char *body_status(const char *pod_uid, const char *status, size_t len);

/* A core/v1 Event about the pod; name (256 bytes) gets the event's own. */
char *body_event(const struct msg_kube_bind *pod, const struct msg_kube_event *e, const char *node, char *name);

#endif
