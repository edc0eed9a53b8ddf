"""When enough members agree: a majority, and with a joint configuration one of the old and one of the new (Raft §6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set


def majority(voters: tuple[str, ...], value: Callable[[str], int]) -> int:
    """The largest value that a majority of the voters has reached; 0 when there are no voters."""
    count = len(voters)
    if count == 1:
        return value(voters[0])
    return sorted(map(value, voters))[(count - 1) // 2] if count else 0


class Quorum:
    """Of a configuration. `old_voters` is empty unless it is a joint one."""

    __slots__ = ("old_voters", "voters")

    def __init__(self, voters: tuple[str, ...], old_voters: tuple[str, ...] = ()) -> None:
        self.voters = voters
        self.old_voters = old_voters

    def reached(self, value: Callable[[str], int]) -> int:
        """The largest value that a quorum has reached."""
        reached = majority(self.voters, value)
        return min(reached, majority(self.old_voters, value)) if self.old_voters else reached

    def fewest(self, preferred: Iterable[str], present: str) -> list[str]:
        """So few of those `preferred`, the first ones, that they and `present` are a quorum."""
        missing = len(self.voters) // 2 + 1 - (present in self.voters)
        old_missing = len(self.old_voters) // 2 + 1 - (present in self.old_voters) if self.old_voters else 0
        found = []
        for member in preferred:
            votes, old_votes = member in self.voters, member in self.old_voters
            if (votes and missing > 0) or (old_votes and old_missing > 0):
                found.append(member)
                missing -= votes
                old_missing -= old_votes
        return found

    def outcome(self, granted: Set[str], refused: Set[str]) -> bool | None:
        """Of a vote: won, lost, or still open."""
        if self.reached(lambda voter: voter in granted):
            return True
        return None if self.reached(lambda voter: voter not in refused) else False
