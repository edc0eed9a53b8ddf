"""The heart beat of ip:port clients: which rules hold for an instance.

Source: Nacos 2.5.1 `UnhealthyInstanceChecker`, `ExpiredInstanceChecker`, `InstanceEnableBeatCheckInterceptor`
(contract/semantics.md §1, §2). An operator's overlay wins over what the client published.
"""

from __future__ import annotations

from typing import NamedTuple

from nacosx.naming.legality import (
    HEART_BEAT_INTERVAL,
    HEART_BEAT_TIMEOUT,
    HEART_BEAT_TIMEOUT_MS,
    IP_DELETE_TIMEOUT,
    IP_DELETE_TIMEOUT_MS,
    preserved_ms,
)
from nacosx.naming.model import Instance, ServiceKey
from nacosx.naming.registry import Registry

ENABLE_CLIENT_BEAT = "enableClientBeat"


class BeatRules(NamedTuple):
    """When an instance whose last beat was long ago becomes unhealthy, and when it is removed."""

    unhealthy_after_ms: int
    removed_after_ms: int
    checked: bool  # False: somebody said `enableClientBeat=true`, silence is no sign


DEFAULT_RULES = BeatRules(HEART_BEAT_TIMEOUT_MS, IP_DELETE_TIMEOUT_MS, True)


def beat_rules(registry: Registry, service: ServiceKey, instance: Instance) -> BeatRules:
    """The rules for a published instance."""
    metadata = _shown_metadata(registry, service, instance)
    of_service = registry.metadata.get(service)
    if not metadata and of_service is None:
        return DEFAULT_RULES
    unchecked = metadata.get(ENABLE_CLIENT_BEAT) or (
        of_service.metadata.get(ENABLE_CLIENT_BEAT, "") if of_service is not None else ""
    )
    return BeatRules(
        preserved_ms(metadata, HEART_BEAT_TIMEOUT, HEART_BEAT_TIMEOUT_MS),
        preserved_ms(metadata, IP_DELETE_TIMEOUT, IP_DELETE_TIMEOUT_MS),
        unchecked.lower() != "true",
    )


def client_beat_interval_ms(registry: Registry, service: ServiceKey, instance: Instance | None) -> int:
    """How often the client is told to beat: its metadata, else the switch."""
    default_ms = registry.switches.client_beat_interval
    if instance is None:
        return default_ms
    return preserved_ms(_shown_metadata(registry, service, instance), HEART_BEAT_INTERVAL, default_ms)


def _shown_metadata(registry: Registry, service: ServiceKey, instance: Instance) -> dict[str, str]:
    overlays = registry.overlays.get(service)
    overlay = overlays.get(instance.key) if overlays is not None else None
    return instance.metadata if overlay is None else {**instance.metadata, **overlay.metadata}
