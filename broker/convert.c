/* Converting results between versions. Within a result type only the label changes; between 1.x and 0.3-0.4 result_check() of
 * the other type leaves out what that type lacks; 0.1.0 and 0.2.0 are taken apart and put together here.
 * Runs in: worker.  Source: CNI spec 1.1.0 section 5 and its predecessors; libcni's converters for the corner cases. */
#include "broker/result.h"

#include <string.h>

#include "broker/json.h"
#include "netpriv/role.h"

static bool
is_ipv6(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s && strchr(s, ':');
}

/* The same members under another label, then what the label's result type keeps of them. */
static json_t *
relabel(const json_t *result, const char *version, struct cnierr *e)
{
	cleanup_json json_t *j = json_deep_copy(result);

	json_object_set_new(j, "cniVersion", json_string(version));
	return result_check(j, version, "conversion", e);
}

static json_t *
from_old(const json_t *result, const char *version, struct cnierr *e)
{
	static const char *const families[] = { "ip4", "ip6" };
	cleanup_json json_t *j = json_object();
	json_t *ips = json_array(), *routes = json_array();

	json_object_set_new(j, "cniVersion", json_string(version));
	json_object_set_new(j, "ips", ips);
	json_object_set_new(j, "routes", routes);
	json_object_set(j, "dns", json_object_get(result, "dns"));
	for (size_t i = 0; i < 2; i++) {
		json_t *old = json_object_get(result, families[i]), *ip;

		if (!old)
			continue;
		ip = json_object();
		json_object_set(ip, "address", json_object_get(old, "ip"));
		json_object_set(ip, "gateway", json_object_get(old, "gateway"));
		json_array_append_new(ips, ip);
		json_array_extend(routes, json_object_get(old, "routes"));
	}
	return result_check(j, version, "conversion", e);
}

static json_t *
to_old(const json_t *result, const char *version, struct cnierr *e)
{
	cleanup_json json_t *j = json_object();
	json_t *item, *old[2] = { NULL, NULL };
	size_t i;

	json_object_set_new(j, "cniVersion", json_string(version));
	json_object_set(j, "dns", json_object_get(result, "dns"));
	json_array_foreach(json_object_get(result, "ips"), i, item) {
		bool six = is_ipv6(item, "address");

		if (old[six])
			continue;
		old[six] = json_object();
		json_object_set(old[six], "ip", json_object_get(item, "address"));
		json_object_set(old[six], "gateway", json_object_get(item, "gateway"));
		json_object_set_new(old[six], "routes", json_array());
		json_object_set_new(j, six ? "ip6" : "ip4", old[six]);
	}
	if (!old[0] && !old[1]) {
		cnierr_set(e, CNI_ERR_INTERNAL,
			   "cannot convert: no valid IP addresses for a result of version %s",
			   version);
		return NULL;
	}
	json_array_foreach(json_object_get(result, "routes"), i, item)
		json_array_append(json_object_get(old[is_ipv6(item, "dst")], "routes"), item);
	return result_check(j, version, "conversion", e);
}

json_t *
result_convert(const json_t *result, const char *version, struct cnierr *e)
{
	const char *from = json_string_value(json_object_get(result, "cniVersion"));

	from = from && *from ? from : "0.1.0";
	version = *version ? version : "0.1.0";
	if (!result_version_supported(version) || !result_version_supported(from)) {
		cnierr_set(e, CNI_ERR_VERSION, "no converter for CNI result version %s to %s", from,
			   version);
		return NULL;
	}
	if (result_family(from) == 0 && result_family(version) > 0)
		return from_old(result, version, e);
	if (result_family(from) > 0 && result_family(version) == 0)
		return to_old(result, version, e);
	return relabel(result, version, e);
}
