"""Delegates whose links not every kernel has: in the guest that tests/vm/boot starts, whose kernel has them all."""
import pathlib
import shutil

import harness
import pytest

KINDS = ("ipvlan-l2", "ipvlan-l3", "vlan", "dummy", "vrf", "sbr")
# These take an interface's routes out of the main table, where the CHECK of the plugin below them looks for them.
UNCHECKED = ("vrf", "sbr")


def plugins(p, kind, i):
    """The network of that kind, as a list; i: keeps subnets and bridges of different networks apart."""
    ipam = p.ipam(kind, f"10.9{i}.0.0/24", f"fd9{i}::/64", routes=False)
    if kind.startswith("ipvlan"):
        return [{"type": "ipvlan", "master": p.master(), "mode": kind[-2:], "ipam": ipam}]
    return {
        "vlan": [{"type": "vlan", "master": p.master(), "vlanId": 100 + i, "ipam": ipam}],
        "dummy": [{"type": "dummy", "ipam": ipam}],
        "vrf": [{"type": "bridge", "bridge": p.bridge, "ipam": ipam}, {"type": "vrf", "vrfname": "blue"}],
        "sbr": [{"type": "macvlan", "master": p.master()[:-1] + "1", "ipam": ipam}, {"type": "sbr"}],
    }[kind]


def look(pod, kind, ifname, i):
    """The interface in the pod is what its network says."""
    [link] = pod.ip("-d", "link", "show", "dev", ifname)
    info = link["linkinfo"]
    assert "UP" in link["flags"]
    assert info["info_kind"] == {"vrf": "veth", "sbr": "macvlan"}.get(kind, kind.partition("-")[0])
    [v4], [v6] = pod.addresses(ifname), pod.addresses(ifname, "inet6")
    assert v4.startswith(f"10.9{i}.0.") and v6.startswith(f"fd9{i}::")
    if kind.startswith("ipvlan"):
        assert info["info_data"]["mode"] == kind[-2:]
    if kind == "vlan":
        assert (info["info_data"]["protocol"], info["info_data"]["id"]) == ("802.1Q", 100 + i)
    assert link.get("master") == ("blue" if kind == "vrf" else None)
    if kind == "vrf":
        [vrf] = harness.ip_json("-n", pod.netns_name, "vrf", "show")
        tables = {r["dst"] for r in pod.ip("route", "show", "table", str(vrf["table"]))}
        assert vrf["name"] == "blue" and f"10.9{i}.0.0/24" in tables
    rules = [(r["src"], r["table"]) for f in ("-4", "-6") for r in pod.ip(f, "rule") if r["src"] in (v4, v6)]
    assert [src for src, _ in rules] == ([v4, v6] if kind == "sbr" else [])
    for family, gateway, (_, table) in zip(("-4", "-6"), (f"10.9{i}.0.1", f"fd9{i}::1"), rules):
        routes = pod.ip(family, "route", "show", "default", "table", table)
        assert [(r["gateway"], r["dev"]) for r in routes] == [(gateway, ifname)]


def check_notices(node, pod, network, *damage):
    """CHECK passes, and does not any more after damage: arguments of ip in the pod."""
    node.cni("CHECK", pod).ok()
    harness.sh("ip", "-n", pod.netns_name, *damage)
    assert network in node.cni("CHECK", pod).failed().said


def links():
    return {link["ifname"] for link in harness.ip_json("link")}


@pytest.fixture(scope="module")
def networks(shared):
    """A network of each kind, of that name."""
    shutil.copy2(pathlib.Path(__file__).parent / "dummy", shared.bin_dir / "dummy")
    for i, kind in enumerate(KINDS):
        shared.nad(kind, {"cniVersion": "1.0.0", "name": kind, "disableCheck": kind in UNCHECKED,
                          "plugins": plugins(shared, kind, i)})
    # Without an address of its own it would take on those of its ports, which the bridge plugin's CHECK does not expect.
    harness.sh("ip", "link", "add", shared.bridge, "address", "02:00:00:00:88:01", "type", "bridge")
    return shared


@pytest.fixture
def node(networks):
    """The host's links are the same afterwards, and no role fell."""
    before, roles = links(), networks.all_roles()
    try:
        yield networks
        networks.unharmed(roles)
        networks.nothing_left(*networks.pods)
        assert links() == before
    except BaseException:
        networks.renew()
        raise
    networks.drop_pods()


@pytest.mark.parametrize("kind", KINDS)
def test_add_check_del(node, kind):
    pod = node.pod(kind)
    answer = node.add(pod).ok()
    assert [i["name"] for i in answer.json["interfaces"] if i.get("sandbox")] == ["eth0"]
    assert pod.links() == (["blue"] if kind == "vrf" else []) + ["eth0", "net1"]
    look(pod, kind, "net1", KINDS.index(kind))
    assert pod.defaults() == [("eth0", "10.88.0.1")] and pod.defaults("-6") == [("eth0", "fd88::1")]
    cluster, own = node.status(pod)
    assert (own["name"], own["interface"]) == (f"default/{kind}", "net1")
    assert sorted(own["ips"]) == sorted(pod.addresses("net1") + pod.addresses("net1", "inet6"))
    assert own["mac"] == pod.ip("link", "show", "dev", "net1")[0]["address"]
    if kind not in UNCHECKED:
        check_notices(node, pod, kind, "link", "del", "net1")
    node.delete(pod).ok()
    node.delete(pod).ok()


@pytest.mark.parametrize("kind", UNCHECKED)
def test_check_of_what_is_above(node, kind):
    """Their own CHECK; sbr's verifies nothing, the address is missed by what is below."""
    chain = plugins(node, "dummy", 8) + plugins(node, kind, 8)[1:]
    node.nad("chain", {"cniVersion": "1.0.0", "name": "chain", "plugins": chain})
    pod = node.pod("chain")
    node.add(pod).ok()
    damage = ["link", "set", "net1", "nomaster"] if kind == "vrf" else ["addr", "flush", "dev", "net1"]
    check_notices(node, pod, "chain", *damage)
    node.delete(pod).ok()


def test_sbr_without_its_interface(node):
    """sbr's DEL fails for as long as there is a namespace without the interface; then what is below it has its turn."""
    pod = node.pod("sbr")
    node.add(pod).ok()
    harness.sh("ip", "-n", pod.netns_name, "link", "del", "net1")
    node.delete(pod).ok()
    assert node.journal()
    pod.drop_netns()
    harness.wait_for("the rest of DEL", lambda: not node.journal())


@pytest.mark.parametrize("kind", KINDS)
def test_del_without_the_namespace(node, kind):
    pod = node.pod(kind)
    node.add(pod).ok()
    pod.drop_netns()
    node.delete(pod).ok()
    assert not pathlib.Path(pod.netns).exists()


def test_all_at_once(node):
    kinds = [k for k in KINDS if k != "ipvlan-l3"]  # a master has one mode
    pod = node.pod(",".join(kinds))
    node.add(pod).ok()
    assert len(node.leases()) == 2 * (1 + len(kinds))
    assert [s["name"] for s in node.status(pod)] == ["cluster"] + [f"default/{k}" for k in kinds]
    for n, kind in enumerate(kinds, 1):
        look(pod, kind, f"net{n}", KINDS.index(kind))
    node.cni("CHECK", pod).ok()
    node.delete(pod).ok()


@pytest.mark.parametrize("kind,families", [("ipvlan-l2", "4"), ("ipvlan-l2", "6"), ("ipvlan-l3", "46"), ("vlan", "4"),
                                           ("vlan", "6")])
def test_default_route(node, kind, families):
    i = KINDS.index(kind)
    gateways = {"4": f"10.9{i}.0.1", "6": f"fd9{i}::1"}
    pod = node.pod([{"name": kind, "default-route": [gateways[f] for f in families]}])
    node.add(pod).ok()
    for family, cluster in (("4", "10.88.0.1"), ("6", "fd88::1")):
        want = ("net1", gateways[family]) if family in families else ("eth0", cluster)
        assert pod.defaults("-" + family) == [want]
    node.cni("CHECK", pod).ok()
    node.delete(pod).ok()


def test_cluster_network(make_postern):
    p = make_postern()
    p.cluster({"type": "ipvlan", "master": p.master(), "ipam": p.ipam("cluster", "10.87.0.0/24", "fd87::/64")})
    p.nad("vlan", {"cniVersion": "1.0.0", "name": "vlan", "plugins": plugins(p, "vlan", 0)})
    p.start()
    pod = p.pod("vlan")
    answer = p.add(pod).ok()
    kinds = {link["ifname"]: link["linkinfo"]["info_kind"] for link in pod.ip("-d", "link") if link["ifname"] != "lo"}
    assert kinds == {"eth0": "ipvlan", "net1": "vlan"}
    assert [a["address"] for a in answer.json["ips"]] == [f"{pod.addresses('eth0')[0]}/24",
                                                           f"{pod.addresses('eth0', 'inet6')[0]}/64"]
    assert pod.defaults() == [("eth0", "10.87.0.1")] and pod.defaults("-6") == [("eth0", "fd87::1")]
    p.cni("CHECK", pod).ok()
    p.delete(pod).ok()
    p.nothing_left(pod)
