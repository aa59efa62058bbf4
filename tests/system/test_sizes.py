"""The numbers that a reviewer asks for first, printed; and the budgets that the architecture sets."""
import re

import harness

NETPRIV, SECCOMP = harness.SOURCE / "netpriv", harness.SOURCE / "seccomp"
SUPERVISOR = {"postern.c", "supervise.c", "channels.c", "readers.c", "spawn.c", "trust.c",  # reads no byte from outside
              "conf_check.c", "monitor.c"}  # of what root configured
BASE = {"util.c", "log.c", "role.c"}  # helpers, one line of log, names
NO_PRIVILEGE = {"wire_kube.c"}  # checks of bodies that no privileged process has a channel for
DISPATCH = {"wire.c", "wire_check.c", "check.c", "dispatch.c"}


def lines(path):
    return len(path.read_text().splitlines())


def code(path):
    """Lines that are neither blank nor comment."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    return sum(1 for line in text.splitlines() if line.strip())


def test_privileged_lines():
    """What a reviewer reads to know what a hostile peer can make netpriv or exec do: wire, checks, door, attachments, dispatch,
    netlink, journal, plugin launch. Beside it stand the base library, the supervisor and the sandbox with its tables."""
    path = [p for p in sorted(NETPRIV.glob("*.c")) if p.name not in SUPERVISOR | BASE | NO_PRIVILEGE] + sorted(NETPRIV.glob("*.def"))
    trusted = [p for d in (NETPRIV, SECCOMP) for p in sorted(d.iterdir()) if p.suffix in (".c", ".h", ".def")]
    total, dispatch, whole = sum(map(lines, path)), sum(lines(p) for p in path if p.name in DISPATCH), sum(map(lines, trusted))
    print(f"\nprivileged path: {total} lines, dispatch and validation {dispatch} of them; "
          f"without blank and comment lines: {sum(map(code, path))}; both trusted folders, headers and all: {whole}")
    for p in path:
        print(f"  {lines(p):5} {p.relative_to(harness.SOURCE)}")
    assert total <= 4000
    assert dispatch <= 900
    assert whole <= 9000


def test_file_and_function_sizes():
    long = [f"{p.relative_to(harness.SOURCE)}: {lines(p)}" for d in ("netpriv", "seccomp", "broker", "kubeclient", "shim", "ctl")
            for p in (harness.SOURCE / d).glob("*.c") if lines(p) > 500]
    assert long == []


def test_message_types():
    rows = re.findall(r"^MSG\((\w+),\s*\w+,\s*(\w+),\s*(\w+)", (NETPRIV / "wire.def").read_text(), re.M)
    to = {}
    for _, _, receiver in rows:
        to[receiver] = to.get(receiver, 0) + 1
    print(f"\nmessage types: {len(rows)}; received by " + ", ".join(f"{k.lower()} {v}" for k, v in sorted(to.items())))
    assert len(rows) == len({name for name, _, _ in rows})


def test_system_calls():
    out = harness.sh(str(harness.TOOLS / "probe"), "sizes").stdout
    print("\nsystem calls allowed:\n" + out)
    for role in ("netpriv", "exec", "broker", "worker", "kube", "store", "dial", "autoconf", "devices", "metrics"):
        assert re.search(rf"\b{role}\b\D+\d+", out), f"no line for {role}"


def test_shim_is_small_and_static():
    shim = harness.BUILD / "postern-shim"
    print(f"\nshim: {shim.stat().st_size} bytes")
    assert shim.stat().st_size <= 1 << 20
    assert "NEEDED" not in harness.sh("readelf", "-d", str(shim)).stdout
    assert "INTERP" not in harness.sh("readelf", "-lW", str(shim)).stdout


def test_memory_at_rest(postern):
    """All roles and the supervisor, proportional set size."""
    total = 0
    print()
    for pid in [postern.process.pid, *postern.all_roles().values()]:
        pss = next(int(line.split()[1]) for line in open(f"/proc/{pid}/smaps_rollup") if line.startswith("Pss:"))
        print(f"  {harness.program(pid)}: {pss} kB")
        total += pss
    print(f"  all: {total} kB")
    assert total <= 10 << 10
