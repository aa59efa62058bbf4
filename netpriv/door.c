/* The front door.
 * Runs in: netpriv.  Trusts: that the kernel tells the truth about the peer's uid; checks all that a shim sends. */
#include "netpriv/door.h"

#include <sys/socket.h>

#include "netpriv/log.h"
#include "netpriv/netns.h"
#include "netpriv/util.h"

#define MAX_NEW 64      /* connections that have not sent ATTACH yet */
#define MAX_NEW_PLUG 4  /* at the hot-plug door: whoever may come in there is not to keep runtimes out */
#define ATTACH_MS 5000  /* how long they may take */

/* Is the namespace that came with the request the one to work in? journalled: what ADD knew, NULL = nothing. Sets c->cookie; gives
 * up a namespace that DEL must not touch. Returns false when the command was refused. */
static bool
settle_netns(struct cmd *c, const struct journal_head *journalled)
{
	bool needed = c->verb == CNI_ADD || c->verb == CNI_CHECK;
	int err;

	if (c->netns < 0) {
		if (!needed)
			return true;
		attach_refuse(c, CNI_ERR_NETNS, "CNI_NETNS is not a network namespace");
		return false;
	}
	err = netns_cookie(c->netns, &c->cookie);
	if (err < 0 && needed) {
		attach_refuse(c, CNI_ERR_NETNS, "CNI_NETNS cannot be entered: %s", strerror(-err));
		return false;
	}
	if (err == 0 && netns_is_host(c->cookie) && !(c->flags & ATTACH_NETNS_OVERRIDE)) {
		if (needed) {
			attach_refuse(c, CNI_ERR_NETNS, "CNI_NETNS is the host's own network namespace");
			return false;
		}
		err = -EINVAL;
	}
	/* The path may have been reused since ADD: another pod's namespace is not to be touched by this pod's DEL. */
	if (err == 0 && journalled && c->cookie != journalled->cookie) {
		if (needed) {
			attach_refuse(c, CNI_ERR_NETNS,
				      "CNI_NETNS is not the network namespace of this container's ADD");
			return false;
		}
		err = -ESTALE;
	}
	if (err < 0) {
		log_info("DEL %s: going on without its network namespace: %s",
			 c->target.container_id, strerror(-err));
		close(util_take_fd(&c->netns));
		c->cookie = 0;
	}
	return true;
}

static void
queue_command(struct cmd *c)
{
	const struct journal_head *journalled = NULL;
	struct journal_entry e;
	unsigned waiting = 0;

	for (struct cmd *o = attach.cmds; o; o = o->next)
		waiting += o->phase == CMD_QUEUED && o->origin == c->origin;
	if (attach.stopping || waiting >= attach.conf->waiting) {
		attach_refuse(c, CNI_ERR_TRY_AGAIN, attach.stopping
			      ? "postern is stopping; try again later"
			      : "too many commands are waiting; try again later");
		return;
	}
	if (c->target.container_id[0] && c->verb != CNI_ADD && journal_load(&c->target, false, &e) == 0)
		journalled = &e.head;
	if (!settle_netns(c, journalled))
		return;
	if (journalled) {
		/* Delegates get the arguments that they got at ADD, whatever the runtime remembers of them by now. */
		if (c->netns >= 0)
			memcpy(e.head.target.netns, c->target.netns, sizeof(c->target.netns));
		c->target = e.head.target;
		memcpy(c->main, e.head.main, sizeof(c->main));
	}
	c->began = util_boot_ns();
	c->phase = CMD_QUEUED;
	/* A DEL gets its turn whatever it waits for: nothing may be forgotten for want of time. */
	c->deadline = c->verb == CNI_DEL ? INT64_MAX : util_now_ms() + attach.conf->wait_ms;
}

bool
door_open(enum cmd_origin origin)
{
	unsigned fresh = 0;

	for (struct cmd *c = attach.cmds; c; c = c->next)
		fresh += c->phase == CMD_NEW && c->origin == origin;
	return !attach.stopping && fresh < (origin == CMD_PLUG ? MAX_NEW_PLUG : MAX_NEW);
}

void
door_accept(int listener, enum cmd_origin origin)
{
	cleanup_close int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	struct cmd *c;

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || (peer.uid != 0 && (origin != CMD_PLUG || peer.uid != attach.conf->plug_uid))) {
		log_warn("door: uid %u may not come in here: refused", peer.uid);
		return;
	}
	c = attach_new(origin, fd);
	if (!c) {
		log_error("door: out of memory");
		return;
	}
	fd = -1;
	c->deadline = util_now_ms() + ATTACH_MS;
}

struct search {
	const struct msg_plug *m;
	struct journal_entry found;
};

static void
match_pod(const struct journal_entry *e, void *arg)
{
	const struct wire_target *t = &e->head.target;
	struct search *s = arg;

	if (e->live > s->found.live && !e->owed && !e->stale && !e->head.main[0] && strcmp(t->pod_ns, s->m->pod_ns) == 0 &&
	    strcmp(t->pod_name, s->m->pod_name) == 0 && (!s->m->pod_uid[0] || strcmp(t->pod_uid, s->m->pod_uid) == 0))
		s->found = *e;
}

/* Safe: a pod can be named, but the container, the namespace and its path are those of the pod's own journalled ADD. */
static void
queue_plug(struct cmd *c, const struct msg_plug *m)
{
	struct search s = { .m = m };
	struct journal_entry e;

	journal_each(NULL, match_pod, &s);
	c->verb = m->verb;
	c->target = s.found.head.target;
	memcpy(c->main, c->target.ifname, sizeof(c->main));
	memcpy(c->target.ifname, m->ifname, sizeof(c->target.ifname));
	if (!s.found.live || (c->verb == CNI_DEL && (journal_load(&c->target, false, &e) < 0 || !e.head.main[0]))) {
		attach_refuse(c, CNI_ERR_UNKNOWN_CONTAINER, s.found.live ? "pod %s/%s: nothing was attached to it at %s while it ran"
			      : "pod %s/%s has no networks from here", m->pod_ns, m->pod_name, m->ifname);
		return;
	}
	c->netns = netns_reopen(c->target.netns, s.found.head.cookie);
	if (c->netns < 0)
		c->netns = -1;
	queue_command(c);
}

void
door_read(struct cmd *c)
{
	cleanup_msg struct wire_msg m;
	int err = wire_recv(&c->shim, c->phase == CMD_NEW ? WS_NEW : WS_DONE, &m);

	if (err == -EAGAIN)
		return;
	if (err == -EPROTONOSUPPORT && c->phase == CMD_NEW) {
		attach_refuse(c, CNI_ERR_TRY_AGAIN,
			      "shim and service are of different versions: install the shim of this version");
		return;
	}
	if (err != 1) {
		if (err < 0)
			log_warn("door: a shim broke the protocol: %s", strerror(-err));
		attach_hangup(c);
		return;
	}
	if ((m.head.type == MSG_PLUG) != (c->origin == CMD_PLUG)) {
		attach_hangup(c);
		return;
	}
	c->config = util_take_fd(&m.fds[0]);
	if (m.head.type == MSG_PLUG) {
		queue_plug(c, &m.body.plug);
		return;
	}
	c->verb = m.body.attach.verb;
	c->flags = m.body.attach.flags;
	c->target = m.body.attach.target;
	c->netns = util_take_fd(&m.fds[1]);
	queue_command(c);
}
