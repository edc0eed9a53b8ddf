"""The leader's count of who has what on disk, and how far that commits (Raft §5.3, §5.4.2)."""

from __future__ import annotations

from collections import defaultdict

from nacosx.raft.quorum import Quorum


class BallotBox:
    """Only entries of the leader's own term are committed by count; those before them with the first that is (§5.4.2)."""

    __slots__ = ("_granted", "pending_index", "quorum")

    def __init__(self, quorum: Quorum, pending_index: int) -> None:
        self.quorum = quorum  # of the newest configuration in the log, for every entry (§6)
        self.pending_index = pending_index  # the first entry of this term
        self._granted: defaultdict[str, int] = defaultdict(int)

    def grant(self, member: str, index: int) -> int:
        """The member has everything up to there on disk. Returns what is committed now, 0: nothing of this term."""
        self._granted[member] = index
        committed = self.quorum.reached(self._granted.__getitem__)
        return committed if committed >= self.pending_index else 0
