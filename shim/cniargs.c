/* CNI_ARGS.  Runs in: shim.  Source: CNI conventions, "CNI_ARGS". */
#include "shim/cniargs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "netpriv/check.h"
#include "netpriv/util.h"

static bool
check_any(const char *s)
{
	(void)s;
	return true;
}

static bool
check_bool(const char *s)
{
	return strcmp(s, "1") == 0 || strcmp(s, "true") == 0 || strcmp(s, "0") == 0 ||
	       strcmp(s, "false") == 0;
}

#define FIELD(member)                                                                              \
	offsetof(struct wire_target, member), sizeof(((struct wire_target *)0)->member)

/* size 0: known, checked, not kept. An empty value is the same as no value. */
static const struct {
	const char *key;
	bool (*check)(const char *s);
	size_t offset, size;
} keys[] = {
    {"IgnoreUnknown", check_bool, 0, 0},
    {"IP", check_any, 0, 0},
    {"MAC", check_any, 0, 0},
    {"K8S_POD_NAMESPACE", check_dns_label, FIELD(pod_ns)},
    {"K8S_POD_NAME", check_dns_subdomain, FIELD(pod_name)},
    {"K8S_POD_UID", check_uid, FIELD(pod_uid)},
    {"K8S_POD_INFRA_CONTAINER_ID", check_container_id, FIELD(infra_id)},
};

/* Keeps one pair. -ENOENT: a key that is not in the table; -EINVAL: a value that is not acceptable.
 */
static int
keep_pair(const char *key, size_t key_len, const char *value, size_t value_len,
	  struct wire_target *t)
{
	char text[WIRE_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (strlen(keys[i].key) != key_len || memcmp(keys[i].key, key, key_len) != 0)
			continue;
		if (value_len == 0 || keys[i].check == check_any)
			return 0;
		if (value_len >= sizeof(text))
			return -EINVAL;
		memcpy(text, value, value_len);
		text[value_len] = '\0';
		if (!keys[i].check(text))
			return -EINVAL;
		if (keys[i].size > 0)
			return util_copy((char *)t + keys[i].offset, keys[i].size, text) < 0
				   ? -EINVAL
				   : 0;
		return 0;
	}
	return -ENOENT;
}

/* IgnoreUnknown counts wherever it stands. */
static bool
is_ignoring(const char *text)
{
	bool ignore = false;

	for (const char *p = text; *p;) {
		size_t len = strcspn(p, ";");

		if (strncmp(p, "IgnoreUnknown=", 14) == 0)
			ignore = (len == 15 && p[14] == '1') ||
				 (len == 18 && memcmp(p + 14, "true", 4) == 0);
		p += len + (p[len] == ';');
	}
	return ignore;
}

int
cniargs_parse(const char *text, bool lenient, struct wire_target *t, char *why, size_t size)
{
	const char *end;
	bool ignore;

	if (!text || !text[0])
		return 0;
	ignore = is_ignoring(text);
	for (const char *p = text;; p = end + 1) {
		size_t len = strcspn(p, ";");
		size_t key_len = strcspn(p, "=;");
		int err = -EBADMSG;

		end = p + len;
		if (key_len > 0 && key_len < len &&
		    !memchr(p + key_len + 1, '=', len - key_len - 1))
			err = keep_pair(p, key_len, p + key_len + 1, len - key_len - 1, t);
		if (err == -ENOENT && ignore)
			err = 0;
		if (err < 0 && !lenient) {
			const char *what = err == -EBADMSG ? "needs exactly one '='"
					   : err == -ENOENT
					       ? "is an unknown key (IgnoreUnknown=1 allows it)"
					       : "has a value that is not acceptable";

			snprintf(why, size, "CNI_ARGS: \"%.*s\" %s",
				 (int)(key_len > 64 ? 64 : key_len), p, what);
			return -EINVAL;
		}
		if (*end == '\0')
			return 0;
	}
}
