"""The clock port. Time is passed in everywhere, so that a virtual clock can move it in tests."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def monotonic_ms(self) -> int:
        """Milliseconds that never go back; the origin is arbitrary. For every deadline."""

    def next_ms(self) -> int:
        """The first monotonic millisecond that is not before now: what a delay counts from, so that nothing ends early."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch; may jump. For what people and clients are shown."""


class SystemClock:
    """The clock of the machine."""

    __slots__ = ()

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def next_ms(self) -> int:
        return -(-time.monotonic_ns() // 1_000_000)

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


class VirtualClock:
    """A clock that only moves when told to."""

    __slots__ = ("_monotonic_ms", "_wall_ms")

    def __init__(self, wall_ms: int = 1_700_000_000_000) -> None:
        self._monotonic_ms = 0
        self._wall_ms = wall_ms

    def monotonic_ms(self) -> int:
        return self._monotonic_ms

    def next_ms(self) -> int:
        return self._monotonic_ms

    def wall_ms(self) -> int:
        return self._wall_ms

    def advance(self, delay_ms: int) -> None:
        self._monotonic_ms += delay_ms
        self._wall_ms += delay_ms
