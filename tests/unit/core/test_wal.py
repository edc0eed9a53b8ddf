"""The log against its slow twin: what the operations mean, the bytes of its files, group commit, limits."""

from __future__ import annotations

import select
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nacosx._core.disk import Faults
from nacosx._core.entry import CONFIGURATION, Entry
from nacosx._core.wal import DATA_BYTES_MAX, Wal
from tests.models.wal import SlowEntry, SlowLog, read_log, write_segment
from tests.wal_directory import crashed, entries, opened, recovered, settle, stored

DATA = st.lists(st.binary(max_size=3000), min_size=1, max_size=8)


class WalMachine(RuleBasedStateMachine):
    """Whatever is appended, truncated, reset, closed or killed: the log holds what its slow twin holds."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="wal-")
        self.directory = Path(self.folder.name) / "log"
        self.generation = 0

    @initialize()
    def begin(self) -> None:
        self.wal = opened(self.directory)
        self.slow = SlowLog()
        self.queued = 0

    @rule(data=DATA, term=st.integers(0, 2**64 - 1), kind=st.integers(1, 254))
    def append(self, data: list[bytes], term: int, kind: int) -> None:
        assert self.wal.append(data, term=term, kind=kind) == self.slow.append(data, term, kind)
        self.queued += 1

    @rule(
        items=st.lists(
            st.tuples(st.integers(1, 3), st.integers(1, 4), st.binary(max_size=2000)), min_size=1, max_size=8
        )
    )
    def append_entries(self, items: list[tuple[int, int, bytes]]) -> None:
        """As a follower gets them: several terms and kinds in one operation."""
        following = [Entry(self.slow.last_index + 1 + number, *item) for number, item in enumerate(items)]
        assert self.wal.append_entries(following) == following[-1].index
        for term, kind, data in items:
            self.slow.append([data], term, kind)
        self.queued += 1

    @precondition(lambda self: self.slow.entries)
    @rule(data=st.data())
    def truncate_suffix(self, data: st.DataObject) -> None:
        kept = data.draw(st.integers(self.slow.first_index - 1, self.slow.last_index))
        self.wal.truncate_suffix(kept)
        self.slow.truncate_suffix(kept)
        self.queued += 1

    @rule()
    def wait(self) -> None:
        assert settle(self.wal, self.queued) == [0] * self.queued
        self.queued = 0
        assert self.wal.durable_index == self.slow.last_index

    @rule(data=st.data())
    def truncate_prefix(self, data: st.DataObject) -> None:
        self.wait()
        kept = data.draw(st.integers(0, self.slow.last_index + 1))
        self.wal.truncate_prefix(kept)
        self.slow.truncate_prefix(kept)

    @rule(next_index=st.integers(1, 2**63))
    def reset(self, next_index: int) -> None:
        self.wait()
        self.wal.reset(next_index)
        self.slow.reset(next_index)

    @rule(data=st.data(), bytes_max=st.integers(1, 5000))
    def read(self, data: st.DataObject, bytes_max: int) -> None:
        self.wait()
        first = data.draw(st.integers(self.slow.first_index, self.slow.last_index + 2))
        assert entries(self.wal, first, bytes_max=bytes_max) == [e for e in self.slow.entries if e.index >= first]

    @rule(data=st.data())
    def look_up(self, data: st.DataObject) -> None:
        self.wait()
        slow = {entry.index: entry for entry in self.slow.entries}
        index = data.draw(st.integers(max(self.slow.first_index - 2, 0), self.slow.last_index + 2))
        found = self.wal.get(index)
        assert (None if found is None else SlowEntry(found.index, found.term, found.kind, found.data)) == slow.get(
            index
        )
        assert self.wal.term(index) == (slow[index].term if index in slow else None)
        configurations = [entry.index for entry in self.slow.entries if entry.kind == CONFIGURATION]
        assert [entry.index for entry in self.wal.configurations()] == configurations

    @rule()
    def reopen(self) -> None:
        self.wal.close()
        self.queued = 0
        assert self.read_back(read_log(self.directory)) == self.slow.entries
        self.wal = opened(self.directory)
        self.check_reopened()

    @rule()
    def kill(self) -> None:
        self.wait()
        self.generation += 1
        copy = crashed(self.directory, Path(self.folder.name) / f"log-{self.generation}")
        self.wal.close()
        self.directory = copy
        self.wal = opened(copy)
        self.check_reopened()

    def check_reopened(self) -> None:
        assert self.wal.cut_bytes == 0
        assert self.wal.last_index == self.slow.last_index
        assert self.read_back(entries(self.wal)) == self.slow.entries
        # What a prefix truncation has left in whole files is there again; the twin forgets it anew.
        self.wal.truncate_prefix(self.slow.first_index)

    def read_back(self, found: list[SlowEntry]) -> list[SlowEntry]:
        return [entry for entry in found if entry.index >= self.slow.first_index]

    @invariant()
    def indexes_agree(self) -> None:
        assert (self.wal.first_index, self.wal.last_index) == (self.slow.first_index, self.slow.last_index)

    def teardown(self) -> None:
        if hasattr(self, "wal"):
            self.wal.close()
        self.folder.cleanup()


WalMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestWalMachine = WalMachine.TestCase


def test_everything_that_waits_rides_on_one_fdatasync(tmp_path: Path) -> None:
    """While the disk syncs one frame, what arrives gathers; it is written as one frame."""
    faults = Faults()
    wal = opened(tmp_path, faults)
    faults.hold()
    wal.append([b"first"], term=1)
    faults.wait_held()
    writes = faults.calls("write")
    for number in range(100):
        wal.append([b"entry %d" % number], term=1)
    assert (wal.last_index, wal.durable_index, entries(wal)) == (101, 0, [])
    assert not select.select([wal], [], [], 0)[0]
    faults.release()
    assert settle(wal, 101) == [0] * 101
    assert wal.syncs == 2
    assert faults.calls("write") == writes + 1
    assert wal.durable_index == 101
    wal.close()


def test_the_outcome_of_many_appends_is_one_wakeup(tmp_path: Path) -> None:
    faults = Faults()
    wal = opened(tmp_path, faults)
    faults.hold()
    wal.append([b"first"], term=1)
    faults.wait_held()
    wal.append([b"second", b"third"], term=1)
    wal.append([b"fourth"], term=1)
    faults.release()
    wal.close()
    assert wal.completed() == [(3, 0)]
    assert wal.completed() == []


def test_the_twin_writes_what_the_log_reads(tmp_path: Path) -> None:
    """Several segments, a truncated suffix across them, leftovers of a failed write behind the end of one."""
    written = [SlowEntry(index, 1, 1, b"%d" % index) for index in range(1, 8)]
    end = write_segment(tmp_path, 5, 0, 1, [written[:2], written[2:3]])
    with (tmp_path / f"{5:016x}-{1:016x}.wal").open("ab") as file:
        file.write(b"left by a write that failed")
    end = write_segment(tmp_path, 6, end, 4, [[SlowEntry(2, 0, 255, b"")], [], [*written[2:5]]])
    write_segment(tmp_path, 7, end, 6, [written[5:]])
    assert recovered(tmp_path) == written == read_log(tmp_path)


def test_a_log_may_begin_below_its_oldest_segment_after_a_truncated_suffix(tmp_path: Path) -> None:
    """The files of the forgotten entries are gone; the suffix that was cut reached below what is left."""
    rest = [SlowEntry(51, 2, 1, b"new"), SlowEntry(52, 2, 1, b"newer")]
    write_segment(tmp_path, 3, 0x2000, 100, [[SlowEntry(100, 1, 1, b"old"), SlowEntry(50, 0, 255, b""), *rest]])
    assert recovered(tmp_path) == rest


def test_a_frame_larger_than_a_segment_gets_one_that_fits(tmp_path: Path) -> None:
    wal = opened(tmp_path)
    stored(wal, b"before")
    stored(wal, bytes(range(256)) * 400)
    stored(wal, b"after")
    assert wal.segments == 3
    wal.close()
    assert [len(entry.data) for entry in recovered(tmp_path)] == [6, 102400, 5]


def test_whole_segments_go_and_the_space_that_a_full_one_did_not_use(tmp_path: Path) -> None:
    faults = Faults()
    wal = opened(tmp_path, faults)
    for number in range(40):
        stored(wal, bytes([number + 1]) * 1000)
    assert wal.segments == 4
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("*.wal"))]
    assert sizes == [sizes[0]] * 3 + [16 << 10]
    assert sizes[0] < 16 << 10
    wal.truncate_prefix(25)
    assert entries(wal)[0].index == 25
    wal.close()  # waits for the disk thread
    assert (wal.first_index, wal.segments, faults.calls("unlink")) == (25, 2, 2)
    assert recovered(tmp_path)[0].index == 23


def test_the_last_segment_stays_when_everything_is_forgotten(tmp_path: Path) -> None:
    wal = opened(tmp_path)
    stored(wal, b"one", b"two")
    wal.truncate_prefix(3)
    assert (wal.first_index, wal.last_index, entries(wal)) == (3, 2, [])
    assert stored(wal, b"three") == 3
    wal.close()


def test_more_than_the_limit_does_not_wait(tmp_path: Path) -> None:
    """The limit counts what is not yet being written; a single append may be larger."""
    faults = Faults()
    wal = Wal(str(tmp_path), pending_bytes_max=1000, faults=faults)
    faults.hold()
    wal.append([bytes(5000)], term=1)
    faults.wait_held()
    wal.append([bytes(900)], term=1)
    with pytest.raises(OSError, match="too much waits for the disk"):
        wal.append([bytes(900)], term=1)
    faults.release()
    assert settle(wal, 2) == [0, 0]
    assert stored(wal, bytes(900)) == 3
    wal.close()


def test_what_is_no_entry_is_refused_and_nothing_is_queued(tmp_path: Path) -> None:
    wal = opened(tmp_path)
    with pytest.raises(ValueError, match="at most 16777216"):
        wal.append([b"good", bytes(DATA_BYTES_MAX + 1)], term=1)
    with pytest.raises(ValueError, match="at least one entry"):
        wal.append([], term=1)
    with pytest.raises(ValueError, match="a kind from 1 to 254"):
        wal.append([b""], term=1, kind=255)
    with pytest.raises(TypeError):
        wal.append(["text"], term=1)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="an entry is bytes"):
        wal.append([None], term=1)  # type: ignore[list-item]
    assert wal.last_index == 0
    assert stored(wal, b"good") == 1
    wal.close()


def test_entries_that_do_not_follow_are_refused_and_nothing_is_queued(tmp_path: Path) -> None:
    wal = opened(tmp_path)
    stored(wal, b"1", b"2")
    with pytest.raises(ValueError, match="entry 4 does not follow the last one, 2"):
        wal.append_entries([Entry(4, 1, 1, b"")])
    with pytest.raises(ValueError, match="entry 5 does not follow entry 3"):
        wal.append_entries([Entry(3, 1, 1, b""), Entry(5, 1, 1, b"")])
    with pytest.raises(ValueError, match="at least one entry"):
        wal.append_entries([])
    for kind in (0, 255):
        with pytest.raises(ValueError, match="a kind from 1 to 254"):
            wal.append_entries([Entry(3, 1, kind, b"")])
    with pytest.raises(TypeError):
        wal.append_entries([b"3"])  # type: ignore[list-item]
    assert wal.last_index == 2
    assert wal.append_entries([Entry(3, 7, 1, b"3")]) == 3
    wal.close()


def test_indexes_that_are_not_there_are_refused(tmp_path: Path) -> None:
    wal = opened(tmp_path)
    stored(wal, b"1", b"2", b"3")
    wal.truncate_prefix(2)
    with pytest.raises(ValueError, match="no longer kept, the first is 2"):
        wal.read(1)
    with pytest.raises(ValueError, match="entry 4 is not in the log"):
        wal.truncate_suffix(4)
    with pytest.raises(ValueError, match="entry 0 is not in the log"):
        wal.truncate_suffix(0)
    with pytest.raises(ValueError, match="entry 4 is not on disk"):
        wal.truncate_prefix(5)
    with pytest.raises(ValueError, match="indexes begin at 1"):
        wal.reset(0)
    assert wal.read(4) == wal.read(2**63) == []
    wal.close()


def test_entries_that_wait_keep_a_reset_away(tmp_path: Path) -> None:
    faults = Faults()
    wal = opened(tmp_path, faults)
    faults.hold()
    wal.append([b"1"], term=1)
    with pytest.raises(ValueError, match="wait for the disk"):
        wal.reset(7)
    faults.release()
    settle(wal, 1)
    wal.reset(7)
    assert (wal.first_index, wal.last_index) == (7, 6)
    wal.close()


def test_a_closed_log_takes_nothing_and_still_tells_what_became_of_the_last(tmp_path: Path) -> None:
    wal = opened(tmp_path)
    wal.append([b"last"], term=1)
    wal.close()
    wal.close()
    assert wal.completed() == [(1, 0)]
    for operation in (lambda: wal.append([b"more"], term=1), lambda: wal.truncate_suffix(0), lambda: wal.reset(3)):
        with pytest.raises(OSError, match="the log is closed"):
            operation()
    wal.truncate_prefix(2)
    assert recovered(tmp_path) == [SlowEntry(1, 1, 1, b"last")]


def test_a_log_that_is_dropped_writes_what_was_queued(tmp_path: Path) -> None:
    wal = opened(tmp_path)
    wal.append([b"kept"], term=1)
    del wal
    assert recovered(tmp_path) == [SlowEntry(1, 1, 1, b"kept")]


def test_the_directory_is_made_and_other_files_in_it_are_left_alone(tmp_path: Path) -> None:
    directory = tmp_path / "not" / "yet"
    wal = opened(directory)
    stored(wal, b"1")
    wal.close()
    (directory / "notes.txt").write_text("not of the log")
    (directory / "draft.tmp").write_text("of a segment that was not finished")
    assert len(recovered(directory)) == 1
    assert sorted(path.suffix for path in directory.iterdir()) == [".txt", ".wal"]


def test_opening_where_nothing_can_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        opened(tmp_path / "file")
