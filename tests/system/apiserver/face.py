"""What the stand-in and a real server have in common for a test."""
from . import pki


class Face:
    """Of a server with start(), stop(), token(), port, pki and admin (a certificate and its key)."""

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self):
        return self.pki.ca

    def write_service_account(self, directory, namespace="kube-system", name="postern", seconds=3600):
        """Writes (again) what the kubelet projects; the token."""
        token = self.token(namespace, name, seconds)
        pki.write_service_account(directory, token, self.ca, namespace)
        return token

    def write_kubeconfig(self, path, **how):
        """As pki.write_kubeconfig(); an administrator's without any credential named."""
        if not {"token", "token_file", "pair", "user"} & set(how):
            how["pair"] = self.admin
        return pki.write_kubeconfig(path, how.pop("server", self.url), how.pop("ca", self.ca), **how)

    def client_pair(self, user, groups=(), seconds=86400):
        return self.pki.client(user, groups, seconds)
