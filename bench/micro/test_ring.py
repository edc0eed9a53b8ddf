"""The ring from Python: what an event costs that is put, handed over in a batch and handled. In C threads: `bench core`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from nacosx._core.processor import BatchEventProcessor
from nacosx._core.ring import RingBuffer

BATCH = 1000  # events a round: its microseconds are nanoseconds for each


def ignore(event: Any, sequence: int, end_of_batch: bool) -> None:
    return None


@pytest.mark.parametrize("producers", ["single", "multi"])
@pytest.mark.parametrize("event_bytes", [0, 16], ids=["objects", "bytes"])
def test_put_and_handle(benchmark: BenchmarkFixture, producers: str, event_bytes: int) -> None:
    """All of it in one thread."""
    ring = RingBuffer(1024, producers=producers, event_bytes=event_bytes)
    processor = BatchEventProcessor(ring, ring.barrier(), ignore, clear=True)
    ring.gate(processor.sequence)
    event = bytes(16)

    def put_and_handle() -> int:
        for _ in range(BATCH):
            ring.put(event)
        return processor.drain()

    assert benchmark(put_and_handle) == BATCH


def test_wake_a_loop(benchmark: BenchmarkFixture) -> None:
    """From the put of one event until the loop has handled it, and armed the descriptor for the next."""
    loop = uvloop.new_event_loop()
    ring = RingBuffer(1024)
    handled: list[asyncio.Future[None]] = []
    processor = BatchEventProcessor(
        ring, ring.barrier(wait="eventfd"), lambda *_: handled.pop().set_result(None), clear=True
    )
    ring.gate(processor.sequence)
    loop.add_reader(processor.barrier.fileno(), processor.drain)
    processor.drain()

    def wake() -> None:
        handled.append(loop.create_future())
        future = handled[0]
        ring.put(None)
        loop.run_until_complete(future)

    benchmark(wake)
    assert processor.sequence.get() >= 0
    loop.remove_reader(processor.barrier.fileno())
    loop.close()
