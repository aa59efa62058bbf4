/* The networks of one pod, in order: what to run for each. Built from the node's configuration, the pod's annotations and
 * NADs (delegates.c); journalled (plan.c); run (run.c).
 * Runs in: worker. */
#ifndef BROKER_DELEGATE_H
#define BROKER_DELEGATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/cnierr.h"
#include "netpriv/conf.h"
#include "netpriv/wire.h"

#define DELEGATE_MAX 40  /* networks of one pod, cluster network included */
#define DELEGATE_CHAIN 16 /* plugins of one list */

struct delegate {
	char display[328];    /* as in network-status: "<ns>/<nad>" for a NAD, else the configuration's name */
	char net[256];        /* the configuration's name: what the plugins get as "name" */
	char version[16];     /* cniVersion the plugins get; "" when the configuration has none (0.1.0 rules) */
	bool list;            /* came as a list ("plugins") */
	bool disable_check, disable_gc;
	bool master;          /* the cluster network: its result is the pod's */
	char ifname[16];
	char mac[64];         /* MAC= in CNI_ARGS, "" = none */
	char ips[1024];       /* IP= in CNI_ARGS: a comma list, "" = none */
	json_t *plugins;      /* array of 1..DELEGATE_CHAIN plugin objects, each with a checked "type"; owned */
	json_t *runtime;      /* capability arguments by name (portMappings, ips, mac, ...), or NULL; owned */
	json_t *default_route; /* array of address strings, or NULL when the selection has no default-route; owned */
	json_t *result;       /* the final ADD result of this network, or NULL; owned */
	char resource[256];   /* of which it needs a device, "" = none */
	char device[256];     /* that it was given, or that the pod names itself; "" = none */
	json_t *device_info;  /* what is known of that device, or NULL; owned */
};

struct delegate_list {
	size_t n;
	struct delegate e[DELEGATE_MAX]; /* e[0] is the cluster network */
};

void delegate_clear(struct delegate *d);
void delegate_list_clear(struct delegate_list *l);
/* Takes the last one off a list that is not empty. */
void delegate_list_pop(struct delegate_list *l);

/* A plugin executes its IPAM plugin itself, past exec: so the node's table is asked here. 0, or -1 with e. */
int delegate_ipam(const struct conf *conf, const struct delegate *d, struct cnierr *e);

/* The netconf that the runtime sent on stdin, after checking. */
struct netconf {
	char version[16]; /* cniVersion, "0.1.0" when absent; one of the supported ones */
	char name[256];
	json_t *root;     /* the whole object; owned */
	json_t *runtime;  /* runtimeConfig, borrowed from root, or NULL */
	char *selection;  /* hot-plug: the network selection in its place, a JSON array; owned */
};

/* Parses and checks stdin as the CNI skeleton does: JSON object (code 6), name (7), supported cniVersion (1), and verb against
 * version (CHECK >= 0.4.0, GC and STATUS >= 1.1.0: code 1). 0, or -1 with e set. */
int netconf_parse(const char *text, size_t len, enum cni_verb verb, struct netconf *nc, struct cnierr *e);
/* What a hot-plug request carries instead: it is read by delegates_build(). Its result is of version 1.1.0. */
int netconf_selection(const char *text, size_t len, struct netconf *nc, struct cnierr *e);
void netconf_clear(struct netconf *nc);

/* Devices of one resource: how many networks need one; whose. */
struct device_request {
	const char *resource;
	size_t wanted;
	const char *pod_uid;   /* as the kubelet knows it */
	const struct pod *pod; /* NULL: not known */
};

/* Where delegates_build() gets its texts. Real: priv.c and ask.c; in unit tests: tables. Each returns a new JSON value, or NULL
 * with e set; "not there" is NULL with e->code 0. */
struct delegate_source {
	void *ctx;
	/* index-th configuration file of conf->networks[net] or confDir (CONF_NET_DIR), or of its sub-directory sub. name gets
	 * the file's name (256 bytes). */
	json_t *(*conf_file)(void *ctx, unsigned net, const char *sub, unsigned index, char *name, struct cnierr *e);
	/* fresh: what it gave before is of no use. */
	json_t *(*nad)(void *ctx, const char *ns, const char *name, bool fresh, struct cnierr *e);
	/* The devices that the pod has, sorted, none twice: a new array of strings, or NULL with e. What is wrong where it looks for
	 * more than it has found goes into why. */
	json_t *(*devices)(void *ctx, const struct device_request *q, struct cnierr *why, struct cnierr *e);
	/* For a network that is added later: what the pod's others have, a new array of [resource, device]; NULL with e. */
	json_t *(*used)(void *ctx, struct cnierr *e);
	/* The pod asks for this one, and it is not there. NULL: nobody wants to know. */
	void (*missing)(const char *ns, const char *name);
};

/* The pod as far as networks matter. */
struct pod {
	char ns[64], name[256], uid[64];
	json_t *annotations; /* object or NULL; owned */
	bool is_static;      /* kubernetes.io/config.source set and not "api" */
	bool known;          /* false: unknown to the store, which says such pods get the cluster network alone */
};
void pod_clear(struct pod *p);

/* Fills p from a Pod manifest or PartialObjectMetadata; checks kind, metadata.name/namespace against the target and uid against
 * target->pod_uid (both non-empty, not a static pod): mismatch is an error. */
int pod_parse(const json_t *manifest, const struct wire_target *target, struct pod *p, struct cnierr *e);

/* The network of nc->selection, at target->ifname; or the networks that pod gets: clusterNetwork (or netconf's "delegates"), defaultNetworks (not in systemNamespaces), the default-
 * network annotation in place of the first, the networks annotation; with interface names given out (CNI_IFNAME, then as asked
 * for, then net<i>) and checked unique; device, cni-args and capability arguments injected; namespaceIsolation applied.
 * pod NULL (GC, STATUS): the cluster network only. l must be zeroed. 0, or -1 with e set and l cleared. */
int delegates_build(const struct conf *conf, const struct netconf *nc, const struct wire_target *target,
		    const struct pod *pod, const struct delegate_source *src, struct delegate_list *l, struct cnierr *e);

#endif
