/* Devices among the networks of one pod.
 * Runs in: worker.  Trusts: conf; not what the kubelet or the API server says. */
#include "broker/devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/inject.h"
#include "broker/json.h"
#include "broker/priv.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

#define INFO_FILE "CNIDeviceInfoFile" /* the capability argument */
#define DEVICES_MAX 4096

static int
compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int
devices_sort(json_t *ids, struct cnierr *e)
{
	cleanup_json json_t *sorted = json_array();
	const char *names[DEVICES_MAX];
	size_t i, n = json_array_size(ids);
	json_t *v;

	if (n > DEVICES_MAX)
		return cnierr_set(e, CNI_ERR_CONFIG, "the pod has more than %d devices of one resource", DEVICES_MAX);
	json_array_foreach(ids, i, v) {
		names[i] = json_string_value(v);
		if (!names[i] || !*names[i] || strlen(names[i]) >= sizeof(((struct delegate *)0)->device) || !check_visible(names[i]))
			return cnierr_set(e, CNI_ERR_DECODE, "\"%.64s\" is not the name of a device", names[i] ? names[i] : "");
	}
	qsort(names, n, sizeof(names[0]), compare_text);
	for (i = 0; i < n; i++)
		if (i == 0 || strcmp(names[i - 1], names[i]) != 0)
			json_array_append_new(sorted, json_string(names[i]));
	return json_array_clear(ids) || json_array_extend(ids, sorted)
		   ? cnierr_set(e, CNI_ERR_INTERNAL, "out of memory for the pod's devices")
		   : 0;
}

json_t *
devices_checkpoint(const json_t *file, const char *pod_uid, const char *resource, struct cnierr *e)
{
	static const char what[] = "the kubelet's checkpoint file";
	json_t *data = NULL, *entries = NULL, *entry, *by_node, *list, *id;
	cleanup_json json_t *ids = json_array();
	const char *node;
	size_t i, k;

	if (!*pod_uid) {
		cnierr_set(e, CNI_ERR_CONFIG, "%s knows pods by their uid, and neither the runtime nor the pod names one", what);
		return NULL;
	}
	if (json_member_object(file, "Data", what, &data, e) || json_member_array(data, "PodDeviceEntries", what, &entries, e))
		return NULL;
	if (!data) {
		cnierr_set(e, CNI_ERR_DECODE, "%s has no \"Data\"", what);
		return NULL;
	}
	json_array_foreach(entries, i, entry) {
		const char *uid = "", *of = "";

		by_node = NULL;
		if (json_member_string(entry, "PodUID", what, &uid, e) || json_member_string(entry, "ResourceName", what, &of, e))
			return NULL;
		if (strcmp(uid, pod_uid) != 0 || strcmp(of, resource) != 0)
			continue;
		if (json_member_object(entry, "DeviceIDs", what, &by_node, e))
			return NULL;
		json_object_foreach(by_node, node, list)
			json_array_foreach(list, k, id)
				json_array_append(ids, id);
	}
	return json_incref(ids);
}

/* ids: of d's resource. All networks of l from d on that need one of these. */
static int
share_out(const json_t *ids, const json_t *used, struct delegate_list *l, size_t first, const struct cnierr *why, struct cnierr *e)
{
	const char *resource = l->e[first].resource;
	size_t next = 0, n = json_array_size(ids);

	for (size_t i = first; i < l->n; i++) {
		struct delegate *d = &l->e[i];

		if (strcmp(d->resource, resource) != 0)
			continue;
		if (next == n)
			return cnierr_set(e, why->code ? why->code : CNI_ERR_CONFIG,
					  "network %s needs a device of %s, but the pod has %zu of these for %s networks%s%s",
					  d->display, resource, n, used ? "more" : "all its", why->code ? ": " : "", why->msg);
		if (inject_device(d, json_string_value(json_array_get(ids, next++)), e))
			return -1;
	}
	return 0;
}

/* The devices of that resource, and those that the pod chose itself, are taken out of ids, which may be NULL. How many there are. */
static size_t
drop_used(json_t *ids, const json_t *used, const char *resource)
{
	size_t i, k, n = 0;
	json_t *pair, *id;

	json_array_foreach((json_t *)(uintptr_t)used, i, pair) {
		const char *of = json_string_value(json_array_get(pair, 0));

		if (*of && strcmp(of, resource) != 0)
			continue;
		n++;
		json_array_foreach(ids, k, id)
			if (json_equal(id, json_array_get(pair, 1)))
				json_array_remove(ids, k--);
	}
	return n;
}

/* A device that the pod names itself must not be another network's. */
static int
check_own(const struct delegate_list *l, const json_t *used, struct cnierr *e)
{
	json_t *pair;
	size_t n;

	json_array_foreach((json_t *)(uintptr_t)used, n, pair)
		for (size_t i = 0; i < l->n; i++)
			if (l->e[i].device[0] && !l->e[i].resource[0] &&
			    strcmp(l->e[i].device, json_string_value(json_array_get(pair, 1))) == 0)
				return cnierr_set(e, CNI_ERR_CONFIG, "device %s is asked for by network %s, but another one of the pod has it",
						  l->e[i].device, l->e[i].display);
	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; k < i; k++)
			if (l->e[i].device[0] && (!l->e[i].resource[0] || !l->e[k].resource[0]) &&
			    strcmp(l->e[i].device, l->e[k].device) == 0)
				return cnierr_set(e, CNI_ERR_CONFIG, "device %s is asked for by network %s and by network %s",
						  l->e[i].device, l->e[k].display, l->e[i].display);
	return 0;
}

/* The name is known to others; what would not be a file's name gets no file. */
static int
name_info(const struct conf *conf, const struct wire_target *target, struct delegate *d, struct cnierr *e)
{
	char name[512], path[CONF_PATH + 264];
	int n = snprintf(name, sizeof(name), "%s-%s_%s", d->display, target->container_id, d->ifname);

	if (!d->device[0] || d->master || !conf->devinfo[0] || !conf->pod_resources[0] || n > 255)
		return 0;
	for (char *p = name; (p = strchr(p, '/'));)
		*p = '-';
	snprintf(path, sizeof(path), "%s/cni/%.255s", conf->devinfo, name);
	return json_object_set_new(d->runtime, INFO_FILE, json_string(path))
		   ? cnierr_set(e, CNI_ERR_INTERNAL, "network %s: out of memory", d->display)
		   : 0;
}

int
devices_allocate(const struct conf *conf, const struct wire_target *target, const struct pod *pod, const struct delegate_source *src,
		 const json_t *used, struct delegate_list *l, struct cnierr *e)
{
	for (size_t i = 0; i < l->n; i++) {
		struct device_request q = { .resource = l->e[i].resource, .pod = pod };
		cleanup_json json_t *ids = NULL;
		struct cnierr why = { 0 };

		if (!l->e[i].resource[0] || l->e[i].device[0])
			continue;
		if (!conf->pod_resources[0])
			return cnierr_set(e, CNI_ERR_CONFIG,
					  "network %s needs a device of %s, but this node gives out none: set devices.podResources in "
					  "the node configuration",
					  l->e[i].display, q.resource);
		q.wanted = drop_used(NULL, used, q.resource);
		for (size_t k = i; k < l->n; k++)
			q.wanted += strcmp(l->e[k].resource, q.resource) == 0;
		q.pod_uid = target->pod_uid[0] || !pod ? target->pod_uid : pod->uid;
		ids = src->devices(src->ctx, &q, &why, e);
		drop_used(ids, used, q.resource);
		if (!ids || share_out(ids, used, l, i, &why, e))
			return cnierr_prefix(e, "devices");
	}
	for (size_t i = 0; i < l->n; i++)
		if (name_info(conf, target, &l->e[i], e))
			return -1;
	return check_own(l, used, e);
}

static bool
has_info(const struct delegate *d)
{
	return json_object_get(d->runtime, INFO_FILE) != NULL && d->device[0];
}

int
devices_info_copy(const struct delegate *d, struct cnierr *e)
{
	if (!has_info(d) || !d->resource[0])
		return 0;
	/* Not every device plugin leaves one. */
	return kubelet_devinfo(DEVINFO_COPY, d, NULL, NULL, e) < 0 ? -1 : 0;
}

void
devices_info_read(struct delegate *d)
{
	struct cnierr e = { 0 };
	cleanup_free char *text = NULL;
	size_t len;

	if (!has_info(d))
		return;
	if (kubelet_devinfo(DEVINFO_READ, d, &text, &len, &e) == 1)
		d->device_info = json_read(text, len, "device-information file", &e);
	if (d->device_info && !json_is_object(d->device_info)) {
		cnierr_set(&e, CNI_ERR_DECODE, "device-information file: must be an object");
		json_decref(d->device_info);
		d->device_info = NULL;
	}
	if (e.code)
		log_warn("network %s: %s", d->display, e.msg);
}

int
devices_info_remove(const struct delegate *d, struct cnierr *e)
{
	return has_info(d) && kubelet_devinfo(DEVINFO_REMOVE, d, NULL, NULL, e) < 0 ? -1 : 0;
}
