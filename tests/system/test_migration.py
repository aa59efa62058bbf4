"""docs/migration.md, step by step: over from Multus, and back without leaving anything behind."""
import os
import pathlib
import re
import shutil

import harness
import pytest
from multus import Multus, Network

DOC = (harness.SOURCE / "docs" / "migration.md").read_text()
UNINSTALL = str(harness.SOURCE / "deploy" / "uninstall")


class Places:
    """The document's paths, on this test's node."""

    def __init__(self, p):
        self.node = p
        self.net_d, self.plugins = p.root / "cni-net.d", p.root / "opt-bin"
        self.net_d.mkdir()
        self.plugins.mkdir()
        self.map = {"/etc/cni/net.d": self.net_d, "/opt/cni/bin": self.plugins, "/run/postern": p.socket_dir,
                    "/var/lib/cni/postern": p.cni_dir, "/run/cni": pathlib.Path("/run/cni"),
                    "/etc/postern": pathlib.Path("/etc/postern")}

    def listed(self):
        """What the table of the way back lists, as paths of this node."""
        rows = re.findall(r"^   \| `(/[^`]+)` \|", DOC, re.M)
        assert len(rows) == 6
        out = []
        for row in rows:
            at = next(d for d in sorted(self.map, key=len, reverse=True) if row == d or row.startswith(d + "/"))
            out.append(self.map[at] / row[len(at):].lstrip("/") if row != at else self.map[at])
        return out

    def install(self):
        shutil.copy2(harness.BUILD / "postern-shim", self.plugins / "postern-shim")

    def tree(self):
        roots = (self.node.root, self.map["/run/cni"], self.map["/etc/postern"])
        return {str(path) for root in roots for path in root.rglob("*")}

    def came(self, before):
        """What there is now and was not before: all but the harness's own, the store's status and the IPAM plugin's files."""
        p = self.node
        own = tuple(str(p.root / name) for name in ("postern.json", "log", "notify")) + (str(p.leases_dir), str(p.store / "status"))
        return sorted(path for path in self.tree() - before if not path.startswith(own))

    def uninstall(self, *more):
        p = self.node
        return harness.sh(UNINSTALL, *more, "--socket-dir", str(p.socket_dir), "--cni-dir", str(p.cni_dir), "--plugin-dir",
                          str(self.plugins), str(self.net_d), check=False)


def mounts():
    return sorted(line.split()[4] for line in open("/proc/self/mountinfo"))


def sockets(p):
    return [line for line in open("/proc/net/unix") if str(p.root) in line]


@pytest.fixture
def places(make_postern):
    p = make_postern()
    p.multus = Multus(p, p.root / "multus")
    places = Places(p)
    (places.net_d / "10-cluster.conflist").write_text((p.conf_dir / "10-cluster.conflist").read_text())
    (places.net_d / "00-multus.conf").write_text('{"cniVersion": "1.0.0", "name": "multus-cni-network", "type": "multus-shim"}')
    p.config.update(takeOver=str(p.multus.dir), multusConfigFile="auto", multusAutoconfigDir=str(places.net_d), cniVersion="1.0.0",
                    cniConfigDir=str(places.net_d), replaceMultusConfig=True)
    return places


def test_over_and_back(places):
    p = places.node
    cluster = Network({"cniVersion": "1.0.0", "name": "cluster", "plugins": [p.bridge_conf("cluster", p.bridge, "10.88.0.0/16")]},
                      from_file=True)
    old, ending, new = p.pod(), p.pod(), p.pod()
    for pod in (old, ending):
        p.multus.add(pod, [cluster])
    places.install()
    mounted, namespaces, kept = mounts(), sorted(os.listdir("/run/netns")), p.multus.files(old)
    before = places.tree() - {str(places.plugins / "postern-shim")}

    # Over.
    p.start()
    harness.wait_for("the runtime's file to change", lambda: sorted(os.listdir(places.net_d))[:2] ==
                     ["00-multus.conf.before-postern", "00-postern.conf"])
    p.add(new).ok()
    p.delete(ending).ok()
    assert old.links() == ["eth0"] and ending.links() == [] and new.links() == ["eth0"]

    # What the document lists is all that has come.
    listed, aside = places.listed(), str(places.net_d / "00-multus.conf.before-postern")
    assert [path for path in places.came(before) if path != aside and
            not any(path == str(place) or path.startswith(f"{place}/") for place in listed)] == []
    assert all(place.exists() for place in listed)

    # Back: never while it runs, nor while anything is owed.
    assert "stop it first" in places.uninstall().stderr
    p.stop()
    refused = places.uninstall()
    assert refused.returncode == 1 and f"{new.id}:eth0" in refused.stderr
    p.delete(new).ok()
    refused = places.uninstall()
    assert refused.returncode == 1 and "spool" in refused.stderr
    assert len(p.journal()) == 1 and len(p.spool()) == 1, "something was taken away"
    p.start()
    harness.wait_for("nothing to be owed", lambda: not p.journal() and not p.spool(), 20)
    p.stop()
    done = places.uninstall()
    assert done.returncode == 0, done.stderr
    assert places.uninstall().returncode == 0, "a second time"

    assert places.came(before) == []
    assert (places.net_d / "00-multus.conf").exists() and not os.path.exists(aside)
    assert mounts() == mounted and sockets(p) == []
    assert sorted(os.listdir("/run/netns")) == namespaces
    assert not [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if harness.program(pid).startswith("postern")]
    # The pod that was there all the time is Multus' again, with all that it needs for its end.
    assert old.links() == ["eth0"] and p.multus.files(old) == kept and len(p.leases()) == 1


def test_forced(places):
    p = places.node
    p.start()
    pod = p.pod()
    p.add(pod).ok()
    p.stop()
    assert places.uninstall().returncode == 1 and p.journal()
    forced = places.uninstall("--force")
    assert forced.returncode == 0 and f"{pod.id}:eth0" in forced.stderr
    assert not p.cni_dir.exists() and not p.socket_dir.exists() and pod.links() == ["eth0"]


def test_usage():
    bad = harness.sh(UNINSTALL, "--nonsense", check=False)
    assert bad.returncode == 2 and bad.stderr.startswith("usage: uninstall [--force]")
