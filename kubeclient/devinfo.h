/* Device-information files: what a device plugin left of a device goes to where the network's plugin looks for it.
 * Runs in: devices.  Trusts: no peer.  Source: NPWG device information 1.0; the names are the ones that its other readers know. */
#ifndef KUBECLIENT_DEVINFO_H
#define KUBECLIENT_DEVINFO_H

#include "netpriv/wire.h"

#define DEVINFO_MAX (64u << 10) /* bytes */

/* info: the directory that holds dp/; cni: its cni/, to be written to; -1: not there. container_id: whose files. Sets r;
 * *memfd: what was read, or -1. */
void devinfo_serve(int info, int cni, const char *container_id, const struct msg_devinfo *m, struct msg_devices_reply *r,
		   int *memfd);

/* The regular file at path beneath dir, as a sealed memfd, or -errno. */
int devinfo_read(int dir, const char *path, size_t max);

#endif
