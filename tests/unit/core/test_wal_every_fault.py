"""Every system call of a log's life fails once, and fails from then on, in every way: an enumeration, not a sample.

A script appends, rolls over segments, cuts both ends, is killed in the middle of a write, recovers, begins anew and stops. A
first run counts its system calls. Then each of them fails in turn, with each errno; writes also after a part of their bytes.
After every step the log, and what a kill would leave, are compared with the slow twin.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nacosx._core.disk import OPERATION_NAMES, Faults
from nacosx._core.wal import Wal
from tests.models.wal import SlowLog, read_segment
from tests.wal_directory import crashed, entries, opened, recovered, settle

SECTOR = 512
ERRORS = (errno.EIO, errno.ENOSPC)
# Bytes that a failing write has written: none, some, past the first sectors, all of the largest frame.
WRITTEN = (0, 10, 700, 1 << 20)
COPIES_MAX = 100
# What a system call takes or gives at most, without failing.
SHORT = (1, 100, 4095)

SCRIPT: tuple[tuple[str, int], ...] = (
    *(("append", 300), ("append", 6000), ("append", 6000), ("append", 6000)),  # rolls
    *(("truncate_suffix", 3), ("append", 5000), ("append", 6000), ("append", 9000)),  # rolls again
    *(("truncate_prefix", 5), ("append", 40_000)),  # larger than a segment
    *(("kill", 3000), ("append", 100), ("truncate_suffix", 6), ("append", 2000)),
    *(("reset", 1000), ("append", 100), ("append", 8000), ("append", 8000), ("truncate_prefix", 1002)),
    *(("stop", 0), ("append", 100)),
)


class Life:
    """One run of the script. `allowed`: what a kill may leave, beside what was acknowledged, because of what was refused."""

    def __init__(
        self, folder: Path, faults: Faults, *, begins: tuple[str, int] | None = None, forever: bool = False
    ) -> None:
        """`begins`: before this call all is as in the run that counted, and need not be compared again."""
        self.folder = folder
        self.directory = folder / "log-0"
        self.faults = faults
        self.begins = begins
        self.forever = forever
        self.slow = SlowLog()
        self.allowed: list[SlowLog] = []
        self.generation = 0
        self.wal = self.open()

    def open(self) -> Wal:
        with contextlib.suppress(OSError):
            return opened(self.directory, self.faults)
        if self.forever:
            self.faults.heal()
        return opened(self.directory, self.faults)

    def run(self) -> None:
        for step, argument in SCRIPT:
            getattr(self, step)(argument)
            self.check()
        self.faults.heal()
        self.append(50)
        assert self.wal.durable_index == self.wal.last_index
        self.check()
        assert not self.allowed
        self.stop(0)
        self.check()
        self.wal.close()
        assert self.faults.resyncs == 0

    def check(self) -> None:
        if self.begins is not None and self.faults.calls(self.begins[0]) <= self.begins[1]:
            return
        assert self.wal.last_index == self.slow.last_index
        assert self.wal.first_index == self.slow.first_index
        with contextlib.suppress(OSError):  # of a read
            assert entries(self.wal) == self.slow.entries
        found = recovered(self.killed())
        kept = [[entry for entry in found if entry.index >= slow.first_index] for slow in (self.slow, *self.allowed)]
        assert any(left == slow.entries for left, slow in zip(kept, (self.slow, *self.allowed), strict=True))

    def killed(self) -> Path:
        for _ in range(COPIES_MAX):
            with contextlib.suppress(shutil.Error):  # the disk thread has deleted a segment meanwhile
                return crashed(self.directory, self.folder / "killed")
        raise AssertionError("the directory does not come to rest")

    def carried_out(self, attempt: SlowLog, error: int) -> None:
        """Follows an operation: it is stored, or it is as if it had not been, save that a kill may find it when it could
        not be undone, which takes a second fault."""
        if error == 0:
            self.slow, self.allowed = attempt, []
            return
        assert error in ERRORS
        if self.forever:
            self.allowed.append(attempt)

    def append(self, size: int) -> None:
        data = [b"%d " % (self.slow.last_index + 1), b"x" * size]
        attempt = copy.deepcopy(self.slow)
        last_index = attempt.append(data, 1, 1)
        assert self.wal.append(data, term=1) == last_index
        self.carried_out(attempt, *settle(self.wal, 1))

    def truncate_suffix(self, kept: int) -> None:
        kept = min(kept, self.slow.last_index)
        attempt = copy.deepcopy(self.slow)
        attempt.truncate_suffix(kept)
        self.wal.truncate_suffix(kept)
        self.carried_out(attempt, *settle(self.wal, 1))

    def truncate_prefix(self, kept: int) -> None:
        """Files that cannot be deleted stay; nobody is told."""
        kept = min(kept, self.slow.last_index + 1)
        self.wal.truncate_prefix(kept)
        self.slow.truncate_prefix(kept)
        for allowed in self.allowed:
            allowed.truncate_prefix(kept)
        self.stop(0)

    def reset(self, next_index: int) -> None:
        attempt = SlowLog()
        attempt.reset(next_index)
        try:
            self.wal.reset(next_index)
        except OSError as error:
            self.carried_out(attempt, error.errno or -1)
        else:
            self.carried_out(attempt, 0)

    def stop(self, _: int) -> None:
        self.wal.close()
        self.wal = self.open()
        self.reopened()

    def kill(self, size: int) -> None:
        """In the middle of a write, while a segment was being made and after it was known that this one would be."""
        if not self.slow.entries:
            return
        before = copy.deepcopy(self.slow)
        self.append(size)
        self.generation += 1
        copied = self.killed().rename(self.folder / f"log-{self.generation}")
        self.wal.close()
        self.directory = copied
        if self.slow.last_index > before.last_index:
            path = max(copied.glob("*.wal"))
            torn = read_segment(path).frames[-1]
            with path.open("r+b") as file:
                file.seek((torn.offset // SECTOR + 1) * SECTOR)
                file.write(bytes(SECTOR))
            self.slow = before
        (copied / "draft.tmp").write_bytes(b"of a segment that was not finished")
        self.wal = self.open()
        self.reopened()

    def reopened(self) -> None:
        """What was refused may be there now, or not, and stays so. What the prefix left in whole files is forgotten anew."""
        if self.wal.last_index != self.slow.last_index:
            [self.slow] = [slow for slow in self.allowed if slow.last_index == self.wal.last_index]
        self.allowed = []
        self.wal.truncate_prefix(self.slow.first_index)


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where that is possible: what the disk does here is the business of the faults."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="wal-", dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


def counted(folder: Path) -> dict[str, int]:
    faults = Faults()
    Life(folder, faults).run()
    return {operation: faults.calls(operation) for operation in OPERATION_NAMES}


def ways(operation: str) -> Iterator[tuple[int, int]]:
    for error in ERRORS:
        for written in WRITTEN if operation == "write" else (0,):
            yield error, written


@pytest.mark.parametrize("operation", OPERATION_NAMES)
def test_each_call_fails_once(folder: Path, operation: str) -> None:
    """The operation is refused with that errno, a kill finds nothing of it, and the next one succeeds."""
    calls = counted(folder / "counted")[operation]
    assert calls >= 3
    for call in range(calls):
        for number, (error, written) in enumerate(ways(operation)):
            faults = Faults()
            faults.fail(operation, error, after=call, times=1, written=written)
            Life(folder / f"{call}-{number}", faults, begins=(operation, call)).run()


@pytest.mark.slow
@pytest.mark.parametrize("operation", [name for name in OPERATION_NAMES if name != "read"])
def test_each_call_fails_and_all_after_it(folder: Path, operation: str) -> None:
    """Everything acknowledged is there, whatever else fails; once the disk is well, the log goes on without a restart."""
    for call in range(counted(folder / "counted")[operation]):
        for number, (error, written) in enumerate(ways(operation)):
            faults = Faults()
            faults.fail(operation, error, after=call, written=written)
            Life(folder / f"{call}-{number}", faults, begins=(operation, call), forever=True).run()


@pytest.mark.parametrize("operation", ["read", "write"])
@pytest.mark.parametrize("size", SHORT)
def test_a_system_call_that_takes_less_is_called_again(folder: Path, operation: str, size: int) -> None:
    faults = Faults()
    faults.shorten(operation, size)
    Life(folder, faults).run()
