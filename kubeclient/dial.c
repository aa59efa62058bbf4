/* postern-dial: reads the credentials for the API server and connects to it, so that kube, which talks to it, needs neither files
 * nor a network. It hands both over and never reads or writes a byte of a connection.
 * Runs in: dial (uid 0, no capability, the host's network, Landlock: the credentials' directories to read, the server's port to
 * connect to).  Trusts: the kubeconfig's owner.  Its one peer, kube, can ask for a connection and for a look at the files. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "kubeclient/child.h"
#include "kubeclient/cred.h"
#include "kubeclient/resolve.h"
#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

#define SETTLE_MS 50  /* from a change in a directory to a look at it: more changes follow */
#define REREAD_MS 200 /* between two looks that kube asks for */
#define DIAL_MS 50    /* between two connections */
#define LOOKUP_S 10
#define WAITING 64    /* connections asked for and not yet made */
/* Root's descriptors in flight, of all processes, count against it when one is sent: far above what dial opens. */
#define MAX_FDS 1024
#define NEVER INT64_MAX

static struct wire control = WIRE_INIT(FD_CONTROL, ROLE_DIAL, ROLE_SUPERVISOR);
static struct wire kube = WIRE_INIT(FD_DIAL_KUBE, ROLE_DIAL, ROLE_KUBE);
static const struct conf *conf;
static struct sock_fprog reader; /* the filter of the child that parses */

static struct kubeconfig configs[2], *current = &configs[0], *next = &configs[1];
static char *config_text;
static size_t config_len;
static struct cred_places granted;
static struct msg_server sent;
static int sent_fd = -1;
static int watch = -1; /* inotify; -1: kube's wishes alone decide when to look */
static int64_t look_at = NEVER, looked;

static uint64_t waiting[WAITING]; /* serials of DIAL */
static unsigned n_waiting, turn;
static int64_t connect_from;
static struct resolve_address address;
static bool literal;
static struct child lookup = { .out = -1 };
static struct resolve_answer names;

/* Files that a look-up reads. They are granted one by one: the rest of /etc is nobody's business. */
static const char *const lookup_files[] = { "/etc/hosts", RESOLVE_CONF, "/etc/host.conf", "/etc/gai.conf" };

/* The sandbox was made for what the files said at start; the supervisor makes another. */
__attribute__((noreturn)) static void
start_anew(const char *why)
{
	log_warn("%s: starting anew", why);
	_exit(0);
}

/* The same trouble is told once. */
static void
complain(const char *why)
{
	static char last[WIRE_TEXT];

	if (strncmp(last, why, sizeof(last) - 1) != 0 && why[0])
		log_error("%s%s", why, sent_fd >= 0 ? "; what was read before stays in use" : "; the API server cannot be used");
	snprintf(last, sizeof(last), "%s", why);
}

static void
require_places(const struct cred_places *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		unsigned k = 0;

		while (k < granted.n && strcmp(p->list[i], granted.list[k]) != 0)
			k++;
		if (k == granted.n)
			start_anew("credentials lie in another directory than at start");
	}
}

static void
send_server(const struct msg_server *m, int *fd)
{
	int err = wire_send(&kube, MSG_SERVER, 0, m, fd, 1);

	if (err == -EPIPE || err == -ECONNRESET)
		_exit(0);
	if (err < 0)
		log_fatal("kube's channel: %s", strerror(-err));
	log_info("API server %s: credentials %s", m->authority, sent_fd < 0 ? "read" : "renewed");
	sent = *m;
	if (sent_fd >= 0)
		close(sent_fd);
	sent_fd = util_take_fd(fd);
}

/* 0, or -errno with why. */
static int
look_at_config(char *why, size_t size)
{
	struct cred_places places;
	int err = cred_find(conf, &reader, next, &config_text, &config_len, why, size);

	if (err < 0)
		return err;
	if (err == 1) {
		struct kubeconfig *old = current;

		if (strcmp(next->host, old->host) != 0 || next->port != old->port)
			start_anew("the kubeconfig names another server");
		current = next;
		next = old;
	}
	err = cred_places(current, conf->kubeconfig, &places, why, size);
	if (err == 0)
		require_places(&places);
	return err;
}

/* Reads everything again; tells kube when something of it is new. What cannot be read changes nothing. */
static void
look(void)
{
	char why[WIRE_TEXT] = "", wrong[WIRE_TEXT] = "";
	struct msg_server m;
	cleanup_close int fd = -1;

	looked = util_now_ms();
	look_at = NEVER;
	look_at_config(why, sizeof(why));
	fd = cred_load(current, conf->node_cert, &m, wrong, sizeof(wrong));
	if (fd >= 0 && (memcmp(&m, &sent, sizeof(m)) != 0 || !cred_same(fd, sent_fd)))
		send_server(&m, &fd);
	complain(why[0] ? why : wrong);
}

static void
watch_places(void)
{
	const uint32_t what = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

	watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	for (unsigned i = 0; i < granted.n && watch >= 0; i++)
		if (inotify_add_watch(watch, granted.list[i], what) < 0)
			close(util_take_fd(&watch));
	if (watch < 0)
		log_warn("inotify: %s: credentials are read again at each connection instead", strerror(errno));
}

static void
serve_watch(void)
{
	_Alignas(struct inotify_event) char buf[4096];
	ssize_t n;

	while ((n = read(watch, buf, sizeof(buf))) > 0) {
		for (const char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (const void *)p;

			if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED))
				start_anew("a directory with credentials is gone");
			p += sizeof(*e) + e->len;
		}
	}
	if (look_at == NEVER)
		look_at = util_now_ms() + SETTLE_MS;
}

static void
answer_dial(int error, const char *text, int fd)
{
	struct msg_conn m = { .error = error };
	int err;

	snprintf(m.text, sizeof(m.text), "%s", text);
	err = wire_send(&kube, MSG_CONN, waiting[0], &m, &fd, fd >= 0);
	if (err == -EPIPE || err == -ECONNRESET)
		_exit(0);
	if (err < 0)
		log_fatal("kube's channel: %s", strerror(-err));
	memmove(waiting, waiting + 1, --n_waiting * sizeof(waiting[0]));
}

static int
open_socket(int family)
{
	/* A server that is gone without a word is noticed by kube's own pings; these are for a kube that has nothing to ask. */
	static const struct option {
		int level, name, value;
	} options[] = { { SOL_SOCKET, SO_KEEPALIVE, 1 },     { IPPROTO_TCP, TCP_NODELAY, 1 },
			{ IPPROTO_TCP, TCP_KEEPIDLE, 30 },   { IPPROTO_TCP, TCP_KEEPINTVL, 10 },
			{ IPPROTO_TCP, TCP_KEEPCNT, 3 },     { IPPROTO_TCP, TCP_USER_TIMEOUT, 30000 } };
	cleanup_close int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	for (size_t i = 0; i < ARRAY_LEN(options) && fd >= 0; i++)
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int)) < 0)
			return -errno;
	return fd < 0 ? -errno : util_take_fd(&fd);
}

/* Begins a connection; kube waits for its end. */
static void
connect_to(const struct resolve_address *a)
{
	cleanup_close int fd = open_socket((int)a->family);
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)current->port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)current->port) };
	bool six = a->family == AF_INET6;
	char host[INET6_ADDRSTRLEN], text[128];
	int err = fd < 0 ? fd : 0;

	memcpy(&v4.sin_addr, a->bytes, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, a->bytes, sizeof(v6.sin6_addr));
	inet_ntop((int)a->family, a->bytes, host, sizeof(host));
	if (err == 0 && connect(fd, six ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4, six ? sizeof(v6) : sizeof(v4)) < 0 &&
	    errno != EINPROGRESS)
		err = -errno;
	snprintf(text, sizeof(text), "%s%s%s:%u%s%s", six ? "[" : "", host, six ? "]" : "", current->port,
		 err ? ": " : "", err ? strerror(-err) : "");
	answer_dial(err, text, err ? -1 : fd);
}

/* A file that was replaced is not the one that was granted; libc would pass over it in silence. */
static void
require_lookup_files(void)
{
	for (size_t i = 0; i < ARRAY_LEN(lookup_files); i++) {
		cleanup_close int fd = open(lookup_files[i], O_RDONLY | O_NONBLOCK | O_CLOEXEC);

		if (fd < 0 && errno == EACCES)
			start_anew("the configuration of name look-ups was replaced");
	}
}

static void
start_lookup(void)
{
	int err;

	require_lookup_files();
	err = child_start(&lookup, LOOKUP_S, -1, NULL, resolve_name, current->host);
	if (err < 0)
		answer_dial(err, "no child process for the look-up of the API server's name", -1);
}

static void
serve_lookup(void)
{
	char text[384];
	int err = child_read(&lookup, &names, sizeof(names));

	if (err == 0)
		return;
	if (err == 1 && !resolve_check(&names))
		log_fatal("look-up of %s: malformed answer", current->host);
	if (err == 1 && names.error == 0) {
		connect_to(&names.list[turn++ % names.n]);
		return;
	}
	snprintf(text, sizeof(text), "%s: its address cannot be found: %s", current->host,
		 err < 0 ? strerror(-err) : gai_strerror(names.error));
	answer_dial(err < 0 ? err : -EHOSTUNREACH, text, -1);
}

/* One of the connections that wait for their turn. */
static void
serve_waiting(void)
{
	connect_from = util_now_ms() + DIAL_MS;
	if (literal)
		connect_to(&address);
	else
		start_lookup();
}

/* At kube's wish, but not at any rate; whoever asked for a connection as well gets it behind the look. */
static void
look_again(void)
{
	int64_t from = looked + REREAD_MS;

	if (util_now_ms() >= from) {
		look();
		return;
	}
	look_at = from < look_at ? from : look_at;
	connect_from = look_at > connect_from ? look_at : connect_from;
}

static void
serve_kube(void)
{
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };
	int rc = wire_recv(&kube, WS_ANY, &m);

	if (rc == -EAGAIN)
		return;
	if (rc == 0)
		_exit(0);
	if (rc < 0 || m.head.type != MSG_DIAL)
		log_fatal("kube's channel: %s", rc < 0 ? strerror(-rc) : "unexpected message");
	if ((m.body.dial.want & DIAL_REREAD) || watch < 0)
		look_again();
	if ((m.body.dial.want & DIAL_CONN) == 0)
		return;
	if (n_waiting == WAITING)
		log_fatal("kube asks for more than %u connections at once", WAITING);
	waiting[n_waiting++] = m.head.serial;
}

/* Ends the process at STOP, or when the supervisor is gone. */
static void
serve_control(void)
{
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };
	int rc = wire_recv(&control, WS_ANY, &m);

	if (rc == 0 || (rc == 1 && m.head.type == MSG_STOP))
		_exit(0);
	if (rc != -EAGAIN)
		log_fatal("supervisor's channel: %s", rc == 1 ? "unexpected message" : strerror(-rc));
}

/* When to wake up though nothing comes. */
static int64_t
next_due(void)
{
	int64_t due = look_at;

	if (lookup.out >= 0)
		due = lookup.due < due ? lookup.due : due;
	else if (n_waiting > 0 && connect_from < due)
		due = connect_from;
	return due;
}

static void
serve(void)
{
	for (;;) {
		struct pollfd p[] = { { .fd = control.fd, .events = POLLIN }, { .fd = kube.fd, .events = POLLIN },
				      { .fd = watch, .events = POLLIN }, { .fd = lookup.out, .events = POLLIN } };
		int n = util_poll(p, ARRAY_LEN(p), next_due(), NULL);

		if (n < 0)
			log_fatal("ppoll: %s", strerror(-n));
		if (p[0].revents)
			serve_control();
		if (p[2].revents)
			serve_watch();
		if (util_now_ms() >= look_at)
			look();
		if (lookup.out >= 0 && (p[3].revents || util_now_ms() >= lookup.due))
			serve_lookup();
		if (p[1].revents)
			serve_kube();
		if (n_waiting > 0 && lookup.out < 0 && util_now_ms() >= connect_from)
			serve_waiting();
	}
}

/* What does not exist is not granted, and so not there for dial either. */
static void
grant(struct sandbox *s, const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd >= 0 && s->n_paths == SANDBOX_PATHS)
		log_fatal("%s: too many directories", path);
	if (fd >= 0)
		s->paths[s->n_paths++] = (struct sandbox_path){ fd, SANDBOX_READ };
}

static void
grant_lookups(struct sandbox *s)
{
	char real[PATH_MAX] = "";

	s->ports[s->n_ports++] = RESOLVE_PORT;
	for (size_t i = 0; i < ARRAY_LEN(lookup_files); i++)
		grant(s, lookup_files[i]);
	/* Where a daemon writes it, it is replaced all the time, and has a directory of its own. */
	if (realpath(RESOLVE_CONF, real) && strcmp(real, RESOLVE_CONF) != 0) {
		*strrchr(real, '/') = '\0';
		grant(s, real);
	}
}

static void
confine(struct sandbox_facts *facts)
{
	struct sandbox s = { .role = ROLE_DIAL, .mode = conf->sandbox, .max_fd = MAX_FDS };

	s.ports[s.n_ports++] = (uint16_t)current->port;
	for (unsigned i = 0; i < granted.n; i++)
		grant(&s, granted.list[i]);
	if (!literal)
		grant_lookups(&s);
	sandbox_enter(&s, facts);
	for (unsigned i = 0; i < s.n_paths; i++)
		close(s.paths[i].fd);
}

int
main(void)
{
	struct sandbox_facts facts;
	char why[WIRE_TEXT];

	sandbox_close_fds(FD_DIAL_KUBE + 1);
	log_init("dial", LOG_INFO);
	conf = conf_map(FD_CONF);
	log_init("dial", (enum log_level)conf->log_level);
	if (fcntl(kube.fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		log_fatal("kube's channel: %s", strerror(errno));
	kubeconfig_init();
	sandbox_compile(ROLE_READER, (enum conf_sandbox)conf->sandbox, &reader);
	if (cred_find(conf, &reader, current, &config_text, &config_len, why, sizeof(why)) < 0 ||
	    cred_places(current, conf->kubeconfig, &granted, why, sizeof(why)) < 0)
		log_fatal("%s", why);
	literal = resolve_literal(current->host, &address);
	watch_places();
	confine(&facts);
	sandbox_report(&control, &facts);
	look();
	serve();
}
