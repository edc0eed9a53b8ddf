"""What the durable state holds where a durable command has written: what the members of a group compare.

Nothing ephemeral is in it, nor what subscribers see: of that every member has its own.
"""

from __future__ import annotations

from nacosx.naming.client import address_client_id
from nacosx.naming.commands import (
    DeregisterPersistent,
    DurableCommand,
    ForgetMetadata,
    MergeInstanceMetadata,
    RegisterPersistent,
    SetPersistentHealth,
    UpdateInstanceMetadata,
    UpdateSwitch,
)
from nacosx.naming.metadata import InstanceOverlay
from nacosx.naming.model import InstanceKey, Publication, ServiceKey
from nacosx.naming.registry import Registry


def written(registry: Registry, command: DurableCommand) -> object:
    """Right after it was applied. To be encoded: equal states give equal values."""
    match command:
        case RegisterPersistent(service=key, instance=instance):
            return _published(registry, key, instance.ip, instance.port)
        case DeregisterPersistent(service=key) | SetPersistentHealth(service=key):
            return _published(registry, key, command.ip, command.port)
        case UpdateInstanceMetadata(service=key):
            return _overlay(registry, key, InstanceKey(command.ip, command.port, command.cluster))
        case MergeInstanceMetadata(service=key, instances=instances):
            return [_overlay(registry, key, instance) for instance in instances]
        case ForgetMetadata(services=services, instances=overlaid):
            overlays = [_overlay(registry, key, instance) for key, instance in overlaid]
            return [registry.metadata.get(key) for key in services], overlays
        case UpdateSwitch():
            return registry.durable_switches
        case _:  # about a service
            return registry.metadata.get(command.service)


def _published(registry: Registry, key: ServiceKey, ip: str, port: int) -> Publication | None:
    service = registry.services.get(key)
    return None if service is None else service.publishers.get(address_client_id(ip, port, ephemeral=False))


def _overlay(registry: Registry, key: ServiceKey, instance: InstanceKey) -> InstanceOverlay | None:
    overlays = registry.overlays.get(key)
    return None if overlays is None else overlays.get(instance)
