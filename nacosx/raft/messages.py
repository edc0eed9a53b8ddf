"""What the members of a group say to each other. No message names its sender: whoever delivers it knows.

Each may be lost, repeated, delayed and overtaken: the rules count on none of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from nacosx._core.entry import Configuration, Entry


class RequestVote(Struct, frozen=True):
    """A candidate asks for a vote (Raft §5.2), or, with `pre`, whether it would get one (thesis §9.6)."""

    term: int  # that of the candidate; with `pre` the next one, which it has not begun
    last_index: int
    last_term: int
    pre: bool = False
    transfer: bool = (
        False  # the leader asked for this election: it is no reason to refuse that there is one (thesis §4.2.3)
    )


class RequestVoteReply(Struct, frozen=True):
    term: int  # of the voter; when a `pre` is granted, the one that was asked about
    granted: bool
    pre: bool = False


class AppendEntries(Struct, frozen=True):
    """The leader's entries after (previous_index, previous_term). Without entries it is a probe: do our logs match there?"""

    term: int
    sequence: int  # counts what one replicator has sent (SOFAJRaft: reqSeq)
    previous_index: int
    previous_term: int
    commit_index: int
    entries: Sequence[Entry] = ()  # shared by the messages to all members, and never changed


class AppendEntriesReply(Struct, frozen=True):
    """Granted: the logs match up to `last_index`, and that is on this disk. It speaks for everything sent before it, too.

    A probe that matches beyond what is on disk is answered twice: at once, and again when it is there.
    """

    term: int
    sequence: int  # that of the request
    success: bool
    last_index: int  # of a refusal: the logs may match up to here, and do not above
    conflict_term: int = 0  # of a refusal: the term of the follower's entry at `last_index`


class Heartbeat(Struct, frozen=True):
    """Confirms the leader: for the followers' patience, for ReadIndex and for the lease."""

    term: int
    commit_index: int  # no further than the follower's log is known to match
    round: int  # 0: no answer is wanted, it only tells of commit_index


class HeartbeatReply(Struct, frozen=True):
    term: int
    round: int


class InstallSnapshot(Struct, frozen=True):
    """Offers a snapshot to a follower for which the log begins too late. Its engine fetches the data, in chunks."""

    term: int
    last_index: int
    last_term: int
    configuration: Configuration  # as of last_index
    size: int = 0  # bytes of the snapshot; 0: not known


class InstallSnapshotReply(Struct, frozen=True):
    term: int
    success: bool
    last_index: int  # of a success: the follower has everything up to here on disk


class TimeoutNow(Struct, frozen=True):
    """The leader asks the receiver to hold an election at once (thesis §3.10)."""

    term: int


class ReadIndex(Struct, frozen=True):
    """A member asks the leader how far it must have applied to answer a read (thesis §6.4)."""

    request: int


class ReadIndexReply(Struct, frozen=True):
    request: int
    index: int | None  # None: the receiver is not the leader


Message = (
    RequestVote
    | RequestVoteReply
    | AppendEntries
    | AppendEntriesReply
    | Heartbeat
    | HeartbeatReply
    | InstallSnapshot
    | InstallSnapshotReply
    | TimeoutNow
    | ReadIndex
    | ReadIndexReply
)
