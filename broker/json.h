/* Bounded JSON and YAML reading over jansson and libyaml. Duplicate keys, over-deep and over-long text are errors.
 * Runs in: worker, readers: processes that hold nothing. */
#ifndef BROKER_JSON_H
#define BROKER_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/cnierr.h"

#define JSON_MAX_DEPTH 64
#define JSON_MAX_BYTES (1u << 20)
#define JSON_MAX_NODES 65536

static inline void
json_decref_cleanup(json_t **j)
{
	json_decref(*j);
}
#define cleanup_json __attribute__((cleanup(json_decref_cleanup)))

/* Parses text of len bytes; what names it in errors ("network configuration"). Duplicate keys, invalid UTF-8, NUL, trailing
 * text, more than JSON_MAX_DEPTH levels, JSON_MAX_BYTES bytes or JSON_MAX_NODES values: error with CNI_ERR_DECODE naming line
 * and column, never the text. Returns a new reference or NULL. Any JSON value may be the root. */
json_t *json_read(const char *text, size_t len, const char *what, struct cnierr *e);

/* The same within other limits: for text of our own that wraps several values read by json_read() (the journal). */
struct json_limits {
	size_t bytes, depth, nodes;
};
json_t *json_read_within(const char *text, size_t len, const struct json_limits *limits, const char *what,
			 struct cnierr *e);

/* The same for one YAML document (libyaml): core-schema scalars (null, bool, int, float, string), anchors and aliases refused,
 * same limits. Plain scalars follow YAML 1.2 core schema as Kubernetes reads it (y/n/on/off are strings). */
json_t *json_read_yaml(const char *text, size_t len, const char *what, struct cnierr *e);

/* Does a reader in Go take the member k for key (ASCII)? Whatever its case, and U+017F is an s, U+212A a k. */
bool json_same_key(const char *k, const char *key);

/* obj[key] with Go's matching: exact first, else as json_same_key(). Borrowed or NULL; JSON null counts as absent. */
json_t *json_member(const json_t *obj, const char *key);

/* Replaces key in whatever case it is written: a plugin would take either. Takes value. */
void json_set_key(json_t *object, const char *key, json_t *value);

/* Typed members. Absent (or null): *out is untouched and 0 is returned. Wrong type: error naming what and key. */
int json_member_string(const json_t *obj, const char *key, const char *what, const char **out, struct cnierr *e);
int json_member_bool(const json_t *obj, const char *key, const char *what, bool *out, struct cnierr *e);
int json_member_array(const json_t *obj, const char *key, const char *what, json_t **out, struct cnierr *e);
int json_member_object(const json_t *obj, const char *key, const char *what, json_t **out, struct cnierr *e);

/* Compact text (sort: sorted keys), malloc'd; NULL only when out of memory. */
char *json_text(const json_t *j, bool sort);

#endif
