"""What a client of each side says to put 128 bytes end to end over gRPC, on connections that many clients share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Protocol

from bench.serve.closed_loop import AnswerError, LineError
from bench.serve.grpc_dialect import GrpcDialect, message
from bench.serve.grpc_line import DATA, END_HEADERS, END_STREAM, FRAME, HEADER_BLOCK_AGAIN, HEADERS, GrpcLine, frame
from bench.serve.http_line import READ_BYTES

PUT_TYPE = "BenchPutRequest"
KEYS = 1000
FRAME_HEAD_BYTES = 9


class PutLine(GrpcLine):
    """A connection with any number of calls in flight."""

    __slots__ = ("_answered",)

    def __init__(self, host: str, port: int, *, path: bytes | None = None) -> None:
        """`path` of the calls; None: those of Nacos, with its bi-directional stream."""
        if path is None:
            super().__init__(host, port)
        else:
            super().__init__(host, port, path=path, bi_path=b"")
        self._answered: set[int] = set()  # streams whose answer has come, but not the end

    def send_all(self, requests: Sequence[bytes]) -> range:
        """Makes so many calls at once; returns their streams."""
        first = self._stream + 2
        frames: list[bytes] = []
        for request in requests:
            self._stream += 2
            self._send_window -= len(request)
            frames.append(frame(HEADERS, END_HEADERS, self._stream, self._first_block or HEADER_BLOCK_AGAIN))
            frames.append(frame(DATA, END_STREAM, self._stream, request))
            self._first_block = None
        if self._send_window < 0:
            raise LineError("the window of the server is smaller than what is in flight")
        self._send(b"".join(frames))
        return range(first, self._stream + 2, 2)

    def receive_all(self) -> list[int]:
        """Takes what has come; returns the streams of the calls that ended. Raises LineError or AnswerError."""
        chunk = self._recv(READ_BYTES)
        if not chunk:
            raise LineError("the server closed the connection")
        data = self._rest + chunk if self._rest else chunk
        ended: list[int] = []
        position, size = 0, len(data)
        while size - position >= FRAME_HEAD_BYTES:
            head, flags, stream = FRAME.unpack_from(data, position)
            end = position + FRAME_HEAD_BYTES + (head >> 8)
            if end > size:
                break
            kind = head & 0xFF
            if kind > HEADERS or not stream & 1:
                self._on_other_frame(kind, flags, stream, data[position + FRAME_HEAD_BYTES : end])
            else:
                if kind == DATA and head >> 8:
                    if not self.accepted(data[position + FRAME_HEAD_BYTES : end]):
                        raise AnswerError(f"refused: {data[position:end]!r}")
                    self._answered.add(stream)
                if flags & END_STREAM:
                    if stream not in self._answered:
                        raise AnswerError(f"a call ended without an answer: {data[position:end]!r}")
                    self._answered.discard(stream)
                    ended.append(stream)
            position = end
        self._rest = data[position:]
        return ended


class PutDialect(Protocol):
    def connect(self, host: str, port: int) -> PutLine: ...

    def puts(self, number: int, value: bytes) -> Iterator[bytes]:
        """Requests without end, of connection `number`."""


class EtcdLine(PutLine):
    __slots__ = ()

    def accepted(self, answer: bytes) -> bool:
        return True  # a refused call has trailers only


class EtcdPuts:
    """`PutRequest { bytes key = 1; bytes value = 2 }`."""

    def connect(self, host: str, port: int) -> PutLine:
        return EtcdLine(host, port, path=b"/etcdserverpb.KV/Put")

    def puts(self, number: int, value: bytes) -> Iterator[bytes]:
        for key in itertools.cycle(range(KEYS)):
            name = f"{number:04}{key:04}".encode()
            body = b"\x0a" + bytes((len(name),)) + name + b"\x12" + _varint(len(value)) + value
            yield b"\x00" + len(body).to_bytes(4, "big") + body


class OurPuts:
    """The envelope of Nacos with the value as the JSON body, as every write of a client arrives."""

    def connect(self, host: str, port: int) -> PutLine:
        return GrpcDialect(host, port).register_line(PutLine(host, port))

    def puts(self, number: int, value: bytes) -> Iterator[bytes]:
        return itertools.repeat(message(PUT_TYPE, {"value": value.decode()}))


def _varint(number: int) -> bytes:
    """Of at least one byte and at most two."""
    return bytes((number,)) if number < 0x80 else bytes((number & 0x7F | 0x80, number >> 7))
