"""What the stand-in for the API server answers. Where KUBEBUILDER_ASSETS names a real one the same is asked of that one, so
that the stand-in cannot drift from it."""
import base64

import pytest

import harness
from apiserver import ApiServer, Client
from apiserver.cluster import STATUS_ANNOTATION
from apiserver.envtest import RealApiServer, assets
from apiserver.pki import Pair
from apiserver.place import POD, Place, ask_certificate, refused

METADATA = {"accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}


@pytest.fixture(scope="module", params=["stand-in", "real"] if assets() else ["stand-in"])
def both(request, tmp_path_factory):
    with (RealApiServer if request.param == "real" else ApiServer)(tmp_path_factory.mktemp("api")) as server:
        place = Place(server)
        yield place
        place.close()


def test_get(both):
    answer = both.get()
    pod = answer.json
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    assert (pod["kind"], pod["apiVersion"], pod["metadata"]["annotations"]["a"]) == ("Pod", "v1", "b")
    assert pod["metadata"]["uid"] and pod["metadata"]["resourceVersion"] and pod["metadata"]["managedFields"]


def test_metadata_alone(both):
    got = both.client.request("GET", POD, headers=METADATA).json
    assert (got["kind"], got["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert got["metadata"]["annotations"] == {"a": "b"} and "spec" not in got and "status" not in got


@pytest.mark.parametrize("accept,status", [("text/html", 406), ("application/json", 200), ("*/*", 200), (None, 200),
                                           ("application/json;as=Nothing;g=meta.k8s.io;v=v1", 406),
                                           ("text/html, application/json", 200)])
def test_accept(both, accept, status):
    assert both.get(accept=accept).status == status


def test_absent(both):
    answer = both.get("/api/v1/namespaces/default/pods/none")
    assert answer.status == 404
    said = answer.json
    assert (said["reason"], said["message"]) == ("NotFound", 'pods "none" not found')
    assert said["details"] == {"name": "none", "kind": "pods"}
    assert both.get("/api/v1/namespaces/default/pods/Odd_Name").status == 404


def test_unknown_paths(both):
    for path in ("/apis/none.example/v1/namespaces/default/things/x", "/nothing"):
        answer = both.cluster.client.request("GET", path)
        assert answer.status == 404 and (answer.body.startswith(b"404 page not found") or b'"paths"' in answer.body)


def test_forbidden(both):
    answer = both.get("/api/v1/namespaces/default/events/x")
    assert answer.status == 403
    said = answer.json
    assert said["message"] == ('events "x" is forbidden: User "system:serviceaccount:kube-system:postern" cannot get resource '
                               '"events" in API group "" in the namespace "default"')
    assert (said["reason"], said["details"]) == ("Forbidden", {"name": "x", "kind": "events"})
    said = both.client.request("PATCH", POD, {}).json
    assert said["code"] == 403 and 'cannot patch resource "pods" in' in said["message"]
    said = both.get("/api/v1/nodes").json
    assert said["message"].startswith("nodes is forbidden") and said["message"].endswith("at the cluster scope")


def test_names_that_a_role_names(both):
    path = "/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions/"
    assert both.get(path + "mine").status == 404
    said = both.get(path + "other").json
    assert said["code"] == 403
    assert said["message"].startswith('network-attachment-definitions.k8s.cni.cncf.io "other" is forbidden')
    assert said["details"] == {"name": "other", "group": "k8s.cni.cncf.io", "kind": "network-attachment-definitions"}


def test_wrong_token(both):
    client = both.as_token("no.such.token")
    answer = client.request("GET", POD)
    assert (answer.status, answer.json["reason"], answer.json["message"]) == (401, "Unauthorized", "Unauthorized")
    assert client.link.goaway == (1, 0)  # and the connection ends
    client.close()


def test_client_certificate(both):
    pair = both.server.client_pair("somebody", ["some", "groups"]).write(both.server.directory / "somebody")
    client = Client(both.server.url, both.server.ca, pair)
    assert 'User "somebody" cannot get' in client.request("GET", POD).json["message"]
    client.close()


def test_bad_client_certificates(both):
    """They are no reason to end the handshake, and a good token makes up for them."""
    server = both.server
    for name, how in (("late", {"seconds": -1}), ("strange", {"ca": server.pki.strange_ca})):
        pair = server.pki.client(name, **how).write(server.directory / name)
        client = Client(server.url, server.ca, pair)
        assert client.request("GET", POD).status == 401
        client.close()
        client.token = both.client.token
        assert client.request("GET", POD).status == 200
        client.close()


def test_status_patch(both):
    c = both.cluster
    before = c.create_pod("default", "patched", {"keep": "1"})
    after = both.client.request("PATCH", "/api/v1/namespaces/default/pods/patched/status", {
        "metadata": {"uid": before["metadata"]["uid"], "annotations": {STATUS_ANNOTATION: "[]", "keep": None}},
        "spec": {"nodeName": "elsewhere"}})
    assert after.status == 200, after.body
    assert after.json["metadata"]["annotations"] == {STATUS_ANNOTATION: "[]"}
    assert after.json["spec"]["nodeName"] == before["spec"]["nodeName"]
    assert c.get_status_annotation("default", "patched") == "[]"
    assert after.json["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
    again = c.patch("pods", "default", "patched", {"metadata": {"annotations": {STATUS_ANNOTATION: "[]"}}}, "status")
    assert again["metadata"]["resourceVersion"] == after.json["metadata"]["resourceVersion"]


def test_patch_preconditions(both):
    c = both.cluster
    status, said = refused(c.patch, "pods", "default", "p", {"metadata": {"uid": "other"}}, "status")
    assert (status, said["reason"]) == (422, "Invalid") and "field is immutable" in said["message"]
    assert said["details"]["causes"][0]["field"] == "metadata.uid"
    status, said = refused(c.patch, "pods", "default", "p", {"metadata": {"resourceVersion": "1"}}, "status")
    assert (status, said["reason"]) == (409, "Conflict") and "please apply your changes to the latest version" in said["message"]
    status, said = refused(c.patch, "pods", "default", "p", {"metadata": {"annotations": {"big": "x" * 262144}}}, "status")
    assert (status, said["reason"]) == (422, "Invalid") and "may not be more than 262144 bytes" in said["message"]
    assert refused(c.patch, "pods", "default", "absent", {"metadata": {}}, "status")[0] == 404
    assert refused(c.patch, "pods", "default", "p", {"metadata": {"annotations": {"n": 1}}}, "status")[0] == 422
    assert refused(c.patch, "pods", "default", "p", b"{", "status")[0] == 400
    assert refused(c.patch, "pods", "default", "p", {"spec": {"nodeName": "other"}})[0] == 422


def test_content_types(both):
    for kind in ("application/json", "text/plain"):
        answer = both.cluster.client.request("PATCH", POD + "/status", {},
                                             {"content-type": kind})
        assert (answer.status, answer.json["reason"]) == (415, "UnsupportedMediaType")


def test_body_limit(both):
    answer = both.cluster.client.request("PATCH", POD + "/status", b" " * (3 << 20) + b"{}")
    assert (answer.status, answer.json["reason"]) == (413, "RequestEntityTooLarge")


def test_create_refuses(both):
    c = both.cluster
    assert refused(c.create_pod, "default", "Odd_Name")[0] == 422
    assert refused(c.create_pod, "default", "p")[1]["reason"] == "AlreadyExists"
    assert refused(c.do, "POST", "/api/v1/namespaces/default/pods", b'{"kind":"Pod"')[0] == 400
    assert refused(c.do, "POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": "q"}})[0] == 422


def test_networks(both):
    c = both.cluster
    c.put_nad("default", "a.b.c")
    assert "spec" not in c.get("network-attachment-definitions", "default", "a.b.c")
    one = c.put_nad("default", "n", '{"type":"bridge"}')
    two = c.put_nad("default", "n", '{"type":"macvlan"}')
    assert one["metadata"]["uid"] == two["metadata"]["uid"]
    assert two["metadata"]["generation"] == 2 and two["spec"]["config"] == '{"type":"macvlan"}'
    c.delete_nad("default", "n")
    assert refused(c.get, "network-attachment-definitions", "default", "n")[1]["message"] == \
        'network-attachment-definitions.k8s.cni.cncf.io "n" not found'


def event(namespace, name, **more):
    return {"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "p", "apiVersion": "v1"}, "reason": "Test",
            "message": "m", "type": "Normal", "source": {"component": "postern"}, "count": 1,
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", **more}


def test_events(both):
    c = both.cluster
    c.create("events", "default", event("default", "p.1", message="x" * 1500))
    assert [e["reason"] for e in c.events("default", "p")] == ["Test"]
    assert refused(c.create, "events", "default", event("default", "p.1"))[0] == 409
    elsewhere = event("default", "p.2", involvedObject={"kind": "Pod", "namespace": "other", "name": "p"})
    assert refused(c.create, "events", "default", elsewhere)[0] == 422
    assert refused(c.create, "events", "default", event("default", "p.3", eventTime="2026-01-01T00:00:00Z"))[0] == 400
    assert refused(c.create, "events", "default", event("default", "p.4", firstTimestamp="yesterday"))[0] == 400
    assert refused(c.create, "events", "default", event("default", "p.5", eventTime="2026-01-01T00:00:00.000000Z"))[0] == 422


def test_list_in_pages(both):
    c = both.cluster
    for i in range(3):
        c.create_pod("pages", f"p{i}", labels={"n": str(i)})
    path = "/api/v1/namespaces/pages/pods"
    first = c.do("GET", path + "?limit=2")
    assert first["kind"] == "PodList" and [p["metadata"]["name"] for p in first["items"]] == ["p0", "p1"]
    assert "kind" not in first["items"][0] and first["metadata"]["remainingItemCount"] == 1
    second = c.do("GET", path + "?limit=2&continue=" + first["metadata"]["continue"])
    assert [p["metadata"]["name"] for p in second["items"]] == ["p2"] and "continue" not in second["metadata"]
    assert [p["metadata"]["name"] for p in c.list("pods", "pages", fieldSelector="metadata.name=p1")] == ["p1"]
    assert [p["metadata"]["name"] for p in c.list("pods", "pages", labelSelector="n=2")] == ["p2"]
    assert refused(c.list, "pods", "pages", fieldSelector="spec.none=x")[0] == 400


def test_watch(both):
    c = both.cluster
    version = c.do("GET", "/api/v1/namespaces/watched/pods")["metadata"]["resourceVersion"]
    events = c.watch("pods", "watched", resourceVersion=version, fieldSelector="metadata.name=w", timeoutSeconds=30)
    c.create_pod("watched", "other")
    c.create_pod("watched", "w")
    c.annotate("watched", "w", x="y")
    c.delete("pods", "watched", "w")
    seen = [next(events) for _ in range(4)]
    assert [e["type"] for e in seen] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    assert {e["object"]["metadata"]["name"] for e in seen} == {"w"}
    assert seen[1]["object"]["metadata"]["annotations"] == {"x": "y"}
    events.close()
    replayed = c.watch("pods", "watched", resourceVersion=version, fieldSelector="metadata.name=w", timeoutSeconds=30)
    assert [next(replayed) for _ in range(4)] == seen
    replayed.close()


def test_watch_of_metadata(both):
    c = both.cluster
    c.create_pod("quiet", "m", {"a": "1"})
    events = c.client.watch("/api/v1/namespaces/quiet/pods?watch=true&resourceVersion=0&timeoutSeconds=2"
                            "&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dm", METADATA)
    seen = list(events)
    assert [e["type"] for e in seen[:1] + seen[-1:]] == ["ADDED", "BOOKMARK"]
    assert {e["object"]["kind"] for e in seen} == {"PartialObjectMetadata"}
    assert seen[0]["object"]["metadata"]["annotations"] == {"a": "1"} and "spec" not in seen[0]["object"]


def test_watch_of_one_name_that_a_role_names(both):
    path = "/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions?watch=1&timeoutSeconds=1"
    both.server.grant([{"apiGroups": ["k8s.cni.cncf.io"], "resources": ["network-attachment-definitions"], "verbs": ["watch"],
                        "resourceNames": ["mine"]}])
    harness.wait_for("the role", lambda: both.get(path + "&fieldSelector=metadata.name%3Dmine").status == 200)
    assert both.get(path).status == 403
    assert both.get(path + "&fieldSelector=metadata.name%3Dother").status == 403


def test_version_from_the_future(both):
    answer = both.cluster.client.request("GET", "/api/v1/namespaces/default/pods?resourceVersion=999999999")
    assert (answer.status, answer.json["reason"], answer.headers["retry-after"]) == (504, "Timeout", "1")


def test_terminating_pod(both):
    c = both.cluster
    c.create_pod("default", "ending")
    assert c.terminate("default", "ending")["metadata"]["deletionTimestamp"]
    c.patch("pods", "default", "ending", {"metadata": {"annotations": {STATUS_ANNOTATION: "[1]"}}}, "status")
    assert c.get_status_annotation("default", "ending") == "[1]"
    c.delete("pods", "default", "ending", missing_ok=False)
    assert refused(c.get, "pods", "default", "ending")[0] == 404


def test_certificate_requests(both):
    c = both.cluster
    for wrong in ({"usages": []}, {"signerName": ""}, {"expirationSeconds": 599}, {"request": "eA=="},
                  {"signerName": "kubernetes.io/legacy-unknown"}):
        assert refused(ask_certificate, c, "wrong", **wrong)[0] == 422
    key, csr = ask_certificate(c, "mine")
    assert csr["spec"]["username"] == "admin" and "system:masters" in csr["spec"]["groups"]
    name = csr["metadata"]["name"]
    assert name in [o["metadata"]["name"] for o in c.csrs()]
    c.decide_csr(name)
    cert = base64.b64decode(c.sign_csr(name)["status"]["certificate"])
    client = Client(both.server.url, both.server.ca, Pair(cert, key).write(both.server.directory / "signed"))
    assert 'User "system:multus:node1" cannot' in client.request("GET", POD).json["message"]
    client.close()
    _, csr = ask_certificate(c, "denied")
    denied = c.decide_csr(csr["metadata"]["name"], "Denied")
    assert [x["type"] for x in denied["status"]["conditions"]] == ["Denied"]


PODS, NADS, EVENTS = (f"{root}/namespaces/default/{plural}" for root, plural in (
    ("/api/v1", "pods"), ("/apis/k8s.cni.cncf.io/v1", "network-attachment-definitions"), ("/api/v1", "events")))


def pod(**metadata):
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def nad(**more):
    return {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": "new"}, **more}


ANSWERS = [  # what is asked, the status, the reason
    ("GET", PODS + "?resourceVersion=abc", None, 500, None),
    ("GET", PODS + "?watch=1&resourceVersion=abc", None, 500, None),
    ("GET", PODS + "?watch=1&timeoutSeconds=abc", None, 400, "BadRequest"),
    ("GET", PODS + "?watch=1&sendInitialEvents=true", None, 422, "Invalid"),
    ("GET", PODS + "?fieldSelector=zzz", None, 400, "BadRequest"),
    ("GET", NADS + "?fieldSelector=spec.config%3Dx", None, 400, "BadRequest"),
    ("GET", PODS + "?limit=1&continue=abc", None, 400, "BadRequest"),
    ("GET", PODS + "?limit=abc", None, 400, "BadRequest"),
    ("GET", "/api/v1/namespaces//pods/p", None, 400, "BadRequest"),
    ("GET", PODS + "/%2e%2e", None, 400, "BadRequest"),
    ("GET", PODS + "/p%2fstatus", None, 200, None),
    ("GET", PODS + "/p/", None, 200, None),
    ("GET", PODS + "/p/none", None, 404, "NotFound"),
    ("GET", "/api/v1/nothing", None, 404, "NotFound"),
    ("GET", "/" + PODS, None, 404, "404 page not found"),
    ("GET", "/apis/none.example/v1/things", None, 404, "404 page not found"),
    ("HEAD", PODS + "/p", None, 405, ""),
    ("POST", PODS + "/p", {}, 405, "MethodNotAllowed"),
    ("POST", "/api/v1/pods", pod(name="q"), 405, "MethodNotAllowed"),
    ("PUT", PODS, {}, 405, "MethodNotAllowed"),
    ("PATCH", PODS, {}, 405, "MethodNotAllowed"),
    ("DELETE", PODS + "/p/status", None, 405, "MethodNotAllowed"),
    ("DELETE", PODS + "/p", {"preconditions": {"uid": "x"}}, 409, "Conflict"),
    ("POST", PODS, b"", 400, "BadRequest"),
    ("POST", PODS, b"[]", 400, "BadRequest"),
    ("POST", PODS, {"apiVersion": "v1", "kind": "Secret", **pod(name="q")}, 400, "BadRequest"),
    ("POST", PODS, pod(name="q", namespace="other"), 400, "BadRequest"),
    ("POST", PODS, pod(name=5), 400, "BadRequest"),
    ("POST", PODS, pod(name="q", annotations={"a": 5}), 400, "BadRequest"),
    ("POST", PODS, pod(name="q", annotations={"a b": "x"}), 422, "Invalid"),
    ("POST", PODS, pod(name="q", resourceVersion="5"), 500, None),
    ("POST", PODS, pod(), 422, "Invalid"),
    ("POST", PODS + "?dryRun=All", pod(name="dry"), 201, None),
    ("GET", PODS + "/dry", None, 404, "NotFound"),
    ("POST", "/api/v1/namespaces/missing/pods", pod(name="q"), 404, "NotFound"),
    ("PATCH", PODS + "/p/status", {"metadata": None}, 400, "BadRequest"),
    ("PATCH", PODS + "/p/status", {"metadata": {"name": "q"}}, 400, "BadRequest"),
    ("PATCH", PODS + "/p/status", {"metadata": {"namespace": "q"}}, 400, "BadRequest"),
    ("PATCH", PODS + "/p/status", {"metadata": {"uid": "u", "resourceVersion": "1"}}, 409, "Conflict"),
    ("PATCH", PODS + "/p/status", {"metadata": {"uid": None, "resourceVersion": None}}, 200, None),
    ("PATCH", PODS + "/p/status", {"metadata": {"resourceVersion": "abc"}}, 500, None),
    ("PATCH", PODS + "/p/status", {"metadata": 5}, 422, "Invalid"),
    ("PATCH", PODS + "/p/status", {"metadata": {"annotations": 5}}, 422, "Invalid"),
    ("PATCH", PODS + "/p/status", {"kind": "Secret"}, 422, "Invalid"),
    ("PATCH", PODS + "/p/status", {"unknown": 1}, 200, None),
    ("PATCH", PODS + "/p/status", b"[]", 400, "BadRequest"),
    ("PATCH", PODS + "/p/status", b"null", 400, "BadRequest"),
    ("PATCH", PODS + "/p/status", b'{"a":' * 20000 + b"1" + b"}" * 20000, 400, "BadRequest"),
    ("PATCH", PODS + "/p/status", b'{"metadata":{"annotations":{"x":"\xff"}}}', 200, None),
    ("PATCH", PODS + "/p/status?dryRun=x", {}, 422, "Invalid"),
    ("PATCH", PODS + "/p/status?fieldManager=" + "x" * 129, {}, 422, "Invalid"),
    ("POST", NADS, nad(kind=""), 400, "BadRequest"),
    ("POST", NADS, nad(kind="Pod"), 422, "Invalid"),
    ("POST", NADS, nad(spec={"config": 5}), 422, "Invalid"),
    ("POST", NADS, nad(spec="x"), 422, "Invalid"),
    ("POST", NADS, nad(spec={"config": "{}", "more": 1}, more=1), 201, None),
    ("PUT", NADS + "/new", nad(), 422, "Invalid"),
    ("DELETE", NADS + "/new", None, 200, None),
    ("POST", EVENTS, event("default", "Odd_Name"), 201, None),
    ("POST", EVENTS, event("default", "q", type="Odd", reason=""), 201, None),
    ("POST", EVENTS, event("default", "r", count="1"), 400, "BadRequest"),
    ("POST", EVENTS, event("default", "s", reason=5), 400, "BadRequest"),
]


@pytest.mark.parametrize("method,path,body,status,reason", ANSWERS)
def test_answers(both, method, path, body, status, reason):
    answer = both.cluster.client.request(method, path, body)
    if answer.headers["content-type"] == "application/json" and answer.body:
        assert (answer.status, answer.json.get("reason") if answer.json["kind"] == "Status" else None) == (status, reason)
    else:
        assert (answer.status, answer.body.decode().strip()) == (status, reason)
