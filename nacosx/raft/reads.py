"""Linearizable reads without an entry in the log (thesis §6.4).

A read is right when the member that serves it has applied what was committed when the read was asked, and the leader was
still the leader then. ReadIndex: a quorum answers a round of heartbeats that was sent after the read came; all reads that
wait share one. Of so few voters as make one each is asked at first, and all of them when those keep silent: who is not asked
can go on sleeping. Lease: a quorum answered one so lately that none of it can have helped another leader yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from nacosx.raft.quorum import Quorum

Asker = tuple[str, int]  # (member, its request)


class Round(NamedTuple):
    number: int
    commit_index: int  # when it began
    sent_ms: int
    askers: list[Asker]


class ReadRounds:
    """The reads of a leader, and the heartbeats that confirm them."""

    __slots__ = ("_asked_all", "_rounds", "_sent_ms", "round", "waiting")

    def __init__(self) -> None:
        self.round = 0  # of heartbeats; the last one begun
        self.waiting: list[Asker] = []  # for a round to begin
        self._rounds: deque[Round] = deque()  # that reads wait for
        self._asked_all = 0  # the last round that went to every voter
        self._sent_ms: dict[int, int] = {}  # round → when; those of the last election timeout

    def begin(self, now_ms: int, commit_index: int, *, take: bool, all_asked: bool) -> int:
        """A round that is sent now. With `take` it answers the reads that wait."""
        self.round += 1
        self._sent_ms[self.round] = now_ms
        if all_asked:
            self._asked_all = self.round
        if take and self.waiting:
            self._rounds.append(Round(self.round, commit_index, now_ms, self.waiting))
            self.waiting = []
        return self.round

    @property
    def unanswered_since_ms(self) -> int | None:
        """When the oldest round was sent that reads wait for and that went to a few voters only, and none to all since."""
        for round_ in self._rounds:
            if round_.number > self._asked_all:
                return round_.sent_ms
        return None

    def sent_ms(self, number: int) -> int | None:
        """None: so long ago that it is worth nothing."""
        return self._sent_ms.get(number)

    def forget(self, before_ms: int) -> None:
        """Rounds that were sent before, oldest first."""
        for number, sent_ms in list(self._sent_ms.items()):
            if sent_ms >= before_ms:
                break
            del self._sent_ms[number]

    def confirmed(self, quorum: Quorum, acknowledged: Callable[[str], int]) -> list[tuple[Asker, int]]:
        """Reads that may be served now, with the index to be applied before."""
        found: list[tuple[Asker, int]] = []
        if self._rounds:
            reached = quorum.reached(acknowledged)
            while self._rounds and self._rounds[0].number <= reached:
                _, index, _, askers = self._rounds.popleft()
                found.extend([(asker, index) for asker in askers])
        return found

    def refused(self) -> list[Asker]:
        """All that wait: this leader confirms nothing any longer."""
        askers = [asker for round_ in self._rounds for asker in round_.askers] + self.waiting
        self._rounds.clear()
        self.waiting = []
        return askers


class ForwardedReads:
    """The reads that a follower has sent on to its leader. Neither they nor the answers need arrive."""

    __slots__ = ("_deadlines",)

    def __init__(self) -> None:
        self._deadlines: dict[int, int] = {}  # request → when it is given up, in that order

    @property
    def deadline_ms(self) -> int | None:
        return next(iter(self._deadlines.values()), None)

    def add(self, request: int, deadline_ms: int) -> None:
        self._deadlines[request] = deadline_ms

    def answered(self, request: int) -> bool:
        """False: it was given up, or answered before."""
        return self._deadlines.pop(request, None) is not None

    def expired(self, now_ms: int) -> list[int]:
        found = []
        for request, deadline_ms in self._deadlines.items():
            if deadline_ms > now_ms:
                break
            found.append(request)
        for request in found:
            del self._deadlines[request]
        return found

    def refused(self) -> list[int]:
        """All of them: the leader is another one now."""
        found = list(self._deadlines)
        self._deadlines.clear()
        return found
