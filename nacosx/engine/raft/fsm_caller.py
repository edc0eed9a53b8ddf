"""What is committed, applied: SOFAJRaft's FSMCaller.

::

    commit index ─→ own proposals: the command is still there ─────────────────┐
                 └→ entries of other leaders: read from the log, decoded, ────┴→ machine.apply, in order ─→ who waits

A refusal (NacosError) is an answer like any other. Any other exception halts the group: the member that met it does not hold
what the others hold, or cannot go on like them.

The digest is a checksum of everything applied so far and of what became of it: what was refused, and what the state holds
where a command has written. It is rolled on from entry to entry, so members that hold the same have the same; it is remembered
every so many entries, for them to compare. Where a group has one member nobody asks what was written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Protocol

from nacosx._core.entry import CONFIGURATION, DATA, Configuration, Entry, crc32c
from nacosx.engine.ports import StateMachine
from nacosx.engine.raft.closure_queue import Batch, ClosureQueue
from nacosx.errors import NacosError
from nacosx.raft.membership import Members

SLICE_BYTES_MAX = 128 << 10  # read and decoded at once, unless one entry is larger
TURN_ENTRIES_MAX = 1024  # limit: entries from the log that are applied in one turn of the loop
DIGEST_MASK = 1023  # the digest is remembered after entries whose index ends in these bits
DIGESTS_MAX = 64  # limit: digests remembered

_DATA = attrgetter("data")
_KIND = attrgetter("kind")


class CommittedEntries(Protocol):
    def slice(self, low: int, high: int, bytes_max: int) -> Sequence[Entry]:
        """Entries from `low` on, up to `high`, at least one."""


class MachineError(Exception):
    """The machine has failed at an entry, or cannot read it. The group halts, or does not start; the text tells where."""


# index and term of an entry from the log, the result of its command or its refusal
Watch = Callable[[int, int, object, NacosError | None], None]


class FSMCaller:
    """invariant: what is applied is committed; entries are applied in the order of their indexes, each once."""

    __slots__ = (
        *("_answered", "_apply", "_checksum", "_closures", "_configuration", "_machine", "_outcomes"),
        *("applied_index", "commit_index", "digests", "entries", "entries_bytes", "watch"),
    )

    def __init__(self, machine: StateMachine, closures: ClosureQueue, answered: Callable[[int, int], None]) -> None:
        """`answered(proposals, bytes)`: so many have heard."""
        self.applied_index = 0
        self.commit_index = 0
        self.digests: dict[int, int] = {}  # by index
        self.watch: Watch | None = None  # of entries read from the log
        self.entries = 0  # commands applied, since whoever counts has set it to 0
        self.entries_bytes = 0
        self._checksum = 0  # of the data of all entries
        self._outcomes = 0  # of the indexes of what was refused, and of what was written
        self._machine = machine
        self.configuration = None
        self._closures = closures
        self._answered = answered

    @property
    def digest(self) -> int:
        return self._outcomes << 32 | self._checksum

    @property
    def configuration(self) -> Configuration | None:
        """In force at `applied_index`; None: none was committed yet."""
        return self._configuration

    @configuration.setter
    def configuration(self, configuration: Configuration | None) -> None:
        # From the same entry on everywhere what was written is part of the digest.
        self._configuration = configuration
        others = configuration is not None and len(Members(configuration).all) > 1
        tells = type(self._machine).written is not StateMachine.written
        self._apply = self._apply_and_look if others and tells else self._machine.apply

    def restored(self, index: int, digest: int, configuration: Configuration | None) -> None:
        """The machine holds a snapshot."""
        self.applied_index = self.commit_index = index
        self._outcomes, self._checksum = digest >> 32, digest & 0xFFFF_FFFF
        self.digests.clear()
        self.configuration = configuration

    def run(self, entries: CommittedEntries, *, replayed: bool = False) -> None:
        """Applies up to `commit_index`, or so much of it as a turn of the loop may take. MachineError."""
        closures, commit_index = self._closures, self.commit_index
        first_index = self.applied_index + 1
        budget = TURN_ENTRIES_MAX
        while first_index <= commit_index and budget > 0:
            last_index = first_index | DIGEST_MASK  # a digest is remembered after this entry
            last_index = last_index if last_index < commit_index else commit_index
            if closures.first_index == first_index:
                self._apply_batch(closures.pop(last_index))
            else:
                if closures.first_index:
                    last_index = min(last_index, closures.first_index - 1)
                budget -= self._apply_entries(entries.slice(first_index, last_index, SLICE_BYTES_MAX))
            first_index = self.applied_index + 1
            if not first_index & DIGEST_MASK:
                self._remember()
        self._machine.batch_applied(self.applied_index, replayed)

    def _apply_batch(self, batch: Batch) -> None:
        """Own proposals: nothing is read or decoded."""
        apply = self._apply
        index, tasks, data = batch
        try:
            for command, _, future, _ in tasks:
                try:
                    future.set_result(apply(index, command))
                except NacosError as refusal:
                    self._refused(index)
                    if not future.done():
                        future.set_exception(refusal)
                except asyncio.InvalidStateError:
                    # Cancelled: the proposer has gone. What `apply` raises in a machine's own name is its failure.
                    if not future.cancelled():
                        raise
                index += 1
        except Exception as error:
            done = index - batch[0]
            self._closures.put_back((index, tasks[done:], data[done:]))
            self.applied_index = index - 1
            self._answered(done, sum(map(len, data[:done])))
            raise MachineError(f"applying entry {index} failed: {error!r}") from error
        applied = b"".join(data)
        self._checksum = crc32c(applied, self._checksum)
        self.applied_index = index - 1
        self.entries += len(tasks)
        self.entries_bytes += len(applied)
        self._answered(len(tasks), len(applied))

    def _apply_entries(self, found: Sequence[Entry]) -> int:
        """Entries of the log; how many there are."""
        index = self.applied_index
        if found[0].index != index + 1 or found[-1].index != index + len(found):
            self._missing(found)
        data = list(map(_DATA, found))
        kinds = set(map(_KIND, found))
        if self.watch is None and kinds == {DATA}:
            self._apply_commands(data)
        else:
            for entry in found:
                self._apply_entry(entry)
        applied = b"".join(data)
        self._checksum = crc32c(applied, self._checksum)
        self.entries_bytes += len(applied)
        return len(found)

    def _apply_commands(self, data: list[bytes]) -> None:
        decode, apply = self._machine.decode, self._apply
        index = self.applied_index + 1
        try:
            commands = [decode(each) for each in data]
        except ValueError:
            commands = []
            for each in data:  # once more, to tell where
                commands.append(self._decode(index + len(commands), each))
        try:
            for command in commands:
                try:
                    apply(index, command)
                except NacosError:  # its proposer is told so
                    self._refused(index)
                index += 1
        except Exception as error:
            raise MachineError(f"applying entry {index} failed: {error!r}") from error
        finally:
            self.applied_index = index - 1
        self.entries += len(commands)

    def _apply_entry(self, entry: Entry) -> None:
        index = entry.index
        refusal: NacosError | None = None
        result: object = None
        if entry.kind == DATA:
            command = self._decode(index, entry.data)
            try:
                result = self._apply(index, command)
            except NacosError as error:
                refusal = error
                self._refused(index)
            except Exception as error:
                raise MachineError(f"applying entry {index} failed: {error!r}") from error
            self.entries += 1
        elif entry.kind == CONFIGURATION:
            configuration = entry.configuration
            assert configuration is not None
            self.configuration = configuration
            self._machine.configuration_committed(configuration, index)
        self.applied_index = index
        if self.watch is not None:
            self.watch(index, entry.term, result, refusal)

    def _decode(self, index: int, data: bytes) -> object:
        try:
            return self._machine.decode(data)
        except ValueError as error:
            raise MachineError(f"entry {index} is not a command this version knows: {error}") from error

    def _missing(self, found: Sequence[Entry]) -> None:
        for expected, entry in enumerate(found, self.applied_index + 1):
            if entry.index != expected:
                raise MachineError(f"entry {expected} is missing: the log continues with {entry.index}")

    def _refused(self, index: int) -> None:
        self._outcomes = crc32c(index.to_bytes(8, "little"), self._outcomes)

    def _apply_and_look(self, index: int, command: Any) -> object:
        result = self._machine.apply(index, command)
        self._outcomes = crc32c(self._machine.written(command), self._outcomes)
        return result

    def _remember(self) -> None:
        digests = self.digests
        digests[self.applied_index] = self.digest
        if len(digests) > DIGESTS_MAX:
            del digests[next(iter(digests))]
