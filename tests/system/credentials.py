"""What the tests of credentials begin with: a server for each test, for its authorities and tokens do not survive it."""
import contextlib
import pathlib

import kube
import pytest
from apiserver.auth import load_role

SYNTHETIC = pytest.mark.skipif(kube.REAL, reason="what happens to a real API server's credentials is not the test's to say")
CREDENTIALS = "does not accept the credentials"


@pytest.fixture
def server(tmp_path):
    s = kube.api_server(tmp_path / "apiserver")
    yield s
    s.stop()


@pytest.fixture
def make(server):
    made = []

    def new(api_seconds=10, **config):
        made.append(kube.KubePostern(server, kube.Cluster(server), deadlines={"api": api_seconds}, **config))
        return made[-1]

    yield new
    for p in reversed(made):
        p.made.clear()  # the objects go with their server
        p.close()
        p.api.close()


@pytest.fixture
def kubeconfig(server, tmp_path):
    def write(**how):
        return str(server.write_kubeconfig(tmp_path / "kubeconfig", **how))
    return write


def serve(p, networks, at_once=1):
    """ADDs that must not fail, and their DELs."""
    pods = [p.pod(networks) for _ in range(at_once)]
    for add in [p.cni_async("ADD", pod) for pod in pods]:
        add.finish().ok()
    for pod in pods:
        p.delete(pod).ok()
        pod.drop_netns()


def refuse(p, pod, *texts):
    """An ADD that must fail for now, says why and leaves nothing."""
    msg = p.add(pod).failed(11).msg
    assert all(text in msg for text in texts), msg
    p.nothing_left(pod)
    return msg


def anew(p):
    """A test's own connection, after the server's credentials have changed."""
    p.api.close()
    p.api = kube.Cluster(p.server)


def agents(server, *names):
    """Users with Postern's rights."""
    for name in names:
        server.rbac.bind(name, load_role(kube.ROLE))


def logged(p, text):
    return text in (p.root / "log").read_text(errors="replace")


def places(p):
    """Where secrets have no place -> what is there."""
    found = {"log": (p.root / "log").read_bytes()}
    for pid in p.descendants():
        for name in ("cmdline", "environ"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a worker, or a delegate, that has just ended
                found[f"{name} of {pid}"] = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
    for d in (p.cni_dir, p.socket_dir, p.leases_dir, p.conf_dir):
        found.update({str(f): f.read_bytes() for f in d.rglob("*") if f.is_file()})
    return found
