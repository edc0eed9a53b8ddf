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

from nacosx._core.entry import Configuration, crc32c
from nacosx.engine.ports import Snapshot
from nacosx.storage.snapshots import BYTES_MAX, HEADER_BYTES, MAGIC, Content, SnapshotDirectory, read

ROOMS = {"naming": b"n" * 100, "config": b"c", "namespaces": b""}
MEMBERS = Configuration(["a", "b:3"], ["c"], ["a"], [])


def snapshot(index: int, rooms: dict[str, bytes] | None = None) -> Snapshot:
    return Snapshot(index, 5, MEMBERS, 77, ROOMS if rooms is None else rooms)


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def test_a_snapshot_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    snapshots = SnapshotDirectory(tmp_path / "snapshots")
    assert list(snapshots.load()) == []
    assert snapshots.save(snapshot(7)) == 7
    assert list(snapshots.load()) == list(SnapshotDirectory(tmp_path / "snapshots").load()) == [snapshot(7)]


def test_the_newest_two_are_kept_and_the_older_of_them_is_told(tmp_path: Path) -> None:
    snapshots = SnapshotDirectory(tmp_path)
    assert [snapshots.save(snapshot(index, {"at": b"%d" % index})) for index in (3, 300, 301)] == [3, 3, 300]
    assert list(snapshots.load()) == [snapshot(301, {"at": b"301"}), snapshot(300, {"at": b"300"})]
    assert names(tmp_path) == ["000000000000012c.snapshot", "000000000000012d.snapshot"]


def test_the_same_index_may_be_saved_again(tmp_path: Path) -> None:
    snapshots = SnapshotDirectory(tmp_path)
    snapshots.save(snapshot(3, {"a": b"1"}))
    assert snapshots.save(snapshot(3, {"a": b"2"})) == 3
    assert list(snapshots.load()) == [snapshot(3, {"a": b"2"})]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_any_damage_to_the_newest_falls_back_to_the_one_before(tmp_path: Path, data: st.DataObject) -> None:
    """A flipped bit, or a file that ends too early."""
    snapshots = SnapshotDirectory(tmp_path)
    snapshots.save(snapshot(1))
    snapshots.save(snapshot(2))
    newest = tmp_path / f"{2:016x}.snapshot"
    damaged = bytearray(newest.read_bytes())
    if data.draw(st.booleans()):
        bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
        damaged[bit // 8] ^= 1 << bit % 8
    else:
        del damaged[data.draw(st.integers(0, len(damaged) - 1)) :]
    newest.write_bytes(damaged)
    assert list(snapshots.load()) == [snapshot(1)]


@given(st.binary(max_size=60))
def test_any_bytes_are_a_snapshot_or_refused(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"not a snapshot|checksum"):
            read(path, 1)


def test_a_snapshot_of_a_later_format_is_skipped_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    snapshots = SnapshotDirectory(tmp_path)
    snapshots.save(snapshot(1))
    body = msgspec.msgpack.encode(Content(3, 9, 1, {}))
    (tmp_path / f"{9:016x}.snapshot").write_bytes(MAGIC + crc32c(body).to_bytes(4, "little") + body)
    assert list(snapshots.load()) == [snapshot(1)]
    assert "written by a later version (format 3, this one reads 2)" in caplog.text
    assert len(MAGIC) + 4 == HEADER_BYTES


def test_a_renamed_snapshot_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    snapshots = SnapshotDirectory(tmp_path)
    snapshots.save(snapshot(1))
    (tmp_path / f"{1:016x}.snapshot").rename(tmp_path / f"{2:016x}.snapshot")
    assert list(snapshots.load()) == []
    assert "it was renamed, it is of entry 1" in caplog.text


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    snapshots = SnapshotDirectory(tmp_path)
    snapshots.save(snapshot(1))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            snapshots.save(snapshot(2, {"config": bytes(5000)}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert list(snapshots.load()) == [snapshot(1)]
    assert names(tmp_path) == [f"{1:016x}.snapshot"]
    assert snapshots.save(snapshot(2, {"config": bytes(5000)})) == 1


def test_what_a_kill_left_half_written_is_no_snapshot(tmp_path: Path) -> None:
    snapshots = SnapshotDirectory(tmp_path)
    snapshots.save(snapshot(1))
    (tmp_path / "draft.tmp").write_bytes(MAGIC)
    assert list(SnapshotDirectory(tmp_path).load()) == [snapshot(1)]
    snapshots.save(snapshot(2))
    assert names(tmp_path) == [f"{1:016x}.snapshot", f"{2:016x}.snapshot"]


def test_format_1_knew_neither_members_nor_digest(tmp_path: Path) -> None:
    """What the group of one wrote before there were others."""
    body = msgspec.msgpack.encode({"format": 1, "index": 9, "term": 1, "rooms": ROOMS})
    (tmp_path / f"{9:016x}.snapshot").write_bytes(MAGIC + crc32c(body).to_bytes(4, "little") + body)
    assert list(SnapshotDirectory(tmp_path).load()) == [Snapshot(9, 1, None, 0, ROOMS)]


# --- from one member to another ------------------------------------------------------------------------------------------


def chunks(snapshots: SnapshotDirectory, index: int, size: int) -> list[bytes]:
    return [snapshots.read(index, offset, size) for offset in range(0, snapshots.size(index), size)]


def test_a_snapshot_travels_in_chunks_and_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    here, there = SnapshotDirectory(tmp_path / "here"), SnapshotDirectory(tmp_path / "there")
    here.save(snapshot(7))
    there.save(snapshot(3))
    incoming = there.receive(7, here.size(7))
    for chunk in chunks(here, 7, 10):
        assert list(there.load()) == [snapshot(3)]
        incoming.write(chunk)
    assert incoming.finish() == snapshot(7)
    assert list(there.load()) == [snapshot(7), snapshot(3)]
    assert names(tmp_path / "there") == [f"{3:016x}.snapshot", f"{7:016x}.snapshot"]


def test_what_is_not_the_snapshot_announced_does_not_become_one(tmp_path: Path) -> None:
    """Too much, too little, damaged, of another entry."""
    here, there = SnapshotDirectory(tmp_path / "here"), SnapshotDirectory(tmp_path / "there")
    here.save(snapshot(7))
    whole = here.read(7, 0, 10_000)
    for index, size, content, error in (
        (7, len(whole), whole + b"x", "bytes of the snapshot arrived"),
        (7, len(whole) + 1, whole, "1 bytes of the snapshot are missing"),
        (7, len(whole), whole[:-1] + b"x", "checksum"),
        (8, len(whole), whole, "it is of entry 7"),
    ):
        incoming = there.receive(index, size)
        with pytest.raises(ValueError, match=error):  # noqa: PT012 (either of them)
            incoming.write(content)
            incoming.finish()
        incoming.discard()
        assert names(tmp_path / "there") == []
    for size in (0, BYTES_MAX + 1):
        with pytest.raises(ValueError, match="are allowed"):
            there.receive(7, size)


def test_what_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    snapshots = SnapshotDirectory(tmp_path)
    for read_it in (lambda: snapshots.size(7), lambda: snapshots.read(7, 0, 10)):
        with pytest.raises(FileNotFoundError):
            read_it()
