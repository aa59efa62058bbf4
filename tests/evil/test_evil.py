"""Hostile peers: a shim, a broker and workers that break every rule of the wire. The channel dies, netpriv lives, its
descriptor count is what it was, no child is left."""
import concurrent.futures
import os
import re
import shutil
import time

import pytest

from harness import BUILD, SOURCE, TOOLS, sh, wait_for

FORMS = 12  # enum evil in evil.h


def message_types():
    text = (SOURCE / "netpriv" / "wire.def").read_text()
    return len(re.findall(r"^MSG\(", text, re.M))


def at_rest(postern):
    wait_for("delegates and workers to end", lambda: not postern.strangers(), 30)
    time.sleep(0.3)  # exec keeps a pod's namespace at its path for a tenth of a second
    return {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in postern.roles().items()}


def test_hostile_shim(postern):
    """Every type, in every broken form, before ATTACH and behind it, through the real door."""
    roles, before = postern.all_roles(), at_rest(postern)
    r = sh(str(TOOLS / "evil_shim"), str(postern.socket_dir / "postern.sock"), check=False, timeout=300)
    assert r.returncode == 0, r.stdout
    cases = int(r.stdout.split()[0])
    assert cases == 2 * (message_types() + 2) * FORMS
    postern.unharmed(roles)
    assert at_rest(postern) == before
    pod = postern.pod()
    postern.add(pod).ok()
    postern.delete(pod).ok()
    postern.nothing_left(pod)


@pytest.fixture
def evil(make_postern, tmp_path):
    """Postern with a hostile program in the broker's place."""
    postern = make_postern(deadlines={"command": 4})
    for program in BUILD.glob("postern-*"):
        if program.is_file():
            shutil.copy2(program, tmp_path / program.name)
    shutil.copy2(TOOLS / "evil_broker", tmp_path / "postern-broker")
    tmp_path.chmod(0o755)
    postern.libexec = tmp_path
    postern.start()
    return postern


def attacks():
    yield from ("flood", "mute", "steal", "chatter", "boast", "boast2", "cache")
    for when in range(4):
        for kind in range(message_types() + 2):
            # Well-formed types that a worker may send in that state are no attack.
            for form in range(1, FORMS):
                yield f"evil-{kind}-{form}-{when}"


def test_hostile_workers(evil):
    """Every type in every broken form, at once, behind a plan, behind the verdict, while a delegate runs."""
    roles, before = evil.all_roles(), at_rest(evil)
    names = list(attacks())
    pod = evil.pod(manifest=False)

    def run(numbered):
        number, name = numbered
        args = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={name};K8S_POD_INFRA_CONTAINER_ID=x;K8S_POD_UID=u"
        return name, evil.cni("ADD", pod, args=args, containerid=f"evil{number}")

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for name, answer in pool.map(run, enumerate(names)):
            assert answer.exit != 0, f"{name}: {answer.text}"
            answer.failed()
    evil.unharmed(roles)
    assert at_rest(evil) == before
    log = (evil.root / "log").read_text()
    assert "netpriv hears the broker" not in log
    closed = set(re.findall(r"evil: (\S+): closed", log))
    assert not re.findall(r"evil: \S+: open", log)
    assert closed >= set(names), sorted(set(names) - closed)[:10]
    assert evil.journal() == []
    assert evil.trace() == [] or all(" " in line for line in evil.trace())


def test_hostile_workers_of_unknown_containers(evil):
    """A DEL of a container that neither the journal nor Multus knows may journal nothing and run nothing; and nobody sees the
    entries of other containers."""
    roles = evil.all_roles()
    pod, other = evil.pod(manifest=False), evil.pod(manifest=False)

    def args(name):
        return f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={name};K8S_POD_INFRA_CONTAINER_ID=x;K8S_POD_UID=u"

    pool = concurrent.futures.ThreadPoolExecutor(1)
    held = pool.submit(evil.cni, "ADD", other, args=args("hold"), containerid="held")
    wait_for("the other container's entry", lambda: len(evil.journal()) == 1)
    evil.cni("ADD", pod, args=args("peek"), containerid="peeping").failed()
    for name in ("del-peek", "del-plan", "del-run"):
        evil.cni("DEL", pod, args=args(name), containerid=name)
    wait_for("the hostile workers", lambda: len(re.findall(r"evil: del-\S+: closed", (evil.root / "log").read_text())) == 3)
    held.result().failed()
    evil.unharmed(roles)
    assert "evil: saw" not in (evil.root / "log").read_text()
    assert evil.journal() == [] and evil.trace() == []
