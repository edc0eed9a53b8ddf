"""The wheel in a thread of its own, for timeouts that must not wait for the event loop: those of elections and heart beats.

The thread starts with the first timeout that is scheduled (as in Netty and SOFAJRaft) and sleeps until the next one is due;
it is woken only for something earlier. Callbacks run in it, one after the other. Everything else may be called from any
thread: the wheel is guarded by the GIL, whose holder changes only between its operations.
"""

from __future__ import annotations

import logging
import threading
from queue import Empty, SimpleQueue
from typing import Protocol

from nacosx._core.driver import NEVER_MS, WheelDriver
from nacosx._core.wheel import Timeout
from nacosx.clock import Clock, SystemClock
from nacosx.engine.ticker import log_failed

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


class TimerThread(WheelDriver):
    """Drives the wheel in a thread. A callback that raises is logged and stops nothing.

    `timeouts_max` > 0 limits the pending timeouts (`RejectedError` above); 0 = no limit.
    """

    __slots__ = ("_name", "_sleep", "_starting", "_stopped", "_thread")

    def __init__(
        self, clock: Clock, *, name: str = "nacosx-timer", timeouts_max: int = 0, sleep: Sleep | None = None
    ) -> None:
        super().__init__(None if isinstance(clock, SystemClock) else clock, timeouts_max=timeouts_max)
        self._name = name
        self._sleep = sleep or QueueSleep()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def stop(self) -> list[Timeout]:
        """Ends the thread and waits for the callback it is in, unless that is who stops it.

        Returns the timeouts that were neither run nor cancelled; nothing can be scheduled any more.
        """
        self._stopped = True
        left = self.wheel.stop()
        self._sleep.wake()
        with self._starting:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        return left

    def wake_at(self, deadline_ms: int) -> None:
        if self._thread is None:
            self._start()
        self._sleep.wake()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        wheel = self.wheel
        while not self._stopped:
            # Whatever is scheduled from here on wakes the thread, even before it sleeps, unless the wheel counts it in below.
            self.wakes_ms = NEVER_MS
            wakeup_ms = wheel.wakeup_ms()
            if wakeup_ms is None:
                self._sleep.sleep(None)
            elif (left_ms := wakeup_ms - self.now_ms()) > 0:
                self.wakes_ms = wakeup_ms
                self._sleep.sleep(left_ms)
            self.wakes_ms = -1  # whatever is scheduled from here on is seen before the thread sleeps again
            try:
                wheel.advance(self.now_ms(), log_failed)
            except BaseException:  # SystemExit of a callback would end every other timeout with the thread
                log.exception("A timer callback wanted to end the thread of %s", self._name)
