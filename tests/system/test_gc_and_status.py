"""GC and STATUS: what the specification of CNI 1.1.0 has the plugins called with. Debian's libcni, which judges the other verbs,
does not know them."""
import json

import pytest
from judge import NET, PASS, PATH, Call, chain, court, plugin, result, says  # noqa: F401

def ask(court, verb, config, control=None, **more):
    """The answer, and what the delegates were called with."""
    court.set_config(json.dumps(config), False)
    court.set_control(control or {})
    court.forget_calls()
    answer = court.postern.cni(verb, stdin=court.postern.netconf("1.1.0", runtimeConfig={"mac": "02:00:00:00:00:09"}, **more))
    return answer, court.take_calls()


def called_with(court, verb, config, n, **more):
    """The n-th plugin of the list: no container, no previous result, no capability arguments."""
    env = {"PATH": PATH, "CNI_COMMAND": verb, "CNI_PATH": str(court.postern.bin_dir),
           **dict.fromkeys(("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"), "")}
    return Call(f"noop{n}", env, {**config["plugins"][n - 1], "name": NET, "cniVersion": config["cniVersion"], **more})


NEWEST = chain(plugin(1, capabilities={"mac": True}, ipam={"type": "host-local"}, unknown=[1]), plugin(2), plugin(3), version="1.1.0")
VALID = [{"containerID": "one", "ifname": "eth0"}, {"containerID": "two", "ifname": "net1"}]
VALID_KEYS = ("cni.dev/valid-attachments", "cni.dev/attachments")  # the second is its name in the first edition of CNI 1.1.0


def test_status_asks_every_plugin(court):
    answer, calls = ask(court, "STATUS", NEWEST)
    assert answer.ok().json is None and calls == [called_with(court, "STATUS", NEWEST, n) for n in (1, 2, 3)]


@pytest.mark.parametrize("code", [50, 51, 123])
def test_status_stops_at_the_first_that_fails(court, code):
    error = {"code": code, "msg": "not now", "details": "later"}
    answer, calls = ask(court, "STATUS", NEWEST, {("noop2", "STATUS"): error})
    assert [c.plugin for c in calls] == ["noop1", "noop2"]
    assert answer.failed(code).msg.endswith("not now") and answer.json["details"] == "later"


@pytest.mark.parametrize("key", VALID_KEYS)
def test_gc_tells_every_plugin_what_is_valid(court, key):
    answer, calls = ask(court, "GC", NEWEST, **{key: VALID})
    assert answer.ok().json is None
    assert calls == [called_with(court, "GC", NEWEST, n, **dict.fromkeys(VALID_KEYS, VALID)) for n in (1, 2, 3)]


def test_gc_goes_on_after_a_plugin_that_fails(court):
    answer, calls = ask(court, "GC", NEWEST, {("noop1", "GC"): {"code": 123, "msg": "not now"}}, **{VALID_KEYS[0]: VALID})
    assert [c.plugin for c in calls] == ["noop1", "noop2", "noop3"]
    assert answer.failed(123).msg.endswith("not now")


def test_gc_undoes_what_is_not_valid_first(court):
    """Each attachment by the configuration that it was made with."""
    old = chain(plugin(1, x="old"), plugin(2))
    pods = [court.postern.pod() for _ in range(2)]
    court.set_config(json.dumps(old), False)
    court.set_control({("noop1", "ADD"): says(result()), ("noop2", "ADD"): PASS})
    for pod in pods:
        court.postern.add(pod).ok()
    kept = [{"containerID": pods[0].id, "ifname": "eth0"}]
    answer, calls = ask(court, "GC", NEWEST, **{VALID_KEYS[0]: kept})
    answer.ok()
    assert [(c.env["CNI_COMMAND"], c.plugin, c.env["CNI_CONTAINERID"]) for c in calls] == [
        ("DEL", "noop2", pods[1].id), ("DEL", "noop1", pods[1].id), ("GC", "noop1", ""), ("GC", "noop2", ""), ("GC", "noop3", "")]
    assert calls[1].stdin == {**plugin(1, x="old"), "name": NET, "cniVersion": "1.0.0", "prevResult": result()}
    assert court.postern.journal() == [f"{pods[0].id}:eth0"]
    court.clean_up(pods[0])


@pytest.mark.parametrize("verb, config", [("STATUS", dict(NEWEST, cniVersion="1.0.0")), ("GC", dict(NEWEST, cniVersion="1.0.0")),
                                          ("GC", dict(NEWEST, disableGC=True))], ids=["STATUS-1.0.0", "GC-1.0.0", "GC-disabled"])
def test_plugins_are_not_asked(court, verb, config):
    answer, calls = ask(court, verb, config, **{VALID_KEYS[0]: VALID})
    assert answer.ok().json is None and calls == []
