/* What the supervisor makes for metrics.  Runs in: supervisor.
 * Trusts: what channels.c trusts. No byte of a connection is read here.
 * Source: memfd_create(2), fcntl(2), ip(7). */
#include "netpriv/monitor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "netpriv/stats.h"
#include "netpriv/util.h"

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
	m->door = (struct channels_door){ .dir = -1, .socket = -1 };
	m->netpriv = make_page("postern-stats-netpriv", sizeof(struct stats_netpriv), &m->netpriv_ro);
	if (m->netpriv < 0)
		return m->netpriv;
	m->kube = make_page("postern-stats-kube", sizeof(struct stats_kube), &m->kube_ro);
	if (m->kube < 0)
		return m->kube;
	m->facts_ro = reopen(facts);
	return m->facts_ro < 0 ? m->facts_ro : 0;
}

/* What the reader said is read again here: nothing but the loopback interface. */
static int
open_loopback(const struct conf *c, struct channels_door *door, char *why, size_t size)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)c->metrics_port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = v4.sin_port };
	bool four = inet_pton(AF_INET, c->metrics_ip, &v4.sin_addr) == 1;
	cleanup_close int fd = -1;

	if (four ? ntohl(v4.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET
		 : inet_pton(AF_INET6, c->metrics_ip, &v6.sin6_addr) != 1 || !IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr)) {
		snprintf(why, size, "metrics: %s: not an address of the loopback interface", c->metrics_ip);
		return -EINVAL;
	}
	fd = socket(four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
	    bind(fd, four ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6, four ? sizeof(v4) : sizeof(v6)) < 0 ||
	    listen(fd, MONITOR_BACKLOG) < 0) {
		int err = -errno;

		snprintf(why, size, "metrics: %s port %u: %s", c->metrics_ip, c->metrics_port, strerror(-err));
		return err;
	}
	door->socket = util_take_fd(&fd);
	return 0;
}

int
monitor_open(const struct conf *c, struct monitor *m, char *why, size_t size)
{
	if (c->metrics_socket[0])
		return channels_open_socket(c->metrics_socket, &m->door, why, size);
	return c->metrics_ip[0] ? open_loopback(c, &m->door, why, size) : 0;
}

bool
monitor_same(const struct conf *a, const struct conf *b)
{
	return strcmp(a->metrics_socket, b->metrics_socket) == 0 && strcmp(a->metrics_ip, b->metrics_ip) == 0 &&
	       a->metrics_port == b->metrics_port;
}
