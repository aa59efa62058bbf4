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
#define CONF_DELEGATES 16384

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
	char node_delegates[CONF_DELEGATES]; /* "delegates": the JSON array, when there is no clusterNetwork; "" = none */
	char ready_file[CONF_PATH]; /* readinessindicatorfile: no ADD before it is there; "" = none */
	char aux_chain[64];         /* auxiliaryCNIChainName, "" = none */
	char cni_version[16];       /* of the generated configuration, and, with force_version, of the cluster network; "" = none */
	uint32_t force_version;
	uint32_t no_check;          /* 1: CHECK succeeds unseen */
	char multus_dir[CONF_PATH]; /* Multus' cniDir: what it knew of the pods that it attached; "" = not asked */

	/* Devices. "" for pod_resources: no device is ever given out. */
	char pod_resources[CONF_PATH]; /* the kubelet's socket */
	char checkpoint[CONF_PATH];    /* its file, where that socket is not there */
	char devinfo[CONF_PATH];       /* dp/ and cni/ beneath */
	uint32_t allow_device_id;      /* 1: a pod may name its own device */

	/* Hot-plug door, "" = none: plug_dir/postern.sock belongs to plug_uid. */
	char plug_dir[CONF_PATH];
	uint32_t plug_uid;

	/* The runtime's configuration file, written by autoconf when autoconf_dir is not "". */
	char autoconf_dir[CONF_PATH]; /* multusAutoconfigDir: where the primary configuration is */
	char autoconf_out[CONF_PATH]; /* cniConfigDir: where ours goes */
	char autoconf_file[64];       /* its name */
	char autoconf_primary[256];   /* multusMasterCNI, "" = the first file of the directory */
	char autoconf_base[4096];     /* the keys known beforehand, a JSON object; "" = that file is installed as it is */
	uint32_t autoconf_name;       /* overrideNetworkName: the primary's name */
	uint32_t autoconf_replace;    /* Multus' own file is set aside */

	/* Where metrics are to be had: a unix socket, or an address and port of the loopback interface; both "" = nowhere. */
	char metrics_socket[CONF_PATH];
	char metrics_ip[48];
	uint32_t metrics_port;
	uint32_t metrics_uid, metrics_gid;

	char log_file[CONF_PATH]; /* "" = stderr */
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
 * global_namespaces {default}, uids 64870/64871/64872/64873, attachments 16, waiting 512, wait_ms 60000,
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
