/* The journal: one file an attachment, <cniDir>/journal/<container id>:<interface>, of checksummed records: what was going to
 * be set up (before it is), what came of it, and whether its undoing is owed. ':' is in neither name, so names are unambiguous.
 * The first record is on the disk before journal_plan() returns; later ones need not be: after a power loss
 * everything of an earlier boot is undone anyway.
 * Runs in: netpriv. Blobs are bytes to it. */
#ifndef NETPRIV_JOURNAL_H
#define NETPRIV_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "netpriv/wire.h"

#define JOURNAL_BOOT 40

/* What netpriv itself knows of the attachment. */
struct journal_head {
	struct wire_target target;
	uint64_t cookie; /* of the network namespace, 0 = none */
	uint64_t time;   /* CLOCK_BOOTTIME, nanoseconds, at journal_plan() */
	char boot[JOURNAL_BOOT]; /* boot id of that moment */
	char main[16]; /* attached to a pod that ran: its first interface, with which it goes; "" else. Absent in old entries */
};

struct journal_entry {
	struct journal_head head;
	unsigned kind;  /* STATE_IS_PLAN or STATE_IS_DONE: which blob is the newest whole one */
	bool owed;      /* undoing it was begun and did not finish */
	uint64_t live;  /* when its ADD was answered with success, as head.time; 0 = it was not */
	bool stale;     /* journalled before this boot */
	int blob;       /* sealed memfd, the caller's; -1 unless asked for */
};

extern unsigned journal_entries; /* that can be read, as far as this process knows */

/* dirfd: the journal directory, kept. Reads the boot id; ends the process on failure. */
void journal_init(int dirfd);

/* Makes the entry: head (time and boot are filled in here) and the plan in memfd blob. -EEXIST when there is one. */
int journal_plan(struct journal_head *head, int blob);

/* Adds the results. 0 or -errno. */
int journal_done(const struct wire_target *t, int blob);

/* Adds the results and marks the entry as live: its ADD is about to be answered. 0 or -errno. */
int journal_live(const struct wire_target *t, int blob);

/* Marks the entry as owed. 0 or -errno; -ENOENT when there is none. */
int journal_owe(const struct wire_target *t);

/* Reads the entry. 0, -ENOENT, -ENODATA when it is torn (it ends within its plan, so nothing was started), or -EBADMSG when it is
 * not one of this version, or damaged. e->head is valid only on 0. */
int journal_load(const struct wire_target *t, bool blob, struct journal_entry *e);

/* Forgets it. 0 or -errno; one that is not there is fine. */
int journal_remove(const struct wire_target *t);

/* Calls fn for every entry (of container; NULL = all) that can be read. Torn ones are removed, damaged ones set aside under
 * ".bad-<name>"; both are logged. */
void journal_each(const char *container, void (*fn)(const struct journal_entry *, void *), void *arg);

/* The first entry, with its blob, behind the given one in the order of names; container "" = of any, id and ifname "" = from the start.
 * 0 or -ENOENT. */
int journal_next(const char *container, const char *id, const char *ifname, struct journal_entry *e);

#endif
