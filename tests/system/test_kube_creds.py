"""Credentials for the API server: that they change under way, that they are wrong, that they are nobody else's to see."""
import base64
import os
import pathlib
import re
import shutil
import threading
import time

import pytest
from apiserver import pki
from credentials import CREDENTIALS, SYNTHETIC, agents, anew, logged, places, refuse, serve
from credentials import kubeconfig, make, server  # noqa: F401
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from harness import alive, sh, wait_for

pytestmark = SYNTHETIC
IN_CLUSTER = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")


# Tokens


def test_a_token_that_is_replaced_all_the_time(make, server, kubeconfig, tmp_path):
    """Each is good for 5 s, and replaced some time before: nobody notices."""
    directory, over = tmp_path / "serviceaccount", threading.Event()
    server.write_service_account(directory, seconds=5)
    p = make(kubeconfig=kubeconfig(token_file=directory / "token"))
    p.start()
    networks = p.stand_ins()

    def rotate():
        while not over.wait(3):
            server.write_service_account(directory, seconds=5)

    rotating = threading.Thread(target=rotate)
    rotating.start()
    try:
        end, n = time.monotonic() + 12, 0
        while time.monotonic() < end:
            serve(p, networks, 4)
            n += 4
    finally:
        over.set()
        rotating.join()
    assert n >= 12 and len(re.findall("credentials renewed", (p.root / "log").read_text())) >= 3


def test_a_token_that_expires(make, server, kubeconfig, tmp_path):
    """The error names the credentials; the next token is found without being asked for, whichever way it comes."""
    directory = tmp_path / "serviceaccount"
    server.write_service_account(directory)
    p = make(kubeconfig=kubeconfig(token_file=directory / "token"))
    p.start()
    networks = p.stand_ins()
    serve(p, networks)
    for _ in range(2):
        server.tokens.known.clear()
        refuse(p, p.pod(networks), CREDENTIALS)
        server.write_service_account(directory)
        serve(p, networks, 4)
    # It comes while somebody asks.
    server.tokens.known.clear()
    pods = [p.pod(networks) for _ in range(4)]
    adds = [p.cni_async("ADD", pod) for pod in pods]
    time.sleep(0.5)
    server.write_service_account(directory)
    for add in adds:
        add.finish().ok()


def test_token_files_that_are_bad_for_a_while(make, server, kubeconfig, tmp_path):
    """What was read before stays in use."""
    token = pki.write_file(tmp_path / "token", server.token())
    p = make(kubeconfig=kubeconfig(token_file=token))
    p.start()
    networks = p.stand_ins(1)
    for bad, said in ((None, "No such file"), (b"", "is empty"), (b"two words\n", "more than one word"), (b"x" * 300000, "longer")):
        token.unlink() if bad is None else pki.write_file(token, bad)
        # A directory's change is seen when something is put there.
        pki.write_file(tmp_path / "other", "")
        wait_for("a complaint", lambda: logged(p, f"{token}: ") and logged(p, said))
        serve(p, networks)
    assert not logged(p, "two words")
    pki.write_file(token, b"x" * 100000)  # no file that is too long, but no header either
    wait_for("a complaint", lambda: logged(p, "the token is empty, too long"))
    serve(p, networks)
    old = server.tokens.known.copy()
    pki.write_file(token, server.token())
    for t in old:
        server.tokens.revoke(t)
    serve(p, networks)


# The server's certificate and client certificates


@pytest.mark.parametrize("order", ["both for a while", "file first", "server first"])
def test_another_server_ca(make, server, kubeconfig, order):
    token, new = server.token(), pki.Authority("kubernetes")
    p = make(api_seconds=1, kubeconfig=kubeconfig(token=token, inline=order != "both for a while"))
    p.start()
    networks = p.stand_ins(1)
    serve(p, networks)
    pod = p.pod(networks)
    if order == "both for a while":
        kubeconfig(token=token, ca=server.ca + new.pem, inline=False)
        wait_for("the new CA", lambda: logged(p, "credentials renewed"))
        serve(p, networks)
    if order == "file first":
        kubeconfig(token=token, ca=new.pem)
        wait_for("a try", lambda: logged(p, "not signed by the given CA"))
        p.add(pod).ok()  # the old connection is good for that
        p.delete(pod).ok()
        server.drop_connections()
        refuse(p, p.pod(networks), "not signed by the given CA")
        anew(p)
    server.pki.server_ca = new
    server.set_server_certificate()
    server.drop_connections()
    anew(p)
    if order == "server first":
        refuse(p, pod, "not signed by the given CA")
        kubeconfig(token=token)
    serve(p, networks)


def test_server_certificates(make, server, kubeconfig):
    """Another one of the same CA is as good; what cannot be trusted is refused, and the error says why."""
    p = make(api_seconds=1, kubeconfig=kubeconfig(token=server.token()))
    p.start()
    networks = p.stand_ins(1)
    stranger = pki.Authority("kubernetes")
    key = serialization.load_pem_private_key(server.pair.key, None)
    self_signed = pki.Pair(pki.cert_pem(stranger.cert), pki.key_pem(stranger.key))
    unknown = pki.Pair(stranger.sign(pki.make_name("kube-apiserver"), key.public_key(), ExtendedKeyUsageOID.SERVER_AUTH, 3600,
                                     pki.SERVER_NAMES), pki.key_pem(key))
    purpose = pki.Pair(server.pki.server_ca.sign(pki.make_name("kube-apiserver"), key.public_key(), ExtendedKeyUsageOID.CLIENT_AUTH,
                                                 3600, pki.SERVER_NAMES), pki.key_pem(key))
    cases = [(server.pki.server(names=("other.example", "127.0.0.2")), "its certificate is not for 127.0.0.1"),
             (server.pki.server(seconds=-60), "its certificate is not valid (certificate has expired)"),
             (self_signed, "its certificate is not signed by the given CA"), (unknown, "its certificate is not signed by the given CA"),
             (purpose, "its certificate is not valid (unsuitable certificate purpose)")]
    for pair, said in cases:
        pod = p.pod(networks)
        before = len(server.recorded)
        server.pair = pair
        server.make_context()
        server.drop_connections()
        refuse(p, pod, said)
        assert len(server.recorded) == before, "something was asked of a server that is not the right one"
        server.set_server_certificate()
        p.add(pod).ok()
        p.delete(pod).ok()
        server.set_server_certificate()
        server.drop_connections()
        serve(p, networks)


@pytest.mark.parametrize("inline", [True, False])
def test_client_certificates(make, server, kubeconfig, inline):
    """Of a kubeconfig, and their rotation before the old one expires."""
    agents(server, "agent0", "agent1", "agent2")
    p = make(kubeconfig=kubeconfig(pair=server.client_pair("agent0", seconds=4), inline=inline))
    p.start()
    networks = p.stand_ins()
    serve(p, networks, 4)
    for i in (1, 2):
        kubeconfig(pair=server.client_pair(f"agent{i}", seconds=4 if i == 1 else 3600), inline=inline)
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            serve(p, networks, 2)
    serve(p, networks)
    assert all(server.requests(user=f"agent{i}", verb="patch") for i in range(3))


def test_a_pair_that_changes_one_file_after_the_other(make, server, kubeconfig, tmp_path):
    """Between the two, they do not belong together: the old pair stays."""
    agents(server, "agent0", "agent1")
    p = make(kubeconfig=kubeconfig(pair=server.client_pair("agent0"), inline=False))
    p.start()
    networks = p.stand_ins()
    serve(p, networks)
    pair = server.client_pair("agent1")
    pki.write_file(tmp_path / "kubeconfig.client-certificate", pair.cert)
    wait_for("a complaint", lambda: logged(p, "it does not belong to the client certificate"))
    server.drop_connections()
    serve(p, networks, 2)
    pki.write_file(tmp_path / "kubeconfig.client-key", pair.key)

    def used():
        serve(p, networks)
        return server.requests(user="agent1", verb="patch")

    wait_for("the new pair", used)


def test_another_client_ca(make, server, kubeconfig):
    agents(server, "agent")
    p = make(kubeconfig=kubeconfig(pair=server.client_pair("agent")))
    p.start()
    networks = p.stand_ins()
    serve(p, networks)
    pod = p.pod(networks)
    server.rotate_client_ca()
    anew(p)
    server.reset_counters()
    refuse(p, pod, CREDENTIALS)
    assert p.asked("get", "pods", pod) == 8, "it is said after so many tries, not at the deadline: each ends its connection"
    kubeconfig(pair=server.client_pair("agent"))
    serve(p, networks, 4)


# Where the server is


def test_a_server_that_moves(make, server, kubeconfig):
    """Also the port that dial may connect to is another one: the set starts anew, and serves again."""
    token = server.token()
    p = make(api_seconds=1, kubeconfig=kubeconfig(token=token, server=server.url.replace("127.0.0.1", "localhost")))
    p.start()
    networks = p.stand_ins()
    serve(p, networks)
    before = p.all_roles()
    server.stop()
    server.port = 0
    server.start()
    anew(p)
    pod = p.pod(networks)
    refuse(p, pod, "refused")
    kubeconfig(token=token)
    wait_for("the new set", lambda: not any(alive(pid) for pid in before.values()) and p.all_roles())

    def served():
        answer = p.add(pod)
        return answer if answer.exit == 0 else answer.failed(11) and None

    wait_for("an ADD", served)
    p.delete(pod).ok()
    serve(p, networks, 4)
    assert p.process.poll() is None


@pytest.fixture
def mounted():
    """Where a cluster puts a pod's service account."""
    top = IN_CLUSTER.parent.parent
    assert not top.exists(), f"{top} exists: this machine is in a cluster, or a test was interrupted"
    IN_CLUSTER.mkdir(parents=True)
    yield IN_CLUSTER
    shutil.rmtree(top)


def test_in_a_cluster(make, server, mounted):
    """No kubeconfig: the environment and the service account's files."""
    p = make()
    del p.config["kubeconfig"]
    p.environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.port)}
    server.write_service_account(mounted)
    p.start()
    networks = p.stand_ins()
    serve(p, networks, 4)
    server.tokens.known.clear()
    server.rotate_server_ca()
    server.drop_connections()
    anew(p)
    server.write_service_account(mounted)
    serve(p, networks, 4)
    del p.environment["KUBERNETES_SERVICE_PORT"]
    assert p.start(expect_ready=False) == 1 and "no API server: set \"kubeconfig\"" in p.stderr()


# Secrets


def needles(*secrets):
    """Lines of PEM, and tokens, as they and as base64 would be seen."""
    found = set()
    for s in secrets:
        s = s.encode() if isinstance(s, str) else s
        found |= {line for line in s.splitlines() if len(line) > 20 and not line.startswith(b"-----")}
        found.add(base64.b64encode(s)[:60])
    return found


def test_secrets(make, server, kubeconfig, tmp_path):
    """In nothing that anybody can see, whatever goes wrong."""
    agents(server, "agent")
    token, pair, other = server.token(), server.client_pair("agent"), server.client_pair("agent")
    token_file = pki.write_file(tmp_path / "token", token)
    p = make(api_seconds=1, kubeconfig=kubeconfig(pair=pair, token_file=token_file))
    p.start()
    networks, errors = p.stand_ins(), []
    p.add(p.pod(networks)).ok()  # its journal entry stays
    broken = pki.Pair(pair.cert, other.key)
    for how in ({"pair": broken, "token": token}, {"pair": pair, "token": token + " \x01" + token}, {"pair": pair, "ca": other.cert},
                {"pair": pair, "user": {"password": token}}, {"user": {"client-key-data": token, "token": token}},
                {"pair": pki.Pair(pair.cert, pair.key.replace(b"-----END", b"END")), "token": token}):
        kubeconfig(**how)
        time.sleep(0.3)
        server.drop_connections()
        errors.append(p.add(p.pod(networks)).text)
    (tmp_path / "kubeconfig").write_text(f"users: [{token}\n  {token}: {{\n")
    server.rotate_client_ca()
    server.tokens.known.clear()
    anew(p)
    errors.append(p.add(p.pod(networks)).failed(11).text)
    held = p.add(p.pod(networks)).failed(11).text
    secret = needles(token, pair.key, pair.cert, other.key, other.cert)
    seen = {"errors": "".join(errors + [held]).encode(), **places(p)}
    assert [(where, n) for where, data in seen.items() for n in secret if n in data] == []
    assert len(seen["log"]) > 1000 and len(seen["errors"]) > 100 and any("journal" in where for where in seen)


def test_memory(make):
    """Of those who hold credentials nobody reads it who has but their user."""
    p = make()
    p.start()
    open_it = "import os, sys; os.close(os.open(sys.argv[1], os.O_RDONLY))"
    for role, uid in (("postern-kube", 64871), ("postern-dial", 0)):
        pid = p.all_roles()[role]
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0
        for name in ("mem", "environ", "maps", "fd/0"):
            r = sh("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--",
                   "/usr/bin/python3", "-c", open_it, f"/proc/{pid}/{name}", check=False)
            assert r.returncode and "PermissionError" in r.stderr, (role, name, r.stderr)


# A kubeconfig that cannot be used


@pytest.mark.parametrize("how,said", [
    ({"cluster": {"insecure-skip-tls-verify": True}}, "clusters: insecure-skip-tls-verify: is not done: give certificate-authority"),
    ({"cluster": {"proxy-url": "http://127.0.0.1:3128"}}, "clusters: proxy-url: is not supported"),
    ({"user": {"exec": {"command": "/bin/true"}}}, "users: exec: is not supported: Postern runs no programs for credentials"),
    ({"server": "http://127.0.0.1:1"}, "server: http is refused")])
def test_unusable(make, kubeconfig, how, said):
    """At the start it is the end, and one line says why."""
    path = kubeconfig(**{"token": "x", **how})
    p = make(kubeconfig=path)
    assert p.start(expect_ready=False) == 1
    lines = [line for line in p.stderr().splitlines() if path in line]
    assert len(lines) == 1 and said in lines[0] and "dial" in lines[0], p.stderr()


def test_a_kubeconfig_that_becomes_unusable(make, server, kubeconfig):
    """What was read before goes on; a service that has to start with it comes back when it is mended."""
    token = server.token()
    p = make(kubeconfig=kubeconfig(token=token))
    p.start()
    networks = p.stand_ins(1)
    kubeconfig(token=token, user={"exec": {"command": "/bin/true"}})
    wait_for("a complaint", lambda: logged(p, "users: exec: is not supported"))
    assert logged(p, "what was read before stays in use")
    server.drop_connections()
    serve(p, networks)
    os.kill(p.all_roles()["postern-kube"], 9)
    wait_for("a second complaint", lambda: (p.root / "log").read_text().count("users: exec: is not supported") >= 3)
    assert p.process.poll() is None
    kubeconfig(token=token)
    wait_for("all roles", lambda: len(p.roles()) == len(p.programs) and p.add(p.pod(networks)).exit == 0, 20)
