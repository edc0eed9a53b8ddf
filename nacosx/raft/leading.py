"""What a leader does in one term: replicate, count ballots, confirm reads, change the members, hand over.

It is made when the term is won and dropped when it ends, so nothing of it can outlive the leadership.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from operator import attrgetter

from nacosx._core.entry import NO_OP, Configuration
from nacosx.raft.ballot_box import BallotBox
from nacosx.raft.errors import EBUSY, EINVAL, RaftError
from nacosx.raft.member import PRIORITY_NOT_ELECTED
from nacosx.raft.membership import CatchingUp, Members, first_step
from nacosx.raft.messages import (
    AppendEntriesReply,
    HeartbeatReply,
    InstallSnapshotReply,
    ReadIndexReply,
    TimeoutNow,
)
from nacosx.raft.reads import ReadRounds
from nacosx.raft.replicator import REPLICATE, Replicator
from nacosx.raft.state import MemberState
from nacosx.raft.transfer import Transfer

_ID = attrgetter("id")
_READINESS = attrgetter("acknowledged_round", "match_index")


class Over(enum.Enum):
    NO_QUORUM = "no quorum of the members has answered for an election timeout"
    LEFT = "it is no longer one of the voters"


class Leading:
    def __init__(self, member: MemberState, *, hands_over: bool = False) -> None:
        """`hands_over`: to the first who can lead; it is not to lead itself, and nobody else could be elected."""
        self._member = member
        self._hands_over = hands_over
        self.term_index = member.log.last_index + 1  # the first entry of this term
        self.replicators: dict[str, Replicator] = {}
        self.ballots = BallotBox(member.members.quorum, self.term_index)
        self.reads = ReadRounds()
        self.transfer: Transfer | None = None
        self.catching_up: CatchingUp | None = None
        self.over: Over | None = None  # why this member is to lead no longer
        self._leavers: dict[str, int] = {}  # who is no member any more and does not know → when that is given up
        self._lease_void = False  # somebody was asked to stand, and may do so at any time
        self._heartbeat_due = False
        self._few_are_silent = False  # those that reads were asked of: they are asked of all
        self.heartbeat_at_ms = self._next_heartbeat_ms()

    def begin(self) -> None:
        """An entry of this term commits those before it (Raft §8). A configuration that no log holds is written down: what
        members are started with may differ one day."""
        member = self._member
        recorded = member.configurations.recorded
        member.log.append_data(NO_OP, member.term, [b""])
        if not recorded:
            member.append_configuration(member.configuration)
        self._configuration_changed()

    # --- replication -------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Puts into the outbox what there is to send."""
        waiting = self.reads.waiting and self._member.commit_index >= self.term_index
        if self._heartbeat_due or waiting or self._few_are_silent:
            self._begin_round(every=self._heartbeat_due, reads=bool(waiting))
            self._heartbeat_due = self._few_are_silent = False
        for replicator in self.replicators.values():
            replicator.send()

    def _begin_round(self, *, every: bool, reads: bool) -> None:
        """Heartbeats go to `every` member. What only reads wait for goes to as few voters as it takes; to all when those keep
        silent."""
        member, replicators = self._member, self.replicators
        all_asked = every or self._few_are_silent
        number = self.reads.begin(member.now_ms, member.commit_index, take=reads, all_asked=all_asked)
        if every:
            asked: Iterable[Replicator] = replicators.values()
        elif all_asked:
            asked = [replicator for replicator in replicators.values() if replicator.id in member.members.voters]
        else:
            readiest = sorted(replicators.values(), key=_READINESS, reverse=True)
            asked = [replicators[voter] for voter in member.members.quorum.fewest(map(_ID, readiest), member.id)]
        for replicator in asked:
            replicator.heartbeat(number)
        self._answer_confirmed()  # when it is its own quorum

    def on_stable(self) -> None:
        """More is on this disk: the leader's own ballot."""
        self._commit(self.ballots.grant(self._member.id, self._member.log.stable_index))

    def on_append_reply(self, sender: str, reply: AppendEntriesReply) -> None:
        replicator = self._heard(sender)
        if replicator is not None and replicator.on_append_reply(reply):
            self._matched(replicator)

    def on_snapshot_reply(self, sender: str, reply: InstallSnapshotReply) -> None:
        replicator = self._heard(sender)
        if replicator is not None and replicator.on_snapshot_reply(reply):
            self._matched(replicator)

    def on_heartbeat_reply(self, sender: str, reply: HeartbeatReply) -> None:
        replicator = self._heard(sender)
        if replicator is None or reply.round > self.reads.round:
            return
        replicator.acknowledged_round = max(replicator.acknowledged_round, reply.round)
        sent_ms = self.reads.sent_ms(reply.round)
        if sent_ms is not None:
            replicator.acknowledged_ms = max(replicator.acknowledged_ms, sent_ms)
        self._answer_confirmed()

    def _heard(self, sender: str) -> Replicator | None:
        replicator = self.replicators.get(sender)
        if replicator is not None:
            replicator.heard_ms = self._member.now_ms
        return replicator

    def _matched(self, replicator: Replicator) -> None:
        self._commit(self.ballots.grant(replicator.id, replicator.match_index))
        if self.transfer is not None and self.transfer.to == replicator.id:
            self._maybe_time_out_now()
        if self.catching_up is not None:
            self._maybe_caught_up(replicator)
        if replicator.id in self._leavers:
            self._let_go()

    def _commit(self, index: int) -> None:
        member = self._member
        before = member.commit_index
        if index <= before:
            return
        member.commit_index = index
        configured = member.configurations.index
        if before < configured <= index or before < self.term_index <= index:
            self._configuration_committed()

    # --- heartbeats and time -----------------------------------------------------------------------------------------

    def _next_heartbeat_ms(self) -> int:
        """A multiple of the interval, so that all groups of a process speak to a peer at the same time."""
        interval_ms = self._member.options.heartbeat_interval_ms
        return (self._member.now_ms // interval_ms + 1) * interval_ms

    @property
    def wakes_ms(self) -> int:
        """When `tick` has something to do."""
        since_ms = self.reads.unanswered_since_ms
        if since_ms is None:
            return self.heartbeat_at_ms
        return min(self.heartbeat_at_ms, since_ms + self._member.options.read_patience_ms)

    def tick(self) -> None:
        member = self._member
        since_ms = self.reads.unanswered_since_ms
        if since_ms is not None and member.now_ms >= since_ms + member.options.read_patience_ms:
            self._few_are_silent = True
        if member.now_ms < self.heartbeat_at_ms:
            return
        self.heartbeat_at_ms = self._next_heartbeat_ms()
        self._heartbeat_due = True
        since_ms = member.now_ms - member.options.election_timeout_ms
        self.reads.forget(since_ms)
        if self._quorum_ms(heard=True) < since_ms:
            self.over = Over.NO_QUORUM
            return
        for replicator in self.replicators.values():
            replicator.on_heartbeat_due()
        if self.transfer is not None:
            if member.now_ms >= self.transfer.deadline_ms:
                self.transfer = None
            else:
                self._maybe_time_out_now()
        elif self._hands_over and not self.changing and member.commit_index >= self.term_index:
            self._hand_over(since_ms)
        if self.catching_up is not None and any(
            self.replicators[voter].heard_ms < since_ms for voter in self.catching_up.waiting
        ):
            self.catching_up = None
            self._refresh_replicators()
        if self._leavers:
            self._let_go()

    def _quorum_ms(self, *, heard: bool) -> int:
        """Since when no quorum has been heard of, or since when one may have followed somebody else."""
        member, replicators = self._member, self.replicators

        def moment(voter: str) -> int:
            if voter == member.id:
                return member.now_ms
            return replicators[voter].heard_ms if heard else replicators[voter].acknowledged_ms

        return member.members.quorum.reached(moment)

    # --- reads -------------------------------------------------------------------------------------------------------

    def read(self, asker: str, request: int) -> None:
        """Before an entry of this term is committed nobody knows what is (§8): then it waits."""
        member = self._member
        if member.options.read_only == "lease" and member.commit_index >= self.term_index and self._lease_holds():
            self._answer(asker, request, member.commit_index)
        else:
            self.reads.waiting.append((asker, request))

    def _lease_holds(self) -> bool:
        member = self._member
        return not self._lease_void and member.now_ms < self._quorum_ms(heard=False) + member.options.leader_lease_ms

    def _answer_confirmed(self) -> None:
        member, replicators, number = self._member, self.replicators, self.reads.round

        def acknowledged(voter: str) -> int:
            return number if voter == member.id else replicators[voter].acknowledged_round

        for (asker, request), index in self.reads.confirmed(member.members.quorum, acknowledged):
            self._answer(asker, request, index)

    def _answer(self, asker: str, request: int, index: int | None) -> None:
        if asker == self._member.id:
            self._member.answers.append((request, index))
        else:
            self._member.send(asker, ReadIndexReply(request, index))

    # --- members -----------------------------------------------------------------------------------------------------

    @property
    def changing(self) -> bool:
        """A change of the members is under way."""
        member = self._member
        unfinished = member.configurations.index > member.commit_index or member.members.joint
        return unfinished or self.catching_up is not None

    def change(self, target: Configuration) -> None:
        """RaftError: EBUSY, EINVAL."""
        member = self._member
        if not target.peers or target.old_peers or target.old_learners:
            raise RaftError(EINVAL, "a group has voters, and finds the way from the old ones by itself")
        try:
            wanted = Members(target)
        except ValueError as error:
            raise RaftError(EINVAL, str(error)) from error
        if not wanted.leadable:
            raise RaftError(EINVAL, "none of them may lead: all are of priority 0")
        # Before an entry of this term is committed, a change of an earlier leader may still be (thesis §4.1, erratum).
        if self.changing or self.transfer is not None or member.commit_index < self.term_index:
            raise RaftError(EBUSY, "the members or the leader are being changed")
        if target == member.configuration:
            return
        added = set(wanted.quorum.voters) - member.members.voters
        if added:
            self.catching_up = CatchingUp(target, added)
            self._refresh_replicators()
            for voter in list(added):
                if self.catching_up is not None:
                    self._maybe_caught_up(self.replicators[voter])
        else:
            self._append_configuration(first_step(member.configuration, target))

    def _maybe_caught_up(self, replicator: Replicator) -> None:
        catching_up, member = self.catching_up, self._member
        assert catching_up is not None
        behind = member.log.last_index - replicator.match_index
        if replicator.state is not REPLICATE or behind > member.options.catchup_margin:
            return
        catching_up.waiting.discard(replicator.id)
        if not catching_up.waiting:
            self.catching_up = None
            self._append_configuration(first_step(member.configuration, catching_up.target))

    def _append_configuration(self, configuration: Configuration) -> None:
        self._member.append_configuration(configuration)
        self._configuration_changed()

    def _configuration_changed(self) -> None:
        """It counts from now on, committed or not (§6)."""
        self.ballots.quorum = self._member.members.quorum
        self._refresh_replicators()

    def _configuration_committed(self) -> None:
        """The configuration in force, or the first entry of this term, which commits what an earlier leader had left."""
        member = self._member
        configuration = member.configuration
        if member.configurations.index > member.commit_index:
            self._refresh_replicators()
        elif member.members.joint:
            self._append_configuration(Configuration(configuration.peers, configuration.learners))
        elif member.id not in member.members.voters:
            self.over = Over.LEFT  # thesis §4.2.2
            for replicator in self.replicators.values():
                replicator.heartbeat(0)  # what was committed, before it says nothing any more
        else:
            self._let_go()

    def _let_go(self) -> None:
        """Those that leave. One that does not know yet that this is committed is told first, or it would go on standing."""
        member = self._member
        give_up_ms = member.now_ms + member.options.election_timeout_ms
        for gone in self.replicators.keys() - member.members.all:
            self._leavers.setdefault(gone, give_up_ms)
        for gone in list(self._leavers):
            self._maybe_let_go(gone)
        self._refresh_replicators()

    def _maybe_let_go(self, gone: str) -> None:
        member, replicator = self._member, self.replicators.get(gone)
        if replicator is None or member.now_ms >= self._leavers[gone]:
            del self._leavers[gone]
        elif replicator.match_index >= member.configurations.index:
            replicator.heartbeat(0)
            del self._leavers[gone]

    def _refresh_replicators(self) -> None:
        """For everybody in a configuration that may be in force somewhere, and for those that are to join."""
        member = self._member
        wanted = set(self._leavers)
        for configuration in member.configurations.since(member.commit_index):
            wanted |= Members(configuration).all
        if self.catching_up is not None:
            wanted |= self.catching_up.waiting | Members(self.catching_up.target).all
        wanted.discard(member.id)
        for left in self.replicators.keys() - wanted:
            del self.replicators[left]
        # At first a member may lack no more than what this term began with.
        next_index = self.term_index if member.commit_index < self.term_index else member.log.last_index + 1
        for joined in sorted(wanted - self.replicators.keys()):
            self.replicators[joined] = Replicator(member, joined, next_index)

    # --- handing over ------------------------------------------------------------------------------------------------

    def transfer_to(self, to: str) -> None:
        """RaftError: EBUSY, EINVAL."""
        member = self._member
        if to == member.id:
            return
        if to not in member.members.quorum.voters:
            raise RaftError(EINVAL, f"{to!r} is not one of the voters")
        if self.transfer is not None or self.changing:
            raise RaftError(EBUSY, "the members or the leader are being changed")
        self.transfer = Transfer(to, member.now_ms + member.options.election_timeout_ms)
        self._maybe_time_out_now()

    def _hand_over(self, since_ms: int) -> None:
        """To who has most of those that may lead and were heard of since then."""
        able = [one for one in self._electable() if one.state is REPLICATE and one.heard_ms >= since_ms]
        if able:
            self.transfer_to(max(able, key=self._preference).id)

    def _electable(self) -> list[Replicator]:
        """Of the voters."""
        members = self._member.members
        return [
            self.replicators[voter]
            for voter in members.quorum.voters
            if voter in self.replicators and members.priorities[voter] != PRIORITY_NOT_ELECTED
        ]

    def _preference(self, replicator: Replicator) -> tuple[int, int]:
        return replicator.match_index, self._member.members.priorities[replicator.id]

    def _maybe_time_out_now(self) -> None:
        assert self.transfer is not None
        member, to = self._member, self.transfer.to
        if to in self.replicators and self.replicators[to].match_index == member.log.last_index:
            self._lease_void = True
            member.send(to, TimeoutNow(member.term))

    def stop(self, *, wake: bool) -> None:
        """The term, or the leadership, is over. With `wake` the member that has most is asked to stand at once, so that the
        group need not wait for its patience to end. Not where no quorum answers: it would raise its term in vain."""
        for asker, request in self.reads.refused():
            self._answer(asker, request, None)
        member = self._member
        electable = self._electable()
        if wake and electable:
            heir = max(electable, key=self._preference)
            if heir.match_index >= member.commit_index:
                member.send(heir.id, TimeoutNow(member.term))
