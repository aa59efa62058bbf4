/* The worker's requests to netpriv: one message out, one in, over the channel that is this command's whole authority.
 * Runs in: worker.  Trusts: netpriv, as far as wire_recv() has checked what it says. */
#include "broker/priv.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "netpriv/log.h"
#include "netpriv/util.h"

#define NO_MSG                                                                                     \
	{                                                                                          \
		.fds = { -1, -1, -1, -1 }                                                          \
	}

static struct wire channel = { .fd = -1 };

void
priv_init(int attachment_fd, int kube_fd, int devices_fd)
{
	channel = WIRE_INIT(attachment_fd, ROLE_WORKER, ROLE_NETPRIV);
	ask_init(kube_fd);
	kubelet_init(devices_fd);
}

static void
call_netpriv(enum msg_type type, const void *body, int fd, enum msg_type expect, struct wire_msg *m)
{
	int err = wire_call(&channel, type, body, &fd, fd >= 0, expect, m);

	if (err)
		log_fatal("%s: the channel to netpriv broke: %s", wire_name(type), strerror(-err));
}

/* A call whose answer is REPLY: its value, or -1 with e. */
static int
call_simple(enum msg_type type, const void *body, int fd, const char *doing, struct cnierr *e)
{
	cleanup_msg struct wire_msg m = NO_MSG;

	call_netpriv(type, body, fd, MSG_REPLY, &m);
	if (m.body.reply.error)
		return cnierr_set(e, CNI_ERR_INTERNAL, "%s: %s", doing,
				  m.body.reply.text[0] ? m.body.reply.text
						       : strerror(-m.body.reply.error));
	return (int)m.body.reply.value;
}

int
priv_copy_memfd(const struct wire_msg *m, const char *what, char **text, size_t *len, struct cnierr *e)
{
	void *map;
	int err = m->fds[0] < 0 ? -EPROTO : util_map_memfd(m->fds[0], WIRE_MEMFD_MAX, &map, len);

	if (err)
		return cnierr_set(e, CNI_ERR_IO, "%s: %s", what, strerror(-err));
	*text = malloc(*len + 1);
	if (*text && *len)
		memcpy(*text, map, *len);
	if (*text)
		(*text)[*len] = '\0';
	if (map)
		munmap(map, *len);
	return *text ? 0 : cnierr_set(e, CNI_ERR_INTERNAL, "%s: out of memory", what);
}

int
priv_state_get(unsigned *kind, char **text, size_t *len, struct cnierr *e)
{
	struct msg_state_get get = { 0 };
	cleanup_msg struct wire_msg m = NO_MSG;

	*text = NULL;
	*len = 0;
	call_netpriv(MSG_STATE_GET, &get, -1, MSG_STATE, &m);
	*kind = m.body.state.kind;
	return *kind == STATE_NONE ? 0 : priv_copy_memfd(&m, "journal entry", text, len, e);
}

int
priv_state_next(struct msg_state *at, char **text, size_t *len, struct cnierr *e)
{
	struct msg_state_next next = { 0 };
	cleanup_msg struct wire_msg m = NO_MSG;

	memcpy(next.container_id, at->container_id, sizeof(next.container_id));
	memcpy(next.ifname, at->ifname, sizeof(next.ifname));
	call_netpriv(MSG_STATE_NEXT, &next, -1, MSG_STATE, &m);
	*at = m.body.state;
	if (at->kind == STATE_NONE)
		return 0;
	return priv_copy_memfd(&m, "journal entry", text, len, e) ? -1 : 1;
}

int
priv_conf_get(unsigned net, const char *sub, unsigned index, char **text, size_t *len, char *name,
	      struct cnierr *e)
{
	struct msg_conf_get get = { .net = net, .index = index };
	cleanup_msg struct wire_msg m = NO_MSG;

	if (*sub && (!check_network_name(sub) || util_copy(get.sub, sizeof(get.sub), sub)))
		return cnierr_set(e, CNI_ERR_CONFIG, "invalid network name \"%s\"", sub);
	if (index >= WIRE_CONF_FILES)
		return 0;
	call_netpriv(MSG_CONF_GET, &get, -1, MSG_CONF, &m);
	if (m.body.conf.error == -ENOENT)
		return 0;
	memcpy(name, m.body.conf.name, sizeof(m.body.conf.name));
	if (m.body.conf.error)
		return cnierr_set(e, CNI_ERR_IO, "%s",
				  m.body.conf.text[0] ? m.body.conf.text
						      : strerror(-m.body.conf.error));
	return priv_copy_memfd(&m, name, text, len, e) ? -1 : 1;
}

bool
priv_ready(void)
{
	struct msg_conf_get get = { .net = CONF_NET_READY };
	cleanup_msg struct wire_msg m = NO_MSG;

	call_netpriv(MSG_CONF_GET, &get, -1, MSG_CONF, &m);
	return m.body.conf.error == 0;
}

int
priv_cache_get(const char *net, const char *ifname, char **text, size_t *len, struct cnierr *e)
{
	struct msg_cache_get get = { 0 };
	cleanup_msg struct wire_msg m = NO_MSG;

	util_copy(get.net, sizeof(get.net), net);
	util_copy(get.ifname, sizeof(get.ifname), ifname);
	call_netpriv(MSG_CACHE_GET, &get, -1, MSG_CONF, &m);
	if (m.body.conf.error == -ENOENT)
		return 0;
	if (m.body.conf.error)
		return cnierr_set(e, CNI_ERR_IO, "%s", m.body.conf.text);
	return priv_copy_memfd(&m, "what Multus kept", text, len, e) ? -1 : 1;
}

static int
ask_links(enum msg_type type, int fd, const char *const *ifname, size_t n, uint64_t *there, const char *doing, struct cnierr *e)
{
	struct msg_link_get get = { 0 };
	cleanup_msg struct wire_msg m = NO_MSG;

	if (n < 1 || n > WIRE_LINKS)
		return cnierr_set(e, CNI_ERR_CONFIG, "more than %d interfaces", WIRE_LINKS);
	for (size_t i = 0; i < n; i++)
		if (!check_ifname(ifname[i]) ||
		    util_copy(get.ifname[i], sizeof(get.ifname[i]), ifname[i]))
			return cnierr_set(e, CNI_ERR_CONFIG, "invalid interface name \"%s\"", ifname[i]);
	call_netpriv(type, &get, fd, MSG_LINK, &m);
	*there = m.body.link.there;
	if (m.body.link.error)
		return cnierr_set(e, CNI_ERR_INTERNAL, "%s: %s", doing, strerror(-m.body.link.error));
	return 0;
}

int
priv_link_get(const char *const *ifname, size_t n, uint64_t *there, struct cnierr *e)
{
	return ask_links(MSG_LINK_GET, -1, ifname, n, there, "cannot look for interfaces in the pod", e);
}

int
priv_state_plan(const char *text, size_t len, const char *const *ifname, size_t n, uint64_t *there, struct cnierr *e)
{
	cleanup_close int fd = util_sealed_memfd("state", text, len);

	if (fd < 0)
		return cnierr_set(e, CNI_ERR_INTERNAL, "journal entry: %s", strerror(-fd));
	return ask_links(MSG_STATE_PLAN, fd, ifname, n, there, "cannot look for interfaces in the pod, or write the journal", e);
}

/* Where a delegate's output goes. tail: keep the end rather than the beginning. */
struct sink {
	int fd; /* -1: at its end */
	char *buf;
	size_t len, max;
	bool tail, overflow;
};

static void
append_output(struct sink *s, const char *data, size_t n)
{
	char *grown;

	if (s->tail && s->len + n > s->max) {
		size_t drop = s->len + n - s->max;

		memmove(s->buf, s->buf + drop, s->len - drop);
		s->len -= drop;
	}
	if (s->len + n > s->max) {
		s->overflow = true;
		n = s->max - s->len;
	}
	grown = realloc(s->buf, s->len + n + 1);
	if (!grown)
		log_fatal("out of memory for a delegate's output");
	memcpy(grown + s->len, data, n);
	s->buf = grown;
	s->len += n;
	s->buf[s->len] = '\0';
}

static void
read_output(struct sink *s)
{
	char data[8192];
	ssize_t n = read(s->fd, data, sizeof(data));

	if (n > 0)
		append_output(s, data, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		s->fd = -1;
}

/* Reads what comes until the channel has something to say (then 1), or until there is no more at once (then 0; -1 waits). */
static bool
drain_output(struct sink s[2], bool wait)
{
	static const struct timespec now;

	/* A daemon that the delegate left behind may hold the pipe and fill it for ever: that is not waited for. */
	for (unsigned rounds = 0; wait || rounds < 64; rounds++) {
		struct pollfd p[3] = { { s[0].fd, POLLIN, 0 },
				       { s[1].fd, POLLIN, 0 },
				       { wait ? channel.fd : -1, POLLIN, 0 } };
		int n = ppoll(p, 3, wait ? NULL : &now, NULL);

		if (n < 0 && errno != EINTR)
			log_fatal("ppoll: %s", strerror(errno));
		if (n <= 0) {
			if (!wait)
				return false;
			continue;
		}
		for (int i = 0; i < 2; i++)
			if (p[i].revents)
				read_output(&s[i]);
		if (p[2].revents)
			return true;
	}
	return false;
}

static int
open_output(int read_end[2], int write_end[2])
{
	for (int i = 0; i < 2; i++) {
		int p[2];

		if (pipe2(p, O_CLOEXEC) < 0)
			return -errno;
		read_end[i] = p[0];
		write_end[i] = p[1];
		/* This end only: the delegate's must block, as it expects of its stdout. */
		if (fcntl(p[0], F_SETFL, O_NONBLOCK) < 0)
			return -errno;
	}
	return 0;
}

/* Sends the request, then closes the write ends: from now on only the delegate holds them. */
static int
send_run(const struct msg_delegate_run *run, const char *stdin_text, size_t len, int write_end[2],
	 uint64_t serial)
{
	cleanup_close int config = util_sealed_memfd("stdin", stdin_text, len);
	int fds[3] = { config, write_end[0], write_end[1] };

	if (config < 0)
		return config;
	return wire_send(&channel, MSG_DELEGATE_RUN, serial, run, fds, 3);
}

static void
wait_done(struct sink s[2], uint64_t serial, struct msg_delegate_done *done)
{
	struct wire_msg m;
	int err;

	drain_output(s, true);
	err = wire_recv(&channel, WS_ANY, &m);
	if (err != 1 || m.head.type != MSG_DELEGATE_DONE || m.head.serial != serial)
		log_fatal("DELEGATE_RUN: the channel to netpriv broke: %s",
			  strerror(err < 0 ? -err : EPIPE));
	*done = m.body.delegate_done;
	drain_output(s, false);
}

int
priv_delegate_run(const struct msg_delegate_run *run, const char *stdin_text, size_t len,
		  struct priv_run *out, struct cnierr *e)
{
	static uint64_t serial = UINT64_C(1) << 32;
	int read_end[2] = { -1, -1 }, write_end[2] = { -1, -1 };
	struct sink s[2] = { { .max = PRIV_OUT_MAX }, { .max = PRIV_ERR_MAX, .tail = true } };
	int err = open_output(read_end, write_end);

	memset(out, 0, sizeof(*out));
	if (err == 0)
		err = send_run(run, stdin_text, len, write_end, ++serial);
	for (int i = 0; i < 2; i++) {
		util_close_cleanup(&write_end[i]);
		s[i].fd = read_end[i];
	}
	if (err == 0) {
		append_output(&s[0], "", 0);
		append_output(&s[1], "", 0);
		wait_done(s, serial, &out->done);
		*out = (struct priv_run){ .done = out->done,
					  .out = s[0].buf,
					  .out_len = s[0].len,
					  .err = s[1].buf,
					  .err_len = s[1].len,
					  .overflow = s[0].overflow };
	}
	for (int i = 0; i < 2; i++)
		util_close_cleanup(&read_end[i]);
	return err ? cnierr_set(e, CNI_ERR_INTERNAL, "cannot ask for the start: %s", strerror(-err))
		   : 0;
}

int
priv_route_default(const char *ifname, const char *gateway, struct cnierr *e)
{
	struct msg_route_default route = { .family = strchr(gateway, ':') ? AF_INET6 : AF_INET };
	char doing[128];

	snprintf(doing, sizeof(doing), "cannot make %.48s the default gateway on \"%.15s\"",
		 gateway, ifname);
	if (!check_ifname(ifname) || util_copy(route.ifname, sizeof(route.ifname), ifname) ||
	    inet_pton((int)route.family, gateway, route.gateway) != 1)
		return cnierr_set(e, CNI_ERR_CONFIG, "%s: not an address or not an interface name",
				  doing);
	return call_simple(MSG_ROUTE_DEFAULT, &route, -1, doing, e) < 0 ? -1 : 0;
}

int
priv_gc_valid(const char *container_id, const char *ifname, struct cnierr *e)
{
	struct msg_gc_valid valid = { 0 };
	int err;

	if (!check_container_id(container_id) || !check_ifname(ifname))
		return cnierr_set(e, CNI_ERR_CONFIG, "invalid attachment \"%s\", \"%s\"",
				  container_id, ifname);
	util_copy(valid.container_id, sizeof(valid.container_id), container_id);
	util_copy(valid.ifname, sizeof(valid.ifname), ifname);
	/* No answer: there may be thousands, and GC_SWEEP's comes after all of them. */
	err = wire_send(&channel, MSG_GC_VALID, 1, &valid, NULL, 0);
	if (err)
		log_fatal("GC_VALID: the channel to netpriv broke: %s", strerror(-err));
	return 0;
}

int
priv_gc_sweep(struct cnierr *e)
{
	struct msg_gc_sweep sweep = { 0 };

	return call_simple(MSG_GC_SWEEP, &sweep, -1, "cannot sweep", e);
}

void
priv_verdict(uint32_t code, bool clean, const char *text, const char *results, const char *log_text)
{
	struct msg_verdict v = { .code = code, .flags = clean ? VERDICT_CLEAN : 0 };
	cleanup_close int fd = text ? util_sealed_memfd("verdict", text, strlen(text)) : -1;
	cleanup_close int kept = results ? util_sealed_memfd("state", results, strlen(results)) : -1;
	int fds[] = { fd, kept }, err;

	snprintf(v.text, sizeof(v.text), "%.*s", (int)sizeof(v.text) - 1, log_text ? log_text : "");
	/* Without what it should print an ADD has not succeeded: netpriv must hear nothing rather than that. */
	if ((text && fd < 0) || (results && kept < 0))
		log_fatal("the result cannot be handed over: %s", strerror(fd < 0 ? -fd : -kept));
	err = wire_send(&channel, MSG_VERDICT, 1, &v, fds, kept >= 0 ? 2 : fd >= 0);
	if (err)
		log_fatal("VERDICT: the channel to netpriv broke: %s", strerror(-err));
}
