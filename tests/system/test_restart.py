"""Any role's death: the set starts anew, the door stays open, commands in flight answer "try again later"."""
import os
import signal

import harness
import pytest

TRY_AGAIN = 11


@pytest.mark.parametrize("role", harness.ROLES)
def test_role_killed_while_an_add_is_in_flight(postern, role):
    postern.stand_in("slow", delay="4000")
    pod = postern.pod("slow")
    add = postern.cni_async("ADD", pod)
    harness.wait_for("the slow delegate", lambda: postern.trace())
    before, door = postern.all_roles(), os.stat(postern.socket_dir / "postern.sock").st_ino
    os.kill(before[role], signal.SIGKILL)
    answer = add.finish().failed(TRY_AGAIN)
    assert answer.seconds < 15
    after = harness.wait_for("new roles", lambda: (r := postern.roles()) and len(r) == 4 and not
                             set(r.values()) & set(before.values()) and r, 20)
    assert after and postern.process.poll() is None
    assert os.stat(postern.socket_dir / "postern.sock").st_ino == door, "the listening socket was made anew"

    other = postern.pod()
    postern.add(other).ok()
    postern.delete(other).ok()
    postern.delete(pod).ok()
    postern.nothing_left(pod, other)
    assert harness.sh(str(harness.BUILD / "posternctl"), "verify", check=False).returncode == 0


def test_shims_queue_while_the_set_restarts(postern):
    roles = postern.all_roles()
    os.kill(roles["postern-netpriv"], signal.SIGKILL)
    pod = postern.pod()
    answer = postern.add(pod)
    assert answer.exit == 0 or answer.code == TRY_AGAIN, answer.text
    if answer.exit:
        postern.add(pod).ok()
    postern.delete(pod).ok()
    postern.nothing_left(pod)


def test_boot_undoes_what_was_half_done(postern):
    """The whole service dies in the middle of an ADD: the runtime saw no answer, and nobody sends a DEL."""
    postern.stand_in("slow", delay="4000")
    pod = postern.pod("slow")
    add = postern.cni_async("ADD", pod)
    harness.wait_for("the slow delegate", lambda: postern.trace())
    postern.kill()
    add.finish().failed()
    assert len(postern.journal()) == 1
    postern.start()
    harness.wait_for("the half-done ADD to be undone", lambda: not postern.journal(), 20)
    postern.nothing_left(pod)


def test_stop_while_an_add_is_in_flight(postern):
    postern.stand_in("slow", delay="1500")
    pod = postern.pod("slow")
    add = postern.cni_async("ADD", pod)
    harness.wait_for("the slow delegate", lambda: postern.trace())
    postern.stop()
    answer = add.finish()
    assert answer.exit == 0 or answer.code == TRY_AGAIN, answer.text
    postern.start()
    postern.delete(pod).ok()
    postern.nothing_left(pod)


def test_idle_means_idle(postern):
    """No role wakes up while nothing is asked of it."""
    import time
    pids = [postern.process.pid, *postern.all_roles().values()]

    def switches():
        return {pid: sum(int(harness.status_fields(pid)[k]) for k in
                         ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")) for pid in pids}
    time.sleep(1)
    before = switches()
    time.sleep(3)
    assert switches() == before
