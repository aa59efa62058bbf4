/* What the hostile peers share: every way to break a message, sent with raw sendmsg(2), past wire_send()'s own checks. */
#ifndef TESTS_EVIL_H
#define TESTS_EVIL_H

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "netpriv/util.h"
#include "netpriv/wire.h"

enum evil {
	EVIL_PLAIN,     /* well formed, zero body: the wrong type for this channel, or the wrong state */
	EVIL_SHORT,     /* one byte less than the body */
	EVIL_LONG,      /* one byte more */
	EVIL_HEADLESS,  /* half a header */
	EVIL_MAGIC,     /* wrong magic */
	EVIL_VERSION,   /* another build's version */
	EVIL_FLAGS,     /* flags that must be zero */
	EVIL_LENGTH,    /* a header that lies about the length */
	EVIL_GARBAGE,   /* body of 0xff: strings without an end */
	EVIL_ONE_FD,    /* one descriptor of a kind that no message carries */
	EVIL_MANY_FDS,  /* 200 descriptors */
	EVIL_HUGE,      /* 100 kB */
	EVIL_COUNT
};

static inline uint32_t
evil_length(unsigned type)
{
	static const uint32_t lengths[MSG_COUNT] = {
#define MSG(name, body, from, to, fds, states, once) [MSG_##name] = sizeof(struct msg_##body),
#include "netpriv/wire.def"
#undef MSG
	};

	return type < MSG_COUNT ? lengths[type] : 64;
}

/* Sends one broken message of type. 0 or -errno. */
static inline int
evil_send(int fd, unsigned type, enum evil how)
{
	static char buf[100000];
	static char control[CMSG_SPACE(sizeof(int) * 200)];
	struct wire_head head = { .magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = (uint16_t)type,
				  .length = evil_length(type), .serial = 1 };
	size_t len = sizeof(head) + head.length, nfds = 0;
	cleanup_close int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct iovec iov = { .iov_base = buf };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (how == EVIL_MAGIC)
		head.magic ^= 1;
	if (how == EVIL_VERSION)
		head.version ^= 1;
	if (how == EVIL_FLAGS)
		head.flags = 1;
	if (how == EVIL_LENGTH)
		head.length = 0xfffffff0u;
	memset(buf, how == EVIL_GARBAGE ? 0xff : 0, sizeof(buf));
	memcpy(buf, &head, sizeof(head));
	if (how == EVIL_SHORT)
		len--;
	if (how == EVIL_LONG)
		len++;
	if (how == EVIL_HEADLESS)
		len = sizeof(head) / 2;
	if (how == EVIL_HUGE)
		len = sizeof(buf);
	if (how == EVIL_ONE_FD)
		nfds = 1;
	if (how == EVIL_MANY_FDS)
		nfds = 200;
	iov.iov_len = len;
	if (nfds > 0) {
		struct cmsghdr *c = (struct cmsghdr *)(void *)control;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		for (size_t i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &zero, sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Reads and drops what comes until the peer closes. True when it did within ms. */
static inline bool
evil_closed(int fd, int ms)
{
	int64_t end = util_now_ms() + ms;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		char drop[16384];
		int64_t left = end - util_now_ms();

		if (left < 0 || poll(&p, 1, (int)left) <= 0)
			return false;
		if (recv(fd, drop, sizeof(drop), MSG_DONTWAIT) <= 0 && errno != EAGAIN)
			return true;
	}
}

#endif
