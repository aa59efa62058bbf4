/* The filter table of plugins and of what they start: Go programs of any tool chain, iptables,
 * nft, ip, shells, Python. As generous as container engines' default profiles, less what no
 * plugin needs: nothing of the mount family, modules, tracing, BPF, keys, io_uring, other
 * processes' memory, clocks, namespaces but the network's. Anything else answers EPERM.
 * Runs in: exec and the plugins.
 * Source: strace of the containernetworking plugins and their children; the engines' published
 * profiles. */
#include <errno.h>
#include <sched.h>
#include <sys/socket.h>

#include "netpriv/util.h"
#include "seccomp/filter.h"

#define IO     "read and write"
#define FILES  "files: leases, tuning's memory, xtables.lock, /proc/sys"
#define LOOP   "waiting"
#define NET    "netlink, D-Bus, dhcp's socket and leases"
#define MEMORY "memory, program loading"
#define PROC   "processes: run-time threads, iptables, nft, ip, IPAM children"
#define SYNC   "locks"
#define SIGNAL "signals"
#define TIME   "time, timers"
#define IDS    "identity: can only be given up"
#define NARROW "a child confining itself further"

/* The clone flags that make namespaces; 0x80 (time) lies in clone's signal byte and no signal
 * has it. */
#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)

static const struct filter_row rows[] = {
    /* clang-format off */
	ALLOW("read", IO), ALLOW("write", IO), ALLOW("readv", IO), ALLOW("writev", IO),
	ALLOW("pread64", IO), ALLOW("pwrite64", IO), ALLOW("preadv", IO), ALLOW("pwritev", IO),
	ALLOW("preadv2", IO), ALLOW("pwritev2", IO), ALLOW("lseek", IO), ALLOW("close", IO),
	ALLOW("close_range", IO), ALLOW("dup", IO), ALLOW("dup2", IO), ALLOW("dup3", IO),
	ALLOW("fcntl", IO), ALLOW("ioctl", IO), ALLOW("pipe", IO), ALLOW("pipe2", IO),
	ALLOW("sendfile", IO), ALLOW("splice", IO), ALLOW("tee", IO), ALLOW("copy_file_range", IO),
	ALLOW("fsync", IO), ALLOW("fdatasync", IO), ALLOW("sync", IO), ALLOW("syncfs", IO),
	ALLOW("sync_file_range", IO), ALLOW("fadvise64", IO), ALLOW("readahead", IO),
	ALLOW("fallocate", IO), ALLOW("ftruncate", IO), ALLOW("truncate", IO), ALLOW("flock", IO),
	ALLOW("memfd_create", IO),

	ALLOW("open", FILES), ALLOW("openat", FILES), ALLOW("openat2", FILES),
	ALLOW("creat", FILES), ALLOW("access", FILES), ALLOW("faccessat", FILES),
	ALLOW("faccessat2", FILES), ALLOW("stat", FILES), ALLOW("lstat", FILES),
	ALLOW("fstat", FILES), ALLOW("newfstatat", FILES), ALLOW("statx", FILES),
	ALLOW("statfs", FILES), ALLOW("fstatfs", FILES), ALLOW("readlink", FILES),
	ALLOW("readlinkat", FILES), ALLOW("getcwd", FILES), ALLOW("chdir", FILES),
	ALLOW("fchdir", FILES), ALLOW("getdents", FILES), ALLOW("getdents64", FILES),
	ALLOW("mkdir", FILES), ALLOW("mkdirat", FILES), ALLOW("rmdir", FILES),
	ALLOW("unlink", FILES), ALLOW("unlinkat", FILES), ALLOW("rename", FILES),
	ALLOW("renameat", FILES), ALLOW("renameat2", FILES), ALLOW("link", FILES),
	ALLOW("linkat", FILES), ALLOW("symlink", FILES), ALLOW("symlinkat", FILES),
	ALLOW("mknod", FILES), ALLOW("mknodat", FILES), ALLOW("chmod", FILES),
	ALLOW("fchmod", FILES), ALLOW("fchmodat", FILES), ALLOW("chown", FILES),
	ALLOW("fchown", FILES), ALLOW("lchown", FILES), ALLOW("fchownat", FILES),
	ALLOW("umask", FILES), ALLOW("utime", FILES), ALLOW("utimes", FILES),
	ALLOW("futimesat", FILES), ALLOW("utimensat", FILES), ALLOW("getxattr", FILES),
	ALLOW("lgetxattr", FILES), ALLOW("fgetxattr", FILES), ALLOW("listxattr", FILES),
	ALLOW("llistxattr", FILES), ALLOW("flistxattr", FILES), ALLOW("setxattr", FILES),
	ALLOW("lsetxattr", FILES), ALLOW("fsetxattr", FILES), ALLOW("removexattr", FILES),
	ALLOW("lremovexattr", FILES), ALLOW("fremovexattr", FILES),
	ALLOW("name_to_handle_at", FILES), ALLOW("inotify_init", FILES),
	ALLOW("inotify_init1", FILES), ALLOW("inotify_add_watch", FILES),
	ALLOW("inotify_rm_watch", FILES),

	ALLOW("poll", LOOP), ALLOW("ppoll", LOOP), ALLOW("select", LOOP), ALLOW("pselect6", LOOP),
	ALLOW("epoll_create", LOOP), ALLOW("epoll_create1", LOOP), ALLOW("epoll_ctl", LOOP),
	ALLOW("epoll_wait", LOOP), ALLOW("epoll_pwait", LOOP), ALLOW("epoll_pwait2", LOOP),
	ALLOW("eventfd", LOOP), ALLOW("eventfd2", LOOP), ALLOW("signalfd", LOOP),
	ALLOW("signalfd4", LOOP), ALLOW("timerfd_create", LOOP), ALLOW("timerfd_settime", LOOP),
	ALLOW("timerfd_gettime", LOOP),

	ALLOW("socketpair", NET), ALLOW("bind", NET), ALLOW("listen", NET), ALLOW("accept", NET),
	ALLOW("accept4", NET), ALLOW("connect", NET), ALLOW("getsockname", NET),
	ALLOW("getpeername", NET), ALLOW("getsockopt", NET), ALLOW("setsockopt", NET),
	ALLOW("sendto", NET), ALLOW("recvfrom", NET), ALLOW("sendmsg", NET), ALLOW("recvmsg", NET),
	ALLOW("sendmmsg", NET), ALLOW("recvmmsg", NET), ALLOW("shutdown", NET),

	ALLOW("brk", MEMORY), ALLOW("mmap", MEMORY), ALLOW("mprotect", MEMORY),
	ALLOW("munmap", MEMORY), ALLOW("mremap", MEMORY), ALLOW("madvise", MEMORY),
	ALLOW("mincore", MEMORY), ALLOW("msync", MEMORY), ALLOW("mlock", MEMORY),
	ALLOW("mlock2", MEMORY), ALLOW("munlock", MEMORY), ALLOW("mlockall", MEMORY),
	ALLOW("munlockall", MEMORY), ALLOW("membarrier", MEMORY), ALLOW("pkey_alloc", MEMORY),
	ALLOW("pkey_free", MEMORY), ALLOW("pkey_mprotect", MEMORY), ALLOW("get_mempolicy", MEMORY),

	ALLOW("execve", PROC), ALLOW("execveat", PROC), ALLOW("fork", PROC), ALLOW("vfork", PROC),
	ALLOW("exit", PROC), ALLOW("exit_group", PROC), ALLOW("wait4", PROC), ALLOW("waitid", PROC),
	ALLOW("kill", PROC), ALLOW("tkill", PROC), ALLOW("tgkill", PROC), ALLOW("pidfd_open", PROC),
	ALLOW("pidfd_send_signal", PROC), ALLOW("getpid", PROC), ALLOW("getppid", PROC),
	ALLOW("gettid", PROC), ALLOW("getpgid", PROC), ALLOW("getpgrp", PROC),
	ALLOW("setpgid", PROC), ALLOW("getsid", PROC), ALLOW("setsid", PROC), ALLOW("prctl", PROC),
	ALLOW("arch_prctl", PROC), ALLOW("set_tid_address", PROC), ALLOW("set_robust_list", PROC),
	ALLOW("get_robust_list", PROC), ALLOW("rseq", PROC), ALLOW("set_thread_area", PROC),
	ALLOW("get_thread_area", PROC), ALLOW("getrlimit", PROC), ALLOW("setrlimit", PROC),
	ALLOW("prlimit64", PROC), ALLOW("getrusage", PROC), ALLOW("getpriority", PROC),
	ALLOW("setpriority", PROC), ALLOW("ioprio_get", PROC), ALLOW("ioprio_set", PROC),
	ALLOW("sched_yield", PROC), ALLOW("sched_getaffinity", PROC),
	ALLOW("sched_setaffinity", PROC), ALLOW("sched_getparam", PROC),
	ALLOW("sched_setparam", PROC), ALLOW("sched_getscheduler", PROC),
	ALLOW("sched_setscheduler", PROC), ALLOW("sched_getattr", PROC),
	ALLOW("sched_setattr", PROC), ALLOW("sched_get_priority_max", PROC),
	ALLOW("sched_get_priority_min", PROC), ALLOW("sched_rr_get_interval", PROC),
	ALLOW("getcpu", PROC), ALLOW("uname", PROC), ALLOW("sysinfo", PROC),
	ALLOW("getrandom", PROC),

	ALLOW("futex", SYNC), ALLOW("futex_waitv", SYNC),

	ALLOW("rt_sigaction", SIGNAL), ALLOW("rt_sigprocmask", SIGNAL),
	ALLOW("rt_sigreturn", SIGNAL), ALLOW("rt_sigpending", SIGNAL),
	ALLOW("rt_sigsuspend", SIGNAL), ALLOW("rt_sigtimedwait", SIGNAL),
	ALLOW("rt_sigqueueinfo", SIGNAL), ALLOW("rt_tgsigqueueinfo", SIGNAL),
	ALLOW("sigaltstack", SIGNAL), ALLOW("pause", SIGNAL), ALLOW("restart_syscall", SIGNAL),
	ALLOW("alarm", SIGNAL), ALLOW("getitimer", SIGNAL), ALLOW("setitimer", SIGNAL),

	ALLOW("clock_gettime", TIME), ALLOW("clock_getres", TIME), ALLOW("clock_nanosleep", TIME),
	ALLOW("nanosleep", TIME), ALLOW("gettimeofday", TIME), ALLOW("time", TIME),
	ALLOW("times", TIME), ALLOW("timer_create", TIME), ALLOW("timer_settime", TIME),
	ALLOW("timer_gettime", TIME), ALLOW("timer_getoverrun", TIME), ALLOW("timer_delete", TIME),

	ALLOW("getuid", IDS), ALLOW("geteuid", IDS), ALLOW("getresuid", IDS), ALLOW("getgid", IDS),
	ALLOW("getegid", IDS), ALLOW("getresgid", IDS), ALLOW("getgroups", IDS),
	ALLOW("setuid", IDS), ALLOW("setgid", IDS), ALLOW("setreuid", IDS), ALLOW("setregid", IDS),
	ALLOW("setresuid", IDS), ALLOW("setresgid", IDS), ALLOW("setfsuid", IDS),
	ALLOW("setfsgid", IDS), ALLOW("setgroups", IDS), ALLOW("capget", IDS), ALLOW("capset", IDS),

	ALLOW("seccomp", NARROW), ALLOW("landlock_create_ruleset", NARROW),
	ALLOW("landlock_add_rule", NARROW), ALLOW("landlock_restrict_self", NARROW),

    /* clang-format on */
    ALLOW_IF("socket", "nscd, D-Bus, dhcp's daemon", ARG_IS(0, AF_UNIX)),
    ALLOW_IF("socket", "links, addresses, routes, rules, nftables", ARG_IS(0, AF_NETLINK)),
    ALLOW_IF("socket", "interface ioctls, iptables-legacy, duplicate address probes",
	     ARG_IS(0, AF_INET)),
    ALLOW_IF("socket", "the same for IPv6", ARG_IS(0, AF_INET6)),
    ALLOW_IF("socket", "DHCP, ARP announcements", ARG_IS(0, AF_PACKET)),
    ALLOW_IF("clone", "threads and children, no namespace", ARG_LACKS(0, NAMESPACES)),
    ALLOW_IF("setns", "the pod's network and back", ARG_IS(1, CLONE_NEWNET)),
    ALLOW_IF("unshare", "host-device parks a link in a network of its own",
	     ARG_IS(0, CLONE_NEWNET)),
    ALLOW_IF("unshare", "a thread's own working directory", ARG_IS(0, CLONE_FS)),
    ALLOW_IF("personality", "query only", ARG_IS(0, 0xffffffff)),
    DENY("clone3", "its flags lie in memory: libc and Go fall back to clone", ENOSYS),
};

const struct filter_part filter_delegate = {rows, ARRAY_LEN(rows)};
