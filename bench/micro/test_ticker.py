"""The wheel in its place: with the timeouts of 100 000 beating instances in it, and under the ticker, beside the event
loop's own timers. Unless said otherwise a round is a thousand timeouts: its microseconds are nanoseconds for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from nacosx._core.wheel import HashedWheelTimer, Timeout
from nacosx.clock import SystemClock
from nacosx.engine.ticker import Ticker

BATCH = 1000
PENDING = 100_000


def ignore(_: Any) -> None:
    return None


def fail(timeout: Timeout, error: Exception) -> None:
    raise AssertionError(timeout) from error


@pytest.fixture
def crowded() -> Iterator[HashedWheelTimer]:
    """A wheel with one hundred thousand timeouts over the next 15 s, as that many beating instances have."""
    wheel = HashedWheelTimer()
    for number in range(PENDING):
        wheel.schedule(0, 1000 + number % 15_000, ignore)
    wheel.advance(0, fail)
    yield wheel
    wheel.stop()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    loop: asyncio.AbstractEventLoop = request.param()
    yield loop
    loop.close()


def test_schedule_in_a_crowd(benchmark: Any, crowded: HashedWheelTimer) -> None:
    def schedule() -> None:
        for _ in range(BATCH):
            crowded.schedule(0, 5000, ignore)

    benchmark.pedantic(schedule, rounds=200, warmup_rounds=10)


def test_cancel_in_a_crowd(benchmark: Any, crowded: HashedWheelTimer) -> None:
    def timeouts() -> tuple[tuple[list[Timeout]], dict[str, Any]]:
        return ([crowded.schedule(0, number, ignore) for number in range(1000, 1000 + BATCH)],), {}

    def cancel(scheduled: list[Timeout]) -> None:
        for timeout in scheduled:
            timeout.cancel()

    benchmark.pedantic(cancel, setup=timeouts, rounds=200, warmup_rounds=10)


def test_restart_in_a_crowd(benchmark: Any, crowded: HashedWheelTimer) -> None:
    """A heart beat, or a request on an idle connection."""
    timeouts = [crowded.schedule(0, 15_000, ignore) for _ in range(BATCH)]
    crowded.advance(0, fail)

    def restart() -> None:
        for timeout in timeouts:
            timeout.restart(100, 15_000)

    benchmark.pedantic(restart, rounds=200, warmup_rounds=10)


def test_turn_the_wheel_of_one_hundred_thousand(benchmark: Any) -> None:
    """One second of beats that all stopped: 1000 ticks, each with the 6 or 7 timeouts of its bucket due."""

    def crowd() -> tuple[tuple[HashedWheelTimer], dict[str, Any]]:
        wheel = HashedWheelTimer()
        for number in range(PENDING):
            wheel.schedule(0, 1 + number % 15_000, ignore)
        wheel.advance(0, fail)
        return (wheel,), {}

    def turn(wheel: HashedWheelTimer) -> int:
        return sum(wheel.advance(now_ms, fail) for now_ms in range(1, 1001))

    ran = benchmark.pedantic(turn, setup=crowd, rounds=5)
    assert ran == 1000 * len(range(0, PENDING, 15_000))


def test_wakeup_of_a_crowded_wheel(benchmark: Any, crowded: HashedWheelTimer) -> None:
    """What the ticker asks after each wake-up; one call, not BATCH."""
    assert benchmark(crowded.wakeup_ms) == 1000


def test_wakeup_of_a_wheel_full_of_far_deadlines(benchmark: Any) -> None:
    """The worst case of counting rounds: every slot is occupied, none is due in this turn; one call, not BATCH."""
    wheel = HashedWheelTimer()
    for number in range(2048):
        wheel.schedule(0, 3_600_000 + number, ignore)
    wheel.advance(0, fail)
    assert benchmark(wheel.wakeup_ms) == 3_600_000


def test_request_timeout_on_the_ticker(benchmark: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Set a timeout, be done, cancel it: the life of nearly every timeout there is."""
    ticker = Ticker(loop, SystemClock())

    def requests() -> None:
        for _ in range(BATCH):
            ticker.schedule(5000, ignore).cancel()

    benchmark.pedantic(requests, rounds=100, warmup_rounds=5)
    ticker.stop()


def test_request_timeout_on_the_loop_itself(benchmark: Any, loop: asyncio.AbstractEventLoop) -> None:
    """The loser: what `call_later` for each request would cost."""
    later: Callable[..., asyncio.TimerHandle] = loop.call_later

    def requests() -> None:
        for _ in range(BATCH):
            later(5, ignore, None).cancel()

    benchmark.pedantic(requests, rounds=100, warmup_rounds=5)
