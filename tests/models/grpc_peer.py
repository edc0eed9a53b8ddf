"""A gRPC client over hyper-h2, an HTTP/2 machine in Python that shares nothing with nghttp2. It moves no bytes itself."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    PingAckReceived,
    PingReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes

UNARY = "/Request/request"
STREAM = "/BiRequestStream/requestBiStream"


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    """A gRPC message with its prefix."""
    if compressed:
        message = gzip.compress(message, mtime=0)
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message


def unframed(body: bytes) -> list[bytes]:
    """The messages of a response body, which must be complete and not compressed."""
    messages = []
    while body:
        assert body[0] == 0, "a compressed message"
        size = int.from_bytes(body[1:5], "big")
        assert len(body) >= 5 + size, "half a message"
        messages.append(body[5 : 5 + size])
        body = body[5 + size :]
    return messages


def texts(fields: Iterable[tuple[Any, Any]]) -> dict[str, str]:
    """Header fields; hyper-h2 has decoded them."""
    return {str(name): str(value) for name, value in fields}


class Answer:
    """What has come on a stream."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.trailers: dict[str, str] = {}
        self.body = b""
        self.ended = False
        self.reset: int | None = None

    @property
    def messages(self) -> list[bytes]:
        return unframed(self.body)

    @property
    def status(self) -> int | None:
        """The gRPC status, from trailers or, in a Trailers-Only answer, headers."""
        status = self.trailers.get("grpc-status", self.headers.get("grpc-status"))
        return None if status is None else int(status)

    @property
    def message(self) -> str | None:
        return self.trailers.get("grpc-message", self.headers.get("grpc-message"))


class Peer:
    """`window`: what the server may send on a stream before the peer has read; `reads=False`: it never reads."""

    def __init__(self, *, window: int = 65535, reads: bool = True) -> None:
        self.connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.connection.initiate_connection()
        if window != 65535:
            self.connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.reads = reads
        self.answers: defaultdict[int, Answer] = defaultdict(Answer)
        self.goaway: tuple[int, bytes] | None = None
        self.pings = 0
        self.pongs = 0
        self._unsent: dict[int, bytes] = {}
        self._ending: set[int] = set()
        self._untaken = b""

    # --- calls ---

    def open(self, path: str = UNARY, headers: Iterable[tuple[str, str]] = (), *, end: bool = False) -> int:
        """Sends the head of a call; `headers` replace or add to the usual ones."""
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "127.0.0.1",
            "content-type": "application/grpc",
            "te": "trailers",
            **dict(headers),
        }
        stream_id: int = self.connection.get_next_available_stream_id()
        self.connection.send_headers(stream_id, list(fields.items()), end_stream=end)
        self._unsent[stream_id] = b""
        return stream_id

    def call(self, message: bytes, path: str = UNARY, headers: Iterable[tuple[str, str]] = ()) -> int:
        """A whole unary call."""
        stream_id = self.open(path, headers)
        self.write(stream_id, framed(message), end=True)
        return stream_id

    def write(self, stream_id: int, data: bytes, *, end: bool = False) -> None:
        """Bytes of the request body, as far as the server's window allows; the rest follows."""
        self._unsent[stream_id] += data
        if end:
            self._ending.add(stream_id)
        self._pump()

    def outgoing(self) -> bytes:
        self._pump()
        return bytes(self.connection.data_to_send())

    def _pump(self) -> None:
        for stream_id, data in list(self._unsent.items()):
            if self.answers[stream_id].reset is not None or self.goaway is not None:
                del self._unsent[stream_id]
                continue
            while data:
                size = min(
                    len(data),
                    self.connection.local_flow_control_window(stream_id),
                    self.connection.max_outbound_frame_size,
                )
                if size <= 0:
                    break
                self.connection.send_data(stream_id, data[:size])
                data = data[size:]
            self._unsent[stream_id] = data
            if not data and stream_id in self._ending:
                self.connection.end_stream(stream_id)
                del self._unsent[stream_id]

    # --- what comes ---

    def take(self, data: bytes) -> None:
        self._untaken += data
        while len(self._untaken) >= 9 and len(self._untaken) >= 9 + int.from_bytes(self._untaken[:3], "big"):
            size = 9 + int.from_bytes(self._untaken[:3], "big")
            frame, self._untaken = self._untaken[:size], self._untaken[size:]
            self._take_frame(frame)
            if self.goaway is not None and self.goaway[0] == 0:
                # For hyper-h2 any GOAWAY ends the connection; RFC 9113 §6.8 lets the open streams go on.
                self.connection.state_machine.state = ConnectionState.CLIENT_OPEN

    def _take_frame(self, frame: bytes) -> None:
        for event in self.connection.receive_data(frame):
            if isinstance(event, ResponseReceived):
                self.answers[event.stream_id].headers = texts(event.headers)
            elif isinstance(event, TrailersReceived):
                self.answers[event.stream_id].trailers = texts(event.headers)
            elif isinstance(event, DataReceived):
                self.answers[event.stream_id].body += event.data
                if self.reads:
                    self.read(event.stream_id, event.flow_controlled_length)
            elif isinstance(event, StreamEnded):
                self.answers[event.stream_id].ended = True
            elif isinstance(event, StreamReset):
                self.answers[event.stream_id].reset = int(event.error_code or 0)
            elif isinstance(event, ConnectionTerminated):
                self.goaway = (int(event.error_code or 0), event.additional_data or b"")
            elif isinstance(event, PingReceived):
                self.pings += 1
            elif isinstance(event, PingAckReceived):
                self.pongs += 1

    def read(self, stream_id: int, size: int) -> None:
        """Tells the server that it may send `size` more bytes."""
        if self.goaway is None or self.goaway[0] == 0:
            self.connection.acknowledge_received_data(size, stream_id)
