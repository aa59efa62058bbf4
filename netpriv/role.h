/* The roles, the verbs, and the descriptor numbers at which each role finds its channels after exec.
 * The supervisor places them; every role closes all others (close_range) before anything else. */
#ifndef NETPRIV_ROLE_H
#define NETPRIV_ROLE_H

enum role {
	ROLE_ANY = 0, /* wire.def only */
	ROLE_SUPERVISOR,
	ROLE_NETPRIV,
	ROLE_EXEC,
	ROLE_BROKER,
	ROLE_KUBE, /* also what the embedded store calls itself on the wire */
	ROLE_DIAL, /* reads credentials and connects, for kube */
	ROLE_DEVICES,  /* asks the kubelet which devices a pod has; device-information files */
	ROLE_AUTOCONF, /* writes the runtime's CNI configuration file */
	ROLE_METRICS,  /* answers the monitoring */
	ROLE_WORKER,
	ROLE_SHIM,
	ROLE_READER,    /* one-shot configuration reader */
	ROLE_DELEGATE,  /* a CNI plugin started by exec; only a filter table, never a channel end */
	ROLE_STORE,     /* the embedded store in kube's place; only a sandbox, on the wire it is kube */
	ROLE_COUNT
};

/* Name as in logs and tables: "netpriv", ... ; "?" for an unknown value. Never NULL. */
const char *role_name(enum role role);

enum cni_verb { CNI_ADD = 1, CNI_DEL, CNI_CHECK, CNI_GC, CNI_STATUS, CNI_VERB_COUNT };

/* "ADD", ... ; "?" for an unknown value. */
const char *cni_verb_name(unsigned verb);

/* Descriptors, by role. One that is optional is simply closed when absent. */
enum {
	FD_CONTROL = 3, /* to the supervisor: SEQPACKET */
	FD_CONF = 4,    /* sealed memfd with struct conf */

	FD_NETPRIV_DOOR = 5,   /* the listening socket */
	FD_NETPRIV_BROKER = 6, /* SEQPACKET */
	FD_NETPRIV_EXEC = 7,   /* SEQPACKET */
	FD_NETPRIV_STATE = 8,  /* <cniDir>/journal, O_DIRECTORY|O_RDONLY */
	FD_NETPRIV_SPOOL = 9,  /* <socketDir>/spool, O_DIRECTORY|O_RDONLY */
	FD_NETPRIV_PLUG = 10,  /* the hot-plug door's listening socket */
	FD_NETPRIV_STATS = 11, /* page of counters */

	FD_EXEC_NETPRIV = 5, /* SEQPACKET */
	FD_EXEC_BIN = 6,     /* binDir, O_DIRECTORY|O_RDONLY */

	FD_BROKER_NETPRIV = 5, /* SEQPACKET */
	FD_BROKER_KUBE = 6,    /* SEQPACKET */
	FD_BROKER_DEVICES = 7, /* SEQPACKET */

	FD_KUBE_BROKER = 5, /* SEQPACKET */
	FD_KUBE_DIAL = 6,   /* SEQPACKET */
	FD_KUBE_STATS = 7,  /* page of counters */

	FD_STORE_BROKER = FD_KUBE_BROKER,
	FD_STORE_DIR = 6,    /* the store directory, O_DIRECTORY|O_RDONLY */
	FD_STORE_STATUS = 7, /* <store>/status, O_DIRECTORY|O_RDONLY, writable by kube's uid */

	FD_DIAL_KUBE = 5, /* SEQPACKET */

	FD_DEVICES_BROKER = 5, /* SEQPACKET */

	/* Read-only memfds: what the supervisor publishes, and the pages of those who count. */
	FD_METRICS_LISTEN = 5, /* the listening socket */
	FD_METRICS_FACTS = 6,
	FD_METRICS_NETPRIV = 7,
	FD_METRICS_KUBE = 8,

	FD_READER_IN = 3,  /* the configuration file, O_RDONLY */
	FD_READER_OUT = 4, /* pipe: struct conf, once */
};

/* CNI error codes, spec 1.1.0 section 2 and libcni. */
enum {
	CNI_ERR_VERSION = 1,
	CNI_ERR_UNSUPPORTED_FIELD = 2,
	CNI_ERR_UNKNOWN_CONTAINER = 3,
	CNI_ERR_ENV = 4,
	CNI_ERR_IO = 5,
	CNI_ERR_DECODE = 6,
	CNI_ERR_CONFIG = 7,
	CNI_ERR_NETNS = 8,
	CNI_ERR_TRY_AGAIN = 11,
	CNI_ERR_NOT_AVAILABLE = 50,
	CNI_ERR_INTERNAL = 999,
};

#endif
