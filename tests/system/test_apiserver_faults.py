"""What the stand-in for the API server can be told to do, and what it records."""
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest
import yaml

import harness
from apiserver import BODIES, FLOODS, MALFORMED, ApiServer, Client, HugeBody, Lost
from apiserver.client import Link
from apiserver.cluster import collection
from apiserver.place import POD, Place, ask_certificate


@pytest.fixture
def place(tmp_path):
    with ApiServer(tmp_path) as server:
        p = Place(server)
        yield p
        p.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with ApiServer(tmp_path_factory.mktemp("api")) as server:
        p = Place(server)
        yield p
        p.close()


@pytest.fixture
def again(shared):
    """One server for many cases; afterwards it must be as before."""
    shared.client.close()
    yield shared
    shared.server.clear_faults()
    assert shared.get().status == 200


def test_expired_history(place):
    place.server.compact()
    place.cluster.annotate("default", "p", x="y")
    events = list(place.cluster.watch("pods", "default", resourceVersion="1"))
    assert [(e["type"], e["object"]["code"], e["object"]["reason"]) for e in events] == [("ERROR", 410, "Expired")]


def test_missing_definition(place):
    place.server.crd_installed = False
    answer = place.cluster.client.request("GET", collection("network-attachment-definitions", "default") + "/x")
    assert (answer.status, answer.body, answer.headers["content-type"][:10]) == (404, b"404 page not found\n", "text/plain")


def test_expiry_and_revocation(place):
    server, path = place.server, POD
    assert place.as_token(server.token(seconds=-1)).request("GET", path).status == 401
    token = server.token()
    assert place.as_token(token).request("GET", path).status == 200
    server.tokens.revoke(token)
    assert place.as_token(token).request("GET", path).status == 401


def test_rotation(place):
    server = place.server
    old = server.ca
    assert place.get().status == 200
    server.rotate_server_ca()
    assert place.get().status == 200  # this connection stays
    server.drop_connections()
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(server.url, old, token=server.token()).request("GET", "/")
    assert Client(server.url, server.ca, token=server.token()).request("GET", "/version").status == 200
    server.set_server_certificate(names=("elsewhere.example",))
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(server.url, server.ca, token=server.token()).request("GET", "/")


def test_rotation_of_clients(place):
    """A client's certificate counts for as long as its authority does."""
    server = place.server
    assert place.cluster.get("pods", "default", "p")
    old = server.admin.write(server.directory / "old")
    server.rotate_client_ca(keep_old=True)
    assert Client(server.url, server.ca, old).request("GET", POD).status == 200
    server.rotate_client_ca()
    assert Client(server.url, server.ca, old).request("GET", POD).status == 401
    assert place.cluster.client.request("GET", POD).status == 401  # the connection is an old one
    new = server.admin.write(server.directory / "new")
    assert Client(server.url, server.ca, new).request("GET", POD).status == 200


def test_anonymous(place):
    client = place.as_token(None)
    assert client.request("GET", POD).status == 401
    assert client.request("GET", "/readyz").body == b"ok"
    place.server.anonymous = True
    assert 'User "system:anonymous" cannot get resource "pods"' in client.request("GET", POD).json["message"]
    assert place.as_token("wrong").request("GET", "/readyz").status == 401


def test_http2_alone(place):
    server = place.server
    for alpn in (["http/1.1"], None):
        context = ssl.create_default_context(cadata=server.ca.decode())
        if alpn:
            context.set_alpn_protocols(alpn)
        with context.wrap_socket(socket.create_connection(("127.0.0.1", server.port)), server_hostname="127.0.0.1") as s:
            s.settimeout(10)
            with pytest.raises((ConnectionError, ssl.SSLError)):
                assert s.recv(1) == b""
                raise ConnectionError
    assert server.requests() == [] or all(r.user == "admin" for r in server.requests())


def curl(server, *options, check=True):
    (server.directory / "ca.crt").write_bytes(server.ca)
    return harness.sh("curl", "-sS", "--noproxy", "*", "--http2", "--cacert", str(server.directory / "ca.crt"),
                      "--max-time", "20", "-H", f"Authorization: Bearer {server.token()}", *options, check=check)


def test_another_client(place):
    """curl, of which the HTTP/2 is nghttp2's: no mistake that client and server of these tests make together."""
    server, path = place.server, POD
    out = curl(server, "-w", "\n%{http_version} %{http_code}", server.url + path).stdout
    body, _, last = out.rpartition("\n")
    assert last == "2 200" and json.loads(body)["metadata"]["name"] == "p"
    out = curl(server, "-X", "PATCH", "-H", "Content-Type: application/merge-patch+json",
               "-d", '{"metadata":{"labels":{"l":"1"}}}', server.url + path + "/status").stdout
    assert json.loads(out)["metadata"]["labels"] == {"l": "1"}
    out = curl(server, server.url + "/api/v1/pods?watch=1&timeoutSeconds=1&allowWatchBookmarks=1").stdout
    assert [json.loads(line)["type"] for line in out.splitlines()] == ["ADDED", "BOOKMARK"]
    assert server.protocol_errors == []


def test_streams_side_by_side(place):
    server = place.server
    server.fault("delay", seconds=0.1)
    server.reset_counters()
    out = curl(server, "-Z", "--parallel-max", "50", "-o", "/dev/null", "-w", "%{http_code}\n",
               server.url + POD + "?n=[1-50]").stdout
    assert out == "200\n" * 50 and len(server.requests(resource="pods")) == 50 and server.protocol_errors == []


def test_a_client_that_breaks_the_rules(place):
    server = place.server
    link = Link(place.client)
    link.flush()
    link.sock.sendall(MALFORMED["short ping"](0))
    with pytest.raises((Lost, OSError)):
        while True:
            link.receive()
    assert len(server.protocol_errors) == 1 and link.goaway
    assert place.get().status == 200


def test_records(place):
    server = place.server
    server.reset_counters()
    place.get()
    place.client.request("PATCH", POD + "/status?fieldManager=m", {"metadata": {}})
    place.get("/api/v1/namespaces/default/pods/none")
    assert [(r.verb, r.resource, r.namespace, r.name, r.status) for r in server.requests()] == [
        ("get", "pods", "default", "p", 200), ("patch", "pods/status", "default", "p", 200),
        ("get", "pods", "default", "none", 404)]
    patch, = server.requests(verb="patch")
    assert patch.query == {"fieldManager": "m"} and patch.content_type == "application/merge-patch+json"
    assert patch.user == "system:serviceaccount:kube-system:postern" and patch.user_agent == "postern-test/1"


def test_an_event_is_on_its_way_before_the_answer(place):
    c = place.cluster
    events = c.watch("pods", "default", fieldSelector="metadata.name=p")
    assert next(events)["type"] == "ADDED"
    for i in range(50):
        version = c.annotate("default", "p", n=str(i))["metadata"]["resourceVersion"]
        assert next(events)["object"]["metadata"]["resourceVersion"] == version
    events.close()


def test_bookmarks(place):
    place.server.bookmark_interval = 0.05
    events = place.cluster.watch("pods", "default", resourceVersion=str(place.server.store.version), allowWatchBookmarks="true")
    assert [next(events)["type"] for _ in range(3)] == ["BOOKMARK"] * 3
    events.close()


def test_status_faults(place):
    server = place.server
    server.fail(429, retry_after=1, verb="get", resource="pods", count=1)
    server.fail(503, verb="patch", resource="pods/status", name="p")
    answer = place.get()
    assert (answer.status, answer.headers["retry-after"], answer.json["reason"]) == (429, "1", "TooManyRequests")
    assert place.get().status == 200
    answer = place.client.request("PATCH", POD + "/status", {})
    assert answer.status == 503 and "retry-after" not in answer.headers
    server.clear_faults()
    assert place.client.request("PATCH", POD + "/status", {}).status == 200


def test_latency_and_chance(place):
    server = place.server
    server.fault("delay", seconds=0.2, count=1)
    before = time.monotonic()
    assert place.get().status == 200 and time.monotonic() - before >= 0.2
    rule = server.fail(500, probability=0.5)
    codes = [place.get().status for _ in range(40)]
    assert set(codes) == {200, 500} and rule.hits == codes.count(500)


@pytest.mark.parametrize("at", ["before", "headers", "body"])
@pytest.mark.parametrize("action", ["rst", "close", "end"])
def test_breaking(again, action, at):
    server = again.server
    again.cluster.annotate("default", "p", big="x" * 100000)
    server.fault(action, at=at, code=2, count=1)
    if action == "end":
        answer = again.get()
        assert answer.status == 200 and len(answer.body) < 100000
    else:
        with pytest.raises(Lost) as e:
            again.get()
        assert e.value.code == (None if action == "close" else 2)
    assert again.get().status == 200


def test_goaway(place):
    """The graceful one answers what was asked before it; the other one does not. A new connection takes the next request."""
    server, path = place.server, POD
    server.fault("goaway", count=1)
    server.reset_counters()
    out = curl(server, "-w", "%{http_code}\n", "-o", "/dev/null", "-o", "/dev/null", server.url + path, server.url + path)
    assert out.stdout == "200\n200\n" and server.accepted == 2
    server.fault("goaway", last="before", code=2, count=1)
    with pytest.raises(Lost) as e:
        place.get()
    assert e.value.code == 2
    accepted = server.accepted
    assert place.get().status == 200 and server.accepted == accepted + 1
    server.goaway()
    assert place.get().status == 200 and server.accepted == accepted + 2


def test_answer_lost(place):
    place.server.fault("close", verb="patch", applied=True, count=1)
    with pytest.raises(Lost):
        place.client.request("PATCH", POD + "/status", {"metadata": {"annotations": {"done": "1"}}})
    assert place.get().json["metadata"]["annotations"]["done"] == "1"


def test_stall_drip_and_blackhole(place):
    server = place.server
    place.client.timeout = 0.3
    server.fault("stall", count=1)
    with pytest.raises(Lost, match="timed out"):
        place.get()
    server.fault("drip", size=200, seconds_between=0.01, count=1)
    assert place.get().json["metadata"]["name"] == "p"
    server.blackhole()
    for _ in range(2):  # the old connection; a new one, which gets no handshake
        with pytest.raises((Lost, OSError), match="timed out"):
            place.get()
    server.blackhole(False)
    assert place.get().status == 200


def test_refusal_and_restart(place):
    server = place.server
    assert place.get().status == 200
    server.refuse()
    assert place.get().status == 200
    server.drop_connections()
    with pytest.raises(ConnectionRefusedError):
        place.get()
    server.accept_again()
    server.slam_door()
    with pytest.raises((ConnectionError, ssl.SSLError)):
        place.get()
    server.slam_door(False)
    assert place.get().status == 200
    server.stop()
    server.start()
    assert place.get().status == 200


@pytest.mark.parametrize("body", BODIES)
def test_bodies(again, body):
    whole = again.get().body
    again.server.fault("body", body=BODIES[body], content_type="text/odd", count=1)
    answer = again.get()
    assert answer.body != whole and answer.headers["content-type"] == "text/odd"
    assert again.get().body == whole


def test_huge_body(place):
    """A gigabyte is made only as far as somebody reads it."""
    server = place.server
    server.fault("body", body=HugeBody(), declared=1 << 30, count=1)
    out = curl(server, "--max-filesize", "1000000", server.url + POD, check=False)
    assert out.returncode == 63
    server.fault("body", body=HugeBody(8 << 20), count=1)
    assert len(curl(server, server.url + POD).stdout) > 8 << 20


@pytest.mark.parametrize("flood", FLOODS)
def test_floods(again, flood):
    """Sent for as long as the client takes them; the server serves others meanwhile."""
    server, client = again.server, again.as_token(again.server.token())
    server.fault("raw", frames=FLOODS[flood], count=1)
    link = Link(client)
    link.send(client.headers("GET", POD, None, None), None)
    got = 0
    while got < 40000:
        piece = link.sock.recv(65536)
        assert piece
        got += len(piece)
    assert again.get().status == 200
    link.sock.close()


def test_frames_outside_of_requests(place):
    server = place.server
    assert place.get().status == 200
    server.send_raw(MALFORMED["short ping"](0))
    assert place.get().status == 200 and server.accepted == 3  # the administrator's, the broken one, the next


@pytest.mark.parametrize("frames", MALFORMED)
def test_malformed_frames(again, frames):
    server = again.server
    server.fault("raw", frames=MALFORMED[frames], count=1)
    out = curl(server, "--max-time", "1", server.url + POD, check=False)
    assert out.returncode != 0 or out.stdout == "", out
    assert again.get().status == 200


def test_words_in_watches(place):
    server = place.server
    events = place.cluster.watch("pods", "default", resourceVersion=str(server.store.version))
    harness.wait_for("the watch", lambda: server.watches(resource="pods"))
    server.write_to_watches(b'{"type":"ODD"}\n', resource="pods")
    assert next(events) == {"type": "ODD"}
    server.reset_watches(7)
    with pytest.raises(Lost):
        next(events)
    events = place.cluster.watch("pods", "default", resourceVersion=str(server.store.version))
    harness.wait_for("the watch", lambda: server.watches(resource="pods"))
    server.end_watches()
    assert list(events) == []


def test_signer(place):
    for policy, conditions, signed in (("approve", ["Approved"], True), ("approve-unsigned", ["Approved"], False),
                                       ("deny", ["Denied"], False), ("fail", ["Approved", "Failed"], False)):
        place.server.signer.policy = policy
        name = ask_certificate(place.cluster, policy)[1]["metadata"]["name"]

        def done(name=name, conditions=conditions, signed=signed):
            status = place.cluster.get("certificatesigningrequests", "", name).get("status", {})
            return [c["type"] for c in status.get("conditions", [])] == conditions and ("certificate" in status) == signed

        harness.wait_for(policy, done)


def test_service_account_directory(place, tmp_path):
    directory = tmp_path / "account"
    first = place.server.write_service_account(directory)
    assert (directory / "token").read_text() == first and (directory / "ca.crt").read_bytes() == place.server.ca
    before = os.readlink(directory / "..data")
    second = place.server.write_service_account(directory)
    assert os.readlink(directory / "..data") != before and (directory / "token").read_text() == second != first
    assert sorted(p.name for p in directory.iterdir() if not p.name.startswith(".")) == ["ca.crt", "namespace", "token"]


def test_roles_of_manifests(place, tmp_path):
    manifest = tmp_path / "rbac.yaml"
    manifest.write_text("""
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: r}
rules: [{apiGroups: [""], resources: [events], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: r, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: r}
subjects: [{kind: ServiceAccount, name: postern, namespace: kube-system}]
""")
    assert place.get(collection("events", "default")).status == 403
    place.server.load(manifest)
    assert place.get(collection("events", "default")).status == 200
    assert place.get(collection("events", "other")).status == 403


def test_command_line(tmp_path):
    p = subprocess.Popen([sys.executable, "-m", "apiserver", "--dir", tmp_path], cwd=pathlib.Path(__file__).parent,
                         stdout=subprocess.PIPE, text=True)
    try:
        kubeconfig = pathlib.Path(p.stdout.readline().strip())
        url = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        ca = (tmp_path / "serviceaccount/ca.crt").read_bytes()
        client = Client(url, ca, token=(tmp_path / "serviceaccount/token").read_text())
        assert client.request("GET", "/api/v1/pods").json["items"] == []
    finally:
        p.send_signal(signal.SIGTERM)
        p.wait(10)
    assert p.returncode == 0
