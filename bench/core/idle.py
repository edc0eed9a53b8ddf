"""A started server that nobody asks anything: what it takes of a core, all its threads together. Nothing polls."""

from __future__ import annotations

import time
from collections.abc import Mapping

from bench.core.scenario import Effort, Rival
from bench.serve import meter
from bench.serve.servers import OURS, started


class IdleScenario:
    name = "idle server"
    units: Mapping[str, str] = {"of a core": "%"}
    rivals: Mapping[str, Rival] = {}

    def measure(self, effort: Effort) -> dict[str, float]:
        with started(OURS, effort.data) as server:
            server.expect_sound()
            meter.settle(server.pid)
            before = meter.cpu_ns(server.pid)
            begun = time.perf_counter()
            time.sleep(effort.idle_s)
            share = (meter.cpu_ns(server.pid) - before) / 1e9 / (time.perf_counter() - begun)
            server.expect_alive()
        return {"of a core": 100 * share}


SCENARIOS = (IdleScenario(),)
