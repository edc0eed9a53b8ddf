"""The topologies of the ring in C threads: who comes after whom, and what a run of them finds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection

import msgspec

from bench.core import build
from nacosx._core.ring import RingBuffer, Sequence

build.ring_threads()

from bench.core import ring_threads  # noqa: E402 (it has to be compiled first)


class Topology(msgspec.Struct, frozen=True):
    """Consumers are numbered; `after[i]` are those that consumer i depends on, `last` those that gate the ring."""

    name: str
    producers: int
    after: tuple[tuple[int, ...], ...]
    last: tuple[int, ...]


TOPOLOGIES = (
    Topology(name="1P1C", producers=1, after=((),), last=(0,)),
    Topology(name="3P1C", producers=3, after=((),), last=(0,)),
    Topology(name="pipeline", producers=1, after=((), (0,), (1,)), last=(2,)),
    Topology(name="diamond", producers=1, after=((), (), (0, 1)), last=(2,)),
    Topology(name="multicast", producers=1, after=((), (), ()), last=(0, 1, 2)),
)


class Run(msgspec.Struct, frozen=True):
    events: int  # published in all
    seconds: float
    wrong: int  # events lost, repeated or out of order, as seen by the consumers
    missing: int  # how much the sums of the consumers differ from what was published

    @property
    def sound(self) -> bool:
        return self.wrong == 0 and self.missing == 0

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds


def run(topology: Topology, *, wait: str, events: int, size: int = 1 << 16, batch: int = 1, idle_max: int = 0) -> Run:
    """Every producer publishes its share of `events` in claims of `batch`; every consumer checks all of them."""
    each = events // topology.producers // batch * batch
    ring = RingBuffer(size, producers="single" if topology.producers == 1 else "multi", event_bytes=8, wait=wait)
    sequences = [Sequence() for _ in topology.after]
    barriers = [ring.barrier(*(sequences[other] for other in others)) for others in topology.after]
    ring.gate(*(sequences[number] for number in topology.last))
    total = each * topology.producers
    found: list[tuple[int, int]] = []

    def consume(number: int) -> None:
        found.append(ring_threads.consume(barriers[number], sequences[number], total, topology.producers))

    def produce(number: int) -> None:
        ring_threads.produce(ring, each, batch, number, idle_max)

    seconds = _together(
        [(consume, number) for number in range(len(sequences))] + [(produce, n) for n in range(topology.producers)]
    )
    expected = topology.producers * (each * (each - 1) // 2)
    return Run(
        events=total,
        seconds=seconds,
        wrong=sum(wrong for wrong, _ in found),
        missing=sum(abs(expected - summed) for _, summed in found),
    )


def _together(calls: Collection[tuple[Callable[[int], None], int]]) -> float:
    """Calls all at once, each in a thread; returns how many seconds passed until the last returned."""
    barrier = threading.Barrier(len(calls) + 1)

    def begin(function: Callable[[int], None], number: int) -> None:
        barrier.wait()
        function(number)

    threads = [threading.Thread(target=begin, args=call) for call in calls]
    for thread in threads:
        thread.start()
    barrier.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started
