/* The worker's questions to devices, which asks the kubelet and keeps the files; what it says is read here.
 * Runs in: worker.  Trusts: nothing that the kubelet says. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "broker/devices.h"
#include "broker/json.h"
#include "broker/priv.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

static struct wire channel = { .fd = -1 };

void
kubelet_init(int devices_fd)
{
	channel = WIRE_INIT(devices_fd, ROLE_WORKER, ROLE_DEVICES);
}

static void
call_devices(enum msg_type type, const void *body, struct wire_msg *m)
{
	int err = wire_call(&channel, type, body, NULL, 0, MSG_DEVICES_REPLY, m);

	if (err)
		log_fatal("%s: the channel to devices broke: %s", wire_name(type), strerror(-err));
}

/* A kubelet that starts or is busy will be there later. */
static int
refuse_reply(const struct msg_devices_reply *r, struct cnierr *e)
{
	bool later = r->error == -ETIMEDOUT || r->error == -EBUSY || r->error == -ECONNREFUSED || r->error == -ECONNRESET ||
		     r->error == -EPIPE;

	return cnierr_set(e, later ? CNI_ERR_TRY_AGAIN : CNI_ERR_INTERNAL, "%s", r->text[0] ? r->text : strerror(-r->error));
}

/* Names, each with its NUL. */
static json_t *
read_names(const char *text, size_t len)
{
	json_t *ids = json_array();

	for (const char *p = text; p < text + len; p += strnlen(p, (size_t)(text + len - p)) + 1)
		json_array_append_new(ids, json_stringn(p, strnlen(p, (size_t)(text + len - p))) ?: json_null());
	return ids;
}

static json_t *
read_reply(const struct wire_msg *m, const char *resource, const char *pod_uid, struct cnierr *e)
{
	const struct msg_devices_reply *r = &m->body.devices_reply;
	cleanup_json json_t *file = NULL;
	json_t *ids = NULL;
	void *map;
	size_t len;
	int err = m->fds[0] < 0 ? -EPROTO : util_map_memfd(m->fds[0], JSON_MAX_BYTES, &map, &len);

	if (err) {
		cnierr_set(e, CNI_ERR_IO, "%s: %s", r->text, strerror(-err));
		return NULL;
	}
	if (r->source == DEVICES_KUBELET)
		ids = read_names(map, len);
	else if ((file = json_read(map ? map : "", len, r->text, e)))
		ids = devices_checkpoint(file, pod_uid, resource, e);
	if (map)
		munmap(map, len);
	if (ids && devices_sort(ids, e)) {
		json_decref(ids);
		return NULL;
	}
	return ids;
}

json_t *
kubelet_devices(const char *resource, const char *pod_uid, struct cnierr *e)
{
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };
	struct msg_devices_get get = { 0 };

	util_copy(get.resource, sizeof(get.resource), resource);
	call_devices(MSG_DEVICES_GET, &get, &m);
	if (m.body.devices_reply.error) {
		refuse_reply(&m.body.devices_reply, e);
		return NULL;
	}
	return read_reply(&m, resource, pod_uid, e);
}

int
kubelet_devinfo(unsigned op, const struct delegate *d, char **text, size_t *len, struct cnierr *e)
{
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };
	const struct msg_devices_reply *r = &m.body.devices_reply;
	struct msg_devinfo q = { .op = op };

	/* It is there when the configuration says so; what an earlier one left has nobody to remove it. */
	if (channel.fd < 0) {
		log_warn("network %s: its device-information file stays: devices.podResources is not configured any more", d->display);
		return 0;
	}
	memcpy(q.network, d->display, sizeof(q.network));
	memcpy(q.ifname, d->ifname, sizeof(q.ifname));
	if (op == DEVINFO_COPY) {
		memcpy(q.resource, d->resource, sizeof(q.resource));
		memcpy(q.device, d->device, sizeof(q.device));
	}
	call_devices(MSG_DEVINFO, &q, &m);
	if (r->error && r->error != -ENOENT)
		return refuse_reply(r, e);
	if (r->error || op != DEVINFO_READ)
		return r->error ? 0 : 1;
	return priv_copy_memfd(&m, "device-information file", text, len, e) ? -1 : 1;
}
