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

struct run {
	uint64_t serial; /* 0 = free */
	pid_t pid;
	int pidfd, errfd;
	int64_t deadline;
	uint32_t allowed_ms;
	bool timeout;
	char plugin[64];
};

static const struct conf *conf;
static struct wire netpriv, control;
static struct run runs[MAX_RUNS];

static void
confine(void)
{
	struct sandbox s = { .role = ROLE_EXEC, .mode = (enum conf_sandbox)conf->sandbox,
			     .max_fd = 4096 };
	struct msg_ready ready = { .role = ROLE_EXEC };
	struct sandbox_facts facts;

	for (uint32_t i = 0; i < conf->n_plugins; i++)
		s.exec_caps |= conf->plugins[i].caps;
	sandbox_enter(&s, &facts);
	ready.landlock_abi = facts.landlock_abi;
	ready.syscalls = facts.syscalls;
	ready.filters = facts.filters;
	if (wire_send(&control, MSG_READY, 0, &ready, NULL, 0) < 0)
		log_fatal("supervisor: cannot be reached");
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
start_run(struct wire_msg *m)
{
	const struct msg_exec_run *r = &m->body.exec_run;
	struct run *run = runs;
	char text[WIRE_TEXT] = "";
	int err;

	while (run < runs + MAX_RUNS && run->serial)
		run++;
	if (run == runs + MAX_RUNS) {
		report(m->head.serial, DONE_FAILED, EAGAIN, "too many delegates are running");
		return;
	}
	err = launch_start(r, m->fds, &run->pid, &run->pidfd, &run->errfd, text, sizeof(text));
	if (err < 0) {
		report(m->head.serial, DONE_FAILED, (uint32_t)-err, text);
		return;
	}
	run->serial = m->head.serial;
	run->allowed_ms = r->deadline_ms;
	run->deadline = util_now_ms() + r->deadline_ms;
	run->timeout = false;
	util_copy(run->plugin, sizeof(run->plugin), r->run.plugin);
}

static void
kill_run(struct run *run)
{
	/* It leads its session and group; not reaped yet, so the number is still its own. */
	kill(-run->pid, SIGKILL);
	syscall(SYS_pidfd_send_signal, run->pidfd, SIGKILL, NULL, 0);
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
			ours = ours || (r->serial && (r->pid == pid || getsid(pid) == r->pid));
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
	uint64_t serial = run->serial;
	int err;

	if (waitid(P_PIDFD, (id_t)run->pidfd, &si, WEXITED | WNOWAIT | WNOHANG) < 0 || si.si_pid == 0)
		return;
	kill_run(run); /* what it left in its group; before the number is free for others */
	waitid(P_PIDFD, (id_t)run->pidfd, &si, WEXITED);
	err = launch_why(run->errfd, text, sizeof(text));
	close(run->pidfd);
	close(run->errfd);
	run->serial = 0;
	if (err)
		report(serial, DONE_FAILED, (uint32_t)err, text);
	else if (run->timeout)
		report(serial, DONE_TIMEOUT, run->allowed_ms, "");
	else if (si.si_code == CLD_EXITED)
		report(serial, DONE_EXITED, (uint32_t)si.si_status, "");
	else
		report(serial, DONE_SIGNALED, (uint32_t)si.si_status, "");
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

/* Kills what is over its time. Milliseconds until the next deadline, -1 = none. */
static int
tick(void)
{
	int64_t now = util_now_ms(), next = INT64_MAX;

	for (struct run *r = runs; r < runs + MAX_RUNS; r++) {
		if (!r->serial || r->timeout)
			continue;
		if (r->deadline <= now) {
			log_warn("plugin %s: killed after %u ms", r->plugin, r->allowed_ms);
			r->timeout = true;
			kill_run(r);
		} else if (r->deadline < next) {
			next = r->deadline;
		}
	}
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
			fds[2 + i] = (struct pollfd){ .fd = runs[i].serial ? runs[i].pidfd : -1,
						      .events = POLLIN };
		if (strays && (timeout < 0 || timeout > STRAY_MS))
			timeout = STRAY_MS;
		if (poll(fds, ARRAY_LEN(fds), timeout) < 0 && errno != EINTR)
			log_fatal("poll: %s", strerror(errno));
		if (fds[0].revents) /* STOP, or the supervisor is gone */
			return;
		for (unsigned i = 0; i < MAX_RUNS; i++) {
			if (runs[i].serial && fds[2 + i].revents) {
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
