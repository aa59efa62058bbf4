"""Who asks, and what they may: bearer tokens, client certificates, RBAC."""
import base64
import json
import os
import pathlib
import secrets
import ssl
import threading
import time

import yaml

from .errors import ApiError

ADMINS, ANONYMOUS = "system:masters", "system:anonymous"


class User:
    def __init__(self, name, groups, expires=None, issuer=None):
        self.name, self.expires, self.issuer = name, expires, issuer
        self.groups = tuple(groups) + (() if name == ANONYMOUS else ("system:authenticated",))

    @property
    def subjects(self):
        return [("User", self.name)] + [("Group", g) for g in self.groups]


def service_account(namespace, name):
    return f"system:serviceaccount:{namespace}:{name}"


def groups_of(user):
    parts = user.split(":")
    if parts[:2] == ["system", "serviceaccount"] and len(parts) == 4:
        return ("system:serviceaccounts", f"system:serviceaccounts:{parts[2]}")
    return ()


class Tokens:
    """Bearer tokens: they look like signed ones, but only their presence in the table counts."""

    def __init__(self):
        self.known = {}

    def issue(self, user, groups=None, seconds=3600):
        def part(data):
            return base64.urlsafe_b64encode(data).decode().rstrip("=")

        now = time.time()
        claims = {"aud": ["https://kubernetes.default.svc"], "exp": int(now + seconds), "iat": int(now), "sub": user,
                  "jti": secrets.token_hex(16)}
        token = ".".join((part(b'{"alg":"RS256"}'), part(json.dumps(claims).encode()), part(os.urandom(256))))
        self.known[token] = User(user, groups_of(user) if groups is None else groups, now + seconds)
        return token

    def revoke(self, token):
        del self.known[token]


def user_of_certificate(peer):
    """peer as ssl's getpeercert() gives it: the handshake checked the chain, but not whether it is believed now."""
    if not peer:
        return None
    subject, issuer = ([pair for rdn in peer[whose] for pair in rdn] for whose in ("subject", "issuer"))
    return User(dict(subject).get("commonName", ""), [v for k, v in subject if k == "organizationName"],
                ssl.cert_time_to_seconds(peer["notAfter"]), dict(issuer)["commonName"])


def authenticate(tokens, believed, peer_user, authorization, anonymous):
    """The user; raises 401. A good certificate counts before a token; anonymous: who shows nothing is somebody too."""
    if peer_user is None and authorization is None and anonymous:
        return User(ANONYMOUS, ["system:unauthenticated"])
    user = peer_user
    if user is not None and (user.issuer not in believed or user.expires <= time.time()):
        user = None
    if user is None and authorization and authorization.startswith("Bearer "):
        user = tokens.known.get(authorization[7:])
    if user is None or (user.expires is not None and user.expires <= time.time()):
        raise ApiError(401, "Unauthorized")
    return user


def load_documents(*paths):
    """Every YAML document in the files, and in the *.yaml of directories."""
    for p in map(pathlib.Path, paths):
        for f in sorted(p.glob("*.yaml")) if p.is_dir() else [p]:
            yield from (d for d in yaml.safe_load_all(f.read_text()) if isinstance(d, dict))


def load_role(path, name=None):
    """The rules of a (Cluster)Role in a manifest: of the one named, or of the only one."""
    roles = [d for d in load_documents(path) if d["kind"] in ("ClusterRole", "Role")
             and name in (None, d["metadata"]["name"])]
    if len(roles) != 1:
        raise ValueError(f"{path}: {len(roles)} roles, expected one")
    return roles[0]["rules"]


def covers(values, wanted):
    return "*" in values or wanted in values


def allows(rule, verb, group, resource, sub, name):
    path = f"{resource}/{sub}" if sub else resource
    resources = rule.get("resources", ())
    return (covers(rule.get("verbs", ()), verb) and covers(rule.get("apiGroups", ()), group)
            and (covers(resources, path) or (sub and f"*/{sub}" in resources))
            and (not rule.get("resourceNames") or name in rule["resourceNames"]))


class Rbac:
    """Rules bound to subjects; decisions are remembered until something is bound."""

    def __init__(self):
        self.lock = threading.Lock()
        self.bindings = []  # (subject, namespace or None, rules)
        self.decided = {}

    def bind(self, user, rules, namespace=None, kind="User"):
        """rules: what a ClusterRole has as rules; namespace: only there, as a RoleBinding does."""
        with self.lock:
            self.bindings = self.bindings + [((kind, user), namespace, list(rules))]
            self.decided = {}

    def load(self, *paths):
        """Binds what the manifests bind."""
        documents = list(load_documents(*paths))
        rules = {(d["kind"], d["metadata"].get("namespace") if d["kind"] == "Role" else None, d["metadata"]["name"]):
                 d.get("rules") or [] for d in documents if d["kind"] in ("ClusterRole", "Role")}
        for d in documents:
            if d["kind"] not in ("ClusterRoleBinding", "RoleBinding"):
                continue
            namespace = d["metadata"].get("namespace") if d["kind"] == "RoleBinding" else None
            ref = d["roleRef"]
            found = rules[ref["kind"], namespace if ref["kind"] == "Role" else None, ref["name"]]
            for s in d["subjects"]:
                if s["kind"] == "ServiceAccount":
                    self.bind(service_account(s["namespace"], s["name"]), found, namespace)
                else:
                    self.bind(s["name"], found, namespace, s["kind"])

    def check(self, user, req):
        """Raises 403 unless the user may do what the request asks."""
        if ADMINS in user.groups:
            return
        key = (user.name, user.groups, req.verb, req.group, req.plural, req.sub, req.namespace, req.name)
        decided = self.decided
        allowed = decided.get(key)
        if allowed is None:
            subjects = user.subjects
            allowed = any(subject in subjects and namespace in (None, req.namespace)
                          and any(allows(r, req.verb, req.group, req.plural, req.sub, req.name) for r in rules)
                          for subject, namespace, rules in self.bindings)
            if len(decided) < 10000:
                decided[key] = allowed
        if not allowed:
            raise forbidden(user, req)


def forbidden(user, req):
    if not req.plural:
        return ApiError(403, f'forbidden: User "{user.name}" cannot {req.verb} path "{req.path}"', details={})
    path = f"{req.plural}/{req.sub}" if req.sub else req.plural
    where = f'in the namespace "{req.namespace}"' if req.namespace else "at the cluster scope"
    what = req.plural + (f".{req.group}" if req.group else "") + (f' "{req.name}"' if req.name else "")
    details = {k: v for k, v in (("name", req.name), ("group", req.group), ("kind", req.plural)) if v}
    return ApiError(403, f'{what} is forbidden: User "{user.name}" cannot {req.verb} resource "{path}" '
                         f'in API group "{req.group}" {where}', details=details)
