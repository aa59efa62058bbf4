/* The credentials: where they are, what they are now, and the message that hands them to kube.
 * Runs in: dial.  Trusts: the files' owner (root) for what they say; looks at their form only, kube does the rest. */
#ifndef KUBECLIENT_CRED_H
#define KUBECLIENT_CRED_H

#include <linux/filter.h>
#include <sys/types.h>

#include "kubeclient/kubeconfig.h"
#include "netpriv/wire.h"

/* Where a cluster puts a pod's service account. */
#define CRED_IN_CLUSTER "/var/run/secrets/kubernetes.io/serviceaccount"

#define CRED_PLACES (2 * (PART_COUNT + 1)) /* each file's directory, and the one that a link leads to */

/* Directories that must be readable and are watched. */
struct cred_places {
	unsigned n;
	char list[CRED_PLACES][CONF_PATH];
};

/* Reads a regular file of 1 to max bytes that belongs to root and that nobody else can write to; a token without the white space around it. The length, or -errno with why. */
ssize_t cred_read_file(const char *path, bool token, char *out, size_t max, char *why, size_t size);

/* What conf names: the kubeconfig, parsed in a child that filter confines, or the service account. When the kubeconfig still holds
 * what it held last time (*text, *len bytes; NULL at first), 0 is returned and k stays as it is. 1: k is new, and so is text;
 * -errno with why, and k is spoilt. */
int cred_find(const struct conf *conf, const struct sock_fprog *filter, struct kubeconfig *k, char **text, size_t *len,
	      char *why, size_t size);

/* The directories of all that is read: file is the kubeconfig or "". 0, or -errno with why. */
int cred_places(const struct kubeconfig *k, const char *file, struct cred_places *p, char *why, size_t size);

/* Reads every part, all or nothing. Fills in m; returns a sealed memfd, or -errno with why, which names no content. */
int cred_load(const struct kubeconfig *k, bool bootstrap, struct msg_server *m, char *why, size_t size);

/* Do two sealed memfds hold the same bytes? */
bool cred_same(int a, int b);

#endif
