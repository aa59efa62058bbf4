/* DELs that shims left on disk while the door was closed (netpriv/spool.h says how).
 * Runs in: netpriv. */
#ifndef NETPRIV_SPOOL_READ_H
#define NETPRIV_SPOOL_READ_H

/* dirfd: the spool directory, kept. */
void spool_init(int dirfd);

/* Queues every spooled DEL as an internal command. */
void spool_replay(void);

/* The DEL of this file is done, or the journal owes it. */
void spool_remove(const char *name);

#endif
