"""Runs the DaemonSet's containers with runc, from the manifest itself: the OCI configuration is what a kubelet and containerd make of
it, with the hostPath directories beneath a temporary one. Only /run/netns is the machine's own, for that is where pods' namespaces are."""
import json
import pathlib
import re
import shutil
import subprocess
import types

import harness
import yaml

KUBERNETES = harness.SOURCE / "deploy" / "kubernetes"
PREFIX = pathlib.Path("/usr/local")  # where the image has what is installed
PLACES = {"SBINDIR": "sbin", "BINDIR": "bin", "LIBEXECDIR": "libexec"}
TOOLS = ("sh", "cp", "chmod", "sync", "mv")
# What the runtime mounts and hides in every container that is not privileged (containerd's defaults).
MASKED = ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
          "/proc/sched_debug", "/proc/scsi", "/sys/firmware"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
BASE_MOUNTS = [
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    {"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
]


def manifests(name):
    return [d for d in yaml.safe_load_all((KUBERNETES / name).read_text()) if d]


def only(documents, kind):
    found = [d for d in documents if d["kind"] == kind]
    assert len(found) == 1, kind
    return found[0]


def pod_spec():
    return only(manifests("daemonset.yaml"), "DaemonSet")["spec"]["template"]["spec"]


def config_text():
    return only(manifests("daemonset.yaml"), "ConfigMap")["data"]["postern.json"]


def libraries(program):
    return [pathlib.Path(p) for p in re.findall(r"(/\S+) \(0x", harness.sh("ldd", str(program), check=False).stdout)]


def installed():
    """Program -> its path once installed, by the install() rules of the build."""
    rules = re.findall(r"install\(TARGETS ([^)]*?)\s+RUNTIME DESTINATION \$\{CMAKE_INSTALL_(\w+)\}([^)]*)\)",
                       (harness.SOURCE / "CMakeLists.txt").read_text())
    return {name: PREFIX / (PLACES[place] + below) / name for names, place, below in rules for name in names.split()}


def make_rootfs(root):
    """An image's content: what is installed, the tools that the manifest uses, and the libraries of both and of the plugins."""
    programs = {harness.BUILD / name: path for name, path in installed().items()}
    programs.update({pathlib.Path(shutil.which(t)).resolve(): pathlib.Path("/usr/bin") / t for t in TOOLS})
    needed = {lib for p in [*programs, *harness.PLUGINS.iterdir()] for lib in libraries(p)}
    for d in ("usr/bin", "usr/lib", "usr/lib64", "var", "proc", "sys", "dev", "run", "etc"):
        (root / d).mkdir(parents=True, exist_ok=True)
    for link, target in (("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64"), ("var/run", "/run")):
        (root / link).symlink_to(target)
    for source, target in [*programs.items(), *((lib, lib) for lib in needed)]:
        path = root / str(target).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, path)
    return root


def caps(context):
    c = context["capabilities"]
    assert c["drop"] == ["ALL"]
    return sorted("CAP_" + name for name in c.get("add", []))


def oci(spec, container, rootfs, host, extra=()):
    """The OCI configuration of one container of the pod. host: volume name -> directory or file on this machine."""
    context = container["securityContext"]
    mounts = list(BASE_MOUNTS)
    for m in container["volumeMounts"]:
        options = ["rbind", "ro" if m.get("readOnly") else "rw",
                   {"HostToContainer": "rslave", None: "rprivate"}[m.get("mountPropagation")]]
        source = host[m["name"]] / m["subPath"] if "subPath" in m else host[m["name"]]
        mounts.append({"destination": m["mountPath"], "type": "bind", "source": str(source), "options": options})
    mounts += [{"destination": d, "type": "bind", "source": str(s), "options": ["rbind", "rw", "rprivate"]} for d, s in extra]
    spaces = ["pid", "ipc", "mount"] + ([] if spec["hostNetwork"] else ["network", "uts"])
    held = caps(context)
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(rootfs), "readonly": context["readOnlyRootFilesystem"]},
        "process": {
            "user": {"uid": context["runAsUser"], "gid": context.get("runAsGroup", 0)},
            "args": container["command"], "cwd": "/",
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "NODE_NAME=node"],
            "capabilities": {"bounding": held, "effective": held, "permitted": held},
            "noNewPrivileges": not context["allowPrivilegeEscalation"],
        },
        "mounts": mounts,
        "linux": {"namespaces": [{"type": s} for s in spaces], "maskedPaths": MASKED, "readonlyPaths": READ_ONLY,
                  "cgroupsPath": f"/{rootfs.parent.name}",
                  "resources": {"devices": [{"allow": False, "access": "rwm"},
                                            {"allow": True, "type": "c", "major": 1, "access": "rwm"}]}},
    }


class Contained(harness.Postern):
    """A Postern in a container as the DaemonSet has it, but for the store, which stands in for an API server."""

    def __init__(self):
        super().__init__()
        self.spec = pod_spec()
        self.main = self.spec["containers"][0]
        self.leases_dir.rmdir()
        (self.root / "cni").mkdir()
        self.leases_dir, self.cni_dir = self.root / "cni" / "networks", self.root / "cni" / "postern"
        self.rootfs = make_rootfs(self.root / "rootfs")
        self.host = {"config": self.root / "configmap", "netns": pathlib.Path("/run/netns"), "socket": self.socket_dir,
                     "run-cni": self.root / "run-cni", "state": self.root / "cni", "plugins": self.bin_dir,
                     "net-d": self.conf_dir, "networks": self.root / "networks",
                     **{n: self.root / n for n in ("pod-resources", "device-plugins", "device-info")}}
        for d in self.host.values():
            d.mkdir(exist_ok=True)
        assert set(self.host) == {v["name"] for v in self.spec["volumes"]}
        self.config = {**json.loads(config_text()), "store": "/etc/postern/store", "logLevel": "debug",
                       "devices": {"podResources": "/var/lib/kubelet/pod-resources/kubelet.sock"}}
        self.name = self.root.name
        self.programs = (*harness.ROLES, "postern-autoconf", "postern-devices")

    def ipam(self, *args, **kw):
        conf = super().ipam(*args, **kw)
        del conf["dataDir"]  # the plugin's own place, which must be the node's
        return conf

    def bundle(self, name, config):
        d = self.root / name
        d.mkdir(exist_ok=True)
        (d / "config.json").write_text(json.dumps(config))
        return str(d)

    def run_init(self):
        container = self.spec["initContainers"][0]
        config = oci(self.spec, container, self.rootfs, self.host)
        return harness.sh("runc", "run", "--bundle", self.bundle("init", config), self.name + "-init")

    def configuration(self):
        return oci(self.spec, self.main, self.rootfs, self.host, [("/etc/postern/store", self.store)])

    def start_container(self, config):
        (self.host["config"] / "postern.json").write_text(json.dumps(self.config))
        (self.host["config"] / "postern.json").chmod(0o400)
        harness.DOOR.parent.mkdir(parents=True, exist_ok=True)
        harness.DOOR.write_text(f"{self.socket_dir}/postern.sock\n")
        self.log = open(self.root / "log", "ab")
        pid = self.root / "pid"
        pid.unlink(missing_ok=True)
        self.runc = subprocess.Popen(["runc", "run", "--bundle", self.bundle("bundle", config), "--pid-file", str(pid), self.name],
                                     stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def start(self):
        self.start_container(self.configuration())
        harness.wait_for("the probe to succeed", lambda: self.runc.poll() is not None or self.probe("startupProbe") == 0, 30)
        assert self.runc.poll() is None, f"the container ended:\n{self.stderr()}"
        self.process = types.SimpleNamespace(pid=int((self.root / "pid").read_text()), poll=self.runc.poll)

    def probe(self, which):
        return self.execute(*self.main[which]["exec"]["command"]).returncode

    def execute(self, *argv):
        return harness.sh("runc", "exec", self.name, *argv, check=False)

    def stop(self, seconds=30):
        if not getattr(self, "runc", None):
            return
        harness.sh("runc", "kill", self.name, "TERM", check=False)
        try:
            code = self.runc.wait(seconds)
        finally:
            harness.sh("runc", "delete", "--force", self.name, check=False)
            self.process = self.runc = None
            self.log.close()
        assert code == 0, f"the container stopped with {code}:\n{self.stderr()}"
