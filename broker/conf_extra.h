/* Keys of the node configuration whose readers fill files of their own.  Runs in: reader. */
#ifndef BROKER_CONF_EXTRA_H
#define BROKER_CONF_EXTRA_H

#include "broker/confkey.h"

/* conf_auto.c: the runtime's own configuration file. */
int conf_auto_source(struct confkey_reader *r, const struct confkey *k, const json_t *v);
int conf_auto_file(struct confkey_reader *r, const struct confkey *k, const json_t *v);
int conf_auto_version(struct confkey_reader *r, const struct confkey *k, const json_t *v);
int conf_auto_type(struct confkey_reader *r, const struct confkey *k, const json_t *v);
int conf_auto_capabilities(struct confkey_reader *r, const struct confkey *k, const json_t *v);
/* When all keys are read: decides whether a file is written, and of what. */
int conf_auto_finish(struct confkey_reader *r);

/* conf_metrics.c: "unix:/path", "127.0.0.1:9100" or "[::1]:9100"; Multus' port, which means the same of 127.0.0.1 where "metrics" says
 * nothing. */
int conf_metrics(struct confkey_reader *r, const struct confkey *k, const json_t *v);
int conf_metrics_port(struct confkey_reader *r, const struct confkey *k, const json_t *v);
int conf_metrics_pprof(struct confkey_reader *r, const struct confkey *k, const json_t *v);

/* conf_node.c: what else Multus' daemon knows. */
int conf_node_chain(struct confkey_reader *r, const struct confkey *k, const json_t *v);
int conf_node_check(struct confkey_reader *r, const struct confkey *k, const json_t *v);
int conf_node_connections(struct confkey_reader *r, const struct confkey *k, const json_t *v);
int conf_node_delegates(struct confkey_reader *r, const struct confkey *k, const json_t *v);
int conf_node_flag(struct confkey_reader *r, const struct confkey *k, const json_t *v);
int conf_node_hotplug(struct confkey_reader *r, const struct confkey *k, const json_t *v);
/* A key that has no effect, and why. */
int conf_node_ignored(struct confkey_reader *r, const struct confkey *k, const json_t *v);
/* When all keys are read: where the log goes, and where Multus kept its own. */
int conf_node_finish(struct confkey_reader *r);

/* conf_devices.c: where devices are learnt of. */
int conf_devices(struct confkey_reader *r, const struct confkey *k, const json_t *v);
/* When all keys are read: where pods come from an API server there is a kubelet. */
int conf_devices_finish(struct confkey_reader *r);

#endif
