"""The cluster's API server as the source of pods and networks: what Postern asks of it, and what it makes of the answers."""
import json
import os
import re
import threading

import kube
import pytest
from faulty import STAND_IN, cluster, make, server  # noqa: F401
from harness import BUILD, private_kb, sh, status_fields, wait_for

@pytest.fixture
def postern(make):
    p = make()
    p.start()
    return p


def test_two_networks(postern):
    """The pod of the quickstart: interfaces, routes, status and events, all through real delegates."""
    pod = postern.pod(postern.two_networks())
    postern.add(pod).ok()
    assert pod.links() == ["eth0", "net1", "net2"]
    assert pod.defaults() == [("net1", "10.89.0.1")]
    text = postern.api.get_status_annotation(pod.namespace, pod.name)
    status = json.loads(text)
    assert [(s["name"], s["interface"], s["ips"], s.get("default", False)) for s in status] == [
        ("cluster", "eth0", pod.addresses("eth0") + pod.addresses("eth0", "inet6"), True),
        ("default/storage", "net1", pod.addresses("net1"), False), ("default/backup", "net2", pod.addresses("net2"), False)]
    assert text.startswith('[{\n    "name": "cluster",\n    "interface": "eth0",\n    "ips": [\n        "10.88.0.')
    events = postern.events(pod, 3)
    cidr = {i: " ".join(f"{a['local']}/{a['prefixlen']}" for link in pod.ip("addr", "show", "dev", i) for a in link["addr_info"]
                        if a["scope"] == "global") for i in pod.links()}
    assert events == [("Normal", "AddedInterface", f"Add {i} [{cidr[i]}] from {n}") for i, n in
                      (("eth0", "cluster"), ("net1", "default/storage"), ("net2", "default/backup"))]
    event = postern.api.events(pod.namespace, pod.name)[0]
    assert event["source"] == {"component": "multus", "host": "node1"} and event["involvedObject"]["uid"] == pod.uid
    postern.delete(pod).ok()
    postern.nothing_left(pod)


def test_hotplug(make):
    """The status of a pod that runs follows; the pod that was replaced by another of its name gets nothing."""
    p = make()
    p.config["hotplug"] = {"socketDir": str(p.root / "hotplug")}
    p.two_networks()
    p.start()
    pod = p.pod()
    p.add(pod).ok()
    ctl = (str(BUILD / "posternctl"), "attach", f"{pod.namespace}/{pod.name}", "--network", "storage", "--socket",
           str(p.root / "hotplug" / "postern.sock"), "--interface")
    sh(*ctl, "net7")
    status = json.loads(p.api.get_status_annotation(pod.namespace, pod.name))
    assert [(s["name"], s["interface"], s["ips"]) for s in status][1:] == [("default/storage", "net7", pod.addresses("net7"))]
    assert "Add net7" in p.events(pod, 2)[1][2]
    p.api.delete("pods", pod.namespace, pod.name)
    p.write_pod(pod)
    refused = sh(*ctl, "net8", check=False)
    assert refused.returncode == 1 and "uid" in refused.stderr, refused.stderr
    assert p.api.get_status_annotation(pod.namespace, pod.name) is None
    p.delete(pod).ok()
    p.nothing_left(pod)


@STAND_IN
def test_requests_of_an_add(postern, server):
    """One GET of the pod, one PATCH; no GET of a network that has not changed; events when nobody waits."""
    networks = postern.stand_ins()
    server.reset_counters()
    for _ in range(2):
        postern.add(postern.pod(networks)).ok()
        wait_for("the watches", lambda: len(server.watches(resource=kube.NAD)) == 2)
    wait_for("6 events", lambda: postern.asked("create", "events") == 6)
    server.reset_counters()
    pods = [postern.pod(networks) for _ in range(5)]
    for pod in pods:
        postern.add(pod).ok()
        assert (postern.asked("get", "pods", pod), postern.asked("patch", "pods/status", pod)) == (1, 1)
    wait_for("15 events", lambda: postern.asked("create", "events") == 15)
    assert postern.asked("get", kube.NAD) == postern.asked("watch", kube.NAD) == postern.asked("list", kube.NAD) == 0
    assert len([r for r in server.requests() if r.user_agent.startswith("postern/")]) == 5 * 5
    for pod in pods:
        postern.delete(pod).ok()
    assert len([r for r in server.requests() if r.user_agent.startswith("postern/")]) == 5 * 5, "DEL asks nobody"


def test_a_changed_network_counts_at_once(postern):
    """Each change is in the next ADD, however often the network was asked for before."""
    record = postern.root / "record"
    record.mkdir()
    for mtu in range(1400, 1410):
        postern.nad("changing", {"cniVersion": "1.0.0", "name": "changing", "type": "record", "mtu": mtu, "record": str(record)})
        for _ in range(3):
            pod = postern.pod("changing")
            postern.add(pod).ok()
            assert json.loads((record / "ADD-net1.stdin").read_text())["mtu"] == mtu
            postern.delete(pod).ok()


def test_a_deleted_network_is_gone_at_once(postern):
    networks = postern.stand_ins(1)
    for _ in range(3):
        postern.add(postern.pod(networks)).ok()
    postern.api.delete_nad("default", "null0")
    pod = postern.pod(networks)
    assert "null0" in postern.add(pod).failed().msg
    assert postern.status(pod) is None
    assert postern.events(pod, 1) == [("Warning", "NoNetworkFound", "cannot find a network-attachment-definition (null0) in namespace "
                                       "(default): it does not exist")]
    postern.delete(pod).ok()


def test_a_pod_that_is_not_there(postern):
    """ADD fails; DEL goes on."""
    pod = postern.pod(manifest=False)
    assert f'pods "{pod.name}" not found' in postern.add(pod).failed().msg
    postern.delete(pod).ok()
    networks = postern.stand_ins()
    gone = postern.pod(networks)
    postern.add(gone).ok()
    postern.api.delete("pods", gone.namespace, gone.name)
    postern.delete(gone).ok()
    postern.nothing_left(pod, gone)


def test_a_pod_that_comes_late(postern):
    """A mirror pod may appear a moment after its sandbox was asked for."""
    pod = postern.pod(manifest=False)
    pod.uid = ""
    add = postern.cni_async("ADD", pod)
    threading.Timer(0.8, lambda: postern.write_pod(pod)).start()
    add.finish().ok()
    postern.delete(pod).ok()


def test_another_pod_of_that_name(postern):
    pod = postern.pod(postern.stand_ins())
    pod.uid = "00000000-0000-0000-0000-000000000000"
    assert "uid" in postern.add(pod).failed().msg
    assert postern.status(pod) is None
    postern.nothing_left(pod)


def test_a_static_pod(postern):
    """The kubelet knows it by a hash, the API server its mirror by another uid: it has its networks, its status and events."""
    pod = postern.pod(postern.stand_ins(), annotations={"kubernetes.io/config.source": "file"})
    pod.uid = "0123456789abcdef0123456789abcdef"
    postern.add(pod).ok()
    assert len(postern.status(pod)) == 3
    assert len(postern.events(pod, 3)) == 3
    postern.delete(pod).ok()


def test_a_pod_that_is_replaced_meanwhile(postern):
    """The status of one pod is never another's that has its name by now."""
    postern.stand_in("slow", delay="1000")
    pod = postern.pod("slow")
    add = postern.cni_async("ADD", pod)
    wait_for("the delegate", lambda: postern.trace())
    postern.api.delete("pods", pod.namespace, pod.name)
    postern.api.create_pod(pod.namespace, pod.name)
    assert "replaced" in add.finish().failed().msg
    assert postern.status(pod) is None
    postern.nothing_left(pod)


@STAND_IN
@pytest.mark.parametrize("lost", ["pods:get", "pods/status:patch", kube.NAD + ":get"])
def test_missing_rights_are_named(make, server, lost):
    """What RBAC must allow is in the error; nothing is left of the pod."""
    resource, verb = lost.split(":")
    p = make()
    server.fail(403, verb=verb, resource=resource)
    p.start()
    pod = p.pod(p.stand_ins())
    msg = p.add(pod).failed().msg
    assert f'RBAC must allow "{verb}" on "{resource}"' in msg, msg
    p.nothing_left(pod)


@STAND_IN
def test_without_the_crd(postern, server):
    networks = postern.stand_ins()
    pod = postern.pod(networks)
    server.crd_installed = False
    try:
        msg = postern.add(pod).failed().msg
    finally:
        server.crd_installed = True
    assert "is its CRD installed?" in msg and kube.NAD in msg
    postern.add(pod).ok()
    postern.delete(pod).ok()


@STAND_IN
def test_conflicts(postern, server):
    """A few are nobody's business; when they do not end the ADD fails, and nothing is left."""
    networks = postern.stand_ins()
    pod = postern.pod(networks)
    server.fail(409, resource="pods/status", count=3)
    postern.add(pod).ok()
    assert len(postern.status(pod)) == 3
    postern.delete(pod).ok()
    server.fail(409, resource="pods/status")
    pod = postern.pod(networks)
    assert "409" in postern.add(pod).failed(11).msg
    postern.nothing_left(pod)


def test_confinement(postern):
    """kube has no file, no network, no way to get either; verify agrees."""
    postern.add(postern.pod(postern.stand_ins())).ok()
    pid = postern.all_roles()["postern-kube"]
    fields = status_fields(pid)
    assert fields["CapEff"] == fields["CapBnd"] == "0" * 16 and fields["Seccomp"] == "2" and fields["Uid"].split()[0] == "64871"
    assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    assert os.listdir(f"/proc/{pid}/root") == []
    dial = status_fields(postern.all_roles()["postern-dial"])
    assert dial["CapEff"] == dial["CapPrm"] == dial["CapBnd"] == "0" * 16 and dial["Seccomp"] == "2" and dial["NoNewPrivs"] == "1"
    r = sh(str(BUILD / "posternctl"), "verify", check=False)
    assert r.returncode == 0, r.stdout + r.stderr
    assert re.search(r"^kube .* inet \d", r.stdout, re.M) and re.search(r"^dial ", r.stdout, re.M) and "store" not in r.stdout


@STAND_IN
def test_a_large_cluster(make, server):
    """Ten thousand networks, five thousand pods; 110 of them here, with 40 networks: kube grows by less than 4 MB."""
    p = make()
    p.start()
    networks = p.stand_ins(40).split(",")
    for i in range(10000):
        server.seed({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
                     "metadata": {"name": f"n{i}", "namespace": "crowd"}, "spec": {"config": '{"type": "nullcni"}'}})
        if i < 5000:
            server.seed({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{i}", "namespace": "crowd"}, "spec": {}})
    p.add(p.pod(networks[0])).ok()
    before = private_kb(p.all_roles()["postern-kube"])
    for i in range(110):
        pod = p.pod(",".join(networks[(i + k) % 40] for k in range(2)))
        p.add(pod).ok()
        p.delete(pod).ok()
        pod.drop_netns()
    grown = private_kb(p.all_roles()["postern-kube"]) - before
    print(f"kube grew by {grown} kB")
    assert grown < 4096
