"""The history cleaner: rows of config history older than `nacos.config.retention.days` are forgotten, every 10 minutes.

Source: Nacos 2.5.1 `DefaultHistoryConfigCleaner` (contract/semantics.md §6).
"""

from __future__ import annotations

import asyncio
import logging

from nacosx.clock import Clock
from nacosx.engine.ports import RowStore
from nacosx.engine.ticker import Ticker
from nacosx.errors import NacosError

log = logging.getLogger(__name__)

INTERVAL_MS = 600_000
DAY_MS = 86_400_000


class Retention:
    """Works from `start` until the ticker stops; `stop` waits for the round under way."""

    __slots__ = ("_clock", "_loop", "_retention_ms", "_round", "_rows", "_ticker")

    def __init__(
        self, rows: RowStore, loop: asyncio.AbstractEventLoop, ticker: Ticker, clock: Clock, *, days: int
    ) -> None:
        self._rows = rows
        self._loop = loop
        self._ticker = ticker
        self._clock = clock
        self._retention_ms = days * DAY_MS
        self._round: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._ticker.schedule(INTERVAL_MS, self._begin)

    def _begin(self, _: None) -> None:
        self._ticker.schedule(INTERVAL_MS, self._begin)
        if self._round is None:  # limit: one round at a time
            self._round = self._loop.create_task(self._forget(self._clock.wall_ms() - self._retention_ms))

    async def _forget(self, before_ms: int) -> None:
        try:
            await self._rows.forget_history(before_ms)
        except NacosError as error:
            log.warning("old history stays for another round: %s", error)
        finally:
            self._round = None

    async def stop(self) -> None:
        if self._round is not None:
            await self._round
