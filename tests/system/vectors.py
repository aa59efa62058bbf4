"""What the vectors of the behaviour that Postern takes over from Multus share: a service whose delegates write down how they were
called, and the tables that say where each vector is shown, where Postern differs, and why."""
import inspect
import json
import re
import shutil

import harness
import pytest

ROWS = {"A": 19, "J": 17, "D": 30, "N": 16, "R": 11, "F": 24, "G": 10, "S": 12, "W": 16, "O": 15, "V": 16}

OWN_WORDS = "refused for the same reason, in words of its own"
ORIGINAL_RESULT = "no stored result is edited: DEL and CHECK show a plugin what it printed itself, and the kernel's routes are what counts"

# Test id (a row, or a row and a letter) -> why Postern does something else.
VECTOR_DIFFERENCES = {
    "A7": "an empty element is refused where it is read, not looked for as a network without a name",
    "A8a": "an empty name is refused where it is read, not looked for as a network without a name",
    "A8d": "an empty name is refused where it is read, not looked for as a network without a name",
    "A10a": "an interface name that the kernel or CNI does not accept is refused before any plugin runs",
    "A10b": "an interface name that the kernel or CNI does not accept is refused before any plugin runs",
    **dict.fromkeys(["A16a", "A16b", "A16c", "A16d", "A16e"], OWN_WORDS),
    "J2": OWN_WORDS + ": the annotation, line and column",
    "J5": "an empty name is refused where it is read, not looked for as a network without a name",
    "J6": OWN_WORDS, "J9": OWN_WORDS, "J14a": OWN_WORDS, "J14b": OWN_WORDS,
    "D1": OWN_WORDS + ": the annotation, the network and its namespace",
    "D3": OWN_WORDS + ": the file, line and column",
    "D12": OWN_WORDS,
    "D14": "namespaceIsolation covers the default-network annotation too; multusNamespace stays allowed",
    "D15a": OWN_WORDS, "D15b": OWN_WORDS, "D16a": OWN_WORDS, "D16b": OWN_WORDS, "D16c": OWN_WORDS,
    "D18": "every plugin of a list is checked before the first one runs",
    "D28": "DEL runs with the version that ADD ran with, which is 0.1.0 when there is none; plugins are told that version",
    "D29b": OWN_WORDS, "D29c": OWN_WORDS, "D29d": OWN_WORDS,
    "D30a": "a name that is no string is refused where it is read",
    "N3": "host ports that the runtime asks for go to the cluster network alone",
    "N11": "refused as an unknown version (code 1) before prevResult is looked at",
    "N12": "prevResult has no use here, so nothing is asked of it but to be an object",
    "N13b": "null is as if the key were absent, for every key",
    "N14b": "a known key of the node's configuration with an unusable value keeps the service from starting",
    "R2a": "what cannot be honoured is refused, not dropped: the default network's port mappings are the runtime's",
    "R2b": "what cannot be honoured is refused, not dropped: the default network's bandwidth is the runtime's",
    "R2c": "what cannot be honoured is refused, not dropped: the default network's GUID is the runtime's",
    "R3b": "host ports, addresses and devices that the runtime passes go to the cluster network alone",
    "R4": "nothing of the service's own environment reaches a delegate",
    "R8": "a runtime argument that is declared reaches the plugin, whatever its name",
    "R11": "MAC and IP are in CNI_ARGS at DEL as well; they are kept in the journal, there is no result cache",
    "F3": "the namespace is checked before anything else (code 8)",
    "F4": "the plugin's code is kept, and the error names interface and plugin as well",
    "F5": "a network without a name is refused before any plugin runs",
    "F6": "a network without a name is refused before any plugin runs",
    "F7": "DEL runs what ADD journalled, so it does not need the configuration",
    "F11": "DEL undoes what is written down, by Postern or by Multus; what is configured now says nothing of what was set up then",
    "F12": "the file is in journal/ beneath cniDir, and is of a format of its own",
    "F15": OWN_WORDS,
    "F16": "ADD of a pod that cannot be found fails: success would be a pod without its networks",
    "F17a": "ADD of a pod that cannot be found fails, in every version",
    "F17b": "ADD of a pod that cannot be found fails, in every version",
    "F17c": "ADD of a pod that cannot be found fails, in every version",
    "F19": "every attachment in the journal is checked, the cluster network's too",
    "F23": "refused when the service starts",
    "G2": "the message names network and plugin before the plugin's own text",
    "G3": "the plugin's code is kept",
    "G4": "there is no HTTP: the same error, through the shim",
    "G5": "what is valid is what the runtime says and the journal knows of that network; each network's plugins hear of their own",
    "G6": "what is valid is what the runtime says and the journal knows of that network; each network's plugins hear of their own",
    "G7": "what is valid is the runtime's to say, so GC succeeds with nothing to read",
    "G8": "what the runtime does not name is undone",
    "S1": "a default route has prefix length 0, and one without a gateway has none to show",
    "S10": "the plugin's result is refused and its ADD undone, before there is a status to make",
    "S11c": OWN_WORDS,
    "W2": "an empty list asks for nothing: no route is touched",
    "W3": "the other family's default route stays where it is",
    "W5a": OWN_WORDS, "W5b": OWN_WORDS, "W5c": OWN_WORDS,
    "W6": ORIGINAL_RESULT, "W7": ORIGINAL_RESULT, "W8a": ORIGINAL_RESULT, "W8b": ORIGINAL_RESULT, "W8c": ORIGINAL_RESULT,
    "W10": ORIGINAL_RESULT, "W11a": ORIGINAL_RESULT, "W11b": ORIGINAL_RESULT, "W11c": ORIGINAL_RESULT,
    "W12a": ORIGINAL_RESULT,
    "W12b": "the plugin's result is refused before a route is touched",
    "W14": "the default route that was asked for replaces the one that is there",
    "W15": OWN_WORDS,
    "W16a": "routes do not depend on a stored result", "W16b": "routes do not depend on a stored result",
    "O1": "nothing is overlaid: what the node decides is read from the node's configuration alone, and the answer is in the request's version",
    "O3": "the shim is postern-shim, unless type names another", "O5": "the shim is postern-shim, unless type names another",
    "O7": "a capability that the primary drops goes as well",
    "O9": "the generated file stays as it was",
    "O11": "the file is checked, installed in one step, and installed again when it changes; the service goes on",
    "V13": "nothing of a claim is kept: each is asked for anew, in the pod's own namespace",
    "O10": "there is no HTTP: it stops as soon as what is under way has ended",
    "O12": "there is no HTTP: ADD waits until its connection is served, DEL is noted for later",
    "O13": "no chroot: plugins run in the mount namespace that the service was given; the key is named in a warning",
    "O15": "the mode is always 0755",
}

# Rows that a test elsewhere shows exactly: file and case.
ELSEWHERE = {
    "F14": "tests/system/test_kube.py: test_a_pod_that_comes_late",
    "F20": "tests/system/test_takeover.py: test_hostile_files",
    "N9": "tests/system/test_nodekeys.py: test_readiness_indicator",
    "O2": "tests/system/test_autoconf.py: test_o2_requests_do_not_wait_for_the_indicator",
    "O3": "tests/system/test_autoconf.py: test_o3_keys_of_the_node_configuration",
    "O4": "tests/system/test_autoconf.py: test_o4_capabilities",
    "O5": "tests/system/test_autoconf.py: test_o5_exact_text_and_mode",
    "O6": "tests/system/test_autoconf.py: test_o6_version_too_old",
    "O7": "tests/system/test_autoconf.py: test_o7_capabilities_follow_the_primary_both_ways",
    "O8": "tests/system/test_autoconf.py: test_o8_name_of_the_primary",
    "O9": "tests/system/test_autoconf.py: test_o9_a_primary_that_is_not_well_changes_nothing",
    "O11": "tests/system/test_autoconf.py: test_o11_a_file_of_ones_own_is_installed_and_postern_serves_on",
    **dict.fromkeys(["D21", "D22", "D23"], "tests/unit/test_devices.c: test_networks"),
    **dict.fromkeys(["V1", "V2", "V3"], "tests/unit/test_devices.c: test_checkpoint"),
    "V4": "tests/system/test_devices.py: test_checkpoint",
    **dict.fromkeys(["V5", "V6", "V7", "V8", "V9", "V10", "V11", "V12", "V14", "V15", "V16"], "tests/unit/test_dra.c: test_claims"),
    "V13": "tests/system/test_dra.py: test_claims",
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
