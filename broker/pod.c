/* The pod's manifest, as far as networks matter.
 * Runs in: worker.  Trusts: nothing; a manifest that is not the target's is an error, never
 * another pod's networks. */
#include <stdio.h>
#include <string.h>

#include "broker/delegate.h"
#include "broker/json.h"
#include "netpriv/check.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

static int
check_kind(const json_t *manifest, const char *what, struct cnierr *e)
{
	const char *kind = "";

	if (!json_is_object(manifest))
		return cnierr_set(e, CNI_ERR_DECODE, "%s: must be an object", what);
	if (json_member_string(manifest, "kind", what, &kind, e))
		return -1;
	if (strcmp(kind, "Pod") && strcmp(kind, "PartialObjectMetadata"))
		return cnierr_set(e, CNI_ERR_DECODE, "%s: kind is \"%.64s\", not \"Pod\"", what,
				  kind);
	return 0;
}

static int
read_annotations(const json_t *metadata, const char *what, struct pod *p, struct cnierr *e)
{
	const char *key, *source;
	json_t *map = NULL, *v;

	if (json_member_object(metadata, "annotations", what, &map, e))
		return -1;
	json_object_foreach(map, key, v) if (!json_is_string(v)) return cnierr_set(
	    e, CNI_ERR_DECODE, "%s: annotation \"%.128s\" must be a string", what, key);
	p->annotations = json_incref(map);
	source = json_string_value(json_object_get(map, "kubernetes.io/config.source"));
	p->is_static = source && *source && strcmp(source, "api") != 0;
	return 0;
}

/* metadata against the target. A manifest may leave its namespace out: then it is where it was
 * found. */
static int
check_identity(const json_t *metadata, const char *what, const struct wire_target *t, struct pod *p,
	       struct cnierr *e)
{
	const char *name = "", *ns = t->pod_ns, *uid = "";

	if (json_member_string(metadata, "name", what, &name, e) ||
	    json_member_string(metadata, "namespace", what, &ns, e) ||
	    json_member_string(metadata, "uid", what, &uid, e))
		return -1;
	if (strcmp(name, t->pod_name) || strcmp(ns, t->pod_ns))
		return cnierr_set(e, CNI_ERR_CONFIG, "%s: the manifest is of pod %.64s/%.256s",
				  what, ns, name);
	if (!check_uid(uid) || util_copy(p->uid, sizeof(p->uid), uid))
		return cnierr_set(e, CNI_ERR_DECODE, "%s: metadata.uid \"%.64s\" is not a uid",
				  what, uid);
	/* The kubelet knows a static pod by a hash, the API server its mirror by another uid. */
	if (!p->is_static && *uid && t->pod_uid[0] && strcmp(uid, t->pod_uid))
		return cnierr_set(
		    e, CNI_ERR_CONFIG,
		    "%s: its uid is now %s, but the runtime asks for uid %s: the pod was replaced",
		    what, uid, t->pod_uid);
	return 0;
}

int
pod_parse(const json_t *manifest, const struct wire_target *target, struct pod *p, struct cnierr *e)
{
	char what[sizeof(target->pod_ns) + sizeof(target->pod_name) + 8];
	json_t *metadata = NULL;

	memset(p, 0, sizeof(*p));
	snprintf(what, sizeof(what), "pod %s/%s", target->pod_ns, target->pod_name);
	if (check_kind(manifest, what, e) ||
	    json_member_object(manifest, "metadata", what, &metadata, e))
		return -1;
	if (!metadata)
		return cnierr_set(e, CNI_ERR_DECODE, "%s: the manifest has no metadata", what);
	if (read_annotations(metadata, what, p, e) ||
	    check_identity(metadata, what, target, p, e)) {
		pod_clear(p);
		return -1;
	}
	util_copy(p->ns, sizeof(p->ns), target->pod_ns);
	util_copy(p->name, sizeof(p->name), target->pod_name);
	p->known = true;
	return 0;
}

void
pod_clear(struct pod *p)
{
	json_decref(p->annotations);
	memset(p, 0, sizeof(*p));
}
