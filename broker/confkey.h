/* Reading one JSON object by a table of its keys into fields of struct conf.
 * Runs in: reader. */
#ifndef BROKER_CONFKEY_H
#define BROKER_CONFKEY_H

#include <stddef.h>
#include <stdint.h>

#include "broker/cnierr.h"
#include "broker/json.h"
#include "netpriv/conf.h"

struct confkey_reader {
	struct conf *c;
	const json_t *root; /* the file's object */
	struct cnierr e;    /* the first error; names the key */
};

/* A key: how it is read, and where to. read NULL: Multus' daemon knows it, here it has no effect.
 */
struct confkey {
	const char *name;
	int (*read)(struct confkey_reader *r, const struct confkey *k, const json_t *v);
	size_t offset, size; /* of the field in struct conf */
	uint32_t least, most;
};

#define CONFKEY_FIELD(member) offsetof(struct conf, member), sizeof(((struct conf *)0)->member)

struct confkey_word {
	const char *word;
	uint32_t value;
};

/* All return 0, or -1 with r->e set. */

/* Reads obj by keys (n of them), whatever their case, as Go does; path ("" = the file itself) is
 * for messages. null counts as absent; unknown keys are warned of; a key given twice in two cases
 * is an error, for nobody could say which one counts. */
int confkey_object(struct confkey_reader *r, const char *path, const json_t *obj,
		   const struct confkey *keys, size_t n);

/* Absolute path; trailing slashes go. least 0: may be empty. */
int confkey_path(struct confkey_reader *r, const struct confkey *k, const json_t *v);
int confkey_bool(struct confkey_reader *r, const struct confkey *k, const json_t *v);
/* Whole number from least to most. */
int confkey_count(struct confkey_reader *r, const struct confkey *k, const json_t *v);
/* Seconds, fractions allowed, up to most; the field holds milliseconds. */
int confkey_seconds(struct confkey_reader *r, const struct confkey *k, const json_t *v);

/* A Go duration of whole hours, minutes and seconds, "1h30m"; the field holds seconds, from least to most. */
int confkey_duration(struct confkey_reader *r, const struct confkey *k, const json_t *v);

int confkey_string(struct confkey_reader *r, const char *key, const json_t *v, char *field,
		   size_t size);
int confkey_word(struct confkey_reader *r, const char *key, const json_t *v,
		 const struct confkey_word *words, size_t n, uint32_t *out);

/* "key "limits": must be an object"; always -1. */
int confkey_refuse(struct confkey_reader *r, const char *key, const char *wanted);
void confkey_warn(struct confkey_reader *r, const char *key, const char *what, const char *where);

static inline uint32_t *
confkey_number(struct confkey_reader *r, const struct confkey *k)
{
	return (uint32_t *)(void *)((char *)r->c + k->offset);
}

#endif
