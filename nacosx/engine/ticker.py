"""One hashed-wheel timer for everything that times out, and one wake-up of the event loop for it.

The wheel is asked when it next has something due; the event loop sleeps until then. The wake-up is moved only when something
earlier is scheduled; cancelling leaves it alone, so a request that sets a timeout and cancels it costs the loop nothing.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any, Protocol

from nacosx._core.wheel import HashedWheelTimer, Timeout
from nacosx.clock import Clock

log = logging.getLogger(__name__)

NEVER_MS = sys.maxsize


class Wakeup(Protocol):
    def cancel(self) -> None: ...


class Loop(Protocol):
    """What the ticker needs of an event loop."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Wakeup: ...


class Ticker:
    """Drives the wheel. A callback that raises is logged and stops nothing.

    `timeouts_max` > 0 limits the pending timeouts (`RejectedError` above); 0 = no limit.
    """

    __slots__ = ("_failed", "_loop", "_monotonic_ms", "_next_ms", "_schedule", "_wakeup", "_wakeup_ms", "_wheel")

    def __init__(self, loop: Loop, clock: Clock, *, timeouts_max: int = 0) -> None:
        self._loop = loop
        self._monotonic_ms = clock.monotonic_ms
        self._next_ms = clock.next_ms
        self._wheel = HashedWheelTimer(pending_max=timeouts_max)
        self._schedule = self._wheel.schedule
        self._wakeup: Wakeup | None = None
        self._wakeup_ms = NEVER_MS

    def schedule(
        self, delay_ms: int, callback: Callable[[Any], object], argument: Any = None, since_ms: int | None = None
    ) -> Timeout:
        """Calls `callback(argument)` on the event loop, never before `delay_ms` have passed; 0 = in the next turn of the loop.

        The delay counts from `since_ms` (monotonic, not after now), which is now if not given.
        Raises `RejectedError` at the limit and `RuntimeError` once stopped.
        """
        if since_ms is None:
            since_ms = self._next_ms() if delay_ms > 0 else self._monotonic_ms()
        timeout = self._schedule(since_ms, delay_ms, callback, argument)
        if since_ms + delay_ms < self._wakeup_ms:
            self._wake_at(since_ms + delay_ms)
        return timeout

    def restart(self, timeout: Timeout, delay_ms: int) -> bool:
        """Lets the delay of a timeout begin anew. False when it already ran or was cancelled: schedule another one.

        Much cheaper than cancel and schedule when the deadline moves away, as that of an idle connection does.
        """
        now_ms = self._next_ms()
        if not timeout.restart(now_ms, delay_ms):
            return False
        if now_ms + delay_ms < self._wakeup_ms:
            self._wake_at(now_ms + delay_ms)
        return True

    @property
    def pending(self) -> int:
        """Timeouts neither run nor cancelled."""
        return self._wheel.pending

    def stop(self) -> list[Timeout]:
        """Returns the timeouts that were neither run nor cancelled; nothing can be scheduled any more."""
        self._sleep()
        return self._wheel.stop()

    def _wake_at(self, wakeup_ms: int) -> None:
        if self._wakeup is not None:
            self._wakeup.cancel()
        self._wakeup_ms = wakeup_ms
        self._wakeup = self._loop.call_later(max(0, wakeup_ms - self._monotonic_ms()) / 1000, self._tick)

    def _sleep(self) -> None:
        if self._wakeup is not None:
            self._wakeup.cancel()
        self._wakeup = None
        self._wakeup_ms = NEVER_MS

    def _tick(self) -> None:
        # Whatever the callbacks schedule is covered by the one wake-up chosen below.
        self._wakeup = None
        self._wakeup_ms = -1
        try:
            self._wheel.advance(self._monotonic_ms(), log_failed)
        finally:
            wakeup_ms = self._wheel.wakeup_ms()
            if wakeup_ms is None:
                self._wakeup_ms = NEVER_MS
            else:
                self._wake_at(wakeup_ms)


def log_failed(timeout: Timeout, error: Exception) -> None:
    log.error("A timer callback failed: %r", timeout, exc_info=error)
