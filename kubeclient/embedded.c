/* postern-store: the embedded store in kube's place. Hands pods, network attachment definitions and statuses between workers and a
 * directory of manifests, as bytes. Each worker's channel was bound to one pod by the broker: the channel says which pod, never the
 * worker.
 * Runs in: store (uid B, no capability, no network, Landlock: the store and nothing else).  Trusts: no peer. */
#include <stdio.h>

#include "kubeclient/serve.h"
#include "kubeclient/store.h"
#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

static struct wire control = WIRE_INIT(FD_CONTROL, ROLE_KUBE, ROLE_SUPERVISOR);

static void
serve_request(const struct serve_ticket *t, const struct msg_devices_bind *who, struct wire_msg *m)
{
	const struct msg_kube_bind *pod = &who->pod;
	struct msg_kube_reply r = { 0 };
	cleanup_close int memfd = -1;

	switch (m->head.type) {
	case MSG_KUBE_POD:
		memfd = store_read(FD_STORE_DIR, STORE_PODS, pod->pod_ns, pod->pod_name, &r);
		break;
	case MSG_KUBE_NAD:
		memfd = store_read(FD_STORE_DIR, STORE_NADS, m->body.kube_nad.ns, m->body.kube_nad.name, &r);
		break;
	case MSG_KUBE_PING:
		store_ping(FD_STORE_DIR, &r);
		break;
	case MSG_KUBE_STATUS:
		store_write(FD_STORE_STATUS, pod->pod_ns, pod->pod_name, m->fds[0], &r);
		break;
	case MSG_KUBE_EVENT: /* a directory has nobody to tell of events */
		return;
	default: /* nor resources that drivers publish */
		r.code = 404;
	}
	serve_answer(t, &r, memfd);
}

int
main(void)
{
	static const struct serve_backend backend = { .self = ROLE_KUBE, .request = serve_request };
	struct sandbox_facts facts;
	const struct conf *conf;

	sandbox_close_fds(FD_STORE_STATUS + 1);
	log_init("store", LOG_INFO);
	conf = conf_map(FD_CONF);
	log_init("store", (enum log_level)conf->log_level);

	const struct sandbox s = {
		.role = ROLE_STORE,
		.mode = (enum conf_sandbox)conf->sandbox,
		.uid = conf->kube_uid,
		.gid = conf->kube_gid,
		/* One message's surplus and the file in hand come on top of the channels. */
		.max_fd = FD_STORE_STATUS + 1 + serve_channels(conf) + WIRE_MAX_FDS + 8,
		.paths = { { FD_STORE_DIR, SANDBOX_READ }, { FD_STORE_STATUS, SANDBOX_READ | SANDBOX_WRITE } },
		.n_paths = 2,
	};

	sandbox_enter(&s, &facts);
	sandbox_report(&control, &facts);
	serve_run(conf, &control, &backend);
}
