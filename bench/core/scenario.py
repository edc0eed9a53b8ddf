"""What a scenario of the core is: our figures, and those of each rival, taken in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from bench.java import Original


class Effort(msgspec.Struct, frozen=True):
    """The size of one round."""

    events: int = 20_000_000  # through a ring
    timeouts: int = 1_000_000  # pending together
    append_s: float = 1.0
    idle_s: float = 30.0
    warm_ups: int = 3  # runs of a rival before the first that counts
    data: Path | None = None  # where files are made; None: the system's temporary directory


QUICK = Effort(events=200_000, timeouts=20_000, append_s=0.1, idle_s=1.0, warm_ups=0)

Rival = Callable[[Mapping[str, Original], Effort], dict[str, float]]


class UnsoundError(Exception):
    """Events were lost, or entries not written: this run measures nothing."""


class Scenario(Protocol):
    """`units`: its metrics, in the order of the report. Rivals may take some of them only."""

    @property
    def name(self) -> str: ...

    @property
    def units(self) -> Mapping[str, str]: ...

    @property
    def rivals(self) -> Mapping[str, Rival]: ...

    def measure(self, effort: Effort) -> dict[str, float]:
        """One round: metric → figure. Raises UnsoundError."""
