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

    __slots__ = ("_processor", "_put", "_take", "_tasks", "drain")

    def __init__(
        self, take: Callable[[list[Task]], None], *, size: int = QUEUE_SIZE, apply_batch: int = APPLY_BATCH
    ) -> None:
        ring = RingBuffer(size)
        self._take = take
        self._tasks: list[Task] = []
        self._processor = BatchEventProcessor(ring, ring.barrier(), self._collect, batch_max=apply_batch, clear=True)
        ring.gate(self._processor.sequence)
        self._put = ring.try_put
        self.drain = self._processor.drain

    def offer(self, task: Task) -> bool:
        """False: the queue is full, and stays so."""
        if self._put(task):
            return True
        for _ in range(OFFER_TRIES_MAX):
            if self._processor.running:  # called by `take`
                return False
            self.drain()
            if self._put(task):
                return True
        return False

    def _collect(self, task: Task, _: int, end_of_batch: bool) -> None:
        self._tasks.append(task)
        if end_of_batch:
            tasks, self._tasks = self._tasks, []
            self._take(tasks)
