"""A pod comes up with every network that it asked for, or its ADD fails with the cause and leaves nothing."""
import pytest


def two_good(p):
    p.nad("good", dict(p.macvlan_conf("10.89.0.0/24"), cniVersion="1.0.0", name="good"))


BAD_NADS = {
    "missing": None,
    "not-json": "this is not JSON",
    "truncated": '{"cniVersion": "1.0.0", "type": "bridge"',
    "no-type": '{"cniVersion": "1.0.0", "name": "no-type"}',
    "null": "null",
    "array": "[]",
    "no-plugins": '{"cniVersion": "1.0.0", "name": "x", "plugins": []}',
    "null-plugin": '{"cniVersion": "1.0.0", "name": "x", "plugins": [null]}',
    "plugins-object": '{"cniVersion": "1.0.0", "name": "x", "plugins": {"type": "bridge"}}',
    "type-number": '{"cniVersion": "1.0.0", "type": 5}',
    "name-number": '{"cniVersion": "1.0.0", "name": 5, "type": "misbehave"}',
    "args-string": '{"cniVersion": "1.0.0", "type": "misbehave", "capabilities": {"mac": "yes"}}',
    "duplicate": '{"cniVersion": "1.0.0", "type": "misbehave", "type": "bridge"}',
    "deep": '{"cniVersion": "1.0.0", "type": "misbehave", "x": ' + "[" * 10000 + "]" * 10000 + "}",
    "absent-plugin": '{"cniVersion": "1.0.0", "type": "nosuchplugin"}',
    "slash-plugin": '{"cniVersion": "1.0.0", "type": "../bin/bridge"}',
    "upper-plugin": '{"cniVersion": "1.0.0", "type": "Bridge"}',
    "no-config": None,
}


@pytest.mark.parametrize("case", sorted(BAD_NADS))
def test_third_network_unusable(calm, case):
    two_good(calm)
    if case != "missing":
        calm.nad(case, BAD_NADS[case])
    pod = calm.pod(f"good,{case}")
    answer = calm.add(pod).failed()
    assert case in answer.said, answer.text
    calm.nothing_left(pod)
    calm.delete(pod).ok()


@pytest.mark.parametrize("raw", [b"\x00\x01", b"a: [", b"- a\n- b\n", b"kind: Pod\n", b"x: &a [*a]\n", b"k: 1\nk: 2\n",
                                 b"\xff\xfe", b"x: " + b"[" * 5000, b""],
                         ids=lambda raw: repr(raw[:20]))
def test_manifest_unusable(calm, raw):
    calm.nad("rawbad", None, raw=raw)
    pod = calm.pod("rawbad")
    assert "rawbad" in calm.add(pod).failed().said
    calm.nothing_left(pod)


def test_third_network_fails_in_its_plugin(postern):
    two_good(postern)
    postern.stand_in("unlucky", "fail")
    pod = postern.pod("good,unlucky")
    answer = postern.add(pod).failed(123)
    assert "unlucky" in answer.said and "no luck today" in answer.said and answer.json.get("details") == "ask again"
    # What failed may have done half: it is deleted too, before the ones that had succeeded.
    assert [line.split()[0] for line in postern.trace()] == ["ADD", "DEL"]
    postern.nothing_left(pod)


def test_rollback_runs_in_reverse_and_only_what_was_started(postern):
    for name in ("one", "two", "four"):
        postern.stand_in(name)
    postern.stand_in("three", "fail")
    pod = postern.pod("one,two,three,four")
    postern.add(pod).failed(123)
    runs = [(line.split()[0], line.split()[2]) for line in postern.trace()]
    assert runs == [("ADD", "net1"), ("ADD", "net2"), ("ADD", "net3"), ("DEL", "net3"), ("DEL", "net2"), ("DEL", "net1")]
    postern.nothing_left(pod)


def test_rollback_that_fails_is_not_forgotten(postern):
    """The journal keeps what could not be undone, and the next DEL tries it again."""
    postern.stand_in("sticky", "fail", on="DEL")
    postern.stand_in("unlucky", "fail")
    pod = postern.pod("sticky,unlucky")
    postern.add(pod).failed(123)
    assert len(postern.journal()) == 1
    postern.delete(pod).ok()
    assert len([line for line in postern.trace() if line.startswith("DEL") and "sticky" in line]) >= 2


def test_failing_delete_still_succeeds_for_the_runtime(postern):
    postern.stand_in("sticky", "fail", on="DEL")
    pod = postern.pod("sticky")
    postern.add(pod).ok()
    postern.delete(pod).ok()
    assert pod.links() == [] and postern.leases() == []
    assert len(postern.journal()) == 1, "forgotten although its undoing failed"


def test_second_default_route_gateway_unreachable(postern):
    postern.nad("mv", dict(postern.macvlan_conf("10.89.0.0/24"), cniVersion="1.0.0", name="mv"))
    pod = postern.pod([{"name": "mv", "default-route": ["203.0.113.1"]}])
    answer = postern.add(pod).failed()
    assert "203.0.113.1" in answer.said or "mv" in answer.said
    postern.nothing_left(pod)


def test_status_that_cannot_be_written_fails_the_add(postern):
    pod = postern.pod()
    status = postern.store / "status" / "default"
    status.parent.mkdir(exist_ok=True)
    status.write_text("a file where the directory should be")
    assert "status" in postern.add(pod).failed().said
    postern.nothing_left(pod)


def test_no_store(make_postern):
    p = make_postern(store="")
    assert p.start(expect_ready=False) not in (0, None)
    assert "store" in p.stderr()


def test_cluster_network_missing(make_postern):
    p = make_postern(clusterNetwork="/nonexistent/10-cluster.conflist")
    p.start()
    pod = p.pod()
    assert "10-cluster.conflist" in p.add(pod).failed().said
    p.nothing_left(pod)
