"""gRPC over HTTP/2, the server side, against a client that shares no code with it: calls, streams, statuses, flow control."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nacosx._core.grpc_call import INTERNAL, RESOURCE_EXHAUSTED, UNAVAILABLE, UNIMPLEMENTED
from nacosx._core.http2 import CALL, CLOSED, HALF_CLOSED, MESSAGE, MESSAGE_BYTES_MAX, OPENED, Session
from tests.models.grpc_peer import STREAM, UNARY, Peer, framed
from tests.unit.core.session_link import Link

CANCEL = 8  # HTTP/2 error code
STREAM_IDS = [1, 3, 5]


# --- unary calls -----------------------------------------------------------------------------------------------------


def test_a_unary_call_is_one_event_and_one_answer() -> None:
    """The message comes out, the answer goes back with status OK, and nothing is left of the call."""
    link = Link()
    stream_id = link.peer.call(b"question")
    assert link.settle() == [(CALL, stream_id, b"question")]
    assert link.session.respond(stream_id, framed(b"answer")[:7], b"swer")
    assert link.settle() == []
    answer = link.peer.answers[stream_id]
    assert answer.headers == {":status": "200", "content-type": "application/grpc"}
    assert (answer.messages, answer.status, answer.message, answer.ended) == ([b"answer"], 0, None, True)
    assert link.session.open_streams == 0
    assert link.session.queued_bytes == 0


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.integers(1, 40), st.booleans())
def test_bytes_may_come_in_any_parts(messages: list[bytes], step: int, compressed: bool) -> None:
    """Frames, prefixes and messages are cut anywhere, in both directions."""
    link = Link()
    encoding = [("grpc-encoding", "gzip")] if compressed else []
    calls = {}
    for message in messages:
        stream_id = link.peer.open(headers=encoding)
        link.peer.write(stream_id, framed(message, compressed=compressed), end=True)
        calls[stream_id] = message
    assert link.settle(step) == [(CALL, stream_id, message) for stream_id, message in calls.items()]
    for stream_id, message in calls.items():
        link.session.respond(stream_id, framed(message), b"")
    link.settle(step)
    assert {stream_id: link.peer.answers[stream_id].messages for stream_id in calls} == {
        stream_id: [message] for stream_id, message in calls.items()
    }


def test_calls_are_answered_in_any_order() -> None:
    """Open calls do not wait for each other."""
    link = Link()
    assert [link.peer.call(b"%d" % number) for number in range(3)] == STREAM_IDS
    link.settle()
    for stream_id in (5, 1):
        link.session.respond(stream_id, framed(b"late" if stream_id == 1 else b"early"), b"")
    link.settle()
    assert link.peer.answers[5].messages == [b"early"]
    assert link.peer.answers[1].messages == [b"late"]
    assert not link.peer.answers[3].ended
    link.session.end(3, INTERNAL, "no luck")
    link.settle()
    assert (link.peer.answers[3].status, link.peer.answers[3].message) == (INTERNAL, "no luck")


def test_messages_of_ten_megabytes_pass_both_ways() -> None:
    """The largest message that is allowed, through windows that are much smaller."""
    link = Link(Peer(window=100_000))
    question, answer = bytes(MESSAGE_BYTES_MAX), b"\x01" * MESSAGE_BYTES_MAX
    stream_id = link.peer.call(question)
    assert link.settle() == [(CALL, stream_id, question)]
    link.session.respond(stream_id, framed(answer)[:5], answer)
    link.settle()
    assert link.peer.answers[stream_id].messages == [answer]
    assert link.peer.answers[stream_id].status == 0


def test_a_status_text_is_percent_encoded() -> None:
    """gRPC PROTOCOL-HTTP2, Status-Message."""
    link = Link()
    stream_id = link.peer.call(b"")
    link.settle()
    link.session.end(stream_id, INTERNAL, "100 % é\n")
    link.settle()
    assert link.peer.answers[stream_id].message == "100 %25 %C3%A9%0A"


def test_an_answer_to_a_call_that_was_given_up_is_dropped() -> None:
    """A client that cancels (a deadline passed) hears nothing more, and a second answer is none."""
    link = Link()
    cancelled, answered = link.peer.call(b""), link.peer.call(b"")
    link.settle()
    link.peer.connection.reset_stream(cancelled, error_code=CANCEL)
    assert link.settle() == []
    assert not link.session.respond(cancelled, framed(b"late"), b"")
    assert link.session.respond(answered, framed(b"one"), b"")
    assert not link.session.respond(answered, framed(b"two"), b"")
    link.session.end(answered, INTERNAL, "three")
    link.settle()
    assert link.peer.answers[answered].messages == [b"one"]
    assert not link.session.respond(99, framed(b"nobody"), b"")


# --- calls that are refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "message"),
    [
        ("/Request/other", [], framed(b""), UNIMPLEMENTED, "Method not found: Request/other"),
        (UNARY, [("grpc-encoding", "deflate")], framed(b""), UNIMPLEMENTED, "Can't find decompressor for deflate"),
        (UNARY, [], b"", INTERNAL, "Half-closed without a request"),
        (UNARY, [], framed(b"one") + framed(b"two"), INTERNAL, "Too many requests"),
        (UNARY, [], framed(b"abc")[:-1], INTERNAL, "Encountered end-of-stream mid-frame"),
        (UNARY, [], b"\0\0\0", INTERNAL, "Encountered end-of-stream mid-frame"),
        (UNARY, [], b"\x02\0\0\0\0", INTERNAL, "gRPC frame header malformed: reserved bits non-zero"),
        (
            UNARY,
            [],
            b"\0\0\xa0\0\x01",
            RESOURCE_EXHAUSTED,
            "gRPC message exceeds maximum size 10485760: 10485761",
        ),
        (
            UNARY,
            [],
            framed(b"", compressed=True),
            INTERNAL,
            "Can't decode compressed gRPC message as compression not configured",
        ),
        (
            UNARY,
            [("grpc-encoding", "gzip")],
            framed(bytes(MESSAGE_BYTES_MAX + 1), compressed=True),
            RESOURCE_EXHAUSTED,
            "Decompressed gRPC message exceeds maximum size 10485760",
        ),
        (UNARY, [("grpc-encoding", "gzip")], b"\x01\0\0\0\x02xy", INTERNAL, "Can't decompress the gRPC message"),
        (UNARY, [("grpc-encoding", "gzip")], b"\x01\0\0\0\x00", INTERNAL, "Can't decompress the gRPC message"),
        (STREAM, [], b"\x02\0\0\0\0", INTERNAL, "gRPC frame header malformed: reserved bits non-zero"),
    ],
)
def test_a_call_that_breaks_the_rules_ends_as_grpc_java_ends_it(
    path: str, headers: list[tuple[str, str]], body: bytes, status: int, message: str
) -> None:
    """The status, the words, and no event of a message; the connection goes on."""
    link = Link()
    stream_id = link.peer.open(path, headers)
    link.peer.write(stream_id, body, end=True)
    assert [kind for kind, _, _ in link.settle() if kind in (CALL, MESSAGE)] == []
    answer = link.peer.answers[stream_id]
    assert (answer.status, answer.message, answer.ended) == (status, message, True)
    assert ("grpc-accept-encoding" in answer.headers) is (message == "Can't find decompressor for deflate")
    assert link.session.open_streams == 0
    following = link.peer.call(b"next")
    assert link.settle()[-1] == (CALL, following, b"next")


def test_a_refused_call_need_not_be_sent_to_its_end() -> None:
    """RFC 9113 §8.1: after the answer the stream is reset without an error."""
    link = Link()
    stream_id = link.peer.open("/nothing")
    link.settle()
    answer = link.peer.answers[stream_id]
    assert (answer.status, answer.ended, answer.reset) == (UNIMPLEMENTED, True, 0)


@pytest.mark.parametrize(
    ("headers", "status"),
    [([(":method", "GET")], "405"), ([(":method", "PUT")], "405"), ([("content-type", "text/html")], "415")],
)
def test_a_request_that_is_not_grpc_is_told_so(headers: list[tuple[str, str]], status: str) -> None:
    """Whoever looks with a browser or curl reads what this port is for."""
    link = Link()
    stream_id = link.peer.open(headers=headers, end=True)
    link.settle()
    answer = link.peer.answers[stream_id]
    assert answer.headers[":status"] == status
    assert answer.body == b"This port speaks gRPC: POST with content-type application/grpc only.\n"
    assert answer.ended


def test_head_is_answered_without_a_body() -> None:
    """RFC 9110 §9.3.2."""
    link = Link()
    stream_id = link.peer.open(headers=[(":method", "HEAD")], end=True)
    link.settle()
    answer = link.peer.answers[stream_id]
    assert (answer.headers[":status"], answer.body, answer.ended) == ("405", b"", True)


# --- streams ---------------------------------------------------------------------------------------------------------


def test_messages_of_a_stream_go_both_ways_at_any_time() -> None:
    """Headers at once, messages as they come, trailers at the end."""
    link = Link()
    stream_id = link.peer.open(STREAM)
    assert link.settle() == [(OPENED, stream_id, None)]
    assert link.peer.answers[stream_id].headers == {":status": "200", "content-type": "application/grpc"}
    link.peer.write(stream_id, framed(b"one") + framed(b"two"))
    assert link.settle() == [(MESSAGE, stream_id, b"one"), (MESSAGE, stream_id, b"two")]
    assert link.session.send(stream_id, framed(b"1234567")[:6], b"2345", b"67")
    link.settle()
    assert link.session.send(stream_id, framed(b""), b"")
    assert link.session.is_open(stream_id)
    link.peer.write(stream_id, b"", end=True)
    assert link.settle() == [(HALF_CLOSED, stream_id, None)]
    assert link.peer.answers[stream_id].messages == [b"1234567", b""]
    link.session.end(stream_id)
    assert link.settle() == []
    assert not link.session.is_open(stream_id)
    assert not link.session.send(stream_id, framed(b"late"), b"")
    assert (link.peer.answers[stream_id].status, link.peer.answers[stream_id].ended) == (0, True)
    # what happened while writing is told with the next bytes
    link.peer.connection.ping(b"12345678")
    assert link.settle() == [(CLOSED, stream_id, 0)]


def test_a_stream_the_client_resets_is_closed() -> None:
    """The event tells the HTTP/2 error code."""
    link = Link()
    stream_id = link.peer.open(STREAM)
    link.settle()
    link.session.send(stream_id, framed(b"never read"), b"")
    link.peer.connection.reset_stream(stream_id, error_code=CANCEL)
    assert link.settle() == [(CLOSED, stream_id, CANCEL)]
    assert link.session.queued_bytes == 0
    assert not link.session.is_open(stream_id)


def test_the_server_ends_all_streams_and_no_calls() -> None:
    """What is queued goes out before the trailers; an open unary call goes on."""
    link = Link()
    first, second, call = link.peer.open(STREAM), link.peer.open(STREAM), link.peer.call(b"")
    link.settle()
    link.session.send(first, framed(b"last word"), b"")
    link.session.end_streams(UNAVAILABLE, "good bye")
    assert not link.session.is_open(first)
    link.settle()
    assert link.peer.answers[first].messages == [b"last word"]
    for stream_id in (first, second):
        answer = link.peer.answers[stream_id]
        assert (answer.status, answer.message, answer.ended) == (UNAVAILABLE, "good bye", True)
    assert link.session.respond(call, framed(b"answer"), b"")
    link.settle()
    assert link.peer.answers[call].messages == [b"answer"]


def test_messages_wait_until_the_client_reads() -> None:
    """No more is sent than the window of the stream allows, and the rest follows in order."""
    link = Link(Peer(window=10, reads=False))
    stream_id = link.peer.open(STREAM)
    link.settle()
    messages = [b"%03d" % number for number in range(200)]
    for message in messages:
        assert link.session.send(stream_id, framed(message)[:5], message)
    waiting = 200 * 8
    link.settle()
    while waiting > 0:
        assert link.session.queued_bytes == waiting - 10
        waiting -= 10
        link.peer.read(stream_id, 10)
        link.settle()
    assert link.peer.answers[stream_id].messages == messages


def test_a_stream_that_is_not_read_does_not_stop_the_others() -> None:
    """The window of a stream is its own."""
    link = Link(Peer(window=10, reads=False))
    slow, quick = link.peer.open(STREAM), link.peer.call(b"")
    link.settle()
    link.session.send(slow, framed(bytes(1000)), b"")
    link.session.respond(quick, framed(b"12345"), b"")
    link.settle()
    assert link.peer.answers[quick].messages == [b"12345"]
    assert len(link.peer.answers[slow].body) == 10


# --- the end of the connection ---------------------------------------------------------------------------------------


def test_goaway_lets_open_calls_end() -> None:
    """No new calls, the open ones are answered, then the connection is closed."""
    link = Link()
    stream_id = link.peer.call(b"")
    link.settle()
    link.session.goaway()
    link.settle()
    assert link.peer.goaway == (0, b"")
    assert not link.session.closed
    link.session.respond(stream_id, framed(b"answer"), b"")
    link.settle()
    assert link.peer.answers[stream_id].messages == [b"answer"]
    assert link.session.closed


def test_a_client_that_speaks_something_else_is_closed() -> None:
    """Anything but the preface of RFC 9113 §3.4."""
    session = Session(unary_path=UNARY.encode(), stream_path=STREAM.encode())
    assert not session.closed
    assert session.receive(b"GET / HTTP/1.1\r\n\r\n", 0) == []
    assert session.closed
    assert session.receive(b"more", 0) == []


def test_a_ping_is_pending_until_it_is_answered() -> None:
    """The keepalive of the server."""
    link = Link()
    assert not link.session.ping_pending
    link.session.ping()
    assert link.session.ping_pending
    link.settle()
    assert not link.session.ping_pending
    assert link.peer.pings == 1
