"""A certificate for each node: asked for with the bootstrap credentials, renewed with itself, lost, and asked for again."""
import base64
import re
import time

import kube
import pytest
from apiserver.auth import service_account
from credentials import CREDENTIALS, SYNTHETIC, anew, logged, places, refuse, serve
from credentials import kubeconfig, make, server  # noqa: F401
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from harness import SOURCE, wait_for

pytestmark = SYNTHETIC
NOT_ISSUED = "the certificate of this node has not been issued yet"
CSRS = "certificatesigningrequests"
BOOTSTRAP, NODE = service_account("kube-system", "postern-bootstrap"), "system:multus:node1"


@pytest.fixture
def node(make, server, kubeconfig):
    """Postern with a certificate of its own, not started; its bootstrap account may do nothing but ask for one."""
    server.rbac.load(kube.ROLE, SOURCE / "deploy" / "kubernetes" / "node-certificates.yaml")
    server.signer.policy = "approve"

    def new(seconds=10):
        return make(api_seconds=seconds, perNodeCertificate={
            "enabled": True, "bootstrapKubeconfig": kubeconfig(token=server.token(name="postern-bootstrap")), "certDuration": "20m"})
    return new


def requested(p):
    """The certificate requests so far, the oldest first."""
    return sorted(p.api.csrs(), key=lambda c: int(c["metadata"]["resourceVersion"]))


def request_of(csr):
    return x509.load_pem_x509_csr(base64.b64decode(csr["spec"]["request"]))


def key_of(csr):
    return request_of(csr).public_key().public_numbers()


def test_a_certificate_of_this_node(node, server):
    p = node()
    p.start()
    networks = p.stand_ins()
    serve(p, networks, 4)
    assert server.requests(user=NODE, verb="patch", status=200)
    assert {r.plural for r in server.requests(user=BOOTSTRAP)} == {CSRS}
    csr, = requested(p)
    spec = csr["spec"]
    assert spec["username"] == BOOTSTRAP and spec["signerName"] == "kubernetes.io/kube-apiserver-client"
    assert spec["expirationSeconds"] == 1200 and sorted(spec["usages"]) == ["client auth", "digital signature"]
    asked = request_of(csr)
    assert [(a.oid, a.value) for a in asked.subject] == [(NameOID.ORGANIZATION_NAME, "system:multus"), (NameOID.COMMON_NAME, NODE)]
    assert asked.is_signature_valid and isinstance(asked.public_key().curve, ec.SECP256R1) and len(asked.extensions) == 0
    assert [name for name, data in places(p).items() if b"PRIVATE" in data or b"BEGIN" in data] == []


def test_renewal(node, server):
    """Before each expires, with itself, and for a key of its own; no ADD fails."""
    server.signer.seconds = 6
    p = node()
    p.start()
    networks, end = p.stand_ins(), time.monotonic() + 8
    while time.monotonic() < end:
        serve(p, networks, 4)
    csrs = requested(p)
    assert len(csrs) >= 3 and len({key_of(c) for c in csrs}) == len(csrs)
    assert [c["spec"]["username"] for c in csrs] == [BOOTSTRAP] + [NODE] * (len(csrs) - 1)
    assert not server.requests(status=401)


@pytest.mark.parametrize("policy", ["manual", "deny", "fail", "approve-unsigned"])
def test_no_certificate_yet(node, server, policy):
    """The error says so; when it comes after all it is used."""
    server.signer.policy = policy
    p = node(seconds=1)
    p.start()
    networks = p.stand_ins(1)
    pod = p.pod(networks)
    refuse(p, pod, NOT_ISSUED)
    csr, = wait_for("a request", lambda: requested(p))[:1]
    server.signer.policy = "approve"
    if policy == "manual":
        p.api.decide_csr(csr["metadata"]["name"])
    if policy in ("manual", "approve-unsigned"):
        p.api.sign_csr(csr["metadata"]["name"])
    else:
        assert logged(p, "denied or failed")
    wait_for("an ADD", lambda: p.add(pod).exit == 0, 20)
    p.delete(pod).ok()
    serve(p, networks)
    assert {r.plural for r in server.requests(user=BOOTSTRAP)} == {CSRS}


def test_a_certificate_that_expires_unrenewed(node, server):
    server.signer.seconds = 4
    p = node(seconds=1)
    p.start()
    networks = p.stand_ins(1)
    wait_for("the certificate", lambda: logged(p, "certificate of this node: issued"))
    server.signer.policy = "manual"
    serve(p, networks)
    pod = p.pod(networks)
    time.sleep(4)
    assert re.search(CREDENTIALS + "|" + NOT_ISSUED, refuse(p, pod))
    refuse(p, pod, NOT_ISSUED)
    server.signer.policy, server.signer.seconds = "approve", None
    for csr in requested(p):
        if not csr["status"]:
            p.api.decide_csr(csr["metadata"]["name"])
            p.api.sign_csr(csr["metadata"]["name"])
    wait_for("an ADD", lambda: p.add(pod).exit == 0, 20)


def test_a_node_that_is_no_longer_believed(node, server):
    """Who finds out may have to come again; then it is back to the bootstrap credentials, and to a certificate, with one request."""
    p = node()
    p.start()
    networks = p.stand_ins()
    serve(p, networks, 4)
    for n in (2, 3):
        server.rotate_client_ca()
        anew(p)
        pod = p.pod(networks)
        answer = p.add(pod)
        assert answer.exit == 0 or CREDENTIALS in answer.failed(11).msg, answer.text
        p.delete(pod).ok()
        serve(p, networks, 4)
        csrs = requested(p)
        assert len(csrs) == n and csrs[-1]["spec"]["username"] == BOOTSTRAP
    assert {r.plural for r in server.requests(user=BOOTSTRAP)} == {CSRS}


def test_a_renewal_that_is_not_believed(node, server):
    """The request for a new certificate itself is what finds out that the old one is no good any more."""
    server.signer.seconds = 4  # renewed 1 s later
    p = node()
    p.start()
    networks = p.stand_ins()
    serve(p, networks)
    server.signer.seconds = None
    server.rotate_client_ca()
    anew(p)
    wait_for("a certificate", lambda: [c for c in requested(p) if c["spec"]["username"] == BOOTSTRAP and "certificate" in c["status"]][1:])
    serve(p, networks, 4)
    time.sleep(2.5)
    assert len([c for c in requested(p) if c["spec"]["username"] == BOOTSTRAP]) == 2, "more requests than one for the lost certificate"
    assert not logged(p, "does not belong")
