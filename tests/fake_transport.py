"""A TCP transport without a socket: what a protocol writes is kept, and nothing happens behind its back."""

from __future__ import annotations

import asyncio
from typing import Any

HIGH_WATER_BYTES = 64 * 1024


class FakeTransport(asyncio.Transport):
    """`stalled`: the client does not read, so what is written fills the buffer; `drain()` lets it read."""

    def __init__(self, peer: tuple[str, int] = ("10.0.0.9", 40000)) -> None:
        super().__init__({"peername": peer})
        self.written = bytearray()
        self.stalled = False
        self.unread_bytes = 0
        self.closing = False
        self.aborted = False
        self.eof_written = False
        self.reading = True
        self.protocol: asyncio.BaseProtocol | None = None
        self._paused = False

    def connect(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol
        protocol.connection_made(self)

    def lose(self) -> None:
        """The loop tells the protocol that the connection has ended."""
        assert isinstance(self.protocol, asyncio.Protocol)
        self.closing = True
        self.protocol.connection_lost(None)

    def drain(self, size: int | None = None) -> None:
        """The client reads."""
        self.unread_bytes -= self.unread_bytes if size is None else size
        if self._paused and self.unread_bytes <= HIGH_WATER_BYTES // 4:
            self._paused = False
            assert self.protocol is not None
            self.protocol.resume_writing()

    def take(self) -> bytes:
        """What was written since it was asked last."""
        written = bytes(self.written)
        self.written.clear()
        return written

    # --- asyncio.Transport ---

    def write(self, data: Any) -> None:
        assert not self.eof_written, "written after EOF"
        if self.closing:
            return
        self.written += data
        if self.stalled:
            self.unread_bytes += len(data)
            if not self._paused and self.unread_bytes > HIGH_WATER_BYTES:
                self._paused = True
                assert self.protocol is not None
                self.protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self.unread_bytes

    def write_eof(self) -> None:
        self.eof_written = True

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self.protocol is not None
        return self.protocol
