/* Records on the inherited stderr: one write(2) each, escaped, never longer than PIPE_BUF.
 * Runs in: every process. */
#include "netpriv/log.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "netpriv/util.h"

static const char *log_role = "postern";
static enum log_level log_level = LOG_INFO;

void
log_init(const char *role, enum log_level level)
{
	log_role = role;
	log_level = level;
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
	used += util_escape(line + used, sizeof(line) - used - 1, text);
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
