"""A small HTTP/2 client for tests: one request at a time on one connection, and watches on connections of their own."""
import json
import socket
import ssl
import struct
import threading
import urllib.parse

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

GOAWAY = 7  # the type of that frame
CONFIG = H2Configuration(client_side=True, header_encoding="utf-8")


class Lost(Exception):
    """The connection, or the stream, ended before the answer did; code is that of RST_STREAM or GOAWAY."""

    def __init__(self, why, code=None):
        super().__init__(why)
        self.code = code


class Answer:
    def __init__(self):
        self.status, self.headers, self.body, self.done = 0, {}, b"", False

    @property
    def json(self):
        return json.loads(self.body)


class Link:
    """A connection."""

    def __init__(self, client):
        self.sock = client.context.wrap_socket(socket.create_connection(client.address, client.timeout),
                                               server_hostname=client.address[0])
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.h2 = H2Connection(CONFIG)
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(1 << 26)
        self.over, self.goaway, self.pending = False, None, b""

    def send(self, headers, body):
        sid = self.h2.get_next_available_stream_id()
        self.h2.send_headers(sid, headers, end_stream=not body)
        while body:
            size = min(len(body), self.h2.local_flow_control_window(sid), self.h2.max_outbound_frame_size)
            if size == 0:
                self.flush()
                self.receive()
                continue
            self.h2.send_data(sid, body[:size], end_stream=size == len(body))
            body = body[size:]
        self.flush()
        return sid

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def receive(self):
        data = self.sock.recv(65536)
        if not data:
            self.over = True
            raise Lost("the connection was closed")
        events = self.h2.receive_data(self.take_frames(data))
        for e in events:
            if isinstance(e, DataReceived):
                self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
        self.flush()
        return events

    def take_frames(self, data):
        """The whole frames of what came, but for GOAWAY: after that h2 would not read the answers that still come."""
        self.pending += data
        whole = b""
        while len(self.pending) >= 9:
            end = 9 + int.from_bytes(self.pending[:3], "big")
            if len(self.pending) < end:
                break
            frame, self.pending = self.pending[:end], self.pending[end:]
            if frame[3] == GOAWAY:
                self.over, self.goaway = True, struct.unpack(">II", frame[9:17])
            else:
                whole += frame
        return whole

    def take(self, sid, answer):
        """Waits for more of the answer."""
        events = self.receive()
        if self.goaway and self.goaway[0] < sid:
            raise Lost("GOAWAY", self.goaway[1])
        for e in events:
            if getattr(e, "stream_id", None) != sid:
                continue
            if isinstance(e, ResponseReceived):
                answer.headers = dict(e.headers)
                answer.status = int(answer.headers[":status"])
            elif isinstance(e, DataReceived):
                answer.body += e.data
            elif isinstance(e, StreamReset) and not answer.done:
                raise Lost("RST_STREAM", e.error_code)
            elif isinstance(e, StreamEnded):
                answer.done = True


class Client:
    """url of the server; ca: PEM; pair: paths of a certificate and its key; token."""

    def __init__(self, url, ca, pair=None, token=None, timeout=20):
        parsed = urllib.parse.urlsplit(url)
        self.address, self.authority = (parsed.hostname, parsed.port or 443), parsed.netloc
        self.token, self.timeout, self.link, self.lock = token, timeout, None, threading.Lock()
        self.context = ssl.create_default_context(cadata=ca.decode() if isinstance(ca, bytes) else ca)
        self.context.set_alpn_protocols(["h2"])
        if pair:
            self.context.load_cert_chain(*pair)

    def close(self):
        if self.link:
            self.link.sock.close()
            self.link = None

    def headers(self, method, path, body, extra):
        headers = {":method": method, ":scheme": "https", ":authority": self.authority, ":path": path,
                   "user-agent": "postern-test/1", "accept": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        if body:
            headers["content-type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers.update(extra or {})
        return [(k, v) for k, v in headers.items() if v is not None]

    def request(self, method, path, body=None, headers=None):
        """The answer, whatever its status. body: bytes, or anything that becomes JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        with self.lock:
            if self.link is None or self.link.over or self.stale():
                self.close()
                self.link = Link(self)
            answer = Answer()
            try:
                sid = self.link.send(self.headers(method, path, body, headers), body)
                while not answer.done:
                    self.link.take(sid, answer)
            except (OSError, ProtocolError) as e:
                self.close()
                raise Lost(str(e)) from e
            except Lost:
                if self.link.over:
                    self.close()
                raise
            return answer

    def stale(self):
        """Whether the server closed the idle connection."""
        sock = self.link.sock
        sock.settimeout(0)
        try:
            self.link.receive()
        except (ssl.SSLWantReadError, BlockingIOError):
            return False
        except (Lost, OSError, ProtocolError):
            return True
        finally:
            sock.settimeout(self.timeout)
        return self.link.over

    def watch(self, path, headers=None):
        """The events of a watch, until it ends; the path says all. Asks at once."""
        link, answer = Link(self), Answer()
        sid = link.send(self.headers("GET", path, None, headers), None)

        def events():
            try:
                while True:
                    while b"\n" in answer.body:
                        line, _, answer.body = answer.body.partition(b"\n")
                        yield json.loads(line)
                    if answer.done:
                        return
                    link.take(sid, answer)
            finally:
                link.sock.close()

        return events()
