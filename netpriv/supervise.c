/* The life of the set of roles.  Runs in: supervisor.
 * Trusts: of a role's bytes, one READY through wire_recv() only; anything more ends the set.
 * Source: pidfd_open(2), signalfd(2), sd_notify(3). */
#include "netpriv/supervise.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "netpriv/channels.h"
#include "netpriv/log.h"
#include "netpriv/monitor.h"
#include "netpriv/readers.h"
#include "netpriv/spawn.h"
#include "netpriv/util.h"

#define READY_MS    10000 /* from exec to READY */
#define GRACE_MS    2000  /* for netpriv, beyond the time that commands in flight get */
#define OTHERS_MS   1000  /* for the others to leave on STOP */
#define KILL_MS	    5000  /* for a killed process to be gone */
#define BACKOFF_MS  100	  /* first, doubling */
#define BACKOFF_MAX 30000
#define HEALTHY_MS  60000 /* a set that lived that long starts again at BACKOFF_MS */

enum outcome { SET_DIED, SET_STOP, SET_RELOAD };

struct member {
	pid_t pid;
	int pidfd; /* -1: not running */
	struct wire control;
	bool ready;
};

/* One process, one supervisor: what supervise_run() and its helpers share. */
static struct {
	struct supervise *s;
	struct channels_door door, plug;
	struct monitor monitor;
	struct channels_held held, next_held;
	struct conf next;
	struct member set[FACTS_ROLES];
	struct facts *facts;
	int signals;
	int64_t ready_at; /* 0: not ready (yet) */
	int64_t backoff;
} run;

void
supervise_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;
	cleanup_close int fd = -1;

	if (len < 2 || len >= sizeof(a.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(a.sun_path, path, len);
	if (path[0] == '@') /* abstract: its name begins with a NUL and has no end but the length */
		a.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&a,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		log_warn("cannot tell the service manager \"%s\": %s", state, strerror(errno));
}

uint64_t
supervise_caps(const struct conf *c)
{
	uint64_t caps = 0
#define PLUGIN(name, extra) | (uint64_t)(extra)
#include "netpriv/plugin.def"
#undef PLUGIN
	    ;

	for (uint32_t i = 0; i < c->n_plugins; i++)
		caps |= c->plugins[i].caps;
	return caps;
}

static const char *
member_name(const struct member *m)
{
	return channels_program(&run.s->conf, (unsigned)(m - run.set));
}

/* posternctl finds the memfd by its name under /proc/<us>/fd; it stays open as long as we live. */
static int
make_facts(void)
{
	int fd = memfd_create(FACTS_NAME, MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, sizeof(struct facts)) < 0)
		return -errno;
	run.facts = mmap(NULL, sizeof(struct facts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (run.facts == MAP_FAILED)
		return -errno;
	*run.facts = (struct facts){.magic = FACTS_MAGIC, .size = sizeof(struct facts)};
	util_copy(run.facts->config, sizeof(run.facts->config), run.s->config);
	return monitor_make(&run.monitor, fd);
}

static int
start_set(void)
{
	struct channels_pairs pairs;
	char why[512];
	int err = channels_make(&pairs, why, sizeof(why));

	if (err < 0) {
		log_error("%s", why);
		return err;
	}
	for (unsigned i = 0; i < FACTS_ROLES && err >= 0; i++) {
		struct member *m = &run.set[i];
		struct spawn_fd fds[SPAWN_FDS];
		unsigned n = channels_place(channels_role(i), &run.door, &run.plug, &run.monitor, &run.held, &pairs, fds);

		m->ready = !member_name(m); /* nobody to wait for */
		if (m->ready)
			continue;
		err = m->pidfd = spawn_role(run.s->libexec, member_name(m), fds, n, &m->pid);
		if (err < 0)
			log_error("cannot start %s: %s", member_name(m), strerror(-err));
		else
			m->control = WIRE_INIT(util_take_fd(&pairs.control[i][0]), ROLE_SUPERVISOR,
					       channels_role(i));
	}
	/* The roles have their ends; ours of any other channel would keep a dead peer's from
	 * showing. */
	channels_close(&pairs);
	return err < 0 ? err : 0;
}

static bool
wait_end(const struct member *m, int64_t ms)
{
	struct pollfd p = {.fd = m->pidfd, .events = POLLIN};
	int n;

	if (m->pidfd < 0)
		return true;
	do
		n = poll(&p, 1, ms > 0 ? (int)ms : 0);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

static void
log_end(const struct member *m)
{
	siginfo_t end = {0};

	if (waitid(P_PIDFD, (id_t)m->pidfd, &end, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    end.si_pid == 0)
		log_error("%s closed its control channel; the set is restarted", member_name(m));
	else if (end.si_code == CLD_EXITED)
		log_error("%s ended with status %d; the set is restarted", member_name(m),
			  end.si_status);
	else
		log_error("%s was killed by signal %d (%s%s); the set is restarted", member_name(m),
			  end.si_status, strsignal(end.si_status),
			  end.si_status == SIGSYS ? ": a system call outside its table" : "");
}

static void
tell_stop(struct member *m)
{
	const struct msg_stop stop = {0};

	if (m->pidfd >= 0)
		wire_send(&m->control, MSG_STOP, 0, &stop, NULL, 0);
}

/* netpriv first: it answers the shims, and needs the others for the commands in flight. */
static void
stop_gently(void)
{
	struct member *netpriv = &run.set[0];
	siginfo_t end = {0};
	int64_t until;

	tell_stop(netpriv);
	if (!wait_end(netpriv, (int64_t)run.s->conf.stop_ms + GRACE_MS))
		log_warn("netpriv has not finished within %u ms: killed",
			 run.s->conf.stop_ms + GRACE_MS);
	else if (waitid(P_PIDFD, (id_t)netpriv->pidfd, &end, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		 (end.si_code != CLD_EXITED || end.si_status != 0))
		log_warn("netpriv did not stop cleanly (%s %d)",
			 end.si_code == CLD_EXITED ? "status" : "signal", end.si_status);
	for (unsigned i = 1; i < FACTS_ROLES; i++)
		tell_stop(&run.set[i]);
	until = util_now_ms() + OTHERS_MS;
	for (unsigned i = 1; i < FACTS_ROLES; i++)
		wait_end(&run.set[i], until - util_now_ms());
}

/* Ends what runs and forgets it: a set is never repaired, only replaced. */
static void
stop_set(bool gently)
{
	if (gently)
		stop_gently();
	for (unsigned i = 0; i < FACTS_ROLES; i++)
		if (run.set[i].pidfd >= 0)
			pidfd_send_signal(run.set[i].pidfd, SIGKILL, NULL, 0);
	for (unsigned i = 0; i < FACTS_ROLES; i++) {
		struct member *m = &run.set[i];

		run.facts->role[i].pid = 0;
		m->pid = 0;
		if (m->pidfd < 0)
			continue;
		if (wait_end(m, KILL_MS))
			waitid(P_PIDFD, (id_t)m->pidfd, &(siginfo_t){0}, WEXITED);
		else
			log_error("%s (process %d) cannot be killed", member_name(m), m->pid);
		close(util_take_fd(&m->pidfd));
		wire_close(&m->control);
		m->ready = false;
	}
	if (spawn_end_strangers(KILL_MS) < 0)
		log_error("processes that delegates started cannot be killed");
}

/* As process 1 of a container we inherit what delegates leave behind. Members are reaped through
 * their pidfds only. */
static void
reap_strangers(void)
{
	for (;;) {
		siginfo_t end = {0};

		if (waitid(P_ALL, 0, &end, WEXITED | WNOHANG | WNOWAIT) < 0 || end.si_pid == 0)
			return;
		for (unsigned i = 0; i < FACTS_ROLES; i++)
			if (run.set[i].pidfd >= 0 && run.set[i].pid == end.si_pid)
				return;
		waitid(P_PID, (id_t)end.si_pid, &end, WEXITED | WNOHANG);
	}
}

/* Reads the configuration again into run.next; false: it stays as it is, and the log says why. */
static bool
load_next(void)
{
	const char *config = run.s->config;
	char why[512];

	if (readers_conf(run.s->libexec, config, &run.next, why, sizeof(why)) < 0) {
		log_error("%s; the old configuration stays", why);
		return false;
	}
	if (strcmp(run.next.socket_dir, run.s->conf.socket_dir) != 0 || run.next.plug_uid != run.s->conf.plug_uid ||
	    strcmp(run.next.plug_dir, run.s->conf.plug_dir) != 0 || !monitor_same(&run.next, &run.s->conf)) {
		log_error("%s: socketDir, hotplug and metrics cannot change while postern runs: restart it; the old configuration stays",
			  config);
		return false;
	}
	if (supervise_caps(&run.next) & ~run.s->caps) {
		log_error("%s: plugins: capabilities cannot be added while postern runs: restart it; the old configuration stays",
			  config);
		return false;
	}
	if (channels_hold(&run.next, &run.next_held, why, sizeof(why)) < 0) {
		log_error("%s; the old configuration stays", why);
		return false;
	}
	return true;
}

static void
take_next(void)
{
	char why[512];

	channels_drop(&run.held);
	run.held = run.next_held;
	run.s->conf = run.next;
	if (channels_log(run.s->config, &run.s->conf, why, sizeof(why)) < 0)
		log_error("%s; records go where they went", why);
	log_info("configuration %s read again; the set is restarted with it", run.s->config);
}

/* What the pending signals ask for; SET_DIED: nothing. */
static enum outcome
take_signals(void)
{
	enum outcome asked = SET_DIED;
	struct signalfd_siginfo info;

	while (read(run.signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap_strangers();
		else if (info.ssi_signo != SIGHUP)
			return SET_STOP;
		else if (asked != SET_RELOAD && load_next())
			asked = SET_RELOAD;
	}
	return asked;
}

static void
publish_ready(void)
{
	const struct conf *c = &run.s->conf;
	static const char *const modes[] = {"enforce", "trap", "log"};

	run.facts->sandbox = c->sandbox;
	run.facts->uids[0] = c->broker_uid;
	run.facts->uids[1] = c->kube_uid;
	run.facts->uids[2] = c->reader_uid;
	for (unsigned i = 0; i < FACTS_ROLES; i++)
		run.facts->role[i].pid = run.set[i].pid;
	run.ready_at = util_now_ms();
	supervise_notify("READY=1");
	log_info("ready: socket %s/postern.sock, sandbox %s, restarts %u", c->socket_dir,
		 modes[c->sandbox], run.facts->restarts);
}

/* A control channel has something. -1: the set must end. */
static int
take_control(struct member *m)
{
	struct wire_msg msg;
	int got = wire_recv(&m->control, WS_ANY, &msg);
	bool all = true;

	if (got == -EAGAIN)
		return 0;
	if (got == 0) {
		/* A process that ends closes its descriptors a moment before its pidfd says so. */
		wait_end(m, 1000);
		log_end(m);
		return -1;
	}
	if (got < 0 || msg.body.ready.role != m->control.peer) {
		log_error("%s broke the control channel's rules; the set is restarted",
			  member_name(m));
		return -1;
	}
	run.facts->role[m - run.set].ready = msg.body.ready;
	m->ready = true;
	for (unsigned i = 0; i < FACTS_ROLES; i++)
		all = all && run.set[i].ready;
	if (all)
		publish_ready();
	return 0;
}

static void
log_late(void)
{
	for (unsigned i = 0; i < FACTS_ROLES; i++)
		if (!run.set[i].ready)
			log_error("%s was not ready within %d ms; the set is restarted",
				  member_name(&run.set[i]), READY_MS);
}

/* Sleeps until something happens, without a timer once the set is ready. */
static enum outcome
watch_set(void)
{
	const int64_t late = util_now_ms() + READY_MS;

	for (;;) {
		struct pollfd p[1 + 2 * FACTS_ROLES] = {{.fd = run.signals, .events = POLLIN}};
		int64_t left = late - util_now_ms();

		for (unsigned i = 0; i < FACTS_ROLES; i++) {
			p[1 + 2 * i] = (struct pollfd){.fd = run.set[i].pidfd, .events = POLLIN};
			p[2 + 2 * i] =
			    (struct pollfd){.fd = run.set[i].control.fd, .events = POLLIN};
		}
		if (!run.ready_at && left <= 0) {
			log_late();
			return SET_DIED;
		}
		if (poll(p, ARRAY_LEN(p), run.ready_at ? -1 : (int)left) < 0)
			continue;
		if (p[0].revents) {
			enum outcome asked = take_signals();

			if (asked != SET_DIED)
				return asked;
		}
		for (unsigned i = 0; i < FACTS_ROLES; i++) {
			if (p[1 + 2 * i].revents) {
				log_end(&run.set[i]);
				return SET_DIED;
			}
			if (p[2 + 2 * i].revents && take_control(&run.set[i]) < 0)
				return SET_DIED;
		}
	}
}

/* The pause before the next set; a signal ends it. SET_DIED: it is over. */
static enum outcome
wait_backoff(void)
{
	int64_t until = util_now_ms() + run.backoff;

	log_debug("next start in %lld ms", (long long)run.backoff);
	run.backoff = run.backoff * 2 < BACKOFF_MAX ? run.backoff * 2 : BACKOFF_MAX;
	for (;;) {
		struct pollfd p = {.fd = run.signals, .events = POLLIN};
		int64_t left = until - util_now_ms();
		enum outcome asked;

		if (left <= 0)
			return SET_DIED;
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		asked = take_signals();
		if (asked != SET_DIED)
			return asked;
	}
}

/* Sets follow each other until one is asked to stop. Returns the exit status. */
static int
run_sets(void)
{
	bool was_ready = false;

	for (;;) {
		enum outcome o;
		bool ready;

		run.ready_at = 0;
		o = start_set() < 0 ? SET_DIED : watch_set();
		ready = run.ready_at != 0;
		was_ready = was_ready || ready;
		if (ready && util_now_ms() - run.ready_at >= HEALTHY_MS)
			run.backoff = BACKOFF_MS;
		if (o == SET_STOP) {
			supervise_notify("STOPPING=1");
			run.facts->stopping = 1;
			channels_shut(&run.door);
			channels_shut(&run.plug);
		}
		stop_set(ready && o != SET_DIED);
		if (o == SET_DIED) {
			/* A node that cannot serve at all should say so to whoever started it. */
			if (!was_ready)
				return 1;
			run.facts->restarts++;
			o = wait_backoff();
		}
		if (o == SET_STOP)
			return 0;
		if (o == SET_RELOAD)
			take_next();
	}
}

int
supervise_run(struct supervise *s)
{
	sigset_t set;
	char why[512];
	int err, status = 1;

	run.s = s;
	run.backoff = BACKOFF_MS;
	run.door = run.plug = (struct channels_door){.dir = -1, .socket = -1};
	for (unsigned i = 0; i < FACTS_ROLES; i++)
		run.set[i] = (struct member){.pidfd = -1, .control.fd = -1};
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	run.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	err = run.signals < 0 ? -errno : make_facts();
	if (err < 0) {
		log_error("cannot start: %s", strerror(-err));
		return 1;
	}
	if (channels_open_door(s->conf.socket_dir, 0, &run.door, why, sizeof(why)) < 0 ||
	    (s->conf.plug_dir[0] && channels_open_door(s->conf.plug_dir, s->conf.plug_uid, &run.plug, why, sizeof(why)) < 0) ||
	    monitor_open(&s->conf, &run.monitor, why, sizeof(why)) < 0 || channels_hold(&s->conf, &run.held, why, sizeof(why)) < 0)
		log_error("%s", why);
	else
		status = run_sets();
	channels_shut(&run.door);
	channels_shut(&run.plug);
	channels_shut(&run.monitor.door);
	if (status == 0)
		log_info("stopped");
	return status;
}
