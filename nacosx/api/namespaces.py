"""One namespace, three spellings: "", "null" and "public" are the default namespace, in every protocol (observed.md 2)."""

from __future__ import annotations

PUBLIC = "public"

_SPELLINGS = frozenset({"", "null", PUBLIC})


def canonical_namespace(spelled: str | None) -> str:
    """The namespace a client means. What it wrote is what it gets echoed; that is the handler's business."""
    if spelled == PUBLIC or not spelled:
        return PUBLIC
    trimmed = spelled.strip()
    return PUBLIC if trimmed.lower() in _SPELLINGS else trimmed
