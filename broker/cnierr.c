/* CNI errors: text from outside is made printable here, so that whoever shows it later need
 * not think of it.
 * Runs in: worker, readers.  Trusts: the format strings, nothing else. */
#include "broker/cnierr.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "netpriv/role.h"
#include "netpriv/util.h"

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
	util_escape(e->msg, sizeof(e->msg), text);
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
	util_escape(e->msg, sizeof(e->msg), text);
	util_escape(e->msg + strlen(e->msg), sizeof(e->msg) - strlen(e->msg), old);
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
