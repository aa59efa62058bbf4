/* The front door.
 * Runs in: netpriv.  Trusts: that the kernel tells the truth about the peer's uid; checks all that a shim sends. */
#include "netpriv/door.h"

#include <sys/socket.h>

#include "netpriv/log.h"
#include "netpriv/util.h"

#define MAX_NEW 64      /* connections that have not sent ATTACH yet */
#define ATTACH_MS 5000  /* how long they may take */

bool
door_open(void)
{
	unsigned fresh = 0;

	for (struct cmd *c = attach.cmds; c; c = c->next)
		fresh += c->phase == CMD_NEW;
	return !attach.stopping && fresh < MAX_NEW;
}

void
door_accept(int listener)
{
	cleanup_close int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	struct cmd *c;

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != 0) {
		log_warn("door: uid %u is not root: refused", peer.uid);
		return;
	}
	c = attach_new(CMD_SHIM, fd);
	if (!c) {
		log_error("door: out of memory");
		return;
	}
	fd = -1;
	c->deadline = util_now_ms() + ATTACH_MS;
}

void
door_read(struct cmd *c)
{
	cleanup_msg struct wire_msg m;
	int err = wire_recv(&c->shim, c->phase == CMD_NEW ? WS_NEW : WS_DONE, &m);

	if (err == -EAGAIN)
		return;
	if (err == -EPROTONOSUPPORT && c->phase == CMD_NEW) {
		attach_refuse(c, CNI_ERR_TRY_AGAIN,
			      "shim and service are of different versions: install the shim of this version");
		return;
	}
	if (err != 1) {
		if (err < 0)
			log_warn("door: a shim broke the protocol: %s", strerror(-err));
		attach_hangup(c);
		return;
	}
	c->verb = m.body.attach.verb;
	c->flags = m.body.attach.flags;
	c->target = m.body.attach.target;
	c->config = util_take_fd(&m.fds[0]);
	c->netns = util_take_fd(&m.fds[1]);
	attach_accept(c);
}
