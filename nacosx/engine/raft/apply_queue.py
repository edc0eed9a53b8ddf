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
    """`take()` returns the next tasks, in order, at most `apply_batch`; none: it is empty."""

    __slots__ = ("_drain", "_draining", "put", "take")

    def __init__(self, drain: Callable[[], None], *, size: int = QUEUE_SIZE, apply_batch: int = APPLY_BATCH) -> None:
        """`drain()` takes until the queue is empty."""
        ring = RingBuffer(size)
        processor = BatchEventProcessor(ring, ring.barrier(), None, batch_max=apply_batch, clear=True)
        ring.gate(processor.sequence)
        self._drain = drain
        self._draining = False
        self.put: Callable[[Task], bool] = ring.try_put  # False: the queue is full
        self.take: Callable[[], list[Task]] = processor.take

    def offer(self, task: Task) -> bool:
        """Puts it again and again while the queue is emptied. False: it stays full."""
        if self._draining:  # who empties it proposes
            return False
        self._draining = True
        try:
            for _ in range(OFFER_TRIES_MAX):
                self._drain()
                if self.put(task):
                    return True
        finally:
            self._draining = False
        return False
