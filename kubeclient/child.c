/* Throw-away children.  Runs in: dial, autoconf, devices, and in those children until run().  Source: fork(2), alarm(2), prctl(2). */
#include "kubeclient/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

#define GRACE_MS 2000 /* from the alarm to the end */

__attribute__((noreturn)) static void
run_child(int in, int out, pid_t parent, unsigned s, const struct sock_fprog *filter, void (*run)(int, const void *),
	  const void *arg)
{
	if (prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0ul, 0ul, 0ul) < 0 || getppid() != parent)
		_exit(1);
	if (in >= 0 && dup3(in, 0, 0) < 0)
		_exit(1);
	if ((out > 3 && syscall(SYS_close_range, 3u, (unsigned)out - 1, 0u) < 0) ||
	    syscall(SYS_close_range, (unsigned)out + 1, ~0u, 0u) < 0)
		_exit(1);
	alarm(s);
	if (filter && sandbox_load(filter) < 0)
		_exit(1);
	run(out, arg);
	_exit(0);
}

int
child_start(struct child *c, unsigned s, int keep, const struct sock_fprog *filter, void (*run)(int out, const void *arg),
	    const void *arg)
{
	cleanup_close int in = -1, out = -1;
	pid_t self = getpid();
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	in = pair[0];
	out = pair[1];
	*c = CHILD_NONE;
	c->pid = fork();
	if (c->pid < 0)
		return -errno;
	if (c->pid == 0)
		run_child(keep, out, self, s, filter, run, arg);
	if (fcntl(in, F_SETFL, O_NONBLOCK) < 0)
		log_fatal("pipe: %s", strerror(errno));
	c->out = util_take_fd(&in);
	c->due = util_now_ms() + (int64_t)s * 1000 + GRACE_MS;
	return 0;
}

/* It has closed its pipe. One that lingers behind its own alarm was taken over: we end, and the kernel ends it with us. What
 * it means that it has not answered. */
static int
reap(struct child *c)
{
	int status = 0;

	close(c->out);
	while (waitpid(c->pid, &status, WNOHANG) == 0) {
		if (util_now_ms() > c->due)
			log_fatal("a child does not end");
		poll(NULL, 0, 1);
	}
	*c = CHILD_NONE;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? -ETIMEDOUT : -ECHILD;
}

int
child_read(struct child *c, void *answer, size_t size)
{
	char more;
	ssize_t n;

	do {
		n = c->used < size ? read(c->out, (char *)answer + c->used, size - c->used) : read(c->out, &more, 1);
		if (n > 0 && c->used == size)
			log_fatal("a child answers more than it was asked");
		if (n > 0)
			c->used += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0 && errno == EAGAIN) {
		if (util_now_ms() > c->due)
			log_fatal("a child does not end");
		return 0;
	}
	bool whole = n == 0 && c->used == size;
	int err = reap(c);

	return whole ? 1 : err;
}

int
child_wait(struct child *c, void *answer, size_t size)
{
	int err;

	while ((err = child_read(c, answer, size)) == 0) {
		struct pollfd p = { .fd = c->out, .events = POLLIN };

		poll(&p, 1, 1000);
	}
	return err < 0 ? err : 0;
}
