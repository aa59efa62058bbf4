"""docs/multus.md: every key of the node configuration's reader is in it, and every row names a test that is there."""
import re

import harness
import pytest
import test_libcni
import vectors

TEXT = (harness.SOURCE / "docs" / "multus.md").read_text()
STATES = {"same", "better", "accepted", "refused"}
OWN = {"check", "cniConfigFile", "deadlines", "devices", "hotplug", "limits", "metrics", "nodeName", "plugins", "replaceMultusConfig",
       "sandbox", "store", "takeOver", "unknownPods", "users"}  # Postern's: docs/configuration.md
# What Multus' daemon and its per-request configuration know, to be complete in the other direction as well.
MULTUS = """auxiliaryCNIChainName binDir capabilities chrootDir clusterNetwork cniConfigDir cniDir cniVersion confDir connectionLimit
    daemonSocketDir defaultNetworks delegates dns enablePprof forceCNIVersion globalNamespaces ipam kubeconfig logFile logLevel logOptions
    logToStderr metricsPort multusAutoconfigDir multusConfigFile multusMasterCNI multusNamespace name namespaceIsolation
    overrideNetworkName perNodeCertificate prevResult readinessindicatorfile retryDeleteOnError runtimeConfig socketDir
    systemNamespaces type""".split()


def table(heading):
    part = TEXT.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return rows[2:]


VECTORS, LIBCNI = "Where the vectors differ", "Where the calls of delegates differ from libcni's"
ROWS = [(h, *row) for h in re.findall(r"^## (.+)$", TEXT, re.M) if h not in (VECTORS, LIBCNI) for row in table(h)]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r[1])
def test_row(row):
    _, what, state, note, test = row
    assert state in STATES
    assert note or state == "same", "what is different, and why"
    file, name = test.split("::")
    source = (harness.SOURCE / "tests" / "system" / file).read_text()
    assert re.search(rf"^def {name}\(", source, re.M), f"no {test}"


def test_complete():
    keys = {k for row in table("Keys of the daemon's configuration (daemon-config.json)") for k in re.findall(r"`([^`]+)`", row[0])}
    assert keys == set(MULTUS)
    reader = (harness.SOURCE / "broker" / "readconf.c").read_text()
    root = reader.split("root_keys[] = {", 1)[1].split("};", 1)[0]
    known = set(re.findall(r'\{"(\w+)"|UNUSED\("(\w+)"\)', root))
    known = {a or b for a, b in known}
    assert len(known) > 40 and known == set(MULTUS) | OWN, known ^ (set(MULTUS) | OWN)


def test_own_keys_are_documented():
    text = (harness.SOURCE / "docs" / "configuration.md").read_text()
    assert [k for k in sorted(OWN | set(MULTUS)) if f"`{k}" not in text] == []


def test_differences_are_those_of_the_tests():
    assert {name: why for names, why in table(VECTORS) for name in names.split(", ")} == vectors.VECTOR_DIFFERENCES
    assert [tuple(row) for row in table(LIBCNI)] == [row[:3] for row in test_libcni.DIFFERENCES]
