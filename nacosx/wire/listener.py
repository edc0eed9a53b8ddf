"""One port, both protocols: the first bytes of a connection tell HTTP/2 from HTTP/1.1.

Clients compute the gRPC port as main port + 1000, so the two ports are reserved together; either serves either protocol.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import cast

from nacosx._core.wheel import Timeout
from nacosx.engine.ticker import Ticker

PREFACE = b"PRI * HTTP/2.0"  # RFC 9113 §3.4
PREFACE_BYTES_NEEDED = 4  # "PRI " is no HTTP/1.1 method anybody uses

BACKLOG = 1024
SILENCE_MS_MAX = 60_000  # until the first bytes
PAIR_ATTEMPTS_MAX = 100

ProtocolFactory = Callable[[], asyncio.Protocol]


def reserve(host: str, port: int, offset: int) -> tuple[socket.socket, socket.socket]:
    """Binds `port` and `port + offset`, neither listening yet. Port 0: some pair that is free. Raises OSError."""
    if port:
        main = bind(host, port)
        try:
            return main, bind(host, port + offset)
        except OSError:
            main.close()
            raise
    tried: list[socket.socket] = []  # kept bound, so that the kernel offers others
    try:
        for _ in range(PAIR_ATTEMPTS_MAX):
            main = bind(host, 0)
            tried.append(main)
            other = main.getsockname()[1] + offset
            if not 0 < other <= 65535:
                continue
            try:
                second = bind(host, other)
            except OSError:
                continue
            tried.pop()
            return main, second
    finally:
        for unused in tried:
            unused.close()
    raise OSError(errno.EADDRINUSE, f"found no free pair of ports (p, p + {offset}) on {host}")


def bind(host: str, port: int) -> socket.socket:
    """Not listening yet. Port 0: one that is free. Raises OSError with a text for people."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except (OSError, OverflowError) as error:
        sock.close()
        if isinstance(error, OSError):
            raise OSError(error.errno, f"cannot bind {host}:{port}: {error.strerror}") from error
        raise OSError(errno.EADDRNOTAVAIL, f"cannot bind {host}:{port}: {error}") from error
    return sock


async def listen(
    loop: asyncio.AbstractEventLoop,
    sock: socket.socket,
    http_factory: ProtocolFactory,
    grpc_factory: ProtocolFactory,
    ticker: Ticker,
) -> asyncio.Server:
    """Serves both protocols on a bound socket."""
    return await loop.create_server(lambda: Doorman(http_factory, grpc_factory, ticker), sock=sock, backlog=BACKLOG)


class Doorman(asyncio.Protocol):
    """Looks at the first bytes and hands the transport over."""

    __slots__ = ("_first", "_grpc_factory", "_http_factory", "_ticker", "_timeout", "_transport")

    _transport: asyncio.Transport
    _timeout: Timeout

    def __init__(self, http_factory: ProtocolFactory, grpc_factory: ProtocolFactory, ticker: Ticker) -> None:
        self._http_factory = http_factory
        self._grpc_factory = grpc_factory
        self._ticker = ticker
        self._first = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._timeout = self._ticker.schedule(SILENCE_MS_MAX, self._give_up, None)

    def _give_up(self, _: None) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._first += data
        begun = self._first[:PREFACE_BYTES_NEEDED]
        if len(begun) < PREFACE_BYTES_NEEDED and PREFACE.startswith(begun):
            return
        self._timeout.cancel()
        protocol = self._grpc_factory() if PREFACE.startswith(begun) else self._http_factory()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._first)

    def connection_lost(self, error: Exception | None) -> None:
        self._timeout.cancel()
