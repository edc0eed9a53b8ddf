"""The load in the leader's process: so many requests in flight, the next one as soon as one is answered."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any


class InFlight:
    """`begin()` makes one request. They are answered in the order in which they were made."""

    def __init__(self, begin: Callable[[], asyncio.Future[Any]]) -> None:
        self._begin = begin
        self._began_ns: deque[int] = deque()
        self._took_ns: list[int] = []
        self._end_ns = 0
        self._ended: asyncio.Future[None]

    async def run(self, in_flight: int, seconds: float) -> str:
        """ "rate … p50 … p99 …", a second and milliseconds. Raises what a request raises."""
        self._ended = asyncio.get_running_loop().create_future()
        started_ns = time.perf_counter_ns()
        self._end_ns = started_ns + int(seconds * 1e9)
        for _ in range(in_flight):
            self._next(started_ns)
        await self._ended
        took_s = (time.perf_counter_ns() - started_ns) / 1e9
        took_ns = sorted(self._took_ns)
        p50, p99 = (took_ns[int(share * len(took_ns))] / 1e6 for share in (0.5, 0.99))
        return f"rate {len(took_ns) / took_s} p50 {p50} p99 {p99}"

    def _next(self, now_ns: int) -> None:
        self._began_ns.append(now_ns)
        self._begin().add_done_callback(self._answered)

    def _answered(self, answer: asyncio.Future[Any]) -> None:
        now_ns = time.perf_counter_ns()
        self._took_ns.append(now_ns - self._began_ns.popleft())
        error = answer.exception()
        if error is not None:
            if not self._ended.done():
                self._ended.set_exception(error)
        elif now_ns < self._end_ns and not self._ended.done():
            self._next(now_ns)
        elif not self._began_ns and not self._ended.done():
            self._ended.set_result(None)
