"""What a member of a group knows whatever its role: shared by the parts of a `Node`."""

from __future__ import annotations

from nacosx._core.entry import CONFIGURATION, Configuration, Entry
from nacosx.raft.log import RaftLog
from nacosx.raft.membership import Configurations, Members
from nacosx.raft.messages import Message
from nacosx.raft.options import Options
from nacosx.raft.ready import HardState, Role


class MemberState:
    """Raft's figure 2, and the outbox of the next `Ready`."""

    def __init__(
        self,
        member: str,
        options: Options,
        log: RaftLog,
        hard_state: HardState,
        configuration: Configuration,
        now_ms: int,
    ) -> None:
        self.id = member
        self.options = options
        self.log = log
        self.saved = hard_state  # what is on disk of (term, vote)
        self.term = hard_state.term
        self.vote = hard_state.vote
        if log.last_term > self.term:  # a log from before there was a hard state
            self.term, self.vote = log.last_term, ""
        self.role = Role.FOLLOWER
        self.leader = ""
        self.commit_index = log.snapshot_index
        self.configurations = Configurations(log.snapshot_index, configuration, log.configurations())
        self.members = Members(self.configurations.current)
        self.now_ms = now_ms  # the latest that was told
        self.messages: list[tuple[str, Message]] = []
        self.answers: list[tuple[int, int | None]] = []  # of reads

    @property
    def configuration(self) -> Configuration:
        """The one in force: the newest in the log."""
        return self.configurations.current

    def send(self, to: str, message: Message) -> None:
        self.messages.append((to, message))

    def configuration_changed(self) -> None:
        """Another one is in force now."""
        self.members = Members(self.configurations.current)

    def append_configuration(self, configuration: Configuration) -> None:
        """By the leader."""
        index = self.log.append_data(CONFIGURATION, self.term, [configuration.encode()])
        self.configurations.append(index, configuration)
        self.configuration_changed()

    def configurations_appended(self, entries: list[Entry]) -> None:
        """From the leader."""
        for entry in entries:
            configuration = entry.configuration
            assert configuration is not None
            self.configurations.append(entry.index, configuration)
        self.configuration_changed()
