"""What a log believes after a crash: a torn end is cut, everything acknowledged is there, damage is refused by name.

The cases of etcd's wal tests (torn write at the end and in the middle, no slack space, a length beyond the end of the file, bad
checksums, a missing segment) and of r-nacos#50 and #282 (a half record that spoiled what was written after it).
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nacosx._core.wal import CorruptLogError
from tests.models.wal import SEGMENT_HEADER, Frame, SlowEntry, read_log, read_segment, write_segment
from tests.wal_directory import crashed, entries, opened, recovered, stored

SECTOR = 512


class Killed:
    """A log of a few segments that a kill has left behind: its last batch is there, but may not have been acknowledged."""

    def __init__(self, folder: Path, batches: list[list[bytes]]) -> None:
        self.folder = folder
        wal = opened(folder / "live")
        for batch in batches:
            stored(wal, *batch)
        self.entries = entries(wal)
        self.directory = crashed(folder / "live", folder / "killed")
        wal.close()
        self.acknowledged = self.entries[: -len(batches[-1])]
        self.paths = sorted(self.directory.glob("*.wal"))
        self.newest = read_segment(self.paths[-1])
        self.last = self.newest.frames[-1]


@pytest.fixture
def killed(tmp_path: Path) -> Killed:
    return Killed(tmp_path, [[b"%d" % n * 300] * 3 for n in range(1, 58)])


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def flip(path: Path, bit: int) -> None:
    byte = path.read_bytes()[bit // 8]
    overwrite(path, bit // 8, bytes([byte ^ 1 << bit % 8]))


def sectors(frame: Frame) -> Iterator[tuple[int, int]]:
    """The parts of a frame that reach the disk as one."""
    begin = frame.offset
    while begin < frame.offset + frame.size:
        end = min((begin // SECTOR + 1) * SECTOR, frame.offset + frame.size)
        yield begin, end
        begin = end


BATCHES = st.lists(
    st.lists(st.binary(max_size=1500).map(lambda b: b"\x01" + b), min_size=1, max_size=6), min_size=2, max_size=9
)


@settings(max_examples=150, deadline=None)
@given(BATCHES, st.data())
def test_any_part_of_the_last_write_may_be_missing(batches: list[list[bytes]], data: st.DataObject) -> None:
    """Power fails while the last frame is written: of its sectors any may be on disk. It is cut, whole."""
    with tempfile.TemporaryDirectory() as folder:
        killed = Killed(Path(folder), batches)
        parts = list(sectors(killed.last))
        missing = data.draw(st.sets(st.sampled_from(parts), min_size=1))
        for begin, end in missing:
            overwrite(killed.paths[-1], begin, bytes(end - begin))
        assert recovered(killed.directory) == killed.acknowledged
        assert read_log(killed.directory) == killed.acknowledged


@settings(max_examples=100, deadline=None)
@given(BATCHES, st.data())
def test_the_file_may_end_anywhere_in_the_last_write(batches: list[list[bytes]], data: st.DataObject) -> None:
    """A file that grows as it is written may end at any byte (a length beyond the end, no slack space)."""
    with tempfile.TemporaryDirectory() as folder:
        killed = Killed(Path(folder), batches)
        last = killed.last
        size = data.draw(st.integers(last.offset, last.offset + last.size))
        with killed.paths[-1].open("r+b") as file:
            file.truncate(size)
        whole = size == last.offset + last.size
        assert recovered(killed.directory) == (killed.entries if whole else killed.acknowledged)


@settings(max_examples=150, deadline=None)
@given(BATCHES, st.data())
def test_a_flipped_bit_in_what_was_written_is_refused(batches: list[list[bytes]], data: st.DataObject) -> None:
    """In any segment, in any frame, the last one included: refused with file and offset, and nothing on disk changes."""
    with tempfile.TemporaryDirectory() as folder:
        killed = Killed(Path(folder), batches)
        path = data.draw(st.sampled_from(killed.paths))
        segment = read_segment(path)
        flip(path, data.draw(st.integers(SEGMENT_HEADER * 8, segment.end * 8 - 1)))
        damaged = path.read_bytes()
        with pytest.raises(CorruptLogError) as caught:
            opened(killed.directory)
        assert caught.value.path == str(path)
        assert SEGMENT_HEADER <= caught.value.offset < segment.end
        assert f"{path}, byte {caught.value.offset}: " in str(caught.value)
        assert path.read_bytes() == damaged


def test_a_flipped_bit_behind_the_end_is_of_no_account(killed: Killed) -> None:
    flip(killed.paths[-1], (killed.newest.end + SECTOR) * 8)
    assert recovered(killed.directory) == killed.entries


def test_after_a_clean_stop_even_the_last_write_is_known_to_be_acknowledged(tmp_path: Path) -> None:
    """Sectors of zeros in the last frame look torn; the fence that a stop leaves behind it tells otherwise."""
    wal = opened(tmp_path)
    stored(wal, b"1")
    stored(wal, b"x" * 2000)
    wal.close()
    [path] = tmp_path.glob("*.wal")
    *_, damaged, fence = read_segment(path).frames
    assert fence.entries == []
    overwrite(path, damaged.offset + 600, bytes(1200))
    with pytest.raises(CorruptLogError, match="acknowledged entries follow at byte"):
        opened(tmp_path)


def test_a_torn_write_before_an_acknowledged_one_is_damage(killed: Killed) -> None:
    frame = killed.newest.frames[-2]
    overwrite(killed.paths[-1], frame.offset, bytes(frame.size))
    with pytest.raises(
        CorruptLogError, match=rf"byte {frame.offset}: here a frame should begin, and acknowledged entries"
    ):
        opened(killed.directory)


def test_what_is_written_after_a_cut_is_found_again(killed: Killed) -> None:
    """r-nacos#282: a half record made every later one unreadable. Here it is gone, its old bytes included."""
    last = killed.last
    overwrite(killed.paths[-1], (last.offset // SECTOR + 1) * SECTOR, bytes(SECTOR))
    wal = opened(killed.directory)
    assert wal.cut_bytes > 0
    stored(wal, b"short")
    assert entries(wal) == [*killed.acknowledged, SlowEntry(wal.last_index, 1, 1, b"short")]
    again = crashed(killed.directory, killed.folder / "again")
    wal.close()
    assert entries(wal) == recovered(again) == recovered(killed.directory)


def test_an_older_life_of_the_file_cannot_pass_for_entries(killed: Killed) -> None:
    """Bytes of another segment, intact in themselves, where the log ends: their salt and offset are not of this one."""
    other = killed.paths[0].read_bytes()
    frame = read_segment(killed.paths[0]).frames[0]
    overwrite(killed.paths[-1], killed.newest.end, other[frame.offset : frame.offset + frame.size])
    with pytest.raises(CorruptLogError, match=f"byte {killed.newest.end}: here a frame should begin"):
        opened(killed.directory)


def test_an_entry_that_holds_a_log_is_only_an_entry(tmp_path: Path, killed: Killed) -> None:
    """Torn, it is cut: the frames inside it do not count as acknowledged entries that follow."""
    inner = killed.paths[-1].read_bytes()[SEGMENT_HEADER : killed.newest.end]
    outer = Killed(tmp_path / "outer", [[b"1"], [inner]])
    overwrite(outer.paths[-1], outer.last.offset, bytes(SECTOR - outer.last.offset % SECTOR))
    assert recovered(outer.directory) == outer.acknowledged


def test_the_way_out_that_the_message_names_works(killed: Killed) -> None:
    flip(killed.paths[-1], (killed.last.offset + 100) * 8)
    with pytest.raises(CorruptLogError, match=f"truncate the file to {killed.last.offset} bytes"):
        opened(killed.directory)
    with killed.paths[-1].open("r+b") as file:
        file.truncate(killed.last.offset)
    assert recovered(killed.directory) == killed.acknowledged


def test_a_missing_segment_is_named(killed: Killed) -> None:
    killed.paths[1].unlink()
    with pytest.raises(
        CorruptLogError, match=f"{killed.paths[2]}, byte 0: the segment before it, {2:016x}, is missing"
    ):
        opened(killed.directory)


def test_a_segment_that_is_there_twice_is_named(killed: Killed) -> None:
    twin = killed.paths[1].with_name(f"{2:016x}-{999:016x}.wal")
    twin.write_bytes(killed.paths[1].read_bytes())
    with pytest.raises(CorruptLogError, match=f"segment {2:016x} is there twice"):
        opened(killed.directory)


def test_a_renamed_segment_is_named(killed: Killed) -> None:
    killed.paths[-1].rename(killed.paths[-1].with_name(f"{len(killed.paths):016x}-{1:016x}.wal"))
    with pytest.raises(CorruptLogError, match="byte 16: the file was renamed"):
        opened(killed.directory)


def test_a_segment_cut_short_under_its_successor_is_damage(killed: Killed) -> None:
    last = read_segment(killed.paths[0]).frames[-1]
    with killed.paths[0].open("r+b") as file:
        file.truncate(last.offset)
    with pytest.raises(CorruptLogError, match=f"{killed.paths[0]}, byte {last.offset}: .* later segments follow"):
        opened(killed.directory)


@pytest.mark.parametrize(
    ("offset", "data", "message"),
    [
        (0, b"ELF", "this is not a segment of a log"),
        (24, b"\x07", "the checksum of the header does not match"),
        (12, b"\0\0\0\0", "the checksum of the header does not match"),
    ],
)
def test_a_damaged_header_is_named(killed: Killed, offset: int, data: bytes, message: str) -> None:
    overwrite(killed.paths[-1], offset, data)
    with pytest.raises(CorruptLogError, match=f"{killed.paths[-1]}, byte 0: {message}"):
        opened(killed.directory)


def test_a_segment_without_a_whole_header_is_named(killed: Killed) -> None:
    with killed.paths[-1].open("r+b") as file:
        file.truncate(SEGMENT_HEADER - 1)
    with pytest.raises(CorruptLogError, match="shorter than the header"):
        opened(killed.directory)


def test_a_gap_between_entries_is_damage(tmp_path: Path) -> None:
    write_segment(tmp_path, 1, 0, 1, [[SlowEntry(1, 1, 1, b""), SlowEntry(3, 1, 1, b"")]])
    with pytest.raises(CorruptLogError, match=r"entry 3 \(kind 1\) follows entry 1"):
        opened(tmp_path)


def test_a_gap_between_segments_is_damage(tmp_path: Path) -> None:
    end = write_segment(tmp_path, 1, 0, 1, [[SlowEntry(1, 1, 1, b"")]])
    write_segment(tmp_path, 2, end, 5, [[SlowEntry(5, 1, 1, b"")]])
    with pytest.raises(CorruptLogError, match="the segment begins with entry 5 after entry 1"):
        opened(tmp_path)


def test_a_reset_that_a_crash_interrupted_is_finished(tmp_path: Path) -> None:
    """The new beginning is there, the files of before are not all gone: they go now."""
    end = write_segment(tmp_path, 1, 0, 1, [[SlowEntry(1, 1, 1, b"")]])
    write_segment(tmp_path, 2, end, 2, [[SlowEntry(2, 1, 1, b"")]])
    write_segment(tmp_path, 3, 0, 100, [[SlowEntry(100, 1, 1, b"new")]])
    assert recovered(tmp_path) == [SlowEntry(100, 1, 1, b"new")]
    assert len(list(tmp_path.glob("*.wal"))) == 1


def test_what_a_reset_has_forgotten_may_be_gone_in_any_order(tmp_path: Path) -> None:
    """Deletions that were not synced, or one that failed: gaps and damage before the new beginning are of no account."""
    end = write_segment(tmp_path, 1, 0, 1, [[SlowEntry(1, 1, 1, b"")]])
    end = write_segment(tmp_path, 3, end, 3, [[SlowEntry(3, 1, 1, b"")]])
    write_segment(tmp_path, 7, 0, 100, [[SlowEntry(100, 1, 1, b"new")]])
    (tmp_path / f"{3:016x}-{3:016x}.wal").write_bytes(b"damaged")
    assert recovered(tmp_path) == [SlowEntry(100, 1, 1, b"new")]
    assert len(list(tmp_path.glob("*.wal"))) == 1


def test_a_prefix_truncation_that_a_crash_interrupted_leaves_a_log(killed: Killed) -> None:
    killed.paths[0].unlink()
    left = [
        entry for entry in killed.entries if entry.index >= read_segment(killed.paths[1], SEGMENT_HEADER).first_index
    ]
    assert recovered(killed.directory) == left


def test_bytes_that_change_under_a_running_log_are_noticed_when_read(killed: Killed) -> None:
    wal = opened(killed.directory)
    flip(killed.paths[-1], (killed.last.offset + 60) * 8)
    with pytest.raises(CorruptLogError, match="has changed since it was written"):
        entries(wal)
    wal.close()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 5000))
def test_any_bytes_in_a_file_are_a_log_or_refused(data: bytes, offset: int) -> None:
    """Fuzz: no bytes crash the recovery or make it hang."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        write_segment(directory, 1, 0, 1, [[SlowEntry(1, 1, 1, b"one")], [SlowEntry(2, 1, 1, b"two" * 200)]])
        [path] = directory.glob("*.wal")
        overwrite(path, offset, data)
        found = []
        with contextlib.suppress(CorruptLogError):
            found = recovered(directory)
        assert found == [SlowEntry(1, 1, 1, b"one"), SlowEntry(2, 1, 1, b"two" * 200)][: len(found)]
