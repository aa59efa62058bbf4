/* sandbox_enter(): one function, one order, and then the kernel's own account of what came of it.
 * Runs in: netpriv, exec, broker, kube, reader, while still root.  Trusts: its caller's constants.
 * Source: proc_pid_status(5), prctl(2), setrlimit(2). */
#include "seccomp/sandbox.h"

#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/steps.h"

#define STATUS_MAX 8192

/* What sandbox_enter() does for a role beyond what it does for all. */
struct role_plan {
	enum role role;
	bool as_root; /* may keep uid or gid 0 */
	bool leave_host; /* own namespaces, empty root */
	bool no_new_privs;
	bool landlock;
	bool root_exec; /* programs that it executes keep its capabilities */
};

static const struct role_plan plans[] = {
    /* Lives with the host's mounts: runtimes name network namespaces that appear there later.
       Executes nothing. */
    {ROLE_NETPRIV, true, false, true, true, false},
    /* Plugins are entitled to the host, and may yet change their AppArmor label at exec:
       no_new_privs would forbid it. */
    {ROLE_EXEC, true, false, false, false, true},
    {ROLE_BROKER, false, true, true, true, false},
    {ROLE_KUBE, false, true, true, true, false},
    {ROLE_STORE, false, true, true, true, false},
    /* Root's files and the host's network are what it is there for, by Landlock's leave. Executes nothing. */
    {ROLE_DIAL, true, false, true, true, false},
    {ROLE_READER, false, true, true, true, false},
    /* The kubelet's socket and files are root's; but no path leads to any other socket of root's. */
    {ROLE_DEVICES, true, true, true, true, false},
    /* The runtime's configuration directory is root's. Executes nothing. */
    {ROLE_AUTOCONF, true, false, true, true, false},
    {ROLE_METRICS, false, true, true, true, false},
};

void
sandbox_close_fds(unsigned first_free)
{
	if (syscall(SYS_close_range, first_free, ~0u, 0u) < 0)
		log_fatal("sandbox: closing inherited descriptors: %s", strerror(errno));
}

static const struct role_plan *
find_plan(const struct sandbox *s)
{
	for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
		if (plans[i].role != s->role)
			continue;
		if ((s->uid == 0 || s->gid == 0) && !plans[i].as_root)
			log_fatal("sandbox: role %s must not run as root", role_name(s->role));
		if (s->max_fd == 0 || s->n_paths > SANDBOX_PATHS || s->n_ports > ARRAY_LEN(s->ports))
			log_fatal("sandbox: role %s: max_fd, n_paths or n_ports is wrong",
				  role_name(s->role));
		return &plans[i];
	}
	log_fatal("sandbox: role %s enters no sandbox of its own", role_name(s->role));
}

/* Reads /proc/self/status through a descriptor opened while that was possible; the text is made at
 * each read from 0. */
static void
read_status(int fd, char buf[STATUS_MAX])
{
	ssize_t n = util_read_full(fd, buf, STATUS_MAX - 1);

	if (n < 0)
		log_fatal("sandbox: /proc/self/status: %s", strerror((int)-n));
	buf[n] = '\0';
	for (char *p = buf;
	     (p = strstr(p, " \n")) != NULL;) /* "Groups:" ends with a blank when empty */
		memmove(p, p + 1, strlen(p));
}

__attribute__((format(printf, 2, 3))) static void
expect_line(const char *status, const char *fmt, ...)
{
	char line[128];
	va_list ap;

	va_start(ap, fmt);
	line[0] = '\n';
	vsnprintf(line + 1, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (strstr(status, line) == NULL)
		log_fatal("sandbox: the kernel does not confirm \"%.*s\"",
			  (int)strcspn(line + 1, "\n"), line + 1);
}

static void
set_limit(int what, const char *name, rlim_t value)
{
	struct rlimit want = {value, value}, have = {0, 0};

	if (setrlimit((__rlimit_resource_t)what, &want) < 0)
		log_fatal("sandbox: limit %s=%llu: %s", name, (unsigned long long)value,
			  strerror(errno));
	if (getrlimit((__rlimit_resource_t)what, &have) < 0 || have.rlim_cur != value ||
	    have.rlim_max != value)
		log_fatal("sandbox: limit %s did not take", name);
}

/* A closed stdin, stdout or stderr would let the next descriptor opened stand in for it. */
static void
check_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			log_fatal("sandbox: descriptor %d must be open", fd);
}

static void
set_process(const struct role_plan *plan, pid_t parent)
{
	if (prctl(PR_SET_DUMPABLE, 0ul, 0ul, 0ul, 0ul) < 0 ||
	    prctl(PR_GET_DUMPABLE, 0ul, 0ul, 0ul, 0ul) != 0)
		log_fatal("sandbox: not dumpable: %s", strerror(errno));
	if (plan->role == ROLE_EXEC && prctl(PR_SET_CHILD_SUBREAPER, 1ul, 0ul, 0ul, 0ul) < 0)
		log_fatal("sandbox: reaper of the plugins' children: %s", strerror(errno));
	/* Behind the change of identity, which clears it; the parent may have died before it. */
	if (prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0ul, 0ul, 0ul) < 0)
		log_fatal("sandbox: parent-death signal: %s", strerror(errno));
	if (getppid() != parent)
		log_fatal("sandbox: the supervisor is gone");
	if (plan->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1ul, 0ul, 0ul, 0ul) < 0)
		log_fatal("sandbox: no_new_privs: %s", strerror(errno));
}

/* Trap mode, for developers: name the call, then die of it. Not async-signal-safe, which that mode
 * may be. */
static void
name_call(int sig, siginfo_t *info, void *context)
{
	char *name = seccomp_syscall_resolve_num_arch(info->si_arch, info->si_syscall);

	(void)sig;
	(void)context;
	log_error("sandbox: system call %s (%d) is not in this role's table", name ? name : "?",
		  info->si_syscall);
	_exit(159);
}

static void
load_filter(const struct sandbox *s, const struct sock_fprog *prog)
{
	struct sigaction trap = {.sa_sigaction = name_call, .sa_flags = SA_SIGINFO};
	int err;

	if (s->mode == CONF_TRAP && sigaction(SIGSYS, &trap, NULL) < 0)
		log_fatal("sandbox: SIGSYS handler: %s", strerror(errno));
	err = sandbox_load(prog);
	if (err < 0)
		log_fatal("sandbox: filter of %s: %s", role_name(s->role), strerror(-err));
}

static void
verify_status(const struct sandbox *s, bool no_new_privs, uint64_t caps, unsigned filters, int fd)
{
	char status[STATUS_MAX];

	read_status(fd, status);
	expect_line(status, "Uid:\t%u\t%u\t%u\t%u\n", s->uid, s->uid, s->uid, s->uid);
	expect_line(status, "Gid:\t%u\t%u\t%u\t%u\n", s->gid, s->gid, s->gid, s->gid);
	expect_line(status, "Groups:\t\n");
	expect_line(status, "CapInh:\t%016llx\n", 0ull);
	expect_line(status, "CapPrm:\t%016llx\n", (unsigned long long)caps);
	expect_line(status, "CapEff:\t%016llx\n", (unsigned long long)caps);
	expect_line(status, "CapBnd:\t%016llx\n", (unsigned long long)caps);
	expect_line(status, "CapAmb:\t%016llx\n", 0ull);
	expect_line(status, "NoNewPrivs:\t%u\n", no_new_privs);
	expect_line(status, "Seccomp:\t2\n");
	expect_line(status, "Seccomp_filters:\t%u\n", filters);
}

void
sandbox_enter(const struct sandbox *s, struct sandbox_facts *facts)
{
	const struct role_plan *plan = find_plan(s);
	uint64_t caps = sandbox_caps(s->role) | (s->role == ROLE_EXEC ? s->exec_caps : 0);
	cleanup_close int status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	pid_t parent = getppid();
	char before[STATUS_MAX];
	struct sock_fprog prog;
	unsigned filters = 0, calls = sandbox_syscalls(s->role);
	uint32_t abi = 0;

	/* While files can be opened: what the last step reads, and libseccomp's own look at the
	 * kernel. */
	if (status < 0)
		log_fatal("sandbox: /proc/self/status: %s", strerror(errno));
	read_status(status, before);
	expect_line(before, "Threads:\t1\n"); /* everything below is a thread's own */
	if (sscanf(strstr(before, "\nSeccomp_filters:") ?: "", "\nSeccomp_filters: %u", &filters) !=
		1 ||
	    lseek(status, 0, SEEK_SET) != 0)
		log_fatal(
		    "sandbox: this kernel does not count seccomp filters; 5.10 or newer is needed");
	sandbox_compile(s->role, s->mode, &prog);

	umask(077);
	set_limit(RLIMIT_NOFILE, "NOFILE", s->max_fd);
	set_limit(RLIMIT_CORE, "CORE", 0); /* memory holds tokens and configurations */
	set_limit(RLIMIT_MEMLOCK, "MEMLOCK", 0);
	/* AppArmor: the profile attached itself at exec; a process without one is not stopped here.
	 */
	if (plan->leave_host) { /* needs root: before the identity goes */
		root_cut(s->paths, s->n_paths);
		root_leave();
	}
	check_descriptors();
	caps_drop(s->uid, s->gid, caps, plan->root_exec);
	if (plan->leave_host)
		root_reopen(s->paths, s->n_paths);
	set_process(plan, parent);
	if (plan->landlock) /* needs no_new_privs; a filter would forbid it */
		abi = landlock_confine(s);
	load_filter(s, &prog); /* last: nothing above is in any table */
	/* no_new_privs may have come from whoever started the service: then exec has it too. */
	verify_status(s, plan->no_new_privs || strstr(before, "\nNoNewPrivs:\t1\n") != NULL, caps,
		      filters + 1, status);
	if (facts != NULL)
		*facts = (struct sandbox_facts){abi, calls, 1};
	free(prog.filter);
}

void
sandbox_report(struct wire *control, const struct sandbox_facts *facts)
{
	struct msg_ready ready = { .role = (uint32_t)control->self,
				   .landlock_abi = facts->landlock_abi,
				   .syscalls = facts->syscalls,
				   .filters = facts->filters };

	if (wire_send(control, MSG_READY, 0, &ready, NULL, 0) < 0)
		log_fatal("supervisor: cannot be reached");
}
