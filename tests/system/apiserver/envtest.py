"""A real kube-apiserver behind the face of ApiServer, when KUBEBUILDER_ASSETS names a directory that holds kube-apiserver and
etcd (the convention of envtest). Faults it has none; what tests do to it goes through Cluster."""
import os
import pathlib
import socket
import subprocess
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from . import pki
from .auth import ADMINS, load_documents, load_role
from .client import Lost
from .cluster import Cluster, Refused
from .face import Face

GROUP_PATHS = {"ServiceAccount": "serviceaccounts", "ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings",
               "Role": "roles", "RoleBinding": "rolebindings", "CustomResourceDefinition": "customresourcedefinitions",
               "ConfigMap": "configmaps"}
CRD = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
       "metadata": {"name": "network-attachment-definitions.k8s.cni.cncf.io"},
       "spec": {"group": "k8s.cni.cncf.io", "scope": "Namespaced",
                "names": {"plural": "network-attachment-definitions", "singular": "network-attachment-definition",
                          "kind": "NetworkAttachmentDefinition", "shortNames": ["net-attach-def"]},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                    "type": "object", "properties": {"spec": {"type": "object",
                                                              "properties": {"config": {"type": "string"}}}}}}}]}}
START_SECONDS = 120


def assets():
    """The directory with the programs, None when there is none."""
    directory = os.environ.get("KUBEBUILDER_ASSETS")
    if not directory:
        return None
    missing = [n for n in ("kube-apiserver", "etcd") if not os.access(pathlib.Path(directory) / n, os.X_OK)]
    if missing:
        raise FileNotFoundError(f"KUBEBUILDER_ASSETS={directory} has no {' and no '.join(missing)}")
    return pathlib.Path(directory)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class RealApiServer(Face):
    supports_faults = False

    def __init__(self, directory, port=0, crd=CRD):
        """crd: the definition of networks, or the path of a manifest with it; None: none is installed."""
        self.directory, self.port, self.crd = pathlib.Path(directory), port or free_port(), crd
        self.directory.mkdir(parents=True, exist_ok=True)
        self.etcd_port, self.peer_port = free_port(), free_port()
        self.pki = pki.Pki()
        self.admin = self.pki.client("admin", [ADMINS])
        self.processes = []
        self.pki.server().write(self.directory / "server")
        pki.write_file(self.directory / "client-ca.crt", self.pki.client_ca.pem)
        key = rsa.generate_private_key(65537, 2048)
        pki.write_file(self.directory / "sa.key", key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()))
        self.cluster = None

    def run(self, program, *options):
        with open(self.directory / f"{program}.log", "ab") as log:
            self.processes.append(subprocess.Popen([assets() / program, *options], cwd=self.directory, stdin=subprocess.DEVNULL,
                                                   stdout=log, stderr=log, start_new_session=True))

    def start(self):
        """Again after stop(): the same objects at the same port."""
        etcd = f"http://127.0.0.1:{self.etcd_port}"
        peer = f"http://127.0.0.1:{self.peer_port}"
        self.run("etcd", "--data-dir", "etcd", "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
                 "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}")
        self.run("kube-apiserver", f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
                 f"--secure-port={self.port}", "--tls-cert-file=server.crt", "--tls-private-key-file=server.key",
                 "--client-ca-file=client-ca.crt", "--service-account-issuer=https://kubernetes.default.svc",
                 "--service-account-key-file=sa.key", "--service-account-signing-key-file=sa.key", "--authorization-mode=RBAC",
                 "--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount",
                 "--endpoint-reconciler-type=none")
        self.cluster = self.cluster or Cluster(self)
        try:
            self.wait_ready()
            self.install_crd()
        except BaseException:
            self.stop()
            raise
        return self

    def wait_ready(self):
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                answer = self.cluster.client.request("GET", "/readyz")
                if answer.status == 200:
                    return
                why = answer.body.decode(errors="replace")
            except (Lost, OSError) as e:
                why = str(e)
            gone = [p.args[0] for p in self.processes if p.poll() is not None]
            if gone or time.monotonic() > end:
                raise RuntimeError(f"{gone or 'the API server'} did not come up ({why}); logs in {self.directory}")
            time.sleep(0.1)

    def install_crd(self):
        if self.crd is None:
            return
        documents = [self.crd] if isinstance(self.crd, dict) else list(load_documents(self.crd))
        for d in documents:
            self.apply(d)
        end = time.monotonic() + START_SECONDS
        while self.cluster.client.request("GET", "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions").status != 200:
            if time.monotonic() > end:
                raise RuntimeError("the definition of networks was not established")
            time.sleep(0.1)

    def stop(self):
        for p in reversed(self.processes):
            p.terminate()
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.processes = []
        if self.cluster:
            self.cluster.close()

    def apply(self, obj):
        """Makes an object of a manifest, if it is not there yet; kinds that Postern's manifests do not need are an error."""
        version, namespace = obj["apiVersion"], obj["metadata"].get("namespace")
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        path = root + (f"/namespaces/{namespace}" if namespace else "") + "/" + GROUP_PATHS[obj["kind"]]
        if namespace:
            self.cluster.ensure_namespace(namespace)
        try:
            self.cluster.do("POST", path, obj)
        except Refused as e:
            if e.status != 409:
                raise

    def load(self, *paths):
        """Makes what manifests say about accounts and roles."""
        for d in load_documents(*paths):
            if d["kind"] in GROUP_PATHS and d["kind"] != "CustomResourceDefinition":
                self.apply(d)

    def ensure_account(self, namespace, name):
        self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}})

    def grant(self, rules, namespace="kube-system", name="postern"):
        """Gives a service account the rules: a list of them, or the path of a manifest with one (Cluster)Role."""
        rules = rules if isinstance(rules, list) else load_role(rules)
        self.ensure_account(namespace, name)
        group = "rbac.authorization.k8s.io"
        role = f"test-{next(pki.SERIAL)}"
        self.apply({"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": role}, "rules": rules})
        self.apply({"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": role},
                    "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
                    "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]})

    def token(self, namespace="kube-system", name="postern", seconds=3600):
        """From the TokenRequest API, which gives none for less than ten minutes."""
        self.ensure_account(namespace, name)
        answer = self.cluster.do("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": max(seconds, 600)}})
        return answer["status"]["token"]
