"""A disk that fails: everything that waited is told, nothing half written stays, and the log goes on by itself."""

from __future__ import annotations

import contextlib
import errno
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from nacosx._core.disk import OPERATION_NAMES, Faults
from tests.models.wal import SEGMENT_HEADER, SlowEntry, read_segment
from tests.wal_directory import crashed, entries, opened, recovered, settle, stored, until

ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT)


class FaultyMachine(RuleBasedStateMachine):
    """Whatever fails whenever: what was acknowledged is there in memory, after a kill, and after a stop; once the disk is
    well again, so is the log."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="wal-")
        self.directory = Path(self.folder.name) / "log"
        self.acknowledged: list[SlowEntry] = []
        self.number = 0
        self.failing: set[str] = set()

    @initialize()
    def begin(self) -> None:
        self.faults = Faults()
        self.wal = opened(self.directory, self.faults)

    @rule(sizes=st.lists(st.integers(1, 4000), min_size=1, max_size=6))
    def append(self, sizes: list[int]) -> None:
        before = self.wal.durable_index
        data = [(b"%d " % (self.number + n)).ljust(size, b"x") for n, size in enumerate(sizes)]
        self.number += len(data)
        last = self.wal.append(data, term=1)
        [error] = settle(self.wal, 1)
        if error:
            assert self.failing
            assert error in ERRORS
            assert self.wal.last_index == self.wal.durable_index == before
        else:
            assert self.wal.last_index == self.wal.durable_index == last
            self.acknowledged += [SlowEntry(before + 1 + n, 1, 1, item) for n, item in enumerate(data)]

    @rule(
        operation=st.sampled_from(OPERATION_NAMES),
        error=st.sampled_from(ERRORS),
        after=st.integers(0, 2),
        times=st.sampled_from([1, 2, -1]),
        written=st.integers(0, 3000),
    )
    def fail(self, operation: str, error: int, after: int, times: int, written: int) -> None:
        self.faults.fail(operation, error, after=after, times=times, written=written)
        self.failing.add(operation)

    @rule()
    def heal(self) -> None:
        self.faults.heal()
        self.failing.clear()
        self.append([10])
        assert self.acknowledged[-1].index == self.wal.durable_index

    @rule()
    def read(self) -> None:
        with contextlib.suppress(OSError) if "read" in self.failing else contextlib.nullcontext():
            assert entries(self.wal) == self.acknowledged

    @rule()
    def kill(self) -> None:
        """A copy of the files is a kill; whether a write that was refused comes back depends on whether it could be undone."""
        found = recovered(crashed(self.directory, Path(self.folder.name) / "killed"))
        assert found[: len(self.acknowledged)] == self.acknowledged
        if not self.failing:
            assert found == self.acknowledged

    @precondition(lambda self: not self.failing)
    @rule()
    def reopen(self) -> None:
        self.wal.close()
        self.wal = opened(self.directory, self.faults)
        assert self.wal.cut_bytes == 0
        self.read()

    def teardown(self) -> None:
        if hasattr(self, "wal"):
            self.faults.heal()
            self.wal.close()
            assert self.faults.resyncs == 0
        self.folder.cleanup()


FaultyMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestFaultyMachine = FaultyMachine.TestCase


def test_a_failed_write_is_taken_back_and_the_segment_is_used_on(tmp_path: Path) -> None:
    """ENOSPC after half a frame: the file ends where it did; when there is space again the next append is stored."""
    faults = Faults()
    wal = opened(tmp_path, faults)
    stored(wal, b"before")
    [path] = tmp_path.glob("*.wal")
    end = read_segment(path).end
    faults.fail("write", errno.ENOSPC, times=2, written=700)
    for _ in range(2):
        wal.append([b"x" * 2000], term=1)
        assert settle(wal, 1) == [errno.ENOSPC]
        assert path.stat().st_size == end
        assert recovered(crashed(tmp_path, tmp_path.with_name("killed"))) == [SlowEntry(1, 1, 1, b"before")]
    assert stored(wal, b"after") == 2
    assert wal.segments == 1
    wal.close()
    assert recovered(tmp_path) == [SlowEntry(1, 1, 1, b"before"), SlowEntry(2, 1, 1, b"after")]


def test_after_a_failed_fdatasync_the_file_is_never_synced_again(tmp_path: Path) -> None:
    """What the kernel has on disk is unknown then, and a second fdatasync would say yes: the log goes on in a new segment."""
    faults = Faults()
    wal = opened(tmp_path, faults)
    stored(wal, b"before")
    faults.fail("sync", errno.EIO, times=1)
    wal.append([b"lost"], term=1)
    assert settle(wal, 1) == [errno.EIO]
    old = next(tmp_path.glob("*.wal"))
    end = read_segment(old).end
    assert old.stat().st_size == end
    syncs = faults.calls("sync")
    assert stored(wal, b"after") == 2
    assert faults.calls("sync") == syncs + 2  # the header and the frame of the new segment
    new = sorted(tmp_path.glob("*.wal"))[1]
    assert read_segment(new).previous_end == end
    wal.close()
    assert [entry.data for entry in recovered(tmp_path)] == [b"before", b"after"]


def test_what_a_failed_fdatasync_has_left_in_the_old_segment_stays_forgotten(tmp_path: Path) -> None:
    """Even when it cannot be cut off: the new segment tells where the old one ends."""
    faults = Faults()
    wal = opened(tmp_path, faults)
    stored(wal, b"before")
    faults.fail("sync", errno.EIO, times=1)
    faults.fail("truncate", errno.EIO)
    wal.append([b"refused"], term=1)
    assert settle(wal, 1) == [errno.EIO]
    stored(wal, b"after")
    wal.close()
    assert b"refused" in min(tmp_path.glob("*.wal")).read_bytes()
    assert [entry.data for entry in recovered(tmp_path)] == [b"before", b"after"]


def test_everything_that_waited_fails_with_the_write_that_failed(tmp_path: Path) -> None:
    """Entries that arrived meanwhile follow ones that are not there; their indexes are used again."""
    faults = Faults()
    wal = opened(tmp_path, faults)
    stored(wal, b"1")
    faults.fail("sync", errno.EIO, times=1)
    faults.hold()
    wal.append([b"refused", b"refused"], term=1)
    faults.wait_held()
    wal.append([b"refused too"], term=1)
    wal.truncate_suffix(2)
    assert wal.last_index == 2
    faults.release()
    assert settle(wal, 3) == [errno.EIO] * 3
    assert wal.last_index == wal.durable_index == 1
    assert stored(wal, b"2") == 2
    assert [entry.data for entry in entries(wal)] == [b"1", b"2"]
    wal.close()


@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename", "sync_directory"])
def test_a_segment_that_cannot_be_made_fails_what_waits_and_leaves_nothing(tmp_path: Path, operation: str) -> None:
    faults = Faults()
    wal = opened(tmp_path, faults)
    stored(wal, b"a" * 12_000)
    faults.fail(operation, errno.ENOSPC, times=2)
    for _ in range(2):
        wal.append([b"b" * 8_000], term=1)
        assert settle(wal, 1) == [errno.ENOSPC]
        assert len(list(tmp_path.iterdir())) == 1
    assert stored(wal, b"c" * 8_000) == 2
    assert wal.segments == 2
    wal.close()
    assert [entry.data[:1] for entry in recovered(tmp_path)] == [b"a", b"c"]


def test_a_segment_that_stays_although_making_it_failed_is_replaced(tmp_path: Path) -> None:
    """Its header tells where the one before ends, so nothing may be written there any more."""
    faults = Faults()
    wal = opened(tmp_path, faults)
    stored(wal, b"a" * 12_000)
    faults.fail("sync_directory", errno.EIO, times=1)
    faults.fail("unlink", errno.EIO, times=1)
    wal.append([b"b" * 8_000], term=1)
    assert settle(wal, 1) == [errno.EIO]
    assert len(list(tmp_path.iterdir())) == 2
    stored(wal, b"c")  # would have fitted into the old one
    killed = crashed(tmp_path, tmp_path.with_name("killed"))
    wal.close()
    assert [entry.data[:1] for entry in recovered(killed)] == [b"a", b"c"]


def test_where_space_cannot_be_reserved_the_file_grows_as_it_is_written(tmp_path: Path) -> None:
    faults = Faults()
    faults.fail("allocate", errno.EOPNOTSUPP)
    wal = opened(tmp_path, faults)
    for number in range(40):
        stored(wal, bytes([number + 1]) * 1000)
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("*.wal"))]
    assert len(sizes) == 4
    assert SEGMENT_HEADER < sizes[-1] < sizes[0]
    killed = crashed(tmp_path, tmp_path.with_name("killed"))
    wal.close()
    assert len(recovered(killed)) == 40


def test_a_segment_that_cannot_be_deleted_is_deleted_later(tmp_path: Path) -> None:
    faults = Faults()
    wal = opened(tmp_path, faults)
    for number in range(40):
        stored(wal, bytes([number + 1]) * 1000)
    faults.fail("unlink", errno.EIO, after=1, times=1)
    wal.truncate_prefix(40)
    until(lambda: faults.calls("unlink") == 2)
    stored(wal, b"the log goes on")
    assert wal.segments == 3
    wal.truncate_prefix(41)
    wal.close()
    assert wal.segments == 1
    assert [entry.index for entry in recovered(tmp_path)][-1] == 41


def test_a_failed_reset_changes_nothing(tmp_path: Path) -> None:
    faults = Faults()
    wal = opened(tmp_path, faults)
    stored(wal, b"1")
    faults.fail("rename", errno.EIO, times=1)
    with pytest.raises(OSError, match="Input/output error"):
        wal.reset(100)
    assert [entry.data for entry in entries(wal)] == [b"1"]
    assert stored(wal, b"2") == 2
    wal.reset(100)
    assert stored(wal, b"100") == 100
    wal.close()
    assert [entry.index for entry in recovered(tmp_path)] == [100]


def test_a_reset_that_may_or_may_not_have_happened_takes_nothing_more(tmp_path: Path) -> None:
    """The new beginning could neither be made durable nor taken away: whatever is appended might be forgotten by it."""
    faults = Faults()
    wal = opened(tmp_path, faults)
    stored(wal, b"1")
    faults.fail("sync_directory", errno.EIO, times=1)
    faults.fail("unlink", errno.EIO, times=1)
    with pytest.raises(OSError, match="Input/output error"):
        wal.reset(100)
    wal.append([b"2"], term=1)
    assert settle(wal, 1) == [errno.EIO]
    assert [entry.data for entry in entries(wal)] == [b"1"]
    wal.close()


def test_a_disk_that_is_full_from_the_beginning_is_told_when_opening(tmp_path: Path) -> None:
    faults = Faults()
    faults.fail("write", errno.ENOSPC)
    with pytest.raises(OSError, match="No space left on device"):
        opened(tmp_path / "log", faults)
    faults.heal()
    wal = opened(tmp_path / "log", faults)
    assert stored(wal, b"1") == 1
    wal.close()


def test_the_fence_of_a_clean_stop_may_fail(tmp_path: Path) -> None:
    faults = Faults()
    wal = opened(tmp_path, faults)
    stored(wal, b"1")
    faults.fail("write", errno.ENOSPC, written=10)
    wal.close()
    assert [entry.data for entry in recovered(tmp_path)] == [b"1"]
