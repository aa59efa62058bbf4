/* Files beneath a held directory.
 * Runs in: store, devices. */
#ifndef KUBECLIENT_BENEATH_H
#define KUBECLIENT_BENEATH_H

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netpriv/util.h"

/* Beneath dir only, through directories only: what its owner links to elsewhere is not in it. A descriptor or -errno. */
static inline int
beneath_open(int dir, const char *path, uint64_t flags, uint64_t mode)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* What fd's file holds, in a sealed memfd of that name.  -EINVAL: not a regular file; -EFBIG: larger than max bytes; or
 * another -errno. */
static inline int
beneath_copy(int fd, size_t max, const char *name)
{
	struct stat st;
	ssize_t n;
	void *buf;
	int memfd;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	/* Mapped for this one request: a large file leaves no memory behind, and a shrinking file no SIGBUS. */
	buf = mmap(NULL, max + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED)
		return -errno;
	n = util_read_full(fd, buf, max + 1);
	if (n < 0)
		memfd = (int)n;
	else
		memfd = (size_t)n > max ? -EFBIG : util_sealed_memfd(name, buf, (size_t)n);
	munmap(buf, max + 1);
	return memfd;
}

#endif
