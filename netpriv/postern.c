/* postern: the supervisor. Reads the configuration through a reader without privilege, makes the
 * door and every channel, starts the roles, restarts them as a set.
 * Runs in: supervisor, root.  Trusts: its command line, and files that only root can write.
 * Reads no untrusted byte.
 *
 * It has no seccomp filter: filters pass through fork and exec and only ever narrow, so one of its
 * own would bind the delegates too. What it has instead is few capabilities, no input, and no code
 * that parses. */
#include <cap-ng.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "netpriv/channels.h"
#include "netpriv/log.h"
#include "netpriv/readers.h"
#include "netpriv/supervise.h"
#include "netpriv/trust.h"
#include "netpriv/util.h"

#define CONFIG "/etc/postern/postern.json"

struct options {
	const char *config, *libexec;
	bool check;
};

static void
print_help(FILE *out)
{
	fputs("usage: postern [--config FILE] [--libexec DIR]\n"
	      "       postern --check-config FILE [--libexec DIR]\n"
	      "  --config FILE        node configuration (" CONFIG ")\n"
	      "  --check-config FILE  say whether FILE is usable, start nothing\n"
	      "  --libexec DIR        where the role binaries are (" POSTERN_LIBEXEC ")\n"
	      "  --version, --help\n",
	      out);
}

static void
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"check-config", required_argument, NULL, 'k'},
	    {"libexec", required_argument, NULL, 'l'},
	    {"version", no_argument, NULL, 'v'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	*o = (struct options){.config = CONFIG, .libexec = POSTERN_LIBEXEC};
	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'k':
			o->check = true;
			__attribute__((fallthrough));
		case 'c':
			o->config = optarg;
			break;
		case 'l':
			o->libexec = optarg;
			break;
		case 'v':
			puts("postern " POSTERN_VERSION);
			exit(0);
		case 'h':
			print_help(stdout);
			exit(0);
		default:
			print_help(stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		print_help(stderr);
		exit(2);
	}
}

/* Descriptors 0 to 2 are ours whatever we were started with, and there are no others. */
static void
tidy_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (close_range(3, ~0u, 0) < 0)
		log_fatal("close_range: %s", strerror(errno));
}

/* Dispositions that were ignored stay so over exec, and an ignored signal never reaches a signalfd.
 */
static void
tidy_signals(void)
{
	static const int ours[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
	sigset_t set;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		sigaddset(&set, ours[i]);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

/* Our own permitted and effective set, and the bounding set that is the most any descendant can
 * have. */
static void
drop_caps(uint64_t plugins)
{
	static const struct {
		unsigned cap;
		bool own; /* also for ourselves; else for the roles' way down only */
	} keep[] = {
		{ CAP_CHOWN, true },	  /* <store>/status becomes kube's */
		{ CAP_KILL, true },	  /* roles run under users of their own */
		{ CAP_NET_ADMIN, true },  /* SO_SNDBUFFORCE; netpriv's and delegates' work */
		{ CAP_SYS_ADMIN, false }, /* the roles' namespaces and filters; setns into pods */
		{ CAP_SETUID, false },	  /* broker, kube, reader take their users */
		{ CAP_SETGID, false },	  /* and groups */
		{ CAP_SETPCAP, false },	  /* each role empties its own bounding set */
	};

	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < ARRAY_LEN(keep); i++)
		capng_update(CAPNG_ADD,
			     keep[i].own ? CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET
					 : CAPNG_BOUNDING_SET,
			     keep[i].cap);
	/* Delegates' extras, through exec: the node's configuration names them. */
	for (unsigned cap = 0; cap < 64; cap++) {
		if ((plugins & 1ull << cap) == 0)
			continue;
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 1)
			log_fatal("plugins: capability %s is not to be had here: add it to the "
				  "service's bounding set",
				  capng_capability_to_name(cap));
		capng_update(CAPNG_ADD, CAPNG_BOUNDING_SET, cap);
	}
	for (size_t i = 0; i < ARRAY_LEN(keep); i++)
		if (prctl(PR_CAPBSET_READ, keep[i].cap, 0, 0, 0) != 1)
			log_fatal("capability %s is not to be had here: start postern as root with "
				  "it in the bounding set",
				  capng_capability_to_name(keep[i].cap));
	if (capng_apply(CAPNG_SELECT_ALL) != 0)
		log_fatal("cannot drop capabilities: %s", strerror(errno));
}

/* The role binaries are executed with our privilege: as trusted as the configuration. */
static void
check_binary(const char *libexec, const char *name)
{
	char path[PATH_MAX], why[512];
	int fd;

	snprintf(path, sizeof(path), "%s/postern-%s", libexec, name);
	fd = trust_open(path, O_RDONLY | O_NONBLOCK, 0, why, sizeof(why));
	if (fd < 0)
		log_fatal("%s (--libexec says where the role binaries are)", why);
	close(fd);
}

static int
check_config(const struct options *o)
{
	static struct conf c;
	char why[512];

	if (readers_conf(o->libexec, o->config, &c, why, sizeof(why)) < 0) {
		log_error("%s", why);
		return 1;
	}
	for (uint32_t i = 0; i < c.n_warnings; i++)
		log_warn("%s: %s", o->config, c.warnings[i]);
	printf("%s: ok\n", o->config);
	return 0;
}

int
main(int argc, char **argv)
{
	static const enum role roles[] = { ROLE_NETPRIV, ROLE_EXEC, ROLE_BROKER, ROLE_KUBE, ROLE_STORE, ROLE_DIAL,
					   ROLE_DEVICES, ROLE_AUTOCONF, ROLE_METRICS };
	static struct supervise s;
	struct options o;
	char why[512];

	log_init("postern", LOG_INFO);
	parse_options(argc, argv, &o);
	if (geteuid() != 0 || getuid() != 0)
		log_fatal("must be started as root: it starts the roles, which give up what they "
			  "do not need");
	umask(077);
	tidy_fds();
	tidy_signals();
	check_binary(o.libexec, "readconf");
	if (o.check)
		return check_config(&o);

	/* All of them: a configuration that is read again may have a use for others. */
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		check_binary(o.libexec, role_name(roles[i]));
	s.config = o.config;
	s.libexec = o.libexec;
	if (readers_conf(s.libexec, s.config, &s.conf, why, sizeof(why)) < 0 ||
	    channels_log(s.config, &s.conf, why, sizeof(why)) < 0)
		log_fatal("%s", why);
	s.caps = supervise_caps(&s.conf);
	drop_caps(s.caps);
	/* Not readable or traceable by what we start under our own uid. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		log_fatal("prctl(PR_SET_DUMPABLE): %s", strerror(errno));
	/* What delegates started comes to us when exec dies: supervise.c ends it before the next set begins. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		log_fatal("prctl(PR_SET_CHILD_SUBREAPER): %s", strerror(errno));
	return supervise_run(&s);
}
