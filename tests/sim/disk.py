"""The disk of a member: what is on it, what a process has asked of it, and what of that survives a crash.

A disk outlives the processes that use it. Writes to the log go through one queue; whatever waits is written and synced in one
go, as the disk thread of `storage.log` does, and reported in order. When the power goes, what was not synced is gone, or
there in part, or there: always a beginning of it, because recovery cuts a log at the first frame that is not whole.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from random import Random

from nacosx._core.entry import CONFIGURATION, Entry
from nacosx._core.segment import CorruptLogError
from nacosx.engine.ports import OnDurable
from nacosx.raft.ready import HardState
from tests.sim.loop import Handle, ProcessLoop

SLOW_TIMES = 100
REMOVED_MAX = 64  # entries cut off the head that may be there again

Appended = Callable[[Entry, int | None], None]  # an entry, and the term of the one before it (None: not in the log)


def error_of(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class Disk:
    """What is on it, as after a sync. `trouble` is the errno of every write while it is not 0."""

    def __init__(self, draw: Random, sync_us: int) -> None:
        self.draw = draw
        self.sync_us = sync_us
        self.slow = False
        self.trouble = 0
        self.log: list[Entry] = []
        self.base = 1  # the index of log[0]
        self.first_index = 1  # what is below was cut off, but may be there again after a crash
        self.flipped: set[tuple[int, int]] = set()  # entries whose bytes have changed
        self.hard_state = HardState()
        self.snapshots: dict[int, bytes] = {}
        self.flipped_snapshots: set[int] = set()
        self.snapshot_index = 0  # of the newest one

    @property
    def last_index(self) -> int:
        return self.base + len(self.log) - 1

    def term(self, index: int) -> int | None:
        """Of an entry that would be found after a crash now."""
        return self.log[index - self.base].term if self.first_index <= index <= self.last_index else None

    def io_us(self) -> int:
        """How long the next sync takes."""
        usual = int(self.sync_us * (0.5 + self.draw.random() ** 2 * 2))
        return usual * SLOW_TIMES if self.slow else usual

    def check(self) -> None:
        if self.trouble:
            raise error_of(self.trouble)

    def flip_log(self) -> None:
        """A bit of the log changes."""
        if self.log:
            self.flipped.add(self.draw.choice(self.log).id)

    def flip_snapshot(self) -> None:
        """A bit of the newest snapshot changes, when the one before it is intact and, with the log, holds the same state."""
        *older, newest = sorted(self.snapshots) or [0]
        if older and older[-1] + 1 >= self.first_index and not self.flipped_snapshots & self.snapshots.keys():
            self.flipped_snapshots.add(newest)
            data = bytearray(self.snapshots[newest])
            data[self.draw.randrange(len(data))] ^= 1 << self.draw.randrange(8)
            self.snapshots[newest] = bytes(data)

    def open(self) -> None:
        """The machine starts again. CorruptLogError when recovery finds that an entry is not what was written."""
        self.first_index = self.draw.randint(self.base, self.first_index)
        del self.log[: self.first_index - self.base]
        self.base = self.first_index
        if any(entry.id in self.flipped for entry in self.log):
            raise CorruptLogError("log", 0, "an entry is not what was written")


class Append:
    __slots__ = ("entries", "on_durable")

    def __init__(self, entries: Sequence[Entry], on_durable: OnDurable) -> None:
        self.entries = entries
        self.on_durable = on_durable


class Truncate:
    __slots__ = ("last_index_kept", "on_durable")

    def __init__(self, last_index_kept: int, on_durable: OnDurable) -> None:
        self.last_index_kept = last_index_kept
        self.on_durable = on_durable


class DiskLog:
    """The log as one process sees it: `engine.ports.LogStorage`. `appended` hears of every entry before it is queued."""

    def __init__(self, disk: Disk, loop: ProcessLoop, appended: Appended) -> None:
        self._disk = disk
        self._loop = loop
        self._appended = appended
        self._tail = list(disk.log)  # with everything queued carried out
        self._tail_base = disk.base
        self._queue: list[Append | Truncate] = []
        self._writing: list[Append | Truncate] = []
        self._closed = False

    # --- what is queued ----------------------------------------------------------------------------------------------

    @property
    def first_index(self) -> int:
        return self._disk.first_index

    @property
    def last_index(self) -> int:
        return self._tail_base + len(self._tail) - 1

    def append_entries(self, entries: Sequence[Entry], on_durable: OnDurable) -> int:
        self._check()
        if [entry.index for entry in entries] != list(range(self.last_index + 1, self.last_index + 1 + len(entries))):
            raise ValueError("these entries do not follow the log")
        for entry in entries:
            self._appended(entry, self._tail[-1].term if self._tail else None)
            self._tail.append(entry)
        self._ask(Append(list(entries), on_durable))
        return self.last_index

    def truncate_suffix(self, last_index_kept: int, on_durable: OnDurable) -> None:
        self._check()
        if not self.first_index - 1 <= last_index_kept <= self.last_index:
            raise ValueError(f"entry {last_index_kept} is not in the log")
        del self._tail[last_index_kept + 1 - self._tail_base :]
        self._ask(Truncate(last_index_kept, on_durable))

    def _check(self) -> None:
        if self._closed or self._loop.ended:
            raise error_of(errno.EBADF)

    def _ask(self, operation: Append | Truncate) -> None:
        self._queue.append(operation)
        if not self._writing:
            self._begin()

    def _begin(self) -> None:
        self._writing, self._queue = self._queue, []
        loop = self._loop
        loop.agenda.later(self._disk.io_us(), self._end)

    def _end(self) -> None:
        """The disk thread has synced: it is not stopped with its process's loop by a SIGSTOP sent just now, but by a crash."""
        if self._loop.ended:
            return
        number = self._disk.trouble
        done, self._writing = self._writing, []
        if number:
            done += self._queue
            self._queue = []
            self._tail, self._tail_base = list(self._disk.log), self._disk.base
        else:
            for operation in done:
                self.carry_out(operation)
        last_index = self._disk.last_index
        reports: list[tuple[OnDurable, int, OSError | None]] = []
        for operation in done:
            error = error_of(number) if number else None
            if error is None:
                last_index = (
                    operation.last_index_kept if isinstance(operation, Truncate) else operation.entries[-1].index
                )
            reports.append((operation.on_durable, last_index, error))
        loop = self._loop
        loop.agenda.at(loop.agenda.now_us, Handle(loop, report, (reports,), False))
        if self._queue:
            self._begin()

    def carry_out(self, operation: Append | Truncate) -> None:
        disk = self._disk
        if isinstance(operation, Truncate):
            del disk.log[operation.last_index_kept + 1 - disk.base :]
        else:
            disk.log.extend(operation.entries)

    def crash(self, survives: str) -> None:
        """The power goes: `lost`, `torn` or `kept` is what was not synced."""
        operations = [*self._writing, *self._queue]
        self._writing, self._queue = [], []
        if survives == "lost" or not operations or self._disk.trouble:
            return
        if survives == "torn":
            operations = operations[: self._disk.draw.randint(0, len(operations))]
            if operations and isinstance(last := operations[-1], Append):
                whole = self._disk.draw.randint(0, len(last.entries))
                operations[-1] = Append(last.entries[:whole], last.on_durable)
        for operation in operations:
            self.carry_out(operation)

    # --- what is on disk ---------------------------------------------------------------------------------------------

    def get(self, index: int) -> Entry | None:
        disk = self._disk
        if not disk.first_index <= index <= disk.last_index:
            return None
        entry = disk.log[index - disk.base]
        if entry.id in disk.flipped:
            raise CorruptLogError("log", index, "the entry is not what was written")
        return entry

    def term(self, index: int) -> int | None:
        return self._disk.term(index)

    def entries(self, from_index: int, *, bytes_max: int = 1 << 20) -> list[Entry]:
        disk = self._disk
        if from_index < disk.first_index:
            raise ValueError(f"entry {from_index} is no longer kept")
        found: list[Entry] = []
        size = 0
        for entry in disk.log[from_index - disk.base :]:
            if found and size >= bytes_max:
                break
            if entry.id in disk.flipped:
                if found:
                    break
                raise CorruptLogError("log", entry.index, "the entry is not what was written")
            size += len(entry.data)
            found.append(entry)
        return found

    def configurations(self) -> list[Entry]:
        disk = self._disk
        return [entry for entry in disk.log[disk.first_index - disk.base :] if entry.kind == CONFIGURATION]

    def truncate_prefix(self, first_index_kept: int) -> None:
        disk = self._disk
        if self._loop.ended:
            return
        if first_index_kept > disk.last_index + 1:
            raise ValueError(f"entry {first_index_kept} is beyond what is on disk")
        disk.first_index = max(disk.first_index, first_index_kept)
        gone = disk.first_index - disk.base - REMOVED_MAX
        if gone > 0:
            del disk.log[:gone]
            disk.base += gone

    def reset(self, next_index: int) -> None:
        self._check()
        if self._queue or self._writing:
            raise ValueError("something is queued")
        self._disk.check()
        self._disk.log = []
        self._disk.base = self._disk.first_index = self._tail_base = next_index
        self._tail = []

    def close(self) -> None:
        """What is queued has failed; a simulated process is never closed without a crash."""
        self._closed = True


def report(reports: Sequence[tuple[OnDurable, int, OSError | None]]) -> None:
    for on_durable, last_index, error in reports:
        on_durable(last_index, error)
