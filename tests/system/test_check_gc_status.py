"""CHECK, GC, STATUS and VERSION."""
import json

import harness
import pytest


def fix_bridge(postern):
    """A bridge without an address of its own takes on those of its ports, also after the plugin has read it."""
    harness.sh("ip", "link", "add", postern.bridge, "address", "02:00:00:00:88:01", "type", "bridge")


def test_check(postern):
    fix_bridge(postern)
    postern.nad("mv", dict(postern.macvlan_conf("10.89.0.0/24"), cniVersion="1.0.0", name="mv"))
    pod = postern.pod("mv")
    postern.add(pod).ok()
    postern.cni("CHECK", pod).ok()
    harness.sh("ip", "-n", pod.netns_name, "link", "del", "net1")
    assert "mv" in postern.cni("CHECK", pod).failed().said
    postern.delete(pod).ok()
    postern.nothing_left(pod)


def test_check_of_unknown_container(postern):
    postern.cni("CHECK", postern.pod()).failed(3)


def test_check_needs_0_4(postern):
    pod = postern.pod()
    postern.add(pod).ok()
    postern.cni("CHECK", pod, version="0.3.1").failed(1)


def test_check_passes_the_delegates_code(postern):
    postern.nad("sick", {"cniVersion": "1.0.0", "name": "sick", "plugins": [
        postern.macvlan_conf("10.89.0.0/24"), {"type": "misbehave", "mode": "fail", "on": "CHECK"}]})
    pod = postern.pod("sick")
    postern.add(pod).ok()
    assert "sick" in postern.cni("CHECK", pod).failed(123).said


def valid(*pods):
    return [{"containerID": p.id, "ifname": "eth0"} for p in pods]


def gc(p, attachments):
    return p.cni("GC", stdin=p.netconf("1.1.0", **{"cni.dev/valid-attachments": attachments}))


def test_gc_removes_what_the_runtime_does_not_name(postern):
    fix_bridge(postern)
    postern.nad("mv", dict(postern.macvlan_conf("10.89.0.0/24"), cniVersion="1.0.0", name="mv"))
    kept, stale, gone = [postern.pod("mv") for _ in range(3)]
    for pod in (kept, stale, gone):
        postern.add(pod).ok()
    gone.drop_netns()
    gc(postern, valid(kept)).ok()
    assert kept.links() == ["eth0", "net1"] and stale.links() == []
    assert len(postern.leases()) == 3 and len(postern.journal()) == 1
    postern.cni("CHECK", kept).ok()
    gc(postern, []).ok()
    postern.nothing_left(kept, stale)


@pytest.mark.parametrize("attachments", [None, "x", {}, [5], [{"containerID": "../x", "ifname": "eth0"}], [{"ifname": "eth0"}]],
                         ids=json.dumps)
def test_gc_with_an_unusable_list_removes_nothing(postern, attachments):
    pod = postern.pod()
    postern.add(pod).ok()
    if attachments is None:
        postern.cni("GC", stdin=postern.netconf("1.1.0"))
    else:
        gc(postern, attachments).failed()
    assert pod.links() == ["eth0"] and len(postern.journal()) == 1


def test_gc_needs_1_1(postern):
    postern.cni("GC", stdin=postern.netconf("1.0.0", **{"cni.dev/valid-attachments": []})).failed(1)


def test_status(postern):
    postern.cni("STATUS", version="1.1.0").ok()
    postern.cni("STATUS", version="1.0.0").failed(1)


@pytest.mark.parametrize("code", [50, 51, 123])
def test_status_of_a_sick_cluster_network(make_postern, code):
    p = make_postern()
    p.cluster({"type": "misbehave", "mode": "fail", "on": "STATUS", "code": code}, cniVersion="1.1.0")
    p.start()
    assert "no luck today" in p.cni("STATUS", version="1.1.0").failed(code).said


def test_status_without_a_cluster_network(make_postern):
    p = make_postern(clusterNetwork="/nonexistent/none.conflist")
    p.start()
    p.cni("STATUS", version="1.1.0").failed(50)


def test_status_with_an_unreadable_store(make_postern):
    p = make_postern()
    p.start()
    p.cni("STATUS", version="1.1.0").ok()
    (p.store / "pods").chmod(0)
    assert "pods" in p.cni("STATUS", version="1.1.0").failed(50).said
    (p.store / "pods").chmod(0o755)
    p.cni("STATUS", version="1.1.0").ok()


def test_status_of_a_stopped_service(make_postern):
    p = make_postern()
    p.start()
    p.stop()
    p.cni("STATUS", version="1.1.0").failed(50)
