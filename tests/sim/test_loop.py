"""Virtual time: order, stopped and ended processes, clocks that drift and jump, and asyncio on top."""

from __future__ import annotations

import asyncio

import pytest

from nacosx.engine.ticker import Ticker
from tests.sim.loop import MS, RATE, Agenda, ProcessClock, ProcessLoop


class World:
    def __init__(self, rate: int = RATE) -> None:
        self.agenda = Agenda()
        self.process = ProcessLoop(self.agenda, ProcessClock(self.agenda, rate), "n0", lambda: 700)  # type: ignore[abstract]
        self.seen: list[tuple[str, int]] = []

    def see(self, what: str) -> None:
        self.seen.append((what, self.agenda.now_us))

    def run(self, until_ms: int) -> list[tuple[str, int]]:
        self.agenda.run(until_ms * MS, lambda process: None)
        return self.seen


def test_by_time_and_then_in_the_order_asked_for() -> None:
    world = World()
    world.process.call_later(0.002, world.see, "second")
    world.process.call_later(0.001, world.see, "first")
    world.process.call_later(0.002, world.see, "third")
    world.process.call_soon(world.see, "at once")
    assert world.run(5) == [("at once", 0), ("first", 1000), ("second", 2000), ("third", 2000)]


def test_what_is_cancelled_is_not_run() -> None:
    world = World()
    world.process.call_later(0.001, world.see, "no").cancel()
    assert world.run(5) == []


def test_a_stopped_process_does_what_it_missed_when_it_goes_on() -> None:
    world = World()
    world.process.call_later(0.001, world.see, "a")
    world.process.call_later(0.003, world.see, "b")
    world.process.pause()
    assert world.run(2) == []
    world.process.resume()
    assert world.run(5) == [("a", 2000), ("b", 3000)]


def test_an_ended_process_does_nothing() -> None:
    world = World()
    world.process.call_soon(world.see, "never")
    world.process.end()
    assert world.run(5) == []


def test_a_fast_clock_wakes_early_and_a_jump_wakes_at_once() -> None:
    world = World(rate=RATE * 2)
    world.process.call_later(0.010, world.see, "fast")
    world.process.call_later(0.100, world.see, "jumped")
    world.run(6)
    assert world.seen == [("fast", 5000)]
    assert world.process.clock.monotonic_ms() == 12
    world.process.jump(88)
    assert world.run(6)[1:] == [("jumped", 6000)]


def test_tasks_and_futures_and_the_ticker_run_on_it() -> None:
    world = World()
    ticker = Ticker(world.process, world.process.clock)

    async def story() -> str:
        woken = world.process.create_future()
        ticker.schedule(20, woken.set_result, "ticker")
        assert await woken == "ticker"
        assert await asyncio.get_running_loop().run_in_executor(None, max, 3, 4) == 4
        with pytest.raises(ZeroDivisionError):
            await world.process.run_in_executor(None, divmod, 1, 0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(world.process.create_future(), 0.5)
        return "done"

    task = world.process.create_task(story())
    task.add_done_callback(lambda done: world.see(done.result()))
    assert world.run(2000) == [("done", 521_400)]


def test_an_exception_nobody_takes_is_kept() -> None:
    world = World()
    future = world.process.create_future()
    future.set_exception(ValueError("lost"))
    del future
    assert "lost" in str(world.process.failure)
