/* SHA-256 of a file, by libmd: nothing of it is linked anywhere else on the trusted side.
 * Runs in: a delegate-to-be, before exec. */
#ifndef NETPRIV_DIGEST_H
#define NETPRIV_DIGEST_H

/* 0 when the file's digest is want (64 hexadecimal digits), -EKEYREJECTED when it is not, or -errno. */
int digest_check(int fd, const char *want);

#endif
