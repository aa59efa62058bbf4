/* NetworkAttachmentDefinitions, fetched once and kept as bytes while the server says that they have not changed.
 * Each has a watch of its own, by name and of metadata only: after its first line, which describes the present state, any
 * further byte means a change. So nothing of it is parsed. What was fetched after that first line and before any change is kept;
 * without a watch nothing is.
 * Runs in: kube.  Trusts: nothing that the server sends.
 * Source: Kubernetes API concepts, "Efficient detection of changes" and field selectors. */
#ifndef KUBECLIENT_NADS_H
#define KUBECLIENT_NADS_H

#include "kubeclient/api.h"
#include "netpriv/conf.h"

#define NADS_BYTES (3u << 20) /* of all that is kept */

void nads_init(const struct conf *conf);

/* Answers the ticket with the object: at once when it is kept and need not be fresh, else when the server has. */
void nads_get(const struct serve_ticket *t, const char *ns, const char *name, bool fresh);

/* The connection that the watches run on is being left. */
void nads_unwatch(void);

#endif
