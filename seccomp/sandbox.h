/* Confinement: one function, one order, fail closed. One filter table a role: tables.c,
 * table_delegate.c.
 * Runs in: every process but the shim and posternctl.  Trusts: its caller's constants.
 * Source: seccomp(2), capabilities(7), landlock(7), namespaces(7); libseccomp, libcap-ng. */
#ifndef SECCOMP_SANDBOX_H
#define SECCOMP_SANDBOX_H

#include <linux/filter.h>
#include <stdint.h>

#include "netpriv/conf.h"
#include "netpriv/role.h"
#include "netpriv/wire.h"

#define SANDBOX_PATHS 24

/* Landlock access below a held directory (or file) descriptor. */
#define SANDBOX_READ 1u  /* read files, list directories */
#define SANDBOX_WRITE 2u /* make, write, truncate, rename, remove regular files; make directories */

struct sandbox_path {
	/* Stays the caller's. kube's is cut out of its tree on the way: ".." leads nowhere. */
	int fd;
	uint32_t access;
};

struct sandbox {
	enum role role;
	enum conf_sandbox mode;
	uint32_t uid, gid;      /* identity to take; 0,0 for netpriv and exec */
	uint64_t exec_caps;     /* ROLE_EXEC: what delegates reach beyond sandbox_caps() */
	unsigned max_fd;        /* RLIMIT_NOFILE */
	struct sandbox_path paths[SANDBOX_PATHS];
	unsigned n_paths;
	uint16_t ports[2]; /* TCP ports that may be connected to, where Landlock knows of them */
	unsigned n_ports;
};

struct sandbox_facts {
	uint32_t landlock_abi; /* 0 when the role's table asks for none */
	uint32_t syscalls;     /* in the role's table */
	uint32_t filters;      /* loaded by this call */
};

/* Closes every descriptor but 0-2 and [3, first_free). First thing in main(). */
void sandbox_close_fds(unsigned first_free);

/* Confines the calling, single-threaded process as its role's table says, in this order: umask,
 * rlimits, AppArmor label (left to the profile attached at exec), namespaces, empty read-only
 * root, descriptors, groups/gid/uid, securebits, capability sets (which take away what
 * securebits need), not dumpable, parent-death signal, no_new_privs (not for exec), Landlock,
 * seccomp; then reads all of it back. Any failure ends the process through log_fatal(): never
 * returns unconfined. facts may be NULL. */
void sandbox_enter(const struct sandbox *s, struct sandbox_facts *facts);

/* Tells the supervisor READY, and with what facts; ends the process when it cannot be told. The role is control's self. */
void sandbox_report(struct wire *control, const struct sandbox_facts *facts);

/* A role's filter as a BPF program, built once and loaded later in a forked child (worker in
 * broker, delegate in exec). Call it before sandbox_enter(): libseccomp asks the kernel what it
 * can do. The program's memory is the caller's for the life of the process. Ends the process on
 * failure. */
void sandbox_compile(enum role role, enum conf_sandbox mode, struct sock_fprog *prog);

/* Loads a compiled filter. Needs no_new_privs or CAP_SYS_ADMIN. Async-signal-safe. 0 or -errno. */
int sandbox_load(const struct sock_fprog *prog);

/* In a forked child of exec, after its mounts: permitted, effective = mask, inheritable and
 * ambient empty; no_new_privs; read back. The bounding set stays exec's (to cut it takes
 * CAP_SETPCAP, which exec has not): no_new_privs keeps an exec from reaching beyond permitted,
 * whatever the bounding set. mask must lie within exec's. Async-signal-safe. 0 or -errno. */
int sandbox_delegate_caps(uint64_t mask);

/* How many system calls the role's table allows; for the size test. */
unsigned sandbox_syscalls(enum role role);

/* The capability mask that a role must have in permitted, effective and bounding (0 for the
 * unprivileged). */
uint64_t sandbox_caps(enum role role);

#endif
