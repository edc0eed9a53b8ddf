from collections.abc import Callable
from typing import Any, Self, final

from nacosx._core.ring import RingBuffer, Sequence, SequenceBarrier

@final
class BatchEventProcessor:
    ring: RingBuffer
    barrier: SequenceBarrier
    sequence: Sequence
    running: bool

    def __new__(
        cls,
        ring: RingBuffer,
        barrier: SequenceBarrier,
        handler: Callable[[Any, int, bool], object] | None,
        *,
        on_error: Callable[[Exception, int, Any], object] | None = None,
        batch_max: int = 0,
        clear: bool = False,
    ) -> Self: ...
    def run(self) -> None: ...
    def drain(self) -> int: ...
    def take(self) -> list[Any]: ...
    def halt(self) -> None: ...
