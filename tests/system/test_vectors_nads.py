"""Vectors: where a network's configuration comes from, and what is made of it before a delegate sees it."""
import json

from vectors import make_node, node, row, rows, shared  # noqa: F401

CLUSTER = [("cluster", "eth0")]


def attached(node):
    return [(c.net, c.ifname) for c in node.calls("ADD")]


def add(node, networks=None, namespace="test", **kw):
    pod = node.pod(networks, namespace=namespace, **kw)
    return node.add(pod), pod


def taken_away(node, pod):
    """DEL reaches what ADD reached, in reverse."""
    node.delete(pod).ok()
    assert [(c.net, c.ifname) for c in node.calls("DEL")] == attached(node)[::-1]


@row("D1")
def test_no_nads(node, row):
    said = add(node, "net1,net2")[0].failed(7).said
    assert "there is no NetworkAttachmentDefinition net1 in namespace test" in said and node.calls() == []


@rows("spec", {"D2": None, "D29a": ""})
def test_from_conf_dir(node, spec):
    """Without a configuration of its own, a network is the file of its name."""
    for number, name in ((10, "net1"), (20, "net2")):
        (node.conf_dir / f"{number}-{name}.conf").write_text(
            json.dumps({"cniVersion": "1.0.0", "name": name, **node.rec(file=number)}))
        node.nad(name, spec, "test")
    answer, pod = add(node, "net1,net2")
    answer.ok()
    assert attached(node) == CLUSTER + [("net1", "net1"), ("net2", "net2")]
    assert [c.conf["file"] for c in node.calls("ADD")[1:]] == [10, 20]
    assert [s["name"] for s in node.status(pod)] == ["cluster", "test/net1", "test/net2"]
    taken_away(node, pod)


@row("D3")
def test_garbage_in_conf_dir(node, row):
    (node.conf_dir / "10-net1.conf").write_text(json.dumps({"cniVersion": "1.0.0", "name": "net1", **node.rec()}))
    (node.conf_dir / "20-net2.conf").write_text("asdf")
    node.nad("net2", None, "test")
    said = add(node, "net2")[0].failed().said
    assert "configuration file 20-net2.conf: line 1, column 4: not valid JSON" in said and node.calls() == []


@row("D4")
def test_name_of_the_nad(node, row):
    node.nad("net1", node.rec("mynet"), "test")
    answer, pod = add(node, "net1")
    answer.ok()
    call = node.call("ADD", "net1")
    assert (call.type, call.ifname) == ("mynet", "net1")
    taken_away(node, pod)


@rows("config,namespace,nets", {
    "D5": ({}, "test", ["mynet1"]),
    "D6": ({"defaultNetworks": ["mycrd2"]}, "test", ["mynet1", "mynet2"]),
    "D7": ({"defaultNetworks": ["mycrd2"]}, "kube-system", ["mynet1"]),
    "N13a": ({"defaultNetworks": ["mycrd2"], "systemNamespaces": []}, "kube-system", ["mynet1", "mynet2"]),
    "N13b": ({"defaultNetworks": ["mycrd2"], "systemNamespaces": None}, "kube-system", ["mynet1"]),
})
def test_cluster_network_of_a_nad(make_node, config, namespace, nets):
    p = make_node(clusterNetwork="mycrd1", **config)
    for i in "12":
        p.nad("mycrd" + i, {"cniVersion": "1.0.0", "name": "mynet" + i, **p.rec()}, "kube-system")
    p.start()
    answer, pod = add(p, namespace=namespace)
    answer.ok()
    assert attached(p) == list(zip(nets, ["eth0", "net1"]))
    assert [s["name"] for s in p.status(pod)] == ["kube-system/mycrd1", "kube-system/mycrd2"][:len(nets)]
    taken_away(p, pod)


@rows("how", {"D8": "name", "D9a": "directory", "D9b": "file"})
def test_cluster_network_of_a_file(make_node, how):
    p = make_node()
    path = p.conf_dir / "20-other.conf"
    path.write_text(json.dumps({"cniVersion": "1.0.0", "name": "myFile1", **p.rec()}))
    if how == "directory":
        (p.conf_dir / "10-cluster.conflist").unlink()
    p.config["clusterNetwork"] = {"name": "myFile1", "directory": str(p.conf_dir), "file": str(path)}[how]
    p.start()
    answer, pod = add(p)
    answer.ok()
    assert attached(p) == [("myFile1", "eth0")] and [s["name"] for s in p.status(pod)] == ["myFile1"]
    taken_away(p, pod)


@row("D10")
def test_cluster_network_missing(make_node, row):
    p = make_node(clusterNetwork="nowhere")
    p.start()
    said = add(p)[0].failed().said
    assert "clusterNetwork" in said and "nowhere" in said and p.calls() == []


@row("D11")
def test_default_network(node, row):
    node.nad("net1", {"cniVersion": "1.0.0", "name": "mynet1", **node.rec()}, "kube-system")
    answer, pod = add(node, annotations={"v1.multus-cni.io/default-network": "net1"})
    answer.ok()
    assert attached(node) == [("mynet1", "eth0")]
    assert [(s["name"], s.get("default")) for s in node.status(pod)] == [("kube-system/net1", True)]
    taken_away(node, pod)


@rows("config,reached", {
    "D12": ({}, False),
    "D13": ({"globalNamespaces": "kube-system,donkey-kong"}, True),
    "N6": ({}, ["default"]),
    "N7": ({"globalNamespaces": " foo,bar ,default"}, ["foo", "bar", "default"]),
    "N8": ({"globalNamespaces": " a, b ,,c"}, ["a", "b", "c"]),
})
def test_isolation(make_node, config, reached):
    """Namespaces whose networks a pod of another namespace may use, in order; True and False: kube-system."""
    p = make_node(namespaceIsolation=True, **config)
    every = ["a", "b", "c", "foo", "bar", "default"] if isinstance(reached, list) else ["kube-system"]
    for namespace in every:
        p.net("net1", namespace)
    p.start()
    found = []
    for namespace in every:
        answer, _ = add(p, f"{namespace}/net1")
        if answer.exit == 0:
            found.append(namespace)
        else:
            said = answer.failed(7).said
            assert "namespace isolation is enabled" in said and "in namespace test" in said and f"in namespace {namespace}" in said
    assert sorted(found) == sorted(reached if isinstance(reached, list) else every * reached)
    p.net("net1", "test")
    add(p, "net1")[0].ok()


@row("D14")
def test_isolation_of_the_default_network(make_node, row):
    p = make_node(namespaceIsolation=True)
    p.net("net1", "other")
    p.net("net1", "kube-system")
    p.start()
    key = "v1.multus-cni.io/default-network"
    assert "namespace isolation is enabled" in add(p, annotations={key: "other/net1"})[0].failed(7).said
    assert p.calls() == []
    add(p, annotations={key: "net1"})[0].ok()


@rows("value", {"D15a": "net1,net2", "D15b": ""})
def test_default_network_is_one(node, value):
    node.net("net1", "kube-system")
    node.net("net2", "kube-system")
    said = add(node, annotations={"v1.multus-cni.io/default-network": value})[0].failed(7).said
    assert "v1.multus-cni.io/default-network: must name exactly one network" in said and node.calls() == []


@rows("config,words", {
    "D16a": ("{}", 'needs "type" (one plugin) or "plugins" (a list)'),
    "D16b": ('{"type": ""}', 'needs "type" (one plugin) or "plugins" (a list)'),
    "D16c": ('{"plugins": null}', 'needs "type" (one plugin) or "plugins" (a list)'),
    "D18": ('{"name": "n", "plugins": [{"type": "record"}, {"type": ""}]}', 'plugins[1]: missing "type"'),
    "D20a": ('{"name": 7, "type": "record"}', '"name" must be a string'),
    "D20b": ('{"name": "n", "type": 5}', '"type" must be a string'),
    "D20c": ('{"name": "n", "type": "record", "ipam": "s"}', '"ipam" must be an object'),
    "D20d": ('{"name": "n", "type": "record", "capabilities": {"a": "b"}}', 'capability "a" must be true or false'),
    "D29b": (" ", "the text ends too early"),
    "D29c": ("[]", "must be a JSON object"),
    "D29d": ('"x"', "must be a JSON object"),
    "D30a": ('{"name": null, "type": "record"}', '"name" must be a string'),
    "D30b": ('{"name": 5, "type": "record"}', '"name" must be a string'),
})
def test_unusable_configuration(node, config, words):
    node.nad("net1", config, "test")
    said = add(node, "net1")[0].failed().said
    assert words in said and "NetworkAttachmentDefinition test/net1" in said
    assert node.calls() == []


@rows("config,types", {
    "D17": ({"name": "n", "type": "a", "plugins": [{"type": "b"}]}, ["a"]),
    "D19": ({"name": "n", "Type": "x"}, ["x"]),
})
def test_one_plugin(node, config, types):
    for name in "abx":
        node.rec(name)
    node.nad("net1", {"cniVersion": "1.0.0", "calls": str(node.calls_path), **config}, "test")
    answer, pod = add(node, "net1")
    answer.ok()
    assert [c.type for c in node.calls("ADD") if c.net == "n"] == types
    taken_away(node, pod)


@rows("config,expected", {
    "D24": ({"type": "bridge"}, [{"args1": "val1a"}]),
    "D25": ({"type": "bridge", "args": {"cni": {"args0": "val0", "args1": "val1"}}}, [{"args0": "val0", "args1": "val1a"}]),
    "D26": ({"plugins": [{"type": "first"}, {"type": "second", "args": {"cni": {"args0": "val0"}}}]},
            [{"args1": "val1a"}, {"args0": "val0", "args1": "val1a"}]),
})
def test_cni_args(make_node, config, expected):
    p = make_node()
    (p.bin_dir / "bridge").unlink()
    plugins = config.get("plugins", [config])
    for plugin in plugins:
        plugin.update(p.rec(plugin["type"]))
    p.nad("net1", {"cniVersion": "1.0.0", "name": "n", **({"plugins": plugins} if "plugins" in config else plugins[0])}, "test")
    p.start()
    answer, pod = add(p, [{"name": "net1", "cni-args": {"args1": "val1a"}}])
    answer.ok()
    p.delete(pod).ok()
    for verb, order in (("ADD", 1), ("DEL", -1)):
        calls = [c for c in p.calls(verb) if c.net == "n"][::order]
        assert [c.conf["args"] for c in calls] == [{"cni": a} for a in expected]
        assert [c.type for c in calls] == [plugin["type"] for plugin in plugins]


@row("D27")
def test_keys_of_a_conflist(make_node, row):
    """What only a plugin knows reaches it as it was written, as do the plugins of the directory that is named like the list."""
    p = make_node()
    keys = {"log_level": "info", "datastore_type": "kubernetes", "nodename_file_optional": False, "policy": {"type": "k8s"},
            "kubernetes": {"kubeconfig": "/etc/calico"}, "mtu": 0, "big": 2 ** 53 + 1, "html": "<&>",
            "container_settings": {"allow_ip_forwarding": False}, "ipam": {"type": "host-local", "assign_ipv4": "true"}}
    p.cluster([p.rec("calico", **keys), p.rec("portmap", capabilities={"portMappings": True}, snat=True)], name="k8s-pod-network")
    more = p.conf_dir / "k8s-pod-network"
    more.mkdir()
    for i, name in ((2, "late"), (1, "early")):
        (more / f"{i}-x.conf").write_text(json.dumps(p.rec("tuning", mark=name)))
    (p.bin_dir / "tuning").unlink()
    (p.bin_dir / "portmap").unlink()
    p.rec("tuning"), p.rec("portmap")
    p.start()
    pod = p.pod()
    p.add(pod).ok()
    p.delete(pod).ok()
    for verb, order in (("ADD", 1), ("DEL", -1)):
        calls = p.calls(verb)[::order]
        assert [(c.type, c.net, c.conf.get("mark")) for c in calls] == [
            (t, "k8s-pod-network", m) for t, m in (("calico", None), ("portmap", None), ("tuning", "early"), ("tuning", "late"))]
        assert {k: v for k, v in calls[0].conf.items() if k in keys} == keys and calls[1].conf["snat"] is True


@row("D28")
def test_list_without_a_version(node, row):
    node.answer("old", ADD={"ip4": {"ip": "10.1.1.2/24"}})
    node.nad("net1", {"name": "n", "plugins": [node.rec(keep=[1, {"x": None}], answer=str(node.root / "answers" / "old"))]}, "test")
    answer, pod = add(node, "net1")
    answer.ok()
    node.delete(pod, version="0.3.1").ok()
    added, deleted = node.call("ADD", "n"), node.call("DEL", "n")
    assert added.conf == deleted.conf and added.conf["cniVersion"] == "0.1.0" and added.conf["keep"] == [1, {"x": None}]
