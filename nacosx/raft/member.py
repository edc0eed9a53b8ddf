"""How a configuration writes a member: `id`, or `id:priority` (SOFAJRaft's election priority)."""

from __future__ import annotations

from msgspec import Struct

PRIORITY_DISABLED = -1  # takes part in every election: no suffix
PRIORITY_NOT_ELECTED = 0  # votes, and is never a candidate
PRIORITY_MIN = 1


class Member(Struct, frozen=True):
    id: str  # stable, and without a colon
    priority: int = PRIORITY_DISABLED


def parse(text: str) -> Member:
    """ValueError when it is not a member."""
    name, colon, priority = text.partition(":")
    if not name or (colon and not (priority.isascii() and priority.isdecimal())):
        raise ValueError(f"a member is an id, or id:priority with a priority of 0 or more, not {text!r}")
    return Member(name, int(priority)) if colon else Member(name)
