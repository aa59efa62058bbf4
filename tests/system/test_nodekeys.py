"""Keys of the node configuration that a worker acts on."""
import json
import time
from concurrent.futures import ThreadPoolExecutor

import harness
import pytest


def test_readiness_indicator(make_postern):
    p = make_postern()
    indicator = p.root / "ready"
    p.config["readinessindicatorfile"] = str(indicator)
    p.start()
    assert str(indicator) in p.cni("STATUS", version="1.1.0").failed(50).said
    pod = p.pod()
    add = p.cni_async("ADD", pod)
    time.sleep(0.6)
    assert pod.links() == [], "nothing is attached before the file is there"
    indicator.write_text("")
    add.finish().ok()
    p.cni("STATUS", version="1.1.0").ok()
    indicator.unlink()
    p.delete(pod).ok()  # goes on without it
    p.nothing_left(pod)


def test_readiness_indicator_that_never_comes(make_postern):
    p = make_postern(deadlines={"command": 2})
    p.config["readinessindicatorfile"] = str(p.root / "never")
    p.start()
    pod = p.pod()
    p.add(pod).failed(11)
    p.nothing_left(pod)


class Chain:
    def __init__(self, node, **config):
        self.node = node
        node.config.update(auxiliaryCNIChainName="extra", **config)
        self.dir = node.conf_dir / "extra"
        self.record = node.root / "record"
        self.dir.mkdir()
        self.record.mkdir()

    def plugin(self, name, **conf):
        (self.dir / name).write_text(json.dumps(conf))

    def stdin(self, verb, ifname):
        return json.loads((self.record / f"{verb}-{ifname}.stdin").read_text())


def test_auxiliary_chain(make_postern):
    p = make_postern()
    chain = Chain(p)
    chain.plugin("10-arp.conf", type="tuning", sysctl={"net.ipv4.conf.eth0.arp_filter": "1"})
    chain.plugin("20-record.conf", type="record", record=str(chain.record))
    p.stand_in("other")
    p.start()
    pod = p.pod("other")
    p.add(pod).ok()
    assert harness.sh("ip", "netns", "exec", pod.netns_name, "cat", "/proc/sys/net/ipv4/conf/eth0/arp_filter").stdout == "1\n"
    told = chain.stdin("ADD", "net2")  # behind the pod's own
    assert told["name"] == "extra" and told["cniVersion"] == "1.0.0" and told["prevResult"] == {"cniVersion": "1.0.0"}
    assert [e["name"] for e in p.status(pod)] == ["cluster", "default/other", "extra"]
    p.delete(pod).ok()
    assert chain.stdin("DEL", "net2")["prevResult"]["ips"]
    p.nothing_left(pod)


def test_auxiliary_chain_of_nothing(make_postern):
    p = make_postern()
    Chain(p)
    p.start()
    pod = p.pod()
    p.add(pod).ok()
    assert [e["name"] for e in p.status(pod)] == ["cluster"]


def test_auxiliary_chain_that_is_broken(make_postern):
    p = make_postern()
    chain = Chain(p)
    (chain.dir / "10.conf").write_text("{")
    p.start()
    assert "auxiliaryCNIChainName extra" in p.add(p.pod()).failed().said


def test_auxiliary_chain_needs_a_path(make_postern):
    p = make_postern(clusterNetwork="cluster")
    Chain(p)
    p.start()
    assert "auxiliaryCNIChainName" in p.add(p.pod()).failed(7).said


def test_delegates_of_the_node(make_postern):
    """They are every pod's networks, the first one its main one; what a request says is not asked."""
    p = make_postern()
    del p.config["clusterNetwork"]
    p.config["delegates"] = [dict(p.bridge_conf("one", p.bridge, "10.88.0.0/16"), name="one", cniVersion="1.0.0"),
                             {"name": "two", "cniVersion": "1.0.0", "plugins": [{"type": "nullcni"}]}]
    p.stand_in("other")
    p.start()
    pod = p.pod("other")
    p.cni("ADD", pod, stdin=p.netconf(delegates=[{"name": "evil", "type": "host-device"}])).ok()
    status = p.status(pod)
    assert [(e["name"], e.get("default", False)) for e in status][0] == ("one", True)
    assert status[-1]["name"] == "default/other" and status[-1]["interface"] == "net2"
    p.delete(pod).ok()
    p.nothing_left(pod)


def test_a_cluster_network_wins_over_delegates(make_postern):
    p = make_postern(delegates=[{"name": "two", "type": "nullcni"}])
    p.start()
    pod = p.pod()
    p.add(pod).ok()
    assert [e["name"] for e in p.status(pod)] == ["cluster"]
    assert 'key "delegates" has no effect beside a cluster network' in p.stderr()


def test_check_can_be_switched_off(make_postern):
    p = make_postern(check=False)
    p.nad("mv", dict(p.macvlan_conf("10.89.0.0/24"), cniVersion="1.0.0", name="mv"))
    p.start()
    pod = p.pod("mv")
    p.add(pod).ok()
    harness.sh("ip", "-n", pod.netns_name, "link", "del", "net1")
    p.cni("CHECK", pod).ok()
    p.cni("CHECK", p.pod()).ok()


def test_connection_limit(make_postern):
    """As many commands at once as it says; the others wait in order."""
    p = make_postern(connectionLimit=1)
    p.nad("slow", {"cniVersion": "1.0.0", "name": "slow", "type": "misbehave", "delay": 150, "trace": str(p.root / "trace")})
    p.start()
    pods = [p.pod("slow") for _ in range(4)]
    with ThreadPoolExecutor(len(pods)) as pool:
        answers = [pool.submit(p.add, pod) for pod in pods]
        harness.wait_for("the first", lambda: len(p.trace()) >= 1)
        while not all(a.done() for a in answers):
            assert len([pid for pid in p.descendants() if harness.program(pid) == "misbehave"]) <= 1
            time.sleep(0.02)
    for a in answers:
        a.result().ok()


def test_log_file(make_postern):
    p = make_postern(logToStderr=False)
    path = p.root / "postern.log"
    p.config["logFile"] = str(path)
    p.start()
    pod = p.pod()
    p.add(pod).ok()
    text = path.read_text()
    assert "info postern: " in text and "debug store: " in text and oct(path.stat().st_mode & 0o777) == "0o600"
