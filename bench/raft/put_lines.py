"""What a client of each side says to put 128 bytes end to end over gRPC, on connections that many clients share."""

from __future__ import annotations

from typing import Protocol

from bench.serve.closed_loop import LineError
from bench.serve.grpc_dialect import GrpcDialect, message
from bench.serve.grpc_line import GrpcLine

PUT_TYPE = "BenchPutRequest"
KEYS = 1000


class PutLine(GrpcLine):
    """A connection whose calls `put_calls` makes once the handshake is over."""

    __slots__ = ()

    def hand_over(self) -> tuple[int, bytes | None, bytes]:
        """The stream of the last call, the header block of the next one if it is the first, and the begin of a frame."""
        first_block, self._first_block = self._first_block, None
        rest, self._rest = self._rest, b""
        return self._stream, first_block, rest

    def spend(self, size: int) -> None:
        """So much is sent."""
        self._send_window -= size
        if self._send_window < 0:
            raise LineError("the window of the server is smaller than what is in flight")

    def on_other_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Of no call in flight."""
        self._on_other_frame(kind, flags, stream, payload)


class PutDialect(Protocol):
    accepted: bytes  # what is in every answer that tells of success

    def connect(self, host: str, port: int) -> PutLine: ...

    def puts(self, number: int, value: bytes) -> list[bytes]:
        """The requests of connection `number`, to be made again and again."""


class EtcdPuts:
    """`PutRequest { bytes key = 1; bytes value = 2 }`."""

    accepted = b""  # a refused call has trailers only

    def connect(self, host: str, port: int) -> PutLine:
        return PutLine(host, port, path=b"/etcdserverpb.KV/Put", bi_path=b"")

    def puts(self, number: int, value: bytes) -> list[bytes]:
        return [self._put(f"{number:04}{key:04}".encode(), value) for key in range(KEYS)]

    def _put(self, key: bytes, value: bytes) -> bytes:
        body = b"\x0a" + bytes((len(key),)) + key + b"\x12" + _varint(len(value)) + value
        return b"\x00" + len(body).to_bytes(4, "big") + body


class OurPuts:
    """The envelope of Nacos with the value as the JSON body, as every write of a client arrives."""

    accepted = b'"resultCode":200'

    def connect(self, host: str, port: int) -> PutLine:
        return GrpcDialect(host, port).register_line(PutLine(host, port))

    def puts(self, number: int, value: bytes) -> list[bytes]:
        return [message(PUT_TYPE, {"value": value.decode()})]


def _varint(number: int) -> bytes:
    """Of at least one byte and at most two."""
    return bytes((number,)) if number < 0x80 else bytes((number & 0x7F | 0x80, number >> 7))
