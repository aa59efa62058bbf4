/* CNI results: one table a kind of object says which members there are, of which type, in which result types. What comes out
 * has known members only, addresses in their canonical spelling.
 * Runs in: worker.  Trusts: nothing that a plugin printed.  Source: CNI spec 0.1.0-1.1.0 section 5. */
#include "broker/result.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/json.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

const char *const result_versions[] = { "0.1.0", "0.2.0", "0.3.0", "0.3.1",
					"0.4.0", "1.0.0", "1.1.0", NULL };

#define OLD   1u /* 0.1.0, 0.2.0 */
#define MID   2u /* 0.3.0 to 0.4.0 */
#define NEW   4u /* 1.x */
#define LISTS (MID | NEW)

struct place {
	const char *what;
	unsigned family; /* OLD, MID or NEW */
	struct cnierr *e;
};

struct field {
	const char *key;
	unsigned families;
	bool required;
	json_t *(*read)(const json_t *v, const char *key,
			const struct place *p); /* NULL: leave out, or e is set */
};

bool
result_version_supported(const char *version)
{
	for (const char *const *v = result_versions; *v; v++)
		if (strcmp(version, *v) == 0)
			return true;
	return false;
}

int
result_version_cmp(const char *a, const char *b)
{
	a = *a ? a : "0.1.0";
	b = *b ? b : "0.1.0";
	for (int i = 0; i < 3; i++) {
		char *end_a, *end_b;
		unsigned long x = strtoul(a, &end_a, 10), y = strtoul(b, &end_b, 10);

		if (x != y)
			return x < y ? -1 : 1;
		a = end_a + (*end_a == '.');
		b = end_b + (*end_b == '.');
	}
	return 0;
}

int
result_family(const char *version)
{
	if (result_version_cmp(version, "0.3.0") < 0)
		return 0;
	return result_version_cmp(version, "1.0.0") < 0 ? 1 : 2;
}

static json_t *
refuse(const struct place *p, const char *key, const char *must)
{
	cnierr_set(p->e, CNI_ERR_DECODE, "%s: result: \"%s\" must be %s", p->what, key, must);
	return NULL;
}

static json_t *
read_string(const json_t *v, const char *key, const struct place *p)
{
	if (!json_is_string(v))
		return refuse(p, key, "a string");
	return json_string_length(v) ? json_string(json_string_value(v)) : NULL;
}

static json_t *
read_int(const json_t *v, const char *key, const struct place *p)
{
	return json_is_integer(v) ? json_integer(json_integer_value(v))
				  : refuse(p, key, "an integer");
}

static json_t *
read_mtu(const json_t *v, const char *key, const struct place *p)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return refuse(p, key, "an integer, 0 or more");
	return json_integer_value(v) ? json_integer(json_integer_value(v)) : NULL;
}

/* Address in text: an IPv4 one inside IPv6 counts as IPv4, as it does for every CNI reader. Family, or 0. */
static int
parse_address(const char *text, char *out, size_t size, bool *mapped)
{
	unsigned char a[16];

	*mapped = false;
	if (inet_pton(AF_INET, text, a) == 1)
		return inet_ntop(AF_INET, a, out, (socklen_t)size) ? AF_INET : 0;
	if (inet_pton(AF_INET6, text, a) != 1)
		return 0;
	*mapped = memcmp(a, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0;
	if (*mapped)
		return inet_ntop(AF_INET, a + 12, out, (socklen_t)size) ? AF_INET : 0;
	return inet_ntop(AF_INET6, a, out, (socklen_t)size) ? AF_INET6 : 0;
}

static json_t *
read_address(const json_t *v, const char *key, const struct place *p)
{
	char text[INET6_ADDRSTRLEN];
	bool mapped;

	if (json_is_string(v) && json_string_length(v) == 0)
		return NULL;
	if (!json_is_string(v) || !parse_address(json_string_value(v), text, sizeof(text), &mapped))
		return refuse(p, key, "an IP address");
	return json_string(text);
}

static json_t *
read_cidr(const json_t *v, const char *key, const struct place *p)
{
	const char *s = json_string_value(v), *slash = s ? strchr(s, '/') : NULL;
	char address[64], text[INET6_ADDRSTRLEN], out[64];
	size_t digits = slash ? strspn(slash + 1, "0123456789") : 0;
	int family, bits;
	bool mapped;

	if (!slash || (size_t)(slash - s) >= sizeof(address) || digits < 1 || digits > 3 ||
	    slash[1 + digits])
		return refuse(p, key, "an address with its prefix length (10.1.2.3/24)");
	memcpy(address, s, (size_t)(slash - s));
	address[slash - s] = '\0';
	family = parse_address(address, text, sizeof(text), &mapped);
	bits = atoi(slash + 1) - (mapped ? 96 : 0);
	if (!family || bits < 0 || bits > (family == AF_INET ? 32 : 128))
		return refuse(p, key, "an address with its prefix length (10.1.2.3/24)");
	snprintf(out, sizeof(out), "%s/%d", text, bits);
	return json_string(out);
}

/* The known members of obj in the table's order, or NULL with e set. */
static json_t *
read_object(const json_t *obj, const char *key, const struct field *fields, const struct place *p)
{
	cleanup_json json_t *out = json_object();

	if (!json_is_object(obj))
		return refuse(p, key, "an object");
	for (const struct field *f = fields; f->key; f++) {
		json_t *v = json_member(obj, f->key), *read = NULL;

		if (!(f->families & p->family))
			continue;
		if (v)
			read = f->read(v, f->key, p);
		if (p->e->code)
			return NULL;
		if (!read && f->required)
			return refuse(p, f->key, "there");
		if (read)
			json_object_set_new(out, f->key, read);
	}
	return json_incref(out);
}

/* An array of what read makes; an empty one is left out, as in every typed encoder of results. */
static json_t *
read_array(const json_t *v, const char *key, const struct place *p,
	   json_t *(*read)(const json_t *, const char *, const struct place *))
{
	cleanup_json json_t *out = json_array();
	size_t i;
	json_t *item;

	if (!json_is_array(v))
		return refuse(p, key, "an array");
	json_array_foreach((json_t *)(uintptr_t)v, i, item) {
		json_t *one = read(item, key, p);

		if (p->e->code)
			return NULL;
		if (one)
			json_array_append_new(out, one);
	}
	return json_array_size(out) ? json_incref(out) : NULL;
}

static json_t *
read_strings(const json_t *v, const char *key, const struct place *p)
{
	return read_array(v, key, p, read_string);
}

static const struct field dns_fields[] = { { "nameservers", OLD | LISTS, false, read_strings },
					   { "domain", OLD | LISTS, false, read_string },
					   { "search", OLD | LISTS, false, read_strings },
					   { "options", OLD | LISTS, false, read_strings },
					   { 0 } };

static json_t *
read_dns(const json_t *v, const char *key, const struct place *p)
{
	json_t *dns = read_object(v, key, dns_fields, p);

	if (dns && json_object_size(dns) == 0) {
		json_decref(dns);
		return NULL;
	}
	return dns;
}

static const struct field route_fields[] = {
	{ "dst", OLD | LISTS, true, read_cidr }, { "gw", OLD | LISTS, false, read_address },
	{ "mtu", LISTS, false, read_mtu },	 { "advmss", LISTS, false, read_mtu },
	{ "priority", LISTS, false, read_mtu },	 { "table", LISTS, false, read_int },
	{ "scope", LISTS, false, read_int },	 { 0 }
};

static json_t *
read_route(const json_t *v, const char *key, const struct place *p)
{
	return read_object(v, key, route_fields, p);
}

static json_t *
read_routes(const json_t *v, const char *key, const struct place *p)
{
	return read_array(v, key, p, read_route);
}

static const struct field old_ip_fields[] = { { "ip", OLD, true, read_cidr },
					      { "gateway", OLD, false, read_address },
					      { "routes", OLD, false, read_routes },
					      { 0 } };

static json_t *
read_old_ip(const json_t *v, const char *key, const struct place *p)
{
	return read_object(v, key, old_ip_fields, p);
}

/* It becomes a path and a netlink name in whoever reads the result: the pod's own names and "lo" alone. */
static json_t *
read_ifname(const json_t *v, const char *key, const struct place *p)
{
	const char *name = json_string_value(v);

	if (!name || (!check_ifname(name) && strcmp(name, "lo") != 0))
		return refuse(p, key, "an interface name");
	return json_string(name);
}

static const struct field interface_fields[] = { { "name", LISTS, true, read_ifname },
						 { "mac", LISTS, false, read_string },
						 { "mtu", NEW, false, read_mtu },
						 { "sandbox", LISTS, false, read_string },
						 { "socketPath", NEW, false, read_string },
						 { "pciID", NEW, false, read_string },
						 { 0 } };

static json_t *
read_interface(const json_t *v, const char *key, const struct place *p)
{
	return read_object(v, key, interface_fields, p);
}

/* One name in one sandbox may come once: readers find an interface by its name. */
static json_t *
read_interfaces(const json_t *v, const char *key, const struct place *p)
{
	cleanup_json json_t *out = read_array(v, key, p, read_interface);

	for (size_t i = 0; i < json_array_size(out); i++)
		for (size_t k = 0; k < i; k++) {
			json_t *a = json_array_get(out, i), *b = json_array_get(out, k);
			json_t *in_a = json_object_get(a, "sandbox"),
			       *in_b = json_object_get(b, "sandbox");

			if (json_equal(json_object_get(a, "name"), json_object_get(b, "name")) &&
			    ((!in_a && !in_b) || json_equal(in_a, in_b)))
				return refuse(p, key, "a list in which no interface comes twice");
		}
	return json_incref(out);
}

static const struct field ip_fields[] = { { "interface", LISTS, false, read_int },
					  { "address", LISTS, true, read_cidr },
					  { "gateway", LISTS, false, read_address },
					  { 0 } };

/* "version" says again what the address says, so it is made from the address. */
static json_t *
read_ip(const json_t *v, const char *key, const struct place *p)
{
	cleanup_json json_t *ip = read_object(v, key, ip_fields, p);
	json_t *version = json_member(v, "version"), *out;

	if (!ip || p->family != MID)
		return json_incref(ip);
	if (version && !json_is_string(version))
		return refuse(p, "version", "a string");
	out = json_object();
	json_object_set_new(
	    out, "version",
	    json_string(strchr(json_string_value(json_object_get(ip, "address")), ':') ? "6"
										       : "4"));
	json_object_update(out, ip);
	return out;
}

static json_t *
read_ips(const json_t *v, const char *key, const struct place *p)
{
	return read_array(v, key, p, read_ip);
}

static const struct field result_fields[] = { { "interfaces", LISTS, false, read_interfaces },
					      { "ips", LISTS, false, read_ips },
					      { "ip4", OLD, false, read_old_ip },
					      { "ip6", OLD, false, read_old_ip },
					      { "routes", LISTS, false, read_routes },
					      { "dns", OLD | LISTS, false, read_dns },
					      { 0 } };

static int
check_indexes(const json_t *result, const struct place *p)
{
	size_t n = json_array_size(json_object_get(result, "interfaces")), i;
	json_t *ip;

	json_array_foreach(json_object_get(result, "ips"), i, ip) {
		json_t *index = json_object_get(ip, "interface");

		if (index &&
		    (json_integer_value(index) < 0 || (size_t)json_integer_value(index) >= n))
			return cnierr_set(
			    p->e, CNI_ERR_DECODE,
			    "%s: result: ips[%zu] names interface %lld, but there are %zu", p->what,
			    i, (long long)json_integer_value(index), n);
	}
	return 0;
}

json_t *
result_check(const json_t *j, const char *version, const char *what, struct cnierr *e)
{
	struct place p = { .what = what, .e = e };
	cleanup_json json_t *body = NULL;
	const char *have = "";
	json_t *out;

	if (!json_is_object(j)) {
		cnierr_set(e, CNI_ERR_DECODE, "%s: the result must be a JSON object", what);
		return NULL;
	}
	if (json_member_string(j, "cniVersion", what, &have, e))
		return NULL;
	version = *have ? have : *version ? version : "0.1.0";
	if (!result_version_supported(version)) {
		cnierr_set(e, CNI_ERR_VERSION, "%s: unsupported CNI result version \"%s\"", what,
			   version);
		return NULL;
	}
	p.family = 1u << result_family(version);
	body = read_object(j, "result", result_fields, &p);
	if (!body || check_indexes(body, &p))
		return NULL;
	out = json_object();
	json_object_set_new(out, "cniVersion", json_string(version));
	json_object_update(out, body);
	if (p.family != NEW && !json_object_get(out, "dns"))
		json_object_set_new(out, "dns", json_object());
	return out;
}

json_t *
result_read(const char *text, size_t len, const char *version, const char *what, struct cnierr *e)
{
	cleanup_json json_t *j = json_read(text, len, what, e);

	if (json_is_null(j)) /* what an encoder of no result prints */
		j = json_object();
	return j ? result_check(j, version, what, e) : NULL;
}

void
result_sandbox(json_t *result, const char *from, const char *to)
{
	json_t *interface;
	size_t i;

	json_array_foreach(json_object_get(result, "interfaces"), i, interface) {
		const char *sandbox = json_string_value(json_object_get(interface, "sandbox"));

		if (sandbox && strcmp(sandbox, from) == 0)
			json_object_set_new(interface, "sandbox", json_string(to));
	}
}

char *
result_text(const json_t *result)
{
	const char *version = json_string_value(json_object_get(result, "cniVersion"));

	return json_dumps(
	    result, JSON_INDENT(4) | (version && result_family(version) == 2 ? JSON_SORT_KEYS : 0));
}
