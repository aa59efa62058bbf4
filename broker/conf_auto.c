/* The keys about the runtime's own configuration file: whether it is written, where, and of what.  Runs in: reader. */
#include <stdio.h>

#include "broker/conf_extra.h"
#include "broker/primary.h"
#include "broker/result.h"
#include "netpriv/check.h"
#include "netpriv/util.h"

#define AUTO "auto"

/* "auto", or the path of a file that is installed as it is. */
int
conf_auto_source(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	const char *s = json_string_value(v);

	if (!s || (*s && strcmp(s, AUTO) != 0 && !check_abs_path(s, CONF_PATH)))
		return confkey_refuse(r, k->name, "must be \"auto\" or the absolute path of a file");
	return 0;
}

int
conf_auto_file(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	char *field = (char *)r->c + k->offset;

	if (confkey_string(r, k->name, v, field, k->size))
		return -1;
	return !*field || check_file_name(field) ? 0 : confkey_refuse(r, k->name, "must be a file's name, without its directory");
}

int
conf_auto_version(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	char *field = (char *)r->c + k->offset;

	if (confkey_string(r, k->name, v, field, k->size))
		return -1;
	return !*field || result_version_supported(field) ? 0 : confkey_refuse(r, k->name, "must be a CNI version, 0.1.0 to 1.1.0");
}

int
conf_auto_type(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	const char *s = json_string_value(v);

	return s && (!*s || check_plugin(s)) ? 0 : confkey_refuse(r, k->name, "must be the file name of the shim");
}

int
conf_auto_capabilities(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	const char *name;
	json_t *value;

	if (!json_is_object(v))
		return confkey_refuse(r, k->name, "must be an object");
	json_object_foreach((json_t *)(uintptr_t)v, name, value)
		if (!json_is_boolean(value))
			return confkey_refuse(r, k->name, "must hold true or false for each capability");
	return 0;
}

static bool
is_empty(const json_t *v)
{
	return !v || json_is_false(v) || (json_is_string(v) && json_string_length(v) == 0) ||
	       (json_is_object(v) && json_object_size(v) == 0) || json_is_array(v); /* text is what others read there */
}

/* The keys that are known before there is a primary configuration. */
static int
make_base(struct confkey_reader *r)
{
	bool primary = strcmp(r->c->networks[0], r->c->autoconf_dir) == 0; /* to be named when it is known */
	cleanup_json json_t *base = json_object();
	cleanup_free char *text = NULL;

	for (size_t i = 0; primary_keys[i]; i++) {
		json_t *v = json_member(r->root, primary_keys[i]);

		if (!is_empty(v) && strcmp(primary_keys[i], "name") != 0 && !(primary && strcmp(primary_keys[i], "clusterNetwork") == 0))
			json_object_set(base, primary_keys[i], v);
	}
	text = json_text(base, false);
	if (!text || util_copy(r->c->autoconf_base, sizeof(r->c->autoconf_base), text) < 0)
		return confkey_refuse(r, "multusConfigFile", "the keys of the generated configuration are longer than 4 KiB");
	return 0;
}

static bool
ends_in(const char *name, const char *suffix)
{
	const char *dot = strrchr(name, '.');

	return dot && strcmp(dot, suffix) == 0;
}

static int
check_out(struct confkey_reader *r)
{
	const char *file = r->c->autoconf_file;

	if (strncmp(file, "00-multus", 9) == 0)
		return confkey_refuse(r, "cniConfigFile", "must not begin with \"00-multus\", which is Multus' own: replaceMultusConfig "
							  "sets that file aside");
	if (file[0] == '.' || !(ends_in(file, ".conf") || (!r->c->autoconf_base[0] && (ends_in(file, ".conflist") || ends_in(file, ".json")))))
		return confkey_refuse(r, "cniConfigFile", "must end in \".conf\": runtimes read no other");
	return 0;
}

/* The cluster network is what the primary configuration says, unless the node's names another. */
static int
generate(struct confkey_reader *r)
{
	struct conf *c = r->c;
	const char *slash = c->autoconf_primary[0] ? "/" : "";

	if (!c->cni_version[0])
		return confkey_refuse(r, "cniVersion", "must be given: the generated configuration (multusConfigFile \"auto\") needs one");
	if (!c->autoconf_dir[0])
		memcpy(c->autoconf_dir, c->autoconf_out, sizeof(c->autoconf_dir));
	if (c->autoconf_primary[0] && primary_reserved(c, c->autoconf_primary))
		return confkey_refuse(r, "multusMasterCNI", "must not be a file that Postern or Multus generates: it would name itself");
	if (!c->networks[0][0] && snprintf(c->networks[0], CONF_PATH, "%s%s%s", c->autoconf_dir, slash, c->autoconf_primary) >= CONF_PATH)
		return confkey_refuse(r, "multusAutoconfigDir", "the path is too long");
	return make_base(r) ?: check_out(r);
}

/* A file that is somebody's own is installed under its own name. */
static int
install(struct confkey_reader *r, const char *path)
{
	struct conf *c = r->c;
	const char *slash = strrchr(path, '/');

	if (util_copy(c->autoconf_primary, sizeof(c->autoconf_primary), slash + 1) < 0 ||
	    (!json_member(r->root, "cniConfigFile") && util_copy(c->autoconf_file, sizeof(c->autoconf_file), slash + 1) < 0))
		return confkey_refuse(r, "multusConfigFile", "the file's name is too long");
	memset(c->autoconf_dir, 0, sizeof(c->autoconf_dir));
	memcpy(c->autoconf_dir, path, slash == path ? 1 : (size_t)(slash - path));
	if (strcmp(c->autoconf_dir, c->autoconf_out) == 0 && strcmp(c->autoconf_primary, c->autoconf_file) == 0)
		return confkey_refuse(r, "multusConfigFile", "is where it would be installed");
	return check_out(r);
}

int
conf_auto_finish(struct confkey_reader *r)
{
	static const char *const keys[] = { "cniConfigDir", "cniConfigFile", "multusMasterCNI", "overrideNetworkName",
					    "replaceMultusConfig", "capabilities", "type" };
	const char *source = json_string_value(json_member(r->root, "multusConfigFile"));
	struct conf *c = r->c;

	if (!c->autoconf_file[0])
		util_copy(c->autoconf_file, sizeof(c->autoconf_file), "00-postern.conf");
	if (c->force_version && !c->cni_version[0])
		return confkey_refuse(r, "forceCNIVersion", "needs \"cniVersion\"");
	if (source && *source && strcmp(source, AUTO) != 0)
		return install(r, source);
	if ((source && *source) || c->autoconf_dir[0])
		return generate(r);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (json_member(r->root, keys[i]))
			confkey_warn(r, keys[i], "has no effect without multusConfigFile or multusAutoconfigDir", "");
	return 0;
}
