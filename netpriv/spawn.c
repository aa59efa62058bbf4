/* Starting a role's binary.  Runs in: supervisor, between fork and exec in the child.
 * Source: pidfd_open(2), prctl(2). */
#include "netpriv/spawn.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "netpriv/log.h"
#include "netpriv/util.h"

#define FIRST_HIGH 64 /* above every number of role.h */

__attribute__((noreturn)) static void
run_child(const char *path, const char *name, const struct spawn_fd *fds, unsigned n)
{
	static char env_path[] =
	    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	char *const envp[] = {env_path, NULL};
	char arg0[64];
	char *const argv[] = {arg0, NULL};
	int high[SPAWN_FDS];
	sigset_t none;

	/* A terminal's Ctrl-C is for the supervisor alone: it stops the roles in their order. */
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* First out of the way of the final numbers, so that no dup2() closes what a later one
	 * needs. */
	for (unsigned i = 0; i < n; i++) {
		high[i] = fcntl(fds[i].fd, F_DUPFD_CLOEXEC, FIRST_HIGH);
		if (high[i] < 0)
			_exit(127);
	}
	for (unsigned i = 0; i < n; i++)
		if (dup2(high[i], fds[i].number) < 0)
			_exit(127);
	snprintf(arg0, sizeof(arg0), "postern-%s", name);
	execve(path, argv, envp);
	log_error("cannot execute %s: %s", path, strerror(errno));
	_exit(127);
}

int
spawn_role(const char *libexec, const char *name, const struct spawn_fd *fds, unsigned n,
	   pid_t *pid)
{
	char path[PATH_MAX];
	int pidfd;

	if (n > SPAWN_FDS)
		return -E2BIG;
	if (snprintf(path, sizeof(path), "%s/postern-%s", libexec, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	*pid = fork();
	if (*pid < 0)
		return -errno;
	if (*pid == 0)
		run_child(path, name, fds, n);
	/* Not reaped by anybody yet, so the number cannot have been given to another process. */
	pidfd = pidfd_open(*pid, 0);
	if (pidfd < 0) {
		int err = -errno;

		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
		return err;
	}
	return pidfd;
}

int
spawn_end_strangers(int64_t ms)
{
	int64_t until = util_now_ms() + ms;
	char path[64];
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	while (util_now_ms() < until) {
		FILE *f = fopen(path, "re");
		bool left = false;

		while (f && fscanf(f, "%d", &pid) == 1) {
			left = true;
			kill(pid, SIGKILL);
			waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOHANG);
		}
		if (f)
			fclose(f);
		if (!left)
			return 0;
		usleep(10000);
	}
	return -ETIMEDOUT;
}
