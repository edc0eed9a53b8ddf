"""What is measured, and what a side must be able to do for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from bench.serve import meter

ENTRY_BYTES = 128
IN_FLIGHT = (1, 64, 512)
CLIENTS = (1, 512)
ELECTION_TIMEOUT_MS = 1000

# cpu: of all processes of the side for each one answered. Ours and SOFAJRaft's of commits and reads have the load in it.
THROUGHPUT = {"rate": "/s", "p50": "ms", "p99": "ms", "cpu": "µs"}


class Effort(msgspec.Struct, frozen=True):
    """The size of one round."""

    seconds: float = 3.0  # of load
    fail_overs: int = 5  # in a round
    warm_ups: int = 3  # loads that do not count, before the first round: a JVM compiles in them
    resumed_s: float = (
        4.0  # after this, members that stood still have found out whether they still lead; 0: none stands still
    )
    data: Path | None = None  # where the data directories are made; None: the system's temporary directory


QUICK = Effort(seconds=0.3, fail_overs=1, warm_ups=0, resumed_s=0)


class Side(Protocol):
    """Three members that run. Which of the methods work is told by `able`. Raises DriverError, LineError or AnswerError."""

    @property
    def able(self) -> frozenset[str]: ...

    @property
    def pids(self) -> list[int]: ...

    def commits(self, in_flight: int, seconds: float) -> dict[str, float]:
        """rate, p50, p99, and so of the next two."""

    def reads(self, in_flight: int, seconds: float) -> dict[str, float]: ...

    def puts(self, clients: int, seconds: float) -> dict[str, float]: ...

    def fail_over(self) -> float:
        """Milliseconds from the death of the leader to the first entry of another one. All three run when it returns."""


class Scenario(Protocol):
    """`needs`: the method of a side without which it takes no part."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> str: ...

    @property
    def units(self) -> Mapping[str, str]: ...

    def measure(self, side: Side, effort: Effort) -> dict[str, float]: ...


class Load(msgspec.Struct, frozen=True):
    """So many at once, for a while."""

    name: str
    needs: str
    in_flight: int

    @property
    def units(self) -> Mapping[str, str]:
        return THROUGHPUT

    def measure(self, side: Side, effort: Effort) -> dict[str, float]:
        before_ns = sum(map(meter.cpu_ns, side.pids))
        figures: dict[str, float] = getattr(side, self.needs)(self.in_flight, effort.seconds)
        used_ns = sum(map(meter.cpu_ns, side.pids)) - before_ns
        return {**figures, "cpu": used_ns / 1000 / (figures["rate"] * effort.seconds)}


class FailOver(msgspec.Struct, frozen=True):
    name: str = "fail-over"
    needs: str = "fail_over"

    @property
    def units(self) -> Mapping[str, str]:
        return {"p50": "ms", "p99": "ms"}

    def measure(self, side: Side, effort: Effort) -> dict[str, float]:
        took_ms = sorted(side.fail_over() for _ in range(effort.fail_overs))
        return {"p50": took_ms[len(took_ms) // 2], "p99": took_ms[-1]}


SCENARIOS: tuple[Scenario, ...] = (
    *(Load(f"commit, {count} in flight", "commits", count) for count in IN_FLIGHT),
    *(Load(f"read index, {count} in flight", "reads", count) for count in IN_FLIGHT),
    *(Load(f"put, {count} clients" if count > 1 else "put, 1 client", "puts", count) for count in CLIENTS),
    FailOver(),
)
