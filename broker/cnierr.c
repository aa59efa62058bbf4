/* CNI errors: text from outside is made printable here, so that whoever shows it later need
 * not think of it.
 * Runs in: worker, readers.  Trusts: the format strings, nothing else. */
#include "broker/cnierr.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "netpriv/role.h"

/* Length of the printable character at s: 1 for printable ASCII, 2-4 for valid UTF-8 beyond the C1
 * controls, else 0. */
static size_t
char_length(const unsigned char *s)
{
	uint32_t c;
	size_t n;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2, c = s[0] & 0x1f;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3, c = s[0] & 0x0f;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4, c = s[0] & 0x07;
	else
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff)
		return 0;
	if (c < 0xa0 || (c >= 0xd800 && c <= 0xdfff) || c == 0x2028 || c == 0x2029)
		return 0;
	return n;
}

/* Copies src behind the at bytes already in dst, whole characters only. */
static void
append_escaped(char *dst, size_t size, size_t at, const char *src)
{
	const unsigned char *s = (const unsigned char *)src;

	while (*s) {
		size_t n = char_length(s);

		if (at + (n ? n : 4) >= size)
			break;
		if (n) {
			memcpy(dst + at, s, n);
			at += n;
			s += n;
		} else {
			at += (size_t)snprintf(dst + at, size - at, "\\x%02x", *s++);
		}
	}
	dst[at] = '\0';
}

int
cnierr_set(struct cnierr *e, uint32_t code, const char *fmt, ...)
{
	char text[2 * sizeof(e->msg)];
	va_list ap;

	if (e->code)
		return -1;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	e->code = code ? code : CNI_ERR_INTERNAL;
	append_escaped(e->msg, sizeof(e->msg), 0, text);
	return -1;
}

int
cnierr_prefix(struct cnierr *e, const char *fmt, ...)
{
	char text[sizeof(e->msg)], old[sizeof(e->msg)];
	va_list ap;

	memcpy(old, e->msg, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text) - 2, fmt, ap);
	va_end(ap);
	strcat(text, ": ");
	append_escaped(e->msg, sizeof(e->msg), 0, text);
	append_escaped(e->msg, sizeof(e->msg), strlen(e->msg), old);
	return -1;
}

char *
cnierr_json(const struct cnierr *e)
{
	json_t *j = json_pack("{s:i, s:s}", "code", (int)e->code, "msg", e->msg);
	char *text;

	if (e->details[0])
		json_object_set_new(j, "details", json_string(e->details));
	text = json_dumps(j, JSON_INDENT(4));
	json_decref(j);
	return text;
}
