/* The filter tables: one a role, each row with its reason. What a role's table lacks kills it (or
 * is answered with the table's errno). Conditions look at numbers only: a pointer's target can
 * change behind the filter's back. Runs in: every confined process. Source: syscalls(2); what
 * glibc 2.36, libnl 3.7 and jansson 2.14 really call, by strace. */
#include <asm/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "netpriv/util.h"
#include "seccomp/filter.h"

#define PART(name) static const struct filter_part part_##name = {name, ARRAY_LEN(name)}

/* What every process of ours needs to run at all: its descriptors, its memory, its end. */
static const struct filter_row core[] = {
    ALLOW("read", "held descriptors"),
    ALLOW("write", "held descriptors, log"),
    ALLOW("close", "held descriptors"),
    ALLOW("lseek", "size of a memfd; stdio"),
    ALLOW("exit", "end"),
    ALLOW("exit_group", "end"),
    ALLOW("brk", "malloc"),
    ALLOW_IF("mmap", "malloc, sealed memfds; nothing executable", ARG_LACKS(2, PROT_EXEC)),
    ALLOW_IF("mprotect", "malloc; nothing executable", ARG_LACKS(2, PROT_EXEC)),
    ALLOW("munmap", "malloc, sealed memfds"),
    ALLOW("mremap", "realloc"),
    ALLOW("madvise", "malloc gives back"),
    ALLOW("futex", "locks inside libc"),
    ALLOW("rt_sigaction", "own signals"),
    ALLOW("rt_sigprocmask", "own signals"),
    ALLOW("rt_sigreturn", "own signals"),
    ALLOW("restart_syscall", "the kernel's own, after a stop"),
    ALLOW("clock_gettime", "time where the vDSO has no clock"),
    ALLOW("gettimeofday", "time where the vDSO has no clock"),
    ALLOW("time", "time where the vDSO has no clock"),
    ALLOW("getrandom", "hash seeds"),
    ALLOW("getpid", "log, libnl port numbers"),
    ALLOW("gettid", "libc's abort and fork"),
    ALLOW("fstat", "kind and size of a held descriptor"),
    DENY("clone3", "its flags lie in memory: libc falls back to clone", ENOSYS),
};
PART(core);

/* Stat by descriptor only, for those who have no business with paths. */
static const struct filter_row blind[] = {
    ALLOW_IF("newfstatat", "libc's fstat", ARG_IS(3, AT_EMPTY_PATH)),
};
PART(blind);

/* Channels: the loop, messages with descriptors, memfds and pipes to put into them. */
static const struct filter_row channels[] = {
    ALLOW("ppoll", "loop"),
    ALLOW("poll", "waiting for one answer"),
    ALLOW("recvmsg", "wire"),
    ALLOW("sendmsg", "wire"),
    ALLOW_IF("getsockopt", "kind of a received socket, peer, netns cookie", ARG_IS(1, SOL_SOCKET)),
    ALLOW_IF("fcntl", "close-on-exec", ARG_IS(1, F_GETFD)),
    ALLOW_IF("fcntl", "close-on-exec", ARG_IS(1, F_SETFD)),
    ALLOW_IF("fcntl", "direction of a pipe", ARG_IS(1, F_GETFL)),
    ALLOW_IF("fcntl", "non-blocking", ARG_IS(1, F_SETFL)),
    ALLOW_IF("fcntl", "copy of a descriptor", ARG_IS(1, F_DUPFD_CLOEXEC)),
    ALLOW_IF("fcntl", "seal a memfd", ARG_IS(1, F_ADD_SEALS)),
    ALLOW_IF("fcntl", "seals of a received memfd", ARG_IS(1, F_GET_SEALS)),
    ALLOW("memfd_create", "bulk for the wire"),
    ALLOW("ftruncate", "bulk for the wire"),
    ALLOW("pread64", "bulk from the wire"),
    ALLOW("pwrite64", "bulk for the wire"),
    ALLOW("readv", "bulk from the wire"),
    ALLOW("writev", "log, bulk for the wire"),
};
PART(channels);

/* The front door and the attachment table; network namespaces of pods; journal, spool,
 * configuration directories. */
static const struct filter_row netpriv[] = {
    ALLOW("accept4", "front door"),
    ALLOW_IF("socketpair", "one channel an attachment", ARG_IS(0, AF_UNIX)),
    ALLOW_IF("setns", "into a pod and back; network only", ARG_IS(1, CLONE_NEWNET)),
    ALLOW_IF2("socket", "route netlink inside a pod", ARG_IS(0, AF_NETLINK),
	      ARG_IS(2, NETLINK_ROUTE)),
    ALLOW_IF("socket", "netns cookie of a pod; cannot connect", ARG_IS(0, AF_UNIX)),
    ALLOW("bind", "libnl"),
    ALLOW("getsockname", "libnl"),
    ALLOW("setsockopt", "libnl, send timeout at the door"),
    ALLOW("sendto", "libnl"),
    ALLOW("recvfrom", "libnl"),
    ALLOW_IF("ioctl", "is it a network namespace", ARG_IS(1, NS_GET_NSTYPE)),
    ALLOW("newfstatat", "kind of a path; fstat"),
    ALLOW("statx", "kind of a path"),
    ALLOW("fstatfs", "nsfs or not"),
    ALLOW("openat", "journal, spool, configuration"),
    ALLOW("openat2", "the same, beneath a held directory"),
    ALLOW("getdents64", "journal, spool, configuration"),
    ALLOW("renameat", "journal: all or nothing"),
    ALLOW("renameat2", "journal: all or nothing"),
    ALLOW("unlinkat", "journal, spool"),
    ALLOW("fsync", "journal"),
    ALLOW("fdatasync", "journal"),
};
PART(netpriv);

/* One worker a command: forked, given its descriptors and its filter, watched, reaped. */
#define FORK_FLAGS (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD)
static const struct filter_row broker[] = {
    ALLOW_IF("clone", "fork a worker, exactly as libc's fork does", ARG_IS(0, FORK_FLAGS)),
    ALLOW("set_robust_list", "libc, in the forked worker"),
    ALLOW_IF("socketpair", "a worker's channel to kube", ARG_IS(0, AF_UNIX)),
    ALLOW_IF2("setsockopt", "few answers wait for a worker", ARG_IS(1, SOL_SOCKET), ARG_IS(2, SO_SNDBUF)),
    ALLOW("pipe2", "signals into the loop; a delegate's output"),
    ALLOW("dup2", "a worker's descriptors"),
    ALLOW("dup3", "a worker's descriptors"),
    ALLOW("close_range", "a worker keeps its own descriptors only"),
    ALLOW_IF("prctl", "a worker dies with its broker", ARG_IS(0, PR_SET_PDEATHSIG)),
    ALLOW_IF("prctl", "a worker's name in ps", ARG_IS(0, PR_SET_NAME)),
    ALLOW_IF("prctl", "a worker is not dumpable either", ARG_IS(0, PR_SET_DUMPABLE)),
    ALLOW("getppid", "was the broker gone before the line above"),
    ALLOW_IF2("seccomp", "a worker's filter", ARG_IS(0, SECCOMP_SET_MODE_FILTER), ARG_IS(1, 0)),
    ALLOW("setrlimit", "a worker's limits, never more"),
    ALLOW("prlimit64", "a worker's limits, never more"),
    ALLOW("wait4", "reap workers"),
    ALLOW("waitid", "reap workers"),
    ALLOW("pidfd_open", "a worker's end"),
    ALLOW("pidfd_send_signal", "a worker past its deadline"),
    ALLOW("kill", "a worker past its deadline; its uid has no other process"),
};
PART(broker);

static const struct filter_row worker[] = {
    ALLOW("pipe2", "a delegate's output"),
};
PART(worker);

/* The file store: names beneath two held directories. */
static const struct filter_row store[] = {
    ALLOW("openat2", "manifests and status, beneath a held directory"),
    ALLOW("mkdirat", "a namespace's directory for status"),
    ALLOW("renameat", "status: all or nothing"),
    ALLOW("unlinkat", "a status half written"),
};
PART(store);

/* Children that parse a file, or look a name up, and are gone. */
static const struct filter_row children[] = {
    ALLOW_IF("clone", "fork a child, exactly as libc's fork does", ARG_IS(0, FORK_FLAGS)),
    ALLOW("set_robust_list", "libc, in the forked child"),
    ALLOW("pipe2", "a child's answer"),
    ALLOW("close_range", "a child keeps its pipe only"),
    ALLOW_IF("prctl", "a child dies with its parent", ARG_IS(0, PR_SET_PDEATHSIG)),
    ALLOW("getppid", "was that gone before the line above"),
    ALLOW("alarm", "a child ends itself: its parent can signal nobody"),
    ALLOW_IF2("seccomp", "the filter of the child that parses", ARG_IS(0, SECCOMP_SET_MODE_FILTER), ARG_IS(1, 0)),
    ALLOW("wait4", "reap children"),
};
PART(children);

/* The primary CNI configuration in one directory, the runtime's file in another. */
static const struct filter_row autoconf[] = {
    ALLOW("openat", "what is there already; the new file; is a directory there by now"),
    ALLOW("openat2", "the primary file, beneath its directory"),
    ALLOW("getdents64", "which file is the first"),
    ALLOW("newfstatat", "kind of a file; readinessindicatorfile"),
    ALLOW("readlinkat", "links on the way to a directory"),
    ALLOW("renameat", "all or nothing; Multus' file aside"),
    ALLOW("unlinkat", "a file half written"),
    ALLOW("fsync", "the new file"),
    ALLOW("inotify_add_watch", "where readinessindicatorfile is"),
};
PART(autoconf);

/* Credential files, and connections. */
static const struct filter_row dial[] = {
    ALLOW("openat", "credentials; what a look-up of names reads"),
    ALLOW("openat2", "does a link lead out of its directory"),
    ALLOW("newfstatat", "kind of a file, in libc"),
    ALLOW("readlink", "where a link leads to"),
    ALLOW_IF("socket", "the API server, name servers", ARG_IS(0, AF_INET)),
    ALLOW_IF("socket", "the API server, name servers", ARG_IS(0, AF_INET6)),
    DENY_IF("socket", "nscd: libc asks itself then; root's AF_UNIX would reach every daemon", EAFNOSUPPORT, ARG_IS(0, AF_UNIX)),
    DENY_IF("socket", "own addresses: libc asks for both families then", EAFNOSUPPORT, ARG_IS(0, AF_NETLINK)),
    ALLOW("connect", "the API server, name servers"),
    ALLOW("setsockopt", "keepalive, no delay; libc's look-ups"),
    ALLOW("getsockname", "libc orders addresses by its own"),
    ALLOW("sendto", "look-ups"),
    ALLOW("sendmmsg", "look-ups"),
    ALLOW("recvfrom", "look-ups"),
    ALLOW_IF("ioctl", "size of an answer to a look-up", ARG_IS(1, FIONREAD)),
    ALLOW("uname", "libc, for a resolv.conf without a domain"),
};
PART(dial);

/* The kubelet's socket, device information, and children that read what the kubelet says and are gone. */
static const struct filter_row devices[] = {
    ALLOW("fchdir", "the kubelet's socket has a name in its directory only"),
    ALLOW_IF("socket", "the kubelet", ARG_IS(0, AF_UNIX)),
    ALLOW("connect", "the kubelet"),
    ALLOW("openat2", "checkpoint and device information, beneath a held directory"),
    ALLOW("renameat", "device information: all or nothing"),
    ALLOW("unlinkat", "device information"),
    ALLOW("fchmod", "device information is for everybody to read"),
    ALLOW("dup3", "a child's connection"),
};
PART(devices);

/* The zygote: what it takes to set a plugin up, beyond what the plugin itself may use. A plugin's own filter takes just these away
 * again, so none of them may stand in the plugins' table. */
static const struct filter_row exec[] = {
    ALLOW_IF("mount", "the pinned namespace over its path", ARG_IS(3, MS_BIND)),
    ALLOW_IF("umount2", "and away again", ARG_IS(1, MNT_DETACH)),
};
const struct filter_part filter_exec = {exec, ARRAY_LEN(exec)};

/* HTTP over a listening socket that it is handed: libmicrohttpd's calls, and two on the control channel. */
static const struct filter_row metrics[] = {
    ALLOW("poll", "loop"),
    ALLOW("epoll_wait", "loop"),
    ALLOW("epoll_pwait", "loop"),
    ALLOW("epoll_ctl", "loop"),
    ALLOW("accept4", "a client"),
    ALLOW("recvfrom", "its request"),
    ALLOW("sendto", "its answer"),
    ALLOW("sendmsg", "its answer; READY"),
    ALLOW("recvmsg", "STOP"),
    ALLOW("shutdown", "a client that has had its time"),
    ALLOW_IF("setsockopt", "when an answer's last piece goes out", ARG_IS(1, IPPROTO_TCP)),
};
PART(metrics);

static const struct filter_table tables[] = {
    {ROLE_NETPRIV, 0, {&part_core, &part_channels, &part_netpriv}},
    /* A plugin runs under both filters and the stricter answer wins: exec's may not kill where the
     * plugin's says no, or a run-time that only probes would die. */
    {ROLE_EXEC, EPERM, {&filter_delegate, &filter_exec}},
    {ROLE_DELEGATE, EPERM, {&filter_delegate}},
    {ROLE_BROKER, 0, {&part_core, &part_blind, &part_channels, &part_broker}},
    {ROLE_WORKER, 0, {&part_core, &part_blind, &part_channels, &part_worker}},
    /* TLS and HTTP/2 over sockets that it is handed: nothing beyond its channels. */
    {ROLE_KUBE, 0, {&part_core, &part_blind, &part_channels}},
    {ROLE_STORE, 0, {&part_core, &part_blind, &part_channels, &part_store}},
    {ROLE_DIAL, 0, {&part_core, &part_channels, &part_children, &part_dial}},
    {ROLE_AUTOCONF, 0, {&part_core, &part_channels, &part_children, &part_autoconf}},
    {ROLE_METRICS, 0, {&part_core, &part_blind, &part_metrics}},
    {ROLE_DEVICES, 0, {&part_core, &part_blind, &part_channels, &part_children, &part_devices}},
    {ROLE_READER, 0, {&part_core, &part_blind}},
};

const struct filter_table *
filter_table(enum role role)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		if (tables[i].role == role)
			return &tables[i];
	return NULL;
}
