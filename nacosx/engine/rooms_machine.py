"""The rooms as the state machine of a group: commands become events, events become reactions and rows.

A bug of a room is told to the proposer like a refusal: every member meets it in the same way, so the state stays what it is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from nacosx._core.entry import Configuration
from nacosx.config.events import ConfigChanged
from nacosx.config.events import Event as ConfigEvent
from nacosx.config.model import Versions
from nacosx.engine.ports import RowStore, StateMachine
from nacosx.engine.reactions import Reactions, react
from nacosx.engine.rooms import CONFIG_COMMANDS, DurableCommand, Rooms, decode, encode
from nacosx.errors import OVER_THRESHOLD, SERVER, NacosError
from nacosx.naming.ephemeral import ephemeral_commands
from nacosx.naming.events import ServiceChanged

log = logging.getLogger(__name__)

NO_VERSIONS = Versions(None, ())


class RoomsMachine(StateMachine):
    """invariant: rows are handed what was applied, in order, once a batch."""

    def __init__(self, rooms: Rooms, rows: RowStore, reactions: Reactions) -> None:
        self._rooms = rooms
        self._rows = rows
        self._reactions = reactions
        self._apply = rooms.apply
        # Of the batch that is being applied.
        self._events: list[Any] = []
        self._row_events: list[ConfigEvent] = []
        self._recovered = False  # clients may be there
        self._rows_index = 0  # replay hands the rows nothing up to there

    def check(self, command: DurableCommand) -> None:
        """NacosError (OVER_THRESHOLD): it must not be proposed now."""
        if self._rows.behind and type(command) in CONFIG_COMMANDS:
            raise NacosError(OVER_THRESHOLD, "the database is behind by too many changes, try again later")

    def encode(self, command: DurableCommand) -> bytes:
        return encode(command)

    def decode(self, data: bytes) -> DurableCommand:
        return decode(data)

    def apply(self, index: int, command: DurableCommand) -> None:
        try:
            events = self._apply(command)
        except NacosError:
            raise
        except Exception as error:
            log.exception("applying entry %d failed: %r", index, type(command))
            raise NacosError(SERVER, f"caused: {error!r}") from error
        if events:
            self._events += events
            if index > self._rows_index and type(command) in CONFIG_COMMANDS:
                self._row_events += events

    def written(self, command: DurableCommand) -> bytes:
        return self._rooms.written(command)

    def batch_applied(self, index: int, replayed: bool) -> None:
        if self._row_events:
            events, self._row_events = self._row_events, []
            self._rows.write(index, events)
        if self._events:
            told, self._events = self._events, []
            if not replayed:
                react(self._reactions, told)

    def snapshot(self) -> Mapping[str, bytes]:
        return self._rooms.snapshot()

    def restore(self, index: int, snapshot: Mapping[str, bytes]) -> None:
        if self._recovered:
            self._replace(index, snapshot)
        else:
            self._rooms.restore(snapshot)

    def _replace(self, index: int, snapshot: Mapping[str, bytes]) -> None:
        """Another member's state, while clients are connected: what is ephemeral stays, who waits for a change hears of it."""
        registry, catalog = self._rooms.registry, self._rooms.catalog
        ephemeral = ephemeral_commands(registry)
        before = {key: catalog.versions(key) for key in dict.fromkeys([*catalog.configs, *catalog.grays])}
        self._rooms.restore(snapshot)
        for command in ephemeral:
            try:
                registry.apply(command)
            except NacosError as error:  # the service is persistent there
                log.warning("an ephemeral registration did not survive the snapshot at %d: %s", index, error)
        self._events = [ServiceChanged(key) for key in registry.subscribers]
        for key in dict.fromkeys([*before, *catalog.configs, *catalog.grays]):
            old, new = before.get(key, NO_VERSIONS), catalog.versions(key)
            if old != new:
                self._events.append(ConfigChanged(key, old, new))
        self._row_events = []
        self._rows.rebuild(index, catalog.rows())
        self._rows_index = index

    def recovered(self, index: int, last_index: int) -> None:
        rows = self._rows
        if rows.applied_index < index or rows.applied_index > max(index, last_index):
            # The rows were deleted, restored from a copy, or belong to another log. History before `index` is gone with them.
            rows.rebuild(index, self._rooms.catalog.rows())
        self._rows_index = rows.applied_index
        self._recovered = True

    def behind(self, index: int) -> bool:
        return self._rows.applied_index < index

    async def sync(self, index: int) -> None:
        await self._rows.sync(index)

    def leader_started(self, term: int) -> None: ...

    def leader_stopped(self) -> None: ...

    def configuration_committed(self, configuration: Configuration, index: int) -> None: ...
