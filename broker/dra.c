/* Dynamic resource allocation: the devices in the pod's ResourceClaims, by what ResourceSlices say of them.
 * Runs in: worker.  Trusts: nothing that the API server says.  Source: Kubernetes resource.k8s.io/v1; the attributes are NPWG's. */
#include <stdio.h>
#include <string.h>

#include "broker/devices.h"
#include "broker/json.h"
#include "broker/priv.h"
#include "netpriv/log.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

#define ID_ATTRIBUTE "k8s.cni.cncf.io/deviceID"
#define NAME_ATTRIBUTE "k8s.cni.cncf.io/resourceName"
#define RESULTS_MAX 256 /* allocated devices of one pod */
#define PAGES_MAX 512
#define PAGE 8 /* slices; a large one has a quarter of a megabyte */

struct search {
	const char *resource;
	char node[256];
	/* Of all claims: {driver, pool, device, request, claim}; "extended" when it is the extended resources' claim; "generation",
	 * "id", "name" when a slice is found. */
	json_t *results;
	struct cnierr *why; /* the first thing that is wrong */
};

static const char *
text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "";
}

static void
note(struct search *s, const struct cnierr *e)
{
	if (e->code && !s->why->code)
		*s->why = *e;
}

/* Keeps of each allocated device what identifies it. */
static void
add_results(struct search *s, const json_t *list, const char *claim, bool extended, struct cnierr *e)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *driver = "", *pool = "", *device = "", *request = "";
		json_t *r;

		if (json_array_size(s->results) == RESULTS_MAX) {
			cnierr_set(e, CNI_ERR_CONFIG, "the pod has more than %d allocated devices", RESULTS_MAX);
			return;
		}
		if (json_member_string(item, "driver", "ResourceClaim", &driver, e) ||
		    json_member_string(item, "pool", "ResourceClaim", &pool, e) ||
		    json_member_string(item, "device", "ResourceClaim", &device, e) ||
		    json_member_string(item, "request", "ResourceClaim", &request, e))
			return;
		r = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "driver", driver, "pool", pool, "device", device, "request", request,
			      "claim", claim, "extended", extended);
		json_array_append_new(s->results, r);
	}
}

static void
read_claim(struct search *s, const char *name, bool extended)
{
	cleanup_json json_t *claim = NULL;
	json_t *status = NULL, *allocation = NULL, *devices = NULL, *list = NULL;
	struct cnierr e = { 0 };
	char where[512] = "", what[280];

	snprintf(what, sizeof(what), "ResourceClaim %.253s", name);
	claim = kube_get_claim(name, where, &e);
	if (!claim && !e.code)
		cnierr_set(&e, CNI_ERR_CONFIG, "%s not found: %s", what, where);
	else if (claim && !json_member_object(claim, "status", what, &status, &e) &&
		 !json_member_object(status, "allocation", what, &allocation, &e) &&
		 !json_member_object(allocation, "devices", what, &devices, &e) &&
		 !json_member_array(devices, "results", what, &list, &e)) {
		if (json_array_size(list) == 0)
			cnierr_set(&e, CNI_ERR_CONFIG, "%s has no device allocation", what);
		add_results(s, list, name, extended, &e);
	}
	note(s, &e);
}

/* An attribute's text, or "". */
static const char *
attribute(const json_t *device, const char *name)
{
	return text(json_object_get(json_object_get(device, "attributes"), name), "string");
}

/* Of a pool only the slices of its newest generation count. */
static void
match_device(json_t *r, const json_t *devices, json_int_t generation)
{
	json_t *device, *seen = json_object_get(r, "generation");
	size_t i;

	if (seen && json_integer_value(seen) > generation)
		return;
	if (seen && json_integer_value(seen) < generation) {
		json_object_del(r, "id");
		json_object_del(r, "name");
	}
	json_object_set_new(r, "generation", json_integer(generation));
	json_array_foreach(devices, i, device) {
		if (strcmp(text(device, "name"), text(r, "device")) != 0)
			continue;
		json_object_set_new(r, "id", json_string(attribute(device, ID_ATTRIBUTE)));
		json_object_set_new(r, "name", json_string(attribute(device, NAME_ATTRIBUTE)));
	}
}

static void
match_slice(struct search *s, const json_t *slice)
{
	const json_t *spec = json_object_get(slice, "spec"), *pool = json_object_get(spec, "pool");
	json_t *r;
	size_t i;

	json_array_foreach(s->results, i, r)
		if (strcmp(text(spec, "driver"), text(r, "driver")) == 0 && strcmp(text(pool, "name"), text(r, "pool")) == 0)
			match_device(r, json_object_get(spec, "devices"), json_integer_value(json_object_get(pool, "generation")));
}

/* 1: there are more; 0; -1 with e. */
static int
read_page(struct search *s, const char *driver, const char *node, char more[512], struct cnierr *e)
{
	static const char what[] = "list of ResourceSlices";
	json_t *items = NULL, *metadata = NULL, *slice;
	const char *token = "";
	char where[512] = "";
	size_t i;
	cleanup_json json_t *page = kube_get_slices(driver, node, more, PAGE, where, e);

	if (!page && e->code) { /* perhaps for its size */
		*e = (struct cnierr){ 0 };
		page = kube_get_slices(driver, node, more, 1, where, e);
	}
	if (!page)
		return e->code ? -1 : cnierr_set(e, CNI_ERR_CONFIG, "the API server has no resource.k8s.io/v1: %s", where);
	if (json_member_array(page, "items", what, &items, e) || json_member_object(page, "metadata", what, &metadata, e) ||
	    json_member_string(metadata, "continue", what, &token, e))
		return -1;
	json_array_foreach(items, i, slice)
		match_slice(s, slice);
	if (util_copy(more, 512, token))
		return cnierr_set(e, CNI_ERR_DECODE, "%s: its token is too long", what);
	return *token != '\0';
}

/* Is there a device of that driver that no slice has been found for? */
static bool
is_missing(const struct search *s, const char *driver)
{
	json_t *r;
	size_t i;

	json_array_foreach(s->results, i, r)
		if (strcmp(text(r, "driver"), driver) == 0 && !json_object_get(r, "id"))
			return true;
	return false;
}

/* Of the devices of its driver. */
static bool
is_first(const json_t *results, size_t i)
{
	const char *driver = text(json_array_get(results, i), "driver");

	while (i-- > 0)
		if (strcmp(text(json_array_get(results, i), "driver"), driver) == 0)
			return false;
	return true;
}

/* The node's own slices, and then those of devices that several nodes can reach. */
static void
find_slices(struct search *s, const char *driver)
{
	const char *const nodes[] = { s->node, "" };
	struct cnierr e = { 0 };

	for (size_t i = s->node[0] ? 0 : 1; i < ARRAY_LEN(nodes) && !e.code && is_missing(s, driver); i++) {
		char more[512] = "";
		unsigned pages = 0;

		while (read_page(s, driver, nodes[i], more, &e) == 1)
			if (++pages == PAGES_MAX)
				cnierr_set(&e, CNI_ERR_CONFIG, "driver %s has too many ResourceSlices", driver);
			else
				continue;
	}
	note(s, &e);
}

static void
add_device(json_t *ids, const json_t *r)
{
	json_array_append(ids, json_object_get(r, "id"));
}

/* Devices that were asked for through the container's resources, where a mapping says which request is of which resource. */
static void
take_mapped(struct search *s, const json_t *mapping, json_t *ids)
{
	const char *request = text(mapping, "requestName");
	struct cnierr e = { 0 };
	size_t i, found = 0;
	json_t *r;

	if (strcmp(text(mapping, "resourceName"), s->resource) != 0)
		return;
	json_array_foreach(s->results, i, r) {
		if (!json_is_true(json_object_get(r, "extended")) || strcmp(text(r, "request"), request) != 0)
			continue;
		found++;
		if (!*text(r, "id"))
			cnierr_set(&e, CNI_ERR_CONFIG, "device %.64s of request %.64s: no ResourceSlice gives it a %s", text(r, "device"),
				   request, ID_ATTRIBUTE);
		else if (strcmp(text(r, "name"), s->resource) != 0)
			cnierr_set(&e, CNI_ERR_CONFIG, "device %.64s of request %.64s: its attribute %s is \"%.128s\", not \"%.128s\"",
				   text(r, "device"), request, NAME_ATTRIBUTE, text(r, "name"), s->resource);
		else
			add_device(ids, r);
	}
	if (!found)
		cnierr_set(&e, CNI_ERR_CONFIG, "request %.64s not found in the claim of the pod's extended resources", request);
	note(s, &e);
}

static void
take_claimed(struct search *s, json_t *ids)
{
	json_t *r;
	size_t i;

	json_array_foreach(s->results, i, r) {
		if (json_is_true(json_object_get(r, "extended")))
			continue;
		if (!*text(r, "id") || !*text(r, "name"))
			log_info("device %s/%s/%s of claim %s: no ResourceSlice gives it %s and %s: it is of no network",
				 text(r, "driver"), text(r, "pool"), text(r, "device"), text(r, "claim"), ID_ATTRIBUTE, NAME_ATTRIBUTE);
		else if (strcmp(text(r, "name"), s->resource) == 0)
			add_device(ids, r);
	}
}

/* The pod's status, which was not asked for before. */
static json_t *
read_pod(const struct pod *pod, struct search *s)
{
	char where[512] = "";
	json_t *manifest = kube_get_pod(true, where, s->why), *spec = NULL, *metadata = NULL;
	const char *node = "", *uid = "";

	if (!manifest && !s->why->code)
		cnierr_set(s->why, CNI_ERR_INTERNAL, "pod not found: %s", where);
	if (!manifest || json_member_object(manifest, "spec", "pod", &spec, s->why) ||
	    json_member_object(manifest, "metadata", "pod", &metadata, s->why) ||
	    json_member_string(spec, "nodeName", "pod", &node, s->why) || json_member_string(metadata, "uid", "pod", &uid, s->why)) {
		json_decref(manifest);
		return NULL;
	}
	if (strcmp(uid, pod->uid) != 0)
		cnierr_set(s->why, CNI_ERR_CONFIG, "the pod was replaced by another of its name");
	else if (util_copy(s->node, sizeof(s->node), node) == 0)
		return manifest;
	json_decref(manifest);
	return NULL;
}

void
dra_devices(const struct pod *pod, const char *resource, json_t *ids, struct cnierr *why)
{
	cleanup_json json_t *results = json_array();
	struct search s = { .resource = resource, .results = results, .why = why };
	cleanup_json json_t *manifest = read_pod(pod, &s);
	json_t *status = json_object_get(manifest, "status"), *extended = json_object_get(status, "extendedResourceClaimStatus"), *v;
	size_t i;

	json_array_foreach(json_object_get(status, "resourceClaimStatuses"), i, v)
		if (*text(v, "resourceClaimName"))
			read_claim(&s, text(v, "resourceClaimName"), false);
	if (*text(extended, "resourceClaimName"))
		read_claim(&s, text(extended, "resourceClaimName"), true);
	json_array_foreach(results, i, v)
		if (is_first(results, i))
			find_slices(&s, text(v, "driver"));
	take_claimed(&s, ids);
	json_array_foreach(json_object_get(extended, "requestMappings"), i, v)
		take_mapped(&s, v, ids);
}
