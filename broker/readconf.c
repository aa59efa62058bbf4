/* postern-readconf: the node configuration's JSON into the fixed struct conf, once.
 * Runs in: reader, a fresh process without privilege, files or network.  Trusts: nothing; the file
 * is root's, yet why parse with privilege. What it answers is checked again by conf_check(). */
#include <cap-ng.h>
#include <stdio.h>
#include <strings.h>

#include "broker/conf_extra.h"
#include "netpriv/check.h"
#include "netpriv/conf.h"
#include "netpriv/log.h"
#include "netpriv/role.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

/* Where Multus' shim looks; the daemon's own key goes before it. */
static int
read_daemon_socket_dir(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	return json_member(r->root, "socketDir") ? 0 : confkey_path(r, k, v);
}

static int
read_label(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	char *field = (char *)r->c + k->offset;

	if (confkey_string(r, k->name, v, field, k->size))
		return -1;
	return check_dns_label(field) ? 0 : confkey_refuse(r, k->name, "must be a namespace name");
}

static int
read_user(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 1 || n >= UINT32_MAX)
		return confkey_refuse(
		    r, k->name, "must be a user id above 0: a number, names are not looked up");
	confkey_number(r, k)[0] = (uint32_t)n;
	confkey_number(r, k)[1] = (uint32_t)n; /* the gid stands behind the uid */
	return 0;
}

_Static_assert(offsetof(struct conf, broker_gid) == offsetof(struct conf, broker_uid) + 4 &&
		   offsetof(struct conf, kube_gid) == offsetof(struct conf, kube_uid) + 4 &&
		   offsetof(struct conf, reader_gid) == offsetof(struct conf, reader_uid) + 4 &&
		   offsetof(struct conf, metrics_gid) == offsetof(struct conf, metrics_uid) + 4,
	       "read_user() writes the pair");

static int
read_log_level(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	static const struct confkey_word words[] = {{"panic", LOG_ERROR},  {"error", LOG_ERROR},
						    {"warn", LOG_WARN},	   {"info", LOG_INFO},
						    {"verbose", LOG_INFO}, {"debug", LOG_DEBUG}};

	if (json_is_string(v) && json_string_length(v) == 0)
		return 0;
	return confkey_word(r, k->name, v, words, ARRAY_LEN(words), &r->c->log_level);
}

static int
read_sandbox(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	static const struct confkey_word words[] = {
	    {"enforce", CONF_ENFORCE}, {"trap", CONF_TRAP}, {"log", CONF_LOG}};

	return confkey_word(r, k->name, v, words, ARRAY_LEN(words), &r->c->sandbox);
}

static int
read_unknown_pods(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	static const struct confkey_word words[] = {{"error", 0}, {"cluster-network", 1}};

	return confkey_word(r, k->name, v, words, ARRAY_LEN(words), &r->c->unknown_pods);
}

/* clusterNetwork and defaultNetworks: a name, or the path of a file or directory. */
static int
add_network(struct confkey_reader *r, const char *key, const json_t *v, uint32_t slot)
{
	char *field = r->c->networks[slot];
	size_t len;

	if (confkey_string(r, key, v, field, CONF_PATH))
		return -1;
	for (len = strlen(field); len > 1 && field[0] == '/' && field[len - 1] == '/'; len--)
		field[len - 1] = '\0';
	if (!field[0] && slot == 0)
		return 0;
	if (field[0] == '/' ? !check_abs_path(field, CONF_PATH) : !check_network_name(field))
		return confkey_refuse(
		    r, key,
		    "must name a network, or give the absolute path of a file or directory");
	return 0;
}

static int
read_cluster_network(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	return add_network(r, k->name, v, 0);
}

static int
read_default_networks(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	size_t n = json_array_size(v);

	if (!json_is_array(v))
		return confkey_refuse(r, k->name, "must be an array of strings");
	for (size_t i = 0; i < n; i++) {
		if (i >= CONF_NETS - 1)
			return confkey_refuse(r, k->name, "must have at most 7 entries");
		if (add_network(r, k->name, json_array_get(v, i), (uint32_t)i + 1))
			return -1;
	}
	r->c->n_networks = (uint32_t)n + 1;
	return 0;
}

static int
add_namespace(struct confkey_reader *r, const char *key, const char *name, size_t len,
	      char (*list)[64], uint32_t *n)
{
	char text[64] = "";

	if (*n >= CONF_NAMESPACES)
		return confkey_refuse(r, key, "must have at most 16 entries");
	if (name && len < sizeof(text))
		memcpy(text, name, len);
	if (!check_dns_label(text))
		return confkey_refuse(r, key, "must hold namespace names");
	return util_copy(list[(*n)++], sizeof(list[0]), text);
}

static int
add_namespaces(struct confkey_reader *r, const char *key, const json_t *v, char (*list)[64],
	       uint32_t *n)
{
	if (!json_is_array(v))
		return confkey_refuse(r, key, "must be an array of strings");
	*n = 0;
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *item = json_array_get(v, i);

		if (add_namespace(r, key, json_string_value(item), json_string_length(item), list,
				  n))
			return -1;
	}
	return 0;
}

static int
read_system_namespaces(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	return add_namespaces(r, k->name, v, r->c->system_namespaces, &r->c->n_system_namespaces);
}

/* "a, b", as Multus has it; or an array. Empty text means the default. */
static int
read_global_namespaces(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	const char *p = json_string_value(v);

	if (!p)
		return add_namespaces(r, k->name, v, r->c->global_namespaces,
				      &r->c->n_global_namespaces);
	if (!p[0])
		return 0;
	r->c->n_global_namespaces = 0;
	for (;;) {
		size_t len, all = strcspn(p, ",");
		const char *start = p + strspn(p, " \t");

		for (len = start < p + all ? (size_t)(p + all - start) : 0;
		     len > 0 && (start[len - 1] == ' ' || start[len - 1] == '\t'); len--)
			;
		if (len > 0 && add_namespace(r, k->name, start, len, r->c->global_namespaces,
					     &r->c->n_global_namespaces))
			return -1;
		if (p[all] == '\0')
			return 0;
		p += all + 1;
	}
}

static int
read_limits(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	static const struct confkey keys[] = {
	    {"attachments", confkey_count, CONFKEY_FIELD(attachments), 1, 64},
	    {"waiting", confkey_count, CONFKEY_FIELD(waiting), 0, 1024},
	    {"cachedNetworks", confkey_count, CONFKEY_FIELD(nads), 0, 256},
	};

	return confkey_object(r, k->name, v, keys, ARRAY_LEN(keys));
}

static int
read_deadlines(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	static const struct confkey keys[] = {
	    {"wait", confkey_seconds, CONFKEY_FIELD(wait_ms), 0, 3600},
	    {"command", confkey_seconds, CONFKEY_FIELD(command_ms), 0, 3600},
	    {"delegate", confkey_seconds, CONFKEY_FIELD(delegate_ms), 0, 3600},
	    {"stop", confkey_seconds, CONFKEY_FIELD(stop_ms), 0, 3600},
	    {"api", confkey_seconds, CONFKEY_FIELD(api_ms), 0, 3600},
	    {"networkAge", confkey_seconds, CONFKEY_FIELD(nad_age_ms), 0, 3600},
	};

	return confkey_object(r, k->name, v, keys, ARRAY_LEN(keys));
}

static int
read_node_name(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	char *field = (char *)r->c + k->offset;

	if (confkey_string(r, k->name, v, field, k->size))
		return -1;
	return check_dns_subdomain(field) ? 0 : confkey_refuse(r, k->name, "must be a node's name");
}

static int
read_cert_dir(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	if (!json_is_string(v))
		return confkey_refuse(r, k->name, "must be a string");
	confkey_warn(r, k->name, "is not used: the key never leaves the memory of the process", "");
	return 0;
}

static int
read_node_certificate(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	static const struct confkey keys[] = {
	    {"enabled", confkey_bool, CONFKEY_FIELD(node_cert), 0, 0},
	    {"bootstrapKubeconfig", confkey_path, CONFKEY_FIELD(bootstrap), 0, 0},
	    {"certDir", read_cert_dir, 0, 0, 0, 0},
	    {"certDuration", confkey_duration, CONFKEY_FIELD(node_cert_s), 600, 365 * 86400},
	};

	return confkey_object(r, k->name, v, keys, ARRAY_LEN(keys));
}

static int
read_users(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	static const struct confkey keys[] = {
	    {"broker", read_user, CONFKEY_FIELD(broker_uid), 0, 0},
	    {"kube", read_user, CONFKEY_FIELD(kube_uid), 0, 0},
	    {"reader", read_user, CONFKEY_FIELD(reader_uid), 0, 0},
	    {"metrics", read_user, CONFKEY_FIELD(metrics_uid), 0, 0},
	};

	return confkey_object(r, k->name, v, keys, ARRAY_LEN(keys));
}

/* The keys of one entry of "plugins" are read relative to its place in struct conf. */
#define PLUGIN_FIELD(member)                                                                       \
	offsetof(struct conf_plugin, member), sizeof(((struct conf_plugin *)0)->member)

static int
read_plugin_name(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	char *field = (char *)r->c + k->offset;

	if (confkey_string(r, k->name, v, field, k->size))
		return -1;
	if (strcmp(field, "*") != 0 && !check_plugin(field))
		return confkey_refuse(r, k->name,
				      "must be a plugin's file name in lower case, or \"*\"");
	return 0;
}

static int
read_sha256(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	char *field = (char *)r->c + k->offset;

	if (confkey_string(r, k->name, v, field, k->size))
		return -1;
	if (strlen(field) != 64 || strspn(field, "0123456789abcdef") != 64)
		return confkey_refuse(r, k->name, "must be 64 lower-case hexadecimal digits");
	return 0;
}

static int
read_caps(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	uint64_t caps = 0;

	if (!json_is_array(v))
		return confkey_refuse(r, k->name, "must be an array of capability names");
	for (size_t i = 0; i < json_array_size(v); i++) {
		const char *name = json_string_value(json_array_get(v, i));
		int cap = -1;

		if (name)
			cap = capng_name_to_capability(strncasecmp(name, "CAP_", 4) == 0 ? name + 4
											 : name);
		if (cap < 0 || cap > 63)
			return confkey_refuse(r, k->name,
					      "must hold capability names such as \"NET_RAW\"");
		caps |= 1ull << cap;
	}
	memcpy((char *)r->c + k->offset, &caps, sizeof(caps));
	return 0;
}

static int
read_plugin(struct confkey_reader *r, const json_t *v, size_t at)
{
	struct confkey keys[] = {
	    {"name", read_plugin_name, PLUGIN_FIELD(name), 0, 0},
	    {"sha256", read_sha256, PLUGIN_FIELD(sha256), 0, 0},
	    {"capabilities", read_caps, PLUGIN_FIELD(caps), 0, 0},
	    {"deadline", confkey_seconds, PLUGIN_FIELD(deadline_ms), 0, 3600},
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		keys[i].offset += offsetof(struct conf, plugins) + at * sizeof(struct conf_plugin);
	if (json_is_string(v))
		return read_plugin_name(r, &keys[0], v) ? cnierr_prefix(&r->e, "plugins") : 0;
	if (!json_is_object(v))
		return confkey_refuse(r, "plugins", "must hold names or objects");
	if (!json_member(v, "name"))
		return confkey_refuse(r, "plugins", "holds an object without \"name\"");
	return confkey_object(r, "plugins", v, keys, ARRAY_LEN(keys));
}

static int
read_plugins(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	if (!json_is_array(v) || json_array_size(v) > CONF_PLUGINS)
		return confkey_refuse(r, k->name,
				      "must be an array of at most 64 names or objects");
	for (size_t i = 0; i < json_array_size(v); i++) {
		if (read_plugin(r, json_array_get(v, i), i))
			return -1;
		for (size_t j = 0; j < i; j++)
			if (strcmp(r->c->plugins[i].name, r->c->plugins[j].name) == 0)
				return confkey_refuse(r, k->name, "names a plugin twice");
	}
	r->c->n_plugins = (uint32_t)json_array_size(v);
	return 0;
}

/* "least" of a path: 1 = must not be empty. */
static const struct confkey root_keys[] = {
    {"clusterNetwork", read_cluster_network, 0, 0, 0, 0},
    {"defaultNetworks", read_default_networks, 0, 0, 0, 0},
    {"binDir", confkey_path, CONFKEY_FIELD(bin_dir), 1, 0},
    {"confDir", confkey_path, CONFKEY_FIELD(conf_dir), 1, 0},
    {"cniDir", confkey_path, CONFKEY_FIELD(cni_dir), 1, 0},
    {"socketDir", confkey_path, CONFKEY_FIELD(socket_dir), 1, 0},
    {"daemonSocketDir", read_daemon_socket_dir, CONFKEY_FIELD(socket_dir), 1, 0},
    {"store", confkey_path, CONFKEY_FIELD(store), 0, 0},
    {"unknownPods", read_unknown_pods, 0, 0, 0, 0},
    {"kubeconfig", confkey_path, CONFKEY_FIELD(kubeconfig), 0, 0},
    {"nodeName", read_node_name, CONFKEY_FIELD(node_name), 0, 0},
    {"perNodeCertificate", read_node_certificate, 0, 0, 0, 0},
    {"multusNamespace", read_label, CONFKEY_FIELD(multus_namespace), 0, 0},
    {"systemNamespaces", read_system_namespaces, 0, 0, 0, 0},
    {"namespaceIsolation", confkey_bool, CONFKEY_FIELD(namespace_isolation), 0, 0},
    {"globalNamespaces", read_global_namespaces, 0, 0, 0, 0},
    {"logLevel", read_log_level, 0, 0, 0, 0},
    {"logToStderr", conf_node_flag, 0, 0, 0, 0},
    {"sandbox", read_sandbox, 0, 0, 0, 0},
    {"users", read_users, 0, 0, 0, 0},
    {"limits", read_limits, 0, 0, 0, 0},
    {"deadlines", read_deadlines, 0, 0, 0, 0},
    {"plugins", read_plugins, 0, 0, 0, 0},
    {"devices", conf_devices, 0, 0, 0, 0},
    {"auxiliaryCNIChainName", conf_node_chain, CONFKEY_FIELD(aux_chain), 0, 0},
    {"check", conf_node_check, 0, 0, 0, 0},
    {"connectionLimit", conf_node_connections, 0, 0, 0, 0},
    {"delegates", conf_node_delegates, 0, 0, 0, 0},
    {"hotplug", conf_node_hotplug, 0, 0, 0, 0},
    {"logFile", confkey_path, CONFKEY_FIELD(log_file), 0, 0},
    {"readinessindicatorfile", confkey_path, CONFKEY_FIELD(ready_file), 0, 0},
    {"retryDeleteOnError", conf_node_flag, 0, 0, 0, 0},
    {"takeOver", confkey_path, CONFKEY_FIELD(multus_dir), 0, 0},
    {"multusConfigFile", conf_auto_source, 0, 0, 0, 0},
    {"multusAutoconfigDir", confkey_path, CONFKEY_FIELD(autoconf_dir), 0, 0},
    {"multusMasterCNI", conf_auto_file, CONFKEY_FIELD(autoconf_primary), 0, 0},
    {"cniConfigDir", confkey_path, CONFKEY_FIELD(autoconf_out), 1, 0},
    {"cniConfigFile", conf_auto_file, CONFKEY_FIELD(autoconf_file), 0, 0},
    {"replaceMultusConfig", confkey_bool, CONFKEY_FIELD(autoconf_replace), 0, 0},
    {"overrideNetworkName", confkey_bool, CONFKEY_FIELD(autoconf_name), 0, 0},
    {"forceCNIVersion", confkey_bool, CONFKEY_FIELD(force_version), 0, 0},
    {"cniVersion", conf_auto_version, CONFKEY_FIELD(cni_version), 0, 0},
    {"capabilities", conf_auto_capabilities, 0, 0, 0, 0},
    {"type", conf_auto_type, 0, 0, 0, 0},
    {"chrootDir", conf_node_ignored, 0, 0, 0, 0},
    {"dns", conf_node_ignored, 0, 0, 0, 0},
    {"ipam", conf_node_ignored, 0, 0, 0, 0},
    {"logOptions", conf_node_ignored, 0, 0, 0, 0},
    {"name", conf_node_ignored, 0, 0, 0, 0},
    {"prevResult", conf_node_ignored, 0, 0, 0, 0},
    {"runtimeConfig", conf_node_ignored, 0, 0, 0, 0},
    {"metrics", conf_metrics, 0, 0, 0, 0},
    {"metricsPort", conf_metrics_port, 0, 0, 0, 0},
    {"enablePprof", conf_metrics_pprof, 0, 0, 0, 0},
};

/* Fills c from the file's text: conf_defaults() and, over them, its keys; c->error when it is
 * unusable. */
static void
read_config(struct conf *c, const char *text, size_t len)
{
	struct confkey_reader r = {.c = c};
	cleanup_json json_t *root = NULL;

	conf_defaults(c);
	if (len > JSON_MAX_BYTES) {
		util_copy(c->error, sizeof(c->error), "longer than 1 MiB");
		return;
	}
	root = json_read(text, len, "configuration", &r.e);
	r.root = root;
	if (root && !json_is_object(root))
		cnierr_set(&r.e, CNI_ERR_CONFIG, "must be one JSON object");
	else if (root)
		(void)(confkey_object(&r, "", root, root_keys, ARRAY_LEN(root_keys)) ?: conf_auto_finish(&r) ?: conf_node_finish(&r) ?:
		       conf_devices_finish(&r));
	if (r.e.code == 0 && c->node_cert && !c->bootstrap[0])
		confkey_refuse(&r, "perNodeCertificate", "needs \"bootstrapKubeconfig\"");
	if (c->node_cert)
		memcpy(c->kubeconfig, c->bootstrap, sizeof(c->kubeconfig));
	if (r.e.code)
		snprintf(c->error, sizeof(c->error), "%.*s", (int)sizeof(c->error) - 1, r.e.msg);
}

int
main(void)
{
	static char text[JSON_MAX_BYTES + 1];
	static struct conf c;
	ssize_t n;
	int err;

	sandbox_close_fds(FD_READER_OUT + 1);
	log_init("readconf", LOG_INFO);
	json_object_seed(0);
	conf_defaults(&c);
	/* The file that may name another user is not read yet. */
	const struct sandbox sandbox = {.role = ROLE_READER,
					.mode = CONF_ENFORCE,
					.uid = c.reader_uid,
					.gid = c.reader_gid,
					.max_fd = 16};

	sandbox_enter(&sandbox, NULL);
	n = util_read_full(FD_READER_IN, text, sizeof(text));
	if (n < 0)
		snprintf(c.error, sizeof(c.error), "cannot be read: %s", strerror((int)-n));
	else
		read_config(&c, text, (size_t)n);
	err = util_write_all(FD_READER_OUT, &c, sizeof(c));
	return err < 0 ? 1 : 0;
}
