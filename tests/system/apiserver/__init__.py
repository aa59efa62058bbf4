"""A Kubernetes API server for tests: a strict stand-in that can be told to fail, and a real one behind the same face.

    with ApiServer(directory) as server:            # or envtest.RealApiServer, where assets() finds one
        server.load("deploy/kubernetes/rbac.yaml")  # what it may do, or server.grant(rules)
        server.write_service_account(directory)     # its credentials; server.write_kubeconfig(path, token=...)
        cluster = Cluster(server)                   # what an administrator does, over the API
        cluster.create_pod("default", "p")
        server.fail(503, verb="get", resource="pods", count=2)
        server.fault("rst", code=7, at="body")      # faults.py says what there is
        server.requests(verb="get", resource="pods")
"""
from .client import Client, Lost
from .cluster import Cluster, Refused
from .faults import BODIES, Fault, HugeBody
from .frames import FLOODS, MALFORMED
from .pki import make_request
from .server import ApiServer

__all__ = ["ApiServer", "BODIES", "Client", "Cluster", "FLOODS", "Fault", "HugeBody", "Lost", "MALFORMED", "Refused",
           "make_request"]
