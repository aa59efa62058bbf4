/* postern-broker: hands each CNI command that netpriv offers to a worker of its own, and nothing else; one worker always waits,
 * forked ahead of need. It looks into no text.
 * Runs in: broker.  Trusts: the node configuration; netpriv and the supervisor as far as wire_recv() checks them. */
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "broker/worker.h"
#include "netpriv/conf.h"
#include "netpriv/log.h"
#include "netpriv/util.h"
#include "netpriv/wire.h"
#include "seccomp/sandbox.h"

#define WORKERS                                                                                    \
	128 /* netpriv bounds commands at 64, and its own in between; this is the bound of last resort */

#define OVER_MS 1000 /* what a worker gets beyond its command's time */

struct child {
	pid_t pid; /* 0: free */
	int64_t over; /* util_now_ms() at which netpriv has long given it up */
	char container[WIRE_ID];
	int devices; /* the other end of its channel to devices, until it asks something; -1: none */
	struct msg_devices_bind who;
};

static const struct conf *conf;
static struct sock_fprog worker_filter;
static struct child children[WORKERS];
static struct wire spare = { .fd = -1 }; /* to the worker that waits */
static pid_t spare_pid;
static struct wire control, netpriv, kube, devices;

static void
on_child(int sig)
{
	(void)sig; /* only to end ppoll() */
}

static struct child *
find_child(pid_t pid)
{
	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		if (children[i].pid == pid)
			return &children[i];
	return NULL;
}

static void
drop_devices(struct child *c)
{
	if (c->devices >= 0)
		close(util_take_fd(&c->devices));
}

static void
reap_children(void)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *c = find_child(pid);
		const char *container = c ? c->container : "?";

		if (pid == spare_pid) {
			spare_pid = 0;
			wire_close(&spare);
		}
		if (WIFSIGNALED(status))
			log_error("worker %d (container \"%s\") was killed by signal %d", (int)pid,
				  container, WTERMSIG(status));
		else if (WEXITSTATUS(status))
			log_warn("worker %d (container \"%s\") gave up", (int)pid, container);
		if (c) {
			c->pid = 0;
			drop_devices(c);
		}
	}
}

/* A worker that does not end with its command would keep its channel to kube. Returns when the next one is due; INT64_MAX: none. */
static int64_t
kill_overdue(void)
{
	int64_t now = util_now_ms(), next = INT64_MAX;

	for (size_t i = 0; i < ARRAY_LEN(children); i++) {
		struct child *c = &children[i];

		if (c->pid && c->over <= now) {
			log_warn("worker %d (container \"%s\") did not end: killed", (int)c->pid, c->container);
			kill(c->pid, SIGKILL);
			c->over = now + OVER_MS;
		}
		if (c->pid && c->over < next)
			next = c->over;
	}
	return next;
}

static void
set_blocking(int fd)
{
	if (fcntl(fd, F_SETFL, 0))
		log_fatal("F_SETFL: %s", strerror(errno));
}

/* A worker's end of a new channel, and the other one. -errno on failure. */
static int
make_channel(int *other)
{
	int pair[2], err = util_seqpair(pair, true);

	if (err)
		return err;
	/* A worker that does not read its answers gets few of them: each carries a memfd. */
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &(int){ 16384 }, sizeof(int));
	set_blocking(pair[0]);
	*other = pair[1];
	return pair[0];
}

/* The same to kube, which hears from us to whom it belongs. */
static int
bind_kube(const struct msg_kube_bind *pod)
{
	cleanup_close int other = -1;
	int fd = make_channel(&other), err;

	if (fd < 0)
		return fd;
	err = wire_send(&kube, MSG_KUBE_BIND, 0, pod, &other, 1);
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

/* Its worker has a question to devices, which now hears whose it is: most never have one, and devices is left to sleep. */
static void
bind_devices(struct child *c)
{
	int err = wire_send(&devices, MSG_DEVICES_BIND, 0, &c->who, &c->devices, 1);

	if (err)
		log_error("container \"%s\": devices: %s", c->container, strerror(-err));
	drop_devices(c);
}

/* A worker to wait for the next command. */
static void
fork_spare(void)
{
	pid_t self = getpid();
	int pair[2], err = util_seqpair(pair, false);

	if (err) {
		log_error("no channel for a worker: %s", strerror(-err));
		return;
	}
	spare_pid = fork();
	if (spare_pid == 0)
		worker_run(conf, &worker_filter, self, pair[1]);
	close(pair[1]);
	spare = WIRE_INIT(pair[0], ROLE_BROKER, ROLE_WORKER);
	if (spare_pid < 0) {
		log_error("fork: %s", strerror(errno));
		spare_pid = 0;
		wire_close(&spare);
	}
}

/* The channels beside the attachment's own that this command may need, into fds (two places): how many, or -errno. Says in the offer's
 * flags which: OFFER_KUBE, OFFER_DEVICES. */
static int
make_channels(struct msg_offer *offer, struct child *c, int fds[2])
{
	const struct wire_target *t = &offer->target;
	bool journal_only = (offer->verb == CNI_DEL || offer->verb == CNI_CHECK) && !(offer->flags & OFFER_PLUG);
	struct msg_kube_bind *pod = &c->who.pod;
	int n = 0;

	memcpy(c->who.container_id, t->container_id, sizeof(c->who.container_id));
	memcpy(pod->pod_ns, t->pod_ns, sizeof(pod->pod_ns));
	memcpy(pod->pod_name, t->pod_name, sizeof(pod->pod_name));
	memcpy(pod->pod_uid, t->pod_uid, sizeof(pod->pod_uid));
	if (!journal_only) {
		fds[n] = bind_kube(pod);
		if (fds[n] < 0)
			return fds[n];
		offer->flags |= OFFER_KUBE;
		n++;
	}
	if (devices.fd >= 0 && (offer->verb == CNI_ADD || offer->verb == CNI_DEL)) {
		fds[n] = make_channel(&c->devices);
		if (fds[n] < 0)
			return fds[n];
		offer->flags |= OFFER_DEVICES;
		n++;
	}
	return n;
}

/* Serves one OFFER. Whatever fails here closes the attachment's channel: netpriv takes that as the end of the command. */
static void
serve_offer(struct wire_msg *m)
{
	struct msg_offer *offer = &m->body.offer;
	struct child *c = find_child(0);
	int err, n;

	if (!c) {
		log_error("container \"%s\": refused, %d workers are running",
			  offer->target.container_id, WORKERS);
		return;
	}
	n = make_channels(offer, c, &m->fds[2]);
	if (n < 0) {
		log_error("container \"%s\": no channel for its worker: %s", offer->target.container_id, strerror(-n));
		return;
	}
	set_blocking(m->fds[0]);
	if (!spare_pid)
		fork_spare();
	if (!spare_pid) {
		drop_devices(c);
		return;
	}
	err = wire_send(&spare, MSG_TASK, 0, offer, m->fds, 2 + (unsigned)n);
	if (err)
		log_error("container \"%s\": worker %d: %s", offer->target.container_id,
			  (int)spare_pid, strerror(-err));
	c->pid = spare_pid;
	c->over = util_now_ms() + conf->command_ms + OVER_MS;
	memcpy(c->container, offer->target.container_id, sizeof(c->container));
	wire_close(&spare);
	fork_spare();
}

/* Not without the worker that waits. */
__attribute__((noreturn)) static void
leave(int status)
{
	wire_close(&spare);
	if (spare_pid)
		waitpid(spare_pid, NULL, 0);
	_exit(status);
}

/* Takes one message; ppoll() comes back for the next. */
static void
read_channel(struct wire *w)
{
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };
	int err = wire_recv(w, WS_ANY, &m);

	if (err == -EAGAIN)
		return;
	if (err <= 0) {
		/* The supervisor starts the whole set again. */
		log_info("the channel to %s ended: %s", role_name(w->peer),
			 err ? strerror(-err) : "closed");
		leave(err ? 1 : 0);
	}
	if (m.head.type == MSG_STOP)
		leave(0);
	if (m.head.type == MSG_OFFER)
		serve_offer(&m);
}

static void
set_up(void)
{
	struct sandbox sandbox = { .role = ROLE_BROKER, .max_fd = 512 };
	struct sandbox_facts facts;
	struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_NOCLDSTOP };
	sigset_t block;

	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		children[i].devices = -1;
	/* Each opens files, which is over after sandbox_enter(). */
	json_object_seed(0);
	tzset();
	sandbox_compile(ROLE_WORKER, (enum conf_sandbox)conf->sandbox, &worker_filter);
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &block, NULL) || sigaction(SIGCHLD, &action, NULL))
		log_fatal("signals: %s", strerror(errno));
	sandbox.mode = (enum conf_sandbox)conf->sandbox;
	sandbox.uid = conf->broker_uid;
	sandbox.gid = conf->broker_gid;
	sandbox_enter(&sandbox, &facts);
	sandbox_report(&control, &facts);
}

int
main(void)
{
	static const sigset_t none;

	sandbox_close_fds(FD_BROKER_DEVICES + 1);
	log_init("broker", LOG_INFO);
	conf = conf_map(FD_CONF);
	log_init("broker", (enum log_level)conf->log_level);
	control = WIRE_INIT(FD_CONTROL, ROLE_BROKER, ROLE_SUPERVISOR);
	netpriv = WIRE_INIT(FD_BROKER_NETPRIV, ROLE_BROKER, ROLE_NETPRIV);
	kube = WIRE_INIT(FD_BROKER_KUBE, ROLE_BROKER, ROLE_KUBE);
	devices = WIRE_INIT(FD_BROKER_DEVICES, ROLE_BROKER, ROLE_DEVICES);
	if (!conf->pod_resources[0]) /* nobody is at the other end */
		wire_close(&devices);
	set_up();
	fork_spare();
	for (;;) {
		struct pollfd p[2 + WORKERS] = { { control.fd, POLLIN, 0 }, { netpriv.fd, POLLIN, 0 } };
		int n;

		for (size_t i = 0; i < WORKERS; i++)
			p[2 + i] = (struct pollfd){ children[i].devices, POLLIN, 0 };
		n = util_poll(p, ARRAY_LEN(p), kill_overdue(), &none);
		if (n < 0)
			log_fatal("ppoll: %s", strerror(-n));
		for (size_t i = 0; i < WORKERS; i++)
			if (p[2 + i].revents & POLLIN)
				bind_devices(&children[i]);
			else if (p[2 + i].revents)
				drop_devices(&children[i]);
		reap_children();
		if (p[0].revents)
			read_channel(&control);
		if (p[1].revents)
			read_channel(&netpriv);
	}
}
