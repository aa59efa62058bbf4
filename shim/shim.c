/* The CNI binary: turns a runtime's call into one ATTACH, waits for one RESULT, prints it, exits.
 * Runs in: the runtime's context, as root, short-lived.
 * Links libc only and never looks inside the configuration.
 * Trusts: its environment as far as root's word goes (every field is checked), /etc/postern/door
 * when only root can write it.  Source: CNI spec 1.1.0; unix(7), ioctl_ns(2). */
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>

#include "netpriv/check.h"
#include "netpriv/util.h"
#include "netpriv/wire.h"
#include "shim/cniargs.h"
#include "shim/spool.h"

#define VERSIONS      "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"
#define DOOR_FILE     "/etc/postern/door"
#define DOOR_DEFAULT  "/run/postern/postern.sock"
#define DOOR_WAIT_MS  30000 /* ADD, CHECK, GC: for the service to start or come back */
#define DOOR_DEL_MS   2000  /* DEL: then it goes to the spool */
#define DOOR_RETRY_MS 50

struct call {
	struct msg_attach attach;
	char door[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *config; /* what stdin said */
	size_t config_len;
	int memfd, netns; /* netns -1: none */
};

static void
put_json_string(FILE *out, const char *s)
{
	fputc('"', out);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			/* A byte, not a character: what is shown stays valid JSON whatever the text
			 * was. */
			fprintf(out, "\\\\x%02x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

/* Prints a CNI error and ends the process. */
__attribute__((noreturn, format(printf, 2, 3))) static void
fail(unsigned code, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("{\n    \"code\": %u,\n    \"msg\": ", code);
	put_json_string(stdout, text);
	fputs("\n}", stdout);
	fflush(stdout);
	_exit(1);
}

static void
answer_alone(int argc, char **argv, const char *verb)
{
	static const char *const versions[] = {VERSIONS};
	const bool asked =
	    argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0);

	if (asked) {
		puts("postern-shim " POSTERN_VERSION);
		exit(0);
	}
	if (!verb[0]) {
		fputs("postern: gives pods several networks; a container runtime calls it as a CNI "
		      "plugin\n"
		      "CNI versions:",
		      stderr);
		for (size_t i = 0; i < ARRAY_LEN(versions); i++)
			fprintf(stderr, "%s %s", i ? "," : "", versions[i]);
		fputc('\n', stderr);
		exit(0);
	}
	if (strcmp(verb, "VERSION") != 0)
		return;
	fputs("{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[", stdout);
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		printf("%s\"%s\"", i ? "," : "", versions[i]);
	puts("]}");
	exit(fflush(stdout) == 0 ? 0 : 1);
}

static const char *
env(const char *name)
{
	const char *v = getenv(name);

	return v ? v : "";
}

static unsigned
parse_verb(const char *verb)
{
	for (unsigned v = CNI_ADD; v < CNI_VERB_COUNT; v++)
		if (strcmp(verb, cni_verb_name(v)) == 0)
			return v;
	fail(CNI_ERR_ENV, "CNI_COMMAND: \"%.32s\" is none of ADD, DEL, CHECK, GC, STATUS, VERSION",
	     verb);
}

static void
require_env(unsigned verb)
{
	static const struct {
		const char *name;
		unsigned verbs;
	} required[] = {
	    {"CNI_CONTAINERID", 1u << CNI_ADD | 1u << CNI_CHECK | 1u << CNI_DEL},
	    {"CNI_NETNS", 1u << CNI_ADD | 1u << CNI_CHECK},
	    {"CNI_IFNAME", 1u << CNI_ADD | 1u << CNI_CHECK | 1u << CNI_DEL},
	    {"CNI_PATH", ~0u},
	};
	char missing[128] = "";

	for (size_t i = 0; i < ARRAY_LEN(required); i++) {
		if ((required[i].verbs & 1u << verb) == 0 || env(required[i].name)[0])
			continue;
		if (missing[0])
			strcat(missing, ", ");
		strcat(missing, required[i].name);
	}
	if (missing[0])
		fail(CNI_ERR_ENV, "environment variables missing for %s: %s", cni_verb_name(verb),
		     missing);
}

static void
read_env(struct call *c)
{
	struct wire_target *t = &c->attach.target;
	const unsigned verb = c->attach.verb;
	const char *override = env("CNI_NETNS_OVERRIDE");
	char why[256];

	require_env(verb);
	if (strcmp(override, "1") == 0 || strcasecmp(override, "TRUE") == 0)
		c->attach.flags |= ATTACH_NETNS_OVERRIDE;
	if (verb == CNI_GC || verb == CNI_STATUS)
		return;
	if (!check_container_id(env("CNI_CONTAINERID")))
		fail(CNI_ERR_ENV,
		     "CNI_CONTAINERID: \"%.140s\" must be 1 to %d letters, digits, '_', '.', '-', "
		     "the first a letter or digit",
		     env("CNI_CONTAINERID"), CHECK_ID_MAX);
	if (!check_ifname(env("CNI_IFNAME")))
		fail(CNI_ERR_ENV,
		     "CNI_IFNAME: \"%.32s\" is not an interface name that a pod may have",
		     env("CNI_IFNAME"));
	util_copy(t->container_id, sizeof(t->container_id), env("CNI_CONTAINERID"));
	util_copy(t->ifname, sizeof(t->ifname), env("CNI_IFNAME"));
	if (cniargs_parse(env("CNI_ARGS"), verb == CNI_DEL, t, why, sizeof(why)) < 0)
		fail(CNI_ERR_ENV, "%s", why);
}

/* Opens CNI_NETNS when it is a network namespace and not the one that this process, hence the host,
 * is in. O_NONBLOCK: a FIFO must not hold the shim. Returns what is wrong, or NULL. */
static const char *
open_netns(struct call *c, const char *path)
{
	cleanup_close int fd = -1;
	struct stat st, own;
	struct statfs fs;

	if (util_copy(c->attach.target.netns, sizeof(c->attach.target.netns), path) < 0)
		return "the path is longer than 511 bytes";
	if (!check_abs_path(path, sizeof(c->attach.target.netns)))
		return "not an absolute path without '..', '.' or control bytes";
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return strerror(errno);
	if (fstatfs(fd, &fs) < 0 || fs.f_type != NSFS_MAGIC ||
	    ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return "not a network namespace";
	/* Without /proc there is nothing to compare with; netpriv compares again. */
	if ((c->attach.flags & ATTACH_NETNS_OVERRIDE) == 0 && fstat(fd, &st) == 0 &&
	    stat("/proc/self/ns/net", &own) == 0 && st.st_dev == own.st_dev &&
	    st.st_ino == own.st_ino)
		return "this is the host's own network namespace (CNI_NETNS_OVERRIDE=1 allows it)";
	c->netns = util_take_fd(&fd);
	return NULL;
}

_Static_assert(WIRE_NETNS == 512, "open_netns() names the limit");

/* DEL goes on without a namespace: what cannot be opened is gone. */
static void
read_netns(struct call *c)
{
	const unsigned verb = c->attach.verb;
	const char *wrong;

	if (verb == CNI_GC || verb == CNI_STATUS || !env("CNI_NETNS")[0])
		return;
	wrong = open_netns(c, env("CNI_NETNS"));
	if (wrong && verb != CNI_DEL)
		fail(CNI_ERR_NETNS, "CNI_NETNS %.520s: %s", env("CNI_NETNS"), wrong);
	if (wrong)
		memset(c->attach.target.netns, 0, sizeof(c->attach.target.netns));
}

static void
read_stdin(struct call *c)
{
	const bool del = c->attach.verb == CNI_DEL;
	ssize_t n;

	c->config = malloc(WIRE_STDIN_MAX + 1);
	if (!c->config)
		fail(CNI_ERR_INTERNAL, "out of memory");
	n = util_read_full(STDIN_FILENO, c->config, WIRE_STDIN_MAX + 1);
	if (n <= 0 || n > (ssize_t)WIRE_STDIN_MAX) {
		if (!del && n < 0)
			fail(CNI_ERR_IO, "cannot read the network configuration from stdin: %s",
			     strerror((int)-n));
		if (!del && n == 0)
			fail(CNI_ERR_CONFIG, "no network configuration on stdin");
		if (!del)
			fail(CNI_ERR_DECODE,
			     "the network configuration on stdin is longer than %u bytes",
			     WIRE_STDIN_MAX);
		/* The journal knows what to undo; the configuration is a fall-back that DEL can do
		 * without. */
		memcpy(c->config, "{}", 2);
		n = 2;
	}
	c->config_len = (size_t)n;
	c->memfd = util_sealed_memfd("cni-config", c->config, c->config_len);
	if (c->memfd < 0)
		fail(CNI_ERR_INTERNAL, "cannot hold the network configuration: %s",
		     strerror(-c->memfd));
}

/* The socket's path: the one line of DOOR_FILE when there is such a file. */
static void
read_door(struct call *c)
{
	cleanup_close int fd = open(DOOR_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	char line[256];
	struct stat st;
	ssize_t n;

	if (fd < 0 && errno == ENOENT) {
		util_copy(c->door, sizeof(c->door), DOOR_DEFAULT);
		return;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		fail(CNI_ERR_CONFIG, DOOR_FILE ": %s", strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022) != 0)
		fail(CNI_ERR_CONFIG,
		     DOOR_FILE ": must be a file of root's that nobody else can write to");
	n = util_read_full(fd, line, sizeof(line) - 1);
	if (n < 0)
		fail(CNI_ERR_CONFIG, DOOR_FILE ": %s", strerror((int)-n));
	line[n] = '\0';
	if (n > 0 && line[n - 1] == '\n')
		line[n - 1] = '\0';
	if (!check_abs_path(line, sizeof(c->door)) || util_copy(c->door, sizeof(c->door), line) < 0)
		fail(CNI_ERR_CONFIG,
		     DOOR_FILE ": must hold one line, the socket's absolute path of at most "
			       "%zu bytes",
		     sizeof(c->door) - 1);
}

/* Connects within wait_ms (0: one try). A full backlog is waited for in the kernel, in order. A
 * descriptor or -errno. */
static int
connect_door(const struct call *c, int64_t wait_ms)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const int64_t end = util_now_ms() + wait_ms;

	memcpy(a.sun_path, c->door, sizeof(a.sun_path));
	for (;;) {
		cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		int64_t left = end - util_now_ms();
		struct timeval t = {.tv_sec = left > 0 ? left / 1000 : 0, .tv_usec = 50000};
		struct ucred peer;
		socklen_t len = sizeof(peer);
		int err;

		if (fd < 0)
			return -errno;
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
		if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0) {
			/* Namespaces go to root only. */
			if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
			    peer.uid != 0)
				return -EPERM;
			return util_take_fd(&fd);
		}
		err = errno;
		if (err != ENOENT && err != ECONNREFUSED && err != EAGAIN && err != EINTR)
			return -err;
		if (util_now_ms() >= end)
			return -err;
		usleep(DOOR_RETRY_MS * 1000);
	}
}

/* Sends ATTACH, waits for RESULT: netpriv keeps the deadlines. 1 = a RESULT; 0 = closed without
 * one; -errno. */
static int
call_door(const struct call *c, int fd, struct wire_msg *m)
{
	struct wire w = WIRE_INIT(fd, ROLE_SHIM, ROLE_NETPRIV);
	const int fds[2] = {c->memfd, c->netns};
	int err = wire_send(&w, MSG_ATTACH, 1, &c->attach, fds, c->netns >= 0 ? 2 : 1);

	if (err == -EPIPE || err == -ECONNRESET)
		return 0;
	return err < 0 ? err : wire_recv(&w, WS_ANY, m);
}

/* Prints what RESULT brought and ends the process. */
__attribute__((noreturn)) static void
print_result(const struct call *c, const struct wire_msg *m)
{
	const struct msg_result *r = &m->body.result;
	void *text;
	size_t len;
	int err;

	if (m->fds[0] < 0 && r->code != 0)
		fail(r->code, "%s", r->text);
	if (m->fds[0] >= 0) {
		err = util_map_memfd(m->fds[0], WIRE_MEMFD_MAX, &text, &len);
		if (err == 0)
			err = util_write_all(STDOUT_FILENO, text, len);
		if (err < 0 && c->attach.verb != CNI_DEL) {
			fprintf(stderr, "postern-shim: cannot print the result: %s\n",
				strerror(-err));
			_exit(1);
		}
	}
	_exit(r->code != 0);
}

/* What to say when the door gave no answer. err: 0 = closed, -errno of call_door(). */
static const char *
explain_silence(int err)
{
	static char text[160];

	if (err == 0)
		return "the service closed the connection without an answer: it restarted, or is "
		       "not of the "
		       "version of this plugin";
	if (err == -EPROTONOSUPPORT || err == -EPROTO)
		return "the service speaks another version than this plugin: install both from one "
		       "release";
	snprintf(text, sizeof(text), "%s", strerror(-err));
	return text;
}

/* DEL when nobody answered: leave it on disk, then try once more, for a service that came back in
 * between has perhaps looked into the spool already. */
__attribute__((noreturn)) static void
spool_del(const struct call *c, const char *cause)
{
	struct spool_entry entry;
	struct wire_msg m;
	char dir[sizeof(c->door)], why[512];
	char *slash;
	int fd;

	memcpy(dir, c->door, sizeof(dir));
	slash = strrchr(dir, '/');
	*(slash == dir ? slash + 1 : slash) = '\0';
	if (spool_put(dir, &c->attach, c->config, c->config_len, &entry, why, sizeof(why)) < 0)
		fail(CNI_ERR_TRY_AGAIN,
		     "%s: %s; nor can DEL be kept for later: %s; try again later", c->door, cause,
		     why);
	fd = connect_door(c, 0);
	if (fd >= 0 && call_door(c, fd, &m) == 1 && m.body.result.code == 0)
		spool_forget(&entry);
	_exit(0);
}

int
main(int argc, char **argv)
{
	struct call c = {.memfd = -1, .netns = -1};
	struct wire_msg m;
	const char *verb = env("CNI_COMMAND");
	int64_t wait_ms;
	int fd, err;

	answer_alone(argc, argv, verb);
	c.attach.verb = parse_verb(verb);
	read_env(&c);
	read_stdin(&c);
	read_netns(&c);
	read_door(&c);

	wait_ms = c.attach.verb == CNI_STATUS ? 0
		  : c.attach.verb == CNI_DEL  ? DOOR_DEL_MS
					      : DOOR_WAIT_MS;
	fd = connect_door(&c, wait_ms);
	if (fd < 0) {
		if (c.attach.verb == CNI_DEL)
			spool_del(&c, strerror(-fd));
		if (c.attach.verb == CNI_STATUS)
			fail(CNI_ERR_NOT_AVAILABLE, "the postern service does not answer at %s: %s",
			     c.door, strerror(-fd));
		fail(CNI_ERR_TRY_AGAIN,
		     "the postern service did not answer at %s within %d s: %s; try again "
		     "later",
		     c.door, DOOR_WAIT_MS / 1000, strerror(-fd));
	}
	err = call_door(&c, fd, &m);
	if (err == 1)
		print_result(&c, &m);
	if (c.attach.verb == CNI_DEL)
		spool_del(&c, explain_silence(err));
	fail(CNI_ERR_TRY_AGAIN, "%s: %s; try %s again later", c.door, explain_silence(err), verb);
}
