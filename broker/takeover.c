/* Multus' scratch file, a JSON array with one object a network, and libcni's result cache beside it. Of the first there are three
 * generations: the configuration as bytes ("Bytes"); for a list that came from a file also as a parsed list, in whose time "Bytes" was
 * not all of it; and as bytes again. The cache has what the scratch file lacks: results, and the capability arguments of ADD.
 * Runs in: worker.  Trusts: nothing; a name out of here becomes part of a path only where netpriv has checked it. */
#include "broker/takeover.h"

#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/chain.h"
#include "broker/inject.h"
#include "broker/json.h"
#include "broker/priv.h"
#include "broker/result.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

#define WHITE " \t\r\n"

struct takeover {
	const struct wire_target *target;
	const struct netconf *nc;
	struct delegate_list *l;
	char file[CONF_PATH + WIRE_ID]; /* the scratch file, for messages */
};

/* JSON in base64 in a JSON string. */
static json_t *
decode(const json_t *text, const char *what, struct cnierr *e)
{
	size_t size = json_string_length(text) + 1;
	cleanup_free unsigned char *bytes = malloc(size);
	int n = bytes && json_is_string(text) ? b64_pton(json_string_value(text), bytes, size) : -1;

	if (n >= 0)
		return json_read((const char *)bytes, (size_t)n, what, e);
	cnierr_set(e, CNI_ERR_DECODE, "%s: no configuration in base64 is there", what);
	return NULL;
}

/* The parsed list as a configuration. */
static json_t *
join_list(const json_t *list, const char *what, struct cnierr *e)
{
	static const char *const keys[][2] = { { "Name", "name" },
					       { "CNIVersion", "cniVersion" },
					       { "DisableCheck", "disableCheck" },
					       { "DisableGC", "disableGC" } };
	cleanup_json json_t *config = json_object();
	json_t *plugins = json_array(), *plugin;
	size_t i;

	json_object_set_new(config, "plugins", plugins);
	for (i = 0; i < ARRAY_LEN(keys); i++)
		json_object_set(config, keys[i][1], json_member(list, keys[i][0]));
	json_array_foreach(json_member(list, "Plugins"), i, plugin)
		if (json_array_append_new(plugins, decode(json_member(plugin, "Bytes"), what, e)))
			return NULL;
	return json_incref(config);
}

static int
load_config(const struct takeover *t, const json_t *entry, const char *what, struct delegate *d, struct cnierr *e)
{
	const json_t *parsed = json_member(entry, "CNINetworkConfigList");
	bool rejoin = json_array_size(json_member(parsed, "Plugins")) > 0;
	bool list = rejoin || json_array_size(json_member(json_member(entry, "ConfList"), "plugins")) > 0;
	cleanup_json json_t *config = rejoin ? join_list(parsed, what, e) : decode(json_member(entry, "Bytes"), what, e);

	if (!config || chain_load(config, list ? CHAIN_LIST : CHAIN_SINGLE, what, d, e))
		return -1;
	if (json_array_size(d->plugins) == 0)
		return cnierr_set(e, CNI_ERR_DECODE, "%s: no plugin is there", what);
	return d->list && !d->version[0] ? util_copy(d->version, sizeof(d->version), t->nc->version) : 0;
}

/* What the pod had asked of the network. */
static int
load_requests(const struct takeover *t, const json_t *entry, size_t index, const char *what, struct delegate *d, struct cnierr *e)
{
	const char *name = "", *ifname = "", *mac = "";
	char numbered[16];
	json_t *ips = NULL, *ip;
	size_t i, len = 0;

	if (json_member_string(entry, "Name", what, &name, e) || json_member_string(entry, "ifnameRequest", what, &ifname, e) ||
	    json_member_string(entry, "macRequest", what, &mac, e) || json_member_array(entry, "ipRequest", what, &ips, e))
		return -1;
	snprintf(numbered, sizeof(numbered), "net%u", (unsigned)index % 1000);
	if (!*ifname)
		ifname = index == 0 ? t->target->ifname : numbered;
	if (*name && strlen(name) < sizeof(d->display))
		util_copy(d->display, sizeof(d->display), name);
	json_array_foreach(ips, i, ip)
		if (len < sizeof(d->ips))
			len += (size_t)snprintf(d->ips + len, sizeof(d->ips) - len, "%s%s", i ? "," : "",
						json_is_string(ip) ? json_string_value(ip) : "?");
	if (util_copy(d->mac, sizeof(d->mac), mac) || len >= sizeof(d->ips) || !check_mac(d->mac) || !check_ip_list(d->ips))
		return cnierr_set(e, CNI_ERR_DECODE, "%s: its requests for a MAC or IP address cannot be", what);
	if (!check_ifname(ifname) || util_copy(d->ifname, sizeof(d->ifname), ifname))
		return cnierr_set(e, CNI_ERR_DECODE, "%s: \"%s\" is not an interface name", what, ifname);
	for (i = 0; i + 1 < t->l->n; i++)
		if (strcmp(t->l->e[i].ifname, ifname) == 0)
			return cnierr_set(e, CNI_ERR_DECODE, "%s: interface \"%s\" comes twice", what, ifname);
	return 0;
}

/* The capability arguments as far as the scratch file knows them: an attachment whose result was not kept. */
static int
load_runtime(const struct takeover *t, const json_t *entry, size_t index, struct delegate *d, struct cnierr *e)
{
	static const char *const keys[][2] = { { "ipRequest", "ips" },
					       { "macRequest", "mac" },
					       { "infinibandGUIDRequest", "infinibandGUID" },
					       { "deviceID", "deviceID" } };

	if (index == 0)
		return inject_runtime(d, t->nc->runtime, e);
	d->runtime = json_object();
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		json_object_set(d->runtime, keys[i][1], json_member(entry, keys[i][0]));
	return 0;
}

static bool
has_text(const json_t *j, const char *key, const char *text)
{
	const char *s = json_string_value(json_member(j, key));

	return s && strcmp(s, text) == 0;
}

/* What libcni kept of the network's ADD. DEL and CHECK can do without. */
static void
load_result(const struct takeover *t, struct delegate *d)
{
	cleanup_free char *text = NULL;
	cleanup_json json_t *j = NULL, *result = NULL;
	json_t *runtime = NULL;
	struct cnierr e = { 0 };
	char what[640];
	size_t len;
	int there = priv_cache_get(d->net, d->ifname, &text, &len, &e);

	snprintf(what, sizeof(what), "cached result of network \"%s\", interface \"%s\"", d->net, d->ifname);
	if (there == 0)
		cnierr_set(&e, CNI_ERR_IO, "%s: not there", what);
	else if (there > 0)
		j = json_read(text, len, what, &e);
	if (j && (!has_text(j, "kind", "cniCacheV1") || !has_text(j, "containerId", t->target->container_id) ||
		  !has_text(j, "ifName", d->ifname) || !has_text(j, "networkName", d->net)))
		cnierr_set(&e, CNI_ERR_DECODE, "%s: is not that", what);
	if (e.code == 0 && json_member_object(j, "capabilityArgs", what, &runtime, &e) == 0) {
		json_decref(d->runtime);
		d->runtime = json_incref(runtime);
		result = result_check(json_member(j, "result"), d->version, what, &e);
		d->result = result ? result_convert(result, d->version[0] ? d->version : "0.1.0", &e) : NULL;
	}
	if (e.code)
		log_warn("container %s: %s; going on without", t->target->container_id, e.msg);
}

static void
load_entry(struct takeover *t, const json_t *entry, size_t index, struct cnierr *first)
{
	struct delegate *d = &t->l->e[t->l->n];
	struct cnierr e = { 0 };
	char what[512];

	snprintf(what, sizeof(what), "%s, network %zu", t->file, index + 1);
	if (t->l->n == DELEGATE_MAX) {
		cnierr_set(&e, CNI_ERR_CONFIG, "%s: more than %d networks", what, DELEGATE_MAX);
	} else {
		t->l->n++;
		d->master = t->l->n == 1;
		if (load_config(t, entry, what, d, &e) == 0 && load_requests(t, entry, index, what, d, &e) == 0 &&
		    load_runtime(t, entry, index, d, &e) == 0) {
			load_result(t, d);
			return;
		}
		delegate_list_pop(t->l);
	}
	if (first->code == 0)
		*first = e;
	log_error("container %s: %s; what Multus set up there is not undone", t->target->container_id, e.msg);
}

/* A file whose writing was cut short: the networks in front of the cut. */
static json_t *
read_torn(const char *text, size_t len)
{
	size_t at = strspn(text, WHITE);
	json_t *all = json_array(), *one;
	json_error_t error;

	if (text[at] != '[')
		return all;
	for (at++; at < len; at += (size_t)error.position + strspn(text + at + error.position, WHITE ",")) {
		one = json_loadb(text + at, len - at, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &error);
		if (!one)
			break;
		json_array_append_new(all, one);
	}
	return all;
}

static json_t *
read_entries(const struct takeover *t, const char *text, size_t len, struct cnierr *e)
{
	cleanup_json json_t *j = json_read(text, len, t->file, e), *torn = NULL;

	if (json_array_size(j))
		return json_incref(j);
	if (j)
		cnierr_set(e, CNI_ERR_DECODE, "%s: must be an array of networks, and not empty", t->file);
	else
		torn = read_torn(text, len);
	if (json_array_size(torn) == 0)
		return NULL;
	log_error("container %s: %s; what Multus set up behind that place is not undone", t->target->container_id, e->msg);
	*e = (struct cnierr){ 0 };
	return json_incref(torn);
}

int
takeover_load(const struct conf *conf, const struct wire_target *target, const struct netconf *nc, struct delegate_list *l,
	      struct cnierr *e)
{
	struct takeover t = { .target = target, .nc = nc, .l = l };
	cleanup_free char *text = NULL;
	cleanup_json json_t *entries = NULL;
	json_t *entry;
	size_t i, len;
	int there = priv_cache_get("", "", &text, &len, e);

	if (there <= 0)
		return there;
	snprintf(t.file, sizeof(t.file), "%s/%s", conf->multus_dir, target->container_id);
	entries = read_entries(&t, text, len, e);
	json_array_foreach(entries, i, entry)
		load_entry(&t, entry, i, e);
	if (l->n == 0)
		return -1;
	*e = (struct cnierr){ 0 };
	return 1;
}
