/* The table of commands: one struct cmd from the moment a shim connects (or netpriv itself decides to undo something) until it
 * is answered. Who holds the other end of cmd->worker may act on that attachment and on no other.
 * Runs in: netpriv. */
#ifndef NETPRIV_ATTACH_H
#define NETPRIV_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "netpriv/conf.h"
#include "netpriv/journal.h"
#include "netpriv/measure.h"
#include "netpriv/wire.h"

enum cmd_phase {
	CMD_NEW,    /* connected, ATTACH not yet here */
	CMD_QUEUED, /* waiting for its turn */
	CMD_RUN,    /* a worker serves it */
	CMD_UNDO,   /* a second worker undoes what the first one left */
	CMD_FREE,   /* to be taken off the list */
};

enum cmd_origin { CMD_SHIM, CMD_PLUG, CMD_BOOT, CMD_SPOOL, CMD_SWEEP, CMD_RETRY };

struct cmd {
	struct cmd *next;
	enum cmd_phase phase;
	enum cmd_origin origin;
	uint32_t verb, flags;
	struct wire_target target;
	struct wire shim;     /* fd -1: internal, or the shim went away */
	int config, netns;    /* -1 = none */
	struct nl_sock *nl;   /* in that namespace, once something asked for it */
	uint64_t cookie;
	int64_t deadline;     /* of the phase, util_now_ms() */
	struct wire worker;   /* fd -1: none */
	unsigned state;       /* WS_*: of the worker's channel */
	uint32_t offered;     /* OFFER_* that the worker was told */
	bool planned;         /* this command journalled its plan */
	bool swept;           /* a pod's DEL: what was attached to the pod while it ran has been seen to */
	bool taken;           /* Multus knew this container: its file was handed to the worker */
	char main[16];        /* CMD_PLUG: journal_head.main */
	uint64_t exec;        /* serial of the delegate that is running, 0 = none */
	uint64_t reply_to;    /* serial that the worker waits for */
	bool settled;         /* the journal says all that is to be known of this command */
	bool lost;            /* the worker is gone or was given up; wait for the delegate to end */
	struct msg_result result; /* what the shim will get */
	int result_fd;        /* its memfd, -1 = none */
	/* GC */
	struct msg_gc_valid *valid;
	size_t n_valid;
	uint64_t began;       /* CLOCK_BOOTTIME, ns: younger journal entries are none of GC's business */
	unsigned sweeping, failed; /* DELs begun for it that still run; that failed */
	struct cmd *parent;   /* CMD_SWEEP: the GC, or the DEL of the pod */
	char spool[256];      /* CMD_SPOOL: file name */
	struct measure at;
};

/* What the whole process shares; set once by main(). */
struct attach_ctx {
	const struct conf *conf;
	struct wire broker, exec;
	struct cmd *cmds; /* in order of arrival */
	bool stopping;
};
extern struct attach_ctx attach;

/* A new command at the end of the list; NULL when out of memory. */
struct cmd *attach_new(enum cmd_origin origin, int shim_fd);

/* A DEL that nobody asked for just now, of what the journal says; in its network namespace while that is still there. NULL when
 * out of memory. */
struct cmd *attach_internal(enum cmd_origin origin, const struct journal_entry *e);

/* The same, begun for a GC, or for the DEL of a pod to which it was attached: that one waits for its end. */
void attach_child(struct cmd *parent, const struct journal_entry *e);

/* Gives as many waiting commands their turn as there is room for; drops the finished ones. */
void attach_schedule(void);

/* Makes c->nl, the command's socket in its pod. False when the worker was lost for want of it. */
bool attach_netlink(struct cmd *c);

/* The worker's last word. text_fd is taken over, results_fd stays the caller's; -1 = none. */
void attach_verdict(struct cmd *c, const struct msg_verdict *v, int text_fd, int results_fd);

/* The worker's channel broke, or its time is over: why goes to the log and to the shim. */
void attach_lost(struct cmd *c, const char *why);

/* The shim hung up. */
void attach_hangup(struct cmd *c);

/* Answers with code and text (no memfd) and ends the command. */
__attribute__((format(printf, 3, 4))) void attach_refuse(struct cmd *c, uint32_t code, const char *fmt,
							 ...);

/* The last DEL of a GC's sweep ended: its worker is told. */
void attach_swept(struct cmd *gc);

/* A delegate ended. */
void attach_exec_done(uint64_t serial, const struct msg_exec_done *done);

/* Deadlines that have passed; retries that are due. Returns milliseconds until the next one, -1 = none. */
int attach_tick(void);

/* Begins the stop: what waits is answered "try again later". */
void attach_stop(void);

/* Undoes what earlier runs left: journal entries without results, owed ones, those of an earlier boot. */
void attach_recover(void);

#endif
