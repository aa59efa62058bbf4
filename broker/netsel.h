/* Network selections: the annotations k8s.v1.cni.cncf.io/networks and v1.multus-cni.io/default-network, both forms.
 * Runs in: worker.  Source: NPWG multi-network 1.3 section 4. */
#ifndef BROKER_NETSEL_H
#define BROKER_NETSEL_H

#include <jansson.h>
#include <stddef.h>

#include "broker/cnierr.h"

#define NETSEL_MAX 32 /* most networks one pod may ask for */

struct netsel {
	char ns[64];
	char name[256];
	char ifname[16];  /* "" = none asked for */
	char mac[64];
	char guid[64];    /* infiniband-guid */
	char device_id[128];
	json_t *ips;           /* array of strings, or NULL; owned */
	json_t *port_mappings; /* array, or NULL; owned */
	json_t *bandwidth;     /* object, or NULL; owned */
	json_t *cni_args;      /* object, or NULL; owned */
	json_t *default_route; /* array of strings (may be empty), or NULL when absent; owned */
};

struct netsel_list {
	size_t n;
	struct netsel e[NETSEL_MAX];
};

/* Parses an annotation's value (text or JSON form; absent = NULL or "" = no networks). default_ns is used where an element
 * names none. what names it in errors. list must be zeroed; 0, or -1 with e set and list cleared. */
int netsel_parse(const char *value, const char *default_ns, const char *what, struct netsel_list *list,
		 struct cnierr *e);

void netsel_clear(struct netsel_list *list);

#endif
