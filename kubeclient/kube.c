/* postern-kube: hands pods, network attachment definitions and statuses between workers and the embedded store, as bytes.
 * Each worker's channel was bound to one pod by the broker: the channel says which pod, never the worker.
 * Runs in: kube (uid B, no capability, no network, Landlock: the store and nothing else).  Trusts: no peer. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

#include "kubeclient/store.h"
#include "netpriv/conf.h"
#include "netpriv/log.h"
#include "netpriv/util.h"
#include "netpriv/wire.h"
#include "seccomp/sandbox.h"

/* Served attachments, and workers of commands that are ending while the next ones start. */
#define CHANNELS (64 + 32)

struct channel {
	struct wire w;
	struct msg_kube_bind pod;
};

static struct wire control = WIRE_INIT(FD_CONTROL, ROLE_KUBE, ROLE_SUPERVISOR);
static struct wire broker = WIRE_INIT(FD_KUBE_BROKER, ROLE_KUBE, ROLE_BROKER);
static struct channel channels[CHANNELS];
static unsigned n_channels, max_channels;
static bool have_store;

static int
serve_get_pod(const struct channel *c, struct msg_kube_reply *r)
{
	return store_read(FD_STORE_DIR, STORE_PODS, c->pod.pod_ns, c->pod.pod_name, r);
}

static int
serve_get_nad(const struct msg_kube_nad *m, struct msg_kube_reply *r)
{
	return store_read(FD_STORE_DIR, STORE_NADS, m->ns, m->name, r);
}

static void
serve_put_status(const struct channel *c, int memfd, struct msg_kube_reply *r)
{
	store_write(FD_STORE_STATUS, c->pod.pod_ns, c->pod.pod_name, memfd, r);
}

/* One request, one answer. 0, or -errno when the channel is over. */
static int
serve_channel(struct channel *c)
{
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };
	cleanup_close int memfd = -1;
	struct msg_kube_reply r = { .code = 503, .text = "no store configured and this version has no API server client" };
	int rc = wire_recv(&c->w, WS_ANY, &m);

	if (rc <= 0)
		return rc == 0 ? -ECONNRESET : rc == -EAGAIN ? 0 : rc;
	if (have_store) {
		switch (m.head.type) {
		case MSG_KUBE_POD:
			memfd = serve_get_pod(c, &r);
			break;
		case MSG_KUBE_NAD:
			memfd = serve_get_nad(&m.body.kube_nad, &r);
			break;
		case MSG_KUBE_STATUS:
			serve_put_status(c, m.fds[0], &r);
			break;
		default:
			return -EPROTO;
		}
	}
	log_debug("%s for %s/%s: %u %s", wire_name(m.head.type), c->pod.pod_ns, c->pod.pod_name, r.code, r.text);
	/* A worker that does not read its answers fills its own queue and loses its channel; nobody waits for it. */
	return wire_send(&c->w, MSG_KUBE_REPLY, m.head.serial, &r, &memfd, memfd >= 0);
}

static void
bind_channel(struct wire_msg *m)
{
	struct channel *c;

	if (n_channels == max_channels) {
		log_warn("more than %u workers at once: refusing one for %s/%s", max_channels, m->body.kube_bind.pod_ns,
			 m->body.kube_bind.pod_name);
		return;
	}
	if (fcntl(m->fds[0], F_SETFL, O_RDWR | O_NONBLOCK) < 0) {
		log_error("worker channel: %s", strerror(errno));
		return;
	}
	c = &channels[n_channels++];
	c->pod = m->body.kube_bind;
	c->w = WIRE_INIT(util_take_fd(&m->fds[0]), ROLE_KUBE, ROLE_WORKER);
}

static void
serve_broker(void)
{
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };
	int rc = wire_recv(&broker, WS_ANY, &m);

	if (rc == 1 && m.head.type == MSG_KUBE_BIND) {
		bind_channel(&m);
	} else if (rc != -EAGAIN) {
		/* The broker is ending or broken. Workers under way are still served; the supervisor says when to end. */
		if (rc != 0)
			log_error("broker's channel: %s", rc == 1 ? "unexpected message" : strerror(-rc));
		wire_close(&broker);
	}
}

/* Ends the process at STOP, or when the supervisor is gone. */
static void
serve_control(void)
{
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };
	int rc = wire_recv(&control, WS_ANY, &m);

	if (rc == 1 && m.head.type == MSG_STOP)
		exit(0);
	if (rc != -EAGAIN)
		log_fatal("supervisor's channel: %s", rc == 1 ? "unexpected message" : rc == 0 ? "closed" : strerror(-rc));
}

static void
serve(void)
{
	static struct pollfd p[2 + CHANNELS];

	for (;;) {
		unsigned polled = n_channels;

		p[0] = (struct pollfd){ .fd = control.fd, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = broker.fd, .events = POLLIN };
		for (unsigned i = 0; i < polled; i++)
			p[2 + i] = (struct pollfd){ .fd = channels[i].w.fd, .events = POLLIN };
		if (ppoll(p, 2 + polled, NULL, NULL) < 0) {
			if (errno == EINTR)
				continue;
			log_fatal("ppoll: %s", strerror(errno));
		}
		if (p[0].revents)
			serve_control();
		/* From the end, so that the last channel can move into the place of one that closes. */
		for (unsigned i = polled; i-- > 0;) {
			int rc = p[2 + i].revents ? serve_channel(&channels[i]) : 0;

			if (rc < 0) {
				if (rc != -ECONNRESET && rc != -EPIPE)
					log_warn("worker for %s/%s: %s: its channel is closed", channels[i].pod.pod_ns,
						 channels[i].pod.pod_name, strerror(-rc));
				wire_close(&channels[i].w);
				channels[i] = channels[--n_channels];
			}
		}
		if (p[1].revents)
			serve_broker();
	}
}

int
main(void)
{
	struct sandbox_facts facts;
	const struct conf *conf;

	sandbox_close_fds(FD_STORE_STATUS + 1);
	log_init("kube", LOG_INFO);
	conf = conf_map(FD_CONF);
	log_init("kube", conf->log_level);
	have_store = conf->store[0] != '\0';
	max_channels = conf->attachments + 32 < CHANNELS ? conf->attachments + 32 : CHANNELS;

	struct sandbox s = {
		.role = ROLE_KUBE,
		.mode = conf->sandbox,
		.uid = conf->kube_uid,
		.gid = conf->kube_gid,
		/* One message's surplus and the file in hand come on top of the channels. */
		.max_fd = FD_STORE_STATUS + 1 + max_channels + WIRE_MAX_FDS + 8,
	};
	if (have_store) {
		s.paths[s.n_paths++] = (struct sandbox_path){ FD_STORE_DIR, SANDBOX_READ };
		s.paths[s.n_paths++] = (struct sandbox_path){ FD_STORE_STATUS, SANDBOX_READ | SANDBOX_WRITE };
	}
	sandbox_enter(&s, &facts);

	sandbox_report(&control, &facts);
	serve();
}
