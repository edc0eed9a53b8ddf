"""What a scenario is, and how much work a measurement of it may be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from bench.serve.servers import Contender


class Effort(msgspec.Struct, frozen=True):
    """The size of one round."""

    seconds: float = 3.0  # of load in a request scenario
    changes: int = 6  # of a service, and three more after each, that are fanned out
    config_changes: int = (
        30  # that are fanned out; of fewer, the p99 of all arrivals would be that of the one slowest change
    )
    starts: int = 5  # that are timed
    services: int = 10_000  # that each of 10 clients registers in
    configs: int = 10_000  # of 1 KB
    data: Path | None = None  # where the data directories are made; None: the system's temporary directory


QUICK = Effort(seconds=0.3, changes=1, config_changes=1, starts=1, services=500, configs=500)


class Scenario(Protocol):
    """Something that is measured in rounds, on each side in turn, on a fresh server every time."""

    @property
    def name(self) -> str: ...

    @property
    def units(self) -> Mapping[str, str]:
        """Its metrics, in the order of the report, and their units."""

    def measure(self, contender: Contender, effort: Effort) -> dict[str, float]:
        """One round: metric → figure. Raises UnsoundError (throw it away), LineError or AnswerError (it failed)."""
