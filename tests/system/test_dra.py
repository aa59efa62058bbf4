"""Dynamic resource allocation: devices of a pod's ResourceClaims, which the API server knows and the kubelet's list does not."""
import json

import pytest
from faulty import STAND_IN, cluster, make, server  # noqa: F401
from kubelet import Kubelet

pytestmark = STAND_IN
A = "example.com/a"
DRIVER = "nic.example.com"


@pytest.fixture
def postern(make):  # noqa: F811
    p = make()
    p.kubelet = Kubelet(p.root / "kubelet").start()
    p.record = p.root / "record"
    p.record.mkdir()
    for name in ("nic", "nic2"):
        p.nad(name, {"cniVersion": "1.0.0", "name": name, "type": "record", "record": str(p.record)},
              annotations={"k8s.v1.cni.cncf.io/resourceName": A})
    p.nad("plain", {"cniVersion": "1.0.0", "name": "plain", "type": "nullcni"})
    p.cluster({"type": "nullcni"})
    p.start()
    yield p
    p.kubelet.stop()


def make_claim(p, name, *devices, namespace="default"):
    """devices: (request, pool, device)."""
    p.api.create("resourceclaims", namespace, {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim",
                                               "metadata": {"name": name, "namespace": namespace}})
    p.made.append(("resourceclaims", namespace, name))
    results = [{"request": r, "driver": DRIVER, "pool": pool, "device": d} for r, pool, d in devices]
    p.api.patch("resourceclaims", namespace, name, {"status": {"allocation": {"devices": {"results": results}}}}, "status")


def make_slice(p, name, pool, devices, driver=DRIVER, **where):
    """devices: name -> (deviceID, resourceName)."""
    listed = [{"name": d, "attributes": {"k8s.cni.cncf.io/deviceID": {"string": i}, "k8s.cni.cncf.io/resourceName": {"string": r},
                                         "model": {"string": "x"}}} for d, (i, r) in devices.items()]
    p.api.create("resourceslices", "", {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": name}, "spec": {
        "driver": driver, "pool": {"name": pool, "generation": 1, "resourceSliceCount": 1}, "devices": listed,
        **(where or {"nodeName": "node1"})}})
    p.made.append(("resourceslices", "", name))


def pod_with(p, networks, *claims, **status):
    pod = p.pod(networks)
    p.api.patch("pods", pod.namespace, pod.name, {"status": {
        "resourceClaimStatuses": [{"name": c, "resourceClaimName": c} for c in claims], **status}}, "status")
    return pod


def got(p, ifname="net1"):
    return json.loads((p.record / f"ADD-{ifname}.stdin").read_text())["deviceID"]


def test_claims(postern):
    """Both sources are one: the kubelet's devices and the claims', sorted; another pod's claims are of no concern."""
    make_slice(postern, "s1", "node1", {"d0": ("0000:02:00.0", A), "d1": ("0000:02:00.1", "example.com/b"), "d2": ("0000:02:00.2", A)})
    make_claim(postern, "c1", ("r", "node1", "d0"), ("s", "node1", "d1"))
    make_claim(postern, "c2", ("r", "node1", "d2"))
    make_claim(postern, "c1", ("r", "node1", "d2"), namespace="other")
    pod = pod_with(postern, "nic,nic2", "c1")
    postern.kubelet.give(pod, {A: ["0000:01:00.0"]})
    postern.add(pod).ok()
    assert [got(postern, i) for i in ("net1", "net2")] == ["0000:01:00.0", "0000:02:00.0"]
    postern.delete(pod).ok()
    postern.nothing_left(pod)


def test_not_asked_without_need(postern):
    """The kubelet's list is enough, or no network needs a device: nothing is asked of the API server beyond the pod."""
    enough, none = pod_with(postern, "nic", "c1"), pod_with(postern, "plain", "c1")
    postern.kubelet.give(enough, {A: ["0000:01:00.0"]})
    postern.server.reset_counters()
    for pod in (enough, none):
        postern.add(pod).ok()
        postern.delete(pod).ok()
    assert postern.asked("get", "resourceclaims") == 0 and postern.asked("list", "resourceslices") == 0


def test_many_slices(postern):
    """They come in pages. Those of other nodes and drivers are not looked at."""
    for i in range(20):
        make_slice(postern, f"m{i:02}", f"pool{i}", {"d": (f"0000:{i:02}:00.0", A)})
    make_slice(postern, "other-node", "pool19x", {"d": ("wrong", A)}, nodeName="node2")
    make_slice(postern, "other-driver", "pool19", {"d": ("wrong", A)}, driver="gpu.example.com")
    make_claim(postern, "c1", ("r", "pool19", "d"))
    pod = pod_with(postern, "nic", "c1")
    postern.server.reset_counters()
    postern.add(pod).ok()
    assert got(postern) == "0000:19:00.0"
    assert postern.asked("list", "resourceslices") >= 3
    postern.delete(pod).ok()


def test_of_several_nodes(postern):
    """A device that is not one node's own."""
    make_slice(postern, "fabric", "fabric", {"d": ("fabric-7", A)}, allNodes=True)
    make_claim(postern, "c1", ("r", "fabric", "d"))
    pod = pod_with(postern, "nic", "c1")
    postern.add(pod).ok()
    assert got(postern) == "fabric-7"
    postern.delete(pod).ok()


def test_extended(postern):
    """Asked for through the container's resources: the mapping says which request is of which resource."""
    make_slice(postern, "s1", "node1", {"d0": ("0000:02:00.0", A), "d1": ("0000:02:00.1", "example.com/b")})
    make_claim(postern, "ext", ("c-0", "node1", "d0"), ("c-1", "node1", "d1"))

    def extended(request):
        return {"resourceClaimName": "ext", "requestMappings": [
            {"containerName": "main", "resourceName": A, "requestName": request}]}
    pod = pod_with(postern, "nic", extendedResourceClaimStatus=extended("c-0"))
    postern.add(pod).ok()
    assert got(postern) == "0000:02:00.0"
    postern.delete(pod).ok()
    a = postern.add(pod_with(postern, "nic", extendedResourceClaimStatus=extended("c-1"))).failed()
    assert 'attribute k8s.cni.cncf.io/resourceName is "example.com/b", not "example.com/a"' in a.msg


def test_broken_claims(postern):
    """One that the network needs fails the ADD and is named; one that it does not need fails nothing."""
    make_slice(postern, "s1", "node1", {"d0": ("0000:02:00.0", A)})
    make_claim(postern, "c1", ("r", "node1", "d0"))
    make_claim(postern, "empty")
    assert "ResourceClaim missing not found" in postern.add(pod_with(postern, "nic", "missing")).failed().msg
    assert "ResourceClaim empty has no device allocation" in postern.add(pod_with(postern, "nic", "empty")).failed().msg
    pod = pod_with(postern, "nic", "missing", "c1", "empty")
    postern.add(pod).ok()
    assert got(postern) == "0000:02:00.0"
    postern.delete(pod).ok()


def test_large_slices(postern):
    """Eight of them would be more than an answer may have: then they come one by one."""
    for i in range(6):
        make_slice(postern, f"big{i}", f"pool{i}", {f"d{k}": ("x" * 200 + f"{i}-{k}", A) for k in range(500)})
    make_claim(postern, "c1", ("r", "pool5", "d499"))
    pod = pod_with(postern, "nic", "c1")
    postern.add(pod).ok()
    assert got(postern) == "x" * 200 + "5-499"
    postern.delete(pod).ok()
