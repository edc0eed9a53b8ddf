"""Who is there: services, clusters, subscribers, clients, and how many. Read models for lists and for the console.

Pages count from 1. Lists are in order of registration. Texts of refusals are those of Nacos 2.5.1
(contract/http-v1-naming.md §2–§3, golden/2.5.1/184–211).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import msgspec

from nacosx.errors import NOT_FOUND, NacosError
from nacosx.naming.client import Client, is_connection, is_ephemeral
from nacosx.naming.metadata import DEFAULT_CLUSTER_METADATA, DEFAULT_SERVICE_METADATA, ClusterMetadata, ServiceMetadata
from nacosx.naming.model import Instance, ServiceKey, Subscriber, instances_of
from nacosx.naming.refusals import no_service
from nacosx.naming.registry import Registry
from nacosx.naming.service import Service
from nacosx.naming.views import Host, content, host

_T = TypeVar("_T")


class ServiceDetail(msgspec.Struct, frozen=True):
    """A service with what was said about it. `clusters`: those its instances are in, with defaults where nothing was said."""

    key: ServiceKey
    ephemeral: bool
    metadata: ServiceMetadata
    clusters: dict[str, ClusterMetadata]


class ServiceSummary(msgspec.Struct, frozen=True):
    """A row of the console's service list."""

    key: ServiceKey
    cluster_count: int
    instance_count: int
    healthy_count: int
    protected: bool  # the protect threshold is reached


class ServiceInstances(msgspec.Struct, frozen=True):
    """A service with every instance, disabled ones included, by cluster."""

    key: ServiceKey
    metadata: ServiceMetadata
    clusters: dict[str, list[Instance]]


class Subscription(msgspec.Struct, frozen=True):
    service: ServiceKey
    client_id: str
    subscriber: Subscriber


class Census(msgspec.Struct, frozen=True, rename="camel"):
    """The numbers of /operator/metrics."""

    service_count: int
    instance_count: int
    subscribe_count: int
    client_count: int
    connection_based_client_count: int
    ephemeral_ip_port_client_count: int
    persistent_ip_port_client_count: int


# --- services --------------------------------------------------------------------------------------------------------


def service_names(
    registry: Registry, namespace: str, group: str, page_no: int, page_size: int
) -> tuple[int, list[str]]:
    """(how many services the group has, the bare names on the page)."""
    keys = registry.groups.get((namespace, group), {})
    return len(keys), [key.name for key in _page(keys, page_no, page_size)]


def names_by_namespace(registry: Registry, namespace: str, fragment: str) -> dict[str, list[str]]:
    """Grouped names that contain `fragment` (`.*` in it: anything), by namespace; `namespace` "" = every one."""
    found: dict[str, list[str]] = {namespace: []} if namespace else {}
    for (each, _), keys in registry.groups.items():
        if not namespace or each == namespace:
            found.setdefault(each, []).extend(key.grouped_name for key in keys if _contains(key.grouped_name, fragment))
    return found


def service_detail(registry: Registry, key: ServiceKey) -> ServiceDetail:
    """Raises NacosError(SERVICE_MISSING); /catalog/service words it differently, see `catalog_service`."""
    service = registry.services.get(key)
    if service is None:
        raise no_service(key)
    return _detail(registry, service)


def catalog_service(registry: Registry, key: ServiceKey) -> ServiceDetail:
    """Raises NacosError(NOT_FOUND)."""
    return _detail(registry, _catalogued(registry, key))


def catalog_instances(registry: Registry, key: ServiceKey, cluster: str) -> list[Host]:
    """Every instance of a cluster ("" = of the service), disabled ones included. Raises NacosError(NOT_FOUND)."""
    service = _catalogued(registry, key)
    instances = content(registry, service)
    if not cluster:
        return [host(service, each) for each in instances]
    if all(each.cluster != cluster for each in instances):
        raise NacosError(NOT_FOUND, f"cluster {cluster} is not found!")
    return [host(service, each) for each in instances if each.cluster == cluster]


def catalog_services(
    registry: Registry,
    namespace: str,
    *,
    service_fragment: str,
    group_fragment: str,
    with_instances_only: bool,
    page_no: int,
    page_size: int,
) -> tuple[int, list[ServiceSummary]]:
    """(how many services match, the page of them). Fragments: contained in the name; "" = any."""
    found = list(_matching(registry, namespace, service_fragment, group_fragment))
    if with_instances_only:
        found = [service for service in found if service.publishers]
    return len(found), [_summary(registry, service) for service in _page(found, page_no, page_size)]


def catalog_services_with_instances(
    registry: Registry, namespace: str, *, service_fragment: str, group_fragment: str, page_no: int, page_size: int
) -> list[ServiceInstances]:
    """The page of matching services, each with its instances."""
    found = list(_matching(registry, namespace, service_fragment, group_fragment))
    page: list[ServiceInstances] = []
    for service in _page(found, page_no, page_size):
        clusters: dict[str, list[Instance]] = {}
        for instance in content(registry, service):
            clusters.setdefault(instance.cluster, []).append(instance)
        page.append(ServiceInstances(service.key, _metadata(registry, service.key), clusters))
    return page


# --- subscribers and clients -----------------------------------------------------------------------------------------


def subscriptions(registry: Registry, namespace: str, group_fragment: str, name_fragment: str) -> list[Subscription]:
    """Who subscribes to services whose group and name contain the fragments literally."""
    return [
        Subscription(key, client_id, subscriber)
        for key, subscribers in registry.subscribers.items()
        if key.namespace == namespace and name_fragment in key.name and group_fragment in key.group
        for client_id, subscriber in subscribers.items()
    ]


def client(registry: Registry, client_id: str) -> Client:
    """Raises NacosError(NOT_FOUND)."""
    found = registry.clients.get(client_id)
    if found is None:
        raise NacosError(NOT_FOUND, f"clientId [ {client_id} ] not exist")
    return found


def published(registry: Registry, client_id: str) -> list[tuple[ServiceKey, tuple[Instance, ...]]]:
    """What a client publishes, without overlays. Raises NacosError(NOT_FOUND)."""
    return [
        (key, instances_of(registry.services[key].publishers[client_id]))
        for key in client(registry, client_id).published
    ]


def subscribed(registry: Registry, client_id: str) -> list[tuple[ServiceKey, Subscriber]]:
    """What a client subscribes to. Raises NacosError(NOT_FOUND)."""
    return [(key, registry.subscribers[key][client_id]) for key in client(registry, client_id).subscribed]


def publishers(registry: Registry, key: ServiceKey) -> list[tuple[str, tuple[Instance, ...]]]:
    """The clients that publish for a service; none for an unknown one."""
    service = registry.services.get(key)
    return [] if service is None else [(each, instances_of(what)) for each, what in service.publishers.items()]


def census(registry: Registry) -> Census:
    connections = sum(map(is_connection, registry.clients))
    persistent = len(registry.clients) - sum(map(is_ephemeral, registry.clients))
    return Census(
        len(registry.services),
        registry.instance_count,
        registry.subscriber_count,
        len(registry.clients),
        connections,
        len(registry.clients) - connections - persistent,
        persistent,
    )


# --- steps -----------------------------------------------------------------------------------------------------------


def _page(items: Iterable[_T], page_no: int, page_size: int) -> Iterator[_T]:
    start = max((page_no - 1) * page_size, 0)
    return islice(items, start, start + max(page_size, 0))


def _contains(name: str, fragment: str) -> bool:
    """`name.matches(".*" + fragment + ".*")` where the fragment is literal but for `.*`: in linear time, whatever is asked."""
    position = 0
    for part in fragment.split(".*"):
        position = name.find(part, position)
        if position < 0:
            return False
        position += len(part)
    return True


def _matching(registry: Registry, namespace: str, service_fragment: str, group_fragment: str) -> Iterator[Service]:
    for (each, group), keys in registry.groups.items():
        if each == namespace and _contains(group, group_fragment):
            for key in keys:
                if _contains(key.name, service_fragment):
                    yield registry.services[key]


def _catalogued(registry: Registry, key: ServiceKey) -> Service:
    service = registry.services.get(key)
    if service is None:
        raise NacosError(NOT_FOUND, f"service {key.grouped_name} is not found!")
    return service


def _metadata(registry: Registry, key: ServiceKey) -> ServiceMetadata:
    return registry.metadata.get(key, DEFAULT_SERVICE_METADATA)


def _detail(registry: Registry, service: Service) -> ServiceDetail:
    metadata = _metadata(registry, service.key)
    return ServiceDetail(
        service.key,
        service.ephemeral,
        metadata,
        {name: metadata.clusters.get(name, DEFAULT_CLUSTER_METADATA) for name in _clusters(service.instances())},
    )


def _clusters(instances: Iterable[Instance]) -> dict[str, None]:
    return dict.fromkeys(each.cluster for each in instances)


def _summary(registry: Registry, service: Service) -> ServiceSummary:
    instances: Sequence[Instance] = content(registry, service)
    healthy = sum(each.healthy for each in instances)
    threshold = _metadata(registry, service.key).protect_threshold
    return ServiceSummary(
        service.key,
        len(_clusters(instances)),
        len(instances),
        healthy,
        bool(instances) and healthy / len(instances) <= threshold,
    )
