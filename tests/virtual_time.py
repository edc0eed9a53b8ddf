"""A clock, the timers of an event loop and the sleep of a thread that move only when told to.

Hours pass in microseconds, and always alike.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from typing import Any

from nacosx.clock import VirtualClock
from nacosx.engine.ticker import Ticker

SETTLE_S_MAX = 60  # real seconds: longer is a hang
TURNS_MAX = 1000  # turns of the loop within one virtual millisecond: more is a busy loop


class Handle:
    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.callback = callback
        self.args = args
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualTime:
    """The part of an event loop that knows the time. `wakeups` counts the callbacks it ran."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.wakeups = 0
        self._number = 0
        self._handles: list[tuple[float, int, Handle]] = []

    def ticker(self) -> Ticker:
        return Ticker(self, self.clock)

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Handle:
        handle = Handle(callback, args)
        self._number += 1
        heapq.heappush(self._handles, (self.clock.monotonic_ms() + delay * 1000, self._number, handle))
        return handle

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Handle:
        return self.call_later(0, callback, *args)

    @property
    def armed(self) -> int:
        """Handles that wait and are not cancelled."""
        return sum(not handle.cancelled for _, _, handle in self._handles)

    def turn(self) -> None:
        """Runs what is due now, and what that makes due now."""
        self.advance(0)

    def advance(self, delay_ms: int) -> None:
        """Lets `delay_ms` pass; every callback runs at its own time."""
        end_ms = self.clock.monotonic_ms() + delay_ms
        turns = 0
        while self._handles and self._handles[0][0] <= end_ms:
            when_ms, _, handle = heapq.heappop(self._handles)
            if handle.cancelled:
                continue
            passed_ms = max(0, -int(-when_ms // 1) - self.clock.monotonic_ms())
            turns = 0 if passed_ms else turns + 1
            assert turns < TURNS_MAX, f"{handle.callback} keeps the loop busy"
            self.clock.advance(passed_ms)
            self.wakeups += 1
            handle.callback(*handle.args)
        self.clock.advance(end_ms - self.clock.monotonic_ms())


class VirtualSleep:
    """The sleep of a timer thread in virtual time: `advance` lets it sleep until its own time, again and again.

    The thread runs only while `advance` waits for it, or just after it was woken; no time passes meanwhile.
    """

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.wakeups = 0  # because the time was over
        self.calls = 0  # because something earlier was scheduled
        self._turn = threading.Condition()
        self._asleep = False
        self._called = False
        self._until_ms: int | None = None

    def sleep(self, timeout_ms: int | None) -> None:
        with self._turn:
            self._until_ms = None if timeout_ms is None else self.clock.monotonic_ms() + timeout_ms
            self._asleep = True
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._called or not self._asleep)
            self._called = self._asleep = False

    def wake(self) -> None:
        with self._turn:
            self.calls += 1
            self._called = True
            self._turn.notify_all()

    def settle(self) -> None:
        """Returns when the thread sleeps."""
        with self._turn:
            assert self._turn.wait_for(lambda: self._asleep and not self._called, SETTLE_S_MAX), "it does not sleep"

    def advance(self, delay_ms: int) -> None:
        end_ms = self.clock.monotonic_ms() + delay_ms
        while True:
            self.settle()
            with self._turn:
                now_ms = self.clock.monotonic_ms()
                if self._until_ms is None or self._until_ms > end_ms:
                    self.clock.advance(end_ms - now_ms)
                    return
                self.clock.advance(max(0, self._until_ms - now_ms))
                self.wakeups += 1
                self._asleep = False
                self._turn.notify_all()
