"""Snapshots on disk: whole or not there, the newest two kept, a damaged one skipped."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nacosx._core.entry import crc32c
from nacosx.storage.snapshots import HEADER_BYTES, MAGIC, Content, SnapshotDirectory, read

ROOMS = {"naming": b"n" * 100, "config": b"c", "namespaces": b""}


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def test_a_snapshot_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    snapshots = SnapshotDirectory(tmp_path / "snapshots")
    assert list(snapshots.load()) == []
    assert snapshots.save(7, ROOMS) == 7
    assert list(snapshots.load()) == list(SnapshotDirectory(tmp_path / "snapshots").load()) == [(7, ROOMS)]


def test_the_newest_two_are_kept_and_the_older_of_them_is_told(tmp_path: Path) -> None:
    snapshots = SnapshotDirectory(tmp_path)
    assert [snapshots.save(index, {"at": b"%d" % index}) for index in (3, 300, 301)] == [3, 3, 300]
    assert list(snapshots.load()) == [(301, {"at": b"301"}), (300, {"at": b"300"})]
    assert names(tmp_path) == ["000000000000012c.snapshot", "000000000000012d.snapshot"]


def test_the_same_index_may_be_saved_again(tmp_path: Path) -> None:
    snapshots = SnapshotDirectory(tmp_path)
    snapshots.save(3, {"a": b"1"})
    assert snapshots.save(3, {"a": b"2"}) == 3
    assert list(snapshots.load()) == [(3, {"a": b"2"})]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_any_damage_to_the_newest_falls_back_to_the_one_before(tmp_path: Path, data: st.DataObject) -> None:
    """A flipped bit, or a file that ends too early."""
    snapshots = SnapshotDirectory(tmp_path)
    snapshots.save(1, ROOMS)
    snapshots.save(2, ROOMS)
    newest = tmp_path / f"{2:016x}.snapshot"
    damaged = bytearray(newest.read_bytes())
    if data.draw(st.booleans()):
        bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
        damaged[bit // 8] ^= 1 << bit % 8
    else:
        del damaged[data.draw(st.integers(0, len(damaged) - 1)) :]
    newest.write_bytes(damaged)
    assert list(snapshots.load()) == [(1, ROOMS)]


@given(st.binary(max_size=60))
def test_any_bytes_are_a_snapshot_or_refused(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"not a snapshot|checksum"):
            read(path)


def test_a_snapshot_of_a_later_format_is_skipped_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    snapshots = SnapshotDirectory(tmp_path)
    snapshots.save(1, ROOMS)
    body = msgspec.msgpack.encode(Content(2, 9, 1, {}))
    (tmp_path / f"{9:016x}.snapshot").write_bytes(MAGIC + crc32c(body).to_bytes(4, "little") + body)
    assert list(snapshots.load()) == [(1, ROOMS)]
    assert "written by a later version (format 2, this one reads 1)" in caplog.text
    assert len(MAGIC) + 4 == HEADER_BYTES


def test_a_renamed_snapshot_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    snapshots = SnapshotDirectory(tmp_path)
    snapshots.save(1, ROOMS)
    (tmp_path / f"{1:016x}.snapshot").rename(tmp_path / f"{2:016x}.snapshot")
    assert list(snapshots.load()) == []
    assert "it was renamed, it is of entry 1" in caplog.text


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    snapshots = SnapshotDirectory(tmp_path)
    snapshots.save(1, ROOMS)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            snapshots.save(2, {"config": bytes(5000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert list(snapshots.load()) == [(1, ROOMS)]
    assert names(tmp_path) == [f"{1:016x}.snapshot"]
    assert snapshots.save(2, {"config": bytes(5000)}) == 1


def test_what_a_kill_left_half_written_is_no_snapshot(tmp_path: Path) -> None:
    snapshots = SnapshotDirectory(tmp_path)
    snapshots.save(1, ROOMS)
    (tmp_path / "draft.tmp").write_bytes(MAGIC)
    assert list(SnapshotDirectory(tmp_path).load()) == [(1, ROOMS)]
    snapshots.save(2, ROOMS)
    assert names(tmp_path) == [f"{1:016x}.snapshot", f"{2:016x}.snapshot"]
