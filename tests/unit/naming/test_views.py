"""What clients are shown: the ServiceInfo JSON, selection and protection.

contract/semantics.md §2, observed.md 18, golden/2.5.1/159–169
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nacosx.errors import NacosError
from nacosx.naming.commands import (
    CreateService,
    DeregisterInstance,
    OverrideSwitch,
    RegisterInstance,
    RegisterPersistent,
    SetHealth,
    UpdateInstanceMetadata,
    UpdateService,
    UpdateSwitch,
)
from nacosx.naming.metadata import NO_SELECTOR, ServiceMetadata
from nacosx.naming.model import Instance, ServiceKey
from nacosx.naming.registry import Registry
from nacosx.naming.rendered import VARIANTS_MAX, RenderedAnswers
from nacosx.naming.selection import select
from nacosx.naming.service import Service
from nacosx.naming.views import hosts, instance_host, service_info, service_info_datagram, statuses

KEY = ServiceKey("public", "DEFAULT_GROUP", "gs")


def register(registry: Registry, last: int, **members: Any) -> None:
    ip = f"10.1.1.{last}"
    port = members.pop("port", 8080)
    registry.apply(RegisterInstance(f"{ip}:{port}#true", KEY, Instance(ip, port, **members), 1))


def info(registry: Registry, clusters: str = "", *, healthy_only: bool = False, now_ms: int = 7) -> Any:
    return msgspec.json.decode(service_info(registry, KEY, clusters, healthy_only, grouped=True, now_ms=now_ms))


def test_an_instance_is_shown_with_the_kind_of_its_service() -> None:
    """Also one that registered as ephemeral while a persistent one was on its way to the log; it goes as it came."""
    registry = Registry()
    register(registry, 1)
    assert [each["ephemeral"] for each in info(registry)["hosts"]] == [True]
    registry.apply(RegisterPersistent(KEY, Instance("10.1.1.2", 8080), 2))
    assert [each["ephemeral"] for each in info(registry)["hosts"]] == [False, False]
    registry.apply(DeregisterInstance("10.1.1.1:8080#true", KEY, 3))
    assert [each["ip"] for each in info(registry)["hosts"]] == ["10.1.1.2"]


@pytest.fixture
def golden() -> Registry:
    """The state behind golden/2.5.1/159."""
    registry = Registry()
    register(registry, 1)
    metadata = {"preserved.heart.beat.timeout": "30000", "preserved.ip.delete.timeout": "60000", "k": "v"}
    register(registry, 2, port=8081, cluster="c1", weight=2.5, metadata=metadata)
    register(registry, 4, metadata={"a": "1", "b": "2"})
    return registry


def test_the_list_is_what_the_java_server_answers_byte_for_byte(golden: Registry) -> None:
    assert service_info(golden, KEY, "", False, grouped=True, now_ms=1795446304992).decode() == (
        '{"name":"DEFAULT_GROUP@@gs","groupName":"DEFAULT_GROUP","clusters":"","cacheMillis":10000,"hosts":['
        '{"instanceId":"10.1.1.1#8080#DEFAULT#DEFAULT_GROUP@@gs","ip":"10.1.1.1","port":8080,"weight":1.0,"healthy":true,'
        '"enabled":true,"ephemeral":true,"clusterName":"DEFAULT","serviceName":"DEFAULT_GROUP@@gs","metadata":{},'
        '"ipDeleteTimeout":30000,"instanceIdGenerator":"simple","instanceHeartBeatInterval":5000,'
        '"instanceHeartBeatTimeOut":15000},'
        '{"instanceId":"10.1.1.2#8081#c1#DEFAULT_GROUP@@gs","ip":"10.1.1.2","port":8081,"weight":2.5,"healthy":true,'
        '"enabled":true,"ephemeral":true,"clusterName":"c1","serviceName":"DEFAULT_GROUP@@gs",'
        '"metadata":{"preserved.heart.beat.timeout":"30000","preserved.ip.delete.timeout":"60000","k":"v"},'
        '"ipDeleteTimeout":60000,"instanceHeartBeatInterval":5000,"instanceHeartBeatTimeOut":30000},'
        '{"instanceId":"10.1.1.4#8080#DEFAULT#DEFAULT_GROUP@@gs","ip":"10.1.1.4","port":8080,"weight":1.0,"healthy":true,'
        '"enabled":true,"ephemeral":true,"clusterName":"DEFAULT","serviceName":"DEFAULT_GROUP@@gs",'
        '"metadata":{"a":"1","b":"2"},"ipDeleteTimeout":30000,"instanceHeartBeatInterval":5000,'
        '"instanceHeartBeatTimeOut":15000}],'
        '"lastRefTime":1795446304992,"checksum":"","allIPs":false,"reachProtectionThreshold":false,"valid":true}'
    )


def test_the_name_is_bare_over_grpc_and_the_group_is_left_out_of_datagrams(golden: Registry) -> None:
    bare = service_info(golden, KEY, "c1", True, grouped=False, now_ms=7)
    assert bare.startswith(b'{"name":"gs","groupName":"DEFAULT_GROUP","clusters":"c1","cacheMillis":10000,"hosts":[{')
    datagram = service_info_datagram(golden, KEY, "", now_ms=7)
    assert datagram.startswith(b'{"name":"DEFAULT_GROUP@@gs","clusters":"","cacheMillis":10000,"hosts":[{')
    assert service_info_datagram(golden, KEY, "", now_ms=8) is datagram


def test_an_unknown_service_has_no_hosts_whoever_asks() -> None:
    registry = Registry()
    assert service_info(registry, KEY, "", True, grouped=True, now_ms=7).endswith(
        b'"hosts":[],"lastRefTime":7,"checksum":"","allIPs":false,"reachProtectionThreshold":false,"valid":true}'
    )
    assert b'"hosts":[]' in service_info_datagram(registry, KEY, "", now_ms=7)
    assert (hosts(registry, KEY), statuses(registry, KEY)) == ([], [])


def test_persistent_instances_say_so() -> None:
    registry = Registry()
    registry.apply(RegisterPersistent(KEY, Instance("10.1.1.1", 80), 1))
    assert [host["ephemeral"] for host in info(registry)["hosts"]] == [False]


def test_disabled_instances_are_never_listed_yet_have_details_and_a_status(golden: Registry) -> None:
    golden.apply(UpdateInstanceMetadata(KEY, "10.1.1.1", 8080, "DEFAULT", 7.0, False, {"p": "1"}, 2))
    assert [host["ip"] for host in info(golden)["hosts"]] == ["10.1.1.2", "10.1.1.4"]
    detail = instance_host(golden, KEY, "10.1.1.1", 8080, "DEFAULT")
    assert (detail.weight, detail.enabled, detail.metadata) == (7.0, False, {"p": "1"})
    assert statuses(golden, KEY)[0] == "10.1.1.1:8080_true"


def test_details_of_what_is_not_there_are_refused_with_the_texts_of_the_java_server(golden: Registry) -> None:
    """golden/2.5.1/166, 168, 169"""
    for ip, port, cluster in (("10.1.1.2", 8081, "DEFAULT"), ("9.9.9.9", 8080, "DEFAULT")):
        with pytest.raises(NacosError) as refused:
            instance_host(golden, KEY, ip, port, cluster)
        assert (refused.value.code, refused.value.detail) == (404, "no matched ip found!")
    with pytest.raises(NacosError) as refused:
        instance_host(golden, KEY._replace(name="ghost"), "9.9.9.9", 8080, "DEFAULT")
    assert refused.value.detail == "no ips found for cluster DEFAULT in service DEFAULT_GROUP@@ghost"


# --- rendered once ---------------------------------------------------------------------------------------------------


def test_an_answer_is_rendered_once_per_change_and_dated_then(golden: Registry) -> None:
    first = service_info(golden, KEY, "", False, grouped=True, now_ms=100)
    assert service_info(golden, KEY, "", False, grouped=True, now_ms=200) is first
    assert info(golden, now_ms=300)["lastRefTime"] == 100
    golden.apply(SetHealth("10.1.1.1:8080#true", KEY, False, 2))
    assert info(golden, now_ms=400)["lastRefTime"] == 400


def test_every_variant_is_rendered_for_itself(golden: Registry) -> None:
    golden.apply(SetHealth("10.1.1.1:8080#true", KEY, False, 2))
    assert len(info(golden)["hosts"]) == 3
    assert len(info(golden, healthy_only=True)["hosts"]) == 2
    assert len(info(golden, "c1,c2")["hosts"]) == 1
    assert info(golden, "c1,c2")["clusters"] == "c1,c2"
    assert len(info(golden, "c2")["hosts"]) == 0
    assert len(info(golden, "  ")["hosts"]) == 3


def test_what_an_operator_changes_is_rendered_anew(golden: Registry) -> None:
    assert info(golden)["cacheMillis"] == 10000
    golden.apply(UpdateSwitch("pushCacheMillis", "20000"))
    assert info(golden)["cacheMillis"] == 20000
    golden.apply(OverrideSwitch("pushCacheMillis", "30000"))
    assert info(golden)["cacheMillis"] == 30000
    golden.apply(SetHealth("10.1.1.1:8080#true", KEY, False, 2))
    assert not info(golden)["reachProtectionThreshold"]
    golden.apply(UpdateService(KEY, 0.9, {}, NO_SELECTOR, 3))
    assert info(golden)["reachProtectionThreshold"]


def test_what_is_rendered_is_bounded_and_the_oldest_goes_first() -> None:
    answers = RenderedAnswers(bytes_max=250)
    services = [Service(KEY._replace(name=str(number)), True, {}) for number in range(3)]
    for service in services:
        answers.keep(service, ("", False, 0), b"x" * 100)
    assert [service.rendered is None for service in services] == [True, False, False]
    assert answers.size_bytes == 200
    answers.keep(services[1], ("", True, 0), b"x" * 100)
    assert [service.rendered is None for service in services] == [True, True, False]
    assert answers.size_bytes == 100
    answers.keep(services[0], ("", True, 0), b"x" * 251)
    assert [service.rendered is None for service in services] == [True, True, False]


def test_one_service_has_a_bounded_number_of_variants() -> None:
    answers = RenderedAnswers()
    service = Service(KEY, True, {})
    for number in range(VARIANTS_MAX + 1):
        answers.keep(service, (str(number), False, 0), b"x")
    assert service.rendered == {(str(VARIANTS_MAX), False, 0): b"x"}
    assert answers.size_bytes == 1
    answers.forget(service)
    answers.forget(service)
    assert answers.size_bytes == 0


# --- selection -------------------------------------------------------------------------------------------------------


def instances(*healthy: bool) -> list[Instance]:
    return [Instance("10.0.0.1", port, healthy=each) for port, each in enumerate(healthy)]


@pytest.mark.parametrize(
    ("healthy", "threshold", "protected"),
    [
        ((True, False, False, False, False), None, False),
        ((False, False), None, False),  # nobody ever wrote to the service
        ((False, False), 0.0, True),  # 0/2 <= 0
        ((True, False), 0.0, False),
        ((True, False), 0.5, True),  # at the threshold
        ((True, True, False), 0.5, False),
        ((True, False), 0.4, False),
        ((True, True), 1.0, True),
        ((False,), -1.0, True),  # a negative threshold is 0
        ((), 0.5, False),  # 0/0
    ],
)
def test_the_protect_threshold(healthy: tuple[bool, ...], threshold: float | None, protected: bool) -> None:
    """At or below the threshold all are shown, and as healthy; above it healthyOnly filters."""
    metadata = None if threshold is None else ServiceMetadata(protect_threshold=threshold)
    shown, reached = select(instances(*healthy), metadata, "", healthy_only=True)
    assert reached is protected
    assert len(shown) == (len(healthy) if protected else sum(healthy))
    assert all(each.healthy for each in shown)


def test_the_threshold_counts_what_the_cluster_filter_and_enabled_left() -> None:
    of_both = [
        Instance("10.0.0.1", 1, cluster="a", healthy=False),
        Instance("10.0.0.1", 2, cluster="b"),
        Instance("10.0.0.1", 3, cluster="b", healthy=False, enabled=False),
    ]
    metadata = ServiceMetadata(protect_threshold=0.5)
    assert select(of_both, metadata, "b", healthy_only=False) == ([of_both[1]], False)
    shown, reached = select(of_both, metadata, "a", healthy_only=False)
    assert (reached, [each.healthy for each in shown]) == (True, [True])
    shown, reached = select(of_both, metadata, "", healthy_only=False)
    assert (reached, [each.port for each in shown]) == (True, [1, 2])


def test_protection_does_not_change_what_is_registered() -> None:
    registry = Registry()
    registry.apply(CreateService(KEY, True, 0.0, {}, NO_SELECTOR, 1))
    register(registry, 1, healthy=False)
    answer = info(registry, healthy_only=True)
    assert (answer["reachProtectionThreshold"], [host["healthy"] for host in answer["hosts"]]) == (True, [True])
    assert statuses(registry, KEY) == ["10.1.1.1:8080_false"]
