/* The table of commands and what becomes of each.
 * Runs in: netpriv.  Trusts: ATTACH facts only after door.c and wire_recv() checked them; of a worker nothing but that it
 * may, or may not, do the one thing that it was started for. */
#include "netpriv/attach.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "netpriv/confdir.h"
#include "netpriv/log.h"
#include "netpriv/netns.h"
#include "netpriv/owed.h"
#include "netpriv/route.h"
#include "netpriv/spool_read.h"
#include "netpriv/sweep.h"
#include "netpriv/util.h"

#define MAX_NODE_COMMANDS 4 /* GC and STATUS at once: they hold no container */
#define FEW_ANSWERS 16384 /* bytes in a channel that its worker does not read: each may carry a memfd */
#define LOST_MS 5000 /* how long the shim of a lost command waits for its delegate to be gone, and for the undoing */

struct attach_ctx attach;

static int empty_config = -1; /* "{}": what internal commands offer */

struct cmd *
attach_new(enum cmd_origin origin, int shim_fd)
{
	struct cmd *c = calloc(1, sizeof(*c)), **at = &attach.cmds;

	if (!c)
		return NULL;
	c->origin = origin;
	c->phase = CMD_NEW;
	c->shim = WIRE_INIT(shim_fd, ROLE_NETPRIV, ROLE_SHIM);
	c->worker = WIRE_INIT(-1, ROLE_NETPRIV, ROLE_WORKER);
	c->config = c->netns = c->result_fd = -1;
	c->at.came = util_boot_ns();
	while (*at)
		at = &(*at)->next;
	*at = c;
	return c;
}

struct cmd *
attach_internal(enum cmd_origin origin, const struct journal_entry *e)
{
	struct cmd *c = attach_new(origin, -1);

	if (!c)
		return NULL;
	c->verb = CNI_DEL;
	c->target = e->head.target;
	memcpy(c->main, e->head.main, sizeof(c->main));
	if (!e->stale && e->head.target.netns[0])
		c->netns = netns_reopen(e->head.target.netns, e->head.cookie);
	c->phase = CMD_QUEUED;
	c->deadline = INT64_MAX;
	return c;
}

void
attach_child(struct cmd *parent, const struct journal_entry *e)
{
	struct cmd *c = attach_internal(CMD_SWEEP, e);

	if (c) {
		c->parent = parent;
		parent->sweeping++;
	} else {
		parent->failed++;
	}
}

bool
attach_netlink(struct cmd *c)
{
	if (!c->nl)
		c->nl = route_open(c->netns);
	if (!c->nl)
		attach_lost(c, "no netlink socket in its network namespace");
	return c->nl != NULL;
}

static void
drop_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Sends the result, if anybody waits for it. False when it could not be delivered. */
static bool
answer(struct cmd *c)
{
	bool ok = true;

	if (c->verb == CNI_STATUS && c->result.code == CNI_ERR_TRY_AGAIN)
		c->result.code = CNI_ERR_NOT_AVAILABLE;
	if (c->shim.fd >= 0)
		ok = wire_send(&c->shim, MSG_RESULT, 0, &c->result, &c->result_fd, c->result_fd >= 0) == 0;
	else
		ok = c->origin > CMD_PLUG;
	wire_close(&c->shim);
	return ok;
}

void
attach_swept(struct cmd *gc)
{
	struct msg_reply r = { .value = gc->failed };

	gc->state = WS_OPEN;
	if (gc->lost || wire_send(&gc->worker, MSG_REPLY, gc->reply_to, &r, NULL, 0) < 0)
		attach_lost(gc, "its worker does not read");
}

/* The journal keeps the entry, and a timer will try again. */
static void
owe(struct cmd *c)
{
	int err = owed_known(&c->target) ? 0 : journal_owe(&c->target);

	c->settled = err == 0 || err == -ENOENT;
	if (err != -ENOENT)
		owed_add(&c->target);
	if (!c->settled)
		log_error("journal entry %s: %s", c->target.container_id, strerror(-err));
}

static void
forget(struct cmd *c)
{
	int err = journal_remove(&c->target);

	c->settled = err == 0;
	if (err < 0)
		log_error("journal entry %s: %s", c->target.container_id, strerror(-err));
	owed_remove(&c->target);
	/* Read only until here: the pod is gone, and nothing is left of it. */
	if (c->verb == CNI_DEL && !c->main[0])
		confdir_forget(attach.conf, c->target.container_id);
}

/* However a command ends: what it began and did not undo is owed. */
static void
settle(struct cmd *c)
{
	bool began = c->phase == CMD_UNDO || (c->phase == CMD_RUN && (c->verb == CNI_DEL || c->planned));

	if (!c->settled && began)
		owe(c);
	if (!c->settled && began && c->verb == CNI_DEL) {
		c->result = (struct msg_result){ .code = CNI_ERR_TRY_AGAIN,
						 .text = "the journal cannot be written; try again later" };
		drop_fd(&c->result_fd);
	}
}

/* The end: a GC that waits for this command hears of it, and the spool forgets a DEL that the journal now remembers. */
static void
finish(struct cmd *c)
{
	struct cmd *gc = c->parent;

	settle(c);
	answer(c);
	measure_command(c);
	if (c->origin == CMD_SPOOL && c->settled)
		spool_remove(c->spool);
	wire_close(&c->worker);
	drop_fd(&c->config);
	drop_fd(&c->netns);
	route_close(c->nl);
	c->nl = NULL;
	drop_fd(&c->result_fd);
	free(c->valid);
	c->valid = NULL;
	c->phase = CMD_FREE;
	if (gc) {
		gc->failed += c->result.code != 0;
		if (--gc->sweeping == 0 && gc->verb == CNI_GC)
			attach_swept(gc);
	}
}

void
attach_refuse(struct cmd *c, uint32_t code, const char *fmt, ...)
{
	va_list ap;

	c->result = (struct msg_result){ .code = code };
	va_start(ap, fmt);
	vsnprintf(c->result.text, sizeof(c->result.text), fmt, ap);
	va_end(ap);
	drop_fd(&c->result_fd);
	finish(c);
}

/* Delegates see all paths beneath /proc as one, WIRE_NETNS_ALIAS. */
static bool
is_aliased(const char *netns)
{
	return strncmp(netns, "/proc/", 6) == 0;
}

/* Hands the command to the broker with a fresh channel, bound to this attachment. */
static void
offer(struct cmd *c, uint32_t verb)
{
	struct msg_offer m = { .verb = verb, .target = c->target };
	struct journal_entry e;
	int pair[2], fds[2];
	int err = util_seqpair(pair, false);

	if (err < 0) {
		attach_refuse(c, CNI_ERR_TRY_AGAIN, "no channel: %s; try again later", strerror(-err));
		return;
	}
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){ FEW_ANSWERS }, sizeof(int));
	if (c->netns >= 0)
		m.flags |= OFFER_NETNS;
	if (c->target.container_id[0] && journal_load(&c->target, false, &e) == 0)
		m.flags |= OFFER_STATE;
	if (c->shim.fd < 0)
		m.flags |= OFFER_INTERNAL;
	if (is_aliased(c->target.netns))
		m.flags |= OFFER_ALIAS;
	if (c->origin == CMD_PLUG)
		m.flags |= OFFER_PLUG;
	c->offered = m.flags;
	c->worker = WIRE_INIT(pair[0], ROLE_NETPRIV, ROLE_WORKER);
	c->state = WS_OPEN;
	c->lost = false;
	c->deadline = util_now_ms() + attach.conf->command_ms;
	fds[0] = pair[1];
	fds[1] = c->config >= 0 ? c->config : empty_config;
	err = wire_send(&attach.broker, MSG_OFFER, 0, &m, fds, 2);
	close(pair[1]);
	if (err < 0)
		log_fatal("broker: %s", strerror(-err));
}

static bool
same_path(const char *a, const char *b)
{
	return a[0] && (strcmp(a, b) == 0 || (is_aliased(a) && is_aliased(b)));
}

static bool
may_start(const struct cmd *c)
{
	bool container = c->target.container_id[0] != '\0';
	unsigned running = 0, internal = 0;

	if (c->sweeping > 0) /* what was attached to the pod goes first */
		return false;
	for (const struct cmd *o = attach.cmds; o; o = o->next) {
		if (o == c || (o->phase != CMD_RUN && o->phase != CMD_UNDO && o->phase != CMD_QUEUED))
			continue;
		if (o->phase != CMD_QUEUED) {
			running += container == (o->target.container_id[0] != '\0');
			internal += o->origin != CMD_SHIM;
		} else if (o->verb == CNI_GC ? c->parent || (c->origin <= CMD_PLUG && o->began >= c->began)
					     : o->began >= c->began || (c->verb == CNI_GC && o->origin > CMD_PLUG))
			continue; /* a GC that waits goes before our own undoing, which could hold it, and all behind it, for long */
		/* GC says which attachments there are: it runs alone, but for the DELs that it begins. */
		if ((o->verb == CNI_GC && container && c->parent != o) ||
		    (c->verb == CNI_GC && (o->verb == CNI_GC || o->target.container_id[0])))
			return false;
		/* One command a container at a time, in order of arrival; and one a path, since exec binds over it. */
		if (container && (strcmp(o->target.container_id, c->target.container_id) == 0 ||
				  same_path(o->target.netns, c->target.netns)))
			return false;
	}
	/* Undoing and hot-plugging take at most half the places (or one), so that they never keep pods from starting. */
	if (c->origin != CMD_SHIM && internal > 0 && internal >= attach.conf->attachments / 2)
		return false;
	return running < (container ? attach.conf->attachments : MAX_NODE_COMMANDS);
}

void
attach_schedule(void)
{
	for (struct cmd *c = attach.cmds; c; c = c->next) {
		if (c->phase == CMD_QUEUED && may_start(c) && sweep_plugged(c)) {
			c->phase = CMD_RUN;
			c->at.turn = util_boot_ns();
			offer(c, c->verb);
		}
	}
	for (struct cmd **at = &attach.cmds; *at;) {
		struct cmd *c = *at;

		if (c->phase != CMD_FREE || c->sweeping > 0) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		free(c);
	}
}

/* A second worker DELs what the journal says that this command set up; then the shim gets its answer. */
static void
undo(struct cmd *c)
{
	int err = journal_owe(&c->target); /* should we die in the middle of it */

	if (err < 0)
		log_error("journal entry %s: %s", c->target.container_id, strerror(-err));
	wire_close(&c->worker);
	c->settled = false;
	c->phase = CMD_UNDO;
	offer(c, CNI_DEL);
}

void
attach_verdict(struct cmd *c, const struct msg_verdict *v, int text_fd, int results_fd)
{
	bool clean = v->flags & VERDICT_CLEAN;

	c->state = WS_DONE;
	if (c->phase == CMD_RUN) {
		c->result.code = v->code;
		memcpy(c->result.text, v->text, sizeof(c->result.text));
		c->result_fd = text_fd;
	} else if (text_fd >= 0) {
		close(text_fd);
	}
	if (c->phase == CMD_UNDO || c->verb == CNI_DEL) {
		if (clean)
			forget(c);
		/* A sweep counts what is still owed. */
		if (c->origin == CMD_SWEEP && !clean)
			c->result.code = CNI_ERR_INTERNAL;
	} else if (c->verb == CNI_ADD && v->code != 0 && c->planned) {
		if (clean)
			forget(c);
		else if (results_fd >= 0 && journal_done(&c->target, results_fd) < 0)
			log_error("journal entry %s: what was undone is not noted", c->target.container_id);
	} else if (c->verb == CNI_ADD && v->code == 0) {
		if (!c->planned || results_fd < 0) {
			attach_lost(c, "its worker reported success without results");
			return;
		}
		/* An ADD that nobody heard of must not stay; nor one that a restart would not know to be alive. */
		c->settled = journal_live(&c->target, results_fd) == 0;
		if (!c->settled) {
			attach_lost(c, "the journal cannot be written");
			return;
		}
		if (!answer(c)) {
			c->result.code = CNI_ERR_TRY_AGAIN; /* for the counters: nobody is told any more */
			undo(c);
			return;
		}
	}
	finish(c);
}

void
attach_lost(struct cmd *c, const char *why)
{
	if (c->phase != CMD_RUN && c->phase != CMD_UNDO)
		return;
	wire_close(&c->worker);
	if (c->exec && !c->lost) {
		/* Undoing must not race with the delegate: first it has to be gone. */
		struct msg_exec_kill kill = { .target = c->exec };

		if (wire_send(&attach.exec, MSG_EXEC_KILL, 0, &kill, NULL, 0) < 0)
			log_fatal("exec: cannot be reached");
	}
	if (!c->lost) {
		stats_add(&measure_page->lost);
		log_error("%s %s %s: %s", cni_verb_name(c->phase == CMD_UNDO ? CNI_DEL : c->verb),
			  c->target.container_id, c->target.ifname, why);
		c->deadline = util_now_ms() + LOST_MS;
	}
	c->lost = true;
	if (c->phase == CMD_RUN && c->result.code == 0) {
		c->result = (struct msg_result){ .code = CNI_ERR_TRY_AGAIN };
		drop_fd(&c->result_fd);
		snprintf(c->result.text, sizeof(c->result.text), "%s was given up: %s; try again later",
			 cni_verb_name(c->verb), why);
	}
	if (c->exec || c->sweeping)
		return;
	if (c->phase == CMD_RUN && c->verb == CNI_ADD && c->planned) {
		undo(c);
		return;
	}
	if (c->verb == CNI_DEL) /* owed, not refused: DEL never blocks a pod's deletion */
		c->result = (struct msg_result){ .code = c->origin == CMD_SWEEP ? CNI_ERR_INTERNAL : 0 };
	finish(c);
}

void
attach_hangup(struct cmd *c)
{
	wire_close(&c->shim);
	if (c->phase == CMD_NEW || (c->phase == CMD_QUEUED && c->verb != CNI_DEL)) {
		c->result.code = CNI_ERR_TRY_AGAIN; /* for the counters, as above */
		finish(c);
	}
}

void
attach_exec_done(uint64_t serial, const struct msg_exec_done *done)
{
	for (struct cmd *c = attach.cmds; c; c = c->next) {
		if (c->exec != serial || c->phase == CMD_FREE)
			continue;
		c->exec = 0;
		measure_ended(&c->at, done);
		if (c->lost) {
			attach_lost(c, "delegate ended");
			return;
		}
		c->state = c->planned ? WS_PLANNED : WS_OPEN;
		if (wire_send(&c->worker, MSG_DELEGATE_DONE, c->reply_to, done, NULL, 0) < 0)
			attach_lost(c, "its worker does not read");
		return;
	}
}

static void
pass_deadline(struct cmd *c)
{
	if (c->lost) {
		/* A delegate that cannot be killed, or a long sweep, is not the runtime's to wait for. */
		answer(c);
		c->deadline = INT64_MAX;
	} else if (c->phase == CMD_QUEUED) {
		attach_refuse(c, CNI_ERR_TRY_AGAIN, "no turn within %u ms; try again later", attach.conf->wait_ms);
	} else if (c->phase == CMD_NEW) {
		attach_hangup(c);
	} else {
		attach_lost(c, "the command's deadline has passed");
	}
}

int
attach_tick(void)
{
	int64_t now = util_now_ms(), next = owed_tick(now);

	for (struct cmd *c = attach.cmds; c; c = c->next) {
		if (c->phase == CMD_FREE)
			continue;
		if (c->deadline <= now) {
			pass_deadline(c);
		} else if (c->deadline < next) {
			next = c->deadline;
		}
	}
	attach_schedule();
	if (next == INT64_MAX)
		return -1;
	return next - now > 60000 ? 60000 : next <= now ? 0 : (int)(next - now);
}

void
attach_stop(void)
{
	attach.stopping = true;
	for (struct cmd *c = attach.cmds; c; c = c->next) {
		if (c->phase == CMD_NEW || c->phase == CMD_QUEUED) /* the journal, or the spool, remembers what is ours */
			attach_refuse(c, CNI_ERR_TRY_AGAIN, "postern is stopping; try again later");
	}
}

static void
recover_entry(const struct journal_entry *e, void *arg)
{
	(void)arg;
	if (e->live && !e->owed && !e->stale)
		return;
	stats_add(&measure_page->leaks[0]);
	log_warn("journal: %s %s is %s; undoing it", e->head.target.container_id, e->head.target.ifname,
		 e->stale ? "of an earlier boot" : e->owed ? "half undone" : "half done");
	attach_internal(CMD_BOOT, e);
}

void
attach_recover(void)
{
	empty_config = util_sealed_memfd("config", "{}", 2);
	if (empty_config < 0)
		log_fatal("memfd: %s", strerror(-empty_config));
	spool_replay();
	journal_each(NULL, recover_entry, NULL);
}
