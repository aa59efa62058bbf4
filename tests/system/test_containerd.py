"""Debian's containerd with Postern as its CNI: what a kubelet asks of it through CRI."""
from concurrent.futures import ThreadPoolExecutor

import containerd
import grpc
import harness
import pytest

SANDBOXES, AT_ONCE = 50, 8


@pytest.fixture
def runtime(postern):
    postern.nad("mv", dict(postern.macvlan_conf("10.89.0.0/16"), cniVersion="1.0.0", name="mv"))
    r = containerd.Containerd(postern)
    try:
        r.start()
        r.load_image()
        yield r
    finally:
        r.close()


def test_fifty_sandboxes(postern, runtime):
    pods = [postern.pod("mv", netns=False) for _ in range(SANDBOXES)]
    roles = postern.all_roles()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(runtime.run, pods))
        seen = set()
        for pod in pods:
            assert pod.links() == ["eth0", "net1"]
            eth0, net1, network = pod.addresses("eth0"), pod.addresses("net1"), runtime.status(pod).status.network
            assert [network.ip, *(a.ip for a in network.additional_ips)] == eth0 + pod.addresses("eth0", "inet6")
            status = {s["interface"]: s for s in postern.status(pod)}
            assert status["eth0"]["ips"][0] == eth0[0] and status["net1"]["ips"] == net1
            seen |= {*eth0, *net1}
        assert len(seen) == 2 * SANDBOXES
        assert len(postern.journal()) == SANDBOXES and len(runtime.sandboxes()) == SANDBOXES
        list(pool.map(runtime.halt, pods))
        postern.nothing_left()
        list(pool.map(runtime.remove, pods))
    runtime.nothing_left()
    postern.unharmed(roles)
