"""The runtime's own CNI configuration: generated from the primary one, followed, kept; and set up over Multus' file. Ids such as O5
name the behaviour that Multus' own tests and users see."""
import json
import os
import shutil
import signal
import threading
import time

import harness
import pytest

PRIMARY = "10-net.conf"


class Auto(harness.Postern):
    """Generates into a directory of its own, in which the primary configuration is as well, as on a node."""

    def __init__(self, **config):
        super().__init__(**config)
        self.dir = self.root / "cni"
        self.dir.mkdir()
        self.out = self.dir / "00-postern.conf"
        del self.config["clusterNetwork"]
        self.config = {"multusConfigFile": "auto", "multusAutoconfigDir": str(self.dir), "cniConfigDir": str(self.dir),
                       "cniVersion": "0.4.0", **self.config, **config}
        self.programs = (*harness.ROLES, "postern-autoconf")

    def primary(self, file=PRIMARY, /, **conf):
        conf = {"cniVersion": "0.4.0", "name": "mycni-name", "type": "misbehave", **conf}
        self.replace(file, json.dumps({k: v for k, v in conf.items() if v is not None}))

    def replace(self, name, text):
        temp = self.dir / f".{name}.temp"
        temp.write_text(text)
        temp.rename(self.dir / name)

    def made(self):
        return self.out.read_text() if self.out.exists() else None

    def wait_made(self, what="the generated file", condition=lambda made: made):
        return harness.wait_for(what, lambda: (text := self.made()) and condition(json.loads(text)) and text)

    def wait_said(self, words):
        harness.wait_for(f"a word about it: {words}", lambda: words in self.stderr())

    def unchanged(self, before, while_doing, said):
        """Nothing happens to the file, and the log says why, from then on."""
        inode, so_far = self.out.stat().st_ino, len(self.stderr())
        while_doing()
        harness.wait_for(f"a word about it: {said}", lambda: said in self.stderr()[so_far:])
        assert self.made() == before and self.out.stat().st_ino == inode


@pytest.fixture
def make_auto():
    made = []

    def make(**config):
        made.append(Auto(**config))
        return made[-1]

    yield make
    for p in reversed(made):
        p.close()


@pytest.fixture
def auto(make_auto):
    p = make_auto()
    p.primary()
    p.start()
    return p


def plain(p, **more):
    """What O5 expects of the harness' configuration: its own keys, in Multus' order."""
    keys = {"binDir": str(p.bin_dir), "cniVersion": "0.4.0", "logLevel": "debug", "name": "multus-cni-network",
            "clusterNetwork": f"{p.dir}/{PRIMARY}", "type": "postern-shim", "cniDir": str(p.cni_dir)}
    order = ("binDir", "capabilities", "cniVersion", "logFile", "logLevel", "logToStderr", "logOptions", "name", "clusterNetwork",
             "namespaceIsolation", "globalNamespaces", "type", "cniDir", "auxiliaryCNIChainName", "daemonSocketDir",
             "overrideNetworkName")
    keys.update(more)
    return json.dumps({k: keys[k] for k in order if keys.get(k) is not None}, separators=(",", ":"))


def test_o5_exact_text_and_mode(auto):
    auto.wait_made()
    assert auto.made() == plain(auto)
    assert auto.out.stat().st_mode & 0o7777 == 0o600 and auto.out.stat().st_uid == 0
    assert not [p for p in auto.dir.iterdir() if p.name.startswith(".")]


def test_o3_keys_of_the_node_configuration(make_auto):
    p = make_auto(clusterNetwork="somewhere", name="ignored", type="my-shim", namespaceIsolation=True, globalNamespaces="a,b",
                  capabilities={"ips": True, "mac": False}, auxiliaryCNIChainName="aux", logOptions={"maxSize": 1}, logLevel="info")
    p.config["daemonSocketDir"] = p.config["socketDir"]
    p.primary()
    p.start()
    p.wait_made()
    assert p.made() == plain(p, clusterNetwork="somewhere", type="my-shim", namespaceIsolation=True, globalNamespaces="a,b",
                             capabilities={"ips": True}, auxiliaryCNIChainName="aux", logOptions={"maxSize": 1}, logLevel="info",
                             daemonSocketDir=str(p.socket_dir))


@pytest.mark.parametrize("conf,want", [
    ({"capabilities": {"portMappings": True, "tuning": False}}, {"portMappings": True}),
    ({"type": None, "plugins": [{"type": "a", "capabilities": {"portMappings": True, "tuning": False}}]}, {"portMappings": True}),
    ({"type": None, "plugins": [{"type": "a", "capabilities": {"portMappings": True}}, {"type": "b"},
                                {"type": "c", "capabilities": {"bandwidth": True, "tuning": False}}]},
     {"bandwidth": True, "portMappings": True}),
    ({"capabilities": {}}, None),
], ids=["top", "plugins", "union", "none"])
def test_o4_capabilities(make_auto, conf, want):
    p = make_auto()
    p.primary("10-net.conflist" if "plugins" in conf else PRIMARY, **conf)
    p.start()
    assert json.loads(p.wait_made()).get("capabilities") == want


def test_o6_version_too_old(make_auto):
    p = make_auto()
    p.primary(cniVersion="0.3.1")
    p.start()
    p.wait_said("delegate cni version is 0.3.1 while top level cni version is 0.4.0")
    assert p.made() is None
    p.primary(cniVersion=None)
    p.wait_said("couldn't get cni version of delegate")
    p.primary()
    before = p.wait_made()
    p.unchanged(before, lambda: p.primary(cniVersion="0.3.1", capabilities={"ips": True}), "0.3.1 while top level cni version is 0.4.0")


def test_an_old_version_of_the_nodes_asks_for_none(make_auto):
    p = make_auto(cniVersion="0.3.1")
    p.primary(cniVersion=None)
    p.start()
    p.wait_made()


def test_o7_capabilities_follow_the_primary_both_ways(auto):
    auto.wait_made()
    auto.primary(capabilities={"portMappings": True})
    auto.wait_made("more capabilities", lambda made: made.get("capabilities") == {"portMappings": True})
    auto.primary()
    auto.wait_made("fewer", lambda made: "capabilities" not in made)
    path = auto.dir / PRIMARY  # rewritten in place as well
    path.write_text(path.read_text().replace('"type"', '"capabilities": {"ips": true}, "type"'))
    auto.wait_made("in place", lambda made: made.get("capabilities") == {"ips": True})


def test_o8_name_of_the_primary(make_auto):
    p = make_auto(overrideNetworkName=True)
    p.primary()
    p.start()
    assert p.wait_made() == plain(p, name="mycni-name", overrideNetworkName=True)
    before = p.made()
    p.unchanged(before, lambda: p.primary(name=None), 'missing "name"')


@pytest.mark.parametrize("text,said", [
    ("", "empty"), ("{", "line 1"), ('{"cniVersion": "0.4.0", "name": "mycni-name", "type"', "line 1"), ("[]", "JSON object"),
    ('{"name": "x", "plugins": 7}', 'missing "type"'), ('{"cniVersion":"0.4.0","name":1,"type":"a"}', '"name" must be'),
    ('{"cniVersion":"0.4.0","name":"n","type":"a","capabilities":{"ips":1}}', "ips"), ("\x00" * 100, "line 1"),
    (" " * (1 << 20) + "{}", "File too large"), ("[" * 5000, "nested deeper"),
], ids=range(10))
def test_o9_a_primary_that_is_not_well_changes_nothing(auto, text, said):
    before = auto.wait_made()
    auto.unchanged(before, lambda: (auto.dir / PRIMARY).write_text(text), said)
    auto.primary(capabilities={"ips": True})
    auto.wait_made("recovery by itself", lambda made: made.get("capabilities") == {"ips": True})


def test_a_primary_that_is_briefly_missing_changes_nothing(auto):
    before = auto.wait_made()
    auto.primary("20-other.conf", name="other")
    auto.unchanged(before, (auto.dir / PRIMARY).unlink, f"{PRIMARY}: No such file")
    auto.primary(capabilities={"mac": True})
    auto.wait_made("recovery by itself", lambda made: made.get("capabilities") == {"mac": True})
    assert "20-other" not in auto.made()


@pytest.mark.parametrize("kind", ["directory", "fifo", "outside"])
def test_a_primary_that_is_no_file(auto, kind):
    before = auto.wait_made()
    path = auto.dir / PRIMARY

    def spoil():
        path.unlink()
        if kind == "directory":
            path.mkdir()
        elif kind == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to("../postern.json")
    auto.unchanged(before, spoil, f"{PRIMARY}: ")


def test_the_first_file_by_name_is_the_primary(auto):
    auto.wait_made()
    auto.primary("20-late.conf", name="late")
    auto.primary("05-early.conf", name="early")
    auto.wait_made("the new first", lambda made: made["clusterNetwork"].endswith("/05-early.conf"))
    auto.wait_said(f"no longer of {PRIMARY}")
    (auto.dir / "05-early.conf").unlink()
    harness.wait_for("the one behind, when the first is gone for good",
                     lambda: json.loads(auto.made())["clusterNetwork"].endswith(PRIMARY), 30)


def test_a_primary_that_comes_before_the_generated_file(make_auto):
    """Nothing can be done about it but to say so: the runtime would never call Postern."""
    p = make_auto()
    p.primary("00-first.conf")
    p.start()
    p.wait_made()
    p.wait_said("00-first.conf comes before 00-postern.conf")
    p.primary()
    assert PRIMARY + " comes" not in p.stderr()


def test_what_is_never_the_primary(make_auto):
    p = make_auto(cniConfigFile="01-mine.conf")
    p.out = p.dir / "01-mine.conf"
    own = json.dumps({"cniVersion": "0.4.0", "name": "self", "type": "postern-shim"})
    for name in ("00-multus.conf", "00-multus-old.conflist", "00-postern.conf", "01-mine.conf", "02-x.json", ".03-x.conf", "04-x.bak"):
        (p.dir / name).write_text(own)
    (p.dir / "05-directory.conf").mkdir()
    p.start()
    p.wait_said("no CNI configuration there yet")
    assert p.made() == own
    p.primary()
    p.wait_made("the only one", lambda made: made.get("clusterNetwork") == f"{p.dir}/{PRIMARY}")


def test_master_is_a_file_of_ones_choice(make_auto):
    p = make_auto(multusMasterCNI="50-mine.conf")
    p.primary()
    p.start()
    p.wait_said("50-mine.conf: No such file")
    p.primary("50-mine.conf", name="mine", type="record")
    assert json.loads(p.wait_made())["clusterNetwork"] == f"{p.dir}/50-mine.conf"
    p.primary("40-before.conf")
    p.primary("50-mine.conf", name="mine", type="record", capabilities={"ips": True})
    p.wait_made("changes of that one", lambda made: made.get("capabilities") == {"ips": True})


def watch_file(path, stop, seen):
    """A runtime that reads all the time."""
    while not stop.is_set():
        try:
            text = path.read_text()
        except FileNotFoundError:
            text = ""
        seen.add(text)


def test_a_reader_never_sees_less_than_a_whole_file(auto):
    auto.wait_made()
    stop, seen = threading.Event(), set()
    reader = threading.Thread(target=watch_file, args=(auto.out, stop, seen))
    reader.start()
    try:
        for i in range(20):
            auto.primary(capabilities={f"c{i}": True})
            auto.wait_made(f"change {i}", lambda made: made.get("capabilities") == {f"c{i}": True})
            (auto.dir / PRIMARY).write_text("{")
    finally:
        stop.set()
        reader.join()
    assert len(seen) > 1
    for text in seen:
        assert json.loads(text)["name"] == "multus-cni-network"


def test_it_stays_when_postern_stops_or_is_killed(auto):
    before = auto.wait_made()
    inode = auto.out.stat().st_ino
    auto.stop()
    assert auto.made() == before
    auto.start()
    auto.all_roles()
    auto.kill()
    assert auto.made() == before
    (auto.dir / ".00-postern.conf.new").write_text("half")  # as one that was killed while it wrote leaves it
    auto.primary(capabilities={"ips": True})
    auto.start()
    auto.wait_made("what changed meanwhile", lambda made: "capabilities" in made)
    assert auto.out.stat().st_ino != inode and not (auto.dir / ".00-postern.conf.new").exists()


def test_the_same_content_is_not_written_again(auto):
    auto.wait_made()
    inode = auto.out.stat().st_ino
    auto.start()
    auto.all_roles()
    auto.primary()
    auto.primary("90-other.conf")
    auto.primary(capabilities={"ips": True})
    auto.wait_made("a change", lambda made: "capabilities" in made)
    assert auto.out.stat().st_ino != inode
    inode = auto.out.stat().st_ino
    auto.start()
    auto.all_roles()
    time.sleep(0.3)
    assert auto.out.stat().st_ino == inode


def test_what_somebody_took_away_stays_away(auto):
    """Until the primary changes, or a restart."""
    auto.wait_made()
    auto.out.unlink()
    auto.primary("90-other.conf")
    time.sleep(0.3)
    assert auto.made() is None
    auto.primary(capabilities={"ips": True})
    auto.wait_made()


def test_nothing_is_written_before_the_indicator_is_there(make_auto):
    p = make_auto()
    ready = p.root / "ready" / "file"
    p.config["readinessindicatorfile"] = str(ready)
    p.primary()
    p.start()
    p.wait_said(f"waiting for readinessindicatorfile {ready}")
    p.primary(capabilities={"ips": True})
    time.sleep(0.3)
    assert p.made() is None
    ready.parent.mkdir()
    ready.touch()
    before = p.wait_made()
    p.unchanged(before, ready.unlink, "is gone")
    p.primary()
    p.wait_made("changes, nevertheless", lambda made: "capabilities" not in made)
    assert p.stderr().count("waiting for readinessindicatorfile") == 1


def test_o2_requests_do_not_wait_for_the_indicator(make_auto):
    p = make_auto()
    p.config["readinessindicatorfile"] = str(p.root / "never")
    p.primary()
    p.start()
    p.wait_said("waiting for readinessindicatorfile")
    pod = p.pod()
    p.add(pod, version="0.4.0").ok()
    p.delete(pod, version="0.4.0").ok()
    assert p.made() is None


def test_a_directory_that_is_not_there_yet(make_auto):
    p = make_auto()
    p.dir.rmdir()
    p.start()
    p.wait_said("waiting for it")
    p.dir.mkdir()
    p.wait_said("starting anew")
    p.primary()
    p.wait_made()


@pytest.mark.parametrize("how", ["removed", "removed later", "moved"])
def test_a_directory_that_is_replaced(make_auto, how):
    """It is waited for. The others serve on meanwhile, as nothing that is mounted there would come back."""
    p = make_auto(multusMasterCNI=PRIMARY)
    p.config["readinessindicatorfile"] = str(p.dir / PRIMARY)  # watched twice, then
    p.primary()
    p.start()
    p.wait_made()
    before = p.all_roles()
    if how == "moved":
        p.dir.rename(p.root / "aside")
    elif how == "removed":
        shutil.rmtree(p.dir)
    else:
        for path in p.dir.iterdir():
            path.unlink()
        p.wait_said(f"{PRIMARY}: No such file")
        p.dir.rmdir()
    if how != "moved":
        time.sleep(0.3)
        assert p.all_roles() == before
    p.dir.mkdir()
    p.primary()
    p.wait_made()


def test_a_removed_directory_that_is_mounted(auto):
    """As in a container: at the path there is the removed one, whatever was made in its place on the node."""
    source = auto.root / "node"
    auto.stop()
    source.mkdir()
    harness.sh("mount", "--bind", str(source), str(auto.dir))
    try:
        auto.primary()
        auto.start()
        auto.wait_made()
        before = auto.all_roles()
        shutil.rmtree(source)
        source.mkdir()
        time.sleep(2.5)
        assert auto.all_roles() == before
        auto.stop()
    finally:
        harness.sh("umount", str(auto.dir))


def test_what_cannot_be_written_is_tried_again_but_not_all_the_time(make_auto):
    p = make_auto()
    p.primary()
    p.out.mkdir()
    p.start()
    p.wait_said("cannot be written: ")
    switches = lambda: int(harness.status_fields(p.all_roles()["postern-autoconf"])["voluntary_ctxt_switches"])  # noqa: E731
    before = switches()
    time.sleep(3)
    assert switches() - before < 60
    assert p.stderr().count("cannot be written") == 1
    p.out.rmdir()
    p.wait_made()


def test_a_primary_that_is_away_twice_is_spoken_of_twice(auto):
    away = auto.root / "away"
    for n in (1, 2):
        auto.wait_made()
        (auto.dir / PRIMARY).rename(away)
        harness.wait_for("a word", lambda n=n: auto.stderr().count(f"{PRIMARY}: No such file") == n)
        auto.out.unlink()
        away.rename(auto.dir / PRIMARY)


def test_another_directory_than_the_primarys(make_auto):
    p = make_auto()
    p.config["cniConfigDir"] = str(p.root / "elsewhere")
    p.out = p.root / "elsewhere" / "00-postern.conf"
    p.out.parent.mkdir()
    p.primary()
    p.start()
    p.wait_made()
    assert sorted(x.name for x in p.dir.iterdir()) == [PRIMARY]


@pytest.mark.parametrize("what", ["dir", "out"])
def test_directories_that_others_can_write_to(make_auto, what):
    p = make_auto()
    d = p.root / "open"
    d.mkdir()
    d.chmod(0o777)
    p.config["multusAutoconfigDir" if what == "dir" else "cniConfigDir"] = str(d)
    p.primary()
    p.start()
    p.wait_said("must be writable by root only")
    assert list(d.iterdir()) == []


# With pods.

def cluster_list(p, name="10-cluster.conflist", bridge=None, **more):
    p.replace(name, json.dumps({"cniVersion": "1.0.0", "name": "cluster", "plugins": [
        {**p.bridge_conf("cluster", bridge or p.bridge, "10.88.0.0/16"), "capabilities": {"ips": True}}], **more}))


def test_a_pod_through_the_generated_configuration(make_auto):
    p = make_auto(cniVersion="1.0.0")
    cluster_list(p)
    p.start()
    made = json.loads(p.wait_made())
    p.nad("lan", {"cniVersion": "1.0.0", "name": "lan", **p.macvlan_conf("10.89.0.0/24")})
    pod = p.pod("lan")
    p.add(pod, stdin=made).ok()
    assert pod.links() == ["eth0", "net1"]
    assert pod.addresses("eth0")[0].startswith("10.88.")
    p.delete(pod, stdin=made).ok()
    p.nothing_left(pod)
    other = p.pod()  # as the probe does: no word about the cluster network
    p.add(other).ok()
    p.delete(other).ok()
    assert harness.sh(str(harness.BUILD / "posternctl"), "verify", check=False).returncode == 0


def test_the_generated_configuration_decides_until_the_runtime_has_read_the_next(make_auto):
    p = make_auto(cniVersion="1.0.0")
    cluster_list(p)
    p.start()
    made = json.loads(p.wait_made())
    p.replace("05-new.conf", json.dumps({"cniVersion": "1.0.0", "name": "new", "type": "misbehave", "trace": str(p.root / "trace")}))
    p.wait_made("the new one", lambda made: "05-new" in made["clusterNetwork"])
    old, new = p.pod(), p.pod()
    p.add(old, stdin=made).ok()
    assert old.addresses("eth0") and not p.trace()
    p.add(new, stdin=json.loads(p.made())).ok()
    assert p.trace()
    (p.dir / "10-cluster.conflist").unlink()
    late = p.pod()
    answer = p.add(late, stdin=made).failed(7)
    assert "10-cluster.conflist, the primary configuration, is not there" in answer.msg
    for pod in (old, new):
        p.delete(pod, stdin=made).ok()
    p.nothing_left(old, new, late)


@pytest.mark.parametrize("path", ["/etc/cni/net.d/10-x.conf", "{dir}/../cni/10-cluster.conflist", "{dir}/00-postern.conf", "cluster",
                                  "{dir}/sub/10-cluster.conflist"])
def test_a_runtime_cannot_name_another_file(make_auto, path):
    p = make_auto(cniVersion="1.0.0")
    cluster_list(p)
    p.start()
    pod = p.pod()
    answer = p.add(pod, stdin=p.netconf(clusterNetwork=path.format(dir=p.dir))).failed(7)
    assert "clusterNetwork" in answer.msg
    p.nothing_left(pod)


def test_plugins_of_a_sub_directory_and_other_files_that_are_broken(make_auto):
    p = make_auto(cniVersion="1.0.0")
    (p.dir / "00-multus.conf").write_text("")
    (p.dir / "20-broken.conf").write_text("{")
    (p.dir / "cluster").mkdir()
    (p.dir / "cluster" / "x.conf").write_text(json.dumps({"type": "tuning", "mtu": 1400}))
    cluster_list(p)
    p.start()
    pod = p.pod()
    p.add(pod, stdin=json.loads(p.wait_made())).ok()
    assert pod.ip("link", "show", "eth0")[0]["mtu"] == 1400
    p.delete(pod).ok()
    p.nothing_left(pod)


def test_forced_version_is_that_of_the_copy(make_auto):
    p = make_auto(cniVersion="1.0.0", forceCNIVersion=True)
    (p.dir / "10-net.conf").write_text(json.dumps({"cniVersion": "0.3.1", "name": "old", "type": "misbehave"}))
    before = (p.dir / "10-net.conf").read_bytes()
    p.start()
    made = json.loads(p.wait_made())
    assert made["cniVersion"] == "1.0.0"
    pod = p.pod()
    answer = p.add(pod, stdin=made).ok()
    assert answer.json["cniVersion"] == "1.0.0"
    p.delete(pod, stdin=made).ok()
    assert (p.dir / "10-net.conf").read_bytes() == before


# Beside Multus' own file.

MULTUS = '{"cniVersion":"0.3.1","name":"multus-cni-network","type":"multus-shim"}'


def test_multus_file_is_left_alone_unless_it_is_asked_for(auto):
    auto.stop()
    (auto.dir / "00-multus.conf").write_text(MULTUS)
    auto.out.unlink()
    auto.start()
    auto.wait_made()
    auto.wait_said("goes on calling Multus")
    assert (auto.dir / "00-multus.conf").read_text() == MULTUS


def restore(p, *argv):
    return harness.sh(str(harness.SOURCE / "deploy" / "restore-multus"), "--socket-dir", str(p.socket_dir), *argv, str(p.dir), check=False)


def test_multus_file_is_set_aside_and_comes_back(make_auto):
    p = make_auto(replaceMultusConfig=True)
    theirs, aside = p.dir / "00-multus.conf", p.dir / "00-multus.conf.before-postern"
    theirs.write_text(MULTUS)
    p.start()
    p.wait_said("no CNI configuration there yet")
    assert theirs.read_text() == MULTUS, "as long as there is nothing in its place"
    p.primary()
    p.wait_made()
    harness.wait_for("Multus' file to go", lambda: not theirs.exists())
    assert aside.read_text() == MULTUS
    theirs.write_text(MULTUS)  # by a Multus that runs yet
    harness.wait_for("it to go once more", lambda: not theirs.exists())
    r = restore(p)
    assert r.returncode == 1 and "runs" in r.stderr and aside.exists() and p.out.exists()
    p.stop()
    for _ in range(2):
        r = restore(p)
        assert r.returncode == 0, r.stderr
        assert theirs.read_text() == MULTUS and not aside.exists() and not p.out.exists()
    p.start()
    p.wait_made()
    harness.wait_for("Multus' file to go again", lambda: aside.exists() and not theirs.exists())
    p.stop()
    theirs.write_text("newer")  # by a Multus that runs again
    r = restore(p)
    assert r.returncode == 0 and theirs.read_text() == "newer" and aside.exists() and not p.out.exists()


def test_multus_file_comes_back_where_the_primary_is_not(make_auto):
    p = make_auto(replaceMultusConfig=True)
    p.out = p.root / "elsewhere" / "00-postern.conf"
    p.config["cniConfigDir"] = str(p.out.parent)
    p.out.parent.mkdir()
    p.primary()
    p.start()
    p.wait_made()
    (p.out.parent / "00-multus.conf").write_text(MULTUS)
    harness.wait_for("it to go", lambda: not (p.out.parent / "00-multus.conf").exists())


# A configuration of one's own.

def test_o11_a_file_of_ones_own_is_installed_and_postern_serves_on(make_auto):
    p = make_auto()
    source, target = p.root / "user.conf", p.dir / "user.conf"
    text = json.dumps({"cniVersion": "1.0.0", "name": "mine", "type": "postern-shim"}, indent=8)
    source.write_text(text)
    p.config = {**p.config, "multusConfigFile": str(source), "clusterNetwork": str(p.conf_dir / "10-cluster.conflist")}
    p.start()
    harness.wait_for("the file", target.exists)
    assert target.read_text() == text and target.stat().st_mode & 0o777 == 0o600
    pod = p.pod()
    p.add(pod, stdin=json.loads(text)).ok()
    p.delete(pod, stdin=json.loads(text)).ok()
    source.write_text("{")
    p.wait_said("user.conf: line 1")
    assert target.read_text() == text
    assert p.process.poll() is None


def test_reload_changes_what_is_generated(auto):
    auto.wait_made()
    auto.config["type"] = "another-shim"
    auto.write_config()
    auto.process.send_signal(signal.SIGHUP)
    auto.wait_made("the new type", lambda made: made["type"] == "another-shim")
