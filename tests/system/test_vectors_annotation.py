"""Vectors: the two forms of the networks annotation, by what is attached or refused. Pods are in namespace "dns"."""
import json

from vectors import node, row, rows, shared  # noqa: F401

NETS = [("dns", "net1"), ("dns", "net2"), ("dns", "null"), ("dns", "a" * 71), ("default", "net1"), ("ns", "net1")]


def attach(node, annotation, nets=NETS):
    """ADD of a pod with that annotation: its answer, and the pod."""
    for namespace, name in nets:
        node.net(name, namespace, capabilities={k: True for k in ("ips", "mac", "infinibandGUID", "portMappings", "bandwidth")})
    pod = node.pod(annotation, namespace="dns")
    return node.add(pod), pod


def finish(node, pod):
    node.delete(pod).ok()
    added = [(c.net, c.ifname) for c in node.calls("ADD")]
    assert [(c.net, c.ifname) for c in node.calls("DEL")] == added[::-1]


@rows("text,attached", {
    "A1": ("net1", [("dns.net1", "net1")]),
    "A2": ("default/net1", [("default.net1", "net1")]),
    "A3": ("net1@my_interface", [("dns.net1", "my_interface")]),
    "A4": ("default/net1@my_interface", [("default.net1", "my_interface")]),
    "A5": (" net1 , net2 ", [("dns.net1", "net1"), ("dns.net2", "net2")]),
    "A6": ("ns / net1 @ if0", [("ns.net1", "if0")]),
    "A8b": ("/net1", [("dns.net1", "net1")]),
    "A8c": ("net1@", [("dns.net1", "net1")]),
    "A9a": ("net1@0123456789abcde", [("dns.net1", "0123456789abcde")]),
    "A10c": ("net1@IF", [("dns.net1", "IF")]),
    "A17": ("a" * 71, [("dns." + "a" * 71, "net1")]),
    "A18": ("null", [("dns.null", "net1")]),
    "A19": ("net1,\nnet2", [("dns.net1", "net1"), ("dns.net2", "net2")]),
})
def test_text(node, text, attached):
    answer, pod = attach(node, text)
    answer.ok()
    assert node.added() == attached
    assert [(s["name"], s["interface"]) for s in node.status(pod)[1:]] == [(n.replace(".", "/", 1), i) for n, i in attached]
    finish(node, pod)


@rows("text,words", {
    "A7": ("net1,", "element 2: empty"),
    "A8a": ("ns/", "name is empty"),
    "A8d": ("@if", "name is empty"),
    "A9b": ("net1@0123456789abcdef", "not an interface name"),
    "A10a": ("net1@if:0", "not an interface name"),
    "A10b": ("net1@.", "not an interface name"),
    "A11": ("default/net1@myIfc Name", "not an interface name"),
    "A12": ("default/net1@very_long_interface_name", "not an interface name"),
    "A13": ("root@someIP/root@someOtherIP/root@thirdIP", "more than one '/'"),
    "A14": ("root@someIP/root@someOtherIP@garbagevalue", "more than one '@'"),
    "A15": ("root@someIP/root@someOtherIP", "not a namespace's name"),
    "A16a": ("Net1", "not a network's name"),
    "A16b": ("net.1", "not a network's name"),
    "A16c": ("net_1", "not a network's name"),
    "A16d": ("-a", "not a network's name"),
    "A16e": ("a-", "not a network's name"),
})
def test_text_refused(node, text, words):
    answer, pod = attach(node, text)
    said = answer.failed(7).said
    assert words in said and "annotation k8s.v1.cni.cncf.io/networks: element" in said
    assert node.calls() == []


@row("J1")
def test_json_in_order(node, row):
    for name, namespace in (("net1", "dns"), ("net2", "dns"), ("net3", "other-ns")):
        node.nad(name, {"cniVersion": "1.0.0", "name": "my" + name, **node.rec()}, namespace)
    pod = node.pod([{"name": "net1"}, {"name": "net2", "default-route": []}, {"name": "net3", "namespace": "other-ns"}],
                   namespace="dns")
    node.add(pod).ok()
    assert node.added() == [("mynet1", "net1"), ("mynet2", "net2"), ("mynet3", "net3")]
    finish(node, pod)


@rows("value,attached", {
    "J4": ("[]", []),
    "J11a": ('[{"name": "net1", "interfaceRequest": "old0"}]', [("dns.net1", "old0")]),
    "J11b": ('[{"name": "net1", "interfaceRequest": "old0", "interface": "new0"}]', [("dns.net1", "new0")]),
    "J13a": ('[{"name": "net1", "cni-args": null}]', [("dns.net1", "net1")]),
    "J15": ('[{"name": "net1", "ips": ["10.9.9.9/24"], "ipam-claim-reference": "claim"}]', [("dns.net1", "net1")]),
    "J16": ('[{"NAME": "net1", "unknown": 1}]', [("dns.net1", "net1")]),
})
def test_json(node, value, attached):
    answer, pod = attach(node, value)
    answer.ok()
    assert node.added() == attached
    for net, _ in attached:
        assert set(node.call("ADD", net).conf) <= {"name", "type", "calls", "capabilities", "cniVersion", "runtimeConfig"}
    finish(node, pod)


@rows("element,args,runtime", {
    "J7a": ({"mac": "aa-bb-cc-dd-ee-ff"}, "MAC=aa-bb-cc-dd-ee-ff", {"mac": "aa-bb-cc-dd-ee-ff"}),
    "J7b": ({"mac": "aabb.ccdd.eeff"}, "MAC=aabb.ccdd.eeff", {"mac": "aabb.ccdd.eeff"}),
    "J7c": ({"mac": "02:00:5e:10:00:00:00:01"}, "MAC=02:00:5e:10:00:00:00:01", {"mac": "02:00:5e:10:00:00:00:01"}),
    "J8a": ({"infiniband-guid": "24:8a:07:03:00:8d:ae:2e"}, "K8S_POD_UID=", {"infinibandGUID": "24:8a:07:03:00:8d:ae:2e"}),
})
def test_json_requests(node, element, args, runtime):
    answer, pod = attach(node, json.dumps([dict(element, name="net1")]))
    answer.ok()
    call = node.call("ADD", "dns.net1")
    assert call.env["CNI_ARGS"].split(";")[-1].startswith(args) and call.runtime == runtime
    finish(node, pod)


@rows("value,words", {
    "J2": ("[adsfasdfasdfasf]", "annotation k8s.v1.cni.cncf.io/networks: line 1, column 16: not valid JSON"),
    "J3a": ('{"name":"x"}', "must be a JSON array of objects"),
    "J3b": ('"net1"', "must be a JSON array of objects"),
    "J3c": ('["net1"]', "element 1 must be an object"),
    "J3d": ('[{"name":"a"}] trailing', "text behind the end"),
    "J5": ("[{}]", "name is empty"),
    "J6": ('[{"name":"a","mac":"zz"}]', '"mac": "zz" is not a hardware address'),
    "J8b": ('[{"name":"a","infiniband-guid":"24:8a:07"}]', '"infiniband-guid": "24:8a:07" is not a hardware address'),
    "J9": ('[{"name":"a","ips":["1.2.3.4","::1","10.0.0.1/33"]}]', '"10.0.0.1/33" is not an IP address'),
    "J10a": ('[{"name":"a","ips":["fe80::1%eth0"]}]', '"fe80::1%eth0" is not an IP address'),
    "J10b": ('[{"name":"a","ips":["01.2.3.4"]}]', '"01.2.3.4" is not an IP address'),
    "J10c": ('[{"name":"a","ips":"1.2.3.4"}]', '"ips" must be an array'),
    "J12a": ('[{"name":"a","portMappings":[{"hostPort":"80","containerPort":80}]}]', '"hostPort" must be a number'),
    "J12b": ('[{"name":"a","bandwidth":{"ingressRate":1.5}}]', '"ingressRate" must be a whole number'),
    "J13b": ('[{"name":"a","cni-args":[]}]', '"cni-args" must be an object'),
    "J14a": ('[{"name":"a","default-route":["10.0.0.1/24"]}]', '"10.0.0.1/24" is not an IP address'),
    "J14b": ('[{"name":"a","default-route":["x"]}]', '"x" is not an IP address'),
})
def test_json_refused(node, value, words):
    answer, pod = attach(node, value, [("dns", "a"), ("dns", "net1")])
    said = answer.failed().said
    assert words in said and "annotation k8s.v1.cni.cncf.io/networks" in said
    assert node.calls() == []


@row("J17")
def test_default_route_among_three(node, row):
    node.net("net1", "dns")
    node.nad("net2", {"cniVersion": "1.0.0", "name": "net2", **node.bridge_conf("net2", node.tag + "br2", "192.168.2.0/24")}, "dns")
    node.net("net3", "other-ns")
    pod = node.pod([{"name": "net2", "default-route": ["192.168.2.2"]}, {"name": "net1"}, {"name": "net3", "namespace": "other-ns"}],
                   namespace="dns")
    node.add(pod).ok()
    assert [(s["name"], s["interface"]) for s in node.status(pod)] == [
        ("cluster", "eth0"), ("dns/net2", "net1"), ("dns/net1", "net2"), ("other-ns/net3", "net3")]
    assert pod.defaults() == [("net1", "192.168.2.2")]
    node.delete(pod).ok()
