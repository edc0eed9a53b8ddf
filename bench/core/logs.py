"""Appends to the log beside SOFAJRaft's RocksDBLogStorage and beside what the disk can do, as many bytes at once.

Ours is fed as a leader feeds it: a batch waits while another one is written, so the disk never waits for the caller; those
that wait together ride on one fdatasync. SOFAJRaft's storage takes one batch a call, which its LogManager makes in a thread of
its own; the calls alone are timed.

The bare disk does what a log has to do at least: one pwrite of as many bytes as ours wrote a fdatasync, then fdatasync, in a
loop of one thread, into space that nothing was written to before, as a log does, and that is preallocated file by file, as in
both logs (making its files is not timed; ours makes its segments as it goes). Both take turns of some hundredths of a second:
the speed of a disk that others use, too, changes tenfold within seconds.
"""

from __future__ import annotations

import os
import select
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from bench.core.scenario import Effort, Rival, UnsoundError
from bench.java import Original
from nacosx._core.entry import Entry, encode
from nacosx._core.wal import SEGMENT_BYTES, Wal

SIZES = (128, 1024)
BATCHES = (32, 256)
WAITING = 3  # batches on their way: while one is written, another one always waits
TURN_S = 0.04


class LogScenario:
    def __init__(self, size: int, batch: int) -> None:
        self._size = size
        self._batch = batch
        self._bare_fdatasyncs = 0.0  # a second, in the turns between those of our last round
        self.name = f"append {batch} × {size} B"
        self.units: Mapping[str, str] = {"entries": "k/s", "fdatasyncs": "/s"}
        self.rivals: Mapping[str, Rival] = {"SOFAJRaft": self._sofa, "bare fdatasync": self._bare}

    def measure(self, effort: Effort) -> dict[str, float]:
        data = [os.urandom(self._size)] * self._batch
        encoded = encode(Entry(1, 1, 1, data[0]))
        seconds = 0.0
        with folder(effort) as directory, closing(Wal(str(directory / "wal"))) as wal:
            with closing(BareFiles(directory)) as bare:
                while seconds < effort.append_s:
                    entries, syncs = wal.durable_index, wal.syncs
                    seconds += _turn(wal, data)
                    bare.turn(encoded * ((wal.durable_index - entries) // (wal.syncs - syncs)))
            self._bare_fdatasyncs = bare.syncs / bare.seconds
            return {"entries": wal.durable_index / seconds / 1e3, "fdatasyncs": wal.syncs / seconds}

    def _sofa(self, originals: Mapping[str, Original], effort: Effort) -> dict[str, float]:
        with folder(effort) as directory:
            original = next(iter(originals.values()))
            figures = original.ask("log", directory / "rocks", self._size, self._batch, effort.append_s)
        return {"entries": figures["appends"] * self._batch / figures["nanoseconds"] * 1e6}

    def _bare(self, originals: Mapping[str, Original], effort: Effort) -> dict[str, float]:
        if not self._bare_fdatasyncs:
            self.measure(effort)
        return {"fdatasyncs": self._bare_fdatasyncs}


class BareFiles:
    """What the disk can do. `syncs` of them took `seconds`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._fd = -1
        self._offset = SEGMENT_BYTES
        self.syncs = 0
        self.seconds = 0.0

    def turn(self, data: bytes) -> None:
        seconds = 0.0
        while seconds < TURN_S:
            if self._offset + len(data) > SEGMENT_BYTES:
                self._next_file()
            started = time.perf_counter()
            os.pwrite(self._fd, data, self._offset)
            os.fdatasync(self._fd)
            seconds += time.perf_counter() - started
            self._offset += len(data)
            self.syncs += 1
        self.seconds += seconds

    def _next_file(self) -> None:
        self.close()
        self._fd = os.open(self._directory / f"bare-{self.syncs}", os.O_RDWR | os.O_CREAT)
        os.posix_fallocate(self._fd, 0, SEGMENT_BYTES)
        os.fsync(self._fd)
        self._offset = 0

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def _turn(wal: Wal, data: list[bytes]) -> float:
    """Appends for TURN_S, then waits for the last answer; how many seconds that took in all."""
    started = time.perf_counter()
    for _ in range(WAITING):
        wal.append(data, term=1)
    waiting = WAITING
    while waiting:
        answered = _answered(wal)
        if time.perf_counter() - started < TURN_S:
            for _ in range(answered):
                wal.append(data, term=1)
        else:
            waiting -= answered
    return time.perf_counter() - started


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
