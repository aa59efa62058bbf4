"""Devices of device plugins: what the kubelet says a pod has reaches the pod's networks, each device once; device-information files.
The kubelet is grpcio's, where it is well."""
import concurrent.futures
import json
import os
import socket
import threading
import time

import grpc
import harness
import pytest
from kubelet import Kubelet
from test_hotplug import Plugs, failed, ok

NIC = "example.com/nic"
RESOURCE = "k8s.v1.cni.cncf.io/resourceName"


def equip(p, **more):
    """Gives the node a kubelet."""
    p.kubelet = Kubelet(p.root / "kubelet").start()
    p.info = p.root / "k8s" / "devinfo"
    p.config["devices"] = p.kubelet.config(p.info, **more)
    p.programs = (*p.programs, "postern-devices")
    p.record = p.root / "record"
    p.record.mkdir()
    for name in ("nic", "nic2"):
        p.nad(name, {"cniVersion": "1.0.0", "name": name, "type": "record", "record": str(p.record),
                     "capabilities": {"deviceID": True, "CNIDeviceInfoFile": True}}, annotations={RESOURCE: NIC})
    p.nad("list", {"cniVersion": "1.0.0", "name": "list", "plugins": [
        {"type": "record", "record": str(p.record)}, {"type": "nullcni"}]}, annotations={RESOURCE: "example.com/fpga"})
    p.nad("fails", {"cniVersion": "1.0.0", "name": "fails", "type": "misbehave", "mode": "fail"}, annotations={RESOURCE: NIC})
    p.nad("own", {"cniVersion": "1.0.0", "name": "own", "type": "record", "record": str(p.record), "capabilities": {"deviceID": True}})
    p.cluster({"type": "nullcni"})
    return p


@pytest.fixture(scope="module")
def service():
    p = harness.Postern()
    try:
        equip(p).start()
        yield p
    finally:
        p.close()
        p.kubelet.stop()


@pytest.fixture
def node(service):
    """A kubelet that is well and knows nobody; what the service was, it is afterwards."""
    k, before = service.kubelet, service.all_roles()
    k.devices, k.answer, k.calls = {}, None, 0
    if not k.server:
        k.start()
    k.checkpoint.unlink(missing_ok=True)
    for path in service.record.iterdir():
        path.unlink()
    try:
        yield service
        service.unharmed(before)
        service.nothing_left(*service.pods)
        assert list((service.info / "cni").iterdir()) == []
        service.drop_pods()
    except BaseException:
        service.renew()
        raise


def got(node, ifname="net1", verb="ADD"):
    """What the plugin of that interface read."""
    return json.loads((node.record / f"{verb}-{ifname}.stdin").read_text())


def test_two_hundred_pods(node):
    """The devices of this pod, of all that the kubelet lists, sorted: the first network the first one."""
    pod = node.pod("nic,nic2,list")
    for i in range(100):
        node.kubelet.devices["default", f"other{i}"] = [{NIC: [f"0000:{i:02x}:00.{n}" for n in range(8)]}, {"cpu": ["1"] * 20}]
    node.kubelet.give(pod, {NIC: ["0000:03:02.3"], "example.com/fpga": ["f1", "f0"]}, {}, {NIC: ["0000:03:02.1", "0000:03:02.2"]})
    for i in range(100, 199):
        node.kubelet.devices["default", f"other{i}"] = [{NIC: [f"0000:{i:02x}:00.{n}" for n in range(8)]}]
    node.add(pod).ok()
    for i, device in ((1, "0000:03:02.1"), (2, "0000:03:02.2"), (3, "f0")):
        conf = got(node, f"net{i}")
        assert (conf["deviceID"], conf["pciBusID"]) == (device, device)
    assert got(node)["runtimeConfig"] == {"deviceID": "0000:03:02.1",
                                          "CNIDeviceInfoFile": f"{node.info}/cni/default-nic-{pod.id}_net1"}
    assert "runtimeConfig" not in got(node, "net3"), "no plugin of it has the capability"
    node.delete(pod).ok()
    assert got(node, verb="DEL")["deviceID"] == "0000:03:02.1" and got(node, verb="DEL")["runtimeConfig"] == got(node)["runtimeConfig"]


def test_at_once(node):
    """24 pods, more than are asked about side by side; each gets its own two."""
    pods = [node.pod("nic,nic2") for _ in range(24)]
    for i, pod in enumerate(pods):
        node.kubelet.give(pod, {NIC: [f"{i}-b", f"{i}-a"]})
    for answer in [a.finish() for a in [node.cni_async("ADD", pod) for pod in pods]]:
        answer.ok()
    journal = "".join(path.read_text(errors="replace") for path in (node.cni_dir / "journal").iterdir())
    for i in range(len(pods)):
        assert f'"deviceID":"{i}-a"' in journal and f'"deviceID":"{i}-b"' in journal
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for answer in pool.map(node.delete, pods):
            answer.ok()
    assert node.kubelet.calls == 24, "one question a pod and resource"


def test_not_asked_without_need(node):
    pod = node.pod("own")
    node.add(pod).ok()
    node.delete(pod).ok()
    assert node.kubelet.calls == 0


def test_over_subscription(node):
    """Neither the same device twice nor none."""
    pod = node.pod("nic,nic2,nic@third")
    node.kubelet.give(pod, {NIC: ["a", "b"]})
    a = node.add(pod).failed()
    assert f"network default/nic needs a device of {NIC}, but the pod has 2 of these" in a.msg
    assert list(node.record.iterdir()) == [], "a network was attached"


def test_of_another_namespace(node):
    pod = node.pod("nic")
    node.kubelet.devices["kube-system", pod.name] = [{NIC: ["a"]}]
    node.kubelet.devices["default", pod.name + "x"] = [{NIC: ["b"]}]
    assert "the pod has 0 of these" in node.add(pod).failed().msg


def test_cluster_and_default_networks_share(make_postern):
    """One allocation over all the places that networks come from."""
    p = equip(make_postern(defaultNetworks=["second"]))
    try:
        for name in ("first", "second"):
            p.nad(name, {"cniVersion": "1.0.0", "name": name, "type": "record", "record": str(p.record)}, namespace="kube-system",
                  annotations={RESOURCE: NIC})
        p.config["clusterNetwork"] = "first"
        p.start()
        pod = p.pod("nic")
        p.kubelet.give(pod, {NIC: ["c", "a", "b"]})
        p.add(pod).ok()
        assert [got(p, i)["deviceID"] for i in ("eth0", "net1", "net2")] == ["a", "b", "c"]
        assert "CNIDeviceInfoFile" not in got(p, "eth0").get("runtimeConfig", {}), "the first one's arguments are the runtime's"
        p.delete(pod).ok()
        p.write_pod(pod, "nic", {"v1.multus-cni.io/default-network": "default/nic2"})
        p.add(pod).ok()
        assert [got(p, i)["deviceID"] for i in ("eth0", "net1", "net2")] == ["a", "b", "c"]
        p.delete(pod).ok()
    finally:
        p.kubelet.stop()


def aborts(code, details):
    return lambda context: context.abort(code, details)


def oversized(context):
    return b"\x0a" + b"\xff\xff\xff\x08" + bytes((1 << 24) + 1)


@pytest.mark.parametrize("case,answer,said", [
    ("status", aborts(grpc.StatusCode.PERMISSION_DENIED, "no \x1b[31m entry"), "gRPC status 7: no"),
    ("over-limit", oversized, "longer than 16777216 bytes"),
    ("garbage", lambda c: b"\xff" * 100, "malformed"),
    ("cut", lambda c: b"\x0a\x7f\x0a\x01a", "malformed"),
    ("many", None, "more than 16384 bytes"),
    ("nul", None, "holds a NUL"),
    ("blank", None, "is not the name of a device")])
def test_bad_answers(node, case, answer, said):
    pod = node.pod("nic")
    node.kubelet.answer = answer
    ids = {"many": [f"{i:04}" * 5 for i in range(1000)], "nul": ["a\0b"], "blank": ["a b"]}.get(case, ["a"])
    node.kubelet.give(pod, {NIC: ids})
    a = node.add(pod).failed()
    assert said in a.msg and (case == "blank" or str(node.kubelet.socket) in a.msg), a.msg


def raw(node, serve):
    """In the kubelet's place: what is done with each connection."""
    node.kubelet.stop()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(node.kubelet.socket))
    listener.listen()

    def loop():
        while True:
            try:
                c, _ = listener.accept()
            except OSError:
                return
            with c:
                serve(c)
    threading.Thread(target=loop, daemon=True).start()
    return listener


def frame(kind, flags, stream, body):
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def literal(name, value):
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


SETTINGS = frame(4, 0, 0, b"")
HEADERS = frame(1, 4, 1, b"\x88" + literal(b"content-type", b"application/grpc"))
TRAILERS = frame(1, 5, 1, literal(b"grpc-status", b"0"))


@pytest.mark.parametrize("case,answer,said", [
    ("hangs up", b"", "hung up before it had answered"),
    ("dies", SETTINGS + HEADERS + frame(0, 0, 1, b"\0\0\0\0\x09\x0a"), "hung up before it had answered"),
    ("http1", b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n", "does not speak HTTP/2"),
    ("no grpc", SETTINGS + frame(1, 5, 1, b"\x88" + literal(b"content-type", b"text/html")), "does not speak gRPC: HTTP status 200"),
    ("no trailers", SETTINGS + HEADERS + frame(0, 1, 1, b"\0\0\0\0\0"), "no gRPC status"),
    ("nothing", SETTINGS + HEADERS + TRAILERS, "its answer is empty"),
    ("two messages", SETTINGS + HEADERS + frame(0, 0, 1, b"\0\0\0\0\0\0\0\0\0\0") + TRAILERS, "not one plain message"),
    ("compressed", SETTINGS + HEADERS + frame(0, 0, 1, b"\1\0\0\0\0") + TRAILERS, "not one plain message"),
    ("reset", SETTINGS + HEADERS + frame(3, 0, 1, b"\0\0\0\2"), "broke its answer off: INTERNAL_ERROR")])
def test_bad_servers(node, case, answer, said):
    def serve(c):
        c.recv(65536)
        c.sendall(answer)
        c.shutdown(socket.SHUT_WR)
        while c.recv(65536):
            pass

    listener = raw(node, serve)
    pod = node.pod("nic")
    try:
        a = node.add(pod).failed()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    assert said in a.msg, a.msg


def test_silent(node):
    """One that takes its time costs its pod the ADD, and nobody else anything: others' commands go on meanwhile."""
    node.kubelet.answer = lambda context: time.sleep(11) or b""
    slow, other = node.pod("nic"), node.pod("own")
    add = node.cni_async("ADD", slow)
    harness.wait_for("the question", lambda: node.kubelet.calls)
    node.add(other).ok()
    assert add.p.poll() is None, "it did not wait"
    node.delete(other).ok()
    a = add.finish().failed(11)
    assert f"the kubelet at {node.kubelet.socket} does not answer" in a.msg


def test_stopped(node):
    """The socket of a kubelet that is gone: try again later."""
    listener = raw(node, lambda c: None)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    a = node.add(node.pod("nic")).failed(11)
    assert "Connection refused" in a.msg


def test_wrong_service(node):
    node.kubelet.start(service="v1alpha1.PodResourcesLister")
    try:
        assert "gRPC status 12" in node.add(node.pod("nic")).failed().msg
    finally:
        node.kubelet.start()


def test_busy(node):
    """The kubelet limits how often it is asked."""
    def answer(context):
        if node.kubelet.calls < 3:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "rejected by rate limit")
        return node.kubelet.response()

    node.kubelet.answer = answer
    pod = node.pod("nic")
    node.kubelet.give(pod, {NIC: ["a"]})
    node.add(pod).ok()
    assert node.kubelet.calls == 3
    node.delete(pod).ok()


def test_restarted(node):
    """Its socket is made anew, and it would compress its answers for those who say they can read them."""
    node.kubelet.start(compression=grpc.Compression.Gzip)
    pod = node.pod("nic")
    node.kubelet.give(pod, {NIC: ["a"]})
    node.add(pod).ok()
    node.delete(pod).ok()


def test_checkpoint(node):
    node.kubelet.stop()
    pod = node.pod("nic,nic2")
    a = node.add(pod).failed()
    assert f"there is no socket {node.kubelet.socket}" in a.msg and str(node.kubelet.checkpoint) in a.msg
    node.kubelet.checkpoint.write_text("{")
    assert f"{node.kubelet.checkpoint}: line 1" in node.add(pod).failed().msg
    node.kubelet.write_checkpoint([("other", NIC, {"0": ["x"]}), (pod.uid, NIC, {"0": ["0000:03:02.3"], "1": ["0000:03:02.0"]})])
    node.add(pod).ok()
    assert [got(node, i)["deviceID"] for i in ("net1", "net2")] == ["0000:03:02.0", "0000:03:02.3"]
    node.delete(pod).ok()
    assert "neither the runtime nor the pod names one" in node.add(
        nameless(node, "nic"), args=f"K8S_POD_NAMESPACE=default;K8S_POD_NAME={node.pods[-1].name}").failed().msg


def nameless(node, networks):
    """A pod whose manifest has no uid."""
    pod = node.pod(networks)
    path = node.pod_path(pod)
    path.write_text("\n".join(line for line in path.read_text().splitlines() if " uid:" not in line))
    return pod


# Device information


def leave_info(node, device, info):
    path = node.info / "dp" / f"example.com-nic-{device}-device.json"
    path.write_text(info if isinstance(info, str) else json.dumps(info))
    return path


PCI = {"type": "pci", "version": "1.1.0", "pci": {"rdma-device": "mlx5_0", "pci-address": "0000:03:02.1"}}


def test_device_information(node):
    pod = node.pod("nic,nic2")
    node.kubelet.give(pod, {NIC: ["0000:03:02.1", "0000:03:02.2"]})
    source = leave_info(node, "0000:03:02.1", PCI)
    node.add(pod).ok()
    copies = list((node.info / "cni").iterdir())
    assert [c.name for c in copies] == [f"default-nic-{pod.id}_net1"], "the second device plugin left none"
    assert copies[0].stat().st_mode & 0o7777 == 0o444 and json.loads(copies[0].read_text()) == PCI
    assert (node.info / "cni").stat().st_mode & 0o7777 == 0o755
    status = node.status(pod)
    assert [s.get("device-info") for s in status] == [None, PCI, None]
    text = (node.store / "status" / "default" / f"{pod.name}.json").read_text()
    order = [text.index(f'"{k}":', text.index('"dns":')) for k in ("dns", "device-info", "type", "version", "pci", "pci-address", "rdma-device")]
    assert order == sorted(order)
    node.delete(pod).ok()
    assert source.exists() and list((node.info / "cni").iterdir()) == []
    source.unlink()


def test_info_of_a_failed_add(node):
    pod = node.pod("nic,fails")
    node.kubelet.give(pod, {NIC: ["a", "b"]})
    sources = [leave_info(node, d, PCI) for d in "ab"]
    node.add(pod).failed()
    assert list((node.info / "cni").iterdir()) == []
    for s in sources:
        s.unlink()


@pytest.mark.parametrize("case", ["link", "fifo", "directory", "huge"])
def test_odd_info(node, case):
    """What lies there in a file's place is neither followed nor waited for."""
    pod = node.pod("nic")
    node.kubelet.give(pod, {NIC: ["odd"]})
    path = node.info / "dp" / "example.com-nic-odd-device.json"
    if case == "link":
        path.symlink_to("/etc/hostname")
    elif case == "fifo":
        os.mkfifo(path)
    elif case == "directory":
        path.mkdir()
    else:
        path.write_bytes(b" " * 70000)
    a = node.add(pod).failed()
    assert "network default/nic: device-information file dp/example.com-nic-odd-device.json" in a.msg
    path.rmdir() if case == "directory" else path.unlink()


def test_no_json_as_info(node):
    """It is for the plugin to judge; the status does without."""
    pod = node.pod("nic")
    node.kubelet.give(pod, {NIC: ["a"]})
    source = leave_info(node, "a", "not json")
    node.add(pod).ok()
    assert all("device-info" not in s for s in node.status(pod))
    node.delete(pod).ok()
    source.unlink()


def test_info_is_owed(node):
    """A DEL that cannot remove the file is not done."""
    pod = node.pod("nic")
    node.kubelet.give(pod, {NIC: ["a"]})
    node.add(pod).ok()
    there = node.info / "cni" / f"default-nic-{pod.id}_net1"
    there.mkdir()
    node.delete(pod).ok()
    assert node.journal(), "the entry is gone"
    there.rmdir()
    node.delete(pod).ok()
    assert not node.journal()


# A pod's own choice, and configurations


CHOICE = [{"name": "own", "deviceID": "0000:00:01.0"}]


def test_own_device(node):
    assert "is not allowed by the node's configuration" in node.add(node.pod(CHOICE)).failed().msg


def test_own_device_allowed(make_postern):
    p = equip(make_postern(), allowDeviceID=True)
    try:
        p.start()
        pod = p.pod(CHOICE)
        p.add(pod).ok()
        assert got(p)["runtimeConfig"] == {"deviceID": "0000:00:01.0"} and "deviceID" not in got(p)
        p.delete(pod).ok()
        both = p.pod([{"name": "nic"}, {"name": "own", "deviceID": "a"}])
        p.kubelet.give(both, {NIC: ["a"]})
        assert "device a is asked for by network default/nic and by network default/own" in p.add(both).failed().msg
        p.nothing_left(pod, both)
    finally:
        p.kubelet.stop()


def test_not_configured(postern):
    postern.nad("nic", {"cniVersion": "1.0.0", "name": "nic", "type": "nullcni"}, annotations={RESOURCE: NIC})
    a = postern.add(postern.pod("nic")).failed()
    assert "this node gives out none: set devices.podResources in the node configuration" in a.msg


def test_confined(node):
    """Root, with nothing of root's: no capability, no network, no path to any file or socket but beneath what it holds."""
    r = harness.sh(str(harness.BUILD / "posternctl"), "verify", check=False)
    assert r.returncode == 0, r.stdout
    rows = [line.split() for line in r.stdout.splitlines() if line.startswith("devices")]
    assert len(rows) > 15 and all("NO" not in row for row in rows)
    pid = node.roles()["postern-devices"]
    assert os.listdir(f"/proc/{pid}/root") == []
    assert harness.status_fields(pid)["CapEff"] == "0" * 16


def test_made_directories(make_postern):
    """Others leave theirs so that nobody without capabilities may enter; and the kubelet may come later than Postern."""
    p = equip(make_postern())
    p.kubelet.stop()
    (p.info / "dp").mkdir(parents=True)
    (p.info / "dp").chmod(0)
    try:
        p.start()
        p.kubelet.start()
        leave_info(p, "a", PCI)
        pod = p.pod("nic")
        p.kubelet.give(pod, {NIC: ["a"]})
        p.add(pod).ok()
        assert p.status(pod)[1]["device-info"] == PCI
        p.delete(pod).ok()
    finally:
        p.kubelet.stop()


def test_attached_later(make_postern):
    """A network that is attached to a pod that runs gets a device that no other network of the pod has."""
    p = make_postern()
    p.plugs = Plugs(p)
    equip(p)
    try:
        p.start()
        pod = p.pod("nic")
        p.kubelet.give(pod, {NIC: ["a", "b"]})
        leave_info(p, "b", PCI)
        p.add(pod).ok()
        ok(p.plugs.attach(pod, "nic2", "later"))
        assert (got(p)["deviceID"], got(p, "later")["deviceID"]) == ("a", "b")
        assert [s.get("device-info") for s in p.status(pod)] == [None, None, PCI]
        failed(p.plugs.attach(pod, "nic", "more"), f"needs a device of {NIC}, but the pod has 0 of these for more networks")
        ok(p.plugs.detach(pod, "later"))
        assert list((p.info / "cni").iterdir()) == []
        ok(p.plugs.attach(pod, "nic", "again"))
        assert got(p, "again")["deviceID"] == "b"
        p.delete(pod).ok()
        p.nothing_left(pod)
        assert list((p.info / "cni").iterdir()) == []
    finally:
        p.kubelet.stop()
