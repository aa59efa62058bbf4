"""The configuration file: whom the supervisor believes, --check-config, SIGHUP; and the door that it makes."""
import json
import os
import signal
import socket
import time

import harness
import pytest


def check(p, path):
    return harness.sh(str(harness.BUILD / "postern"), "--libexec", str(p.libexec), "--check-config", str(path), check=False)


@pytest.fixture
def p(make_postern):
    return make_postern()


def test_check_config_starts_nothing(p):
    p.config["nonsense"] = 1
    r = check(p, p.write_config())
    assert r.returncode == 0 and r.stdout.endswith("postern.json: ok\n"), r.stderr
    assert '"nonsense"' in r.stderr
    assert not p.socket_dir.exists() and not p.cni_dir.exists()


@pytest.mark.parametrize("text,words", [
    ("", "empty"), ("[]", "object"), ('{"store": "/a", "store": "/b"}', "duplicate key"), ("[" * 10000, "nested deeper"),
    ('{"store": "/a", "sandbox": "off"}', '"sandbox"'), ('{"store": "a"}', '"store"'), ("{}", 'set "kubeconfig"'),
    ('{"store": "/a", "users": {"kube": 64870}}', "users"), ("\x00", "line 1"), (" " * (1 << 20) + "{}", "1 MiB"),
    ('{"store": "/a", "kubeconfig": "/b"}', "only one"), ('{"kubeconfig": "/b", "unknownPods": "cluster-network"}', "unknownPods"),
    ('{"kubeconfig": "b"}', '"kubeconfig"'), ('{"perNodeCertificate": {"enabled": true}}', '"bootstrapKubeconfig"'),
    ('{"perNodeCertificate": {"enabled": true, "bootstrapKubeconfig": "/b", "certDuration": "9m"}}', '"certDuration"'),
    ('{"perNodeCertificate": {"enabled": true, "bootstrapKubeconfig": "/b", "certDuration": "1d"}}', '"certDuration"'),
    ('{"kubeconfig": "/b", "nodeName": "No Name"}', '"nodeName"'), ('{"store": "/a", "limits": {"cachedNetworks": 257}}', "256"),
    ('{"store": "/a", "multusConfigFile": "auto"}', '"cniVersion": must be given'),
    ('{"store": "/a", "multusConfigFile": "yes"}', '"multusConfigFile"'),
    ('{"store": "/a", "cniVersion": "1.0.0", "multusConfigFile": "auto", "multusMasterCNI": "00-multus.conf"}', "would name itself"),
    ('{"store": "/a", "cniVersion": "1.0.0", "multusConfigFile": "auto", "cniConfigFile": "00-multus.conf"}', "replaceMultusConfig"),
    ('{"store": "/a", "forceCNIVersion": true}', '"forceCNIVersion": needs "cniVersion"'),
    ('{"store": "/a", "connectionLimit": 0}', '"connectionLimit"'), ('{"store": "/a", "delegates": [1]}', '"delegates"'),
], ids=range(25))
def test_check_config_names_the_cause(p, text, words):
    path = p.root / "bad.json"
    path.write_text(text)
    r = check(p, path)
    assert r.returncode == 1 and r.stdout == "", r.stdout
    assert r.stderr.count("\n") == 1 and words in r.stderr and "bad.json" in r.stderr, r.stderr


@pytest.mark.parametrize("key,value", [("chrootDir", "/hostroot"), ("dns", {}), ("ipam", {}), ("logOptions", {"maxSize": 1}), ("name", "x"),
                                       ("prevResult", {}), ("runtimeConfig", {}), ("type", "multus-shim"), ("cniConfigDir", "/x")])
def test_a_key_without_effect_is_named_with_the_reason(p, key, value):
    p.config[key] = value
    r = check(p, p.write_config())
    assert r.returncode == 0 and r.stderr.count("\n") == 1 and f'key "{key}" has no effect' in r.stderr, r.stderr


@pytest.mark.parametrize("key,value", [("retryDeleteOnError", True), ("connectionLimit", 5), ("check", True), ("takeOver", ""), ("logFile", "/x/y"),
                                       ("cniVersion", "1.0.0"), ("readinessindicatorfile", "/x"), ("auxiliaryCNIChainName", "x"),
                                       ("hotplug", {"socketDir": "/x", "uid": 7}), ("delegates", [{"name": "a", "type": "b"}])])
def test_a_key_with_effect_needs_no_word(p, key, value):
    if key == "delegates":
        del p.config["clusterNetwork"]  # beside which they have none
    p.config[key] = value
    r = check(p, p.write_config())
    assert r.returncode == 0 and r.stderr == "", r.stderr


def spoil(p, how):
    path = p.write_config()
    if how == "writable":
        path.chmod(0o664)
    elif how == "owner":
        os.chown(path, 1000, 0)
    elif how == "directory-writable":
        d = p.root / "open"
        d.mkdir()
        d.chmod(0o777)
        path = path.rename(d / "c.json")
    elif how == "link-owner":
        link = p.root / "link.json"
        link.symlink_to(path)
        os.chown(link, 1000, 0, follow_symlinks=False)
        path = link
    elif how == "fifo":
        path.unlink()
        os.mkfifo(path, 0o600)
    elif how == "directory":
        path = p.root
    elif how == "missing":
        path.unlink()
    elif how == "loop":
        path.unlink()
        path.symlink_to(path)
    return path


@pytest.mark.parametrize("how", ["writable", "owner", "directory-writable", "link-owner", "fifo", "directory", "missing", "loop"])
def test_only_roots_own_file_is_believed(p, how):
    path = spoil(p, how)
    assert check(p, path).returncode == 1
    assert p.start(expect_ready=False, config=path) == 1
    assert not p.socket_dir.exists()


def test_a_link_of_roots_is_followed(p):
    """As a ConfigMap volume has it: a link to a link's file."""
    path = p.write_config()
    (p.root / "..data").mkdir()
    path.rename(p.root / "..data" / "postern.json")
    path.symlink_to("..data/postern.json")
    assert check(p, path).returncode == 0


@pytest.mark.parametrize("what", ["bin_dir", "socket_dir", "cni_dir"])
def test_directories_that_others_can_write_to(p, what):
    d = getattr(p, what)
    d.mkdir(exist_ok=True)
    d.chmod(0o777)
    assert p.start(expect_ready=False) == 1
    assert f'at "{d.name}": must be writable by root only' in p.stderr()


def test_second_instance_is_refused(postern):
    first = postern.process.pid
    r = harness.sh(str(harness.BUILD / "postern"), "--libexec", str(postern.libexec), "--config",
                   str(postern.root / "postern.json"), check=False)
    assert r.returncode == 1 and "another instance" in r.stderr
    assert postern.process.pid == first
    postern.cni("STATUS", version="1.1.0").ok()


def test_stale_socket_is_replaced_and_anything_else_is_not(p):
    p.socket_dir.mkdir(0o700)
    path = p.socket_dir / "postern.sock"
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.bind(str(path))
    s.close()
    p.start()
    mode = path.stat().st_mode & 0o777
    assert mode == 0o600
    p.stop()
    assert not path.exists()
    path.write_text("keep me")
    assert p.start(expect_ready=False) == 1
    assert path.read_text() == "keep me"


def test_stop_leaves_a_socket_that_is_not_its_own(postern):
    path = postern.socket_dir / "postern.sock"
    path.unlink()
    path.write_text("somebody else's")
    postern.stop()
    assert path.read_text() == "somebody else's"


def hup(p):
    p.process.send_signal(signal.SIGHUP)


def test_reload(postern):
    before, door = postern.all_roles(), os.stat(postern.socket_dir / "postern.sock").st_ino
    postern.config["limits"] = {"attachments": 2}
    postern.write_config()
    hup(postern)
    harness.wait_for("new roles", lambda: (r := postern.roles()) and len(r) == 4 and not
                     set(r.values()) & set(before.values()), 20)
    assert os.stat(postern.socket_dir / "postern.sock").st_ino == door
    pod = postern.pod()
    postern.add(pod).ok()
    postern.delete(pod).ok()


@pytest.mark.parametrize("change,words", [
    (None, "not valid JSON"), ({"socketDir": "/run/elsewhere"}, "socketDir, hotplug and metrics cannot change"), ({"binDir": "/nowhere"}, "/nowhere"),
    ({"plugins": [{"name": "x", "capabilities": ["SYS_TIME"]}]}, "capabilities cannot be added"),
], ids=["syntax", "socketDir", "binDir", "capabilities"])
def test_reload_of_something_unusable_changes_nothing(postern, change, words):
    before = postern.all_roles()
    if change is None:
        (postern.root / "postern.json").write_text("{,}")
    else:
        (postern.root / "postern.json").write_text(json.dumps({**postern.config, **change}))
    hup(postern)
    harness.wait_for("a word about it", lambda: words in postern.stderr() and "old configuration stays" in postern.stderr())
    time.sleep(0.2)
    assert postern.roles() == before


def test_plugin_capability_reaches_the_bounding_set(make_postern):
    p = make_postern(plugins=["misbehave", "record", "nullcni", {"name": "extra", "capabilities": ["NET_RAW"]}])
    p.start()
    bounding = int(harness.status_fields(p.process.pid)["CapBnd"], 16)
    own = int(harness.status_fields(p.process.pid)["CapPrm"], 16)
    assert bounding & 1 << 13 and not own & 1 << 13


# Where the log goes.

def test_log_file(make_postern):
    p = make_postern()
    log = p.root / "logs" / "postern.log"
    p.config.update(logFile=str(log), logToStderr=False)
    p.start()
    assert log.stat().st_mode & 0o777 == 0o600 and log.parent.stat().st_mode & 0o777 == 0o700
    harness.wait_for("the last word of the start", lambda: "info postern: ready" in log.read_text())
    before = p.all_roles()
    assert {os.readlink(f"/proc/{pid}/fd/2") for pid in before.values()} == {str(log)}
    assert p.stderr() == ""
    log.rename(log.parent / "postern.log.1")  # as logrotate does
    hup(p)
    harness.wait_for("a new one", lambda: log.exists() and "info postern: ready" in log.read_text(), 20)
    assert set(p.all_roles().values()).isdisjoint(before.values())
    del p.config["logFile"], p.config["logToStderr"]
    p.write_config()
    hup(p)
    harness.wait_for("stderr again", lambda: "info postern: ready" in p.stderr(), 20)
    assert harness.sh(str(harness.BUILD / "posternctl"), "verify", check=False).returncode == 0


def test_log_file_that_cannot_be_opened_anew(make_postern):
    """The service goes on, and says so where records went so far."""
    p = make_postern()
    log = p.root / "postern.log"
    p.config["logFile"] = str(log)
    p.start()
    before = p.all_roles()
    log.rename(p.root / "postern.log.1")
    log.mkdir()
    hup(p)
    harness.wait_for("a word about it", lambda: "records go where they went" in (p.root / "postern.log.1").read_text(), 20)
    harness.wait_for("new roles", lambda: set(p.all_roles().values()).isdisjoint(before.values()), 20)
    pod = p.pod()
    p.add(pod).ok()
    p.delete(pod).ok()
    log.rmdir()
    hup(p)
    harness.wait_for("a new one", lambda: log.exists() and "info postern: ready" in log.read_text(), 20)


@pytest.mark.parametrize("how", ["link", "open", "fifo", "owner", "directory"])
def test_log_file_that_others_could_have_made(p, how):
    log = p.root / "postern.log"
    if how == "link":
        log.symlink_to("target")
    elif how == "fifo":
        os.mkfifo(log, 0o600)
    else:
        log.touch()
    if how == "open":
        log.chmod(0o666)
    elif how == "owner":
        os.chown(log, 1000, 0)
    elif how == "directory":
        d = p.root / "open"
        d.mkdir()
        d.chmod(0o777)
        log = log.rename(d / "postern.log")
    p.config["logFile"] = str(log)
    assert p.start(expect_ready=False) == 1
    assert str(log.parent) in p.stderr() and not (p.root / "target").exists()
