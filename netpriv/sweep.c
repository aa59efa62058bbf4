/* Which journalled attachments end because something else did: those that the runtime does not know any more (GC), and those to a pod
 * that goes.
 * Runs in: netpriv.  Trusts: the journal; of the worker's list, only that each entry is well formed. */
#include "netpriv/sweep.h"

#include "netpriv/log.h"
#include "netpriv/util.h"

#define MAX_VALID 65536 /* attachments that one GC may name */

static void
del_plugged(const struct journal_entry *e, void *arg)
{
	struct cmd *c = arg;

	if (strcmp(e->head.main, c->target.ifname) == 0)
		attach_child(c, e);
}

bool
sweep_plugged(struct cmd *c)
{
	struct wire_target pod = c->target;
	struct journal_entry e;

	if (c->origin == CMD_PLUG) {
		memcpy(pod.ifname, c->main, sizeof(pod.ifname));
		if (journal_load(&pod, false, &e) == 0 && e.live && !e.owed)
			return true;
		attach_refuse(c, CNI_ERR_UNKNOWN_CONTAINER, "pod %s/%s is gone", pod.pod_ns, pod.pod_name);
		return false;
	}
	if (c->verb == CNI_DEL && !c->main[0] && (c->origin == CMD_SHIM || c->origin == CMD_SPOOL) && !c->swept)
		journal_each(c->target.container_id, del_plugged, c);
	c->swept = true;
	return c->sweeping == 0;
}

/* Safe: a list in memory, bounded. */
void
sweep_valid(struct cmd *c, struct wire_msg *m)
{
	if (c->n_valid == MAX_VALID) {
		attach_lost(c, "too many valid attachments");
		return;
	}
	if ((c->n_valid & (c->n_valid + 1)) == 0 || !c->valid) {
		struct msg_gc_valid *more =
		    reallocarray(c->valid, c->n_valid ? (c->n_valid + 1) * 2 : 1, sizeof(*more));

		if (!more) {
			attach_lost(c, "out of memory");
			return;
		}
		c->valid = more;
	}
	c->valid[c->n_valid++] = m->body.gc_valid;
}

static void
sweep_entry(const struct journal_entry *e, void *arg)
{
	/* What was attached to a running pod is as valid as the pod. */
	const char *ifname = e->head.main[0] ? e->head.main : e->head.target.ifname;
	struct cmd *c = arg;

	/* Not an ADD that the runtime's list could not know: under way, or answered since. */
	if (!e->stale && (e->live >= c->began || e->head.time >= c->began))
		return;
	for (const struct cmd *o = attach.cmds; o; o = o->next)
		if (o->verb == CNI_ADD && o->phase != CMD_FREE &&
		    strcmp(o->target.container_id, e->head.target.container_id) == 0)
			return;
	for (size_t i = 0; i < c->n_valid; i++)
		if (strcmp(c->valid[i].container_id, e->head.target.container_id) == 0 &&
		    strcmp(c->valid[i].ifname, ifname) == 0)
			return;
	log_info("GC: %s %s is not valid any more", e->head.target.container_id,
		 e->head.target.ifname);
	stats_add(&measure_page->leaks[1]);
	attach_child(c, e);
}

/* Safe: which attachments there are comes from the journal, which of them may stay from the runtime's list; a lying worker can undo
 * attachments of pods on this node, as any GC can. Entries younger than this GC are left alone. */
void
sweep_begin(struct cmd *c, struct wire_msg *m)
{
	(void)m;
	c->state = WS_BUSY;
	journal_each(NULL, sweep_entry, c);
	if (c->sweeping == 0)
		attach_swept(c);
}
