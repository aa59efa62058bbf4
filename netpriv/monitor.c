/* What the supervisor makes for metrics.  Runs in: supervisor.
 * Trusts: directories that only root can have made (trust.h). No byte of a connection is read here.
 * Source: memfd_create(2), fcntl(2), unix(7), ip(7). */
#include "netpriv/monitor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "netpriv/stats.h"
#include "netpriv/trust.h"
#include "netpriv/util.h"

#define BACKLOG 128

static int
explain(char *why, size_t size, const char *where, int err)
{
	snprintf(why, size, "metrics: %s: %s", where, strerror(-err));
	return err;
}

/* A descriptor of the memfd that cannot be written to, nor mapped for it. */
static int
reopen(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A page cannot be cut under its reader. */
static int
make_page(const char *name, size_t size, int *ro)
{
	cleanup_close int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	*ro = reopen(fd);
	return *ro < 0 ? *ro : util_take_fd(&fd);
}

int
monitor_make(struct monitor *m, int facts)
{
	*m = (struct monitor){ -1, -1, -1, -1, -1, -1, -1, "", 0, 0 };
	m->netpriv = make_page("postern-stats-netpriv", sizeof(struct stats_netpriv), &m->netpriv_ro);
	if (m->netpriv < 0)
		return m->netpriv;
	m->kube = make_page("postern-stats-kube", sizeof(struct stats_kube), &m->kube_ro);
	if (m->kube < 0)
		return m->kube;
	m->facts_ro = reopen(facts);
	return m->facts_ro < 0 ? m->facts_ro : 0;
}

/* The name is free, or is made free: it holds a socket at which nobody listens. */
static int
free_name(int dir, const char *name, const struct sockaddr_un *a, char *why, size_t size)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return explain(why, size, a->sun_path, -errno);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : explain(why, size, a->sun_path, -errno);
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(why, size, "metrics: %s: something that is not a socket has this name: move it away", a->sun_path);
		return -EEXIST;
	}
	if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 || errno != ECONNREFUSED) {
		snprintf(why, size, "metrics: %s: somebody else is listening there", a->sun_path);
		return -EADDRINUSE;
	}
	return unlinkat(dir, name, 0) < 0 ? explain(why, size, a->sun_path, -errno) : 0;
}

static int
open_unix(const char *path, struct monitor *m, char *why, size_t size)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), dir = -1;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char parent[CONF_PATH];
	struct stat st;
	int err;

	m->name = strrchr(path, '/') + 1;
	if (fd < 0 || util_copy(a.sun_path, sizeof(a.sun_path), path) < 0 || !m->name[0])
		return explain(why, size, path, fd < 0 ? -errno : -EINVAL);
	snprintf(parent, sizeof(parent), "%.*s", m->name - path > 1 ? (int)(m->name - path - 1) : 1, path);
	dir = trust_open(parent, O_RDONLY | O_DIRECTORY, 0755, why, size);
	if (dir < 0)
		return dir;
	err = free_name(dir, m->name, &a, why, size);
	if (err < 0)
		return err;
	/* The umask leaves the owner alone; nobody is let in before listen(). */
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 || fchmodat(dir, m->name, 0600, 0) < 0 ||
	    fstatat(dir, m->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || listen(fd, BACKLOG) < 0)
		return explain(why, size, path, -errno);
	m->dev = st.st_dev;
	m->ino = st.st_ino;
	m->dir = util_take_fd(&dir);
	m->socket = util_take_fd(&fd);
	return 0;
}

/* What the reader said is read again here: nothing but the loopback interface. */
static int
open_loopback(const struct conf *c, struct monitor *m, char *why, size_t size)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)c->metrics_port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = v4.sin_port };
	bool four = inet_pton(AF_INET, c->metrics_ip, &v4.sin_addr) == 1;
	cleanup_close int fd = -1;

	if (four ? ntohl(v4.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET
		 : inet_pton(AF_INET6, c->metrics_ip, &v6.sin6_addr) != 1 || !IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr))
		return explain(why, size, "not an address of the loopback interface", -EINVAL);
	fd = socket(four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
	    bind(fd, four ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6, four ? sizeof(v4) : sizeof(v6)) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		int err = -errno;

		snprintf(why, size, "metrics: %s port %u: %s", c->metrics_ip, c->metrics_port, strerror(-err));
		return err;
	}
	m->socket = util_take_fd(&fd);
	return 0;
}

int
monitor_open(const struct conf *c, struct monitor *m, char *why, size_t size)
{
	if (c->metrics_socket[0])
		return open_unix(c->metrics_socket, m, why, size);
	return c->metrics_ip[0] ? open_loopback(c, m, why, size) : 0;
}

void
monitor_shut(struct monitor *m)
{
	struct stat st;

	if (m->socket < 0)
		return;
	close(util_take_fd(&m->socket));
	if (m->dir < 0)
		return;
	if (fstatat(m->dir, m->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == m->dev && st.st_ino == m->ino)
		unlinkat(m->dir, m->name, 0);
	close(util_take_fd(&m->dir));
}

bool
monitor_same(const struct conf *a, const struct conf *b)
{
	return strcmp(a->metrics_socket, b->metrics_socket) == 0 && strcmp(a->metrics_ip, b->metrics_ip) == 0 &&
	       a->metrics_port == b->metrics_port;
}
