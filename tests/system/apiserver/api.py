"""What a request means and what is answered to it."""
import base64
import functools
import json
import random
import string
import urllib.parse

from .auth import authenticate
from .errors import (ApiError, PlainError, about, conflict, encode, exists, invalid, invalid_kind, no_method, no_resource,
                     not_found)
from .resources import BY_PLURAL, RESOURCES, decode, now
from .store import METADATA_VERSION, copy, merge, partial
from .watch import Watch, name_selected, parse_number, parse_version, selector

BODY_MAX = 3 * 1024 * 1024
NAMESPACES = BY_PLURAL["namespaces"]
PUBLIC = ("/healthz", "/livez", "/readyz", "/version")
VERSION = {"major": "1", "minor": "32", "gitVersion": "v1.32.0", "gitCommit": "", "gitTreeState": "clean",
           "buildDate": "2024-12-11T18:00:00Z", "goVersion": "go1.23.3", "compiler": "gc", "platform": "linux/amd64"}
MERGE_PATCH = "application/merge-patch+json"
ITEM_VERBS = {"GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
COLLECTION_VERBS = {"GET": "list", "HEAD": "list", "POST": "create", "DELETE": "deletecollection"}


class Request:
    """What was asked; kept by the server as the record of it. status is 0 as long as nothing was answered."""

    def __init__(self, headers, body):
        self.headers, self.body = headers, body
        self.method, target = headers[":method"], headers[":path"]
        self.path, _, query = target.partition("?")
        self.query = parse_query(query) if query else {}
        self.user, self.status, self.warnings = "", 0, ()
        self.user_agent, self.content_type = headers.get("user-agent", ""), headers.get("content-type", "")
        self.group, self.version, self.plural, self.namespace, self.name, self.sub = parse_path(self.path)
        self.verb = self.method.lower()
        if self.plural:
            self.verb = (ITEM_VERBS if self.name else COLLECTION_VERBS).get(self.method, self.verb)
            if self.verb == "list" and self.query:
                self.name = name_selected(self.query.get("fieldSelector", ""))
                if self.query.get("watch") in ("1", "true"):
                    self.verb = "watch"

    @property
    def resource(self):
        return f"{self.plural}/{self.sub}" if self.sub else self.plural

    def __repr__(self):
        return f"<{self.verb} {self.path} {self.query or ''} by {self.user or '?'}: {self.status}>"


class Response:
    __slots__ = ("status", "body", "content_type", "headers", "watch", "declared", "drip", "cut")

    def __init__(self, status, body, content_type="application/json", headers=(), watch=None):
        self.status, self.body, self.content_type, self.headers, self.watch = status, body, content_type, headers, watch
        self.declared = self.drip = self.cut = None


@functools.lru_cache(1000)
def parse_query(text):
    return dict(urllib.parse.parse_qsl(text, keep_blank_values=True))


@functools.lru_cache(10000)
def parse_path(path):
    """Group, version, resource, namespace, name, sub-resource; empty strings for what is not there."""
    parts = urllib.parse.unquote(path).rstrip("/").split("/")[1:] or [""]
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return ("",) * 6
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3:
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3:
        return ("",) * 6
    plural, name, sub = rest + [""] * (3 - len(rest))
    if plural == "namespaces":
        namespace = name
    return group, version, plural, namespace, name, sub


@functools.lru_cache(1000)
def accepts(header):
    """Whether metadata alone is wanted, and as what; raises 406 when nothing that is acceptable can be given."""
    for choice in (header or "*/*").split(","):
        kind, *parameters = [p.strip() for p in choice.split(";")]
        if kind not in ("application/json", "application/*", "*/*"):
            continue
        p = dict(q.partition("=")[::2] for q in parameters)
        shape = p.get("as")
        if shape is None:
            return False
        if shape in ("PartialObjectMetadata", "PartialObjectMetadataList") and p.get("g") == "meta.k8s.io" and p.get("v") == "v1":
            return shape
    raise ApiError(406, "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
                   "application/vnd.kubernetes.protobuf", details={})


def not_here():
    return PlainError(404, "404 page not found\n")


def unsupported(types):
    return ApiError(415, f"the body of the request was in an unknown format - accepted media types include: {types}")


class Api:
    def __init__(self, server):
        self.server, self.store = server, server.store
        for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
            self.ensure_namespace(name)

    def answer(self, req, peer_user):
        try:
            return self.serve(req, peer_user)
        except ApiError as e:
            headers = [("retry-after", str(e.retry_after))] if e.retry_after is not None else []
            return Response(e.code, encode(e.status), headers=headers)
        except PlainError as e:
            return Response(e.code, e.text.encode(), "text/plain; charset=utf-8")

    def serve(self, req, peer_user):
        public, shown = req.path in PUBLIC, req.headers.get("authorization")
        user = authenticate(self.server.tokens, self.server.pki.believed, peer_user, shown, self.server.anonymous or public)
        req.user = user.name
        if public:
            return Response(200, encode(VERSION)) if req.path == "/version" else Response(200, b"ok", "text/plain; charset=utf-8")
        if req.path.startswith("//"):
            raise not_here()
        self.server.rbac.check(user, req)
        resource = self.find_resource(req)
        do = getattr(self, "do_" + req.verb, None)
        if do is None or req.method == "HEAD" or (req.sub and req.verb not in ("get", "update", "patch")) or \
                (req.method in ("PUT", "PATCH") and not req.name) or (req.method == "POST" and req.name):
            raise no_method()
        if resource.namespaced and not req.namespace and req.verb not in ("list", "watch"):
            if not req.name:
                raise no_method()
            raise ApiError(400, "Namespace parameter required.")
        shape = accepts(req.headers.get("accept"))
        listed = req.verb == "list"
        if shape and req.verb != "watch" and listed != shape.endswith("List"):
            raise ApiError(406, f"you requested {shape}, but the requested object is {'' if listed else 'not '}a list")
        response = do(req, resource, user, bool(shape))
        if req.warnings:
            response.headers = [("warning", f'299 - "unknown field \\"{field}\\""') for field in req.warnings]
        return response

    def find_resource(self, req):
        resource = RESOURCES.get((req.group, req.version, req.plural))
        if resource is None or (resource.custom and not self.server.crd_installed):
            raise no_resource() if req.path.startswith("/api/") else not_here()
        if req.sub and req.sub not in resource.subresources:
            raise not_found(resource, req.name) if resource.custom else no_resource()
        if req.namespace and not resource.namespaced and resource.plural != "namespaces":
            raise no_resource()
        if req.name in (".", ".."):
            raise ApiError(400, f"Name parameter invalid: \"{req.name}\": may not be '{req.name}'")
        for field, problem, text in self.odd_options(req.query):
            kind = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}.get(req.method)
            if kind:
                raise invalid_kind(kind, "meta.k8s.io", "", field, problem, text)
        return resource

    @staticmethod
    def odd_options(query):
        if len(query.get("fieldManager", "")) > 128:
            yield "fieldManager", "Too long", "may not be more than 128 bytes"
        if query.get("dryRun", "All") != "All":
            yield "dryRun", "Unsupported value", f'[]string{{"{query["dryRun"]}"}}: supported values: "All"'

    def find(self, req, resource):
        stored = self.store.get(resource, req.namespace if resource.namespaced else "", req.name)
        if stored is None:
            raise not_found(resource, req.name)
        return stored

    def do_get(self, req, resource, user, only_metadata):
        self.check_not_future(req)
        return Response(200, self.find(req, resource).encoded(only_metadata))

    def check_not_future(self, req):
        text = req.query.get("resourceVersion", "")
        if text and parse_version(text) > self.store.version:
            raise ApiError(504, f"Too large resource version: {text}, current: {self.store.version}", retry_after=1,
                           details={"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]})

    def do_list(self, req, resource, user, only_metadata):
        query = req.query
        self.check_not_future(req)
        chosen = selector(resource, query.get("fieldSelector", ""), query.get("labelSelector", ""))
        found = self.store.select(resource, req.namespace, chosen)
        limit, version = parse_number(query.get("limit", "0")), self.store.version
        if query.get("continue"):
            version, after = self.read_continue(query["continue"])
            found = [s for s in found if list(s.key) > after]
        meta = {"resourceVersion": str(version)}
        if 0 < limit < len(found):
            rest, found = len(found) - limit, found[:limit]
            meta["continue"] = base64.urlsafe_b64encode(json.dumps([version, found[-1].key]).encode()).decode()
            if not chosen.fields and not chosen.labels:
                meta["remainingItemCount"] = rest
        kind, api_version = (("PartialObjectMetadata", METADATA_VERSION) if only_metadata
                             else (resource.kind, resource.api_version))
        return Response(200, encode({"kind": kind + "List", "apiVersion": api_version, "metadata": meta,
                                     "items": [s.item(only_metadata) for s in found]}))

    def read_continue(self, token):
        try:
            version, after = json.loads(base64.urlsafe_b64decode(token))
        except ValueError:
            raise ApiError(400, "invalid continue token: continue key is not valid") from None
        if version < self.store.compacted:
            raise ApiError(410, "The provided continue parameter is too old to display a consistent list result. You can start "
                           "a new list without the continue parameter.")
        return version, after

    def do_watch(self, req, resource, user, only_metadata):
        return Response(200, b"", watch=Watch(self.store, resource, req, only_metadata, self.server.bookmark_interval))

    def read(self, req, resource):
        kind = req.content_type.split(";")[0].strip()
        if kind not in ("", "application/json"):
            raise unsupported("application/json, application/yaml, application/vnd.kubernetes.protobuf")
        obj = decode(resource, req.body)
        given = obj.get("apiVersion", ""), obj.get("kind", "")
        if resource.custom and "" in given:
            raise ApiError(400, f"Object '{'Kind' if not given[1] else 'apiVersion'}' is missing in the body")
        if resource.custom and given[1] != resource.kind:
            raise invalid_kind(given[1], resource.group, (obj.get("metadata") or {}).get("name", ""), "kind", "Invalid value",
                               f'"{given[1]}": must be {resource.kind}')
        if given[0] not in ("", resource.api_version) or given[1] not in ("", resource.kind):
            raise ApiError(400, f'{given[1]} in version "{given[0]}" cannot be handled as a {resource.kind}: unknown conversion')
        self.check_types(resource, obj, lambda why: ApiError(
            400, f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: json: {why}'))
        self.drop_unknown(req, resource, obj)
        meta = obj["metadata"] = obj.get("metadata") or {}
        if resource.namespaced and meta.setdefault("namespace", req.namespace) != req.namespace:
            raise ApiError(400, "the namespace of the provided object does not match the namespace sent on the request")
        obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
        return obj

    @staticmethod
    def drop_unknown(req, resource, obj):
        req.warnings = sorted(set(obj) - resource.known)
        for field in req.warnings:
            del obj[field]

    @staticmethod
    def check_types(resource, obj, error):
        try:
            resource.check_types(obj)
        except ValueError as e:
            raise error(e) from None

    def manager(self, req):
        return req.query.get("fieldManager") or req.user_agent.split("/")[0] or "unknown"

    def do_create(self, req, resource, user, only_metadata):
        obj = self.read(req, resource)
        meta = obj["metadata"]
        if meta.get("resourceVersion"):
            raise ApiError(500, "resourceVersion should not be set on objects to be created", "")
        for field in ("uid", "creationTimestamp", "managedFields", "deletionTimestamp", "resourceVersion"):
            meta.pop(field, None)
        if not meta.get("name"):
            if not meta.get("generateName"):
                raise invalid(resource, "", "metadata.name", "Required value", "name or generateName is required")
            meta["name"] = meta["generateName"] + "".join(random.choices(string.ascii_lowercase + string.digits, k=5))
        resource.check_metadata(obj)
        resource.prepare_create(obj, user)
        if req.namespace and not self.store.get(NAMESPACES, "", req.namespace):
            raise not_found(NAMESPACES, req.namespace)
        if self.store.get(resource, req.namespace, meta["name"]):
            raise exists(resource, meta["name"])
        if "dryRun" in req.query:
            return Response(201, encode(partial(obj) if only_metadata else obj))
        stored = self.store.create(resource, obj, self.manager(req))
        self.server.signer.consider(stored)
        return Response(201, stored.encoded(only_metadata))

    def ensure_namespace(self, name):
        if name and not self.store.get(NAMESPACES, "", name):
            obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            NAMESPACES.prepare_create(obj, None)
            self.store.create(NAMESPACES, obj, "kube-apiserver")

    def seed(self, obj):
        """An object as the test wants it, past every check: its uid, its status, its odd name."""
        resource, obj = next(r for r in RESOURCES.values() if r.kind == obj["kind"]), copy(obj)
        self.ensure_namespace(obj["metadata"].get("namespace", ""))
        for field in ("spec", "status") if resource.kind == "Pod" else ():
            obj.setdefault(field, {})
        obj["metadata"].setdefault("generation", 1)
        return self.store.create(resource, obj, "test").data

    def do_update(self, req, resource, user, only_metadata):
        old = self.find(req, resource)
        new = self.read(req, resource)
        uid, have = new["metadata"].get("uid") or "", old.data["metadata"]["uid"]
        if uid not in ("", have):
            raise conflict(resource, req.name, f"Precondition failed: UID in precondition: {uid}, UID in object meta: {have}")
        if resource.custom and not new["metadata"].get("resourceVersion"):
            raise invalid(resource, req.name, "metadata.resourceVersion", "Invalid value", "0x0: must be specified for an update")
        return self.finish(req, resource, new, old, only_metadata)

    def do_patch(self, req, resource, user, only_metadata):
        if req.content_type.split(";")[0].strip() != MERGE_PATCH:
            raise ApiError(415, "415: Unsupported Media Type\n\nAvailable representations: ", details={})
        old = self.find(req, resource)
        new = merge(copy(old.data), decode(resource, req.body))
        def undecodable(why):
            """The real one repeats the whole object here, escaped: such an answer can be long."""
            return invalid_kind("", "", "", "patch", "Invalid value", f"{json.dumps(json.dumps(new))}: {why}")

        if (new.get("kind"), new.get("apiVersion")) != (resource.kind, resource.api_version):
            raise undecodable(f'no kind "{new.get("kind")}" is registered for version "{new.get("apiVersion")}"')
        self.check_types(resource, new, lambda why: undecodable(f"json: {why}"))
        self.drop_unknown(req, resource, new)
        if not (new.get("metadata") or {}).get("name"):
            raise ApiError(400, f"the name of the object ({req.name} based on URL) was undeterminable: name must be provided")
        return self.finish(req, resource, new, old, only_metadata)

    def finish(self, req, resource, new, old, only_metadata):
        """The checks and resets that every update goes through, and the write."""
        meta, was = new["metadata"], old.data["metadata"]
        if meta.get("name", req.name) != req.name:
            raise ApiError(400, f"the name of the object ({meta['name']}) does not match the name on the URL ({req.name})")
        if resource.namespaced and meta.get("namespace", req.namespace) != req.namespace:
            raise ApiError(400, "the namespace of the provided object does not match the namespace sent on the request")
        if meta.get("resourceVersion") and not meta["resourceVersion"].isdecimal():
            raise ApiError(500, f'strconv.ParseUint: parsing "{meta["resourceVersion"]}": invalid syntax', "")
        if meta.get("resourceVersion") and meta["resourceVersion"] != was["resourceVersion"]:
            raise conflict(resource, req.name)
        if meta.get("uid") and meta["uid"] != was["uid"]:
            raise invalid(resource, req.name, "metadata.uid", "Invalid value", f'"{meta["uid"]}": field is immutable')
        for field in ("name", "namespace", "uid", "creationTimestamp", "generation", "managedFields", "resourceVersion",
                      "deletionTimestamp", "deletionGracePeriodSeconds"):
            meta.pop(field, None)
            if field in was:
                meta[field] = was[field]
        resource.check_metadata(new)
        resource.prepare_update(new, old.data, req.sub)
        if new == old.data:
            return Response(200, old.encoded(only_metadata))
        if "dryRun" in req.query:
            return Response(200, encode(partial(new) if only_metadata else new))
        return Response(200, self.store.put(resource, copy(new), self.manager(req), req.sub).encoded(only_metadata))

    def do_delete(self, req, resource, user, only_metadata):
        stored = self.find(req, resource)
        options = decode(resource, req.body) if req.body else {}
        uid, have = (options.get("preconditions") or {}).get("uid"), stored.data["metadata"]["uid"]
        if uid and uid != have:
            raise conflict(resource, req.name, f"the UID in the precondition ({uid}) does not match the UID in record ({have}). "
                           "The object might have been deleted and then recreated")
        if resource.kind == "Pod":
            spec = stored.data["spec"]
            grace = req.query.get("gracePeriodSeconds", options.get("gracePeriodSeconds"))
            grace = spec.get("terminationGracePeriodSeconds", 30) if grace is None else int(grace)
            grace = grace if spec.get("nodeName") else 0
            data = copy(stored.data)
            data["metadata"].update(deletionTimestamp=now(), deletionGracePeriodSeconds=grace)
            stored = self.store.put(resource, data, self.manager(req))
            if grace > 0:  # the kubelet will delete it when its containers are gone
                return Response(200, stored.encoded(only_metadata))
            return Response(200, self.store.remove(stored).encoded(only_metadata))
        self.store.remove(stored)
        return Response(200, encode({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                                     "details": {**about(resource, req.name), "uid": have}}))
