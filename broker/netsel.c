/* Network selections. An annotation that cannot be read in full is an error: a pod never runs
 * on fewer networks than it asked for.
 * Runs in: worker.  Trusts: nothing; whoever can write a pod writes this text.  Source: NPWG
 * multi-network 1.3 section 4. */
#include "broker/netsel.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "broker/json.h"
#include "netpriv/check.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

#define bad(e, ...) cnierr_set(e, CNI_ERR_CONFIG, __VA_ARGS__)

/* A name in the text form: a DNS-1123 label, but of any length that an object's name can have. */
static bool
is_text_name(const char *s)
{
	size_t len = strlen(s);

	return len >= 1 && len <= 253 && s[0] != '-' && s[len - 1] != '-' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* Hardware address: 6, 8 or 20 octets as "aa:bb:...", "aa-bb-..." or "aabb.ccdd....". */
static bool
is_mac(const char *s)
{
	size_t len = strlen(s), group = len > 4 && s[4] == '.' ? 4 : 2, digits = 0;
	char sep = len > group ? s[group] : '\0';

	if ((group == 2 && sep != ':' && sep != '-') || (len + 1) % (group + 1))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (i % (group + 1) == group) {
			if (s[i] != sep)
				return false;
		} else if (isxdigit((unsigned char)s[i])) {
			digits++;
		} else {
			return false;
		}
	}
	return digits == 12 || digits == 16 || digits == 40;
}

/* inet_pton() refuses zones and leading zeros by itself. */
static bool
is_address(const char *s, bool with_prefix)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(s, '/');
	size_t len = slash ? (size_t)(slash - s) : strlen(s);
	unsigned char raw[16];
	unsigned prefix = 0;
	int family = memchr(s, ':', len) ? AF_INET6 : AF_INET;

	if (len >= sizeof(host) || (slash && !with_prefix))
		return false;
	memcpy(host, s, len);
	host[len] = '\0';
	if (inet_pton(family, host, raw) != 1)
		return false;
	if (!slash)
		return true;
	s = slash + 1;
	if (strlen(s) < 1 || strlen(s) > 3 || s[strspn(s, "0123456789")] || (s[0] == '0' && s[1]))
		return false;
	for (; *s; s++)
		prefix = prefix * 10 + (unsigned)(*s - '0');
	return prefix <= (family == AF_INET ? 32 : 128);
}

static int
set_name(struct netsel *n, const char *ns, const char *name, bool json, const char *where,
	 struct cnierr *e)
{
	if (!*name)
		return bad(e, "%s: the network's name is empty", where);
	if (json ? !check_dns_subdomain(name) : !is_text_name(name))
		return bad(
		    e, "%s: \"%.64s\" is not a network's name (lower case letters, digits, '-'%s)",
		    where, name, json ? ", '.'" : "");
	if (util_copy(n->ns, sizeof(n->ns), ns) || !check_dns_label(ns))
		return bad(e, "%s: namespace \"%.64s\" is not a namespace's name", where, ns);
	return util_copy(n->name, sizeof(n->name), name) ? bad(e, "%s: the name is too long", where)
							 : 0;
}

static int
set_ifname(struct netsel *n, const char *ifname, const char *where, struct cnierr *e)
{
	if (!*ifname)
		return 0;
	if (!check_ifname(ifname) || util_copy(n->ifname, sizeof(n->ifname), ifname))
		return bad(e,
			   "%s: interface \"%.64s\" is not an interface name (1-%d bytes, no '/', "
			   "':', '%%' or "
			   "white space, not \"lo\")",
			   where, ifname, CHECK_IFNAME_MAX);
	return 0;
}

/* Cuts white space at both ends, in place. */
static char *
trim(char *s)
{
	static const char space[] = " \t\n\v\f\r";
	size_t len;

	s += strspn(s, space);
	for (len = strlen(s); len > 0 && strchr(space, s[len - 1]); len--)
		;
	s[len] = '\0';
	return s;
}

/* "[<namespace>/]<name>[@<interface>]" */
static int
parse_item(char *item, const char *default_ns, const char *where, struct netsel *n,
	   struct cnierr *e)
{
	const char *ns = default_ns;
	char *slash, *at;

	item = trim(item);
	if (!*item)
		return bad(e, "%s: empty: remove the surplus comma", where);
	slash = strchr(item, '/');
	if (slash) {
		*slash = '\0';
		if (*trim(item))
			ns = trim(item);
		item = slash + 1;
		if (strchr(item, '/'))
			return bad(e, "%s: more than one '/'", where);
	}
	at = strchr(item, '@');
	if (at) {
		*at++ = '\0';
		if (strchr(at, '@'))
			return bad(e, "%s: more than one '@'", where);
		if (set_ifname(n, trim(at), where, e))
			return -1;
	}
	return set_name(n, ns, trim(item), false, where, e);
}

static int
parse_text(const char *value, const char *default_ns, const char *what,
	   struct netsel_list *list, struct cnierr *e)
{
	cleanup_free char *copy = strdup(value);
	char where[128], *rest = copy, *item;

	if (!copy)
		return cnierr_set(e, CNI_ERR_INTERNAL, "%s: out of memory", what);
	while ((item = strsep(&rest, ","))) {
		if (list->n == NETSEL_MAX)
			return bad(e, "%s: more than %d networks", what,
				   NETSEL_MAX);
		snprintf(where, sizeof(where), "%s: element %zu", what,
			 list->n + 1);
		if (parse_item(item, default_ns, where, &list->e[list->n++], e))
			return -1;
	}
	return 0;
}

/* An array of addresses; absent or null leaves *out NULL. */
static int
get_addresses(const json_t *obj, const char *key, bool with_prefix, const char *where, json_t **out,
	      struct cnierr *e)
{
	json_t *list = NULL, *v;
	size_t i;

	if (json_member_array(obj, key, where, &list, e))
		return -1;
	json_array_foreach(list, i, v)
	{
		const char *s = json_string_value(v);

		if (!s)
			return bad(e, "%s: \"%s\": item %zu must be a string", where, key, i + 1);
		if (!is_address(s, with_prefix))
			return bad(e, "%s: \"%s\": \"%.64s\" is not an IP address%s", where, key, s,
				   with_prefix ? " with or without a prefix length" : "");
	}
	*out = json_incref(list);
	return 0;
}

static int
get_mac(const json_t *obj, const char *key, const char *where, char *out, size_t size,
	struct cnierr *e)
{
	const char *s = "";

	if (json_member_string(obj, key, where, &s, e))
		return -1;
	if (*s && (!is_mac(s) || util_copy(out, size, s)))
		return bad(e,
			   "%s: \"%s\": \"%.64s\" is not a hardware address of 6, 8 or 20 octets",
			   where, key, s);
	return 0;
}

static int
get_port(const json_t *obj, const char *key, const char *where, json_t *out, struct cnierr *e)
{
	const json_t *v = json_member(obj, key);
	json_int_t port = json_integer_value(v);

	if (!json_is_integer(v) || port < 1 || port > 65535)
		return bad(e, "%s: \"%s\" must be a number from 1 to 65535", where, key);
	json_object_set_new(out, key, json_integer(port));
	return 0;
}

/* Rebuilds one mapping with the keys that plugins look for. Without a protocol it is TCP, as NPWG
 * says: plugins that find none may leave the mapping out. */
static int
add_mapping(const json_t *m, const char *where, json_t *out, struct cnierr *e)
{
	const char *protocol = "tcp", *host = "";
	json_t *j = json_object();

	json_array_append_new(out, j);
	if (!json_is_object(m))
		return bad(e, "%s must be an object", where);
	if (get_port(m, "hostPort", where, j, e) || get_port(m, "containerPort", where, j, e) ||
	    json_member_string(m, "protocol", where, &protocol, e) ||
	    json_member_string(m, "hostIP", where, &host, e))
		return -1;
	if (!*protocol)
		protocol = "tcp";
	if (strcasecmp(protocol, "tcp") && strcasecmp(protocol, "udp") &&
	    strcasecmp(protocol, "sctp"))
		return bad(e, "%s: \"protocol\" must be tcp, udp or sctp", where);
	if (*host && !is_address(host, false))
		return bad(e, "%s: \"hostIP\": \"%.64s\" is not an IP address", where, host);
	json_object_set_new(j, "protocol", json_string(protocol));
	if (*host)
		json_object_set_new(j, "hostIP", json_string(host));
	return 0;
}

static int
get_mappings(const json_t *obj, const char *where, struct netsel *n, struct cnierr *e)
{
	char at[192];
	json_t *list = NULL, *m;
	size_t i;

	if (json_member_array(obj, "portMappings", where, &list, e))
		return -1;
	if (json_array_size(list) == 0)
		return 0;
	n->port_mappings = json_array();
	json_array_foreach(list, i, m)
	{
		snprintf(at, sizeof(at), "%s: \"portMappings\": item %zu", where, i + 1);
		if (add_mapping(m, at, n->port_mappings, e))
			return -1;
	}
	return 0;
}

/* All four numbers are always there for the plugin; 0 = no limit. */
static int
get_bandwidth(const json_t *obj, const char *where, struct netsel *n, struct cnierr *e)
{
	static const char *const keys[] = {"ingressRate", "ingressBurst", "egressRate",
					   "egressBurst"};
	json_int_t value[4] = {0};
	json_t *b = NULL;

	if (json_member_object(obj, "bandwidth", where, &b, e))
		return -1;
	if (!b)
		return 0;
	n->bandwidth = json_object();
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const json_t *v = json_member(b, keys[i]);

		value[i] = json_integer_value(v);
		if (v && (!json_is_integer(v) || value[i] <= 0))
			return bad(e, "%s: \"bandwidth\": \"%s\" must be a whole number above 0",
				   where, keys[i]);
		json_object_set_new(n->bandwidth, keys[i], json_integer(value[i]));
	}
	if ((value[1] && !value[0]) || (value[3] && !value[2]))
		return bad(e, "%s: \"bandwidth\": a burst needs its rate", where);
	if (!value[0] && !value[2])
		return bad(e, "%s: \"bandwidth\" needs ingressRate or egressRate", where);
	return 0;
}

/* One element of the JSON form. ipam-claim-reference and members that we do not know are left
 * alone, as NPWG has it. */
static int
parse_object(const json_t *obj, const char *default_ns, const char *where, struct netsel *n,
	     struct cnierr *e)
{
	const char *name = "", *ns = "", *ifname = "", *old_ifname = "", *device = "";

	if (!json_is_object(obj))
		return bad(e, "%s must be an object", where);
	if (json_member_string(obj, "name", where, &name, e) ||
	    json_member_string(obj, "namespace", where, &ns, e) ||
	    json_member_string(obj, "interface", where, &ifname, e) ||
	    json_member_string(obj, "interfaceRequest", where, &old_ifname, e) ||
	    json_member_string(obj, "deviceID", where, &device, e))
		return -1;
	if (set_name(n, *ns ? ns : default_ns, name, true, where, e) ||
	    set_ifname(n, *ifname ? ifname : old_ifname, where, e) ||
	    get_mac(obj, "mac", where, n->mac, sizeof(n->mac), e) ||
	    get_mac(obj, "infiniband-guid", where, n->guid, sizeof(n->guid), e) ||
	    get_addresses(obj, "ips", true, where, &n->ips, e) ||
	    get_addresses(obj, "default-route", false, where, &n->default_route, e) ||
	    get_mappings(obj, where, n, e) || get_bandwidth(obj, where, n, e))
		return -1;
	if (util_copy(n->device_id, sizeof(n->device_id), device))
		return bad(e, "%s: \"deviceID\" is too long", where);
	if (json_member_object(obj, "cni-args", where, &n->cni_args, e))
		return -1;
	json_incref(n->cni_args);
	if (json_array_size(n->ips) == 0) {
		json_decref(n->ips);
		n->ips = NULL;
	}
	return 0;
}

static int
parse_json(const char *value, const char *default_ns, const char *what,
	   struct netsel_list *list, struct cnierr *e)
{
	cleanup_json json_t *root = NULL;
	char where[128];
	json_t *obj;
	size_t i;

	root = json_read(value, strlen(value), what, e);
	if (!root)
		return -1;
	if (!json_is_array(root))
		return bad(e, "%s: must be a JSON array of objects, or a comma list of names", what);
	if (json_array_size(root) > NETSEL_MAX)
		return bad(e, "%s: more than %d networks", what, NETSEL_MAX);
	json_array_foreach(root, i, obj)
	{
		snprintf(where, sizeof(where), "%s: element %zu", what, i + 1);
		if (parse_object(obj, default_ns, where, &list->e[list->n++], e))
			return -1;
	}
	return 0;
}

int
netsel_parse(const char *value, const char *default_ns, const char *what,
	     struct netsel_list *list, struct cnierr *e)
{
	int r;

	if (!value || !*value)
		return 0;
	if (strpbrk(value, "[{\""))
		r = parse_json(value, default_ns, what, list, e);
	else
		r = parse_text(value, default_ns, what, list, e);
	if (r)
		netsel_clear(list);
	return r;
}

void
netsel_clear(struct netsel_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct netsel *n = &list->e[i];

		json_decref(n->ips);
		json_decref(n->port_mappings);
		json_decref(n->bandwidth);
		json_decref(n->cni_args);
		json_decref(n->default_route);
	}
	memset(list, 0, sizeof(*list));
}
