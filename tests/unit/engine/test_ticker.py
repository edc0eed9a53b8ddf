"""The ticker: every timeout of the process on one wheel and one wake-up of the loop."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
import uvloop

from nacosx._core.wheel import RejectedError, Timeout
from nacosx.clock import SystemClock
from nacosx.engine.ticker import Ticker
from tests.virtual_time import VirtualTime


def test_a_timeout_runs_when_its_delay_has_passed_and_not_before() -> None:
    time = VirtualTime()
    ran: list[str] = []
    time.ticker().schedule(500, ran.append, "push")
    time.advance(499)
    assert ran == []
    time.advance(1)
    assert ran == ["push"]


def test_no_delay_means_the_next_turn_of_the_loop() -> None:
    time = VirtualTime()
    ran: list[str] = []
    time.ticker().schedule(0, ran.append, "now")
    assert ran == []
    time.turn()
    assert ran == ["now"]


def test_many_timeouts_share_one_wake_up_of_the_loop() -> None:
    time = VirtualTime()
    ticker = time.ticker()
    ran: list[int] = []
    for delay_ms in (900, 300, 600, 300, 100_000):
        ticker.schedule(delay_ms, ran.append, delay_ms)
    assert time.armed == 1
    time.advance(1000)
    assert ran == [300, 300, 600, 900]
    assert time.armed == 1
    assert time.wakeups == 3


def test_an_idle_ticker_sleeps_until_the_one_timeout_hours_away() -> None:
    """No wake-up each tick, none each turn of the wheel."""
    time = VirtualTime()
    ran: list[str] = []
    time.ticker().schedule(3_600_000, ran.append, "hour")
    time.advance(3_600_000)
    assert (ran, time.wakeups) == (["hour"], 1)


def test_a_cancelled_timeout_never_runs_and_leaves_the_loop_asleep() -> None:
    time = VirtualTime()
    ticker = time.ticker()
    timeout = ticker.schedule(10, pytest.fail, "ran")
    assert timeout.cancel() is True
    assert timeout.cancel() is False
    assert ticker.pending == 0
    time.advance(10_000)
    assert time.wakeups == 1  # the wake-up already set; it finds nothing and sets none
    assert time.armed == 0


def test_a_restarted_timeout_begins_anew() -> None:
    """An idle connection: each request restarts its timeout, for one wake-up per delay and not per request."""
    time = VirtualTime()
    ticker = time.ticker()
    ran: list[str] = []
    timeout = ticker.schedule(1000, ran.append, "idle")
    for _ in range(95):
        time.advance(100)
        assert ticker.restart(timeout, 1000) is True
    assert ran == []
    assert time.wakeups < 12
    time.advance(999)
    assert ran == []
    time.advance(1)
    assert ran == ["idle"]
    assert ticker.restart(timeout, 1000) is False


def test_a_restart_with_a_shorter_delay_wakes_the_loop_earlier() -> None:
    time = VirtualTime()
    ticker = time.ticker()
    ran: list[str] = []
    timeout = ticker.schedule(60_000, ran.append, "soon")
    ticker.restart(timeout, 10)
    time.advance(10)
    assert ran == ["soon"]


def test_a_delay_may_count_from_an_earlier_moment() -> None:
    time = VirtualTime()
    ticker = time.ticker()
    ran: list[str] = []
    time.advance(15_000)
    timeout = ticker.schedule(30_000, ran.append, "since", since_ms=0)
    assert timeout.started_ms == 0
    time.advance(14_999)
    assert ran == []
    time.advance(1)
    assert ran == ["since"]


def test_a_callback_that_raises_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    time = VirtualTime()
    ticker = time.ticker()
    ran: list[str] = []

    def broken(_: Any) -> None:
        raise KeyError("broken")

    ticker.schedule(5, broken)
    ticker.schedule(5, ran.append, "same tick")
    ticker.schedule(6, ran.append, "next tick")
    with caplog.at_level(logging.ERROR):
        time.advance(10)
    assert ran == ["same tick", "next tick"]
    assert "KeyError: 'broken'" in caplog.text


def test_a_callback_may_schedule_the_next_one() -> None:
    """A periodic task is a callback that schedules itself; each round is exactly one wake-up."""
    time = VirtualTime()
    ticker = time.ticker()
    beats: list[int] = []

    def beat(_: Any) -> None:
        beats.append(time.clock.monotonic_ms())
        ticker.schedule(5000, beat)

    ticker.schedule(5000, beat)
    time.advance(20_000)
    assert beats == [5000, 10_000, 15_000, 20_000]
    assert time.wakeups == 4


def test_a_callback_may_cancel_one_of_the_same_tick() -> None:
    time = VirtualTime()
    ticker = time.ticker()
    cancelled: list[bool] = []
    later: list[Timeout] = []
    ticker.schedule(5, lambda _: cancelled.append(later[0].cancel()))
    later.append(ticker.schedule(5, pytest.fail, "ran"))
    time.advance(5)
    assert cancelled == [True]


def test_stop_returns_what_is_left_and_refuses_more() -> None:
    time = VirtualTime()
    ticker = time.ticker()
    left = ticker.schedule(10, pytest.fail, "ran")
    ticker.schedule(20, pytest.fail, "ran").cancel()
    assert ticker.stop() == [left]
    assert ticker.stop() == []
    time.advance(1000)
    assert time.wakeups == 0
    with pytest.raises(RuntimeError, match="cannot be started once stopped"):
        ticker.schedule(1, pytest.fail)


def test_stop_inside_a_callback_ends_the_ticker() -> None:
    time = VirtualTime()
    ticker = time.ticker()
    left: list[Timeout] = []
    ticker.schedule(5, lambda _: left.extend(ticker.stop()))
    last = ticker.schedule(5, pytest.fail, "ran")
    time.advance(100)
    assert left == [last]
    assert time.armed == 0


def test_the_limit_of_pending_timeouts_rejects() -> None:
    time = VirtualTime()
    ticker = Ticker(time, time.clock, timeouts_max=2)
    ticker.schedule(1, repr)
    ticker.schedule(1, repr)
    with pytest.raises(RejectedError, match="greater than or equal to maximum allowed pending timeouts"):
        ticker.schedule(1, repr)


def test_an_interrupt_inside_a_callback_leaves_the_ticker_running() -> None:
    """KeyboardInterrupt is not an error of the callback: it goes to the loop, and the other timeouts still run."""
    time = VirtualTime()
    ticker = time.ticker()
    ran: list[str] = []

    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    ticker.schedule(5, interrupt)
    ticker.schedule(5, ran.append, "after")
    with pytest.raises(KeyboardInterrupt):
        time.advance(5)
    time.advance(1)
    assert ran == ["after"]


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_real_event_loops_drive_it_and_never_early(new_loop: Any) -> None:
    loop = new_loop()
    clock = SystemClock()
    try:
        ticker = Ticker(loop, clock)
        late_ms: list[int] = []
        start_ms = clock.monotonic_ms()
        for delay_ms in range(0, 60, 3):
            ticker.schedule(delay_ms, lambda delay: late_ms.append(clock.monotonic_ms() - start_ms - delay), delay_ms)
        ticker.schedule(70, lambda _: loop.stop())
        loop.run_forever()
        assert len(late_ms) == 20
        assert min(late_ms) >= 0
        assert ticker.stop() == []
    finally:
        loop.close()
