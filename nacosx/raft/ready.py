"""What a node wants done. The engine takes it with `Node.ready()`, does it, and tells the node what came of it."""

from __future__ import annotations

import enum

from msgspec import Struct

from nacosx._core.entry import Entry
from nacosx.raft.messages import InstallSnapshot, Message


class Role(enum.Enum):
    FOLLOWER = "follower"
    CANDIDATE = "candidate"  # from the pre-vote on
    LEADER = "leader"
    LEARNER = "learner"  # follows, and is asked for no vote and no ballot


class HardState(Struct, frozen=True):
    """What a member must not forget (Raft §5.1): forgetting it, it could vote twice in a term."""

    term: int = 0
    vote: str = ""  # the member that got the vote of this term, or nobody yet


class Leadership(Struct, frozen=True):
    role: Role
    leader: str  # its id; empty while there is none, or it is not known
    term: int


class Ready(Struct):
    """Taken once. Do it in this order: hard_state; messages, and truncate_suffix and entries beside them; then the rest."""

    hard_state: HardState | None  # must be durable before any message of this or a later Ready is sent
    truncate_suffix: int | None  # forget the entries above this one first: they conflict with the leader's
    entries: list[Entry]  # to be appended in this order; then `Node.stable` of the last. Not to be changed
    messages: list[
        tuple[str, Message]
    ]  # (to whom, what): to be sent once hard_state is durable; never waits for `entries`
    commit_index: int  # entries up to here may be applied; all of them are on this disk
    reads: list[tuple[int, int | None]]  # (request, index to be applied before it is served; None: refused, no leader)
    snapshot: (
        tuple[str, InstallSnapshot] | None
    )  # (leader, its offer): fetch it, then Node.snapshot_installed or _failed
    leadership: (
        Leadership | None
    )  # when it is no longer what the last Ready said; between two terms as a leader one stopped
