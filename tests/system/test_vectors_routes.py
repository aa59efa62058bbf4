"""Vectors: default-route, by what the kernel has afterwards, and by what the plugin's own result still says."""
import json

import pytest
from vectors import row, rows

ETH0 = [("eth0", "10.88.0.1")]
ETH0_6 = [("eth0", "fd88::1")]
DEFAULT = "v1.multus-cni.io/default-network"


@pytest.fixture
def node(calm):
    """eth0 has a default route in each family; net1 is a bridge with addresses of both."""
    (calm.root / "calls").unlink(missing_ok=True)
    calm.nad("net1", {"cniVersion": "1.0.0", "name": "net1",
                      **calm.bridge_conf("net1", calm.tag + "br1", "10.90.0.0/24", "fd90::/64", routes=False)})
    return calm


def add(node, *gateways, name="net1"):
    """ADD of a pod whose networks have these values of default-route, None for no such member."""
    elements = [{"name": name} if g is None else {"name": name, "default-route": g} for g in gateways]
    pod = node.pod(elements)
    return node.add(pod), pod


def routes(pod):
    return pod.defaults(), pod.defaults("-6")


@rows("gateways,v4,v6", {
    "W1": (None, ETH0, ETH0_6),
    "W2": ([], ETH0, ETH0_6),
    "W3": (["10.90.0.1"], [("net1", "10.90.0.1")], ETH0_6),
    "W4": (["10.90.0.1", "fd90::1"], [("net1", "10.90.0.1")], [("net1", "fd90::1")]),
    "W13": (["10.90.0.254"], [("net1", "10.90.0.254")], ETH0_6),
})
def test_routes(node, gateways, v4, v6):
    answer, pod = add(node, gateways)
    answer.ok()
    assert routes(pod) == (v4, v6)
    node.delete(pod).ok()


@rows("gateways", {"W5a": [["10.90.0.1", "10.90.0.2"]], "W5b": [["10.90.0.1"], ["10.90.0.2"]], "W5c": [["fd90::1"], ["fd90::2"]]})
def test_two_gateways(node, gateways):
    answer, _ = add(node, *gateways)
    assert "only one is allowed" in answer.failed(7).said


@rows("gateways,v4,v6", {
    "W9a": (["10.88.0.254"], [("eth0", "10.88.0.254")], ETH0_6),
    "W9b": (["fd88::fe"], ETH0, [("eth0", "fd88::fe")]),
    "W14": (["10.88.0.254", "fd88::fe"], [("eth0", "10.88.0.254")], [("eth0", "fd88::fe")]),
})
def test_replaced_on_its_own_interface(node, gateways, v4, v6):
    node.nad("own", {"cniVersion": "1.0.0", "name": "own", **node.bridge_conf("own", node.bridge, "10.88.0.0/16", "fd88::/64")}, "kube-system")
    pod = node.pod("net1", annotations={DEFAULT: json.dumps([{"name": "own", "default-route": gateways}])})
    node.add(pod).ok()
    assert routes(pod) == (v4, v6)
    node.delete(pod).ok()


@row("W15")
def test_unreachable(node, row):
    answer, pod = add(node, ["10.99.99.1"])
    assert 'default-route: cannot make 10.99.99.1 the default gateway on "net1"' in answer.failed().said
    assert "Network is unreachable" in answer.said
    assert pod.links() == []


SIX = [{"dst": "0.0.0.0/0", "gw": "10.90.0.1"}, {"dst": "10.1.0.0/16"}, {"dst": "10.2.0.0/16"},
       {"dst": "::/0", "gw": "fd90::1"}, {"dst": "fd01::/64"}, {"dst": "fd02::/64"}]


def result(version, listed):
    if version == "0.2.0":
        return {"cniVersion": version, "ip4": {"ip": "10.90.0.9/24", **({"routes": listed[:3]} if listed else {})},
                "ip6": {"ip": "fd90::9/64", **({"routes": listed[3:]} if listed else {})}}
    mark = [{"version": v} if version < "1" else {} for v in "46"]
    return {"cniVersion": version, "ips": [{"address": "10.90.0.9/24", **mark[0]}, {"address": "fd90::9/64", **mark[1]}],
            **({"routes": listed} if listed else {})}


@rows("version,listed,gateways,printed", {
    "W6": ("0.2.0", SIX, ["10.90.0.2"], None),
    "W7": ("0.2.0", SIX, ["fd90::2"], None),
    "W8a": ("0.3.1", SIX, ["10.90.0.2"], None),
    "W8b": ("1.0.0", SIX, ["10.90.0.2"], None),
    "W8c": ("1.0.0", SIX, ["fd90::2"], None),
    "W10": ("0.2.0", [], ["10.90.0.2"], None),
    "W11a": ("0.3.1", [], ["fd90::2"], None),
    "W11b": ("1.0.0", [], ["10.90.0.2"], None),
    "W11c": ("1.0.0", SIX, ["10.90.0.2", "fd90::2"], None),
    "W12a": ("1.0.0", SIX, ["10.90.0.2"], {**result("1.0.0", SIX), "cniVersion": "1.1.0"}),
    "W16a": ("1.0.0", [], ["10.90.0.2"], {}),
    "W16b": ("1.0.0", [], ["10.90.0.2"], {"result": None}),
})
def test_result_stays_as_it_was_printed(node, version, listed, gateways, printed):
    """The routes change in the pod; what the plugin is shown at DEL is its own result, when its version has that at all."""
    calls = node.root / "calls"
    printed = printed if printed is not None else result(version, listed)
    answers = node.root / "answers"
    answers.mkdir(exist_ok=True)
    (answers / "ADD").write_text(json.dumps(printed))
    node.nad("chained", {"cniVersion": version, "name": "chained", "plugins": [
        node.bridge_conf("chained", node.tag + "br1", "10.90.0.0/24", "fd90::/64", routes=False),
        {"type": "record", "calls": str(calls), "answer": str(answers)}]})
    answer, pod = add(node, gateways, name="chained")
    answer.ok()
    v4, v6 = ([("net1", g)] for g in ("10.90.0.2", "fd90::2"))
    assert routes(pod) == (v4 if "10.90.0.2" in gateways else ETH0, v6 if "fd90::2" in gateways else ETH0_6)
    node.delete(pod).ok()
    conf = json.loads(calls.read_text().split("\0")[1].partition("\n\n")[2])
    if version < "0.4":
        assert "prevResult" not in conf
    else:
        shown = {k: v for k, v in conf["prevResult"].items() if k in ("ips", "routes")}
        assert shown == {k: v for k, v in printed.items() if k in ("ips", "routes")}


@row("W12b")
def test_result_of_an_unknown_version(node, row):
    answers = node.root / "answers"
    answers.mkdir(exist_ok=True)
    (answers / "ADD").write_text(json.dumps(dict(result("0.4.0", SIX), cniVersion="0.5.0")))
    node.nad("odd", {"cniVersion": "1.0.0", "name": "odd", "plugins": [
        node.bridge_conf("odd", node.tag + "br1", "10.90.0.0/24", routes=False), {"type": "record", "answer": str(answers)}]})
    answer, pod = add(node, ["10.90.0.2"], name="odd")
    assert "0.5.0" in answer.failed(1).said and pod.links() == []
