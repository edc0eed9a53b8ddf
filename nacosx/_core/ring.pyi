from typing import Any, Final, Self, final

STRATEGIES: Final[dict[str, int]]
FULL: Final[int]

class Alert(Exception): ...  # noqa: N818 (LMAX's name)

@final
class Sequence:
    def __new__(cls, initial: int = -1) -> Self: ...
    def get(self) -> int: ...
    def set(self, value: int) -> None: ...

@final
class RingBuffer:
    """See the module docstring for the words and the topologies.

    `size`: slots, a power of two. `producers`: "single" or "multi". `event_bytes`: 0 = Python objects. `wait`: a name in
    `STRATEGIES`. Raises ValueError for anything else.
    """

    size: int
    event_bytes: int
    multi_producer: bool
    cursor: Sequence
    wait_strategy: str

    def __new__(cls, size: int, *, producers: str = "single", event_bytes: int = 0, wait: str = "block") -> Self: ...
    def next(self, n: int = 1) -> int:
        """Claims `n` slots and returns the highest sequence; waits, without the GIL, while the ring is full."""

    def try_next(self, n: int = 1) -> int:
        """As `next`, but FULL (-1) at once when there is no room: the caller answers EBUSY."""

    def publish(self, low: int, high: int | None = None) -> None:
        """Publishes the claimed sequences low..high (one, if `high` is left out)."""

    def __setitem__(self, sequence: int, event: Any) -> None:
        """Writes the event of a claimed sequence. ValueError when bytes have the wrong length."""

    def __getitem__(self, sequence: int) -> Any:
        """The event of a published sequence."""

    def put(self, event: Any) -> int:
        """Claim, write and publish one event; waits while the ring is full. Returns its sequence."""

    def try_put(self, event: Any) -> bool:
        """As `put`, but False at once when the ring is full."""

    def gate(self, *sequences: Sequence) -> None:
        """Producers never overtake these consumers. Called before the first claim."""

    def barrier(self, *dependents: Sequence) -> SequenceBarrier:
        """What a consumer waits on: the producers, or the consumers whose sequences are given."""

    @property
    def remaining_capacity(self) -> int: ...
    def wake(self) -> None:
        """Makes the eventfd readable: for a consumer that gives the loop its turn before it has consumed everything."""

    def fileno(self) -> int:
        """The eventfd an event loop watches; ValueError for another wait strategy."""

@final
class SequenceBarrier:
    ring: RingBuffer

    def __new__(cls, ring: RingBuffer, dependents: tuple[Sequence, ...] = ()) -> Self: ...
    def wait(self, sequence: int) -> int:
        """The highest consumable sequence, at least `sequence`; waits without the GIL. Raises Alert when halted."""

    def arm(self, sequence: int) -> bool:
        """For an event loop that is about to sleep: True if the eventfd will wake it, False if there is work already."""

    def available(self, sequence: int) -> int:
        """The highest sequence that may be consumed now; `sequence` - 1 when there is nothing."""

    def alert(self) -> None:
        """Wakes everybody who waits on this barrier with `Alert`."""

    def clear_alert(self) -> None: ...
    @property
    def is_alerted(self) -> bool: ...
