"""Runs Postern as a node does and drives it as a container runtime does. Root only. Everything it makes has the prefix PREFIX
or lives beneath one temporary directory, and is taken away again."""
import fcntl
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import yaml

PREFIX = "ptn"  # of network namespaces and links
SOURCE = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", SOURCE / "build"))
TOOLS = BUILD / "tests"
PLUGINS = pathlib.Path("/usr/lib/cni")
DOOR = pathlib.Path("/etc/postern/door")
ROLES = ("postern-netpriv", "postern-exec", "postern-broker", "postern-store")  # beside the embedded store
SERIAL = itertools.count(1)  # of pods and instances: no two of one run share a name
STAND_INS = ("misbehave", "record", "nullcni")


def sh(*argv, check=True, **kw):
    kw.setdefault("timeout", 60)
    r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)
    if check and r.returncode:
        raise AssertionError(f"{' '.join(argv)}: exit {r.returncode}: {r.stderr or r.stdout}")
    return r


def ip_json(*argv):
    out = sh("ip", "-j", *argv).stdout
    return json.loads(out) if out.strip() else []


def wait_for(what, condition, seconds=10):
    """Polls until condition() is true; its last value. An assertion names what was waited for."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


class Answer:
    """What a runtime sees of one CNI command."""

    def __init__(self, code, out, err, seconds):
        self.exit, self.text, self.stderr, self.seconds = code, out, err, seconds
        try:
            self.json = json.loads(out) if out.strip() else None
        except ValueError:
            self.json = None

    @property
    def code(self):
        return self.json.get("code", 0) if isinstance(self.json, dict) else 0

    @property
    def msg(self):
        return self.json.get("msg", "") if isinstance(self.json, dict) else ""

    @property
    def said(self):
        return self.msg + " " + str((self.json or {}).get("details", ""))

    def ok(self):
        assert self.exit == 0, f"exit {self.exit}: {self.text} {self.stderr}"
        return self

    def failed(self, code=None):
        """A CNI error as the specification has it: exit status not 0, an object with code and msg on stdout."""
        assert self.exit != 0, f"succeeded: {self.text}"
        assert isinstance(self.json, dict), f"no CNI error on stdout: {self.text!r} {self.stderr!r}"
        assert isinstance(self.json["code"], int) and self.json["code"] > 0, self.text
        assert self.msg and all(c.isprintable() for c in self.msg), repr(self.msg)
        if code is not None:
            assert self.code == code, self.text
        return self


class Pod:
    def __init__(self, node, name, namespace="default", netns=True):
        self.node, self.name, self.namespace = node, name, namespace
        self.id = f"{name}-0123456789abcdef"
        self.uid = f"uid-{name}"
        self.netns_name = name
        self.netns = f"/run/netns/{name}" if netns else ""
        if netns:
            sh("ip", "netns", "add", name)
            sh("ip", "-n", name, "link", "set", "lo", "up")

    def ip(self, *argv):
        return ip_json("-n", self.netns_name, *argv)

    def links(self):
        return sorted(link["ifname"] for link in self.ip("link") if link["ifname"] != "lo")

    def addresses(self, ifname, family="inet"):
        return [a["local"] for link in self.ip("addr", "show", "dev", ifname) for a in link.get("addr_info", [])
                if a["family"] == family and a["scope"] == "global"]

    def defaults(self, family="-4"):
        return [(r.get("dev"), r.get("gateway")) for r in self.ip(family, "route", "show", "default")]

    def drop_netns(self):
        sh("ip", "netns", "del", self.netns_name, check=False)


class Postern:
    """One Postern on a directory of its own, with the machine's door pointing at it."""

    def __init__(self, **config):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-", dir="/var/lib"))
        self.root.chmod(0o755)
        self.store, self.conf_dir, self.bin_dir = self.root / "store", self.root / "net.d", self.root / "bin"
        self.cni_dir, self.socket_dir, self.leases_dir = self.root / "state", self.root / "run", self.root / "leases"
        self.process, self.pods, self.links, self.libexec = None, [], [], BUILD
        self.programs, self.environment = ROLES, {}  # of the roles; what the supervisor finds beyond PATH
        for d in (self.store / "pods", self.store / "network-attachment-definitions", self.conf_dir, self.bin_dir,
                  self.leases_dir):
            d.mkdir(parents=True)
        for plugin in list(PLUGINS.iterdir()) + [TOOLS / name for name in STAND_INS]:
            shutil.copy2(plugin, self.bin_dir / plugin.name)
        self.config = {
            "binDir": str(self.bin_dir), "confDir": str(self.conf_dir), "cniDir": str(self.cni_dir),
            "socketDir": str(self.socket_dir), "store": str(self.store), "logLevel": "debug",
            "clusterNetwork": str(self.conf_dir / "10-cluster.conflist"),
            "plugins": list(STAND_INS),
        }
        self.config.update(config)
        self.tag = f"{PREFIX}{next(SERIAL)}"  # its links begin with that
        self.bridge = self.tag + "br0"
        self.cluster(self.bridge_conf("cluster", self.bridge, "10.88.0.0/16", "fd88::/64"))
        self.door_before = DOOR.read_bytes() if DOOR.exists() else None
        if b"/postern-test-" in (self.door_before or b"") and not os.path.exists(self.door_before.strip()):
            self.door_before = None  # left behind by a run that was interrupted
        self.door_dir_before = DOOR.parent.exists()

    # What the node has.

    def write_config(self):
        path = self.root / "postern.json"
        path.write_text(json.dumps(self.config, indent=2))
        return path

    def cluster(self, plugin, **top):
        """Sets the cluster network to a list of the one plugin, or of the plugins."""
        plugins = plugin if isinstance(plugin, list) else [plugin]
        conf = {"cniVersion": "1.0.0", "name": "cluster", "plugins": plugins}
        conf.update(top)
        (self.conf_dir / "10-cluster.conflist").write_text(json.dumps(conf))

    def ipam(self, name, subnet, subnet6=None, routes=True):
        ranges = [[{"subnet": subnet}]] + ([[{"subnet": subnet6}]] if subnet6 else [])
        ipam = {"type": "host-local", "dataDir": str(self.leases_dir), "ranges": ranges}
        if routes:
            ipam["routes"] = [{"dst": "0.0.0.0/0"}] + ([{"dst": "::/0"}] if subnet6 else [])
        return ipam

    def bridge_conf(self, name, bridge, subnet, subnet6=None, routes=True):
        if bridge not in self.links:
            self.links.append(bridge)
        return {"type": "bridge", "bridge": bridge, "ipam": self.ipam(name, subnet, subnet6, routes)}

    def macvlan_conf(self, subnet, subnet6=None, routes=False):
        return {"type": "macvlan", "master": self.master(), "mode": "bridge",
                "ipam": self.ipam("macvlan", subnet, subnet6, routes)}

    def master(self):
        """A link for macvlan to sit on: one end of a veth pair."""
        name = self.tag + "m0"
        if name not in self.links:
            sh("ip", "link", "add", name, "type", "veth", "peer", "name", self.tag + "m1")
            sh("ip", "link", "set", name, "up")
            sh("ip", "link", "set", self.tag + "m1", "up")
            self.links.append(name)
        return name

    def nad(self, name, config, namespace="default", annotations=None, as_json=False, raw=None):
        """A NetworkAttachmentDefinition; config: an object, or the text of spec.config, or None for none."""
        d = self.store / "network-attachment-definitions" / namespace
        d.mkdir(parents=True, exist_ok=True)
        if raw is not None:
            (d / f"{name}.yaml").write_bytes(raw)
            return
        if isinstance(config, dict):
            config = json.dumps(config)
        manifest = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
                    "metadata": {"name": name, "namespace": namespace, "annotations": annotations or {}},
                    "spec": {} if config is None else {"config": config}}
        text = json.dumps(manifest) if as_json else yaml.safe_dump(manifest)
        (d / f"{name}.{'json' if as_json else 'yaml'}").write_text(text)

    def stand_in(self, name, mode="ok", plugin="misbehave", version="1.0.0", **more):
        conf = {"cniVersion": version, "name": name, "type": plugin, "mode": mode, "trace": str(self.root / "trace")}
        conf.update(more)
        self.nad(name, conf)

    def trace(self):
        """Lines "<verb> <container> <ifname> <network>" of the stand-in's runs."""
        path = self.root / "trace"
        return path.read_text().splitlines() if path.exists() else []

    def pod(self, networks=None, name=None, namespace="default", netns=True, manifest=True, annotations=None, as_json=False):
        pod = Pod(self, name or f"{PREFIX}{next(SERIAL)}", namespace, netns)
        self.pods.append(pod)
        if manifest:
            self.write_pod(pod, networks, annotations, as_json)
        return pod

    def pod_path(self, pod, suffix="yaml"):
        d = self.store / "pods" / pod.namespace
        d.mkdir(parents=True, exist_ok=True)
        return d / f"{pod.name}.{suffix}"

    def write_pod(self, pod, networks=None, annotations=None, as_json=False):
        notes = dict(annotations or {})
        if networks is not None:
            notes["k8s.v1.cni.cncf.io/networks"] = networks if isinstance(networks, str) else json.dumps(networks)
        manifest = {"apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid, "annotations": notes},
                    "spec": {"containers": [{"name": "c", "image": "i"}]}}
        path = self.pod_path(pod, "json" if as_json else "yaml")
        path.write_text(json.dumps(manifest) if as_json else yaml.safe_dump(manifest))

    # The service.

    def start(self, expect_ready=True, config=None):
        """Starts it, anew when it runs. When it is expected to refuse: its exit status."""
        self.stop()
        DOOR.parent.mkdir(parents=True, exist_ok=True)
        DOOR.write_text(f"{self.socket_dir}/postern.sock\n")
        path = config or self.write_config()
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = self.root / "notify"
        if address.exists():
            address.unlink()
        notify.bind(str(address))
        notify.settimeout(0.1)
        self.log = open(self.root / "log", "ab")
        env = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(address), **self.environment}
        self.process = subprocess.Popen([str(BUILD / "postern"), "--config", str(path), "--libexec", str(self.libexec)],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=env)
        end = time.monotonic() + 20
        while True:
            try:
                if b"READY=1" in notify.recv(4096):
                    break
            except socket.timeout:
                pass
            code = self.process.poll()
            if code is not None or time.monotonic() > end:
                notify.close()
                if code is not None:
                    self.process = None
                if not expect_ready:
                    return code
                raise AssertionError(f"postern did not get ready (exit {code}):\n{self.stderr()}")
        notify.close()
        assert expect_ready, "postern started"
        return None

    def stop(self, seconds=30):
        if not self.process:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "none within the time"
        self.process = None
        self.log.close()
        assert code == 0, f"postern stopped with {code}:\n{self.stderr()}"

    def kill(self):
        """The supervisor is gone without a word; the roles follow it."""
        pids = list(self.roles().values())
        self.process.kill()
        self.process.wait()
        self.process = None
        self.log.close()
        wait_for("the roles to end with their supervisor", lambda: not any(alive(p) for p in pids))

    def stderr(self):
        path = self.root / "log"
        return path.read_text(errors="replace")[-8000:] if path.exists() else ""

    def roles(self):
        """Program name -> pid of each role that runs now."""
        return {name: pid for pid in children(self.process.pid) if (name := program(pid)) in self.programs}

    def all_roles(self):
        return wait_for("all roles", lambda: (r := self.roles()) and len(r) == len(self.programs) and r)

    def descendants(self):
        todo, seen = [self.process.pid], []
        while todo:
            pid = todo.pop()
            seen.append(pid)
            todo += children(pid)
        return seen

    # The runtime's side.

    def netconf(self, version="1.0.0", **more):
        return dict({"cniVersion": version, "name": "postern", "type": "postern-shim"}, **more)

    def cni(self, verb, pod=None, stdin=None, version="1.0.0", timeout=90, **env):
        """Runs the shim. env: CNI_* by their last word in lower case (netns="", ifname=..., args=...), None = unset."""
        values = {"CNI_COMMAND": verb, "CNI_PATH": str(PLUGINS)}
        if pod:
            values.update(CNI_CONTAINERID=pod.id, CNI_NETNS=pod.netns, CNI_IFNAME="eth0", CNI_ARGS=self.cni_args(pod))
        for key, value in env.items():
            values["CNI_" + key.upper()] = value
        values = {k: v for k, v in values.items() if v is not None}
        if stdin is None:
            stdin = self.netconf(version)
        if isinstance(stdin, (dict, list)):
            stdin = json.dumps(stdin)
        if isinstance(stdin, str):
            stdin = stdin.encode()
        start = time.monotonic()
        p = subprocess.Popen([str(BUILD / "postern-shim")], env=values, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        try:
            out, err = p.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()
            raise AssertionError(f"{verb}: no answer within {timeout} s\n{self.stderr()}")
        return Answer(p.returncode, out.decode(), err.decode(), time.monotonic() - start)

    def cni_args(self, pod):
        return (f"IgnoreUnknown=1;K8S_POD_NAMESPACE={pod.namespace};K8S_POD_NAME={pod.name};"
                f"K8S_POD_INFRA_CONTAINER_ID={pod.id};K8S_POD_UID={pod.uid}")

    def add(self, pod, **kw):
        return self.cni("ADD", pod, **kw)

    def delete(self, pod, **kw):
        return self.cni("DEL", pod, **kw)

    def cni_async(self, verb, pod, version="1.0.0"):
        """A command under way: finish() gives its Answer."""
        return Background(self, verb, pod, version)

    # What is there.

    def leases(self):
        return [f"{p.parent.name}/{p.name}" for p in self.leases_dir.rglob("*")
                if p.is_file() and p.name != "lock" and not p.name.startswith("last_reserved_ip")]

    def journal(self):
        d = self.cni_dir / "journal"
        return sorted(p.name for p in d.iterdir() if not p.name.startswith(".")) if d.exists() else []

    def spool(self):
        d = self.socket_dir / "spool"
        return sorted(p.name for p in d.iterdir()) if d.exists() else []

    def status(self, pod):
        """The network-status that came back into the store, or None."""
        path = self.store / "status" / pod.namespace / f"{pod.name}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def host_ports(self):
        """veth ends of pods in the host that belong to bridges of this test, and macvlans that fell back into it."""
        return [link["ifname"] for link in ip_json("link") if link.get("master", "").startswith(self.tag + "br") or
                link.get("link") == self.tag + "m0" and link["ifname"] != self.tag + "m1"]

    def nothing_left(self, *pods):
        """No interface in the pods or in the host, no address lease, no journal entry, no delegate still running."""
        for pod in pods:
            if pod.netns and os.path.exists(pod.netns):
                assert pod.links() == [], f"{pod.name}: interfaces left"
        assert self.leases() == [], "address leases left"
        wait_for("an empty journal", lambda: not self.journal(), 5)
        wait_for("host ends to go", lambda: not self.host_ports(), 5)
        if self.process:
            wait_for("delegates and workers to end", lambda: not self.strangers(), 10)

    def strangers(self):
        """Processes beneath the supervisor other than the supervisor, the roles, and the one worker that waits for a command."""
        known = {self.process.pid, *self.roles().values()}
        others = [pid for pid in self.descendants() if pid not in known]
        waiting = [pid for pid in others if program(pid) == "postern-broker" and descriptors(pid) == 4]
        return [(pid, program(pid)) for pid in others if pid not in waiting[:1]]

    def renew(self):
        """As new: after a test that went wrong, so that the next one has its own failure."""
        self.drop_pods()
        self.stop()
        for d in (self.cni_dir / "journal", self.leases_dir):
            shutil.rmtree(d, ignore_errors=True)
        self.leases_dir.mkdir()
        self.start()

    def drop_pods(self):
        for pod in self.pods:
            pod.drop_netns()
        self.pods.clear()

    def unharmed(self, before):
        assert self.process.poll() is None, f"the supervisor ended:\n{self.stderr()}"
        assert self.roles() == before, f"roles were restarted:\n{self.stderr()}"

    def usage(self):
        """Role -> (open descriptors, private memory in kB), when nothing is under way."""
        wait_for("workers to end", lambda: not self.strangers())
        time.sleep(0.3)  # exec keeps a pod's namespace at its path for a tenth of a second
        return {name: (descriptors(pid), private_kb(pid)) for name, pid in self.all_roles().items()}

    def close(self):
        try:
            self.stop()
        finally:
            if self.door_before is not None:
                DOOR.write_bytes(self.door_before)
            else:
                DOOR.unlink(missing_ok=True)
                if not self.door_dir_before and DOOR.parent.exists():
                    DOOR.parent.rmdir()
            self.drop_pods()
            for link in self.links:
                sh("ip", "link", "del", link, check=False)
            shutil.rmtree(self.root, ignore_errors=True)


class Background:
    def __init__(self, node, verb, pod, version):
        env = {"CNI_COMMAND": verb, "CNI_PATH": str(PLUGINS), "CNI_CONTAINERID": pod.id, "CNI_NETNS": pod.netns,
               "CNI_IFNAME": "eth0", "CNI_ARGS": node.cni_args(pod)}
        self.start = time.monotonic()
        self.p = subprocess.Popen([str(BUILD / "postern-shim")], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        self.p.stdin.write(json.dumps(node.netconf(version)).encode())
        self.p.stdin.close()
        self.p.stdin = None

    def finish(self, timeout=60):
        out, err = self.p.communicate(timeout=timeout)
        return Answer(self.p.returncode, out.decode(), err.decode(), time.monotonic() - self.start)


def children(pid):
    try:
        return [int(p) for t in os.listdir(f"/proc/{pid}/task")
                for p in pathlib.Path(f"/proc/{pid}/task/{t}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def program(pid):
    """File name of what the process runs; "" when it is gone."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def descriptors(pid):
    """How many it has open; 0 when it is gone."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def status_fields(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {k: v.strip() for k, _, v in (line.partition(":") for line in lines)}


def descriptors(pid):
    """How many it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def private_kb(pid):
    fields = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in fields if line.startswith(("Private_Clean:", "Private_Dirty:")))


def is_socket(path):
    return path.exists() and stat.S_ISSOCK(path.stat().st_mode)


def lock_machine():
    """One user of the door and of the link names at a time. The lock ends with the process."""
    f = open("/run/lock/postern-tests", "w")
    fcntl.flock(f, fcntl.LOCK_EX)
    return f
