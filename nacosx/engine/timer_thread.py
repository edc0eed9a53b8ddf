"""The wheel in a thread of its own, for timeouts that must not wait for the event loop: those of elections and heart beats.

The thread starts with the first timeout that is scheduled (as in Netty and SOFAJRaft) and sleeps until the next one is due;
it is woken only for something earlier. Callbacks run in it, one after the other. Everything else may be called from any
thread: the wheel is guarded by the GIL, whose holder changes only between its operations.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from nacosx._core.wheel import HashedWheelTimer, Timeout
from nacosx.clock import Clock
from nacosx.engine.ticker import NEVER_MS, log_failed

log = logging.getLogger(__name__)


class Sleep(Protocol):
    """How the thread sleeps: one sleeps, anybody wakes. A call before the sleep ends the next one at once."""

    def sleep(self, timeout_ms: int | None) -> None:
        """Until woken, at most for `timeout_ms` (None: for ever); may end early."""

    def wake(self) -> None: ...


class QueueSleep:
    """The sleep of the machine: a queue wakes without taking a lock in Python, even inside a signal handler."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: SimpleQueue[None] = SimpleQueue()

    def sleep(self, timeout_ms: int | None) -> None:
        try:
            self._calls.get(timeout=None if timeout_ms is None else min(timeout_ms / 1000, threading.TIMEOUT_MAX))
        except Empty:
            return  # the time is over
        while not self._calls.empty():  # many calls, one answer
            self._calls.get()

    def wake(self) -> None:
        self._calls.put(None)


class TimerThread:
    """Drives a wheel. A callback that raises is logged and stops nothing.

    `timeouts_max` > 0 limits the pending timeouts (`RejectedError` above); 0 = no limit.
    """

    __slots__ = ("_clock", "_name", "_sleep", "_starting", "_stopped", "_thread", "_wakeup_ms", "_wheel")

    def __init__(
        self, clock: Clock, *, name: str = "nacosx-timer", timeouts_max: int = 0, sleep: Sleep | None = None
    ) -> None:
        self._clock = clock
        self._name = name
        self._wheel = HashedWheelTimer(pending_max=timeouts_max)
        self._sleep = sleep or QueueSleep()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._wakeup_ms = NEVER_MS  # until when the thread sleeps; what is due earlier wakes it

    def schedule(self, delay_ms: int, callback: Callable[[Any], object], argument: Any = None) -> Timeout:
        """Calls `callback(argument)` in the thread, never before `delay_ms` have passed.

        Raises `RejectedError` at the limit and `RuntimeError` once stopped.
        """
        now_ms = self._clock.next_ms() if delay_ms > 0 else self._clock.monotonic_ms()
        timeout = self._wheel.schedule(now_ms, delay_ms, callback, argument)
        if self._thread is None:
            self._start()
        if now_ms + delay_ms < self._wakeup_ms:
            self._sleep.wake()
        return timeout

    def restart(self, timeout: Timeout, delay_ms: int) -> bool:
        """Lets the delay of a timeout begin anew. False when it already ran or was cancelled: schedule another one."""
        now_ms = self._clock.next_ms()
        if not timeout.restart(now_ms, delay_ms):
            return False
        if now_ms + delay_ms < self._wakeup_ms:
            self._sleep.wake()
        return True

    @property
    def pending(self) -> int:
        """Timeouts neither run nor cancelled."""
        return self._wheel.pending

    def stop(self) -> list[Timeout]:
        """Ends the thread and waits for the callback it is in, unless that is who stops it.

        Returns the timeouts that were neither run nor cancelled; nothing can be scheduled any more.
        """
        self._stopped = True
        left = self._wheel.stop()
        self._sleep.wake()
        with self._starting:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        return left

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        wheel, clock = self._wheel, self._clock
        while not self._stopped:
            # Whatever is scheduled from here on wakes the thread, even before it sleeps, unless the wheel counts it in below.
            self._wakeup_ms = NEVER_MS
            wakeup_ms = wheel.wakeup_ms()
            if wakeup_ms is None:
                self._sleep.sleep(None)
            elif (left_ms := wakeup_ms - clock.monotonic_ms()) > 0:
                self._wakeup_ms = wakeup_ms
                self._sleep.sleep(left_ms)
            self._wakeup_ms = -1  # whatever is scheduled from here on is seen before the thread sleeps again
            try:
                wheel.advance(clock.monotonic_ms(), log_failed)
            except BaseException:  # SystemExit of a callback would end every other timeout with the thread
                log.exception("A timer callback wanted to end the thread of %s", self._name)
