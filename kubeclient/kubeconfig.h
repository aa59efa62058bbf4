/* A kubeconfig file (YAML or JSON) as one fixed struct: the server, and the four parts of what is shown to it and asked of it.
 * Runs in: dial's throw-away child (kubeconfig_parse), dial (the rest).  Trusts: nothing that it is given.
 * Source: the kubeconfig v1 format. What Postern does not do is refused by name, never passed over. */
#ifndef KUBECLIENT_KUBECONFIG_H
#define KUBECLIENT_KUBECONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "netpriv/conf.h"

#define KUBECONFIG_MAX (1u << 20)  /* bytes of the file */
#define KUBECONFIG_DATA (64u << 10) /* bytes of one part that is given in place */

enum kubeconfig_part { PART_CA, PART_CERT, PART_KEY, PART_TOKEN, PART_COUNT };

/* A file or the bytes themselves; path "" and len 0: not given. */
struct kubeconfig_item {
	char path[CONF_PATH];
	uint32_t len;
	char data[KUBECONFIG_DATA];
};

struct kubeconfig {
	char host[256]; /* DNS name or address, no brackets */
	uint32_t port;
	char prefix[128];   /* "" or "/a/b" */
	char tls_name[256]; /* "" = host */
	struct kubeconfig_item items[PART_COUNT];
	char error[256]; /* when it cannot be used: which field, and what to do; all else is then meaningless */
};

/* Once, before any filter: parsing needs a random seed. */
void kubeconfig_init(void);

/* Fills in k: a file's paths as they stand there. Never fails otherwise than through k->error. No system call. */
void kubeconfig_parse(const char *text, size_t len, struct kubeconfig *k);

/* Is k, which a child answered, well formed? 0 or -EPROTO. */
int kubeconfig_check(const struct kubeconfig *k);

/* Makes k's paths absolute: they count from the directory of file, an absolute path. 0 or -ENAMETOOLONG. */
int kubeconfig_resolve(struct kubeconfig *k, const char *file);

/* "client-key", ... as in the file. */
const char *kubeconfig_name(enum kubeconfig_part part);

#endif
