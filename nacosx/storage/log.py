"""The segmented log behind `engine.ports.LogStorage`, on `_core.wal`."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from nacosx._core.disk import Faults
from nacosx._core.wal import SEGMENT_BYTES, Wal

log = logging.getLogger(__name__)

# Alone there are no elections. A group of more members begins its first one at the next term.
TERM_ALONE = 1


class SegmentedLog:
    """Reports what is on disk to the event loop: one wake-up a frame, however many appends rode on it."""

    __slots__ = ("_loop", "_waiting", "_wal")

    def __init__(
        self,
        directory: str | os.PathLike[str],
        loop: asyncio.AbstractEventLoop,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        faults: Faults | None = None,
    ) -> None:
        """Recovers what is there. CorruptLogError or OSError when that cannot be."""
        self._wal = Wal(os.fspath(directory), segment_bytes=segment_bytes, faults=faults)
        self._loop = loop
        self._waiting: deque[tuple[int, Callable[[int, OSError | None], None]]] = deque()
        if self._wal.cut_bytes:
            log.warning("cut %d bytes of a write that a crash interrupted off the log", self._wal.cut_bytes)
        loop.add_reader(self._wal.fileno(), self._report)

    @property
    def first_index(self) -> int:
        return self._wal.first_index

    @property
    def last_index(self) -> int:
        return self._wal.last_index

    def append(self, entries: Sequence[bytes], on_durable: Callable[[int, OSError | None], None]) -> int:
        last_index = self._wal.append(entries, term=TERM_ALONE)  # io
        self._waiting.append((last_index, on_durable))
        return last_index

    def read(self, from_index: int) -> Iterator[tuple[int, bytes]]:
        while entries := self._wal.read(from_index):
            for entry in entries:
                yield entry.index, entry.data
            from_index = entries[-1].index + 1

    def truncate_prefix(self, first_index_kept: int) -> None:
        self._wal.truncate_prefix(first_index_kept)

    def reset(self, next_index: int) -> None:
        self._wal.reset(next_index)

    def close(self) -> None:
        self._loop.remove_reader(self._wal.fileno())
        self._wal.close()
        self._report()

    def _report(self) -> None:
        for appends, errno in self._wal.completed():
            error = OSError(errno, os.strerror(errno)) if errno else None
            for _ in range(appends):
                last_index, on_durable = self._waiting.popleft()
                on_durable(last_index, error)
