"""What an operator says about services, clusters and instances. Durable; wins over what clients publish.

Source: Nacos 2.5.1 `ServiceMetadata`, `ClusterMetadata`, `InstanceMetadata` (contract/semantics.md §2,
http-v1-naming.md §1.3–1.5).
"""

from __future__ import annotations

import msgspec

from nacosx.naming.model import Instance, no_metadata

NO_SELECTOR: dict[str, str] = {"type": "none"}
TCP_CHECKER: dict[str, str | int | None] = {"type": "TCP"}

CHECK_PORT_DEFAULT = 80


class ClusterMetadata(msgspec.Struct, frozen=True):
    """How the instances of a cluster are checked."""

    check_port: int = CHECK_PORT_DEFAULT
    use_instance_port: bool = True
    health_checker: dict[str, str | int | None] = msgspec.field(default_factory=lambda: TCP_CHECKER)
    metadata: dict[str, str] = msgspec.field(default_factory=no_metadata)


DEFAULT_CLUSTER_METADATA = ClusterMetadata()


class ServiceMetadata(msgspec.Struct, frozen=True):
    """Exists for services an operator created or wrote to. `ephemeral` is the kind the service has while nobody publishes."""

    ephemeral: bool = True
    protect_threshold: float = 0.0
    metadata: dict[str, str] = msgspec.field(default_factory=no_metadata)
    selector: dict[str, str] = msgspec.field(default_factory=lambda: NO_SELECTOR)
    clusters: dict[str, ClusterMetadata] = {}


# What a service shows that nobody wrote to. Not the same as having it: see `selection`.
DEFAULT_SERVICE_METADATA = ServiceMetadata()


class InstanceOverlay(msgspec.Struct, frozen=True):
    """What an operator says about one instance. None: what the client publishes stands."""

    weight: float | None = None
    enabled: bool | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=no_metadata)


NO_OVERLAY = InstanceOverlay()


def overlaid(instance: Instance, overlay: InstanceOverlay) -> Instance:
    """The instance as it is shown. Overlay metadata is laid over the published metadata key by key."""
    return Instance(
        instance.ip,
        instance.port,
        instance.weight if overlay.weight is None else overlay.weight,
        instance.healthy,
        instance.enabled if overlay.enabled is None else overlay.enabled,
        instance.cluster,
        {**instance.metadata, **overlay.metadata} if overlay.metadata else instance.metadata,
        instance.instance_id,
    )
