"""What the tests of the server itself begin with."""
import base64
import json

from .client import Client
from .cluster import Cluster, Refused
from .pki import make_request

POD = "/api/v1/namespaces/default/pods/p"
POD_READER = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
              {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]},
              {"apiGroups": ["k8s.cni.cncf.io"], "resources": ["network-attachment-definitions"], "verbs": ["get"],
               "resourceNames": ["mine"]}]


class Place:
    """A server with one pod, its administrator, and a client that is a service account with POD_READER."""

    def __init__(self, server):
        self.server, self.cluster = server, Cluster(server)
        server.grant(POD_READER)
        self.client = self.as_token(server.token())
        self.cluster.create_pod("default", "p", {"a": "b"})

    def as_token(self, token):
        return Client(self.server.url, self.server.ca, token=token)

    def get(self, path=POD, **headers):
        return self.client.request("GET", path, headers=headers)

    def close(self):
        self.cluster.close()
        self.client.close()


def refused(call, *args, **how):
    """The status and the body of the refusal that the call must end with."""
    try:
        call(*args, **how)
    except Refused as e:
        return e.status, json.loads(e.body)
    raise AssertionError("this was not refused")


def ask_certificate(cluster, name, **spec):
    """A key, and the object of the request for its certificate."""
    key, pem = make_request("system:multus:node1", ["system:multus"])
    obj = cluster.create("certificatesigningrequests", "", {
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"generateName": name + "-"},
        "spec": {"request": base64.b64encode(pem).decode(), "signerName": "kubernetes.io/kube-apiserver-client",
                 "usages": ["digital signature", "client auth"], "expirationSeconds": 3600, **spec}})
    return key, obj
