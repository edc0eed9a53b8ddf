"""What a group refuses, for a client: a NacosError that also says what SOFAJRaft's RaftError says."""

from __future__ import annotations

from nacosx.errors import OVER_THRESHOLD, PARAMETER_INVALID, SERVER, Kind, NacosError
from nacosx.raft.errors import Code, RaftError

# SOFAJRaft's names; the numbers of errno, as in `raft.errors`.
EPERM = 1  # not the leader, or not of the expected term
EIO = 5  # the disk of the leader failed
EBUSY = 16  # too much waits, or leadership is being transferred, or a change is under way
EINVAL = 22  # it makes no sense: an unknown member, no voters
ESHUTDOWN = 108
ETIMEDOUT = 110


class RefusedError(NacosError):
    """`unknown`: it may have happened all the same, or still happen. Otherwise it did not and will not."""

    __slots__ = ("error", "leader", "unknown")

    def __init__(self, kind: Kind, detail: str, error: int, *, leader: str = "", unknown: bool = False) -> None:
        super().__init__(kind, detail)
        self.error = error
        self.leader = leader  # with EPERM: the id of who might lead
        self.unknown = unknown

    def again(self) -> RefusedError:
        """An equal one: each who is refused raises his own, a traceback grows with every raise."""
        return RefusedError(self.kind, self.detail, self.error, leader=self.leader, unknown=self.unknown)

    @staticmethod
    def of(error: RaftError) -> RefusedError:
        kind = {Code.EPERM: SERVER, Code.EBUSY: OVER_THRESHOLD, Code.EINVAL: PARAMETER_INVALID}[error.code]
        return RefusedError(kind, str(error), error.code.value, leader=error.leader)

    @staticmethod
    def not_leader(leader: str) -> RefusedError:
        if leader:
            return RefusedError(SERVER, f"this member is not the leader, {leader} is", EPERM, leader=leader)
        return RefusedError(SERVER, "the group has no leader now, try again later", EPERM)

    @staticmethod
    def other_term(expected: int, current: int) -> RefusedError:
        return RefusedError(SERVER, f"expected_term={expected} doesn't match current_term={current}", EPERM)

    @staticmethod
    def busy(detail: str) -> RefusedError:
        return RefusedError(OVER_THRESHOLD, detail, EBUSY)

    @staticmethod
    def stopped(detail: str) -> RefusedError:
        return RefusedError(SERVER, detail, ESHUTDOWN)

    @staticmethod
    def unstored(error: OSError, *, unknown: bool) -> RefusedError:
        return RefusedError(SERVER, f"the write could not be stored: {error.strerror or error}", EIO, unknown=unknown)

    @staticmethod
    def timed_out(detail: str) -> RefusedError:
        return RefusedError(SERVER, detail, ETIMEDOUT, unknown=True)

    @staticmethod
    def lost(detail: str) -> RefusedError:
        """Whoever leads now may have it or not."""
        return RefusedError(SERVER, detail, EPERM, unknown=True)
