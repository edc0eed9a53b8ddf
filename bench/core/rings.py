"""The ring in C threads beside the LMAX Disruptor: the same topology, strategy and size, every event checked by both."""

from __future__ import annotations

from collections.abc import Mapping

from bench.core.originals import DISRUPTORS
from bench.core.scenario import Effort, Rival, UnsoundError
from bench.core.topology import TOPOLOGIES, Topology, run
from bench.java import Original

STRATEGIES = ("yield", "block")
NAMES = ("1P1C", "3P1C", "pipeline", "diamond")
SHARE = {"yield": 1.0, "block": 0.25}  # of the events: a strategy for few has the time it needs


class RingScenario:
    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self.name = f"ring {topology.name}"
        self.units: Mapping[str, str] = dict.fromkeys(STRATEGIES, "M/s")
        self.rivals: Mapping[str, Rival] = {f"LMAX {version}": self._lmax(version) for version in DISRUPTORS}

    def measure(self, effort: Effort) -> dict[str, float]:
        return {strategy: self._ours(strategy, effort) for strategy in STRATEGIES}

    def _ours(self, strategy: str, effort: Effort) -> float:
        done = run(self._topology, wait=strategy, events=int(effort.events * SHARE[strategy]))
        if not done.sound:
            raise UnsoundError(f"{done.wrong} events out of order, {done.missing} missing")
        return done.rate / 1e6

    def _lmax(self, version: str) -> Rival:
        def measure(originals: Mapping[str, Original], effort: Effort) -> dict[str, float]:
            return {strategy: self._theirs(originals[version], strategy, effort) for strategy in STRATEGIES}

        return measure

    def _theirs(self, original: Original, strategy: str, effort: Effort) -> float:
        figures = original.ask("ring", self._topology.name, strategy, int(effort.events * SHARE[strategy]))
        if figures["wrong"]:
            raise UnsoundError(f"{figures['wrong']:.0f} events of the rival out of order or missing")
        return figures["events"] / figures["nanoseconds"] * 1e3


SCENARIOS = tuple(RingScenario(topology) for topology in TOPOLOGIES if topology.name in NAMES)
