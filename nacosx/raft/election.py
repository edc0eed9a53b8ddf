"""When a member stands for election, and when it has won (Raft §5.2, thesis §9.6, §4.2.3; priority as in SOFAJRaft)."""

from __future__ import annotations

from collections.abc import Callable

from nacosx.raft.member import PRIORITY_DISABLED, PRIORITY_MIN, PRIORITY_NOT_ELECTED
from nacosx.raft.membership import Members
from nacosx.raft.options import Options
from nacosx.raft.quorum import Quorum


class Patience:
    """How long a follower waits for its leader: the election timeout and a random part, so that few stand at once."""

    __slots__ = ("_delay_ms", "_heard_ms", "_options", "_random_below", "_since_ms")

    def __init__(self, options: Options, random_below: Callable[[int], int], now_ms: int, *, heard: bool) -> None:
        """`heard`: it may have promised something before it was restarted; then it keeps that."""
        self._options = options
        self._random_below = random_below
        self._heard_ms: int | None = now_ms if heard else None
        self.restart(now_ms)

    @property
    def deadline_ms(self) -> int:
        return self._since_ms + self._options.election_timeout_ms + self._delay_ms

    def restart(self, now_ms: int) -> None:
        self._since_ms = now_ms
        self._delay_ms = self._random_below(self._options.max_election_delay_ms + 1)

    def heard(self, now_ms: int) -> None:
        """From the leader of this term."""
        self._since_ms = self._heard_ms = now_ms

    def promised(self, now_ms: int) -> bool:
        """It heard of a leader so lately that it helps nobody to another one: a member that was removed or cut off cannot
        disturb the group (§6, thesis §4.2.3), and the leader's lease holds, whatever term comes meanwhile."""
        return self._heard_ms is not None and now_ms - self._heard_ms < self._options.election_timeout_ms


class TargetPriority:
    """The priority that is enough to stand: at first the highest of the group, then by and by less.

    A member of priority 0 is not to lead, but it votes, so the longest log of a majority may be its own: then nobody else can
    be elected ever again. In SOFAJRaft such a group is lost. Here that member stands after two waits in which it refused
    somebody for the longer log; what it alone has reaches the others, and it hands over (`Leading.hands_over`).
    """

    __slots__ = ("_decay_gap", "_missed", "_missing", "_target", "_vain", "_version")

    def __init__(self, decay_gap: int) -> None:
        self._decay_gap = decay_gap
        self._target = 0
        self._missed = 0  # elections that somebody of a higher priority should have won
        self._missing = False  # in this wait a voter stood that has not got what this member has
        self._vain = 0  # waits in a row in which one did
        self._version: Members | None = None

    def reset(self) -> None:
        """There is a leader."""
        self._version = None
        self._missing = False
        self._vain = 0

    def refused(self) -> None:
        """A voter stood whose log lacks what that of this member has."""
        self._missing = True

    def allows(self, member: str, members: Members) -> bool:
        """Asked once in each wait that nobody ended."""
        priority = members.priorities.get(member, PRIORITY_DISABLED)  # one that leaves has none
        if priority == PRIORITY_DISABLED:
            return True
        if priority == PRIORITY_NOT_ELECTED:
            return self._needed()
        if self._version is not members:
            self._version, self._missed = members, 0
            self._target = max(members.priorities.values())
        if priority >= self._target:
            return True
        self._missed += 1
        if self._missed % 2 == 0:  # they had this wait and the one before it
            self._target = max(self._target - max(self._decay_gap, self._target // 5), PRIORITY_MIN)
        return priority >= self._target

    def _needed(self) -> bool:
        missing, self._missing = self._missing, False
        self._vain = self._vain + 1 if missing else 0
        return self._vain >= 2


class Candidacy:
    """The votes of one election, or of the pre-vote before it."""

    __slots__ = ("_granted", "_quorum", "_refused", "pre", "term", "transfer")

    def __init__(self, quorum: Quorum, term: int, *, pre: bool, transfer: bool) -> None:
        self._quorum = quorum
        self.term = term  # that is voted about
        self.pre = pre
        self.transfer = transfer
        self._granted: set[str] = set()
        self._refused: set[str] = set()

    def count(self, voter: str, granted: bool) -> bool | None:
        """Won, lost, or still open. Of two answers of one voter the first counts."""
        if voter not in self._granted and voter not in self._refused:
            (self._granted if granted else self._refused).add(voter)
        return self._quorum.outcome(self._granted, self._refused)
