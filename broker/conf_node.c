/* Keys that Multus' daemon knows and that are neither about networks nor about the runtime's file.  Runs in: reader. */
#include <stdio.h>

#include "broker/conf_extra.h"
#include "netpriv/check.h"
#include "netpriv/util.h"

int
conf_node_chain(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	char *field = (char *)r->c + k->offset;

	if (confkey_string(r, k->name, v, field, k->size))
		return -1;
	return !*field || check_network_name(field) ? 0 : confkey_refuse(r, k->name, "must be a network's name");
}

int
conf_node_check(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	if (!json_is_boolean(v))
		return confkey_refuse(r, k->name, "must be true or false");
	r->c->no_check = json_is_false(v);
	return 0;
}

/* As many commands are served at once, unless limits.attachments says it. */
int
conf_node_connections(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 1)
		return confkey_refuse(r, k->name, "must be a whole number greater than 0");
	if (!json_member(json_member(r->root, "limits"), "attachments"))
		r->c->attachments = n < 64 ? (uint32_t)n : 64;
	return 0;
}

int
conf_node_delegates(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	cleanup_free char *text = NULL;
	const json_t *item;
	size_t i;

	if (!json_is_array(v))
		return confkey_refuse(r, k->name, "must be an array of network configurations");
	json_array_foreach(v, i, item)
		if (!json_is_object(item))
			return confkey_refuse(r, k->name, "must hold objects, each a network configuration");
	text = i > 0 ? json_text(v, false) : NULL;
	if (i > 0 && (!text || util_copy(r->c->node_delegates, sizeof(r->c->node_delegates), text) < 0))
		return confkey_refuse(r, k->name, "must be at most 16383 bytes: put the network into a file and name it in clusterNetwork");
	return 0;
}

/* true or false, and nothing more: retryDeleteOnError is always so; conf_node_finish() looks at logToStderr. */
int
conf_node_flag(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	return json_is_boolean(v) ? 0 : confkey_refuse(r, k->name, "must be true or false");
}

int
conf_node_hotplug(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	static const struct confkey keys[] = {
		{ "socketDir", confkey_path, CONFKEY_FIELD(plug_dir), 0, 0 },
		{ "uid", confkey_count, CONFKEY_FIELD(plug_uid), 0, UINT32_MAX - 1 },
	};

	return confkey_object(r, k->name, v, keys, ARRAY_LEN(keys));
}

int
conf_node_ignored(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	static const char *const rows[][2] = {
		{ "chrootDir", "has no effect: plugins run on the root directory that Postern itself sees" },
		{ "dns", "has no effect: it belongs into a network's own configuration" },
		{ "ipam", "has no effect: it belongs into a network's own configuration" },
		{ "logOptions", "has no effect: logrotate rotates logFile, and SIGHUP opens it anew" },
		{ "name", "has no effect: overrideNetworkName gives the generated file the primary's" },
		{ "prevResult", "has no effect: what came before comes with each request" },
		{ "runtimeConfig", "has no effect: it comes from the runtime with each request" },
	};

	(void)v;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i][0], k->name) == 0)
			confkey_warn(r, k->name, rows[i][1], "");
	return 0;
}

int
conf_node_finish(struct confkey_reader *r)
{
	const json_t *to_stderr = json_member(r->root, "logToStderr");
	struct conf *c = r->c;

	if (json_is_true(to_stderr) && c->log_file[0]) {
		confkey_warn(r, "logFile", "has no effect beside logToStderr: records go to one place", "");
		memset(c->log_file, 0, sizeof(c->log_file));
	}
	if (c->node_delegates[0] && c->networks[0][0])
		confkey_warn(r, "delegates", "has no effect beside a cluster network", "");
	if (json_is_false(to_stderr) && !c->log_file[0])
		confkey_warn(r, "logToStderr", "is false, but without logFile records go to stderr", "");
	/* One cniDir serves both when one configuration is read by both. */
	if (!json_member(r->root, "takeOver") && json_member(r->root, "cniDir"))
		memcpy(c->multus_dir, c->cni_dir, sizeof(c->multus_dir));
	return 0;
}
