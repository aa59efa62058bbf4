"""Keys and certificates, and the files in which a client finds its credentials."""
import base64
import datetime
import ipaddress
import itertools
import os
import pathlib

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER_NAMES = ("127.0.0.1", "::1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
SERIAL = itertools.count(1)


def write_file(path, data, mode=0o600):
    """Puts data in the place of the file, never half of it."""
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{next(SERIAL)}")
    temporary.write_bytes(data.encode() if isinstance(data, str) else data)
    temporary.chmod(mode)
    temporary.rename(path)
    return path


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def cert_pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM)


def make_name(common_name, organizations=()):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations]
                     + [x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def make_builder(subject, issuer, public_key, seconds):
    now = datetime.datetime.utcnow()
    start = now - datetime.timedelta(minutes=5)
    if seconds < 0:  # already over
        start += datetime.timedelta(seconds=seconds)
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
            .serial_number(x509.random_serial_number()).not_valid_before(start)
            .not_valid_after(now + datetime.timedelta(seconds=seconds)))


class Pair:
    """A certificate and its key, as PEM."""

    def __init__(self, cert, key):
        self.cert, self.key = cert, key

    def write(self, prefix):
        return write_file(f"{prefix}.crt", self.cert), write_file(f"{prefix}.key", self.key)


class Authority:
    """A certificate authority."""

    def __init__(self, name):
        self.name, self.key = name, ec.generate_private_key(ec.SECP256R1())
        subject = make_name(name)
        self.cert = (make_builder(subject, subject, self.key.public_key(), 10 * 365 * 86400)
                     .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                     .add_extension(x509.KeyUsage(True, False, True, False, False, True, False, False, False), critical=True)
                     .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
                     .sign(self.key, hashes.SHA256()))
        self.pem = cert_pem(self.cert)

    def sign(self, subject, public_key, purpose, seconds, names=()):
        """The PEM of a certificate for subject."""
        builder = make_builder(subject, self.cert.subject, public_key, seconds)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                                        critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([as_general_name(n) for n in names]), critical=False)
        return cert_pem(builder.sign(self.key, hashes.SHA256()))


def as_general_name(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class Pki:
    """Two authorities, as a cluster has them: one vouches for the server, one for clients. The handshake needs every authority
    that ever was, believed or not: as with the real one, a certificate of a wrong one ends in a 401 rather than in TLS."""

    def __init__(self):
        self.server_ca = Authority("kubernetes")
        self.known, self.believed = [], set()
        self.strange_ca = self.add_authority()
        self.renew_client_ca()

    def renew_client_ca(self, keep_old=False):
        self.client_ca = self.add_authority()
        self.believed = (self.believed if keep_old else set()) | {self.client_ca.name}

    def add_authority(self):
        authority = Authority(f"kubernetes-client-{next(SERIAL)}")
        self.known.append(authority)
        return authority

    @property
    def ca(self):
        """What a client checks the server against."""
        return self.server_ca.pem

    def server(self, names=SERVER_NAMES, seconds=365 * 86400):
        key = ec.generate_private_key(ec.SECP256R1())
        return Pair(self.server_ca.sign(make_name("kube-apiserver"), key.public_key(), ExtendedKeyUsageOID.SERVER_AUTH,
                                        seconds, names), key_pem(key))

    def client(self, name, groups=(), seconds=86400, ca=None):
        key = ec.generate_private_key(ec.SECP256R1())
        return Pair((ca or self.client_ca).sign(make_name(name, groups), key.public_key(), ExtendedKeyUsageOID.CLIENT_AUTH,
                                                seconds), key_pem(key))

    def sign_request(self, request, seconds):
        """The certificate that the clients' authority gives for a PEM certificate request."""
        csr = x509.load_pem_x509_csr(request)
        return self.client_ca.sign(csr.subject, csr.public_key(), ExtendedKeyUsageOID.CLIENT_AUTH, seconds)


def make_request(name, groups=()):
    """A new key and a certificate request for it, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(make_name(name, groups)).sign(key, hashes.SHA256())
    return key_pem(key), csr.public_bytes(serialization.Encoding.PEM)


def write_service_account(directory, token, ca, namespace="kube-system"):
    """The files of a projected service account as the kubelet writes them: visible names are links through ..data, and one
    rename of ..data changes all at once. Writing again replaces."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    stamp = directory / f"..2026_01_01_00_00_00.{next(SERIAL):09d}"
    stamp.mkdir(mode=0o755)
    for name, data in (("token", token), ("ca.crt", ca), ("namespace", namespace)):
        (stamp / name).write_bytes(data.encode() if isinstance(data, str) else data)
        (stamp / name).chmod(0o644)
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    data, temporary = directory / "..data", directory / "..data_tmp"
    before = os.readlink(data) if data.is_symlink() else None
    temporary.symlink_to(stamp.name)
    temporary.rename(data)
    if before:
        for f in (directory / before).iterdir():
            f.unlink()
        (directory / before).rmdir()
    return directory


def write_kubeconfig(path, server, ca, *, token=None, token_file=None, pair=None, inline=True, tls_server_name=None,
                     cluster=None, user=None, namespace=None):
    """A kubeconfig with one context. pair is a client's certificate and key. inline puts bytes into the file (…-data);
    otherwise they lie beside it and are named relative to it. cluster and user are merged in last, for odd cases."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)

    def put(field, data):
        data = data.encode() if isinstance(data, str) else data
        if inline:
            return {f"{field}-data": base64.b64encode(data).decode()}
        f = write_file(path.with_name(f"{path.name}.{field}"), data)
        return {field: f.name}

    c = {"server": server, **put("certificate-authority", ca)}
    if tls_server_name:
        c["tls-server-name"] = tls_server_name
    u = {}
    if token:
        u["token"] = token
    if token_file:
        u["tokenFile"] = str(token_file)
    if pair:
        u.update(put("client-certificate", pair.cert))
        u.update(put("client-key", pair.key))
    c.update(cluster or {})
    u.update(user or {})
    context = {"cluster": "test", "user": "test"}
    if namespace:
        context["namespace"] = namespace
    config = {"apiVersion": "v1", "kind": "Config", "current-context": "test",
              "clusters": [{"name": "test", "cluster": c}], "users": [{"name": "test", "user": u}],
              "contexts": [{"name": "test", "context": context}]}
    return write_file(path, yaml.safe_dump(config))
