/* The loop of kube, of the embedded store and of devices.
 * Runs in: kube, store, devices.  Trusts: no peer. */
#include "kubeclient/serve.h"

#include <fcntl.h>
#include <stdio.h>

#include "netpriv/log.h"
#include "netpriv/util.h"

struct channel {
	struct wire w; /* fd -1: free */
	struct msg_devices_bind who;
	uint64_t epoch; /* no two users of a slot have the same */
	unsigned events; /* that its worker has told */
	bool waiting;	/* for the backend's answer: nothing more is read until then */
};

#define EVENTS WIRE_LINKS /* an interface each, and a missing network: no more than a worker has any use for */

static struct wire *control;
static struct wire broker;
static struct channel channels[SERVE_CHANNELS];
static unsigned max_channels;
static const struct serve_backend *backend;

unsigned
serve_channels(const struct conf *conf)
{
	return conf->attachments + 32 < SERVE_CHANNELS ? conf->attachments + 32 : SERVE_CHANNELS;
}

static void
close_channel(struct channel *c, int err)
{
	if (err < 0 && err != -ECONNRESET && err != -EPIPE)
		log_warn("worker for %s/%s: %s: its channel is closed", c->who.pod.pod_ns, c->who.pod.pod_name, strerror(-err));
	wire_close(&c->w);
	c->waiting = false;
	c->epoch++;
}

void
serve_send(const struct serve_ticket *t, enum msg_type type, const void *body, int memfd)
{
	struct channel *c = &channels[t->slot];
	int err;

	if (c->w.fd < 0 || c->epoch != t->epoch)
		return;
	c->waiting = false;
	/* A worker that does not read its answers fills its own queue and loses its channel; nobody waits for it. */
	err = wire_send(&c->w, type, t->serial, body, &memfd, memfd >= 0);
	if (err < 0)
		close_channel(c, err);
}

void
serve_answer(const struct serve_ticket *t, const struct msg_kube_reply *r, int memfd)
{
	const struct msg_kube_bind *pod = &channels[t->slot].who.pod;

	log_debug("%s/%s: %u %s", pod->pod_ns, pod->pod_name, r->code, r->text);
	serve_send(t, MSG_KUBE_REPLY, r, memfd);
}

static void
serve_channel(struct channel *c)
{
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };
	struct serve_ticket t = { .slot = (unsigned)(c - channels), .epoch = c->epoch };
	int rc = wire_recv(&c->w, WS_ANY, &m);

	if (rc == -EAGAIN)
		return;
	if (rc <= 0) {
		close_channel(c, rc);
		return;
	}
	if (m.head.type == MSG_KUBE_EVENT && c->events++ == EVENTS) {
		close_channel(c, -EDQUOT);
		return;
	}
	t.serial = m.head.serial;
	c->waiting = m.head.type != MSG_KUBE_EVENT;
	if (backend->self == ROLE_KUBE && c->who.pod.pod_name[0] == '\0' && m.head.type != MSG_KUBE_NAD &&
	    m.head.type != MSG_KUBE_PING) {
		/* GC and STATUS are of no pod. */
		struct msg_kube_reply r = { .code = 404 };

		snprintf(r.text, sizeof(r.text), "the runtime named no pod");
		if (c->waiting)
			serve_answer(&t, &r, -1);
		return;
	}
	backend->request(&t, &c->who, &m);
}

static void
bind_channel(struct wire_msg *m)
{
	struct channel *c = channels;

	while (c < channels + max_channels && c->w.fd >= 0)
		c++;
	if (c == channels + max_channels) {
		log_warn("more than %u workers at once: refusing one", max_channels);
		return;
	}
	if (fcntl(m->fds[0], F_SETFL, O_RDWR | O_NONBLOCK) < 0) {
		log_error("worker channel: %s", strerror(errno));
		return;
	}
	c->who = (struct msg_devices_bind){ 0 };
	if (m->head.type == MSG_DEVICES_BIND)
		c->who = m->body.devices_bind;
	else
		c->who.pod = m->body.kube_bind;
	c->events = 0;
	c->w = WIRE_INIT(util_take_fd(&m->fds[0]), backend->self, ROLE_WORKER);
}

static void
serve_broker(void)
{
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };
	int rc = wire_recv(&broker, WS_ANY, &m);

	if (rc == 1 && (m.head.type == MSG_KUBE_BIND || m.head.type == MSG_DEVICES_BIND)) {
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
	int rc = wire_recv(control, WS_ANY, &m);

	if (rc == 1 && m.head.type == MSG_STOP)
		exit(0);
	if (rc != -EAGAIN)
		log_fatal("supervisor's channel: %s", rc == 1 ? "unexpected message" : rc == 0 ? "closed" : strerror(-rc));
}

void
serve_run(const struct conf *conf, struct wire *c, const struct serve_backend *b)
{
	static struct pollfd p[2 + SERVE_CHANNELS + SERVE_POLLED];

	_Static_assert((int)FD_KUBE_BROKER == (int)FD_DEVICES_BROKER, "the same place for all");
	control = c;
	backend = b;
	broker = WIRE_INIT(FD_KUBE_BROKER, b->self, ROLE_BROKER);
	max_channels = serve_channels(conf);
	for (unsigned i = 0; i < SERVE_CHANNELS; i++)
		channels[i].w.fd = -1;
	for (;;) {
		struct pollfd *theirs = p + 2 + max_channels;
		int64_t due = INT64_MAX;
		unsigned n;
		int ready;

		p[0] = (struct pollfd){ .fd = control->fd, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = broker.fd, .events = POLLIN };
		for (unsigned i = 0; i < max_channels; i++)
			p[2 + i] = (struct pollfd){ .fd = channels[i].waiting ? -1 : channels[i].w.fd, .events = POLLIN };
		n = b->poll ? b->poll(theirs, &due) : 0;
		ready = util_poll(p, 2 + max_channels + n, due, NULL);
		if (ready < 0)
			log_fatal("ppoll: %s", strerror(-ready));
		if (p[0].revents)
			serve_control();
		for (unsigned i = 0; i < max_channels; i++)
			if (p[2 + i].revents)
				serve_channel(&channels[i]);
		if (p[1].revents)
			serve_broker();
		if (b->step)
			b->step(theirs, n);
	}
}
