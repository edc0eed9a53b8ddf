"""The wheel, driven by its own thread and called from Python, beside the HashedWheelTimers of SOFAJRaft and Netty.

What is timed is what the caller waits for; the rival's thread moves timeouts to their buckets, and takes the cancelled out of
them, beside that, where ours has done it before the call returns. Expiry: from when all are due until the last one has run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from bench.core.originals import Original
from bench.core.scenario import Effort, Rival, UnsoundError
from nacosx.clock import SystemClock
from nacosx.engine.timer_thread import TimerThread

# As in Timers.java.
FAR_MS = 60_000
SPREAD_MS = 60_000
SOON_MS = 3_000
STRIDE = 7919


def ignore(_: Any) -> None:
    return None


class TimerScenario:
    name = "timer"
    units: Mapping[str, str] = {"schedule": "ns", "cancel": "ns", "expire": "ns"}

    @property
    def rivals(self) -> Mapping[str, Rival]:
        return {"SOFAJRaft": _original("sofa"), "Netty": _original("netty")}

    def measure(self, effort: Effort) -> dict[str, float]:
        return {**_schedule_and_cancel(effort.timeouts), "expire": _expire(effort.timeouts)}


def _original(whose: str) -> Rival:
    def measure(originals: Mapping[str, Original], effort: Effort) -> dict[str, float]:
        return next(iter(originals.values())).ask("timer", whose, effort.timeouts)

    return measure


def _schedule_and_cancel(count: int) -> dict[str, float]:
    timers = TimerThread(SystemClock())
    try:
        timers.schedule(FAR_MS, ignore)  # starts its thread
        delays_ms = [FAR_MS + number % SPREAD_MS for number in range(count)]
        schedule = timers.schedule
        started = time.perf_counter_ns()
        timeouts = [schedule(delay_ms, ignore) for delay_ms in delays_ms]
        scheduled_ns = time.perf_counter_ns() - started
        shuffled = [timeouts[number * STRIDE % count] for number in range(count)]  # not in the order of their memory
        started = time.perf_counter_ns()
        for timeout in shuffled:
            timeout.cancel()
        cancelled_ns = time.perf_counter_ns() - started
        if timers.pending != 1:
            raise UnsoundError(f"{timers.pending - 1} timeouts were not cancelled")
    finally:
        timers.stop()
    return {"schedule": scheduled_ns / count, "cancel": cancelled_ns / count}


def _expire(count: int) -> float:
    timers = TimerThread(SystemClock())
    try:
        finished = threading.Event()
        ended_ns: list[int] = []

        def last(_: Any) -> None:
            ended_ns.append(time.monotonic_ns())
            finished.set()

        due_ns = time.monotonic_ns() + SOON_MS * 1_000_000
        for _ in range(count - 1):
            timers.schedule((due_ns - time.monotonic_ns()) // 1_000_000, ignore)
        timers.schedule(SOON_MS, last)
        if time.monotonic_ns() > due_ns:
            raise UnsoundError("they were due before all were scheduled")
        finished.wait()
        if timers.pending:
            raise UnsoundError(f"{timers.pending} timeouts were lost")
    finally:
        timers.stop()
    return (ended_ns[0] - due_ns) / count


SCENARIOS = (TimerScenario(),)
