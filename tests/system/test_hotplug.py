"""Networks of a pod that runs: attached and detached through the hot-plug door, under the same rules as at ADD."""
import concurrent.futures
import json
import os
import socket
import subprocess

import harness
import pytest

CTL = harness.BUILD / "posternctl"
UID = 64900  # of the door's user


class Plugs:
    """A Postern with a hot-plug door."""

    def __init__(self, node, uid=0):
        self.node, self.uid = node, uid
        self.dir = node.root / "hotplug"
        node.config["hotplug"] = {"socketDir": str(self.dir), "uid": uid}

    def ctl(self, *argv, user=None):
        return subprocess.run([str(CTL), *argv, "--socket", str(self.dir / "postern.sock")], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=60, user=user)

    def attach(self, pod, network, ifname, *more, **kw):
        return self.ctl("attach", f"{pod.namespace}/{pod.name}", "--network", network, "--interface", ifname, *more, **kw)

    def detach(self, pod, ifname, *more, **kw):
        return self.ctl("detach", f"{pod.namespace}/{pod.name}", "--interface", ifname, *more, **kw)


def ok(r):
    assert r.returncode == 0, r.stderr
    return r


def failed(r, text):
    assert r.returncode == 1 and text in r.stderr, (r.returncode, r.stderr)
    return r


@pytest.fixture
def node(make_postern):
    p = make_postern()
    p.plugs = Plugs(p)
    p.nad("mv", dict(p.macvlan_conf("10.89.0.0/16"), cniVersion="1.0.0", name="mv"))
    p.start()
    harness.sh("ip", "link", "add", p.bridge, "address", "02:00:00:00:88:01", "type", "bridge")
    return p


def running(node, networks=None, **kw):
    pod = node.pod(networks, **kw)
    node.add(pod).ok()
    return pod


def interfaces(node, pod):
    return [e.get("interface") for e in node.status(pod)]


def test_attach_and_detach(node):
    pod = running(node)
    before = node.status(pod)
    result = json.loads(ok(node.plugs.attach(pod, "mv", "net7")).stdout)
    assert result["cniVersion"] == "1.1.0" and result["interfaces"][0]["name"] == "net7"
    assert pod.links() == ["eth0", "net7"]
    assert pod.addresses("net7") == [result["ips"][0]["address"].split("/")[0]]
    status = node.status(pod)
    assert status[:-1] == before, "what was there stays as it was"
    assert status[-1]["name"] == "default/mv" and status[-1]["interface"] == "net7" and "default" not in status[-1]
    node.cni("CHECK", pod).ok()
    ok(node.plugs.detach(pod, "net7"))
    assert pod.links() == ["eth0"] and node.status(pod) == before and len(node.journal()) == 1
    node.delete(pod).ok()
    node.nothing_left(pod)


def test_goes_with_the_pod(node):
    pod = running(node, "mv")
    ok(node.plugs.attach(pod, "mv", "net7"))
    ok(node.plugs.attach(pod, "mv", "net8"))
    assert pod.links() == ["eth0", "net1", "net7", "net8"] and interfaces(node, pod) == ["eth0", "net1", "net7", "net8"]
    node.delete(pod).ok()
    node.nothing_left(pod)


def test_goes_with_the_pod_when_its_namespace_is_gone(node):
    pod = running(node)
    ok(node.plugs.attach(pod, "mv", "net7"))
    pod.drop_netns()
    node.delete(pod).ok()
    node.nothing_left(pod)


def test_check_sees_it(node):
    pod = running(node)
    ok(node.plugs.attach(pod, "mv", "net7"))
    harness.sh("ip", "-n", pod.netns_name, "link", "del", "net7")
    assert "net7" in node.cni("CHECK", pod).failed().said


def test_gc_keeps_it_with_its_pod_and_takes_it_with_it(node):
    pod, stale = running(node), running(node)
    for p in (pod, stale):
        ok(node.plugs.attach(p, "mv", "net7"))
    node.cni("GC", stdin=node.netconf("1.1.0", **{"cni.dev/valid-attachments": [{"containerID": pod.id, "ifname": "eth0"}]})).ok()
    assert pod.links() == ["eth0", "net7"] and stale.links() == [] and len(node.journal()) == 2


def test_survives_a_restart_of_the_service(node):
    pod = running(node)
    ok(node.plugs.attach(pod, "mv", "net7"))
    node.start()
    assert pod.links() == ["eth0", "net7"]
    ok(node.plugs.attach(pod, "mv", "net8"))
    ok(node.plugs.detach(pod, "net7"))
    assert pod.links() == ["eth0", "net8"] and interfaces(node, pod) == ["eth0", "net8"]
    node.delete(pod).ok()
    node.nothing_left(pod)


def test_requests(node):
    """Address, hardware address and default route of the selection."""
    node.nad("st", {"cniVersion": "1.0.0", "name": "st", "type": "macvlan", "master": node.master(), "mode": "bridge",
                    "capabilities": {"ips": True, "mac": True}, "ipam": {"type": "static"}})
    pod = running(node)
    ok(node.plugs.attach(pod, "default/st", "x0", "--ip", "10.91.0.5/24", "--mac", "02:00:00:00:91:05", "--default-route", "10.91.0.1"))
    assert pod.addresses("x0") == ["10.91.0.5"] and pod.defaults() == [("x0", "10.91.0.1")]
    assert pod.ip("link", "show", "dev", "x0")[0]["address"] == "02:00:00:00:91:05"
    node.delete(pod).ok()
    node.nothing_left(pod)


REFUSED = {
    "unknown pod": (("default/nobody",), "has no networks from here"),
    "unknown network": (("{pod}", "--network", "none"), "there is no NetworkAttachmentDefinition none"),
    "interface in use": (("{pod}", "--interface", "eth0"), "already"),
    "no interface name": (("{pod}", "--interface", "a/b"), ""),
    "a contradiction": (("{pod}", "--selection", '{"interface": "y9"}'), "is not net7"),
    "a bad hardware address": (("{pod}", "--mac", "zz"), "hardware address"),
    "another uid": (("{pod}", "--uid", "other"), "has no networks from here"),
    "a device": (("{pod}", "--selection", '{"deviceID": "0000:00:01.0"}'), "deviceID"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(node, case):
    pod = running(node)
    argv, text = REFUSED[case]
    argv = [a.format(pod=f"{pod.namespace}/{pod.name}") if "{pod}" in a else a for a in argv]
    if "--network" not in argv:
        argv += ["--network", "mv"]
    if "--interface" not in argv:
        argv += ["--interface", "net7"]
    failed(node.plugs.ctl("attach", *argv), text)
    assert pod.links() == ["eth0"] and interfaces(node, pod) == ["eth0"] and len(node.journal()) == 1


def test_what_was_not_plugged_cannot_be_unplugged(node):
    pod = running(node, "mv")
    for ifname in ("eth0", "net1", "net9"):
        failed(node.plugs.detach(pod, ifname), "nothing was attached")
    assert pod.links() == ["eth0", "net1"]


def test_a_failing_delegate_leaves_nothing(node):
    node.nad("bad", {"cniVersion": "1.0.0", "name": "bad", "plugins": [node.macvlan_conf("10.92.0.0/24"),
                                                                      {"type": "misbehave", "mode": "fail"}]})
    pod = running(node)
    failed(node.plugs.attach(pod, "bad", "net7"), "no luck today")
    assert pod.links() == ["eth0"] and len(node.journal()) == 1 and interfaces(node, pod) == ["eth0"]


def test_a_failing_detach_is_tried_again(node):
    pod = running(node)
    ok(node.plugs.attach(pod, "mv", "net7"))
    (node.bin_dir / "macvlan").rename(node.bin_dir / "away")
    ok(node.plugs.detach(pod, "net7"))
    assert interfaces(node, pod) == ["eth0"] and pod.links() == ["eth0", "net7"] and len(node.journal()) == 2
    (node.bin_dir / "away").rename(node.bin_dir / "macvlan")
    harness.wait_for("the next try", lambda: pod.links() == ["eth0"] and len(node.journal()) == 1)
    node.delete(pod).ok()
    node.nothing_left(pod)


def test_the_pod_goes_while_a_detach_is_owed(node):
    pod = running(node)
    ok(node.plugs.attach(pod, "mv", "net7"))
    (node.bin_dir / "macvlan").rename(node.bin_dir / "away")
    node.delete(pod).ok()
    assert len(node.journal()) == 1, "the pod's own networks are gone, what was attached is owed"
    (node.bin_dir / "away").rename(node.bin_dir / "macvlan")
    harness.wait_for("the next try", lambda: node.journal() == [])
    node.nothing_left(pod)


def test_namespace_isolation(make_postern):
    p = make_postern(namespaceIsolation=True)
    p.plugs = Plugs(p)
    p.stand_in("mine")
    p.nad("theirs", {"cniVersion": "1.0.0", "name": "theirs", "type": "misbehave"}, namespace="other")
    p.start()
    pod = running(p)
    failed(p.plugs.attach(pod, "other/theirs", "net7"), "namespace isolation")
    ok(p.plugs.attach(pod, "mine", "net7"))


# Who may come in.

def test_one_user_alone(make_postern):
    p = make_postern()
    p.plugs = Plugs(p, uid=UID)
    p.stand_in("mine")
    p.start()
    p.root.chmod(0o755)
    pod = running(p)
    socket_stat = os.stat(p.plugs.dir / "postern.sock")
    assert (socket_stat.st_uid, socket_stat.st_mode & 0o777) == (UID, 0o600)
    ok(p.plugs.attach(pod, "mine", "net7", user=UID))
    ok(p.plugs.attach(pod, "mine", "net8"))
    failed(p.plugs.attach(pod, "mine", "net9", user=UID + 1), "Permission denied")
    # Not even with a door that somebody opened wide.
    os.chmod(p.plugs.dir / "postern.sock", 0o666)
    assert p.plugs.attach(pod, "mine", "net9", user=UID + 1).returncode == 1
    assert "may not come in here" in p.stderr()
    # Nor does this user come in at the front door.
    assert subprocess.run([str(CTL), "attach", f"default/{pod.name}", "--network", "mine", "--interface", "net9", "--socket",
                           str(p.socket_dir / "postern.sock")], user=UID, stderr=subprocess.PIPE).returncode == 1
    p.unharmed(p.all_roles())


def test_the_doors_do_not_mix(node):
    """A shim's message at the hot-plug door, and the other way round: closed without an answer."""
    pod = running(node)
    assert subprocess.run([str(CTL), "attach", f"default/{pod.name}", "--network", "mv", "--interface", "net7", "--socket",
                           str(node.socket_dir / "postern.sock")], stderr=subprocess.PIPE).returncode == 1
    harness.DOOR.write_text(f"{node.plugs.dir}/postern.sock\n")
    other = node.pod()
    node.add(other).failed(11)
    harness.DOOR.write_text(f"{node.socket_dir}/postern.sock\n")
    node.add(other).ok()
    assert pod.links() == ["eth0"]


def test_no_door_unless_configured(make_postern):
    p = make_postern()
    p.start()
    listening = [line.split()[-1] for line in harness.sh("ss", "-xlH").stdout.splitlines() if str(p.root) in line]
    assert len([line for line in harness.sh("ss", "-xlH").stdout.splitlines() if str(p.root) in line]) == 1, listening


def test_garbage_at_the_door(node):
    roles = node.all_roles()
    for blob in (b"", b"x", os.urandom(64), b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100000):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect(str(node.plugs.dir / "postern.sock"))
            try:
                s.send(blob)
            except OSError:
                pass
    pod = running(node)
    ok(node.plugs.attach(pod, "mv", "net7"))
    node.unharmed(roles)


def test_list(node):
    pod = running(node, "mv")
    ok(node.plugs.attach(pod, "mv", "net7"))
    entries = json.loads(harness.sh(str(CTL), "list", "--json", "--journal", str(node.cni_dir / "journal")).stdout)
    assert [(e["pod"], e["state"], e["hotplugged"], [n["interface"] for n in e["networks"]]) for e in entries] == [
        (pod.name, "attached", False, ["eth0", "net1"]), (pod.name, "attached", True, ["net7"])]
    text = harness.sh(str(CTL), "list", "--journal", str(node.cni_dir / "journal")).stdout
    assert "net7 default/mv (while it ran)" in text


def test_goes_with_the_pod_when_the_service_was_down(node):
    pod = running(node)
    ok(node.plugs.attach(pod, "mv", "net7"))
    node.stop()
    node.delete(pod).ok()
    pod.drop_netns()
    node.start()
    harness.wait_for("the spool to be replayed", lambda: not node.spool() and not node.journal())
    node.nothing_left(pod)


def in_background(call, *argv):
    pool = concurrent.futures.ThreadPoolExecutor(1)
    return pool.submit(call, *argv)


def slow(node, delay=1500):
    node.nad("slow", {"cniVersion": "1.0.0", "name": "slow", "type": "misbehave", "delay": delay, "trace": str(node.root / "trace")})


def test_what_is_being_attached_goes_with_the_pod(node):
    """A request that still waits when the DEL arrives has its turn before it."""
    slow(node)
    pod = running(node)
    first = in_background(node.plugs.attach, pod, "slow", "net7")
    harness.wait_for("the first request's plugin", node.trace)
    second = in_background(node.plugs.attach, pod, "mv", "net8")
    harness.wait_for("the second request", lambda: connected(node) == 2)
    node.delete(pod).ok()
    ok(first.result()), ok(second.result())
    node.nothing_left(pod)


def connected(node):
    return sum(str(node.plugs.dir) in line and "ESTAB" in line for line in harness.sh("ss", "-xaH").stdout.splitlines())


def test_nothing_is_attached_to_a_pod_that_has_gone(node):
    """A request that arrives while the DEL runs."""
    slow(node)
    pod = running(node, "slow")
    deleting = node.cni_async("DEL", pod)
    harness.wait_for("the DEL's plugin", lambda: any(line.startswith("DEL") for line in node.trace()))
    failed(node.plugs.attach(pod, "mv", "net7"), "is gone")
    deleting.finish().ok()
    node.nothing_left(pod)


def test_a_crowd_at_the_door_does_not_keep_runtimes_out(node):
    crowd = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(72)]
    for s in crowd:
        s.connect(str(node.plugs.dir / "postern.sock"))
        s.setblocking(False)
    running(node)
    waiting = 0
    for s in crowd:
        try:
            s.recv(1)
        except BlockingIOError:
            waiting += 1
        s.close()
    assert waiting > 36, "an ADD had to wait until the crowd was sent away"


def test_requests_that_wait_do_not_count_for_runtimes(make_postern):
    p = make_postern(limits={"waiting": 1})
    p.plugs = Plugs(p)
    slow(p)
    p.start()
    pod = running(p)
    requests = [in_background(p.plugs.attach, pod, "slow", "net7")]
    harness.wait_for("the first request's plugin", p.trace)
    requests.append(in_background(p.plugs.attach, pod, "slow", "net8"))
    harness.wait_for("the second request", lambda: connected(p) == 2)
    failed(p.plugs.attach(pod, "slow", "net9"), "too many")
    deleting = p.cni_async("DEL", pod)
    for r in requests:
        ok(r.result())
    deleting.finish().ok()
    p.nothing_left(pod)


def test_as_many_networks_as_a_pod_can_have(node):
    """None that the network-status would have no room for."""
    node.stand_in("mine")
    pod = running(node)
    for i in range(39):
        ok(node.plugs.attach(pod, "mine", f"x{i}"))
    failed(node.plugs.attach(pod, "mine", "x39"), "more than 40 networks")
    assert len(node.journal()) == 40
    node.delete(pod).ok()
    node.nothing_left(pod)
