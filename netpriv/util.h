/* Small helpers every role links: cleanup attributes, descriptors, fixed strings, clocks.
 * Runs in: every process.  Trusts: nothing.
 * Errors: functions return 0 (or a count) or -errno unless they say otherwise. */
#ifndef NETPRIV_UTIL_H
#define NETPRIV_UTIL_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline void
util_close_cleanup(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void
util_free_cleanup(void *p)
{
	void *v;

	memcpy(&v, p, sizeof(v));
	free(v);
}

#define cleanup_close __attribute__((cleanup(util_close_cleanup)))
#define cleanup_free __attribute__((cleanup(util_free_cleanup)))

/* Gives up ownership: returns *fd and leaves -1 behind. */
static inline int
util_take_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

/* Copies src into a field of size bytes and zero-fills the rest. -ENAMETOOLONG when it does not fit
 * (the field is then all zero). */
int util_copy(char *field, size_t size, const char *src);

/* Decodes the UTF-8 sequence at s (NUL-terminated): its length, 1 to 4, and *code; 0 (and *code 0) when it is not a
 * valid one. RFC 3629. */
size_t util_utf8(const char *s, unsigned *code);

/* Copies text into out for a person to read: control characters (C0, DEL, C1, line separators) and bytes that are not UTF-8
 * become \xNN; cut at a whole character to fit size; NUL-terminated. Returns the length. */
size_t util_escape(char *out, size_t size, const char *text);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t util_now_ms(void);

/* ppoll(2) until due, by util_now_ms(); INT64_MAX: for ever.  The number of entries with revents, or -errno; a signal is 0,
 * with no revents set. */
int util_poll(struct pollfd *p, unsigned n, int64_t due, const sigset_t *mask);

/* Nanoseconds of CLOCK_BOOTTIME: what the journal and GC go by. */
uint64_t util_boot_ns(void);

/* Write all of buf, retrying on EINTR and short writes. 0 or -errno. */
int util_write_all(int fd, const void *buf, size_t len);

/* Read up to len bytes, until EOF or full. The count read or -errno. */
ssize_t util_read_full(int fd, void *buf, size_t len);

/* A memfd named name holding len bytes, sealed against write, grow, shrink and further seals; offset 0.
 * Returns a close-on-exec descriptor that the caller owns, or -errno.  memfd_create(2), fcntl(2). */
int util_sealed_memfd(const char *name, const void *buf, size_t len);

/* Maps the whole of a sealed memfd read-only. *len gets its size; an empty one gives *map = NULL.
 * Caller munmap()s. 0 or -errno; -EFBIG over max bytes. */
int util_map_memfd(int fd, size_t max, void **map, size_t *len);

/* AF_UNIX SOCK_SEQPACKET pair, close-on-exec; non-blocking when nonblock. 0 or -errno. */
int util_seqpair(int pair[2], bool nonblock);

#endif
