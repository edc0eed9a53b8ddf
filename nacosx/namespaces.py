"""The room of namespaces: pure rules, no IO, no clock, no randomness.

The default namespace `public` always exists and has no entry here (contract/storage.md §1: `public` has no row). Deleting
a namespace leaves its configs and services alone, as in Nacos.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Never

import msgspec

from nacosx.errors import NAMESPACE_ILLEGAL, NacosError

DEFAULT_NAMESPACE = "public"
# Namespace ids that mean the default one, in any case (Nacos 2.5.1 NamespaceUtil), so nobody may create them.
RESERVED = frozenset({"", "public", "null"})


class Namespace(msgspec.Struct, frozen=True, gc=False):
    id: str
    name: str
    desc: str | None
    created_ms: int
    modified_ms: int


class CreateNamespace(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Refused (NAMESPACE_ILLEGAL) when it exists or means the default one."""

    id: str
    name: str
    desc: str | None
    now_ms: int


class UpdateNamespace(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Unknown is not an error."""

    id: str
    name: str
    desc: str | None
    now_ms: int


class DeleteNamespace(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Unknown is not an error."""

    id: str


DurableCommand = CreateNamespace | UpdateNamespace | DeleteNamespace

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Namespace]).decode


class Namespaces:
    """Every namespace but the default one."""

    __slots__ = ("_namespaces",)

    def __init__(self) -> None:
        self._namespaces: dict[str, Namespace] = {}

    def get(self, namespace_id: str) -> Namespace | None:
        return self._namespaces.get(namespace_id)

    def exists(self, namespace_id: str) -> bool:
        return namespace_id in self._namespaces or namespace_id.lower() in RESERVED

    def ordered(self) -> list[Namespace]:
        """By id, the order in which the Java server's index gives them."""
        return [namespace for _, namespace in sorted(self._namespaces.items())]

    def apply(self, command: DurableCommand) -> Sequence[Never]:
        """Nobody waits for changes of namespaces, so there are no events. Raises NacosError when refused."""
        match command:
            case CreateNamespace(id=namespace_id, name=name, desc=desc, now_ms=now_ms):
                if self.exists(namespace_id):
                    raise NacosError(NAMESPACE_ILLEGAL, f"the namespaceId is existed, namespaceId: {namespace_id}")
                self._namespaces[namespace_id] = Namespace(namespace_id, name, desc, now_ms, now_ms)
            case UpdateNamespace(id=namespace_id, name=name, desc=desc, now_ms=now_ms):
                old = self._namespaces.get(namespace_id)
                if old is not None:
                    self._namespaces[namespace_id] = Namespace(namespace_id, name, desc, old.created_ms, now_ms)
            case DeleteNamespace(id=namespace_id):
                self._namespaces.pop(namespace_id, None)
        return ()

    def written(self, command: DurableCommand) -> object:
        """What there is where a command has written, right after it was applied: what members of a group compare."""
        return self._namespaces.get(command.id)

    def snapshot(self) -> bytes:
        return _encode(self.ordered())

    def restore(self, data: bytes) -> None:
        """Replaces everything. Raises msgspec.DecodeError when the snapshot is not one of ours."""
        self._namespaces = {namespace.id: namespace for namespace in _decode(data)}
