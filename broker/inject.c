/* Selections into delegates. What cannot be honoured is refused: a network with less than the
 * pod asked for is the wrong network.
 * Runs in: worker.  Trusts: nothing; the checks of netsel.c and chain.c have been made. */
#include "broker/inject.h"

#include <stdio.h>
#include <string.h>

#include "broker/chain.h"
#include "broker/json.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

#define bad(e, ...) cnierr_set(e, CNI_ERR_CONFIG, __VA_ARGS__)

/* The object obj[key], made when it is absent or null. */
static json_t *
force_object(json_t *obj, const char *key)
{
	json_t *v = json_object_get(obj, key);

	if (!json_is_object(v)) {
		v = json_object();
		json_object_set_new(obj, key, v);
	}
	return v;
}

/* Every plugin of the network gets the arguments; the selection's win over the configuration's own.
 */
static int
inject_cni_args(struct delegate *d, const json_t *args, struct cnierr *e)
{
	json_t *plugin;
	size_t i;

	json_array_foreach(d->plugins, i, plugin)
	{
		cleanup_json json_t *copy = json_deep_copy(args);
		json_t *cni = force_object(force_object(plugin, "args"), "cni");

		if (!copy || !cni || json_object_update(cni, copy))
			return cnierr_set(e, CNI_ERR_INTERNAL, "network %s: out of memory",
					  d->display);
	}
	return 0;
}

/* IP= of CNI_ARGS. */
static int
join_ips(struct delegate *d, const json_t *ips, struct cnierr *e)
{
	size_t i, len = 0;
	json_t *v;

	json_array_foreach(ips, i, v)
	{
		len += (size_t)snprintf(d->ips + len, sizeof(d->ips) - len, "%s%s", i ? "," : "",
					json_string_value(v));
		if (len >= sizeof(d->ips))
			return bad(e, "network %s: \"ips\" are more than fit into %zu bytes",
				   d->display, sizeof(d->ips) - 1);
	}
	return 0;
}

/* One capability argument of a selection: member is its name there, key the capability. Without a
 * plugin that declares it, it is an error, unless the value also goes into CNI_ARGS. */
static int
add_runtime(struct delegate *d, const char *member, const char *key, json_t *take_value,
	    bool in_args, struct cnierr *e)
{
	cleanup_json json_t *value = take_value;

	if (!value)
		return 0;
	if (!in_args && d->master)
		return bad(e,
			   "network %s: \"%s\" cannot be asked of the default network: its "
			   "capability arguments come "
			   "from the runtime",
			   d->display, member);
	if (!in_args && !chain_declares(d, key))
		return bad(e,
			   "network %s: the pod asks for \"%s\", but no plugin of the network has "
			   "the capability \"%s\"",
			   d->display, member, key);
	if (d->master)
		return 0;
	if (!d->runtime)
		d->runtime = json_object();
	return json_object_set(d->runtime, key, value)
		   ? cnierr_set(e, CNI_ERR_INTERNAL, "network %s: out of memory", d->display)
		   : 0;
}

/* The pod's own choice. A device that it was given wins: then this is not asked for. */
static int
add_own_device(struct delegate *d, const char *device, bool own_device, struct cnierr *e)
{
	if (!device[0])
		return 0;
	if (!own_device)
		return bad(e,
			   "network %s: \"deviceID\" in the annotation is not allowed by the "
			   "node's configuration",
			   d->display);
	if (d->resource[0])
		return 0;
	util_copy(d->device, sizeof(d->device), device);
	return add_runtime(d, "deviceID", "deviceID", json_string(device), false, e);
}

int
inject_selection(struct delegate *d, const struct netsel *sel, bool own_device, struct cnierr *e)
{
	util_copy(d->ifname, sizeof(d->ifname), sel->ifname);
	util_copy(d->mac, sizeof(d->mac), sel->mac);
	if (add_own_device(d, sel->device_id, own_device, e) || join_ips(d, sel->ips, e) ||
	    add_runtime(d, "portMappings", "portMappings", json_incref(sel->port_mappings), false,
			e) ||
	    add_runtime(d, "bandwidth", "bandwidth", json_incref(sel->bandwidth), false, e) ||
	    add_runtime(d, "infiniband-guid", "infinibandGUID",
			sel->guid[0] ? json_string(sel->guid) : NULL, false, e) ||
	    add_runtime(d, "ips", "ips", json_incref(sel->ips), true, e) ||
	    add_runtime(d, "mac", "mac", sel->mac[0] ? json_string(sel->mac) : NULL, true, e))
		return -1;
	d->default_route = json_incref(sel->default_route);
	return sel->cni_args ? inject_cni_args(d, sel->cni_args, e) : 0;
}

int
inject_device(struct delegate *d, const char *device, struct cnierr *e)
{
	json_t *plugin;
	size_t i;

	util_copy(d->device, sizeof(d->device), device);
	json_array_foreach(d->plugins, i, plugin)
	{
		json_set_key(plugin, "deviceID", json_string(device));
		json_set_key(plugin, "pciBusID", json_string(device));
	}
	/* The master's capability arguments are the runtime's. */
	if (d->master)
		return 0;
	if (!d->runtime)
		d->runtime = json_object();
	return json_object_set_new(d->runtime, "deviceID", json_string(device))
		   ? cnierr_set(e, CNI_ERR_INTERNAL, "network %s: out of memory", d->display)
		   : 0;
}

/* A port of the host, an address or a device is there once. */
static bool
is_single(const char *key)
{
	static const char *const keys[] = {"portMappings", "ips", "mac", "infinibandGUID", "deviceID", "CNIDeviceInfoFile"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

int
inject_runtime(struct delegate *d, const json_t *runtime, struct cnierr *e)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)runtime, key, value) {
		if (!d->master &&
		    (is_single(key) || !chain_declares(d, key) || json_object_get(d->runtime, key)))
			continue;
		if (!d->runtime)
			d->runtime = json_object();
		if (json_object_set(d->runtime, key, value))
			return cnierr_set(e, CNI_ERR_INTERNAL, "network %s: out of memory", d->display);
	}
	return 0;
}
