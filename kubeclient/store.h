/* The embedded store: a directory of manifests, found by name and never by scanning. Bytes go through as they are.
 *   pods/<ns>/<name>.yaml|.json
 *   network-attachment-definitions/<ns>/<name>.yaml|.json
 *   status/<ns>/<name>.json          what came back: the value of the network-status annotation
 * Runs in: kube.  Trusts: the directory's owner (root) for what the manifests say, not for what they look like. */
#ifndef KUBECLIENT_STORE_H
#define KUBECLIENT_STORE_H

#include "netpriv/wire.h"

#define STORE_PODS "pods"
#define STORE_NADS "network-attachment-definitions"
#define STORE_MAX (1u << 20) /* bytes of one manifest or status */

/* Reads kind/<ns>/<name>.yaml, or .json when there is no .yaml. Fills in r: code 200, format and text = the path. Returns a
 * sealed memfd that the caller owns, or -1 with code and text saying what is wrong with which file. */
int store_read(int dir, const char *kind, const char *ns, const char *name, struct msg_kube_reply *r);

/* Can the store be read? Fills in r. */
void store_ping(int dir, struct msg_kube_reply *r);

/* Writes the memfd's bytes to <ns>/<name>.json in the status directory, in one step as seen by readers. Fills in r. */
void store_write(int dir, const char *ns, const char *name, int memfd, struct msg_kube_reply *r);

#endif
