"""A group of one on a disk in memory, with the rooms that it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from nacosx._core.entry import Configuration
from nacosx.clock import SystemClock
from nacosx.config.catalog import Catalog
from nacosx.engine.gateway import Gateway
from nacosx.engine.ports import RowStore
from nacosx.engine.raft.alone import ALONE
from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.raft.limits import Limits
from nacosx.engine.reactions import Reactions
from nacosx.engine.rooms import DurableCommand, Rooms
from nacosx.engine.rooms_machine import RoomsMachine
from nacosx.engine.ticker import Ticker
from nacosx.namespaces import Namespaces
from nacosx.naming.registry import Registry
from tests.memory_storage import MemoryHardStates, MemoryLog, MemoryRows, MemorySnapshots
from tests.turns import turn
from tests.unit.config.catalog_commands import KEY

# What a leader writes by itself when the group begins: the first entry of its term, and its members.
OWN_ENTRIES = 2


class Group:
    """Started, and what the leader writes at once is on disk."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        log: MemoryLog | None = None,
        snapshots: MemorySnapshots | None = None,
        rows: MemoryRows | None = None,
        catalog: Catalog | None = None,
        sync: bool = True,
        votes: OSError | None = None,
    ) -> None:
        """`votes`: why the disk takes none."""
        self.log = log or MemoryLog()
        self.hard_states = MemoryHardStates()
        self.hard_states.error = votes
        self.snapshots = snapshots or MemorySnapshots()
        self.rows = rows or MemoryRows()
        self.registry = Registry()
        self.catalog = catalog or Catalog()
        self.namespaces = Namespaces()
        self.rooms = Rooms(self.registry, self.catalog, self.namespaces)
        self.reactions: Reactions = {}
        loop, clock = asyncio.get_running_loop(), SystemClock()
        self.ticker = Ticker(loop, clock)
        machine = RoomsMachine(self.rooms, cast(RowStore, self.rows), self.reactions)
        self.group = RaftGroup(
            "test",
            machine,
            id="a",
            configuration=Configuration(["a"]),
            log=self.log,
            hard_states=self.hard_states,
            snapshots=self.snapshots,
            peers=ALONE,
            ticker=self.ticker,
            loop=loop,
            clock=clock,
            random_below=lambda below: below - 1,
            limits=limits or Limits(),
        )
        self.gateway = Gateway(self.registry, self.catalog, self.namespaces, machine, self.group, clock, self.reactions)
        self.group.start()
        if sync:
            self.log.sync()

    async def commit(self, *commands: DurableCommand) -> None:
        futures = [self.group.propose(command) for command in commands]
        await turn()
        self.log.sync()
        await asyncio.gather(*futures)

    @property
    def content(self) -> bytes | None:
        config = self.catalog.configs.get(KEY)
        return None if config is None else config.content

    @property
    def applied(self) -> int:
        """Commands, since the group began."""
        return self.group.applied_index - OWN_ENTRIES


def story(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Runs a test on an event loop of its own."""

    def run() -> None:
        asyncio.run(test())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run
