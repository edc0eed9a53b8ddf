"""What is proposed, on its way to the rules: SOFAJRaft's apply queue, on the ring.

The ring is drained once per turn of the loop, in batches of `apply_batch`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from nacosx._core.processor import BatchEventProcessor
from nacosx._core.ring import RingBuffer

QUEUE_SIZE = 16384  # limit: proposals that wait for their turn; SOFAJRaft: disruptorBufferSize
OFFER_TRIES_MAX = 3  # before EBUSY; SOFAJRaft: MAX_APPLY_RETRY_TIMES
APPLY_BATCH = 32

# command, its bytes, who waits for it, the term it is meant for (None: any)
Task = tuple[Any, bytes, "asyncio.Future[Any]", int | None]


class ApplyQueue:
    """`take` gets the tasks, in order, at most `apply_batch` at once."""

    __slots__ = ("_draining", "_events", "_take", "put")

    def __init__(
        self, take: Callable[[list[Task]], None], *, size: int = QUEUE_SIZE, apply_batch: int = APPLY_BATCH
    ) -> None:
        ring = RingBuffer(size)
        processor = BatchEventProcessor(ring, ring.barrier(), None, batch_max=apply_batch, clear=True)
        ring.gate(processor.sequence)
        self._take = take
        self._events = processor.take
        self._draining = False
        self.put = ring.try_put  # False: the queue is full

    def offer(self, task: Task) -> bool:
        """Puts it again and again while the queue is emptied. False: it stays full."""
        for _ in range(OFFER_TRIES_MAX):
            if self._draining:  # `take` itself proposes
                return False
            self.drain()
            if self.put(task):
                return True
        return False

    def drain(self) -> None:
        self._draining = True
        try:
            while tasks := self._events():
                self._take(tasks)
        finally:
            self._draining = False
