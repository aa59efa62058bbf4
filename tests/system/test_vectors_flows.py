"""Vectors: ADD, DEL and CHECK of several networks, and what is undone when one fails."""
import json

import pytest
from vectors import make_node, node, row, rows, shared  # noqa: F401

DEFAULT = "v1.multus-cni.io/default-network"


def order(node, *verbs):
    return [(c.verb, c.net, c.ifname) for c in node.calls(*verbs)]


def result(version, address):
    if version == "0.2.0":
        return {"cniVersion": version, "ip4": {"ip": address}}
    return {"cniVersion": version, "ips": [dict({"address": address}, **({"version": "4"} if version < "1" else {}))]}


@pytest.fixture
def bare(make_node):
    """A service without a cluster network."""
    p = make_node(clusterNetwork="")
    p.start()
    return p


def delegates(p, version, names, **answers):
    """Static delegates; what each answers at ADD, an address of its own when it is not said."""
    found = []
    for i, name in enumerate(names):
        directory = p.answer(f"d{i}", ADD=answers.get(name, result(version, f"1.1.1.{2 + i}/24")))
        found.append({"cniVersion": version, "name": name, **p.rec(answer=directory)})
    return found


@rows("version,second", {
    "F1a": ("0.2.0", None), "F1b": ("0.3.1", None), "F1c": ("0.4.0", None), "F1d": ("1.0.0", None),
    "F2a": ("0.2.0", {}), "F2b": ("1.0.0", {"cniVersion": "1.0.0"}),
})
def test_two_delegates(bare, version, second):
    answers = {} if second is None else {"other1": second}
    conf = bare.netconf(version, delegates=delegates(bare, version, ["weave1", "other1"], **answers))
    pod = bare.pod()
    expected = result(version, "1.1.1.2/24")
    if version < "1":
        expected["dns"] = {}
    assert bare.add(pod, stdin=conf).ok().json == expected
    bare.delete(pod, stdin=conf).ok()
    assert order(bare) == [("ADD", "weave1", "eth0"), ("ADD", "other1", "net1"), ("DEL", "other1", "net1"), ("DEL", "weave1", "eth0")]
    assert all(c.conf["cniVersion"] == version for c in bare.calls())
    bare.nothing_left(pod)


@row("F3")
def test_no_such_netns(node, row):
    said = node.add(node.pod(), netns="fsdadfad").failed(8).said
    assert "CNI_NETNS fsdadfad" in said and node.calls() == []


@row("F4")
def test_second_fails(bare, row):
    failure = {"cniVersion": "1.0.0", "code": 121, "msg": "expected plugin failure"}
    conf = bare.netconf(delegates=delegates(bare, "1.0.0", ["weave1", "other1"], other1=failure))
    pod = bare.pod()
    said = bare.add(pod, stdin=conf).failed(121).said
    assert said.startswith(f'[default/{pod.name}/{pod.uid}:other1]: error adding container to network "other1": ')
    assert "expected plugin failure" in said
    assert order(bare) == [("ADD", "weave1", "eth0"), ("ADD", "other1", "net1"), ("DEL", "other1", "net1"), ("DEL", "weave1", "eth0")]
    bare.nothing_left(pod)


@rows("version", {"F5": "1.0.0", "F6": "0.2.0"})
def test_nameless_delegate(bare, version):
    conf = bare.netconf(version, delegates=delegates(bare, version, ["weave1", ""]))
    assert 'delegates[1]: missing "name"' in bare.add(bare.pod(), stdin=conf).failed(7).said
    assert bare.calls() == []


@row("F7")
def test_truncated(node, row):
    pod = node.pod()
    broken = json.dumps(node.netconf())[:-2]
    node.add(pod, stdin=broken).failed(6)
    assert node.calls() == []
    node.add(pod).ok()
    node.delete(pod, stdin=broken).ok()
    assert order(node) == [("ADD", "cluster", "eth0"), ("DEL", "cluster", "eth0")]


@row("F8")
def test_two_of_three_nads(node, row):
    for name in ("net1", "net2", "net3"):
        node.net(name, "test")
    pod = node.pod("net1,net2", namespace="test")
    node.add(pod).ok()
    assert order(node) == [("ADD", "cluster", "eth0"), ("ADD", "test.net1", "net1"), ("ADD", "test.net2", "net2")]
    node.delete(pod).ok()


@row("F10")
def test_pod_is_gone_before_its_del(node, row):
    node.net("net1")
    pod = node.pod("net1")
    node.add(pod).ok()
    node.pod_path(pod).unlink()
    node.delete(pod).ok()
    assert order(node, "DEL") == [("DEL", "default.net1", "net1"), ("DEL", "cluster", "eth0")]


@rows("forgotten", {"F11": True, "F12": False})
def test_what_is_kept_of_a_pod(make_node, forgotten):
    p = make_node()
    p.net("net1")
    p.config["cniDir"] = str(p.root / "elsewhere")
    p.start()
    pod = p.pod("net1")
    p.add(pod).ok()
    kept = [f for f in (p.root / "elsewhere" / "journal").iterdir() if f.name.startswith(pod.id)]
    assert len(kept) == 1
    p.stop()
    if forgotten:
        kept[0].unlink()
    p.start()
    p.delete(pod).ok()
    assert order(p, "DEL") == ([] if forgotten else [("DEL", "default.net1", "net1"), ("DEL", "cluster", "eth0")])


@row("F13")
def test_default_network_instead_of_the_cluster_network(make_node, row):
    p = make_node(clusterNetwork="net1")
    p.net("net1", "kube-system")
    p.start()
    pod = p.pod(annotations={DEFAULT: "kube-system/net1"})
    conf = p.netconf(delegates=[])
    p.add(pod, stdin=conf).ok()
    p.delete(pod, stdin=conf).ok()
    assert order(p) == [("ADD", "kube-system.net1", "eth0"), ("DEL", "kube-system.net1", "eth0")]


@rows("version", {"F16": "1.1.0", "F17a": "0.2.0", "F17b": "0.3.1", "F17c": "0.4.0"})
def test_pod_is_missing(node, version):
    pod = node.pod(manifest=False)
    assert f"pod default/{pod.name} not found" in node.add(pod, version=version).failed().said
    assert node.calls() == []


@row("F18")
def test_check_of_a_list(node, row):
    answer = node.answer("a", ADD=result("1.0.0", "10.1.1.2/24"))
    node.nad("net1", {"cniVersion": "1.0.0", "name": "mynet-conflist", "plugins": [
        node.rec("first", answer=answer), node.rec("second", answer=answer)]})
    node.nad("net2", {"cniVersion": "0.4.0", "name": "mynet2", **node.rec(answer=node.answer("b", ADD=result("0.4.0", "10.1.2.2/24")))})
    # The cluster network's result must not promise a link, which the stand-in does not make.
    node.net("eth", "kube-system", answer=answer)
    pod = node.pod("net1,net2", annotations={DEFAULT: "eth"})
    node.add(pod).ok()
    node.cni("CHECK", pod).ok()
    calls = node.calls("CHECK")
    assert [(c.net, c.type, c.ifname) for c in calls] == [("kube-system.eth", "record", "eth0"), ("mynet-conflist", "first", "net1"),
                                                          ("mynet-conflist", "second", "net1"), ("mynet2", "record", "net2")]
    assert [c.conf["cniVersion"] for c in calls] == ["1.0.0", "1.0.0", "1.0.0", "0.4.0"]
    assert calls[1].conf["prevResult"] == calls[2].conf["prevResult"] == result("1.0.0", "10.1.1.2/24")
    node.delete(pod).ok()


@row("F19")
def test_check_of_the_cluster_network(make_node, row):
    p = make_node()
    answer = p.answer("a", ADD=result("1.0.0", "10.1.1.2/24"))
    p.cluster(p.rec(answer=answer))
    p.start()
    pod = p.pod()
    p.add(pod).ok()
    p.cni("CHECK", pod).ok()
    assert order(p, "CHECK") == [("CHECK", "cluster", "eth0")]
    p.answer("a", CHECK={"cniVersion": "1.0.0", "code": 101, "msg": "no longer there"})
    assert "no longer there" in p.cni("CHECK", pod).failed(101).said


@row("F21")
def test_del_of_another_uid(node, row):
    pod = node.pod()
    node.delete(pod, args=node.cni_args(pod).replace(pod.uid, "foobar")).ok()
    assert node.calls() == []


@row("F22")
def test_the_same_network_twice(node, row):
    node.net("net1")
    pod = node.pod("net1,net1")
    node.add(pod).ok()
    assert order(node) == [("ADD", "cluster", "eth0"), ("ADD", "default.net1", "net1"), ("ADD", "default.net1", "net2")]
    node.delete(pod).ok()
    assert order(node, "DEL") == [("DEL", "default.net1", "net2"), ("DEL", "default.net1", "net1"), ("DEL", "cluster", "eth0")]


@row("F23")
def test_no_directory_for_the_state(make_node, row):
    p = make_node(cniDir="")
    assert p.start(expect_ready=False) != 0 and '"cniDir"' in p.stderr()


@row("F24")
def test_result_in_an_older_version(make_node, row):
    p = make_node()
    p.cluster(p.rec(answer=p.answer("a", ADD={
        "cniVersion": "1.0.0", "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.1.1"}], "ips": [{"address": "10.1.1.2/24", "interface": 0}],
        "interfaces": [{"name": "eth0", "mtu": 1400, "mac": "0a:00:00:00:00:01", "sandbox": "@netns@"}]})))
    p.start()
    pod = p.pod()
    answer = p.add(pod, version="0.3.1").ok()
    assert answer.text == json.dumps({
        "cniVersion": "0.3.1", "interfaces": [{"name": "eth0", "mac": "0a:00:00:00:00:01", "sandbox": pod.netns}],
        "ips": [{"version": "4", "interface": 0, "address": "10.1.1.2/24"}], "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.1.1"}],
        "dns": {}}, indent=4)
