/* Reading one JSON object by a table of its keys.  Runs in: reader. */
#include "broker/confkey.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <strings.h>

#include "netpriv/check.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

int
confkey_refuse(struct confkey_reader *r, const char *key, const char *wanted)
{
	return cnierr_set(&r->e, CNI_ERR_CONFIG, "key \"%s\": %s", key, wanted);
}

/* A key is the file's text: its bytes are tamed, and its length. Past the last place warnings are
 * counted as one. */
void
confkey_warn(struct confkey_reader *r, const char *key, const char *what, const char *where)
{
	struct conf *c = r->c;
	char shown[64];

	if (c->n_warnings == CONF_WARNINGS) {
		util_copy(c->warnings[CONF_WARNINGS - 1], sizeof(c->warnings[0]),
			  "more keys are unknown or not used");
		return;
	}
	util_escape(shown, sizeof(shown), key);
	snprintf(c->warnings[c->n_warnings++], sizeof(c->warnings[0]), "key \"%s\" %s%.24s", shown,
		 what, where);
}

int
confkey_string(struct confkey_reader *r, const char *key, const json_t *v, char *field, size_t size)
{
	char wanted[64];

	if (!json_is_string(v))
		return confkey_refuse(r, key, "must be a string");
	snprintf(wanted, sizeof(wanted), "must be at most %zu bytes", size - 1);
	if (util_copy(field, size, json_string_value(v)) < 0)
		return confkey_refuse(r, key, wanted);
	return 0;
}

int
confkey_path(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	char *field = (char *)r->c + k->offset;
	size_t len;

	if (confkey_string(r, k->name, v, field, k->size))
		return -1;
	for (len = strlen(field); len > 1 && field[len - 1] == '/'; len--)
		field[len - 1] = '\0';
	if (!check_abs_path(field, k->size) && !(field[0] == '\0' && k->least == 0))
		return confkey_refuse(r, k->name, "must be an absolute path without '.' or '..'");
	return 0;
}

int
confkey_bool(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	if (!json_is_boolean(v))
		return confkey_refuse(r, k->name, "must be true or false");
	*confkey_number(r, k) = json_is_true(v);
	return 0;
}

int
confkey_count(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	char wanted[64];
	json_int_t n = json_integer_value(v);

	snprintf(wanted, sizeof(wanted), "must be a whole number from %u to %u", k->least, k->most);
	if (!json_is_integer(v) || n < (json_int_t)k->least || n > (json_int_t)k->most)
		return confkey_refuse(r, k->name, wanted);
	*confkey_number(r, k) = (uint32_t)n;
	return 0;
}

int
confkey_seconds(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	double s = json_number_value(v);
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "must be a number of seconds, 0.001 to %u", k->most);
	if (!json_is_number(v) || !(s >= 0.001 && s <= k->most))
		return confkey_refuse(r, k->name, wanted);
	*confkey_number(r, k) = (uint32_t)(s * 1000 + 0.5);
	return 0;
}

int
confkey_duration(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	static const struct {
		char unit;
		unsigned long seconds;
	} units[] = { { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
	const char *s = json_string_value(v);
	unsigned long total = 0;
	char wanted[96];

	for (char *end; s && *s; s = end) {
		unsigned long n = isdigit((unsigned char)*s) ? strtoul(s, &end, 10) : ULONG_MAX;
		size_t u = 0;

		while (n < 1000000 && u < ARRAY_LEN(units) && units[u].unit != *end)
			u++;
		if (n >= 1000000 || u == ARRAY_LEN(units))
			s = NULL;
		if (!s)
			break;
		total += n * units[u].seconds;
		end++;
	}
	snprintf(wanted, sizeof(wanted), "must be a duration such as \"24h\" or \"1h30m\", %u to %u seconds", k->least, k->most);
	if (!s || total < k->least || total > k->most)
		return confkey_refuse(r, k->name, wanted);
	*confkey_number(r, k) = (uint32_t)total;
	return 0;
}

int
confkey_word(struct confkey_reader *r, const char *key, const json_t *v,
	     const struct confkey_word *words, size_t n, uint32_t *out)
{
	char wanted[160] = "must be one of:";

	for (size_t i = 0; i < n; i++) {
		if (json_is_string(v) && strcasecmp(json_string_value(v), words[i].word) == 0) {
			*out = words[i].value;
			return 0;
		}
		snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), " %s",
			 words[i].word);
	}
	return confkey_refuse(r, key, wanted);
}

int
confkey_object(struct confkey_reader *r, const char *path, const json_t *obj,
	       const struct confkey *keys, size_t n)
{
	const char *name;
	json_t *value;

	if (!json_is_object(obj))
		return confkey_refuse(r, path, "must be an object");
	json_object_foreach((json_t *)(uintptr_t)obj, name, value)
	{
		const struct confkey *k = NULL;

		for (size_t i = 0; i < n && !k; i++)
			if (strcasecmp(keys[i].name, name) == 0)
				k = &keys[i];
		if (!k) {
			confkey_warn(r, name,
				     path[0] ? "is unknown and has no effect in "
					     : "is unknown and has no effect",
				     path);
		} else if (json_is_null(value)) {
			continue;
		} else if (!k->read) {
			confkey_warn(r, k->name, "is known but not used by this version", "");
		} else if (json_member(obj, k->name) != value) {
			return confkey_refuse(r, k->name, "is given twice");
		} else if (k->read(r, k, value)) {
			return path[0] ? cnierr_prefix(&r->e, "%s", path) : -1;
		}
	}
	return 0;
}
