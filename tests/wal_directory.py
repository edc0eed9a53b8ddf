"""A log in a directory, for tests: wait for the disk, crash, damage."""

from __future__ import annotations

import os
import select
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from nacosx._core.disk import Faults
from nacosx._core.wal import Wal
from tests.models.wal import SlowEntry

DEADLINE_S = 30


def settle(wal: Wal, operations: int) -> list[int]:
    """Waits until so many operations are reported; the errno of each."""
    outcomes: list[int] = []
    while len(outcomes) < operations:
        assert select.select([wal], [], [], DEADLINE_S)[0], f"{operations - len(outcomes)} operations were not reported"
        for count, error in wal.completed():
            outcomes += [error] * count
    assert len(outcomes) == operations
    return outcomes


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread does and does not report."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        os.sched_yield()


def stored(wal: Wal, *data: bytes, term: int = 1, kind: int = 1) -> int:
    """Appends and waits until it is on disk."""
    index = wal.append(data, term=term, kind=kind)
    assert settle(wal, 1) == [0]
    return index


def entries(wal: Wal, first_index: int | None = None, *, bytes_max: int = 1 << 20) -> list[SlowEntry]:
    """Everything on disk."""
    index = wal.first_index if first_index is None else first_index
    found = []
    while read := wal.read(index, bytes_max=bytes_max):
        found += [SlowEntry(entry.index, entry.term, entry.kind, entry.data) for entry in read]
        index = found[-1].index + 1
    return found


def crashed(directory: Path, copy: Path) -> Path:
    """What a process that is killed now leaves behind: a copy of the files as they are."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(directory, copy)
    return copy


def recovered(directory: Path) -> list[SlowEntry]:
    """Opens, reads and closes."""
    wal = Wal(str(directory), segment_bytes=SEGMENT_BYTES)
    try:
        return entries(wal)
    finally:
        wal.close()


SEGMENT_BYTES = 16 << 10  # small, so that tests meet many segments


def opened(directory: Path, faults: Faults | None = None) -> Wal:
    return Wal(str(directory), segment_bytes=SEGMENT_BYTES, faults=faults)
