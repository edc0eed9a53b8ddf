"""The hashed-wheel timer against its slow twin, and each of its limits."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from nacosx._core import wheel
from nacosx._core.wheel import HashedWheelTimer, RejectedError, Timeout
from tests.models.wheel import SlowTimeout, SlowTimer

INT64_MAX = 2**63 - 1

DELAYS_MS = st.one_of(st.integers(-5, 20), st.integers(0, 300), st.integers(0, 20_000), st.integers(0, 30_000_000))
PASSED_MS = st.one_of(st.integers(0, 3), st.integers(0, 300), st.integers(0, 3000), st.integers(0, 10_000_000))


def fail(timeout: Timeout, error: Exception) -> None:
    raise AssertionError(timeout) from error


class WheelMachine(RuleBasedStateMachine):
    """Whatever is scheduled, cancelled, restarted and stopped, at whatever times: the wheel does what its slow twin does."""

    pairs: Bundle[tuple[Timeout, SlowTimeout]] = Bundle("pairs")

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 0
        self.ran: list[int] = []
        self.slow_ran: list[int] = []
        self.number = 0
        self.moved = False  # something was cancelled or restarted: now the wheel may be woken for nothing
        self.restarted = False  # now the order within one tick is not the one of `schedule` any more
        self.cancelling = False  # some callback cancels another timeout, so order matters

    @initialize(tick_ms=st.sampled_from([1, 1, 3, 10]), slots=st.sampled_from([1, 2, 7, 64, 100, 2048]))
    def create(self, tick_ms: int, slots: int) -> None:
        self.wheel = HashedWheelTimer(tick_ms, slots)
        self.twin = SlowTimer(tick_ms)

    @rule(target=pairs, delay_ms=DELAYS_MS)
    def schedule(self, delay_ms: int) -> tuple[Timeout, SlowTimeout]:
        self.number += 1
        return (
            self.wheel.schedule(self.now_ms, delay_ms, self.ran.append, self.number),
            self.twin.schedule(self.now_ms, delay_ms, self.slow_ran.append, self.number),
        )

    @rule(delay_ms=DELAYS_MS, then_ms=DELAYS_MS)
    def schedule_one_that_schedules(self, delay_ms: int, then_ms: int) -> None:
        self.number += 1

        def callback(timer: Any, ran: list[int], number: int) -> None:
            ran.append(number)
            timer.schedule(self.now_ms, then_ms, ran.append, -number)

        self.wheel.schedule(self.now_ms, delay_ms, lambda number: callback(self.wheel, self.ran, number), self.number)
        self.twin.schedule(
            self.now_ms, delay_ms, lambda number: callback(self.twin, self.slow_ran, number), self.number
        )

    @precondition(lambda self: not self.restarted)
    @rule(pair=pairs, delay_ms=DELAYS_MS)
    def schedule_one_that_cancels(self, pair: tuple[Timeout, SlowTimeout], delay_ms: int) -> None:
        self.moved = self.cancelling = True
        self.wheel.schedule(self.now_ms, delay_ms, lambda timeout: self.ran.append(timeout.cancel()), pair[0])
        self.twin.schedule(
            self.now_ms, delay_ms, lambda timeout: self.slow_ran.append(self.twin.cancel(timeout)), pair[1]
        )

    @rule(pair=pairs)
    def cancel(self, pair: tuple[Timeout, SlowTimeout]) -> None:
        self.moved = True
        assert pair[0].cancel() == self.twin.cancel(pair[1])

    @precondition(lambda self: not self.cancelling)
    @rule(pair=pairs, delay_ms=DELAYS_MS)
    def restart(self, pair: tuple[Timeout, SlowTimeout], delay_ms: int) -> None:
        self.moved = self.restarted = True
        assert pair[0].restart(self.now_ms, delay_ms) == self.twin.restart(pair[1], self.now_ms, delay_ms)
        assert pair[0].deadline_ms == pair[1].deadline_ms

    @precondition(lambda self: not self.cancelling)
    @rule(pair=pairs, delay_ms=DELAYS_MS, then_ms=DELAYS_MS)
    def schedule_one_that_restarts(self, pair: tuple[Timeout, SlowTimeout], delay_ms: int, then_ms: int) -> None:
        self.moved = self.restarted = True
        then_ms += 50_000_000  # whether the other one ran before, in the same tick, is not told by the rules

        def slow(timeout: SlowTimeout) -> None:
            self.twin.restart(timeout, self.now_ms, then_ms)

        if pair[1].due_tick * self.wheel.tick_ms > self.now_ms + 40_000_000:
            self.wheel.schedule(self.now_ms, delay_ms, lambda timeout: timeout.restart(self.now_ms, then_ms), pair[0])
            self.twin.schedule(self.now_ms, delay_ms, slow, pair[1])

    @rule(passed_ms=PASSED_MS)
    def advance(self, passed_ms: int) -> None:
        self.now_ms += passed_ms
        assert self.wheel.advance(self.now_ms, fail) == self.twin.advance(self.now_ms)

    @rule(back_ms=st.integers(1, 100))
    def be_told_an_earlier_time(self, back_ms: int) -> None:
        earlier_ms = max(0, self.now_ms - back_ms)
        assert self.wheel.advance(earlier_ms, fail) == self.twin.advance(earlier_ms)

    @rule()
    def sleep_until_woken(self) -> None:
        wakeup_ms = self.wheel.wakeup_ms()
        if wakeup_ms is not None and wakeup_ms > self.now_ms:
            self.now_ms = wakeup_ms
            ran = self.wheel.advance(self.now_ms, fail)
            assert ran == self.twin.advance(self.now_ms)
            assert ran or self.moved, "woken for nothing"

    @invariant()
    def both_did_the_same(self) -> None:
        if self.restarted:
            self.ran.sort()
            self.slow_ran.sort()
        assert self.ran == self.slow_ran

    @invariant()
    def both_hold_the_same(self) -> None:
        if not hasattr(self, "wheel"):
            return
        assert self.wheel.pending == len(self.twin.pending)
        wakeup_ms, slow_ms = self.wheel.wakeup_ms(), self.twin.wakeup_ms()
        if slow_ms is not None:
            assert wakeup_ms is not None
            assert wakeup_ms <= slow_ms, "woken too late"
            assert wakeup_ms == slow_ms or self.moved, "woken too early"

    def teardown(self) -> None:
        if hasattr(self, "wheel"):
            left = self.wheel.stop()
            slow_left = self.twin.pending
            assert sorted(timeout.deadline_ms for timeout in left) == sorted(slow.deadline_ms for slow in slow_left)
            assert all(timeout.state == wheel.INIT for timeout in left)


TestWheelMachine = WheelMachine.TestCase
TestWheelMachine.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


@given(
    st.sampled_from([1, 64, 2048]),
    st.lists(
        st.tuples(st.integers(0, 50_000), st.one_of(st.integers(0, 100_000), st.integers(0, 10**10)), st.booleans()),
        max_size=200,
    ),
)
def test_every_timeout_runs_at_its_own_millisecond(slots: int, plan: list[tuple[int, int, bool]]) -> None:
    """Woken only when it asks for it, a wheel of 1 ms ticks is never early, never late, loses none, runs none cancelled."""
    timer = HashedWheelTimer(1, slots)
    ran: list[tuple[int, int]] = []
    expected = []
    cancelled: list[Timeout] = []
    now = [0]

    def run_until(end_ms: int) -> None:
        while (wakeup_ms := timer.wakeup_ms()) is not None and wakeup_ms <= end_ms:
            now[0] = wakeup_ms
            timer.advance(wakeup_ms, fail)
        now[0] = end_ms

    for number, (scheduled_ms, delay_ms, cancel) in enumerate(sorted(plan)):
        run_until(scheduled_ms)
        timeout = timer.schedule(scheduled_ms, delay_ms, lambda item: ran.append((now[0], item)), number)
        if cancel:
            cancelled.append(timeout)
            assert timeout.cancel() is True
        else:
            expected.append((scheduled_ms + delay_ms, number))
    run_until(2 * 10**10)
    assert ran == sorted(expected)
    assert timer.pending == 0
    assert all(timeout.cancelled for timeout in cancelled)


# --- one at a time ---------------------------------------------------------------------------------------------------


def test_a_timeout_is_init_then_expired_and_cannot_be_cancelled_any_more() -> None:
    timer = HashedWheelTimer()
    states: list[int] = []
    timeout = timer.schedule(100, 50, lambda _: states.append(timeout.state))
    assert (timeout.state, timeout.deadline_ms, timeout.cancelled, timeout.expired) == (wheel.INIT, 150, False, False)
    assert timer.advance(149, fail) == 0
    assert timer.advance(150, fail) == 1
    assert states == [wheel.EXPIRED]  # the state is set before the callback runs, as in Netty
    assert timeout.expired
    assert timeout.cancel() is False
    assert "expired" in repr(timeout)


def test_a_cancelled_timeout_gives_up_its_callback_at_once() -> None:
    """The argument of a cancelled timeout is not kept alive until its deadline."""

    class Argument:
        pass

    timer = HashedWheelTimer()
    argument = Argument()
    gone = weakref.ref(argument)
    timeout = timer.schedule(0, 60_000, repr, argument)
    del argument
    assert gone() is not None
    assert timeout.cancel() is True
    assert gone() is None
    assert (timeout.callback, timeout.argument, timeout.cancelled) == (None, None, True)


def test_a_restarted_timeout_runs_at_its_new_deadline_only() -> None:
    """A heart beat: restarted again and again it never runs; left alone it does."""
    timer = HashedWheelTimer()
    ran: list[int] = []
    timeout = timer.schedule(0, 15_000, ran.append, 1)
    for now_ms in range(0, 100_000, 5000):
        assert timeout.restart(now_ms, 15_000) is True
        assert timer.advance(now_ms, fail) == 0
    assert (timeout.started_ms, timeout.deadline_ms) == (95_000, 110_000)
    assert timer.advance(109_999, fail) == 0
    assert timer.advance(110_000, fail) == 1
    assert timeout.restart(110_000, 15_000) is False
    assert timer.pending == 0


def test_a_restart_may_bring_the_deadline_forward() -> None:
    timer = HashedWheelTimer()
    ran: list[int] = []
    in_bucket = timer.schedule(0, 60_000, ran.append, 1)
    timer.advance(0, fail)
    in_queue = timer.schedule(0, 60_000, ran.append, 2)
    assert in_bucket.restart(0, 10)
    assert in_queue.restart(0, 5)
    assert timer.wakeup_ms() == 5
    assert timer.advance(10, fail) == 2
    assert ran == [2, 1]
    assert timer.wakeup_ms() is None


def test_a_callback_may_restart_one_of_the_same_tick() -> None:
    timer = HashedWheelTimer()
    ran: list[int] = []
    timer.schedule(0, 5, lambda _: later.restart(5, 20))
    later = timer.schedule(0, 5, ran.append, 1)
    assert timer.advance(5, fail) == 1
    assert (ran, timer.wakeup_ms()) == ([], 25)
    assert timer.advance(25, fail) == 1
    assert ran == [1]


def test_a_cancelled_or_stopped_timeout_cannot_be_restarted() -> None:
    timer = HashedWheelTimer()
    cancelled = timer.schedule(0, 5, repr)
    cancelled.cancel()
    left = timer.schedule(0, 5, repr)
    assert cancelled.restart(0, 50) is False
    timer.stop()
    assert left.restart(0, 50) is False


def test_remaining_rounds_count_the_turns_of_the_wheel_to_come() -> None:
    timer = HashedWheelTimer(1, 8)
    timeout = timer.schedule(0, 35, repr)
    rounds = []
    for now_ms in (0, 8, 16, 24, 34, 35):
        timer.advance(now_ms, fail)
        rounds.append(timeout.remaining_rounds)
    assert rounds == [4, 3, 2, 1, 0, 0]


def test_slots_are_rounded_up_to_a_power_of_two() -> None:
    rounded = {slots: HashedWheelTimer(1, slots).slots for slots in (1, 2, 3, 512, 513, 2000, 2048)}
    assert rounded == {1: 1, 2: 2, 3: 4, 512: 512, 513: 1024, 2000: 2048, 2048: 2048}


@pytest.mark.parametrize(
    ("tick_ms", "slots", "message"),
    [
        (0, 8, "tick_ms must be greater than 0: 0"),
        (-1, 8, "tick_ms must be greater than 0: -1"),
        (1, 0, "slots must be greater than 0: 0"),
        (1, (1 << 30) + 1, r"slots must not be greater than 2\^30: 1073741825"),
        (INT64_MAX // 8, 8, r"expected: 0 < tick_ms < 1152921504606846975\)"),
        (1 << 60, 2048, r"expected: 0 < tick_ms < 4503599627370495\)"),
    ],
)
def test_a_wheel_that_cannot_turn_is_refused(tick_ms: int, slots: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HashedWheelTimer(tick_ms, slots)


def test_a_delay_beyond_all_time_does_not_overflow() -> None:
    timer = HashedWheelTimer()
    timer.schedule(1_000, INT64_MAX, repr)
    assert timer.advance(10**15, fail) == 0
    wakeup_ms = timer.wakeup_ms()
    assert wakeup_ms is not None
    assert wakeup_ms > 10**18


def test_times_before_zero_are_refused() -> None:
    timer = HashedWheelTimer()
    with pytest.raises(ValueError, match="now_ms must not be negative: -1"):
        timer.schedule(-1, 5, repr)
    with pytest.raises(ValueError, match="now_ms must not be negative: -1"):
        timer.advance(-1, fail)


def test_the_pending_limit_rejects_and_cancelling_makes_room() -> None:
    timer = HashedWheelTimer(pending_max=2)
    timer.schedule(0, 10, repr)
    timeout = timer.schedule(0, 10, repr)
    message = r"Number of pending timeouts \(3\) is greater than or equal to maximum allowed pending timeouts \(2\)"
    with pytest.raises(RejectedError, match=message):
        timer.schedule(0, 10, repr)
    timeout.cancel()
    timer.schedule(0, 10, repr)
    assert timer.pending == 2
    timer.advance(10, fail)
    assert timer.pending == 0


def test_at_most_one_hundred_thousand_transfers_a_tick() -> None:
    """What the limit leaves behind is transferred by the next tick, and the wheel asks to be woken for it at once."""
    timer = HashedWheelTimer()
    ran: list[int] = []
    for number in range(wheel.TRANSFERS_MAX + 3):
        timer.schedule(0, 1000 if number < wheel.TRANSFERS_MAX else 0, ran.append, number)
    assert timer.advance(0, fail) == 0
    assert timer.wakeup_ms() == 0
    assert timer.advance(0, fail) == 3
    assert ran == [wheel.TRANSFERS_MAX, wheel.TRANSFERS_MAX + 1, wheel.TRANSFERS_MAX + 2]
    assert timer.wakeup_ms() == 1000


def test_one_advance_runs_a_limited_number_of_callbacks() -> None:
    """The rest is due at once, so that other events of the loop get their turn in between."""
    timer = HashedWheelTimer()
    ran: list[int] = []
    for number in range(wheel.EXPIRATIONS_MAX + 2):
        timer.schedule(0, 5, ran.append, number)
    assert timer.advance(5, fail) == wheel.EXPIRATIONS_MAX
    assert timer.wakeup_ms() == 5
    assert timer.advance(5, fail) == 2
    assert ran == list(range(wheel.EXPIRATIONS_MAX + 2))
    assert timer.wakeup_ms() is None


def test_many_cancelled_timeouts_do_not_pile_up_until_their_deadline() -> None:
    """The queue of cancelled timeouts is worked off when it is full, not only at the next tick."""
    timer = HashedWheelTimer()
    cancelled = [timer.schedule(0, 3_600_000, repr) for _ in range(10 * wheel.CANCELLED_MAX)]
    held = sys.getrefcount(cancelled[0])
    for timeout in cancelled:
        timeout.cancel()
    del timeout
    still_held = sum(sys.getrefcount(cancelled[number]) == held for number in range(len(cancelled)))
    assert 0 < still_held <= wheel.CANCELLED_MAX
    timer.advance(1, fail)
    assert not any(sys.getrefcount(cancelled[number]) == held for number in range(len(cancelled)))
    assert timer.wakeup_ms() is None


def test_stop_returns_the_unprocessed_timeouts_once() -> None:
    """Those in buckets and those in the pending queue, but none that ran or was cancelled."""
    timer = HashedWheelTimer()
    timer.schedule(0, 1, repr)
    in_bucket = timer.schedule(0, 50, repr, "bucket")
    timer.schedule(0, 60, repr).cancel()
    timer.advance(1, fail)
    timer.schedule(1, 1, repr).cancel()
    in_queue = timer.schedule(1, 2, repr, "queue")
    assert timer.stop() == [in_bucket, in_queue]
    assert (in_bucket.callback, in_bucket.argument) == (repr, "bucket")
    assert in_bucket.state == wheel.INIT
    assert in_bucket.cancel() is True
    assert timer.stop() == []
    assert timer.pending == 0
    assert timer.wakeup_ms() is None
    assert timer.advance(100, fail) == 0
    with pytest.raises(RuntimeError, match="cannot be started once stopped"):
        timer.schedule(100, 1, repr)


def test_stop_inside_a_callback_returns_those_that_were_due_after_it() -> None:
    timer = HashedWheelTimer()
    left: list[Timeout] = []
    timer.schedule(0, 1, lambda _: left.extend(timer.stop()))
    due = timer.schedule(0, 1, repr)
    assert timer.advance(1, fail) == 1
    assert left == [due]


def test_a_callback_that_raises_is_reported_and_the_others_run() -> None:
    timer = HashedWheelTimer()
    ran: list[int] = []
    failures: list[tuple[Timeout, Exception]] = []
    error = KeyError("broken")

    def broken(_: Any) -> None:
        raise error

    timeout = timer.schedule(0, 1, broken)
    timer.schedule(0, 1, ran.append, 1)
    assert timer.advance(1, lambda *failure: failures.append(failure)) == 2
    assert failures == [(timeout, error)]
    assert ran == [1]


def test_a_callback_may_not_advance_the_wheel_it_runs_on() -> None:
    timer = HashedWheelTimer()
    failures: list[Exception] = []
    timer.schedule(0, 1, lambda _: timer.advance(2, fail))
    timer.advance(1, lambda _, error: failures.append(error))
    assert [str(failure) for failure in failures] == ["advance called by a callback"]


def test_a_wheel_that_is_dropped_drops_its_timeouts() -> None:
    class Argument:
        pass

    timer = HashedWheelTimer()
    argument = Argument()
    gone = weakref.ref(argument)
    timeout = timer.schedule(0, 5, repr, argument)
    timer.advance(1, fail)
    timer.schedule(0, 5, repr, argument)
    del timer, argument
    assert gone() is not None  # held by the timeout that is still here
    assert timeout.remaining_rounds == 0
    assert timeout.cancel() is True
    assert gone() is None


def test_one_hundred_thousand_pending_timeouts_are_cheap() -> None:
    timer = HashedWheelTimer()
    timeout = timer.schedule(0, 1, repr)
    assert sys.getsizeof(timeout) <= 100
    assert not gc.is_tracked(timeout)  # nor does the garbage collector walk them


def test_a_tick_costs_what_is_due_however_many_are_pending() -> None:
    """A thousand timeouts run out over ten seconds, among a million others that do not: not one more is looked at."""

    def visits_among(others: int) -> int:
        timer = HashedWheelTimer()
        for number in range(others):
            timer.schedule(0, 20_000 + number * 7919 % 86_400_000, repr)
        for number in range(1000):
            timer.schedule(0, 10 * number, repr)
        while timer.wakeup_ms() == 0:
            timer.advance(0, fail)
        before = timer.visits
        assert sum(timer.advance(now_ms, fail) for now_ms in range(1, 10_000)) == 999
        timer.stop()
        return timer.visits - before

    assert visits_among(0) == visits_among(1_000_000) <= 10_000 + 3 * 1000


def test_a_timeout_is_looked_at_a_few_times_in_its_life_however_many_there_are() -> None:
    """A million timeouts over a day, woken for when the wheel asks for it: none is counted down at every turn."""
    timer = HashedWheelTimer()
    ran: list[int] = []
    count = 1_000_000
    for number in range(count):
        timer.schedule(0, number * 7919 % 86_400_000, ran.append, number)
    wakeups = 0
    while (wakeup_ms := timer.wakeup_ms()) is not None:
        wakeups += timer.advance(wakeup_ms, fail) > 0
    assert sorted(ran) == list(range(count))
    assert (
        timer.visits <= 7 * count
    )  # the pending queue, three coarse wheels, its bucket, its tick, beginnings of slots
    assert wakeups == len({number * 7919 % 86_400_000 for number in range(count)})


def test_what_comes_down_from_a_coarse_wheel_is_limited_too() -> None:
    """The rest follows in the next advance, in the order in which it was scheduled."""
    timer = HashedWheelTimer()
    ran: list[int] = []
    count = wheel.TRANSFERS_MAX + 3
    for number in range(count):
        timer.schedule(0, 5000, ran.append, number)
    for _ in range(2):
        assert timer.advance(0, fail) == 0
    while timer.wakeup_ms() == 5000:
        timer.advance(5000, fail)
    assert ran == list(range(count))


def test_more_than_256_live_wheels_are_warned_of_once() -> None:
    """Wheels that are stopped or gone do not count."""
    story = """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
from nacosx._core.wheel import HashedWheelTimer
stopped = [HashedWheelTimer(1, 1) for _ in range(256)]
for wheel in stopped:
    wheel.stop()
for _ in range(300):
    HashedWheelTimer(1, 1)
live = [HashedWheelTimer(1, 1) for _ in range(256)]
print("so far so good", flush=True)
live += [HashedWheelTimer(1, 1) for _ in range(10)]
"""
    said = subprocess.run([sys.executable, "-c", story], check=True, capture_output=True, text=True).stdout
    first, *others = said.splitlines()
    assert first == "so far so good"
    assert len(others) == 1
    assert others[0].startswith("WARNING You are creating too many HashedWheelTimer instances: 257.")
