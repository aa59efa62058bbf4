/* Network namespaces by descriptor: identity, and short visits.
 * Runs in: netpriv (CAP_SYS_ADMIN), single-threaded.  Source: setns(2), socket(7) SO_NETNS_COOKIE (Linux 5.14). */
#ifndef NETPRIV_NETNS_H
#define NETPRIV_NETNS_H

#include <stdbool.h>
#include <stdint.h>

/* Remembers the host's namespace, which every visit returns to. Ends the process on failure. */
void netns_init(void);

/* The namespace's cookie: unique until reboot, unlike inode numbers. 0 or -errno. */
int netns_cookie(int fd, uint64_t *cookie);

/* True when cookie is the host's own namespace. */
bool netns_is_host(uint64_t cookie);

/* Opens path when it still is the network namespace with that cookie. Descriptor (the caller's) or -errno. The path is one that
 * netpriv itself journalled. */
int netns_reopen(const char *path, uint64_t cookie);

/* Runs fn(arg) inside the namespace and comes back; fn's value, or -errno when the namespace cannot be entered. A
 * namespace that cannot be left ends the process: nothing may run in the wrong one. */
int netns_visit(int fd, int (*fn)(void *), void *arg);

#endif
