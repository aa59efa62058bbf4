"""One client's connection: HTTP/2 as h2 enforces it, with a side door for bytes that h2 would not send."""
import asyncio
import functools
import time

import hpack.hpack
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (ConnectionTerminated, DataReceived, RemoteSettingsChanged, RequestReceived, StreamEnded, StreamReset,
                       WindowUpdated)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hpack.huffman_table import decode_huffman

from . import frames
from .api import BODY_MAX, Request, Response
from .auth import user_of_certificate
from .errors import encode, status

FRAME_MAX, HEADERS_MAX = 1 << 20, 1048896
SETTINGS = {SettingCodes.MAX_CONCURRENT_STREAMS: 100, SettingCodes.INITIAL_WINDOW_SIZE: 262144,
            SettingCodes.MAX_FRAME_SIZE: FRAME_MAX, SettingCodes.MAX_HEADER_LIST_SIZE: HEADERS_MAX}  # the real one's
CONFIG = H2Configuration(client_side=False, header_encoding="utf-8", validate_outbound_headers=False,
                         normalize_outbound_headers=False)
LENGTH_UP_TO = 2048  # a larger body is sent without content-length, as the real one does


@functools.lru_cache(1000)
def decode_once(data):
    return decode_huffman(data)


# A token of a kilobyte comes with each request, and hpack takes longer for it than all of the rest does.
hpack.hpack.decode_huffman = lambda data: decode_once(bytes(data))


class Stream:
    """A request and what is still to be sent for it."""
    __slots__ = ("conn", "id", "headers", "body", "req", "out", "source", "ended", "watch", "drip", "timer", "complete")

    def __init__(self, conn, id, headers):
        self.conn, self.id, self.headers, self.body = conn, id, headers, bytearray()
        self.req = self.source = self.watch = self.drip = self.timer = None
        self.out, self.ended, self.complete = bytearray(), False, False

    def write(self, data):
        self.out += data
        self.conn.pump(self)
        self.conn.flush()

    def end(self):
        self.ended = True
        self.conn.pump(self)
        self.conn.flush()

    def close(self):
        if self.watch:
            self.watch.stop()
        if self.timer:
            self.timer.cancel()


class Connection(asyncio.Protocol):
    def __init__(self, server):
        self.server, self.streams = server, {}
        self.transport = self.raw_source = None
        self.paused = self.muted = False
        self.last = None  # the last stream that a GOAWAY left over

    def connection_made(self, transport):
        self.transport = transport
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            transport.abort()
            return
        self.peer_user = user_of_certificate(transport.get_extra_info("peercert"))
        self.server.connections.add(self)
        self.server.accepted += 1
        self.h2 = H2Connection(CONFIG)
        self.h2.local_settings = Settings(client=False, initial_values=SETTINGS)
        self.h2.max_inbound_frame_size = self.h2.incoming_buffer.max_frame_size = FRAME_MAX
        self.h2.decoder.max_header_list_size = HEADERS_MAX
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(1 << 24)
        self.flush()

    def connection_lost(self, exc):
        self.server.connections.discard(self)
        self.raw_source = None
        for s in self.streams.values():
            s.close()
        self.streams.clear()

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False
        self.pump_all()

    def flush(self):
        if not self.muted and not self.transport.is_closing():
            data = self.h2.data_to_send()
            if data:
                self.transport.write(data)

    def data_received(self, data):
        try:
            for event in self.h2.receive_data(data):
                handler = HANDLERS.get(type(event))
                if handler:
                    handler(self, event)
        except ProtocolError as e:
            self.server.protocol_errors.append(f"{type(e).__name__}: {e}")
            self.flush()
            self.transport.close()
            return
        self.flush()

    def on_request(self, event):
        if self.last is not None and event.stream_id > self.last:
            return
        s = self.streams[event.stream_id] = Stream(self, event.stream_id, dict(event.headers))
        if event.stream_ended:
            self.dispatch(s)

    def on_data(self, event):
        self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        s = self.streams.get(event.stream_id)
        if s and not s.complete:
            s.body += event.data
            if len(s.body) > BODY_MAX:
                self.dispatch(s)

    def on_end(self, event):
        s = self.streams.get(event.stream_id)
        if s and not s.complete:
            self.dispatch(s)

    def on_window(self, event):
        if event.stream_id:
            s = self.streams.get(event.stream_id)
            if s:
                self.pump(s)
        else:
            self.pump_all()

    def on_settings(self, event):
        self.pump_all()

    def on_reset(self, event):
        s = self.streams.pop(event.stream_id, None)
        if s:
            s.close()

    def on_terminated(self, event):
        self.flush()
        self.transport.close()

    def dispatch(self, s):
        s.complete = True
        req = s.req = Request(s.headers, bytes(s.body))
        server = self.server
        server.recorded.append(req)
        rules = server.faults.match(req) if server.faults.rules else ()
        delay = server.latency + sum(r.seconds for r in rules)
        if delay:
            s.timer = server.loop.call_later(delay, self.act, s, rules)
        else:
            self.act(s, rules)

    def act(self, s, rules):
        """Answers, or does what a fault has instead of an answer."""
        if self.streams.get(s.id) is not s:
            return
        s.timer, response = None, None
        for r in rules:
            if r.replaces:
                if r.applied:
                    self.server.api.answer(s.req, self.peer_user)
                if r.action != "answer":
                    r.strike(self, s)
                    self.flush()
                    return
                response = r.response()
                break
        if response is None:
            if len(s.req.body) > BODY_MAX:
                response = Response(413, encode(status(413, f"Request entity too large: limit is {BODY_MAX}", details={})))
            else:
                response = self.server.api.answer(s.req, self.peer_user)
        for r in rules:
            r.change(response)
        s.req.status = response.status
        if s.req.method == "HEAD":
            response.body = b""
        if response.status == 401:
            self.goaway()  # as the real one: who does not say who he is gets no further on this connection
        self.respond(s, response)
        self.flush()

    def respond(self, s, response):
        body, watch = response.body, response.watch
        headers = [(":status", str(response.status)), *self.server.common_headers(), ("content-type", response.content_type),
                   *response.headers]
        if watch:
            body, over = watch.first()
        elif response.declared is not None:
            headers.append(("content-length", str(response.declared)))
        elif isinstance(body, bytes) and len(body) <= LENGTH_UP_TO:
            headers.append(("content-length", str(len(body))))
        try:
            self.h2.send_headers(s.id, headers)
        except ProtocolError:
            self.forget(s)
            return
        s.drip = response.drip
        if response.cut:
            if response.cut.at == "body" and isinstance(body, bytes):
                s.out += body[:(len(body) + 1) // 2]
                self.pump(s)
            response.cut.strike(self, s)
            return
        if not isinstance(body, bytes):
            s.source = iter(body)
        else:
            s.out += body
        if watch and not over:
            s.watch = watch
            self.pump(s)
            watch.start(s, self.server.loop)
        else:
            s.ended = True
            self.pump(s)

    def pump(self, s):
        """Sends what windows and the socket take of a stream."""
        try:
            while s.out or s.source is not None or s.ended:
                if not s.out and s.source is not None:
                    piece = next(s.source, None)
                    if piece is None:
                        s.source, s.ended = None, True
                    else:
                        s.out += piece
                    continue
                size = len(s.out)
                if size:
                    size = min(size, self.h2.local_flow_control_window(s.id), self.h2.max_outbound_frame_size)
                    if size <= 0 or self.paused or self.muted or s.timer:
                        return
                    if s.drip:
                        size = min(size, s.drip[0])
                last = s.ended and s.source is None and size == len(s.out)
                self.h2.send_data(s.id, bytes(s.out[:size]), end_stream=last)
                del s.out[:size]
                if last:
                    self.forget(s)
                    return
                self.flush()
                if s.drip:
                    s.timer = self.server.loop.call_later(s.drip[1], self.pump_later, s)
        except ProtocolError:
            self.forget(s)

    def pump_later(self, s):
        s.timer = None
        self.pump(s)
        self.flush()

    def pump_all(self):
        for s in list(self.streams.values()):
            self.pump(s)
        self.pump_raw()
        self.flush()

    def pump_raw(self):
        """A few pieces, then the loop has its turn: a client that hung up is noticed there."""
        for _ in range(16):
            if self.raw_source is None or self.paused or self.muted:
                return
            piece = next(self.raw_source, None)
            if piece is None or self.transport.is_closing():
                self.raw_source = None
                return
            self.transport.write(piece)
        self.server.loop.call_soon(self.pump_raw)

    def forget(self, s):
        """The stream is over for the server; a client that has not said all of its request is told to stop."""
        s.close()
        if self.streams.pop(s.id, None) is not None:
            stream = self.h2.streams.get(s.id)
            if stream is not None and stream.open:
                self.h2.reset_stream(s.id, ErrorCodes.NO_ERROR)
        if self.last is not None and not self.streams:
            self.flush()
            self.transport.close()

    def reset(self, s, code):
        try:
            self.h2.reset_stream(s.id, code)
        except ProtocolError:
            pass  # the client was quicker
        s.close()
        self.streams.pop(s.id, None)

    def raw(self, data):
        """Bytes past h2, after what it has to send: bytes, or an iterator of them for as long as the client takes them."""
        if self.transport.is_closing():
            return
        self.flush()
        if isinstance(data, bytes):
            self.transport.write(data)
        else:
            self.raw_source = iter(data)
            self.pump_all()

    def goaway(self, last=None, code=0):
        """Streams up to last (default: those there are) are served, then the connection ends."""
        self.last = max(self.streams, default=self.h2.highest_inbound_stream_id) if last is None else last
        self.raw(frames.goaway(self.last, code))
        for s in [s for s in self.streams.values() if s.id > self.last]:
            s.close()
            del self.streams[s.id]
        if not self.streams:
            self.transport.close()

    def mute(self, muted):
        """Reads and writes nothing for as long as muted; the kernel still acknowledges what comes."""
        self.muted = muted
        if muted:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
            self.pump_all()


HANDLERS = {RequestReceived: Connection.on_request, DataReceived: Connection.on_data, StreamEnded: Connection.on_end,
            WindowUpdated: Connection.on_window, RemoteSettingsChanged: Connection.on_settings,
            StreamReset: Connection.on_reset, ConnectionTerminated: Connection.on_terminated}


class CommonHeaders:
    """The headers that every answer has; the date is made once a second."""

    def __init__(self):
        self.second, self.date, self.serial = 0, "", 0

    def __call__(self):
        second = int(time.time())
        if second != self.second:
            self.second, self.date = second, time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second))
        self.serial += 1
        return (("audit-id", f"5d1e2d3c-0000-4000-8000-{self.serial:012x}"), ("cache-control", "no-cache, private"),
                ("x-kubernetes-pf-flowschema-uid", "13f4c0b8-5d3c-4a52-9a4b-6a5d6b1e2f10"),
                ("x-kubernetes-pf-prioritylevel-uid", "8e0b9f61-64d4-4cf7-8c1d-2b7a9d3f5c20"), ("date", self.date))
