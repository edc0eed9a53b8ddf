"""Consumers take every event once and in order, whatever the topology and however they wait, in threads and on a loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

from nacosx._core.processor import BatchEventProcessor
from nacosx._core.ring import FULL, STRATEGIES, RingBuffer, Sequence

JOIN_SECONDS_MAX = 60


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


# --- on an event loop ------------------------------------------------------------------------------------------------


class LoopConsumer:
    """A processor that a loop drains whenever its descriptor is readable; `done` when it has seen the last event."""

    def __init__(self, ring: RingBuffer, *dependents: Sequence, last: int, **options: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.last = last
        self.done = self.loop.create_future()
        self.seen: list[Any] = []
        self.drains = 0
        barrier = ring.barrier(*dependents, wait="eventfd")
        self.processor = BatchEventProcessor(ring, barrier, self.handle, **options)
        self.loop.add_reader(barrier.fileno(), self.readable)
        self.processor.drain()

    def handle(self, event: Any, sequence: int, end_of_batch: bool) -> None:
        self.seen.append(event)
        if sequence == self.last:
            self.done.set_result(None)

    def readable(self) -> None:
        self.drains += 1
        self.processor.drain()

    async def finished(self) -> None:
        await asyncio.wait_for(self.done, JOIN_SECONDS_MAX)
        self.loop.remove_reader(self.processor.barrier.fileno())


LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


@LOOPS
def test_an_event_loop_is_woken_by_the_eventfd_and_never_polls(new_loop: Any) -> None:
    count = 5_000
    ring = RingBuffer(256, producers="multi")

    async def main() -> LoopConsumer:
        consumer = LoopConsumer(ring, last=count - 1, batch_max=32, clear=True)
        ring.gate(consumer.processor.sequence)
        produced = consumer.loop.run_in_executor(None, lambda: [ring.put(n) for n in range(count)])
        await consumer.finished()
        await produced
        return consumer

    with asyncio.Runner(loop_factory=new_loop) as runner:
        consumer = runner.run(main())
    assert consumer.seen == list(range(count))
    assert 1 <= consumer.drains <= 2 * count + 1


@LOOPS
def test_a_diamond_stands_on_one_loop(new_loop: Any) -> None:
    """Each of the three is called by those it comes after; the last one by whichever of the two lags behind."""
    count = 2_000
    ring = RingBuffer(64)

    async def main() -> list[LoopConsumer]:
        left = LoopConsumer(ring, last=count - 1, batch_max=3)
        right = LoopConsumer(ring, last=count - 1)
        last = LoopConsumer(ring, left.processor.sequence, right.processor.sequence, last=count - 1, batch_max=7)
        ring.gate(last.processor.sequence)
        produced = left.loop.run_in_executor(None, lambda: [ring.put(n) for n in range(count)])
        for consumer in (left, right, last):
            await consumer.finished()
        await produced
        return [left, right, last]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        for consumer in runner.run(main()):
            assert consumer.seen == list(range(count))


def test_a_loop_hands_on_to_a_thread_and_a_thread_to_a_loop() -> None:
    """The way of an entry: the loop publishes, a thread writes, the loop answers."""
    count = 3_000
    ring = RingBuffer(4096)
    writer, written = consumer(ring, last=count - 1)

    async def main() -> list[Any]:
        answers = LoopConsumer(ring, writer.sequence, last=count - 1, clear=True)
        ring.gate(answers.processor.sequence)
        for n in range(count):
            assert ring.try_put(n)
            if n % 100 == 0:
                await asyncio.get_running_loop().run_in_executor(None, int)
        await answers.finished()
        return answers.seen

    with running(writer.run):
        assert asyncio.run(main()) == written.events == list(range(count))


def test_a_handler_that_raises_on_a_loop_is_called_again_for_the_next_event() -> None:
    count = 50
    ring = RingBuffer(64)
    errors: list[dict[str, Any]] = []

    async def main() -> list[Any]:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
        consumer = LoopConsumer(ring, last=count - 1)
        ring.gate(consumer.processor.sequence)
        handle = consumer.handle

        def broken(event: int, sequence: int, end_of_batch: bool) -> None:
            handle(event, sequence, end_of_batch)
            if event % 10 == 0:
                raise RuntimeError(event)

        loud = BatchEventProcessor(ring, ring.barrier(wait="eventfd"), broken)
        consumer.loop.remove_reader(consumer.processor.barrier.fileno())
        consumer.processor = loud
        consumer.loop.add_reader(loud.barrier.fileno(), loud.drain)
        for n in range(count):
            ring.put(n)
        loud.barrier.arm(0)
        await consumer.finished()
        return consumer.seen

    assert asyncio.run(main()) == list(range(count))
    assert [context["exception"].args[0] for context in errors] == [0, 10, 20, 30, 40]


# --- rules of one processor ------------------------------------------------------------------------------------------


def test_a_processor_is_not_entered_twice() -> None:
    ring = RingBuffer(8)
    refused: list[str] = []

    def handler(event: Any, sequence: int, end_of_batch: bool) -> None:
        for enter in (processor.drain, processor.run):
            with pytest.raises(RuntimeError, match="runs already"):
                enter()
            refused.append(event)

    processor = BatchEventProcessor(ring, ring.barrier(), handler)
    ring.gate(processor.sequence)
    ring.put("a")
    assert processor.drain() == 1
    assert refused == ["a", "a"]
    assert not processor.running


def test_a_barrier_is_for_one_consumer() -> None:
    """Of two threads that wait on one barrier the second is refused, and the first is not disturbed."""
    ring = RingBuffer(8)
    barrier = ring.barrier()
    outcomes: queue.Queue[int | str] = queue.Queue()

    def wait() -> None:
        try:
            outcomes.put(barrier.wait(0))
        except RuntimeError as error:
            outcomes.put(str(error))

    with running(wait, wait):
        assert outcomes.get(timeout=JOIN_SECONDS_MAX) == "a barrier is for one consumer"
        ring.put("x")
        assert outcomes.get(timeout=JOIN_SECONDS_MAX) == 0


def test_a_halted_processor_leaves_the_rest_for_a_drain() -> None:
    ring = RingBuffer(8)
    seen: list[int] = []

    def handler(event: int, sequence: int, end_of_batch: bool) -> None:
        seen.append(event)
        if event == 1:
            processor.halt()

    processor = BatchEventProcessor(ring, ring.barrier(), handler, batch_max=2)
    ring.gate(processor.sequence)
    for n in range(5):
        ring.put(n)
    processor.run()
    assert seen == [0, 1]
    assert processor.drain() == 3
    assert seen == [0, 1, 2, 3, 4]
    processor.halt()
    processor.run()  # halted before it ran: ends at once, and the next one runs
    assert not processor.barrier.is_alerted


def test_the_last_consumer_may_have_the_ring_forget_what_was_handled() -> None:
    ring = RingBuffer(4)
    first = BatchEventProcessor(ring, ring.barrier(), lambda event, sequence, end: None)
    last = BatchEventProcessor(
        ring, ring.barrier(first.sequence), lambda *_: 1 / 0, on_error=lambda *_: None, clear=True
    )
    ring.gate(last.sequence)
    for n in range(3):
        ring.put(n)
    assert (first.drain(), [ring[n] for n in range(3)]) == (3, [0, 1, 2])
    assert (last.drain(), [ring[n] for n in range(3)]) == (3, [None, None, None])


def test_bytes_of_a_fixed_size_pass_between_python_threads() -> None:
    count = 2_000
    ring = RingBuffer(32, producers="multi", event_bytes=8)
    processor, recorder = consumer(ring, last=2 * count - 1)
    ring.gate(processor.sequence)

    def produce(first: int) -> None:
        for n in range(first, first + count):
            ring.put(n.to_bytes(8, "little"))

    with running(processor.run, lambda: produce(0), lambda: produce(count)):
        pass
    assert sorted(int.from_bytes(event, "little") for event in recorder.events) == list(range(2 * count))


def test_a_consumer_takes_what_is_there_as_lists_of_a_batch_at_most() -> None:
    ring = RingBuffer(8)
    processor = BatchEventProcessor(ring, ring.barrier(), None, batch_max=3, clear=True)
    ring.gate(processor.sequence)
    assert processor.take() == []
    expected = []
    taken: list[int] = []
    for first in range(0, 40, 5):
        for number in range(first, first + 5):
            assert ring.try_put(number)
            expected.append(number)
        while events := processor.take():
            assert 0 < len(events) <= 3
            taken += events
    assert taken == expected
    assert ring.remaining_capacity == 8
    assert all(ring.try_put(number) for number in range(8))
    assert not ring.try_put(8)
    assert processor.take() == [0, 1, 2]
    assert ring.try_put(8)


def test_a_handler_cannot_take_what_it_is_being_handed() -> None:
    ring = RingBuffer(8)
    refused: list[Exception] = []

    def handle(event: Any, sequence: int, end_of_batch: bool) -> None:
        try:
            processor.take()
        except RuntimeError as error:
            refused.append(error)

    processor = BatchEventProcessor(ring, ring.barrier(), handle, clear=True)
    ring.gate(processor.sequence)
    ring.put("one")
    assert processor.drain() == 1
    assert len(refused) == 1
