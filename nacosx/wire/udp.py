"""The datagram door: pushes to 1.x clients go out, their acknowledgements come in (contract/udp-push.md §3–§4).

One socket on a port of the system's choice, like the Java server's. Datagrams are small promises: one that cannot be sent
is lost and resent by the engine, so nothing waits here beyond a bounded buffer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

log = logging.getLogger(__name__)

BUFFER_BYTES_MAX = 4 * 1024 * 1024  # waiting for the socket; what comes then is dropped
REFERENCE_DIGITS_MAX = 20

MAPPED = "::ffff:"  # how an IPv6 socket calls an IPv4 address


class _Ack(msgspec.Struct, rename="camel"):
    last_ref_time: int | str


_decode = msgspec.json.Decoder(_Ack).decode


class DatagramDoor(asyncio.DatagramProtocol):
    """Implements `engine.ports.Datagrams`. What is sent before `open` or after `close` is dropped."""

    def __init__(self) -> None:
        self._transport: Any = None  # asyncio.DatagramTransport, whose type lacks get_write_buffer_size
        self._acknowledged: Callable[[str, int, int], bool] | None = None
        self._mapped = False

    async def open(
        self, loop: asyncio.AbstractEventLoop, host: str, acknowledged: Callable[[str, int, int], bool]
    ) -> None:
        """`acknowledged(ip, port, reference)` is called for each acknowledgement. OSError when there is no such address."""
        self._acknowledged = acknowledged
        self._mapped = ":" in host
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))  # io

    @property
    def port(self) -> int:
        """0 when closed."""
        port: int = 0 if self._transport is None else self._transport.get_extra_info("sockname")[1]
        return port

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def send(self, ip: str, port: int, payload: bytes) -> None:
        if self._transport is None or self._transport.get_write_buffer_size() > BUFFER_BYTES_MAX:
            return
        address = f"{MAPPED}{ip}" if self._mapped and ":" not in ip else ip
        try:
            self._transport.sendto(payload, (address, port))  # io
        except (OSError, ValueError) as error:
            log.debug("datagram to %s:%d was not sent: %s", ip, port, error)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        ip, port = addr[0].removeprefix(MAPPED), addr[1]
        try:
            reference = _decode(data).last_ref_time
            if isinstance(reference, str):
                reference = int(reference) if len(reference) <= REFERENCE_DIGITS_MAX else -1
        except ValueError as error:
            log.debug("datagram from %s:%d is no acknowledgement: %s", ip, port, error)
            return
        if self._acknowledged is not None and not self._acknowledged(ip, port, reference):
            log.debug("nothing waits for the acknowledgement %d from %s:%d", reference, ip, port)

    def error_received(self, exc: Exception) -> None:
        log.debug("datagram was not delivered: %s", exc)
