"""gRPC over HTTP/2 without sockets: what the session costs. Bar: 3 µs a call, half of what the system calls around it cost."""

from __future__ import annotations

from typing import Any

from nacosx._core.http2 import CALL, Session
from tests.models.grpc_peer import STREAM, UNARY, Peer, framed

CALLS = 1000  # in a round
REPLY_HEAD, REPLY = framed(bytes(300))[:30], bytes(275)


def connected() -> tuple[Session, Peer]:
    """A client that takes everything without acknowledging it."""
    peer = Peer(window=2**31 - 1)
    peer.connection.increment_flow_control_window(2**31 - 1 - 65535)
    session = Session(unary_path=UNARY.encode(), stream_path=STREAM.encode())
    for _ in range(2):
        peer.take(session.drain())
        session.receive(peer.outgoing(), 0)
    return session, peer


def test_a_thousand_calls_one_by_one(benchmark: Any) -> None:
    """Receive, respond, drain."""

    def prepared() -> tuple[tuple[Session, list[bytes]], dict[str, object]]:
        session, peer = connected()
        requests = []
        for _ in range(CALLS):
            peer.call(bytes(200))
            requests.append(peer.outgoing())
        return (session, requests), {}

    def answered(session: Session, requests: list[bytes]) -> int:
        written = 0
        for request in requests:
            for kind, stream_id, _ in session.receive(request, 0):
                assert kind == CALL
                session.respond(stream_id, REPLY_HEAD, REPLY)
            written += len(session.drain())
        return written

    assert benchmark.pedantic(answered, setup=prepared, rounds=20) > CALLS * 300


def test_a_push(benchmark: Any) -> None:
    """3 KB on an open stream whose client reads."""
    session, peer = connected()
    stream_id = peer.open(STREAM)
    session.receive(peer.outgoing(), 0)
    members = bytes(3000)

    def pushed() -> bytes:
        session.send(stream_id, REPLY_HEAD, members, b"}")
        return session.drain()

    assert benchmark(pushed)
