/* posternctl verify: what the kernel says of each process of the service, beside what this build
 * makes of it. Runs in: posternctl, as root.  Trusts: the kernel; the supervisor's facts for which
 * processes to look at, and for Landlock, which /proc does not show. */
#include "ctl/verify.h"

#include <cap-ng.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "ctl/proc.h"
#include "netpriv/channels.h"
#include "netpriv/facts.h"
#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

#define BIT(c)	 (1ull << (c))
#define MAX_ROWS 280
#define TEXT	 160

/* What netpriv/postern.c keeps: for itself, and in the bounding set for the roles' way down. */
#define SUPERVISOR_CAPS (BIT(CAP_CHOWN) | BIT(CAP_KILL) | BIT(CAP_NET_ADMIN))
#define SUPERVISOR_BOUNDING                                                                        \
	(SUPERVISOR_CAPS | BIT(CAP_SYS_ADMIN) | BIT(CAP_SETUID) | BIT(CAP_SETGID) |                \
	 BIT(CAP_SETPCAP))

struct expectation {
	enum role role;
	bool host; /* the supervisor's namespaces and root */
	bool no_new_privs;
	bool landlock;
	enum role fills;      /* the place in the set, as READY names it */
	unsigned forbidden;   /* kinds of descriptor, bit n = enum proc_kind n */
	unsigned directories; /* at most */
};

#define KIND(k)	  (1u << (k))
#define NET_KINDS (KIND(PROC_INET) | KIND(PROC_OTHER_SOCKET))
#define NO_HOST_KINDS                                                                              \
	(NET_KINDS | KIND(PROC_NETLINK) | KIND(PROC_FILE) | KIND(PROC_NSFS) | KIND(PROC_DEVICE))

static const struct expectation expected[] = {
    {ROLE_NETPRIV, true, true, true, ROLE_NETPRIV, NET_KINDS | KIND(PROC_DEVICE), 16},
    {ROLE_EXEC, true, false, false, ROLE_EXEC, NET_KINDS | KIND(PROC_NETLINK) | KIND(PROC_DEVICE), 1},
    {ROLE_BROKER, false, true, true, ROLE_BROKER, NO_HOST_KINDS, 0},
    {ROLE_STORE, false, true, true, ROLE_KUBE, NO_HOST_KINDS & ~KIND(PROC_FILE), 2},
    /* The API server's connection is handed to it; it has no network to make one in. */
    {ROLE_KUBE, false, true, true, ROLE_KUBE, NO_HOST_KINDS & ~KIND(PROC_INET), 0},
    {ROLE_DIAL, true, true, true, ROLE_DIAL, KIND(PROC_NETLINK) | KIND(PROC_NSFS) | KIND(PROC_DEVICE), 8},
    {ROLE_AUTOCONF, true, true, true, ROLE_AUTOCONF, NET_KINDS | KIND(PROC_NETLINK) | KIND(PROC_NSFS) | KIND(PROC_FILE) | KIND(PROC_DEVICE), 2},
    {ROLE_METRICS, false, true, true, ROLE_METRICS, NO_HOST_KINDS & ~KIND(PROC_INET), 0},
    {ROLE_DEVICES, false, true, true, ROLE_DEVICES, NO_HOST_KINDS, 4},
};

struct row {
	char role[16], check[24], found[TEXT], expected[TEXT];
	bool ok;
};

static struct row rows[MAX_ROWS];
static size_t n_rows;

static struct {
	struct facts facts;
	struct conf conf;
	pid_t pid;
	struct proc_status status; /* the supervisor's */
	uint64_t extra_caps;	   /* what the node's plugin table adds */
} service;

__attribute__((format(printf, 3, 4))) static struct row *
add_row(enum role role, const char *check, const char *fmt, ...)
{
	struct row *r = &rows[n_rows];
	va_list ap;

	if (++n_rows == MAX_ROWS)
		log_fatal("verify: more than %d rows", MAX_ROWS);
	snprintf(r->role, sizeof(r->role), "%s", role_name(role));
	snprintf(r->check, sizeof(r->check), "%s", check);
	va_start(ap, fmt);
	vsnprintf(r->found, sizeof(r->found), fmt, ap);
	va_end(ap);
	snprintf(r->expected, sizeof(r->expected), "any");
	r->ok = true;
	return r;
}

/* What the row should read; it is ok when it does. */
__attribute__((format(printf, 2, 3))) static void
want(struct row *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->expected, sizeof(r->expected), fmt, ap);
	va_end(ap);
	r->ok = strcmp(r->found, r->expected) == 0;
}

static void
failed(enum role role, const char *check, int err)
{
	add_row(role, check, "%s", strerror(-err))->ok = false;
}

static const char *
caps_text(uint64_t mask, char buf[TEXT])
{
	size_t n = 0;

	snprintf(buf, TEXT, mask ? "" : "none");
	for (unsigned c = 0; c < 64; c++) {
		const char *name = mask & BIT(c) ? capng_capability_to_name(c) : NULL;

		if ((mask & BIT(c)) && n < TEXT)
			n += (size_t)snprintf(buf + n, TEXT - n, "%s%s", n ? "," : "",
					      name ? name : "?");
	}
	if (n >= TEXT) /* too many for words */
		snprintf(buf, TEXT, "0x%llx", (unsigned long long)mask);
	return buf;
}

static void
check_ids(enum role role, const char *check, const uint32_t id[4], uint32_t wanted)
{
	if (id[0] == id[1] && id[0] == id[2] && id[0] == id[3])
		want(add_row(role, check, "%u", id[0]), "%u", wanted);
	else
		want(add_row(role, check, "%u %u %u %u", id[0], id[1], id[2], id[3]), "%u", wanted);
}

static void
check_caps(enum role role, const struct proc_status *st, uint64_t own, uint64_t bounding)
{
	static const char *const names[PROC_CAPS] = {"inheritable", "permitted", "effective",
						     "bounding", "ambient"};
	const uint64_t wanted[PROC_CAPS] = {0, own, own, bounding, 0};
	char have[TEXT], should[TEXT], check[24];

	for (unsigned i = 0; i < PROC_CAPS; i++) {
		snprintf(check, sizeof(check), "caps %s", names[i]);
		want(add_row(role, check, "%s", caps_text(st->caps[i], have)), "%s",
		     caps_text(wanted[i], should));
	}
}

/* exec binds pods' namespaces over their paths where nobody but its delegates sees it. */
static bool
shares_namespace(enum role role, const char *space, bool host)
{
	if (role == ROLE_EXEC && strcmp(space, "mnt") == 0)
		return false;
	return host || strcmp(space, "user") == 0;
}

static void
check_namespaces(enum role role, pid_t pid, bool host)
{
	static const char *const spaces[] = {"net", "mnt", "ipc", "uts", "user"};
	uint64_t ours, its;
	char check[24];

	for (size_t i = 0; i < ARRAY_LEN(spaces); i++) {
		int err = proc_namespace(service.pid, spaces[i], &ours)
			      ?: proc_namespace(pid, spaces[i], &its);

		snprintf(check, sizeof(check), "namespace %s", spaces[i]);
		if (err < 0)
			failed(role, check, err);
		else
			want(add_row(role, check, "%s", its == ours ? "supervisor's" : "own"), "%s",
			     shares_namespace(role, spaces[i], host) ? "supervisor's" : "own");
	}
}

static void
check_root(enum role role, pid_t pid, bool host)
{
	char text[TEXT];
	int err = proc_root(pid, text, sizeof(text));
	struct row *r;

	if (err < 0) {
		failed(role, "root", err);
		return;
	}
	r = add_row(role, "root", "%s", text);
	if (!host)
		want(r, "empty");
}

static void
check_descriptors(const struct expectation *e, pid_t pid)
{
	unsigned count[PROC_KINDS];
	int err = proc_descriptors(pid, count);
	struct row *r;
	size_t n = 0, x = 0;

	if (err < 0) {
		failed(e->role, "descriptors", err);
		return;
	}
	r = add_row(e->role, "descriptors", "none");
	x = (size_t)snprintf(r->expected, TEXT, "directory %s%u", e->directories ? "up to " : "",
			     e->directories);
	for (unsigned k = 0; k < PROC_KINDS; k++) {
		const char *name = proc_kind_name((enum proc_kind)k);

		if (count[k] > 0 && n < TEXT)
			n += (size_t)snprintf(r->found + n, TEXT - n, "%s%s %u", n ? ", " : "",
					      name, count[k]);
		if ((e->forbidden & KIND(k)) && x < TEXT)
			x += (size_t)snprintf(r->expected + x, TEXT - x, ", no %s", name);
		if ((e->forbidden & KIND(k)) && count[k] > 0)
			r->ok = false;
	}
	r->ok &= count[PROC_DIRECTORY] <= e->directories;
}

static void
check_label(enum role role, pid_t pid)
{
	char text[TEXT];

	proc_label(pid, text, sizeof(text));
	add_row(role, "apparmor", "%s",
		text); /* attached by the host's policy, which is the host's choice */
}

static void
check_filter(const struct expectation *e, const struct proc_status *st,
	     const struct msg_ready *ready)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0ul, 1u /* version */);
	bool nnp = e->no_new_privs || service.status.no_new_privs;

	want(add_row(e->role, "no_new_privs", "%u", st->no_new_privs), "%u", nnp);
	want(add_row(e->role, "seccomp mode", "%u", st->seccomp), "2");
	want(add_row(e->role, "seccomp filters", "%u", st->filters), "%u",
	     service.status.filters + 1);
	want(add_row(e->role, "system calls", "%u", ready->syscalls), "%u",
	     sandbox_syscalls(e->role));
	want(add_row(e->role, "landlock abi", "%u", ready->landlock_abi), "%ld",
	     e->landlock && abi > 0 ? abi : 0);
}

static void
check_role(const struct expectation *e, const struct facts_role *f)
{
	uint64_t caps = sandbox_caps(e->role) | (e->role == ROLE_EXEC ? service.extra_caps : 0);
	const struct conf *c = &service.conf;
	struct proc_status st;
	uint32_t uid = 0, gid = 0;
	int err;

	want(add_row(e->role, "state", f->pid > 0 ? "up" : "down"), "up");
	if (f->pid <= 0)
		return;
	err = proc_status(f->pid, &st);
	if (err < 0) {
		failed(e->role, "status", err);
		return;
	}
	if (e->role == ROLE_BROKER) {
		uid = c->broker_uid;
		gid = c->broker_gid;
	} else if (e->fills == ROLE_KUBE) {
		uid = c->kube_uid;
		gid = c->kube_gid;
	} else if (e->role == ROLE_METRICS) {
		uid = c->metrics_uid;
		gid = c->metrics_gid;
	}
	check_ids(e->role, "uid", st.uid, uid);
	check_ids(e->role, "gid", st.gid, gid);
	want(add_row(e->role, "groups", "%s", st.groups[0] ? st.groups : "none"), "none");
	check_caps(e->role, &st, caps, caps);
	check_filter(e, &st, &f->ready);
	check_namespaces(e->role, f->pid, e->host);
	check_root(e->role, f->pid, e->host);
	check_descriptors(e, f->pid);
	check_label(e->role, f->pid);
}

static void
check_supervisor(void)
{
	/* An inet socket is the one that it listens at for metrics. */
	const struct expectation e = {
	    ROLE_SUPERVISOR, true, false, false, ROLE_SUPERVISOR,
	    (service.conf.metrics_ip[0] ? KIND(PROC_OTHER_SOCKET) : NET_KINDS) | KIND(PROC_NETLINK), 16};
	static const char *const modes[] = {"enforce", "trap", "log"};
	const struct proc_status *st = &service.status;
	uint32_t mode = service.facts.sandbox;

	want(add_row(e.role, "sandbox mode", "%s", mode < ARRAY_LEN(modes) ? modes[mode] : "?"),
	     "enforce");
	add_row(e.role, "restarts", "%u", service.facts.restarts);
	check_ids(e.role, "uid", st->uid, 0);
	check_ids(e.role, "gid", st->gid, 0);
	check_caps(e.role, st, SUPERVISOR_CAPS, SUPERVISOR_BOUNDING | service.extra_caps);
	add_row(e.role, "no_new_privs", "%u", st->no_new_privs);
	add_row(e.role, "seccomp filters", "%u", st->filters);
	check_root(e.role, service.pid, true);
	check_descriptors(&e, service.pid);
	check_label(e.role, service.pid);
}

/* The listening socket's creator is the supervisor; connecting costs netpriv an accept and an end
 * of file. */
static pid_t
find_supervisor(const char *door)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer = {0};
	socklen_t len = sizeof(peer);

	if (fd < 0 || util_copy(a.sun_path, sizeof(a.sun_path), door) < 0)
		log_fatal("%s: cannot be a socket's path", door);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		if (errno == ENOENT || errno == ECONNREFUSED)
			log_fatal("Postern does not run: nobody listens at %s; start it, or name "
				  "its socket with --door",
				  door);
		log_fatal("%s: %s%s", door, strerror(errno),
			  errno == EACCES ? "; run this as root" : "");
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0)
		log_fatal(
		    "%s: the service cannot be seen from this PID namespace; run this on the host",
		    door);
	if (peer.uid != 0)
		log_fatal("%s: is not Postern's: its owner is uid %u", door, peer.uid);
	return peer.pid;
}

static void
read_memfd(const char *name, void *buf, size_t size)
{
	cleanup_close int fd = proc_memfd(service.pid, name);
	const uint32_t *head = buf;

	if (fd == -EACCES || fd == -EPERM)
		log_fatal("process %d may not be looked into: run this as root", service.pid);
	if (fd < 0)
		log_fatal("process %d does not publish %s: it is no supervisor of this version of "
			  "Postern",
			  service.pid, name);
	if (util_read_full(fd, buf, size) != (ssize_t)size || head[1] != size)
		log_fatal("process %d: %s is of another version; use the posternctl that was "
			  "installed with it",
			  service.pid, name);
}

static void
find_service(const char *door)
{
	int err;

	service.pid = find_supervisor(door);
	read_memfd(FACTS_NAME, &service.facts, sizeof(service.facts));
	read_memfd("postern-conf", &service.conf, sizeof(service.conf));
	if (service.facts.magic != FACTS_MAGIC || service.conf.magic != CONF_MAGIC ||
	    service.conf.n_plugins > CONF_PLUGINS)
		log_fatal("process %d does not publish what this version of Postern does",
			  service.pid);
	err = proc_status(service.pid, &service.status);
	if (err < 0)
		log_fatal("process %d: %s", service.pid, strerror(-err));
#define PLUGIN(name, extra) service.extra_caps |= (extra);
#include "netpriv/plugin.def"
#undef PLUGIN
	for (uint32_t i = 0; i < service.conf.n_plugins; i++)
		service.extra_caps |= service.conf.plugins[i].caps;
}

static void
print_table(void)
{
	size_t found = 5;

	for (size_t i = 0; i < n_rows; i++)
		if (strlen(rows[i].found) > found)
			found = strlen(rows[i].found);
	printf("%-10s %-17s %-3s %-*s %s\n", "ROLE", "CHECK", "OK", (int)found, "FOUND",
	       "EXPECTED");
	for (size_t i = 0; i < n_rows; i++)
		printf("%-10s %-17s %-3s %-*s %s\n", rows[i].role, rows[i].check,
		       rows[i].ok ? "yes" : "NO", (int)found, rows[i].found, rows[i].expected);
}

static void
print_json(void)
{
	json_t *all = json_array();

	for (size_t i = 0; i < n_rows; i++)
		if (json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s, s:b}", "role",
							 rows[i].role, "check", rows[i].check,
							 "found", rows[i].found, "expected",
							 rows[i].expected, "ok", rows[i].ok)) < 0)
			log_fatal("out of memory");
	json_dumpf(all, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(all);
}

int
verify_run(const char *door, bool json)
{
	size_t wrong = 0;

	find_service(door);
	check_supervisor();
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		const struct facts_role down = {0}, *f = &down;
		enum role role = expected[i].role;

		const char *program = channels_program(&service.conf, expected[i].fills - ROLE_NETPRIV);

		if (!program || strcmp(program, role_name(role)) != 0)
			continue;
		for (size_t n = 0; n < FACTS_ROLES; n++)
			if (service.facts.role[n].ready.role == expected[i].fills)
				f = &service.facts.role[n];
		check_role(&expected[i], f);
	}
	if (json)
		print_json();
	else
		print_table();
	for (size_t i = 0; i < n_rows; i++)
		wrong += !rows[i].ok;
	if (wrong > 0)
		log_error("verify: %zu of %zu checks differ from what this build expects", wrong,
			  n_rows);
	return wrong > 0;
}
