/* A worker gives up what it inherited from broker and does not need, then parses what nobody else may.
 * Runs in: worker.  Trusts: conf, the offer; nothing that it will read. */
#include "broker/worker.h"

#include <jansson.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "broker/priv.h"
#include "broker/verbs.h"
#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

#if defined(__SANITIZE_ADDRESS__)
#define WORKER_AS RLIM_INFINITY /* the shadow alone is terabytes */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WORKER_AS RLIM_INFINITY
#endif
#endif
#ifndef WORKER_AS
#define WORKER_AS (64u << 20)
#endif

/* Closes all but 0-2 and fd. */
static void
close_others(int fd)
{
	if ((fd > 3 && close_range(3, (unsigned)fd - 1, 0)) || close_range((unsigned)fd + 1, ~0u, 0))
		log_fatal("close_range: %s", strerror(errno));
}

static void
set_limit(int what, rlim_t value)
{
	struct rlimit r = { value, value };

	if (setrlimit((__rlimit_resource_t)what, &r))
		log_fatal("setrlimit %d: %s", what, strerror(errno));
}

/* Half a result is worse than none: without memory the process ends, and netpriv undoes what it had begun. */
static void *
alloc_or_die(size_t size)
{
	void *p = malloc(size);

	if (!p)
		log_fatal("out of memory: the input is too large to be worked on");
	return p;
}

static void
confine(const struct sock_fprog *filter, pid_t broker, int task)
{
	int err;

	/* Without broker nobody would notice that it hangs. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != broker)
		log_fatal("broker is gone");
	prctl(PR_SET_NAME, "postern-worker");
	close_others(task);
	set_limit(RLIMIT_CPU, 10);
	set_limit(RLIMIT_AS, WORKER_AS);
	set_limit(RLIMIT_DATA, WORKER_AS);
	set_limit(RLIMIT_FSIZE, WIRE_MEMFD_MAX);
	set_limit(RLIMIT_NOFILE, 32);
	set_limit(RLIMIT_CORE, 0);
	json_set_alloc_funcs(alloc_or_die, free);
	err = sandbox_load(filter);
	if (err)
		log_fatal("cannot load the worker's filter: %s", strerror(-err));
}

void
worker_run(const struct conf *conf, const struct sock_fprog *filter, pid_t broker, int task)
{
	struct wire wait = WIRE_INIT(task, ROLE_WORKER, ROLE_BROKER);
	struct wire_msg m;
	void *config;
	size_t len;
	int err, kube, devices;

	log_init("worker", (enum log_level)conf->log_level);
	confine(filter, broker, task);
	err = wire_recv(&wait, WS_ANY, &m);
	if (err == 0) /* broker stops */
		_exit(0);
	if (err < 0)
		log_fatal("task: %s", strerror(-err));
	wire_close(&wait);
	err = util_map_memfd(m.fds[1], WIRE_STDIN_MAX, &config, &len);
	if (err)
		log_fatal("cannot map the network configuration: %s", strerror(-err));
	kube = m.body.task.flags & OFFER_KUBE ? m.fds[2] : -1;
	devices = m.body.task.flags & OFFER_DEVICES ? m.fds[kube < 0 ? 2 : 3] : -1;
	priv_init(m.fds[0], kube, devices);
	verbs_run(conf, &m.body.task, config ? config : "", len);
	_exit(0);
}
