"""DEL never blocks a pod's deletion and never forgets."""
import os

import harness
import pytest


@pytest.fixture
def up(postern):
    postern.nad("mv", dict(postern.macvlan_conf("10.89.0.0/24"), cniVersion="1.0.0", name="mv"))
    pod = postern.pod("mv")
    postern.add(pod).ok()
    assert len(postern.leases()) == 3
    return postern, pod


def test_twice(up):
    p, pod = up
    p.delete(pod).ok()
    p.nothing_left(pod)
    p.delete(pod).ok()
    assert p.delete(pod).text == ""


def test_unknown_container(postern):
    pod = postern.pod(netns=False, manifest=False)
    postern.delete(pod).ok()
    postern.delete(pod, netns="/run/netns/does-not-exist").ok()
    postern.nothing_left()


@pytest.mark.parametrize("how", ["gone", "empty", "unset", "other"])
def test_netns_gone(up, how):
    p, pod = up
    if how != "other":
        pod.drop_netns()
    netns = {"gone": pod.netns, "empty": "", "unset": None, "other": pod.netns}[how]
    if how == "other":
        # The path is there again, but it is another namespace now: nothing in it may be touched.
        pod.drop_netns()
        harness.sh("ip", "netns", "add", pod.netns_name)
        harness.sh("ip", "-n", pod.netns_name, "link", "add", "eth0", "type", "bridge")
    p.delete(pod, netns=netns).ok()
    assert p.leases() == []
    harness.wait_for("an empty journal", lambda: not p.journal(), 15)
    if how == "other":
        assert pod.links() == ["eth0"]


def test_manifest_and_nad_gone_or_edited(up):
    """DEL runs what ADD journalled, whatever the store says by now."""
    p, pod = up
    p.pod_path(pod).unlink()
    p.nad("mv", {"cniVersion": "1.0.0", "name": "mv", "type": "misbehave", "mode": "fail", "on": "DEL"})
    (p.conf_dir / "10-cluster.conflist").unlink()
    p.delete(pod).ok()
    p.nothing_left(pod)


def test_without_args(up):
    p, pod = up
    p.delete(pod, args=None).ok()
    p.nothing_left(pod)


def test_after_a_restart_of_the_service(up):
    p, pod = up
    p.stop()
    assert pod.links() == ["eth0", "net1"], "stopping the service took a pod's networks away"
    p.start()
    p.delete(pod).ok()
    p.nothing_left(pod)


def test_spooled_while_the_service_is_down_and_replayed(up):
    p, pod = up
    p.stop()
    answer = p.delete(pod).ok()
    assert answer.seconds < 5
    spooled = [p.socket_dir / "spool" / f for f in p.spool()]
    assert len(spooled) == 1 and spooled[0].stat().st_mode & 0o777 == 0o600
    p.delete(pod).ok()
    pod.drop_netns()
    p.start()
    harness.wait_for("the spool to be replayed", lambda: not p.spool() and not p.journal(), 15)
    p.nothing_left()


def test_spool_survives_rubbish(up):
    """A torn or foreign file in the spool is reported and set aside; the good ones are replayed."""
    p, pod = up
    p.stop()
    p.delete(pod).ok()
    (p.socket_dir / "spool" / "torn:eth0.1.del").write_bytes(b"\x00" * 20)
    os.mkfifo(p.socket_dir / "spool" / "fifo:eth0.1.del")
    p.start()
    harness.wait_for("the good one to be replayed", lambda: not p.journal(), 15)
    p.nothing_left(pod)
    assert "torn" in p.stderr()


def test_waits_for_an_add_in_flight(postern):
    postern.stand_in("slow", delay="800")
    pod = postern.pod("slow")
    add = postern.cni_async("ADD", pod)
    harness.wait_for("the slow delegate", lambda: postern.trace())
    postern.delete(pod).ok()
    add.finish().ok()
    postern.nothing_left(pod)
    assert [line.split()[0] for line in postern.trace()] == ["ADD", "DEL"]


def test_runtime_gives_up_in_the_middle_of_an_add(postern):
    """The shim vanishes: the command is finished or rolled back, never left half done, and DEL finds everything."""
    postern.stand_in("slow", delay="500")
    pod = postern.pod("slow")
    add = postern.cni_async("ADD", pod)
    harness.wait_for("the slow delegate", lambda: postern.trace())
    add.p.kill()
    add.p.communicate()
    postern.delete(pod).ok()
    postern.nothing_left(pod)
