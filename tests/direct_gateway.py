"""A gateway without disk, loop or reactions, for tests of the desk: what is submitted or proposed is applied at once."""

from __future__ import annotations

from collections.abc import Generator
from typing import cast

from nacosx.clock import VirtualClock
from nacosx.engine.gateway import Gateway
from nacosx.naming.commands import DurableCommand, EphemeralCommand
from nacosx.naming.events import Event
from nacosx.naming.registry import Registry


class _Applied:
    """Awaitable that is done."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


class DirectGateway:
    def __init__(self) -> None:
        self.registry = Registry()
        self.clock = VirtualClock()
        self.events: list[Event] = []
        self.proposed: list[DurableCommand] = []

    def submit(self, command: EphemeralCommand) -> None:
        self.events += self.registry.apply(command)

    def propose(self, command: DurableCommand) -> _Applied:
        self.registry.check(command)
        self.proposed.append(command)
        self.events += self.registry.apply(command)
        return _Applied()

    def as_gateway(self) -> Gateway:
        return cast(Gateway, self)
