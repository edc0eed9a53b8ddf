from collections.abc import Callable
from typing import Any, Final

from typing_extensions import disjoint_base

from nacosx._core.wheel import HashedWheelTimer, Timeout

NEVER_MS: Final[int]

@disjoint_base
class WheelDriver:
    wheel: HashedWheelTimer
    wakes_ms: int

    def __init__(self, clock: Any, *, timeouts_max: int = 0) -> None: ...
    def schedule(
        self, delay_ms: int, callback: Callable[[Any], object], argument: Any = None, since_ms: int | None = None
    ) -> Timeout: ...
    def restart(self, timeout: Timeout, delay_ms: int) -> bool: ...
    @property
    def pending(self) -> int: ...
    def now_ms(self) -> int: ...
    def wake_at(self, deadline_ms: int) -> None: ...
