"""What the cleaner has to forget. Source: Nacos 2.5.1 `EmptyServiceCleaner`, `ExpiredMetadataCleaner` (semantics.md §2)."""

from __future__ import annotations

from nacosx.naming.commands import ForgetMetadata
from nacosx.naming.model import InstanceKey, ServiceKey
from nacosx.naming.registry import Registry

# limit: names in one command; the rest has its turn in the next round.
FORGET_MAX = 1_000


def expired_metadata(registry: Registry, gone_since_ms: int) -> ForgetMetadata | None:
    """What was said about services and instances that have been gone since `gone_since_ms` (wall) or longer."""
    services: list[ServiceKey] = []
    instances: list[tuple[ServiceKey, InstanceKey]] = []
    for what, since_ms in registry.gone.items():
        if since_ms > gone_since_ms:
            continue
        if isinstance(what, ServiceKey):
            services.append(what)
        else:
            instances.append(what)
        if len(services) + len(instances) >= FORGET_MAX:
            break
    return ForgetMetadata(tuple(services), tuple(instances)) if services or instances else None
