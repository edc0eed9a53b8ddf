"""What happened, in order. Two runs are the same when their traces have the same hash."""

from __future__ import annotations

import hashlib

import msgspec

from tests.sim.loop import MS, Agenda


class Trace:
    """Keeps what it is told, and puts it in words only when asked: most runs are never asked."""

    def __init__(self) -> None:
        self.agenda: Agenda
        self._noted: list[tuple[int, tuple[object, ...]]] = []

    def note(self, *what: object) -> None:
        self._noted.append((self.agenda.now_us, what))

    def lines(self) -> list[str]:
        return [f"{when_us / MS:10.3f} {' '.join(map(words, what))}" for when_us, what in self._noted]

    def hash(self) -> str:
        return hashlib.blake2b("\n".join(self.lines()).encode(), digest_size=8).hexdigest()


def words(thing: object) -> str:
    """Without addresses of objects, and entries by where they are."""
    if not isinstance(thing, msgspec.Struct):
        return str(thing)
    told = []
    for name in thing.__struct_fields__:
        value = getattr(thing, name)
        if name == "entries":
            value = f"{value[0].id}…{value[-1].id}" if value else "none"
        elif name == "configuration":
            value = f"{'+'.join(value.peers)}({'+'.join(value.learners)})"
        told.append(f"{name}={value}")
    return f"{type(thing).__name__}({' '.join(told)})"


def silent(*what: object) -> None:
    """Notes nothing."""
