"""Handing over leadership (thesis §3.10): nothing is proposed until the other has the whole log, then it is told to stand."""

from __future__ import annotations


class Transfer:
    __slots__ = ("deadline_ms", "to")

    def __init__(self, to: str, deadline_ms: int) -> None:
        self.to = to
        self.deadline_ms = deadline_ms  # the leader goes on leading when it still does by then
