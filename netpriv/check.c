/* Field checks.  Runs in: every process.  Source: CNI spec 1.1.0, DNS-1123, dev_valid_name() in the kernel. */
#include "netpriv/check.h"

#include "netpriv/util.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"
#define HEX DIGIT "abcdefABCDEF"

bool
check_field(const char *field, size_t size)
{
	size_t len = strnlen(field, size);

	if (len == size)
		return false;
	for (size_t i = len; i < size; i++)
		if (field[i] != '\0')
			return false;
	return true;
}

/* True when s has 1..max bytes, all in set, the first one in first. */
static bool
only(const char *s, const char *first, const char *set, size_t max)
{
	size_t len = strlen(s);

	return len >= 1 && len <= max && strchr(first, s[0]) != NULL && strspn(s, set) == len;
}

bool
check_container_id(const char *s)
{
	return only(s, LOWER UPPER DIGIT, LOWER UPPER DIGIT "_.-", CHECK_ID_MAX);
}

bool
check_network_name(const char *s)
{
	return only(s, LOWER UPPER DIGIT, LOWER UPPER DIGIT "_.-", 200);
}

bool
check_plugin(const char *s)
{
	return only(s, LOWER DIGIT, LOWER DIGIT "._-", 63);
}

/* Bytes of the UTF-8 sequence at s that stands for a visible character, 0 when there is none. White space
 * beyond ASCII is refused as CNI does: NEL, NBSP, U+1680, U+2000-200A, U+2028/9, U+202F, U+205F, U+3000. */
static size_t
visible_utf8(const char *s)
{
	unsigned code;
	size_t n = util_utf8(s, &code);

	if (code <= 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200f) ||
	    (code >= 0x2028 && code <= 0x202f) || (code >= 0x205f && code <= 0x206f) ||
	    code == 0x3000 || code == 0xfeff)
		return 0;
	return n;
}

bool
check_ifname(const char *s)
{
	size_t len = strlen(s);

	if (len < 1 || len > CHECK_IFNAME_MAX || strcmp(s, ".") == 0 || strcmp(s, "..") == 0 ||
	    strcmp(s, "lo") == 0)
		return false;
	while (*s) {
		unsigned char c = (unsigned char)*s;
		size_t n = c >= 0x80 ? visible_utf8(s) : c > 0x20 && c != 0x7f && !strchr("/:%", c);

		if (n == 0)
			return false;
		s += n;
	}
	return true;
}

static bool
label(const char *s, size_t len)
{
	if (len < 1 || s[0] == '-' || s[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (strchr(LOWER DIGIT "-", s[i]) == NULL)
			return false;
	return true;
}

bool
check_dns_label(const char *s)
{
	return strlen(s) <= 63 && label(s, strlen(s));
}

bool
check_dns_subdomain(const char *s)
{
	if (strlen(s) > 253)
		return false;
	for (;;) {
		size_t len = strcspn(s, ".");

		if (!label(s, len))
			return false;
		if (s[len] == '\0')
			return true;
		s += len + 1;
	}
}

bool
check_uid(const char *s)
{
	size_t len = strlen(s);

	return len <= 63 && strspn(s, LOWER UPPER DIGIT "-") == len;
}

static bool
has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

bool
check_abs_path(const char *s, size_t size)
{
	if (s[0] != '/' || strlen(s) >= size || has_control(s))
		return false;
	for (const char *p = s; *p;) {
		size_t len = strcspn(++p, "/");

		if (len == 0)
			return *p == '\0'; /* a trailing slash, or "//" */
		if ((len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += len;
	}
	return true;
}

bool
check_file_name(const char *s)
{
	size_t len = strlen(s);

	return len >= 1 && len <= 255 && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 &&
	       strchr(s, '/') == NULL && !has_control(s);
}

bool
check_mac(const char *s)
{
	size_t len = strlen(s);

	return len <= 59 && strspn(s, HEX ":-.") == len;
}

bool
check_ip_list(const char *s)
{
	return strspn(s, HEX ".:/,") == strlen(s);
}

bool
check_visible(const char *s)
{
	while (*s > ' ' && *s <= '~')
		s++;
	return *s == '\0';
}
