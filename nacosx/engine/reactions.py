"""What follows from an event: the table from event type to those who react, and its dispatch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

log = logging.getLogger(__name__)

# event type → who reacts, in order. `server` fills it before the first command; `Any` because each reaction takes its own
# event type.
Reactions = dict[type[Any], tuple[Callable[[Any], None], ...]]


def react(reactions: Reactions, events: Iterable[object]) -> None:
    """Runs the reactions. What is applied is applied: a reaction that fails is logged and stops no other."""
    for event in events:
        for reaction in reactions.get(type(event), ()):
            try:
                reaction(event)
            except Exception:
                log.exception("reaction to %r failed", event)
