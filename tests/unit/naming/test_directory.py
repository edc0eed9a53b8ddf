"""Lists, the catalog, subscribers, clients and numbers (contract/http-v1-naming.md §2–§3, golden/2.5.1/189–211, 219)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nacosx.errors import NacosError
from nacosx.naming import directory
from nacosx.naming.commands import (
    ConnectClient,
    CreateService,
    RegisterBatch,
    RegisterInstance,
    RegisterPersistent,
    Subscribe,
    UpdateCluster,
    UpdateInstanceMetadata,
)
from nacosx.naming.directory import Census
from nacosx.naming.metadata import NO_SELECTOR, TCP_CHECKER
from nacosx.naming.model import Instance, ServiceKey, Subscriber
from nacosx.naming.registry import Registry

CONNECTION = "1700000000000_10.0.0.9_50000"
GS = ServiceKey("public", "DEFAULT_GROUP", "gs")
GS2 = ServiceKey("public", "g1", "gs2")
GP = ServiceKey("public", "DEFAULT_GROUP", "gp")
SV2 = ServiceKey("public", "gg", "sv2")
ELSEWHERE = ServiceKey("nope-ns", "DEFAULT_GROUP", "gs")
GHOST = ServiceKey("public", "DEFAULT_GROUP", "ghost")


@pytest.fixture
def registry() -> Registry:
    """Much like the state behind golden/2.5.1/199–211."""
    registry = Registry()
    registry.apply(ConnectClient(CONNECTION, 0))
    batch = (
        Instance("10.1.1.1", 8080),
        Instance("10.1.1.2", 8081, cluster="c1"),
        Instance("10.1.1.4", 8080, healthy=False),
    )
    registry.apply(RegisterBatch(CONNECTION, GS, batch, 1))
    registry.apply(RegisterInstance("10.1.1.3:8082#true", GS2, Instance("10.1.1.3", 8082, cluster="c1"), 1))
    registry.apply(RegisterInstance("10.1.1.3:8082#true", ELSEWHERE, Instance("10.1.1.3", 8082), 1))
    registry.apply(RegisterPersistent(GP, Instance("127.0.0.1", 8848), 1))
    registry.apply(CreateService(SV2, False, 0.4, {"sm": "1"}, NO_SELECTOR, 1))
    registry.apply(UpdateInstanceMetadata(GS, "10.1.1.1", 8080, "DEFAULT", 7.0, False, {"p": "1"}, 2))
    registry.apply(UpdateCluster(GP, "DEFAULT", 80, True, {"type": "NONE"}, {}, 2))
    registry.apply(
        Subscribe("127.0.0.1:54321#true", GS, Subscriber("127.0.0.1", 54321, "Nacos-Java-Client:v1.4.7", ""), 3)
    )
    return registry


def refused(read: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(NacosError) as error:
        read()
    return error.value.code, error.value.detail


def test_service_names_are_paged_within_their_group(registry: Registry) -> None:
    def page(group: str, number: int, size: int) -> tuple[int, list[str]]:
        return directory.service_names(registry, "public", group, number, size)

    assert page("DEFAULT_GROUP", 1, 10) == (2, ["gs", "gp"])
    assert page("DEFAULT_GROUP", 2, 1) == (2, ["gp"])
    assert page("DEFAULT_GROUP", 3, 1) == (2, [])
    assert page("DEFAULT_GROUP", 0, 1) == (2, ["gs"])
    assert page("DEFAULT_GROUP", 1, 0) == page("DEFAULT_GROUP", 1, -5) == (2, [])
    assert page("*", 1, 10) == (0, [])


def test_names_are_searched_in_one_namespace_or_all(registry: Registry) -> None:
    assert directory.names_by_namespace(registry, "", "") == {
        "public": ["DEFAULT_GROUP@@gs", "DEFAULT_GROUP@@gp", "g1@@gs2", "gg@@sv2"],
        "nope-ns": ["DEFAULT_GROUP@@gs"],
    }
    assert directory.names_by_namespace(registry, "public", "g1.*2") == {"public": ["g1@@gs2"]}
    assert directory.names_by_namespace(registry, "empty", "") == {"empty": []}


def test_a_hostile_pattern_costs_linear_time(registry: Registry) -> None:
    assert directory.names_by_namespace(registry, "public", ".*" * 10_000 + "(a+)+$") == {"public": []}


def test_a_service_shows_the_clusters_its_instances_are_in(registry: Registry) -> None:
    detail = directory.service_detail(registry, GS)
    assert (detail.ephemeral, detail.metadata.protect_threshold, list(detail.clusters)) == (
        True,
        0.0,
        ["DEFAULT", "c1"],
    )
    assert detail.clusters["c1"].health_checker == TCP_CHECKER
    assert directory.service_detail(registry, GP).clusters["DEFAULT"].health_checker == {"type": "NONE"}
    created = directory.catalog_service(registry, SV2)
    assert (created.ephemeral, created.metadata.metadata, created.clusters) == (False, {"sm": "1"}, {})


def test_missing_services_and_clusters_are_refused_with_the_texts_of_the_java_server(registry: Registry) -> None:
    assert refused(lambda: directory.service_detail(registry, GHOST)) == (
        400, "service not found, namespace: public, serviceName: DEFAULT_GROUP@@ghost",
    )  # fmt: skip
    gone = (404, "service DEFAULT_GROUP@@ghost is not found!")
    assert refused(lambda: directory.catalog_service(registry, GHOST)) == gone
    assert refused(lambda: directory.catalog_instances(registry, GHOST, "DEFAULT")) == gone
    assert refused(lambda: directory.catalog_instances(registry, GS, "c9")) == (404, "cluster c9 is not found!")
    assert refused(lambda: directory.client(registry, "ghost")) == (404, "clientId [ ghost ] not exist")


def test_the_catalog_lists_disabled_instances_too(registry: Registry) -> None:
    assert [host.ip for host in directory.catalog_instances(registry, GS, "DEFAULT")] == ["10.1.1.1", "10.1.1.4"]
    assert len(directory.catalog_instances(registry, GS, "")) == 3


def test_the_catalog_counts_instances_clusters_and_health(registry: Registry) -> None:
    def rows(service: str = "", group: str = "", *, with_instances_only: bool = False, page_no: int = 1) -> object:
        count, found = directory.catalog_services(
            registry,
            "public",
            service_fragment=service,
            group_fragment=group,
            with_instances_only=with_instances_only,
            page_no=page_no,
            page_size=3,
        )
        return count, [
            (each.key.name, each.cluster_count, each.instance_count, each.healthy_count, each.protected)
            for each in found
        ]

    assert rows() == (4, [("gs", 2, 3, 2, False), ("gp", 1, 1, 1, False), ("gs2", 1, 1, 1, False)])
    assert rows(page_no=2) == (4, [("sv2", 0, 0, 0, False)])
    assert rows("gs", with_instances_only=True) == (2, [("gs", 2, 3, 2, False), ("gs2", 1, 1, 1, False)])
    assert rows("2", "g1") == (1, [("gs2", 1, 1, 1, False)])
    assert rows("sv2", with_instances_only=True) == (0, [])


def test_a_service_at_its_threshold_is_marked(registry: Registry) -> None:
    registry.apply(RegisterPersistent(SV2, Instance("10.1.1.8", 1, healthy=False), 5))
    _, [row] = directory.catalog_services(
        registry, "public", service_fragment="sv2", group_fragment="", with_instances_only=False, page_no=1, page_size=9
    )
    assert row.protected


def test_the_catalog_shows_instances_by_cluster(registry: Registry) -> None:
    [first, *_] = directory.catalog_services_with_instances(
        registry, "public", service_fragment="", group_fragment="", page_no=1, page_size=10
    )
    assert {name: [each.ip for each in there] for name, there in first.clusters.items()} == {
        "DEFAULT": ["10.1.1.1", "10.1.1.4"],
        "c1": ["10.1.1.2"],
    }


def test_subscribers_are_found_by_parts_of_the_name(registry: Registry) -> None:
    [found] = directory.subscriptions(registry, "public", "DEFAULT", "g")
    assert (found.service, found.client_id, found.subscriber.address) == (GS, "127.0.0.1:54321#true", "127.0.0.1:54321")
    assert directory.subscriptions(registry, "public", "g1", "gs") == []
    assert directory.subscriptions(registry, "nope-ns", "", "") == []


def test_a_client_shows_what_it_publishes_and_subscribes_to(registry: Registry) -> None:
    assert directory.published(registry, "10.1.1.3:8082#true") == [
        (GS2, (Instance("10.1.1.3", 8082, cluster="c1"),)),
        (ELSEWHERE, (Instance("10.1.1.3", 8082),)),
    ]
    assert [key for key, _ in directory.subscribed(registry, "127.0.0.1:54321#true")] == [GS]
    assert [client for client, _ in directory.publishers(registry, GS)] == [CONNECTION]
    assert directory.publishers(registry, GHOST) == []


def test_the_numbers_of_the_metrics_page(registry: Registry) -> None:
    assert directory.census(registry) == Census(
        service_count=5,
        instance_count=6,
        subscribe_count=1,
        client_count=4,
        connection_based_client_count=1,
        ephemeral_ip_port_client_count=2,
        persistent_ip_port_client_count=1,
    )
