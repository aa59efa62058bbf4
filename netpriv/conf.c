/* The node configuration struct: defaults, checks, mapping, the plugin table.
 * Runs in: every process. */
#include "netpriv/conf.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "netpriv/check.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

static const struct {
	const char *name;
	uint64_t caps;
} table[] = {
#define PLUGIN(name, caps) { name, caps },
#include "netpriv/plugin.def"
#undef PLUGIN
};

#define CAP_BASE (1ull << 12 | 1ull << 21) /* CAP_NET_ADMIN, CAP_SYS_ADMIN */

void
conf_defaults(struct conf *c)
{
	memset(c, 0, sizeof(*c));
	c->magic = CONF_MAGIC;
	c->size = sizeof(*c);
	c->n_networks = 1;
	c->n_system_namespaces = c->n_global_namespaces = 1;
	util_copy(c->multus_namespace, sizeof(c->multus_namespace), "kube-system");
	util_copy(c->system_namespaces[0], sizeof(c->system_namespaces[0]), "kube-system");
	util_copy(c->global_namespaces[0], sizeof(c->global_namespaces[0]), "default");
	util_copy(c->bin_dir, sizeof(c->bin_dir), "/opt/cni/bin");
	util_copy(c->conf_dir, sizeof(c->conf_dir), "/etc/cni/multus/net.d");
	util_copy(c->cni_dir, sizeof(c->cni_dir), "/var/lib/cni/postern");
	util_copy(c->socket_dir, sizeof(c->socket_dir), "/run/postern");
	c->log_level = LOG_INFO;
	c->broker_uid = c->broker_gid = 64870;
	c->kube_uid = c->kube_gid = 64871;
	c->reader_uid = c->reader_gid = 64872;
	c->metrics_uid = c->metrics_gid = 64873;
	util_copy(c->multus_dir, sizeof(c->multus_dir), "/var/lib/cni/multus");
	util_copy(c->devinfo, sizeof(c->devinfo), "/var/run/k8s.cni.cncf.io/devinfo");
	util_copy(c->checkpoint, sizeof(c->checkpoint), "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint");
	util_copy(c->autoconf_out, sizeof(c->autoconf_out), "/etc/cni/net.d");
	util_copy(c->autoconf_file, sizeof(c->autoconf_file), "00-postern.conf");
	c->attachments = 16;
	c->waiting = 512;
	c->wait_ms = 60000;
	c->command_ms = 120000;
	c->delegate_ms = 60000;
	c->stop_ms = 10000;
	c->node_cert_s = 600;
	c->nads = 64;
	c->nad_age_ms = 60000;
	c->api_ms = 10000;
}

const struct conf *
conf_map(int fd)
{
	char why[512];
	void *map;
	size_t len;
	int err = util_map_memfd(fd, sizeof(struct conf), &map, &len);

	if (err < 0)
		log_fatal("configuration descriptor: %s", strerror(-err));
	if (len != sizeof(struct conf) || conf_check(map, why, sizeof(why)) < 0)
		log_fatal("configuration descriptor: not a valid configuration");
	close(fd);
	return map;
}

bool
conf_plugin(const struct conf *c, const char *name, uint64_t *caps, uint32_t *deadline_ms,
	    const char **sha256)
{
	bool known = false;

	*caps = CAP_BASE;
	*deadline_ms = c->delegate_ms;
	*sha256 = "";
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (strcmp(table[i].name, name) == 0) {
			*caps |= table[i].caps;
			known = true;
		}
	}
	/* A row of the node's own configuration comes on top, and an exact name before "*". */
	for (int star = 0; star <= 1; star++) {
		for (uint32_t i = 0; i < c->n_plugins; i++) {
			const struct conf_plugin *p = &c->plugins[i];

			if (strcmp(p->name, star ? "*" : name) != 0 || (star && known))
				continue;
			*caps |= p->caps;
			*sha256 = p->sha256;
			if (p->deadline_ms)
				*deadline_ms = p->deadline_ms;
			known = true;
		}
	}
	return known;
}
