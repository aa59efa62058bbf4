"""The kinds that are served: what a new object must be like, and what an update may change."""
import base64
import datetime
import json
import re

from cryptography import x509

from .errors import ApiError, invalid

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
SUBDOMAIN_SAID = ("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
                  "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
                  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')")
QUALIFIED = re.compile(r"(" + SUBDOMAIN.pattern + r"/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
ANNOTATIONS_MAX = 262144


def now():
    return datetime.datetime.utcnow().strftime("%Y-%m-%dT%H:%M:%SZ")


class Resource:
    """A kind and its place below /api or /apis; what most kinds have in common."""
    group, version, plural, kind = "", "v1", "", ""
    namespaced, custom = True, False
    subresources = ()
    verbs = ("get", "list", "watch", "create", "update", "patch", "delete")
    fields = {}  # further field selectors: label -> function of the object
    known = {"apiVersion", "kind", "metadata", "spec", "status"}  # what else comes is dropped with a warning

    @property
    def api_version(self):
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self):
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def field(self, obj, label):
        meta = obj["metadata"]
        if label == "metadata.name":
            return meta["name"]
        if label == "metadata.namespace" and self.namespaced:
            return meta.get("namespace", "")
        if label in self.fields:
            return self.fields[label](obj)
        raise KeyError(label)

    def check_types(self, obj):
        """What the decoder of the real one refuses; a ValueError says what."""
        meta = obj.get("metadata", {})
        if not isinstance(meta, (dict, type(None))):
            raise ValueError("cannot unmarshal number into Go struct field .metadata of type v1.ObjectMeta")
        meta = meta or {}
        for field in ("annotations", "labels"):
            value = meta.get(field)
            if value is not None and not (isinstance(value, dict) and all(isinstance(v, str) for v in value.values())):
                raise ValueError(f"cannot unmarshal number into Go struct field ObjectMeta.metadata.{field} of type string")
        for field in ("name", "namespace", "uid", "resourceVersion", "generateName"):
            if not isinstance(meta.get(field, ""), (str, type(None))):
                raise ValueError(f"cannot unmarshal number into Go struct field ObjectMeta.metadata.{field} of type string")

    def check_name(self, name):
        if len(name) > 253 or not SUBDOMAIN.fullmatch(name):
            raise invalid(self, name, "metadata.name", "Invalid value", f'"{name}": {SUBDOMAIN_SAID}')

    def check_metadata(self, obj):
        meta = obj["metadata"]
        name = meta["name"]
        self.check_name(name)
        for field in ("annotations", "labels"):
            if field in meta and not meta[field]:
                del meta[field]
        annotations = meta.get("annotations", {})
        for key in annotations:
            if not QUALIFIED.fullmatch(key.lower()):
                raise invalid(self, name, "metadata.annotations", "Invalid value", f'"{key}": name part must consist of '
                              "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character")
        if sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > ANNOTATIONS_MAX:
            raise invalid(self, name, "metadata.annotations", "Too long", f"may not be more than {ANNOTATIONS_MAX} bytes")

    def prepare_create(self, obj, user):
        """Fills in and validates."""

    def prepare_update(self, new, old, sub):
        """Resets silently what may not change through this door, and refuses what it must."""


class Namespace(Resource):
    plural, kind, namespaced = "namespaces", "Namespace", False

    def prepare_create(self, obj, user):
        obj.setdefault("spec", {"finalizers": ["kubernetes"]})
        obj.setdefault("status", {"phase": "Active"})
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"]["name"]


class Pod(Resource):
    plural, kind = "pods", "Pod"
    subresources = ("status",)
    fields = {"spec.nodeName": lambda o: o["spec"].get("nodeName", ""),
              "spec.restartPolicy": lambda o: o["spec"].get("restartPolicy", ""),
              "status.phase": lambda o: o["status"].get("phase", "")}

    def prepare_create(self, obj, user):
        name, spec = obj["metadata"]["name"], obj.get("spec")
        if not isinstance(spec, dict) or not spec.get("containers"):
            raise invalid(self, name, "spec.containers", "Required value")
        for i, c in enumerate(spec["containers"]):
            for field in ("name", "image"):
                if not c.get(field):
                    raise invalid(self, name, f"spec.containers[{i}].{field}", "Required value")
        for field, value in (("restartPolicy", "Always"), ("terminationGracePeriodSeconds", 30), ("dnsPolicy", "ClusterFirst"),
                             ("securityContext", {}), ("schedulerName", "default-scheduler")):
            spec.setdefault(field, value)
        obj["status"] = {"phase": "Pending", "qosClass": "BestEffort"}

    def prepare_update(self, new, old, sub):
        if sub == "status":
            new["spec"] = old["spec"]
            for field in ("ownerReferences", "deletionTimestamp", "deletionGracePeriodSeconds"):
                new["metadata"].pop(field, None)
                if field in old["metadata"]:
                    new["metadata"][field] = old["metadata"][field]
            return
        new["status"] = old["status"]
        if new.get("spec") != old["spec"]:
            raise invalid(self, old["metadata"]["name"], "spec", "Forbidden", "pod updates may not change fields other than "
                          "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
                          "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
                          "(allow it to be set to 1 if it was previously negative)")


class Nad(Resource):
    group, plural, kind, custom = "k8s.cni.cncf.io", "network-attachment-definitions", "NetworkAttachmentDefinition", True
    known = {"apiVersion", "kind", "metadata", "spec"}

    def check_types(self, obj):
        super().check_types(obj)
        spec = obj.get("spec", {})
        field, wanted = ("spec.config", "string") if isinstance(spec, dict) else ("spec", "object")
        value = spec.get("config", "") if isinstance(spec, dict) else spec
        if field == "spec" or not isinstance(value, str):
            kind = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}.get(
                type(value), "null")
            raise invalid(self, str((obj.get("metadata") or {}).get("name", "")), field, "Invalid value",
                          f'"{kind}": {field} in body must be of type {wanted}: "{kind}"', "FieldValueTypeInvalid")

    @staticmethod
    def prune(obj):
        """What the schema does not know is not kept."""
        if "spec" in obj:
            obj["spec"] = {k: v for k, v in obj["spec"].items() if k == "config"}

    def prepare_create(self, obj, user):
        self.prune(obj)
        obj["metadata"]["generation"] = 1

    def prepare_update(self, new, old, sub):
        def content(o):
            return {k: v for k, v in o.items() if k != "metadata"}

        self.prune(new)
        new["metadata"]["generation"] = old["metadata"]["generation"] + (content(new) != content(old))


class Event(Resource):
    plural, kind = "events", "Event"
    known = {"apiVersion", "kind", "metadata", "involvedObject", "reason", "message", "type", "source", "count", "series",
             "firstTimestamp", "lastTimestamp", "eventTime", "action", "related", "reportingComponent", "reportingInstance"}
    fields = {"reason": lambda o: o.get("reason", ""), "type": lambda o: o.get("type", ""),
              **{f"involvedObject.{f}": lambda o, f=f: o["involvedObject"].get(f, "")
                 for f in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")}}

    def check_types(self, obj):
        super().check_types(obj)
        for field, form in (("firstTimestamp", TIME), ("lastTimestamp", TIME), ("eventTime", MICRO_TIME)):
            value = obj.get(field)
            if value is not None and not (isinstance(value, str) and form.fullmatch(value)):
                raise ValueError(f'parsing time "{value}" of {field}')
        if not isinstance(obj.get("involvedObject") or {}, dict) or not isinstance(obj.get("source") or {}, dict):
            raise ValueError("cannot unmarshal into Go struct field Event.involvedObject of type v1.ObjectReference")
        if not isinstance(obj.get("count", 0), int):
            raise ValueError("cannot unmarshal into Go struct field Event.count of type int32")
        for field in ("reason", "message", "type"):
            if not isinstance(obj.get(field, ""), str):
                raise ValueError(f"cannot unmarshal into Go struct field Event.{field} of type string")

    def check_name(self, name):
        """The real one takes any here that a path can hold."""
        if name in (".", "..") or "/" in name or "%" in name:
            raise invalid(self, name, "metadata.name", "Invalid value", f'"{name}": may not be, or contain, this')

    def prepare_create(self, obj, user):
        name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
        for field in ("firstTimestamp", "lastTimestamp", "eventTime"):
            obj.setdefault(field, None)
        for field in ("reportingComponent", "reportingInstance"):
            obj.setdefault(field, "")
        obj.setdefault("source", {})
        involved = obj.setdefault("involvedObject", {})
        where = involved.get("namespace", "")
        if where != namespace and not (where == "" and namespace == "default"):
            raise invalid(self, name, "involvedObject.namespace", "Invalid value", f'"{where}": does not match event.namespace')
        if obj.get("eventTime"):
            for field in ("reportingComponent", "reportingInstance", "action", "reason"):
                if not obj.get(field):
                    raise invalid(self, name, field, "Required value")
            if obj.get("type") not in ("Normal", "Warning"):
                raise invalid(self, name, "type", "Invalid value", f'"{obj.get("type", "")}": has invalid value')
            if len(obj.get("message", "")) > 1024:
                raise invalid(self, name, "message", "Invalid value", '"": can have at most 1024 bytes')


class Csr(Resource):
    group, plural, kind = "certificates.k8s.io", "certificatesigningrequests", "CertificateSigningRequest"
    namespaced, subresources = False, ("status", "approval")
    fields = {"spec.signerName": lambda o: o["spec"].get("signerName", "")}

    def prepare_create(self, obj, user):
        name, spec = obj["metadata"]["name"], obj.get("spec") or {}
        obj["spec"], obj["status"] = spec, {}
        try:
            pem = base64.b64decode(spec.get("request", ""), validate=True)
            if not x509.load_pem_x509_csr(pem).is_signature_valid:
                raise ValueError
        except (ValueError, TypeError):
            raise invalid(self, name, "spec.request", "Invalid value", '"": PEM block type must be CERTIFICATE REQUEST') from None
        signer = spec.get("signerName", "")
        if not signer:
            raise invalid(self, name, "spec.signerName", "Required value")
        if signer == "kubernetes.io/legacy-unknown":
            raise invalid(self, name, "spec.signerName", "Invalid value", f'"{signer}": the legacy signerName is not allowed via '
                          "this API version")
        if "/" not in signer:
            raise invalid(self, name, "spec.signerName", "Invalid value", f'"{signer}": must be a fully qualified domain and '
                          "path of the form 'example.com/signer-name'")
        if not spec.get("usages"):
            raise invalid(self, name, "spec.usages", "Required value")
        seconds = spec.get("expirationSeconds")
        if seconds is not None and seconds < 600:
            raise invalid(self, name, "spec.expirationSeconds", "Invalid value", f"{seconds}: may not specify a duration less "
                          "than 600 seconds (10 minutes)")
        spec["username"], spec["groups"] = user.name, list(user.groups)

    def prepare_update(self, new, old, sub):
        new["spec"] = old["spec"]
        status, was = new.get("status") or {}, old.get("status") or {}
        if not sub:
            new["status"] = old["status"]
        elif sub == "approval":
            new["status"] = {**was, "conditions": status.get("conditions", [])}
        else:
            decided = {"Approved", "Denied"}
            kept = [c for c in was.get("conditions", []) if c["type"] in decided]
            given = [c for c in status.get("conditions", []) if c["type"] not in decided]
            new["status"] = {**status, "conditions": kept + given}
        for c in new["status"].get("conditions", []):
            if c.get("type") not in ("Approved", "Denied", "Failed") or c.get("status") != "True":
                raise invalid(self, old["metadata"]["name"], "status.conditions[0].status", "Invalid value", "must be True")
            c.setdefault("lastTransitionTime", now())
            c.setdefault("lastUpdateTime", now())


class ResourceClaim(Resource):
    group, plural, kind, subresources = "resource.k8s.io", "resourceclaims", "ResourceClaim", ("status",)

    def prepare_create(self, obj, user):
        obj.setdefault("spec", {})
        obj["status"] = {}

    def prepare_update(self, new, old, sub):
        new["spec"] = old["spec"]
        if not sub:
            new["status"] = old["status"]


class ResourceSlice(Resource):
    group, plural, kind, namespaced = "resource.k8s.io", "resourceslices", "ResourceSlice", False
    known = {"apiVersion", "kind", "metadata", "spec"}
    fields = {"spec.nodeName": lambda o: o["spec"].get("nodeName", ""), "spec.driver": lambda o: o["spec"].get("driver", "")}

    def prepare_create(self, obj, user):
        name, spec = obj["metadata"]["name"], obj.get("spec") or {}
        if not spec.get("driver") or not (spec.get("pool") or {}).get("name"):
            raise invalid(self, name, "spec.driver", "Required value")
        where = [k for k in ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection") if spec.get(k)]
        if len(where) != 1:
            raise invalid(self, name, "spec", "Required value", "exactly one of `nodeName`, `nodeSelector`, `allNodes`, "
                          "`perDeviceNodeSelection` is required")
        for i, device in enumerate(spec.get("devices") or []):
            for key, value in (device.get("attributes") or {}).items():
                if len(value) != 1 or not set(value) <= {"int", "bool", "string", "version"}:
                    raise invalid(self, name, f"spec.devices[{i}].attributes[{key}]", "Required value", "exactly one value must be "
                                  "specified")


RESOURCES = {(r.group, r.version, r.plural): r for r in (Namespace(), Pod(), Nad(), Event(), Csr(), ResourceClaim(), ResourceSlice())}
BY_PLURAL = {r.plural: r for r in RESOURCES.values()}


def decode(resource, body):
    """The object in a body. Bytes that are no UTF-8 are replaced, not refused."""
    try:
        obj = json.loads(body.decode("utf-8", "replace"))
        if not isinstance(obj, dict):
            raise ValueError("cannot unmarshal into Go value")
    except (ValueError, RecursionError) as e:
        raise ApiError(400, f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {e}') from e
    return obj
