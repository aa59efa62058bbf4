"""postern-dial alone: the files it reads, what it hands on, and that it ends rather than serve a peer that it does not understand."""
import contextlib
import json
import os
import pathlib
import queue
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

import harness
import pytest

PEM = "-----BEGIN X-----\n"
SECRET = "s3cr3t-t0ken"


class Server:
    """What kube is told."""

    def __init__(self, words):
        self.flags, self.name, self.authority, self.prefix = int(words[0]), words[1], words[2], words[3]
        blob, self.parts = bytes.fromhex(words[8]).decode(), []
        for n in map(int, words[4:8]):
            self.parts.append(blob[:n])
            blob = blob[n:]
        assert blob == ""
        self.ca, self.cert, self.key, self.token = self.parts


class Dial:
    """The real program, with a stand-in for the supervisor and kube."""

    def __init__(self, config, *more, setup=None):
        self.log = tempfile.NamedTemporaryFile("r", prefix="postern-dial-", suffix=".log")
        argv = [str(harness.TOOLS / "dialer"), str(harness.BUILD / "postern-dial"), str(config), *more]
        if setup:
            argv = ["unshare", "-m", "sh", "-ec", setup + '; exec "$@"', "sh", *argv]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.log.name, "w"), text=True)
        self.lines = queue.Queue()
        threading.Thread(target=lambda: [self.lines.put(line.split()) for line in self.process.stdout], daemon=True).start()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def next(self, kind, seconds=10):
        try:
            words = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no {kind}: {self.stderr()}") from None
        assert words[0] == kind, (words, self.stderr())
        return words[1:]

    def server(self):
        return Server(self.next("SERVER"))

    def ready(self):
        self.next("READY")
        return self

    def conn(self):
        """(errno, peer, text) of the next answer."""
        words = self.next("CONN", 20)
        return int(words[1]), words[2], " ".join(words[3:])

    def quiet(self, seconds=0.5):
        with pytest.raises(queue.Empty):
            words = self.lines.get(timeout=seconds)
            print(words)

    def end(self):
        """How it ended: its exit status, or a signal's number below 0."""
        status = int(self.next("END")[0])
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def stderr(self):
        return pathlib.Path(self.log.name).read_text()

    def pid(self):
        return harness.children(self.process.pid)[0]

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
        assert SECRET not in self.stderr(), "a token in the log"


@pytest.fixture
def dial():
    made = []

    def start(*argv, **kw):
        made.append(Dial(*argv, **kw))
        return made[-1]

    yield start
    for d in made:
        d.close()


@pytest.fixture
def place():
    with tempfile.TemporaryDirectory(prefix="postern-dial-") as d:
        yield pathlib.Path(d)


def config(place, server="https://127.0.0.1:6443", cluster=None, user=None, file="config"):
    (place / "ca.crt").write_text(PEM)
    (place / "token").write_text(SECRET + "\n")
    path = place / file
    path.write_text(json.dumps({
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": server, "certificate-authority": "ca.crt", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {"tokenFile": "token"}}]}))
    return path


@contextlib.contextmanager
def listener(address="127.0.0.1"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as s:
        s.settimeout(10)
        yield s, s.getsockname()[1]


def greeting(s):
    with s.accept()[0] as c:
        c.settimeout(10)
        return c.recv(5)


def replace(path, text):
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.rename(path)


def test_server_at_start(dial, place):
    d = dial(config(place, "https://127.0.0.1:6443/k8s/", {"tls-server-name": "api.example"})).ready()
    s = d.server()
    assert (s.flags, s.name, s.authority, s.prefix) == (0, "api.example", "127.0.0.1:6443", "/k8s")
    assert s.parts == [PEM, "", "", SECRET]
    d.say("stop")
    assert d.end() == 0


def test_bootstrap(dial, place):
    assert dial(config(place), "cert").ready().server().flags == 1


def test_confined(dial, place):
    d = dial(config(place)).ready()
    d.server()
    fields = harness.status_fields(d.pid())
    assert {int(fields[c], 16) for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert set(fields["Uid"].split()) == set(fields["Gid"].split()) == {"0"} and fields["Groups"] == ""
    assert fields["Seccomp"] == "2" and fields["NoNewPrivs"] == "1"


def test_idle_means_asleep(dial, place):
    d = dial(config(place)).ready()
    d.server()
    switches = lambda: int(harness.status_fields(d.pid())["voluntary_ctxt_switches"])  # noqa: E731
    d.quiet()
    before = switches()
    time.sleep(1)
    assert switches() == before


def test_the_kubelets_way_to_renew(dial, place):
    """A mounted secret or token: ..data is replaced by a link to a new directory, the names in front never change."""
    path = config(place, user={"tokenFile": "mounted/token"}, cluster={"certificate-authority": "mounted/ca.crt"})
    mounted = place / "mounted"

    def version(n):
        d = mounted / f"..v{n}"
        d.mkdir(parents=True)
        (d / "token").write_text(SECRET + str(n))
        (d / "ca.crt").write_text(PEM + str(n))
        (mounted / "..data_tmp").symlink_to(d.name)
        (mounted / "..data_tmp").rename(mounted / "..data")

    version(1)
    for name in ("token", "ca.crt"):
        (mounted / name).symlink_to(f"..data/{name}")
    d = dial(path).ready()
    assert d.server().token == SECRET + "1"
    for n in range(2, 5):
        version(n)
        s = d.server()
        assert (s.token, s.ca) == (SECRET + str(n), PEM + str(n))
    d.quiet()


def test_pair_behind_a_link(dial, place):
    """The kubelet's own certificate: one file with both, a link to the newest, in a directory elsewhere."""
    pki = place / "pki"
    pki.mkdir()
    (pki / "1.pem").write_text(PEM + "1")
    (pki / "current.pem").symlink_to(pki / "1.pem")
    user = {"client-certificate": str(pki / "current.pem"), "client-key": str(pki / "current.pem")}
    d = dial(config(place, user=user)).ready()
    assert d.server().parts == [PEM, PEM + "1", PEM + "1", ""]
    (pki / "2.pem").write_text(PEM + "2")
    (pki / "new").symlink_to(pki / "2.pem")
    (pki / "new").rename(pki / "current.pem")
    assert d.server().parts == [PEM, PEM + "2", PEM + "2", ""]


@pytest.mark.parametrize("name,broken", [("token", " \n"), ("ca.crt", "no pem"), ("token", "a b"), ("ca.crt", None)])
def test_what_is_broken_changes_nothing(dial, place, name, broken):
    good = (PEM if name == "ca.crt" else SECRET) + "2"
    d = dial(config(place)).ready()
    d.server()
    if broken is None:
        (place / name).unlink()
        d.say("reread")
    else:
        replace(place / name, broken)
    harness.wait_for("a line of log", lambda: "what was read before stays in use" in d.stderr())
    assert str(place / name) in d.stderr()
    d.say("reread")
    d.quiet()
    assert d.stderr().count("stays in use") == 1, "the same trouble is told once"
    replace(place / name, good)
    assert good in d.server().parts


def test_a_file_that_comes_later(dial, place):
    path = config(place)
    (place / "token").unlink()
    d = dial(path).ready()
    d.quiet()
    assert "the API server cannot be used" in d.stderr()
    (place / "token").write_text(SECRET)
    assert d.server().token == SECRET


def test_reread(dial, place):
    """Written into a directory that nobody watches: found when kube asks."""
    far = place / "far"
    far.mkdir()
    (far / "token").write_text(SECRET)
    (place / "far-token").hardlink_to(far / "token")
    d = dial(config(place, user={"tokenFile": "far-token"})).ready()
    assert d.server().token == SECRET
    with open(far / "token", "w") as f:  # the event is on the other name
        f.write(SECRET + "2")
    d.quiet()
    d.say("reread")
    assert d.server().token == SECRET + "2"
    time.sleep(0.25)
    d.say("reread")
    d.quiet()


def test_kubeconfig_is_read_again(dial, place):
    path = config(place)
    d = dial(path).ready()
    assert d.server().prefix == "-"
    replace(path, path.read_text().replace(":6443", ":6443/p"))
    assert d.server().prefix == "/p"
    replace(path, path.read_text().replace("tokenFile", "exec"))
    harness.wait_for("a line of log", lambda: "exec" in d.stderr())
    replace(place / "token", SECRET + "2")  # what was known stays alive
    assert d.server().token == SECRET + "2"


@pytest.mark.parametrize("what", ["server", "directory"])
def test_starts_anew(dial, place, what):
    """What no longer fits the sandbox ends it: the supervisor starts it again."""
    path = config(place)
    d = dial(path).ready()
    d.server()
    if what == "server":
        replace(path, path.read_text().replace(":6443", ":6444"))
    else:
        (place / "other").mkdir()
        replace(path, path.read_text().replace('"token"', '"other/token"'))
    assert d.end() == 0 and "starting anew" in d.stderr()


@pytest.mark.parametrize("address,peer", [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("localhost", "127.0.0.1")])
def test_connection(dial, place, address, peer):
    with listener(peer) as (s, port):
        d = dial(config(place, f"https://{address}:{port}")).ready()
        assert d.server().authority == f"{address}:{port}"
        for _ in range(2):
            d.say("conn")
            error, at, text = d.conn()
            assert (error, at) == (0, peer) and text.endswith(f":{port}"), text
            assert greeting(s) == b"hello"


def test_nobody_listens(dial, place):
    with listener() as (_, port):
        pass
    d = dial(config(place, f"https://127.0.0.1:{port}")).ready()
    d.server()
    d.say("both")
    error, _, text = d.conn()
    assert error == -111 and f"127.0.0.1:{port}" in text


def test_unknown_name(dial, place):
    d = dial(config(place, "https://no-such-name.invalid")).ready()
    d.server()
    d.say("conn")
    error, _, text = d.conn()
    assert error < 0 and text.startswith("no-such-name.invalid: its address cannot be found: "), text


def test_name_with_several_addresses(dial, place):
    """Each address gets its turn. Its own /etc: what is not a look-up's business cannot even be there."""
    setup = "mount -t tmpfs none /etc; printf '127.0.0.1 api\\n127.0.0.2 api\\n' >/etc/hosts; : >/etc/resolv.conf; echo multi on >/etc/host.conf"
    with listener("0.0.0.0") as (_, port):
        d = dial(config(place, f"https://api:{port}"), setup=setup).ready()
        d.server()
        d.say("many 4")
        assert {d.conn()[1] for _ in range(4)} == {"127.0.0.1", "127.0.0.2"}
        # A file that is replaced is another file than the one that was granted.
        replace(pathlib.Path(f"/proc/{d.pid()}/root/etc/hosts"), "127.0.0.3 api\n")
        d.say("conn")
        assert d.end() == 0 and "name look-ups was replaced: starting anew" in d.stderr()


def test_many(dial, place):
    with listener() as (s, port):
        d = dial(config(place, f"https://127.0.0.1:{port}")).ready()
        d.server()
        begin = time.monotonic()
        d.say("many 11")
        assert [d.conn()[0] for _ in range(11)] == [0] * 11
        assert time.monotonic() - begin >= 0.5, "more than 20 connections a second"


def test_too_many(dial, place):
    d = dial(config(place)).ready()
    d.server()
    d.say("many 300")
    while (words := d.lines.get(timeout=20))[0] == "CONN":
        pass
    assert words[0] == "END" and int(words[1]) == 1 << 8


def test_in_cluster(dial):
    base = "/run/secrets/kubernetes.io/serviceaccount"
    setup = f"mount -t tmpfs none /run; mkdir -p {base}/..1; cd {base}; ln -s ..1 ..data; ln -s ..data/token token; " \
            f"ln -s ..data/ca.crt ca.crt; echo {SECRET} >..1/token; echo '{PEM.strip()}' >..1/ca.crt; cd /"
    with listener() as (s, port):
        d = dial(f"127.0.0.1:{port}", setup=setup).ready()
        server = d.server()
        assert (server.authority, server.parts) == (f"127.0.0.1:{port}", [PEM, "", "", SECRET])
        replace(pathlib.Path(f"/proc/{d.pid()}/root{base}/..1/token"), SECRET + "2")
        d.say("both")
        assert d.server().token == SECRET + "2"
        assert d.conn()[0] == 0 and greeting(s) == b"hello"


def message_types():
    return re.findall(r"^MSG\((\w+),", (harness.SOURCE / "netpriv/wire.def").read_text(), re.M)


@pytest.mark.parametrize("how", range(1, 12))
def test_a_peer_that_makes_no_sense(dial, place, how):
    """Every form of broken message (tests/evil/evil.h) ends dial; its channel is gone with it."""
    d = dial(config(place)).ready()
    d.server()
    d.say(f"evil {message_types().index('DIAL') + 1} {how}")
    assert d.end() == 1
    assert "kube's channel" in d.stderr()


@pytest.mark.parametrize("name", ["SERVER", "CONN", "KUBE_POD", "EXEC_RUN"])
def test_a_message_that_is_not_kubes(dial, place, name):
    d = dial(config(place)).ready()
    d.server()
    d.say(f"evil {message_types().index(name) + 1} 0")
    assert d.end() == 1


def test_ends_with_its_peers(dial, place):
    d = dial(config(place)).ready()
    d.server()
    d.say("leave")
    assert d.end() == 0


REFUSED = {
    "insecure-skip-tls-verify": ({"insecure-skip-tls-verify": True}, None),
    "proxy-url": ({"proxy-url": "http://p"}, None),
    "certificate-authority": ({"certificate-authority": ""}, None),
    "certificate-authority-data": ({"certificate-authority-data": "xxxx"}, None),
    "exec": (None, {"exec": {"command": "/bin/true"}}),
    "auth-provider": (None, {"auth-provider": {"name": "x"}}),
    "username": (None, {"token": SECRET, "username": "x"}),
    "password": (None, {"password": SECRET}),
    "as": (None, {"tokenFile": "token", "as": "x"}),
    "client-key": (None, {"client-certificate": "c"}),
}


@pytest.mark.parametrize("field", sorted(REFUSED))
def test_refused(dial, place, field):
    cluster, user = REFUSED[field]
    path = config(place, cluster=cluster, user=user)
    d = dial(path)
    assert d.end() == 1
    line, = d.stderr().splitlines()
    assert line.startswith(f"error dial: {path}: ") and f"{field}" in line, line


UNUSABLE = {"none": (None, "No such file"), "empty": ("", "is empty"), "no yaml": ("a: [", "kubeconfig: line"),
            "too long": ("x" * (1 << 20 | 1), "longer than")}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_unusable_kubeconfig(dial, place, kind):
    text, says = UNUSABLE[kind]
    if text is not None:
        (place / "config").write_text(text)
    d = dial(place / "config")
    assert d.end() == 1 and says in d.stderr()


def test_nothing_is_configured(dial):
    d = dial(":0")
    assert d.process.wait(10) == 1
