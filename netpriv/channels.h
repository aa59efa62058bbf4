/* What the supervisor opens and makes for the roles: the door, the directories, the configuration,
 * the socketpairs.
 * Runs in: supervisor.  A function that fails writes one line into why and leaves nothing open. */
#ifndef NETPRIV_CHANNELS_H
#define NETPRIV_CHANNELS_H

#include <stddef.h>
#include <sys/types.h>

#include "netpriv/conf.h"
#include "netpriv/facts.h"
#include "netpriv/role.h"
#include "netpriv/spawn.h"

/* The listening socket, made once and kept over every restart of the set, so that shims queue in
 * its backlog. */
struct channels_door {
	int dir; /* socketDir, locked: one supervisor a directory; -1: it has no file */
	int socket;
	int type;	/* SOCK_* */
	char name[104]; /* the file's */
	dev_t dev;	/* of the socket's file: what channels_shut() may unlink */
	ino_t ino;
};

struct monitor;

/* What one configuration needs; made again when it is read again. Descriptors and nothing else. */
struct channels_held {
	int conf; /* sealed memfd */
	int bin, state, spool;
	int store, status;
};

/* One set's socketpairs: [i][0] is the supervisor's or the first named role's end. */
struct channels_pairs {
	int control[FACTS_ROLES][2];
	int netpriv_broker[2], netpriv_exec[2], broker_kube[2], kube_dial[2], broker_devices[2];
};

/* The roles of the set, in the order of struct facts. */
static inline enum role
channels_role(unsigned i)
{
	return (enum role)(ROLE_NETPRIV + i);
}

/* The binary that fills a role, or NULL when c has no use for it: the embedded store stands in kube's place. */
static inline const char *
channels_program(const struct conf *c, unsigned i)
{
	enum role role = channels_role(i);

	if ((role == ROLE_DIAL && c->store[0]) || (role == ROLE_DEVICES && !c->pod_resources[0]) ||
	    (role == ROLE_AUTOCONF && !c->autoconf_dir[0]) || (role == ROLE_METRICS && !c->metrics_socket[0] && !c->metrics_ip[0]))
		return NULL;
	return role_name(role == ROLE_KUBE && c->store[0] ? ROLE_STORE : role);
}

/* Makes and locks the directory, refuses when another instance has it, replaces a stale socket, listens: for uid alone. */
int channels_open_door(const char *path, uid_t uid, struct channels_door *door, char *why, size_t size);
/* The same without the lock: a stream socket of root's at path. The directory is made 0755. */
int channels_open_socket(const char *path, struct channels_door *door, char *why, size_t size);
/* Stops listening and unlinks the socket's file if it is still ours. */
void channels_shut(struct channels_door *door);

/* Makes and opens the directories of c, seals c itself. */
int channels_hold(const struct conf *c, struct channels_held *held, char *why, size_t size);
void channels_drop(struct channels_held *held);

/* From here on records go where c says, at its level; config, its file, is named in what the reader wanted said. */
int channels_log(const char *config, const struct conf *c, char *why, size_t size);

int channels_make(struct channels_pairs *p, char *why, size_t size);
void channels_close(struct channels_pairs *p);

/* Which descriptor a role gets at which number; how many. */
unsigned channels_place(enum role role, const struct channels_door *door, const struct channels_door *plug,
			const struct monitor *monitor, const struct channels_held *held, const struct channels_pairs *p,
			struct spawn_fd fds[SPAWN_FDS]);

#endif
