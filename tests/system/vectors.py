"""What the vectors of the behaviour that Postern takes over from Multus share: a service whose delegates write down how they were
called, and the tables that say where each vector is shown, where Postern differs, and why."""
import inspect
import json
import re
import shutil

import harness
import pytest

ROWS = {"A": 19, "J": 17, "D": 30, "N": 16, "R": 11, "F": 24, "G": 10, "S": 12, "W": 16, "O": 15, "V": 16}

# Test id (a row, or a row and a letter) -> what Postern does instead and why.
VECTOR_DIFFERENCES = {
}

# Rows that a test elsewhere shows exactly: file and case.
ELSEWHERE = {
}

# Rows of what is not there yet.
LATER = {
}


def rows(names, table):
    """A test for each row of the table: id -> value, or tuple of values when there are several names."""
    return pytest.mark.parametrize(names, list(table.values()), ids=list(table))


def row(name):
    """The one row that the test shows."""
    return pytest.mark.parametrize("row", [name], ids=[name])


def ids_of(module):
    """Ids of the rows that the module's tests show."""
    found = []
    for name, test in inspect.getmembers(module, inspect.isfunction):
        for mark in getattr(test, "pytestmark", []) if name.startswith("test_") else []:
            found += mark.kwargs.get("ids") or []
    return found


def row_of(test_id):
    return re.fullmatch(r"([A-Z][0-9]+)[a-z]?", test_id).group(1)


class Call:
    """One run of a recording delegate."""

    def __init__(self, text):
        head, _, stdin = text.partition("\n\n")
        self.env = dict(line.split("=", 1) for line in head.splitlines())
        self.text, self.conf = stdin, json.loads(stdin)
        self.verb, self.ifname = self.env["CNI_COMMAND"], self.env.get("CNI_IFNAME", "")
        self.net, self.type = self.conf["name"], self.conf["type"]
        self.runtime = self.conf.get("runtimeConfig", {})

    def __repr__(self):
        return f"{self.verb} {self.ifname} {self.net} {self.type}"


class Recorder(harness.Postern):
    """Every delegate is the recording stand-in, under whatever name."""

    def __init__(self, **config):
        super().__init__(**{"plugins": ["*"], **config})
        self.calls_path = self.root / "calls"
        self.cluster(self.rec())

    def rec(self, type="record", **more):
        if not (self.bin_dir / type).exists():
            shutil.copy2(harness.TOOLS / "record", self.bin_dir / type)
        return {"type": type, "calls": str(self.calls_path), **more}

    def net(self, name, namespace="default", version="1.0.0", annotations=None, **more):
        """A network of one recording plugin, named <namespace>.<name> towards it."""
        self.nad(name, {"cniVersion": version, "name": f"{namespace}.{name}", **self.rec(**more)}, namespace, annotations)

    def answer(self, name, **texts):
        """What a plugin with this "answer" says, by verb: a text, or an object."""
        directory = self.root / "answers" / name
        directory.mkdir(parents=True, exist_ok=True)
        for verb, text in texts.items():
            (directory / verb).write_text(text if isinstance(text, str) else json.dumps(text))
        return str(directory)

    def calls(self, *verbs):
        text = self.calls_path.read_text() if self.calls_path.exists() else ""
        calls = [Call(part) for part in text.split("\0")[:-1]]
        return [c for c in calls if not verbs or c.verb in verbs]

    def added(self):
        """(network, interface) of each ADD beyond the cluster network's, in order."""
        return [(c.net, c.ifname) for c in self.calls("ADD") if c.net != "cluster"]

    def call(self, verb, net):
        """The only run of that network."""
        found = [c for c in self.calls(verb) if c.net == net]
        assert len(found) == 1, self.calls()
        return found[0]

    def forget(self):
        """No networks, no pods' manifests, no calls: for the next vector."""
        self.calls_path.unlink(missing_ok=True)
        for d in (self.store / "network-attachment-definitions", self.store / "pods", self.root / "answers"):
            shutil.rmtree(d, ignore_errors=True)
            d.mkdir()
        for f in self.conf_dir.glob("*"):
            if f.name != "10-cluster.conflist":
                f.unlink() if f.is_file() else shutil.rmtree(f)


@pytest.fixture(scope="module")
def shared():
    p = Recorder()
    try:
        p.start()
        yield p
    finally:
        p.close()


@pytest.fixture
def node(calm):
    """The file's service without anything of the vector before."""
    calm.forget()
    return calm


@pytest.fixture
def make_node():
    """A recording service with a configuration of its own, not started."""
    made = []

    def make(**config):
        made.append(Recorder(**config))
        return made[-1]

    yield make
    for p in reversed(made):
        p.close()
