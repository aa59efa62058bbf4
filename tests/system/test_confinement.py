"""What each role holds, from outside (/proc) and from inside (a probe under the role's own confinement)."""
import os

import harness
import pytest

NETWORK_AND_SYS = 1 << 12 | 1 << 21
CAPS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def caps(pid):
    fields = harness.status_fields(pid)
    return {name: int(fields[name], 16) for name in CAPS}


def links(pid):
    out = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            out.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass
    return out


def netlink_inodes():
    with open("/proc/net/netlink") as f:
        return {line.split()[9] for line in f.readlines()[1:]}


def unprivileged(node):
    """broker and kube, and a worker caught while its delegate takes its time."""
    node.stand_in("slow", delay="3000")
    pod = node.pod("slow")
    add = node.cni_async("ADD", pod)
    harness.wait_for("the slow delegate", lambda: node.trace())
    roles = node.all_roles()
    workers = [pid for pid, _ in node.strangers() if pid in harness.children(roles["postern-broker"])]
    assert len(workers) == 1
    return {"broker": roles["postern-broker"], "store": roles["postern-store"], "worker": workers[0]}, pod, add


def test_netpriv_capabilities(postern):
    pid = postern.all_roles()["postern-netpriv"]
    assert caps(pid) == {"CapInh": 0, "CapPrm": NETWORK_AND_SYS, "CapEff": NETWORK_AND_SYS, "CapBnd": NETWORK_AND_SYS, "CapAmb": 0}
    fields = harness.status_fields(pid)
    assert fields["Seccomp"] == "2" and fields["Groups"] == ""


def test_exec_is_confined(postern):
    pid = postern.all_roles()["postern-exec"]
    held = caps(pid)
    assert held["CapInh"] == held["CapAmb"] == 0 and held["CapPrm"] == held["CapEff"] == held["CapBnd"]
    assert held["CapPrm"] & NETWORK_AND_SYS == NETWORK_AND_SYS
    fields = harness.status_fields(pid)
    assert fields["Seccomp"] == "2" and fields["Groups"] == ""


def test_unprivileged_roles(postern):
    pids, pod, add = unprivileged(postern)
    host = {ns: os.readlink(f"/proc/self/ns/{ns}") for ns in ("net", "mnt", "ipc", "uts")}
    uids = set()
    for role, pid in pids.items():
        fields = harness.status_fields(pid)
        assert set(caps(pid).values()) == {0}, role
        ids = set(fields["Uid"].split()) | set(fields["Gid"].split())
        assert "0" not in ids and len(set(fields["Uid"].split())) == 1 and fields["Groups"] == "", role
        assert fields["Seccomp"] == "2" and int(fields["Seccomp_filters"]) >= 1 and fields["NoNewPrivs"] == "1", role
        assert os.readlink(f"/proc/{pid}/ns/net") != host["net"], role
        assert os.listdir(f"/proc/{pid}/root") == [], f"{role}: its root directory has something in it"
        inodes = {link[8:-1] for link in links(pid) if link.startswith("socket:[")}
        assert not inodes & netlink_inodes(), role
        assert not os.access(f"/proc/{pid}/root/etc", os.F_OK), role
        uids.add((role == "store", fields["Uid"].split()[0]))
    assert len({uid for _, uid in uids}) == 2, "broker and worker share a uid; the store has its own"
    add.finish().ok()
    postern.delete(pod).ok()


def test_worker_holds_only_its_own(postern):
    pids, pod, add = unprivileged(postern)
    kinds = sorted(link.split(":")[0] if ":" in link else link for link in links(pids["worker"]))
    assert set(kinds) <= {"socket", "pipe", "/memfd", "/dev/null", "anon_inode"} or all(
        k in ("socket", "pipe", "anon_inode") or k.startswith(("/memfd", "/dev/null", str(postern.root / "log"))) for k in kinds), kinds
    assert kinds.count("socket") <= 3, kinds
    add.finish().ok()
    postern.delete(pod).ok()


# All that the probe, in the role's place, gets done. A plugin may what a root process without mounts, tracing, modules, keys
# and other namespaces may; exec, beyond that, binds pods' namespaces.
PLUGIN = """open_file open_file_openat2 open_proc open_root read_held write_held escape_held write_root list_held chmod_held stat_path
socket_route socket_generic socket_inet socket_inet6 socket_unix socketpair exec fork unshare_net setns_net kill_other map_code
make_code setuid_root"""
ALLOWED = {
    "netpriv": "read_held write_held list_held socket_route socket_unix socketpair setns_net",
    "exec": PLUGIN + " mount_bind umount",
    "delegate": PLUGIN,
    "broker": "socketpair fork",
    "worker": "",
    "store": "read_held write_held",
    "kube": "",
    "dial": "read_held socket_inet socket_inet6 fork",
    "devices": "read_held write_held socket_unix fork",
    "autoconf": "read_held write_held list_held fork",
    "reader": "",
}


@pytest.mark.parametrize("role", sorted(ALLOWED))
def test_probe_from_inside(role):
    """A program that enters the role's sandbox tries everything that it should not get done."""
    out = harness.sh(str(harness.TOOLS / "probe"), role).stdout
    print(out)
    tried = dict(line.split(" ", 1) for line in out.splitlines())
    assert len(tried) >= 54 and "broken" not in tried.values()
    assert {name for name, came in tried.items() if came == "allowed"} == set(ALLOWED[role].split())


def verify(*argv):
    return harness.sh(str(harness.BUILD / "posternctl"), "verify", *argv, check=False)


def test_verify(postern):
    r = verify()
    print(r.stdout)
    assert r.returncode == 0, r.stdout + r.stderr
    for role in ("netpriv", "exec", "broker", "store"):
        assert role in r.stdout


def test_verify_json(postern):
    import json
    r = verify("--json")
    assert r.returncode == 0, r.stdout + r.stderr
    json.loads(r.stdout)


def test_verify_sees_a_difference(make_postern):
    p = make_postern(sandbox="log")
    p.start()
    r = verify()
    assert r.returncode == 1, r.stdout + r.stderr
    assert "sandbox" in (r.stdout + r.stderr).lower() or "log" in r.stdout


def test_verify_without_a_service(make_postern):
    make_postern()
    assert verify().returncode != 0


@pytest.mark.parametrize("mode", ["trap", "log"])
def test_other_sandbox_modes_work_alike(make_postern, mode):
    p = make_postern(sandbox=mode)
    p.start()
    pod = p.pod()
    p.add(pod).ok()
    p.delete(pod).ok()
    p.nothing_left(pod)


def test_door_and_directories(postern):
    sock = postern.socket_dir / "postern.sock"
    assert sock.stat().st_mode & 0o777 == 0o600 and sock.stat().st_uid == 0
    assert postern.socket_dir.stat().st_mode & 0o777 == 0o700
    assert (postern.cni_dir / "journal").stat().st_mode & 0o077 == 0
    postern.stop()
    assert not sock.exists(), "the socket stayed"
    assert postern.socket_dir.exists() and (postern.conf_dir / "10-cluster.conflist").exists()


def test_others_cannot_use_the_door(postern):
    r = harness.sh("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c",
                   "import socket,sys; s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET); s.connect(sys.argv[1])",
                   str(postern.socket_dir / "postern.sock"), check=False)
    assert r.returncode != 0 and "PermissionError" in r.stderr


@pytest.mark.parametrize("what", ["socket-dir", "bin-dir"])
def test_directories_that_others_can_write_to_are_refused(make_postern, what):
    p = make_postern()
    d = p.socket_dir if what == "socket-dir" else p.bin_dir
    d.mkdir(exist_ok=True)
    d.chmod(0o777)
    assert p.start(expect_ready=False) not in (0, None)
    assert str(d) in p.stderr()
