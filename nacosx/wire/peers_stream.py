"""The bytes between an event loop and pycapnp.

pycapnp's own bridge reads a message in two turns of the loop, pausing the socket before, between and after, and writes it in
two system calls. This stream hands over what has arrived without another turn and writes a message in one piece.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

import capnp

BEFORE_ADMISSION_BYTES_MAX = 64 << 10  # limit: what a stranger may send; greetings are a few hundred bytes
UNREAD_BYTES_MAX = 256 << 10  # pycapnp asks for the rest of a message in its next turn; until then the socket is read


class Stream(asyncio.Protocol):
    """One connection. `opened(self)` is called once `kj` is there for pycapnp's two-party RPC; `closed(self)` when it ends."""

    def __init__(
        self, opened: Callable[[Stream], None], closed: Callable[[Stream], None], *, admitted: bool = False
    ) -> None:
        self.kj: Any = None  # pycapnp's stream, which reads from and writes to this one
        self.admitted = admitted  # only then may the other side send more than a handshake
        self._opened = opened
        self._closed = closed
        self._socket: asyncio.Transport | None = None
        self._bridge: Any = None
        self._received = 0
        # What has arrived and was not yet asked for.
        self._unread: memoryview | None = None
        self._reading = False  # pycapnp waits for bytes
        self._stopped = False  # the socket is not read
        # The message being written.
        self._pieces: list[bytes] = []
        self._missing = 0  # bytes

    # --- the socket's side --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._bridge = capnp.AsyncIoStream._connect(self._bridged)
        self._bridge.connection_made(self)
        self._opened(self)

    def _bridged(self, stream: Any) -> None:
        self.kj = stream

    def data_received(self, data: bytes) -> None:
        if not self.admitted:
            self._received += len(data)
            if self._received > BEFORE_ADMISSION_BYTES_MAX:
                self.close()
                return
        self._unread = memoryview(data if self._unread is None else bytes(self._unread) + data)
        self._hand_over()

    def connection_lost(self, error: Exception | None) -> None:
        self._socket = None
        self._unread = None
        self._bridge.connection_lost(error)
        self._closed(self)

    def pause_writing(self) -> None:
        self._bridge.pause_writing()

    def resume_writing(self) -> None:
        self._bridge.resume_writing()

    # --- pycapnp's side: it takes this for its transport ---------------------------------------------------------------

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._hand_over()

    def write(self, data: bytes) -> None:
        """A piece of a message; the first holds its table of segments (Cap'n Proto: serialization over a stream)."""
        if not self._missing:
            segments = int.from_bytes(data[:4], "little") + 1
            words = sum(int.from_bytes(data[4 * at : 4 * at + 4], "little") for at in range(1, segments + 1))
            self._missing = 8 * (segments // 2 + 1) + 8 * words
        self._missing -= len(data)
        self._pieces.append(data)
        if self._missing:
            return
        message = b"".join(self._pieces)
        self._pieces.clear()
        if self._socket is not None:
            self._socket.write(message)  # io

    def is_closing(self) -> bool:
        return self._socket is None or self._socket.is_closing()

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def abort(self) -> None:
        """At once; what is not yet written is lost."""
        if self._socket is not None:
            self._socket.abort()

    def _hand_over(self) -> None:
        """Fills the buffer pycapnp reads into, and the next ones if it asks for them at once."""
        bridge = self._bridge
        while self._reading and (unread := self._unread) is not None:
            with bridge.get_buffer(-1) as buffer:  # pycapnp's memory, valid until buffer_updated
                size = min(len(buffer), len(unread))
                buffer[:size] = unread[:size]
            self._unread = unread[size:] if size < len(unread) else None
            bridge.buffer_updated(size)
        full = self._unread is not None and len(self._unread) > UNREAD_BYTES_MAX
        if self._stopped != full and self._socket is not None:
            self._stopped = full
            if full:
                self._socket.pause_reading()
            else:
                self._socket.resume_reading()
