"""Postern on an API server: the stand-in, or a real one where KUBEBUILDER_ASSETS names a directory with its binaries."""
import json
import os
import sys

import harness

sys.path.insert(0, os.path.dirname(__file__))
from apiserver import ApiServer, Cluster  # noqa: E402

ROLE = harness.SOURCE / "deploy" / "kubernetes" / "rbac.yaml"
PROGRAMS = ("postern-netpriv", "postern-exec", "postern-broker", "postern-kube", "postern-dial", "postern-devices")
REAL = "KUBEBUILDER_ASSETS" in os.environ
NAD = "network-attachment-definitions"


def api_server(directory):
    """Serving, with the service account of deploy/kubernetes/rbac.yaml and no other right for Postern."""
    if REAL:
        from apiserver.envtest import RealApiServer
        server = RealApiServer(directory)
    else:
        server = ApiServer(directory)
    server.start()
    server.grant(ROLE)
    return server


class KubePostern(harness.Postern):
    """Its pods and networks are objects of the cluster."""

    def __init__(self, server, cluster, **config):
        super().__init__(**config)
        self.server, self.api, self.programs = server, cluster, PROGRAMS
        del self.config["store"]
        self.made = []
        self.config.setdefault("nodeName", "node1")
        (self.root / "kubelet").mkdir()
        self.config.setdefault("devices", {"podResources": str(self.root / "kubelet" / "kubelet.sock"), "info": str(self.root / "devinfo"),
                                           "checkpoint": str(self.root / "kubelet" / "checkpoint")})
        if "kubeconfig" not in self.config and "perNodeCertificate" not in self.config:
            self.config["kubeconfig"] = str(server.write_kubeconfig(self.root / "kubeconfig", token=server.token()))

    def nad(self, name, config, namespace="default", annotations=None, **ignored):
        text = json.dumps(config) if isinstance(config, dict) else config
        self.api.put_nad(namespace, name, text, annotations)
        self.made.append((NAD, namespace, name))

    def write_pod(self, pod, networks=None, annotations=None, as_json=False):
        notes = dict(annotations or {})
        if networks is not None:
            notes["k8s.v1.cni.cncf.io/networks"] = networks if isinstance(networks, str) else json.dumps(networks)
        pod.uid = self.api.create_pod(pod.namespace, pod.name, notes)["metadata"]["uid"]
        self.made.append(("pods", pod.namespace, pod.name))

    def status(self, pod):
        text = self.api.get_status_annotation(pod.namespace, pod.name)
        return json.loads(text) if text else None

    def events(self, pod, n=None):
        """(type, reason, message) of the events about the pod, once there are n."""
        def told():
            # Their names say when they happened; they reach the server side by side.
            found = [(e["type"], e["reason"], e["message"])
                     for e in sorted(self.api.events(pod.namespace, pod.name), key=lambda e: e["metadata"]["name"])]
            return found if n is None or len(found) >= n else None
        return harness.wait_for(f"{n} events", told)

    def asked(self, verb, resource, pod=None):
        """How often Postern asked that of the server since the counters were reset."""
        return len([r for r in self.server.requests(verb=verb, resource=resource) if r.user_agent.startswith("postern/") and
                    (pod is None or r.name == pod.name)])

    def close(self):
        try:
            super().close()
        finally:
            for plural, namespace, name in self.made:
                self.api.delete(plural, namespace, name)

    def two_networks(self):
        """The NADs and the annotation of a pod with a macvlan and a second bridge."""
        self.nad("storage", dict(self.macvlan_conf("10.89.0.0/16"), cniVersion="1.0.0", name="storage"))
        self.nad("backup", {"cniVersion": "1.0.0", "name": "backup", "plugins": [
            self.bridge_conf("backup", self.tag + "br1", "10.90.0.0/16", routes=False), {"type": "tuning"}]})
        return [{"name": "storage", "default-route": ["10.89.0.1"]}, {"name": "backup"}]

    def stand_ins(self, n=2):
        """Networks that cost nothing, each with the count of the runs that it saw in the trace."""
        names = [f"null{i}" for i in range(n)]
        for name in names:
            self.nad(name, {"cniVersion": "1.0.0", "name": name, "type": "nullcni"})
        self.cluster({"type": "nullcni"})
        return ",".join(names)
