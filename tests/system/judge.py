"""One configuration through libcni and through Postern, with the same delegates: what each of them calls, and what comes out.

The delegates are libcni's own test double, the noop plugin, each behind a recorder: noop keeps its last call only, and none that
its skeleton refuses."""
import dataclasses
import json
import os
import shutil

import harness
import pytest

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # as Postern's delegates have it
GOPATH = "/usr/share/gocode"
NOOPS = ("noop1", "noop2", "noop3")
NET = "judged"  # name of the network

RECORDER = """#!/bin/sh
call={calls}/$(printf %03d $(ls {calls} | wc -l))-{name}
mkdir $call
cat /proc/$$/environ >$call/env
cat >$call/stdin
case $CNI_COMMAND in
GC | STATUS) # noop's CNI does not know them
	cat {control}/{name}.$CNI_COMMAND 2>/dev/null && exit 1
	exit 0 ;;
esac
cp {control}/{name}.$CNI_COMMAND $call/debug
CNI_ARGS="${{CNI_ARGS:+$CNI_ARGS;}}DEBUG=$call/debug" exec {noop} <$call/stdin
"""


# What delegates answer.

def result(version="1.0.0", **more):
    """A result as plugins of that version print it."""
    if version in ("", "0.1.0", "0.2.0"):
        return {"cniVersion": version, "ip4": {"ip": "10.1.2.3/24", "gateway": "10.1.2.1", "routes": [{"dst": "0.0.0.0/0"}]},
                "ip6": {"ip": "fd01::3/64", "routes": [{"dst": "::/0", "gw": "fd01::1"}]}, "dns": {"domain": "pods"}, **more}
    ip = {"interface": 1, "address": "10.1.2.3/24", "gateway": "10.1.2.1"}
    ips = [ip, {"address": "fd01::3/64"}]
    if version.startswith("0."):
        ips = [dict(ip, version="4" if "." in ip["address"] else "6") for ip in ips]
    return {"cniVersion": version, "interfaces": [{"name": "host0", "mac": "02:00:00:00:00:01"},
                                                  {"name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/x"}],
            "ips": ips, "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.2.1"}, {"dst": "fd02::/64"}],
            "dns": {"nameservers": ["10.1.2.53"], "search": ["pods", "all"], "options": ["ndots:2"]}, **more}


def says(what, **more):
    """noop prints that: an object, or text."""
    return {"ReportResult": what if isinstance(what, str) else json.dumps(what), **more}


def fails(code=123, msg="no luck today", details="ask again", status=1):
    return says({"code": code, "msg": msg, **({"details": details} if details else {})}, ExitWithCode=status)


PASS = {"ReportResult": "PASSTHROUGH"}
ADD_DNS = {"ReportResult": "INJECT-DNS"}


# Configurations.

def plugin(n=1, **more):
    return {"type": f"noop{n}", **more}


def chain(*plugins, version="1.0.0", **top):
    return {"name": NET, **({} if version is None else {"cniVersion": version}), "plugins": list(plugins), **top}


def single(version="1.0.0", **more):
    return {"name": NET, **({} if version is None else {"cniVersion": version}), **plugin(), **more}


@dataclasses.dataclass
class Case:
    id: str
    config: object  # an object, or text
    control: dict = dataclasses.field(default_factory=dict)  # (plugin, verb) -> what noop does; ADD of the first: a result
    differs: dict = dataclasses.field(default_factory=dict)  # id of DIFFERENCES -> what that function is to know
    later: object = None  # the configuration at CHECK and DEL, when it is another one
    capabilities: dict = dataclasses.field(default_factory=dict)
    args: list = dataclasses.field(default_factory=list)
    env: dict = dataclasses.field(default_factory=dict)  # of the caller
    steps: tuple = ("ADD", "CHECK", "DEL")
    container: str = None
    ifname: str = "eth0"
    netns: str = None  # with {pod}, and {pid} of this process
    runtime: str = None  # the version that the runtime speaks, when the configuration's would not do
    link: bool = True  # there is an eth0 after ADD
    drops_netns: bool = False  # before DEL

    def text(self, verb):
        config = self.later if self.later and verb != "ADD" else self.config
        return config if isinstance(config, str) else json.dumps(config)

    def namespace(self, pod):
        return pod.netns if self.netns is None else self.netns.format(pod=pod, pid=os.getpid())

    @property
    def single(self):
        return "plugins" not in self.config

    def version(self):
        return str(self.config.get("cniVersion", "")) if isinstance(self.config, dict) else "1.0.0"

    def runtime_version(self):
        return self.runtime or self.version() or "0.1.0"

    def controls(self):
        return {("noop1", "ADD"): says(result(self.version())), **{(f"noop{n}", "ADD"): PASS for n in (2, 3)}, **self.control}


# What tries them.

def build():
    """The two Go programs, out of what the distribution packages: no network."""
    env = {"PATH": os.environ["PATH"], "GO111MODULE": "off", "GOPATH": GOPATH, "GOPROXY": "off", "CGO_ENABLED": "0",
           "GOCACHE": str(harness.BUILD / "go-cache")}
    for name, source in (("judge", str(harness.SOURCE / "tests/judge/judge.go")),
                         ("noop", "github.com/containernetworking/cni/plugins/test/noop")):
        harness.sh("go", "build", "-o", str(harness.TOOLS / name), source, env=env, timeout=300)


@dataclasses.dataclass
class Call:
    """One run of a delegate."""
    plugin: str
    env: dict
    stdin: object


@dataclasses.dataclass
class Step:
    """One CNI command: the delegates' runs, and what the caller gets."""
    verb: str
    calls: list
    result: object = None
    error: dict = None  # code (None: it has none), msg, details


class Court:
    """A Postern whose cluster network is what the case says, and libcni with the same plugins in the same namespace."""

    def __init__(self):
        build()
        self.postern = p = harness.Postern()
        self.control, self.calls, self.cache = p.root / "control", p.root / "calls", p.root / "cache"
        p.config["clusterNetwork"] = str(p.conf_dir)
        p.config["plugins"] = [*NOOPS, "absent"]
        for name in NOOPS:
            path = p.bin_dir / name
            path.write_text(RECORDER.format(name=name, calls=self.calls, control=self.control, noop=harness.TOOLS / "noop"))
            path.chmod(0o755)
        p.start()

    def set_config(self, text, single):
        for path in self.postern.conf_dir.iterdir():
            path.unlink()
        (self.postern.conf_dir / ("10-net.conf" if single else "10-net.conflist")).write_text(text)

    def set_control(self, control):
        """(plugin, verb) -> noop's Debug; for GC and STATUS the error that is printed."""
        shutil.rmtree(self.control, ignore_errors=True)
        self.control.mkdir()
        for name in NOOPS:
            for verb in ("ADD", "CHECK", "DEL"):
                (self.control / f"{name}.{verb}").write_text("{}")
        for (name, verb), debug in control.items():
            (self.control / f"{name}.{verb}").write_text(json.dumps(debug))

    def forget_calls(self):
        shutil.rmtree(self.calls, ignore_errors=True)
        self.calls.mkdir()

    def take_calls(self):
        taken = []
        for path in sorted(self.calls.iterdir()):
            pairs = (path / "env").read_text().split("\0")
            stdin = (path / "stdin").read_text()
            taken.append(Call(path.name.split("-")[1], dict(p.split("=", 1) for p in pairs if p), json.loads(stdin)))
        self.forget_calls()
        return taken

    def libcni(self, case, pod, verb):
        """What a runtime that has no Postern in between does: its arguments are those that Postern hands on."""
        args = [["IgnoreUnknown", "true"], ["K8S_POD_NAMESPACE", pod.namespace], ["K8S_POD_NAME", pod.name],
                ["K8S_POD_INFRA_CONTAINER_ID", pod.id], ["K8S_POD_UID", pod.uid], *case.args]
        request = {"Verb": verb, "Config": case.text(verb), "List": not case.single, "Path": str(self.postern.bin_dir),
                   "Cache": str(self.cache), "ID": case.container or pod.id,
                   "Netns": case.namespace(pod), "Ifname": case.ifname,
                   "Args": args, "Capabilities": case.capabilities}
        out = harness.sh(str(harness.TOOLS / "judge"), input=json.dumps(request), env={"PATH": PATH, **case.env})
        answer = json.loads(out.stdout)
        return Step(verb, self.take_calls(), answer["result"], tidy(answer["error"]))

    def through_postern(self, case, pod, verb):
        self.set_config(case.text(verb), case.single)
        args = ";".join([self.postern.cni_args(pod), *map("=".join, case.args)])
        stdin = self.postern.netconf(case.runtime_version(), runtimeConfig=case.capabilities)
        variables = {"containerid": case.container} if case.container else {}
        answer = self.postern.cni(verb, pod, stdin=stdin, args=args, ifname=case.ifname, netns=case.namespace(pod),
                                  **variables)
        step = Step(verb, self.take_calls())
        if answer.exit:
            step.error = tidy(answer.failed().json)
        else:
            step.result = answer.json
        return step

    def try_case(self, case):
        """The same commands to both, one after the other."""
        pod = self.postern.pod()
        sides = []
        for side in (self.libcni, self.through_postern):
            self.set_control(case.controls())
            self.forget_calls()
            steps = []
            for verb in case.steps:
                if verb == "DEL" and case.drops_netns:
                    pod.drop_netns()
                steps.append(side(case, pod, verb))
                if verb == "ADD" and case.link and side == self.through_postern and not steps[-1].error:
                    harness.sh("ip", "-n", pod.netns_name, "link", "add", "eth0", "type", "bridge")
            sides.append(steps)
            if case.drops_netns and side == self.libcni:
                harness.sh("ip", "netns", "add", pod.netns_name)
            shutil.rmtree(self.cache, ignore_errors=True)
        self.clean_up(pod)
        return pod, *sides

    def clean_up(self, pod):
        """What a case left undone, which the delegates now allow."""
        self.set_control({(name, "DEL"): {"ReportVersionSupport": ["0.1.0", "1.0.0", "1.1.0"]} for name in NOOPS})
        if self.postern.journal():
            self.postern.delete(pod).ok()
        harness.wait_for("an empty journal", lambda: not self.postern.journal())
        self.postern.drop_pods()
        self.forget_calls()

    def close(self):
        self.postern.close()


def tidy(error):
    return error and {"code": error.get("code"), "msg": error["msg"], "details": error.get("details", "")}


@pytest.fixture(scope="module")
def court():
    c = Court()
    try:
        yield c
    finally:
        c.close()
