"""Whatever comes in: a clear CNI error, and the service unharmed."""
import json
import os

import harness
import pytest

DEEP = "[" * 10000 + "]" * 10000


def netconf(**more):
    return json.dumps(dict({"cniVersion": "1.0.0", "name": "postern", "type": "postern-shim"}, **more))


STDIN = {
    "empty": "", "not-json": "hello", "truncated": '{"cniVersion": "1.0.0", "name": ', "array": "[]", "null": "null",
    "number": "5", "trailing": netconf() + " x", "deep": netconf()[:-1] + f', "x": {DEEP}}}',
    "duplicate": netconf()[:-1] + ', "name": "other"}', "duplicate-deep": netconf()[:-1] + ', "x": {"a": 1, "a": 2}}',
    "utf8": netconf().encode()[:-1] + b', "x": "\xff\xfe"}', "surrogate": netconf()[:-1] + ', "x": "\\ud800"}',
    "nul": netconf().encode() + b"\x00", "nul-escape": netconf(name="a\x00b"), "2MiB": netconf(x="y" * (2 << 20)),
    "just-over": netconf(x="y" * (1 << 20)), "no-name": '{"cniVersion": "1.0.0"}', "name-slash": netconf(name="a/b"),
    "name-number": netconf(name=5), "version-unknown": netconf(cniVersion="9.9.9"), "version-number": netconf(cniVersion=1),
    "version-format": netconf(cniVersion="%s%n%s"), "runtimeconfig": netconf(runtimeConfig="x"),
}


@pytest.mark.parametrize("verb", ["ADD", "CHECK"])
@pytest.mark.parametrize("case", sorted(STDIN))
def test_stdin(calm, case, verb):
    pod = calm.pod()
    answer = calm.cni(verb, pod, stdin=STDIN[case]).failed()
    expected = {"name-slash": 7, "no-name": 7, "version-unknown": 1}.get(case)
    assert expected is None or answer.code == expected, answer.text
    assert len(answer.text) < 4096 and answer.seconds < 10


@pytest.mark.parametrize("case", sorted(STDIN))
def test_stdin_of_del(calm, case):
    """A runtime keeps what it calls DEL with; nothing is undone by a configuration that cannot be read, and nothing breaks."""
    pod = calm.pod()
    calm.add(pod).ok()
    calm.cni("DEL", pod, stdin=STDIN[case])
    calm.delete(pod).ok()


BAD_IFNAMES = {"slash": "a/b", "dot": ".", "dotdot": "..", "sixteen": "sixteencharacter", "long": "x" * 300, "control": "a\x01b",
               "escape": "a\x1b[31mb", "newline": "a\nb", "space": "a b", "colon": "a:b", "lo": "lo", "percent": "eth%d"}


@pytest.mark.parametrize("case", sorted(BAD_IFNAMES) + ["empty", "unset"])
def test_ifname_of_the_runtime(calm, case):
    pod = calm.pod()
    ifname = {"empty": "", "unset": None}.get(case) if case in ("empty", "unset") else BAD_IFNAMES[case]
    calm.add(pod, ifname=ifname).failed(4)


@pytest.mark.parametrize("case", sorted(BAD_IFNAMES))
@pytest.mark.parametrize("place", ["text", "json", "default-network"])
def test_ifname_of_the_annotation(calm, case, place):
    name = BAD_IFNAMES[case]
    if place == "text" and case in ("slash", "newline"):
        name = "x" + name
    calm.stand_in("fine")
    calm.nad("fine", {"cniVersion": "1.0.0", "name": "fine", "type": "misbehave"}, namespace="kube-system")
    if place == "default-network":
        pod = calm.pod(annotations={"v1.multus-cni.io/default-network": json.dumps([{"name": "fine", "interface": name}])})
    else:
        pod = calm.pod(f"fine@{name}" if place == "text" else [{"name": "fine", "interface": name}])
    calm.add(pod).failed()


@pytest.mark.parametrize("networks", ["fine@eth0", "fine@one,fine@one", "fine@net2,fine"], ids=str)
def test_ifname_taken(calm, networks):
    calm.stand_in("fine")
    pod = calm.pod(networks)
    answer = calm.add(pod)
    if networks == "fine@net2,fine":
        answer.failed()
    assert answer.failed().msg


@pytest.mark.parametrize("mode", ["badifname", "longifname"])
def test_ifname_of_a_plugins_result(calm, mode):
    calm.stand_in(mode, mode)
    pod = calm.pod(mode)
    assert mode in calm.add(pod).failed().said


ANNOTATIONS = {
    "null-element": "[null]", "object": '{"name": "fine"}', "strings": '["fine"]', "truncated": '[{"name": "fine"', "trailing": "[] x",
    "name-number": '[{"name": 5}]', "no-name": "[{}]", "name-empty": '[{"name": ""}]', "name-slash": '[{"name": "../../etc/passwd"}]',
    "namespace-dots": '[{"name": "fine", "namespace": ".."}]', "namespace-slash": '[{"name": "fine", "namespace": "a/b"}]',
    "text-slashes": "a/b/c", "text-ats": "fine@a@b", "text-upper": "Fine", "text-comma": "fine,", "text-dots": "../fine",
    "blank": " ", "mac": '[{"name": "fine", "mac": "not-a-mac"}]', "ip": '[{"name": "fine", "ips": ["10.0.0.300"]}]',
    "ip-semicolon": '[{"name": "fine", "ips": ["10.0.0.1;X=Y"]}]', "mac-semicolon": '[{"name": "fine", "mac": "02:00:00:00:00:01;IP=1.1.1.1"}]',
    "gateway": '[{"name": "fine", "default-route": ["x"]}]', "gateway-multicast": '[{"name": "fine", "default-route": ["224.0.0.1"]}]',
    "gateway-empty": '[{"name": "fine", "default-route": [""]}]', "cni-args": '[{"name": "fine", "cni-args": "x"}]',
    "device": '[{"name": "fine", "deviceID": "0000:00:00.0"}]', "deep": f'[{{"name": "fine", "cni-args": {{"x": {DEEP}}}}}]',
    "duplicate": '[{"name": "fine", "name": "fine"}]', "control": '[{"name": "fi\\u0001ne"}]', "too-many": ",".join(["fine"] * 33),
    "format": '[{"name": "%s%n%n"}]', "huge": "x" * 300000,
}


@pytest.mark.parametrize("case", sorted(ANNOTATIONS))
def test_annotation(calm, case):
    calm.stand_in("fine")
    pod = calm.pod(ANNOTATIONS[case])
    calm.add(pod).failed()


@pytest.mark.parametrize("value", ["", "[]", "[null]", "a,b", "..", '[{"name": "fine", "namespace": "../x"}]'])
def test_default_network_annotation(calm, value):
    pod = calm.pod(annotations={"v1.multus-cni.io/default-network": value})
    calm.add(pod).failed()


@pytest.mark.parametrize("plugin", ["../bridge", "a/b", "/bin/sh", ".", "..", "bridge ", "Bridge", "nosuchplugin", "x" * 100,
                                    "unlisted", "host-local", "", "bridge\n", "-x"], ids=lambda v: repr(v)[:40])
def test_plugin_type(calm, plugin):
    (calm.bin_dir / "unlisted").write_bytes((harness.TOOLS / "misbehave").read_bytes())
    (calm.bin_dir / "unlisted").chmod(0o755)
    calm.nad("odd", {"cniVersion": "1.0.0", "name": "odd", "type": plugin})
    pod = calm.pod("odd")
    assert "odd" in calm.add(pod).failed().said


@pytest.mark.parametrize("binary", ["symlink", "setuid", "writable", "directory", "fifo", "not-executable", "not-a-program", "owner"])
def test_plugin_binary(make_postern, binary):
    p = make_postern(plugins=list(harness.STAND_INS) + ["odd"])
    path = p.bin_dir / "odd"
    if binary == "symlink":
        path.symlink_to(p.bin_dir / "misbehave")
    elif binary == "directory":
        path.mkdir()
    elif binary == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(b"\x00" * 64 if binary == "not-a-program" else (harness.TOOLS / "misbehave").read_bytes())
        path.chmod({"setuid": 0o4755, "writable": 0o757, "not-executable": 0o644}.get(binary, 0o755))
        if binary == "owner":
            os.chown(path, 1000, 1000)
    p.start()
    before = p.all_roles()
    p.nad("net", {"cniVersion": "1.0.0", "name": "net", "type": "odd"})
    pod = p.pod("net")
    said = p.add(pod).failed().said
    assert "odd" in said and "net" in said
    p.nothing_left(pod)
    p.unharmed(before)


@pytest.mark.parametrize("case", ["regular", "fifo", "host", "host-mount", "directory", "mnt-namespace", "missing", "relative", "long",
                                  "empty", "unset", "device", "socket", "dangling"])
def test_netns(calm, case, tmp_path):
    path = tmp_path / "x"
    value = str(path)
    if case == "regular":
        path.write_text("x")
    elif case == "fifo":
        os.mkfifo(path)
    elif case == "directory":
        path.mkdir()
    elif case == "dangling":
        path.symlink_to("/nonexistent")
    elif case == "socket":
        import socket
        s = socket.socket(socket.AF_UNIX)
        s.bind(str(path)) if len(value) < 100 else path.write_text("x")
    elif case == "host-mount":
        path.touch()
        harness.sh("mount", "--bind", "/proc/self/ns/net", str(path))
    else:
        value = {"host": "/proc/1/ns/net", "mnt-namespace": "/proc/self/ns/mnt", "missing": "/run/netns/none", "relative": "ptn1",
                 "long": "/run/netns/" + "x" * 5000, "empty": "", "unset": None, "device": "/dev/null"}[case]
    try:
        pod = calm.pod()
        answer = calm.add(pod, netns=value).failed()
        assert answer.code in (4, 5, 8), answer.text
        assert answer.seconds < 10
    finally:
        if case == "host-mount":
            harness.sh("umount", str(path))


@pytest.mark.parametrize("value", ["", "..", "a/b", "-x", ".x", "x" * 129, "a b", "a\x01", "a%s", "é", None], ids=lambda v: repr(v)[:40])
def test_container_id(calm, value):
    pod = calm.pod()
    calm.add(pod, containerid=value).failed(4)


@pytest.mark.parametrize("value", [None, "", "x", "K8S_POD_NAMESPACE=default", "K8S_POD_NAME=p;K8S_POD_NAMESPACE=../x",
                                   "K8S_POD_NAME=../../x;K8S_POD_NAMESPACE=default", "K8S_POD_NAME=" + "x" * 400 + ";K8S_POD_NAMESPACE=d",
                                   "K8S_POD_NAME=a\x01b;K8S_POD_NAMESPACE=default"], ids=lambda v: repr(v)[:40])
def test_args(calm, value):
    pod = calm.pod()
    calm.add(pod, args=value).failed()


def test_wrong_uid(calm):
    pod = calm.pod()
    said = calm.add(pod, args=calm.cni_args(pod).replace(pod.uid, "someone-else")).failed().said
    assert "uid" in said.lower()


@pytest.mark.parametrize("verb", ["add", "FROB", "ADD\n", "x" * 10000])
def test_verb(calm, verb):
    calm.cni(verb, calm.pod()).failed(4)


@pytest.mark.parametrize("case", ["fifo", "symlink", "symlink-dir", "directory", "2MiB", "empty", "binary", "wrong-kind", "wrong-name",
                                  "unreadable", "alias", "two-documents", "annotation-number", "annotations-list"])
def test_pod_manifest(calm, case):
    namespace = "linked" if case == "symlink-dir" else "default"
    pod = calm.pod(namespace=namespace, manifest=case not in ("symlink-dir",))
    if case == "symlink-dir":
        (calm.root / "elsewhere").mkdir(exist_ok=True)
        (calm.root / "elsewhere" / f"{pod.name}.yaml").write_text("kind: Pod\n")
        if not (calm.store / "pods" / "linked").exists():
            (calm.store / "pods" / "linked").symlink_to(calm.root / "elsewhere")
        assert pod.name in calm.add(pod).failed().said
        return
    path = calm.pod_path(pod)
    text = path.read_text()
    path.unlink()
    if case == "fifo":
        os.mkfifo(path)
    elif case == "directory":
        path.mkdir()
    elif case == "symlink":
        (calm.root / "target.yaml").write_text(text)
        path.symlink_to(calm.root / "target.yaml")
    else:
        path.write_text({"2MiB": text + "#" * (2 << 20), "empty": "", "binary": "\x00\x01", "wrong-kind": text.replace("kind: Pod", "kind: Node"),
                         "wrong-name": text.replace(f"name: {pod.name}", "name: someone"), "alias": "a: &x 1\nb: *x\n" + text,
                         "two-documents": text + "---\n" + text,
                         "annotation-number": text.replace("annotations: {}", "annotations: {k8s.v1.cni.cncf.io/networks: 5}"),
                         "annotations-list": text.replace("annotations: {}", "annotations: [a]")}.get(case, text))
    if case == "unreadable":
        path.chmod(0)
    answer = calm.add(pod).failed()
    assert pod.name in answer.said and answer.seconds < 10
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()


PLUGINS = {"silent": "nothing", "silentfail": None, "stderrfail": None, "kill": None, "badjson": None, "arrayjson": None,
           "badversion": "9.9.9", "badip": None, "bigout": None, "failtext": None}


@pytest.mark.parametrize("mode", sorted(PLUGINS))
def test_plugin_that_misbehaves(calm, mode):
    calm.stand_in(mode, mode)
    pod = calm.pod(mode)
    answer = calm.add(pod).failed()
    assert mode in answer.said and len(answer.text) < 8192, answer.text
    assert answer.seconds < 20


def test_plugin_floods_stderr(calm):
    calm.stand_in("bigerr", "bigerr")
    pod = calm.pod("bigerr")
    assert "after a flood" in calm.add(pod).failed(122).said


def test_plugin_hangs(make_postern):
    p = make_postern(deadlines={"delegate": 0.7})
    p.stand_in("hang", "hang")
    p.start()
    before = p.all_roles()
    pod = p.pod("hang")
    answer = p.add(pod).failed()
    assert "hang" in answer.said and answer.seconds < 8
    p.nothing_left(pod)
    p.unharmed(before)


@pytest.mark.parametrize("mode", ["daemonize", "daemonout"])
def test_plugin_leaves_a_daemon(make_postern, mode):
    """A child that fled into a session of its own: the command ends in time, and the child ends with it."""
    p = make_postern(deadlines={"delegate": 1.5})
    p.stand_in(mode, mode)
    p.start()
    before = p.all_roles()
    pod = p.pod(mode)
    answer = p.add(pod)
    assert answer.seconds < 10
    p.delete(pod).ok()
    p.nothing_left(pod)
    p.unharmed(before)


CONFIGS = {"not-json": "hello", "array": "[]", "relative-store": '{"store": "x"}', "bin-number": '{"binDir": 5}', "sandbox": '{"sandbox": "off"}',
           "uid0": '{"users": {"broker": 0}}', "huge": '{"x": "' + "y" * (2 << 20) + '"}', "deep": DEEP, "duplicate": '{"store": "/a", "store": "/b"}'}


@pytest.mark.parametrize("case", sorted(CONFIGS))
def test_node_configuration(make_postern, case):
    p = make_postern()
    path = p.root / "bad.json"
    path.write_text(CONFIGS[case])
    r = harness.sh(str(harness.BUILD / "postern"), "--libexec", str(harness.BUILD), "--check-config", str(path), check=False)
    assert r.returncode != 0 and (r.stderr + r.stdout).strip(), r
    assert p.start(expect_ready=False, config=path) not in (0, None)


def test_unknown_key_is_named(make_postern):
    p = make_postern(colour="green")
    r = harness.sh(str(harness.BUILD / "postern"), "--libexec", str(harness.BUILD), "--check-config", str(p.write_config()))
    assert "colour" in r.stdout + r.stderr
