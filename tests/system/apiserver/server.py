"""The stand-in for kube-apiserver: HTTP/2 over TLS in a thread of the test, as strict as the real one was seen to be where
Postern meets it. What a test may call is here; everything else runs in the server's own thread."""
import asyncio
import pathlib
import socket
import ssl
import threading

from . import pki
from .api import Api
from .auth import ADMINS, Rbac, Tokens, load_role, service_account
from .face import Face
from .faults import Fault, Faults
from .http2 import CommonHeaders, Connection
from .signer import Signer
from .store import Store

NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the dates of client certificates are looked at a request, to answer 401


class ApiServer(Face):
    supports_faults = True

    def __init__(self, directory, port=0, addresses=("127.0.0.1",), history=1000):
        self.directory, self.port, self.addresses = pathlib.Path(directory), port, addresses
        self.directory.mkdir(parents=True, exist_ok=True)
        self.pki, self.tokens, self.rbac = pki.Pki(), Tokens(), Rbac()
        self.store, self.faults, self.signer = Store(history), Faults(), Signer(self)
        self.api, self.common_headers = Api(self), CommonHeaders()
        self.crd_installed, self.anonymous, self.bookmark_interval, self.latency = True, False, 60.0, 0.0
        self.recorded, self.protocol_errors, self.crashes, self.accepted = [], [], [], 0
        self.connections, self.listeners, self.held, self.hold, self.slam = set(), [], [], False, False
        self.loop = self.thread = None
        self.pair = self.pki.server()
        self.make_context()
        self.admin = self.pki.client("admin", [ADMINS])

    # Life

    def start(self):
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: self.crashes.append(repr(context)))
        self.thread = threading.Thread(target=self.loop.run_forever, name="apiserver", daemon=True)
        self.thread.start()
        self.call(self.listen)
        return self

    def stop(self):
        """Closes everything; start() serves the same objects at the same port. What broke in the stand-in itself is told now."""
        if self.thread is None:
            return
        self.call(self.close_all)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.thread = None
        crashes, self.crashes = self.crashes, []
        assert not crashes, crashes

    def call(self, function, *args):
        """Runs the function in the server's thread; its value."""
        async def run():
            return function(*args)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def listen(self):
        for address in self.addresses if not self.listeners else ():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            s = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address, self.port))
            s.listen(128)
            self.port = s.getsockname()[1]
            self.listeners.append((s, self.loop.create_task(self.accept(s))))

    async def accept(self, listener):
        while True:
            sock, _ = await self.loop.sock_accept(listener)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.loop.create_task(self.greet(sock))

    async def greet(self, sock):
        if self.slam:
            sock.close()
            return
        if self.hold:
            self.held.append(sock)
            return
        try:
            await self.loop.connect_accepted_socket(lambda: Connection(self), sock, ssl=self.context, ssl_handshake_timeout=10)
        except (OSError, ssl.SSLError):
            sock.close()  # the client did not like us, or we not its certificate

    def close_listeners(self):
        for s, task in self.listeners:
            task.cancel()
            s.close()
        self.listeners = []

    def close_all(self):
        self.close_listeners()
        self.close_connections()
        for sock in self.held:
            sock.close()
        self.held = []

    def close_connections(self):
        for c in list(self.connections):
            c.transport.abort()

    # Credentials

    def make_context(self):
        prefix = self.directory / "server"
        cert, key = self.pair.write(prefix)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(cert, key)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= NO_CHECK_TIME
        context.load_verify_locations(cadata="".join(ca.pem.decode() for ca in self.pki.known))
        self.context = context

    def set_server_certificate(self, **how):
        """New connections see a new certificate; how as Pki.server() takes it: other names, an end in the past."""
        self.pair = self.pki.server(**how)
        self.make_context()

    def rotate_server_ca(self):
        """Another authority, and a certificate of it; clients that know only the old one fail from the next connection on."""
        self.pki.server_ca = pki.Authority("kubernetes")
        self.set_server_certificate()

    def rotate_client_ca(self, keep_old=False):
        """Another authority for clients; without keep_old certificates of the old one are no good from the next request on."""
        self.pki.renew_client_ca(keep_old)
        self.admin = self.pki.client("admin", [ADMINS])
        self.make_context()

    def token(self, namespace="kube-system", name="postern", seconds=3600):
        return self.tokens.issue(service_account(namespace, name), seconds=seconds)

    def grant(self, rules, namespace="kube-system", name="postern"):
        """Gives a service account the rules: a list of them, or the path of a manifest with one (Cluster)Role."""
        self.rbac.bind(service_account(namespace, name), rules if isinstance(rules, list) else load_role(rules))

    def load(self, *paths):
        """Binds what manifests say about accounts and roles."""
        self.rbac.load(*paths)

    # What was asked

    def requests(self, **match):
        """The requests so far whose fields are these: verb, resource, namespace, name, user, status, user_agent, ..."""
        return [r for r in list(self.recorded) if all(getattr(r, k) == v for k, v in match.items())]

    def reset_counters(self):
        self.recorded, self.protocol_errors, self.accepted = [], [], 0

    def watches(self, **match):
        """The watches that are open."""
        return [w for w in list(self.store.watches) if all(getattr(w.req, k) == v for k, v in match.items())]

    # What goes wrong

    def fault(self, action, **how):
        return self.faults.add(Fault(action, **how))

    def clear_faults(self):
        self.faults.clear()
        self.latency = 0.0

    def fail(self, code, reason=None, retry_after=None, **how):
        return self.fault("answer", code=code, reason=reason, retry_after=retry_after, **how)

    def compact(self):
        self.call(self.store.compact)

    def seed(self, obj):
        """Puts an object past every check; what it became."""
        return self.call(self.api.seed, obj)

    def refuse(self):
        """New connections are refused by the kernel until accept_again()."""
        self.call(self.close_listeners)

    def accept_again(self):
        self.call(self.listen)

    def slam_door(self, on=True):
        """New connections are accepted and closed at once."""
        self.slam = on

    def drop_connections(self):
        self.call(self.close_connections)

    def goaway(self, last=None, code=0):
        self.call(lambda: [c.goaway(last, code) for c in list(self.connections)])

    def send_raw(self, data):
        """Bytes or an iterator of bytes, on every connection, outside of any request."""
        self.call(lambda: [c.raw(data) for c in list(self.connections)])

    def blackhole(self, on=True):
        """Established connections go silent, new ones get no further than TCP; off: those that are left go on."""
        self.call(self.set_blackhole, on)

    def set_blackhole(self, on):
        self.hold = on
        for c in self.connections:
            c.mute(on)
        if not on:
            held, self.held = self.held, []
            for sock in held:
                self.loop.create_task(self.greet(sock))

    def write_to_watches(self, data, **match):
        """Bytes into the open watches of which the requests match, as if they were events."""
        self.call(lambda: [w.stream.write(data) for w in self.watches(**match)])

    def end_watches(self, **match):
        self.call(lambda: [w.end() for w in self.watches(**match)])

    def reset_watches(self, code, **match):
        """RST_STREAM for the open watches of which the requests match."""
        def reset():
            for w in self.watches(**match):
                w.stream.conn.reset(w.stream, code)
                w.stream.conn.flush()

        self.call(reset)
