"""Debian's containerd with Postern as its CNI: what a kubelet asks of it through CRI."""
import os
import signal
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


@pytest.fixture
def up(postern, runtime):
    pod = postern.pod("mv", netns=False)
    runtime.run(pod)
    assert pod.links() == ["eth0", "net1"]
    return pod


def gone(postern, runtime, *pods):
    """Removed by containerd as well as by Postern."""
    for pod in pods:
        runtime.remove(pod)
    runtime.nothing_left()
    postern.nothing_left()


def test_stopped_and_removed_again_and_again(postern, runtime, up):
    """A kubelet repeats what it is not sure of; containerd sends a DEL each time, without CNI_NETNS once the namespace is gone."""
    for _ in range(3):
        runtime.halt(up)
        postern.nothing_left()
    for _ in range(3):
        gone(postern, runtime, up)


def test_stopped_while_the_service_is_down(postern, runtime, up):
    postern.stop()
    runtime.halt(up)
    assert postern.leases() and len(postern.spool()) == 1
    runtime.halt(up)
    runtime.remove(up)
    postern.start()
    harness.wait_for("the spool to be replayed", lambda: not postern.spool() and not postern.journal(), 15)
    gone(postern, runtime)


def test_del_that_fails_is_retried(postern, runtime, up):
    """Neither served nor spooled: containerd keeps the sandbox and its namespace, until a later DEL succeeds."""
    spool = postern.socket_dir / "spool"
    postern.stop()
    spool.rename(f"{spool}.aside")
    spool.write_text("a file where the directory should be")
    for call in (runtime.halt, runtime.remove):
        with pytest.raises(grpc.RpcError, match="spool"):
            call(up)
    assert up.links() == ["eth0", "net1"] and runtime.sandboxes() == [up.id]
    spool.unlink()
    postern.start()
    runtime.halt(up)
    postern.nothing_left()
    gone(postern, runtime, up)


def test_delegate_fails_its_del(postern, runtime):
    """The pod goes all the same. What could not be undone is not forgotten, and each DEL that containerd repeats tries it again."""
    postern.stand_in("sticky", "fail", on="DEL")
    pod = postern.pod("mv, sticky", netns=False)
    runtime.run(pod)
    runtime.halt(pod)
    assert postern.leases() == [] and len(postern.journal()) == 1
    plugin = postern.bin_dir / "misbehave"
    plugin.unlink()
    plugin.write_bytes((harness.TOOLS / "nullcni").read_bytes())
    plugin.chmod(0o755)
    runtime.halt(pod)
    gone(postern, runtime, pod)


def test_add_fails(postern, runtime):
    """The kubelet sees the cause; nothing is left; once the cause is gone, the same pod comes up."""
    pod = postern.pod("mv, absent", netns=False)
    with pytest.raises(grpc.RpcError, match="absent"):
        runtime.run(pod)
    gone(postern, runtime)
    postern.stand_in("absent")
    runtime.run(pod, attempt=1)
    assert {s["name"] for s in postern.status(pod)} >= {"default/mv", "default/absent"}
    runtime.halt(pod)
    gone(postern, runtime, pod)


def test_pod_was_replaced(postern, runtime):
    """A sandbox for a pod of yesterday, whose name another one has today."""
    pod = postern.pod("mv", netns=False)
    pod.uid = "uid-of-yesterday"
    with pytest.raises(grpc.RpcError, match="replaced"):
        runtime.run(pod)
    gone(postern, runtime)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_containerd_starts_anew(postern, runtime, up, how):
    runtime.stop(how)
    runtime.start()
    assert runtime.sandboxes() == [up.id] and up.links() == ["eth0", "net1"]
    assert runtime.status(up).status.network.ip == up.addresses("eth0")[0]
    runtime.halt(up)
    gone(postern, runtime, up)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_postern_starts_anew(postern, runtime, up, how):
    getattr(postern, how)()
    postern.start()
    assert up.links() == ["eth0", "net1"]
    other = postern.pod("mv", netns=False)
    runtime.run(other)
    for pod in (up, other):
        runtime.halt(pod)
    gone(postern, runtime, up, other)


def test_namespace_and_process_gone_before_the_stop(postern, runtime, up):
    os.kill(runtime.info(up)["pid"], signal.SIGKILL)
    harness.sh("ip", "netns", "del", up.netns_name)
    runtime.halt(up)
    gone(postern, runtime, up)


def test_containerd_dies_in_an_add(postern, runtime):
    """It knows of the sandbox when it is back, as one that is not ready, and a kubelet has it removed."""
    postern.stand_in("slow", delay="1000")
    pod = postern.pod("mv, slow", netns=False)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(runtime.run, pod)
        harness.wait_for("the slow delegate", lambda: postern.trace())
        runtime.stop(signal.SIGKILL)
        assert isinstance(run.exception(), grpc.RpcError)
    runtime.start()
    pod.id, = runtime.sandboxes()
    runtime.halt(pod)
    gone(postern, runtime, pod)


def test_gc_at_the_start_of_containerd(postern, runtime, up):
    """containerd 1.6 has no GC: its libcni does not know the verb. A runtime that has it sends one at its start, with the
    attachments that it knows of, as is done here in its place, when containerd has lost one of two sandboxes."""
    lost = postern.pod("mv", netns=False)
    runtime.run(lost)
    runtime.ctr("tasks", "kill", "--signal", "SIGKILL", lost.id)
    harness.wait_for("containerd to see it end", lambda: lost.id not in runtime.ctr("tasks", "ls"))
    runtime.ctr("containers", "delete", lost.id)
    runtime.stop()
    runtime.start()
    known = [{"containerID": sandbox, "ifname": "eth0"} for sandbox in runtime.sandboxes()]
    assert [k["containerID"] for k in known] == [up.id] and lost.links() == ["eth0", "net1"]
    postern.cni("GC", stdin=postern.netconf("1.1.0", **{"cni.dev/valid-attachments": known})).ok()
    assert lost.links() == [] and up.links() == ["eth0", "net1"]
    assert len(postern.journal()) == 1 and len(postern.leases()) == 3
    lost.drop_netns()
    runtime.halt(up)
    gone(postern, runtime, up)
