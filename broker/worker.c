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

/* Closes all but 0-2 and the worker's own, wherever these are. */
static void
close_others(const struct worker *w)
{
	unsigned from = 3;

	for (;;) {
		int next = -1;
		const int own[] = { w->channel, w->config, w->kube };

		for (size_t i = 0; i < ARRAY_LEN(own); i++)
			if (own[i] >= (int)from && (next < 0 || own[i] < next))
				next = own[i];
		if (next < 0)
			break;
		if ((unsigned)next > from && close_range(from, (unsigned)next - 1, 0))
			log_fatal("close_range: %s", strerror(errno));
		from = (unsigned)next + 1;
	}
	if (close_range(from, ~0u, 0))
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

void
worker_run(const struct conf *conf, const struct sock_fprog *filter, const struct msg_offer *offer,
	   pid_t broker, const struct worker *w)
{
	void *config;
	size_t len;
	int err;

	log_init("worker", (enum log_level)conf->log_level);
	/* Without broker nobody would notice that it hangs. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != broker)
		log_fatal("broker is gone");
	prctl(PR_SET_NAME, "postern-worker");
	close_others(w);
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
	err = util_map_memfd(w->config, WIRE_STDIN_MAX, &config, &len);
	if (err)
		log_fatal("cannot map the network configuration: %s", strerror(-err));
	priv_init(w->channel, w->kube);
	verbs_run(conf, offer, config ? config : "", len);
	_exit(0);
}
