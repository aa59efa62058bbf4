"""The shim against a door that is not Postern's: answers, silence, other versions; and what it says without any door."""
import array
import fcntl
import os
import re
import socket
import struct
import threading

import harness
import pytest

HEAD = struct.Struct("=IIHHIQ")  # magic, version, type, flags, length, serial
TYPES = re.findall(r"^MSG\((\w+),", (harness.SOURCE / "netpriv/wire.def").read_text(), re.M)
RESULT = 1 + TYPES.index("RESULT")
TEXT = 512                       # WIRE_TEXT
SEALS = 0x0f


def sealed(text):
    fd = os.memfd_create("answer", os.MFD_ALLOW_SEALING)
    os.write(fd, text)
    fcntl.fcntl(fd, 1033, SEALS)  # F_ADD_SEALS
    return fd


class Door(threading.Thread):
    """Accepts one shim after another; answer(head) is (version, code, text, memfd text) or None to hang up."""

    def __init__(self, path, answer):
        super().__init__(daemon=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self.answer, self.seen = answer, []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(str(path))
        self.socket.listen(8)
        self.start()

    def run(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                data, fds, _, _ = socket.recv_fds(peer, 65536, 8)
                self.seen.append((data, [os.readlink(f"/proc/self/fd/{fd}") for fd in fds]))
                for fd in fds:
                    os.close(fd)
                said = self.answer(HEAD.unpack(data[:HEAD.size]))
                if said is None:
                    continue
                version, code, text, body = said
                message = HEAD.pack(0x504f5354, version, RESULT, 0, 8 + TEXT, 1)
                message += struct.pack("=II", code, 0) + text.encode().ljust(TEXT, b"\0")
                passed = [sealed(body)] if body is not None else []
                peer.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", passed))] if passed else [])
                for fd in passed:
                    os.close(fd)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture
def door(make_postern):
    """door(answer): the machine's door is a fake one; the harness stands by for pods and for calling the shim."""
    p, made = make_postern(), []
    harness.DOOR.parent.mkdir(parents=True, exist_ok=True)
    harness.DOOR.write_text(f"{p.socket_dir}/postern.sock\n")

    def make(answer):
        made.append(Door(p.socket_dir / "postern.sock", answer))
        p.door = made[-1]
        return p

    yield make
    for d in made:
        d.close()


def test_result_is_printed_as_it_is(door):
    body = b'{"cniVersion": "1.0.0",\n "x": "\xc3\xa4"}'
    p = door(lambda head: (head[1], 0, "", body))
    pod = p.pod(manifest=False)
    answer = p.add(pod).ok()
    assert answer.text.encode() == body
    data, fds = p.door.seen[0]
    assert len(fds) == 2 and "cni-config" in fds[0] and pod.netns_name in fds[1]
    assert pod.id.encode() in data and pod.netns.encode() in data


def test_nothing_is_printed_when_there_is_nothing(door):
    p = door(lambda head: (head[1], 0, "", None))
    assert p.cni("STATUS", version="1.1.0").ok().text == ""


def test_error_text_becomes_json(door):
    p = door(lambda head: (head[1], 11, 'a "quoted" \\ line\nand \x1b more', None))
    answer = p.add(p.pod(manifest=False)).failed(11)
    assert answer.msg == 'a "quoted" \\ line\\x0aand \\x1b more'
    assert answer.text.startswith('{\n    "code": 11,\n    "msg": "') and answer.text.endswith('"\n}')


def test_error_object_is_printed_as_it_is(door):
    body = b'{\n    "code": 7,\n    "msg": "m",\n    "details": "d"\n}'
    p = door(lambda head: (head[1], 7, "not this", body))
    answer = p.add(p.pod(manifest=False)).failed(7)
    assert answer.text.encode() == body


@pytest.mark.parametrize("verb", ["ADD", "CHECK", "GC", "STATUS"])
def test_hang_up_means_try_again(door, verb):
    p = door(lambda head: None)
    answer = p.cni(verb, p.pod(manifest=False) if verb in ("ADD", "CHECK") else None, version="1.1.0").failed(11)
    assert answer.seconds < 2 and "version" in answer.msg


def test_other_version_is_an_error_at_once(door):
    p = door(lambda head: (head[1] ^ 1, 0, "", b"{}"))
    answer = p.add(p.pod(manifest=False)).failed(11)
    assert answer.seconds < 2 and "another version" in answer.msg


def test_del_goes_to_the_spool_when_nobody_answers(door):
    p = door(lambda head: None)
    p.delete(p.pod(manifest=False)).ok()
    assert len(p.door.seen) == 2 and len(p.spool()) == 1 and p.spool()[0].endswith(".del")
    entry = p.socket_dir / "spool" / p.spool()[0]
    assert entry.read_bytes()[:4] == b"LPSP" and b'"postern-shim"' in entry.read_bytes()


def test_del_answered_at_the_second_try_leaves_no_spool(door):
    calls = []
    p = door(lambda head: calls.append(1) or (None if len(calls) == 1 else (head[1], 0, "", None)))
    p.delete(p.pod(manifest=False)).ok()
    assert len(calls) == 2 and p.spool() == []


@pytest.mark.parametrize("stdin", [b"", b"x" * ((1 << 20) + 1)], ids=["empty", "long"])
def test_del_needs_no_configuration(door, stdin):
    p = door(lambda head: (head[1], 0, "", None))
    pod = p.pod(manifest=False)
    p.delete(pod, stdin=stdin).ok()
    p.delete(pod, stdin=stdin, netns="/nonexistent", args="rubbish").ok()
    assert [len(fds) for _, fds in p.door.seen] == [2, 1]


def test_a_spool_that_others_can_write_to_is_not_used(door):
    p = door(lambda head: None)
    p.socket_dir.chmod(0o777)
    answer = p.delete(p.pod(manifest=False)).failed(11)
    assert "writable by root only" in answer.msg
    p.socket_dir.chmod(0o700)


@pytest.mark.parametrize("text", ["", "relative\n", "/a/../b\n", "/a\n/b\n", "/" + "a" * 120 + "\n", "/a\x01\n"], ids=range(6))
def test_door_file_must_hold_one_path(door, text):
    p = door(lambda head: None)
    harness.DOOR.write_text(text)
    p.cni("STATUS", version="1.1.0").failed(7)


def test_door_file_must_be_roots(door):
    p = door(lambda head: None)
    harness.DOOR.chmod(0o666)
    p.cni("STATUS", version="1.1.0").failed(7)
    harness.DOOR.chmod(0o644)


def test_version_needs_nothing(door):
    p = door(lambda head: None)
    answer = p.cni("VERSION", path=None).ok()
    assert answer.text == ('{"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0",'
                           '"1.1.0"]}\n')
    assert p.door.seen == []


def test_status_does_not_wait(door):
    p = door(lambda head: None)
    harness.DOOR.write_text(f"{p.socket_dir}/elsewhere\n")
    answer = p.cni("STATUS", version="1.1.0").failed(50)
    assert answer.seconds < 1
