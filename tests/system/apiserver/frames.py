"""HTTP/2 frames that no decent server sends, as bytes or as endless iterators of bytes. All take the stream's number."""
import itertools
import struct

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED = 1, 4, 8
STATUS_200, REPEAT_NEWEST = b"\x88", b"\xbe"  # HPACK: static entry 8, first entry of the dynamic table


def frame(kind, flags, stream, payload=b"", length=None):
    """length: what the header says in place of the truth."""
    return struct.pack(">I", len(payload) if length is None else length)[1:] + bytes((kind, flags)) + \
        struct.pack(">I", stream) + payload


def integer(value, bits, first=0):
    """HPACK's integers."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes((first | value,))
    out, value = bytearray((first | limit,)), value - limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes((value,))


def literal(name, value, indexed=False):
    """A header as HPACK without Huffman; indexed: to be kept in the dynamic table."""
    return (b"\x40" if indexed else b"\x00") + integer(len(name), 7) + name + integer(len(value), 7) + value


def goaway(last, code=0):
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, code))


def rst(stream, code):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


MALFORMED = {
    "data on stream 0": lambda s: frame(DATA, 0, 0, b"x"),
    "headers on stream 0": lambda s: frame(HEADERS, END_HEADERS, 0, STATUS_200),
    "short ping": lambda s: frame(PING, 0, 0, b"1234"),
    "odd settings": lambda s: frame(SETTINGS, 0, 0, b"12345"),
    "settings acknowledged with a payload": lambda s: frame(SETTINGS, 1, 0, b"\0\4\0\0\1\0"),
    "window too large": lambda s: frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 31)),
    "window update of 0": lambda s: frame(WINDOW_UPDATE, 0, 0, bytes(4)),
    "window overflow": lambda s: 2 * frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", (1 << 31) - 1)),
    "frame too large": lambda s: frame(DATA, 0, s, bytes((1 << 24) - 1)),
    "frame cut short": lambda s: frame(DATA, 0, s, b"x", length=16000),
    "push promise": lambda s: frame(PUSH_PROMISE, END_HEADERS, s, struct.pack(">I", 2) + STATUS_200),
    "continuation alone": lambda s: frame(CONTINUATION, END_HEADERS, s, STATUS_200),
    "headers interrupted": lambda s: frame(HEADERS, 0, s, STATUS_200) + frame(PING, 0, 0, bytes(8)),
    "padding beyond the end": lambda s: frame(HEADERS, END_HEADERS, s, STATUS_200) + frame(DATA, PADDED, s, b"\xffx"),
    "data on an idle stream": lambda s: frame(DATA, 0, s + 1000, b"x"),
    "headers on an even stream": lambda s: frame(HEADERS, END_HEADERS, s + 1, STATUS_200),
    "data before headers": lambda s: frame(DATA, END_STREAM, s, b"x"),
    "bad hpack index": lambda s: frame(HEADERS, END_HEADERS, s, b"\x80"),
    "hpack beyond the table": lambda s: frame(HEADERS, END_HEADERS, s, b"\xff\xff\x03"),
    "hpack cut short": lambda s: frame(HEADERS, END_HEADERS, s, b"\x40\x7f"),
    "no status": lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, literal(b"content-type", b"text/plain")),
    "two statuses": lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, 2 * STATUS_200),
    "odd status": lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, literal(b":status", b"-20")),
    "upper case header": lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, STATUS_200 + literal(b"Bad", b"x")),
    "line break in a header": lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, STATUS_200 + literal(b"x", b"a\r\nb: c")),
    "HTTP/1.1": lambda s: b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "zeros": lambda s: bytes(64),
}


def continuation_flood(stream):
    """A header block that never ends."""
    yield frame(HEADERS, 0, stream, STATUS_200)
    yield from itertools.repeat(frame(CONTINUATION, 0, stream, literal(b"x", b"y" * 16000)))


def empty_continuation_flood(stream):
    yield frame(HEADERS, 0, stream, STATUS_200)
    yield from itertools.repeat(frame(CONTINUATION, 0, stream) * 500)


def hpack_bomb(stream):
    """Few bytes that decode to many: one entry of 4 kB, then a million references to it."""
    yield frame(HEADERS, 0, stream, STATUS_200 + literal(b"x", b"y" * 4000, indexed=True))
    for _ in range(64):
        yield frame(CONTINUATION, 0, stream, REPEAT_NEWEST * 16384)
    yield frame(CONTINUATION, END_HEADERS | END_STREAM, stream)


def informational_flood(stream):
    """100 Continue for ever."""
    return itertools.repeat(frame(HEADERS, END_HEADERS, stream, literal(b":status", b"100")) * 100)


def ping_flood(stream):
    return itertools.repeat(frame(PING, 0, 0, bytes(8)) * 500)


def settings_flood(stream):
    return itertools.repeat(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)) * 500)


def empty_data_flood(stream):
    yield frame(HEADERS, END_HEADERS, stream, STATUS_200)
    yield from itertools.repeat(frame(DATA, 0, stream) * 500)


def window_flood(stream):
    """A response without end, whatever window the client gave."""
    yield frame(HEADERS, END_HEADERS, stream, STATUS_200)
    yield from itertools.repeat(frame(DATA, 0, stream, b"x" * 16384))


FLOODS = {f.__name__: f for f in (continuation_flood, empty_continuation_flood, hpack_bomb, informational_flood, ping_flood,
                                  settings_flood, empty_data_flood, window_flood)}
