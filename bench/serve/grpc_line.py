"""A Nacos gRPC connection of the load: HTTP/2 frames written and read by hand (RFC 9113).

Unary calls run one at a time on odd streams; the bi-directional stream is opened once. The header block of the first
unary call is literal with incremental indexing, every later one refers to it, as every gRPC client does (RFC 7541 §6).
Headers of answers are not decoded: a call that failed has no message, and a message says its resultCode.
The receive windows are opened to the limit once, the send windows are kept to.
"""

from __future__ import annotations

import time
from struct import Struct

from bench.serve.closed_loop import LineError
from bench.serve.http_line import ANSWER_S_MAX, READ_BYTES, connect

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
INITIAL_WINDOW_SIZE = 4  # SETTINGS identifier
WINDOW_MAX = (1 << 31) - 1
WINDOW_DEFAULT = 65_535
WINDOW_TOP_UP = 1 << 29  # received bytes after which the connection's window is opened again
FRAME_BYTES_MAX = 16_384
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BI_STREAM = 1

FRAME = Struct(">IBI")  # 24 bits length, 8 bits type; flags; stream
_u32 = Struct(">I")
_setting = Struct(">HI")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return FRAME.pack(len(payload) << 8 | kind, flags, stream) + payload


def _string(text: bytes) -> bytes:
    """HPACK string literal without Huffman coding; all of ours are shorter than 127 bytes."""
    return bytes((len(text),)) + text


def _header_block(path: bytes, authority: bytes, *, indexing: bool) -> bytes:
    """Two headers that the static table holds whole, then five literals."""
    mark = 0x40 if indexing else 0x00

    def named(index: int, value: bytes) -> bytes:
        name = bytes((mark | index,)) if indexing or index < 15 else bytes((mark | 15, index - 15))
        return name + _string(value)

    return b"".join(
        (
            b"\x83\x86",  # :method POST, :scheme http
            named(4, path),
            named(1, authority),
            named(58, b"grpc-java-netty/1.57.2"),
            named(31, b"application/grpc"),
            bytes((mark,)) + _string(b"te") + _string(b"trailers"),
        )
    )


# The five entries above in the dynamic table, newest first, behind the 61 static ones.
HEADER_BLOCK_AGAIN = b"\x83\x86" + bytes(0x80 | index for index in (66, 65, 64, 63, 62))


class Push:
    """A message of the bi-directional stream with the moment it was read."""

    __slots__ = ("at_ns", "payload")

    def __init__(self, at_ns: int, payload: bytes) -> None:
        self.at_ns = at_ns
        self.payload = payload


class GrpcLine:
    """One HTTP/2 connection. `send` takes a gRPC message (5 bytes prefix, Payload), `receive` returns a Payload."""

    __slots__ = (
        "_bi_rest",
        "_bi_window",
        "_fd",
        "_first_block",
        "_parts",
        "_received",
        "_recv",
        "_rest",
        "_send",
        "_send_window",
        "_sock",
        "_stream",
        "pushes",
    )

    def __init__(
        self,
        host: str,
        port: int,
        *,
        path: bytes = b"/Request/request",
        bi_path: bytes = b"/BiRequestStream/requestBiStream",
    ) -> None:
        """`path`: of the unary calls. `bi_path`: of the bi-directional stream; empty: there is none."""
        self._sock = connect(host, port)
        self._fd = self._sock.fileno()
        self._send = self._sock.sendall
        self._recv = self._sock.recv
        self._rest = b""
        self._parts: list[bytes] = []
        self._bi_rest = b""
        self._received = 0
        self._stream = BI_STREAM if bi_path else -1  # of the unary call in flight or last done
        self._send_window = WINDOW_DEFAULT
        self._bi_window = WINDOW_DEFAULT
        self.pushes: list[Push] = []
        authority = f"{host}:{port}".encode()
        self._first_block: bytes | None = _header_block(path, authority, indexing=True)
        settings = _setting.pack(INITIAL_WINDOW_SIZE, WINDOW_MAX)
        opening = PREFACE + frame(SETTINGS, 0, 0, settings)
        opening += frame(WINDOW_UPDATE, 0, 0, _u32.pack(WINDOW_MAX - WINDOW_DEFAULT))
        if bi_path:
            opening += frame(HEADERS, END_HEADERS, BI_STREAM, _header_block(bi_path, authority, indexing=False))
        self._send(opening)

    def fileno(self) -> int:
        return self._fd

    def send(self, request: bytes) -> None:
        size = len(request)
        while self._send_window < size:
            if self.receive() is not None:
                raise LineError("an answer before the request was sent")
        self._send_window -= size
        self._stream = stream = self._stream + 2
        if self._first_block is None and size <= FRAME_BYTES_MAX:
            self._send(
                FRAME.pack(len(HEADER_BLOCK_AGAIN) << 8 | HEADERS, END_HEADERS, stream)
                + HEADER_BLOCK_AGAIN
                + FRAME.pack(size << 8 | DATA, END_STREAM, stream)
                + request
            )
            return
        frames = [frame(HEADERS, END_HEADERS, stream, self._first_block or HEADER_BLOCK_AGAIN)]
        self._first_block = None
        for start in range(0, size, FRAME_BYTES_MAX):
            piece = request[start : start + FRAME_BYTES_MAX]
            frames.append(frame(DATA, END_STREAM if start + len(piece) == size else 0, stream, piece))
        self._send(b"".join(frames))

    def send_on_stream(self, message: bytes) -> None:
        """A message on the bi-directional stream; short ones only (set-up, acknowledgements)."""
        size = len(message)
        while self._send_window < size or self._bi_window < size:
            if self.receive() is not None:
                raise LineError("an answer that nobody waits for")
        self._send_window -= size
        self._bi_window -= size
        self._send(frame(DATA, 0, BI_STREAM, message))

    def receive(self) -> bytes | None:
        try:
            chunk = self._recv(READ_BYTES)
        except BlockingIOError as silence:
            raise LineError(f"no answer within {ANSWER_S_MAX} s") from silence
        if not chunk:
            raise LineError("the server closed the connection")
        self._received += len(chunk)
        if self._received >= WINDOW_TOP_UP:
            self._send(frame(WINDOW_UPDATE, 0, 0, _u32.pack(self._received)))
            self._received = 0
        data = self._rest + chunk if self._rest else chunk
        answer: bytes | None = None
        position, size = 0, len(data)
        while size - position >= 9:
            head, flags, stream = FRAME.unpack_from(data, position)
            end = position + 9 + (head >> 8)
            if end > size:
                break
            kind = head & 0xFF
            if stream == self._stream and kind <= HEADERS:
                if kind == DATA:
                    if flags & PADDED:
                        raise LineError("a padded frame")
                    self._parts.append(data[position + 9 : end])
                if flags & END_STREAM:
                    answer = b"".join(self._parts)[5:]
                    self._parts.clear()
            else:
                self._on_other_frame(kind, flags, stream, data[position + 9 : end])
            position = end
        self._rest = data[position:]
        return answer

    def _on_other_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == DATA and stream == BI_STREAM:
            self._on_pushed(payload)
        elif kind == WINDOW_UPDATE:
            if stream == 0:
                self._send_window += _u32.unpack(payload)[0]
            elif stream == BI_STREAM:
                self._bi_window += _u32.unpack(payload)[0]
        elif kind == SETTINGS and not flags & ACK:
            self._on_settings(payload)
            self._send(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self._send(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY or (kind == RST_STREAM and stream in (self._stream, BI_STREAM)):
            raise LineError(f"frame type {kind} on stream {stream}: {payload!r}")

    def _on_settings(self, payload: bytes) -> None:
        for identifier, value in _setting.iter_unpack(payload):
            if identifier == INITIAL_WINDOW_SIZE:
                if value < WINDOW_DEFAULT:
                    raise LineError(f"a stream window of {value} bytes is smaller than the load counts on")
                self._bi_window += value - WINDOW_DEFAULT

    def _on_pushed(self, payload: bytes) -> None:
        now = time.perf_counter_ns()
        data = self._bi_rest + payload
        while len(data) >= 5:
            end = 5 + _u32.unpack_from(data, 1)[0]
            if end > len(data):
                break
            self.pushes.append(Push(now, data[5:end]))
            data = data[end:]
        self._bi_rest = data

    def accepted(self, answer: bytes) -> bool:
        return b'"resultCode":200' in answer

    def close(self) -> None:
        self._sock.close()
