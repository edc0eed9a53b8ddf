"""Why a node refuses what it is asked. The numbers are those of SOFAJRaft's RaftError, which are those of errno."""

from __future__ import annotations

import enum


class Code(enum.Enum):
    EPERM = 1  # this node is not the leader, or not that of the expected term
    EBUSY = 16  # not now: leadership is being transferred, or the members are being changed
    EINVAL = 22  # it makes no sense: an unknown member, no voters


class RaftError(Exception):
    """`leader` is the id of whom to ask instead, empty when it is not known."""

    def __init__(self, code: Code, message: str, *, leader: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.leader = leader


EPERM, EBUSY, EINVAL = Code.EPERM, Code.EBUSY, Code.EINVAL
