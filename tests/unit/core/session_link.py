"""A session and a peer that talk without sockets."""

from __future__ import annotations

from typing import Any

from nacosx._core.http2 import Session
from tests.models.grpc_peer import STREAM, UNARY, Peer

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4

Event = tuple[int, int, Any]


def frame(kind: int, flags: int, stream_id: int, content: bytes = b"") -> bytes:
    """An HTTP/2 frame, whether it makes sense or not."""
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + content


class Link:
    def __init__(self, peer: Peer | None = None, **limits: int) -> None:
        self.session = Session(unary_path=UNARY.encode(), stream_path=STREAM.encode(), **limits)
        self.peer = peer or Peer()
        self.now_ms = 0
        self.settle()

    def settle(self, step: int = 1 << 20) -> list[Event]:
        """Moves bytes both ways, at most `step` at a time, until neither side has anything to say."""
        events: list[Event] = []
        while True:
            answers = b""
            while sent := self.session.drain():
                answers += sent
            for begin in range(0, len(answers), step):
                self.peer.take(answers[begin : begin + step])
            requests = self.peer.outgoing()
            if not requests and not answers:
                return events
            for begin in range(0, len(requests), step):
                events += self.session.receive(requests[begin : begin + step], self.now_ms)

    def raw(self, data: bytes) -> list[Event]:
        """Bytes the peer would never send. The peer hears the answer."""
        events = self.session.receive(data, self.now_ms)
        while sent := self.session.drain():
            self.peer.take(sent)
        return events
