"""DEL and CHECK of pods that Multus attached, from the files that it left."""
import json
import os
import shlex

import harness
import pytest
from multus import GENERATIONS, Multus, Network, b64


@pytest.fixture
def node(make_postern):
    p = make_postern()
    p.multus = Multus(p, p.root / "multus")
    p.config["takeOver"] = str(p.multus.dir)
    p.start()
    # A bridge without an address of its own takes on those of its ports, which CHECK would see.
    harness.sh("ip", "link", "add", p.bridge, "address", "02:00:00:00:88:01", "type", "bridge")
    return p


def cluster(p):
    return Network({"cniVersion": "1.0.0", "name": "cluster", "plugins": [
        p.bridge_conf("cluster", p.bridge, "10.88.0.0/16", "fd88::/64"), {"type": "tuning"}]}, from_file=True)


def macvlan(p, name="mv", subnet="10.89.0.0/24", **fields):
    return Network(dict(p.macvlan_conf(subnet), cniVersion="1.0.0", name=name), f"default/{name}", **fields)


def three(p):
    second = Network({"cniVersion": "0.4.0", "name": "list", "plugins": [p.macvlan_conf("10.90.0.0/24"), {"type": "tuning"}]},
                     "default/list", ifnameRequest="bk0")
    return [cluster(p), macvlan(p), second]


def attached(p, generation="again", networks=None):
    pod = p.pod()
    p.multus.add(pod, networks or three(p), generation)
    return pod


def gone(p, pod):
    """Nothing is left of the pod, neither of its networks nor of what was kept of it."""
    p.nothing_left(pod)
    harness.wait_for("Multus' files to go", lambda: not p.multus.files(pod), 5)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_del(node, generation):
    pod, other = attached(node, generation), attached(node, generation, [cluster(node)])
    assert pod.links() == ["bk0", "eth0", "net1"] and len(node.leases()) == 6
    kept = node.multus.files(other)
    assert len(kept) == 2 and len(node.multus.files()) == 6
    node.delete(pod).ok()
    assert pod.links() == [] and len(node.leases()) == 2
    assert node.multus.files() == kept, "another pod's files were touched, or some of the pod's are left"
    node.delete(other).ok()
    gone(node, other)
    node.delete(other).ok()


@pytest.mark.parametrize("netns", ["gone", "empty", "unset"])
def test_del_without_a_namespace(node, netns):
    pod = attached(node)
    pod.drop_netns()
    node.delete(pod, netns={"gone": pod.netns, "empty": "", "unset": None}[netns], args=None).ok()
    gone(node, pod)


@pytest.mark.parametrize("stdin", ["", "nonsense", '{"cniVersion": "9.9.9", "name": "x"}'])
def test_del_with_an_unusable_configuration(node, stdin):
    pod = attached(node)
    node.delete(pod, stdin=stdin or "{}")
    node.delete(pod).ok()
    gone(node, pod)


def test_del_does_not_ask_what_pod_and_networks_are_now(node):
    pod = attached(node)
    node.pod_path(pod).unlink()
    node.nad("mv", {"cniVersion": "1.0.0", "name": "mv", "type": "misbehave", "mode": "fail", "on": "DEL"})
    (node.conf_dir / "10-cluster.conflist").unlink()
    node.delete(pod).ok()
    gone(node, pod)


def test_del_while_the_service_was_down(node):
    pod = attached(node)
    node.stop()
    node.delete(pod).ok()
    assert len(node.multus.files(pod)) == 4 and node.leases()
    pod.drop_netns()
    node.start()
    harness.wait_for("the spool to be replayed", lambda: not node.spool() and not node.leases(), 15)
    gone(node, pod)


@pytest.mark.parametrize("restarted", [False, True])
def test_del_that_fails_is_owed_and_the_files_stay(node, restarted):
    pod = attached(node)
    before = node.multus.files(pod)
    (node.bin_dir / "macvlan").rename(node.root / "macvlan")
    node.delete(pod).ok()
    assert node.journal() == [f"{pod.id}:eth0"]
    assert node.multus.files(pod) == before and len(node.leases()) == 2
    assert "no such file" in node.stderr().lower()
    if restarted:
        node.stop()
        node.multus.write(pod, "")  # from now on the journal counts
    (node.root / "macvlan").rename(node.bin_dir / "macvlan")
    if restarted:
        node.start()
    harness.wait_for("the second try", lambda: not node.leases() and not node.journal(), 20)
    gone(node, pod)


def test_del_of_what_never_came_up(node):
    """The scratch file is there before the first plugin runs."""
    pod = node.pod()
    node.multus.scratch(pod, three(node))
    node.delete(pod).ok()
    gone(node, pod)


def test_del_gives_the_arguments_that_add_had(node):
    record = node.root / "record"
    record.mkdir()
    mapping = [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]
    recorder = {"type": "record", "record": str(record), "capabilities": {"portMappings": True, "mac": True, "bandwidth": True}}
    pod = attached(node, networks=[
        cluster(node), Network({"cniVersion": "1.0.0", "name": "rec", "plugins": [recorder]}, "default/rec",
                               runtime={"portMappings": mapping, "mac": "02:00:00:00:00:07"}, macRequest="02:00:00:00:00:07",
                               ipRequest=["10.9.9.9/24", "fd09::9/64"])])
    node.delete(pod).ok()
    stdin = json.loads((record / "DEL-net1.stdin").read_text())
    assert stdin["runtimeConfig"] == {"portMappings": mapping, "mac": "02:00:00:00:00:07"}
    assert stdin["name"] == "rec" and stdin["cniVersion"] == "1.0.0" and stdin["prevResult"]["ips"]
    env = (record / "DEL-net1.env").read_text()
    assert "MAC=02:00:00:00:00:07" in env and "IP=10.9.9.9/24,fd09::9/64" in env and f"K8S_POD_NAME={pod.name}" in env
    gone(node, pod)


@pytest.fixture
def nat():
    """The rules of the nat table; what portmap shares between pods is taken away afterwards."""
    def rules():
        return harness.sh("iptables", "-w", "-t", "nat", "-S").stdout.splitlines()

    before = rules()
    yield rules
    came = [shlex.split(rule) for rule in rules() if rule not in before]
    for verb, chain, *rest in [rule for rule in came if rule[0] == "-A"]:
        harness.sh("iptables", "-w", "-t", "nat", "-D", chain, *rest)
    for _, chain in [rule for rule in came if rule[0] == "-N"]:
        harness.sh("iptables", "-w", "-t", "nat", "-X", chain)
    assert rules() == before


def test_host_ports_go_with_the_pod(node, nat):
    """portmap undoes nothing unless it is told again which ports there were."""
    network = cluster(node)
    network.plugins[1:] = [{"type": "portmap", "capabilities": {"portMappings": True}}]
    network.runtime = {"portMappings": [{"hostPort": 18080, "containerPort": 80, "protocol": "tcp"}]}
    pod = attached(node, networks=[network])
    assert [rule for rule in nat() if "18080" in rule and pod.id in rule]
    node.delete(pod).ok()
    assert not [rule for rule in nat() if "18080" in rule or pod.id in rule]
    gone(node, pod)


@pytest.mark.parametrize("cached", ["absent", "empty", "torn", "another pod's", "not a result"])
def test_del_without_a_usable_result(node, cached):
    networks = three(node)
    pod = attached(node, networks=networks)
    path = node.multus.cache_path(pod, networks[1], 1)
    text = path.read_text()
    path.unlink()
    if cached != "absent":
        path.write_text({"empty": "", "torn": text[:len(text) // 2], "another pod's": text.replace(pod.id, "other"),
                         "not a result": json.dumps(dict(json.loads(text), result=[1]))}[cached])
    node.delete(pod).ok()
    gone(node, pod)


def test_version_of_the_command_where_the_list_has_none(node):
    record = node.root / "record"
    record.mkdir()
    pod = attached(node, networks=[cluster(node)])
    network = Network({"name": "bare", "plugins": [{"type": "record", "record": str(record)}]})
    node.multus.scratch(pod, [cluster(node), network])
    node.delete(pod, version="0.4.0").ok()
    assert json.loads((record / "DEL-net1.stdin").read_text())["cniVersion"] == "0.4.0"
    gone(node, pod)


def test_check(node):
    pod = attached(node)
    before = node.multus.files()
    node.cni("CHECK", pod).ok()
    harness.sh("ip", "-n", pod.netns_name, "link", "del", "bk0")
    assert 'interface "bk0"' in node.cni("CHECK", pod).failed().said
    assert node.multus.files() == before and node.journal() == [] and pod.links() == ["eth0", "net1"]
    node.multus.write(pod, "")
    assert pod.id in node.cni("CHECK", pod).failed().said
    node.multus.scratch(pod, three(node))
    node.delete(pod).ok()
    gone(node, pod)


def test_check_passes_the_result_on(node):
    pod = attached(node)
    harness.sh("ip", "-n", pod.netns_name, "addr", "flush", "dev", "net1")
    assert "mv" in node.cni("CHECK", pod).failed().said
    node.delete(pod).ok()


def test_gc_leaves_running_pods_alone(node):
    pod = attached(node)
    before = node.multus.files()
    gc = node.netconf("1.1.0", **{"cni.dev/valid-attachments": [{"containerID": pod.id, "ifname": "eth0"}]})
    node.cni("GC", stdin=gc).ok()
    assert node.multus.files() == before and pod.links() == ["bk0", "eth0", "net1"] and len(node.leases()) == 4
    node.delete(pod).ok()
    gone(node, pod)


def test_ipam_plugin_that_the_node_does_not_allow(node):
    """What a node may start, its table says; until then the lease is owed."""
    pod = attached(node)
    conf = three(node)[1].conf
    odd = dict(conf, ipam=dict(conf["ipam"], type="odd-ipam"))
    node.multus.scratch(pod, [cluster(node), Network(odd, "default/mv")])
    node.delete(pod).ok()
    assert pod.id + ":eth0" in node.journal() and "odd-ipam" in node.stderr()
    node.stop()
    (node.bin_dir / "odd-ipam").write_bytes((node.bin_dir / "host-local").read_bytes())
    (node.bin_dir / "odd-ipam").chmod(0o755)
    node.config["plugins"].append("odd-ipam")
    node.start()
    harness.wait_for("the second try", lambda: not node.journal(), 20)
    harness.wait_for("Multus' files to go", lambda: not node.multus.files(pod), 5)
    assert [lease.split("/")[0] for lease in node.leases()] == ["list"]  # which was taken out of the file above

def test_a_retry_does_not_enter_the_hosts_namespace(node, request):
    """The runtime's path was reused: what DEL gave up must not come back from the journal."""
    record = node.root / "record"
    record.mkdir()
    pod = node.pod()
    node.multus.scratch(pod, [Network({"cniVersion": "1.0.0", "name": "rec", "type": "record", "record": str(record)}, "default/rec")])
    (node.bin_dir / "record").rename(node.root / "record-away")
    host = pod.netns_name + "h"
    harness.sh("ip", "netns", "attach", host, str(os.getpid()))
    request.addfinalizer(lambda: harness.sh("ip", "netns", "del", host))
    node.delete(pod, netns=f"/run/netns/{host}").ok()
    assert node.journal() == [f"{pod.id}:eth0"] and not list(record.iterdir())
    (node.root / "record-away").rename(node.bin_dir / "record")
    harness.wait_for("the second try", lambda: not node.journal(), 20)
    env = (record / "DEL-eth0.env").read_text().splitlines()
    assert [line for line in env if line.startswith("CNI_NETNS=")] in ([], ["CNI_NETNS="]), env
    gone(node, pod)


def test_not_where_it_is_turned_off(make_postern):
    p = make_postern(takeOver="")
    p.multus = Multus(p, p.root / "multus")
    p.start()
    pod = attached(p, networks=[cluster(p)])
    p.delete(pod).ok()
    p.cni("CHECK", pod).failed(3)
    assert len(p.leases()) == 2 and len(p.multus.files(pod)) == 2


GOOD = Network({"cniVersion": "1.0.0", "name": "n", "type": "misbehave"}, "default/n").entry("again")
LIST = Network({"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "misbehave"}]}, from_file=True).entry("parsed")


def parsed(**members):
    return dict(LIST, CNINetworkConfigList=dict(LIST["CNINetworkConfigList"], **members))


HOSTILE = {
    "empty": b"", "zeros": b"\0" * 4096, "garbage": b"\xff\xfe{[", "null": b"null", "text": b'"x"', "object": b"{}", "array": b"[]",
    "null entry": b"[null]", "nested": b"[" * 100000, "numbers": b"[1, 2]", "torn in the first": json.dumps([GOOD]).encode()[:90],
    "huge": b"[" + b" " * (2 << 20) + b"]",
    "no bytes": [{k: v for k, v in GOOD.items() if k != "Bytes"}],
    "bytes null": [dict(GOOD, Bytes=None)], "bytes number": [dict(GOOD, Bytes=1)], "not base64": [dict(GOOD, Bytes="%%%")],
    "base64 cut": [dict(GOOD, Bytes=GOOD["Bytes"][:-3])], "bytes empty": [dict(GOOD, Bytes="")],
    "bytes of null": [dict(GOOD, Bytes=b64(None))], "no name": [dict(GOOD, Bytes=b64({"type": "misbehave"}))],
    "name is a path": [dict(GOOD, Bytes=b64({"name": "../../etc", "type": "misbehave"}))],
    "type is a path": [dict(GOOD, Bytes=b64({"name": "n", "type": "../../bin/sh"}))],
    "type is a number": [dict(GOOD, Bytes=b64({"name": "n", "type": 1}))],
    "ifname is a path": [dict(GOOD, ifnameRequest="../x")], "ifname is long": [dict(GOOD, ifnameRequest="x" * 16)],
    "ifname is a number": [dict(GOOD, ifnameRequest=7)], "mac": [dict(GOOD, macRequest="02:;IP=1")],
    "ips": [dict(GOOD, ipRequest=["1.2.3.4;X=1"])], "ips number": [dict(GOOD, ipRequest=[1])],
    "ips many": [dict(GOOD, ipRequest=["10.0.0.1/24"] * 500)], "list without plugins": [dict(LIST, CNINetworkConfigList=None,
                                                                                            Bytes=b64({"name": "n", "plugins": []}))],
    "plugins null": [parsed(Plugins=[None])], "plugin's bytes": [parsed(Plugins=[{"Bytes": "!"}])],
    "list's name": [parsed(Name="a/b")], "list's version": [parsed(CNIVersion="9.9")],
    "many plugins": [parsed(Plugins=LIST["CNINetworkConfigList"]["Plugins"] * 17)],
}


def test_hostile_files(node):
    """Each is reported and stays where it is; none starts anything, holds up the pod or ends a process."""
    before = node.all_roles()
    for what, content in HOSTILE.items():
        pod = node.pod(netns=False)
        node.multus.write(pod, content if isinstance(content, bytes) else json.dumps(content))
        kept = node.multus.files(pod)
        node.delete(pod, netns="").ok()
        assert node.multus.files(pod) == kept, what
        assert f"{node.multus.dir}/{pod.id}" in node.stderr(), f"{what}: not reported"
        assert node.journal() == [] and node.trace() == [], what
    node.unharmed(before)


def test_links_and_directories_instead_of_files(node):
    secret = node.root / "secret"
    secret.write_text(json.dumps([GOOD]))
    for make in (lambda path: path.symlink_to(secret), lambda path: path.mkdir()):
        pod = node.pod(netns=False)
        make(node.multus.dir / pod.id)
        node.delete(pod, netns="").ok()
        assert (node.multus.dir / pod.id).exists()
    assert secret.exists() and node.trace() == []


@pytest.mark.parametrize("how", ["torn", "one bad"])
def test_what_is_known_is_undone(node, how):
    networks = three(node)
    pod = attached(node, networks=networks)
    entries = [n.entry("again") for n in networks]
    if how == "torn":
        node.multus.write(pod, json.dumps(entries)[:-20])
    else:
        node.multus.write(pod, json.dumps([entries[0], entries[1], dict(entries[2], Bytes="%")]))
    node.delete(pod).ok()
    assert pod.links() == ["bk0"] and len(node.leases()) == 1 and node.journal() == []
    assert f"{node.multus.dir}/{pod.id}" in node.stderr() and "not undone" in node.stderr()


def test_more_networks_than_a_pod_may_have(node):
    pod = node.pod()
    trace = str(node.root / "trace")
    node.multus.scratch(pod, [Network({"cniVersion": "1.0.0", "name": f"n{i}", "type": "misbehave", "trace": trace})
                              for i in range(45)])
    node.delete(pod).ok()
    assert [line.split()[2] for line in node.trace()] == [f"net{i}" for i in range(39, 0, -1)] + ["eth0"]


def test_same_interface_twice(node):
    pod = node.pod()
    trace = str(node.root / "trace")
    node.multus.scratch(pod, [Network({"cniVersion": "1.0.0", "name": f"n{i}", "type": "misbehave", "trace": trace},
                                      ifnameRequest="x0") for i in range(2)])
    node.delete(pod).ok()
    assert [line.split()[2:] for line in node.trace()] == [["x0", "n0"]]


def test_cluster_list_with_bridge_and_ranges(make_postern):
    """100 pods through Postern alone, with a list for a cluster network whose addresses come from ranges: no lease is left."""
    p = make_postern()
    p.cluster([p.bridge_conf("cluster", p.bridge, "10.88.0.0/24"), {"type": "tuning"}])
    p.start()
    pod = p.pod()
    for i in range(100):
        pod.id = f"{pod.name}-{i}"
        p.add(pod).ok()
        assert len(p.leases()) == 1
        p.delete(pod).ok()
    p.nothing_left(pod)
