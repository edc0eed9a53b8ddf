"""How long a sole voter lets proposals gather when its disk is free.

Who has just been answered is likely to ask again at once: with so many clients that each wait for their answers, as many
proposals as were answered are on their way. Each write costs 55 CPU-µs on the disk thread and 13 on the loop, however much is
in it, so a turn of the loop that brought some of them is followed by another one before they are written. A turn that brings
none ends it: nobody waits for a proposal that does not come.
"""

from __future__ import annotations

EXPECTED_MAX = 32  # limit: so many are written at once, whoever may yet come; more would save little


class Gathering:
    """Between two writes."""

    __slots__ = ("_expected", "_seen")

    def __init__(self) -> None:
        self._expected = 0  # proposals that are likely to come together
        self._seen = 0  # of them by the last turn

    def begin(self, pending: int, waiting: int) -> bool:
        """A write is over. `pending`: proposals that were not answered before that; `waiting`: those of them that can be
        written now. True: they wait for the turns that follow."""
        self._expected = pending if pending < EXPECTED_MAX else EXPECTED_MAX
        self._seen = -1  # the answers leave in the first turn, and only then somebody can ask again
        return waiting < self._expected

    def goes_on(self, waiting: int) -> bool:
        """At the end of a turn with something to write. True: another turn follows."""
        if self._seen < waiting < self._expected:
            self._seen = waiting
            return True
        self._seen = 0
        return False
