"""The load in the leader's process, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bench.core import build
from bench.serve.closed_loop import percentile

build.load("bench/raft/in_flight.pyx")

from bench.raft.in_flight import InFlight  # noqa: E402 (it has to be compiled first)


async def run(begin: Callable[[], asyncio.Future[Any]], in_flight: int, seconds: float) -> str:
    """rate … p50 … p99 …: a second and milliseconds. Raises what a request raises."""
    load = InFlight(begin, asyncio.get_running_loop().create_future(), in_flight, seconds)
    load.start()
    await load.ended
    took_ns = sorted(load.took_ns)
    p50, p99 = percentile(took_ns, 0.5) / 1e6, percentile(took_ns, 0.99) / 1e6
    return f"rate {len(took_ns) / (load.wall_ns / 1e9)} p50 {p50} p99 {p99}"
