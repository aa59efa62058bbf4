/* What the supervisor opens and makes for the roles.  Runs in: supervisor.
 * Trusts: directories that only root can have made (trust.h).  The store need not be root's:
 * nothing in it is read here. */
#include "netpriv/channels.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "netpriv/log.h"
#include "netpriv/monitor.h"
#include "netpriv/spool.h"
#include "netpriv/trust.h"
#include "netpriv/util.h"

#define SOCKET	   "postern.sock"
#define SOCKET_NEW ".postern.sock.new"
#define BACKLOG	   1024
#define BUFFER	   (1 << 20) /* a burst of messages must not fill a channel */

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY)

static int
explain(char *why, size_t size, const char *what, const char *where, int err)
{
	snprintf(why, size, "%s %s: %s", what, where, strerror(-err));
	return err;
}

/* The name at which we will listen is free, or holds a socket that nobody who has the lock listens
 * on. */
static int
check_name(int dir, const char *name, const char *path, char *why, size_t size)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : explain(why, size, "socket", path, -errno);
	if (S_ISSOCK(st.st_mode))
		return 0;
	snprintf(why, size, "%s: something that is not a socket has this name: move it away", path);
	return -EEXIST;
}

/* A listener that does not take our lock, an instance in a container of its own for example, shows
 * by answering. */
static int
check_silent(int type, const char *path, char *why, size_t size)
{
	cleanup_close int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (fd < 0)
		return explain(why, size, "socket", path, -errno);
	if (util_copy(a.sun_path, sizeof(a.sun_path), path) < 0)
		return explain(why, size, "socket", path, -ENAMETOOLONG);
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 &&
	    (errno == ENOENT || errno == ECONNREFUSED))
		return 0;
	snprintf(why, size, "%s: another instance is listening there", path);
	return -EADDRINUSE;
}

/* Bound under a name that no shim knows, and renamed when it listens: nobody is ever refused by a
 * half-made door. */
static int
bind_socket(struct channels_door *door, const char *socket_dir, uid_t uid, char *why, size_t size)
{
	cleanup_close int fd = socket(AF_UNIX, door->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct stat st;

	if (fd < 0)
		return explain(why, size, "socket in", socket_dir, -errno);
	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s/" SOCKET_NEW, socket_dir) >=
	    (int)sizeof(a.sun_path))
		return explain(why, size, "socket in", socket_dir, -ENAMETOOLONG);
	unlinkat(door->dir, SOCKET_NEW, 0);
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
	    fchmodat(door->dir, SOCKET_NEW, 0600, 0) < 0 ||
	    fchownat(door->dir, SOCKET_NEW, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 ||
	    listen(fd, door->type == SOCK_STREAM ? MONITOR_BACKLOG : BACKLOG) < 0 ||
	    fstatat(door->dir, SOCKET_NEW, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    renameat(door->dir, SOCKET_NEW, door->dir, door->name) < 0) {
		int err = explain(why, size, "socket", a.sun_path, -errno);

		unlinkat(door->dir, SOCKET_NEW, 0);
		return err;
	}
	door->dev = st.st_dev;
	door->ino = st.st_ino;
	door->socket = util_take_fd(&fd);
	return 0;
}

/* dir is taken over. */
static int
open_socket(int dir, const char *socket_dir, uid_t uid, struct channels_door *door, char *why, size_t size)
{
	char path[CONF_PATH + sizeof(door->name)];
	int err;

	door->dir = dir;
	snprintf(path, sizeof(path), "%s/%s", socket_dir, door->name);
	err = check_name(dir, door->name, path, why, size);
	if (err == 0)
		err = check_silent(door->type, path, why, size);
	if (err == 0)
		err = bind_socket(door, socket_dir, uid, why, size);
	if (err < 0)
		close(util_take_fd(&door->dir));
	return err;
}

int
channels_open_door(const char *socket_dir, uid_t uid, struct channels_door *door, char *why, size_t size)
{
	cleanup_close int dir = trust_open(socket_dir, DIR_FLAGS, uid ? 0711 : 0700, why, size);

	*door = (struct channels_door){ .dir = -1, .socket = -1, .type = SOCK_SEQPACKET, .name = SOCKET };
	if (dir < 0)
		return dir;
	if (flock(dir, LOCK_EX | LOCK_NB) < 0) {
		snprintf(why, size, "%s: another instance uses this directory", socket_dir);
		return -EADDRINUSE;
	}
	return open_socket(util_take_fd(&dir), socket_dir, uid, door, why, size);
}

int
channels_open_socket(const char *path, struct channels_door *door, char *why, size_t size)
{
	char parent[CONF_PATH];
	char *slash;
	int dir;

	*door = (struct channels_door){ .dir = -1, .socket = -1, .type = SOCK_STREAM };
	slash = util_copy(parent, sizeof(parent), path) < 0 ? NULL : strrchr(parent, '/');
	if (!slash || !slash[1] || util_copy(door->name, sizeof(door->name), slash + 1) < 0)
		return explain(why, size, "socket", path, -EINVAL);
	slash[slash == parent] = '\0';
	dir = trust_open(parent, DIR_FLAGS, 0755, why, size);
	return dir < 0 ? dir : open_socket(dir, parent, 0, door, why, size);
}

void
channels_shut(struct channels_door *door)
{
	struct stat st;

	if (door->socket < 0)
		return;
	close(util_take_fd(&door->socket));
	if (door->dir < 0)
		return;
	if (fstatat(door->dir, door->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == door->dev &&
	    st.st_ino == door->ino)
		unlinkat(door->dir, door->name, 0);
	close(util_take_fd(&door->dir));
}

/* <store>/status belongs to kube, which may write nowhere else. Whoever owns the store may not
 * offer us somebody's directory under that name: only root's or kube's own is taken over. */
static int
open_store(const struct conf *c, struct channels_held *held, char *why, size_t size)
{
	struct stat st;

	held->store = open(c->store, DIR_FLAGS | O_CLOEXEC);
	if (held->store < 0)
		return explain(why, size, "store", c->store, -errno);
	if (mkdirat(held->store, "status", 0700) < 0 && errno != EEXIST)
		return explain(why, size, "cannot make \"status\" in store", c->store, -errno);
	held->status = openat(held->store, "status", DIR_FLAGS | O_NOFOLLOW | O_CLOEXEC);
	if (held->status < 0 || fstat(held->status, &st) < 0)
		return explain(why, size, "\"status\" in store", c->store, -errno);
	if (st.st_uid != 0 && st.st_uid != c->kube_uid) {
		snprintf(why, size, "store %s: \"status\" must belong to root or to uid %u",
			 c->store, c->kube_uid);
		return -EPERM;
	}
	/* The mode first: once it is kube's, it takes CAP_FOWNER. */
	if (st.st_uid == 0 &&
	    (fchmod(held->status, 0755) < 0 || fchown(held->status, c->kube_uid, c->kube_gid) < 0))
		return explain(why, size, "cannot give \"status\" to kube in store", c->store,
			       -errno);
	return 0;
}

static int
open_dir(const char *dir, const char *sub, mode_t make, char *why, size_t size)
{
	char path[CONF_PATH + 16];

	snprintf(path, sizeof(path), "%s%s%s", dir, sub ? "/" : "", sub ? sub : "");
	return trust_open(path, DIR_FLAGS, make, why, size);
}

/* The tuning plugin keeps its backups there and makes the directory 0600 itself, which it could
 * then not enter without CAP_DAC_OVERRIDE. */
static int
make_tuning_dir(char *why, size_t size)
{
	int fd = trust_open("/run/cni/tuning", DIR_FLAGS, 0700, why, size);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int
channels_hold(const struct conf *c, struct channels_held *held, char *why, size_t size)
{
	int err;

	*held = (struct channels_held){-1, -1, -1, -1, -1, -1};
	err = make_tuning_dir(why, size);
	if (err == 0)
		err = held->bin = open_dir(c->bin_dir, NULL, 0, why, size);
	if (err >= 0)
		err = held->state = open_dir(c->cni_dir, "journal", 0700, why, size);
	if (err >= 0)
		err = held->spool = open_dir(c->socket_dir, SPOOL_DIR, 0700, why, size);
	if (err >= 0 && c->store[0])
		err = open_store(c, held, why, size);
	if (err >= 0) {
		err = held->conf = util_sealed_memfd("postern-conf", c, sizeof(*c));
		if (err < 0)
			explain(why, size, "memfd", "postern-conf", err);
	}
	if (err < 0)
		channels_drop(held);
	return err < 0 ? err : 0;
}

static void
close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(util_take_fd(&fds[i]));
}

void
channels_drop(struct channels_held *held)
{
	close_all((void *)held, sizeof(*held) / sizeof(int));
}

static int
open_log(const char *path, char *why, size_t size)
{
	const char *name = strrchr(path, '/') + 1;
	char dir[CONF_PATH];
	cleanup_close int at = -1, fd = -1;
	struct stat st;

	snprintf(dir, sizeof(dir), "%.*s", (int)(name - path), path);
	at = trust_open(dir, DIR_FLAGS, 0700, why, size);
	if (at < 0)
		return at;
	fd = openat(at, name, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		return explain(why, size, "logFile", path, -errno);
	if (S_ISREG(st.st_mode) && st.st_uid == 0 && (st.st_mode & 022) == 0)
		return util_take_fd(&fd);
	snprintf(why, size, "logFile %s: must be a file of root's that nobody else can write to", path);
	return -EPERM;
}

/* The roles inherit it: a set that is started anew has the new one. */
int
channels_log(const char *config, const struct conf *c, char *why, size_t size)
{
	static int original = -1; /* what we were started with */
	int fd = original;

	if (original < 0)
		fd = original = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (c->log_file[0])
		fd = open_log(c->log_file, why, size);
	if (fd < 0)
		return fd;
	dup2(fd, STDERR_FILENO);
	if (fd != original)
		close(fd);
	log_init("postern", (enum log_level)c->log_level);
	for (uint32_t i = 0; i < c->n_warnings; i++)
		log_warn("%s: %s", config, c->warnings[i]);
	return 0;
}

static int
make_pair(int pair[2])
{
	const int bytes = BUFFER;
	int err = util_seqpair(pair, true);

	if (err < 0)
		return err;
	for (int i = 0; i < 2; i++)
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0 ||
		    setsockopt(pair[i], SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
			return -errno;
	return 0;
}

/* struct channels_pairs is pairs from end to end. */
#define PAIRS (sizeof(struct channels_pairs) / sizeof(int[2]))

int
channels_make(struct channels_pairs *p, char *why, size_t size)
{
	int err = 0, (*pair)[2] = (void *)p;

	memset(p, 0xff, sizeof(*p)); /* every one -1 */
	for (size_t i = 0; i < PAIRS && err == 0; i++)
		err = make_pair(pair[i]);
	if (err == 0)
		return 0;
	channels_close(p);
	return explain(why, size, "channels", "of the roles", err);
}

void
channels_close(struct channels_pairs *p)
{
	close_all((void *)p, 2 * PAIRS);
}

unsigned
channels_place(enum role role, const struct channels_door *door, const struct channels_door *plug,
	       const struct monitor *monitor, const struct channels_held *held, const struct channels_pairs *p,
	       struct spawn_fd fds[SPAWN_FDS])
{
	unsigned n = 0;

	fds[n++] = (struct spawn_fd){p->control[role - ROLE_NETPRIV][1], FD_CONTROL};
	fds[n++] = (struct spawn_fd){held->conf, FD_CONF};
	switch (role) {
	case ROLE_NETPRIV:
		fds[n++] = (struct spawn_fd){door->socket, FD_NETPRIV_DOOR};
		fds[n++] = (struct spawn_fd){p->netpriv_broker[0], FD_NETPRIV_BROKER};
		fds[n++] = (struct spawn_fd){p->netpriv_exec[0], FD_NETPRIV_EXEC};
		fds[n++] = (struct spawn_fd){held->state, FD_NETPRIV_STATE};
		fds[n++] = (struct spawn_fd){held->spool, FD_NETPRIV_SPOOL};
		if (plug->socket >= 0)
			fds[n++] = (struct spawn_fd){plug->socket, FD_NETPRIV_PLUG};
		fds[n++] = (struct spawn_fd){monitor->netpriv, FD_NETPRIV_STATS};
		break;
	case ROLE_EXEC:
		fds[n++] = (struct spawn_fd){p->netpriv_exec[1], FD_EXEC_NETPRIV};
		fds[n++] = (struct spawn_fd){held->bin, FD_EXEC_BIN};
		break;
	case ROLE_BROKER:
		fds[n++] = (struct spawn_fd){p->netpriv_broker[1], FD_BROKER_NETPRIV};
		fds[n++] = (struct spawn_fd){p->broker_kube[0], FD_BROKER_KUBE};
		fds[n++] = (struct spawn_fd){p->broker_devices[0], FD_BROKER_DEVICES};
		break;
	case ROLE_KUBE:
		fds[n++] = (struct spawn_fd){p->broker_kube[1], FD_KUBE_BROKER};
		if (held->store >= 0) {
			fds[n++] = (struct spawn_fd){held->store, FD_STORE_DIR};
			fds[n++] = (struct spawn_fd){held->status, FD_STORE_STATUS};
		} else {
			fds[n++] = (struct spawn_fd){p->kube_dial[0], FD_KUBE_DIAL};
			fds[n++] = (struct spawn_fd){monitor->kube, FD_KUBE_STATS};
		}
		break;
	case ROLE_DIAL:
		fds[n++] = (struct spawn_fd){p->kube_dial[1], FD_DIAL_KUBE};
		break;
	case ROLE_DEVICES:
		fds[n++] = (struct spawn_fd){p->broker_devices[1], FD_DEVICES_BROKER};
		break;
	case ROLE_METRICS:
		fds[n++] = (struct spawn_fd){monitor->door.socket, FD_METRICS_LISTEN};
		fds[n++] = (struct spawn_fd){monitor->facts_ro, FD_METRICS_FACTS};
		fds[n++] = (struct spawn_fd){monitor->netpriv_ro, FD_METRICS_NETPRIV};
		fds[n++] = (struct spawn_fd){monitor->kube_ro, FD_METRICS_KUBE};
		break;
	default:
		break;
	}
	return n;
}
