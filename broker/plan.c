/* The journal's blob: written once before the first delegate runs, once with the results. Whatever DEL and CHECK need is in it,
 * so that they ask nobody and replay what ADD did.
 * Runs in: worker.  Trusts: nothing; what it reads back is checked as if somebody else had written it. */
#include "broker/plan.h"

#include <stdlib.h>
#include <string.h>

#include "broker/json.h"
#include "broker/result.h"
#include "netpriv/check.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

#define WHAT "journal entry"

static void
put_string(json_t *object, const char *key, const char *value)
{
	if (*value)
		json_object_set_new(object, key, json_string(value));
}

static void
put_bool(json_t *object, const char *key, bool value)
{
	if (value)
		json_object_set_new(object, key, json_true());
}

static void
put_json(json_t *object, const char *key, json_t *value)
{
	if (value)
		json_object_set(object, key, value);
}

static json_t *
make_target(const struct wire_target *t)
{
	json_t *j = json_object();

	put_string(j, "containerID", t->container_id);
	put_string(j, "ifname", t->ifname);
	put_string(j, "netns", t->netns);
	put_string(j, "podNamespace", t->pod_ns);
	put_string(j, "podName", t->pod_name);
	put_string(j, "podUID", t->pod_uid);
	put_string(j, "infraID", t->infra_id);
	return j;
}

json_t *
plan_network(const struct delegate *d)
{
	json_t *j = json_object();

	put_string(j, "display", d->display);
	put_string(j, "name", d->net);
	put_string(j, "cniVersion", d->version);
	put_string(j, "ifname", d->ifname);
	put_string(j, "mac", d->mac);
	put_string(j, "ips", d->ips);
	put_bool(j, "list", d->list);
	put_bool(j, "disableCheck", d->disable_check);
	put_bool(j, "disableGC", d->disable_gc);
	put_json(j, "plugins", d->plugins);
	put_json(j, "runtime", d->runtime);
	put_json(j, "defaultRoute", d->default_route);
	put_json(j, "result", d->result);
	put_string(j, "resource", d->resource);
	put_string(j, "device", d->device);
	put_json(j, "deviceInfo", d->device_info);
	return j;
}

char *
plan_text(const struct delegate_list *l, const struct wire_target *target)
{
	cleanup_json json_t *j = json_object();
	json_t *networks = json_array();

	json_object_set_new(j, "format", json_integer(PLAN_FORMAT));
	json_object_set_new(j, "target", make_target(target));
	json_object_set_new(j, "networks", networks);
	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(networks, plan_network(&l->e[i]));
	return json_text(j, false);
}

static int
get_string(const json_t *j, const char *key, char *field, size_t size, struct cnierr *e)
{
	const char *s = "";

	if (json_member_string(j, key, WHAT, &s, e))
		return -1;
	if (util_copy(field, size, s))
		return cnierr_set(e, CNI_ERR_DECODE, "%s: \"%s\" is longer than %zu bytes", WHAT,
				  key, size - 1);
	return 0;
}

static int
check_plugins(const json_t *plugins, struct cnierr *e)
{
	json_t *plugin;
	size_t i;

	if (json_array_size(plugins) < 1 || json_array_size(plugins) > DELEGATE_CHAIN)
		return cnierr_set(e, CNI_ERR_DECODE, "%s: a network must have 1 to %d plugins",
				  WHAT, DELEGATE_CHAIN);
	json_array_foreach((json_t *)(uintptr_t)plugins, i, plugin) {
		const char *type =
		    json_is_object(plugin) ? json_string_value(json_member(plugin, "type")) : NULL;

		if (!type || !check_plugin(type))
			return cnierr_set(e, CNI_ERR_DECODE, "%s: a plugin lacks a valid \"type\"",
					  WHAT);
	}
	return 0;
}

static int
check_fields(const struct delegate *d, struct cnierr *e)
{
	json_t *gateway;
	size_t i;

	if (!check_network_name(d->net))
		return cnierr_set(e, CNI_ERR_DECODE, "%s: invalid network name \"%s\"", WHAT,
				  d->net);
	if (!check_ifname(d->ifname))
		return cnierr_set(e, CNI_ERR_DECODE, "%s: invalid interface name \"%s\"", WHAT,
				  d->ifname);
	if (d->version[0] && !result_version_supported(d->version))
		return cnierr_set(e, CNI_ERR_DECODE, "%s: unsupported cniVersion \"%s\"", WHAT,
				  d->version);
	if (!check_mac(d->mac) || !check_ip_list(d->ips))
		return cnierr_set(e, CNI_ERR_DECODE,
				  "%s: invalid MAC or IP request of network \"%s\"", WHAT, d->net);
	json_array_foreach(d->default_route, i, gateway)
		if (!json_is_string(gateway))
			return cnierr_set(e, CNI_ERR_DECODE,
					  "%s: \"defaultRoute\" must hold strings", WHAT);
	return check_plugins(d->plugins, e);
}

int
plan_read_network(const json_t *j, struct delegate *d, struct cnierr *e)
{
	json_t *plugins = NULL, *runtime = NULL, *route = NULL, *result = NULL, *info = NULL;

	if (!json_is_object(j))
		return cnierr_set(e, CNI_ERR_DECODE, "%s: a network must be an object", WHAT);
	if (get_string(j, "display", d->display, sizeof(d->display), e) ||
	    get_string(j, "name", d->net, sizeof(d->net), e) ||
	    get_string(j, "cniVersion", d->version, sizeof(d->version), e) ||
	    get_string(j, "ifname", d->ifname, sizeof(d->ifname), e) ||
	    get_string(j, "mac", d->mac, sizeof(d->mac), e) ||
	    get_string(j, "ips", d->ips, sizeof(d->ips), e) ||
	    json_member_bool(j, "list", WHAT, &d->list, e) ||
	    json_member_bool(j, "disableCheck", WHAT, &d->disable_check, e) ||
	    json_member_bool(j, "disableGC", WHAT, &d->disable_gc, e) ||
	    json_member_array(j, "plugins", WHAT, &plugins, e) ||
	    json_member_object(j, "runtime", WHAT, &runtime, e) ||
	    json_member_array(j, "defaultRoute", WHAT, &route, e) ||
	    json_member_object(j, "result", WHAT, &result, e) ||
	    get_string(j, "resource", d->resource, sizeof(d->resource), e) ||
	    get_string(j, "device", d->device, sizeof(d->device), e) ||
	    json_member_object(j, "deviceInfo", WHAT, &info, e))
		return -1;
	d->plugins = json_incref(plugins);
	d->runtime = json_incref(runtime);
	d->default_route = json_incref(route);
	d->device_info = json_incref(info);
	if (check_fields(d, e))
		return -1;
	if (result)
		d->result = result_check(result, d->version, WHAT, e);
	return e->code ? -1 : 0;
}

static int
read_networks(const json_t *networks, struct delegate_list *l, struct cnierr *e)
{
	size_t n = json_array_size(networks);

	if (n < 1 || n > DELEGATE_MAX)
		return cnierr_set(e, CNI_ERR_DECODE, "%s: it must have 1 to %d networks", WHAT,
				  DELEGATE_MAX);
	for (size_t i = 0; i < n; i++) {
		struct delegate *d = &l->e[l->n++];

		if (plan_read_network(json_array_get(networks, i), d, e))
			return -1;
		d->master = i == 0;
		for (size_t k = 0; k < i; k++)
			if (strcmp(l->e[k].ifname, d->ifname) == 0)
				return cnierr_set(e, CNI_ERR_DECODE,
						  "%s: interface \"%s\" comes twice", WHAT,
						  d->ifname);
	}
	return 0;
}

int
plan_read(const char *text, size_t len, struct delegate_list *l, struct cnierr *e)
{
	cleanup_json json_t *j = json_read(text, len, WHAT, e);
	const json_t *format = json_object_get(j, "format");

	memset(l, 0, sizeof(*l));
	if (!j)
		return -1;
	if (!json_is_integer(format) || json_integer_value(format) != PLAN_FORMAT)
		return cnierr_set(e, CNI_ERR_DECODE,
				  "%s: not of format %d, which this version reads", WHAT,
				  PLAN_FORMAT);
	if (read_networks(json_object_get(j, "networks"), l, e)) {
		delegate_list_clear(l);
		return -1;
	}
	return 0;
}

char *
plan_make(const struct delegate_list *l, const struct wire_target *target, struct cnierr *e)
{
	char *text = plan_text(l, target);
	struct delegate_list back = { 0 };

	if (!text) {
		cnierr_set(e, CNI_ERR_INTERNAL, "out of memory for the journal entry");
	} else if (plan_read(text, strlen(text), &back, e)) {
		cnierr_prefix(e, "these networks cannot be journalled");
		free(text);
		text = NULL;
	}
	delegate_list_clear(&back);
	return text;
}
