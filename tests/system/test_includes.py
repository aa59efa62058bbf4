"""The trusted base is a folder rule: what a privileged process is made of comes from netpriv/ and seccomp/ alone."""
import re

import harness
import pytest

TRUSTED = {"netpriv", "seccomp"}
FORBIDDEN = re.compile(r"jansson|openssl|ssl\.h|nghttp2|yaml|pb_decode|curl")
LIBRARIES = re.compile(r"^(libc|libseccomp|libcap-ng|libnl-3|libnl-route-3|libmd|ld-linux-x86-64|ld-linux-aarch64|libpthread|libgcc_s)\.so")
SYMBOLS = re.compile(r"\b(json_|SSL_|nghttp2_|yaml_|EVP_)")


def sources(*folders):
    return [p for d in folders for suffix in ("*.c", "*.h", "*.def") for p in sorted((harness.SOURCE / d).glob(suffix))]


@pytest.mark.parametrize("path", sources("netpriv", "seccomp"), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_trusted_includes(path):
    for kind, name in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)', path.read_text(), re.M):
        if kind == '"':
            assert name.split("/")[0] in TRUSTED, f"{path.name} includes {name}"
        assert not FORBIDDEN.search(name), f"{path.name} includes {name}"


# Of kubeclient/, these see values: the kubeconfig, in a child of dial's that is thrown away; what kube composes itself, and the
# certificate that it asked for. All else hands bytes on.
MAY_SEE_VALUES = {"kubeconfig.c", "body.c", "csr.c"}


@pytest.mark.parametrize("path", [p for p in sources("shim", "kubeclient") if p.name not in MAY_SEE_VALUES],
                         ids=lambda p: f"{p.parent.name}/{p.name}")
def test_shim_and_kube_parse_no_json(path):
    for _, name in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)', path.read_text(), re.M):
        assert not re.search("jansson|yaml", name) and not name.startswith("broker/"), f"{path.name} includes {name}"


@pytest.mark.parametrize("program", ["postern", "postern-netpriv", "postern-exec"])
def test_linked(program):
    path = str(harness.BUILD / program)
    needed = re.findall(r"NEEDED\).*\[(.+)\]", harness.sh("readelf", "-d", path).stdout)
    assert needed and all(LIBRARIES.match(lib) for lib in needed), needed
    assert not SYMBOLS.search(harness.sh("nm", path).stdout)


@pytest.mark.parametrize("program", ["postern", "postern-netpriv", "postern-exec", "postern-broker", "postern-kube", "postern-store",
                                     "postern-dial", "postern-devices", "postern-autoconf", "postern-metrics", "postern-readconf",
                                     "posternctl", "postern-shim"])
def test_hardened(program):
    path = str(harness.BUILD / program)
    segments = harness.sh("readelf", "-lW", path).stdout
    dynamic = harness.sh("readelf", "-d", path).stdout
    assert "GNU_RELRO" in segments and re.search(r"GNU_STACK.* RW ", segments), "RELRO, stack not executable"
    assert "NOW" in dynamic and "PIE" in dynamic
    assert not re.search(r"LOAD.* RWE ", segments)
