/* Network configurations. What a plugin will read is brought to one spelling here, so that
 * what is checked is what it reads: Go matches keys whatever their case and takes the last
 * one.
 * Runs in: worker.  Trusts: nothing; NADs are written by tenants. */
#include "broker/chain.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "broker/json.h"
#include "broker/result.h"
#include "netpriv/check.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

#define bad(e, ...) cnierr_set(e, CNI_ERR_CONFIG, __VA_ARGS__)

/* Renames obj's spelling of key to key itself; two spellings are an error. */
static int
unify_key(json_t *obj, const char *key, const char *what, struct cnierr *e)
{
	const char *k, *found = NULL;
	json_t *v, *value = NULL;

	json_object_foreach(obj, k, v)
	{
		if (!json_same_key(k, key))
			continue;
		if (found)
			return bad(e, "%s: \"%s\" is there twice, in two spellings", what, key);
		found = k;
		value = v;
	}
	if (!found || strcmp(found, key) == 0)
		return 0;
	json_object_set(obj, key, value);
	json_object_del(obj, found);
	return 0;
}

static int
unify_keys(json_t *plugin, const char *what, struct cnierr *e)
{
	static const char *const keys[] = {"name",
					   "cniVersion",
					   "type",
					   "capabilities",
					   "ipam",
					   "dns",
					   "args",
					   "cni.dev/valid-attachments",
					   "cni.dev/attachments",
					   "runtimeConfig",
					   "prevResult"};
	json_t *ipam, *args;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (unify_key(plugin, keys[i], what, e))
			return -1;
	ipam = json_object_get(plugin, "ipam");
	args = json_object_get(plugin, "args");
	if (json_is_object(ipam) && unify_key(ipam, "type", what, e))
		return -1;
	return json_is_object(args) ? unify_key(args, "cni", what, e) : 0;
}

static int
check_capabilities(const json_t *plugin, const char *what, struct cnierr *e)
{
	json_t *map = NULL, *v;
	const char *key;

	if (json_member_object(plugin, "capabilities", what, &map, e))
		return -1;
	json_object_foreach(map, key, v) if (!json_is_boolean(v)) return bad(
	    e, "%s: capability \"%.64s\" must be true or false", what, key);
	return 0;
}

/* A plugin's or IPAM plugin's "type", which becomes a file name. */
static int
check_type(const json_t *obj, bool required, const char *what, struct cnierr *e)
{
	const char *type = "";

	if (json_member_string(obj, "type", what, &type, e))
		return -1;
	if (!*type)
		return required ? bad(e, "%s: missing \"type\": name the plugin", what) : 0;
	if (!check_plugin(type))
		return bad(e,
			   "%s: \"type\": \"%.64s\" is not a plugin's name (lower case letters, "
			   "digits, . _ -)",
			   what, type);
	return 0;
}

int
chain_append(struct delegate *d, const json_t *plugin, const char *what, struct cnierr *e)
{
	cleanup_json json_t *copy = NULL;
	json_t *ipam = NULL, *args = NULL, *cni = NULL, *dns = NULL;
	const char *text;
	char where[512];

	if (!json_is_object(plugin))
		return bad(e, "%s must be an object", what);
	if (json_array_size(d->plugins) == DELEGATE_CHAIN)
		return bad(e, "%s: more than %d plugins in one network", what, DELEGATE_CHAIN);
	copy = json_deep_copy(plugin);
	if (!copy)
		return cnierr_set(e, CNI_ERR_INTERNAL, "%s: out of memory", what);
	if (unify_keys(copy, what, e) || check_type(copy, true, what, e) ||
	    check_capabilities(copy, what, e) || json_member_string(copy, "name", what, &text, e) ||
	    json_member_string(copy, "cniVersion", what, &text, e) ||
	    json_member_object(copy, "ipam", what, &ipam, e) ||
	    json_member_object(copy, "dns", what, &dns, e) ||
	    json_member_object(copy, "args", what, &args, e))
		return -1;
	snprintf(where, sizeof(where), "%.480s, ipam", what);
	if (ipam && check_type(ipam, false, where, e))
		return -1;
	snprintf(where, sizeof(where), "%.480s, args", what);
	if (args && json_member_object(args, "cni", where, &cni, e))
		return -1;
	return json_array_append(d->plugins, copy)
		   ? cnierr_set(e, CNI_ERR_INTERNAL, "%s: out of memory", what)
		   : 0;
}

int
chain_flag(const json_t *config, const char *key, const char *what, bool *out, struct cnierr *e)
{
	const json_t *v = json_member(config, key);
	const char *s = json_string_value(v);

	if (!v)
		return 0;
	if (json_is_true(v) || (s && strcasecmp(s, "true") == 0))
		*out = true;
	else if (json_is_false(v) || (s && strcasecmp(s, "false") == 0))
		*out = false;
	else
		return bad(e, "%s: \"%s\" must be true or false", what, key);
	return 0;
}

/* The highest supported version of "cniVersion" and "cniVersions"; "" when there is neither. */
static int
load_version(const json_t *config, const char *what, struct delegate *d, struct cnierr *e)
{
	const char *version = "", *best = NULL, *s;
	json_t *more = NULL, *v;
	size_t i;

	if (json_member_string(config, "cniVersion", what, &version, e) ||
	    json_member_array(config, "cniVersions", what, &more, e))
		return -1;
	if (*version && result_version_supported(version))
		best = version;
	json_array_foreach(more, i, v)
	{
		s = json_string_value(v);
		if (!s)
			return bad(e, "%s: \"cniVersions\": item %zu must be a string", what,
				   i + 1);
		if (result_version_supported(s) && (!best || result_version_cmp(s, best) > 0))
			best = s;
	}
	if (!best && (*version || json_array_size(more)))
		return cnierr_set(e, CNI_ERR_VERSION, "%s: cniVersion \"%.32s\" is not supported",
				  what, version);
	return util_copy(d->version, sizeof(d->version), best ? best : "");
}

void
chain_force_version(json_t *config, const char *version)
{
	json_object_set_new(config, "cniVersion", json_string(version));
	json_object_del(config, "cniVersions");
}

static int
load_name(const json_t *config, const char *what, struct delegate *d, struct cnierr *e)
{
	const char *name = "";

	if (json_member_string(config, "name", what, &name, e))
		return -1;
	if (!*name)
		return bad(e, "%s: missing \"name\": give the network a name", what);
	if (!check_network_name(name))
		return bad(e,
			   "%s: \"name\": \"%.64s\" is not a network's name (letters, digits, . _ "
			   "-, at most 200)",
			   what, name);
	util_copy(d->display, sizeof(d->display), name);
	return util_copy(d->net, sizeof(d->net), name);
}

static int
load_plugins(const json_t *config, enum chain_form form, const char *what, struct delegate *d,
	     struct cnierr *e)
{
	json_t *list = NULL, *v;
	char where[512];
	size_t i;

	if (json_member_array(config, "plugins", what, &list, e))
		return -1;
	if (!list && form != CHAIN_LIST)
		return bad(e, "%s: needs \"type\" (one plugin) or \"plugins\" (a list)", what);
	if (list && json_array_size(list) == 0)
		return bad(e, "%s: \"plugins\" is empty", what);
	json_array_foreach(list, i, v)
	{
		snprintf(where, sizeof(where), "%.470s, plugins[%zu]", what, i);
		if (chain_append(d, v, where, e))
			return -1;
	}
	return 0;
}

int
chain_load(const json_t *config, enum chain_form form, const char *what, struct delegate *d,
	   struct cnierr *e)
{
	const char *type = "";

	if (!json_is_object(config))
		return bad(e, "%s: must be a JSON object", what);
	if (load_name(config, what, d, e) || load_version(config, what, d, e) ||
	    chain_flag(config, "disableCheck", what, &d->disable_check, e) ||
	    chain_flag(config, "disableGC", what, &d->disable_gc, e))
		return -1;
	if (form != CHAIN_LIST && json_member_string(config, "type", what, &type, e))
		return -1;
	d->plugins = json_array();
	d->list = form == CHAIN_LIST || (form == CHAIN_ANY && !*type);
	if (d->list)
		return load_plugins(config, form, what, d, e);
	if (!*type)
		return bad(e,
			   "%s: missing \"type\"; a list of plugins belongs in a *.conflist file",
			   what);
	return chain_append(d, config, what, e);
}

bool
chain_declares(const struct delegate *d, const char *capability)
{
	json_t *plugin;
	size_t i;

	json_array_foreach(d->plugins, i, plugin) if (json_is_true(json_object_get(
							  json_object_get(plugin, "capabilities"),
							  capability))) return true;
	return false;
}
