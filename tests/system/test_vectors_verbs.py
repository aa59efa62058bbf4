"""Vectors: STATUS and GC, what of the request's configuration counts beside the node's, stopping, installing, and events."""
import os
import subprocess

import harness
import pytest
import yaml
from faulty import cluster, make, server  # noqa: F401
from vectors import make_node, node, row, rows, shared  # noqa: F401

NOT_READY = {"cniVersion": "1.1.0", "code": 50, "msg": "not ready", "details": "d"}


@pytest.fixture
def bare(make_node):
    p = make_node(clusterNetwork="")
    p.start()
    return p


def static_list(p, name, **more):
    return {"cniVersion": "1.1.0", "name": name, "plugins": [p.rec(**more)]}


@row("G1")
def test_status_of_two_lists(bare, row):
    conf = bare.netconf("1.1.0", delegates=[static_list(bare, "one"), static_list(bare, "two")])
    bare.cni("STATUS", stdin=conf).ok()
    assert len(bare.calls()) == 1
    call = bare.call("STATUS", "one")
    assert not call.env.get("CNI_IFNAME") and not call.env.get("CNI_CONTAINERID") and not call.env.get("CNI_NETNS")
    assert call.conf == {"cniVersion": "1.1.0", "name": "one", "type": "record", "calls": str(bare.calls_path)}


@rows("form", {"G2": "single", "G3": "list", "G4": "single"})
def test_status_code(bare, form):
    answer = bare.answer("sick", STATUS=NOT_READY)
    single = {"cniVersion": "1.1.0", "name": "one", **bare.rec(answer=answer)}
    conf = bare.netconf("1.1.0", delegates=[single if form == "single" else static_list(bare, "one", answer=answer)])
    r = bare.cni("STATUS", stdin=conf)
    assert r.exit == 1
    assert r.json == {"code": 50, "msg": 'network "one": plugin type="record" failed (status): not ready', "details": "d"}


@rows("verb,args", {"G9a": ("STATUS", None), "G9b": ("STATUS", ""), "G9c": ("GC", None), "G9d": ("GC", "")})
def test_without_a_container(node, verb, args):
    node.cni(verb, stdin=node.netconf("1.1.0", **{"cni.dev/valid-attachments": []}), args=args).ok()


@row("G10")
def test_status_of_an_older_configuration(node, row):
    assert node.cni("STATUS", version="1.0.0").failed(1).msg == "config version does not allow STATUS"
    assert node.calls() == []


def gc(node, *pods):
    valid = [{"containerID": p.id, "ifname": "eth0"} for p in pods]
    return node.cni("GC", stdin=node.netconf("1.1.0", **{"cni.dev/valid-attachments": valid}))


@rows("form", {"G5": "list", "G6": "single"})
def test_gc_of_two_attachments(node, form):
    """The same network at two interfaces of one container."""
    conf = {"cniVersion": "1.1.0", "name": "mynet", **node.rec()} if form == "single" else static_list(node, "mynet")
    node.nad("net1", conf, "kube-system")
    pod = node.pod("kube-system/net1", annotations={"v1.multus-cni.io/default-network": "net1"})
    node.add(pod).ok()
    gc(node, pod).ok()
    call, both = node.call("GC", "mynet"), [{"containerID": pod.id, "ifname": i} for i in ("eth0", "net1")]
    assert call.conf == {"cniVersion": "1.1.0", "name": "mynet", "type": "record", "calls": str(node.calls_path),
                         "cni.dev/valid-attachments": both, "cni.dev/attachments": both}
    node.delete(pod).ok()


@row("G7")
def test_gc_of_nothing(make_node, row):
    p = make_node()
    p.start()
    gc(p).ok()
    assert p.journal() == []


@row("G8")
def test_gc_of_stale_and_junk(make_node, row):
    p = make_node()
    p.cluster(p.rec(), cniVersion="1.1.0")
    p.start()
    live, stale = p.pod(), p.pod()
    p.add(live).ok()
    p.add(stale).ok()
    (p.cni_dir / "journal" / "junk").write_text("{}")
    gc(p, live).ok()
    assert [c.env["CNI_CONTAINERID"] for c in p.calls("DEL")] == [stale.id]
    assert p.call("GC", "cluster").conf["cni.dev/valid-attachments"] == [{"containerID": live.id, "ifname": "eth0"}]


@row("O1")
def test_the_node_decides(make_node, row):
    """Of what the request and the node both say, the node's counts; what only the request says, and is the request's, does."""
    p = make_node(namespaceIsolation=False, logLevel="debug", cniVersion="0.4.0")
    p.net("net1", "other")
    p.start()
    pod = p.pod("other/net1")
    conf = p.netconf("0.3.1", binDir="/var/lib/cni/bin", confDir="/nowhere", cniDir="/nowhere", clusterNetwork="/nowhere", logLevel="panic",
                     namespaceIsolation=True)
    # Stricter than the node it may not look: the request would seem to be in force.
    assert "namespaceIsolation" in p.add(pod, stdin=conf).failed(7).said
    del conf["namespaceIsolation"]
    result = p.add(pod, stdin=conf).ok().json
    assert result["cniVersion"] == "0.3.1"
    assert [(c.net, c.ifname, c.env["CNI_PATH"]) for c in p.calls("ADD")] == [
        ("cluster", "eth0", str(p.bin_dir)), ("other.net1", "net1", str(p.bin_dir))]
    p.delete(pod, stdin=conf).ok()


@row("O10")
def test_stop(make_node, row):
    """What is under way ends well, the exit status is 0, the socket is gone, and pods keep their networks."""
    p = make_node()
    p.stand_in("slow", delay="500")
    p.start()
    pod = p.pod("slow")
    add = p.cni_async("ADD", pod)
    harness.wait_for("the slow delegate", p.trace)
    p.stop()
    add.finish().ok()
    assert not harness.is_socket(p.socket_dir / "postern.sock") and len(p.journal()) == 1 and p.calls("DEL") == []


@row("O12")
def test_waiting_for_the_service(make_node, row):
    """ADD waits until it serves; DEL looks once more and leaves a note."""
    p = make_node()
    p.start()
    p.stop()
    pod, other = p.pod(), p.pod()
    add = p.cni_async("ADD", pod)
    p.delete(other).ok()
    assert len(p.spool()) == 1
    p.start()
    add.finish().ok()
    harness.wait_for("the note to be read", lambda: not p.spool())


@row("O13")
def test_no_chroot(make_node, row):
    p = make_node(chrootDir="/hostroot")
    p.start()
    assert 'key "chrootDir" has no effect' in p.stderr()
    p.add(p.pod()).ok()


@row("O14")
def test_some_log_options(make_node, row):
    p = make_node(logOptions={"maxAge": 1})
    p.start()
    p.add(p.pod()).ok()


@row("O15")
def test_installing_the_shim(row, tmp_path):
    """What the DaemonSet's first container runs, over an older file."""
    documents = yaml.safe_load_all((harness.SOURCE / "deploy/kubernetes/daemonset.yaml").read_text())
    pod = next(d for d in documents if d["kind"] == "DaemonSet")["spec"]["template"]["spec"]
    shell = next(c for c in pod["initContainers"] if c["name"] == "install-shim")["command"]
    source, target = tmp_path / "source", tmp_path / "bin" / "postern-shim"
    target.parent.mkdir()
    target.write_text("older")
    target.chmod(0o611)
    source.write_text("newer")
    source.chmod(0o744)
    script = shell[-1].replace("/usr/local/libexec/cni/postern-shim", str(source)).replace("/host/bin", str(target.parent))
    with open(target) as held:
        subprocess.run([*shell[:-1], script], check=True)
        assert held.read() == "older", "it was written in place"
    assert target.read_text() == "newer" and target.stat().st_mode & 0o7777 == 0o755
    assert os.listdir(target.parent) == ["postern-shim"]


@row("F9")
def test_events(make, row):
    p = make(plugins=["record"])
    for i, (name, namespace) in enumerate((("weave1", None), ("net1", "test"), ("net2", "test"))):
        directory = p.root / "answers" / name
        directory.mkdir(parents=True)
        (directory / "ADD").write_text('{"cniVersion": "1.0.0", "ips": [{"address": "1.1.1.%d/24"}]}' % (2 + i))
        conf = {"type": "record", "answer": str(directory)}
        p.nad(name, dict(conf, cniVersion="1.0.0", name=name), namespace) if namespace else p.cluster(conf, name=name)
    p.start()
    pod = p.pod("net1,net2", namespace="test")
    p.add(pod).ok()
    assert p.events(pod, 3) == [("Normal", "AddedInterface", f"Add {e}") for e in (
        "eth0 [1.1.1.2/24] from weave1", "net1 [1.1.1.3/24] from test/net1", "net2 [1.1.1.4/24] from test/net2")]
    p.delete(pod).ok()
