/* postern-metrics: /metrics, /healthz and /readyz over HTTP, for whoever may connect.
 * Runs in: metrics (a user of its own, no capability, no network or file: a listening socket that it is handed).
 * Trusts: no client. The pages that it reads are mapped read-only; nobody listens to it.
 * Source: libmicrohttpd(3), epoll(7). */
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include "broker/promtext.h"
#include "netpriv/channels.h"
#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

#define CLIENTS 16	  /* more than that at once are a crowd */
#define CLIENT_MS 5000	  /* a connection, from accept to answer */
#define CROWD_MS 100	  /* in a crowd: whoever was there first makes room */
#define CLIENT_BYTES 8192 /* memory of one: its request line and headers must fit */

struct client {
	int fd; /* -1: free */
	bool cut;
	int64_t since;
};

static struct wire control = WIRE_INIT(FD_CONTROL, ROLE_METRICS, ROLE_SUPERVISOR);
static struct promtext about;
static struct client clients[2 * CLIENTS];
static bool left_one; /* there is a place again: the library looks who waits for it at its next round only */

static void
note_client(void *cls, struct MHD_Connection *connection, void **slot, enum MHD_ConnectionNotificationCode what)
{
	struct client *c = *slot;

	(void)cls;
	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		c->fd = -1;
		left_one = true;
		return;
	}
	for (c = clients; c->fd >= 0; c++) /* the library lets no more in than there are places */
		;
	*c = (struct client){ MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd, false,
			      util_now_ms() };
	*slot = c;
}

/* Whose time is over next, and when; NULL: nobody is connected. */
static struct client *
next_client(int64_t *until)
{
	struct client *oldest = NULL;
	unsigned n = 0;

	for (struct client *c = clients; c < clients + ARRAY_LEN(clients); c++) {
		if (c->fd < 0 || c->cut)
			continue;
		n++;
		if (!oldest || c->since < oldest->since)
			oldest = c;
	}
	*until = oldest ? oldest->since + (n > CLIENTS ? CROWD_MS : CLIENT_MS) : INT64_MAX;
	return oldest;
}

/* Those whose time is over get an end of file, upon which the library closes them. Milliseconds until the next one's, -1 = none. */
static int
cut_clients(void)
{
	int64_t now = util_now_ms(), until;

	for (struct client *c; (c = next_client(&until)) && until <= now; c->cut = true)
		shutdown(c->fd, SHUT_RDWR);
	return until == INT64_MAX ? -1 : (int)(until - now);
}

/* Why the service is not ready; NULL when it is. */
static const char *
unready(void)
{
	static char text[64];

	if (about.facts->stopping)
		return "stopping\n";
	for (unsigned i = 0; i < FACTS_ROLES; i++) {
		const char *program = channels_program(about.conf, i);

		if (program && about.facts->role[i].pid <= 0) {
			snprintf(text, sizeof(text), "%s is not ready\n", program);
			return text;
		}
	}
	return NULL;
}

static enum MHD_Result
answer(struct MHD_Connection *connection, unsigned code, const char *type, const char *text, size_t len)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result ok = MHD_NO;

	if (r && MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
	    MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES &&
	    (code != MHD_HTTP_METHOD_NOT_ALLOWED || MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES))
		ok = MHD_queue_response(connection, code, r);
	if (r)
		MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result
answer_metrics(struct MHD_Connection *connection)
{
	cleanup_free char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return MHD_NO;
	promtext_write(f, &about);
	return fclose(f) == 0 ? answer(connection, MHD_HTTP_OK, PROMTEXT_TYPE, text, len) : MHD_NO;
}

static enum MHD_Result
serve(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version, const char *body,
      size_t *body_len, void **request)
{
	unsigned code = MHD_HTTP_OK;
	const char *text = "ok\n";

	(void)cls;
	(void)version;
	(void)body;
	(void)body_len; /* of a body nothing is read: the answer comes first, and the connection ends with it */
	(void)request;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		code = MHD_HTTP_METHOD_NOT_ALLOWED;
		text = "GET and HEAD only\n";
	} else if (strcmp(url, "/metrics") == 0) {
		return answer_metrics(connection);
	} else if (strcmp(url, "/readyz") == 0 && unready()) {
		code = MHD_HTTP_SERVICE_UNAVAILABLE;
		text = unready();
	} else if (strcmp(url, "/readyz") != 0 && strcmp(url, "/healthz") != 0) {
		code = MHD_HTTP_NOT_FOUND;
		text = "there are /metrics, /healthz and /readyz\n";
	}
	return answer(connection, code, "text/plain; charset=utf-8", text, strlen(text));
}

static struct MHD_Daemon *
start_http(void)
{
	struct MHD_Daemon *d;

	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		clients[i].fd = -1;
	d = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, serve, NULL, MHD_OPTION_LISTEN_SOCKET, FD_METRICS_LISTEN,
			     MHD_OPTION_CONNECTION_LIMIT, (unsigned)ARRAY_LEN(clients), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
			     (size_t)CLIENT_BYTES, MHD_OPTION_NOTIFY_CONNECTION, note_client, NULL, MHD_OPTION_END);
	if (!d)
		log_fatal("the HTTP server does not start: %s", strerror(errno));
	return d;
}

/* STOP, or the supervisor is gone: the end. */
static void
serve_control(void)
{
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };

	if (wire_recv(&control, WS_ANY, &m) != -EAGAIN)
		_exit(0); /* without the destructors of what the library links, which the filter does not know */
}

/* Sleeps until somebody connects; with a timer only while somebody is connected. */
__attribute__((noreturn)) static void
loop(struct MHD_Daemon *d)
{
	int epoll = MHD_get_daemon_info(d, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;

	for (;;) {
		struct pollfd p[] = { { .fd = control.fd, .events = POLLIN }, { .fd = epoll, .events = POLLIN } };
		int left = cut_clients();
		MHD_UNSIGNED_LONG_LONG due;

		if (MHD_get_timeout(d, &due) == MHD_YES && (left < 0 || due < (unsigned)left))
			left = (int)due;
		if (left_one)
			left = 0;
		left_one = false;
		if (poll(p, ARRAY_LEN(p), left) < 0 && errno != EINTR)
			log_fatal("poll: %s", strerror(errno));
		if (p[0].revents)
			serve_control();
		MHD_run(d);
	}
}

int
main(void)
{
	struct sandbox s = { .role = ROLE_METRICS, .max_fd = FD_METRICS_KUBE + 3 * CLIENTS };
	struct sandbox_facts facts;
	struct MHD_Daemon *d;

	sandbox_close_fds(FD_METRICS_KUBE + 1);
	log_init("metrics", LOG_INFO);
	about.conf = conf_map(FD_CONF);
	log_init("metrics", (enum log_level)about.conf->log_level);
	about.facts = stats_map(FD_METRICS_FACTS, sizeof(*about.facts), PROT_READ);
	about.netpriv = stats_map(FD_METRICS_NETPRIV, sizeof(*about.netpriv), PROT_READ);
	about.kube = stats_map(FD_METRICS_KUBE, sizeof(*about.kube), PROT_READ);
	signal(SIGPIPE, SIG_IGN);
	tzset(); /* libc looks for the zone's file, which an answer's date needs, but once */
	d = start_http(); /* its epoll descriptor; nobody is let in before the loop */
	s.mode = (enum conf_sandbox)about.conf->sandbox;
	s.uid = about.conf->metrics_uid;
	s.gid = about.conf->metrics_gid;
	sandbox_enter(&s, &facts);
	sandbox_report(&control, &facts);
	loop(d);
}
