/* SHA-256 of a file.
 * Runs in: a delegate-to-be, before exec.  Trusts: nothing; the bytes are only hashed. */
#include "netpriv/digest.h"

#include <sha2.h>

#include "netpriv/util.h"

int
digest_check(int fd, const char *want)
{
	char hex[SHA256_DIGEST_STRING_LENGTH];
	unsigned char buf[16384];
	SHA2_CTX ctx;
	off_t at = 0;
	ssize_t n;

	SHA256Init(&ctx);
	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		SHA256Update(&ctx, buf, (size_t)n);
		at += n;
	}
	if (n < 0)
		return -errno;
	return strcmp(SHA256End(&ctx, hex), want) == 0 ? 0 : -EKEYREJECTED;
}
