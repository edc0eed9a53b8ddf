"""The ring never loses, repeats, reorders or overtakes: against its slow twin, and at each of its limits."""

from __future__ import annotations

import gc
import select
import weakref
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nacosx._core.ring import CONSUMERS_MAX, FULL, STRATEGIES, Alert, RingBuffer, Sequence, SequenceBarrier
from tests.models.ring import RingModel


@st.composite
def topologies(draw: st.DrawFn) -> list[list[int]]:
    """For each consumer those of the consumers before it that it comes after: every acyclic topology of up to four."""
    return [
        draw(st.lists(st.integers(0, number - 1), unique=True)) if number else []
        for number in range(draw(st.integers(1, 4)))
    ]


class RingMachine(RuleBasedStateMachine):
    """Any topology does what the model says; claims of several producers are published in any order.

    Every consumer is one of an event loop: whenever it may consume, its eventfd is readable.
    """

    @initialize(shift=st.integers(0, 4), multi=st.booleans(), after=topologies())
    def build(self, shift: int, multi: bool, after: list[list[int]]) -> None:
        self.ring = RingBuffer(1 << shift, producers="multi" if multi else "single", wait="eventfd")
        self.multi = multi
        self.after = after
        self.sequences = [Sequence() for _ in after]
        self.barriers = [self.ring.barrier(*(self.sequences[other] for other in others)) for others in after]
        depended_on = {other for others in after for other in others}
        self.ring.gate(*(self.sequences[number] for number in range(len(after)) if number not in depended_on))
        self.model = RingModel(1 << shift, len(after))
        self.unpublished: list[tuple[int, int]] = []
        for barrier in self.barriers:
            barrier.arm(0)

    @rule(n=st.integers(1, 16))
    def try_claim(self, n: int) -> None:
        if n > self.ring.size:
            with pytest.raises(ValueError, match="cannot claim"):
                self.ring.try_next(n)
            return
        assert self.ring.remaining_capacity == self.model.room()
        expected = self.model.claim(n)
        high = self.ring.try_next(n)
        assert high == (FULL if expected is None else expected)
        if expected is not None:
            self.unpublished.append((high - n + 1, high))

    @precondition(lambda self: self.unpublished)
    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        # A single producer publishes in the order of its claims; several may finish in any order.
        index = data.draw(st.integers(0, len(self.unpublished) - 1)) if self.multi else 0
        low, high = self.unpublished.pop(index)
        for sequence in range(low, high + 1):
            self.ring[sequence] = ("event", sequence)
            self.model.publish(sequence, ("event", sequence))
        self.ring.publish(low, high)

    @rule(number=st.integers(0, 3), most=st.integers(1, 8))
    def consume(self, number: int, most: int) -> None:
        number %= len(self.after)
        expected = self.model.available(number, after=self.after[number])
        first = self.sequences[number].get() + 1
        available = self.barriers[number].available(first)
        assert [self.ring[s] for s in range(first, available + 1)] == expected
        if expected:
            taken = min(most, len(expected))
            self.model.consumed[number] += taken
            self.ring.advanced(self.sequences[number], first + taken - 1)
            self.barriers[number].arm(first + taken)

    @invariant()
    def who_may_consume_is_called(self) -> None:
        for number, others in enumerate(getattr(self, "after", [])):
            barrier, expected = self.barriers[number], self.model.available(number, after=others)
            while (called := readable(barrier)) and not expected:
                barrier.arm(self.sequences[number].get() + 1)  # for nothing: another one lags behind now
            assert called == bool(expected)


def readable(barrier: SequenceBarrier) -> bool:
    return bool(select.select([barrier], [], [], 0)[0])


RingMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestRing = RingMachine.TestCase


def test_an_alerted_barrier_raises_until_it_is_cleared() -> None:
    ring = RingBuffer(8)
    barrier = ring.barrier()
    barrier.alert()
    assert barrier.is_alerted
    with pytest.raises(Alert):
        barrier.wait(0)
    barrier.clear_alert()
    ring.put("x")
    assert barrier.wait(0) == 0


def test_fixed_size_events_are_bytes_of_that_size() -> None:
    ring = RingBuffer(2, event_bytes=4)
    with pytest.raises(ValueError, match="4 bytes"):
        ring[0] = b"too long"
    ring.put(b"abcd")
    assert ring[0] == b"abcd"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 3}, "power of two"),
        ({"size": 0}, "power of two"),
        ({"size": 4, "producers": "some"}, "producers"),
        ({"size": 4, "wait": "hope"}, "unknown wait strategy"),
        ({"size": 4, "event_bytes": -1}, "event_bytes"),
    ],
)
def test_a_senseless_ring_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RingBuffer(**arguments)


def test_an_event_of_the_wrong_size_claims_nothing() -> None:
    """A claimed slot that is never published would stop every consumer behind it."""
    ring = RingBuffer(2, event_bytes=4)
    for put in (ring.put, ring.try_put):
        for wrong in (b"abc", "abcd", None):
            with pytest.raises(ValueError, match="4 bytes"):
                put(wrong)
    assert ring.cursor.get() == -1
    assert ring.remaining_capacity == 2


def test_a_slot_keeps_its_object_until_it_is_forgotten_or_overwritten() -> None:
    class Event:
        pass

    ring = RingBuffer(2)
    sequence = Sequence()
    ring.gate(sequence)
    events = [Event() for _ in range(3)]
    gone = [weakref.ref(event) for event in events]
    ring.put(events[0])
    ring.put(events[1])
    ring.advanced(sequence, 1)
    del ring[1]
    assert ring[1] is None
    events[1:2] = []
    assert gone[1]() is None
    ring.put(events.pop())
    del events
    assert [event() is None for event in gone] == [True, True, False]


def test_a_cycle_through_a_ring_is_collected() -> None:
    class Event:
        ring: RingBuffer

    ring = RingBuffer(2)
    event = Event()
    event.ring = ring
    gone = weakref.ref(event)
    ring.put(event)
    del ring, event
    gc.collect()
    assert gone() is None


def test_a_cycle_of_a_ring_and_its_barrier_is_collected() -> None:
    """The collector may take the ring first: the barrier must not touch the ring's memory then (seen by ASan)."""

    class Owner:
        pass

    owner = Owner()
    ring = RingBuffer(2, wait="eventfd")
    owner.parts = [ring, ring.barrier(), owner]  # type: ignore[attr-defined]
    gone = weakref.ref(owner)
    del owner, ring
    gc.collect()
    assert gone() is None


def test_a_ring_has_a_limit_of_consumers_and_their_places_are_used_again() -> None:
    ring = RingBuffer(2, wait="eventfd")
    for wait in STRATEGIES:
        barriers = [ring.barrier(wait=wait) for _ in range(CONSUMERS_MAX // 2)]
        del barriers
    kept = [ring.barrier(wait="block") for _ in range(CONSUMERS_MAX // 2)]
    with pytest.raises(ValueError, match=f"more than {CONSUMERS_MAX} barriers"):
        kept += [ring.barrier() for _ in range(CONSUMERS_MAX)]
    with pytest.raises(ValueError, match="dependents"):
        ring.barrier(*[Sequence()] * (CONSUMERS_MAX + 1))
    with pytest.raises(ValueError, match="gating"):
        ring.gate(*[Sequence()] * (CONSUMERS_MAX + 1))


def test_only_a_consumer_of_an_event_loop_has_a_descriptor() -> None:
    ring = RingBuffer(2)
    for wait in STRATEGIES:
        barrier = ring.barrier(wait=wait)
        assert barrier.wait_strategy == wait
        if wait == "eventfd":
            assert barrier.fileno() >= 0
        else:
            with pytest.raises(ValueError, match="no file descriptor"):
                barrier.fileno()


def test_an_alert_makes_an_armed_descriptor_readable() -> None:
    barrier = RingBuffer(2).barrier(wait="eventfd")
    barrier.arm(0)
    assert not readable(barrier)
    barrier.alert()
    assert readable(barrier)
    barrier.arm(0)
    assert readable(barrier)
    barrier.clear_alert()
    barrier.arm(0)
    assert not readable(barrier)
