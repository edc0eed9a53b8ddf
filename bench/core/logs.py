"""Appends to the log beside SOFAJRaft's RocksDBLogStorage and beside what the disk can do, as many bytes at once.

Ours is fed as a leader feeds it: a batch waits while another one is written, so the disk never waits for the caller; those
that wait together ride on one fdatasync. SOFAJRaft's storage takes one batch a call, which its LogManager makes in a thread of
its own; the calls alone are timed. The bare disk writes as many bytes a fdatasync as ours did in its last round, into space
that is preallocated file by file as in both logs.
"""

from __future__ import annotations

import os
import select
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.core.originals import Original
from bench.core.scenario import Effort, Rival, UnsoundError
from nacosx._core.entry import Entry, encode
from nacosx._core.wal import SEGMENT_BYTES, Wal

SIZES = (128, 1024)
BATCHES = (32, 256)
WAITING = 3  # batches on their way: while one is written, another one always waits


class LogScenario:
    def __init__(self, size: int, batch: int) -> None:
        self._size = size
        self._batch = batch
        self._entries_a_sync = batch  # of our last round
        self.name = f"append {batch} × {size} B"
        self.units: Mapping[str, str] = {"entries": "k/s", "fdatasyncs": "/s"}
        self.rivals: Mapping[str, Rival] = {"SOFAJRaft": self._sofa, "bare fdatasync": self._bare}

    def measure(self, effort: Effort) -> dict[str, float]:
        data = [os.urandom(self._size)] * self._batch
        with folder(effort) as directory:
            wal = Wal(str(directory / "wal"))
            try:
                syncs = wal.syncs
                started = time.perf_counter()
                for _ in range(WAITING):
                    wal.append(data, term=1)
                while (seconds := time.perf_counter() - started) < effort.append_s:
                    for _ in range(_answered(wal)):
                        wal.append(data, term=1)
                entries, syncs = wal.durable_index, wal.syncs - syncs
            finally:
                wal.close()
        self._entries_a_sync = round(entries / syncs)
        return {"entries": entries / seconds / 1e3, "fdatasyncs": syncs / seconds}

    def _sofa(self, originals: Mapping[str, Original], effort: Effort) -> dict[str, float]:
        with folder(effort) as directory:
            original = next(iter(originals.values()))
            figures = original.ask("log", directory / "rocks", self._size, self._batch, effort.append_s)
        return {"entries": figures["appends"] * self._batch / figures["nanoseconds"] * 1e6}

    def _bare(self, originals: Mapping[str, Original], effort: Effort) -> dict[str, float]:
        data = encode(Entry(1, 1, 1, os.urandom(self._size))) * self._entries_a_sync
        syncs = 0
        seconds = 0.0
        with folder(effort) as directory:
            while seconds < effort.append_s:
                fd = os.open(directory / f"file-{syncs}", os.O_RDWR | os.O_CREAT)
                try:
                    os.posix_fallocate(fd, 0, SEGMENT_BYTES)
                    os.fsync(fd)
                    offset = 0
                    started = time.perf_counter()
                    while (
                        offset + len(data) <= SEGMENT_BYTES
                        and time.perf_counter() - started + seconds < effort.append_s
                    ):
                        os.pwrite(fd, data, offset)
                        os.fdatasync(fd)
                        offset += len(data)
                        syncs += 1
                    seconds += time.perf_counter() - started
                finally:
                    os.close(fd)
        return {"fdatasyncs": syncs / seconds}


def _answered(wal: Wal) -> int:
    """Waits for the next answers; how many they are."""
    select.select([wal], [], [])
    answers = wal.completed()
    if any(error for _, error in answers):
        raise UnsoundError(f"an append failed: {answers}")
    return sum(count for count, _ in answers)


@contextmanager
def folder(effort: Effort) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="nacosx-bench-", dir=effort.data) as path:
        yield Path(path)


SCENARIOS = tuple(LogScenario(size, batch) for size in SIZES for batch in BATCHES)
