"""One hashed-wheel timer for everything that times out, and one wake-up of the event loop for it.

The wheel is asked when it next has something due; the event loop sleeps until then. The wake-up is moved only when something
earlier is scheduled; cancelling leaves it alone, so a request that sets a timeout and cancels it costs the loop nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from nacosx._core.driver import NEVER_MS, WheelDriver
from nacosx._core.wheel import Timeout
from nacosx.clock import Clock, SystemClock

log = logging.getLogger(__name__)


class Wakeup(Protocol):
    def cancel(self) -> None: ...


class Loop(Protocol):
    """What the ticker needs of an event loop."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Wakeup: ...


class Ticker(WheelDriver):
    """Drives the wheel on an event loop; a delay of 0 ends in its next turn. What a callback raises is logged.

    `timeouts_max` > 0 limits the pending timeouts (`RejectedError` above); 0 = no limit.
    """

    __slots__ = ("_loop", "_wakeup")

    def __init__(self, loop: Loop, clock: Clock, *, timeouts_max: int = 0) -> None:
        super().__init__(None if isinstance(clock, SystemClock) else clock, timeouts_max=timeouts_max)
        self._loop = loop
        self._wakeup: Wakeup | None = None

    def stop(self) -> list[Timeout]:
        """Returns the timeouts that were neither run nor cancelled; nothing can be scheduled any more."""
        self._sleep()
        return self.wheel.stop()

    def wake_at(self, deadline_ms: int) -> None:
        if self._wakeup is not None:
            self._wakeup.cancel()
        self.wakes_ms = deadline_ms
        self._wakeup = self._loop.call_later(max(0, deadline_ms - self.now_ms()) / 1000, self._tick)

    def _sleep(self) -> None:
        if self._wakeup is not None:
            self._wakeup.cancel()
        self._wakeup = None
        self.wakes_ms = NEVER_MS

    def _tick(self) -> None:
        # Whatever the callbacks schedule is covered by the one wake-up chosen below.
        self._wakeup = None
        self.wakes_ms = -1
        try:
            self.wheel.advance(self.now_ms(), log_failed)
        finally:
            wakeup_ms = self.wheel.wakeup_ms()
            if wakeup_ms is None:
                self.wakes_ms = NEVER_MS
            else:
                self.wake_at(wakeup_ms)


def log_failed(timeout: Timeout, error: Exception) -> None:
    log.error("A timer callback failed: %r", timeout, exc_info=error)
