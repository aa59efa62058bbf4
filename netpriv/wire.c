/* Framing, and the one validator of every channel.
 * Runs in: every process.  Trusts: nothing that it receives. */
#include "netpriv/wire.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "netpriv/util.h"
#include "netpriv/wire_check.h"

/* Room for every descriptor that one message can carry (SCM_MAX_FD), so that a surplus is seen and closed
 * instead of being cut off, or worse, delivered into the padding of a smaller buffer. */
#define SCM_MOST 253

struct rule {
	const char *name;
	enum role from, to;
	const char *fds;
	unsigned states;
	bool once;
	uint32_t length;
	bool (*check)(const union wire_body *);
};

#define MSG(name, body, from, to, fds, states, once)                                               \
	static bool check_##body(const union wire_body *b)                                         \
	{                                                                                          \
		return wire_check_##body(&b->body);                                                \
	}
#include "netpriv/wire.def"
#undef MSG

static const struct rule rules[MSG_COUNT] = {
#define MSG(name, body, from, to, fds, states, once)                                               \
	[MSG_##name] = { #name, ROLE_##from, ROLE_##to,			 fds, (states),            \
			 (once), (uint32_t)sizeof(struct msg_##body), check_##body },
#include "netpriv/wire.def"
#undef MSG
};
_Static_assert(MSG_COUNT <= 64, "one bit a type in wire.once");

const char *
wire_name(unsigned type)
{
	return type > MSG_NONE && type < MSG_COUNT ? rules[type].name : "?";
}

static bool
role_fits(enum role wanted, enum role is)
{
	return wanted == ROLE_ANY || wanted == is;
}

int
wire_send(struct wire *w, enum msg_type type, uint64_t serial, const void *body, const int *fds,
	  unsigned nfds)
{
	const struct rule *r = &rules[type];
	struct wire_head head = { .magic = WIRE_MAGIC, .version = WIRE_VERSION,
				  .type = (uint16_t)type, .length = r->length, .serial = serial };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * WIRE_MAX_FDS)];
	} control;
	struct iovec iov[2] = { { &head, sizeof(head) }, { NULL, r->length } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	memcpy(&iov[1].iov_base, &body, sizeof(body));
	if (nfds > WIRE_MAX_FDS || !role_fits(r->from, w->self) || !role_fits(r->to, w->peer))
		return -EINVAL;
	if (nfds > 0) {
		struct cmsghdr *c = &control.align;

		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do
		n = sendmsg(w->fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static bool
is_sealed_memfd(int fd, uint32_t max)
{
	const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	int have = fcntl(fd, F_GET_SEALS);
	struct stat st;

	return have >= 0 && (have & seals) == seals && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size >= 0 && st.st_size <= (off_t)max;
}

static bool
is_pipe_end(int fd, int access)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && flags >= 0 &&
	       (flags & O_ACCMODE) == access && (flags & O_PATH) == 0;
}

static bool
is_socket(int fd, bool unix_domain, int kind)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	       (unix_domain ? domain == AF_UNIX : domain == AF_INET || domain == AF_INET6) &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == kind;
}

/* Is fd what the table's letter says? ioctl(NS_GET_NSTYPE) fails with ENOTTY on all that is not a namespace. */
static bool
fd_kind_ok(char kind, int fd, uint16_t type)
{
	uint32_t max = type == MSG_ATTACH || type == MSG_OFFER || type == MSG_TASK ||
		       type == MSG_DELEGATE_RUN || type == MSG_EXEC_RUN ? WIRE_STDIN_MAX : WIRE_MEMFD_MAX;

	switch (toupper((unsigned char)kind)) {
	case 'M':
		return is_sealed_memfd(fd, max);
	case 'N':
		return ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
	case 'R':
		return is_pipe_end(fd, O_RDONLY);
	case 'W':
		return is_pipe_end(fd, O_WRONLY);
	case 'S':
		return is_socket(fd, true, SOCK_SEQPACKET);
	case 'T':
		return is_socket(fd, false, SOCK_STREAM);
	default:
		return false;
	}
}

/* Moves the descriptors of msg into m->fds; returns how many came, however many that were: the surplus is closed. */
static unsigned
collect_fds(struct msghdr *msg, struct wire_msg *m)
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++, n++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (n < WIRE_MAX_FDS)
				m->fds[n] = fd;
			else
				close(fd);
		}
	}
	return n;
}

static int
check_message(struct wire *w, unsigned state, const struct wire_msg *m, size_t len, unsigned nfds)
{
	const struct wire_head *h = &m->head;
	const struct rule *r;
	unsigned least = 0;

	if (len < sizeof(*h) || h->magic != WIRE_MAGIC || h->flags != 0)
		return -EPROTO;
	if (h->version != WIRE_VERSION)
		return -EPROTONOSUPPORT;
	if (h->type == MSG_NONE || h->type >= MSG_COUNT)
		return -EPROTO;
	r = &rules[h->type];
	if (!role_fits(r->from, w->peer) || !role_fits(r->to, w->self))
		return -EPROTO;
	if (h->length != r->length || len != sizeof(*h) + r->length)
		return -EPROTO;
	for (const char *k = r->fds; *k; k++)
		least += isupper((unsigned char)*k) != 0;
	if (nfds < least || nfds > strlen(r->fds))
		return -EPROTO;
	for (unsigned i = 0; i < nfds; i++)
		if (!fd_kind_ok(r->fds[i], m->fds[i], h->type))
			return -EPROTO;
	if (!r->check(&m->body))
		return -EPROTO;
	if ((r->states & state) == 0 || (r->once && (w->once & 1ull << h->type)))
		return -EPROTO;
	w->once |= 1ull << h->type;
	return 1;
}

int
wire_recv(struct wire *w, unsigned state, struct wire_msg *m)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * SCM_MOST)];
	} control;
	/* One byte more than the largest message, so that a longer one shows as MSG_TRUNC or as a wrong length. */
	struct iovec iov[2] = { { &m->head, sizeof(m->head) }, { &m->body, sizeof(m->body) } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	unsigned nfds;
	ssize_t n;
	int err;

	for (unsigned i = 0; i < WIRE_MAX_FDS; i++)
		m->fds[i] = -1;
	do
		n = recvmsg(w->fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	nfds = collect_fds(&msg, m);
	if (n == 0)
		err = nfds > 0 ? -EPROTO : 0;
	else if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		err = -EPROTO;
	else
		err = check_message(w, state, m, (size_t)n, nfds);
	if (err != 1)
		wire_msg_clear(m);
	return err;
}

int
wire_call(struct wire *w, enum msg_type type, const void *body, const int *fds, unsigned nfds,
	  enum msg_type expect, struct wire_msg *m)
{
	static uint64_t serial;
	int err = wire_send(w, type, ++serial, body, fds, nfds);

	if (err < 0)
		return err;
	err = wire_recv(w, WS_ANY, m);
	if (err == 0)
		return -EPIPE;
	if (err < 0)
		return err;
	if (m->head.type != expect || m->head.serial != serial) {
		wire_msg_clear(m);
		return -EPROTO;
	}
	return 0;
}

void
wire_msg_clear(struct wire_msg *m)
{
	for (unsigned i = 0; i < WIRE_MAX_FDS; i++) {
		if (m->fds[i] >= 0)
			close(m->fds[i]);
		m->fds[i] = -1;
	}
}

void
wire_close(struct wire *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}
