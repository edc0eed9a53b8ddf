"""A member of a group as the laws see it: `laws.Member`."""

from __future__ import annotations

from nacosx._core.entry import Configuration
from nacosx.engine.raft.group import RaftGroup
from nacosx.raft.node import Node
from nacosx.raft.ready import Role
from tests.sim.disk import Disk
from tests.sim.registers import Registers


class GroupMember:
    id: str
    incarnation: int
    disk: Disk
    group: RaftGroup
    registers: Registers

    @property
    def started(self) -> bool:
        raise AssertionError("whoever it is a part of knows")

    @property
    def halted(self) -> bool:
        """The group has given up: its disk or its machine failed it."""
        return self.started and self.group.ended

    @property
    def node(self) -> Node:
        return self.group.node

    @property
    def term(self) -> int:
        return self.node.term

    @property
    def leads(self) -> bool:
        return self.started and self.node.role is Role.LEADER and not self.group.ended

    @property
    def applied_index(self) -> int:
        return self.group.applied_index

    @property
    def digest(self) -> int:
        return self.group._caller.digest

    @property
    def snapshot_index(self) -> int:
        return self.disk.snapshot_index

    @property
    def commit_index(self) -> int:
        return self.node.commit_index

    @property
    def last_index(self) -> int:
        return self.node.log.last_index

    @property
    def configuration(self) -> Configuration:
        return self.node.configuration

    def moment(self) -> object:
        group = self.group
        node = group.node
        log = node.log
        return (
            *(node.term, node.role, node.commit_index, log.last_index, log.last_term, node.configuration),
            *(group.applied_index, group.ended),
        )

    def term_at(self, index: int) -> int | None:
        return self.node.log.term(index)
