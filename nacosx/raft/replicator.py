"""What a leader knows of one member, and what it sends there next.

::

            a probe matched                    PROBE      one empty AppendEntries at a time: where do our logs match?
    PROBE ──────────────────→ REPLICATE        REPLICATE  everything at once as it comes, up to the window, unanswered
      ↑ ←──────────────────────── │            SNAPSHOT   the log begins too late: nothing but the offer of a snapshot
      │      refused: a gap       │
      │ installed, failed         │ the entry it needs is forgotten
      └───────── SNAPSHOT ←───────┘ (or while probing)

What is sent is numbered: `sequence` is the last one given out (SOFAJRaft: reqSeq), `required_next_sequence` the first whose
refusal still means something. What was lost shows when a later message is refused for the gap. When nothing follows it, a
message without entries asks after a heartbeat interval without progress. So a slow disk is not taken for a loss.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import TYPE_CHECKING

from nacosx._core.entry import Entry
from nacosx.raft.messages import AppendEntries, AppendEntriesReply, Heartbeat, InstallSnapshot, InstallSnapshotReply

if TYPE_CHECKING:
    from nacosx.raft.state import MemberState


class Progress(enum.Enum):
    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


LONG_AGO_MS = -(1 << 62)

# limit: of the window while entries are read from disk, for a member that is far behind: everybody else waits meanwhile.
READ_INFLIGHTS_MAX = 4

PROBE, REPLICATE, SNAPSHOT = Progress.PROBE, Progress.REPLICATE, Progress.SNAPSHOT


class Replicator:
    __slots__ = (
        "_certain",
        "_checked_index",
        "_member",
        "_sent_ms",
        "_told_index",
        "_waits",
        "acknowledged_ms",
        "acknowledged_round",
        "heard_ms",
        "id",
        "inflight_bytes",
        "inflights",
        "match_index",
        "next_index",
        "required_next_sequence",
        "sequence",
        "state",
    )

    def __init__(self, member: MemberState, to: str, next_index: int) -> None:
        self._member = member
        self.id = to
        self.state = PROBE
        self.next_index = next_index  # the next entry to be sent
        self.match_index = 0  # up to here its log is ours, and on its disk
        self.sequence = 0
        self.required_next_sequence = 1
        # What was sent and is not confirmed: (sequence, last index, bytes).
        self.inflights: deque[tuple[int, int, int]] = deque()
        self.inflight_bytes = 0
        self.heard_ms = member.now_ms  # it answered in this term
        self.acknowledged_round = 0  # the last round of heartbeats it answered
        self.acknowledged_ms = LONG_AGO_MS  # when that was sent: until then it followed nobody else
        self._certain = False  # the last probe asked for what had been confirmed before
        self._waits = False  # for the answer to a probe or to an offer
        self._sent_ms = 0  # when that was sent
        self._checked_index = 0  # match_index at the last heartbeat
        self._told_index = 0  # the commit index it was told

    # --- sending -----------------------------------------------------------------------------------------------------

    def send(self) -> None:
        """Everything it may be sent now. OSError, CorruptEntryError: the log cannot be read."""
        if self.state is REPLICATE:
            self._replicate()
        elif not self._waits:
            if self.state is PROBE:
                self._probe()
            if self.state is SNAPSHOT:  # as it may have become
                self._offer()

    def _replicate(self) -> None:
        member, inflights = self._member, self.inflights
        log, options = member.log, member.options
        last_index, window = log.last_index, options.max_replicator_inflight_msgs
        while self.next_index <= last_index and len(inflights) < window:
            low = self.next_index
            if self.inflight_bytes >= options.max_replicator_inflight_bytes:
                break
            if len(inflights) >= READ_INFLIGHTS_MAX and not log.in_memory(low):
                break
            previous_term = log.term(low - 1)
            if previous_term is None or low < log.first_index:
                self._become(SNAPSHOT)
                self._offer()
                return
            entries = log.slice(low, min(last_index, low + options.max_entries_size - 1), options.max_body_size)
            self._append(low - 1, previous_term, entries)
            self.next_index = low + len(entries)
            inflights.append((self.sequence, self.next_index - 1, log.sliced_bytes))
            self.inflight_bytes += log.sliced_bytes
        if self._told_index < min(member.commit_index, self.match_index):
            self.heartbeat(0)  # so that it need not wait for the next entry to apply this one

    def _probe(self) -> None:
        log = self._member.log
        previous_term = log.term(self.next_index - 1)
        if previous_term is None or self.next_index < log.first_index:
            self._become(SNAPSHOT)
        else:
            self._certain = self.next_index - 1 <= self.match_index
            self._append(self.next_index - 1, previous_term, ())
            self._wait()

    def _append(self, previous_index: int, previous_term: int, entries: list[Entry] | tuple[()]) -> None:
        member = self._member
        self.sequence += 1
        commit_index = member.commit_index
        member.messages.append(
            (self.id, AppendEntries(member.term, self.sequence, previous_index, previous_term, commit_index, entries))
        )
        self._told_index = max(self._told_index, min(commit_index, previous_index + len(entries)))

    def _offer(self) -> None:
        member = self._member
        log = member.log
        configuration = member.configurations.at(log.snapshot_index)
        member.messages.append(
            (
                self.id,
                InstallSnapshot(member.term, log.snapshot_index, log.snapshot_term, configuration, log.snapshot_size),
            )
        )
        self._wait()

    def _wait(self) -> None:
        self._waits = True
        self._sent_ms = self._member.now_ms

    def heartbeat(self, number: int) -> None:
        member = self._member
        # Above what is known to match it may have other entries, which are not committed.
        commit_index = min(member.commit_index, self.match_index)
        member.messages.append((self.id, Heartbeat(member.term, commit_index, number)))
        self._told_index = max(self._told_index, commit_index)

    def on_heartbeat_due(self) -> None:
        """Once in each interval: asks again what may have been lost."""
        member = self._member
        if self.state is REPLICATE:
            if self.match_index < self.next_index - 1 and self.match_index == self._checked_index:
                previous_term = member.log.term(self.next_index - 1)
                if previous_term is not None:
                    self._append(self.next_index - 1, previous_term, ())
                else:  # forgotten meanwhile: what it needs is a snapshot, unless it has more than it could say
                    self.next_index = self.match_index + 1
                    self._become(PROBE)
            self._checked_index = self.match_index
            return
        patience_ms = (
            member.options.heartbeat_interval_ms if self.state is PROBE else member.options.election_timeout_ms
        )
        if self._waits and member.now_ms - self._sent_ms >= patience_ms:
            self._waits = False

    # --- answers -----------------------------------------------------------------------------------------------------

    def on_append_reply(self, reply: AppendEntriesReply) -> bool:
        """True: match_index has changed, or only now is it known that there is nothing left to send."""
        if not reply.success:
            return reply.sequence >= self.required_next_sequence and self._on_refused(reply)
        if reply.last_index > self._member.log.last_index:
            return False  # not of a log like ours
        changed = reply.last_index > self.match_index
        if changed:
            self.match_index = reply.last_index
            if self.next_index <= reply.last_index:
                self.next_index = reply.last_index + 1
        if self.state is REPLICATE:
            inflights = self.inflights
            while inflights and inflights[0][1] <= self.match_index:
                sequence, _, size = inflights.popleft()
                self.required_next_sequence = sequence + 1
                self.inflight_bytes -= size
        elif reply.sequence >= self.required_next_sequence and self.state is PROBE:
            self._become(REPLICATE)
            return changed or self.next_index > self._member.log.last_index
        elif self.state is SNAPSHOT and self.match_index + 1 >= self._member.log.first_index:
            self._become(PROBE)
        return changed

    def _on_refused(self, reply: AppendEntriesReply) -> bool:
        if self.state is SNAPSHOT:
            return False
        log = self._member.log
        # It lost what it had confirmed: without this it would be refused for ever. What was committed stays committed.
        lost = self.state is PROBE and self._certain and reply.sequence == self.sequence
        if lost:
            self.match_index = 0
        high = max(min(reply.last_index, self.next_index - 1, log.last_index), self.match_index)
        low = min(max(self.match_index, log.first_index - 2), high)  # below it is all the same: a snapshot
        self.next_index = log.last_index_of_term(reply.conflict_term, low, high) + 1
        self._become(PROBE)
        return lost

    def on_snapshot_reply(self, reply: InstallSnapshotReply) -> bool:
        """True: match_index has changed. After a failure it is offered again with the next heartbeat but one."""
        changed = reply.success and self.match_index < reply.last_index <= self._member.log.last_index
        if changed:
            self.match_index = reply.last_index
        if self.state is SNAPSHOT:
            self.next_index = self.match_index + 1
            self._become(PROBE)
            if not reply.success:
                self._wait()
        return changed

    def _become(self, state: Progress) -> None:
        """What was sent before is no longer waited for, and a refusal of it says nothing."""
        self.state = state
        self.inflights.clear()
        self.inflight_bytes = 0
        self.required_next_sequence = self.sequence + 1
        self._waits = False
