"""What a client of each side says to put 128 bytes end to end: over gRPC, one call in flight on a connection."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Protocol

from bench.serve.closed_loop import Line
from bench.serve.grpc_dialect import GrpcDialect, message
from bench.serve.grpc_line import GrpcLine

PUT_TYPE = "BenchPutRequest"
KEYS = 1000


class PutDialect(Protocol):
    def connect(self, host: str, port: int) -> Line: ...

    def puts(self, number: int, value: bytes) -> Iterator[bytes]:
        """Requests without end, of connection `number`."""


class EtcdLine(GrpcLine):
    __slots__ = ()

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port, path=b"/etcdserverpb.KV/Put", bi_path=b"")

    def accepted(self, answer: bytes) -> bool:
        return bool(answer)  # a refused call has trailers only


class EtcdPuts:
    """`PutRequest { bytes key = 1; bytes value = 2 }`."""

    def connect(self, host: str, port: int) -> Line:
        return EtcdLine(host, port)

    def puts(self, number: int, value: bytes) -> Iterator[bytes]:
        for key in itertools.cycle(range(KEYS)):
            name = f"{number:04}{key:04}".encode()
            body = b"\x0a" + bytes((len(name),)) + name + b"\x12" + _varint(len(value)) + value
            yield b"\x00" + len(body).to_bytes(4, "big") + body


class OurPuts:
    """The envelope of Nacos with the value as the JSON body, as every write of a client arrives."""

    def connect(self, host: str, port: int) -> Line:
        return GrpcDialect(host, port).connect()

    def puts(self, number: int, value: bytes) -> Iterator[bytes]:
        return itertools.repeat(message(PUT_TYPE, {"value": value.decode()}))


def _varint(number: int) -> bytes:
    """Of at least one byte and at most two."""
    return bytes((number,)) if number < 0x80 else bytes((number & 0x7F | 0x80, number >> 7))
