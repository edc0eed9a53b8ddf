"""What a member does with what its leader sends: append, confirm once it is on disk, be offered snapshots."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from operator import attrgetter

from nacosx._core.entry import CONFIGURATION, Entry
from nacosx.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    InstallSnapshotReply,
)
from nacosx.raft.state import MemberState

_KIND = attrgetter("kind")


class Following:
    """invariant: nothing is confirmed that is not on disk, and only to the leader of this term."""

    __slots__ = ("_confirmations", "_member", "_offer", "offered")

    def __init__(self, member: MemberState) -> None:
        self._member = member
        # (last index, sequence) of what came, in order, to be confirmed once it is on disk.
        self._confirmations: deque[tuple[int, int]] = deque()
        self._offer: tuple[str, InstallSnapshot] | None = None
        self.offered = False  # the engine is yet to be told of the offer

    def term_begins(self) -> None:
        """What the leader of an earlier term sent is confirmed to nobody."""
        self._confirmations.clear()

    # --- entries -----------------------------------------------------------------------------------------------------

    def append_entries(self, sender: str, message: AppendEntries) -> None:
        """Raft §5.3. What does not hang together is no message of a leader, and is dropped."""
        member = self._member
        log = member.log
        previous, entries = message.previous_index, message.entries
        last = previous + len(entries)
        if entries and (entries[0].index != previous + 1 or entries[-1].index != last):
            return
        committed = member.commit_index
        if previous < committed:  # up to there the logs match whatever the message says, and it may be forgotten here
            entries = entries[committed - previous :]
            previous = committed
            last = max(last, committed)
        elif not log.matches(previous, message.previous_term):
            self._refuse(sender, message)
            return
        if entries:
            self._append(previous, entries)
        self.commit(min(message.commit_index, last))
        self._confirm(sender, message.sequence, last, probe=not entries)

    def _append(self, previous: int, entries: Sequence[Entry]) -> None:
        """Skips what is there already; cuts off what is in conflict."""
        member = self._member
        log = member.log
        known = min(log.last_index - previous, len(entries))
        if known and not log.matches(previous + known, entries[known - 1].term):
            known = self._conflict(previous, entries, known)
            kept = previous + known
            assert kept >= member.commit_index, "the leader's log conflicts with what is committed"
            log.truncate(kept)
            if member.configurations.truncate(kept):
                member.configuration_changed()
        if known == len(entries):
            return
        added = entries[known:] if known else entries
        log.append(added)
        if CONFIGURATION in map(_KIND, added):
            member.configurations_appended([entry for entry in added if entry.kind == CONFIGURATION])

    def _conflict(self, previous: int, entries: Sequence[Entry], known: int) -> int:
        """How many of the first `known` match. Where two logs match, they match below, too (Log Matching)."""
        log = self._member.log
        low, high = 0, known - 1
        while low < high:
            middle = (low + high + 1) // 2
            if log.matches(previous + middle, entries[middle - 1].term):
                low = middle
            else:
                high = middle - 1
        return low

    def _refuse(self, sender: str, message: AppendEntries) -> None:
        """With the last entry that may match: none above has a term that the leader's log has there."""
        member = self._member
        log = member.log
        high = min(message.previous_index, log.last_index)
        hint = log.last_index_of_term(message.previous_term, min(member.commit_index, high), high)
        term = log.term(hint) or 0
        member.send(sender, AppendEntriesReply(member.term, message.sequence, False, hint, term))

    def _confirm(self, sender: str, sequence: int, last: int, *, probe: bool) -> None:
        member = self._member
        durable = min(last, member.log.stable_index)
        if durable == last or probe:
            member.send(sender, AppendEntriesReply(member.term, sequence, True, durable))
        if durable < last:
            self._confirmations.append((last, sequence))

    def stable(self) -> None:
        """More is on disk. The last confirmation speaks for those before it."""
        member = self._member
        confirmations, stable_index = self._confirmations, member.log.stable_index
        last = sequence = 0
        while confirmations and confirmations[0][0] <= stable_index:
            confirmed = confirmations.popleft()
            if confirmed[0] >= last:  # a late message may say less than one before it
                last, sequence = confirmed
        if last and member.leader:  # else it asks again
            member.send(member.leader, AppendEntriesReply(member.term, sequence, True, last))

    def commit(self, index: int) -> None:
        member = self._member
        if index > member.commit_index:
            assert index <= member.log.last_index
            member.commit_index = index

    def heartbeat(self, sender: str, message: Heartbeat) -> None:
        member = self._member
        self.commit(min(message.commit_index, member.log.last_index))
        if message.round:
            member.send(sender, HeartbeatReply(member.term, message.round))

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def install_snapshot(self, sender: str, message: InstallSnapshot) -> None:
        member = self._member
        if member.log.matches(message.last_index, message.last_term):
            self.commit(message.last_index)
        if message.last_index <= member.commit_index:
            durable = min(member.commit_index, member.log.stable_index)
            member.send(sender, InstallSnapshotReply(member.term, True, durable))
            return
        wanted = self.wanted()
        fetched_index = 0 if wanted is None else wanted[1].last_index
        if message.last_index < fetched_index:  # of another leader; what is on its way reaches further (SOFAJRaft, too)
            member.send(sender, InstallSnapshotReply(member.term, False, message.last_index))
            return
        # Of the same entry it is the same snapshot: it goes on coming from where it comes, and this leader hears of its end.
        self._offer = (sender, message)
        self.offered = self.offered or message.last_index > fetched_index

    def wanted(self) -> tuple[str, InstallSnapshot] | None:
        """The offer that is being fetched, of the newest snapshot so far. It is dropped when the log has come as far by itself
        meanwhile."""
        if self._offer is None:
            return None
        offered, log = self._offer[1], self._member.log
        if offered.last_index <= self._member.commit_index or log.matches(offered.last_index, offered.last_term):
            self._offer = None
        return self._offer

    def take_offer(self) -> tuple[str, InstallSnapshot] | None:
        self.offered = False
        return self.wanted()

    def snapshot_installed(self, index: int, term: int) -> None:
        wanted = self.wanted()
        assert wanted is not None, "nobody wants a snapshot: ask snapshot_wanted before the log is reset"
        leader, offer = wanted
        assert (index, term) == (offer.last_index, offer.last_term), "not the snapshot that was offered"
        member = self._member
        self._offer = None
        self._confirmations.clear()
        member.log.restore(index, term, offer.size)
        member.configurations.restore(index, offer.configuration)
        member.configuration_changed()
        member.commit_index = index
        member.send(leader, InstallSnapshotReply(member.term, True, index))

    def snapshot_failed(self) -> None:
        """It was not fetched, or not installed. The leader will offer one again."""
        if self._offer is not None:
            leader, offer = self._offer
            self._offer = None
            self._member.send(leader, InstallSnapshotReply(self._member.term, False, offer.last_index))
