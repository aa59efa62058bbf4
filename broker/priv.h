/* The worker's side of the wall: priv_x() asks, op_x() in netpriv/dispatch.c does it. And kube_x(), which serve_x() answers.
 * All block until answered. A broken channel ends the process: the worker has nothing left to do.
 * Runs in: worker. */
#ifndef BROKER_PRIV_H
#define BROKER_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/cnierr.h"
#include "broker/delegate.h"
#include "netpriv/wire.h"

/* Channels of this worker, set once. kube_fd -1: a command that asks kube for nothing (DEL, CHECK); devices_fd -1: nobody is there. */
void priv_init(int attachment_fd, int kube_fd, int devices_fd);
void ask_init(int kube_fd); /* ask.c's third of it */
void kubelet_init(int devices_fd); /* kubelet.c's */

/* A copy of the memfd in m->fds[0] on the heap, NUL-terminated; what is for messages. 0, or -1 with e. */
int priv_copy_memfd(const struct wire_msg *m, const char *what, char **text, size_t *len, struct cnierr *e);

/* The journal's entry: *text malloc'd (caller frees), *kind STATE_*. 0, or -1 with e. */
int priv_state_get(unsigned *kind, char **text, size_t *len, struct cnierr *e);

/* The journal's entries in order, of this container or, for GC, of all: *at is where the last one was (zeroed: from the start). 1 = *at and
 * *text are of the next one, 0 = no more, -1 with e. */
int priv_state_next(struct msg_state *at, char **text, size_t *len, struct cnierr *e);

/* A configuration file: 1 = got it (*text malloc'd, name 256 bytes), 0 = no more, -1 with e. */
int priv_conf_get(unsigned net, const char *sub, unsigned index, char **text, size_t *len, char *name,
		  struct cnierr *e);

/* Is conf.ready_file there? */
bool priv_ready(void);

/* What Multus kept of this command's container: its scratch file (net ""), or the result of one network. 1 = got it (*text malloc'd), 0 = not
 * there, -1 with e. */
int priv_cache_get(const char *net, const char *ifname, char **text, size_t *len, struct cnierr *e);

/* *there: bit i is set when ifname[i] (n of them, at most WIRE_LINKS) is in the pod. 0, or -1 with e. */
int priv_link_get(const char *const *ifname, size_t n, uint64_t *there, struct cnierr *e);
/* The same of the interfaces of a plan, which is journalled when none is there. */
int priv_state_plan(const char *text, size_t len, const char *const *ifname, size_t n, uint64_t *there, struct cnierr *e);

/* What a delegate did. out, err: malloc'd, capped, NUL-terminated. */
struct priv_run {
	struct msg_delegate_done done;
	char *out, *err;
	size_t out_len, err_len;
	bool overflow; /* stdout was longer than the cap */
};
#define PRIV_OUT_MAX (1u << 20)
#define PRIV_ERR_MAX (16u << 10)

/* Runs one plugin with stdin_text; drains stdout and stderr while waiting. 0 (see run->done), or -1 with e. Caller frees out, err. */
int priv_delegate_run(const struct msg_delegate_run *run, const char *stdin_text, size_t len, struct priv_run *out,
		      struct cnierr *e);

/* gateway: textual address. 0, or -1 with e. */
int priv_route_default(const char *ifname, const char *gateway, struct cnierr *e);

/* Not answered: the wall only notes it. */
int priv_gc_valid(const char *container_id, const char *ifname, struct cnierr *e);
/* Number of attachments that could not be undone, or -1 with e. */
int priv_gc_sweep(struct cnierr *e);

/* The last message of a command. text: what the shim prints (NULL = nothing). results: what the journal keeps of an ADD from
 * now on, or NULL; only with text. */
void priv_verdict(uint32_t code, bool clean, const char *text, const char *results, const char *log_text);

/* New JSON value, or NULL: e->code 0 = not found (where, 512 bytes, says what was looked for), else e. */
json_t *kube_get_pod(bool full, char *where, struct cnierr *e);
json_t *kube_get_claim(const char *name, char *where, struct cnierr *e);
/* A page of a driver's ResourceSlices, at most so many: of a node, or, when that is "", of no single one. */
json_t *kube_get_slices(const char *driver, const char *node, const char *more, unsigned limit, char *where, struct cnierr *e);
/* fresh: from the server, whatever kube has kept. */
json_t *kube_get_nad(const char *ns, const char *name, bool fresh, char *where, struct cnierr *e);
/* What the kubelet's device plugins have given to the pod of that resource, sorted, none twice. New array or NULL with e. */
json_t *kubelet_devices(const char *resource, const char *pod_uid, struct cnierr *e);
/* The device-information file of the network; op DEVINFO_*. 1 = done (*text malloc'd when read), 0 = there is none, -1 with e. */
int kubelet_devinfo(unsigned op, const struct delegate *d, char **text, size_t *len, struct cnierr *e);
/* Writes the network-status annotation's value, on the pod with that uid ("": whichever has its name). 0, or -1 with e. */
int kube_put_status(const char *pod_uid, const char *text, struct cnierr *e);
/* Does the API (or the store) answer? 0, or -1 with e. */
int kube_ping(struct cnierr *e);
/* Not answered; one that cannot be told is dropped. */
void kube_tell_event(const struct msg_kube_event *event);

#endif
