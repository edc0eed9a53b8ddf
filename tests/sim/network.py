"""The network between the processes: it delays, drops, duplicates and reorders, and can be cut between any two, one way.

What becomes of a message depends on the seed, the link and how many went over that link before, and on nothing else: when the
shrinker leaves something out of a script, the rest of the world changes as little as can be.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import msgspec

from tests.sim.loop import MS, Agenda

USUAL_US = (80, 900)  # one way
LATE_MS_MAX = 1000


class Weather(msgspec.Struct, frozen=True):
    """Of a thousand messages."""

    dropped: int = 0
    doubled: int = 0
    late: int = 0  # come up to LATE_MS_MAX later, most of them much less: then others overtake them


FAIR = Weather()


class Network:
    def __init__(self, seed: str, agenda: Agenda, weather: Weather) -> None:
        self.weather = weather
        self._seed = seed
        self._agenda = agenda
        self._cut: set[tuple[str, str]] = set()
        self._draws: dict[tuple[str, str], Callable[[], float]] = {}

    def cut(self, links: Iterable[tuple[str, str]]) -> None:
        """Nothing goes over these links (from, to) any more, besides those that are cut already."""
        self._cut.update(links)

    def mend(self) -> None:
        self._cut.clear()

    def connected(self, source: str, to: str) -> bool:
        return (source, to) not in self._cut

    def carry(self, source: str, to: str, deliver: Callable[..., object], *args: object, once: bool = False) -> None:
        """Calls `deliver` when it arrives: never, once or twice. `once`: a call over a connection is not repeated."""
        for delay_us in self.delays_us(source, to)[: 1 if once else 2]:
            self._agenda.later(delay_us, self._arrive, source, to, deliver, args)

    def delays_us(self, source: str, to: str) -> list[int]:
        """How long one message takes on its way; two numbers when it arrives twice."""
        draw = self._draws.get((source, to))
        if draw is None:
            draw = self._draws[source, to] = random.Random(f"{self._seed} {source}>{to}").random
        weather = self.weather
        fate = draw() * 1000  # one draw decides, so that better weather changes nothing for those it spares
        low, high = USUAL_US
        delay_us = low + int(draw() ** 3 * (high - low))
        if (source, to) in self._cut:
            return []
        if fate < weather.dropped:
            return []
        if fate < weather.dropped + weather.late:
            delay_us += int(draw() ** 3 * LATE_MS_MAX * MS)
        if fate > 1000 - weather.doubled:
            return [delay_us, delay_us + int(draw() ** 3 * LATE_MS_MAX * MS)]
        return [delay_us]

    def _arrive(self, source: str, to: str, deliver: Callable[..., object], args: tuple[object, ...]) -> None:
        if (source, to) not in self._cut:
            deliver(*args)
