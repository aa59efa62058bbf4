/* A DEL that could not be delivered, as the shim leaves it on disk. The file
 * <socketDir>/spool/<container id>:<ifname>.<random>.del holds one struct spool_file and, behind
 * it, the configuration's bytes. Files that begin with SPOOL_TEMP are unfinished.
 * Runs in: shim (writes), netpriv (reads).  The directory is root's; the reader checks anyway. */
#ifndef NETPRIV_SPOOL_H
#define NETPRIV_SPOOL_H

#include <errno.h>
#include <stdint.h>

#include "netpriv/wire.h"
#include "netpriv/wire_check.h"

#define SPOOL_DIR    "spool" /* beneath socketDir */
#define SPOOL_SUFFIX ".del"
#define SPOOL_TEMP   ".tmp-"
#define SPOOL_MAGIC  0x5053504cu /* "PSPL" */

struct spool_file {
	uint32_t magic, version;  /* SPOOL_MAGIC, WIRE_VERSION */
	struct msg_attach attach; /* verb CNI_DEL; target.netns is a path to look up anew, or "" */
	uint32_t length;	  /* of the configuration, 1..WIRE_STDIN_MAX */
	uint32_t zero;
};

/* Checks a header read from a file of file_size bytes. 0; -EPROTONOSUPPORT: of another version;
 * -EINVAL: broken. */
static inline int
spool_check(const struct spool_file *f, uint64_t file_size)
{
	if (f->magic != SPOOL_MAGIC || f->zero != 0)
		return -EINVAL;
	if (f->version != WIRE_VERSION)
		return -EPROTONOSUPPORT;
	if (f->length == 0 || f->length > WIRE_STDIN_MAX || file_size != sizeof(*f) + f->length)
		return -EINVAL;
	return f->attach.verb == CNI_DEL && wire_check_attach(&f->attach) ? 0 : -EINVAL;
}

#endif
