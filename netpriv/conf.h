/* The node configuration as a fixed struct: what the one-shot reader (broker/readconf.c) emits, the supervisor
 * checks and every role maps read-only from FD_CONF. No pointers; strings are NUL-terminated and zero-filled.
 * Runs in: every process.  Source: the root-owned JSON file named by postern --config. */
#ifndef NETPRIV_CONF_H
#define NETPRIV_CONF_H

#include <stdbool.h>
#include <stdint.h>

#define CONF_MAGIC 0x50434e46u /* "PCNF" */
#define CONF_PATH 256
#define CONF_NETS 8      /* clusterNetwork + defaultNetworks */
#define CONF_NAMESPACES 16
#define CONF_PLUGINS 64
#define CONF_WARNINGS 16

enum conf_sandbox { CONF_ENFORCE = 0, CONF_TRAP, CONF_LOG };

/* One entry of "plugins": a delegate binary that this node allows beside the built-in table (plugin.h). */
struct conf_plugin {
	char name[64];       /* check_plugin(), or "*" = any name */
	char sha256[65];     /* lower-case hex digest that the binary must have, or "" */
	char pad[7];
	uint64_t caps;       /* capabilities beyond NET_ADMIN and SYS_ADMIN, bit n = capability n */
	uint32_t deadline_ms; /* 0 = conf.delegate_ms */
	uint32_t zero;
};

struct conf {
	uint32_t magic, size; /* CONF_MAGIC, sizeof(struct conf) */

	/* networks[0] is clusterNetwork ("" when not set), the rest defaultNetworks in order. */
	char networks[CONF_NETS][CONF_PATH];
	uint32_t n_networks; /* counts networks[0] even when it is "" */

	uint32_t n_system_namespaces, n_global_namespaces;
	uint32_t namespace_isolation;
	char multus_namespace[64];
	char system_namespaces[CONF_NAMESPACES][64];
	char global_namespaces[CONF_NAMESPACES][64];

	char bin_dir[CONF_PATH];    /* delegates; CNI_PATH for them */
	char conf_dir[CONF_PATH];   /* network configurations by name */
	char cni_dir[CONF_PATH];    /* <cniDir>/journal holds the journal */
	char socket_dir[CONF_PATH]; /* postern.sock, spool/ */
	char store[CONF_PATH];      /* the embedded store, "" = API server */
	/* API server: through kubeconfig, or, when that is "", as the service account whose files the cluster mounts. */
	char kubeconfig[CONF_PATH];
	char bootstrap[CONF_PATH]; /* bootstrapKubeconfig: the reader copies it over kubeconfig when node_cert is set */
	char api_host[256]; /* KUBERNETES_SERVICE_HOST, set by the supervisor; only without kubeconfig */
	char node_name[256]; /* for events and per-node certificates; "" = not known */
	uint32_t api_port;
	uint32_t node_cert; /* perNodeCertificate: the credentials are good for asking for a certificate of our own only */
	uint32_t node_cert_s; /* seconds that it is asked for */
	uint32_t nads;       /* NADs kept in memory while they do not change, 0..256 */
	uint32_t nad_age_ms; /* for how long a silent watch is believed */
	uint32_t api_ms;     /* one request to the API server, tries and all */
	uint32_t unknown_pods;      /* 1: a pod that the store does not know gets the cluster network alone */

	uint32_t log_level; /* enum log_level */
	uint32_t sandbox;   /* enum conf_sandbox */
	uint32_t broker_uid, broker_gid, kube_uid, kube_gid, reader_uid, reader_gid;

	uint32_t attachments; /* commands served at once, 1..64 */
	uint32_t waiting;     /* commands waiting beyond these, 0..1024 */

	uint32_t wait_ms;     /* longest wait for a turn */
	uint32_t command_ms;  /* one CNI command, from its turn to its answer */
	uint32_t delegate_ms; /* one delegate run */
	uint32_t stop_ms;     /* what commands in flight get after SIGTERM */

	uint32_t n_plugins;
	struct conf_plugin plugins[CONF_PLUGINS];

	/* What the reader wants said, one line each ("unknown key \"foo\""), printed by the supervisor. */
	uint32_t n_warnings, zero;
	char warnings[CONF_WARNINGS][160];
	/* Set by the reader when the file is unusable; all else is then meaningless. */
	char error[256];
};

/* Fills in the documented defaults (bin_dir /opt/cni/bin, conf_dir /etc/cni/multus/net.d, cni_dir
 * /var/lib/cni/postern, socket_dir /run/postern, multus_namespace kube-system, system_namespaces {kube-system},
 * global_namespaces {default}, uids 64870/64871/64872, attachments 16, waiting 512, wait_ms 60000,
 * command_ms 120000, delegate_ms 60000, stop_ms 10000, log_level info). */
void conf_defaults(struct conf *c);

/* Checks every field of a struct that came from the reader: magic, size, strings, ranges, uids != 0 and distinct.
 * On failure writes one line into why (size bytes) and returns -EINVAL. */
int conf_check(const struct conf *c, char *why, unsigned size);

/* Maps FD_CONF read-only for the life of the process; ends the process when it is not a valid struct conf. */
const struct conf *conf_map(int fd);

/* True when plugin may be started on this node: in the built-in table or in conf.plugins. caps (mask of what it may
 * hold), deadline_ms and sha256 ("" when not pinned; points into conf) are filled when true. */
bool conf_plugin(const struct conf *c, const char *name, uint64_t *caps, uint32_t *deadline_ms,
		 const char **sha256);

#endif
