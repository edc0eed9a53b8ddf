"""The bytes between an event loop, pycapnp and the calls that are not left to pycapnp.

pycapnp is the RPC system: its handshake, capabilities, calls that are seldom. A call of its costs some 200 µs on both sides
together, in objects that wrap objects, tasks and turns of its own loop. So `Node.deliver`, which is called for every round of
Raft, is spelled by `_core.capnp_call`, beside pycapnp's messages on the same connection. On the wire there is no difference,
except that these calls are numbered from `FIRST_QUESTION` on.

pycapnp's own bridge reads a message in two turns of the loop, pausing the socket before, between and after, and writes it in
two system calls. This stream hands over what has arrived without another turn and writes a message in one piece.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, cast

import capnp

from nacosx._core.capnp_call import CALL, OTHER, Inbox
from nacosx.wire.peers_messages import NODE, Row

log = logging.getLogger(__name__)

BEFORE_ADMISSION_BYTES_MAX = 64 << 10  # limit: what a stranger may send; greetings are a few hundred bytes
UNREAD_BYTES_MAX = 256 << 10  # pycapnp asks for the rest of a message in its next turn; until then the socket is read


class Stream(asyncio.Protocol):
    """One connection. `opened(self)` is called once `kj` is there for pycapnp's two-party RPC; `closed(self)` when it ends.

    `called(question, rows)` and `answered(question, rows)` are set by whoever takes calls of `deliver`, or makes them.
    """

    def __init__(
        self, opened: Callable[[Stream], None], closed: Callable[[Stream], None], *, admitted: bool = False
    ) -> None:
        self.kj: Any = None  # pycapnp's stream, which reads from and writes to this one
        self.admitted = admitted  # only then may the other side send more than a handshake
        self.called: Callable[[int, list[Row]], None] | None = None
        self.answered: Callable[[int, list[Row] | None], None] | None = None
        self._opened = opened
        self._closed = closed
        self._socket: asyncio.Transport | None = None
        self._bridge: Any = None
        self._inbox = Inbox(NODE)
        self._received = 0
        # What has arrived for pycapnp and was not yet asked for.
        self._unread: memoryview | None = None
        self._reading = False  # pycapnp waits for bytes
        self._stopped = False  # the socket is not read
        # The message being written.
        self._pieces: list[bytes] = []
        self._missing = 0  # bytes

    @property
    def capability(self) -> int:
        """What pycapnp was given last by the other side, as a target for calls beside it."""
        return self._inbox.capability

    def send(self, message: bytes) -> None:
        """Of `_core.capnp_call`."""
        if self._socket is not None:
            self._socket.write(message)  # io, at the end of this turn

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
        try:
            found = self._inbox.take(data)
        except ValueError as error:
            log.info("a connection ends: %s", error)
            self.abort()
            return
        for kind, question, content in found:
            if self._socket is None:
                return
            if kind == OTHER:
                self._for_pycapnp(cast(bytes, content))
            elif kind == CALL:
                if self.called is None:  # nobody here takes any, or from nobody who has not shown who it is
                    self.abort()
                    return
                self.called(question, cast(list[Row], content))
            elif self.answered is not None:
                self.answered(question, cast(list[Row] | None, content))

    def _for_pycapnp(self, data: bytes) -> None:
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
        self.send(message)

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
