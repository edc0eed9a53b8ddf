"""A real disk that is full: a small tmpfs where one may be mounted, and a limit on the size of files everywhere."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from nacosx._core.wal import Wal
from tests.models.wal import SlowEntry, read_log
from tests.small_disk import small_disk_at
from tests.wal_directory import entries, recovered, settle, stored

SEGMENT_BYTES = 64 << 10


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """512 KiB."""
    with small_disk_at(tmp_path / "disk", "512k") as disk:
        yield disk


def fill(wal: Wal, acknowledged: list[SlowEntry]) -> int:
    """Appends until the disk refuses; the errno."""
    while True:
        data = b"%d " % (wal.last_index + 1) * 100
        wal.append([data], term=1)
        [error] = settle(wal, 1)
        if error:
            return error
        acknowledged.append(SlowEntry(wal.last_index, 1, 1, data))
        assert len(acknowledged) < 100_000


def test_a_full_disk_refuses_and_space_heals_without_a_restart(small_disk: Path) -> None:
    """Three times: full, an error and nothing half written; space, and it works again; a restart finds what was told."""
    ballast = [small_disk / f"ballast-{number}" for number in range(3)]
    for path in ballast:
        path.write_bytes(bytes(100 << 10))
    directory = small_disk / "log"
    wal = Wal(str(directory), segment_bytes=SEGMENT_BYTES)
    acknowledged: list[SlowEntry] = []
    try:
        for path in ballast:
            assert fill(wal, acknowledged) == errno.ENOSPC
            assert fill(wal, acknowledged) == errno.ENOSPC
            assert entries(wal) == acknowledged == read_log(directory)
            path.unlink()
            acknowledged.append(SlowEntry(stored(wal, b"space again"), 1, 1, b"space again"))
    finally:
        wal.close()
        del wal
    assert recovered(directory) == acknowledged
    assert len(acknowledged) > 300


def test_a_limit_on_file_size_is_met_like_a_full_disk(tmp_path: Path) -> None:
    """EFBIG in the middle of a write: what the kernel took is taken back."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    wal = Wal(str(tmp_path), segment_bytes=SEGMENT_BYTES)
    stored(wal, b"1")
    acknowledged = [SlowEntry(1, 1, 1, b"1")]
    resource.setrlimit(resource.RLIMIT_FSIZE, (40 << 10, limits[1]))
    try:
        assert fill(wal, acknowledged) == errno.EFBIG
        assert entries(wal) == acknowledged == read_log(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    stored(wal, b"no limit")
    acknowledged.append(SlowEntry(wal.last_index, 1, 1, b"no limit"))
    wal.close()
    assert recovered(tmp_path) == acknowledged
    assert os.listdir(tmp_path) == [f"{1:016x}-{1:016x}.wal"]
