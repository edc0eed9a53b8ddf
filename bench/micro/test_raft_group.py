"""A group without disk or network: what a proposal costs beside them. Bars: alone ≤ 5 µs of 64 in flight; a follower applies at
≤ 3 µs an entry."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import randrange
from typing import cast

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from nacosx._core.entry import DATA, Configuration, Entry
from nacosx.clock import SystemClock
from nacosx.engine.ports import LogStorage, OnDurable, StateMachine
from nacosx.engine.raft.alone import ALONE
from nacosx.engine.raft.closure_queue import ClosureQueue
from nacosx.engine.raft.fsm_caller import FSMCaller
from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.raft.limits import Limits
from nacosx.engine.ticker import Ticker
from tests.memory_storage import MemoryHardStates, MemorySnapshots

PROPOSALS = 6400
ENTRIES = 1024
ENTRY = b"e" * 128
NO_SNAPSHOTS = Limits(snapshot_entries=1 << 60, snapshot_bytes=1 << 60, stop_entries=1 << 60)


class Count(StateMachine):
    def __init__(self) -> None:
        self.count = 0

    def encode(self, command: bytes) -> bytes:
        return command

    def decode(self, data: bytes) -> bytes:
        return data

    def apply(self, index: int, command: bytes) -> None:
        self.count += 1

    def snapshot(self) -> Mapping[str, bytes]:
        return {}

    def restore(self, index: int, snapshot: Mapping[str, bytes]) -> None: ...

    def leader_started(self, term: int) -> None: ...

    def leader_stopped(self) -> None: ...

    def configuration_committed(self, configuration: Configuration, index: int) -> None: ...


class NoDisk:
    """A log that keeps nothing and reports in the next turn."""

    first_index = 1
    last_index = 0

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def append_entries(self, entries: Sequence[Entry], on_durable: OnDurable) -> int:
        self.last_index = entries[-1].index
        self._loop.call_soon(on_durable, self.last_index, None)
        return self.last_index

    def term(self, index: int) -> int | None:
        return None if index else 0

    def configurations(self) -> list[Entry]:
        return []

    def entries(self, from_index: int, *, bytes_max: int) -> list[Entry]:
        return []


@pytest.mark.parametrize("in_flight", [1, 16, 64, 512])
def test_propose_alone(benchmark: BenchmarkFixture, in_flight: int) -> None:
    """PROPOSALS of 128 bytes, so many in flight, acknowledged one by one."""
    loop = uvloop.new_event_loop()
    clock = SystemClock()
    machine = Count()
    group = RaftGroup(
        "bench",
        machine,
        id="a",
        configuration=Configuration(["a"]),
        log=cast(LogStorage, NoDisk(loop)),
        hard_states=MemoryHardStates(),
        snapshots=MemorySnapshots(),
        peers=ALONE,
        ticker=Ticker(loop, clock),
        loop=loop,
        clock=clock,
        random_below=randrange,
        limits=NO_SNAPSHOTS,
    )
    group.start()

    async def propose() -> None:
        for _ in range(PROPOSALS // in_flight):
            await group.propose(ENTRY)

    async def all_propose() -> None:
        await asyncio.gather(*(propose() for _ in range(in_flight)))

    benchmark(lambda: loop.run_until_complete(all_propose()))
    assert machine.count % (PROPOSALS // in_flight * in_flight) == 0
    loop.run_until_complete(group.stop())
    loop.close()


def test_apply_as_a_follower(benchmark: BenchmarkFixture) -> None:
    """ENTRIES of 128 bytes, read from the log in memory."""
    entries = [Entry(index, 1, DATA, ENTRY) for index in range(1, ENTRIES + 1)]

    class Log:
        def slice(self, low: int, high: int, bytes_max: int) -> Sequence[Entry]:
            return entries[low - 1 : high]

    machine = Count()

    def apply() -> None:
        caller = FSMCaller(machine, ClosureQueue(), lambda count, size: None)
        caller.commit_index = ENTRIES
        while caller.applied_index < ENTRIES:
            caller.run(Log())

    benchmark(apply)
    assert machine.count % ENTRIES == 0
