"""The ring never loses, repeats, reorders or overtakes, whatever the topology and however consumers wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, precondition, rule

from nacosx._core.processor import BatchEventProcessor
from nacosx._core.ring import FULL, STRATEGIES, Alert, RingBuffer, Sequence
from tests.models.ring import RingModel

JOIN_SECONDS_MAX = 60


class RingMachine(RuleBasedStateMachine):
    """A diamond (1 and 2 after the producer, 3 after both) against the model; claims may be published out of order."""

    claims = Bundle("claims")

    @initialize(shift=st.integers(0, 4), multi=st.booleans())
    def build(self, shift: int, multi: bool) -> None:
        self.ring = RingBuffer(1 << shift, producers="multi" if multi else "single")
        self.multi = multi
        self.sequences = [Sequence() for _ in range(3)]
        first, second, last = self.sequences
        self.barriers = [self.ring.barrier(), self.ring.barrier(), self.ring.barrier(first, second)]
        self.ring.gate(last)
        self.model = RingModel(1 << shift, 3)
        self.unpublished: list[tuple[int, int]] = []
        self.events = 0

    @rule(n=st.integers(1, 16))
    def try_claim(self, n: int) -> None:
        if n > self.ring.size:
            with pytest.raises(ValueError, match="cannot claim"):
                self.ring.try_next(n)
            return
        # Only the last consumer gates; the others are never behind it.
        self.model.consumed = [sequence.get() for sequence in self.sequences]
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

    @rule(consumer=st.integers(0, 2), most=st.integers(1, 8))
    def consume(self, consumer: int, most: int) -> None:
        sequence, barrier = self.sequences[consumer], self.barriers[consumer]
        self.model.consumed = [other.get() for other in self.sequences]
        expected = self.model.available(consumer, after=[0, 1] if consumer == 2 else [])
        first = sequence.get() + 1
        available = barrier.available(first)
        assert [self.ring[s] for s in range(first, available + 1)] == expected
        if expected:
            sequence.set(min(available, first + most - 1))


RingMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestRing = RingMachine.TestCase


@contextmanager
def running(*targets: Callable[[], Any]) -> Iterator[list[threading.Thread]]:
    threads = [threading.Thread(target=target, daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    yield threads
    for thread in threads:
        thread.join(JOIN_SECONDS_MAX)
        assert not thread.is_alive()


class Recorder:
    """A handler that halts its processor after the last event."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.events: list[Any] = []
        self.batch_ends = 0
        self.processor: BatchEventProcessor | None = None

    def __call__(self, event: Any, sequence: int, end_of_batch: bool) -> None:
        self.events.append(event)
        self.batch_ends += end_of_batch
        if sequence == self.last:
            assert end_of_batch
            assert self.processor is not None
            self.processor.halt()


def consumer(
    ring: RingBuffer, *dependents: Sequence, last: int, **options: Any
) -> tuple[BatchEventProcessor, Recorder]:
    recorder = Recorder(last)
    processor = BatchEventProcessor(ring, ring.barrier(*dependents), recorder, **options)
    recorder.processor = processor
    return processor, recorder


@pytest.mark.parametrize("wait", STRATEGIES)
@pytest.mark.parametrize("producers", ["single", "multi"])
def test_python_threads_hand_over_every_event_in_order(wait: str, producers: str) -> None:
    count, writers = 2_000, 1 if producers == "single" else 3
    ring = RingBuffer(64, producers=producers, wait=wait)
    processor, recorder = consumer(ring, last=count * writers - 1)
    ring.gate(processor.sequence)

    def produce(writer: int) -> None:
        for n in range(count):
            ring.put((writer, n))

    with running(processor.run, *(lambda writer=writer: produce(writer) for writer in range(writers))):
        pass
    for writer in range(writers):
        assert [n for w, n in recorder.events if w == writer] == list(range(count))
    assert recorder.batch_ends >= 1


@pytest.mark.parametrize("topology", ["pipeline", "diamond", "multicast"])
def test_dependent_consumers_never_overtake_those_they_depend_on(topology: str) -> None:
    count = 3_000
    ring = RingBuffer(128, wait="block")
    first, first_seen = consumer(ring, last=count - 1)
    second, second_seen = consumer(ring, *([first.sequence] if topology == "pipeline" else []), last=count - 1)
    depends = {"pipeline": (second.sequence,), "diamond": (first.sequence, second.sequence), "multicast": ()}[topology]
    behind: list[int] = []

    def check(event: int, sequence: int, end_of_batch: bool) -> None:
        behind.extend(sequence for other in depends if other.get() < sequence)
        third_seen(event, sequence, end_of_batch)

    third_seen = Recorder(count - 1)
    third = BatchEventProcessor(ring, ring.barrier(*depends), check)
    third_seen.processor = third
    ring.gate(*([third.sequence] if depends else [first.sequence, second.sequence, third.sequence]))
    with running(first.run, second.run, third.run):
        for n in range(count):
            ring.put(n)
    assert first_seen.events == second_seen.events == third_seen.events == list(range(count))
    assert behind == []


def test_a_full_ring_refuses_and_goes_on_when_the_consumer_has_moved() -> None:
    ring = RingBuffer(4)
    processor, recorder = consumer(ring, last=99)
    ring.gate(processor.sequence)
    assert [ring.try_put(n) for n in range(5)] == [True, True, True, True, False]
    assert ring.try_next() == FULL
    assert processor.drain() == 4
    assert ring.try_put(4)
    assert processor.drain() == 1
    assert recorder.events == [0, 1, 2, 3, 4]


def test_batches_are_bounded_and_their_end_is_told() -> None:
    ring = RingBuffer(16)
    ends: list[int] = []
    processor = BatchEventProcessor(
        ring, ring.barrier(), lambda event, sequence, end: ends.append(sequence) if end else None, batch_max=4
    )
    ring.gate(processor.sequence)
    for n in range(10):
        ring.put(n)
    assert processor.drain() == 10
    assert ends == [3, 7, 9]


def test_a_handler_that_raises_loses_no_other_event() -> None:
    ring = RingBuffer(8)
    seen: list[int] = []
    failed: list[tuple[str, int, int]] = []

    def handler(event: int, sequence: int, end_of_batch: bool) -> None:
        if event % 2:
            raise RuntimeError(f"odd {event}")
        seen.append(event)

    processor = BatchEventProcessor(
        ring,
        ring.barrier(),
        handler,
        on_error=lambda error, sequence, event: failed.append((str(error), sequence, event)),
    )
    ring.gate(processor.sequence)
    for n in range(6):
        ring.put(n)
    assert processor.drain() == 6
    assert seen == [0, 2, 4]
    assert failed == [("odd 1", 1, 1), ("odd 3", 3, 3), ("odd 5", 5, 5)]


def test_without_an_error_handler_the_processor_ends_and_may_be_run_again() -> None:
    ring = RingBuffer(8)
    seen: list[int] = []

    def handler(event: int, sequence: int, end_of_batch: bool) -> None:
        if event == 1:
            raise RuntimeError("one")
        seen.append(event)

    processor = BatchEventProcessor(ring, ring.barrier(), handler)
    ring.gate(processor.sequence)
    for n in range(3):
        ring.put(n)
    with pytest.raises(RuntimeError, match="one"):
        processor.run()
    assert not processor.running
    assert processor.drain() == 1
    assert seen == [0, 2]


@pytest.mark.parametrize("wait", STRATEGIES)
def test_a_waiting_consumer_is_halted(wait: str) -> None:
    ring = RingBuffer(8, wait=wait)
    processor, recorder = consumer(ring, last=99)
    started = threading.Event()

    def run() -> None:
        started.set()
        processor.run()

    with running(run):
        assert started.wait(JOIN_SECONDS_MAX)
        processor.halt()
    assert recorder.events == []


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


def test_an_event_loop_is_woken_by_the_eventfd_and_never_polls() -> None:
    count = 5_000
    ring = RingBuffer(256, producers="multi", wait="eventfd")

    async def main() -> tuple[list[int], int]:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        seen: list[int] = []
        drains = 0

        def handler(event: int, sequence: int, end_of_batch: bool) -> None:
            seen.append(event)
            if sequence == count - 1:
                done.set_result(None)

        processor = BatchEventProcessor(ring, ring.barrier(), handler, batch_max=32)
        ring.gate(processor.sequence)

        def readable() -> None:
            nonlocal drains
            drains += 1
            processor.drain()

        loop.add_reader(ring.fileno(), readable)
        processor.drain()
        try:
            produced = loop.run_in_executor(None, lambda: [ring.put(n) for n in range(count)])
            await asyncio.wait_for(done, JOIN_SECONDS_MAX)
            await produced
        finally:
            loop.remove_reader(ring.fileno())
        return seen, drains

    seen, drains = asyncio.run(main())
    assert seen == list(range(count))
    assert 1 <= drains <= count + 1


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
