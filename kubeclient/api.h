/* Requests to the API server, each tried until it is answered for good or its time is over. Bodies are bytes.
 * Runs in: kube.  Trusts: nothing that the server sends.
 * Source: Kubernetes API conventions (status codes, Retry-After). */
#ifndef KUBECLIENT_API_H
#define KUBECLIENT_API_H

#include <stdbool.h>
#include <stdint.h>

#include "kubeclient/h2.h"
#include "kubeclient/serve.h"
#include "netpriv/stats.h"
#include "netpriv/wire.h"

#define API_PATH 1536
#define API_JSON "application/json"
/* Metadata is all that is needed of most objects. */
#define API_METADATA "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;q=0.5"
#define API_OBJECT_MAX (1u << 20) /* bytes; what a worker reads */

/* What one is made of; all strings but path and body are constants. */
struct api_request {
	const char *verb, *resource, *group; /* what RBAC must allow, for people; group "" = core */
	const char *method, *accept, *type;
	char path[API_PATH];
	char *body; /* malloc'd; taken by api_start() */
	size_t len;
	bool only_status; /* the answer's body is of no interest */
	bool await; /* 404 may be a matter of moments: try for API_AWAIT_MS */
	bool bootstrap; /* may go out with the bootstrap credentials */
	bool urgent; /* somebody waits: counts against the places of workers, not of events */
	int64_t deadline; /* util_now_ms() */
	/* code: as HTTP, 503 when the server could not be asked in time. text: what and where, one line. body: JSON, when there
	 * is any; NULL otherwise. */
	void (*done)(const struct api_request *q, unsigned code, const char *text, const char *body, size_t len);
	/* The owner's. */
	struct serve_ticket ticket;
	char ns[64], name[256];
	uint64_t mark;
};
#define API_AWAIT_MS 2500

/* Takes a copy of *q. -EBUSY when too many are under way (body is freed then, too). */
int api_start(const struct api_request *q);

/* From here on requests are counted there. */
void api_count(struct stats_kube *page);

/* Sends what is due; *due: when to come again. */
void api_step(void);
void api_due(int64_t *due);

#endif
