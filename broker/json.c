/* Bounded JSON reading. What jansson would only notice while recursing or allocating is
 * counted before it sees the text.
 * Runs in: worker, readers.  Trusts: nothing that it is given. */
#include "broker/json.h"

#include <ctype.h>
#include <string.h>

#include "netpriv/role.h"

/* Walks the text outside strings and counts what costs memory and stack. Syntax is jansson's. */
static int
scan_bounds(const char *text, size_t len, const struct json_limits *limits, const char *what,
	    struct cnierr *e)
{
	size_t depth = 0, nodes = 1, line = 1, start = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '\n') {
			line++;
			start = i + 1;
		}
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == '"')
			in_string = true;
		else if (c == '[' || c == '{')
			depth++;
		else if ((c == ']' || c == '}') && depth > 0)
			depth--;
		if (c == '[' || c == '{' || c == ',')
			nodes++;
		if (depth > limits->depth)
			return cnierr_set(e, CNI_ERR_DECODE,
					  "%s: line %zu, column %zu: nested deeper than %zu levels",
					  what, line, i - start + 1, limits->depth);
		if (nodes > limits->nodes)
			return cnierr_set(e, CNI_ERR_DECODE,
					  "%s: line %zu, column %zu: more than %zu values", what,
					  line, i - start + 1, limits->nodes);
	}
	return 0;
}

static const char *
error_kind(enum json_error_code code)
{
	switch (code) {
	case json_error_invalid_utf8:
		return "not valid UTF-8";
	case json_error_premature_end_of_input:
		return "the text ends too early";
	case json_error_end_of_input_expected:
		return "text behind the end of the value";
	case json_error_duplicate_key:
		return "duplicate key";
	case json_error_numeric_overflow:
		return "number out of range";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "NUL character";
	case json_error_out_of_memory:
		return "out of memory";
	default:
		return "not valid JSON";
	}
}

json_t *
json_read_within(const char *text, size_t len, const struct json_limits *limits, const char *what,
		 struct cnierr *e)
{
	json_error_t error;
	json_t *j;

	if (len > limits->bytes) {
		cnierr_set(e, CNI_ERR_DECODE, "%s: %zu bytes are more than the %zu allowed", what,
			   len, limits->bytes);
		return NULL;
	}
	if (len == 0) {
		cnierr_set(e, CNI_ERR_DECODE, "%s: empty", what);
		return NULL;
	}
	if (scan_bounds(text, len, limits, what, e))
		return NULL;
	j = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	/* Never error.text: it quotes what stood there. */
	if (!j)
		cnierr_set(e, CNI_ERR_DECODE, "%s: line %d, column %d: %s", what, error.line,
			   error.column, error_kind(json_error_code(&error)));
	return j;
}

json_t *
json_read(const char *text, size_t len, const char *what, struct cnierr *e)
{
	static const struct json_limits limits = {JSON_MAX_BYTES, JSON_MAX_DEPTH, JSON_MAX_NODES};

	return json_read_within(text, len, &limits, what, e);
}

bool
json_same_key(const char *k, const char *key)
{
	for (; *key; key++) {
		int want = tolower((unsigned char)*key);

		if (tolower((unsigned char)*k) == want)
			k++;
		else if (want == 's' && strncmp(k, "\xc5\xbf", 2) == 0)
			k += 2;
		else if (want == 'k' && strncmp(k, "\xe2\x84\xaa", 3) == 0)
			k += 3;
		else
			return false;
	}
	return *k == '\0';
}

void
json_set_key(json_t *object, const char *key, json_t *value)
{
	const char *k;
	json_t *v;
	void *next;

	json_object_foreach_safe(object, next, k, v)
		if (json_same_key(k, key) && strcmp(k, key) != 0)
			json_object_del(object, k);
	json_object_set_new(object, key, value);
}

json_t *
json_member(const json_t *obj, const char *key)
{
	json_t *value = json_object_get(obj, key), *v;
	const char *k;

	if (value)
		return json_is_null(value) ? NULL : value;
	json_object_foreach((json_t *)(uintptr_t)obj, k,
			    v) if (!json_is_null(v) && json_same_key(k, key)) return v;
	return NULL;
}

/* 1 = there and of the type, 0 = absent, -1 = another type. */
static int
get_typed(const json_t *obj, const char *key, const char *what, bool ok(const json_t *),
	  const char *type, json_t **value, struct cnierr *e)
{
	*value = json_member(obj, key);
	if (!*value)
		return 0;
	if (ok(*value))
		return 1;
	return cnierr_set(e, CNI_ERR_DECODE, "%s: \"%s\" must be %s", what, key, type);
}

static bool
is_string(const json_t *j)
{
	return json_is_string(j);
}

static bool
is_bool(const json_t *j)
{
	return json_is_boolean(j);
}

static bool
is_array(const json_t *j)
{
	return json_is_array(j);
}

static bool
is_object(const json_t *j)
{
	return json_is_object(j);
}

int
json_member_string(const json_t *obj, const char *key, const char *what, const char **out,
		   struct cnierr *e)
{
	json_t *v;
	int r = get_typed(obj, key, what, is_string, "a string", &v, e);

	if (r == 1)
		*out = json_string_value(v);
	return r < 0 ? -1 : 0;
}

int
json_member_bool(const json_t *obj, const char *key, const char *what, bool *out, struct cnierr *e)
{
	json_t *v;
	int r = get_typed(obj, key, what, is_bool, "true or false", &v, e);

	if (r == 1)
		*out = json_is_true(v);
	return r < 0 ? -1 : 0;
}

int
json_member_array(const json_t *obj, const char *key, const char *what, json_t **out,
		  struct cnierr *e)
{
	json_t *v;
	int r = get_typed(obj, key, what, is_array, "an array", &v, e);

	if (r == 1)
		*out = v;
	return r < 0 ? -1 : 0;
}

int
json_member_object(const json_t *obj, const char *key, const char *what, json_t **out,
		   struct cnierr *e)
{
	json_t *v;
	int r = get_typed(obj, key, what, is_object, "an object", &v, e);

	if (r == 1)
		*out = v;
	return r < 0 ? -1 : 0;
}

char *
json_text(const json_t *j, bool sort)
{
	return json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY | (sort ? JSON_SORT_KEYS : 0));
}
