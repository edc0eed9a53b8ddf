from collections.abc import Callable
from typing import Any, Self, final

from nacosx._core.ring import RingBuffer, Sequence, SequenceBarrier

@final
class BatchEventProcessor:
    """Consumes a ring behind a barrier. `batch_max` bounds the events of one batch (0: all that is available)."""

    ring: RingBuffer
    barrier: SequenceBarrier
    sequence: Sequence
    running: bool

    def __new__(
        cls,
        ring: RingBuffer,
        barrier: SequenceBarrier,
        handler: Callable[[Any, int, bool], object],
        *,
        on_error: Callable[[Exception, int, Any], object] | None = None,
        batch_max: int = 0,
    ) -> Self: ...
    def run(self) -> None:
        """Consumes until halted. RuntimeError when it runs already."""

    def drain(self) -> int:
        """Consumes what is there now and returns how many events that were; arms the eventfd for the next ones."""

    def halt(self) -> None:
        """Stops `run` after the batch it is in; events not yet consumed stay for a later `run` or `drain`."""
