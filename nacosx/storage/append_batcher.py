"""What waits for the disk, gathered into writes: SOFAJRaft's LogManagerImpl.AppendBatcher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

ENTRIES_MAX = 256  # limit: of one write; SOFAJRaft: the capacity of its batcher
BYTES_MAX = 256 << 10  # limit: a write is closed when it holds this; SOFAJRaft: maxAppendBufferSize


class Sized(Protocol):
    entries_count: int
    entries_bytes: int


T = TypeVar("T", bound=Sized)


class AppendBatcher(Generic[T]):
    """The handler of a batch event processor. `write` gets what has gathered, in order: whenever that reaches a limit, and
    at the end of the batch, when nothing more waits."""

    __slots__ = ("_bytes", "_entries", "_operations", "_write")

    def __init__(self, write: Callable[[list[T]], None]) -> None:
        self._write = write
        self._operations: list[T] = []
        self._entries = 0
        self._bytes = 0

    def __call__(self, operation: T, sequence: int, end_of_batch: bool) -> None:
        if self._operations and (
            self._entries + operation.entries_count > ENTRIES_MAX or self._bytes + operation.entries_bytes > BYTES_MAX
        ):
            self._flush()
        self._operations.append(operation)
        self._entries += operation.entries_count
        self._bytes += operation.entries_bytes
        if end_of_batch:
            self._flush()

    def _flush(self) -> None:
        operations, self._operations = self._operations, []
        self._entries = self._bytes = 0
        self._write(operations)
