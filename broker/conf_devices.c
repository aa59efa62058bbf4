/* Where devices are learnt of.  Runs in: reader. */
#include "broker/conf_extra.h"

#include "netpriv/util.h"

int
conf_devices(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	static const struct confkey keys[] = {
		{ "podResources", confkey_path, CONFKEY_FIELD(pod_resources), 0, 0 },
		{ "checkpoint", confkey_path, CONFKEY_FIELD(checkpoint), 0, 0 },
		{ "info", confkey_path, CONFKEY_FIELD(devinfo), 0, 0 },
		{ "allowDeviceID", confkey_bool, CONFKEY_FIELD(allow_device_id), 0, 0 },
	};

	return confkey_object(r, k->name, v, keys, ARRAY_LEN(keys));
}

int
conf_devices_finish(struct confkey_reader *r)
{
	const json_t *own = json_member(json_member(r->root, "devices"), "podResources");

	if (!own && !r->c->store[0])
		util_copy(r->c->pod_resources, sizeof(r->c->pod_resources), "/var/lib/kubelet/pod-resources/kubelet.sock");
	return 0;
}
