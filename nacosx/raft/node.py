"""One member of a group: the rules of Raft without clock, disk or network. See the package for how an engine drives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from nacosx._core.entry import DATA, Configuration
from nacosx.raft.election import Candidacy, Patience, TargetPriority
from nacosx.raft.errors import EBUSY, EINVAL, EPERM, RaftError
from nacosx.raft.following import Following
from nacosx.raft.leading import Leading, Over
from nacosx.raft.log import RaftLog
from nacosx.raft.member import PRIORITY_NOT_ELECTED
from nacosx.raft.membership import Members
from nacosx.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    InstallSnapshotReply,
    Message,
    ReadIndex,
    ReadIndexReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from nacosx.raft.options import Options
from nacosx.raft.reads import ForwardedReads
from nacosx.raft.ready import HardState, Leadership, Ready, Role
from nacosx.raft.replicator import Replicator
from nacosx.raft.state import MemberState

NEVER_MS: Final = 1 << 62  # wakes_ms when no time will change anything

LEADER, CANDIDATE, FOLLOWER, LEARNER = Role.LEADER, Role.CANDIDATE, Role.FOLLOWER, Role.LEARNER


class Node(MemberState):
    """invariant: at most one of `_leading` and `_candidacy` is there, and `role` says which."""

    def __init__(
        self,
        id: str,  # noqa: A002 (what every part of the house calls it)
        options: Options,
        *,
        log: RaftLog,
        hard_state: HardState,
        configuration: Configuration,
        now_ms: int,
        random_below: Callable[[int], int],
    ) -> None:
        """`configuration`: of the snapshot, or what the group begins with; those in the log come after it. `random_below(n)`
        is from 0 to n - 1."""
        super().__init__(id, options, log, hard_state, configuration, now_ms)
        self._patience = Patience(options, random_below, now_ms, heard=hard_state.term > 0)
        self._target_priority = TargetPriority(options.decay_priority_gap)
        self._following = Following(self)
        self._forwarded = ForwardedReads()
        self._leading: Leading | None = None
        self._candidacy: Candidacy | None = None
        self._told = Leadership(self.role, "", self.term)  # by the last Ready
        self._told_index = self.commit_index
        self.role = self._role_of_a_follower()

    # --- what the world did ------------------------------------------------------------------------------------------

    def step(self, sender: str, message: Message, now_ms: int) -> None:
        """A message came. Whatever it says, and however late: what makes no sense changes nothing."""
        self._advance(now_ms)
        match message:
            case AppendEntriesReply() | HeartbeatReply() | InstallSnapshotReply():
                self._step_answer(sender, message)
            case AppendEntries() | Heartbeat() | InstallSnapshot():
                self._step_leader(sender, message)
            case ReadIndex():
                self._step_read_index(sender, message)
            case ReadIndexReply():
                if self._forwarded.answered(message.request):
                    self.answers.append((message.request, message.index))
            case RequestVote():
                self._step_request_vote(sender, message)
            case RequestVoteReply():
                self._step_vote(sender, message)
            case TimeoutNow():
                self._step_timeout_now(sender, message)

    def tick(self, now_ms: int) -> None:
        """Call it at `wakes_ms`; earlier is harmless."""
        self._advance(now_ms)
        if self._leading is not None:
            self._leading.tick()
            self._maybe_step_down()
            return
        self._refuse(self._forwarded.expired(self.now_ms))
        if self.now_ms < self._election_ms():
            return
        if self.promotable and self._target_priority.allows(self.id, self.members):
            self._campaign(pre=True)
        else:
            self._become_follower(self.term, "")

    @property
    def wakes_ms(self) -> int:
        """When `tick` has something to do, unless something else happens before."""
        if self._leading is not None:
            return self._leading.wakes_ms if self._leading.replicators else NEVER_MS
        expires_ms = self._forwarded.deadline_ms
        election_ms = self._election_ms()
        return election_ms if expires_ms is None else min(election_ms, expires_ms)

    def stable(self, last_index: int, term: int, now_ms: int) -> None:
        """The entries of a Ready, which end there, are on disk, with all before them. Reported in order; those of several
        Readys may be reported with the last."""
        self._advance(now_ms)
        assert term <= self.saved.term, "entries were written before the term they belong to"
        if not self.log.stable(last_index, term):
            return
        if self._leading is not None:
            self._leading.on_stable()
            self._maybe_step_down()
        else:
            self._following.stable()

    def hard_state_saved(self, state: HardState) -> None:
        assert (state.term, state.vote) >= (self.saved.term, self.saved.vote), (
            "an older state was saved over a newer one"
        )
        assert state.term <= self.term
        self.saved = state

    def disk_failed(self, durable_index: int) -> None:
        """Nothing of what the disk was given and has not reported is there: the storage ends at `durable_index`. The node
        knows what it would know after a restart, so a leader steps down, and a candidate, which told of a longer log, too.
        Once for one failure, before the storage is given anything else."""
        self.log.reload(durable_index)
        self.configurations.reload(self.log.configurations())
        self.configuration_changed()
        assert self._told_index <= durable_index
        # What was to be replaced may be there again: only what was durable when it was committed is known to be that.
        self.commit_index = self._told_index
        self._following.term_begins()
        if self._leading is not None or self._candidacy is not None:
            self._become_follower(self.term, "", wake=True)

    def applied(self, index: int) -> None:
        """Everything up to there is in the state machine."""
        assert index <= self._told_index, "applied what no Ready said may be"
        self.log.applied(index)

    def snapshot_taken(self, index: int, term: int, size: int = 0) -> None:
        """Of what was applied; it is on disk. The storage may forget entries up to it from now on."""
        self.log.compacted(index, term, size)
        self.configurations.compacted(index)

    @property
    def snapshot_wanted(self) -> tuple[str, InstallSnapshot] | None:
        """The offer that is to be installed. To be asked again before the log is reset: the log may have caught up, then
        the offer is dropped and None."""
        return self._following.wanted()

    def snapshot_installed(self, index: int, term: int) -> None:
        """The state machine is what the offer says, on disk, and the storage was reset to continue after it."""
        self._following.snapshot_installed(index, term)
        self._told_index = index
        self._maybe_become_learner()

    def snapshot_failed(self) -> None:
        """What was offered could not be fetched or installed; nothing has changed."""
        self._following.snapshot_failed()

    # --- what is asked of it -----------------------------------------------------------------------------------------

    def propose(self, data: Sequence[bytes], *, expected_term: int | None = None) -> int:
        """Appends entries; returns the index of the last. RaftError: EPERM with the leader, EBUSY while handing over."""
        leading = self._leading
        if leading is None or (expected_term is not None and expected_term != self.term):
            raise self._not_the_leader(expected_term)
        if leading.transfer is not None:
            raise RaftError(EBUSY, f"leadership goes to {leading.transfer.to}")
        assert data, "nothing is proposed"
        return self.log.append_data(DATA, self.term, data)

    def change(self, configuration: Configuration) -> None:
        """Changes the members: see `membership`. Done when it is in force and committed and `changing` is False; given up
        when `changing` is False and it is not. RaftError: EPERM, EBUSY, EINVAL."""
        self._lead().change(configuration)

    def found(self, configuration: Configuration) -> None:
        """A group begins, with these members, as if this node had been made with them. Whoever is one of them must be told the
        same, and must not have been in a group before. RaftError: EINVAL, this one has been."""
        if self.configurations.recorded or self.members.all:
            raise RaftError(EINVAL, "the group has members already")
        self.configurations.restore(0, configuration)
        self.configuration_changed()
        self._become_follower(self.term, self.leader)

    def reset_peers(self, configuration: Configuration) -> None:
        """The operator's last resort, where no quorum is left: from now on these are the members. Two halves of a group that
        are both told so are two groups. RaftError: EINVAL."""
        try:
            if configuration.old_peers or not Members(configuration).leadable:
                raise ValueError("a group has voters, one that may lead among them, and no old ones")
        except ValueError as error:
            raise RaftError(EINVAL, str(error)) from error
        self.configurations.imposed = configuration
        self.configuration_changed()
        self._become_follower(self.term + 1, "")

    def transfer(self, to: str, now_ms: int) -> None:
        """Hands leadership to a voter; given up after an election timeout. RaftError: EPERM, EBUSY, EINVAL."""
        self._advance(now_ms)
        self._lead().transfer_to(to)

    def read(self, request: int, now_ms: int) -> None:
        """Answered in Ready.reads. `now_ms` must be the clock's, not that of the last turn: a lease ends by it."""
        self._advance(now_ms)
        if self._leading is not None:
            self._leading.read(self.id, request)
        elif self.leader:
            self._forwarded.add(request, self.now_ms + self.options.election_timeout_ms)
            self.send(self.leader, ReadIndex(request))
        else:
            self.answers.append((request, None))

    def campaign(self, now_ms: int) -> None:
        """Stands for election now; a sole voter is the leader at once. Nothing happens where it may not, or leads."""
        self._advance(now_ms)
        if self.promotable and self._leading is None:
            self._campaign(pre=True)

    # --- what follows ------------------------------------------------------------------------------------------------

    def ready(self) -> Ready | None:
        """What is to be done, or None. OSError, CorruptEntryError: what a follower needs cannot be read; nothing was taken."""
        leading = self._leading
        if leading is not None and (leading.replicators or leading.reads.waiting):
            leading.pump()
        log, saved, told = self.log, self.saved, self._told
        hard_state = leadership = snapshot = None
        if self.term != saved.term or self.vote != saved.vote:
            hard_state = HardState(self.term, self.vote)
        if self.role is not told.role or self.leader != told.leader or self.term != told.term:
            leadership = self._told = Leadership(self.role, self.leader, self.term)
        if self._following.offered:
            snapshot = self._following.take_offer()
        commit_index = min(self.commit_index, log.stable_index)
        waits = log.waits
        messages, answers = self.messages, self.answers
        if not (
            waits or messages or commit_index > self._told_index or hard_state or answers or leadership or snapshot
        ):
            return None
        truncate_suffix, entries = log.take() if waits else (None, [])
        self.messages, self.answers = [], []
        if commit_index > self._told_index:
            self._told_index = commit_index
        return Ready(hard_state, truncate_suffix, entries, messages, self._told_index, answers, snapshot, leadership)

    @property
    def replicators(self) -> Mapping[str, Replicator]:
        """Of a leader: what it knows of the others."""
        return {} if self._leading is None else self._leading.replicators

    @property
    def changing(self) -> bool:
        """This leader is changing the members."""
        return self._leading is not None and self._leading.changing

    @property
    def transferring(self) -> bool:
        """This leader is handing over: proposals are refused."""
        return self._leading is not None and self._leading.transfer is not None

    @property
    def promotable(self) -> bool:
        """One of the voters. Or it was one until a change that is not known to be committed: it may be the only one that
        has it in its log, and then nobody else can be elected (thesis §4.2.2)."""
        return self.id in self.members.voters or self.leaves

    @property
    def leaves(self) -> bool:
        """A voter until the change that is under way is committed."""
        configurations = self.configurations
        if configurations.index <= self.commit_index or configurations.imposed is not None:
            return False
        earlier = configurations.since(self.commit_index)
        return self.id not in self.members.voters and any(self.id in Members(one).voters for one in earlier)

    # --- messages ----------------------------------------------------------------------------------------------------

    def _step_leader(self, sender: str, message: AppendEntries | Heartbeat | InstallSnapshot) -> None:
        """From the leader of a term. An earlier one learns from the answer that its term is over."""
        if message.term < self.term:
            if isinstance(message, AppendEntries):
                self.send(sender, AppendEntriesReply(self.term, message.sequence, False, 0))
            elif isinstance(message, Heartbeat):
                self.send(sender, HeartbeatReply(self.term, message.round))
            else:
                self.send(sender, InstallSnapshotReply(self.term, False, 0))
            return
        if message.term > self.term or self.leader != sender:
            assert message.term > self.term or self.leader == "", "two leaders in one term"
            self._become_follower(message.term, sender)
            self._target_priority.reset()
            if self.configurations.imposed is not None:  # what the operator said where nobody led
                self.configurations.imposed = None
                self.configuration_changed()
        self._patience.heard(self.now_ms)
        if isinstance(message, AppendEntries):
            self._following.append_entries(sender, message)
            self._maybe_become_learner()
        elif isinstance(message, Heartbeat):
            self._following.heartbeat(sender, message)
        else:
            self._following.install_snapshot(sender, message)

    def _step_answer(self, sender: str, message: AppendEntriesReply | HeartbeatReply | InstallSnapshotReply) -> None:
        if message.term != self.term:
            if message.term > self.term:
                self._become_follower(message.term, "")
            return
        leading = self._leading
        if leading is None:
            return
        if isinstance(message, AppendEntriesReply):
            leading.on_append_reply(sender, message)
        elif isinstance(message, HeartbeatReply):
            leading.on_heartbeat_reply(sender, message)
        else:
            leading.on_snapshot_reply(sender, message)
        if leading.over is not None:
            self._maybe_step_down()

    def _step_read_index(self, sender: str, message: ReadIndex) -> None:
        if self._leading is not None:
            self._leading.read(sender, message.request)
        else:
            self.send(sender, ReadIndexReply(message.request, None))

    # --- elections ---------------------------------------------------------------------------------------------------

    def _step_request_vote(self, sender: str, message: RequestVote) -> None:
        """A voter does not ask whether the candidate is a member: it may be the voter that is behind (thesis §4.2.3)."""
        promised = not message.transfer and (self._leading is not None or self._patience.promised(self.now_ms))
        if message.term < self.term or (message.pre and promised):
            self.send(sender, RequestVoteReply(self.term, False, message.pre))
            return
        if promised:
            return
        if message.term > self.term and not message.pre:
            self._become_follower(message.term, "")
        log = self.log
        up_to_date = (message.last_term, message.last_index) >= (log.last_term, log.last_index)  # §5.4.1
        if not up_to_date and sender in self.members.voters:
            self._target_priority.refused()
        if message.pre:
            granted = up_to_date and message.term > self.term
            self.send(sender, RequestVoteReply(message.term if granted else self.term, granted, True))
            return
        granted = up_to_date and not self.leader and self.vote in ("", sender)
        if granted:
            self.vote = sender
            self._patience.restart(self.now_ms)
        self.send(sender, RequestVoteReply(self.term, granted))

    def _step_vote(self, sender: str, message: RequestVoteReply) -> None:
        candidacy = self._candidacy
        if message.term > self.term and not (message.pre and message.granted):
            self._become_follower(message.term, "")
            return
        if candidacy is None or message.pre != candidacy.pre:
            return
        # A voter refuses a pre-vote with its own term, which may be an earlier one.
        if message.term == candidacy.term or (message.pre and not message.granted):
            self._count(candidacy, sender, message.granted)

    def _step_timeout_now(self, sender: str, message: TimeoutNow) -> None:
        if message.term > self.term:
            self._become_follower(message.term, sender)
        if message.term == self.term and self.promotable and self._leading is None:
            self._campaign(pre=False, transfer=True)

    def _campaign(self, *, pre: bool, transfer: bool = False) -> None:
        """Before the term is raised, a pre-vote asks whether that would lead to anything (thesis §9.6)."""
        self._become_follower(self.term if pre else self.term + 1, "")
        self.role = CANDIDATE
        if not pre:
            self.vote = self.id
        candidacy = self._candidacy = Candidacy(
            self.members.quorum, self.term + 1 if pre else self.term, pre=pre, transfer=transfer
        )
        log = self.log
        if self._count(candidacy, self.id, True):
            return
        for voter in sorted(self.members.voters - {self.id}):
            self.send(voter, RequestVote(candidacy.term, log.last_index, log.last_term, pre, transfer))

    def _count(self, candidacy: Candidacy, voter: str, granted: bool) -> bool:
        """True: it is decided."""
        won = candidacy.count(voter, granted)
        if won and candidacy.pre:
            self._campaign(pre=False)
        elif won:
            self._become_leader()
        elif won is False:
            self._become_follower(self.term, "")
        return won is not None

    # --- roles -------------------------------------------------------------------------------------------------------

    def _become_leader(self) -> None:
        candidacy, self._candidacy = self._candidacy, None
        assert candidacy is not None
        stands_in = self.members.priorities.get(self.id) == PRIORITY_NOT_ELECTED and not candidacy.transfer
        self.role, self.leader = LEADER, self.id
        self._target_priority.reset()
        self._leading = Leading(self, hands_over=stands_in)
        self._leading.begin()
        self._leading.on_stable()

    def _become_follower(self, term: int, leader: str, *, wake: bool = False) -> None:
        """Also of nobody, until a leader shows itself."""
        assert term >= self.term
        if self._leading is not None:
            self._leading.stop(wake=wake)
            self._leading = None
        self._candidacy = None
        if term > self.term:
            self.term, self.vote = term, ""
            self._following.term_begins()
        if self.leader != leader:
            self.leader = leader
            self._refuse(self._forwarded.refused())
        self.role = self._role_of_a_follower()
        self._patience.restart(self.now_ms)

    def _role_of_a_follower(self) -> Role:
        return LEARNER if self.id in self.members.learners else FOLLOWER

    def _maybe_become_learner(self) -> None:
        """Or a follower again: as the configuration in force says."""
        self.role = self._role_of_a_follower()

    def _maybe_step_down(self) -> None:
        if self._leading is not None and self._leading.over is not None:
            self._become_follower(self.term, "", wake=self._leading.over is Over.LEFT)

    # --- small things ------------------------------------------------------------------------------------------------

    def _advance(self, now_ms: int) -> None:
        if now_ms > self.now_ms:
            self.now_ms = now_ms

    def _election_ms(self) -> int:
        """When patience ends. A sole voter waits for nobody, and who is no voter only for a leader to be lost."""
        if self.promotable:
            alone = self.members.voters == {self.id} and self.members.priorities[self.id] != PRIORITY_NOT_ELECTED
            return self.now_ms if alone else self._patience.deadline_ms
        return self._patience.deadline_ms if self.leader else NEVER_MS

    def _lead(self) -> Leading:
        if self._leading is None:
            raise self._not_the_leader(None)
        return self._leading

    def _not_the_leader(self, expected_term: int | None) -> RaftError:
        if self._leading is None:
            return RaftError(EPERM, "not the leader", leader=self.leader)
        return RaftError(EPERM, f"the term is {self.term}, not {expected_term}", leader=self.leader)

    def _refuse(self, requests: Sequence[int]) -> None:
        self.answers.extend((request, None) for request in requests)
