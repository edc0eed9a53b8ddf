"""What is committed, applied: SOFAJRaft's FSMCaller.

::

    commit index ─→ own proposals: the command is still there ─────────────────┐
                 └→ entries of other leaders: read from the log, decoded, ────┴→ machine.apply, in order ─→ who waits

A refusal (NacosError) is an answer like any other. Any other exception halts the group: the member that met it does not hold
what the others hold, or cannot go on like them.

The digest is a checksum of everything applied so far and of what became of it, rolled on from entry to entry. Members that
applied the same have the same; it is remembered every so many entries, for members to compare.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from nacosx._core.entry import CONFIGURATION, DATA, Configuration, Entry, crc32c
from nacosx.clock import Clock
from nacosx.engine.apply_queue import Task
from nacosx.engine.closure_queue import ClosureQueue
from nacosx.engine.ports import StateMachine
from nacosx.engine.raft_metrics import RaftMetrics
from nacosx.errors import NacosError

log = logging.getLogger(__name__)

SLICE_BYTES_MAX = 128 << 10  # read and decoded at once, unless one entry is larger
TURN_ENTRIES_MAX = 1024  # limit: entries from the log that are applied in one turn of the loop
DIGEST_ENTRIES = 256  # how often the digest is remembered; a power of two
DIGESTS_MAX = 64  # limit: digests remembered
REFUSED = b"\x00refused"  # what a refusal adds to the digest


class CommittedEntries(Protocol):
    def slice(self, low: int, high: int, bytes_max: int) -> Sequence[Entry]:
        """Entries from `low` on, up to `high`, at least one."""


class MachineError(Exception):
    """The machine has failed at an entry, or cannot read it. The group halts, or does not start; the text tells where."""


# index and term of an entry from the log, the result of its command or its refusal
Watch = Callable[[int, int, object, NacosError | None], None]


class FSMCaller:
    """invariant: what is applied is committed; entries are applied in the order of their indexes, each once."""

    def __init__(
        self,
        machine: StateMachine,
        closures: ClosureQueue,
        answered: Callable[[int, int], None],
        clock: Clock,
        metrics: RaftMetrics,
    ) -> None:
        """`answered(proposals, bytes)`: so many have heard."""
        self.applied_index = 0
        self.commit_index = 0
        self.digest = 0
        self.digests: dict[int, int] = {}
        # In force at `applied_index`.
        self.configuration: Configuration | None = None
        self.watch: Watch | None = None  # of entries read from the log
        self.entries = 0  # commands applied, since whoever counts has set it to 0
        self.entries_bytes = 0
        self._machine = machine
        self._closures = closures
        self._answered = answered
        self._clock = clock
        self._metrics = metrics

    def restored(self, index: int, digest: int, configuration: Configuration | None) -> None:
        """The machine holds a snapshot."""
        self.applied_index = self.commit_index = index
        self.digest = digest
        self.digests.clear()
        self.configuration = configuration

    def run(self, entries: CommittedEntries, *, replayed: bool = False) -> bool:
        """Applies up to `commit_index`, or so much of it as a turn of the loop may take; True: there is more. MachineError."""
        started_ms = self._clock.monotonic_ms()
        before = self.applied_index
        budget = TURN_ENTRIES_MAX
        while self.applied_index < self.commit_index and budget > 0:
            closures = self._closures
            if not closures:
                budget -= self._apply_entries(entries, self.commit_index)
            elif closures.first_index == self.applied_index + 1:
                self._apply_tasks(entries, closures.pop_until(self.commit_index))
            else:
                budget -= self._apply_entries(entries, min(self.commit_index, closures.first_index - 1))
        if self.applied_index > before:
            self._machine.batch_applied(self.applied_index, replayed)
            self._metrics.fsm_committed(self.applied_index - before, self._clock.monotonic_ms() - started_ms)
        return self.applied_index < self.commit_index

    def _apply_tasks(self, entries: CommittedEntries, tasks: list[Task | None]) -> None:
        """Own proposals: nothing is read or decoded."""
        apply = self._machine.apply
        digest = self.digest
        first_index = index = self.applied_index + 1
        size = own = 0
        try:
            for task in tasks:
                if task is None:
                    self.applied_index, self.digest = index - 1, digest
                    self._apply_entries(entries, index)
                    digest = self.digest
                    index += 1
                    continue
                command, data, future, _ = task
                digest = crc32c(data, digest)
                try:
                    result = apply(index, command)
                except NacosError as refusal:
                    digest = crc32c(REFUSED, digest)
                    if not future.done():  # else cancelled: the proposer has gone
                        future.set_exception(refusal)
                else:
                    if not future.done():
                        future.set_result(result)
                own += 1
                size += len(data)
                if not index & (DIGEST_ENTRIES - 1):
                    self._remember(index, digest)
                index += 1
        except MachineError:
            self._closures.put_back(tasks[index - first_index :])
            raise
        except Exception as error:
            self.applied_index, self.digest = index - 1, digest
            self._closures.put_back(tasks[index - first_index :])
            raise MachineError(f"applying entry {index} failed: {error!r}") from error
        finally:
            self.entries += own
            self.entries_bytes += size
            self._answered(own, size)
        self.applied_index = index - 1
        self.digest = digest

    def _apply_entries(self, entries: CommittedEntries, last_index: int) -> int:
        """A slice of the log, up to `last_index` at most; how many entries that were."""
        first_index = self.applied_index + 1
        found = entries.slice(first_index, min(last_index, first_index + TURN_ENTRIES_MAX - 1), SLICE_BYTES_MAX)
        decode, apply, watch = self._machine.decode, self._machine.apply, self.watch
        digest = self.digest
        size = commands = 0
        index = self.applied_index
        try:
            for entry in found:
                index += 1
                if entry.index != index:
                    raise MachineError(f"entry {index} is missing: the log continues with {entry.index}")
                data = entry.data
                digest = crc32c(data, digest)
                size += len(data)
                refused: NacosError | None = None
                result = None
                if entry.kind == DATA:
                    commands += 1
                    try:
                        command = decode(data)
                    except ValueError as error:
                        raise MachineError(f"entry {index} is not a command this version knows: {error}") from error
                    try:
                        result = apply(index, command)
                    except NacosError as refusal:  # its proposer is told so
                        digest = crc32c(REFUSED, digest)
                        refused = refusal
                elif entry.kind == CONFIGURATION:
                    self._configure(entry)
                self.applied_index = index
                self.digest = digest
                if watch is not None:
                    watch(index, entry.term, result, refused)
                if not index & (DIGEST_ENTRIES - 1):
                    self._remember(index, digest)
        except MachineError:
            raise
        except Exception as error:
            raise MachineError(f"applying entry {index} failed: {error!r}") from error
        self.entries += commands
        self.entries_bytes += size
        return len(found)

    def _configure(self, entry: Entry) -> None:
        configuration = entry.configuration
        assert configuration is not None
        self.configuration = configuration
        self._machine.configuration_committed(configuration, entry.index)

    def _remember(self, index: int, digest: int) -> None:
        digests = self.digests
        digests[index] = digest
        if len(digests) > DIGESTS_MAX:
            del digests[next(iter(digests))]
