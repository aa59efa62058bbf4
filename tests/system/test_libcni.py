"""libcni is the judge: whatever a runtime would do with a configuration by libcni, Postern does with it as its cluster network.
Each case goes through both, ADD, CHECK and DEL. The delegates' calls, the result and the error must be the same but for what the
case names of DIFFERENCES; a difference that is named and does not show fails as well.

libcni here is Debian's, 1.1.2: CNI 1.0.0 and before. It has neither GC nor STATUS; what these do is at the end, as the
specification of CNI 1.1.0 says it."""
import copy
import dataclasses
import json

import pytest
from judge import Court

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0")
NET = "judged"


@pytest.fixture(scope="module")
def court():
    c = Court()
    try:
        yield c
    finally:
        c.close()


# What delegates answer.

def result(version="1.0.0", **more):
    """A result as plugins of that version print it."""
    if version in ("", "0.1.0", "0.2.0"):
        return {"cniVersion": version, "ip4": {"ip": "10.1.2.3/24", "gateway": "10.1.2.1", "routes": [{"dst": "0.0.0.0/0"}]},
                "ip6": {"ip": "fd01::3/64", "routes": [{"dst": "::/0", "gw": "fd01::1"}]}, "dns": {"domain": "pods"}, **more}
    ip = {"interface": 1, "address": "10.1.2.3/24", "gateway": "10.1.2.1"}
    ips = [ip, {"address": "fd01::3/64"}]
    if version.startswith("0."):
        ips = [dict(ip, version="64"["." in ip["address"]]) for ip in ips]
    return {"cniVersion": version, "interfaces": [{"name": "host0", "mac": "02:00:00:00:00:01"},
                                                  {"name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/x"}],
            "ips": ips, "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.2.1"}, {"dst": "fd02::/64"}],
            "dns": {"nameservers": ["10.1.2.53"], "search": ["pods", "all"], "options": ["ndots:2"]}, **more}


def says(what, **more):
    """noop prints that: an object, or text."""
    return {"ReportResult": what if isinstance(what, str) else json.dumps(what), **more}


def fails(code=123, msg="no luck today", details="ask again", status=1):
    return says({"code": code, "msg": msg, **({"details": details} if details else {})}, ExitWithCode=status)


PASS = {"ReportResult": "PASSTHROUGH"}
ADD_DNS = {"ReportResult": "INJECT-DNS"}


# Configurations.

def plugin(n=1, **more):
    return {"type": f"noop{n}", **more}


def chain(*plugins, version="1.0.0", **top):
    return {"name": NET, **({} if version is None else {"cniVersion": version}), "plugins": list(plugins), **top}


def single(version="1.0.0", **more):
    return {"name": NET, **({} if version is None else {"cniVersion": version}), **plugin(), **more}


@dataclasses.dataclass
class Case:
    id: str
    config: object  # an object, or text
    control: dict = dataclasses.field(default_factory=dict)  # (plugin, verb) -> what noop does; ADD of the first: a result
    differs: dict = dataclasses.field(default_factory=dict)  # id of DIFFERENCES -> what that function is to know
    later: object = None  # the configuration at CHECK and DEL, when it is another one
    capabilities: dict = dataclasses.field(default_factory=dict)
    args: list = dataclasses.field(default_factory=list)
    env: dict = dataclasses.field(default_factory=dict)  # of the caller
    steps: tuple = ("ADD", "CHECK", "DEL")
    container: str = None
    ifname: str = "eth0"
    runtime: str = None  # the version that the runtime speaks, when the configuration's would not do
    pod: str = None
    link: bool = True  # there is an eth0 after ADD
    drops_netns: bool = False  # before DEL

    def text(self, verb):
        config = self.later if self.later and verb != "ADD" else self.config
        return config if isinstance(config, str) else json.dumps(config)

    @property
    def single(self):
        return "plugins" not in self.config

    def version(self):
        return self.config.get("cniVersion", "") if isinstance(self.config, dict) else "1.0.0"

    def runtime_version(self):
        return self.runtime or self.version() or "0.1.0"

    def controls(self):
        return {("noop1", "ADD"): says(result(self.version())), **{(f"noop{n}", "ADD"): PASS for n in (2, 3)}, **self.control}


# How Postern differs, as functions from what libcni did to what Postern does. Each gets libcni's steps, Postern's, the case, the pod, and
# what the case gave it.

def by_verb(steps):
    return {s.verb: s for s in steps}


def previous_results(steps):
    return [c.stdin["prevResult"] for s in steps for c in s.calls if isinstance(c.stdin.get("prevResult"), dict)]


def empty_dns(want, got, case, pod, _):
    for r in previous_results(want) + [s.result for s in want if s.result]:
        if r.get("cniVersion") == "1.0.0" and r.get("dns") == {}:
            del r["dns"]


def message(want, got, case, pod, _):
    for s in want:
        if not s.error or not s.error["code"] or not s.calls:
            continue
        how = {"ADD": "add", "CHECK": "check", "DEL": "delete"}[s.verb]
        where = f'network "{NET}": interface "{case.ifname}": plugin type="{s.calls[-1].plugin}" failed ({how}): '
        if s.verb == "ADD":
            where = f"[{pod.namespace}/{pod.name}/{pod.uid}:{NET}]: error adding container to {where}"
        s.error["msg"] = where + s.error["msg"]


def own_error(want, got, case, pod, expected):
    for verb, (code, words) in expected.items():
        w, g = by_verb(want)[verb], by_verb(got)[verb]
        assert w.error, f"{verb}: libcni has no error"
        assert w.error["code"] in (None, 0, code), f"{verb}: libcni's error has a code of its own: {w.error}"
        w.error = agreed(verb, g, code, words)


def agreed(verb, step, code, words):
    assert step.error, f"{verb}: Postern has no error"
    assert step.error["code"] == code and words in step.error["msg"], f"{verb}: {step.error}, not {code}: {words}"
    return step.error


def refused(want, got, case, pod, expected):
    """verb -> (code, words, how many of libcni's calls there are before it)"""
    for verb, (code, words, calls) in expected.items():
        w, g = by_verb(want)[verb], by_verb(got)[verb]
        w.error, w.result = agreed(verb, g, code, words), None
        del w.calls[calls:]


def rollback(want, got, case, pod, previous):
    """previous: the result so far, where the failed plugin was not called with it."""
    add = by_verb(want)["ADD"]
    assert add.error and add.calls, "no ADD that failed on its way"
    undo = copy.deepcopy(add.calls[::-1])
    previous = previous or undo[0].stdin.get("prevResult")
    for c in undo:
        c.env["CNI_COMMAND"] = "DEL"
        c.stdin.pop("prevResult", None)
        if previous and case.version() >= "0.4.0":
            c.stdin["prevResult"] = previous
    add.calls += undo


def not_added(want, got, case, pod, _):
    for s in want:
        if s.verb == "CHECK":
            s.calls, s.error = [], {"code": 3, "msg": f'container {pod.id} has no interface "eth0" from here', "details": ""}
        if s.verb == "DEL":
            s.calls, s.error = [], None


def second_add(want, got, case, pod, _):
    w, g = want[1], got[1]
    w.calls, w.result, w.error = [], None, agreed("ADD", g, 999, "already has its networks attached")


def del_succeeds(want, got, case, pod, _):
    assert by_verb(want)["DEL"].error
    by_verb(want)["DEL"].error = None


def journal(want, got, case, pod, _):
    """The configuration of ADD, at every later verb."""
    add = by_verb(want)["ADD"]
    for s in want:
        if s.verb == "ADD":
            continue
        for i, c in enumerate(s.calls):
            n = i if s.verb == "CHECK" else len(add.calls) - 1 - i
            c.plugin, c.stdin = add.calls[n].plugin, {**add.calls[n].stdin, "prevResult": c.stdin["prevResult"]}


def cni_args(want, got, case, pod, _):
    for s in want:
        for c in s.calls:
            c.env["CNI_ARGS"] = ";".join(c.env["CNI_ARGS"].split(";")[:5])


def environment(want, got, case, pod, _):
    for s in want:
        for c in s.calls:
            for name in case.env:
                del c.env[name]


def netns_gone(want, got, case, pod, _):
    for c in by_verb(want)["DEL"].calls:
        c.env["CNI_NETNS"] = ""


def version_absent(want, got, case, pod, _):
    for s in want:
        for c in s.calls:
            assert c.stdin["cniVersion"] == ""
            c.stdin["cniVersion"] = "0.1.0"


def result_is(want, got, case, pod, expected):
    """That result in place of libcni's, at the end of ADD and as the previous one."""
    by_verb(want)["ADD"].result = expected
    for s in want:
        for c in s.calls:
            if "prevResult" in c.stdin:
                c.stdin["prevResult"] = expected


def message_is(want, got, case, pod, msg):
    for s in want:
        if s.error:
            s.error["msg"] = msg(s.error["msg"])


def code_range(want, got, case, pod, _):
    for s in want:
        if s.error:
            s.error["code"] = 999
    message(want, got, case, pod, None)


def numbers(want, got, case, pod, key):
    for s in want:
        for c in s.calls:
            c.stdin[key] = case.config[key]


def one_spelling(want, got, case, pod, keys):
    for s in want:
        for c in s.calls:
            for was, key in keys.items():
                c.stdin[key] = c.stdin.pop(was)


def no_check(want, got, case, pod, _):
    by_verb(want)["CHECK"].calls.clear()
    by_verb(want)["CHECK"].error = None


# id, what is different, why, the function. Those in EVERYWHERE hold in every case; the others only where a case names them.
DIFFERENCES = [
    ("empty-dns", 'A result of CNI 1.x has no `"dns": {}`.',
     "An empty object says nothing; libcni leaves it out as well from 1.2 on. Before 1.0.0 it is printed, as there.", empty_dns),
    ("message", "An error's message begins with the pod, the network, the interface and the plugin. Code, text and details of the plugin follow "
     "unchanged.", "A pod has several networks; whoever reads the event must know which one it was.", message),
    ("own-error", "Errors that are not a plugin's (unreadable configuration, no such plugin, output that is no result, exit without a message) "
     "have Postern's words and always a code.", "libcni has no codes for them, or 0; a runtime shows 999 for these. Texts of a plugin's are "
     "quoted, bounded and printable; configurations never are.", own_error),
    ("strict-config", "A configuration that libcni hands on unread is refused before a plugin runs: duplicate keys, a value of the wrong type "
     "at a key of CNI's, a cniVersion that does not exist.", "What is checked must be what the plugin reads.", refused),
    ("strict-result", "A result with an interface name that cannot be, or an index without an interface, fails the ADD.",
     "Others find the pod's interface by it.", refused),
    ("rollback", "After an ADD that failed, DEL of the plugins that ran, last one first, with the result so far.",
     "A failed ADD leaves nothing behind, whatever the runtime does next.", rollback),
    ("not-added", "Without a successful ADD before it, CHECK is error 3 and DEL does nothing and succeeds.",
     "Only what was journalled is checked and undone; a failed ADD has been undone already.", not_added),
    ("second-add", "ADD of a container and interface that are attached is refused, and nothing runs.",
     "It would overwrite what the first one must be undone with.", second_add),
    ("del-succeeds", "DEL succeeds when a plugin's DEL fails. It is owed, and tried again.",
     "A runtime can do nothing about it, and the pod's deletion would hang.", del_succeeds),
    ("journal", "CHECK and DEL go by the configuration that ADD used, not by what the file says since.",
     "What was done is undone; the file may be gone.", journal),
    ("cni-args", "CNI_ARGS has the five keys of Kubernetes (and MAC, IP where an annotation asks for them), none of the runtime's others.",
     "The environment of a delegate is made of checked fields.", cni_args),
    ("environment", "A delegate's environment is PATH and CNI's variables, not the caller's.", "The same.", environment),
    ("netns-gone", "DEL with a network namespace that is gone: CNI_NETNS is empty.",
     "The specification has it so. Plugins that open a stale path fail, or hit another pod's.", netns_gone),
    ("version-absent", 'A configuration without cniVersion gives the plugins `"0.1.0"`, not `""`.', "It means the same, and says so.", version_absent),
    ("result-version", "A plugin's result of another version than its configuration's is converted at once.",
     "The next plugin can read it, and the runtime gets the version that it asked for.", result_is),
    ("newer-members", "Members of results that came with CNI 1.1 (mtu, socketPath, pciID; mtu, advmss, priority, table, scope of routes) are kept in "
     "results of 1.0.0.", "As in libcni from 1.2 on.", result_is),
    ("printable", "Control characters in a plugin's message come out escaped.", "It ends in logs and on terminals.", message_is),
    ("bounded", "A message longer than about 600 bytes is cut.", "A message on the wire has a fixed size.", message_is),
    ("code-range", "A plugin's error with code 0 has code 999.", "0 would be no error.", code_range),
    ("numbers", "Integers beyond 2^53 reach the plugin as they are written.", "libcni makes floating point of them.", numbers),
    ("one-spelling", "Keys of CNI's that are written in other case reach the plugin in the specification's.",
     "So that what is checked is what the plugin takes.", one_spelling),
    ("disable-check", "disableCheck counts in the configuration of a single plugin as well.", "It can mean only one thing.", no_check),
    ("flags-as-text", 'disableCheck may be the text "true" or "false".', "As in libcni from 1.2 on.", no_check),
]
EVERYWHERE = ("empty-dns", "message")
FAILED_ADD = {"rollback": None, "not-added": None}
CHECKLESS = {"own-error": {"CHECK": (1, "config version does not allow CHECK")}}  # versions before 0.4.0


def before_check(version):
    return CHECKLESS if version < "0.4.0" else {}


def without(key, d):
    return {k: v for k, v in d.items() if k != key}


CASES = [
    *[Case(f"single-{v}", single(v), differs=before_check(v)) for v in VERSIONS],
    *[Case(f"list-of-one-{v}", chain(plugin(), version=v), differs=before_check(v)) for v in VERSIONS],
    *[Case(f"list-of-three-{v}", chain(plugin(1), plugin(2), plugin(3), version=v), {("noop2", "ADD"): ADD_DNS},
           before_check(v)) for v in VERSIONS],
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_as_libcni(court, case):
    pod, want, got = court.try_case(case)
    for name, _, _, function in DIFFERENCES:
        if name not in case.differs and name not in EVERYWHERE:
            continue
        before = copy.deepcopy(want)
        function(want, got, case, pod, case.differs.get(name))
        assert name not in case.differs or want != before, f"the difference {name} does not show"
    for w, g in zip(want, got):
        assert [(c.plugin, c.env["CNI_COMMAND"]) for c in g.calls] == [(c.plugin, c.env["CNI_COMMAND"]) for c in w.calls], w.verb
        for of_postern, of_libcni in zip(g.calls, w.calls):
            assert of_postern == of_libcni, w.verb
        assert g.error == w.error, w.verb
        assert g.result == w.result, w.verb


def test_every_difference_shows():
    """A row that no case needs is not a difference."""
    assert {name for c in CASES for name in c.differs} == {row[0] for row in DIFFERENCES}
