/* Opening what only root can have put there.
 * Runs in: supervisor; autoconf.  Trusts: "/" and, from there, each step that it has checked. */
#ifndef NETPRIV_TRUST_H
#define NETPRIV_TRUST_H

#include <stddef.h>
#include <sys/types.h>

/* Opens an absolute path with flags (O_CLOEXEC is added), walking it step by step, symbolic links
 * included: every step must belong to root and be writable by root only; a sticky directory on the
 * way (/tmp) is accepted, as the next step is root's. make != 0: missing directories are made, the
 * last one with that mode, those before it 0755. A descriptor, or -errno and one line in why that
 * names the step. */
int trust_open(const char *path, int flags, mode_t make, char *why, size_t size);

#endif
