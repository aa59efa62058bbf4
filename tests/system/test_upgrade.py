"""Pods that an earlier version of Postern attached: their journal entries stay readable."""
import json
import os
import pathlib
import struct

import harness
import pytest
from multus import Multus, Network

MAGIC, HEAD, PLAN, DONE, OWED, LIVE = 0x504a524e, 1, 2, 3, 4, 5
HEAD_SIZE = 132 + 16 + 512 + 64 + 256 + 64 + 132 + 8 + 8 + 40  # before hot-plugging: without the first interface behind it


def record(kind, body):
    h = 14695981039346656037 ^ kind
    for byte in body:
        h = ((h ^ byte) * 1099511628211) & (1 << 64) - 1
    return struct.pack("=IIQQ", MAGIC, kind, len(body), h) + body


def cookie(pod):
    """SO_NETNS_COOKIE of the pod's namespace."""
    ask = "import socket; print(int.from_bytes(socket.socket(socket.AF_UNIX).getsockopt(socket.SOL_SOCKET, 71, 8), 'little'))"
    return int(harness.sh("ip", "netns", "exec", pod.netns_name, "python3", "-c", ask).stdout)


def head(pod, boot):
    fields = [(pod.id, 132), ("eth0", 16), (pod.netns, 512), (pod.namespace, 64), (pod.name, 256), (pod.uid, 64), (pod.id, 132)]
    out = b"".join(text.encode().ljust(size, b"\0") for text, size in fields)
    out += struct.pack("=QQ", cookie(pod), 1) + boot.encode().ljust(40, b"\0")
    assert len(out) == HEAD_SIZE
    return out


def plan(pod, networks, with_results):
    """Format 1 of the blob."""
    out = {"format": 1, "target": {"containerID": pod.id, "ifname": "eth0", "netns": pod.netns, "podNamespace": pod.namespace,
                                   "podName": pod.name, "podUID": pod.uid, "infraID": pod.id}, "networks": []}
    for index, n in enumerate(networks):
        entry = {"display": n.name, "name": n.conf["name"], "cniVersion": n.conf["cniVersion"], "ifname": n.ifname(index)}
        if "plugins" in n.conf:
            entry["list"] = True
        entry["plugins"] = n.plugins
        if with_results:
            entry["result"] = n.result
        out["networks"].append(entry)
    return json.dumps(out).encode()


@pytest.mark.parametrize("case", ["live", "live, without a namespace", "owed", "before a reboot", "half done"])
def test_entry_of_the_version_before(make_postern, case):
    p = make_postern()
    networks = [Network({"cniVersion": "1.0.0", "name": "cluster", "plugins": [
        p.bridge_conf("cluster", p.bridge, "10.88.0.0/16", "fd88::/64"), {"type": "tuning"}]}),
        Network(dict(p.macvlan_conf("10.89.0.0/24"), cniVersion="1.0.0", name="mv"), "default/mv")]
    # A bridge without an address of its own takes on those of its ports, which CHECK would see.
    harness.sh("ip", "link", "add", p.bridge, "address", "02:00:00:00:88:01", "type", "bridge")
    pod = p.pod()
    Multus(p, p.root / "elsewhere").add(pod, networks)  # the plugins have run; nobody looks at that directory
    assert len(p.leases()) == 3
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    if case == "before a reboot":
        boot = "00000000-0000-0000-0000-000000000000"
    entry = record(HEAD, head(pod, boot)) + record(PLAN, plan(pod, networks, False))
    if case != "half done":
        entry += record(DONE, plan(pod, networks, True)) + record(LIVE, struct.pack("=Q", 2))
    if case == "owed":
        entry += record(OWED, b"")
    (p.cni_dir / "journal").mkdir(parents=True, mode=0o700)
    path = p.cni_dir / "journal" / f"{pod.id}:eth0"
    path.write_bytes(entry)
    os.chmod(path, 0o600)
    if case in ("live, without a namespace", "before a reboot"):
        pod.drop_netns()
    p.start()
    if case.startswith("live"):
        assert len(p.journal()) == 1 and len(p.leases()) == 3, "a running pod's networks were taken away"
        if case == "live":
            p.cni("CHECK", pod).ok()
        p.delete(pod).ok()
    harness.wait_for("an empty journal", lambda: not p.journal(), 20)
    assert p.leases() == []
    p.nothing_left(pod)


def test_damaged_entry_is_set_aside(make_postern):
    p = make_postern()
    pod = p.pod()
    entry = record(HEAD, head(pod, "x" * 36)) + record(PLAN, b"{}")
    (p.cni_dir / "journal").mkdir(parents=True, mode=0o700)
    (p.cni_dir / "journal" / f"{pod.id}:eth0").write_bytes(entry[:40] + b"?" + entry[41:])
    p.start()
    harness.wait_for("a word about it", lambda: "kept as .bad-" in p.stderr())
    p.delete(pod).ok()


def test_list_prints_no_control_characters(tmp_path):
    """An entry's text is a worker's, and root's terminal would obey it."""
    fields = [("pod", 132), ("eth0", 16), ("", 512), ("default", 64), ("web", 256), ("", 64), ("", 132), ("", 16), ("", 40)]
    blob = {"networks": [{"display": "a\u001b]0;x\u0007b", "ifname": "\u009bnet1"}]}
    (tmp_path / "pod:eth0").write_bytes(record(HEAD, b"".join(text.encode().ljust(size, b"\0") for text, size in fields)) +
                                        record(PLAN, json.dumps(blob).encode()))
    said = harness.sh(str(harness.BUILD / "posternctl"), "list", "--journal", str(tmp_path)).stdout
    assert r"\x9bnet1 a\x1b]0;x\x07b".replace(r"\x9b", r"\xc2\x9b") in said or r"\x9bnet1 a\x1b]0;x\x07b" in said, said
    assert not [c for c in said if ord(c) < 32 and c != "\n" or 127 <= ord(c) < 160]
