"""Selectors, and watches: one JSON object a line until the time is over."""
import functools
import random

from .errors import ApiError, encode, invalid_kind
from .store import METADATA_VERSION, event_line, expired


class Selector:
    """fieldSelector and labelSelector, of equalities alone."""

    def __init__(self, resource, fields, labels):
        self.resource, self.fields, self.labels = resource, [], []
        for text, into in ((fields, self.fields), (labels, self.labels)):
            for term in filter(None, text.split(",")):
                for operator in ("!=", "==", "="):
                    if operator in term:
                        key, value = term.split(operator, 1)
                        into.append((key.strip(), operator != "!=", value.strip()))
                        break
                else:
                    raise ApiError(400, f"invalid selector: '{term}'; can't understand '{term}'")
        probe = {"metadata": {"name": "", "namespace": ""}, "spec": {}, "status": {}, "involvedObject": {}}
        for key, _, _ in self.fields:
            try:
                resource.field(probe, key)
            except KeyError:
                raise ApiError(400, f"field label not supported: {key}") from None

    def matches(self, stored):
        obj = stored.data
        have = obj["metadata"].get("labels") or {}
        return (all((self.resource.field(obj, k) == v) == equal for k, equal, v in self.fields)
                and all((have.get(k) == v) == equal for k, equal, v in self.labels))


@functools.lru_cache(1000)
def selector(resource, fields, labels):
    return Selector(resource, fields, labels)


def name_selected(fields):
    """The one name that a field selector leaves over, which is what RBAC's resourceNames look at."""
    for term in fields.split(","):
        key, equal, value = term.partition("=")
        if key == "metadata.name" and equal:
            return value.lstrip("=")
    return ""


def parse_version(text):
    if not text.isdecimal():
        raise ApiError(500, f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax', "")
    return int(text)


def parse_number(text):
    if not text.isdecimal():
        raise ApiError(400, f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


class Watch:
    def __init__(self, store, resource, req, only_metadata, bookmark_interval):
        query = req.query
        if "sendInitialEvents" in query:
            raise invalid_kind("ListOptions", "meta.k8s.io", "", "sendInitialEvents", "Forbidden", "sendInitialEvents is "
                               "forbidden for watch unless the WatchList feature gate is enabled")
        self.store, self.resource, self.req, self.only_metadata = store, resource, req, only_metadata
        self.namespace = req.namespace
        self.selector = selector(resource, query.get("fieldSelector", ""), query.get("labelSelector", ""))
        version = query.get("resourceVersion", "")
        self.version = None if version in ("", "0") else parse_version(version)
        self.bookmarks = query.get("allowWatchBookmarks") in ("1", "true")
        self.interval = bookmark_interval
        self.seconds = parse_number(query.get("timeoutSeconds", "0")) or random.randint(1800, 3600)
        self.stream, self.timers = None, []

    def first(self):
        """What is sent at once, and whether that is all: a generator of lines would race with writes, a list cannot."""
        if self.version is None:
            lines = [event_line("ADDED", s.encoded(self.only_metadata))
                     for s in self.store.select(self.resource, self.namespace, self.selector)]
            return b"".join(lines), False
        if self.version < self.store.compacted:
            return expired(self.version, self.store.version), True
        return b"".join(filter(None, map(self.line, self.store.since(self.version)))), False

    def start(self, stream, loop):
        """From now on what changes is written to the stream."""
        self.stream = stream
        self.store.watches.append(self)
        self.timers.append(loop.call_later(self.seconds, self.time_over))
        if self.bookmarks and self.interval:
            self.timers.append(loop.call_later(self.interval, self.mark_again, loop))

    def stop(self):
        if self in self.store.watches:
            self.store.watches.remove(self)
        for t in self.timers:
            t.cancel()

    def mark(self):
        kind, version = (("PartialObjectMetadata", METADATA_VERSION) if self.only_metadata
                         else (self.resource.kind, self.resource.api_version))
        self.stream.write(event_line("BOOKMARK", encode({"kind": kind, "apiVersion": version, "metadata": {
            "resourceVersion": str(self.store.version), "creationTimestamp": None}})))

    def mark_again(self, loop):
        self.mark()
        self.timers.append(loop.call_later(self.interval, self.mark_again, loop))

    def time_over(self):
        if self.bookmarks:
            self.mark()
        self.end()

    def end(self):
        self.stop()
        self.stream.end()

    def line(self, change):
        """The event that this watch sees of a change: an object that enters or leaves the selection comes or goes."""
        stored, before = change.stored, change.before
        if stored.resource is not self.resource or self.namespace not in ("", stored.key[0]):
            return None
        was = before is not None and self.selector.matches(before)
        is_now = change.type != "DELETED" and self.selector.matches(stored)
        if not was and not is_now:
            return None
        return event_line(("MODIFIED" if was else "ADDED") if is_now else "DELETED", stored.encoded(self.only_metadata))

    def tell(self, change):
        line = self.line(change)
        if line:
            self.stream.write(line)
