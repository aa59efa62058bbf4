/* Records on the inherited stderr: one write(2) each, escaped, never longer than PIPE_BUF.
 * Runs in: every process. */
#include "netpriv/log.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *log_role = "postern";
static enum log_level log_level = LOG_INFO;

void
log_init(const char *role, enum log_level level)
{
	log_role = role;
	log_level = level;
}

/* Length of the valid UTF-8 sequence at s (NUL-terminated), 0 when there is none. Overlong forms do no harm on a
 * terminal that refuses them; what matters is that no C0, DEL or C1 control gets through. */
static int
utf8_length(const unsigned char *s)
{
	int n = s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;

	if (n == 0 || s[0] >= 0xf5 || (s[0] == 0xc2 && s[1] < 0xa0))
		return 0;
	for (int i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static size_t
escape_into(char *out, size_t size, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t used = 0;

	while (*s && used + 5 < size) {
		int n = *s < 0x80 ? (*s >= 0x20 && *s != 0x7f) : utf8_length(s);

		if (n == 0)
			used += (size_t)snprintf(out + used, size - used, "\\x%02x", *s++);
		while (n-- > 0)
			out[used++] = (char)*s++;
	}
	return used;
}

__attribute__((format(printf, 2, 0))) static void
write_record(enum log_level level, const char *fmt, va_list ap)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	char text[PIPE_BUF - 64], line[PIPE_BUF];
	int saved = errno;
	size_t used;

	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		return;
	used = (size_t)snprintf(line, sizeof(line), "%s %s: ", names[level], log_role);
	used += escape_into(line + used, sizeof(line) - used - 1, text);
	line[used++] = '\n';
	/* A full or closed stderr must not stop the service. */
	if (write(STDERR_FILENO, line, used) < 0)
		errno = saved;
	errno = saved;
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > log_level)
		return;
	va_start(ap, fmt);
	write_record(level, fmt, ap);
	va_end(ap);
}

void
log_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_record(LOG_ERROR, fmt, ap);
	va_end(ap);
	_exit(1);
}
