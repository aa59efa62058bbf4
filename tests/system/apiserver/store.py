"""Objects, their versions, and who watches them. Everything here runs in the server's thread."""
import collections
import json
import uuid

from .errors import encode, status
from .resources import now

METADATA_VERSION = "meta.k8s.io/v1"


def copy(obj):
    return json.loads(json.dumps(obj))


def merge(target, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def partial(obj):
    return {"kind": "PartialObjectMetadata", "apiVersion": METADATA_VERSION, "metadata": obj["metadata"]}


def own_fields(obj):
    """fieldsV1 for managedFields: not exact, but of the size and shape of the real one's."""
    fields = {}
    for key, value in obj.items():
        if key in ("kind", "apiVersion"):
            continue
        if key == "metadata":
            value = {k: v for k, v in value.items() if k in ("annotations", "labels")}
        fields[f"f:{key}"] = ({f"f:{k}": {f"f:{n}": {} for n in v} if isinstance(v, dict) else {} for k, v in value.items()}
                              if isinstance(value, dict) else {})
    return fields


class Stored:
    """One version of an object; nobody changes data."""
    __slots__ = ("resource", "data", "version", "whole", "meta", "key")

    def __init__(self, resource, data):
        self.resource, self.data = resource, data
        self.version = int(data["metadata"]["resourceVersion"])
        self.key = (data["metadata"].get("namespace", ""), data["metadata"]["name"])
        self.whole = self.meta = None

    def encoded(self, only_metadata):
        if only_metadata:
            if self.meta is None:
                self.meta = encode(partial(self.data))
            return self.meta
        if self.whole is None:
            self.whole = encode(self.data)
        return self.whole

    def item(self, only_metadata):
        """As it stands in a list: kinds that are built in go without kind and apiVersion there."""
        if only_metadata:
            return partial(self.data)
        return self.data if self.resource.custom else {k: v for k, v in self.data.items() if k not in ("kind", "apiVersion")}


class Change:
    """One entry of the history: what became of an object, and what it was before."""
    __slots__ = ("version", "type", "stored", "before")

    def __init__(self, version, type, stored, before):
        self.version, self.type, self.stored, self.before = version, type, stored, before


def event_line(type, body):
    return b'{"type":"' + type.encode() + b'","object":' + body.rstrip(b"\n") + b"}\n"


def expired(version, current):
    return event_line("ERROR", encode(status(410, f"too old resource version: {version} ({current})")))


class Store:
    def __init__(self, history=1000):
        self.version = 100
        self.objects = {}  # plural -> {(namespace, name): Stored}
        self.history = collections.deque(maxlen=history)
        self.compacted = self.version
        self.watches = []

    def all(self, resource):
        return self.objects.setdefault(resource.plural, {})

    def get(self, resource, namespace, name):
        return self.all(resource).get((namespace, name))

    def select(self, resource, namespace, selector):
        found = [s for key, s in self.all(resource).items() if namespace in ("", key[0]) and selector.matches(s)]
        return sorted(found, key=lambda s: s.key)

    def stamp(self, data, manager, sub=""):
        """The next version's number and the traces that a write leaves."""
        meta = data["metadata"]
        meta["resourceVersion"] = str(self.version + 1)
        entry = {"manager": manager, "operation": "Update", "apiVersion": data["apiVersion"], "time": now(),
                 "fieldsType": "FieldsV1", "fieldsV1": own_fields(data)}
        if sub:
            entry["subresource"] = sub
        others = [m for m in meta.get("managedFields", []) if (m["manager"], m.get("subresource", "")) != (manager, sub)]
        meta["managedFields"] = others + [entry]

    def create(self, resource, data, manager):
        meta = data["metadata"]
        meta.setdefault("uid", str(uuid.uuid4()))
        meta.setdefault("creationTimestamp", now())
        return self.put(resource, data, manager)

    def put(self, resource, data, manager, sub=""):
        self.stamp(data, manager, sub)
        ordered = {"kind": resource.kind, "apiVersion": resource.api_version}
        ordered.update(data)
        stored = Stored(resource, ordered)
        before = self.all(resource).get(stored.key)
        self.all(resource)[stored.key] = stored
        self.record(Change(stored.version, "MODIFIED" if before else "ADDED", stored, before))
        return stored

    def remove(self, stored):
        data = copy(stored.data)
        data["metadata"]["resourceVersion"] = str(self.version + 1)
        last = Stored(stored.resource, data)
        del self.all(stored.resource)[stored.key]
        self.record(Change(last.version, "DELETED", last, stored))
        return last

    def record(self, change):
        self.version = change.version
        if len(self.history) == self.history.maxlen:
            self.compacted = self.history[0].version
        self.history.append(change)
        for watch in list(self.watches):
            watch.tell(change)

    def compact(self):
        """Forgets the history: who asks for it from before now is told that it expired."""
        self.history.clear()
        self.compacted = self.version

    def since(self, version):
        return [c for c in self.history if c.version > version]
