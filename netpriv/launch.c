/* Starting one delegate.
 * Runs in: exec; what follows fork() runs in what becomes the delegate.
 * Trusts: its own descriptors and struct conf; every field of the request passed the wire, and the table is asked again here. */
#include "netpriv/launch.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "netpriv/digest.h"
#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

#define ENV_MAX 8

#define MAX_BINDS 256
#define IDLE_MS 100

/* A network namespace at a path, in our own mount namespace. */
struct bind {
	char path[WIRE_NETNS]; /* "" = free */
	int fd;                /* keeps the namespace, and with it its inode number, from being another's */
	ino_t ino;
	unsigned users;
	int64_t idle; /* since when it has none */
};

static const struct conf *conf;
static struct sock_fprog filter;
static struct bind binds[MAX_BINDS];

/* What a child that failed says: which step, and errno. */
struct why {
	int err;
	char step[60];
};

struct plan {
	char path[CONF_PATH + 64]; /* argv[0] */
	char netns[sizeof("CNI_NETNS=") + WIRE_NETNS];
	char args[2048], id[64 + WIRE_ID], ifname[64], cni_path[32 + CONF_PATH], command[32];
	const char *env[ENV_MAX];
	const char *bind; /* where the network namespace goes, NULL = nowhere */
	uint64_t caps;
	const char *sha256;
	bool script;
	int bin, fds[4], errfd;
	pid_t parent;
};

/* A container runtime mounts /proc/sys read-only. Plugins set sysctls of pods' and of the host's links, all of them beneath net: that
 * directory alone becomes writable, and in this mount namespace, where only plugins live. */
static void
open_sysctls(void)
{
	static const char dir[] = "/proc/sys/net";
	struct statvfs st;

	if (statvfs(dir, &st) < 0 || (st.f_flag & ST_RDONLY) == 0)
		return;
	if (mount(dir, dir, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, dir, NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		log_warn("%s is read-only and stays so: %s; plugins that set sysctls will fail", dir, strerror(errno));
}

void
launch_init(const struct conf *c)
{
	cleanup_close int fd = -1;

	conf = c;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		log_fatal("own mount namespace: %s", strerror(errno));
	open_sysctls();
	sandbox_compile(ROLE_DELEGATE, (enum conf_sandbox)c->sandbox, &filter);
	mkdir("/run/cni", 0755);
	fd = open(WIRE_NETNS_ALIAS, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		log_warn("%s: %s; network namespaces named by /proc paths cannot be served",
			 WIRE_NETNS_ALIAS, strerror(errno));
}

/* The plugin's binary, by name, beneath the directory held since start; what is not root's alone is refused. */
static int
open_plugin(const char *name, struct plan *p, char *text, size_t size)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
					   RESOLVE_NO_MAGICLINKS };
	cleanup_close int fd = (int)syscall(SYS_openat2, FD_EXEC_BIN, name, &how, sizeof(how));
	const char *wrong = NULL;
	char magic[2] = "";
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int err = -errno;

		snprintf(text, size, "failed to find plugin \"%s\" in path [%s]: %s", name,
			 conf->bin_dir, strerror(-err));
		return err;
	}
	if (!S_ISREG(st.st_mode))
		wrong = "is not a regular file";
	else if (st.st_uid != 0 || (st.st_mode & 022))
		wrong = "must be owned by root and writable by nobody else";
	else if (st.st_mode & (S_ISUID | S_ISGID))
		wrong = "must not be set-user-ID";
	else if (!(st.st_mode & 0111))
		wrong = "is not executable";
	if (wrong) {
		snprintf(text, size, "plugin %s/%s %s", conf->bin_dir, name, wrong);
		return -EPERM;
	}
	p->script = pread(fd, magic, 2, 0) == 2 && memcmp(magic, "#!", 2) == 0;
	p->bin = util_take_fd(&fd);
	return 0;
}

static void
fill_env(struct plan *p, const struct msg_exec_run *m, bool netns)
{
	const struct wire_target *t = &m->target;
	bool container = t->container_id[0] != '\0';
	const char *path = !netns ? "" : m->alias ? WIRE_NETNS_ALIAS : t->netns;
	int n;

	snprintf(p->command, sizeof(p->command), "CNI_COMMAND=%s", cni_verb_name(m->run.verb));
	snprintf(p->id, sizeof(p->id), "CNI_CONTAINERID=%s", t->container_id);
	snprintf(p->netns, sizeof(p->netns), "CNI_NETNS=%s", path);
	snprintf(p->ifname, sizeof(p->ifname), "CNI_IFNAME=%s", m->run.ifname);
	snprintf(p->cni_path, sizeof(p->cni_path), "CNI_PATH=%s", conf->bin_dir);
	n = snprintf(p->args, sizeof(p->args), "CNI_ARGS=");
	if (container)
		n += snprintf(p->args + n, sizeof(p->args) - (size_t)n,
			      "IgnoreUnknown=true;K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;"
			      "K8S_POD_INFRA_CONTAINER_ID=%s;K8S_POD_UID=%s",
			      t->pod_ns, t->pod_name, t->infra_id, t->pod_uid);
	if (m->run.mac[0])
		n += snprintf(p->args + n, sizeof(p->args) - (size_t)n, ";MAC=%s", m->run.mac);
	if (m->run.ips[0])
		snprintf(p->args + n, sizeof(p->args) - (size_t)n, ";IP=%s", m->run.ips);
	n = 0;
	p->env[n++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	p->env[n++] = p->command;
	p->env[n++] = p->id;
	p->env[n++] = p->netns;
	p->env[n++] = p->ifname;
	p->env[n++] = p->args;
	p->env[n++] = p->cni_path;
	p->env[n] = NULL;
	p->bind = netns ? path : NULL;
}

__attribute__((noreturn)) static void
give_up(const struct plan *p, const char *step, int err)
{
	struct why why = { .err = err };

	util_copy(why.step, sizeof(why.step), step);
	if (write(p->errfd, &why, sizeof(why)) < 0)
		_exit(126);
	_exit(127);
}

#define MUST(p, step, call)                                                                        \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			give_up((p), (step), errno);                                               \
	} while (0)

/* Takes a namespace off its path. ENOENT, EINVAL: the runtime removed the path, and the kernel our mount with it. */
static void
drop_bind(struct bind *b)
{
	if (umount2(b->path, MNT_DETACH) < 0 && errno != ENOENT && errno != EINVAL)
		log_fatal("%s: cannot be unbound: %s", b->path, strerror(errno));
	b->path[0] = '\0';
	close(b->fd);
}

/* What a plugin opens at the runtime's path is the namespace that was checked, whatever became of the path since. netpriv serves one
 * command a path at a time. Returns the bind's number, 1 or more, or -errno. */
static int
bind_netns(int netns, const char *path)
{
	struct bind *b = NULL;
	char source[32];
	struct stat st;

	if (fstat(netns, &st) < 0)
		return -errno;
	for (struct bind *o = binds; o < binds + MAX_BINDS; o++) {
		if (strcmp(o->path, path) == 0) {
			b = o;
			break;
		}
		if (!o->path[0] && !b)
			b = o;
	}
	if (!b)
		return -EAGAIN;
	if (b->path[0] && b->ino != st.st_ino) {
		if (b->users)
			return -EBUSY;
		drop_bind(b);
	}
	if (!b->path[0]) {
		b->fd = fcntl(netns, F_DUPFD_CLOEXEC, 3);
		if (b->fd < 0)
			return -errno;
		snprintf(source, sizeof(source), "/proc/self/fd/%d", netns);
		if (mount(source, path, NULL, MS_BIND, NULL) < 0) {
			int err = -errno;

			close(b->fd);
			return err;
		}
		util_copy(b->path, sizeof(b->path), path);
		b->ino = st.st_ino;
	}
	b->users++;
	return (int)(b - binds) + 1;
}

void
launch_unbind(struct launch *l)
{
	if (l->bind) {
		binds[l->bind - 1].users--;
		binds[l->bind - 1].idle = util_now_ms();
	}
	l->bind = 0;
}

int
launch_tick(int64_t now)
{
	int next = -1;

	for (struct bind *b = binds; b < binds + MAX_BINDS; b++) {
		int left = (int)(b->idle + IDLE_MS - now);

		if (!b->path[0] || b->users)
			continue;
		if (left <= 0)
			drop_bind(b);
		else if (next < 0 || left < next)
			next = left;
	}
	return next;
}

static void
limit_resources(void)
{
	const struct rlimit none = { 0, 0 }, files = { 1024, 4096 };

	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_NOFILE, &files);
}

__attribute__((noreturn)) static void
become_delegate(struct plan *p)
{
	char *argv[] = { p->path, NULL };
	char *env[ENV_MAX];
	sigset_t empty;
	int err, flags = AT_EMPTY_PATH;

	memcpy(env, p->env, sizeof(env));
	MUST(p, "setsid", setsid());
	MUST(p, "parent-death signal", prctl(PR_SET_PDEATHSIG, SIGKILL));
	if (getppid() != p->parent) /* it came too late */
		_exit(127);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	if (p->sha256[0] && (err = digest_check(p->bin, p->sha256)) < 0)
		give_up(p, "comparing the plugin's SHA-256 with the node's table", -err);
	MUST(p, "stdin", lseek(p->fds[0], 0, SEEK_SET));
	for (int i = 0; i < 3; i++)
		MUST(p, "descriptors", dup2(p->fds[i], i));
	MUST(p, "descriptors", syscall(SYS_close_range, 3, ~0u, 1u << 2 /* CLOSE_RANGE_CLOEXEC */));
	if (p->script) /* its interpreter opens it again by number */
		fcntl(p->bin, F_SETFD, 0);
	MUST(p, "chdir", chdir("/"));
	umask(022);
	limit_resources();
	err = sandbox_delegate_caps(p->caps);
	if (err < 0)
		give_up(p, "capabilities", -err);
	err = sandbox_load(&filter);
	if (err < 0)
		give_up(p, "seccomp filter", -err);
	syscall(SYS_execveat, p->bin, "", argv, env, flags);
	give_up(p, "execution", errno);
}

/* vfork(): the child changes nothing but itself until it is another program, and copying our memory is what takes longest. Hashing
 * a binary may take longer still, and nobody should wait for that. */
static int
start_child(struct plan *p, struct launch *l)
{
	int pipefd[2];

	if (pipe2(pipefd, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	p->errfd = pipefd[1];
	p->parent = getpid();
	l->errfd = pipefd[0];
	l->pid = p->sha256[0] ? fork() : vfork();
	if (l->pid == 0)
		become_delegate(p);
	close(pipefd[1]);
	if (l->pid < 0) {
		int err = -errno;

		close(l->errfd);
		return err;
	}
	l->pidfd = (int)syscall(SYS_pidfd_open, l->pid, 0);
	if (l->pidfd < 0)
		log_fatal("pidfd_open: %s", strerror(errno));
	return 0;
}

int
launch_start(const struct msg_exec_run *m, const int fds[4], struct launch *l, char *text, size_t size)
{
	struct plan p = { .bin = -1 };
	const char *step = "";
	uint32_t deadline;
	int err;

	memset(l, 0, sizeof(*l));
	/* Asked again: exec does not take netpriv's word for what may run. */
	if (!conf_plugin(conf, m->run.plugin, &p.caps, &deadline, &p.sha256)) {
		snprintf(text, size, "plugin \"%s\" is not in this node's table", m->run.plugin);
		return -EPERM;
	}
	err = open_plugin(m->run.plugin, &p, text, size);
	if (err < 0)
		return err;
	snprintf(p.path, sizeof(p.path), "%s/%s", conf->bin_dir, m->run.plugin);
	memcpy(p.fds, fds, sizeof(p.fds));
	fill_env(&p, m, fds[3] >= 0);
	if (p.bind)
		err = bind_netns(fds[3], p.bind);
	if (err < 0) {
		step = "binding the network namespace over CNI_NETNS: ";
	} else {
		l->bind = (unsigned)err;
		err = start_child(&p, l);
	}
	close(p.bin);
	if (err < 0) {
		launch_unbind(l);
		snprintf(text, size, "plugin \"%s\": %s%s", m->run.plugin, step, strerror(-err));
	}
	return err;
}

int
launch_why(int errfd, char *text, size_t size)
{
	struct why why;

	if (read(errfd, &why, sizeof(why)) != (ssize_t)sizeof(why))
		return 0;
	why.step[sizeof(why.step) - 1] = '\0';
	snprintf(text, size, "%s: %s", why.step, strerror(why.err));
	return why.err;
}
