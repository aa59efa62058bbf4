/* Where a network's configuration comes from.
 * Runs in: worker.  Trusts: nothing. Files are served by netpriv (an index at a time, never
 * by a path from here), NADs by kube. */
#include "broker/resolve.h"

#include <stdio.h>
#include <string.h>

#include "broker/chain.h"
#include "broker/json.h"
#include "broker/primary.h"
#include "netpriv/check.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

#define RESOURCE_ANNOTATION "k8s.v1.cni.cncf.io/resourceName"
#define bad(e, ...)	    cnierr_set(e, CNI_ERR_CONFIG, __VA_ARGS__)

static bool
is_list_file(const char *file)
{
	const char *dot = strrchr(file, '.');

	return dot && strcmp(dot, ".conflist") == 0;
}

/* The plugins in the sub-directory that is named like the list. */
static int
append_directory(const struct delegate_source *src, unsigned net, const json_t *config,
		 const char *what, struct delegate *d, struct cnierr *e)
{
	bool inline_only = false;
	char file[256], where[800];

	if (chain_flag(config, "loadOnlyInlinedPlugins", what, &inline_only, e))
		return -1;
	for (unsigned i = 0; !inline_only; i++) {
		cleanup_json json_t *plugin = src->conf_file(src->ctx, net, d->net, i, file, e);

		if (!plugin && e->code)
			return cnierr_prefix(e, "%s", what);
		if (!plugin)
			break;
		snprintf(where, sizeof(where), "%.300s, plugin file %.200s/%s", what, d->net, file);
		if (chain_append(d, plugin, where, e))
			return -1;
	}
	return json_array_size(d->plugins)
		   ? 0
		   : bad(e, "%s: no plugin, neither in it nor in a directory %s", what, d->net);
}

static int
load_file(const struct delegate_source *src, unsigned net, const json_t *config, const char *file,
	  struct delegate *d, struct cnierr *e)
{
	char what[320];
	bool list = is_list_file(file);

	snprintf(what, sizeof(what), "configuration file %s", file);
	if (chain_load(config, list ? CHAIN_LIST : CHAIN_SINGLE, what, d, e))
		return -1;
	return list ? append_directory(src, net, config, what, d, e) : 0;
}

/* The first file of confDir whose "name" is name. A broken file before it could be the one that was
 * meant: an error. 0 = done, 1 = there is none, -1 with e. */
static int
load_by_name(const struct delegate_source *src, const char *name, struct delegate *d,
	     struct cnierr *e)
{
	char file[256], what[320];

	for (unsigned i = 0;; i++) {
		const char *found = "";
		cleanup_json json_t *config =
		    src->conf_file(src->ctx, CONF_NET_DIR, "", i, file, e);

		if (!config)
			return e->code
				   ? cnierr_prefix(e, "looking for network %.200s in confDir", name)
				   : 1;
		snprintf(what, sizeof(what), "configuration file %s", file);
		if (!json_is_object(config))
			return bad(e, "%s: must be a JSON object", what);
		if (json_member_string(config, "name", what, &found, e))
			return -1;
		if (strcmp(found, name) == 0)
			return load_file(src, CONF_NET_DIR, config, file, d, e);
	}
}

/* Of the cluster network's file the copy that is used, not the file, gets the version that is forced. */
static int
load_node_file(const struct conf *conf, const struct delegate_source *src, unsigned net, json_t *config, const char *file,
	       struct delegate *d, struct cnierr *e)
{
	if (net == 0 && conf->force_version)
		chain_force_version(config, conf->cni_version);
	return load_file(src, net, config, file, d, e);
}

static int
load_by_path(const struct conf *conf, const struct delegate_source *src, unsigned net, const char *path, struct delegate *d,
	     struct cnierr *e)
{
	char file[256] = "";
	cleanup_json json_t *config = src->conf_file(src->ctx, net, "", 0, file, e);

	if (!config && e->code)
		return -1;
	if (!config)
		return bad(e, "%s: no configuration file there (*.conf, *.conflist, *.json)", path);
	return load_node_file(conf, src, net, config, file, d, e);
}

int
resolve_primary(const struct conf *conf, const struct delegate_source *src, const char *named, struct delegate *d,
		struct cnierr *e)
{
	for (unsigned i = 0;; i++) {
		char file[256] = "";
		cleanup_json json_t *config = src->conf_file(src->ctx, 0, "", i, file, e);

		if (!config && !e->code)
			return *named ? bad(e, "%s/%s, the primary configuration, is not there", conf->autoconf_dir, named)
				      : bad(e, "%s: no CNI configuration there (*.conf, *.conflist)", conf->autoconf_dir);
		if (!*file)
			return -1;
		if (*named ? strcmp(file, named) == 0 : primary_eligible(conf, file))
			return config ? load_node_file(conf, src, 0, config, file, d, e) : -1;
		*e = (struct cnierr){ 0 }; /* another file, whatever is wrong with it */
	}
}

static int
check_metadata(const json_t *nad, const char *ns, const char *name, const char *what,
	       struct cnierr *e)
{
	json_t *metadata = NULL;
	const char *kind = "", *is_ns = ns, *is_name = name;

	if (!json_is_object(nad))
		return bad(e, "%s: must be an object", what);
	if (json_member_string(nad, "kind", what, &kind, e) ||
	    json_member_object(nad, "metadata", what, &metadata, e) ||
	    json_member_string(metadata, "name", what, &is_name, e) ||
	    json_member_string(metadata, "namespace", what, &is_ns, e))
		return -1;
	if (strcmp(kind, "NetworkAttachmentDefinition"))
		return bad(e, "%s: kind is \"%.64s\"", what, kind);
	if (strcmp(is_ns, ns) || strcmp(is_name, name))
		return bad(e, "%s: the manifest is of %.64s/%.256s", what, is_ns, is_name);
	return 0;
}

/* The resource of which the network needs a device. */
static int
read_resource(const json_t *nad, const char *what, struct delegate *d, struct cnierr *e)
{
	json_t *metadata = NULL, *annotations = NULL;
	const char *resource = "";

	if (json_member_object(nad, "metadata", what, &metadata, e) ||
	    json_member_object(metadata, "annotations", what, &annotations, e) ||
	    json_member_string(annotations, RESOURCE_ANNOTATION, what, &resource, e))
		return -1;
	if (*resource && (!check_visible(resource) || util_copy(d->resource, sizeof(d->resource), resource)))
		return bad(e, "%s: %s is not the name of a resource", what, RESOURCE_ANNOTATION);
	return 0;
}

/* spec.config as text. Its name is the NAD's when it has none. */
static int
load_inline(const char *text, const char *name, const char *what, struct delegate *d,
	    struct cnierr *e)
{
	cleanup_json json_t *config = NULL;
	const char *own = "";
	char where[400];

	snprintf(where, sizeof(where), "%.380s, spec.config", what);
	config = json_read(text, strlen(text), where, e);
	if (!config)
		return -1;
	if (json_is_null(json_object_get(config, "name")))
		return bad(e, "%s: \"name\" must be a string", where);
	if (json_is_object(config) && json_member_string(config, "name", where, &own, e))
		return -1;
	if (json_is_object(config) && !*own)
		json_object_set_new(config, "name", json_string(name));
	return chain_load(config, CHAIN_ANY, where, d, e);
}

/* The object, if it is of that network; else NULL, and when there is none e->code is 0. */
static json_t *
fetch_nad(const struct delegate_source *src, const char *ns, const char *name, bool fresh,
	  const char *what, struct cnierr *e)
{
	json_t *nad = src->nad(src->ctx, ns, name, fresh, e);

	if (!nad && e->code)
		cnierr_prefix(e, "%s", what);
	if (nad && check_metadata(nad, ns, name, what, e)) {
		json_decref(nad);
		return NULL;
	}
	return nad;
}

int
resolve_nad(const struct delegate_source *src, const char *ns, const char *name, struct delegate *d,
	    struct cnierr *e)
{
	cleanup_json json_t *nad = NULL;
	json_t *spec = NULL;
	const char *text = "";
	char what[380];
	int r;

	snprintf(what, sizeof(what), "NetworkAttachmentDefinition %s/%s", ns, name);
	nad = fetch_nad(src, ns, name, false, what, e);
	/* What a server says that is not well may have been kept. */
	if (!nad && (e->code == CNI_ERR_DECODE || e->code == CNI_ERR_CONFIG)) {
		*e = (struct cnierr){ 0 };
		nad = fetch_nad(src, ns, name, true, what, e);
	}
	if (!nad)
		return e->code ? -1 : 1;
	if (json_member_object(nad, "spec", what, &spec, e) ||
	    json_member_string(spec, "config", what, &text, e))
		return -1;
	if (*text) {
		r = load_inline(text, name, what, d, e);
	} else {
		r = load_by_name(src, name, d, e);
		if (r == 1)
			r = bad(e,
				"%s: spec.config is empty, and no file in confDir has the name %s",
				what, name);
		else if (r)
			cnierr_prefix(e, "%s", what);
	}
	if (r)
		return -1;
	snprintf(d->display, sizeof(d->display), "%s/%s", ns, name);
	return read_resource(nad, what, d, e);
}

int
resolve_network(const struct conf *conf, const struct delegate_source *src, unsigned net,
		const char *name, struct delegate *d, struct cnierr *e)
{
	int r = 1;

	if (strchr(name, '/'))
		return load_by_path(conf, src, net, name, d, e);
	if (check_dns_subdomain(name))
		r = resolve_nad(src, conf->multus_namespace, name, d, e);
	if (r == 1)
		r = load_by_name(src, name, d, e);
	if (r == 1)
		return bad(e,
			   "no network %.200s: neither a NetworkAttachmentDefinition in namespace "
			   "%s nor a file in "
			   "confDir has that name",
			   name, conf->multus_namespace);
	return r;
}
