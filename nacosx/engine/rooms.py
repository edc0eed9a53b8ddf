"""What the log carries, and the rooms it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, get_args

import msgspec

from nacosx import namespaces
from nacosx.config import commands as config
from nacosx.config.catalog import Catalog
from nacosx.naming import commands as naming
from nacosx.naming.registry import Registry
from nacosx.naming.written import written

# Commands are msgpack maps tagged in the member `command`. Maps and not arrays, because a log outlives the version that
# wrote it: a member added later, with a default, reads old entries; a member no longer known is skipped.
DurableCommand = naming.DurableCommand | config.DurableCommand | namespaces.DurableCommand

CONFIG_COMMANDS: frozenset[type[Any]] = frozenset(get_args(config.DurableCommand))
NAMING_COMMANDS: frozenset[type[Any]] = frozenset(get_args(naming.DurableCommand))

encode = msgspec.msgpack.Encoder().encode
_encode_written = msgspec.msgpack.Encoder(order="deterministic").encode
_decoder: msgspec.msgpack.Decoder[DurableCommand] = msgspec.msgpack.Decoder(DurableCommand)


def decode(data: bytes) -> DurableCommand:
    """msgspec.MsgspecError (a ValueError) when the bytes are not a command this version knows."""
    return _decoder.decode(data)


class Rooms:
    """The durable state behind one log: dispatches commands to the room that knows them, snapshots and restores all."""

    __slots__ = ("_apply", "_snapshots", "_written", "catalog", "namespaces", "registry")

    def __init__(self, registry: Registry, catalog: Catalog, namespaces_: namespaces.Namespaces) -> None:
        self.registry = registry
        self.catalog = catalog
        self.namespaces = namespaces_
        self._snapshots: dict[str, Registry | Catalog | namespaces.Namespaces] = {
            "naming": registry,
            "config": catalog,
            "namespaces": namespaces_,
        }
        self._apply: dict[type[Any], Callable[[Any], Sequence[Any]]] = {
            **dict.fromkeys(NAMING_COMMANDS, registry.apply),
            **dict.fromkeys(CONFIG_COMMANDS, catalog.apply),
            **dict.fromkeys(get_args(namespaces.DurableCommand), namespaces_.apply),
        }
        self._written: dict[type[Any], Callable[[Any], object]] = {
            **dict.fromkeys(NAMING_COMMANDS, partial(written, registry)),
            **dict.fromkeys(CONFIG_COMMANDS, catalog.written),
            **dict.fromkeys(get_args(namespaces.DurableCommand), namespaces_.written),
        }

    def apply(self, command: DurableCommand) -> Sequence[Any]:
        """The events. NacosError when refused: then nothing has changed."""
        return self._apply[type(command)](command)

    def written(self, command: DurableCommand) -> bytes:
        """What the durable state holds where the command has written, right after it was applied."""
        return _encode_written(self._written[type(command)](command))

    def snapshot(self) -> dict[str, bytes]:
        """Room name → its snapshot."""
        return {name: room.snapshot() for name, room in self._snapshots.items()}

    def restore(self, snapshot: Mapping[str, bytes]) -> None:
        """Replaces the durable state of every room; a room the snapshot does not know keeps what it has."""
        for name, data in snapshot.items():
            self._snapshots[name].restore(data)
