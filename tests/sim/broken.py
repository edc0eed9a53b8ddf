"""Mistakes, each put into the rules, or between them and the disk, of every host: what a simulator must find, or it finds
nothing. Each is what somebody once got wrong, or might.
"""

from __future__ import annotations

from nacosx._core.entry import Configuration
from nacosx.raft.leading import Leading
from nacosx.raft.messages import RequestVote, RequestVoteReply
from nacosx.raft.node import Node
from nacosx.raft.ready import HardState, Ready, Role
from tests.sim.disk import Appended, Disk, DiskLog
from tests.sim.disk_snapshots import DiskHardStates
from tests.sim.host import Host
from tests.sim.loop import MS, ProcessLoop
from tests.sim.registers import Applied, Command, Registers

FLUSH_MS = 1500  # how often an operating system writes what nobody asked it to sync

# --- the rules -------------------------------------------------------------------------------------------------------


class VotesTwice(Node):
    """Whoever asks gets a vote (§5.2)."""

    def _step_request_vote(self, sender: str, message: RequestVote) -> None:
        if message.term == self.term and not message.pre and self._leading is None:
            self.send(sender, RequestVoteReply(self.term, True))
        else:
            super()._step_request_vote(sender, message)


class VotesForAnybody(Node):
    """Also for a candidate whose log lacks what was committed (§5.4.1)."""

    def _step_request_vote(self, sender: str, message: RequestVote) -> None:
        log = self.log
        best = RequestVote(message.term, log.last_index, log.last_term, message.pre, message.transfer)
        super()._step_request_vote(sender, best)


class Mistaken(Node):
    """Leads as `leading_of` does."""

    leading_of: type[Leading]

    def _become_leader(self) -> None:
        self._candidacy = None
        self.role, self.leader = Role.LEADER, self.id
        self._target_priority.reset()
        self._leading = self.leading_of(self)
        self._leading.begin()
        self._leading.on_stable()


class LeadingByCount(Leading):
    """Counts ballots for entries of earlier terms, and writes none of its own to commit them."""

    def begin(self) -> None:
        self.ballots.pending_index = 0
        self._configuration_changed()


class CommitsOldTerms(Mistaken):
    """§5.4.2, figure 8."""

    leading_of = LeadingByCount


class ReadsWithoutQuorum(Node):
    """A leader that was cut off does not know that it is none (§8)."""

    def read(self, request: int, now_ms: int) -> None:
        if self._leading is None:
            super().read(request, now_ms)
        else:
            self.answers.append((request, self.commit_index))


class LeadingTooSoon(Leading):
    """Takes for committed what it knew to be when it was elected (§8)."""

    def begin(self) -> None:
        super().begin()
        self.term_index = 0


class ReadsTooSoon(Mistaken):
    leading_of = LeadingTooSoon


class LeadingAtOnce(Leading):
    """From one configuration to any other in one step: two majorities need not have a member in common (§6)."""

    def _append_configuration(self, configuration: Configuration) -> None:
        super()._append_configuration(Configuration(configuration.peers, configuration.learners))


class ChangesMembersAtOnce(Mistaken):
    leading_of = LeadingAtOnce


class LeadingForEver(Leading):
    """Believes in its lease, whoever answers."""

    def _lease_holds(self) -> bool:
        return True

    def _quorum_ms(self, *, heard: bool) -> int:
        return self._member.now_ms


class LeasesForEver(Mistaken):
    leading_of = LeadingForEver


class AcknowledgesTooSoon(Node):
    """What the disk is given counts as if it were on it: the own ballot of a leader, and what a follower confirms."""

    def ready(self) -> Ready | None:
        ready = super().ready()
        if ready is not None and ready.entries and self.log.stable(ready.entries[-1].index, ready.entries[-1].term):
            if self._leading is not None:
                self._leading.on_stable()
            else:
                self._following.stable()
        return ready


# --- the disk --------------------------------------------------------------------------------------------------------


class UnsyncedLog(DiskLog):
    """Written, never synced: what the operating system has not written by itself is gone with the power."""

    def __init__(self, disk: Disk, loop: ProcessLoop, appended: Appended) -> None:
        super().__init__(disk, loop, appended)
        self._flush()

    def _flush(self) -> None:
        disk = self._disk
        self._flushed_us = self._loop.agenda.now_us
        self._flushed = disk.base, list(disk.log), disk.first_index, disk.hard_state

    def _end(self) -> None:
        super()._end()
        if self._loop.agenda.now_us - self._flushed_us > FLUSH_MS * MS:
            self._flush()

    def crash(self, survives: str) -> None:
        if survives == "kept":
            super().crash(survives)
        else:
            disk = self._disk
            disk.base, disk.log, disk.first_index, disk.hard_state = self._flushed


class ForgottenVotes(DiskHardStates):
    """The term is saved, the vote is not."""

    def save(self, state: HardState) -> None:
        super().save(HardState(state.term))


# --- the machine -----------------------------------------------------------------------------------------------------


class ForgetfulRegisters(Registers):
    """What it does depends on more than the log: on how long this process has run."""

    def __init__(self, applied: Applied) -> None:
        super().__init__(applied)
        self._appends = 0

    def apply(self, index: int, command: Command) -> bool:
        before = self.read(command.key)
        done = super().apply(index, command)
        if command.kind == "append":
            self._appends += 1
            if self._appends % 10 == 0:
                self.state.registers[command.key] = before
        return done


# --- the hosts -------------------------------------------------------------------------------------------------------


def host_of(
    *, node: type[Node] = Node, log: type[DiskLog] = DiskLog, hard_states: type[DiskHardStates] = DiskHardStates,
    registers: type[Registers] = Registers,
) -> type[Host]:  # fmt: skip
    parts = {"node_of": node, "log_of": log, "hard_states_of": hard_states, "registers_of": registers}
    return type("BrokenHost", (Host,), parts)


# By what `--broken` calls them; "" is what is not broken.
VARIANTS: dict[str, type[Host]] = {
    "": Host,
    "no fsync": host_of(log=UnsyncedLog),
    "acknowledges before durable": host_of(node=AcknowledgesTooSoon),
    "votes twice": host_of(node=VotesTwice),
    "votes for anybody": host_of(node=VotesForAnybody),
    "forgets votes": host_of(hard_states=ForgottenVotes),
    "commits old terms by count": host_of(node=CommitsOldTerms),
    "reads without quorum": host_of(node=ReadsWithoutQuorum),
    "reads too soon": host_of(node=ReadsTooSoon),
    "leases for ever": host_of(node=LeasesForEver),
    "changes members at once": host_of(node=ChangesMembersAtOnce),
    "forgets what it applied": host_of(registers=ForgetfulRegisters),
}
