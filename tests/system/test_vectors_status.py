"""Vectors: the network-status that is made of delegates' results, and when it is."""
from vectors import make_node, node, row, rows, shared  # noqa: F401

DEFAULT = "v1.multus-cni.io/default-network"
S = {"sandbox": "/s"}


def ip(address, interface=None, gateway=None):
    return {k: v for k, v in (("address", address), ("interface", interface), ("gateway", gateway)) if v is not None}


def run(node, result, default, version="1.0.0"):
    """ADD of a pod whose network answers that, as its default network or beside it: (answer, pod)."""
    directory = node.answer("net", ADD=dict({"cniVersion": version}, **result))
    node.net("n", "kube-system" if default else "test", version=version, answer=directory)
    pod = node.pod(None if default else "n", namespace="test", annotations={DEFAULT: "n"} if default else None)
    return node.add(pod), pod


@rows("default,result,elements", {
    "S1": (False, {"interfaces": [{"name": "net1", "mac": "aa", "mtu": 1500, **S}], "ips": [ip("10.1.1.2/24"), ip("fd00::2/64")],
                   "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.1.1"}, {"dst": "0.0.0.0/0"}, {"dst": "0.0.0.0/1", "gw": "10.1.1.9"},
                              {"dst": "::/0", "gw": "fd00::1"}, {"dst": "10.9.0.0/16", "gw": "10.1.1.3"}]},
           [{"interface": "net1", "ips": ["10.1.1.2", "fd00::2"], "mac": "aa", "mtu": 1500, "gateway": ["10.1.1.1", "fd00::1"]}]),
    "S2": (True, {"interfaces": [{"name": "eth0", "mac": "aa"}], "ips": [ip("10.1.1.2/24")]}, [{"ips": ["10.1.1.2"], "default": True}]),
    "S3": (True, {"interfaces": [{"name": "cni0"}, {"name": "veth0"}, {"name": "eth0", **S}], "ips": [ip("10.1.1.2/24", 2, "10.1.1.1")]},
           [{"interface": "eth0", "ips": ["10.1.1.2"], "default": True}]),
    "S4": (True, {"interfaces": [{"name": "h"}, {"name": "a0", **S}, {"name": "a1", **S}],
                  "ips": [ip("10.1.1.2/24", 1), ip("10.1.1.3/24", 2, "10.1.1.1"), ip("10.1.1.4/24")]},
           [{"interface": "a0", "ips": ["10.1.1.2"]}, {"interface": "a1", "ips": ["10.1.1.3", "10.1.1.4"], "default": True}]),
    "S5": (True, {"interfaces": [{"name": "a0", **S}, {"name": "a1", **S}]}, [{"interface": "a0", "default": True}, {"interface": "a1"}]),
    "S6": (True, {"interfaces": [{"name": "h"}, {"name": "a1", **S}], "ips": [ip("10.1.1.2/24", 0, "10.1.1.1")]}, [{"interface": "a1"}]),
    "S7": (True, {"ips": [ip("10.1.1.2/24")]}, None),
})
def test_elements(node, default, result, elements):
    answer, pod = run(node, result, default)
    answer.ok()
    name = "kube-system/n" if default else "test/n"
    found = node.status(pod)
    if found is not None:
        found = [s for s in found if s["name"] != "cluster"]
    assert found == (elements and [{"name": name, "dns": {}, **e} for e in elements])
    node.delete(pod).ok()


@rows("version,result,elements", {
    "S8": ("0.3.1", {"interfaces": [{"name": "net1", **S}], "dns": {}}, [{"name": "test/n", "interface": "net1", "dns": {}}]),
    "S9": ("0.2.0", {"ip4": {"ip": "10.1.1.2/24"}}, []),
})
def test_old_results(node, version, result, elements):
    answer, pod = run(node, result, False, version)
    answer.ok()
    assert node.status(pod)[1:] == elements
    node.delete(pod).ok()


@row("S10")
def test_unknown_version(node, row):
    answer, pod = run(node, {"cniVersion": "1.2.3", "ips": []}, False)
    said = answer.failed(1).said
    assert "1.2.3" in said and "test.n" in said
    assert node.status(pod) is None
    assert [(c.verb, c.net) for c in node.calls()] == [("ADD", "cluster"), ("ADD", "test.n"), ("DEL", "test.n"), ("DEL", "cluster")]


@rows("uid,same", {"S11a": ("testUID", True), "S11b": (None, True), "S11c": ("foobar", False), "F15": ("foobar", False)})
def test_uid(node, uid, same):
    pod = node.pod(namespace="test")
    pod.uid = "testUID"
    node.write_pod(pod)
    answer = node.add(pod, args=f"K8S_POD_NAMESPACE=test;K8S_POD_NAME={pod.name}" + (f";K8S_POD_UID={uid}" if uid else ""))
    if same:
        answer.ok()
        assert len(node.status(pod)) == 1
        node.delete(pod).ok()
    else:
        said = answer.failed().said
        assert f"pod test/{pod.name}" in said and "foobar" in said and "testUID" in said
        assert node.calls() == [] and node.status(pod) is None


@row("S12")
def test_exact_text(make_node, row):
    node = make_node()
    node.cluster(node.rec(answer=node.answer("a", ADD={
        "cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "mac": "0a:00:00:00:00:01", **S}],
        "ips": [ip("10.1.1.2/24", 0, "10.1.1.1")], "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.1.1"}]})), name="clusternet")
    node.net("macvlan", answer=node.answer("b", ADD={
        "cniVersion": "1.0.0", "interfaces": [{"name": "net1", "mac": "0a:00:00:00:00:02", "mtu": 1400, **S}],
        "ips": [ip("10.2.1.2/24", 0)], "dns": {"options": ["a<b>&c"], "domain": "d", "search": ["s"], "nameservers": ["10.2.1.53"]}}))
    node.start()
    pod = node.pod("macvlan")
    node.add(pod).ok()
    assert (node.store / "status" / "default" / f"{pod.name}.json").read_text() == (
        '[{\n    "name": "clusternet",\n    "interface": "eth0",\n    "ips": [\n        "10.1.1.2"\n    ],\n'
        '    "mac": "0a:00:00:00:00:01",\n    "default": true,\n    "dns": {},\n    "gateway": [\n        "10.1.1.1"\n    ]\n},{\n'
        '    "name": "default/macvlan",\n    "interface": "net1",\n    "ips": [\n        "10.2.1.2"\n    ],\n'
        '    "mac": "0a:00:00:00:00:02",\n    "mtu": 1400,\n    "dns": {\n        "nameservers": [\n            "10.2.1.53"\n        ],\n'
        '        "domain": "d",\n        "search": [\n            "s"\n        ],\n        "options": [\n'
        '            "a\\u003cb\\u003e\\u0026c"\n        ]\n    }\n}]')
    node.delete(pod).ok()
