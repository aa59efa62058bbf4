"""Runs Debian's containerd with Postern as its CNI, and speaks CRI to it as a kubelet does. Its state lies beneath the node's
directory, but for what containerd and its shim have fixed places for: namespaces (/run/netns/cni-*), sockets of shims
(/run/containerd/s) and libcni's results (/var/lib/cni), which are taken away again."""
import hashlib
import importlib
import io
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tarfile

import harness

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # children are started by the tests while calls are under way
import grpc  # noqa: E402

IMAGE = "postern.test/pause:1"
CGROUP = "/ptn-containerd"
NETNS = pathlib.Path("/run/netns")
FIXED = [pathlib.Path("/run/containerd/s"), pathlib.Path("/var/lib/cni/results")]
CONFIG = """
version = 2
root = "{root}/root"
state = "{root}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.overlayfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
address = "{root}/sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{root}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{image}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{root}/runc"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{root}/bin"
conf_dir = "{root}/net.d"
"""


def tar(files):
    """A tar archive of name -> (content, mode)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            t.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def pause_image():
    """An image archive as "docker save" writes it: one layer with one program."""
    layer = tar({"pause": ((harness.TOOLS / "pause").read_bytes(), 0o755)})
    config = {"os": "linux", "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
              "config": {"Entrypoint": ["/pause"]},
              "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}
    manifest = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    return tar({"manifest.json": (json.dumps(manifest).encode(), 0o644), "config.json": (json.dumps(config).encode(), 0o644),
                "layer.tar": (layer, 0o644)})


def compile_proto(directory):
    """The messages of cri.proto as a Python module."""
    if "cri_pb2" not in sys.modules:
        harness.sh("protoc", f"--proto_path={pathlib.Path(__file__).parent}", f"--python_out={directory}", "cri.proto")
        sys.path.insert(0, str(directory))
        try:
            importlib.import_module("cri_pb2")
        finally:
            sys.path.remove(str(directory))
    return sys.modules["cri_pb2"]


class Containerd:
    def __init__(self, node):
        self.node, self.root, self.process = node, node.root / "containerd", None
        self.netns_before, self.fixed_before = self.netns(), fixed_places()
        for d in ("bin", "net.d"):
            (self.root / d).mkdir(parents=True)
        for program in (harness.BUILD / "postern-shim", harness.PLUGINS / "loopback"):
            shutil.copy2(program, self.root / "bin" / program.name)
        (self.root / "net.d" / "00-postern.conf").write_text(json.dumps(node.netconf()))
        (self.root / "config.toml").write_text(CONFIG.format(root=self.root, image=IMAGE))
        (self.root / "pause.tar").write_bytes(pause_image())
        self.pb = compile_proto(self.root)

    # The daemon.

    def load_image(self):
        self.ctr("images", "import", "--snapshotter", "native", str(self.root / "pause.tar"))
        # CRI learns of images by events. Before that it would try to pull this one.
        harness.wait_for("CRI to know the image", lambda: "io.cri-containerd.image=managed" in self.ctr("images", "ls"))

    def start(self):
        sock = self.root / "sock"
        sock.unlink(missing_ok=True)
        with open(self.root / "log", "ab") as log:
            self.process = subprocess.Popen(["containerd", "--config", str(self.root / "config.toml")], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd=self.root)
        # A refusal would make gRPC pause for seconds.
        harness.wait_for("containerd's socket", lambda: harness.is_socket(sock) or self.process.poll() is not None)
        self.channel = grpc.insecure_channel(f"unix:{sock}")
        service = self.pb.DESCRIPTOR.services_by_name["RuntimeService"]
        self.calls = {m.name: self.channel.unary_unary(f"/{service.full_name}/{m.name}",
                                                       request_serializer=lambda message: message.SerializeToString(),
                                                       response_deserializer=getattr(self.pb, m.output_type.name).FromString)
                      for m in service.methods}
        harness.wait_for("containerd and its network to be ready", self.ready, 30)

    def ready(self):
        assert self.process.poll() is None, f"containerd ended:\n{self.log()}"
        try:
            conditions = self.call("Status").status.conditions
        except grpc.RpcError:
            return False
        return {"RuntimeReady", "NetworkReady"} <= {c.type for c in conditions if c.status}

    def stop(self, how=signal.SIGTERM):
        if self.process:
            self.channel.close()
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def log(self):
        path = self.root / "log"
        return path.read_text(errors="replace")[-8000:] if path.exists() else ""

    def ctr(self, *argv):
        return harness.sh("ctr", "--address", str(self.root / "sock"), "--namespace", "k8s.io", *argv).stdout

    # CRI.

    def call(self, method, **fields):
        return self.calls[method](getattr(self.pb, method + "Request")(**fields), timeout=60)

    def run(self, pod, attempt=0):
        """Makes the pod's sandbox: its id and its namespace are the pod's from then on."""
        metadata = {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid, "attempt": attempt}
        pod.id = self.call("RunPodSandbox", config={"metadata": metadata, "hostname": pod.name, "linux": {
            "cgroup_parent": CGROUP}}).pod_sandbox_id
        spec = self.info(pod)["runtimeSpec"]
        pod.netns = next(s["path"] for s in spec["linux"]["namespaces"] if s["type"] == "network")
        pod.netns_name = os.path.basename(pod.netns)

    def status(self, pod, verbose=False):
        return self.call("PodSandboxStatus", pod_sandbox_id=pod.id, verbose=verbose)

    def info(self, pod):
        return json.loads(self.status(pod, verbose=True).info["info"])

    def halt(self, pod):
        self.call("StopPodSandbox", pod_sandbox_id=pod.id)

    def remove(self, pod):
        self.call("RemovePodSandbox", pod_sandbox_id=pod.id)

    def sandboxes(self):
        return [s.id for s in self.call("ListPodSandbox").items]

    # What is there.

    def netns(self):
        return {p.name for p in NETNS.glob("cni-*")}

    def leaked_netns(self):
        return self.netns() - self.netns_before

    def shims(self):
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
                if harness.program(pid).startswith("containerd-shim") and str(self.root) in command_line(pid)]

    def nothing_left(self):
        assert self.sandboxes() == []
        assert self.leaked_netns() == set()
        harness.wait_for("shims to end", lambda: not self.shims(), 10)

    def close(self):
        try:
            for sandbox in self.sandboxes() if self.process else []:
                self.call("StopPodSandbox", pod_sandbox_id=sandbox)
                self.call("RemovePodSandbox", pod_sandbox_id=sandbox)
        except grpc.RpcError:
            pass  # the test that broke it says so; clean() takes the rest
        finally:
            self.stop(signal.SIGKILL)
            self.clean()

    def clean(self):
        """What is only left when a test failed, or when containerd was made to forget; and the fixed places."""
        groups = list(pathlib.Path("/sys/fs/cgroup").glob(f"*{CGROUP}"))
        for pid in self.shims() + [int(pid) for g in groups for f in g.rglob("cgroup.procs") for pid in f.read_text().split()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for name in self.leaked_netns():
            harness.sh("ip", "netns", "del", name, check=False)
        mounts = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in reversed([m for m in mounts if m.startswith(f"{self.root}/")]):
            harness.sh("umount", "--lazy", mount)
        for group in groups:
            harness.wait_for("its processes to end", lambda: not any(f.read_text() for f in group.rglob("cgroup.procs")))
            for d in (*sorted(group.rglob("*/"), reverse=True), group):
                d.rmdir()
        for path in sorted(fixed_places() - self.fixed_before, reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


def fixed_places():
    """What is there of them: parents, directories, files."""
    return {p for d in FIXED for p in (d.parent, d, *d.glob("*")) if p.exists()}


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
