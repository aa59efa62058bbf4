"""Postern on a server that is about to fail, and what must be as it was before afterwards."""
import contextlib

import kube
import pytest
from harness import descriptors, status_fields, wait_for

STAND_IN = pytest.mark.skipif(kube.REAL, reason="a real API server does not fail on demand")
GROWTH_KB = 24 << 10


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = kube.api_server(tmp_path_factory.mktemp("apiserver"))
    yield s
    s.stop()


@pytest.fixture(scope="module")
def cluster(server):
    c = kube.Cluster(server)
    yield c
    c.close()


@pytest.fixture
def make(server, cluster):
    made = []

    def new(**config):
        made.append(kube.KubePostern(server, cluster, **config))
        return made[-1]

    yield new
    if server.supports_faults:
        server.clear_faults()
        server.blackhole(False)
        server.accept_again()
    for p in reversed(made):
        p.close()


@pytest.fixture(scope="module")
def running(server, cluster):
    """One service for the file; it gives up after two seconds."""
    p = kube.KubePostern(server, cluster, deadlines={"api": 2})
    try:
        p.crowd = []
        p.start()
        yield p
    finally:
        p.close()


def kept(postern, networks=None):
    """Goes on with ADDs until the networks come out of kube's memory."""
    def asks_for_none():
        server, pod = postern.server, postern.pod(networks or postern.networks)
        before = postern.asked("get", kube.NAD)
        postern.add(pod).ok()
        postern.delete(pod).ok()
        postern.api.delete("pods", pod.namespace, pod.name)
        pod.drop_netns()
        return server.watches(resource=kube.NAD) and postern.asked("get", kube.NAD) == before

    wait_for("the networks to be kept", asks_for_none, 20)


@pytest.fixture
def postern(running, server):
    """The service of the file, with a connection and its networks in memory; afterwards it must be as it was before."""
    running.networks = running.stand_ins()  # another test may have taken them away
    kept(running)
    roles, kube_pid = running.all_roles(), running.all_roles()["postern-kube"]
    before = descriptors(kube_pid)
    with bounded(kube_pid):
        yield running
        server.clear_faults()
        kept(running)
    running.unharmed(roles)
    running.nothing_left()
    wait_for(f"kube to have {before} descriptors again", lambda: descriptors(kube_pid) == before)


@contextlib.contextmanager
def bounded(pid):
    """The memory of the process stays near what it is now, even for a moment."""
    with open(f"/proc/{pid}/clear_refs", "w") as f:
        f.write("5")
    before = int(status_fields(pid)["VmRSS"].split()[0])
    yield
    grown = int(status_fields(pid)["VmHWM"].split()[0]) - before
    assert grown < GROWTH_KB, f"it grew by {grown} kB"
