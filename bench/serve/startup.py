"""From exec to the first gRPC registration that the server accepts, on a fresh data directory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

from bench.serve.closed_loop import call
from bench.serve.scenario import Effort
from bench.serve.servers import Contender, Server, UnsoundError, started


class StartUp:
    name = "start"
    units: Mapping[str, str] = {"exec to first registration": "ms"}

    def measure(self, contender: Contender, effort: Effort) -> dict[str, float]:
        times: list[float] = []
        thrown_away = 0
        while len(times) < effort.starts:
            try:
                with started(contender, effort.data) as server:
                    took = _first_registration(server)
                    server.expect_sound()
            except UnsoundError:
                thrown_away += 1
                if thrown_away > contender.thrown_away_max:
                    raise
            else:
                times.append(took)
        return {"exec to first registration": statistics.median(times)}


def _first_registration(server: Server) -> float:
    """Milliseconds."""

    def register() -> None:
        line = server.grpc.connect()
        try:
            call(line, server.grpc.register("first", "10.7.0.1"))
        finally:
            line.close()

    server.until(register)
    return (time.perf_counter() - server.started_at) * 1e3
