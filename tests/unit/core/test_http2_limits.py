"""What a peer can make the HTTP/2 side do or hold is bounded; what happens at each limit."""

from __future__ import annotations

import gzip

import pytest

from nacosx._core.grpc_call import RESOURCE_EXHAUSTED
from nacosx._core.http2 import CALL, MESSAGE, OPENED, Session
from tests.models.grpc_peer import STREAM, UNARY, Peer, framed
from tests.unit.core.session_link import (
    CONTINUATION,
    DATA,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Link,
    frame,
)

# HTTP/2 error codes
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 1, 3, 5, 7, 8, 11
TOO_MANY_PINGS = (ENHANCE_YOUR_CALM, b"too_many_pings")
TOO_MANY_IDLE_FRAMES = (ENHANCE_YOUR_CALM, b"too_many_idle_frames")

HOUR_MS = 3_600_000
IDLE_FRAMES_MAX = 2000


# --- bytes held ------------------------------------------------------------------------------------------------------


def test_a_push_into_a_full_queue_is_refused() -> None:
    """Once the client reads again, pushes are taken again."""
    link = Link(Peer(window=100, reads=False), send_queue_bytes_max=1000)
    stream_id = link.peer.open(STREAM)
    link.settle()
    assert link.session.send(stream_id, framed(bytes(895)), b"")
    link.settle()
    assert link.session.queued_bytes == 800
    assert link.session.send(stream_id, framed(bytes(195)), b"")
    assert not link.session.send(stream_id, b"\0", b"")
    assert link.session.is_open(stream_id)
    link.peer.read(stream_id, 100)
    link.settle()
    assert link.session.send(stream_id, framed(bytes(95)), b"")


def test_a_message_larger_than_the_queue_goes_into_an_empty_one() -> None:
    """Otherwise it could never be sent."""
    link = Link(send_queue_bytes_max=1000)
    stream_id = link.peer.open(STREAM)
    link.settle()
    assert link.session.send(stream_id, framed(bytes(5000)), b"")
    assert not link.session.send(stream_id, framed(b""), b"")
    link.settle()
    assert link.session.send(stream_id, framed(b""), b"")
    link.settle()
    assert link.peer.answers[stream_id].messages == [bytes(5000), b""]


def test_a_client_that_does_not_read_gets_no_more_answers() -> None:
    """Its calls are refused before they are handled, as long as what it has not read fills the queue."""
    link = Link(Peer(window=100, reads=False), send_queue_bytes_max=1000)
    first, second = link.peer.call(b""), link.peer.call(b"")
    link.settle()
    link.session.respond(first, framed(bytes(895)), b"")
    link.session.respond(second, framed(bytes(395)), b"")
    link.settle()
    assert link.session.queued_bytes == 1100
    refused = link.peer.call(b"")
    assert link.settle() == []
    answer = link.peer.answers[refused]
    assert (answer.status, answer.message) == (
        RESOURCE_EXHAUSTED,
        "too many bytes wait to be sent on this connection",
    )
    link.peer.read(first, 100)
    link.settle()
    taken = link.peer.call(b"")
    assert link.settle() == [(CALL, taken, b"")]


def test_calls_together_may_hold_only_so_much() -> None:
    """The call that goes beyond is refused; when another one is over, there is room again."""
    link = Link(inbound_bytes_max=20_000)
    first, second = link.peer.call(bytes(15_000)), link.peer.call(bytes(6_000))
    assert link.settle() == [(CALL, first, bytes(15_000))]
    answer = link.peer.answers[second]
    assert answer.status == RESOURCE_EXHAUSTED
    assert answer.message == "too many bytes wait for an answer on this connection"
    link.session.end(first)
    link.settle()
    third = link.peer.call(bytes(15_000))
    assert link.settle() == [(CALL, third, bytes(15_000))]


def test_a_message_is_held_once() -> None:
    """The buffer in which it came together does not count any more, once it is complete."""
    link = Link(inbound_bytes_max=150_000)
    calls = [link.peer.call(bytes(40_000)) for _ in range(3)]
    assert link.settle(1000) == [(CALL, stream_id, bytes(40_000)) for stream_id in calls]


def test_what_was_announced_does_not_count_before_it_comes() -> None:
    """A thousand calls that announce the largest message and send a byte hold a few kilobytes each."""
    link = Link(inbound_bytes_max=5_000_000)
    stream_ids = [link.peer.open() for _ in range(1000)]
    for stream_id in stream_ids:
        link.peer.write(stream_id, b"\0\0\xa0\0\0x")
    link.settle()
    assert link.session.open_streams == 1000
    assert all(link.peer.answers[stream_id].status is None for stream_id in stream_ids)


def test_small_messages_cannot_swell_to_more_than_the_limit_at_once() -> None:
    """Many gzip bombs in one read are counted as what they become; the next read starts afresh."""
    link = Link(inbound_bytes_max=3_000_000)
    bomb = framed(bytes(1_000_000), compressed=True)
    stream_id = link.peer.open(STREAM, [("grpc-encoding", "gzip")])
    link.settle()
    for _ in range(3):
        link.peer.write(stream_id, bomb)
    assert [kind for kind, _, _ in link.settle()] == [MESSAGE] * 3
    for _ in range(4):
        link.peer.write(stream_id, bomb)
    assert [kind for kind, _, _ in link.settle()] == [MESSAGE] * 3
    assert link.peer.answers[stream_id].status == RESOURCE_EXHAUSTED


def test_an_inflated_message_has_the_limit_of_a_message() -> None:
    """Also when it is made of many gzip members, none of which is too large."""
    link = Link(message_bytes_max=1000)
    for parts, status in (([400, 600], None), ([400, 601], RESOURCE_EXHAUSTED), ([1] * 1000, None)):
        message = b"".join(gzip.compress(bytes(size), mtime=0) for size in parts)
        if len(message) > 1000:
            link = Link(message_bytes_max=100_000)
        stream_id = link.peer.open(headers=[("grpc-encoding", "gzip")])
        link.peer.write(stream_id, b"\1" + len(message).to_bytes(4, "big") + message, end=True)
        events = link.settle()
        assert link.peer.answers[stream_id].status == status
        assert events == ([] if status else [(CALL, stream_id, bytes(sum(parts)))])


# --- streams and header fields ---------------------------------------------------------------------------------------


def test_calls_beyond_the_concurrent_ones_are_refused() -> None:
    """Before the client has read the limit they are reset as not processed, which lets it try again."""
    peer = Peer()
    calls = [peer.call(b"") for _ in range(5)]
    session = Session(unary_path=UNARY.encode(), stream_path=STREAM.encode(), concurrent_streams_max=3)
    events = session.receive(peer.outgoing(), 0)
    assert events == [(CALL, stream_id, b"") for stream_id in calls[:3]]
    peer.take(session.drain())
    assert [peer.answers[stream_id].reset for stream_id in calls] == [None] * 3 + [REFUSED_STREAM] * 2


def test_a_header_list_has_a_limit() -> None:
    """8 KiB, counted as RFC 9113 §6.5.2 does; only the stream is reset."""
    link = Link()
    fits = link.peer.open(headers=[("x", "y" * 7500)], end=True)
    too_large = link.peer.open(headers=[("x", "y" * 8100)], end=True)
    link.settle()
    assert link.peer.answers[fits].reset is None
    assert link.peer.answers[too_large].reset == ENHANCE_YOUR_CALM
    following = link.peer.call(b"")
    assert link.settle() == [(CALL, following, b"")]


def test_a_header_bomb_is_reset() -> None:
    """One large field in the table of HPACK, named by a byte thousands of times."""
    link = Link()
    stream_id = link.peer.open(headers=[("x-bomb", "y" * 3900)], end=True)
    link.settle()
    assert link.peer.answers[stream_id].reset is None
    newest = b"\xbe"  # index 62: the field that was added last
    assert link.session.receive(frame(HEADERS, 5, stream_id + 2, newest * 16_000), 0) == []
    assert link.session.drain() == frame(RST_STREAM, 0, stream_id + 2, bytes([0, 0, 0, ENHANCE_YOUR_CALM]))


@pytest.mark.parametrize("content", [b"", b"\x00\x01x\x01y" * 100])
def test_a_head_in_too_many_frames_closes_the_connection(content: bytes) -> None:
    """CVE-2024-28182: CONTINUATION frames without end."""
    link = Link()
    link.session.receive(frame(HEADERS, 0, 1, b"\x00\x01x\x01y"), 0)
    for _ in range(10):
        link.session.receive(frame(CONTINUATION, 0, 1, content), 0)
    assert link.session.closed


def test_a_settings_frame_has_few_entries() -> None:
    """RFC 9113 knows six; nghttp2 takes 32 by default."""
    link = Link()
    link.raw(frame(SETTINGS, 0, 0, b"\0\x03\0\0\0\x64" * 33))
    assert link.session.closed


# --- floods ----------------------------------------------------------------------------------------------------------


def test_acknowledgements_that_are_not_read_have_a_limit() -> None:
    """CVE-2019-9512, CVE-2019-9515: every SETTINGS and PING wants an answer, and the peer reads none."""
    for flood in (frame(SETTINGS, 0, 0), frame(PING, 0, 0, bytes(8))):
        session = Session(unary_path=UNARY.encode(), stream_path=STREAM.encode(), permit_keep_alive_ms=0)
        session.receive(PREFACE + frame(SETTINGS, 0, 0), 0)
        for _ in range(2000):
            session.receive(flood, 0)
        assert session.closed


IDLE = {
    "SETTINGS": frame(SETTINGS, 0, 0),
    "WINDOW_UPDATE": frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
    "PRIORITY": frame(PRIORITY, 0, 1, bytes(4) + b"\x10"),
}


@pytest.mark.parametrize("flood", IDLE.values(), ids=IDLE)
def test_frames_that_carry_nothing_have_a_budget(flood: bytes) -> None:
    """Thousands in a row close the connection; with time, or with calls in between, they are fine."""
    link = Link()
    link.peer.call(b"")
    link.settle()
    link.session.end(1)
    link.settle()
    for _ in range(IDLE_FRAMES_MAX // 100):
        link.raw(flood * 100)
    link.now_ms += HOUR_MS
    for _ in range(IDLE_FRAMES_MAX // 100):
        link.raw(flood * 100)
    assert link.peer.goaway is None
    link.raw(flood * 100)
    assert link.peer.goaway == TOO_MANY_IDLE_FRAMES
    assert link.session.closed


def test_empty_data_frames_have_a_budget() -> None:
    """CVE-2019-9518: DATA frames without content that never end the stream."""
    link = Link()
    stream_id = link.peer.open(STREAM)
    link.settle()
    for _ in range(IDLE_FRAMES_MAX // 100 + 1):
        link.raw(frame(DATA, 0, stream_id) * 100)
    assert link.peer.goaway == TOO_MANY_IDLE_FRAMES


def test_window_updates_of_a_client_that_reads_are_welcome() -> None:
    """A client may acknowledge every few bytes, as long as something is sent to it."""
    link = Link(Peer(window=10))
    stream_id = link.peer.call(b"")
    link.settle()
    link.session.respond(stream_id, framed(bytes(100_000)), b"")
    link.settle()
    assert link.peer.answers[stream_id].messages == [bytes(100_000)]


def test_calls_that_are_reset_at_once_have_a_rate() -> None:
    """CVE-2023-44487, rapid reset: nghttp2 closes the connection."""
    link = Link()
    for _ in range(1100):
        if link.session.closed:
            break
        stream_id = link.peer.open()
        link.peer.connection.reset_stream(stream_id, error_code=CANCEL)
        link.session.receive(link.peer.outgoing(), 0)
    while sent := link.session.drain():
        link.peer.take(sent)
    assert link.session.closed
    assert link.peer.goaway is not None


def test_resets_the_peer_makes_us_send_have_a_budget() -> None:
    """CVE-2025-8671, "MadeYouReset": a call, then a frame that breaks its stream."""
    link = Link()
    for _ in range(1000):
        if link.session.closed:
            break
        stream_id = link.peer.open()
        link.raw(link.peer.outgoing() + frame(WINDOW_UPDATE, 0, stream_id, b"\x7f\xff\xff\xff"))
        assert link.session.closed or link.peer.answers[stream_id].reset == FLOW_CONTROL_ERROR
    assert link.peer.goaway == TOO_MANY_IDLE_FRAMES


def test_requests_on_closed_streams_close_the_connection() -> None:
    """RFC 9113 §5.1."""
    link = Link()
    stream_id = link.peer.call(b"")
    link.settle()
    link.session.end(stream_id)
    link.settle()
    link.raw(frame(HEADERS, 5, stream_id, b"\x83"))
    assert link.peer.goaway == (STREAM_CLOSED, b"")
    assert link.session.closed


def test_priority_of_the_connection_closes_it() -> None:
    """RFC 9113 §6.3."""
    link = Link()
    link.raw(frame(PRIORITY, 0, 0, bytes(4) + b"\x10"))
    assert link.peer.goaway == (PROTOCOL_ERROR, b"")


# --- pings -----------------------------------------------------------------------------------------------------------


def ping(link: Link) -> None:
    link.peer.connection.ping(b"12345678")
    link.settle()


def test_pings_more_often_than_permitted_end_the_connection() -> None:
    """grpc-java: the first is free, two strikes are forgiven, the third is GOAWAY too_many_pings."""
    link = Link(permit_keep_alive_ms=300_000)
    link.peer.open(STREAM)
    link.settle()
    for _ in range(3):
        ping(link)
        link.now_ms += 100_000
    assert (link.peer.pongs, link.peer.goaway) == (3, None)
    ping(link)  # 300 s after the first: permitted, but it forgives nothing
    link.now_ms += 299_999
    assert link.peer.goaway is None
    ping(link)
    assert link.peer.goaway == TOO_MANY_PINGS
    assert link.session.closed


def test_pings_in_permitted_intervals_are_answered_for_ever() -> None:
    """A client with an open stream and a keepalive of five minutes."""
    link = Link(permit_keep_alive_ms=300_000)
    link.peer.open(STREAM)
    link.settle()
    for _ in range(100):
        ping(link)
        link.now_ms += 300_000
    assert (link.peer.pongs, link.peer.goaway) == (100, None)


def test_pings_without_open_calls_are_permitted_every_two_hours() -> None:
    """grpc-java: permitKeepAliveWithoutCalls is off."""
    link = Link(permit_keep_alive_ms=300_000)
    for _ in range(10):
        ping(link)
        link.now_ms += 2 * HOUR_MS
    assert link.peer.goaway is None
    ping(link)
    for _ in range(3):
        assert link.peer.goaway is None
        link.now_ms += 300_000
        ping(link)
    assert link.peer.goaway == TOO_MANY_PINGS


def test_a_client_that_is_sent_something_may_ping() -> None:
    """gRPC clients measure the bandwidth with pings whenever data comes."""
    link = Link(permit_keep_alive_ms=300_000)
    stream_id = link.peer.open(STREAM)
    assert link.settle() == [(OPENED, stream_id, None)]
    for _ in range(20):
        link.session.send(stream_id, framed(b"push"), b"")
        link.settle()
        ping(link)
    assert link.peer.goaway is None
