"""What goes wrong on purpose: rules, each for some requests, some number of times or with some probability."""
import itertools
import json
import random

from .api import Response
from .errors import encode, status



class Fault:
    """One rule. Which requests: verb, resource ("pods", "pods/status"), namespace, name, user; None is any. How often: count,
    then never again; probability of each.

    action       what happens
    delay        the answer comes after seconds; goes along with any other action
    answer       code with a Status or with body; retry_after, content_type, headers
    body         of the answer is changed by body(bytes), or is body; code, content_type, headers; declared: content-length
    drip         the body in pieces of size bytes, seconds_between
    rst          RST_STREAM with code
    close        the connection is gone, with a RST of TCP
    end          END_STREAM too early
    stall        nothing more comes
    raw          frames: bytes, an iterator of bytes, or a function of the stream's number that gives either
    goaway       last="this": this one is still answered; "before": not even this; code
    rst to raw: at "before" the answer, after its "headers", or in the middle of its "body". applied: the request
    takes effect although no answer says so."""
    BREAKING = ("rst", "close", "end", "stall", "raw")

    def __init__(self, action, *, verb=None, resource=None, namespace=None, name=None, user=None, count=None, probability=1.0,
                 at="before", applied=False, seconds=0.0, code=0, reason=None, message="fault", retry_after=None, body=None,
                 content_type=None, headers=(), size=1, seconds_between=0.001, last="this", frames=b"",
                 declared=None):
        self.action, self.at, self.applied, self.seconds = action, at, applied, seconds
        self.wanted = [(k, v) for k, v in (("verb", verb), ("resource", resource), ("namespace", namespace), ("name", name),
                                           ("user", user)) if v is not None]
        self.left, self.probability, self.hits = count, probability, 0
        self.code, self.reason, self.message, self.retry_after = code, reason, message, retry_after
        self.body, self.content_type, self.headers = body, content_type, list(headers)
        self.size, self.seconds_between, self.last, self.frames = size, seconds_between, last, frames
        self.declared = declared
        if action == "end" and at == "before":
            self.at = "headers"

    @property
    def replaces(self):
        return self.action in ("answer", "goaway") or (self.action in self.BREAKING and self.at == "before")

    def wants(self, req):
        return all(getattr(req, k) == v for k, v in self.wanted)

    def response(self):
        """The answer of the rule itself."""
        headers = [("retry-after", str(self.retry_after))] if self.retry_after is not None else []
        if self.body is None:
            details = {"retryAfterSeconds": self.retry_after} if self.retry_after is not None else None
            body = encode(status(self.code, self.message, self.reason, details))
        else:
            body = self.body
        return Response(self.code, body, self.content_type or "application/json", headers + self.headers)

    def change(self, response):
        """What becomes of the answer that another gave."""
        if self.action == "body":
            if callable(self.body):
                response.body = self.body(response.body)
            elif self.body is not None:
                response.body = self.body
            response.content_type = self.content_type or response.content_type
            response.headers = [*response.headers, *self.headers]
            response.watch = None
            if self.code:
                response.status = self.code
            response.declared = self.declared
        elif self.action == "drip":
            response.drip = (self.size, self.seconds_between)
        elif self.action in self.BREAKING and self.at != "before":
            response.cut = self

    def strike(self, conn, s):
        if self.action == "rst":
            conn.reset(s, self.code)
        elif self.action == "close":
            conn.flush()
            conn.transport.abort()
        elif self.action == "end":
            s.ended = True
            s.out.clear()
            conn.pump(s)
        elif self.action == "goaway":
            if self.last == "before":
                conn.goaway(max(s.id - 2, 0), self.code)
            else:
                conn.goaway(s.id, self.code)
                conn.act(s, ())
        elif self.action == "raw":
            conn.raw(self.frames(s.id) if callable(self.frames) else self.frames)


class Faults:
    def __init__(self, seed=1):
        self.rules, self.random = (), random.Random(seed)

    def add(self, fault):
        self.rules += (fault,)
        return fault

    def clear(self):
        self.rules = ()

    def remove(self, fault):
        self.rules = tuple(r for r in self.rules if r is not fault)

    def match(self, req):
        found = []
        for r in self.rules:
            if not r.wants(req) or (r.probability < 1.0 and self.random.random() >= r.probability):
                continue
            r.hits += 1
            if r.left is not None:
                r.left -= 1
                if r.left <= 0:
                    self.remove(r)
            found.append(r)
        return found


class HugeBody:
    """Valid JSON of size bytes and some, made on the way and never in memory; may be iterated again."""

    def __init__(self, size=1 << 30):
        self.size = size

    def __iter__(self):
        yield b'{"kind":"Pod","apiVersion":"v1","metadata":{"annotations":{"x":"'
        yield from itertools.repeat(b"x" * 16384, self.size // 16384)
        yield b'"}}}'


def another_pod(body):
    """A whole object, but not the one that was asked for."""
    obj = json.loads(body)
    obj["metadata"].update(name="another", uid="00000000-0000-4000-8000-000000000000")
    return encode(obj)


BODIES = {
    "another pod": another_pod,
    "deep": lambda b: b'{"a":' * 200000 + b"1" + b"}" * 200000,
    "deep lists": lambda b: b"[" * 1000000,
    "nul bytes": lambda b: b.replace(b'"metadata"', b'"meta\0data"').replace(b"pod", b"po\0d"),
    "cut short": lambda b: b[:len(b) // 2],
    "escaped nul": lambda b: b.replace(b'"name":"', b'"name":"\\u0000'),
    "lone surrogate": lambda b: b.replace(b'"name":"', b'"name":"\\ud800'),
    "invalid utf-8": lambda b: b.replace(b'"name":"', b'"name":"\xff\xfe\xc0\x80'),
    "empty": lambda b: b"",
    "not json": lambda b: b"<html><body>502 Bad Gateway</body></html>",
    "null": lambda b: b"null\n",
    "list": lambda b: b"[]\n",
    "number": lambda b: b"1e999999\n",
    "two objects": lambda b: b + b,
    "byte order mark": lambda b: b"\xef\xbb\xbf" + b,
    "duplicate keys": lambda b: b.replace(b'"metadata":', b'"metadata":{"name":"other","uid":"other"},"metadata":'),
    "wrong kind": lambda b: b.replace(b'"kind":"Pod"', b'"kind":"Secret"'),
}
