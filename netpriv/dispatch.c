/* The operations behind the wall. Each op_x() answers priv_x() of broker/priv.c.
 * Runs in: netpriv.  Trusts: the fields of struct cmd, which it set itself; of a message only what wire_recv() checked.
 *
 * Which operation a command may use at all is the table below; in which state, wire.def says. Every operation acts on the
 * attachment that the channel is bound to: there is no field by which a worker could name another one. */
#include "netpriv/dispatch.h"

#include <stdio.h>

#include "netpriv/confdir.h"
#include "netpriv/journal.h"
#include "netpriv/log.h"
#include "netpriv/route.h"
#include "netpriv/sweep.h"
#include "netpriv/util.h"

static uint64_t exec_serial;

/* The verb that the worker serves: a command that is being undone is a DEL to its second worker. */
static uint32_t
served_verb(const struct cmd *c)
{
	return c->phase == CMD_UNDO ? CNI_DEL : c->verb;
}

static bool
has_state(const struct cmd *c)
{
	return c->planned || (c->offered & OFFER_STATE);
}

static void
answer(struct cmd *c, enum msg_type type, const void *body, int fd)
{
	if (wire_send(&c->worker, type, c->reply_to, body, &fd, fd >= 0) < 0)
		attach_lost(c, "its worker does not read");
	if (fd >= 0)
		close(fd);
}

/* What is half undone is no pod's any more. */
static void
answer_state(struct cmd *c, const struct journal_entry *e)
{
	struct msg_state s = { .kind = STATE_NONE };

	if (e) {
		s.kind = e->owed ? STATE_IS_PLAN : e->kind;
		s.owed = e->owed;
		memcpy(s.container_id, e->head.target.container_id, sizeof(s.container_id));
		memcpy(s.ifname, e->head.target.ifname, sizeof(s.ifname));
		memcpy(s.main, e->head.main, sizeof(s.main));
	}
	answer(c, MSG_STATE, &s, e ? e->blob : -1);
}

/* Safe: gives back what was journalled for this very attachment. An entry that cannot be read must not look like none. */
static void
op_state_get(struct cmd *c, struct wire_msg *m)
{
	struct journal_entry e;
	int err = journal_load(&c->target, true, &e);

	(void)m;
	if (err < 0 && err != -ENOENT && err != -ENODATA) {
		attach_lost(c, strerror(-err));
		return;
	}
	answer_state(c, err == 0 ? &e : NULL);
}

/* Safe: entries of the container that the channel is bound to; GC sees all, read-only: which networks of the node have which attachments
 * is its business. */
static void
op_state_next(struct cmd *c, struct wire_msg *m)
{
	const struct msg_state_next *after = &m->body.state_next;
	struct journal_entry e;
	int err = journal_next(c->target.container_id, after->container_id, after->ifname, &e);

	answer_state(c, err == 0 ? &e : NULL);
}

/* Safe: files of Multus' about the container that the channel is bound to, beneath the one directory; the name is made here of checked
 * parts. Not where the journal knows the container. */
static void
op_cache_get(struct cmd *c, struct wire_msg *m)
{
	struct msg_conf r;
	int fd;

	if (c->offered & OFFER_STATE) {
		attach_lost(c, "its worker asked for what this command may not do");
		return;
	}
	fd = confdir_cache(attach.conf, c->target.container_id, &m->body.cache_get, &r);
	c->taken = c->taken || (fd >= 0 && !m->body.cache_get.net[0]);
	answer(c, MSG_CONF, &r, fd);
}

/* Safe: the place comes from the node's configuration, the file by number; symbolic links stay beneath the place. */
static void
op_conf_get(struct cmd *c, struct wire_msg *m)
{
	struct msg_conf r;
	int fd = confdir_get(attach.conf, &m->body.conf_get, &r);

	answer(c, MSG_CONF, &r, fd);
}

/* Says of at most WIRE_LINKS checked names whether the pod's own namespace has them. False: the command is over. */
static bool
look_for_links(struct cmd *c, const struct msg_link_get *m, struct msg_link *r)
{
	char text[WIRE_TEXT];

	if (!attach_netlink(c))
		return false;
	for (unsigned i = 0; i < WIRE_LINKS && m->ifname[i][0] && r->error == 0; i++) {
		int there = route_link(c->nl, m->ifname[i], text, sizeof(text));

		if (there < 0)
			log_warn("%s: %s", c->target.container_id, text);
		else
			r->there |= (uint64_t)there << i;
		r->error = there < 0 ? there : 0;
	}
	return true;
}

/* Safe: reads names of the pod's own links. */
static void
op_link_get(struct cmd *c, struct wire_msg *m)
{
	struct msg_link r = { 0 };

	if (look_for_links(c, &m->body.link_get, &r))
		answer(c, MSG_LINK, &r, -1);
}

/* Safe: the bytes go into a file named after this attachment, and come back only to a worker of the same attachment (and to GC); their
 * size is bounded by the wire; an existing entry is never replaced. DEL journals what it takes over from Multus, before it undoes it. */
static void
op_state_plan(struct cmd *c, struct wire_msg *m)
{
	struct journal_head head = { .target = c->target, .cookie = c->cookie };
	struct msg_link r = { 0 };
	bool add = served_verb(c) == CNI_ADD;

	if (add ? c->netns < 0 : !c->taken) {
		attach_lost(c, "its worker asked for what this command may not do");
		return;
	}
	memcpy(head.main, c->main, sizeof(head.main));
	if (add && !look_for_links(c, &m->body.state_plan, &r))
		return;
	if (r.error == 0 && r.there == 0)
		r.error = journal_plan(&head, m->fds[0]);
	if (r.error == 0 && r.there == 0) {
		c->planned = true;
		c->state = WS_PLANNED;
	}
	answer(c, MSG_LINK, &r, -1);
}

/* Safe: changes default routes inside the pinned namespace of this pod only, which is never the host's; the message to the kernel is
 * built here from a checked unicast address and a checked name, and marked as ours. */
static void
op_route_default(struct cmd *c, struct wire_msg *m)
{
	struct msg_reply r = { 0 };

	if (!attach_netlink(c))
		return;
	r.error = route_default(c->nl, &m->body.route_default, r.text, sizeof(r.text));
	answer(c, MSG_REPLY, &r, -1);
}

/* May this command run a delegate with verb? ADD runs ADD, and DEL to roll back, but only what it journalled first. */
static bool
may_run(const struct cmd *c, uint32_t verb)
{
	switch (served_verb(c)) {
	case CNI_ADD:
		return c->planned && (verb == CNI_ADD || verb == CNI_DEL);
	case CNI_DEL:
	case CNI_CHECK:
		return verb == served_verb(c) && (has_state(c) || (c->taken && verb == CNI_CHECK));
	default:
		return verb == c->verb;
	}
}

/* Safe: starts a binary that the node's table names, found by exec beneath a directory held since start, with an environment that
 * exec builds from facts which the shim sent and this process checked. The worker chooses the plugin among the allowed ones, its
 * configuration (which is what that plugin can do: see SECURITY.md, the residual), an interface name, and two lists of addresses. */
static void
op_delegate_run(struct cmd *c, struct wire_msg *msg)
{
	const struct msg_delegate_run *m = &msg->body.delegate_run;
	struct msg_exec_run run = { .run = *m, .target = c->target };
	struct msg_delegate_done failed = { .how = DONE_FAILED, .status = EPERM };
	int pass[WIRE_MAX_FDS] = { msg->fds[0], msg->fds[1], msg->fds[2], c->netns };
	int64_t left = c->deadline - util_now_ms();
	const char *sha256;
	uint64_t caps;

	if (!may_run(c, m->verb) || ((m->verb == CNI_ADD || m->verb == CNI_CHECK) && c->netns < 0)) {
		attach_lost(c, "its worker asked for a delegate out of turn");
		return;
	}
	if (!conf_plugin(attach.conf, m->plugin, &caps, &run.deadline_ms, &sha256)) {
		snprintf(failed.text, sizeof(failed.text),
			 "plugin \"%s\" is not allowed on this node: add it to \"plugins\" in the node configuration",
			 m->plugin);
		measure_began(&c->at, m->verb);
		measure_ended(&c->at, &failed);
		answer(c, MSG_DELEGATE_DONE, &failed, -1);
		return;
	}
	run.alias = (c->offered & OFFER_ALIAS) != 0;
	if (left < (int64_t)run.deadline_ms)
		run.deadline_ms = left < 1 ? 1 : (uint32_t)left;
	if (wire_send(&attach.exec, MSG_EXEC_RUN, ++exec_serial, &run, pass, c->netns >= 0 ? 4 : 3) < 0)
		log_fatal("exec: cannot be reached");
	measure_began(&c->at, m->verb);
	c->exec = exec_serial;
	c->state = WS_BUSY;
}

/* Safe: ends this command, whose channel takes nothing any more. */
static void
op_verdict(struct cmd *c, struct wire_msg *m)
{
	attach_verdict(c, &m->body.verdict, util_take_fd(&m->fds[0]), m->fds[1]);
}

#define BIT(x) (1u << (x))
static const struct {
	uint32_t verbs;
	bool needs_netns;
	bool needs_state; /* an entry that this command, or an earlier one, journalled */
	void (*op)(struct cmd *c, struct wire_msg *m);
} allowed[MSG_COUNT] = {
	[MSG_STATE_GET] = { BIT(CNI_ADD) | BIT(CNI_DEL) | BIT(CNI_CHECK), false, false, op_state_get },
	[MSG_STATE_NEXT] = { ~BIT(CNI_STATUS), false, false, op_state_next },
	[MSG_STATE_PLAN] = { BIT(CNI_ADD) | BIT(CNI_DEL), false, false, op_state_plan }, /* has more to ask */
	[MSG_CACHE_GET] = { BIT(CNI_DEL) | BIT(CNI_CHECK), false, false, op_cache_get },
	[MSG_CONF_GET] = { BIT(CNI_ADD) | BIT(CNI_GC) | BIT(CNI_STATUS), false, false, op_conf_get },
	[MSG_LINK_GET] = { BIT(CNI_ADD) | BIT(CNI_CHECK), true, false, op_link_get },
	[MSG_DELEGATE_RUN] = { ~0u, false, false, op_delegate_run }, /* has more to ask */
	[MSG_ROUTE_DEFAULT] = { BIT(CNI_ADD), true, true, op_route_default },
	[MSG_GC_VALID] = { BIT(CNI_GC), false, false, sweep_valid },
	[MSG_GC_SWEEP] = { BIT(CNI_GC), false, false, sweep_begin },
	[MSG_VERDICT] = { ~0u, false, false, op_verdict },
};

void
dispatch_worker(struct cmd *c)
{
	cleanup_msg struct wire_msg m;
	int err = wire_recv(&c->worker, c->state, &m);

	if (err == -EAGAIN)
		return;
	if (err <= 0) {
		if (c->state != WS_DONE)
			attach_lost(c, err == 0 ? "its worker ended" : "its worker broke the protocol");
		return;
	}
	c->reply_to = m.head.serial;
	if (!allowed[m.head.type].op || !(allowed[m.head.type].verbs & BIT(served_verb(c))) ||
	    (allowed[m.head.type].needs_netns && c->netns < 0) ||
	    (allowed[m.head.type].needs_state && !has_state(c)))
		attach_lost(c, "its worker asked for what this command may not do");
	else
		allowed[m.head.type].op(c, &m);
}
