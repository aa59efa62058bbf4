"""A pod gets its networks through the wall, by real delegates."""
import json
import os

import pytest

THREE = "net-mv,net-mv@extra0,net-list"


def three_networks(p):
    """net-mv: macvlan; net-list: a list of bridge and tuning, with two address families."""
    p.nad("net-mv", dict(p.macvlan_conf("10.89.0.0/24"), cniVersion="1.0.0", name="net-mv"))
    p.nad("net-list", {"cniVersion": "1.0.0", "name": "net-list", "plugins": [
        p.bridge_conf("net-list", p.tag + "br1", "10.90.0.0/24", "fd90::/64", routes=False),
        {"type": "tuning", "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}}]})


def test_three_networks(postern):
    three_networks(postern)
    pod = postern.pod("net-mv,net-list")
    answer = postern.add(pod).ok()

    assert pod.links() == ["eth0", "net1", "net2"]
    kinds = {link["ifname"]: link.get("linkinfo", {}).get("info_kind") for link in pod.ip("-d", "link")}
    assert (kinds["eth0"], kinds["net1"], kinds["net2"]) == ("veth", "macvlan", "veth")
    assert pod.addresses("eth0")[0].startswith("10.88.") and pod.addresses("eth0", "inet6")[0].startswith("fd88:")
    assert pod.addresses("net1")[0].startswith("10.89.0.")
    assert pod.addresses("net2")[0].startswith("10.90.0.") and pod.addresses("net2", "inet6")[0].startswith("fd90:")
    filtered = postern_sysctl(pod, "net.ipv4.conf.net2.arp_filter")
    assert filtered == "1"
    assert [d for d, _ in pod.defaults()] == ["eth0"] and [d for d, _ in pod.defaults("-6")] == ["eth0"]
    assert len(postern.leases()) == 5 and len(postern.journal()) == 1

    # The runtime gets the cluster network's result, alone.
    assert answer.json["cniVersion"] == "1.0.0"
    inside = [i for i in answer.json["interfaces"] if i.get("sandbox")]
    assert [(i["name"], i["sandbox"]) for i in inside] == [("eth0", pod.netns)]
    assert answer.text == json.dumps(answer.json, indent=4) or answer.text.strip() != ""

    postern.delete(pod).ok()
    postern.nothing_left(pod)


def postern_sysctl(pod, key):
    import harness
    return harness.sh("ip", "netns", "exec", pod.netns_name, "cat", "/proc/sys/" + key.replace(".", "/")).stdout.strip()


def test_asked_interface_name_and_the_same_network_twice(postern):
    three_networks(postern)
    pod = postern.pod(THREE)
    postern.add(pod).ok()
    assert pod.links() == ["eth0", "extra0", "net1", "net3"]
    postern.delete(pod).ok()
    postern.nothing_left(pod)


def test_network_status(postern):
    three_networks(postern)
    pod = postern.pod("net-mv,net-list")
    postern.add(pod).ok()
    path = postern.store / "status" / "default" / f"{pod.name}.json"
    text = path.read_text()
    status = json.loads(text)
    assert [(s["name"], s["interface"], s.get("default", False)) for s in status] == [
        ("cluster", "eth0", True), ("default/net-mv", "net1", False), ("default/net-list", "net2", False)]
    for s in status:
        addresses = pod.addresses(s["interface"]) + pod.addresses(s["interface"], "inet6")
        assert sorted(s["ips"]) == sorted(addresses) and s["dns"] == {}
        assert s["mac"] == pod.ip("link", "show", s["interface"])[0]["address"]
    # The shape that tools know: objects indented by four spaces, joined by a comma.
    assert text.startswith('[{\n    "name": "cluster",\n    "interface": "eth0",\n    "ips": [\n        "10.88.')
    assert '\n},{\n    "name": "default/net-mv",\n' in text and text.endswith("\n}]")


@pytest.mark.parametrize("form", ["json", "text"])
def test_both_annotation_forms_and_namespaces(postern, form):
    postern.stand_in("in-default")
    postern.nad("in-other", {"cniVersion": "1.0.0", "name": "in-other", "type": "misbehave"}, namespace="other", as_json=True)
    if form == "json":
        networks = [{"name": "in-default"}, {"name": "in-other", "namespace": "other", "interface": "fast0"}]
    else:
        networks = " in-default , other/in-other@fast0"
    pod = postern.pod(networks, as_json=form == "json")
    postern.add(pod).ok()
    assert [(s["name"], s["interface"]) for s in postern.status(pod)] == [
        ("cluster", "eth0"), ("default/in-default", "net1"), ("other/in-other", "fast0")]
    postern.delete(pod).ok()
    postern.nothing_left(pod)


@pytest.mark.parametrize("family", ["4", "6", "both"])
def test_default_route_moves(postern, family):
    postern.nad("net-mv", dict(postern.macvlan_conf("10.89.0.0/24", "fd89::/64"), cniVersion="1.0.0", name="net-mv"))
    gateways = {"4": ["10.89.0.1"], "6": ["fd89::1"], "both": ["10.89.0.1", "fd89::1"]}[family]
    pod = postern.pod([{"name": "net-mv", "default-route": gateways}])
    postern.add(pod).ok()
    moved4, moved6 = family != "6", family != "4"
    v4, v6 = pod.defaults(), pod.defaults("-6")
    assert len(v4) == 1 and len(v6) == 1, (v4, v6)
    assert v4[0] == ("net1", "10.89.0.1") if moved4 else v4[0][0] == "eth0"
    assert v6[0] == ("net1", "fd89::1") if moved6 else v6[0][0] == "eth0"
    postern.delete(pod).ok()
    postern.nothing_left(pod)


def test_two_gateways_of_one_family_are_refused(postern):
    three_networks(postern)
    pod = postern.pod([{"name": "net-mv", "default-route": ["10.89.0.1"]},
                       {"name": "net-list", "default-route": ["10.90.0.1"]}])
    assert "default-route" in postern.add(pod).failed().said
    postern.nothing_left(pod)


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0"])
def test_result_in_the_runtimes_version(postern, version):
    pod = postern.pod()
    r = postern.add(pod, version=version).ok().json
    assert r["cniVersion"] == version
    assert [ip["address"].split("/")[0] for ip in r["ips"]] == pod.addresses("eth0") + pod.addresses("eth0", "inet6")
    if version.startswith("0."):
        assert [ip["version"] for ip in r["ips"]] == ["4", "6"] and r["dns"] == {}
    else:
        assert all("version" not in ip for ip in r["ips"])
    assert r["interfaces"][r["ips"][0]["interface"]]["name"] == "eth0"


def test_version_1_1_with_a_1_1_delegate(postern):
    postern.cluster({"type": "misbehave"}, cniVersion="1.1.0")
    pod = postern.pod()
    assert postern.add(pod, version="1.1.0").ok().json["cniVersion"] == "1.1.0"


def test_version_verb(postern):
    r = postern.cni("VERSION", stdin={"cniVersion": "1.0.0"}).ok().json
    assert {"0.3.1", "0.4.0", "1.0.0", "1.1.0"} <= set(r["supportedVersions"])


def test_pod_without_annotation_gets_the_cluster_network(postern):
    pod = postern.pod()
    postern.add(pod).ok()
    assert pod.links() == ["eth0"]
    assert [s["name"] for s in postern.status(pod)] == ["cluster"]


def test_default_networks_and_system_namespaces(make_postern):
    p = make_postern(defaultNetworks=["everyone"])
    p.nad("everyone", {"cniVersion": "1.0.0", "name": "everyone", "type": "misbehave"}, namespace="kube-system")
    p.start()
    pod, system = p.pod(), p.pod(namespace="kube-system")
    p.add(pod).ok()
    p.add(system).ok()
    assert [s["interface"] for s in p.status(pod)] == ["eth0", "net1"]
    assert [s["interface"] for s in p.status(system)] == ["eth0"]


def test_default_network_annotation_takes_the_first_place(postern):
    postern.nad("mine", {"cniVersion": "1.0.0", "name": "mine", "type": "misbehave"}, namespace="kube-system")
    pod = postern.pod(annotations={"v1.multus-cni.io/default-network": "mine"})
    r = postern.add(pod).ok().json
    assert r["ips"][0]["address"] == "10.1.2.3/24"
    assert [(s["name"], s["default"]) for s in postern.status(pod)] == [("kube-system/mine", True)]


def test_namespace_isolation(make_postern):
    p = make_postern(namespaceIsolation=True)
    p.nad("theirs", {"cniVersion": "1.0.0", "name": "theirs", "type": "misbehave"}, namespace="other")
    p.nad("common", {"cniVersion": "1.0.0", "name": "common", "type": "misbehave"}, namespace="default")
    p.start()
    bad, good = p.pod("other/theirs", namespace="tenant"), p.pod("default/common", namespace="tenant")
    assert "other" in p.add(bad).failed().said
    p.add(good).ok()
    p.delete(good).ok()
    p.nothing_left(bad, good)


def test_what_a_delegate_gets(postern):
    """Environment made of checked fields, three descriptors, the plugin's own configuration with what was asked for."""
    record = postern.root / "record"
    record.mkdir()
    postern.nad("rec", {"cniVersion": "1.0.0", "name": "rec", "type": "record", "record": str(record), "big": 2**53 + 1,
                        "capabilities": {"ips": True, "mac": True, "portMappings": True}})
    pod = postern.pod([{"name": "rec", "ips": ["10.9.9.9/24"], "mac": "02:00:00:00:00:99", "cni-args": {"tag": "x"}}])
    postern.add(pod, args=postern.cni_args(pod) + ";SECRET=1").ok()
    env = dict(line.split("=", 1) for line in (record / "ADD-net1.env").read_text().splitlines())
    assert env["CNI_COMMAND"] == "ADD" and env["CNI_IFNAME"] == "net1" and env["CNI_CONTAINERID"] == pod.id
    assert env["CNI_NETNS"] == pod.netns and env["CNI_PATH"] == str(postern.bin_dir)
    args = env["CNI_ARGS"].split(";")
    assert args[0] in ("IgnoreUnknown=true", "IgnoreUnknown=1") and f"K8S_POD_NAME={pod.name}" in args
    assert "MAC=02:00:00:00:00:99" in args and "IP=10.9.9.9/24" in args and not any("SECRET" in a for a in args)
    assert set(env) <= {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH", "CNI_ARGS", "PATH", "HOME",
                        "LANG", "LC_ALL"}, env
    conf = json.loads((record / "ADD-net1.stdin").read_text())
    assert conf["big"] == 2**53 + 1 and conf["args"]["cni"] == {"tag": "x"} and conf["cniVersion"] == "1.0.0"
    assert conf["runtimeConfig"] == {"ips": ["10.9.9.9/24"], "mac": "02:00:00:00:00:99"}
    assert sorted((record / "ADD-net1.fds").read_text().split()) == ["0", "1", "2"]
    status = dict(line.split(":\t", 1) for line in (record / "ADD-net1.status").read_text().splitlines() if ":\t" in line)
    base = f"{1 << 12 | 1 << 21:016x}"  # NET_ADMIN, SYS_ADMIN
    assert status["CapPrm"] == status["CapEff"] == status["CapBnd"] == base
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"

    postern.delete(pod).ok()
    gone = json.loads((record / "DEL-net1.stdin").read_text())
    assert gone.pop("prevResult")["ips"][0]["address"] == "10.9.9.9/24" and gone == conf
    postern.nothing_left(pod)


def test_netns_beneath_proc(postern):
    """CRI-O and others name the namespace by a process: delegates see it, whoever else dies meanwhile."""
    import harness
    import subprocess
    pod = postern.pod()
    sleeper = subprocess.Popen(["ip", "netns", "exec", pod.netns_name, "sleep", "60"])
    try:
        harness.wait_for("the process in the namespace", lambda: os.path.exists(f"/proc/{sleeper.pid}/ns/net") and
                         os.stat(f"/proc/{sleeper.pid}/ns/net").st_ino == os.stat(pod.netns).st_ino)
        netns = f"/proc/{sleeper.pid}/ns/net"
        r = postern.add(pod, netns=netns).ok().json
        assert [i["sandbox"] for i in r["interfaces"] if i.get("sandbox")] == [netns]
        assert pod.links() == ["eth0"]
        postern.delete(pod, netns=netns).ok()
        postern.nothing_left(pod)
    finally:
        sleeper.kill()
        sleeper.wait()


def test_second_add_of_a_live_attachment_leaves_it_alone(postern):
    pod = postern.pod()
    postern.add(pod).ok()
    before = pod.addresses("eth0")
    postern.add(pod).failed()
    assert pod.addresses("eth0") == before and len(postern.journal()) == 1
    postern.delete(pod).ok()
    postern.nothing_left(pod)


def test_unknown_pod(make_postern):
    strict = make_postern()
    strict.start()
    pod = strict.pod(manifest=False)
    assert pod.name in strict.add(pod).failed().said
    strict.nothing_left(pod)
    strict.stop()
    loose = make_postern(unknownPods="cluster-network")
    loose.start()
    pod = loose.pod(manifest=False, name="ptnloose")
    loose.add(pod).ok()
    assert pod.links() == ["eth0"]
