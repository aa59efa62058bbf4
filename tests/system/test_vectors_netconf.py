"""Vectors: the configuration on stdin and of the node, static delegates, and the arguments that delegates get."""
import json

from vectors import make_node, node, row, rows, shared  # noqa: F401

MAPPING = {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}
BANDWIDTH = {"ingressRate": 2048, "ingressBurst": 1600, "egressRate": 4096, "egressBurst": 1600}
GUID = "24:8a:07:03:00:8d:ae:2e"
EVERYTHING = {k: True for k in ("portMappings", "bandwidth", "ips", "mac", "infinibandGUID")}


def attached(node):
    return [(c.net, c.ifname) for c in node.calls("ADD")]


def bare(make_node, **config):
    """A service without a cluster network: delegates come with the request."""
    p = make_node(clusterNetwork="", **config)
    p.start()
    return p


def static(p, *names, version="1.0.0", **more):
    return [{"cniVersion": version, "name": name, **p.rec(**more)} for name in names]


@row("N1")
def test_one_delegate(make_node, row):
    p = bare(make_node)
    conf = p.netconf(delegates=static(p, "weave1", type="weave-net", capabilities={"portMappings": True}),
                     runtimeConfig={"portMappings": [MAPPING]})
    pod = p.pod()
    p.add(pod, stdin=conf).ok()
    call = p.call("ADD", "weave1")
    assert (call.type, call.ifname, call.runtime) == ("weave-net", "eth0", {"portMappings": [MAPPING]})
    assert [s["default"] for s in p.status(pod)] == [True]


@row("N3")
def test_only_the_first_is_master(make_node, row):
    p = bare(make_node)
    p.answer("first", ADD={"cniVersion": "1.0.0", "ips": [{"address": "10.1.1.2/24"}]})
    first, second = static(p, "one", "two", capabilities={"portMappings": True})
    first["answer"] = str(p.root / "answers" / "first")
    pod = p.pod()
    result = p.add(pod, stdin=p.netconf(delegates=[first, second], runtimeConfig={"portMappings": [MAPPING]})).ok().json
    assert attached(p) == [("one", "eth0"), ("two", "net1")] and result["ips"] == [{"address": "10.1.1.2/24"}]
    assert [(s["name"], s.get("default", False)) for s in p.status(pod)] == [("two", False)]
    # The ports of the host belong to the cluster network.
    assert [c.runtime for c in p.calls("ADD")] == [{"portMappings": [MAPPING]}, {}]


@rows("more,code,words", {
    "N4a": ({"kubeconfig": "/etc/kubeconfig"}, 7, "at least one delegate/clusterNetwork must be specified"),
    "N4b": ({}, 7, "at least one delegate/clusterNetwork must be specified"),
    "N4c": ({"delegates": []}, 7, "at least one delegate/clusterNetwork must be specified"),
    "N5": ({"delegates": [{"_not_type": "x"}]}, 7, "delegates[0]"),
    "N11": ({"cniVersion": "9.9.9", "prevResult": {}}, 1, "incompatible CNI versions"),
})
def test_refused(make_node, more, code, words):
    p = bare(make_node)
    assert words in p.add(p.pod(), stdin=p.netconf(**more)).failed(code).said and p.calls() == []


@row("N2")
def test_truncated(node, row):
    text = json.dumps(node.netconf(delegates=static(node, "one")))[:-3]
    assert "network configuration" in node.add(node.pod(), stdin=text).failed(6).said and node.calls() == []


@rows("more", {
    "N10": {"cniVersion": None, "prevResult": {"ips": [{"version": "4", "address": "10.0.0.5/32"}]}},
    "N12": {"prevResult": {}},
    "N14a": {"logLevel": "bogus"},
    "N15": {"delegates": [{"name": "ignored", "type": "record"}], "clusterNetwork": "ignored-too"},
})
def test_accepted(node, more):
    pod = node.pod()
    conf = {k: v for k, v in node.netconf(**more).items() if v is not None}
    node.add(pod, stdin=conf).ok()
    assert attached(node) == [("cluster", "eth0")]
    node.delete(pod, stdin=conf).ok()


@row("N14b")
def test_log_level_of_the_node(make_node, row):
    p = make_node(logLevel="bogus")
    assert p.start(expect_ready=False) != 0 and '"logLevel"' in p.stderr()


@row("N16")
def test_display_names(make_node, row):
    p = bare(make_node)
    one = static(p, "weave")[0]
    several = {"cniVersion": "1.0.0", "name": "weave-list", "plugins": [p.rec("weave-net")]}
    pod = p.pod()
    p.add(pod, stdin=p.netconf(delegates=[one, several])).ok()
    assert [s["name"] for s in p.status(pod)] == ["weave", "weave-list"]


REQUESTS = {"interface": "fast0", "mac": "02:00:00:00:00:01", "ips": ["10.9.9.9/24", "fd00::9/64"], "infiniband-guid": GUID,
            "bandwidth": BANDWIDTH, "portMappings": [MAPPING]}
ASKED = {"mac": "02:00:00:00:00:01", "ips": ["10.9.9.9/24", "fd00::9/64"], "infinibandGUID": GUID, "bandwidth": BANDWIDTH,
         "portMappings": [MAPPING]}


@row("R1")
def test_every_request(node, row):
    node.net("net1", capabilities=EVERYTHING)
    pod = node.pod([dict(REQUESTS, name="net1")])
    node.add(pod).ok()
    call = node.call("ADD", "default.net1")
    assert call.ifname == "fast0" and call.runtime == ASKED
    assert call.env["CNI_ARGS"].endswith(";MAC=02:00:00:00:00:01;IP=10.9.9.9/24,fd00::9/64")
    node.delete(pod).ok()
    gone = node.call("DEL", "default.net1")
    assert gone.ifname == "fast0" and gone.runtime == ASKED


@rows("more", {"R2a": {"portMappings": [MAPPING]}, "R2b": {"bandwidth": BANDWIDTH}, "R2c": {"infiniband-guid": GUID}})
def test_refused_of_the_default_network(node, more):
    node.net("net1", "kube-system", capabilities=EVERYTHING)
    pod = node.pod(annotations={"v1.multus-cni.io/default-network": json.dumps([dict(more, name="net1")])})
    assert "cannot be asked of the default network" in node.add(pod).failed(7).said and node.calls() == []


@row("R2d")
def test_address_of_the_default_network(node, row):
    """What the annotation asks goes into CNI_ARGS; runtimeConfig is the runtime's."""
    node.net("net1", "kube-system", capabilities=EVERYTHING)
    pod = node.pod(annotations={"v1.multus-cni.io/default-network": json.dumps(
        [{"name": "net1", "ips": ["10.9.9.9/24"], "mac": "02:00:00:00:00:01"}])})
    node.add(pod, stdin=node.netconf(runtimeConfig={"bandwidth": BANDWIDTH})).ok()
    call = node.call("ADD", "kube-system.net1")
    assert call.runtime == {"bandwidth": BANDWIDTH} and call.ifname == "eth0"
    assert call.env["CNI_ARGS"].endswith(";MAC=02:00:00:00:00:01;IP=10.9.9.9/24")
    node.delete(pod).ok()


DNS = {"servers": ["10.0.0.53"]}
FROM_RUNTIME = {"portMappings": [MAPPING], "mac": "02:00:00:00:00:77", "bandwidth": BANDWIDTH, "dns": DNS, "deviceID": "0000:03:02.0",
                "undeclared": {}}


@rows("element,runtime", {
    "R3a": (dict(REQUESTS, portMappings=[dict(MAPPING, hostPort=9090)]), dict(ASKED, portMappings=[dict(MAPPING, hostPort=9090)], dns=DNS)),
    "R3b": ({}, {"bandwidth": BANDWIDTH, "dns": DNS}),
})
def test_requests_beside_the_runtimes(node, element, runtime):
    """What the annotation asks comes before what the runtime passes; the host's ports, addresses and devices are the cluster network's."""
    node.net("net1", capabilities=dict(EVERYTHING, dns=True, deviceID=True))
    pod = node.pod([dict(element, name="net1")])
    node.add(pod, stdin=node.netconf(runtimeConfig=FROM_RUNTIME)).ok()
    node.delete(pod).ok()
    assert node.call("ADD", "default.net1").runtime == node.call("DEL", "default.net1").runtime == runtime


@row("R4")
def test_environment_of_the_service(make_node, row):
    p = make_node()
    p.environment = {"CNI_ARGS": "K8S_POD_NAME=dummy;K8S_POD_NAMESPACE=namespacedummy;BLAHBLAH=foo=bar", "CNI_PATH": "/opt/foo"}
    p.start()
    pod = p.pod()
    p.add(pod).ok()
    env = p.call("ADD", "cluster").env
    assert f"K8S_POD_NAME={pod.name};" in env["CNI_ARGS"] and "BLAHBLAH" not in str(env) and "/opt/foo" not in str(env)


@rows("uid", {"R5": "testUID", "R6": None})
def test_cni_args_exactly(node, uid):
    pod = node.pod(namespace="test")
    pod.uid = uid or ""
    node.write_pod(pod)
    args = f"IgnoreUnknown=true;K8S_POD_NAMESPACE=test;K8S_POD_NAME={pod.name}"
    node.add(pod, args=args + (f";K8S_POD_UID={uid}" if uid else "")).ok()
    assert node.call("ADD", "cluster").env["CNI_ARGS"] == (
        f"IgnoreUnknown=true;K8S_POD_NAMESPACE=test;K8S_POD_NAME={pod.name};K8S_POD_INFRA_CONTAINER_ID=;K8S_POD_UID={uid or ''}")
    node.delete(pod).ok()


@row("R7")
def test_requests_in_runtime_config(node, row):
    node.net("net1", capabilities={k: True for k in ("mac", "ips", "bandwidth", "portMappings")})
    ports = [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 8000, "containerPort": 8001, "protocol": "udp"}]
    pod = node.pod([{"name": "net1", "mac": "c2:11:22:33:44:66", "ips": ["10.0.0.1"], "bandwidth": BANDWIDTH, "portMappings": ports}])
    node.add(pod).ok()
    assert node.call("ADD", "default.net1").runtime == {
        "mac": "c2:11:22:33:44:66", "ips": ["10.0.0.1"], "bandwidth": BANDWIDTH, "portMappings": ports}
    node.delete(pod).ok()


@row("R8")
def test_runtime_config_of_a_list(make_node, row):
    p = make_node()
    p.cluster([p.rec("first", capabilities={"portMappings": True}), p.rec("second")], name="mynet-conflist")
    p.start()
    pod = p.pod()
    p.add(pod, stdin=p.netconf(runtimeConfig={"portMappings": [MAPPING], "dns": {"servers": ["10.0.0.53"]}})).ok()
    first, second = p.calls("ADD")
    assert first.conf == {"capabilities": {"portMappings": True}, "name": "mynet-conflist", "cniVersion": "1.0.0", "type": "first",
                          "calls": str(p.calls_path), "runtimeConfig": {"portMappings": [MAPPING]}}
    assert second.conf.pop("prevResult") and "runtimeConfig" not in second.conf


@row("R9")
def test_args_without_equals(node, row):
    pod = node.pod()
    assert "CNI_ARGS" in node.add(pod, args="K8S_POD_NAME:test-pod;K8S_POD_NAMESPACE:test-ns").failed(4).said
    assert node.calls() == []


@row("R10")
def test_what_the_runtime_keeps_to_itself(node, row):
    pod = node.pod()
    node.add(pod, args=node.cni_args(pod) + ";FOO=bar", path="/opt/foo").ok()
    env = node.call("ADD", "cluster").env
    assert env["CNI_PATH"] == str(node.bin_dir) and "FOO" not in env["CNI_ARGS"] and "/opt/foo" not in str(env)
    node.delete(pod).ok()


@row("R11")
def test_address_in_args_and_runtime_config(node, row):
    node.net("net1", capabilities={"ips": True, "mac": True})
    pod = node.pod([{"name": "net1", "ips": ["10.9.9.9/24"], "mac": "02:00:00:00:00:01"}])
    for verb in ("ADD", "DEL"):
        node.cni(verb, pod).ok()
        call = node.call(verb, "default.net1")
        assert call.env["CNI_ARGS"].endswith(";MAC=02:00:00:00:00:01;IP=10.9.9.9/24")
        assert call.runtime == {"ips": ["10.9.9.9/24"], "mac": "02:00:00:00:00:01"}
