/* The steps of sandbox_enter() that fill a file of their own. Each ends the process when it fails.
 * Runs in: every confined process, while it is being confined. */
#ifndef SECCOMP_STEPS_H
#define SECCOMP_STEPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "seccomp/sandbox.h"

/* root.c: replaces each held directory by itself, cut out of its tree: ".." at its top leads
 * nowhere. They are O_PATH then; root_reopen(), with the role's own identity, makes those to be
 * written good for fsync() again. */
void root_cut(const struct sandbox_path *paths, unsigned n);
void root_reopen(const struct sandbox_path *paths, unsigned n);

/* root.c: new network, mount, IPC, UTS and cgroup namespaces; the root directory becomes an
 * empty read-only tmpfs. */
void root_leave(void);

/* caps.c: groups, gid, uid, then the securebits, then bounding = permitted = effective = mask,
 * inheritable = ambient = {}. root_exec: programs executed as uid 0 keep the mask; else no exec
 * ever raises a capability. */
void caps_drop(uint32_t uid, uint32_t gid, uint64_t mask, bool root_exec);

/* landlock.c: nothing can be opened but what paths grant, no TCP port be connected to but ports.
 * Returns the kernel's ABI, 0 when it has no Landlock. */
uint32_t landlock_confine(const struct sandbox *s);

#endif
