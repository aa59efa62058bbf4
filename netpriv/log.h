/* One line a record on the inherited stderr: "<level> <role>: text". Lines are at most PIPE_BUF bytes, so that
 * the roles' lines never interleave; bytes below 0x20, 0x7f and anything not printable ASCII or valid UTF-8 are
 * escaped as \xNN, so text from outside is safe as an ARGUMENT; it is never a format.
 * Runs in: every process. */
#ifndef NETPRIV_LOG_H
#define NETPRIV_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Once, at start. role must be a string constant. level: the highest level printed. */
void log_init(const char *role, enum log_level level);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *fmt, ...);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* Logs as an error and ends the process with status 1: for what must never be continued from. */
__attribute__((noreturn, format(printf, 1, 2))) void log_fatal(const char *fmt, ...);

#endif
