"""The segmented log behind `engine.ports.LogStorage`, on `_core.wal`."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Sequence

from nacosx._core.disk import Faults
from nacosx._core.disk_thread import DiskThread
from nacosx._core.entry import Entry
from nacosx._core.wal import READ_BYTES_MAX, SEGMENT_BYTES, Wal
from nacosx.engine.ports import OnDurable

log = logging.getLogger(__name__)


class SegmentedLog:
    """Reports what is on disk to the event loop: one wake-up a frame, however many appends rode on it."""

    __slots__ = ("_loop", "_waiting", "_wal")

    def __init__(
        self,
        directory: str | os.PathLike[str],
        loop: asyncio.AbstractEventLoop,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        disk: DiskThread | None = None,
        faults: Faults | None = None,
    ) -> None:
        """Recovers what is there. CorruptLogError or OSError when that cannot be. `disk`: who writes, for the logs of a node
        to share; None: a thread of its own."""
        self._wal = Wal(os.fspath(directory), segment_bytes=segment_bytes, disk=disk, faults=faults)
        self._loop = loop
        self._waiting: deque[tuple[int, OnDurable]] = deque()
        if self._wal.cut_bytes:
            log.warning("cut %d bytes of a write that a crash interrupted off the log", self._wal.cut_bytes)
        loop.add_reader(self._wal.fileno(), self._report)

    @property
    def first_index(self) -> int:
        return self._wal.first_index

    @property
    def last_index(self) -> int:
        return self._wal.last_index

    def append_entries(self, entries: Sequence[Entry], on_durable: OnDurable) -> int:
        last_index = self._wal.append_entries(entries)  # io
        self._waiting.append((last_index, on_durable))
        return last_index

    def truncate_suffix(self, last_index_kept: int, on_durable: OnDurable) -> None:
        self._wal.truncate_suffix(last_index_kept)  # io
        self._waiting.append((last_index_kept, on_durable))

    def get(self, index: int) -> Entry | None:
        return self._wal.get(index)

    def term(self, index: int) -> int | None:
        return self._wal.term(index)

    def entries(self, from_index: int, *, bytes_max: int = READ_BYTES_MAX) -> list[Entry]:
        return self._wal.read(from_index, bytes_max=bytes_max)

    def configurations(self) -> list[Entry]:
        return self._wal.configurations()

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
