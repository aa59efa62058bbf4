/* The primary CNI configuration.
 * Runs in: worker; autoconf's children; reader.  Trusts: nothing of what the file holds. */
#include "broker/primary.h"

#include <stdio.h>
#include <string.h>

#include "broker/chain.h"
#include "broker/json.h"
#include "broker/result.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

#define NAME "multus-cni-network"
#define TYPE "postern-shim"
#define bad(e, ...) cnierr_set(e, CNI_ERR_CONFIG, __VA_ARGS__)

const char *const primary_keys[] = { "binDir", "capabilities", "cniVersion", "logFile", "logLevel", "logToStderr", "logOptions",
				     "name", "clusterNetwork", "namespaceIsolation", "globalNamespaces", "type", "cniDir",
				     "auxiliaryCNIChainName", "daemonSocketDir", "overrideNetworkName", NULL };

bool
primary_reserved(const struct conf *c, const char *file)
{
	return strncmp(file, "00-multus", 9) == 0 || strncmp(file, "00-postern", 10) == 0 || strcmp(file, c->autoconf_file) == 0;
}

bool
primary_eligible(const struct conf *c, const char *file)
{
	const char *dot = strrchr(file, '.');

	return dot && file[0] != '.' && (strcmp(dot, ".conf") == 0 || strcmp(dot, ".conflist") == 0) && !primary_reserved(c, file);
}

/* From 0.4.0 on what the runtime asks for must be there below as well: CHECK. */
static int
check_version(const struct conf *c, const struct delegate *d, const char *what, struct cnierr *e)
{
	if (result_version_cmp(c->cni_version, "0.4.0") < 0)
		return 0;
	if (!d->version[0])
		return bad(e, "%s: couldn't get cni version of delegate: \"cniVersion\" is missing", what);
	if (result_version_cmp(d->version, "0.4.0") < 0)
		return bad(e, "%s: delegate cni version is %s while top level cni version is %s", what, d->version,
			   c->cni_version);
	return 0;
}

static void
add_true(json_t *to, const json_t *from)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)from, name, v)
		if (json_is_true(v))
			json_object_set(to, name, v);
}

/* What a plugin of the primary or the node's configuration declares, sorted; NULL when there is nothing. */
static json_t *
merge_capabilities(const json_t *base, const struct delegate *d)
{
	cleanup_json json_t *all = json_object();
	cleanup_free char *text = NULL;
	json_t *plugin;
	size_t i;

	add_true(all, json_object_get(base, "capabilities"));
	json_array_foreach(d->plugins, i, plugin)
		add_true(all, json_object_get(plugin, "capabilities"));
	text = json_object_size(all) ? json_text(all, true) : NULL;
	return text ? json_loads(text, 0, NULL) : NULL;
}

/* One of primary_keys; NULL: the base decides. */
static json_t *
make_value(const struct conf *c, const char *key, const json_t *base, const char *file, const struct delegate *d)
{
	char path[CONF_PATH + 256];

	if (strcmp(key, "capabilities") == 0)
		return merge_capabilities(base, d);
	if (strcmp(key, "name") == 0)
		return json_string(c->autoconf_name ? d->net : NAME);
	if (json_object_get(base, key))
		return json_incref(json_object_get(base, key));
	if (strcmp(key, "type") == 0)
		return json_string(TYPE);
	if (strcmp(key, "clusterNetwork") != 0)
		return NULL;
	snprintf(path, sizeof(path), "%s/%s", c->autoconf_dir, file);
	return json_string(path);
}

static int
make_text(const struct conf *c, const char *file, const struct delegate *d, char **out, struct cnierr *e)
{
	cleanup_json json_t *base = json_read(c->autoconf_base, strlen(c->autoconf_base), "autoconf_base", e);
	cleanup_json json_t *made = json_object();

	if (!base)
		return -1;
	for (size_t i = 0; primary_keys[i]; i++) {
		json_t *v = make_value(c, primary_keys[i], base, file, d);

		if (v)
			json_object_set_new(made, primary_keys[i], v);
	}
	*out = json_text(made, false);
	return *out ? 0 : cnierr_set(e, CNI_ERR_INTERNAL, "%s: out of memory", file);
}

int
primary_generate(const struct conf *c, const char *file, const char *text, size_t len, char **out, struct cnierr *e)
{
	cleanup_json json_t *config = NULL;
	const char *dot = strrchr(file, '.');
	struct delegate d = { 0 };
	char what[CONF_PATH + 256];
	int r;

	*out = NULL;
	snprintf(what, sizeof(what), "%s/%s", c->autoconf_dir, file);
	config = json_read(text, len, what, e);
	if (!config)
		return -1;
	if (c->force_version)
		chain_force_version(config, c->cni_version);
	r = chain_load(config, dot && strcmp(dot, ".conflist") == 0 ? CHAIN_LIST : CHAIN_SINGLE, what, &d, e);
	if (r == 0 && c->autoconf_base[0])
		r = check_version(c, &d, what, e) ?: make_text(c, file, &d, out, e);
	json_decref(d.plugins);
	return r;
}
