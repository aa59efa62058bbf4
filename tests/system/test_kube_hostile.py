"""Answers and frames that no decent API server sends: each is a clear error, nobody ends or grows, and the next ADD is served."""
import itertools

import kube
import pytest
from apiserver import BODIES, FLOODS, MALFORMED, HugeBody
from faulty import STAND_IN, bounded, cluster, kept, make, postern, running, server  # noqa: F401
from harness import wait_for

pytestmark = STAND_IN

PLACES = {"pod": ("get", "pods"), "network": ("get", kube.NAD), "status": ("patch", "pods/status")}
JUNK = {"content_type": "text/html", "body": b"<html>Bad Gateway</html>"}
ANSWERS = {
    **{name: dict(action="body", body=change) for name, change in BODIES.items()},
    "wrong kind": dict(action="body", body=lambda b: b.replace(b'"kind":"PartialObjectMetadata"', b'"kind":"Secret"').replace(
        b'"kind":"NetworkAttachmentDefinition"', b'"kind":"Secret"')),
    "another object": dict(action="body", body=lambda b: b.replace(b'"name":"', b'"name":"other-')),
    "another namespace": dict(action="body", body=lambda b: b.replace(b'"namespace":"', b'"namespace":"other-')),
    "a gigabyte of JSON": dict(action="body", body=HugeBody()),
    "a gigabyte of blanks": dict(action="body", body=lambda _: itertools.repeat(b" " * 16384, 1 << 16)),
    "a gigabyte is announced": dict(action="body", declared=1 << 30),
    "less is announced": dict(action="body", declared=10),
    "another content type": dict(action="body", content_type="application/vnd.kubernetes.protobuf"),
    "many headers": dict(action="body", headers=[(f"x-{i}", "y" * 100) for i in range(1000)]),
    "long header": dict(action="body", headers=[("x", "y" * 60000)]),
}
CODES = {
    **{f"status {code}": dict(action="answer", code=code, **JUNK) for code in (204, 206, 301, 304, 400, 599, 999)},
    "redirect": dict(action="answer", code=302, headers=[("location", "https://127.0.0.1:1/api/v1/nodes")], body=b""),
    "control characters": dict(action="answer", code=400, message="a\nb\x1b[2J\u202ec\0d" * 100),
    "later than ever": dict(action="answer", code=503, retry_after=999999),
}
REFUSED = [(name, place) for name in ANSWERS for place in ("pod", "network")] + [(name, place) for name in CODES for place in PLACES]
SAME_MEANING = ("duplicate keys",)  # the last one counts, as everywhere


def touch(postern, name="null0"):
    """The network is another version, which kube fetches."""
    touch.serial += 1
    postern.api.patch(kube.NAD, "default", name, {"metadata": {"annotations": {"touched": str(touch.serial)}}})


touch.serial = 0


def hostile(postern, place, how):
    """The answer to an ADD when those of the server are such at that place; the one after it is served."""
    verb, resource = PLACES[place]
    touch(postern)
    pod = postern.pod(postern.networks)
    fault = postern.server.fault(verb=verb, resource=resource, **how)
    try:
        answer = postern.add(pod)
    finally:
        postern.server.clear_faults()
    assert fault.hits > 0
    postern.delete(pod).ok()
    next_pod = postern.pod(postern.networks)
    # A connection that broke a moment ago may cost one try of the shortest deadline; a runtime comes back as well.
    wait_for("the server to be used again", lambda: postern.add(next_pod).exit == 0)
    postern.delete(next_pod).ok()
    for p in (pod, next_pod):
        p.drop_netns()
        postern.api.delete("pods", p.namespace, p.name)
    return answer


@pytest.mark.parametrize("name,place", REFUSED)
def test_answer(postern, name, place):
    answer = hostile(postern, place, {**ANSWERS, **CODES}[name])
    if name not in SAME_MEANING or answer.exit:
        answer.failed()
    assert len(answer.msg) < 1000


@pytest.mark.parametrize("place", PLACES)
def test_frames_once(postern, place):
    """The request is sent again, or fails with the cause."""
    for name, frames in {**MALFORMED, **FLOODS}.items():
        answer = hostile(postern, place, dict(action="raw", frames=frames, count=1))
        if answer.exit:
            answer.failed(11)
            assert "API server" in answer.msg, name


def test_frames_always(make, server):
    p = make(deadlines={"api": 0.4})
    p.networks = p.stand_ins()
    p.start()
    kept(p)
    roles = p.all_roles()
    places = list(PLACES)
    with bounded(roles["postern-kube"]):
        for i, (name, frames) in enumerate({**MALFORMED, **FLOODS}.items()):
            answer = hostile(p, places[i % 3], dict(action="raw", frames=frames))
            assert "API server" in answer.failed(11).msg, name
    p.unharmed(roles)
    p.nothing_left()
