"""The DaemonSet's containers, run by runc as the manifest says: these capabilities, this read-only root, these mounts; and what the
comments in the manifest say does not work."""
import json
import pathlib

import container
import harness
import pytest


@pytest.fixture
def contained():
    node = container.Contained()
    try:
        yield node
    finally:
        node.close()


def test_init_container_installs_the_shim_on_the_host(contained):
    old = contained.bin_dir / "postern-shim"
    old.write_text("the previous one")
    inode = old.stat().st_ino
    contained.run_init()
    assert old.read_bytes() == (harness.BUILD / "postern-shim").read_bytes()
    assert old.stat().st_ino != inode, "replaced, not overwritten: the runtime may be executing it"
    assert old.stat().st_mode & 0o7777 == 0o755
    assert not [p for p in contained.bin_dir.iterdir() if p.name.startswith(".")]


def test_pods_get_their_networks_from_a_container(contained):
    contained.start()
    contained.nad("lan", {"cniVersion": "1.0.0", "name": "lan", "plugins": [
        contained.macvlan_conf("10.89.0.0/24"),
        {"type": "tuning", "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}}]})
    pod = contained.pod("lan")  # its namespace is younger than the container
    contained.add(pod).ok()
    assert pod.links() == ["eth0", "net1"]
    value = harness.sh("ip", "netns", "exec", pod.netns_name, "cat", "/proc/sys/net/ipv4/conf/net1/arp_filter").stdout
    assert value == "1\n", "tuning's sysctl, though the container's /proc/sys is read-only"
    assert contained.execute("/bin/sh", "-c", ": >/proc/sys/net/ipv4/ip_forward").returncode != 0
    assert len(contained.leases()) == 3  # eth0 has two, net1 one, where the host keeps them
    assert contained.status(pod)
    assert contained.probe("readinessProbe") == 0
    contained.delete(pod).ok()
    assert pod.links() == [] and contained.leases() == []
    harness.wait_for("an empty journal", lambda: not contained.journal())


def test_the_runtimes_configuration_is_generated_in_the_nodes_directory(contained):
    contained.start()
    path = contained.conf_dir / "00-postern.conf"
    made = json.loads(harness.wait_for("the file", lambda: path.exists() and path.read_text()))
    assert made["clusterNetwork"] == "/etc/cni/net.d/10-cluster.conflist" and made["type"] == "postern-shim"
    pod = contained.pod()
    contained.add(pod, stdin=made).ok()
    contained.delete(pod, stdin=made).ok()
    assert pod.links() == []
    contained.stop()
    assert json.loads(path.read_text()) == made


def test_what_was_set_up_survives_the_container(contained):
    contained.start()
    pod = contained.pod()
    contained.add(pod).ok()
    contained.stop()
    contained.start()
    contained.delete(pod).ok()
    assert pod.links() == [] and contained.leases() == []


def proc_mounts(pid):
    """Mount point beneath /proc -> "ro" or "rw" of what is on top there."""
    lines = [line.split() for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    return {f[4]: f[5].split(",")[0] for f in lines if f[4].startswith("/proc/sys/") or f[4] == "/proc/sys"}


def test_only_sysctls_of_the_network_are_writable_and_only_for_plugins(contained):
    contained.start()
    assert proc_mounts(contained.process.pid) == {"/proc/sys": "ro"}
    assert proc_mounts(contained.roles()["postern-netpriv"]) == {"/proc/sys": "ro"}
    assert proc_mounts(contained.roles()["postern-exec"]) == {"/proc/sys": "ro", "/proc/sys/net": "rw"}


def test_verify_from_the_host_finds_no_difference(contained):
    contained.start()
    r = harness.sh("nsenter", "-t", str(contained.process.pid), "-p", "-m", "posternctl", "verify", check=False,
                   env={"PATH": "/usr/local/bin:/usr/bin"})
    assert r.returncode == 0 and " NO " not in r.stdout, r.stdout + r.stderr


def test_probe_fails_when_no_pod_could_be_served(contained):
    contained.start()
    (contained.conf_dir / "10-cluster.conflist").unlink()
    assert contained.probe("readinessProbe") != 0


@pytest.mark.parametrize("what, said", [("no_new_privs", "Operation not permitted"), ("pivot_root", "change of root"),
                                        ("SYS_ADMIN", "new namespaces"), ("CHOWN", "chown")])
def test_it_takes_what_the_manifest_asks_for(contained, what, said):
    """Each field that weakens the container is needed: without it the service does not start, and says so."""
    config = contained.configuration()
    process = config["process"]
    if what == "no_new_privs":
        process["noNewPrivileges"] = True
    elif what == "pivot_root":  # which containerd's default filter lacks
        config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                                      "syscalls": [{"names": ["pivot_root"], "action": "SCMP_ACT_ERRNO"}]}
    else:
        process["capabilities"] = {k: [c for c in v if c != "CAP_" + what] for k, v in process["capabilities"].items()}
    contained.start_container(config)
    assert contained.runc.wait(30) != 0
    contained.runc = None
    assert said in contained.stderr()
