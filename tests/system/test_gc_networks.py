"""GC reaches the plugins of every network, each with the attachments that are left on it."""
import json
import pathlib
import threading

import harness
import pytest


def valid(*pods):
    return [{"containerID": p.id, "ifname": "eth0"} for p in pods]


def gc(node, *pods):
    return node.cni("GC", stdin=node.netconf("1.1.0", **{"cni.dev/valid-attachments": valid(*pods)}))


class Network:
    """A network whose plugin writes down what GC tells it."""

    def __init__(self, node, name, **more):
        self.dir = node.root / f"record-{name}"
        self.dir.mkdir()
        self.conf = dict({"cniVersion": "1.1.0", "name": name, "type": "record", "record": str(self.dir)}, **more)
        node.nad(name, self.conf)

    def told(self):
        """(container, interface) of the attachments that the last GC named; None: it was not asked."""
        path = self.dir / "GC-.stdin"
        if not path.exists():
            return None
        conf = json.loads(path.read_text())
        path.unlink()
        assert conf["cni.dev/valid-attachments"] == conf["cni.dev/attachments"]
        assert "runtimeConfig" not in conf and "prevResult" not in conf
        return sorted((a["containerID"], a["ifname"]) for a in conf["cni.dev/valid-attachments"])


@pytest.fixture
def node(make_postern):
    p = make_postern()
    p.cluster_dir = p.root / "record-cluster"
    p.cluster_dir.mkdir()
    p.cluster({"type": "record", "record": str(p.cluster_dir)}, cniVersion="1.1.0")
    p.start()
    return p


def cluster_told(node):
    network = Network.__new__(Network)
    network.dir = node.cluster_dir
    return network.told()


def test_each_network_hears_of_its_own(node):
    one, two = Network(node, "one"), Network(node, "two")
    a, b, stale = node.pod("one,two"), node.pod("two@x0"), node.pod("one")
    for pod in (a, b, stale):
        node.add(pod).ok()
    gc(node, a, b).ok()
    assert (one.dir / "DEL-net1.env").read_text().count(stale.id), "what is not valid is undone first"
    assert cluster_told(node) == sorted([(a.id, "eth0"), (b.id, "eth0")])
    assert one.told() == [(a.id, "net1")]
    assert two.told() == sorted([(a.id, "net2"), (b.id, "x0")])
    gc(node).ok()
    assert cluster_told(node) == [] and one.told() is None and two.told() is None and node.journal() == []


def test_one_name_is_one_state(node):
    """Plugins keep their leases by the network's name: whatever two configurations of it say, both hear of all."""
    network = Network(node, "one")
    node.nad("one", dict(network.conf, mtu=1400), namespace="other")
    a, b = node.pod("one"), node.pod("other/one@y0")
    for pod in (a, b):
        node.add(pod).ok()
    gc(node, a, b).ok()
    assert network.told() == sorted([(a.id, "net1"), (b.id, "y0")])


def test_unknown_containers_hold_back_all_but_the_cluster_network(node):
    """Another system's pods may be on a network of the same name, at interfaces that nobody knows here."""
    one = Network(node, "one")
    a = node.pod("one")
    node.add(a).ok()
    stranger = harness.Pod(node, "stranger", netns=False)
    gc(node, a, stranger).ok()
    assert cluster_told(node) == sorted([(a.id, "eth0"), (stranger.id, "eth0")])
    assert one.told() is None


def test_versions_and_opt_out(node):
    old, out = Network(node, "old", cniVersion="1.0.0"), Network(node, "out", disableGC=True)
    pod = node.pod("old,out")
    node.add(pod).ok()
    gc(node, pod).ok()
    assert old.told() is None and out.told() is None


def test_what_a_del_owes_is_not_valid(node):
    one, stuck = Network(node, "one"), Network(node, "stuck")
    node.nad("stuck", {"cniVersion": "1.1.0", "name": "stuck", "plugins": [
        {"type": "record", "record": str(stuck.dir)}, {"type": "misbehave", "mode": "fail", "on": "DEL"}]})
    a, b = node.pod("one"), node.pod("stuck")
    for pod in (a, b):
        node.add(pod).ok()
    node.delete(b)
    said = gc(node, a).failed().said
    assert "stale" in said and "tried again" in said
    assert one.told() == [(a.id, "net1")] and stuck.told() == []


def test_errors_are_collected(node):
    for name in "ab":
        node.nad(name, {"cniVersion": "1.1.0", "name": name, "type": "misbehave", "mode": "fail", "on": "GC",
                        "trace": str(node.root / "trace")})
    pod = node.pod("a,b")
    node.add(pod).ok()
    gc(node, pod).failed(123)
    assert sorted(line.split()[-1] for line in node.trace() if line.startswith("GC")) == ["a", "b"], "the second is asked as well"
    assert pod.id in " ".join(node.journal())


def test_gc_runs_alone(node):
    """No ADD begins while a network is being told what is left."""
    node.nad("slow", {"cniVersion": "1.1.0", "name": "slow", "type": "misbehave", "delay": 700, "trace": str(node.root / "trace")})
    a, b = node.pod("slow"), node.pod("slow")
    node.add(a).ok()
    collecting = threading.Thread(target=lambda: gc(node, a).ok())
    collecting.start()
    harness.wait_for("the GC of the slow network", lambda: "GC" in "".join(line.split()[0] for line in node.trace()))
    node.add(b).ok()
    collecting.join()
    log = pathlib.Path(node.root / "log").read_text()
    order = [line.split()[0] for line in node.trace()]
    assert order == ["ADD", "GC", "ADD"], (order, log[-2000:])


def test_two_at_once(node):
    """Each waits for the undoing that it began, and neither's may begin while the other runs."""
    node.nad("slow", {"cniVersion": "1.1.0", "name": "slow", "type": "misbehave", "delay": 1000, "trace": str(node.root / "trace")})
    stale, busy = node.pod(), node.pod("slow")
    node.add(stale).ok()
    adding = node.cni_async("ADD", busy)
    harness.wait_for("an ADD that both wait for", lambda: node.trace())
    collecting = [threading.Thread(target=lambda: gc(node, busy).ok()) for _ in range(2)]
    for thread in collecting:
        thread.start()
    adding.finish().ok()
    for thread in collecting:
        thread.join(30)
    assert not any(thread.is_alive() for thread in collecting), "they wait for each other"
    assert len(node.journal()) == 1


def test_a_stop_ends_the_undoing_that_waits(make_postern):
    """It is told as not undone, and is undone by the next GC."""
    p = make_postern(limits={"attachments": 1}, deadlines={"stop": 8})
    p.stand_in("slow", delay=1500, trace=str(p.root / "trace"))
    p.start()
    for pod in (p.pod("slow"), p.pod("slow")):
        p.add(pod).ok()
    said = []
    collecting = threading.Thread(target=lambda: said.append(gc(p).failed().said))
    collecting.start()
    harness.wait_for("the first DEL", lambda: any(line.startswith("DEL") for line in p.trace()))
    p.stop()
    collecting.join()
    assert "1 stale attachments" in said[0], said
    p.start()
    gc(p).ok()
    assert p.journal() == []


def test_ipam_plugin_that_is_not_allowed_any_more(node):
    node.config.setdefault("plugins", []).append("odd-ipam")
    node.start()
    one = Network(node, "one", ipam={"type": "odd-ipam"})
    pod = node.pod("one")
    node.add(pod).ok()
    node.config["plugins"].remove("odd-ipam")
    node.start()
    gc(node, pod)
    assert one.told() is None and 'ipam plugin "odd-ipam" is not allowed' in node.stderr()
