/* Manifests in YAML, read into the same values as JSON. Whatever YAML has beyond JSON that
 * could hide or multiply content (anchors, aliases, merge keys, own tags, further documents)
 * is refused.
 * Runs in: worker, readers.  Trusts: nothing that it is given. */
#include "broker/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "netpriv/role.h"

#define CORE_TAG "tag:yaml.org,2002:"

struct reader {
	yaml_parser_t parser;
	const char *what;
	struct cnierr *e;
	size_t nodes;
};

#define cleanup_event __attribute__((cleanup(yaml_event_delete)))

static json_t *build_node(struct reader *r, const yaml_event_t *ev, unsigned depth);

static json_t *
fail(struct reader *r, const yaml_mark_t *mark, const char *problem)
{
	cnierr_set(r->e, CNI_ERR_DECODE, "%s: line %zu, column %zu: %s", r->what, mark->line + 1,
		   mark->column + 1, problem);
	return NULL;
}

/* libyaml's problem texts are constants: they never quote the input. */
static int
next_event(struct reader *r, yaml_event_t *ev)
{
	const yaml_parser_t *p = &r->parser;

	if (yaml_parser_parse(&r->parser, ev))
		return 0;
	if (p->error == YAML_READER_ERROR)
		return cnierr_set(r->e, CNI_ERR_DECODE, "%s: byte %zu: %s", r->what,
				  p->problem_offset, p->problem ? p->problem : "not readable");
	fail(r, &p->problem_mark, p->problem ? p->problem : "not valid YAML");
	return -1;
}

static bool
is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(s, *words) == 0)
			return true;
	return false;
}

/* The base of an integer scalar and its digits, or 0. A leading zero means octal, as Kubernetes
 * reads it (defaultMode: 0644). */
static int
int_base(const char *s, const char **digits)
{
	const char *d = s + (*s == '-' || *s == '+');

	*digits = d;
	if (s[0] == '0' && s[1] == 'o' && s[2] && !s[2 + strspn(s + 2, "01234567")]) {
		*digits = s + 2;
		return 8;
	}
	if (s[0] == '0' && s[1] == 'x' && s[2] && !s[2 + strspn(s + 2, "0123456789abcdefABCDEF")]) {
		*digits = s + 2;
		return 16;
	}
	if (!*d || d[strspn(d, "0123456789")])
		return 0;
	return d[0] == '0' && !d[strspn(d, "01234567")] ? 8 : 10;
}

static bool
is_float(const char *s)
{
	size_t whole, part = 0;

	s += *s == '-' || *s == '+';
	whole = strspn(s, "0123456789");
	s += whole;
	if (*s == '.') {
		part = strspn(s + 1, "0123456789");
		s += 1 + part;
	}
	if (whole + part == 0)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		if (!*s || s[strspn(s, "0123456789")])
			return false;
		s += strlen(s);
	}
	return *s == '\0';
}

static bool
is_special_float(const char *s)
{
	static const char *const words[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL};

	return is_one_of(s + (*s == '-' || *s == '+'), words);
}

/* A plain scalar by the core schema. */
static json_t *
resolve_plain(struct reader *r, const yaml_event_t *ev)
{
	static const char *const null_words[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const true_words[] = {"true", "True", "TRUE", NULL};
	static const char *const false_words[] = {"false", "False", "FALSE", NULL};
	const char *s = (const char *)ev->data.scalar.value, *digits;
	int base;

	if (is_one_of(s, null_words))
		return json_null();
	if (is_one_of(s, true_words))
		return json_true();
	if (is_one_of(s, false_words))
		return json_false();
	base = int_base(s, &digits);
	if (base) {
		char *end;
		long long v;

		errno = 0;
		/* The sign goes with the digits, so that the lowest integer is read as well. */
		v = strtoll(digits > s && (*s == '-' || *s == '+') ? s : digits, &end, base);
		if (errno || *end)
			return fail(r, &ev->start_mark, "number out of range");
		return json_integer(v);
	}
	if (is_special_float(s))
		return fail(r, &ev->start_mark, "number out of range");
	if (is_float(s)) {
		double v = strtod(s, NULL);

		return isfinite(v) ? json_real(v) : fail(r, &ev->start_mark, "number out of range");
	}
	return json_string(s);
}

/* A value forced by a core tag: what it resolves to must be of that kind. */
static json_t *
resolve_tagged(struct reader *r, const yaml_event_t *ev, const char *kind)
{
	cleanup_json json_t *j = NULL;

	if (strcmp(kind, "null") && strcmp(kind, "bool") && strcmp(kind, "int") &&
	    strcmp(kind, "float"))
		return fail(r, &ev->start_mark, "tags other than the core ones are not allowed");
	j = resolve_plain(r, ev);
	if (!j)
		return NULL;
	if ((kind[0] == 'n' && json_is_null(j)) || (kind[0] == 'b' && json_is_boolean(j)) ||
	    (kind[0] == 'i' && json_is_integer(j)) || (kind[0] == 'f' && json_is_number(j)))
		return json_incref(j);
	return fail(r, &ev->start_mark, "the value does not fit its tag");
}

static json_t *
build_scalar(struct reader *r, const yaml_event_t *ev)
{
	const char *tag = (const char *)ev->data.scalar.tag;
	const char *value = (const char *)ev->data.scalar.value;
	json_t *j;

	if (strlen(value) != ev->data.scalar.length)
		return fail(r, &ev->start_mark, "NUL character");
	if (tag && strcmp(tag, "!") && strcmp(tag, CORE_TAG "str")) {
		if (strncmp(tag, CORE_TAG, strlen(CORE_TAG)))
			return fail(r, &ev->start_mark,
				    "tags other than the core ones are not allowed");
		return resolve_tagged(r, ev, tag + strlen(CORE_TAG));
	}
	if (!tag && ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		j = resolve_plain(r, ev);
	else
		j = json_string(value);
	if (!j)
		fail(r, &ev->start_mark, "not a text that JSON can hold");
	return j;
}

static json_t *
build_sequence(struct reader *r, unsigned depth)
{
	cleanup_json json_t *list = json_array();

	for (;;) {
		cleanup_event yaml_event_t ev = {0};
		json_t *item;

		if (next_event(r, &ev))
			return NULL;
		if (ev.type == YAML_SEQUENCE_END_EVENT)
			return json_incref(list);
		item = build_node(r, &ev, depth);
		if (!item)
			return NULL;
		if (json_array_append_new(list, item))
			return fail(r, &ev.start_mark, "out of memory");
	}
}

/* One "key: value"; ev is the key's event. */
static int
add_member(struct reader *r, const yaml_event_t *ev, json_t *map, unsigned depth)
{
	cleanup_event yaml_event_t next = {0};
	cleanup_json json_t *key = NULL;
	const char *name;
	json_t *value;

	if (ev->type != YAML_SCALAR_EVENT) {
		fail(r, &ev->start_mark,
		     "a key must be a plain text, not an alias, list or mapping");
		return -1;
	}
	key = build_node(r, ev, depth);
	if (!key)
		return -1;
	/* Numbers and booleans as keys are their own text, as in JSON. */
	name = (const char *)ev->data.scalar.value;
	if (json_is_null(key)) {
		fail(r, &ev->start_mark, "a key is missing");
		return -1;
	}
	if (ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(name, "<<") == 0) {
		fail(r, &ev->start_mark, "merge keys are not allowed");
		return -1;
	}
	if (json_object_get(map, name)) {
		fail(r, &ev->start_mark, "duplicate key");
		return -1;
	}
	if (next_event(r, &next))
		return -1;
	value = build_node(r, &next, depth);
	if (!value)
		return -1;
	if (json_object_set_new(map, name, value)) {
		fail(r, &ev->start_mark, "not a text that JSON can hold");
		return -1;
	}
	return 0;
}

static json_t *
build_mapping(struct reader *r, unsigned depth)
{
	cleanup_json json_t *map = json_object();

	for (;;) {
		cleanup_event yaml_event_t ev = {0};

		if (next_event(r, &ev))
			return NULL;
		if (ev.type == YAML_MAPPING_END_EVENT)
			return json_incref(map);
		if (add_member(r, &ev, map, depth))
			return NULL;
	}
}

/* The value that starts with ev, at the given number of levels above it. */
static json_t *
build_node(struct reader *r, const yaml_event_t *ev, unsigned depth)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;
	const char *core = NULL;

	if (++r->nodes > JSON_MAX_NODES)
		return fail(r, &ev->start_mark, "too many values");
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		anchor = ev->data.scalar.anchor;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
		core = CORE_TAG "seq";
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
		core = CORE_TAG "map";
		break;
	case YAML_ALIAS_EVENT:
		return fail(r, &ev->start_mark,
			    "aliases (*name) are not allowed: write the value out");
	default:
		return fail(r, &ev->start_mark, "a value is missing");
	}
	if (anchor)
		return fail(r, &ev->start_mark,
			    "anchors (&name) are not allowed: write the value out");
	if (tag && strcmp((const char *)tag, core))
		return fail(r, &ev->start_mark, "tags other than the core ones are not allowed");
	if (ev->type == YAML_SCALAR_EVENT)
		return build_scalar(r, ev);
	if (depth >= JSON_MAX_DEPTH)
		return fail(r, &ev->start_mark, "nested too deep");
	return ev->type == YAML_MAPPING_START_EVENT ? build_mapping(r, depth + 1)
						    : build_sequence(r, depth + 1);
}

/* Takes the events around the one document's value away. */
static int
expect_event(struct reader *r, yaml_event_type_t type, const char *problem)
{
	cleanup_event yaml_event_t ev = {0};

	if (next_event(r, &ev))
		return -1;
	if (ev.type == type)
		return 0;
	fail(r, &ev.start_mark, problem);
	return -1;
}

static json_t *
read_stream(struct reader *r)
{
	cleanup_event yaml_event_t ev = {0};
	cleanup_json json_t *root = NULL;

	if (expect_event(r, YAML_STREAM_START_EVENT, "not valid YAML") ||
	    expect_event(r, YAML_DOCUMENT_START_EVENT, "empty") || next_event(r, &ev))
		return NULL;
	root = build_node(r, &ev, 0);
	if (!root || expect_event(r, YAML_DOCUMENT_END_EVENT, "not valid YAML") ||
	    expect_event(r, YAML_STREAM_END_EVENT, "a second document: only one is allowed"))
		return NULL;
	return json_incref(root);
}

json_t *
json_read_yaml(const char *text, size_t len, const char *what, struct cnierr *e)
{
	struct reader r = {.what = what, .e = e};
	json_t *root;

	if (len > JSON_MAX_BYTES) {
		cnierr_set(e, CNI_ERR_DECODE, "%s: %zu bytes are more than the %u allowed", what,
			   len, JSON_MAX_BYTES);
		return NULL;
	}
	if (!yaml_parser_initialize(&r.parser)) {
		cnierr_set(e, CNI_ERR_INTERNAL, "%s: out of memory", what);
		return NULL;
	}
	/* UTF-16 would be accepted otherwise, and hide text from whoever looks for it. */
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
	root = read_stream(&r);
	yaml_parser_delete(&r.parser);
	return root;
}
