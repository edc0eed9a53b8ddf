"""Pushes over UDP to 1.x clients: the envelope, its acknowledgement, one resend.

The client answers a `dom` datagram with `{"type":"push-ack","lastRefTime":"<reference>"}`; the source address and the
reference together say which push it means. Without an answer it is sent once more after `ack_timeout_ms`, and has
failed after another. Source: Nacos 2.5.1 `UdpPushService`, `UdpConnector` (contract/udp-push.md §3–§5).
"""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable

import msgspec

from nacosx._core.wheel import Timeout
from nacosx.clock import Clock
from nacosx.engine.ports import Datagrams
from nacosx.engine.ticker import Ticker

log = logging.getLogger(__name__)

ACK_TIMEOUT_MS = 10_000
RESENDS_MAX = 1
PLAIN_BYTES_MAX = 1023  # longer JSON is compressed
PAYLOAD_BYTES_MAX = 65_507  # an IPv4 datagram carries no more


class _Envelope(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    data: str
    last_ref_time: int


class _Sent:
    __slots__ = ("address", "answered", "payload", "resends", "timeout")

    def __init__(self, address: tuple[str, int, int], payload: bytes, answered: Callable[[bool], None]) -> None:
        self.address = address
        self.payload = payload
        self.answered = answered
        self.resends = 0
        self.timeout: Timeout | None = None


_encode = msgspec.json.Encoder().encode


class DatagramPushes:
    """Holds one entry for each push not yet acknowledged; `Pusher` makes at most one for each subscription."""

    __slots__ = ("_ack_timeout_ms", "_clock", "_datagrams", "_reference", "_sent", "_ticker")

    def __init__(
        self, datagrams: Datagrams, ticker: Ticker, clock: Clock, *, ack_timeout_ms: int = ACK_TIMEOUT_MS
    ) -> None:
        self._datagrams = datagrams
        self._ticker = ticker
        self._clock = clock
        self._ack_timeout_ms = ack_timeout_ms
        self._reference = 0
        self._sent: dict[tuple[str, int, int], _Sent] = {}

    def enveloped(self, info: bytes) -> tuple[int, bytes]:
        """(reference, payload) for a ServiceInfo JSON: to any number of clients."""
        # Nanoseconds of the monotonic clock, as System.nanoTime() there; never twice the same.
        self._reference = reference = max(self._reference + 1, self._clock.monotonic_ms() * 1_000_000)
        payload = _encode(_Envelope("dom", info.decode(), reference))
        return reference, payload if len(payload) <= PLAIN_BYTES_MAX else gzip.compress(payload, mtime=0)

    def send(self, ip: str, port: int, reference: int, payload: bytes, answered: Callable[[bool], None]) -> None:
        """`answered(True)` when acknowledged, `answered(False)` when not within the time of all attempts.

        What does not fit into a datagram fails in the next turn of the loop.
        """
        sent = self._sent[ip, port, reference] = _Sent((ip, port, reference), payload, answered)
        if len(payload) > PAYLOAD_BYTES_MAX:
            log.warning("push to %s:%d does not fit into a datagram: %d bytes", ip, port, len(payload))
            sent.resends = RESENDS_MAX
            sent.timeout = self._ticker.schedule(0, self._unanswered, sent)
            return
        sent.timeout = self._ticker.schedule(self._ack_timeout_ms, self._unanswered, sent)
        self._datagrams.send(ip, port, payload)

    def acknowledged(self, ip: str, port: int, reference: int) -> bool:
        """An answer came from this address. False when nothing there waits for it: too late, a second time, or forged."""
        sent = self._forget(ip, port, reference)
        if sent is None:
            return False
        sent.answered(True)
        return True

    def withdraw(self, ip: str, port: int, reference: int) -> None:
        """Forgets a push without a word to `answered`."""
        self._forget(ip, port, reference)

    def _forget(self, ip: str, port: int, reference: int) -> _Sent | None:
        sent = self._sent.pop((ip, port, reference), None)
        if sent is not None and sent.timeout is not None:
            sent.timeout.cancel()
        return sent

    def _unanswered(self, sent: _Sent) -> None:
        if sent.resends < RESENDS_MAX:
            sent.resends += 1
            sent.timeout = self._ticker.schedule(self._ack_timeout_ms, self._unanswered, sent)
            self._datagrams.send(sent.address[0], sent.address[1], sent.payload)
        else:
            del self._sent[sent.address]
            sent.answered(False)
