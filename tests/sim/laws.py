"""What must hold in every state of a cluster, whatever happens to it: the properties of figure 3 of the Raft paper, and what
they rest on. Checked after every step of every member, by somebody who sees all of them at once.

Log matching is checked by its induction: an entry (index, term) is the same in every log that has it, and so is the term of the
one before it. Then two logs that agree in one entry agree in everything up to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from nacosx._core.entry import Configuration, Entry
from tests.sim.disk import Disk
from tests.sim.registers import Command

Id = tuple[int, int]  # index, term


class BrokenLawError(AssertionError):
    """`law` names it."""

    def __init__(self, law: str, story: str) -> None:
        super().__init__(f"{law}: {story}")
        self.law = law


class Member(Protocol):
    """What the laws see of a running member."""

    id: str
    incarnation: int
    disk: Disk

    @property
    def snapshot_index(self) -> int:
        """Of what is on its disk in a snapshot."""

    @property
    def term(self) -> int: ...
    @property
    def leads(self) -> bool: ...
    @property
    def commit_index(self) -> int: ...
    @property
    def applied_index(self) -> int: ...
    @property
    def digest(self) -> int:
        """The engine's own checksum of everything applied and of what became of it."""

    @property
    def halted(self) -> bool: ...
    @property
    def last_index(self) -> int: ...
    @property
    def configuration(self) -> Configuration: ...
    def moment(self) -> object:
        """Something that is equal as long as nothing has changed that a law speaks of."""

    def term_at(self, index: int) -> int | None: ...


class Seen:
    """What was seen of one member when it was looked at last."""

    __slots__ = ("commit_index", "configuration", "last_index", "led", "moment")

    def __init__(self, configuration: Configuration, snapshot_index: int) -> None:
        self.commit_index = snapshot_index  # a snapshot is of what was committed
        self.last_index = 0
        self.led = 0  # the term it led in, or 0
        self.configuration = configuration
        self.moment: object = None


class Laws:
    """`inner` are the laws of the inside: votes, disks, quorums. Without them only what a user can see is judged: elections,
    logs, commitment, state machines. A mistake must be found without them, too; with them it is found at once."""

    def __init__(self, members: Callable[[], Sequence[Member]], disks: dict[str, Disk], *, inner: bool = True) -> None:
        self.inner = inner
        self.refused: set[int] = set()  # commands that somebody was told are not taken
        self.committed: list[int] = [0]  # the term of the entry at each index
        self.snapshots: dict[int, bytes] = {}
        self._digests: dict[int, int] = {}
        self.applied: dict[int, Command] = {}
        self._members = members
        self._disks = disks
        self._seen: dict[tuple[str, int], Seen] = {}
        self._leaders: dict[int, tuple[str, int]] = {}
        self._commit_terms: list[int] = [0]  # the term of the leader that committed the entry at each index
        self._entries: dict[Id, tuple[Entry, int | None]] = {}
        self._votes: dict[tuple[str, int], str] = {}
        self._indexes: dict[int, int] = {}  # the number of a command → the index where it was applied
        self.breach: BrokenLawError | None = None  # the first; who raised it may be in a `try` of a member

    def _breach(self, law: str, story: str) -> BrokenLawError:
        error = BrokenLawError(law, story)
        self.breach = self.breach or error
        return error

    # --- logs --------------------------------------------------------------------------------------------------------

    def appended(self, member: str, entry: Entry, previous_term: int | None) -> None:
        known = self._entries.get(entry.id)
        if known is None:
            self._entries[entry.id] = (entry, previous_term)
            return
        other, other_previous = known
        if other is not entry and other != entry:
            raise self._breach(
                "log matching", f"{member} has another entry {entry.id}: {entry.data!r}, not {other.data!r}"
            )
        if other_previous is None:
            self._entries[entry.id] = (entry, previous_term)
        elif previous_term not in (None, other_previous):
            story = f"{member} has entry {entry.id} after one of term {previous_term}, not {other_previous}"
            raise self._breach("log matching", story)

    # --- elections and commitment ------------------------------------------------------------------------------------

    def look(self, member: Member) -> None:
        """The member has done something."""
        key = (member.id, member.incarnation)
        seen = self._seen.get(key)
        if seen is None:
            seen = self._seen[key] = Seen(member.configuration, member.snapshot_index)
        moment = member.moment()
        if moment == seen.moment:
            return
        seen.moment = moment
        self._same_digest(member)
        commit_index = member.commit_index
        if commit_index < member.applied_index and not alone(member):
            # It may go back when the disk fails, but not so far. Who is alone applies its whole log before it leads.
            story = f"{member.id} goes back to {commit_index}, it has applied {member.applied_index}"
            raise self._breach("commitment", story)
        if member.leads:
            term = member.term
            last_index = member.last_index
            if seen.led != term:
                self._elected(member, term, key)
            elif last_index < seen.last_index:
                story = f"{member.id} leads term {term} and its log shrank from {seen.last_index} to {last_index}"
                raise self._breach("leader append-only", story)
            seen.led = term
            seen.last_index = last_index
            if commit_index > seen.commit_index:
                self._leader_commits(member, term, seen, commit_index)
        else:
            if commit_index > seen.commit_index:
                if seen.led == member.term:  # with this commitment it was done with leading
                    self._leader_commits(member, seen.led, seen, commit_index)
                self._follower_commits(member, seen.commit_index, commit_index)
            seen.led = 0
        seen.commit_index = commit_index
        seen.configuration = member.configuration

    def _elected(self, member: Member, term: int, key: tuple[str, int]) -> None:
        other = self._leaders.setdefault(term, key)
        if other != key:
            raise self._breach("election safety", f"{member.id} and {other[0]} lead term {term}")
        self._complete(member, term)

    def _complete(self, leader: Member, term: int) -> None:
        """A leader has every entry committed in a lower term: the last of them, and by log matching what is before it."""
        index = len(self.committed) - 1
        while index and self._commit_terms[index] >= term:
            index -= 1
        if index and leader.term_at(index) not in (None, self.committed[index]):
            story = f"{leader.id} leads term {term} with another entry {index}, which was committed"
            raise self._breach("leader completeness", story)
        if index > leader.last_index:
            story = f"{leader.id} leads term {term} without entry {index}, which was committed before"
            raise self._breach("leader completeness", story)

    def _leader_commits(self, member: Member, term: int, seen: Seen, commit_index: int) -> None:
        if self.inner:
            self._on_majority(member, seen, commit_index)
        self._same_commits(member, seen.commit_index, commit_index, term)
        for other in self._members():
            if other.leads and other.term > term:
                self._complete(other, other.term)

    def _follower_commits(self, member: Member, from_index: int, commit_index: int) -> None:
        if commit_index >= len(self.committed):
            story = f"{member.id} takes {commit_index} for committed; leaders have committed {len(self.committed) - 1}"
            raise self._breach("commitment", story)
        self._same_commits(member, from_index, commit_index, 0)

    def _same_commits(self, member: Member, from_index: int, commit_index: int, term: int) -> None:
        committed = self.committed
        for index in range(from_index + 1, commit_index + 1):
            entry_term = member.term_at(index)
            if index < len(committed):
                if entry_term not in (None, committed[index]):
                    others = f"somebody else that of term {committed[index]}"
                    story = f"{member.id} commits entry {index} of term {entry_term}, {others}"
                    raise self._breach("state machine safety", story)
            else:
                if entry_term is None:
                    raise self._breach("commitment", f"{member.id} commits entry {index}, which it does not have")
                committed.append(entry_term)
                self._commit_terms.append(term)

    def _on_majority(self, leader: Member, seen: Seen, commit_index: int) -> None:
        """Committed is what is on the disks of a majority, and by the leader's own term (Raft §5.4.2)."""
        entry_term = leader.term_at(commit_index)
        if entry_term != leader.term:
            story = f"{leader.id} commits entry {commit_index} of term {entry_term} in term {leader.term} by counting"
            raise self._breach("commitment", story)
        having = {
            name
            for name, disk in self._disks.items()
            if disk.term(commit_index) == entry_term or disk.snapshot_index >= commit_index
        }
        # The configuration may have changed in this very step: the entry was committed by the one before it.
        if not any(majorities(configuration, having) for configuration in (seen.configuration, leader.configuration)):
            story = f"{leader.id} commits entry {commit_index}, and it is on disk only at {sorted(having)}"
            raise self._breach("commitment", story)

    # --- votes -------------------------------------------------------------------------------------------------------

    def voted(self, voter: str, term: int, candidate: str) -> None:
        if not self.inner:
            return
        other = self._votes.setdefault((voter, term), candidate)
        if other != candidate:
            raise self._breach("one vote", f"{voter} votes in term {term} for {other} and for {candidate}")
        saved = self._disks[voter].hard_state
        if saved.term < term or (saved.term == term and saved.vote != candidate):
            raise self._breach("one vote", f"{voter} votes in term {term} for {candidate}, its disk says {saved}")

    def confirmed(self, follower: str, term: int, last_index: int) -> None:
        """A follower tells a leader that it has everything up to here."""
        disk = self._disks[follower]
        if self.inner and last_index > max(disk.last_index, disk.snapshot_index):
            story = f"{follower} confirms entries up to {last_index} in term {term}, its disk ends at {disk.last_index}"
            raise self._breach("durability", story)

    # --- state machines ----------------------------------------------------------------------------------------------

    def apply(self, member: str, index: int, command: Command) -> None:
        other = self.applied.setdefault(index, command)
        if other != command:
            raise self._breach("state machine safety", f"{member} applies {command} at {index}, somebody else {other}")
        if command.number in self.refused:
            story = f"{member} applies {command}, of which a client was told that it is not taken"
            raise self._breach("acknowledgement", story)
        if self._indexes.setdefault(command.number, index) != index:
            raise self._breach("once", f"{command} is applied at {self._indexes[command.number]} and at {index}")

    def snapshot(self, member: str, index: int, data: bytes, digest: int) -> None:
        """`digest`: the engine's own checksum of everything applied up to there."""
        if self.snapshots.setdefault(index, data) != data or self._digests.setdefault(index, digest) != digest:
            raise self._breach("state machine safety", f"the state of {member} at {index} is another one")

    def _same_digest(self, member: Member) -> None:
        """What members tell each other of their states: by it a real cluster finds who holds something else."""
        index, digest = member.applied_index, member.digest
        if not member.halted and self._digests.setdefault(index, digest) != digest:
            raise self._breach("one state", f"the digest of {member.id} at {index} is another one")

    @property
    def terms(self) -> int:
        """How many had a leader."""
        return len(self._leaders)

    def index_of(self, number: int) -> int:
        """Where the command was applied by anybody; 0: nowhere."""
        return self._indexes.get(number, 0)


def bare(member: str) -> str:
    return member.partition(":")[0]


def alone(member: Member) -> bool:
    configuration = member.configuration
    return [*map(bare, configuration.peers)] == [member.id] and not configuration.old_peers


def majorities(configuration: Configuration, having: set[str]) -> bool:
    """Whether those are a majority of the voters, and of the old ones as well while it is joint."""
    return all(
        2 * sum(bare(peer) in having for peer in peers) > len(peers)
        for peers in (configuration.peers, configuration.old_peers)
        if peers
    )
