"""One configuration through libcni and through Postern, with the same delegates: what each of them calls, and what comes out.

The delegates are libcni's own test double, the noop plugin, each behind a recorder: noop keeps its last call only, and none that
its skeleton refuses."""
import dataclasses
import json
import os
import shutil

import harness

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # as Postern's delegates have it
GOPATH = "/usr/share/gocode"
NOOPS = ("noop1", "noop2", "noop3")

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
