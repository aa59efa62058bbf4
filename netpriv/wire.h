/* The wire: AF_UNIX SOCK_SEQPACKET, one fixed struct a message, descriptors beside it. The table is wire.def.
 * Runs in: every process.  Trusts: nothing that it receives.
 *
 * A channel is killed by the first message that breaks a rule: wire_recv() closes what came with it and returns
 * -EPROTO (or the errno at hand); the caller closes the channel. There is no resynchronising. */
#ifndef NETPRIV_WIRE_H
#define NETPRIV_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netpriv/check.h"
#include "netpriv/conf.h"
#include "netpriv/role.h"

#define WIRE_MAGIC 0x504f5354u          /* "POST" */
#define WIRE_MAX_FDS 4                  /* most descriptors any message carries */
#define WIRE_MEMFD_MAX (8u << 20)       /* bytes; the journal's blob is the largest */
#define WIRE_STDIN_MAX (1u << 20)       /* bytes; a CNI configuration (ATTACH, DELEGATE_RUN) */

#define WIRE_ID (CHECK_ID_MAX + 4)      /* 132 */
#define WIRE_NETNS 512
#define WIRE_TEXT 512

/* States of a channel, from the receiver's side. */
#define WS_NEW 1u      /* door: before ATTACH */
#define WS_OPEN 2u     /* attachment: offered, nothing journalled by this command */
#define WS_PLANNED 4u  /* attachment: journalled, delegates may run */
#define WS_BUSY 8u     /* attachment: a delegate or a sweep is running; the worker must wait */
#define WS_DONE 16u    /* attachment: VERDICT received */
#define WS_ANY 0xffu

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct wire_head {
	uint32_t magic;
	uint32_t version; /* WIRE_VERSION: hash of wire.def and this file, made by the build */
	uint16_t type;    /* enum msg_type */
	uint16_t flags;   /* zero */
	uint32_t length;  /* of the body, bytes; equals sizeof the type's struct */
	uint64_t serial;  /* echoed in the reply */
};

/* Which attachment: set by the shim from its environment, checked by netpriv, handed down from there only. */
struct wire_target {
	char container_id[WIRE_ID]; /* "" for GC and STATUS */
	char ifname[16];
	char netns[WIRE_NETNS]; /* CNI_NETNS as received, "" when absent */
	char pod_ns[64];
	char pod_name[256];
	char pod_uid[64];
	char infra_id[WIRE_ID]; /* K8S_POD_INFRA_CONTAINER_ID */
};

#define ATTACH_NETNS_OVERRIDE 1u /* CNI_NETNS_OVERRIDE is 1 or TRUE: the host's own netns is allowed */
struct msg_attach {
	uint32_t verb; /* enum cni_verb */
	uint32_t flags;
	struct wire_target target;
};

/* At the hot-plug door: attach a network to a pod that runs (ADD), or take it away (DEL). The memfd: the network selection, a JSON
 * object as in the networks annotation ("{}" for DEL). Which container, and where its namespace is, the journal says. */
struct msg_plug {
	uint32_t verb;
	uint32_t zero;
	char pod_ns[64];
	char pod_name[256];
	char pod_uid[64]; /* "" = whichever has its name */
	char ifname[16];
};

/* The answer. With a memfd: print it as it is. Without: code 0 prints nothing, else the shim prints a CNI error of code and text. */
struct msg_result {
	uint32_t code; /* CNI error code, 0 = success; exit status is code != 0 */
	uint32_t zero;
	char text[WIRE_TEXT];
};

/* What a role says of its confinement after sandbox_enter(), for posternctl verify. */
struct msg_ready {
	uint32_t role;
	uint32_t landlock_abi;     /* 0: none applied */
	uint32_t syscalls;         /* allowed by the role's own filter */
	uint32_t filters;          /* seccomp filters loaded by the role itself */
};

struct msg_stop {
	uint64_t zero;
};

#define OFFER_NETNS 1u    /* a network namespace is pinned */
#define OFFER_STATE 2u    /* the journal has an entry: STATE_GET answers */
#define OFFER_INTERNAL 4u /* no shim waits: boot, spool, rollback, sweep, retry */
#define OFFER_ALIAS 8u    /* delegates see WIRE_NETNS_ALIAS instead of target.netns */
#define OFFER_PLUG 16u    /* a network of a pod that runs: the configuration is its selection */
#define OFFER_KUBE 32u    /* TASK: a channel to kube follows */
#define OFFER_DEVICES 64u /* TASK: and then one to devices */
#define OFFER_ALL 127u
#define WIRE_NETNS_ALIAS "/run/cni/netns" /* what CNI_NETNS reads when target.netns is beneath /proc: bound there */
struct msg_offer {
	uint32_t verb;
	uint32_t flags;
	struct wire_target target;
};

/* An offer, handed to a worker that was waiting for one; with the attachment's channel, the configuration, and the channels that its flags name. */
#define msg_task msg_offer

struct msg_kube_bind {
	char pod_ns[64];
	char pod_name[256];
	char pod_uid[64];
};

struct msg_devices_bind {
	struct msg_kube_bind pod;
	char container_id[WIRE_ID];
};

/* Run one plugin. ifname "" for GC and STATUS. mac, ips: what goes into CNI_ARGS as MAC= and IP=, "" = absent. */
struct msg_delegate_run {
	uint32_t verb;
	uint32_t zero;
	char plugin[64];
	char ifname[16];
	char mac[64];
	char ips[1024];
};

struct msg_exec_run {
	struct msg_delegate_run run;
	struct wire_target target;
	uint32_t alias; /* 1: bind the netns at WIRE_NETNS_ALIAS */
	uint32_t deadline_ms;
};

struct msg_exec_kill {
	uint64_t target; /* serial of the EXEC_RUN */
};

#define DONE_EXITED 0u   /* status = exit status */
#define DONE_SIGNALED 1u /* status = signal */
#define DONE_TIMEOUT 2u  /* killed at its deadline; status = milliseconds it had */
#define DONE_FAILED 3u   /* never ran; status = errno, text says what */
struct msg_delegate_done {
	uint32_t how;
	uint32_t status;
	char text[WIRE_TEXT];
};
#define msg_exec_done msg_delegate_done

struct msg_state_get {
	uint64_t zero;
};

#define STATE_NONE 0u
#define STATE_IS_PLAN 1u
#define STATE_IS_DONE 2u
struct msg_state {
	uint32_t kind; /* with a memfd unless STATE_NONE */
	uint32_t owed; /* 1: undoing it was begun and did not finish */
	char container_id[WIRE_ID]; /* whose it is */
	char ifname[16];
	char main[16]; /* attached while the pod ran: the pod's first interface */
};

/* An entry like STATE_GET's, in the order of names: the first one behind container_id and ifname ("": the first of all); of the
 * command's own container, for GC of all. */
struct msg_state_next {
	char container_id[WIRE_ID];
	char ifname[16];
};

/* What Multus kept of this container: its delegates (net ""), or libcni's result of one of them. CONF answers. */
struct msg_cache_get {
	char net[256];
	char ifname[16];
};

/* Read the index-th configuration file of a place that the node configuration names; sorted by name; .conf .conflist .json.
 * net: index into conf.networks whose value is a path (a file: index 0 only; a directory: its files), or CONF_NET_DIR = confDir.
 * sub: "" or a network name: then the *.conf files in the sub-directory of that name. */
#define CONF_NET_DIR 0xffffffffu
#define CONF_NET_READY 0xfffffffeu /* no file comes: is the readiness indicator file there? */
#define WIRE_CONF_FILES 256u /* files of one place that are looked at */
struct msg_conf_get {
	uint32_t net;
	uint32_t index;
	char sub[256];
};
struct msg_conf {
	int32_t error; /* 0 with a memfd, or -errno; -ENOENT behind the last file */
	uint32_t zero;
	char name[256]; /* file name */
	char text[WIRE_TEXT]; /* when error: what and where */
};

/* Which of these links are in the pod? */
#define WIRE_LINKS 40
struct msg_link_get {
	char ifname[WIRE_LINKS][16]; /* the first n, "" behind them */
};
struct msg_link {
	int32_t error; /* 0 or -errno */
	uint32_t zero;
	uint64_t there; /* bit i: ifname[i] is */
};
/* Journalled before the first delegate runs: exact configuration, arguments and interface of each (broker/plan.c). Only if none of its
 * interfaces is in the pod; LINK answers. */
#define msg_state_plan msg_link_get

/* Make gateway the one default route of its family in the pod, over ifname. */
struct msg_route_default {
	uint32_t family; /* AF_INET, AF_INET6 */
	uint32_t zero;
	char ifname[16];
	uint8_t gateway[16]; /* network order; IPv4 in the first four, rest zero */
};

/* One attachment that the runtime says is valid; many may be sent before GC_SWEEP. */
struct msg_gc_valid {
	char container_id[WIRE_ID];
	char ifname[16];
};
/* DEL every journalled attachment that was not named. REPLY comes when all are done; value = how many failed. */
struct msg_gc_sweep {
	uint64_t zero;
};

/* The end of a command. code as in RESULT; the first memfd is printed by the shim as it is; the second replaces what the
 * journal holds of an ADD: the plan with its results, or what a rollback could not undo. */
#define VERDICT_CLEAN 1u /* everything that the journal names is undone: forget the entry */
struct msg_verdict {
	uint32_t code;
	uint32_t flags;
	char text[WIRE_TEXT];
};

struct msg_reply {
	int32_t error; /* 0 or -errno */
	uint32_t value;
	char text[WIRE_TEXT]; /* when error: what and where */
};

struct msg_kube_pod {
	uint32_t full; /* 1: the whole object, not its metadata alone */
	uint32_t zero;
};
struct msg_kube_nad {
	char ns[64];
	char name[256];
	uint32_t fresh; /* 1: what is kept of it is of no use */
	uint32_t zero;
};
/* The memfd: the network-status annotation's value. */
struct msg_kube_status {
	char pod_uid[64]; /* of the pod as it was read: another one by that name is not to get it; "" = unknown */
};
#define KUBE_JSON 0u
#define KUBE_YAML 1u
struct msg_kube_reply {
	uint32_t code;   /* as HTTP: 200 with a memfd for reads, 404, 403, 409, 500, 503 */
	uint32_t format; /* of the memfd: KUBE_JSON, KUBE_YAML */
	char text[WIRE_TEXT]; /* code != 200: what and where, one line; code 200: where it came from (file or object) */
};

#define EVENT_ADDED 0u      /* Normal AddedInterface */
#define EVENT_NO_NETWORK 1u /* Warning NoNetworkFound */
/* An event about the channel's pod. Not answered. */
struct msg_kube_event {
	uint32_t kind;
	uint32_t zero;
	char pod_uid[64];
	char text[1024]; /* UTF-8, for people */
};

/* Is the API there (the store readable)? */
struct msg_kube_ping {
	uint64_t zero;
};
/* resource.k8s.io: a ResourceClaim of the pod's namespace; the ResourceSlices of a driver, a page at a time. */
struct msg_kube_claim {
	char name[256];
};
struct msg_kube_slices {
	char driver[256];
	char node[256]; /* whose, "" = those of no single node */
	char more[512]; /* metadata.continue of the page before, "" = the first */
	uint32_t limit; /* slices of a page */
	uint32_t zero;
};

/* Which devices of that resource have the kubelet's device plugins given to the channel's pod? */
struct msg_devices_get {
	char resource[256];
};
/* Device-information files of the channel's container: copy what the device plugin left to where the network finds it; read; remove. */
#define DEVINFO_COPY 0u
#define DEVINFO_READ 1u
#define DEVINFO_REMOVE 2u
struct msg_devinfo {
	uint32_t op;
	uint32_t zero;
	char resource[256]; /* DEVINFO_COPY: which device */
	char device[256];
	char network[328];  /* display name of the network: "<ns>/<nad>" */
	char ifname[16];
};
#define DEVICES_KUBELET 0u    /* the memfd: the devices' names, each with its NUL */
#define DEVICES_CHECKPOINT 1u /* the memfd: the kubelet's checkpoint file, of all pods */
struct msg_devices_reply {
	int32_t error; /* 0 or -errno; -ENOENT: nothing there */
	uint32_t source;
	char text[WIRE_TEXT]; /* what and where */
};

#define DIAL_CONN 1u   /* connect: CONN answers */
#define DIAL_REREAD 2u /* the server refused the credentials: read them again first */
struct msg_dial {
	uint32_t want;
	uint32_t zero;
};

/* The server as kube is to see it: sent at start, and again whenever something of it changed. */
#define SERVER_BOOTSTRAP 1u /* the credentials are good for a certificate of our own only (perNodeCertificate) */
#define SERVER_ITEM_MAX (256u << 10) /* bytes of each of the four below */
struct msg_server {
	uint32_t flags;
	uint32_t ca_len, cert_len, key_len, token_len; /* the memfd: PEM, PEM, PEM, text, one behind the other; 0 = none */
	char name[256];      /* what the server's certificate must be for: a DNS name or an address */
	char authority[272]; /* host:port, as in a URL */
	char prefix[128];    /* in front of every path: "" or "/a/b" */
};

/* A socket that is connected or about to be. */
struct msg_conn {
	int32_t error; /* 0 with a socket, or -errno */
	uint32_t zero;
	char text[WIRE_TEXT]; /* which address, or what went wrong */
};

#pragma GCC diagnostic pop

/* MSG_ATTACH, ... */
enum msg_type {
	MSG_NONE = 0,
#define MSG(name, body, from, to, fds, states, once) MSG_##name,
#include "netpriv/wire.def"
#undef MSG
	MSG_COUNT
};

union wire_body {
#define MSG(name, body, from, to, fds, states, once) struct msg_##body body;
#include "netpriv/wire.def"
#undef MSG
};

/* One end of a channel. Plain data: copy, but have one owner of fd. */
struct wire {
	int fd;          /* owned by whoever owns the struct; -1 = closed */
	enum role self;
	enum role peer;
	uint64_t once;   /* bit per message type already seen */
};

/* A received message. fds are owned by the receiver: take what you keep (set to -1), then wire_msg_clear(). */
struct wire_msg {
	struct wire_head head;
	union wire_body body;
	int fds[WIRE_MAX_FDS]; /* -1 where absent */
};

#define WIRE_INIT(fd_, self_, peer_) ((struct wire){ .fd = (fd_), .self = (self_), .peer = (peer_) })

/* Sends one message; body is the type's struct; fds (nfds of them, table order) stay the caller's. Fills in the
 * header. 0 or -errno: -EAGAIN when a non-blocking channel is full, -EPIPE/-ECONNRESET when the peer is gone. */
int wire_send(struct wire *w, enum msg_type type, uint64_t serial, const void *body, const int *fds, unsigned nfds);

/* Receives one message and checks, in this order: EOF, truncation (data and control), header, type, sender, exact
 * length, descriptor count, each descriptor's kind, fields, state (one WS_ bit) and once.
 * 1 = a message; 0 = EOF; -EAGAIN = nothing there (non-blocking); other -errno = the channel is dead. On anything but 1
 * no descriptor is left open. */
int wire_recv(struct wire *w, unsigned state, struct wire_msg *m);

/* Sends type and waits for the answer of type expect with the same serial; blocking channels only. 0 or -errno. */
int wire_call(struct wire *w, enum msg_type type, const void *body, const int *fds, unsigned nfds,
	      enum msg_type expect, struct wire_msg *m);

/* Closes the descriptors left in m. */
void wire_msg_clear(struct wire_msg *m);
#define cleanup_msg __attribute__((cleanup(wire_msg_clear)))

void wire_close(struct wire *w);

/* Name of a type for logs and tests: "ATTACH"; "?" when unknown. */
const char *wire_name(unsigned type);

#endif
