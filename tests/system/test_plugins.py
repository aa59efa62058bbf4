"""What stands between a name in a network configuration and a running program."""
import hashlib
import os
import struct
import time

from harness import sh, wait_for


def refused(postern, words, name="net"):
    pod = postern.pod(name)
    answer = postern.add(pod).failed()
    for word in words:
        assert word in answer.said, answer.text
    postern.nothing_left(pod)


def test_digest_pinned(make_postern):
    """A plugin that the node pins runs only while its binary is the one that was pinned."""
    postern = make_postern()
    binary = postern.bin_dir / "misbehave"
    digest = hashlib.sha256(binary.read_bytes()).hexdigest()
    postern.config["plugins"] = [{"name": "misbehave", "sha256": digest}]
    postern.stand_in("net")
    postern.start()
    pod = postern.pod("net")
    postern.add(pod).ok()
    postern.delete(pod).ok()
    with open(binary, "ab") as f:
        f.write(b"\0")
    pod = postern.pod("net")
    assert "SHA-256" in postern.add(pod).failed().said
    binary.write_bytes(binary.read_bytes()[:-1])
    # What the changed binary could not undo is owed, and undone once the pinned one is back.
    postern.nothing_left(pod)


def test_not_in_the_table(make_postern):
    postern = make_postern(plugins=["misbehave"])
    postern.nad("net", {"cniVersion": "1.0.0", "name": "net", "type": "record"})
    postern.start()
    refused(postern, ["record", "not allowed", "plugins"])


def test_ipam_not_in_the_table(postern):
    """A plugin would execute it itself, so the name is refused before the plugin runs."""
    conf = postern.bridge_conf("net", postern.bridge, "10.91.0.0/24")
    conf["ipam"]["type"] = "bandwidth-limiter"
    postern.nad("net", dict(conf, cniVersion="1.0.0", name="net"))
    refused(postern, ["bandwidth-limiter", "ipam", "plugins"])


def test_binary_must_be_roots_alone(postern):
    binary = postern.bin_dir / "misbehave"
    postern.stand_in("net")
    for mode, word in ((0o775, "writable"), (0o757, "writable"), (0o4755, "set-user-ID"), (0o644, "executable")):
        binary.chmod(mode)
        pod = postern.pod("net")
        assert word in postern.add(pod).failed().said
        binary.chmod(0o755)
        postern.nothing_left(pod)
    os.chown(binary, 64999, 0)
    refused_pod = postern.pod("net")
    assert "owned by root" in postern.add(refused_pod).failed().said
    os.chown(binary, 0, 0)
    postern.nothing_left(refused_pod)
    binary.rename(postern.root / "elsewhere")
    binary.symlink_to(postern.root / "elsewhere")
    pod = postern.pod("net")
    assert "misbehave" in postern.add(pod).failed().said
    binary.unlink()
    (postern.root / "elsewhere").rename(binary)
    postern.nothing_left(pod)


def test_script(make_postern):
    """A plugin may be a script; it gets no descriptor but its own text."""
    postern = make_postern(plugins=["script"])
    script = postern.bin_dir / "script"
    script.write_text('#!/bin/sh\nls -l /proc/self/fd | grep -c "^l" >&2\n'
                      '[ "$CNI_COMMAND" = ADD ] && echo \'{"cniVersion":"1.0.0","ips":[{"address":"10.1.2.3/24"}]}\'\n'
                      "exit 0\n")
    script.chmod(0o755)
    postern.nad("net", {"cniVersion": "1.0.0", "name": "net", "type": "script"})
    postern.start()
    pod = postern.pod("net")
    postern.add(pod).ok()
    postern.delete(pod).ok()
    postern.nothing_left(pod)


def test_binary_that_is_being_written(postern):
    """ETXTBSY is waited for, and an error in the end, never a success without a run."""
    postern.stand_in("net")
    binary = postern.bin_dir / "misbehave"
    pod = postern.pod("net")
    with open(binary, "r+b"):
        background = postern.cni_async("ADD", pod)
        time.sleep(0.5)
    background.finish().ok()
    with open(binary, "r+b"):
        second = postern.pod("net")
        assert "busy" in postern.add(second).failed().said
    postern.delete(pod).ok()
    postern.nothing_left(pod, second)


def test_capability_beyond_the_base(make_postern):
    """A row of the node's table may name a capability; only that plugin has it."""
    postern = make_postern(plugins=[{"name": "caps", "capabilities": ["NET_RAW"]}, "nocaps"])
    for name in ("caps", "nocaps"):
        script = postern.bin_dir / name
        script.write_text(f'#!/bin/sh\ngrep CapEff /proc/self/status >"{postern.root}/{name}"\n'
                          '[ "$CNI_COMMAND" = ADD ] && echo \'{"cniVersion":"1.0.0","ips":[{"address":"10.1.2.3/24"}]}\'\n'
                          "exit 0\n")
        script.chmod(0o755)
        postern.nad(name, {"cniVersion": "1.0.0", "name": name, "type": name})
    postern.start()
    pod = postern.pod("caps,nocaps")
    postern.add(pod).ok()
    base = 1 << 12 | 1 << 21
    held = {name: int((postern.root / name).read_text().split()[1], 16) for name in ("caps", "nocaps")}
    assert held == {"caps": base | 1 << 13, "nocaps": base}
    postern.delete(pod).ok()
    postern.nothing_left(pod)


def fnv(kind, data):
    h = 14695981039346656037 ^ kind
    for byte in data:
        h = (h ^ byte) * 1099511628211 % (1 << 64)
    return h


def test_entry_of_an_earlier_boot_is_undone_at_start(postern):
    """After a reboot the containers are gone, their address leases are not."""
    pod = postern.pod()
    postern.add(pod).ok()
    assert postern.leases()
    postern.stop()
    [name] = postern.journal()
    path = postern.cni_dir / "journal" / name
    data = bytearray(path.read_bytes())
    with open("/proc/sys/kernel/random/boot_id") as f:
        boot = f.read().strip().encode()
    at = data.index(boot)
    data[at:at + 36] = b"00000000-0000-0000-0000-000000000000"
    magic, kind, length, _ = struct.unpack_from("=IIQQ", data)
    struct.pack_into("=Q", data, 16, fnv(kind, data[24:24 + length]))
    path.write_bytes(data)
    pod.drop_netns()
    pod.netns = ""
    postern.start()
    wait_for("the entry to be undone", lambda: not postern.journal())
    postern.nothing_left()


def test_spooled_by_a_shim_of_another_version(postern):
    """Its file's name still says which attachment."""
    pod = postern.pod()
    postern.add(pod).ok()
    postern.stop()
    postern.delete(pod).ok()
    [name] = postern.spool()
    path = postern.socket_dir / "spool" / name
    data = bytearray(path.read_bytes())
    data[4] ^= 0xff
    path.write_bytes(data)
    postern.start()
    wait_for("the spool to be replayed", lambda: not postern.spool() and not postern.journal())
    postern.nothing_left(pod)


def test_owed_until_the_plugin_is_back(postern):
    """A DEL that cannot be done now is tried again by itself; the runtime is not made to wait."""
    postern.stand_in("net")
    pod = postern.pod("net")
    postern.add(pod).ok()
    binary = postern.bin_dir / "misbehave"
    binary.rename(postern.root / "away")
    postern.delete(pod).ok()
    assert postern.journal() == [f"{pod.id}:eth0"]
    (postern.root / "away").rename(binary)
    postern.nothing_left(pod)


def test_netns_path_that_now_is_another_pods(postern):
    """DEL goes by the namespace that ADD saw, not by what the path has come to mean."""
    pod = postern.pod()
    postern.add(pod).ok()
    pod.drop_netns()
    sh("ip", "netns", "add", pod.netns_name)
    sh("ip", "-n", pod.netns_name, "link", "add", "eth0", "type", "bridge")
    postern.delete(pod).ok()
    assert pod.links() == ["eth0"], "another pod's interface was removed"
    sh("ip", "-n", pod.netns_name, "link", "del", "eth0")
    postern.nothing_left(pod)
