"""Whatever the API server does, an ADD has every network or fails with the cause, nothing is left behind, no role ends, memory stays
bounded, and a server that is well again is used at once."""
import concurrent.futures
import contextlib
import json
import threading
import time

import harness
import kube
import pytest
from apiserver.store import event_line, expired
from faulty import STAND_IN, cluster, kept, make, postern, running, server  # noqa: F401

pytestmark = STAND_IN
INTERNAL_ERROR, REFUSED_STREAM, ENHANCE_YOUR_CALM = 2, 7, 11


# Many ADDs while the server fails now and then.

@contextlib.contextmanager
def every(seconds, action):
    """Does it again and again meanwhile."""
    end, failed = threading.Event(), []

    def run():
        try:
            while not end.wait(seconds):
                action()
        except Exception as e:
            failed.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
    assert not failed, failed


def rule(action, **how):
    """A fault that strikes while the ADDs run."""
    @contextlib.contextmanager
    def during(server):
        fault = server.fault(action, **{"probability": 0.25, **how})
        yield
        assert fault.hits > 0
    return during


def repeatedly(seconds, action):
    return lambda server: every(seconds, lambda: action(server))


STORMS = {
    "slow answers": rule("delay", seconds=0.2),
    "reset": rule("rst", code=INTERNAL_ERROR),
    "reset, refused": rule("rst", code=REFUSED_STREAM),
    "reset, calm down": rule("rst", code=ENHANCE_YOUR_CALM),
    "reset in the body": rule("rst", at="body", code=INTERNAL_ERROR),
    "reset of what took effect": rule("rst", applied=True, code=INTERNAL_ERROR),
    "closed": rule("close", probability=0.1),
    "closed in the body": rule("close", at="body", probability=0.1),
    "closed, took effect": rule("close", applied=True, probability=0.1),
    "GOAWAY after this": rule("goaway", last="this"),
    "GOAWAY before this": rule("goaway", last="before"),
    "429": rule("answer", code=429, retry_after=1, probability=0.1),
    "500": rule("answer", code=500),
    "503": rule("answer", code=503),
    "409": rule("answer", code=409, resource="pods/status"),
    "drip": rule("drip", size=64),
    "ends after the header": rule("end", probability=0.15),
    "ends in the body": rule("end", at="body", probability=0.15),
    "stall": rule("stall", probability=0.15, count=2),
    "stall in the body": rule("stall", at="body", probability=0.15, count=2),
    "connections dropped": repeatedly(0.05, lambda s: s.drop_connections()),
    "GOAWAY outside of requests": repeatedly(0.05, lambda s: s.goaway()),
    "watches ended": repeatedly(0.01, lambda s: s.end_watches()),
    "watches reset": repeatedly(0.01, lambda s: s.reset_watches(INTERNAL_ERROR)),
    "watches expired": repeatedly(0.01, lambda s: s.write_to_watches(expired(1, 2))),
    "no connection now and then": repeatedly(0.3, lambda s: (s.refuse(), s.drop_connections(), time.sleep(0.3), s.accept_again())),
}
PERSISTENT = ("ends after the header", "ends in the body")  # an answer that is no answer is not asked for again


def add_all(postern, pods):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(postern.add, pods))


def delete_all(postern, pods):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for answer in pool.map(postern.delete, pods):
            answer.ok()


def crowd(postern, n):
    """Pods that each storm has again, without a status."""
    while len(postern.crowd) < n:
        postern.crowd.append(postern.pod(postern.networks))
    for pod in postern.crowd[:n]:
        postern.api.annotate(pod.namespace, pod.name, **{"k8s.v1.cni.cncf.io/network-status": None})
    return postern.crowd[:n]


def judge(postern, pod, answer, transient):
    """Whether the pod has its networks; if not, why must have been said."""
    if answer.exit == 0:
        assert len(postern.status(pod)) == 3, pod.name
        return True
    answer.failed(11 if transient else None)
    assert "API server" in answer.msg or not transient, answer.msg
    return False


def ride_out(postern, server, during, n, transient=True):
    """n ADDs meanwhile; how many had their networks. Then the next one is served, and everything is deleted."""
    pods = crowd(postern, n)
    try:
        with during(server):
            answers = add_all(postern, pods)
            server.clear_faults()
        good = sum(judge(postern, pod, answer, transient) for pod, answer in zip(pods, answers))
        print(f"{good} of {n}", {a.msg for a in answers if a.exit})
        pods.append(postern.pod(postern.networks))
        postern.add(pods[-1]).ok()
    finally:
        server.clear_faults()
        delete_all(postern, pods)
    return good


@pytest.mark.parametrize("storm", STORMS)
def test_storm(postern, server, storm):
    good = ride_out(postern, server, STORMS[storm], 100, storm not in PERSISTENT)
    assert good >= (10 if storm in PERSISTENT else 18)


def test_everything_at_once(postern, server):
    @contextlib.contextmanager
    def during(s):
        for how in (dict(action="delay", seconds=0.05), dict(action="rst"), dict(action="rst", at="body"), dict(action="close"),
                    dict(action="goaway"), dict(action="goaway", last="before"), dict(action="answer", code=429, retry_after=1),
                    dict(action="answer", code=500), dict(action="answer", code=503), dict(action="drip", size=32),
                    dict(action="answer", code=409, resource="pods/status"), dict(action="rst", applied=True)):
            s.fault(probability=0.03, **how)
        with every(0.2, s.drop_connections), every(0.05, s.end_watches):
            yield

    assert ride_out(postern, server, during, 100) >= 80


# A server that is not there.

def test_a_server_that_comes_late(make, server):
    p = make(deadlines={"api": 1})
    networks = p.stand_ins()
    server.refuse()
    p.start()
    pod = p.pod(networks)
    assert "the API server cannot be reached" in p.add(pod).failed(11).msg
    server.accept_again()
    p.add(pod).ok()
    p.delete(pod).ok()


def test_status_says_whether_the_server_answers(make, server):
    p = make(deadlines={"api": 10})
    server.refuse()
    p.start()
    assert "pods and networks cannot be asked for" in p.cni("STATUS", version="1.1.0").failed(50).msg
    server.accept_again()
    harness.wait_for("STATUS to be well", lambda: p.cni("STATUS", version="1.1.0").exit == 0)
    server.blackhole()
    assert "pods and networks cannot be asked for" in p.cni("STATUS", version="1.1.0").failed(50).msg
    server.blackhole(False)
    harness.wait_for("STATUS to be well again", lambda: p.cni("STATUS", version="1.1.0").exit == 0)


def test_a_server_that_restarts(make, server):
    """Between two ADDs, and under one that waits for it."""
    p = make(deadlines={"api": 10})
    networks = p.stand_ins()
    p.start()
    roles = p.all_roles()
    kept(p, networks)
    for i in range(3):
        pods = [p.pod(networks) for _ in range(3)]
        server.stop()
        add = p.cni_async("ADD", pods[0]) if i else None
        time.sleep(0.5 * i)
        server.start()
        if add:
            add.finish().ok()
        for pod in pods[1:]:
            p.add(pod).ok()
        for pod in pods:
            p.delete(pod).ok()
    p.unharmed(roles)
    p.nothing_left()


def test_a_server_that_is_silent_for_a_while(make, server):
    p = make(deadlines={"api": 10})
    networks = p.stand_ins()
    p.start()
    roles = p.all_roles()
    kept(p, networks)
    pods = [p.pod(networks) for _ in range(5)]
    server.blackhole()
    adds = [p.cni_async("ADD", pod) for pod in pods]
    time.sleep(4)
    server.blackhole(False)
    for pod, add in zip(pods, adds):
        add.finish().ok()
        p.delete(pod).ok()
    p.unharmed(roles)


def test_a_connection_that_is_dead(make, server):
    """Nothing comes over it any more, and nobody says so; a new one is made within the time of the request."""
    p = make(deadlines={"api": 10})
    networks = p.stand_ins()
    p.start()
    kept(p, networks)
    pod = p.pod(networks)
    dead = set(server.connections)
    server.call(lambda: [c.mute(True) for c in dead])
    p.api.close()
    p.add(pod).ok()
    p.delete(pod).ok()


def test_a_server_that_is_silent_for_good(make, server):
    p = make(deadlines={"api": 1.5})
    networks = p.stand_ins()
    p.start()
    pod = p.pod(networks)
    server.blackhole()
    assert "API server" in p.add(pod).failed(11).msg
    server.call(lambda: server.close_connections())
    server.blackhole(False)
    p.add(pod).ok()
    p.delete(pod).ok()


# Networks in memory.

GARBAGE = b"\0\xff{]" * 1000
BREAKS = {
    "nothing": lambda s: None,
    "watches ended": lambda s: s.end_watches(),
    "watches reset": lambda s: s.reset_watches(INTERNAL_ERROR),
    "connections dropped": lambda s: s.drop_connections(),
    "GOAWAY": lambda s: s.goaway(),
    "expired": lambda s: s.write_to_watches(expired(1, 2)),
    "expired, ended": lambda s: (s.write_to_watches(expired(1, 2)), s.end_watches()),
    "bookmark": lambda s: s.write_to_watches(event_line("BOOKMARK", b'{"metadata":{"resourceVersion":"99999999"}}')),
    "garbage": lambda s: s.write_to_watches(GARBAGE),
    "one byte": lambda s: s.write_to_watches(b"\n"),
}


class Network:
    """One of which each ADD shows the version that it got."""

    def __init__(self, postern):
        self.postern, self.record, self.mtu = postern, postern.root / "record", 1000
        self.record.mkdir(exist_ok=True)
        self.change()

    def change(self):
        self.mtu += 1
        self.postern.nad("versioned", {"cniVersion": "1.0.0", "name": "versioned", "type": "record", "mtu": self.mtu,
                                       "record": str(self.record)})

    def check(self):
        pod = self.postern.pod("versioned")
        self.postern.add(pod).ok()
        seen = json.loads((self.record / "ADD-net1.stdin").read_text())["mtu"]
        self.postern.delete(pod).ok()
        assert seen == self.mtu, f"{seen} in place of {self.mtu}"


@pytest.fixture
def network(postern):
    yield Network(postern)
    postern.api.delete_nad("default", "versioned")


@pytest.mark.parametrize("how", BREAKS)
def test_a_network_that_changes_while_nobody_tells(postern, server, network, how):
    for _ in range(3):
        kept(postern, "versioned")
        BREAKS[how](server)
        network.change()
        network.check()
        network.change()
        network.check()


def test_a_network_that_changes_while_all_is_silent(postern, server, network):
    """The connection that would have told of it dies."""
    kept(postern, "versioned")
    dead = set(server.connections)
    server.call(lambda: [c.mute(True) for c in dead])
    postern.api.close()
    network.change()
    server.call(lambda: [c.transport.abort() for c in dead])
    network.check()


@pytest.mark.parametrize("how", [
    dict(action="stall", at="headers"), dict(action="stall", at="body"), dict(action="end"), dict(action="rst", code=2),
    dict(action="body", body=expired(1, 2)), dict(action="body", body=GARBAGE), dict(action="answer", code=403),
    dict(action="answer", code=429, retry_after=1), dict(action="answer", code=500), dict(action="goaway", last="before", count=3)],
    ids=lambda h: "-".join(str(v)[:12] for v in h.values()))
def test_watches_that_do_not_work(make, server, how):
    """Then networks are asked for each time."""
    server.fault(verb="watch", resource=kube.NAD, **how)
    p = make(deadlines={"api": 5})
    p.cluster({"type": "nullcni"})
    p.start()
    network = Network(p)
    for _ in range(4):
        network.check()
        network.check()
        network.change()
    server.clear_faults()
    if how.get("code") in (429, 500):  # which passes
        kept(p, "versioned")


def test_no_memory_for_networks(make, server):
    p = make(limits={"cachedNetworks": 0})
    p.cluster({"type": "nullcni"})
    p.start()
    network = Network(p)
    server.reset_counters()
    for _ in range(3):
        network.check()
        network.check()
        network.change()
    assert p.asked("get", kube.NAD) == 6
    assert p.asked("watch", kube.NAD) == 0


def test_a_watch_that_stays_silent(make, server):
    """A network is not kept for ever on its word."""
    p = make(deadlines={"networkAge": 1})
    p.cluster({"type": "nullcni"})
    p.start()
    network = Network(p)
    kept(p, "versioned")
    server.call(server.store.watches.clear)
    network.change()
    time.sleep(1.1)
    network.check()
