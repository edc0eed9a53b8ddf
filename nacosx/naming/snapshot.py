"""The durable part of the registry as bytes. Same state, same bytes: every list is sorted, every map keeps its order.

MessagePack, members in order without names; `version` first, so that a later build can tell what it reads.
"""

from __future__ import annotations

import msgspec

from nacosx.naming.metadata import InstanceOverlay, ServiceMetadata
from nacosx.naming.model import Instance, InstanceKey, ServiceKey
from nacosx.naming.switches import Switches

SNAPSHOT_VERSION = 1


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    version: int
    metadata: list[tuple[ServiceKey, ServiceMetadata]]
    overlays: list[tuple[ServiceKey, InstanceKey, InstanceOverlay]]
    instances: list[tuple[ServiceKey, Instance]]  # persistent ones, in order of registration within a service
    switches: Switches


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    return _encoder.encode(snapshot)


def decode_snapshot(data: bytes) -> Snapshot:
    """Raises ValueError when the bytes are not a snapshot of this version."""
    snapshot = _decoder.decode(data)
    if snapshot.version != SNAPSHOT_VERSION:
        raise ValueError(f"naming snapshot has version {snapshot.version}, this build reads {SNAPSHOT_VERSION}")
    return snapshot
