"""What tests do to a cluster, over its API alone: the same against the stand-in and a real server."""
import base64
import urllib.parse

from .client import Client
from .resources import RESOURCES, now

NADS = "network-attachment-definitions"
STATUS_ANNOTATION = "k8s.v1.cni.cncf.io/network-status"
BY_PLURAL = {r.plural: r for r in RESOURCES.values()}


class Refused(Exception):
    def __init__(self, answer):
        super().__init__(f"{answer.status}: {answer.body[:500].decode(errors='replace')}")
        self.status, self.body = answer.status, answer.body


def collection(plural, namespace=""):
    resource = BY_PLURAL[plural]
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    return root + (f"/namespaces/{namespace}" if namespace else "") + f"/{plural}"


class Cluster:
    """As an administrator of the server: an ApiServer or a RealApiServer."""

    def __init__(self, server):
        self.server = server
        prefix = server.directory / "admin"
        self.client = Client(server.url, server.ca, server.admin.write(prefix))
        self.namespaces = set()

    def close(self):
        self.client.close()

    def do(self, method, path, body=None, **headers):
        """The object that is answered; Refused for any status but 2xx."""
        answer = self.client.request(method, path, body, headers)
        if answer.status >= 300:
            raise Refused(answer)
        return answer.json

    def ensure_namespace(self, name):
        if name in self.namespaces:
            return
        try:
            self.do("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        except Refused as e:
            if e.status != 409:
                raise
        self.namespaces.add(name)

    def get(self, plural, namespace, name):
        return self.do("GET", f"{collection(plural, namespace)}/{name}")

    def list(self, plural, namespace="", **query):
        return self.do("GET", collection(plural, namespace) + "?" + urllib.parse.urlencode(query))["items"]

    def watch(self, plural, namespace="", **query):
        return self.client.watch(collection(plural, namespace) + "?" + urllib.parse.urlencode({"watch": "1", **query}))

    def create(self, plural, namespace, obj):
        if namespace:
            self.ensure_namespace(namespace)
        return self.do("POST", collection(plural, namespace), obj)

    def patch(self, plural, namespace, name, patch, sub=""):
        return self.do("PATCH", f"{collection(plural, namespace)}/{name}" + (f"/{sub}" if sub else ""), patch)

    def delete(self, plural, namespace, name, missing_ok=True):
        """Now, without the grace that a kubelet would end."""
        try:
            self.do("DELETE", f"{collection(plural, namespace)}/{name}",
                    {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0})
        except Refused as e:
            if e.status != 404 or not missing_ok:
                raise

    def terminate(self, namespace, name):
        """Deletes a pod as a user does: it is there until the kubelet is done."""
        return self.do("DELETE", f"{collection('pods', namespace)}/{name}")

    # Pods

    def create_pod(self, namespace, name, annotations=None, node="node1", uid=None, labels=None):
        """The pod. A chosen uid only the stand-in can give."""
        pod = {"apiVersion": "v1", "kind": "Pod",
               "metadata": {"name": name, "namespace": namespace, "annotations": annotations or {}, "labels": labels or {}},
               "spec": {"nodeName": node, "containers": [{"name": "main", "image": "registry.example/image:1"}],
                        "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 30}}
        if uid is None:
            return self.create("pods", namespace, pod)
        pod["metadata"]["uid"] = uid
        return self.server.seed(pod)

    def annotate(self, namespace, name, **annotations):
        return self.patch("pods", namespace, name, {"metadata": {"annotations": annotations}})

    def get_status_annotation(self, namespace, name):
        """The text of the network-status annotation, None when there is none."""
        return self.get("pods", namespace, name)["metadata"].get("annotations", {}).get(STATUS_ANNOTATION)

    def events(self, namespace, pod=None):
        """The events about a pod, in the order of their creation."""
        query = {"fieldSelector": f"involvedObject.name={pod}"} if pod else {}
        return sorted(self.list("events", namespace, **query), key=lambda e: int(e["metadata"]["resourceVersion"]))

    # Networks

    def put_nad(self, namespace, name, config=None, annotations=None):
        """Makes the network, or makes it so. config: the text of spec.config; None: no spec at all."""
        obj = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
               "metadata": {"name": name, "namespace": namespace, "annotations": annotations or {}}}
        if config is not None:
            obj["spec"] = {"config": config}
        try:
            return self.create(NADS, namespace, obj)
        except Refused as e:
            if e.status != 409:
                raise
        old = self.get(NADS, namespace, name)
        obj["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        return self.do("PUT", f"{collection(NADS, namespace)}/{name}", obj)

    def delete_nad(self, namespace, name):
        self.delete(NADS, namespace, name)

    # Certificates

    def csrs(self):
        return self.list("certificatesigningrequests")

    def decide_csr(self, name, condition="Approved"):
        """Approved or Denied, as a person does with kubectl."""
        obj = self.get("certificatesigningrequests", "", name)
        obj.setdefault("status", {})["conditions"] = [
            {"type": condition, "status": "True", "reason": "Test", "message": "decided by the test", "lastUpdateTime": now()}]
        return self.do("PUT", f"{collection('certificatesigningrequests')}/{name}/approval", obj)

    def sign_csr(self, name, seconds=None):
        """Gives the certificate, as the signer of the cluster's controllers does; seconds in place of what was asked for."""
        spec = self.get("certificatesigningrequests", "", name)["spec"]
        cert = self.server.pki.sign_request(base64.b64decode(spec["request"]), seconds or spec.get("expirationSeconds", 86400))
        return self.patch("certificatesigningrequests", "", name,
                          {"status": {"certificate": base64.b64encode(cert).decode()}}, "status")
