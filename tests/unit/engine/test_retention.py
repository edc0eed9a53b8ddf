"""Old history goes every ten minutes, one round at a time, and a failed round is made up for by the next."""

from __future__ import annotations

import asyncio
from typing import cast

from nacosx.engine.ports import RowStore
from nacosx.engine.retention import DAY_MS, INTERVAL_MS, Retention
from nacosx.errors import DATA_ACCESS, NacosError
from tests.turns import turn
from tests.virtual_time import VirtualTime


class Rows:
    def __init__(self) -> None:
        self.asked: list[int] = []
        self.gate: asyncio.Future[None] | None = None
        self.error: NacosError | None = None

    async def forget_history(self, before_ms: int) -> None:
        self.asked.append(before_ms)
        if self.gate is not None:
            await self.gate
        if self.error is not None:
            raise self.error


def test_history_is_forgotten_at_each_interval_and_never_two_rounds_at_once() -> None:
    async def story() -> None:
        time, rows, loop = VirtualTime(), Rows(), asyncio.get_running_loop()
        retention = Retention(cast(RowStore, rows), loop, time.ticker(), time.clock, days=30)
        retention.start()
        time.advance(INTERVAL_MS - 1)
        await turn(3)
        assert rows.asked == []
        rows.gate = loop.create_future()
        time.advance(1)
        await turn(3)
        assert rows.asked == [time.clock.wall_ms() - 30 * DAY_MS]
        time.advance(INTERVAL_MS)  # the first round is still under way
        await turn(3)
        assert len(rows.asked) == 1
        stopping = asyncio.ensure_future(retention.stop())
        await turn(3)
        assert not stopping.done()
        rows.gate.set_result(None)
        await stopping

    asyncio.run(story())


def test_a_round_that_fails_does_not_stop_the_next() -> None:
    async def story() -> None:
        time, rows = VirtualTime(), Rows()
        rows.error = NacosError(DATA_ACCESS, "disk full")
        retention = Retention(cast(RowStore, rows), asyncio.get_running_loop(), time.ticker(), time.clock, days=1)
        retention.start()
        for expected in (1, 2):
            time.advance(INTERVAL_MS)
            await turn(3)
            assert len(rows.asked) == expected
        await retention.stop()

    asyncio.run(story())
