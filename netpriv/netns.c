/* Network namespaces by descriptor.
 * Runs in: netpriv.  Trusts: descriptors that wire_recv() found to be network namespaces. */
#include "netpriv/netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "netpriv/log.h"
#include "netpriv/util.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static int host_fd = -1;
static uint64_t host_cookie;

static int
read_cookie(void *arg)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(uint64_t);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, arg, &len) < 0)
		return -errno;
	return 0;
}

void
netns_init(void)
{
	int err;

	host_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (host_fd < 0)
		log_fatal("/proc/self/ns/net: %s", strerror(errno));
	err = read_cookie(&host_cookie);
	if (err < 0)
		log_fatal("network namespace cookie: %s (Linux 5.14 or later is needed)",
			  strerror(-err));
}

int
netns_visit(int fd, int (*fn)(void *), void *arg)
{
	int ret;

	if (setns(fd, CLONE_NEWNET) < 0)
		return -errno;
	ret = fn(arg);
	if (setns(host_fd, CLONE_NEWNET) < 0)
		log_fatal("cannot return to the host's network namespace: %s", strerror(errno));
	return ret;
}

int
netns_cookie(int fd, uint64_t *cookie)
{
	return netns_visit(fd, read_cookie, cookie);
}

bool
netns_is_host(uint64_t cookie)
{
	return cookie == host_cookie;
}

int
netns_reopen(const char *path, uint64_t cookie)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	uint64_t now;
	int err;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return -EINVAL;
	err = netns_cookie(fd, &now);
	if (err < 0)
		return err;
	return now == cookie ? util_take_fd(&fd) : -ESTALE;
}
