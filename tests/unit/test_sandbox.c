/* The confinement: tables that say what they mean, capability masks, and every role entered for
 * real and looked at from outside through /proc. What a role can still do from inside:
 * tests/seccomp/probe.c. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/filter.h"
#include "seccomp/sandbox.h"

#define ADMIN	 (1ull << CAP_NET_ADMIN | 1ull << CAP_SYS_ADMIN)
#define ROLE_UID 64870u

static const enum role tables[] = {ROLE_NETPRIV, ROLE_EXEC,   ROLE_BROKER,  ROLE_WORKER,
				   ROLE_KUBE,	 ROLE_READER, ROLE_DELEGATE, ROLE_DIAL, ROLE_AUTOCONF,
				   ROLE_METRICS, ROLE_DEVICES};

static bool
allows(enum role role, const char *call)
{
	const struct filter_table *t = filter_table(role);
	const struct filter_row *r;

	for (size_t i = 0; (r = filter_row(t, i)) != NULL; i++)
		if (r->deny == 0 && strcmp(r->call, call) == 0)
			return true;
	return false;
}

static void
test_tables_are_sound(void **state)
{
	const char *wrong, *where;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		assert_non_null(filter_table(tables[i]));
		wrong = filter_lint(filter_table(tables[i]), &where);
		if (wrong != NULL)
			fail_msg("table of %s, %s: %s", role_name(tables[i]), where, wrong);
		assert_true(sandbox_syscalls(tables[i]) > 0);
	}
	assert_null(filter_table(ROLE_SUPERVISOR));
	assert_int_equal(sandbox_syscalls(ROLE_SHIM), 0);
}

static void
test_lint_finds(void **state)
{
	static const struct filter_row dead[] = {ALLOW_IF("fcntl", "x", ARG_IS(1, F_GETFL)),
						 ALLOW("fcntl", "y")};
	static const struct filter_row twice[] = {ALLOW_IF("fcntl", "x", ARG_IS(1, F_GETFL)),
						  ALLOW_IF("fcntl", "y", ARG_IS(1, F_GETFL))};
	static const struct filter_row silent[] = {ALLOW("read", "")};
	static const struct filter_row typo[] = {ALLOW("raed", "x")};
	static const struct filter_row one_arg[] = {
	    ALLOW_IF2("fcntl", "x", ARG_IS(1, 1), ARG_IS(1, 2))};
	static const struct filter_part parts[] = {
	    {dead, 2}, {twice, 2}, {silent, 1}, {typo, 1}, {one_arg, 1},
	};
	const char *where;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct filter_table t = {ROLE_READER, 0, {&parts[i]}};

		assert_non_null(filter_lint(&t, &where));
		assert_string_equal(where, parts[i].rows[parts[i].n - 1].call);
	}
}

static void
test_nothing_dangerous(void **state)
{
	static const char *const calls[] = {
	    "ptrace",
	    "bpf",
	    "open_by_handle_at",
	    "io_uring_setup",
	    "io_uring_enter",
	    "process_vm_readv",
	    "process_vm_writev",
	    "process_madvise",
	    "userfaultfd",
	    "keyctl",
	    "add_key",
	    "request_key",
	    "perf_event_open",
	    "kexec_load",
	    "kexec_file_load",
	    "init_module",
	    "finit_module",
	    "delete_module",
	    "pivot_root",
	    "chroot",
	    "move_mount",
	    "open_tree",
	    "fsopen",
	    "fsmount",
	    "fsconfig",
	    "mount_setattr",
	    "swapon",
	    "swapoff",
	    "reboot",
	    "acct",
	    "clock_settime",
	    "settimeofday",
	    "clock_adjtime",
	    "adjtimex",
	    "sethostname",
	    "setdomainname",
	    "quotactl",
	    "iopl",
	    "ioperm",
	    "kcmp",
	    "pidfd_getfd",
	    "modify_ldt",
	    "syslog",
	    "vhangup",
	    "fanotify_init",
	    "lookup_dcookie",
	    "nfsservctl",
	    "clone3",
	    "memfd_secret",
	    "_sysctl",
	    "uselib",
	    "ustat",
	    "sysfs",
	};
	static const char *const never_plain[] = {"clone", "unshare", "setns",
						  "mount", "umount2", "socket", "personality"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		const struct filter_table *t = filter_table(tables[i]);
		const struct filter_row *r;

		for (size_t c = 0; c < ARRAY_LEN(calls); c++)
			if (allows(tables[i], calls[c]))
				fail_msg("table of %s allows %s", role_name(tables[i]), calls[c]);
		for (size_t n = 0; (r = filter_row(t, n)) != NULL; n++)
			for (size_t c = 0; c < ARRAY_LEN(never_plain); c++)
				if (strcmp(r->call, never_plain[c]) == 0 && r->args == 0)
					fail_msg("table of %s: %s needs a condition",
						 role_name(tables[i]), r->call);
	}
}

/* Filters stack: what a child's table allows is worth nothing where its parent's does not. */
static void
assert_within(enum role inner, enum role outer)
{
	const struct filter_row *r;

	for (size_t i = 0; (r = filter_row(filter_table(inner), i)) != NULL; i++)
		if (r->deny == 0 && !allows(outer, r->call))
			fail_msg("%s allows %s, %s does not", role_name(inner), r->call,
				 role_name(outer));
}

static void
test_walls(void **state)
{
	static const enum role blind[] = {ROLE_BROKER, ROLE_WORKER, ROLE_READER, ROLE_METRICS};
	static const char *const paths[] = {"open",   "openat",	  "openat2", "creat",
					    "execve", "execveat", "connect"};

	(void)state;
	assert_within(ROLE_DELEGATE, ROLE_EXEC);
	assert_within(ROLE_WORKER, ROLE_BROKER);
	for (size_t i = 0; i < ARRAY_LEN(blind); i++)
		for (size_t c = 0; c < ARRAY_LEN(paths); c++)
			assert_false(allows(blind[i], paths[c]));
	assert_true(allows(ROLE_STORE, "openat2"));
	assert_false(allows(ROLE_STORE, "openat"));
	assert_false(allows(ROLE_NETPRIV, "clone") || allows(ROLE_NETPRIV, "execve") ||
		     allows(ROLE_NETPRIV, "connect"));
	/* Root, in the host's network: it may look and connect, and nothing else. */
	assert_false(allows(ROLE_DIAL, "execve") || allows(ROLE_DIAL, "kill") || allows(ROLE_DIAL, "bind") ||
		     allows(ROLE_DIAL, "listen") || allows(ROLE_DIAL, "accept4") || allows(ROLE_DIAL, "unlinkat") ||
		     allows(ROLE_DIAL, "renameat") || allows(ROLE_DIAL, "mkdirat") || allows(ROLE_DIAL, "setns") ||
		     allows(ROLE_DIAL, "pidfd_send_signal"));
	assert_within(ROLE_READER, ROLE_DIAL);
	/* Root, with files: no network at all, and nothing is executed. */
	assert_false(allows(ROLE_AUTOCONF, "execve") || allows(ROLE_AUTOCONF, "kill") || allows(ROLE_AUTOCONF, "connect") ||
		     allows(ROLE_AUTOCONF, "setns") || allows(ROLE_AUTOCONF, "mkdirat") || allows(ROLE_AUTOCONF, "linkat"));
	assert_within(ROLE_READER, ROLE_AUTOCONF);
	/* Root as well, but with files beneath held directories only, and no network. */
	assert_false(allows(ROLE_DEVICES, "execve") || allows(ROLE_DEVICES, "kill") || allows(ROLE_DEVICES, "bind") ||
		     allows(ROLE_DEVICES, "listen") || allows(ROLE_DEVICES, "accept4") || allows(ROLE_DEVICES, "openat") ||
		     allows(ROLE_DEVICES, "setns") || allows(ROLE_DEVICES, "chmod") || allows(ROLE_DEVICES, "mknodat") ||
		     allows(ROLE_DEVICES, "pidfd_send_signal"));
	assert_within(ROLE_READER, ROLE_DEVICES);
	assert_false(allows(ROLE_WORKER, "clone") || allows(ROLE_KUBE, "clone") ||
		     allows(ROLE_READER, "clone") || allows(ROLE_METRICS, "clone"));
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		bool plugins = tables[i] == ROLE_EXEC || tables[i] == ROLE_DELEGATE;

		assert_int_equal(allows(tables[i], "socket"),
				 plugins || tables[i] == ROLE_NETPRIV || tables[i] == ROLE_DIAL ||
				     tables[i] == ROLE_DEVICES);
		assert_int_equal(allows(tables[i], "socketpair"),
				 plugins || tables[i] == ROLE_NETPRIV || tables[i] == ROLE_BROKER);
	}
}

static void
test_masks(void **state)
{
	(void)state;
	assert_int_equal(sandbox_caps(ROLE_NETPRIV), ADMIN);
	assert_int_equal(sandbox_caps(ROLE_EXEC), ADMIN);
	assert_int_equal(sandbox_caps(ROLE_BROKER), 0);
	assert_int_equal(sandbox_caps(ROLE_WORKER), 0);
	assert_int_equal(sandbox_caps(ROLE_KUBE), 0);
	assert_int_equal(sandbox_caps(ROLE_READER), 0);
	assert_int_equal(sandbox_caps(ROLE_DIAL), 0);
	assert_int_equal(sandbox_caps(ROLE_AUTOCONF), 0);
	assert_int_equal(sandbox_caps(ROLE_METRICS), 0);
	assert_int_equal(sandbox_caps(ROLE_DEVICES), 0);
}

static void
test_compiles(void **state)
{
	struct sock_fprog prog;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		for (enum conf_sandbox mode = CONF_ENFORCE; mode <= CONF_LOG; mode++) {
			sandbox_compile(tables[i], mode, &prog);
			assert_true(prog.len > 4);
			free(prog.filter);
		}
	}
}

/* A child that runs body, says so and waits; its /proc/<pid>/status goes into text. */
static pid_t
start_child(void (*body)(const void *), const void *arg, char *text, size_t size)
{
	int up[2], never[2];
	pid_t pid;
	char path[64], byte = 0;
	ssize_t n;

	assert_int_equal(pipe(up) | pipe(never), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		body(arg);
		if (write(up[1], "x", 1) != 1)
			_exit(1);
		_exit(read(never[0], &byte, 1) != 0); /* killed by the test */
	}
	close(up[1]);
	close(never[0]);
	close(never[1]);
	n = read(up[0], &byte, 1);
	close(up[0]);
	if (n != 1) {
		waitpid(pid, NULL, 0);
		fail_msg("the child did not get confined");
	}
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	up[0] = open(path, O_RDONLY);
	n = util_read_full(up[0], text, size - 1);
	assert_true(n > 0);
	text[n] = '\0';
	close(up[0]);
	return pid;
}

static void
end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

__attribute__((format(printf, 2, 3))) static void
assert_line(const char *status, const char *fmt, ...)
{
	char line[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (strstr(status, line) == NULL)
		fail_msg("not in status: %s", line);
}

static void
assert_namespace(pid_t pid, const char *which, bool own)
{
	char path[64];
	struct stat mine, its;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, which);
	assert_int_equal(stat(path, &its), 0);
	snprintf(path, sizeof(path), "/proc/self/ns/%s", which);
	assert_int_equal(stat(path, &mine), 0);
	assert_int_equal(mine.st_ino != its.st_ino, own);
}

static void
enter_role(const void *arg)
{
	struct sandbox s = {.role = *(const enum role *)arg, .max_fd = 64};
	struct sandbox_facts facts;

	if (s.role != ROLE_NETPRIV && s.role != ROLE_EXEC && s.role != ROLE_DIAL && s.role != ROLE_AUTOCONF &&
	    s.role != ROLE_DEVICES)
		s.uid = s.gid = ROLE_UID;
	if (s.role == ROLE_EXEC)
		s.exec_caps = 1ull << CAP_NET_RAW;
	sandbox_enter(&s, &facts);
	if (facts.filters != 1 || facts.syscalls != sandbox_syscalls(s.role))
		_exit(1);
}

static void
test_enter(void **state)
{
	static const enum role roles[] = {ROLE_NETPRIV, ROLE_EXEC, ROLE_BROKER, ROLE_KUBE,
					  ROLE_READER, ROLE_DIAL, ROLE_AUTOCONF, ROLE_METRICS, ROLE_DEVICES};
	static const char *const spaces[] = {"net", "mnt", "ipc", "uts"};
	char text[8192];

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		pid_t pid = start_child(enter_role, &roles[i], text, sizeof(text));
		bool host = roles[i] == ROLE_NETPRIV || roles[i] == ROLE_EXEC || roles[i] == ROLE_DIAL ||
			    roles[i] == ROLE_AUTOCONF;
		uint64_t caps =
		    sandbox_caps(roles[i]) | (roles[i] == ROLE_EXEC ? 1ull << CAP_NET_RAW : 0);
		unsigned id = host || roles[i] == ROLE_DEVICES ? 0 : ROLE_UID;

		assert_line(text, "\nUid:\t%u\t%u\t%u\t%u\n", id, id, id, id);
		assert_line(text, "\nGid:\t%u\t%u\t%u\t%u\n", id, id, id, id);
		assert_line(text, "\nGroups:\t \n");
		assert_line(text, "\nCapInh:\t%016x\n", 0);
		assert_line(text, "\nCapPrm:\t%016llx\n", (unsigned long long)caps);
		assert_line(text, "\nCapEff:\t%016llx\n", (unsigned long long)caps);
		assert_line(text, "\nCapBnd:\t%016llx\n", (unsigned long long)caps);
		assert_line(text, "\nCapAmb:\t%016x\n", 0);
		assert_line(text, "\nNoNewPrivs:\t%d\n", roles[i] != ROLE_EXEC);
		assert_line(text, "\nSeccomp:\t2\n");
		for (size_t n = 0; n < ARRAY_LEN(spaces); n++)
			assert_namespace(pid, spaces[n], !host);
		end_child(pid);
	}
}

/* A plugin's mask holds over exec, although uid 0's bounding set is wider: no_new_privs cuts it. */
static void
test_delegate_mask(void **state)
{
	enum role role = ROLE_EXEC;
	char text[8192] = "";
	int out[2], status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(pipe(out), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct sock_fprog prog;

		sandbox_compile(ROLE_DELEGATE, CONF_ENFORCE, &prog);
		enter_role(&role);
		if (dup2(out[1], 1) < 0 || sandbox_delegate_caps(1ull << CAP_NET_ADMIN) < 0 ||
		    sandbox_load(&prog) < 0)
			_exit(1);
		execlp("sh", "sh", "-c", "cat /proc/self/status", (char *)NULL);
		_exit(2);
	}
	close(out[1]);
	assert_true(util_read_full(out[0], text, sizeof(text) - 1) > 0);
	close(out[0]);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_line(text, "\nCapInh:\t%016x\n", 0);
	assert_line(text, "\nCapPrm:\t%016llx\n", 1ull << CAP_NET_ADMIN);
	assert_line(text, "\nCapEff:\t%016llx\n", 1ull << CAP_NET_ADMIN);
	assert_line(text, "\nCapAmb:\t%016x\n", 0);
	assert_line(text, "\nNoNewPrivs:\t1\n");
	assert_line(text, "\nSeccomp_filters:\t");
}

/* Nobody listens on either port: the one that is granted says so, the other is not even asked. */
static void
test_ports(void **state)
{
	static const struct sandbox s = {.role = ROLE_DIAL, .max_fd = 64, .ports = {1, 2}, .n_ports = 2};
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		struct sandbox_facts facts;
		int bad = 0;

		sandbox_enter(&s, &facts);
		for (uint16_t port = 1; port <= 3; port++) {
			int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

			to.sin_port = htons(port);
			bad += connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ||
			       errno != (port == 3 && facts.landlock_abi >= 4 ? EACCES : ECONNREFUSED);
		}
		syscall(SYS_exit_group, bad); /* a sanitizer does more in _exit() than the filter lets it */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Whoever asks for the impossible is ended, never left unconfined. */
static void
test_fails_closed(void **state)
{
	static const struct sandbox wrong[] = {
	    {.role = ROLE_BROKER, .max_fd = 64},		     /* as root */
	    {.role = ROLE_BROKER, .uid = ROLE_UID, .gid = ROLE_UID}, /* no descriptors */
	    {.role = ROLE_WORKER,
	     .uid = ROLE_UID,
	     .gid = ROLE_UID,
	     .max_fd = 64}, /* forked, not entered */
	    {.role = ROLE_SUPERVISOR, .max_fd = 64},
	    {.role = ROLE_NETPRIV, .max_fd = 64, .paths = {{999, SANDBOX_READ}}, .n_paths = 1},
	    {.role = ROLE_NETPRIV, .max_fd = 64, .n_paths = SANDBOX_PATHS + 1},
	    {.role = ROLE_DIAL, .max_fd = 64, .n_ports = 3},
	};
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			sandbox_enter(&wrong[i], NULL);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tables_are_sound),
	    cmocka_unit_test(test_lint_finds),
	    cmocka_unit_test(test_nothing_dangerous),
	    cmocka_unit_test(test_walls),
	    cmocka_unit_test(test_masks),
	    cmocka_unit_test(test_compiles),
	    cmocka_unit_test(test_enter),
	    cmocka_unit_test(test_delegate_mask),
	    cmocka_unit_test(test_ports),
	    cmocka_unit_test(test_fails_closed),
	};

	log_init("test", LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
