/* Small helpers every role links.  Runs in: every process. */
#include "netpriv/util.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

int
util_copy(char *field, size_t size, const char *src)
{
	size_t len = strnlen(src, size);

	memset(field, 0, size);
	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(field, src, len);
	return 0;
}

size_t
util_utf8(const char *s, unsigned *code)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)s[0];
	size_t n = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	unsigned value = n == 1 ? first : first & (0xffu >> (n + 1));

	*code = 0;
	if ((first >= 0x80 && first < 0xc2) || first > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | ((unsigned char)s[i] & 0x3fu);
	}
	if (value < least[n] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*code = value;
	return n;
}

size_t
util_escape(char *out, size_t size, const char *text)
{
	size_t used = 0;

	while (*text) {
		unsigned code;
		size_t n = util_utf8(text, &code);
		bool raw = code >= 0x20 && (code < 0x7f || code >= 0xa0) && code != 0x2028 &&
			   code != 0x2029;

		if (used + (raw ? n : 4) >= size)
			break;
		if (raw) {
			memcpy(out + used, text, n);
			used += n;
			text += n;
		} else {
			used += (size_t)snprintf(out + used, size - used, "\\x%02x",
						 (unsigned char)*text++);
		}
	}
	out[used] = '\0';
	return used;
}

int64_t
util_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int
util_poll(struct pollfd *p, unsigned n, int64_t due, const sigset_t *mask)
{
	int64_t left = due - util_now_ms();
	struct timespec t = {.tv_sec = left > 0 ? left / 1000 : 0,
			     .tv_nsec = left > 0 ? left % 1000 * 1000000 : 0};
	int r = ppoll(p, n, due == INT64_MAX ? NULL : &t, mask);

	if (r >= 0)
		return r;
	if (errno != EINTR)
		return -errno;
	for (unsigned i = 0; i < n; i++)
		p[i].revents = 0; /* ppoll() left them as they were */
	return 0;
}

uint64_t
util_boot_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int
util_write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t
util_read_full(int fd, void *buf, size_t len)
{
	size_t used = 0;

	while (used < len) {
		ssize_t n = read(fd, (char *)buf + used, len - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	return (ssize_t)used;
}

int
util_sealed_memfd(const char *name, const void *buf, size_t len)
{
	cleanup_close int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (fd < 0)
		return -errno;
	err = util_write_all(fd, buf, len);
	if (err < 0)
		return err;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return util_take_fd(&fd);
}

int
util_map_memfd(int fd, size_t max, void **map, size_t *len)
{
	struct stat st;

	*map = NULL;
	*len = 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < 0 || (uintmax_t)st.st_size > max)
		return -EFBIG;
	if (st.st_size == 0)
		return 0;
	*map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (*map == MAP_FAILED) {
		*map = NULL;
		return -errno;
	}
	*len = (size_t)st.st_size;
	return 0;
}

int
util_seqpair(int pair[2], bool nonblock)
{
	int type = SOCK_SEQPACKET | SOCK_CLOEXEC | (nonblock ? SOCK_NONBLOCK : 0);

	if (socketpair(AF_UNIX, type, 0, pair) < 0)
		return -errno;
	return 0;
}
