/* The network configuration on stdin, checked as the CNI skeleton does before anything else
 * happens.
 * Runs in: worker.  Trusts: nothing; the runtime took it from a file of the node's
 * administrator. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/delegate.h"
#include "broker/json.h"
#include "broker/result.h"
#include "netpriv/check.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

static const char what[] = "network configuration";

static int
check_name(const json_t *root, char *out, size_t size, struct cnierr *e)
{
	const char *name = "";

	if (json_member_string(root, "name", what, &name, e))
		return -1;
	if (!*name)
		return cnierr_set(e, CNI_ERR_CONFIG, "missing network name");
	if (!check_network_name(name) || util_copy(out, size, name))
		return cnierr_set(e, CNI_ERR_CONFIG,
				  "invalid characters found in network name \"%.64s\"", name);
	return 0;
}

static int
set_incompatible(const char *version, struct cnierr *e)
{
	struct cnierr details = {0};
	char list[128] = "";
	size_t len = 0;

	for (size_t i = 0; result_versions[i] && len < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s\"%s\"", i ? " " : "",
					result_versions[i]);
	cnierr_set(&details, 1, "config is \"%.32s\", plugin supports [%s]", version, list);
	snprintf(e->details, sizeof(e->details), "%.255s", details.msg);
	return cnierr_set(e, CNI_ERR_VERSION, "incompatible CNI versions");
}

static int
check_version(const json_t *root, enum cni_verb verb, struct netconf *nc, struct cnierr *e)
{
	const char *version = "", *least = verb == CNI_CHECK			  ? "0.4.0"
					   : verb == CNI_GC || verb == CNI_STATUS ? "1.1.0"
										  : "0.1.0";

	if (json_member_string(root, "cniVersion", what, &version, e))
		return -1;
	if (!*version)
		version = "0.1.0";
	if (!result_version_supported(version) ||
	    util_copy(nc->version, sizeof(nc->version), version))
		return set_incompatible(version, e);
	if (result_version_cmp(version, least) < 0)
		return cnierr_set(e, CNI_ERR_VERSION, "config version does not allow %s",
				  cni_verb_name(verb));
	return 0;
}

int
netconf_parse(const char *text, size_t len, enum cni_verb verb, struct netconf *nc,
	      struct cnierr *e)
{
	json_t *previous = NULL;

	memset(nc, 0, sizeof(*nc));
	nc->root = json_read(text, len, what, e);
	if (!nc->root)
		return -1;
	if (!json_is_object(nc->root))
		cnierr_set(e, CNI_ERR_DECODE, "%s: must be a JSON object", what);
	else if (!check_name(nc->root, nc->name, sizeof(nc->name), e) &&
		 !check_version(nc->root, verb, nc, e) &&
		 !json_member_object(nc->root, "prevResult", what, &previous, e) &&
		 !json_member_object(nc->root, "runtimeConfig", what, &nc->runtime, e))
		return 0;
	netconf_clear(nc);
	return -1;
}

int
netconf_selection(const char *text, size_t len, struct netconf *nc, struct cnierr *e)
{
	memset(nc, 0, sizeof(*nc));
	util_copy(nc->version, sizeof(nc->version), "1.1.0");
	if (asprintf(&nc->selection, "[%.*s]", (int)len, text) >= 0)
		return 0;
	nc->selection = NULL;
	return cnierr_set(e, CNI_ERR_INTERNAL, "network selection: out of memory");
}

void
netconf_clear(struct netconf *nc)
{
	json_decref(nc->root);
	free(nc->selection);
	memset(nc, 0, sizeof(*nc));
}
