"""Turns of the event loop, for tests that let tasks go on without letting time pass."""

from __future__ import annotations

import asyncio


async def turn(times: int = 1) -> None:
    """So many turns of the loop, in each of which everything runs that is due."""
    loop = asyncio.get_running_loop()
    for _ in range(times):
        passed = loop.create_future()
        loop.call_soon(passed.set_result, None)
        await passed
