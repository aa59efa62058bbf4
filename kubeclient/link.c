/* The connection to the API server.
 * Runs in: kube.  Trusts: dial, as far as wire_recv() has checked what it says; nothing that the server sends. */
#include "kubeclient/link.h"

#include <limits.h>
#include <stdio.h>
#include <sys/random.h>

#include "kubeclient/identity.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

#define CONNS (LINK_POLLED - 1) /* one in use, one that replaces it, one that drains */
#define CONNECT_MS 5000 /* until the first request can be sent */
#define BACKOFF_MS 50		/* first, doubling */
#define BACKOFF_MAX 500 /* a server that is back is found within a second */
#define PATIENT_MAX 15000 /* while the connection that is to be replaced still serves */
#define ROOM 24 /* streams that watches leave to requests */
#define PATH 1024

struct conn {
	struct h2 *h; /* NULL: free */
	uint64_t id;  /* ascending: the newest is the one to use */
	int64_t began;
	bool ready;   /* was ready once */
	bool left;    /* a newer one took its place: its requests end, then it does */
	bool full;    /* its credentials are good for everything */
	bool old;     /* its credentials are not those of now */
};

static struct {
	struct wire dial;
	struct conn conns[CONNS];
	uint64_t last_id;
	bool wanted;  /* somebody needs a connection, or a newer one */
	bool dialing; /* DIAL is sent */
	int64_t next_dial, backoff;
	char why[WIRE_TEXT];
	void (*on_change)(void);
} link_;

const char *
link_why(void)
{
	if (!link_.why[0] && !identity_full())
		return "the certificate of this node has not been issued yet";
	return link_.why;
}

/* False: its channel is full. */
static bool
ask_dial(uint32_t want)
{
	const struct msg_dial m = { .want = want };
	int err = wire_send(&link_.dial, MSG_DIAL, 0, &m, NULL, 0);

	if (err < 0 && err != -EAGAIN)
		log_fatal("dial: %s", strerror(-err));
	return err == 0;
}

static struct conn *
find_conn(uint64_t id)
{
	for (struct conn *c = link_.conns; c < link_.conns + CONNS; c++)
		if (c->h && c->id == id)
			return c;
	return NULL;
}

bool
link_refused(const struct link_stream *s)
{
	struct conn *c = find_conn(s->conn);

	ask_dial(DIAL_REREAD);
	return c && !c->old;
}

unsigned
link_dice(void)
{
	unsigned char dice = 0;

	return getrandom(&dice, 1, GRND_NONBLOCK) == 1 ? dice : 128;
}

/* The one to send on: the newest that takes requests and is good for them. */
static struct conn *
usable(bool bootstrap)
{
	struct conn *best = NULL;

	for (struct conn *c = link_.conns; c < link_.conns + CONNS; c++)
		if (c->h && !c->left && (c->full || bootstrap) && h2_ready(c->h) && (!best || c->id > best->id))
			best = c;
	return best;
}

/* The next try, later each time. */
static void
back_off(void)
{
	int64_t most = usable(false) ? PATIENT_MAX : BACKOFF_MAX;

	if (link_.backoff > most)
		link_.backoff = most;
	link_.next_dial = util_now_ms() + link_.backoff / 2 + link_.backoff * link_dice() / 256;
	link_.backoff *= 2;
}

static void
note_failure(const char *what)
{
	if (strcmp(link_.why, what) != 0)
		log_warn("API server %s: %s", identity_server(), what);
	snprintf(link_.why, sizeof(link_.why), "%s", what);
	back_off();
	/* Whoever waits says so again, in this very round; without anybody a server that is down is left alone. */
	link_.wanted = link_.wanted && usable(true);
}

static void
end_conn(struct conn *c)
{
	struct h2 *h = c->h;

	c->h = NULL;
	h2_free(h);
}

static struct conn *
connecting(void)
{
	for (struct conn *c = link_.conns; c < link_.conns + CONNS; c++)
		if (c->h && !c->ready)
			return c;
	return NULL;
}

/* One more fits: else the longest drained one has had its time. */
static struct conn *
free_conn(void)
{
	struct conn *oldest = NULL;

	for (struct conn *c = link_.conns; c < link_.conns + CONNS; c++) {
		if (!c->h)
			return c;
		if (!oldest || c->id < oldest->id)
			oldest = c;
	}
	end_conn(oldest);
	return oldest;
}

static void
take_conn(struct wire_msg *m)
{
	static const struct h2_times times = { .connect = CONNECT_MS, .idle = 30000, .ping = 3000 };
	char why[WIRE_TEXT];
	struct conn *c;

	link_.dialing = false;
	if (m->body.conn.error) {
		note_failure(m->body.conn.text);
		return;
	}
	if (m->fds[0] < 0 || !identity_server())
		return;
	c = free_conn();
	*c = (struct conn){ .id = ++link_.last_id, .began = util_now_ms(), .full = identity_full() };
	c->h = identity_connect(util_take_fd(&m->fds[0]), &times, why, sizeof(why));
	if (!c->h)
		note_failure(why);
}

/* A new connection beside the one in use, which goes on until the new one stands. */
static void
renew(void)
{
	link_.wanted = true;
	link_.next_dial = 0;
	link_.backoff = BACKOFF_MS;
	for (struct conn *c = link_.conns; c < link_.conns + CONNS; c++) {
		c->old = true;
		if (c->h && !c->ready)
			end_conn(c);
	}
}

void
link_init(void (*on_change)(void))
{
	link_.dial = WIRE_INIT(FD_KUBE_DIAL, ROLE_KUBE, ROLE_DIAL);
	link_.on_change = on_change;
	identity_init(renew);
	link_.backoff = BACKOFF_MS;
	snprintf(link_.why, sizeof(link_.why), "no credentials yet");
}

static void
take_server(const struct wire_msg *m)
{
	char why[WIRE_TEXT];

	if (identity_take(&m->body.server, m->fds[0], why, sizeof(why)) == 0)
		return;
	log_error("credentials for the API server: %s%s", why, identity_server() ? "; the old ones stay" : "");
	if (!identity_server())
		snprintf(link_.why, sizeof(link_.why), "%s", why);
}

static void
read_dial(void)
{
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };
	int rc = wire_recv(&link_.dial, WS_ANY, &m);

	if (rc == -EAGAIN)
		return;
	if (rc <= 0) /* the supervisor starts the whole set again */
		log_fatal("dial: %s", rc < 0 ? strerror(-rc) : "its channel is closed");
	if (m.head.type == MSG_SERVER)
		take_server(&m);
	else
		take_conn(&m);
}

static void
stand(struct conn *c)
{
	c->ready = true;
	link_.wanted = false;
	link_.backoff = BACKOFF_MS;
	link_.why[0] = '\0';
	link_.on_change();
	for (struct conn *o = link_.conns; o < link_.conns + CONNS; o++)
		o->left = o->left || (o->h && o->id < c->id);
	log_info("connected to the API server %s", identity_server());
}

static void
run_conn(struct conn *c, short revents)
{
	char why[WIRE_TEXT];
	bool newest = c->id == link_.last_id;
	int err = h2_run(c->h, revents, why, sizeof(why));

	if (err < 0) {
		if (c->ready && !c->left)
			link_.on_change();
		/* A server may hang up on a client that is silent for long: the next request finds it again. */
		if (newest && (!c->ready || h2_open(c->h) > 0))
			note_failure(why);
		end_conn(c);
		return;
	}
	if (!c->ready && h2_ready(c->h))
		stand(c);
	if (!c->ready && util_now_ms() >= c->began + CONNECT_MS) {
		note_failure("it takes no requests");
		end_conn(c);
		return;
	}
	/* Told to go: its place is taken as soon as somebody needs one. */
	if (h2_leaving(c->h) && !c->left) {
		c->left = true;
		link_.on_change();
	}
	if (c->left && h2_open(c->h) == 0)
		end_conn(c);
}

unsigned
link_poll(struct pollfd *p, int64_t *due)
{
	unsigned n = 0;

	if (link_.wanted && identity_server() && !link_.dialing && !connecting()) {
		if (link_.next_dial <= util_now_ms() && !(link_.dialing = ask_dial(DIAL_CONN)))
			back_off();
		if (!link_.dialing && link_.next_dial < *due)
			*due = link_.next_dial;
	}
	p[n++] = (struct pollfd){ .fd = link_.dial.fd, .events = POLLIN };
	for (unsigned i = 0; i < CONNS; i++) {
		int64_t its = INT64_MAX;

		p[n] = (struct pollfd){ .fd = -1 };
		if (link_.conns[i].h)
			h2_poll(link_.conns[i].h, &p[n], &its);
		if (link_.conns[i].h && !link_.conns[i].ready && link_.conns[i].began + CONNECT_MS < its)
			its = link_.conns[i].began + CONNECT_MS;
		if (its < *due)
			*due = its;
		n++;
	}
	return n;
}

void
link_step(const struct pollfd *p, unsigned n)
{
	for (unsigned i = 0; i < CONNS && i + 1 < n; i++)
		if (link_.conns[i].h)
			run_conn(&link_.conns[i], p[i + 1].revents);
	if (p[0].revents)
		read_dial();
}

static int
send_on(struct conn *c, const struct h2_request *r, struct link_stream *s)
{
	char path[PATH];
	struct h2_request full = *r;
	int32_t stream;

	if (snprintf(path, sizeof(path), "%s%s", identity_prefix(), r->path) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	full.path = path;
	stream = h2_send(c->h, &full);
	if (stream < 0)
		return stream;
	*s = (struct link_stream){ c->id, stream };
	return 0;
}

int
link_send(const struct h2_request *r, bool bootstrap, struct link_stream *s)
{
	struct conn *c = usable(bootstrap);

	if (c)
		return send_on(c, r, s);
	c = find_conn(link_.last_id);
	if (!c || !c->ready || c->left) {
		int64_t soon = util_now_ms() + BACKOFF_MAX;

		link_.wanted = true;
		if (link_.next_dial > soon) /* it was set while another connection served */
			link_.next_dial = soon;
	}
	else if (c->full) /* the server takes no more at once: what waits for long makes room */
		link_.on_change();
	/* Else one that is not good for it, which is replaced when the certificate has come. */
	return -EAGAIN;
}

int
link_watch(const struct h2_request *r, struct link_stream *s)
{
	struct conn *c = usable(false);

	return c && h2_room(c->h) > ROOM ? send_on(c, r, s) : -EAGAIN;
}

void
link_cancel(struct link_stream *s)
{
	struct conn *c = s->stream ? find_conn(s->conn) : NULL;

	if (c)
		h2_cancel(c->h, s->stream);
	s->stream = 0;
}

void
link_doubt(const struct link_stream *s)
{
	struct conn *c = s->stream ? find_conn(s->conn) : NULL;

	if (c)
		h2_doubt(c->h);
}
