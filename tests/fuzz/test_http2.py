"""The HTTP/2 side survives anything: noise, frames without sense, valid traffic with bytes changed, cut anywhere.

Run it against a build with NACOSX_SANITIZE=1, too.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nacosx._core.http2 import CALL, CLOSED, HALF_CLOSED, MESSAGE, OPENED, Session
from tests.models.grpc_peer import STREAM, UNARY, Peer, framed
from tests.unit.core.session_link import PREFACE, SETTINGS, frame

SEND_QUEUE_BYTES_MAX = 50_000
MESSAGE_BYTES_MAX = 20_000
DRAINS_MAX = 1000
EXAMPLES = 300


class Server:
    """A session and the wire that answers whatever it is asked."""

    def __init__(self) -> None:
        self.session = Session(
            unary_path=UNARY.encode(),
            stream_path=STREAM.encode(),
            message_bytes_max=MESSAGE_BYTES_MAX,
            inbound_bytes_max=4 * MESSAGE_BYTES_MAX,
            send_queue_bytes_max=SEND_QUEUE_BYTES_MAX,
            concurrent_streams_max=20,
        )
        self.now_ms = 0
        self.open: set[int] = set()
        self.heard: list[tuple[int, int, object]] = []

    def feed(self, data: bytes, *, drains: bool = True) -> None:
        self.now_ms += 7
        for kind, stream_id, value in self.session.receive(data, self.now_ms):
            assert stream_id > 0
            self.heard.append((kind, stream_id, value))
            if kind == CALL:
                assert isinstance(value, bytes)
                assert len(value) <= MESSAGE_BYTES_MAX
                self.session.respond(stream_id, framed(value), b"")
            elif kind == OPENED:
                assert stream_id not in self.open
                self.open.add(stream_id)
                self.session.send(stream_id, framed(b"welcome"), b"")
            elif kind == MESSAGE:
                assert stream_id in self.open
                assert len(value) <= MESSAGE_BYTES_MAX
                for _ in range(3):
                    self.session.send(stream_id, framed(value)[:5], value)
            elif kind == HALF_CLOSED:
                assert stream_id in self.open
                self.session.end(stream_id, 5, "done")
            else:
                assert kind == CLOSED
                self.open.remove(stream_id)
        assert self.session.open_streams <= 20
        assert self.session.queued_bytes <= SEND_QUEUE_BYTES_MAX + 20 * (MESSAGE_BYTES_MAX + 5)
        if drains:
            self.drain()

    def drain(self) -> bytes:
        out = []
        for _ in range(DRAINS_MAX):
            out.append(self.session.drain())
            if not out[-1]:
                return b"".join(out)
        pytest.fail("it never stops talking")


def parts_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in pairwise(places)]


cuts = st.lists(st.integers(0, 1 << 20), max_size=12)

# --- traffic of a client that knows what it does ------------------------------------------------------------------------

messages = st.binary(max_size=300) | st.integers(0, 25_000).map(bytes)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("call"), messages, st.booleans()),
        st.tuples(st.just("open"), st.sampled_from([UNARY, STREAM, "/other"]), st.booleans()),
        st.tuples(st.just("say"), messages, st.integers(0, 9)),
        st.tuples(st.just("end"), st.just(b""), st.integers(0, 9)),
        st.tuples(st.just("reset"), st.just(b""), st.integers(0, 9)),
        st.tuples(st.just("ping"), st.just(b""), st.just(0)),
    ),
    max_size=12,
)


def spoken(steps: list[tuple[str, bytes | str, int]]) -> bytes:
    """The bytes of a client that hears nothing."""
    peer = Peer()
    streams: list[int] = []
    for action, value, number in steps:
        if action == "call":
            compressed = bool(number)
            stream_id = peer.open(headers=[("grpc-encoding", "gzip")] if compressed else [])
            peer.write(stream_id, framed(bytes(value), compressed=compressed), end=True)  # type: ignore[arg-type]
        elif action == "open":
            streams.append(peer.open(str(value), end=bool(number)))
            if number:
                streams.pop()
        elif action == "ping":
            peer.connection.ping(b"12345678")
        elif streams:
            stream_id = streams[number % len(streams)]
            if action == "say":
                peer.write(stream_id, framed(bytes(value)))  # type: ignore[arg-type]
                continue
            streams.remove(stream_id)
            if action == "end":
                peer.write(stream_id, b"", end=True)
            else:
                peer.connection.reset_stream(stream_id)
                peer.answers[stream_id].reset = 0
    return peer.outgoing()


@settings(max_examples=EXAMPLES, deadline=None)
@given(actions, cuts)
def test_valid_traffic_in_any_parts(steps: list[tuple[str, bytes | str, int]], places: list[int]) -> None:
    """The session is there to the end, and hears the same wherever the bytes are cut."""
    data = spoken([step for step in steps if step[0] != "ping"])  # more than three are not valid
    whole, parted = Server(), Server()
    whole.feed(data, drains=False)
    for part in parts_of(data, places):
        parted.feed(part, drains=False)
    assert not whole.session.closed
    assert not parted.session.closed
    assert whole.heard == parted.heard
    assert len(whole.drain()) == len(parted.drain())


changes = st.lists(
    st.tuples(
        st.sampled_from(["set", "drop", "repeat", "insert"]),
        st.integers(0, 1 << 20),
        st.integers(1, 40),
        st.binary(max_size=9),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(actions, changes, cuts)
def test_changed_traffic(
    steps: list[tuple[str, bytes | str, int]], edits: list[tuple[str, int, int, bytes]], places: list[int]
) -> None:
    """Bytes are changed, lost, repeated and added; the preface mostly survives, or little would be tested."""
    data = bytearray(spoken(steps))
    for kind, place, size, content in edits:
        at = 24 + place % (len(data) - 23)
        if kind == "set":
            data[at : at + len(content)] = content
        elif kind == "drop":
            del data[at : at + size]
        elif kind == "repeat":
            data[at:at] = data[at : at + size]
        else:
            data[at:at] = content
    server = Server()
    for part in parts_of(bytes(data), places):
        server.feed(part)


# --- frames without sense -------------------------------------------------------------------------------------------------

flags = st.integers(0, 255) | st.sampled_from([0, 1, 4, 5])
stream_ids = st.integers(0, 9) | st.integers(0, 2**32 - 1)
field_blocks = st.lists(
    st.sampled_from([b"\x82", b"\x83", b"\x84", b"\x86", b"\x87", b"\xbe", b"\xbf", b"\x3f\xe1\x1f", b"\x20"])
    | st.tuples(
        st.sampled_from([b"\x00", b"\x40", b"\x10"]),
        st.sampled_from([b":path", b":authority", b"content-type", b"grpc-encoding", b"te", b"X", b""]),
        st.sampled_from(
            [b"/", UNARY.encode(), STREAM.encode(), b"application/grpc", b"gzip", b"trailers", b"\x00", b""]
        ),
    ).map(lambda field: field[0] + bytes([len(field[1])]) + field[1] + bytes([len(field[2])]) + field[2]),
    max_size=10,
).map(b"".join)
contents = st.one_of(
    st.binary(max_size=60),
    field_blocks,
    messages.map(framed),
    st.tuples(st.integers(0, 9), st.integers(0, 2**32 - 1)).map(
        lambda entry: entry[0].to_bytes(2, "big") + entry[1].to_bytes(4, "big")
    ),
    st.integers(0, 2**32 - 1).map(lambda number: number.to_bytes(4, "big")),
)
frames = st.lists(st.builds(frame, st.integers(0, 10) | st.integers(0, 255), flags, stream_ids, contents), max_size=30)


@settings(max_examples=EXAMPLES, deadline=None)
@given(frames.map(b"".join), cuts, st.booleans())
def test_frames_without_sense(data: bytes, places: list[int], drains: bool) -> None:
    """Every type with every flag on every stream, whether the server is heard or not."""
    server = Server()
    server.feed(PREFACE + frame(SETTINGS, 0, 0), drains=drains)
    for part in parts_of(data, places):
        server.feed(part, drains=drains)
    server.drain()


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=400), st.booleans(), cuts)
def test_noise(data: bytes, with_preface: bool, places: list[int]) -> None:
    """With and without the preface."""
    server = Server()
    for part in parts_of(PREFACE * with_preface + data, places):
        server.feed(part)


# --- a server that does anything at any time -----------------------------------------------------------------------------

deeds = st.lists(
    st.tuples(
        st.sampled_from(["respond", "send", "end", "end_streams", "ping", "goaway", "error", "drain"]),
        st.integers(0, 30) | st.integers(-(2**31), 2**31 - 1),
        st.integers(0, 20_000),
    ),
    max_size=15,
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(actions, deeds, cuts)
def test_anything_may_be_called_at_any_time(
    steps: list[tuple[str, bytes | str, int]], orders: list[tuple[str, int, int]], places: list[int]
) -> None:
    """Answers to calls that are over or never were, after the good-bye, with and without bytes in between."""
    server = Server()
    session = server.session
    parts = parts_of(spoken(steps), places)
    for order, stream_id, size in orders:
        if parts:
            server.feed(parts.pop(0), drains=False)
        match order:
            case "respond":
                session.respond(stream_id, framed(bytes(size)), b"")
            case "send":
                session.send(stream_id, framed(bytes(size))[:5], bytes(size))
            case "end":
                session.end(stream_id, size % 17, "é" * (size % 50))
            case "end_streams":
                session.end_streams(14, "bye")
            case "ping":
                session.ping()
            case "goaway":
                session.goaway()
            case "error":
                session.goaway(11, b"x" * (size % 200))
            case "drain":
                server.drain()
    server.drain()
    assert isinstance(session.closed, bool)
