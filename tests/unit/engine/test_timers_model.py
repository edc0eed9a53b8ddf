"""On either driver every timeout runs at its own millisecond, whatever is scheduled, restarted and cancelled."""

from __future__ import annotations

from typing import Any, Protocol

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from nacosx._core.wheel import Timeout
from nacosx.clock import VirtualClock
from nacosx.engine.ticker import Ticker
from nacosx.engine.timer_thread import TimerThread
from tests.models.wheel import SlowTimeout, SlowTimer
from tests.virtual_time import VirtualSleep, VirtualTime

DELAYS_MS = st.one_of(st.integers(-1, 3), st.integers(0, 300), st.integers(0, 20_000), st.integers(0, 10**8))


class Time(Protocol):
    """A `VirtualTime` or a `VirtualSleep`."""

    clock: VirtualClock

    def advance(self, delay_ms: int) -> None: ...


class DriverMachine(RuleBasedStateMachine):
    """What ran at which millisecond, against the slow timer that is told of every millisecond at which something is due.

    What is due at once is run before anything else is asked: a thread does so in its own time, while the clock stands still.
    """

    pairs: Bundle[tuple[Timeout, SlowTimeout]] = Bundle("pairs")

    time: Time
    driver: Ticker | TimerThread

    def __init__(self) -> None:
        super().__init__()
        self.slow = SlowTimer(tick_ms=1)
        self.slow_now_ms = 0
        self.number = 0
        self.ran: list[tuple[int, int]] = []
        self.slow_ran: list[tuple[int, int]] = []

    def create(self) -> None:
        raise AssertionError

    @initialize()
    def start(self) -> None:
        self.create()
        self.driver.schedule(10**12, repr)  # there is always something far away
        self.slow.schedule(0, 10**12, repr, None)

    @rule(target=pairs, delay_ms=DELAYS_MS)
    def schedule(self, delay_ms: int) -> tuple[Timeout, SlowTimeout]:
        self.number += 1
        timeout = self.driver.schedule(delay_ms, self._run, self.number)
        slow = self.slow.schedule(self.slow_now_ms, delay_ms, self._slow_run, self.number)
        self.advance(0)
        return timeout, slow

    @rule(delay_ms=DELAYS_MS, then_ms=DELAYS_MS)
    def schedule_one_that_schedules(self, delay_ms: int, then_ms: int) -> None:
        self.number += 1

        def callback(number: int) -> None:
            self._run(number)
            self.driver.schedule(then_ms, self._run, -number)

        def slow_callback(number: int) -> None:
            self._slow_run(number)
            self.slow.schedule(self.slow_now_ms, then_ms, self._slow_run, -number)

        self.driver.schedule(delay_ms, callback, self.number)
        self.slow.schedule(self.slow_now_ms, delay_ms, slow_callback, self.number)
        self.advance(0)

    @rule(pair=pairs, delay_ms=DELAYS_MS)
    def restart(self, pair: tuple[Timeout, SlowTimeout], delay_ms: int) -> None:
        assert self.driver.restart(pair[0], delay_ms) == self.slow.restart(pair[1], self.slow_now_ms, delay_ms)
        self.advance(0)

    @rule(pair=pairs)
    def cancel(self, pair: tuple[Timeout, SlowTimeout]) -> None:
        assert pair[0].cancel() == self.slow.cancel(pair[1])

    @rule(passed_ms=DELAYS_MS.filter(lambda ms: ms >= 0))
    def advance(self, passed_ms: int) -> None:
        self.time.advance(passed_ms)
        end_ms = self.slow_now_ms + passed_ms
        while (wakeup_ms := self.slow.wakeup_ms()) is not None and wakeup_ms <= end_ms:
            self.slow_now_ms = max(self.slow_now_ms, wakeup_ms)
            self.slow.advance(self.slow_now_ms)
        self.slow_now_ms = end_ms
        self.slow.advance(end_ms)
        # In one millisecond the order of those that were restarted is not told by the rules.
        assert sorted(self.ran) == sorted(self.slow_ran)
        assert [at_ms for at_ms, _ in self.ran] == [at_ms for at_ms, _ in self.slow_ran]

    @invariant()
    def both_hold_the_same(self) -> None:
        if hasattr(self, "driver"):
            assert self.driver.pending == len(self.slow.pending)

    def teardown(self) -> None:
        if hasattr(self, "driver"):
            left = sorted(timeout.deadline_ms for timeout in self.driver.stop())
            assert left == sorted(timeout.deadline_ms for timeout in self.slow.pending)

    def _run(self, number: int) -> None:
        self.ran.append((self.time.clock.monotonic_ms(), number))

    def _slow_run(self, number: int) -> None:
        self.slow_ran.append((self.slow_now_ms, number))


class TickerMachine(DriverMachine):
    def create(self) -> None:
        time = VirtualTime()
        self.time = time
        self.driver = time.ticker()


class ThreadMachine(DriverMachine):
    def create(self) -> None:
        sleep = VirtualSleep()
        self.time = sleep
        self.driver = TimerThread(sleep.clock, sleep=sleep)


def machine(of: type[DriverMachine], **options: Any) -> Any:
    of.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None, **options)
    return of.TestCase


TestTicker = machine(TickerMachine)
TestThread = machine(ThreadMachine)
