/* Tries, from inside a role's sandbox, what the sandbox is there to stop. One child an attempt: it
 * enters the sandbox and tries; the parent prints "<attempt> <allowed|errno NAME|killed>".
 *
 * probe ROLE [enforce|trap|log]   ROLE: netpriv exec broker kube store dial devices autoconf worker reader delegate. Needs
 * root. probe sizes                     "<role> syscalls <n>" for each table. */
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

#define PROBE_UID 64870

static char dir[] = "/tmp/postern-probe-XXXXXX";
static int held = -1;  /* dir, granted to netpriv and kube */
static int netns = -1; /* this process's own */
static int mntns = -1;
static int stray = -1; /* an unconnected AF_UNIX socket from before */
static pid_t other;    /* a process of root, of this role's uid if it has one */

static long
open_how(int at, const char *path, uint64_t flags, uint64_t resolve)
{
	bool make = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
	struct open_how how = {.flags = flags, .mode = make ? 0600 : 0, .resolve = resolve};

	return syscall(SYS_openat2, at, path, &how, sizeof(how));
}

static long
connect_stray(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX, .sun_path = "/run/postern/postern.sock"};

	return connect(stray, (struct sockaddr *)&sun, sizeof(sun));
}

static long
run_program(void)
{
	char *const argv[] = {(char[]){"true"}, NULL};

	return execve("/bin/true", argv, argv + 1);
}

static long
fork_once(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid;
}

static long
read_other(void)
{
	char buf[8];
	struct iovec in = {buf, sizeof(buf)}, out = {&other, sizeof(buf)};

	return process_vm_readv(other, &in, 1, &out, 1, 0);
}

static long
map_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? -1 : 0;
}

static long
make_code(void)
{
	static char page[8192] __attribute__((aligned(4096)));

	return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static long
raise_caps(void)
{
	uint32_t head[2] = {0x20080522, 0}, data[6] = {~0u, ~0u, 0, ~0u >> 23, ~0u >> 23, 0};

	return syscall(SYS_capset, head, data);
}

#if defined(__x86_64__)
static long
call_32bit(void)
{
	long r = 20; /* getpid */

	__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
	return r;
}
#endif

#define FOR_EACH_ATTEMPT(TRY)                                                                      \
	TRY(open_file, open("/etc/passwd", O_RDONLY))                                              \
	TRY(open_file_openat2, open_how(AT_FDCWD, "/etc/passwd", O_RDONLY, 0))                     \
	TRY(open_proc, open_how(AT_FDCWD, "/proc/self/environ", O_RDONLY, 0))                      \
	TRY(open_root, open_how(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0))                         \
	TRY(read_held, open_how(held, "in", O_RDONLY, RESOLVE_BENEATH))                            \
	TRY(write_held, open_how(held, "out", O_WRONLY | O_CREAT, RESOLVE_BENEATH))                \
	TRY(escape_held, open_how(held, "../../etc/passwd", O_RDONLY, 0))                          \
	TRY(write_root, open_how(AT_FDCWD, "/", O_WRONLY | O_TMPFILE, 0))                          \
	TRY(list_held, syscall(SYS_getdents64, held, (char[4096]){0}, 4096ul))                     \
	TRY(chmod_held, fchmodat(held, "in", 0666, 0))                                             \
	TRY(stat_path, faccessat(AT_FDCWD, "/etc/passwd", R_OK, 0))                                \
	TRY(socket_route, socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE))                             \
	TRY(socket_generic, socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))                         \
	TRY(socket_inet, socket(AF_INET, SOCK_STREAM, 0))                                          \
	TRY(socket_inet6, socket(AF_INET6, SOCK_DGRAM, 0))                                         \
	TRY(socket_unix, socket(AF_UNIX, SOCK_SEQPACKET, 0))                                       \
	TRY(socket_packet, socket(AF_PACKET, SOCK_RAW, 0))                                         \
	TRY(socket_vsock, socket(AF_VSOCK, SOCK_STREAM, 0))                                        \
	TRY(socketpair, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, (int[2]){0}))                       \
	TRY(connect, connect_stray())                                                              \
	TRY(exec, run_program())                                                                   \
	TRY(fork, fork_once())                                                                     \
	TRY(clone_newuser,                                                                         \
	    syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0) ?: (_exit(0), 0L))             \
	TRY(clone3, syscall(SYS_clone3, NULL, 0ul))                                                \
	TRY(unshare_user, unshare(CLONE_NEWUSER))                                                  \
	TRY(unshare_mount, unshare(CLONE_NEWNS))                                                   \
	TRY(unshare_net, unshare(CLONE_NEWNET))                                                    \
	TRY(setns_net, setns(netns, CLONE_NEWNET))                                                 \
	TRY(setns_mount, setns(mntns, CLONE_NEWNS))                                                \
	TRY(setns_any, setns(netns, 0))                                                            \
	TRY(mount_tmpfs, mount("none", "/mnt", "tmpfs", 0, NULL))                                  \
	TRY(mount_bind, mount("/etc", "/mnt", NULL, MS_BIND, NULL))                                \
	TRY(umount, umount2("/proc", MNT_DETACH))                                                  \
	TRY(open_tree, syscall(SYS_open_tree, AT_FDCWD, "/", 0u))                                  \
	TRY(pivot_root, syscall(SYS_pivot_root, ".", "."))                                         \
	TRY(chroot, chroot("/"))                                                                   \
	TRY(kill_other, kill(other, 0))                                                            \
	TRY(ptrace, ptrace(PTRACE_SEIZE, other, NULL, NULL))                                       \
	TRY(process_vm_readv, read_other())                                                        \
	TRY(pidfd_getfd, syscall(SYS_pidfd_getfd, 0, 0, 0u))                                       \
	TRY(bpf, syscall(SYS_bpf, 0, NULL, 0u))                                                    \
	TRY(perf_event_open, syscall(SYS_perf_event_open, NULL, 0, 0, -1, 0ul))                    \
	TRY(userfaultfd, syscall(SYS_userfaultfd, 0))                                              \
	TRY(io_uring_setup, syscall(SYS_io_uring_setup, 1u, NULL))                                 \
	TRY(keyctl, syscall(SYS_keyctl, 0, 0ul, 0ul, 0ul, 0ul))                                    \
	TRY(open_by_handle_at, syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, O_RDONLY))           \
	TRY(init_module, syscall(SYS_init_module, NULL, 0ul, ""))                                  \
	TRY(reboot, syscall(SYS_reboot, 0, 0, 0u, NULL))                                           \
	TRY(map_code, map_code())                                                                  \
	TRY(make_code, make_code())                                                                \
	TRY(setuid_root, setuid(0))                                                                \
	TRY(raise_caps, raise_caps())                                                              \
	TRY_X86(x32_call, syscall(0x40000000 | SYS_getpid))                                        \
	TRY_X86(i386_call, call_32bit())

#if defined(__x86_64__)
#define TRY_X86(name, what) TRY_ROW(name, what)
#else
#define TRY_X86(name, what)
#endif

#define TRY_FUNC(name, what)                                                                       \
	static long try_##name(void)                                                               \
	{                                                                                          \
		return what;                                                                       \
	}
#define TRY_ROW TRY_FUNC
FOR_EACH_ATTEMPT(TRY_FUNC)
#undef TRY_ROW

#define TRY_ENTRY(name, what) {#name, try_##name},
#define TRY_ROW		      TRY_ENTRY
static const struct {
	const char *name;
	long (*attempt)(void);
} attempts[] = {FOR_EACH_ATTEMPT(TRY_ENTRY)};

static enum role
find_role(const char *name)
{
	for (enum role r = ROLE_ANY; r < ROLE_COUNT; r++)
		if (sandbox_syscalls(r) > 0 && strcmp(role_name(r), name) == 0)
			return r;
	log_fatal("no such role: %s", name);
}

/* Workers and plugins are forked by a confined parent and add a filter to its. */
static void
enter(enum role role, enum conf_sandbox mode)
{
	enum role outer = role == ROLE_WORKER	  ? ROLE_BROKER
			  : role == ROLE_DELEGATE ? ROLE_EXEC
						  : role;
	bool root = outer == ROLE_NETPRIV || outer == ROLE_EXEC || outer == ROLE_DIAL || outer == ROLE_AUTOCONF ||
		    outer == ROLE_DEVICES;
	struct sandbox s = {.role = outer, .mode = mode, .max_fd = 64};
	struct sock_fprog inner;

	if (!root)
		s.uid = s.gid = PROBE_UID;
	if (role == ROLE_NETPRIV || role == ROLE_STORE || role == ROLE_AUTOCONF || role == ROLE_DEVICES) {
		s.paths[0] = (struct sandbox_path){held, SANDBOX_READ | SANDBOX_WRITE};
		s.n_paths = 1;
	}
	if (role == ROLE_DIAL) {
		s.paths[0] = (struct sandbox_path){held, SANDBOX_READ};
		s.n_paths = 1;
	}
	if (role != outer)
		sandbox_compile(role, mode, &inner);
	sandbox_enter(&s, NULL);
	if (role == ROLE_DELEGATE && sandbox_delegate_caps(sandbox_caps(ROLE_EXEC)) < 0)
		log_fatal("delegate's capabilities");
	if (role != outer && sandbox_load(&inner) < 0)
		log_fatal("inner filter");
}

static void
try_one(enum role role, enum conf_sandbox mode, size_t i)
{
	int out[2], err = -1, status = 0;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		log_fatal("fork: %s", strerror(errno));
	if (pid == 0) {
		/* The mounts that exec may make must not reach the machine that runs the tests. */
		if ((role == ROLE_EXEC || role == ROLE_DELEGATE) &&
		    (unshare(CLONE_NEWNS) < 0 ||
		     mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
			log_fatal("private mounts: %s", strerror(errno));
		enter(role, mode);
		errno = 0;
		err = attempts[i].attempt() < 0 ? errno : 0;
		_exit(write(out[1], &err, sizeof(err)) != sizeof(err));
	}
	close(out[1]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (read(out[0], &err, sizeof(err)) == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		err = 0; /* the program that took its place ended well */
	close(out[0]);
	if (WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 159))
		printf("%s killed\n", attempts[i].name);
	else if (err > 0)
		printf("%s errno %s\n", attempts[i].name, strerrorname_np(err) ?: "?");
	else
		printf("%s %s\n", attempts[i].name, err == 0 ? "allowed" : "broken");
}

static void
prepare(void)
{
	int fd;

	if (mkdtemp(dir) == NULL || chmod(dir, 0777) < 0)
		log_fatal("%s: %s", dir, strerror(errno));
	held = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(held, "in", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0 || fchmod(fd, 0644) < 0)
		log_fatal("%s/in: %s", dir, strerror(errno));
	close(fd);
	netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	mntns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	stray = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	other = getpid();
}

int
main(int argc, char **argv)
{
	static const char *const modes[] = {"enforce", "trap", "log"};
	unsigned mode = CONF_ENFORCE;
	enum role role;

	log_init("probe", LOG_INFO);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && strcmp(argv[1], "sizes") == 0) {
		for (enum role r = ROLE_ANY; r < ROLE_COUNT; r++)
			if (sandbox_syscalls(r) > 0)
				printf("%s syscalls %u\n", role_name(r), sandbox_syscalls(r));
		return 0;
	}
	while (argc == 3 && mode < ARRAY_LEN(modes) && strcmp(argv[2], modes[mode]) != 0)
		mode++;
	if (argc < 2 || argc > 3 || mode == ARRAY_LEN(modes)) {
		fprintf(stderr, "usage: probe ROLE [enforce|trap|log] | probe sizes\n");
		return 2;
	}
	role = find_role(argv[1]);
	if (geteuid() != 0)
		log_fatal("a sandbox can only be entered by root");
	prepare();
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++)
		try_one(role, mode, i);
	unlinkat(held, "in", 0);
	unlinkat(held, "out", 0);
	rmdir(dir);
	return 0;
}
