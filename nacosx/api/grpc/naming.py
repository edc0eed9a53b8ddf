"""Naming over gRPC: every request type of Nacos 2.5.1 (contract/grpc.md §5.2, golden/wire/c2.5.1-s2.5.1.types.md).

Replies are put together from fixed bytes and what the views rendered; only persistent instances wait (for the disk).
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from nacosx.api.checks import Checks, refused_reply
from nacosx.api.grpc.rpc import Connection, Headers, Reply, Rpc, Rpcs
from nacosx.api.later import Later
from nacosx.api.namespaces import canonical_namespace
from nacosx.engine.gateway import Gateway
from nacosx.errors import BAD_REQUEST, INSTANCE, PARAMETER_MISSING, NacosError
from nacosx.naming.commands import (
    DeregisterInstance,
    DeregisterPersistent,
    RegisterBatch,
    RegisterInstance,
    RegisterPersistent,
    Subscribe,
    Unsubscribe,
)
from nacosx.naming.directory import service_names
from nacosx.naming.instance_ids import SNOWFLAKE, SnowflakeIds
from nacosx.naming.legality import INSTANCE_ID_GENERATOR
from nacosx.naming.model import DEFAULT_CLUSTER, DEFAULT_GROUP, Instance, ServiceKey, Subscriber, service_key
from nacosx.naming.views import service_info

REGISTER = "registerInstance"
DEREGISTER = "deregisterInstance"
BATCH_REGISTER = "batchRegisterInstance"

_SUCCESS = b'{"resultCode":200,"errorCode":0,'
_REGISTERED = _SUCCESS + b'"type":"registerInstance","success":true}'
_DEREGISTERED = _SUCCESS + b'"type":"deregisterInstance","success":true}'
_BATCH_REGISTERED = _SUCCESS + b'"type":"batchRegisterInstance","success":true}'
_QUERIED = _SUCCESS + b'"serviceInfo":'
_SUBSCRIBED = _SUCCESS + b'"message":"success","serviceInfo":'
_LISTED = _SUCCESS + b'"count":%d,"serviceNames":%b,"success":true}'
_END = b',"success":true}'


class WireInstance(msgspec.Struct, rename="camel"):
    """An instance as clients send it. Every member may be missing or null, as a Java client's null is."""

    ip: str | None = None
    port: int | None = 0
    weight: float | None = 1.0
    healthy: bool | None = True
    enabled: bool | None = True
    cluster_name: str | None = None
    service_name: str | None = None
    metadata: dict[str, Any] | None = None
    instance_id: str | None = None


class _ServiceRequest(msgspec.Struct, rename="camel"):
    namespace: str | None = None
    service_name: str | None = None
    group_name: str | None = None

    @property
    def key(self) -> ServiceKey:
        """Raises NacosError(PARAMETER_MISSING) when the service has no name."""
        name = self.service_name
        if not name:
            raise NacosError(PARAMETER_MISSING, "Param 'serviceName' is required.")
        return service_key((canonical_namespace(self.namespace), self.group_name or DEFAULT_GROUP, name))


class InstanceRequest(_ServiceRequest):
    type: str | None = None
    instance: WireInstance | None = None


class PersistentInstanceRequest(InstanceRequest):
    pass


class BatchInstanceRequest(_ServiceRequest):
    type: str | None = None
    instances: list[WireInstance] | None = None


class ServiceQueryRequest(_ServiceRequest):
    cluster: str | None = None
    healthy_only: bool | None = False


class ServiceListRequest(_ServiceRequest):
    page_no: int | None = 0
    page_size: int | None = 0


class SubscribeServiceRequest(_ServiceRequest):
    subscribe: bool | None = False
    clusters: str | None = None


def rpcs(gateway: Gateway, *, checks: Checks, snowflakes: SnowflakeIds) -> Rpcs:
    desk = _NamingDesk(gateway, checks, snowflakes)
    return {
        "InstanceRequest": Rpc(InstanceRequest, "InstanceResponse", desk.instance),
        "PersistentInstanceRequest": Rpc(PersistentInstanceRequest, "InstanceResponse", desk.persistent_instance),
        "BatchInstanceRequest": Rpc(BatchInstanceRequest, "BatchInstanceResponse", desk.batch_instance),
        "ServiceQueryRequest": Rpc(ServiceQueryRequest, "QueryServiceResponse", desk.query),
        "ServiceListRequest": Rpc(ServiceListRequest, "ServiceListResponse", desk.list_services),
        "SubscribeServiceRequest": Rpc(SubscribeServiceRequest, "SubscribeServiceResponse", desk.subscribe),
    }


class _NamingDesk:
    __slots__ = ("_checks", "_gateway", "_snowflakes")

    def __init__(self, gateway: Gateway, checks: Checks, snowflakes: SnowflakeIds) -> None:
        self._gateway = gateway
        self._checks = checks
        self._snowflakes = snowflakes

    # --- writes ------------------------------------------------------------------------------------------------------

    def instance(self, connection: Connection, request: InstanceRequest, headers: Headers) -> bytes:
        """Registers the ephemeral instance of a connection, or withdraws whatever it published for the service."""
        if refusal := self._illegal(request, request.instance):
            return refused_reply(refusal)
        gateway = self._gateway
        key = request.key
        now_ms = gateway.clock.wall_ms()
        if request.type == REGISTER:
            instance = self._instance(key, request.instance, now_ms)
            gateway.submit(RegisterInstance(connection.connection_id, key, instance, now_ms))
            return _REGISTERED
        if request.type == DEREGISTER:
            gateway.submit(DeregisterInstance(connection.connection_id, key, now_ms))
            return _DEREGISTERED
        raise _unsupported(request.type)

    def persistent_instance(
        self, connection: Connection, request: PersistentInstanceRequest, headers: Headers
    ) -> Reply:
        """Registers or withdraws a persistent instance; answered when it is on disk."""
        if refusal := self._illegal(request, request.instance):
            return refused_reply(refusal)
        key = request.key
        now_ms = self._gateway.clock.wall_ms()
        instance = self._instance(key, request.instance, now_ms)
        if request.type == REGISTER:
            return Later(self._gateway.propose(RegisterPersistent(key, instance, now_ms)), _REGISTERED)
        if request.type == DEREGISTER:
            return Later(
                self._gateway.propose(DeregisterPersistent(key, instance.ip, instance.port, now_ms)), _DEREGISTERED
            )
        raise _unsupported(request.type)

    def batch_instance(self, connection: Connection, request: BatchInstanceRequest, headers: Headers) -> bytes:
        """Replaces everything the connection published for the service; fewer instances withdraw the others."""
        wired = request.instances or []
        for each in wired:
            if refusal := self._illegal(request, each):
                return refused_reply(refusal)
        if not wired and (refusal := self._illegal(request, None)):
            return refused_reply(refusal)
        if request.type != BATCH_REGISTER:
            raise _unsupported(request.type)
        key = request.key
        now_ms = self._gateway.clock.wall_ms()
        instances = tuple(self._instance(key, each, now_ms) for each in wired)
        self._gateway.submit(RegisterBatch(connection.connection_id, key, instances, now_ms))
        return _BATCH_REGISTERED

    # --- reads -------------------------------------------------------------------------------------------------------

    def query(self, connection: Connection, request: ServiceQueryRequest, headers: Headers) -> bytes:
        """The instances of a service, as a query shows them; an unknown service has none."""
        clusters = request.cluster or ""
        if refusal := self._checks.service(request.namespace, request.group_name, request.service_name, clusters):
            return refused_reply(refusal)
        gateway = self._gateway
        info = service_info(
            gateway.registry,
            request.key,
            clusters,
            request.healthy_only is True,
            grouped=False,
            now_ms=gateway.clock.wall_ms(),
        )
        return b"".join((_QUERIED, info, _END))

    def list_services(self, connection: Connection, request: ServiceListRequest, headers: Headers) -> bytes:
        """A page of the bare names of a group. The selector is ignored, as in the Java server."""
        if refusal := self._checks.service(request.namespace, request.group_name, request.service_name):
            return refused_reply(refusal, b'"count":0,')
        count, names = service_names(
            self._gateway.registry,
            canonical_namespace(request.namespace),
            request.group_name or DEFAULT_GROUP,
            request.page_no or 0,
            request.page_size or 0,
        )
        return _LISTED % (count, msgspec.json.encode(names))

    def subscribe(self, connection: Connection, request: SubscribeServiceRequest, headers: Headers) -> bytes:
        """Starts or ends a subscription. The reply carries what is there now; the first push follows all the same."""
        clusters = request.clusters or ""
        if refusal := self._checks.service(request.namespace, request.group_name, request.service_name, clusters):
            return refused_reply(refusal)
        gateway = self._gateway
        key = request.key
        now_ms = gateway.clock.wall_ms()
        info = service_info(gateway.registry, key, clusters, False, grouped=False, now_ms=now_ms)
        if request.subscribe:
            subscriber = Subscriber(
                connection.client_ip,
                0,
                agent=connection.client_version,
                app=sys.intern(headers.get("app") or "unknown"),
                clusters=sys.intern(clusters),
            )
            gateway.submit(Subscribe(connection.connection_id, key, subscriber, now_ms))
        else:
            gateway.submit(Unsubscribe(connection.connection_id, key, now_ms))
        return b"".join((_SUBSCRIBED, info, _END))

    # --- steps -------------------------------------------------------------------------------------------------------

    def _illegal(self, request: _ServiceRequest, instance: WireInstance | None) -> str:
        """The refusal, "" when all is well. The metadata of the instance is text from here on."""
        checks = self._checks
        refusal = checks.service(request.namespace, request.group_name, request.service_name)
        if refusal or instance is None:
            return refusal
        instance.metadata = _texts(instance.metadata)
        return checks.instance(instance.ip, instance.port, instance.cluster_name, instance.metadata)

    def _instance(self, key: ServiceKey, wired: WireInstance | None, now_ms: int) -> Instance:
        """Raises NacosError(INSTANCE | PARAMETER_MISSING) when there is no instance, or it has no address."""
        if wired is None:
            raise NacosError(INSTANCE, "Instance can not be null.")
        if not wired.ip:
            raise NacosError(PARAMETER_MISSING, "Param 'ip' is required.")
        cluster = wired.cluster_name
        return self._gateway.registry.shared.instance(
            wired.ip,
            wired.port or 0,
            weight=1.0 if wired.weight is None else wired.weight,
            healthy=wired.healthy is not False,
            enabled=wired.enabled is not False,
            cluster=cluster if cluster and not cluster.isspace() else DEFAULT_CLUSTER,
            metadata=wired.metadata,
            instance_id=wired.instance_id or self._instance_id(key, wired, now_ms),
        )

    def _instance_id(self, key: ServiceKey, wired: WireInstance, now_ms: int) -> str:
        """ "" when the views derive the very id the Java server generates from what was sent."""
        named = wired.service_name
        metadata = wired.metadata
        snowflake = metadata is not None and metadata.get(INSTANCE_ID_GENERATOR) == SNOWFLAKE
        if not snowflake and wired.cluster_name and (not named or named == key.grouped_name):
            return ""
        # A cluster that was not sent reads "null" in the id (golden/wire/c2.5.1-s2.5.1.jsonl, BatchInstanceRequest).
        cluster = "null" if wired.cluster_name is None else wired.cluster_name
        first = self._snowflakes.draw(now_ms) if snowflake else f"{wired.ip}#{wired.port or 0}"
        return f"{first}#{cluster}#{named if named and not named.isspace() else key.grouped_name}"


def _texts(metadata: dict[str, Any] | None) -> dict[str, str] | None:
    """Metadata with every value as text, as Jackson reads it: numbers and booleans are spelled, nulls left out.

    Raises NacosError(BAD_REQUEST) for anything deeper.
    """
    if not metadata:
        return None
    for value in metadata.values():
        if type(value) is not str:
            return {key: _text(value) for key, value in metadata.items() if value is not None} or None
    return metadata


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return msgspec.json.encode(value).decode()
    raise NacosError(BAD_REQUEST, "Cannot deserialize value of type `java.lang.String` in metadata")


def _unsupported(what: str | None) -> NacosError:
    return NacosError(BAD_REQUEST, f"Unsupported request type {what}")
