"""What deploy/kubernetes asks a cluster for: no more than the source says is needed, and nothing that an API server does not know."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import container
import harness
import pytest

FILES = sorted(p.name for p in container.KUBERNETES.glob("*.yaml"))
# The directories of the host that a container of ours may see, and what for. One more needs a reason here.
HOST_PATHS = {
    "/run/netns": "pods' network namespaces",
    "/run/postern": "the door, and the DELs that wait",
    "/run/cni": "tuning's backups, dhcp's socket",
    "/var/lib/cni": "address leases, the journal",
    "/opt/cni/bin": "the plugins",
    "/etc/cni/net.d": "the cluster network's configuration, the runtime's",
    "/etc/cni/multus/net.d": "networks by name",
    "/var/lib/kubelet/pod-resources": "the kubelet's socket",
    "/var/lib/kubelet/device-plugins": "its checkpoint file",
    "/var/run/k8s.cni.cncf.io": "device information",
}
WRITABLE = {"/run/netns", "/run/postern", "/run/cni", "/var/lib/cni", "/etc/cni/net.d", "/var/run/k8s.cni.cncf.io"}  # of those, by the service
RULES = [([""], ["pods"], ["get"]), ([""], ["pods/status"], ["patch"]),
         (["k8s.cni.cncf.io"], ["network-attachment-definitions"], ["get", "watch"]), (["resource.k8s.io"], ["resourceclaims"], ["get"]),
         (["resource.k8s.io"], ["resourceslices"], ["list"]), ([""], ["events"], ["create"])]
BOOTSTRAP_RULES = [(["certificates.k8s.io"], ["certificatesigningrequests"], ["create", "get", "watch"])]

# The fields that our manifests use, as the API has them: a type, [type], {"*": type} for a map with any keys, or a set of values.
# "!" = required. A field that is not here is unknown.
META = {"!name": str, "namespace": str, "labels": {"*": str}, "annotations": {"*": str}}
QUANTITIES = {"cpu": str, "memory": str}
PROBE = {"exec": {"!command": [str]}, "periodSeconds": int, "timeoutSeconds": int, "failureThreshold": int}
CAPABILITIES = {"add": [str], "drop": [str]}
CONTAINER = {
    "!name": str, "!image": str, "command": [str], "terminationMessagePolicy": {"File", "FallbackToLogsOnError"},
    "env": [{"!name": str, "valueFrom": {"fieldRef": {"!fieldPath": str}}}],
    "securityContext": {
        "runAsUser": int, "runAsGroup": int, "readOnlyRootFilesystem": bool, "allowPrivilegeEscalation": bool,
        "capabilities": CAPABILITIES, "seccompProfile": {"!type": {"RuntimeDefault", "Unconfined"}},
        "appArmorProfile": {"!type": {"RuntimeDefault", "Unconfined"}}},
    "resources": {"requests": QUANTITIES, "limits": QUANTITIES},
    "volumeMounts": [{"!name": str, "!mountPath": str, "subPath": str, "readOnly": bool,
                      "mountPropagation": {"None", "HostToContainer", "Bidirectional"}}],
    "startupProbe": PROBE, "readinessProbe": PROBE,
}
INIT_CONTAINER = {k: v for k, v in CONTAINER.items() if not k.endswith("Probe")}
POD = {
    "serviceAccountName": str, "automountServiceAccountToken": bool, "hostNetwork": bool,
    "dnsPolicy": {"Default", "ClusterFirst", "ClusterFirstWithHostNet", "None"}, "nodeSelector": {"*": str},
    "tolerations": [{"operator": {"Exists", "Equal"}}], "priorityClassName": str, "terminationGracePeriodSeconds": int,
    "initContainers": [INIT_CONTAINER], "!containers": [CONTAINER],
    "volumes": [{"!name": str, "configMap": {"!name": str, "defaultMode": int},
                 "hostPath": {"!path": str, "type": {"Directory", "DirectoryOrCreate"}}}],
}
RULE = {"!apiGroups": [str], "!resources": [str], "!verbs": [str]}
REF = {"!apiGroup": {"rbac.authorization.k8s.io"}, "!kind": {"ClusterRole"}, "!name": str}
SUBJECT = {"apiGroup": {"rbac.authorization.k8s.io"}, "!kind": {"ServiceAccount", "Group"}, "!name": str, "namespace": str}
TEXT = {"type": {"string"}, "description": str}
NAD = {"type": {"object"}, "description": str, "!properties": {
    "apiVersion": TEXT, "kind": TEXT, "metadata": {"type": {"object"}},
    "spec": {"type": {"object"}, "description": str, "properties": {"config": TEXT}}}}
KINDS = {
    ("v1", "ServiceAccount"): {},
    ("v1", "ConfigMap"): {"data": {"*": str}},
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): {"!rules": [RULE]},
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): {"!roleRef": REF, "!subjects": [SUBJECT]},
    ("apps/v1", "DaemonSet"): {"!spec": {
        "!selector": {"matchLabels": {"*": str}}, "!template": {"metadata": {"labels": {"*": str}}, "!spec": POD},
        "updateStrategy": {"type": {"RollingUpdate"}, "rollingUpdate": {"maxUnavailable": int}}}},
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): {"!spec": {
        "!group": str, "!scope": {"Namespaced"},
        "!names": {"!kind": str, "!plural": str, "singular": str, "shortNames": [str]},
        "!versions": [{"!name": str, "!served": bool, "!storage": bool, "!schema": {"!openAPIV3Schema": NAD}}]}},
}


def differences(value, schema, where):
    """What is wrong with it, one line each."""
    if isinstance(schema, type):
        good = isinstance(value, schema) and (schema is bool or not isinstance(value, bool))
        return [] if good else [f"{where}: {value!r} is no {schema.__name__}"]
    if isinstance(schema, set):
        return [] if value in schema else [f"{where}: {value!r} is none of {sorted(schema)}"]
    if isinstance(schema, list):
        if not isinstance(value, list):
            return [f"{where}: no list"]
        return [d for i, v in enumerate(value) for d in differences(v, schema[0], f"{where}[{i}]")]
    if not isinstance(value, dict):
        return [f"{where}: no object"]
    if "*" in schema:
        return [d for k, v in value.items() for d in differences(v, schema["*"], f"{where}.{k}")]
    fields = {k.lstrip("!"): v for k, v in schema.items()}
    found = [f"{where}: {k} is missing" for k in schema if k[0] == "!" and k[1:] not in value]
    found += [f"{where}: {k} is unknown" for k in value if k not in fields]
    return found + [d for k, v in value.items() if k in fields for d in differences(v, fields[k], f"{where}.{k}")]


def check_object(manifest):
    kind = (manifest["apiVersion"], manifest["kind"])
    schema = {"apiVersion": str, "kind": str, "!metadata": META, **KINDS[kind]}
    return differences(manifest, schema, manifest["kind"])


@pytest.mark.parametrize("name", FILES)
def test_every_field_is_one_that_the_api_knows(name):
    documents = container.manifests(name)
    assert documents
    assert [d for m in documents for d in check_object(m)] == []


def test_the_check_itself_finds_what_is_wrong():
    daemonset = container.only(container.manifests("daemonset.yaml"), "DaemonSet")
    spec = daemonset["spec"]["template"]["spec"]
    spec["hostNetwork"] = "true"
    spec["containers"][0]["securityContext"]["privileged"] = True
    del spec["volumes"][0]["name"]
    spec["dnsPolicy"] = "ClusterDefault"
    assert len(check_object(daemonset)) == 4


def every(kind):
    return [d for name in FILES for d in container.manifests(name) if d["kind"] == kind]


def test_no_list_holds_a_name_twice():
    spec = container.pod_spec()
    assert len({v["name"] for v in spec["volumes"]}) == len(spec["volumes"])
    for c in spec["initContainers"] + spec["containers"]:
        paths = [m["mountPath"] for m in c["volumeMounts"]]
        assert len(set(paths)) == len(paths)
        assert {m["name"] for m in c["volumeMounts"]} <= {v["name"] for v in spec["volumes"]}
    ids = [(d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for name in FILES for d in container.manifests(name)]
    assert len(set(ids)) == len(ids)


def test_references_lead_somewhere():
    accounts = {d["metadata"]["name"] for d in every("ServiceAccount")}
    roles = {d["metadata"]["name"] for d in every("ClusterRole")}
    configs = {d["metadata"]["name"] for d in every("ConfigMap")}
    spec = container.pod_spec()
    assert spec["serviceAccountName"] in accounts
    assert {v["configMap"]["name"] for v in spec["volumes"] if "configMap" in v} <= configs
    for binding in every("ClusterRoleBinding"):
        assert binding["roleRef"]["name"] in roles
        assert all(s["name"] in accounts and s["namespace"] == "kube-system" for s in binding["subjects"]
                   if s["kind"] == "ServiceAccount")
    daemonset = container.only(container.manifests("daemonset.yaml"), "DaemonSet")["spec"]
    assert daemonset["selector"]["matchLabels"].items() <= daemonset["template"]["metadata"]["labels"].items()


def rules(name):
    role = [r for r in every("ClusterRole") if r["metadata"]["name"] == name]
    return [(r["apiGroups"], r["resources"], r["verbs"]) for r in role[0]["rules"]]


def test_cluster_roles_are_the_smallest():
    assert rules("postern") == RULES
    assert rules("postern-bootstrap") == BOOTSTRAP_RULES
    assert len(every("ClusterRole")) == 2


def test_the_service_account_is_bound_to_nothing_else():
    bound = {(b["roleRef"]["name"], s["kind"], s["name"]) for b in every("ClusterRoleBinding") for s in b["subjects"]}
    assert bound == {("postern", "ServiceAccount", "postern"), ("postern", "Group", "system:multus"),
                     ("postern-bootstrap", "ServiceAccount", "postern-bootstrap"),
                     ("postern-bootstrap", "Group", "system:multus")}


def needed_capabilities():
    """What drop_caps() keeps, and what the built-in plugins may hold beyond that."""
    source = (harness.SOURCE / "netpriv" / "postern.c").read_text()
    table = source[source.index("} keep[] = {"):source.index("capng_clear(")]
    kept = re.findall(r"\{ CAP_(\w+), (?:true|false) \}", table)
    assert len(kept) == table.count("CAP_")
    rows = re.findall(r'^PLUGIN\("[a-z0-9-]+", (.*)\)$', (harness.SOURCE / "netpriv" / "plugin.def").read_text(), re.M)
    assert rows
    return {"CAP_" + name for name in kept} | {name for row in rows for name in re.findall(r"CAP_\w+", row)}


def test_the_service_holds_the_capabilities_that_the_source_names():
    spec = container.pod_spec()
    assert set(container.caps(spec["containers"][0]["securityContext"])) == needed_capabilities()
    assert container.caps(spec["initContainers"][0]["securityContext"]) == []


def test_nothing_of_the_host_but_its_network_and_named_directories():
    spec = container.pod_spec()
    assert spec["hostNetwork"] is True
    assert not {"hostPID", "hostIPC", "shareProcessNamespace"} & set(spec)
    for c in spec["initContainers"] + spec["containers"]:
        assert "privileged" not in c["securityContext"] and c["securityContext"]["readOnlyRootFilesystem"] is True
    paths = {v["name"]: v["hostPath"]["path"] for v in spec["volumes"] if "hostPath" in v}
    assert sorted(paths.values()) == sorted(HOST_PATHS)
    service = spec["containers"][0]["volumeMounts"]
    assert {paths[m["name"]] for m in service if m["name"] in paths and not m.get("readOnly")} == WRITABLE
    assert {paths[m["name"]] for m in spec["initContainers"][0]["volumeMounts"]} == {"/opt/cni/bin"}
    assert "Bidirectional" not in {m.get("mountPropagation") for m in service}


def test_it_may_stop_in_its_own_time_and_one_node_after_the_other():
    daemonset = container.only(container.manifests("daemonset.yaml"), "DaemonSet")["spec"]
    unit = (harness.SOURCE / "deploy" / "postern.service").read_text()
    assert daemonset["template"]["spec"]["terminationGracePeriodSeconds"] == int(re.search(r"TimeoutStopSec=(\d+)", unit)[1])
    assert daemonset["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1}


def test_images_are_of_this_version():
    version = re.search(r"project\(postern VERSION ([0-9.]+)", (harness.SOURCE / "CMakeLists.txt").read_text())[1]
    spec = container.pod_spec()
    assert {c["image"] for c in spec["initContainers"] + spec["containers"]} == {f"postern:{version}"}


def test_the_configuration_is_usable_in_a_pod():
    """As it stands, in the environment that the kubelet gives every container."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-", dir="/var/lib")) / "postern.json"
    try:
        path.write_text(container.config_text())
        path.chmod(0o400)
        r = subprocess.run([str(harness.BUILD / "postern"), "--check-config", str(path), "--libexec", str(harness.BUILD)],
                           env={"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "NODE_NAME": "node"},
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    finally:
        shutil.rmtree(path.parent)
    assert r.returncode == 0 and r.stderr == "", r.stderr


if "KUBEBUILDER_ASSETS" in os.environ:
    def test_a_real_api_server_takes_them(tmp_path):
        """Admission, defaulting and validation of the API server itself; nothing is kept."""
        from apiserver.envtest import RealApiServer
        kubectl = pathlib.Path(os.environ["KUBEBUILDER_ASSETS"]) / "kubectl"
        with RealApiServer(tmp_path) as server:
            for name in FILES:
                harness.sh(str(kubectl), "--kubeconfig", str(server.write_kubeconfig(tmp_path / "config")), "apply", "--dry-run=server", "--validate=strict",
                           "-f", str(container.KUBERNETES / name))
