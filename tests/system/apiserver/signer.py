"""What decides about certificate requests and signs them in a cluster, when no test does it by hand."""
import base64

from .resources import now
from .store import copy

DEFAULT_SECONDS = 86400


class Signer:
    """policy: "manual" (nobody decides), "approve", "approve-unsigned" (approved, but no certificate comes), "deny", "fail".
    seconds, when set, is the lifetime of certificates whatever was asked for."""

    def __init__(self, server):
        self.server, self.policy, self.delay, self.seconds = server, "manual", 0.0, None

    def consider(self, stored):
        if stored.resource.kind == "CertificateSigningRequest" and self.policy != "manual":
            self.server.loop.call_later(self.delay, self.decide, stored, self.policy)

    def write(self, stored, condition, certificate=None):
        """One write as of a controller."""
        current = self.server.store.get(stored.resource, *stored.key)
        if current is None:
            return
        data = copy(current.data)
        if condition:
            data["status"].setdefault("conditions", []).append({
                "type": condition, "status": "True", "reason": "Test", "message": "decided by the test",
                "lastUpdateTime": now(), "lastTransitionTime": now()})
        if certificate:
            data["status"]["certificate"] = base64.b64encode(certificate).decode()
        self.server.store.put(stored.resource, data, "signer", "status" if certificate else "approval")

    def decide(self, stored, policy):
        if policy == "deny":
            return self.write(stored, "Denied")
        self.write(stored, "Approved")
        if policy == "fail":
            return self.write(stored, "Failed")
        if policy == "approve":
            spec = stored.data["spec"]
            seconds = self.seconds or spec.get("expirationSeconds", DEFAULT_SECONDS)
            self.write(stored, None, self.server.pki.sign_request(base64.b64decode(spec["request"]), seconds))
