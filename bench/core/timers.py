"""The wheel, driven by its own thread and called from Python, beside the HashedWheelTimers of SOFAJRaft and Netty.

Both sides do the same in the same state: a million timeouts are in their buckets, and a tenth of a million is scheduled and as
many others are cancelled, again and again, so that memory and caches are those of a server that has run for a while.
`schedule` and `cancel` are what the caller waits for. Both sides leave work for later, the rival to a thread on another core:
`… cpu` is the processor time of the whole process until each timeout is in its bucket, or out of it and its memory free.

`fill` is the first million, into an empty wheel: there the rival's memory is warm, since a JVM keeps its heap, and ours comes
from the kernel page by page. The default collector of a JVM, G1, makes it dear to link new objects with old ones, as a wheel
does; the parallel one makes it cheap, so SOFAJRaft is measured under both. Bars are judged under the default, which is what
a server runs with.

Expiry: from when all are due until the last one has run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from bench.core.originals import DISRUPTORS, PARALLEL
from bench.core.scenario import Effort, Rival, UnsoundError
from bench.java import Original
from nacosx._core.wheel import Timeout
from nacosx.clock import SystemClock
from nacosx.engine.timer_thread import TimerThread

# As in Timers.java.
FAR_MS = 60_000
SPREAD_MS = 60_000
SOON_MS = 3_000
BATCHES = 10
STRIDE = 7919


def ignore(_: Any) -> None:
    return None


class TimerScenario:
    name = "timer"
    units: Mapping[str, str] = dict.fromkeys(
        ("fill", "schedule", "schedule cpu", "cancel", "cancel cpu", "expire"), "ns"
    )

    @property
    def rivals(self) -> Mapping[str, Rival]:
        return {
            "SOFAJRaft": _original(DISRUPTORS[0], "sofa"),
            "SOFAJRaft, ParallelGC": _original(PARALLEL, "sofa"),
            "Netty": _original(DISRUPTORS[0], "netty"),
        }

    def measure(self, effort: Effort) -> dict[str, float]:
        return {**_crowded(effort.timeouts), "expire": _expire(effort.timeouts)}


def _original(process: str, whose: str) -> Rival:
    def measure(originals: Mapping[str, Original], effort: Effort) -> dict[str, float]:
        taken = originals[process].ask("timer", whose, effort.timeouts)
        return {metric.replace("-", " "): figure for metric, figure in taken.items()}

    return measure


def _crowded(count: int) -> dict[str, float]:
    """The nanoseconds of each, with `count` others pending; the first batch warms up."""
    timers = TimerThread(SystemClock())
    batch = count // BATCHES
    taken: list[dict[str, int]] = []
    try:
        delays_ms = [FAR_MS + number % SPREAD_MS for number in range(count)]
        pending, filled = _schedule(timers, delays_ms)
        for number in range(BATCHES):
            fresh, scheduled = _schedule(timers, delays_ms[:batch])
            former = []
            for place, timeout in enumerate(fresh, number * batch):
                place = place * STRIDE % count  # not in the order of their memory
                former.append(pending[place])
                pending[place] = timeout
            del timeout
            fresh.clear()
            taken.append(scheduled | _cancel(timers, former))
        if timers.pending != count:
            raise UnsoundError(f"{timers.pending} timeouts are pending instead of {count}")
    finally:
        timers.stop()
    mean = {metric: sum(figures[metric] for figures in taken[1:]) / (batch * (BATCHES - 1)) for metric in taken[0]}
    return {"fill": filled["schedule"] / count, **mean}


def _schedule(timers: TimerThread, delays_ms: list[int]) -> tuple[list[Timeout], dict[str, int]]:
    schedule = timers.schedule
    started_cpu_ns = time.process_time_ns()
    started_ns = time.perf_counter_ns()
    timeouts = [schedule(delay_ms, ignore) for delay_ms in delays_ms]
    took_ns = time.perf_counter_ns() - started_ns
    _settle(timers)
    return timeouts, {"schedule": took_ns, "schedule cpu": time.process_time_ns() - started_cpu_ns}


def _cancel(timers: TimerThread, timeouts: list[Timeout]) -> dict[str, int]:
    started_cpu_ns = time.process_time_ns()
    started_ns = time.perf_counter_ns()
    for timeout in timeouts:
        timeout.cancel()
    del timeout
    took_ns = time.perf_counter_ns() - started_ns
    _settle(timers)
    timeouts.clear()
    return {"cancel": took_ns, "cancel cpu": time.process_time_ns() - started_cpu_ns}


def _settle(timers: TimerThread) -> None:
    """Until the wheel has put into buckets, and has taken out of them, whatever it was told to before."""
    settled = threading.Event()
    timers.schedule(1, lambda _: settled.set())
    settled.wait()


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
