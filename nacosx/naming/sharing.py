"""Equal parts of many instances are kept once: 100 000 instances have few ports, clusters and metadata between them."""

from __future__ import annotations

import sys

from nacosx.naming.model import DEFAULT_CLUSTER, NO_METADATA, Instance

# limit: more different metadata than this and the oldest are not shared any more (they stay alive with their instances).
METADATA_MAX = 1024


class SharedParts:
    """Builds instances of shared parts. What it remembers shows nowhere but in the memory used."""

    __slots__ = ("_metadata", "_ports")

    def __init__(self) -> None:
        self._ports: dict[int, int] = {}  # at most 65 536
        self._metadata: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}

    def instance(
        self,
        ip: str,
        port: int,
        *,
        weight: float = 1.0,
        healthy: bool = True,
        enabled: bool = True,
        cluster: str = DEFAULT_CLUSTER,
        metadata: dict[str, str] | None = None,
        instance_id: str = "",
    ) -> Instance:
        """`metadata` belongs to the instance from now on: it must not be changed any more."""
        return Instance(
            ip,
            self._ports.setdefault(port, port),
            1.0 if weight == 1.0 else weight,
            healthy,
            enabled,
            DEFAULT_CLUSTER if cluster == DEFAULT_CLUSTER else sys.intern(cluster),
            self.metadata(metadata) if metadata else NO_METADATA,
            instance_id,
        )

    def metadata(self, metadata: dict[str, str]) -> dict[str, str]:
        """An equal metadata, if one was seen lately, else this one."""
        items = tuple(metadata.items())
        shared = self._metadata.get(items)
        if shared is None:
            if len(self._metadata) >= METADATA_MAX:
                self._metadata.clear()
            shared = self._metadata[items] = metadata
        return shared
