/* postern-exec: the zygote, the only ancestor of delegates. One peer: netpriv.
 * Holds the capabilities that delegates may reach; parses nothing.
 * Trusts: netpriv's messages as far as the wire checked them; asks the plugin table itself. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "netpriv/launch.h"
#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

#define MAX_RUNS 160 /* commands at once, and the ones that are being killed */
#define STRAY_MS 100 /* between looks at killed strays that are not dead yet */
#define BUSY_MS 50   /* between tries to execute a binary that somebody is still writing (ETXTBSY) */
#define BUSY_TRIES 40

struct run {
	uint64_t serial; /* 0 = free */
	struct msg_exec_run m;
	int fds[4]; /* as they came with it */
	struct launch l;
	int64_t deadline;
	int64_t again; /* when to try again a binary that was being written, 0 = it runs */
	unsigned tries;
	bool timeout;
};

static const struct conf *conf;
static struct wire netpriv, control;
static struct run runs[MAX_RUNS];

static void
confine(void)
{
	struct sandbox s = { .role = ROLE_EXEC, .mode = (enum conf_sandbox)conf->sandbox,
			     .max_fd = 4096 };
	struct sandbox_facts facts;

	for (uint32_t i = 0; i < conf->n_plugins; i++)
		s.exec_caps |= conf->plugins[i].caps;
	sandbox_enter(&s, &facts);
	sandbox_report(&control, &facts);
}

static void
report(uint64_t serial, uint32_t how, uint32_t status, const char *text)
{
	struct msg_exec_done done = { .how = how, .status = status };

	snprintf(done.text, sizeof(done.text), "%s", text);
	if (wire_send(&netpriv, MSG_EXEC_DONE, serial, &done, NULL, 0) < 0)
		log_fatal("netpriv: cannot be reached");
}

static void
forget_run(struct run *run)
{
	for (unsigned i = 0; i < ARRAY_LEN(run->fds); i++)
		if (run->fds[i] >= 0)
			close(run->fds[i]);
	run->serial = 0;
}

static void
launch_run(struct run *run)
{
	char text[WIRE_TEXT] = "";
	int err = launch_start(&run->m, run->fds, &run->l, text, sizeof(text));

	run->again = 0;
	if (err < 0) {
		report(run->serial, DONE_FAILED, (uint32_t)-err, text);
		forget_run(run);
	}
}

static void
start_run(struct wire_msg *m)
{
	struct run *run = runs;

	while (run < runs + MAX_RUNS && run->serial)
		run++;
	if (run == runs + MAX_RUNS) {
		report(m->head.serial, DONE_FAILED, EAGAIN, "too many delegates are running");
		return;
	}
	run->serial = m->head.serial;
	run->m = m->body.exec_run;
	for (unsigned i = 0; i < ARRAY_LEN(run->fds); i++)
		run->fds[i] = util_take_fd(&m->fds[i]);
	run->deadline = util_now_ms() + run->m.deadline_ms;
	run->tries = 0;
	run->timeout = false;
	launch_run(run);
}

static void
kill_run(struct run *run)
{
	if (run->again) { /* there is nothing to kill just now */
		report(run->serial, DONE_TIMEOUT, run->m.deadline_ms, "");
		forget_run(run);
		return;
	}
	/* It leads its session and group; not reaped yet, so the number is still its own. */
	kill(-run->l.pid, SIGKILL);
	syscall(SYS_pidfd_send_signal, run->l.pidfd, SIGKILL, NULL, 0);
}

/* A process that a delegate left behind, in a session of its own, is ours now (we are the subreaper): it ends with its
 * delegate. Ones that still belong to a running delegate are let be. Returns true while some are not reaped. */
static bool
end_strays(void)
{
	char path[64];
	FILE *f;
	bool left = false;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fscanf(f, "%d", &pid) == 1) {
		bool ours = false;
		siginfo_t si = { 0 };

		for (struct run *r = runs; r < runs + MAX_RUNS; r++)
			ours = ours || (r->serial && !r->again && (r->l.pid == pid || getsid(pid) == r->l.pid));
		if (ours)
			continue;
		kill(pid, SIGKILL);
		waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG);
		left = left || si.si_pid == 0;
	}
	fclose(f);
	return left;
}

static void
end_run(struct run *run)
{
	char text[WIRE_TEXT] = "";
	siginfo_t si = { 0 };
	int err;

	if (waitid(P_PIDFD, (id_t)run->l.pidfd, &si, WEXITED | WNOWAIT | WNOHANG) < 0 || si.si_pid == 0)
		return;
	kill_run(run); /* what it left in its group; before the number is free for others */
	waitid(P_PIDFD, (id_t)run->l.pidfd, &si, WEXITED);
	err = launch_why(run->l.errfd, text, sizeof(text));
	close(run->l.pidfd);
	close(run->l.errfd);
	launch_unbind(&run->l);
	if (err == ETXTBSY && ++run->tries < BUSY_TRIES) {
		run->again = util_now_ms() + BUSY_MS;
		return;
	}
	if (err)
		report(run->serial, DONE_FAILED, (uint32_t)err, text);
	else if (run->timeout)
		report(run->serial, DONE_TIMEOUT, run->m.deadline_ms, "");
	else if (si.si_code == CLD_EXITED)
		report(run->serial, DONE_EXITED, (uint32_t)si.si_status, "");
	else
		report(run->serial, DONE_SIGNALED, (uint32_t)si.si_status, "");
	forget_run(run);
}

/* False when netpriv is gone: it ends first when the service stops. */
static bool
serve_netpriv(void)
{
	cleanup_msg struct wire_msg m;
	int err = wire_recv(&netpriv, WS_ANY, &m);

	if (err == 0)
		return false;
	if (err < 0 && err != -EAGAIN)
		log_fatal("netpriv: %s", strerror(-err));
	if (err == 1 && m.head.type == MSG_EXEC_RUN)
		start_run(&m);
	else if (err == 1)
		for (struct run *r = runs; r < runs + MAX_RUNS; r++)
			if (r->serial && r->serial == m.body.exec_kill.target)
				kill_run(r);
	return true;
}

/* Kills what is over its time, tries again what is due, takes idle namespaces off their paths. Milliseconds until the next one, -1 = none. */
static int
tick(void)
{
	int64_t now = util_now_ms(), next = INT64_MAX;
	int unbind = launch_tick(now);

	for (struct run *r = runs; r < runs + MAX_RUNS; r++) {
		if (!r->serial || r->timeout)
			continue;
		if (r->deadline <= now) {
			log_warn("plugin %s: killed after %u ms", r->m.run.plugin, r->m.deadline_ms);
			r->timeout = true;
			kill_run(r);
			continue;
		}
		if (r->again && r->again <= now)
			launch_run(r);
		if (r->serial && r->deadline < next)
			next = r->deadline;
		if (r->serial && r->again && r->again < next)
			next = r->again;
	}
	if (unbind >= 0 && now + unbind < next)
		next = now + unbind;
	return next == INT64_MAX ? -1 : (int)(next - now);
}

static void
loop(void)
{
	struct pollfd fds[2 + MAX_RUNS];
	bool strays = false;

	for (;;) {
		bool ended = false;
		int timeout = tick();

		fds[0] = (struct pollfd){ .fd = control.fd, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = netpriv.fd, .events = POLLIN };
		for (unsigned i = 0; i < MAX_RUNS; i++)
			fds[2 + i] = (struct pollfd){ .fd = runs[i].serial && !runs[i].again ? runs[i].l.pidfd : -1,
						      .events = POLLIN };
		if (strays && (timeout < 0 || timeout > STRAY_MS))
			timeout = STRAY_MS;
		if (poll(fds, ARRAY_LEN(fds), timeout) < 0 && errno != EINTR)
			log_fatal("poll: %s", strerror(errno));
		if (fds[0].revents) /* STOP, or the supervisor is gone */
			return;
		for (unsigned i = 0; i < MAX_RUNS; i++) {
			if (runs[i].serial && !runs[i].again && fds[2 + i].revents) {
				end_run(&runs[i]);
				ended = true;
			}
		}
		if (ended || strays)
			strays = end_strays();
		if (fds[1].revents && !serve_netpriv())
			return;
	}
}

int
main(void)
{
	sandbox_close_fds(FD_EXEC_BIN + 1);
	conf = conf_map(FD_CONF);
	log_init("exec", (enum log_level)conf->log_level);
	control = WIRE_INIT(FD_CONTROL, ROLE_EXEC, ROLE_SUPERVISOR);
	netpriv = WIRE_INIT(FD_EXEC_NETPRIV, ROLE_EXEC, ROLE_NETPRIV);
	fcntl(FD_EXEC_NETPRIV, F_SETFL, O_NONBLOCK);
	signal(SIGPIPE, SIG_IGN);
	launch_init(conf);
	confine();
	loop();
	return 0;
}
