/* Checks of the node configuration struct, which a reader without privilege made of root's file.
 * Runs in: every process; first in the supervisor. */
#include <stdio.h>
#include <string.h>

#include "netpriv/check.h"
#include "netpriv/conf.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

/* One row: a field, what is wrong with it when ok is false. */
#define REQUIRE(ok, ...)                                                                           \
	do {                                                                                       \
		if (!(ok)) {                                                                       \
			snprintf(why, size, __VA_ARGS__);                                          \
			return -EINVAL;                                                            \
		}                                                                                  \
	} while (0)

static int
check_dir(const char *key, const char *dir, bool required, char *why, unsigned size)
{
	REQUIRE(check_field(dir, CONF_PATH), "%s: not a string", key);
	REQUIRE(dir[0] || !required, "%s: must not be empty", key);
	REQUIRE(!dir[0] || check_abs_path(dir, CONF_PATH),
		"%s: must be an absolute path without '..', at most %d bytes", key, CONF_PATH - 1);
	return 0;
}

static int
check_namespaces(const char *key, const char (*ns)[64], uint32_t n, char *why, unsigned size)
{
	REQUIRE(n <= CONF_NAMESPACES, "%s: at most %d entries", key, CONF_NAMESPACES);
	for (uint32_t i = 0; i < n; i++)
		REQUIRE(check_field(ns[i], sizeof(ns[i])) && (!ns[i][0] || check_dns_label(ns[i])),
			"%s[%u]: not a namespace name", key, i);
	return 0;
}

static int
check_networks(const struct conf *c, char *why, unsigned size)
{
	REQUIRE(c->n_networks >= 1 && c->n_networks <= CONF_NETS,
		"defaultNetworks: at most %d entries", CONF_NETS - 1);
	for (uint32_t i = 0; i < c->n_networks; i++) {
		const char *n = c->networks[i];
		const char *key = i == 0 ? "clusterNetwork" : "defaultNetworks";

		REQUIRE(check_field(n, CONF_PATH) && (n[0] || i == 0), "%s: empty name", key);
		REQUIRE(!n[0] || (strchr(n, '/') ? check_abs_path(n, CONF_PATH)
						  : check_network_name(n)),
			"%s: neither a network name nor an absolute path", key);
	}
	return 0;
}

static int
check_plugins(const struct conf *c, char *why, unsigned size)
{
	REQUIRE(c->n_plugins <= CONF_PLUGINS, "plugins: at most %d entries", CONF_PLUGINS);
	for (uint32_t i = 0; i < c->n_plugins; i++) {
		const struct conf_plugin *p = &c->plugins[i];

		REQUIRE(check_field(p->name, sizeof(p->name)) &&
			    (strcmp(p->name, "*") == 0 || check_plugin(p->name)),
			"plugins[%u]: not a plugin name", i);
		REQUIRE(check_field(p->sha256, sizeof(p->sha256)) &&
			    (!p->sha256[0] || (strlen(p->sha256) == 64 &&
					       strspn(p->sha256, "0123456789abcdef") == 64)),
			"plugins[%u].sha256: must be 64 lower-case hexadecimal digits", i);
		REQUIRE(p->deadline_ms <= 3600000, "plugins[%u].deadline: at most one hour", i);
	}
	return 0;
}

static int
check_users(const struct conf *c, char *why, unsigned size)
{
	const uint32_t uids[] = { c->broker_uid, c->kube_uid, c->reader_uid, c->metrics_uid };

	REQUIRE(c->broker_gid && c->kube_gid && c->reader_gid && c->metrics_gid, "users: a role must not run as root");
	for (unsigned i = 0; i < ARRAY_LEN(uids); i++) {
		REQUIRE(uids[i], "users: a role must not run as root");
		for (unsigned k = 0; k < i; k++)
			REQUIRE(uids[i] != uids[k], "users: each role needs a user of its own");
	}
	return 0;
}

static int
check_numbers(const struct conf *c, char *why, unsigned size)
{
	REQUIRE(c->attachments >= 1 && c->attachments <= 64, "limits.attachments: must be 1 to 64");
	REQUIRE(c->waiting <= 1024, "limits.waiting: must be 0 to 1024");
	REQUIRE(c->wait_ms >= 1 && c->wait_ms <= 3600000 && c->command_ms >= 1 &&
		    c->command_ms <= 3600000 && c->delegate_ms >= 1 && c->delegate_ms <= 3600000 &&
		    c->stop_ms <= 3600000, "deadlines: each must be above 0 and at most one hour");
	REQUIRE(c->log_level <= LOG_DEBUG, "logLevel: unknown level");
	REQUIRE(c->sandbox <= CONF_LOG, "sandbox: must be enforce, trap or log");
	return check_users(c, why, size);
}

/* Of these, what becomes a path or a name; the rest is text for processes that parse. */
static int
check_extras(const struct conf *c, char *why, unsigned size)
{
	const struct {
		const char *key, *path;
	} paths[] = { { "readinessindicatorfile", c->ready_file }, { "takeOver", c->multus_dir },
		      { "devices.podResources", c->pod_resources }, { "devices.checkpoint", c->checkpoint },
		      { "devices.info", c->devinfo }, { "hotplug.socketDir", c->plug_dir },
		      { "multusAutoconfigDir", c->autoconf_dir }, { "cniConfigDir", c->autoconf_out },
		      { "metrics", c->metrics_socket }, { "logFile", c->log_file } };

	for (unsigned i = 0; i < ARRAY_LEN(paths); i++)
		if (check_dir(paths[i].key, paths[i].path, false, why, size) < 0)
			return -EINVAL;
	REQUIRE(check_field(c->node_delegates, sizeof(c->node_delegates)) && check_field(c->cni_version, sizeof(c->cni_version)) &&
		    check_field(c->autoconf_base, sizeof(c->autoconf_base)) && check_field(c->metrics_ip, sizeof(c->metrics_ip)) &&
		    c->metrics_port <= 65535 && (c->force_version | c->no_check | c->allow_device_id | c->autoconf_name |
						 c->autoconf_replace) <= 1, "malformed");
	REQUIRE(check_field(c->aux_chain, sizeof(c->aux_chain)) && (!c->aux_chain[0] || check_network_name(c->aux_chain)),
		"auxiliaryCNIChainName: not a network's name");
	REQUIRE(check_field(c->autoconf_file, sizeof(c->autoconf_file)) && check_file_name(c->autoconf_file) &&
		    check_field(c->autoconf_primary, sizeof(c->autoconf_primary)) &&
		    (!c->autoconf_primary[0] || check_file_name(c->autoconf_primary)),
		"cniConfigFile, multusMasterCNI: not a file's name");
	REQUIRE(strlen(c->plug_dir) <= 80 && strlen(c->metrics_socket) <= 100, "a socket's path is too long");
	return 0;
}

static int
check_api(const struct conf *c, char *why, unsigned size)
{
	REQUIRE(check_field(c->api_host, sizeof(c->api_host)) && check_visible(c->api_host) &&
		    c->api_port <= 65535,
		"KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT: not a host and a port");
	REQUIRE(check_field(c->node_name, sizeof(c->node_name)) &&
		    (!c->node_name[0] || check_dns_subdomain(c->node_name)),
		"nodeName: not a node's name");
	REQUIRE(c->node_cert <= 1 && c->node_cert_s >= 600 && c->node_cert_s <= 365 * 86400,
		"perNodeCertificate.certDuration: must be 10 minutes to a year");
	REQUIRE(c->nads <= 256, "limits.cachedNetworks: must be 0 to 256");
	REQUIRE(c->nad_age_ms >= 1 && c->nad_age_ms <= 3600000 && c->api_ms >= 1 &&
		    c->api_ms <= 3600000,
		"deadlines: each must be above 0 and at most one hour");
	return 0;
}

int
conf_check(const struct conf *c, char *why, unsigned size)
{
	REQUIRE(c->magic == CONF_MAGIC && c->size == sizeof(*c), "not a configuration of this version");
	REQUIRE(check_field(c->error, sizeof(c->error)), "malformed error text");
	REQUIRE(!c->error[0], "%s", c->error);
	REQUIRE(c->n_warnings <= CONF_WARNINGS, "malformed warnings");
	for (uint32_t i = 0; i < c->n_warnings; i++)
		REQUIRE(check_field(c->warnings[i], sizeof(c->warnings[i])), "malformed warnings");
	REQUIRE(check_field(c->multus_namespace, sizeof(c->multus_namespace)) &&
		    check_dns_label(c->multus_namespace), "multusNamespace: not a namespace name");
	if (check_networks(c, why, size) < 0 || check_plugins(c, why, size) < 0 ||
	    check_numbers(c, why, size) < 0 ||
	    check_namespaces("systemNamespaces", c->system_namespaces, c->n_system_namespaces, why,
			     size) < 0 ||
	    check_namespaces("globalNamespaces", c->global_namespaces, c->n_global_namespaces, why,
			     size) < 0 ||
	    check_dir("binDir", c->bin_dir, true, why, size) < 0 ||
	    check_dir("confDir", c->conf_dir, true, why, size) < 0 ||
	    check_dir("cniDir", c->cni_dir, true, why, size) < 0 ||
	    check_dir("socketDir", c->socket_dir, true, why, size) < 0 ||
	    check_dir("store", c->store, false, why, size) < 0 ||
	    check_dir("kubeconfig", c->kubeconfig, false, why, size) < 0 ||
	    check_dir("bootstrapKubeconfig", c->bootstrap, false, why, size) < 0 ||
	    check_extras(c, why, size) < 0 || check_api(c, why, size) < 0)
		return -EINVAL;
	/* sun_path holds 108 bytes, "/postern.sock.<pid>" included. */
	REQUIRE(strlen(c->socket_dir) <= 80, "socketDir: at most 80 bytes, a socket's path is short");
	return 0;
}
