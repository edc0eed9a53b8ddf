"""Naming over gRPC answers with the bytes of Nacos 2.5.1 (contract/grpc.md §5.2, golden/wire/c2.5.1-s2.5.1.jsonl)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nacosx.api.checks import Checks
from nacosx.api.grpc.naming import rpcs
from nacosx.api.later import Later
from nacosx.errors import NacosError
from nacosx.naming.commands import ConnectClient, DisconnectClient
from nacosx.naming.events import ServiceChanged, ServiceSubscribed
from nacosx.naming.instance_ids import SnowflakeIds
from nacosx.naming.model import ServiceKey
from tests.direct_gateway import DirectGateway

KEY = ServiceKey("public", "DEFAULT_GROUP", "s1")


class FakeConnection:
    def __init__(self, connection_id: str) -> None:
        self.connection_id = connection_id
        self.client_ip = "192.0.2.2"
        self.remote_ip = "127.0.0.1"
        self.remote_port = 44620
        self.client_version = "Nacos-Java-Client:v2.5.1"
        self.labels = {"source": "sdk", "module": "naming"}
        self.app_name = "unknown"


class Desk:
    """The desk behind a gateway, spoken to in JSON as the wire does."""

    def __init__(self) -> None:
        self.gateway = DirectGateway()
        self.rpcs = rpcs(self.gateway.as_gateway(), checks=Checks(), snowflakes=SnowflakeIds(5))
        self.connection = self.connect("1795448212906_127.0.0.1_44620")

    def connect(self, connection_id: str) -> FakeConnection:
        self.gateway.submit(ConnectClient(connection_id, self.gateway.clock.wall_ms()))
        return FakeConnection(connection_id)

    def call(self, type_name: str, body: dict[str, Any], connection: FakeConnection | None = None) -> bytes:
        rpc = self.rpcs[type_name]
        request = msgspec.json.decode(msgspec.json.encode(body), type=rpc.request, strict=False)
        reply = rpc.handler(connection or self.connection, request, {"app": "unknown"})
        if isinstance(reply, Later):
            return reply.answer  # it is written
        assert isinstance(reply, bytes)
        return reply

    def json(self, type_name: str, body: dict[str, Any], connection: FakeConnection | None = None) -> Any:
        return msgspec.json.decode(self.call(type_name, body, connection))

    def hosts(self, name: str = "s1", **members: Any) -> list[Any]:
        body = {"namespace": "public", "serviceName": name, "groupName": "DEFAULT_GROUP", **members}
        return list(self.json("ServiceQueryRequest", body)["serviceInfo"]["hosts"])


def instance(port: int = 8001, **members: Any) -> dict[str, Any]:
    return {
        "ip": "10.7.0.1", "port": port, "weight": 1.0, "healthy": True, "enabled": True, "ephemeral": True,
        "clusterName": "DEFAULT", "metadata": {}, "instanceHeartBeatInterval": 5000, "instanceHeartBeatTimeOut": 15000,
        "ipDeleteTimeout": 30000, "instanceIdGenerator": "simple", **members,
    }  # fmt: skip


def register(name: str = "s1", kind: str = "registerInstance", **members: Any) -> dict[str, Any]:
    return {
        "headers": {}, "namespace": "public", "serviceName": name, "groupName": "DEFAULT_GROUP", "type": kind,
        "instance": instance(**members), "module": "naming",
    }  # fmt: skip


def batch(*ports: int) -> dict[str, Any]:
    return {
        "namespace": "public", "serviceName": "s1", "groupName": "DEFAULT_GROUP", "type": "batchRegisterInstance",
        "instances": [{"ip": "10.9.0.1", "port": port, "metadata": {"n": "1"}} for port in ports],
    }  # fmt: skip


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_registered_instance_is_queried_as_the_java_server_shows_it(desk: Desk) -> None:
    assert desk.call("InstanceRequest", register()) == (
        b'{"resultCode":200,"errorCode":0,"type":"registerInstance","success":true}'
    )
    body = {
        "namespace": "public",
        "serviceName": "s1",
        "groupName": "DEFAULT_GROUP",
        "cluster": "",
        "healthyOnly": False,
    }
    assert desk.call("ServiceQueryRequest", body) == (
        b'{"resultCode":200,"errorCode":0,"serviceInfo":{"name":"s1","groupName":"DEFAULT_GROUP","clusters":"",'
        b'"cacheMillis":10000,"hosts":[{"instanceId":"10.7.0.1#8001#DEFAULT#DEFAULT_GROUP@@s1","ip":"10.7.0.1","port":8001,'
        b'"weight":1.0,"healthy":true,"enabled":true,"ephemeral":true,"clusterName":"DEFAULT",'
        b'"serviceName":"DEFAULT_GROUP@@s1","metadata":{},"ipDeleteTimeout":30000,"instanceIdGenerator":"simple",'
        b'"instanceHeartBeatInterval":5000,"instanceHeartBeatTimeOut":15000}],"lastRefTime":1700000000000,"checksum":"",'
        b'"allIPs":false,"reachProtectionThreshold":false,"valid":true},"success":true}'
    )


def test_an_unknown_service_has_no_hosts_and_is_no_error(desk: Desk) -> None:
    body = {"namespace": "public", "serviceName": "ghost", "groupName": "DEFAULT_GROUP", "cluster": "", "udpPort": 0}
    assert desk.call("ServiceQueryRequest", body) == (
        b'{"resultCode":200,"errorCode":0,"serviceInfo":{"name":"ghost","groupName":"DEFAULT_GROUP","clusters":"",'
        b'"cacheMillis":10000,"hosts":[],"lastRefTime":1700000000000,"checksum":"","allIPs":false,'
        b'"reachProtectionThreshold":false,"valid":true},"success":true}'
    )


def test_deregistering_withdraws_whatever_the_connection_registered_for_the_service(desk: Desk) -> None:
    desk.call("InstanceRequest", register(port=1))
    assert desk.call("InstanceRequest", register(kind="deregisterInstance", port=2)) == (
        b'{"resultCode":200,"errorCode":0,"type":"deregisterInstance","success":true}'
    )
    assert desk.hosts() == []
    assert b'"success":true' in desk.call("InstanceRequest", register("ghost", kind="deregisterInstance"))


def test_a_connection_holds_one_instance_per_service_and_the_last_one_wins(desk: Desk) -> None:
    desk.call("InstanceRequest", register(port=1))
    desk.call("InstanceRequest", register(port=2))
    assert [host["port"] for host in desk.hosts()] == [2]


def test_a_batch_replaces_what_the_connection_published(desk: Desk) -> None:
    assert desk.call("BatchInstanceRequest", batch(1, 2, 3)) == (
        b'{"resultCode":200,"errorCode":0,"type":"batchRegisterInstance","success":true}'
    )
    assert [host["port"] for host in desk.hosts()] == [1, 2, 3]
    # The Java server spells the cluster that was not sent "null" in the id, and shows DEFAULT.
    assert desk.hosts()[0]["instanceId"] == "10.9.0.1#1#null#DEFAULT_GROUP@@s1"
    assert desk.hosts()[0]["clusterName"] == "DEFAULT"
    desk.call("BatchInstanceRequest", batch(2))
    assert [host["port"] for host in desk.hosts()] == [2]
    desk.call("BatchInstanceRequest", batch())
    assert desk.hosts() == []


def test_a_persistent_instance_outlives_its_connection(desk: Desk) -> None:
    body = register(kind="registerInstance", ephemeral=False)
    assert desk.call("PersistentInstanceRequest", body) == (
        b'{"resultCode":200,"errorCode":0,"type":"registerInstance","success":true}'
    )
    desk.gateway.submit(DisconnectClient(desk.connection.connection_id, 0))
    assert [host["ephemeral"] for host in desk.hosts()] == [False]
    assert desk.call("PersistentInstanceRequest", {**body, "type": "deregisterInstance"}) == (
        b'{"resultCode":200,"errorCode":0,"type":"deregisterInstance","success":true}'
    )
    assert desk.hosts() == []


def test_the_kinds_do_not_mix(desk: Desk) -> None:
    desk.call("InstanceRequest", register("e"))
    with pytest.raises(NacosError) as refused:
        desk.call("PersistentInstanceRequest", register("e"))
    assert refused.value.code == 400
    assert refused.value.detail == (
        "errCode: 400, errMsg: Current service DEFAULT_GROUP@@e is ephemeral service, can't register persistent instance. "
    )
    assert not desk.gateway.proposed, "a refusal that a replay could not repeat must not reach the log"
    desk.call("PersistentInstanceRequest", register("p"))
    for type_name, body, what in (
        ("InstanceRequest", register("p"), "register"),
        ("BatchInstanceRequest", {**batch(1), "serviceName": "p"}, "batch register"),
        ("BatchInstanceRequest", {**batch(), "serviceName": "p"}, "batch register"),
    ):
        with pytest.raises(NacosError) as refused:
            desk.call(type_name, body)
        assert refused.value.detail == (
            f"errCode: 400, errMsg: Current service DEFAULT_GROUP@@p is persistent service, can't {what} ephemeral instance. "
        )


def test_a_subscription_is_answered_with_what_is_there_and_pushed_once(desk: Desk) -> None:
    desk.call("InstanceRequest", register())
    desk.gateway.events.clear()
    body = {"namespace": "public", "serviceName": "s1", "groupName": "DEFAULT_GROUP", "subscribe": True, "clusters": ""}
    reply = desk.call("SubscribeServiceRequest", body)
    assert reply.startswith(b'{"resultCode":200,"errorCode":0,"message":"success","serviceInfo":{"name":"s1",')
    assert reply.endswith(b',"valid":true},"success":true}')
    desk.call("SubscribeServiceRequest", body)
    assert desk.gateway.events == [ServiceSubscribed(KEY, desk.connection.connection_id)]
    [subscriber] = desk.gateway.registry.subscribers[KEY].values()
    assert (subscriber.address, subscriber.agent, subscriber.app) == (
        "192.0.2.2",
        "Nacos-Java-Client:v2.5.1",
        "unknown",
    )
    assert b'"message":"success"' in desk.call("SubscribeServiceRequest", {**body, "subscribe": False})
    assert not desk.gateway.registry.subscribers


def test_services_are_listed_by_page_within_their_group(desk: Desk) -> None:
    for name in ("a", "b", "c"):
        desk.call("InstanceRequest", register(name))
    body = {"namespace": "public", "serviceName": "", "groupName": "DEFAULT_GROUP", "pageNo": 1, "pageSize": 2}
    assert desk.call("ServiceListRequest", body) == (
        b'{"resultCode":200,"errorCode":0,"count":3,"serviceNames":["a","b"],"success":true}'
    )
    assert desk.json("ServiceListRequest", {**body, "pageNo": 2})["serviceNames"] == ["c"]
    assert desk.json("ServiceListRequest", {**body, "pageNo": 9})["serviceNames"] == []
    assert desk.json("ServiceListRequest", {**body, "groupName": "other"})["count"] == 0


@pytest.mark.parametrize("namespace", ["", "public", "Public", "null", None, " "])
def test_the_default_namespace_has_many_spellings(desk: Desk, namespace: str | None) -> None:
    desk.call("InstanceRequest", {**register(), "namespace": namespace})
    assert [host["port"] for host in desk.hosts()] == [8001]


@pytest.mark.parametrize(
    ("type_name", "body", "members"),
    [
        ("InstanceRequest", {**register(), "serviceName": "bad service"}, ""),
        ("InstanceRequest", register(port=70_000), ""),
        ("InstanceRequest", register(metadata={"k": "v" * 1100}), ""),
        ("PersistentInstanceRequest", register(ip="not an ip"), ""),
        ("BatchInstanceRequest", {**batch(1), "groupName": "a b"}, ""),
        ("BatchInstanceRequest", {**batch(), "groupName": "a b"}, ""),
        ("ServiceQueryRequest", {"serviceName": "s", "cluster": "!"}, ""),
        ("SubscribeServiceRequest", {"serviceName": "a@@b"}, ""),
        ("ServiceListRequest", {"namespace": "a b"}, '"count":0,'),
    ],
)
def test_illegal_parameters_are_refused_in_the_handlers_own_reply(
    desk: Desk, type_name: str, body: dict[str, Any], members: str
) -> None:
    reply = desk.call(type_name, body).decode()
    assert reply.startswith('{"resultCode":500,"errorCode":400,"message":"Param check invalid:Param ')
    assert reply.endswith(f'",{members}"success":false}}')
    assert not desk.gateway.registry.services


@pytest.mark.parametrize(
    ("type_name", "body", "code", "text"),
    [
        ("InstanceRequest", register(kind="nonsense"), 400, "Unsupported request type nonsense"),
        ("PersistentInstanceRequest", register(kind="nonsense"), 400, "Unsupported request type nonsense"),
        (
            "BatchInstanceRequest",
            {**batch(1), "type": "registerInstance"},
            400,
            "Unsupported request type registerInstance",
        ),
        ("InstanceRequest", {**register(), "instance": None}, 400, "Instance can not be null."),
        ("InstanceRequest", register(ip=None), 400, "Param 'ip' is required."),
        ("InstanceRequest", {**register(), "serviceName": None}, 400, "Param 'serviceName' is required."),
        ("ServiceQueryRequest", {}, 400, "Param 'serviceName' is required."),
        (
            "InstanceRequest",
            register(clusterName="a_b"),
            400,
            "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: a_b)",
        ),
        (
            "InstanceRequest",
            register(metadata={"preserved.heart.beat.interval": "20000"}),
            400,
            "Instance 'heart beat interval' must less than 'heart beat timeout' and 'ip delete timeout'.",
        ),
        (
            "InstanceRequest",
            register(metadata={"deep": {"er": 1}}),
            400,
            "Cannot deserialize value of type `java.lang.String` in metadata",
        ),
    ],
)
def test_refusals_have_the_text_of_the_java_server(
    desk: Desk, type_name: str, body: dict[str, Any], code: int, text: str
) -> None:
    with pytest.raises(NacosError) as refused:
        desk.call(type_name, body)
    assert (refused.value.code, refused.value.detail) == (code, text)
    assert not desk.gateway.registry.services


def test_a_connection_that_has_ended_is_told_so(desk: Desk) -> None:
    desk.gateway.submit(DisconnectClient(desk.connection.connection_id, 0))
    for type_name, body in (
        ("InstanceRequest", register()),
        ("SubscribeServiceRequest", {"serviceName": "s1", "subscribe": True}),
    ):
        with pytest.raises(NacosError) as refused:
            desk.call(type_name, body)
        assert refused.value.code == -401
    assert not desk.gateway.registry.services


def test_members_other_sdks_send_loosely_are_understood(desk: Desk) -> None:
    desk.call(
        "InstanceRequest",
        register(
            port="8080",
            weight=2,
            healthy="true",
            enabled=None,
            clusterName=None,
            metadata={"a": 1, "b": True, "c": None},
        ),
    )
    [host] = desk.hosts()
    assert (host["port"], host["weight"], host["healthy"], host["enabled"]) == (8080, 2.0, True, True)
    assert host["metadata"] == {"a": "1", "b": "true"}


def test_ids_are_chosen_by_the_client_or_drawn_as_its_metadata_asks(desk: Desk) -> None:
    desk.call("InstanceRequest", register("chosen", instanceId="mine"))
    desk.call("InstanceRequest", register("bare", serviceName="bare"))
    desk.call("InstanceRequest", register("drawn", metadata={"preserved.instance.id.generator": "snowflake"}))
    assert [host["instanceId"] for host in desk.hosts("chosen")] == ["mine"]
    assert [host["instanceId"] for host in desk.hosts("bare")] == ["10.7.0.1#8001#DEFAULT#bare"]
    [host] = desk.hosts("drawn")
    number, cluster, name = host["instanceId"].split("#")
    milliseconds = 1_700_000_000_000 - 1_533_429_240_000
    assert (int(number) >> 22, int(number) >> 12 & 1023, cluster, name) == (
        milliseconds,
        5,
        "DEFAULT",
        "DEFAULT_GROUP@@drawn",
    )
    assert host["instanceIdGenerator"] == "snowflake"


def test_registering_the_same_again_changes_nothing(desk: Desk) -> None:
    desk.call("InstanceRequest", register(metadata={"a": "b"}))
    desk.call("InstanceRequest", register(metadata={"a": "b"}))
    assert desk.gateway.events == [ServiceChanged(KEY)]


def test_the_naming_types_of_2_5_1_are_known_and_no_others() -> None:
    assert set(Desk().rpcs) == {
        "InstanceRequest", "PersistentInstanceRequest", "BatchInstanceRequest",
        "ServiceQueryRequest", "ServiceListRequest", "SubscribeServiceRequest",
    }  # fmt: skip
