"""What clients are shown of a service: the ServiceInfo JSON, instance details, statuses.

Rendered once per change and kept (`rendered`): a service that nobody asks for costs nothing, a hit is two look-ups.
Source: Nacos 2.5.1 `ServiceStorage`, `ServiceUtil`, `ServiceInfo`, `Instance` (golden/2.5.1/159–163, golden/wire).
"""

from __future__ import annotations

import msgspec

from nacosx.errors import NOT_FOUND, NacosError
from nacosx.naming.legality import (
    HEART_BEAT_INTERVAL,
    HEART_BEAT_INTERVAL_MS,
    HEART_BEAT_TIMEOUT,
    HEART_BEAT_TIMEOUT_MS,
    INSTANCE_ID_GENERATOR,
    IP_DELETE_TIMEOUT,
    IP_DELETE_TIMEOUT_MS,
    preserved_ms,
)
from nacosx.naming.metadata import overlaid
from nacosx.naming.model import Instance, ServiceKey
from nacosx.naming.registry import Registry
from nacosx.naming.selection import select
from nacosx.naming.service import Service

# How the service is named: the third member of a rendered variant.
_BARE = 0  # gRPC: "name":"s","groupName":"G"
_GROUPED = 1  # HTTP: "name":"G@@s","groupName":"G"
_DATAGRAM = 2  # UDP: "name":"G@@s", no groupName


class Host(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One instance as JSON: the members and derived getters of the Java class, in its order."""

    instance_id: str
    ip: str
    port: int
    weight: float
    healthy: bool
    enabled: bool
    ephemeral: bool
    cluster_name: str
    service_name: str  # grouped
    metadata: dict[str, str]
    ip_delete_timeout: int
    instance_id_generator: str | msgspec.UnsetType
    instance_heart_beat_interval: int
    instance_heart_beat_time_out: int


class _ServiceInfo(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str
    group_name: str | msgspec.UnsetType
    clusters: str
    cache_millis: int
    hosts: list[Host]
    last_ref_time: int
    checksum: str
    all_ips: bool = msgspec.field(name="allIPs")
    reach_protection_threshold: bool
    valid: bool


_encode = msgspec.json.Encoder().encode


def service_info(
    registry: Registry, key: ServiceKey, clusters: str, healthy_only: bool, *, grouped: bool, now_ms: int
) -> bytes:
    """The ServiceInfo JSON for a query or push: `grouped` names it for HTTP, else for gRPC.

    An unknown service has no hosts; that is no error. `clusters` is a comma list, "" = all, and echoed.
    `lastRefTime` is when the answer was rendered, which is `now_ms` (wall) or the first time since the last change.
    """
    service = registry.services.get(key)
    if service is not None and (answers := service.rendered) is not None:
        answer = answers.get((clusters, healthy_only, 1 if grouped else 0))
        if answer is not None:
            return answer
    return _rendered(registry, key, service, (clusters, healthy_only, _GROUPED if grouped else _BARE), now_ms)


def service_info_datagram(registry: Registry, key: ServiceKey, clusters: str, *, now_ms: int) -> bytes:
    """The ServiceInfo JSON a UDP push carries: grouped name, no `groupName` (golden/wire/udp-push-s2.5.1.txt)."""
    service = registry.services.get(key)
    variant = (clusters, False, _DATAGRAM)
    if service is not None and (answers := service.rendered) is not None and (answer := answers.get(variant)):
        return answer
    return _rendered(registry, key, service, variant, now_ms)


def content(registry: Registry, service: Service) -> list[Instance]:
    """Every instance of the service, overlays applied. Equal publications of two clients are one instance."""
    overlays = registry.overlays.get(service.key)
    instances: list[Instance] = []
    addresses: set[tuple[str, int]] = set()
    for instance in service.instances():
        overlay = overlays.get(instance.key) if overlays else None
        shown = instance if overlay is None else overlaid(instance, overlay)
        address = (instance.ip, instance.port)
        if address not in addresses:
            addresses.add(address)
        elif shown in instances:
            continue
        instances.append(shown)
    return instances


def instance_id(key: ServiceKey, instance: Instance) -> str:
    """Chosen by the client, else that of the `simple` generator."""
    return instance.instance_id or f"{instance.ip}#{instance.port}#{instance.cluster}#{key.group}@@{key.name}"


def host(service: Service, instance: Instance) -> Host:
    """An instance (overlay applied) as JSON.

    `ephemeral` is the kind of the service, not of the registration, as in Java (InstanceUtil.parseToApiInstance). They differ
    only where ephemeral registrations met a persistent one that was on its way to the log: they are shown as persistent
    until they are taken back, and expire as ever.
    """
    key = service.key
    metadata = instance.metadata
    generator = metadata.get(INSTANCE_ID_GENERATOR, msgspec.UNSET) if metadata else "simple"
    return Host(
        instance_id(key, instance),
        instance.ip,
        instance.port,
        instance.weight,
        instance.healthy,
        instance.enabled,
        service.ephemeral,
        instance.cluster,
        f"{key.group}@@{key.name}",
        metadata,
        preserved_ms(metadata, IP_DELETE_TIMEOUT, IP_DELETE_TIMEOUT_MS),
        generator,
        preserved_ms(metadata, HEART_BEAT_INTERVAL, HEART_BEAT_INTERVAL_MS),
        preserved_ms(metadata, HEART_BEAT_TIMEOUT, HEART_BEAT_TIMEOUT_MS),
    )


def instance_host(registry: Registry, key: ServiceKey, ip: str, port: int, cluster: str) -> Host:
    """One instance, disabled or not. Raises NacosError(NOT_FOUND) with the text of the Java server."""
    service = registry.services.get(key)
    instances = content(registry, service) if service is not None else []
    if service is None or not instances:
        raise NacosError(NOT_FOUND, f"no ips found for cluster {cluster} in service {key.grouped_name}")
    for instance in instances:
        if instance.ip == ip and instance.port == port and instance.cluster == cluster:
            return host(service, instance)
    raise NacosError(NOT_FOUND, "no matched ip found!")


def hosts(registry: Registry, key: ServiceKey) -> list[Host]:
    """Every instance of a service, disabled ones included; none for an unknown service."""
    service = registry.services.get(key)
    return [] if service is None else [host(service, instance) for instance in content(registry, service)]


def statuses(registry: Registry, key: ServiceKey) -> list[str]:
    """`ip:port_true` for each instance, as /instance/statuses shows them."""
    service = registry.services.get(key)
    instances = content(registry, service) if service is not None else []
    return [f"{each.ip}:{each.port}_{'true' if each.healthy else 'false'}" for each in instances]


def _rendered(
    registry: Registry, key: ServiceKey, service: Service | None, variant: tuple[str, bool, int], now_ms: int
) -> bytes:
    clusters, healthy_only, naming = variant
    shown: list[Host] = []
    protected = False
    if service is not None:
        selected, protected = select(
            content(registry, service), registry.metadata.get(key), clusters, healthy_only=healthy_only
        )
        shown = [host(service, instance) for instance in selected]
    answer = _encode(
        _ServiceInfo(
            key.name if naming == _BARE else key.grouped_name,
            msgspec.UNSET if naming == _DATAGRAM else key.group,
            clusters,
            registry.switches.default_push_cache_millis,
            shown,
            now_ms,
            checksum="",
            all_ips=False,
            reach_protection_threshold=protected,
            valid=True,
        )
    )
    if service is not None:
        registry.rendered.keep(service, variant, answer)
    return answer
