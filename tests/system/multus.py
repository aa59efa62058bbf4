"""Pods as Multus leaves them on a node: its plugins have run, and what it kept of them lies beneath one directory. The shapes are
those of its three generations of scratch file (GENERATIONS) and of libcni's result cache."""
import base64
import json
import os
import subprocess

GENERATIONS = ("bytes", "parsed", "again")  # before 4.2.1; 4.2.1 to 4.3.0; after that


def b64(value):
    return base64.b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode()


def standard(conf):
    """What is left of a plugin's configuration in the members that CNI itself knows."""
    out = {k: conf[k] for k in sorted(conf) if k in ("cniVersion", "name", "type", "capabilities", "dns")}
    return dict(out, ipam={"type": conf["ipam"]["type"]} if "type" in conf.get("ipam", {}) else {})


class Network:
    """conf: of one plugin, or with "plugins"; from_file: read from a *.conflist; fields: of the scratch file (macRequest, ...)."""

    def __init__(self, conf, name=None, from_file=False, runtime=None, **fields):
        self.conf, self.name, self.from_file = conf, name or conf["name"], from_file
        self.runtime, self.fields, self.result = runtime or {}, fields, None
        self.plugins = conf.get("plugins", [conf])

    def ifname(self, index):
        return self.fields.get("ifnameRequest") or ("eth0" if index == 0 else f"net{index}")

    def args(self):
        """Beyond those that name the pod."""
        return ([["MAC", self.fields["macRequest"]]] if "macRequest" in self.fields else []) + \
               ([["IP", ",".join(self.fields["ipRequest"])]] if "ipRequest" in self.fields else [])

    def entry(self, generation):
        """One object of the scratch file."""
        conf, as_list = self.conf, "plugins" in self.conf
        e = {"Conf": {"ipam": {}} if as_list else standard(conf), "ConfList": {}}
        if as_list:
            e["ConfList"] = {k: conf[k] for k in ("cniVersion", "name", "disableCheck", "disableGC") if k in conf}
            e["ConfList"]["plugins"] = [standard(p) for p in self.plugins]
        if generation == "parsed":
            e["CNINetworkConfigList"] = {"Name": "", "CNIVersion": "", "DisableCheck": False, "DisableGC": False,
                                         "LoadOnlyInlinedPlugins": False, "Plugins": None, "Bytes": None}
            if self.from_file:
                e["CNINetworkConfigList"].update(
                    Name=conf["name"], CNIVersion=conf.get("cniVersion", ""), Bytes=b64(conf),
                    Plugins=[{"Network": standard(p), "Bytes": b64(p)} for p in self.plugins])
        e["Name"] = self.name
        e.update(self.fields)
        e.update(IsFilterV4Gateway=False, IsFilterV6Gateway=False)
        # For a list from a file there were years in which the bytes had only the standard members.
        e["Bytes"] = b64(e["ConfList"] if generation == "parsed" and self.from_file else conf)
        return e


class Multus:
    def __init__(self, node, directory):
        self.node, self.dir = node, directory
        (directory / "results").mkdir(parents=True, mode=0o700)

    def run(self, verb, pod, network, index, plugin, prev):
        stdin = dict(plugin, name=network.conf["name"], cniVersion=network.conf.get("cniVersion", ""))
        runtime = {k: v for k, v in network.runtime.items() if plugin.get("capabilities", {}).get(k)}
        if runtime:
            stdin["runtimeConfig"] = runtime
        if prev is not None:
            stdin["prevResult"] = prev
        args = self.node.cni_args(pod).split(";") + ["=".join(a) for a in network.args()]
        env = {"CNI_COMMAND": verb, "CNI_CONTAINERID": pod.id, "CNI_NETNS": pod.netns, "CNI_IFNAME": network.ifname(index),
               "CNI_ARGS": ";".join(args), "CNI_PATH": str(self.node.bin_dir), "PATH": os.environ["PATH"]}
        r = subprocess.run([str(self.node.bin_dir / plugin["type"])], input=json.dumps(stdin), env=env, capture_output=True,
                           text=True, timeout=60)
        assert r.returncode == 0, f"{plugin['type']}: {r.stdout}{r.stderr}"
        return json.loads(r.stdout) if r.stdout.strip() else None

    def cache_path(self, pod, network, index):
        return self.dir / "results" / f"{network.conf['name']}-{pod.id}-{network.ifname(index)}"

    def add(self, pod, networks, generation="again"):
        """Sets them up as an ADD through Multus does; the first is the cluster network."""
        self.scratch(pod, networks, generation)
        for index, network in enumerate(networks):
            for plugin in network.plugins:
                network.result = self.run("ADD", pod, network, index, plugin, network.result)
            args = [a.split("=", 1) for a in self.node.cni_args(pod).split(";")] + network.args()
            cached = {"kind": "cniCacheV1", "containerId": pod.id, "config": b64(network.conf), "ifName": network.ifname(index),
                      "networkName": network.conf["name"], "netns": pod.netns, "cniArgs": args}
            if network.runtime:
                cached["capabilityArgs"] = network.runtime
            cached["result"] = network.result
            path = self.cache_path(pod, network, index)
            path.write_text(json.dumps(cached))
            path.chmod(0o600)

    def scratch(self, pod, networks, generation="again"):
        self.write(pod, json.dumps([n.entry(generation) for n in networks]))

    def write(self, pod, content):
        path = self.dir / pod.id
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o600)

    def files(self, pod=None):
        """Name -> (bytes, when they were written)."""
        return {str(p.relative_to(self.dir)): (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(self.dir.rglob("*"))
                if p.is_file() and (not pod or pod.id in p.name)}
