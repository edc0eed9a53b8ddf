"""A timer that begins anew after every run: the rules of SOFAJRaft's RepeatedTimer, on either driver."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nacosx.clock import SystemClock
from nacosx.engine.repeated_timer import RepeatedTimer, Timers, jitter
from nacosx.engine.timer_thread import TimerThread
from tests.virtual_time import VirtualSleep, VirtualTime

WAIT_S_MAX = 60


class Stage:
    """A driver, its time, and when the timer under test has run."""

    def __init__(self, time: VirtualTime | VirtualSleep, timers: Timers) -> None:
        self.time = time
        self.timers = timers
        self.runs_ms: list[int] = []
        self.destroyed_ms: list[int] = []
        self.during: Callable[[], object] | None = None  # what happens inside a run, once

    def timer(self, timeout_ms: int = 100, **options: Any) -> RepeatedTimer:
        return RepeatedTimer(
            self.timers,
            "election",
            timeout_ms,
            self.run,
            on_destroy=lambda: self.destroyed_ms.append(self.time.clock.monotonic_ms()),
            **options,
        )

    def run(self) -> None:
        self.runs_ms.append(self.time.clock.monotonic_ms())
        during, self.during = self.during, None
        if during is not None:
            during()

    def advance(self, delay_ms: int) -> list[int]:
        """Lets time pass and tells when it ran meanwhile."""
        before = len(self.runs_ms)
        self.time.advance(delay_ms)
        return self.runs_ms[before:]


@pytest.fixture(params=["loop", "thread"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    if request.param == "loop":
        time = VirtualTime()
        yield Stage(time, time.ticker())
        return
    sleep = VirtualSleep()
    timers = TimerThread(sleep.clock, sleep=sleep)
    timers.schedule(10**12, repr)  # starts the thread
    yield Stage(sleep, timers)
    timers.stop()


def test_it_runs_again_and_again_until_it_is_stopped(stage: Stage) -> None:
    timer = stage.timer()
    assert stage.advance(1000) == []
    assert not timer.is_running
    timer.start()
    timer.start()  # once is enough
    assert timer.is_running
    assert stage.advance(350) == [1100, 1200, 1300]
    timer.stop()
    timer.stop()
    assert stage.advance(1000) == []
    timer.start()
    assert stage.advance(100) == [2450]


def test_every_delay_is_adjusted_before_it_begins(stage: Stage) -> None:
    delays = iter([100, 150, 199, 10_000])
    stage.timer(adjust=lambda timeout_ms: timeout_ms + next(delays) - 100).start()
    assert stage.advance(1000) == [100, 250, 449]


def test_jitter_lengthens_by_less_than_its_span_and_asks_the_randomness_it_is_given() -> None:
    asked: list[int] = []
    adjust = jitter(150, lambda span: asked.append(span) or 149)
    assert adjust(1000) == 1149
    assert asked == [150]
    adjust = jitter(150, random.Random(1).randrange)
    assert {adjust(1000) for _ in range(5000)} == set(range(1000, 1150))
    with pytest.raises(ValueError, match="greater than 0"):
        jitter(0, random.randrange)


def test_a_reset_begins_the_delay_anew(stage: Stage) -> None:
    """A follower that hears of its leader never stands for election."""
    timer = stage.timer()
    timer.reset()  # not started: nothing begins
    assert stage.advance(1000) == []
    timer.start()
    for _ in range(10):
        assert stage.advance(99) == []
        timer.reset()
    assert stage.advance(100) == [2090]


def test_a_reset_may_change_the_timeout(stage: Stage) -> None:
    timer = stage.timer()
    timer.start()
    timer.reset(30)
    assert timer.timeout_ms == 30
    assert stage.advance(100) == [30, 60, 90]
    timer.stop()
    timer.reset(50)
    assert stage.advance(1000) == []
    timer.start()
    assert stage.advance(50) == [1150]


def test_it_runs_once_now_and_begins_the_next_delay(stage: Stage) -> None:
    timer = stage.timer()
    timer.run_once_now()  # no delay under way
    assert stage.runs_ms == []
    timer.start()
    stage.advance(40)
    timer.run_once_now()
    assert stage.runs_ms == [40]
    assert stage.advance(200) == [140, 240]
    timer.stop()
    timer.run_once_now()
    assert stage.advance(1000) == []


@pytest.mark.parametrize(
    ("what", "then_ms"),
    [
        (lambda timer: timer.reset(), [200, 300]),
        (lambda timer: timer.reset(70), [170, 240, 310]),
        (lambda timer: (timer.stop(), timer.start()), [200, 300]),
        (lambda timer: timer.stop(), []),
        (lambda timer: timer.start(), [200, 300]),
        (lambda timer: timer.run_once_now(), [200, 300]),
        (lambda timer: (timer.reset(), timer.run_once_now()), [100, 200, 300]),
    ],
    ids=["reset", "reset to 70", "stop and start", "stop", "start", "run once", "reset and run once"],
)
def test_whatever_is_done_inside_a_run_leaves_one_delay(
    stage: Stage, what: Callable[[RepeatedTimer], object], then_ms: list[int]
) -> None:
    timer = stage.timer()
    timer.start()
    stage.during = lambda: what(timer)
    assert stage.advance(315) == [100, *then_ms]


def test_a_run_that_raises_is_logged_and_the_next_one_comes(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.during = lambda: 1 // 0
    with caplog.at_level(logging.ERROR):
        stage.timer().start()
        assert stage.advance(250) == [100, 200]
    assert "Run of timer election failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_destroyed_timer_is_told_so_once_and_never_starts_again(stage: Stage) -> None:
    timer = stage.timer()
    timer.start()
    stage.advance(150)
    timer.destroy()
    timer.destroy()
    assert stage.destroyed_ms == [150]
    timer.start()
    timer.reset(10)
    timer.run_once_now()
    assert stage.advance(1000) == []
    assert "destroyed" in repr(timer)


def test_a_timer_that_never_ran_is_destroyed_too(stage: Stage) -> None:
    stage.timer().destroy()
    assert stage.destroyed_ms == [0]
    RepeatedTimer(stage.timers, "silent", 1, stage.run).destroy()


@pytest.mark.parametrize("first_stopped", [False, True])
def test_a_timer_destroyed_inside_a_run_is_told_so_after_it(stage: Stage, first_stopped: bool) -> None:
    timer = stage.timer()
    timer.start()

    def destroy() -> None:
        if first_stopped:
            timer.stop()
        timer.destroy()
        assert stage.destroyed_ms == []

    stage.during = destroy
    assert stage.advance(500) == [100]
    assert stage.destroyed_ms == [100]


def test_one_driver_carries_many_timers(stage: Stage) -> None:
    """Destroying one does not stop the wheel it shares."""
    gone, stays = stage.timer(70), stage.timer(100)
    gone.start()
    stays.start()
    gone.destroy()
    assert stage.advance(200) == [100, 200]


def test_stopped_in_another_thread_no_run_begins() -> None:
    """Whatever the moment: when `stop` has returned, a run may end, but none begins."""
    timers = TimerThread(SystemClock())
    ran = threading.Event()
    timer = RepeatedTimer(timers, "fast", 0, ran.set)
    for _ in range(200):
        timer.start()
        assert ran.wait(WAIT_S_MAX)
        timer.stop()
        runs_before_stop_are_over(timers)
        ran.clear()
        runs_before_stop_are_over(timers)
        assert not ran.is_set()
    timers.stop()


def runs_before_stop_are_over(timers: TimerThread) -> None:
    """What the thread was doing is done when it has come to something that was scheduled after it."""
    reached = threading.Event()
    timers.schedule(0, lambda _: reached.set())
    assert reached.wait(WAIT_S_MAX)
