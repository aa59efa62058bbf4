"""What postern-metrics says, of what really happened; to whom; and what clients can do to it."""
import concurrent.futures
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import time

import harness
import pytest
from faulty import STAND_IN, cluster, make, server  # noqa: F401
from prometheus_client.parser import text_string_to_metric_families

PROGRAM = "postern-metrics"
PORT = 29117  # below those that the kernel gives out
PLACES = {"unix": None, "v4": f"127.0.0.1:{PORT}", "v6": f"[::1]:{PORT}"}


class Connection(http.client.HTTPConnection):
    def __init__(self, node):
        super().__init__("localhost", timeout=20)
        self.node = node

    def connect(self):
        self.sock = connect(self.node)


def connect(node):
    """A connection to wherever the node serves metrics."""
    place = node.config["metrics"]
    if place.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(place[5:])  # waits while the backlog is full, which it would not with a timeout
        sock.settimeout(20)
        return sock
    host, port = place.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), 20)


def request(node, path, method="GET", **headers):
    c = Connection(node)
    try:
        c.request(method, path, headers=headers)
        r = c.getresponse()
        return r.status, r.headers, r.read().decode()
    finally:
        c.close()


def told(what):
    """Its value, None while whoever would answer dies or is not there."""
    try:
        return what()
    except (OSError, http.client.HTTPException):
        return None


def parse(text):
    """(name, labels) -> value, of a text that keeps the format's rules."""
    seen, kinds, values, name = set(), {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split()[2]
            assert name not in seen and len(line.split(maxsplit=3)) == 4, line
            seen.add(name)
        elif line.startswith("# TYPE "):
            assert line.split()[2] == name and name not in kinds, line
            kinds[name] = line.split()[3]
            assert (kinds[name] == "counter") == name.endswith("_total"), line
        else:
            assert re.fullmatch(rf"{name}(_bucket|_sum|_count)?(\{{.*\}})? [0-9.]+", line), line
    assert text.endswith("\n") and seen == set(kinds)
    for family in text_string_to_metric_families(text):
        for s in family.samples:
            key = (s.name, frozenset(s.labels.items()))
            assert key not in values, f"twice: {s}"
            values[key] = s.value
    for (name, labels), count in values.items():
        if name.endswith("_count") and kinds.get(name[:-6]) == "histogram":
            edges = sorted((float(dict(k)["le"]), v) for (n, k), v in values.items()
                           if n == name[:-6] + "_bucket" and labels <= k)
            assert edges[-1] == (float("inf"), count) and len(edges) == 16, name
            assert [v for _, v in edges] == sorted(v for _, v in edges), name
    return values


def scrape(node):
    code, headers, text = request(node, "/metrics")
    assert code == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse(text)


def value(values, name, **labels):
    return values.get((name, frozenset(labels.items())), 0)


def moved(before, after):
    """What changed, without times: "name label label..." -> by how much."""
    out = {}
    for name, labels in before.keys() | after.keys():
        by = after.get((name, labels), 0) - before.get((name, labels), 0)
        if by and not re.search("_seconds|^multus", name):
            out[" ".join([name.removeprefix("postern_"), *(v for _, v in sorted(labels))])] = by
    return out


@pytest.fixture
def monitored(make_postern):
    """Not started."""
    def new(place="unix", **config):
        p = make_postern(**config)
        p.config["metrics"] = PLACES[place] or f"unix:{p.root}/monitoring/metrics.sock"
        p.programs = harness.ROLES + (PROGRAM,)
        return p
    return new


@pytest.fixture
def node(monitored):
    p = monitored(deadlines={"delegate": 5})
    p.start()
    return p


@pytest.fixture(params=PLACES)
def anywhere(monitored, request):
    p = monitored(request.param)
    p.start()
    return p


def quiet(node):
    harness.wait_for("an empty table", lambda: not node.strangers() and not value(scrape(node), "postern_commands_running"))
    return scrape(node)


def step(node, what, **expected):
    """Does it; exactly the expected numbers move. Keys: names and labels with __ between them."""
    before = quiet(node)
    answer = what()
    assert moved(before, quiet(node)) == {k.replace("__", " "): v for k, v in expected.items()}, answer
    return answer


def test_every_number_has_its_reason(monitored):
    node = monitored(deadlines={"delegate": 5}, plugins=[*harness.STAND_INS, "absent"])
    node.start()
    for name, more in {"bad": {"mode": "fail"}, "dying": {"mode": "kill"}, "sick": {"mode": "fail", "on": "CHECK"},
                       "stuck": {"mode": "hang"}, "foreign": {"plugin": "nobody"}, "absent": {"plugin": "absent"}}.items():
        node.stand_in(name, **more)
    harness.sh("ip", "link", "add", node.bridge, "address", "02:00:00:00:88:01", "type", "bridge")  # as in test_check_gc_status
    node.nad("good", dict(node.macvlan_conf("10.89.0.0/24"), cniVersion="1.0.0", name="good"))
    good, sick, stale = node.pod("good"), node.pod("sick"), node.pod("good")
    ok = {"delegate_runs_total__ok__ADD": 2, "journal_entries": 1, "requests_total__0__runtime__ADD": 1}
    # Labels in the order of their names: code, origin, verb; end, verb.
    for pod in (good, sick, stale):
        step(node, lambda: node.add(pod).ok(), **ok)
    step(node, lambda: node.cni("CHECK", good).ok(), requests_total__0__runtime__CHECK=1, delegate_runs_total__ok__CHECK=2)
    before = quiet(node)
    node.cni("CHECK", sick).failed(999)  # a stand-in makes no interface
    assert moved(before, quiet(node))["requests_total 999 runtime CHECK"] == 1
    step(node, lambda: node.cni("STATUS", version="1.1.0").ok(), requests_total__0__runtime__STATUS=1)
    undone = {"delegate_runs_total__ok__DEL": 2, "journal_entries": -1}
    step(node, lambda: node.delete(good).ok(), requests_total__0__runtime__DEL=1, **undone)
    step(node, lambda: node.delete(good).ok(), requests_total__0__runtime__DEL=1)

    for name, end in ("bad", "failed"), ("dying", "signal"), ("stuck", "timeout"), ("foreign", "not_started"), ("absent", "not_started"):
        pod, before = node.pod(name), quiet(node)
        answer = node.add(pod).failed()
        got = moved(before, quiet(node))
        codes = [k.split()[1] for k in got if k.startswith("requests_total")]
        assert codes == ["other" if name == "bad" else str(answer.code)], (name, answer.text)  # the stand-in's own is 123
        assert got[f"delegate_runs_total {end} ADD"] == got["delegate_runs_total ok ADD"] == 1, (name, got)
        assert "journal_entries" not in got, (name, got)

    gc = {"cni.dev/valid-attachments": [{"containerID": sick.id, "ifname": "eth0"}]}
    before = quiet(node)
    node.cni("GC", stdin=node.netconf("1.1.0", **gc)).ok()
    got = moved(before, quiet(node))
    assert got["leaks_found_total gc"] == 1 and got["requests_total 0 internal DEL"] == 1 and got["requests_total 0 runtime GC"] == 1, got
    assert got["journal_entries"] == -1 and got["delegate_runs_total ok DEL"] == 2, got
    values = quiet(node)
    assert value(values, "postern_journal_entries") == len(node.journal()) == 1
    good_ones = sum(v for (n, k), v in values.items() if n == "postern_requests_total" and dict(k)["code"] == "0" and
                    dict(k)["origin"] == "runtime")
    assert value(values, "multus_server_request_total", code="200", handler="/cni", method="post") == good_ones
    assert value(values, "multus_server_request_total", code="400", handler="/cni", method="post") == 6
    assert value(values, "multus_server_request_total", code="200", handler="/delegate", method="post") == 0
    for phase in ("queue", "prepare", "delegates", "finish", "total"):
        assert value(values, "postern_phase_seconds_count", verb="ADD", phase=phase) == 8
        assert value(values, "postern_phase_seconds_sum", verb="ADD", phase=phase) > 0
    # The one that was killed at its deadline is in the last third of the buckets.
    assert value(values, "postern_delegate_seconds_count", verb="ADD") - \
        value(values, "postern_delegate_seconds_bucket", verb="ADD", le="2.5") == 1


def test_hotplugging_is_told_apart(monitored):
    p = monitored()
    p.config["hotplug"] = {"socketDir": f"{p.root}/hotplug", "uid": 0}
    p.start()
    p.stand_in("good")
    pod = p.pod()
    p.add(pod).ok()
    before = quiet(p)
    for network, status in ("good", 0), ("nowhere", 1):
        r = harness.sh(str(harness.BUILD / "posternctl"), "attach", f"default/{pod.name}", "--network", network, "--interface", "net9",
                       "--socket", f"{p.root}/hotplug/postern.sock", check=False)
        assert r.returncode == status, r.stderr
        if not status:
            after = quiet(p)
            got = moved(before, after)
            assert got == {"requests_total 0 hotplug ADD": 1, "delegate_runs_total ok ADD": 1, "journal_entries": 1}
    values = quiet(p)
    for code in "200", "400":
        assert value(values, "multus_server_request_total", code=code, handler="/delegate", method="post") == 1, code
    assert value(values, "multus_server_request_total", code="200", handler="/cni", method="post") == 1
    p.delete(pod).ok()
    assert value(quiet(p), "postern_requests_total", verb="DEL", code="0", origin="internal") == 1


def test_queue_and_running(monitored):
    p = monitored(limits={"attachments": 1, "waiting": 2})
    p.start()
    p.stand_in("slow", delay="1500")
    pods = [p.pod("slow") for _ in range(3)]
    adds = [p.cni_async("ADD", pod) for pod in pods]
    harness.wait_for("a queue", lambda: (value(v := scrape(p), "postern_queue_depth"), value(v, "postern_commands_running")) == (2, 1))
    p.add(p.pod("slow")).failed(11)
    for add in adds:
        add.finish().ok()
    values = quiet(p)
    assert value(values, "postern_queue_depth") == value(values, "postern_commands_running") == 0
    assert value(values, "postern_requests_total", verb="ADD", code="11", origin="runtime") == 1
    assert value(values, "postern_phase_seconds_count", verb="ADD", phase="total") == 4
    assert value(values, "postern_phase_seconds_count", verb="ADD", phase="queue") == 3
    late = value(values, "postern_phase_seconds_count", verb="ADD", phase="queue") - \
        value(values, "postern_phase_seconds_bucket", verb="ADD", phase="queue", le="1")
    assert late == 2
    for pod in pods:
        p.delete(pod).ok()


def test_what_is_owed(node):
    node.stand_in("stays", mode="fail", on="DEL")
    pod = node.pod("stays")
    node.add(pod).ok()
    node.delete(pod).ok()
    values = scrape(node)
    assert (value(values, "postern_owed_entries"), value(values, "postern_journal_entries")) == (1, 1)
    other = node.bin_dir / "other"
    shutil.copy2("/bin/true", other)
    other.rename(node.bin_dir / "misbehave")
    harness.wait_for("the retry", lambda: not value(scrape(node), "postern_owed_entries"), 20)
    values = quiet(node)
    assert value(values, "postern_journal_entries") == 0
    assert value(values, "postern_requests_total", verb="DEL", code="0", origin="internal") >= 1
    node.nothing_left(pod)


def test_counters_survive_the_death_of_a_role(node):
    pod, slow = node.pod(), node.pod("slow")
    node.add(pod).ok()
    node.stand_in("slow", mode="hang")
    add = node.cni_async("ADD", slow)
    harness.wait_for("the slow delegate", lambda: node.trace())
    before = scrape(node)
    roles = node.all_roles()
    os.kill(roles["postern-netpriv"], signal.SIGKILL)
    add.finish().failed(11)
    harness.wait_for("new roles", lambda: (r := node.roles()) and len(r) == 5 and not set(r.values()) & set(roles.values()), 20)
    harness.wait_for("the recovery", lambda: len(node.journal()) == 1)
    got = moved(before, quiet(node))
    assert got.pop("set_restarts_total") == 1 and got.pop("leaks_found_total start") == 1, got
    assert got.pop("journal_entries") == -1 and got.pop("requests_total 0 internal DEL") == 1, got
    assert value(scrape(node), "postern_requests_total", verb="ADD", code="0", origin="runtime") == 1
    for role in ("netpriv", "exec", "broker", "store", "metrics"):
        assert value(scrape(node), "postern_role_up", role=role) == 1, role
    os.kill(node.all_roles()[PROGRAM], signal.SIGKILL)
    harness.wait_for("one more", lambda: told(lambda: value(scrape(node), "postern_set_restarts_total")) == 2)
    assert value(quiet(node), "postern_requests_total", verb="ADD", code="0", origin="runtime") == 1
    node.delete(pod).ok()
    node.delete(slow).ok()
    node.nothing_left(pod, slow)


def test_a_dead_worker_is_counted(node):
    node.stand_in("slow", mode="hang")
    pod = node.pod("slow")
    add = node.cni_async("ADD", pod)
    harness.wait_for("the slow delegate", lambda: node.trace())
    broker = node.all_roles()["postern-broker"]
    worker = [pid for pid, _ in node.strangers() if pid in harness.children(broker)]
    before = scrape(node)
    os.kill(worker[0], signal.SIGKILL)
    add.finish().failed(11)
    got = moved(before, quiet(node))
    assert got["commands_lost_total"] == 1 and got["requests_total 11 runtime ADD"] == 1, got
    assert got["delegate_runs_total signal ADD"] == 1, got
    node.nothing_left(pod)


def test_health(anywhere):
    for path in ("/healthz", "/readyz"):
        code, headers, text = request(anywhere, path)
        assert (code, text, headers["Connection"]) == (200, "ok\n", "close")
        assert request(anywhere, path, "HEAD")[::2] == (200, "")
    for path in ("/", "/metrics/", "/metrics/x", "//metrics", "/../metrics", "/debug/pprof/"):
        assert request(anywhere, path)[0] == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "NONSENSE"):
        code, headers, _ = request(anywhere, "/metrics", method)
        assert (code, headers["Allow"]) == (405, "GET, HEAD"), method
    length = int(request(anywhere, "/metrics", "HEAD")[1]["Content-Length"])
    assert length > 1000
    r = harness.sh(str(harness.BUILD / "posternctl"), "verify", check=False)
    assert r.returncode == 0 and re.search(r"^metrics +uid +yes 64873 ", r.stdout, re.M), r.stdout + r.stderr


def test_not_ready_while_it_stops(node):
    node.stand_in("slow", delay="3000")
    pod = node.pod("slow")
    add = node.cni_async("ADD", pod)
    harness.wait_for("the slow delegate", lambda: node.trace())
    node.process.send_signal(signal.SIGTERM)
    harness.wait_for("the stop", lambda: request(node, "/readyz")[::2] == (503, "stopping\n"))
    assert request(node, "/healthz")[0] == 200 and value(scrape(node), "postern_commands_running") == 1
    add.finish().ok()
    node.stop()
    assert not os.path.exists(node.config["metrics"][5:])
    node.start()
    assert request(node, "/readyz")[0] == 200
    node.delete(pod).ok()


def test_not_ready_before_every_role_is(monitored, tmp_path):
    p = monitored()
    go, real = tmp_path / "go", harness.BUILD / "postern-store"
    libexec = tmp_path / "libexec"
    libexec.mkdir(mode=0o755)
    for program in harness.BUILD.glob("postern-*"):
        if program.is_file():
            shutil.copy2(program, libexec / program.name)
    late = libexec / "postern-store"
    late.write_text(f"#!/bin/sh\nwhile [ ! -e {go} ]; do sleep 0.1; done\nexec {real}\n")
    p.libexec = libexec
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        started = pool.submit(p.start)
        harness.wait_for("the socket", lambda: harness.is_socket(pathlib.Path(p.config["metrics"][5:])))
        harness.wait_for("the answer", lambda: request(p, "/readyz")[0] == 503)
        assert request(p, "/readyz")[2].endswith(" is not ready\n") and request(p, "/healthz")[0] == 200
        assert value(scrape(p), "postern_role_up", role="store") == 0
        go.touch()
        started.result()
    harness.wait_for("readiness", lambda: request(p, "/readyz")[0] == 200)
    go.unlink()
    os.kill(p.all_roles()["postern-broker"], signal.SIGKILL)
    harness.wait_for("the death to show", lambda: told(lambda: request(p, "/readyz")[0]) == 503)
    go.touch()
    harness.wait_for("readiness again", lambda: request(p, "/readyz")[0] == 200)


def refused(p, **config):
    p.config.update(config)
    r = harness.sh(str(harness.BUILD / "postern"), "--libexec", str(harness.BUILD), "--check-config", str(p.write_config()), check=False)
    return r.returncode and r.stderr


@pytest.mark.parametrize("place", ["0.0.0.0:9100", "10.0.0.1:9100", "128.0.0.1:9100", "[::]:9100", "[::ffff:127.0.0.1]:9100", "[fe80::1]:9100",
                                   "localhost:9100", ":9100", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.1:9100",
                                   "127.0.0.1:9100 ", "127.0.0.1:+9", "::1:9100", "[::1]", "[::1]9100", "[127.0.0.1]:9100", "unix:", "unix:x",
                                   "unix:/a/../b", "unix:/a/", "unix:/" + 100 * "a", "unix:@x", 9100, True])
def test_nothing_is_served_to_the_network(make_postern, place):
    error = refused(make_postern(), metrics=place)
    assert error and '"metrics"' in error and error.count("\n") == 1, error


def test_keys(make_postern):
    p = make_postern()
    for config, words in (({"metricsPort": "x"}, '"metricsPort"'), ({"metricsPort": 65536}, "65535"), ({"metricsPort": -1}, "65535"),
                          ({"metricsPort": 0, "enablePprof": 1}, '"enablePprof"'), ({"enablePprof": False, "users": {"metrics": 0}}, "users"),
                          ({"users": {"metrics": 64870}}, "users")):
        error = refused(p, **config)
        assert error and words in error, (config, error)
    assert not refused(p, users={"metrics": 12345}, metrics="")


def listeners():
    lines = harness.sh("ss", "-HltnO").stdout.splitlines()
    return {line.split()[3] for line in lines}


def test_multus_keys(make_postern):
    """On the loopback interface alone, as a user that the configuration names."""
    p = make_postern(metricsPort=PORT, enablePprof=True, users={"metrics": 64999})
    p.programs = harness.ROLES + (PROGRAM,)
    before = listeners()
    p.start()
    assert listeners() - before == {f"127.0.0.1:{PORT}"}
    said = p.stderr()
    assert 'key "metricsPort" is served on 127.0.0.1 only' in said and 'key "enablePprof" has no effect: there are no profiles' in said
    assert request_at(p, f"127.0.0.1:{PORT}") == 200
    assert harness.status_fields(p.all_roles()[PROGRAM])["Uid"].split() == ["64999"] * 4
    p.config["metrics"] = PLACES["v6"]
    p.start()
    assert listeners() - before == {PLACES["v6"]} and request(p, "/healthz")[0] == 200
    p.config["metrics"] = ""
    p.programs = harness.ROLES
    p.start()
    assert listeners() == before and PROGRAM not in p.all_roles()


def request_at(p, place):
    p.config["metrics"] = place
    try:
        return request(p, "/healthz")[0]
    finally:
        del p.config["metrics"]


def test_socket_is_roots_alone(node):
    path = pathlib.Path(node.config["metrics"][5:])
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.stat().st_uid == 0
    code = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
    r = subprocess.run(["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", "/usr/bin/python3", "-c", code],
                       capture_output=True, text=True)
    assert "PermissionError" in r.stderr
    assert request(node, "/healthz")[0] == 200


def test_socket_of_another_time(monitored):
    p = monitored()
    path = pathlib.Path(p.config["metrics"][5:])
    p.start()
    p.kill()
    assert harness.is_socket(path), "nobody was there to take it away"
    p.start()
    assert request(p, "/readyz")[0] == 200
    p.stop()
    assert not path.exists()
    path.write_text("somebody's")
    assert p.start(expect_ready=False) == 1 and "not a socket" in p.stderr() and path.read_text() == "somebody's"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert p.start(expect_ready=False) == 1 and "another instance is listening" in p.stderr()
    path.unlink()
    path.parent.chmod(0o777)
    assert p.start(expect_ready=False) == 1 and "must be writable by root only" in p.stderr()


def test_port_in_use(monitored):
    p = monitored("v4")
    with socket.create_server(("127.0.0.1", PORT)):
        assert p.start(expect_ready=False) == 1
    assert f"127.0.0.1 port {PORT}: Address already in use" in p.stderr()


def test_place_stays_on_reload(node):
    was = node.config["metrics"]
    pid = node.all_roles()[PROGRAM]
    for place in (None, PLACES["v4"], f"unix:{node.root}/elsewhere.sock"):
        node.config["metrics"] = place
        node.write_config()
        said = node.stderr().count("metrics cannot change")
        node.process.send_signal(signal.SIGHUP)
        harness.wait_for("the refusal", lambda: node.stderr().count("metrics cannot change") > said)
    node.config.update(metrics=was, users={"metrics": 64888})
    node.write_config()
    node.process.send_signal(signal.SIGHUP)
    new = harness.wait_for("new roles", lambda: (r := node.roles()) and len(r) == 5 and r[PROGRAM] != pid and r[PROGRAM])
    harness.wait_for("readiness", lambda: request(node, "/readyz")[0] == 200)
    assert harness.status_fields(new)["Uid"].split() == ["64888"] * 4


def test_it_can_write_nowhere(node):
    pid = node.all_roles()[PROGRAM]
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    pages = [line.split()[1] for line in maps if "memfd:postern-" in line]
    assert len(pages) == 4 and set(pages) <= {"r--s", "r--p"}, maps
    assert os.listdir(f"/proc/{pid}/root") == []
    kinds = sorted(os.readlink(f"/proc/{pid}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2)
    assert kinds == ["anon_inode", "socket", "socket"], kinds


def test_idle_means_idle(node):
    request(node, "/metrics")
    pid = node.all_roles()[PROGRAM]

    def switches():
        fields = harness.status_fields(pid)
        return fields["voluntary_ctxt_switches"], fields["nonvoluntary_ctxt_switches"]
    time.sleep(1)
    before = switches()
    time.sleep(3)
    assert switches() == before


def hostile_bytes():
    yield "garbage", os.urandom(4096)
    yield "nothing", b""
    yield "a long line", b"GET /" + b"a" * 100000
    yield "a huge header", b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200000 + b"\r\n\r\n"
    yield "many headers", b"GET /metrics HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % i for i in range(20000)) + b"\r\n"
    yield "a body without end", b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20000
    yield "a wrong length", b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"
    yield "a huge length", b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n"
    yield "pipelined", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
    yield "another protocol", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 5000
    yield "tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500)
    yield "zeroes", b"\x00" * 50000
    yield "line ends", b"\r\n" * 50000


def throw(node, data):
    with connect(node) as sock:
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        except (ConnectionError, BrokenPipeError, OSError):
            pass


def held(node):
    pid = node.all_roles()[PROGRAM]
    harness.wait_for("its clients to go", lambda: harness.descriptors(pid) == 6)
    return harness.private_kb(pid)


def test_hostile_clients(anywhere):
    roles = anywhere.all_roles()
    throw(anywhere, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
    before = held(anywhere)
    for _ in range(3):
        for what, data in hostile_bytes():
            throw(anywhere, data)
            assert request(anywhere, "/healthz")[0] == 200, what
    # Some that do not even read their answers, and are gone.
    for _ in range(50):
        with connect(anywhere) as sock:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert held(anywhere) <= before + 512
    anywhere.unharmed(roles)
    scrape(anywhere)


def test_slow_clients_do_not_keep_others_out(anywhere):
    """Bytes one by one, or none at all: whoever was there first makes room, and nobody stays for long."""
    roles, socks = anywhere.all_roles(), []
    scrape(anywhere)
    before = held(anywhere)
    for i in range(64):
        socks.append(connect(anywhere))
        if i % 2:
            socks[-1].sendall(b"GET /met")
    for _ in range(5):
        for sock in socks:
            try:
                sock.sendall(b"r")
            except OSError:
                pass
        scrape(anywhere)
        time.sleep(0.2)
    harness.wait_for("their time to be over", lambda: harness.descriptors(roles[PROGRAM]) == 6, 15)
    for sock in socks:
        sock.close()
    assert held(anywhere) <= before + 512
    anywhere.unharmed(roles)


def test_a_thousand_connections(anywhere):
    roles, socks = anywhere.all_roles(), []
    scrape(anywhere)
    before = held(anywhere)
    try:
        for i in range(1000):
            socks.append(connect(anywhere))
            if i % 100 == 0:
                scrape(anywhere)
                assert harness.descriptors(roles[PROGRAM]) <= 6 + 32
        scrape(anywhere)
        pod = anywhere.pod()
        anywhere.add(pod).ok()
        anywhere.delete(pod).ok()
    finally:
        for sock in socks:
            sock.close()
    assert held(anywhere) <= before + 512
    anywhere.unharmed(roles)


@STAND_IN
def test_api_requests(make, server):
    p = make()
    p.config["metrics"] = f"unix:{p.root}/metrics.sock"
    p.programs = (*p.programs, PROGRAM)
    p.start()
    networks = p.stand_ins()
    pod, lost = p.pod(networks), p.pod(networks, manifest=False)
    before = scrape(p)
    p.add(pod).ok()
    harness.wait_for("events", lambda: p.asked("create", "events") == 3)
    got = {k: v for k, v in moved(before, quiet(p)).items() if k.startswith("api_")}
    assert got == {"api_requests_total 2xx pods get": 1, "api_requests_total 2xx pods/status patch": 1,
                   "api_requests_total 2xx network-attachment-definitions get": 2, "api_requests_total 2xx events create": 3}
    assert value(scrape(p), "postern_api_seconds_count", verb="get", resource="pods") == 1
    before = scrape(p)
    p.add(lost).failed()
    got = moved(before, quiet(p))
    assert got["api_requests_total 4xx pods get"] == 1 and got["api_retries_total"] >= 1, got
    p.delete(pod).ok()
