"""libcni is the judge: whatever a runtime would do with a configuration by libcni, Postern does with it as its cluster network.
Each case goes through both, ADD, CHECK and DEL. The delegates' calls, the result and the error must be the same but for what the
case names of DIFFERENCES; a difference that is named and does not show fails as well.

libcni here is Debian's, 1.1.2: CNI 1.0.0 and before. What came with CNI 1.1 it does not know: GC and STATUS are in
test_gc_and_status.py, as the specification has them; cniVersions and flags as text are not compared."""
import copy

import pytest
from judge import ADD_DNS, NET, Case, chain, court, fails, plugin, result, says, single  # noqa: F401

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0")


# How Postern differs, as functions from what libcni did to what Postern does. Each gets libcni's steps, Postern's, the case, the
# pod, and what the case gave it.

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


def not_added(want, got, case, pod, since):
    """since: the step from which on nothing is attached."""
    for s in want[since or 0:]:
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


def netns_alias(want, got, case, pod, alias):
    for s in want:
        for c in s.calls:
            c.env["CNI_NETNS"] = alias
    for interface in by_verb(want)["ADD"].result["interfaces"]:
        if interface.get("sandbox") == alias:
            interface["sandbox"] = case.namespace(pod)


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


def at_the_end(want, got, case, pod, expected):
    by_verb(want)["ADD"].result = expected


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
    ("message", "A plugin's message has the pod, the network, the interface and the plugin before it; code and details are unchanged.",
     "A pod has several networks; whoever reads the event must know which one it was.", message),
    ("own-error", "Errors that are not a plugin's own (unusable configuration, no such plugin, output that is no result, exit without "
     "an error object) have Postern's words and always a code.",
     "libcni has no code for them, or 0. A plugin's output is quoted bounded and printable, a configuration never.", own_error),
    ("strict-config", "What libcni hands on unread is refused before a plugin runs: duplicate keys, `args` that is no object, a "
     "cniVersion that does not exist.", "What is checked must be what the plugin reads.", refused),
    ("strict-result", "An interface name that cannot be, or an index without an interface, fails the ADD.",
     "Whoever reads the result finds the pod's interface by them.", refused),
    ("rollback", "An ADD that fails is followed by DEL of the plugins that ran, last one first, with the result so far.",
     "A failed ADD leaves nothing behind, whatever the runtime does next.", rollback),
    ("not-added", "Without a successful ADD, CHECK is error 3, and DEL does nothing and succeeds.",
     "Only what was journalled is checked and undone; a failed ADD has been undone already.", not_added),
    ("second-add", "ADD of a container and interface that are attached is refused, and nothing runs.",
     "It would overwrite what the first one must be undone with.", second_add),
    ("del-succeeds", "DEL succeeds when a plugin's DEL fails; it is owed, and tried again.",
     "The runtime can do nothing about it, and the pod's deletion would hang.", del_succeeds),
    ("journal", "CHECK and DEL go by the configuration that ADD used, not by what the file says since.",
     "What was done is undone; the file may be gone.", journal),
    ("cni-args", "CNI_ARGS has the five keys of Kubernetes (and MAC, IP where an annotation asks for them), nothing else of "
     "the runtime's.",
     "The environment of a delegate is made of checked fields.", cni_args),
    ("environment", "A delegate's environment is PATH and CNI's variables, nothing of the caller's.", "The same.", environment),
    ("netns-gone", "When the network namespace is gone at DEL, CNI_NETNS is empty.",
     "A path that is stale makes plugins fail, or means another pod by now.", netns_gone),
    ("netns-alias", "A CNI_NETNS beneath /proc reaches the plugins as /run/cni/netns, and is in the result as the runtime wrote it.",
     "The process that it names need not be in the plugin's /proc, and may end.", netns_alias),
    ("version-absent", 'A configuration without cniVersion gives the plugins `"0.1.0"`, not `""`.', "It means the same, and says so.",
     version_absent),
    ("result-version", "A plugin's result of another version than its configuration's is converted at once.",
     "The next plugin can read it, and the runtime gets the version that it asked for.", result_is),
    ("newer-members", "What CNI 1.1 added to results (mtu, socketPath, pciID; mtu, advmss, priority, table, scope of routes) is "
     "kept in those of 1.0.0.", "As in libcni from 1.2 on.", result_is),
    ("printable", "Control characters in a plugin's message come out escaped.", "It ends in logs and on terminals.", message_is),
    ("bounded", "A message is cut after 639 bytes.", "Its size on the wire is fixed.", message_is),
    ("code-range", "A plugin's error with code 0 has code 999.", "0 would be no error.", code_range),
    ("numbers", "Integers beyond 2^53 reach the plugin as they are written.", "libcni makes floating point of them.", numbers),
    ("one-spelling", "Keys of CNI's that are written in another case reach the plugin in the specification's.",
     "What is checked must be what the plugin reads.", one_spelling),
    ("interface-gone", "CHECK fails when the interface that ADD made is not in the pod, and the plugins are not asked.",
     "Plugins look at what they configured themselves.", refused),
    ("no-namespace", "ADD with a CNI_NETNS that is no network namespace is refused before a plugin runs.",
     "Each plugin would have to notice it.", refused),
    ("runtimes-version", "The result has the cniVersion that the runtime speaks to Postern, not the cluster network's.",
     "The runtime cannot know that one.", at_the_end),
    ("check-of-old", "CHECK of a network below 0.4.0, by a runtime that speaks a later version, looks at the interface and succeeds.",
     "The pod's other networks are checked; this one's plugins cannot be asked.", no_check),
    ("disable-check", "disableCheck counts in the configuration of a single plugin as well.", "It can mean only one thing.", no_check),
]
EVERYWHERE = ("empty-dns", "message")
FAILED_ADD = {"rollback": None, "not-added": None}
CHECKLESS = {"own-error": {"CHECK": (1, "config version does not allow CHECK")}}  # versions before 0.4.0


def before_check(version):
    return CHECKLESS if version < "0.4.0" else {}


def without(key, d):
    return {k: v for k, v in d.items() if k != key}


GARBAGE = {"own-error": {"ADD": (6, "its output")}, **FAILED_ADD}
EVERY_KEY = dict(ipam={"type": "host-local", "ranges": [[{"subnet": "10.1.2.0/24"}]], "dataDir": "/nonexistent"},
                 dns={"nameservers": ["10.0.0.53"], "domain": "d", "search": ["a", "b"], "options": ["ndots:1"]},
                 args={"cni": {"labels": [{"key": "k", "value": "<&>\u2028"}]}, "other": 1},
                 unknown={"deep": [1, [2.5, None, True]], "": ""},
                 mtu=1400, ipMasq=False, text="\"\\\u00e9\U0001f600")
PORTS = {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}], "mac": "02:00:00:00:00:09",
         "bandwidth": {"ingressRate": 1000, "ingressBurst": 1000}}
NEWER = result(interfaces=[{"name": "host0", "socketPath": "/s"},
                           {"name": "eth0", "mtu": 1400, "pciID": "0000:00:1f.0", "sandbox": "/run/netns/x"}],
               routes=[{"dst": "0.0.0.0/0", "mtu": 1400, "advmss": 1360, "priority": 5, "table": 7, "scope": 253}])
BOTH = {"list": chain(plugin(), plugin(2)), "single": single()}
IN_ALIAS = {"name": "eth0", "sandbox": "/run/cni/netns"}


def one_plugin(name, control, differs=None, **more):
    """What one plugin does, alone in a list."""
    return Case(name, chain(plugin()), {("noop1", "ADD"): control}, differs or {}, **more)


def bad_config(name, config, differs, **more):
    """ADD alone: nothing runs, and what is not attached has nothing to be checked."""
    return Case(name, config, {}, differs, steps=("ADD",), **more)


def own(code, words, *verbs):
    return {"own-error": {v: (code, words) for v in verbs or ("ADD",)}}


CASES = [
    *[Case(f"single-{v}", single(v), differs=before_check(v)) for v in VERSIONS],
    *[Case(f"list-of-one-{v}", chain(plugin(), version=v), differs=before_check(v)) for v in VERSIONS],
    *[Case(f"list-of-three-{v}", chain(plugin(1), plugin(2), plugin(3), version=v), {("noop2", "ADD"): ADD_DNS},
           before_check(v)) for v in VERSIONS],
    Case("single-without-version", single(None), differs={"version-absent": None, **CHECKLESS}),
    Case("list-without-version", chain(plugin(), plugin(2), version=None), {("noop2", "ADD"): says(result("0.1.0"))},
         {"version-absent": None, **CHECKLESS}),
    Case("single-with-every-key", single(**EVERY_KEY)),
    Case("list-with-every-key", chain(plugin(**EVERY_KEY), plugin(2, **EVERY_KEY), unknown="of the list")),
    Case("names-of-its-own", chain(plugin(name="other", cniVersion="0.3.1"), plugin(2, name="another"))),
    Case("a-previous-result-of-its-own", chain(plugin(prevResult=result()), plugin(2))),
    Case("a-runtime-configuration-of-its-own", chain(plugin(runtimeConfig={"mac": "02:00:00:00:00:08"}))),
    Case("capabilities", chain(plugin(capabilities={"portMappings": True, "bandwidth": False}),
                               plugin(2, capabilities={"mac": True, "ips": True, "bandwidth": True}), plugin(3)), capabilities=PORTS),
    Case("single-capabilities", single(capabilities={"portMappings": True, "mac": True}), capabilities=PORTS),
    Case("capabilities-in-place-of-its-own",
         chain(plugin(capabilities={"mac": True}, runtimeConfig={"bandwidth": {"ingressRate": 1}})), capabilities=PORTS),
    Case("capabilities-that-nobody-gives", chain(plugin(capabilities={"portMappings": True}))),
    Case("arguments", chain(plugin(), plugin(2)), args=[("K8S_POD_EXTRA", "x"), ("MAC", "02:00:00:00:00:07")],
         differs={"cni-args": None}),
    Case("callers-environment", chain(plugin()), env={"SECRET": "s", "HOME": "/root"}, differs={"environment": None}),
    Case("another-interface", chain(plugin(), plugin(2)), ifname="ext0", link=False,
         control={("noop1", "ADD"): says({"cniVersion": "1.0.0"})}),
    Case("disable-check", chain(plugin(), plugin(2), disableCheck=True)),
    Case("disable-check-single", single(disableCheck=True), differs={"disable-check": None}),
    bad_config("disable-check-as-text", chain(plugin(), disableCheck="yes"), own(7, "disableCheck")),
    Case("disable-check-without-link", chain(plugin(), disableCheck=True), link=False),
    Case("interface-gone", chain(plugin(), plugin(2)), link=False,
         differs={"interface-gone": {"CHECK": (999, "no longer in the pod", 0)}}),
    Case("older-than-the-runtime", chain(plugin(), version="0.3.1"), runtime="1.0.0",
         differs={"runtimes-version": result(), "check-of-old": None}),
    Case("newer-than-the-runtime", chain(plugin(), version="1.0.0"), runtime="0.4.0", differs={"runtimes-version": result("0.4.0")}),
    bad_config("no-namespace", chain(plugin()), {"no-namespace": {"ADD": (4, "CNI_NETNS", 0)}}, netns=""),
    bad_config("namespace-that-is-a-file", chain(plugin()), {"no-namespace": {"ADD": (8, "not a network namespace", 0)}},
               netns="/etc/passwd"),
    Case("namespace-beneath-proc", chain(plugin(), plugin(2)), {("noop1", "ADD"): says(result(interfaces=[{"name": "h"}, IN_ALIAS]))},
         {"netns-alias": IN_ALIAS["sandbox"]}, netns="/proc/{pid}/root{pod.netns}"),
    Case("namespace-gone-at-DEL", chain(plugin(), plugin(2)), drops_netns=True, differs={"netns-gone": None}),
    Case("configuration-changes", chain(plugin(x=1), plugin(2, x=1)), later=chain(plugin(2, x=2), plugin(1, x=2)),
         differs={"journal": None}),
    Case("second-ADD", chain(plugin()), steps=("ADD", "ADD", "CHECK", "DEL"), differs={"second-add": None}),
    Case("second-DEL", chain(plugin(), plugin(2)), steps=("ADD", "DEL", "DEL"), differs={"not-added": 2}),
    Case("nothing-added", chain(plugin(), plugin(2)), steps=("CHECK", "DEL"), differs={"not-added": None}),
    Case("integers", single(big=9007199254740993), differs={"numbers": "big"}),
    Case("spelling", chain(plugin(IPAM={"type": "host-local"}, Dns={})), differs={"one-spelling": {"IPAM": "ipam", "Dns": "dns"}}),

    # Results.
    one_plugin("nothing-in-the-result", says("{}"), {"empty-dns": None}, link=False),
    *[Case(f"nothing-in-the-result-{v}", chain(plugin(), version=v), {("noop1", "ADD"): says("{}")}, before_check(v), link=False)
      for v in VERSIONS[:-1]],
    one_plugin("result-without-version", says(without("cniVersion", result()))),
    one_plugin("result-null", says("null"), link=False),
    one_plugin("result-with-unknown-members", says(result(more=1, dns={"nameservers": [], "x": 1}))),
    one_plugin("result-in-other-spellings", says({"CNIVersion": "1.0.0", "IPs": [{"Address": "::ffff:10.1.2.3/120"},
                                                                                 {"address": "FD01:0::3/64"}]}), link=False),
    one_plugin("result-of-an-older-version", says(result("0.4.0")), {"result-version": result()}),
    one_plugin("result-with-newer-members", says(NEWER), {"newer-members": NEWER}),
    one_plugin("result-with-an-interface-that-cannot-be", says(result(interfaces=[{"name": "../x"}, {"name": "eth0"}])),
               {"strict-result": {"ADD": (6, "an interface name", 1)}, **FAILED_ADD}),
    one_plugin("result-with-an-index-too-far", says(result(ips=[{"address": "10.1.2.3/24", "interface": 7}])),
               {"strict-result": {"ADD": (6, "names interface 7", 1)}, **FAILED_ADD}),
    one_plugin("result-of-an-unknown-version", says({"cniVersion": "9.9.9"}),
               {"own-error": {"ADD": (1, 'unsupported CNI result version "9.9.9"')}, **FAILED_ADD}),
    one_plugin("result-with-a-bad-address", says(result(ips=[{"address": "10.1.2.300/24"}])), GARBAGE),
    one_plugin("result-that-is-a-list", says("[1, 2]"), GARBAGE),
    one_plugin("garbage", says("{\"cniVersion\": "), GARBAGE),
    one_plugin("nothing-printed", {}, {"own-error": {"ADD": (6, "printed nothing")}, **FAILED_ADD}),

    # Plugins that fail.
    *[Case(f"fails-at-ADD-{v}", chain(plugin(), plugin(2), plugin(3), version=v), {("noop2", "ADD"): fails()}, FAILED_ADD,
           steps=("ADD", "CHECK", "DEL") if v >= "0.4.0" else ("ADD", "DEL")) for v in VERSIONS],
    *[Case(f"first-fails-at-ADD-{n}", c, {("noop1", "ADD"): fails()}, FAILED_ADD) for n, c in BOTH.items()],
    *[Case(f"fails-at-CHECK-{n}", c, {("noop1", "CHECK"): fails(3)}, {"message": None}) for n, c in BOTH.items()],
    *[Case(f"fails-at-DEL-{n}", c, {("noop1", "DEL"): fails(11)}, {"del-succeeds": None}) for n, c in BOTH.items()],
    Case("last-fails-at-DEL", chain(plugin(), plugin(2)), {("noop2", "DEL"): fails(11)}, {"del-succeeds": None}),
    Case("error-of-gos-at-CHECK", chain(plugin()), {("noop1", "CHECK"): {"ReportError": "broken; \"quoted\" <&>"}}),
    Case("error-without-details", chain(plugin()), {("noop1", "CHECK"): fails(7, details=None)}),
    Case("error-with-another-status", chain(plugin()), {("noop1", "CHECK"): fails(100, status=77)}),
    Case("error-with-unknown-members", chain(plugin()),
         {("noop1", "CHECK"): says({"cniVersion": "1.0.0", "code": 9, "msg": "m", "x": {}}, ExitWithCode=1)}),
    Case("error-with-status-0", chain(plugin()), {("noop1", "CHECK"): says({"code": 9, "msg": "m"})}),
    Case("error-with-code-0", chain(plugin()), {("noop1", "CHECK"): fails(0)}, {"code-range": None}),
    Case("error-with-control-characters", chain(plugin()), {("noop1", "CHECK"): fails(msg="a\tb\x1b[31m")},
         {"printable": lambda m: m.replace("\t", "\\x09").replace("\x1b", "\\x1b")}),
    Case("long-error", chain(plugin()), {("noop1", "CHECK"): fails(msg="long " * 800)}, {"bounded": lambda m: m[:639]}),
    *[Case(f"{name}-at-CHECK", chain(plugin()), {("noop1", "CHECK"): control}, own(999, words, "CHECK")) for name, control, words in (
        ("fails-with-nothing", {"ExitWithCode": 3}, "exit status 3 and printed nothing"),
        ("fails-with-stderr", {"ExitWithCode": 3, "ReportStderr": "some words\n"}, "some words"),
        ("fails-with-garbage", says("no JSON", ExitWithCode=1), "no JSON"),
        ("fails-with-a-list", says("[]", ExitWithCode=1), "no CNI error object"),
        ("fails-with-a-code-that-cannot-be", says({"code": -1, "msg": "m"}, ExitWithCode=1), "m"))],
    Case("garbage-without-error-at-CHECK-and-DEL", chain(plugin()), {("noop1", "CHECK"): says("x"), ("noop1", "DEL"): says("x")}),
    Case("words-on-stderr", chain(plugin()), {("noop1", "ADD"): says(result(), ReportStderr="all is well\n")}),

    # Configurations that cannot be.
    Case("unknown-plugin", chain(plugin(), {"type": "absent"}), {}, {**own(999, "absent"), "rollback": result(), "not-added": None}),
    bad_config("unknown-plugin-single", {"name": NET, "type": "absent", "cniVersion": "1.0.0"}, own(999, "absent")),
    bad_config("plugin-not-in-the-nodes-table", chain({"type": "elsewhere"}), own(999, "add it to \"plugins\"")),
    bad_config("plugin-with-a-path", chain({"type": "../bin/noop1"}), own(7, "is not a plugin's name")),
    bad_config("no-type", chain({"x": 1}), own(7, "missing \"type\"")),
    bad_config("no-plugins", chain(), own(7, "\"plugins\" is empty")),
    bad_config("plugins-that-are-no-list", {**chain(), "plugins": {}}, own(6, "\"plugins\"")),
    bad_config("plugin-that-is-no-object", {**chain(), "plugins": [5]}, own(7, "must be an object")),
    bad_config("no-name", without("name", chain(plugin())), own(7, "missing \"name\"")),
    bad_config("no-name-single", without("name", single()), own(7, "missing \"name\"")),
    bad_config("name-that-cannot-be", chain(plugin(), name="a/b"), own(7, "is not a network's name")),
    bad_config("name-that-cannot-be-single", single(name="-x"), own(7, "is not a network's name")),
    bad_config("name-that-is-no-text", chain(plugin(), name=5), own(6, "\"name\"")),
    bad_config("version-that-is-no-text", chain(plugin(), version=1), own(6, "\"cniVersion\""), runtime="1.0.0"),
    bad_config("capability-that-is-no-boolean", chain(plugin(capabilities={"mac": "yes"})), own(7, "must be true or false")),
    bad_config("ipam-that-is-no-object", chain(plugin(ipam="host-local")), own(6, "\"ipam\"")),
    bad_config("dns-that-is-no-object", chain(plugin(dns=[])), own(6, "\"dns\"")),
    bad_config("no-json", '{"plugins": [', own(6, "10-net.conflist")),
    bad_config("configuration-that-is-a-list", '["plugins"]', own(7, "must be a JSON object")),
    bad_config("args-that-are-no-object", chain(plugin(args=5)), {"strict-config": {"ADD": (6, "\"args\"", 0)}}),
    bad_config("key-twice", '{"name": "judged", "cniVersion": "1.0.0", "plugins": [{"type": "noop1", "x": 1, "x": 2}]}',
               {"strict-config": {"ADD": (6, "duplicate key", 0)}}),
    bad_config("version-that-does-not-exist", chain(plugin(), version="0.9.9"), {"strict-config": {"ADD": (1, "0.9.9", 0)}},
               runtime="1.0.0"),
    Case("version-newer-than-the-plugin", chain(plugin(), version="1.1.0"), {}, {"rollback": None, "del-succeeds": None},
         steps=("ADD", "DEL")),
    bad_config("container-that-cannot-be", chain(plugin()), own(4, "CNI_CONTAINERID"), container="../x"),
    bad_config("interface-that-cannot-be", chain(plugin()), own(4, "CNI_IFNAME"), ifname="a/b"),
    bad_config("interface-too-long", chain(plugin()), own(4, "CNI_IFNAME"), ifname="sixteencharacter"),
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
