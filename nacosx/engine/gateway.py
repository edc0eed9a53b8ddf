"""The single way to change state."""

from __future__ import annotations

import asyncio
from typing import cast

from nacosx.clock import Clock
from nacosx.config.catalog import Catalog
from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.reactions import Reactions, react
from nacosx.engine.rooms import NAMING_COMMANDS, DurableCommand
from nacosx.engine.rooms_machine import RoomsMachine
from nacosx.namespaces import Namespaces
from nacosx.naming.commands import DurableCommand as NamingCommand
from nacosx.naming.commands import EphemeralCommand
from nacosx.naming.registry import Registry


class Gateway:
    """Commands go in; the rooms are there to be read through their view functions, never to be changed from outside."""

    __slots__ = ("_group", "_machine", "_reactions", "catalog", "clock", "namespaces", "registry")

    def __init__(
        self,
        registry: Registry,
        catalog: Catalog,
        namespaces: Namespaces,
        machine: RoomsMachine,
        group: RaftGroup,
        clock: Clock,
        reactions: Reactions,
    ) -> None:
        self.registry = registry
        self.catalog = catalog
        self.namespaces = namespaces
        self.clock = clock  # commands are stamped with it
        self._machine = machine
        self._group = group
        self._reactions = reactions

    def submit(self, command: EphemeralCommand) -> None:
        """Applies at once. NacosError when refused: then nothing has changed."""
        react(self._reactions, self.registry.apply(command))

    def propose(self, command: DurableCommand) -> asyncio.Future[None]:
        """To be awaited: done once the command is on a majority of disks and applied here.

        NacosError when `check` or `apply` refuses it, when too much waits for the disk (OVER_THRESHOLD), when it is too
        large (PARAMETER_INVALID), or when the disk fails (SERVER): then nothing has changed. RefusedError says whether it
        may still happen.
        """
        if type(command) in NAMING_COMMANDS:
            # What depends on ephemeral state is refused before it is logged: a replay of the log could not refuse it.
            self.registry.check(cast(NamingCommand, command))
        self._machine.check(command)
        return self._group.propose(command)
