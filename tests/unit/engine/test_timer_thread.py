"""The wheel in a thread of its own: started by the first timeout, asleep until the next, gone when stopped."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from nacosx._core.wheel import RejectedError, Timeout
from nacosx.clock import SystemClock
from nacosx.engine.timer_thread import TimerThread
from tests.virtual_time import VirtualSleep

WAIT_S_MAX = 60


@pytest.fixture
def sleep() -> VirtualSleep:
    return VirtualSleep()


@pytest.fixture
def timers(sleep: VirtualSleep) -> Iterator[TimerThread]:
    timers = TimerThread(sleep.clock, sleep=sleep)
    yield timers
    timers.stop()


def test_the_thread_starts_with_the_first_timeout(timers: TimerThread) -> None:
    before = threading.active_count()
    assert timers.pending == 0
    assert threading.active_count() == before
    timers.schedule(1000, repr)
    timers.schedule(2000, repr)
    assert threading.active_count() == before + 1


def test_callbacks_run_in_that_thread_at_their_time(timers: TimerThread, sleep: VirtualSleep) -> None:
    ran: list[tuple[int, str, str]] = []

    def callback(name: str) -> None:
        ran.append((sleep.clock.monotonic_ms(), name, threading.current_thread().name))

    for delay_ms, name in ((900, "c"), (300, "a"), (300, "b"), (86_400_000, "d")):
        timers.schedule(delay_ms, callback, name)
    sleep.advance(299)
    assert ran == []
    sleep.advance(100_000_000)
    assert ran == [
        (at_ms, name, "nacosx-timer") for at_ms, name in ((300, "a"), (300, "b"), (900, "c"), (86_400_000, "d"))
    ]
    assert sleep.wakeups == 3


def test_only_something_earlier_wakes_the_thread(timers: TimerThread, sleep: VirtualSleep) -> None:
    """A request that sets a timeout and cancels it costs no switch of threads."""
    timers.schedule(1000, repr)
    sleep.settle()
    before = sleep.calls
    for delay_ms in range(1000, 2000):
        timers.schedule(delay_ms, pytest.fail, "ran").cancel()
    assert sleep.calls == before
    timers.schedule(999, repr)
    assert sleep.calls == before + 1


def test_a_restart_wakes_the_thread_only_when_the_deadline_comes_nearer(
    timers: TimerThread, sleep: VirtualSleep
) -> None:
    ran: list[str] = []
    timeout = timers.schedule(1000, ran.append, "idle")
    sleep.settle()
    before = sleep.calls
    for _ in range(10):
        sleep.advance(900)
        assert timers.restart(timeout, 1000)
    assert (ran, sleep.calls) == ([], before)
    assert timers.restart(timeout, 5)
    sleep.advance(5)
    assert ran == ["idle"]
    assert timers.restart(timeout, 5) is False


def test_a_callback_may_schedule_cancel_and_restart(timers: TimerThread, sleep: VirtualSleep) -> None:
    ran: list[int] = []

    def beat(number: int) -> None:
        ran.append(sleep.clock.monotonic_ms())
        if number:
            timers.schedule(10, beat, number - 1)
        cancelled.cancel()

    cancelled = timers.schedule(25, pytest.fail, "ran")
    timers.schedule(10, beat, 3)
    sleep.advance(100)
    assert ran == [10, 20, 30, 40]


def test_a_callback_that_raises_is_logged_and_stops_nothing(
    timers: TimerThread, sleep: VirtualSleep, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even one that wants to end the thread."""
    ran: list[str] = []

    def broken(error: BaseException) -> None:
        raise error

    with caplog.at_level(logging.ERROR):
        timers.schedule(5, broken, KeyError("broken"))
        timers.schedule(5, broken, SystemExit("leaving"))
        timers.schedule(5, ran.append, "same tick")
        timers.schedule(6, ran.append, "next tick")
        sleep.advance(10)
        sleep.settle()
    assert ran == ["same tick", "next tick"]
    assert "KeyError: 'broken'" in caplog.text
    assert "SystemExit: leaving" in caplog.text


def test_stop_joins_the_thread_and_returns_what_is_left(sleep: VirtualSleep) -> None:
    timers = TimerThread(sleep.clock, sleep=sleep, name="to be stopped")
    later = timers.schedule(10, pytest.fail, "ran")
    timers.schedule(20, pytest.fail, "ran").cancel()
    assert timers.stop() == [later]
    assert "to be stopped" not in {thread.name for thread in threading.enumerate()}
    assert timers.stop() == []
    with pytest.raises(RuntimeError, match="cannot be started once stopped"):
        timers.schedule(1, pytest.fail)


def test_stop_without_any_timeout_starts_no_thread(sleep: VirtualSleep) -> None:
    before = threading.active_count()
    assert TimerThread(sleep.clock, sleep=sleep).stop() == []
    assert threading.active_count() == before


def test_stop_waits_for_the_callback_that_is_under_way() -> None:
    timers = TimerThread(SystemClock())
    entered, leave = threading.Event(), threading.Event()
    ran: list[str] = []

    def slow(_: Any) -> None:
        entered.set()
        assert leave.wait(WAIT_S_MAX)
        ran.append("slow")

    timers.schedule(0, slow)
    due = timers.schedule(0, pytest.fail, "ran")
    assert entered.wait(WAIT_S_MAX)
    stopped: queue.Queue[tuple[list[Timeout], list[str]]] = queue.Queue()
    stopper = threading.Thread(target=lambda: stopped.put((timers.stop(), list(ran))))
    stopper.start()
    leave.set()
    assert stopped.get(timeout=WAIT_S_MAX) == ([due], ["slow"])
    stopper.join()


def test_a_callback_may_stop_the_timers_it_runs_on() -> None:
    timers = TimerThread(SystemClock())
    left: queue.Queue[list[Timeout]] = queue.Queue()
    last = timers.schedule(60_000, pytest.fail, "ran")
    timers.schedule(1, lambda _: left.put(timers.stop()))
    assert left.get(timeout=WAIT_S_MAX) == [last]


def test_the_limit_of_pending_timeouts_rejects(sleep: VirtualSleep) -> None:
    timers = TimerThread(sleep.clock, sleep=sleep, timeouts_max=1)
    timers.schedule(1, repr)
    with pytest.raises(RejectedError):
        timers.schedule(1, repr)
    timers.stop()


def test_a_delay_beyond_all_time_is_slept_through() -> None:
    timers = TimerThread(SystemClock())
    ran = threading.Event()
    far = timers.schedule(2**63 - 1, pytest.fail, "ran")
    timers.schedule(1, lambda _: ran.set())
    assert ran.wait(WAIT_S_MAX)
    assert timers.stop() == [far]


def test_real_time_is_never_early_whoever_schedules() -> None:
    """Threads schedule at once; nothing is lost, and nothing runs before its delay is over to the nanosecond."""
    timers = TimerThread(SystemClock())
    early_ns: queue.SimpleQueue[int] = queue.SimpleQueue()

    def schedule() -> None:
        for delay_ms in range(40):
            timers.schedule(delay_ms, done, time.monotonic_ns() + delay_ms * 1_000_000)

    def done(due_ns: int) -> None:
        early_ns.put(due_ns - time.monotonic_ns())

    threads = [threading.Thread(target=schedule) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert max(early_ns.get(timeout=WAIT_S_MAX) for _ in range(120)) <= 0
    for thread in threads:
        thread.join()
    assert timers.stop() == []
