/* struct conf as the reader hands it to the supervisor: patches of the defaults, each of a place (two bytes), a length (one) and so many
 * bytes. What is accepted has strings that end and counts within their tables. */
#include "netpriv/conf.h"

#include <string.h>

#include "netpriv/check.h"
#include "netpriv/util.h"
#include "tests/fuzz/fuzz.h"

static void
check_accepted(const struct conf *c)
{
	const char *const strings[] = { c->bin_dir, c->conf_dir, c->cni_dir, c->socket_dir, c->store, c->kubeconfig };

	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		MUST(check_field(strings[i], CONF_PATH) && (!strings[i][0] || check_abs_path(strings[i], CONF_PATH)));
	MUST(c->n_networks >= 1 && c->n_networks <= CONF_NETS && c->n_plugins <= CONF_PLUGINS && c->n_warnings <= CONF_WARNINGS);
	MUST(c->n_system_namespaces <= CONF_NAMESPACES && c->n_global_namespaces <= CONF_NAMESPACES);
	MUST(c->broker_uid && c->broker_gid && c->kube_uid && c->kube_gid && c->reader_uid && c->reader_gid);
	MUST(c->attachments >= 1 && c->attachments <= 64 && c->waiting <= 1024);
	for (uint32_t i = 0; i < c->n_plugins; i++)
		MUST(check_plugin(c->plugins[i].name) || strcmp(c->plugins[i].name, "*") == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *c = malloc(sizeof(*c));
	char why[256] = "";

	MUST(c);
	conf_defaults(c);
	while (size >= 3) {
		size_t at = (size_t)data[0] << 8 | data[1], n = data[2];

		data += 3;
		size -= 3;
		for (; n > 0 && size > 0 && at < sizeof(*c); n--, size--)
			((char *)c)[at++] = (char)*data++;
	}
	if (conf_check(c, why, sizeof(why)) == 0)
		check_accepted(c);
	else
		MUST(why[0] && memchr(why, 0, sizeof(why)));
	free(c);
	return 0;
}
