"""Naming v1: `/v1/ns/instance` and below: register, deregister, update, list, beat, metadata, statuses.

Source: Nacos 2.5.1 `InstanceController`, `InstanceOperatorClientImpl` (contract/http-v1-naming.md §1, golden 142–183,
233–236).
"""

from __future__ import annotations

import sys

import msgspec

from nacosx._core.http1 import Request, Response
from nacosx.api.checks import check_clusters, check_ip, check_port
from nacosx.api.form import Form, bound, decimal, is_true, loosely_true, optional, required, whole
from nacosx.api.http import Answer, Routes
from nacosx.api.jackson import reader
from nacosx.api.later import Later
from nacosx.api.namespaces import canonical_namespace
from nacosx.api.v1.client_agent import understands_push
from nacosx.api.v1.naming_desk import (
    OK,
    NamingDesk,
    UnreadableError,
    as_json,
    check_list,
    checked_metadata,
    malformed,
    named,
    user_agent,
)
from nacosx.engine.beats import Beats
from nacosx.errors import BAD_REQUEST, NacosError
from nacosx.naming.client import address_client_id
from nacosx.naming.commands import (
    DeregisterInstance,
    DeregisterPersistent,
    MergeInstanceMetadata,
    RegisterInstance,
    RegisterPersistent,
    Subscribe,
    UpdateInstanceMetadata,
)
from nacosx.naming.health import client_beat_interval_ms
from nacosx.naming.legality import check_instance
from nacosx.naming.model import (
    DEFAULT_CLUSTER,
    NO_METADATA,
    Instance,
    InstanceKey,
    ServiceKey,
    Subscriber,
    instances_of,
)
from nacosx.naming.views import hosts, instance_host, service_info, statuses

WEIGHT_MAX = 10_000.0
PORT_MAX = 65_535
BEAT_ANSWERS_MAX = 256  # remembered answers to beats

BEAT_KNOWN = 10200
BEAT_UNKNOWN = 20404


class ClientBeat(msgspec.Struct):
    """The parameter `beat` (`RsInfo`); clients send more members than these."""

    ip: str | None = None
    port: int = 0
    cluster: str | None = None
    weight: float = 0.0
    metadata: dict[str, str] | None = None


class TargetInstance(msgspec.Struct, rename="camel"):
    """One member of the parameter `instances` of metadata/batch."""

    ip: str | None = None
    port: int = 0
    cluster_name: str | None = None
    ephemeral: bool = True


class Detail(msgspec.Struct, rename="camel"):
    service: str
    ip: str
    port: int
    cluster_name: str
    weight: float
    healthy: bool
    instance_id: str
    metadata: dict[str, str]


_read_beat = reader(ClientBeat)
_read_targets = reader(list[TargetInstance])


class InstanceDesk:
    __slots__ = ("_beat_answers", "_beats", "_desk", "_gateway", "_registry", "_wall_ms")

    def __init__(self, desk: NamingDesk, beats: Beats) -> None:
        self._desk = desk
        self._gateway = desk.gateway
        self._registry = desk.registry
        self._wall_ms = desk.clock.wall_ms
        self._beats = beats
        self._beat_answers: dict[tuple[int, int, bool], Response] = {}

    def routes(self) -> Routes:
        route = self._desk.route
        return {
            "/v1/ns/instance": {
                "GET": route(self._detail),
                "POST": route(self._register),
                "PUT": route(self._update),
                "PATCH": route(self._patch),
                "DELETE": route(self._deregister),
            },
            "/v1/ns/instance/list": {"GET": route(self._list, check_list)},
            "/v1/ns/instance/beat": {"PUT": route(self._beat, check_beat)},
            "/v1/ns/instance/statuses": {"*": route(self._statuses)},
            "/v1/ns/instance/metadata/batch": {
                "PUT": route(self._put_metadata, check_batch),
                "DELETE": route(self._delete_metadata, check_batch),
            },
        }

    # --- register, deregister ---

    def _register(self, _: Request, form: Form, key: ServiceKey | None) -> Answer:
        key = named(form, key)
        instance, ephemeral = self._instance(form)
        now_ms = self._desk.clock.wall_ms()
        if not ephemeral:
            return Later(self._gateway.propose(RegisterPersistent(key, instance, now_ms)), OK)
        client_id = address_client_id(instance.ip, instance.port, ephemeral=True)
        self._gateway.submit(RegisterInstance(client_id, key, instance, now_ms))
        self._beats.watch(client_id, key)
        return OK

    def _deregister(self, _: Request, form: Form, key: ServiceKey | None) -> Answer:
        key = named(form, key)
        instance, ephemeral = self._instance(form)
        ip, port = instance.ip, instance.port
        client_id = address_client_id(ip, port, ephemeral=ephemeral)
        client = self._registry.clients.get(client_id)
        if client is None or key not in client.published:
            return OK
        now_ms = self._desk.clock.wall_ms()
        if not ephemeral:
            return Later(self._gateway.propose(DeregisterPersistent(key, ip, port, now_ms)), OK)
        self._gateway.submit(DeregisterInstance(client_id, key, now_ms))
        return OK

    def _instance(self, form: Form) -> tuple[Instance, bool]:
        """The instance a form describes, and whether it is ephemeral (`HttpRequestInstanceBuilder`)."""
        get = form.get
        ip = required(form, "ip")
        port = whole(required(form, "port"))
        healthy = get("healthy")
        ephemeral = optional(form, "ephemeral")
        weight = get("weight")
        enabled = optional(form, "enabled") or optional(form, "enable")
        instance = self._registry.shared.instance(
            ip,
            port,
            weight=weight_of(weight) if weight else 1.0,
            healthy=loosely_true(healthy.strip() or "true") if healthy else True,
            enabled=loosely_true(enabled) if enabled else True,
            cluster=cluster_of(form),
            metadata=self._desk.metadata(form),
        )
        if ephemeral:
            return instance, loosely_true(ephemeral)
        return instance, self._registry.switches.default_instance_ephemeral

    # --- an operator's overlay ---

    async def _update(self, _: Request, form: Form, key: ServiceKey | None) -> Response:
        key = named(form, key)
        instance, _ephemeral = self._instance(form)
        check_instance(instance)
        await self._gateway.propose(
            UpdateInstanceMetadata(
                key,
                instance.ip,
                instance.port,
                instance.cluster,
                instance.weight,
                instance.enabled,
                instance.metadata,
                self._desk.clock.wall_ms(),
            )
        )
        return OK

    async def _patch(self, _: Request, form: Form, key: ServiceKey | None) -> Response:
        key = named(form, key)
        ip = required(form, "ip")
        port = whole(required(form, "port"))
        cluster = cluster_of(form)
        metadata = self._desk.metadata(form) if optional(form, "metadata") else None
        weight = optional(form, "weight")
        enabled = optional(form, "enabled")
        command = UpdateInstanceMetadata(
            key,
            ip,
            port,
            cluster,
            weight_of(weight) if weight else None,
            loosely_true(enabled) if enabled else None,
            metadata,
            self._desk.clock.wall_ms(),
        )
        instance_host(self._registry, key, ip, port, cluster)  # raises when there is none
        await self._gateway.propose(command)
        return OK

    def _put_metadata(self, _: Request, form: Form, key: ServiceKey | None) -> Answer:
        return self._merge_metadata(form, key, removing=False)

    def _delete_metadata(self, _: Request, form: Form, key: ServiceKey | None) -> Answer:
        return self._merge_metadata(form, key, removing=True)

    async def _merge_metadata(self, form: Form, key: ServiceKey | None, *, removing: bool) -> Response:
        key = named(form, key)
        targets = targets_of(optional(form, "instances"))
        required(form, "metadata")
        metadata = self._desk.metadata(form)
        found = self._targets(key, targets)
        if found:
            put = NO_METADATA if removing else metadata
            removed = tuple(metadata) if removing else ()
            instances = tuple(instance for instance, _ in found)
            now_ms = self._desk.clock.wall_ms()
            await self._gateway.propose(MergeInstanceMetadata(key, instances, put, removed, now_ms))
        return as_json(
            {
                "updated": [
                    f"{instance.ip}:{instance.port}:unknown:{instance.cluster}:{'ephemeral' if ephemeral else 'persist'}"
                    for instance, ephemeral in found
                ]
            }
        )

    def _targets(self, key: ServiceKey, targets: list[TargetInstance]) -> list[tuple[InstanceKey, bool]]:
        """The wanted instances that exist, none wanted: all; with the kind that is echoed."""
        here = {
            InstanceKey(each.ip, each.port, each.cluster_name): each.ephemeral for each in hosts(self._registry, key)
        }
        if not targets:
            return list(here.items())
        wanted = (
            (InstanceKey(each.ip or "", each.port, each.cluster_name or DEFAULT_CLUSTER), each.ephemeral)
            for each in targets
        )
        return [(instance, ephemeral) for instance, ephemeral in wanted if instance in here]

    # --- reads ---

    def _list(self, request: Request, form: Form, key: ServiceKey | None) -> Response:
        if key is None:
            key = named(form, key)
        get = form.get
        clusters = get("clusters", "").strip()
        healthy_only = get("healthyOnly", "false")
        now_ms = self._wall_ms()
        if get("udpPort", "0") != "0":
            self._subscribe(request, form, key, clusters, now_ms)
        return Response(
            service_info(
                self._registry,
                key,
                clusters,
                healthy_only != "false" and is_true(healthy_only.strip()),
                grouped=True,
                now_ms=now_ms,
            )
        )

    def _subscribe(self, request: Request, form: Form, key: ServiceKey, clusters: str, now_ms: int) -> None:
        """A 1.x client wants pushes. They go to the address the request came from, whatever `clientIP` says: else anybody
        could have us send datagrams to anybody."""
        port = whole(optional(form, "udpPort", "0"))
        agent = user_agent(request)
        if not 0 < port <= PORT_MAX or not understands_push(agent, self._registry.switches):
            return
        ip = request.remote_ip
        client_id = address_client_id(ip, port, ephemeral=True)
        subscriber = Subscriber(ip, port, agent, optional(form, "app"), clusters)
        self._gateway.submit(Subscribe(client_id, key, subscriber, now_ms))
        self._beats.watch_subscriber(client_id)

    def _detail(self, _: Request, form: Form, key: ServiceKey | None) -> Response:
        key = named(form, key)
        cluster = optional(form, "clusterName", DEFAULT_CLUSTER)
        ip = required(form, "ip")
        port = whole(required(form, "port"))
        host = instance_host(self._registry, key, ip, port, cluster)
        return as_json(
            Detail(key.grouped_name, ip, port, cluster, host.weight, host.healthy, host.instance_id, host.metadata)
        )

    def _statuses(self, _: Request, form: Form, _key: ServiceKey | None) -> Response:
        text = bound(form, "key")
        namespace, hashes, grouped = text.partition("##")
        if not hashes:
            namespace, grouped = "", text
        if refusal := malformed(grouped):
            raise NacosError(BAD_REQUEST, refusal)
        group, _at, name = grouped.partition("@@")
        return as_json({"ips": statuses(self._registry, ServiceKey(canonical_namespace(namespace), group, name))})

    # --- beats ---

    def _beat(self, _: Request, form: Form, key: ServiceKey | None) -> Response:
        beat_text = optional(form, "beat")
        if beat_text:
            beat = beat_of(beat_text)
            cluster = beat.cluster if beat.cluster and not beat.cluster.isspace() else cluster_of(form)
            ip, port = beat.ip or "", beat.port
        else:
            beat = None
            cluster = optional(form, "clusterName", DEFAULT_CLUSTER)
            ip = optional(form, "ip")
            port = whole(optional(form, "port", "0"))
        key = named(form, key)
        client_id = address_client_id(ip, port, ephemeral=True)
        code = BEAT_KNOWN
        if self._beats.renew(client_id, key):
            pass  # the usual beat
        elif beat is None:
            code = BEAT_UNKNOWN
        else:
            instance = self._registry.shared.instance(
                ip, port, weight=beat.weight, cluster=cluster, metadata=beat.metadata
            )
            self._gateway.submit(RegisterInstance(client_id, key, instance, self._desk.clock.wall_ms()))
            self._beats.watch(client_id, key)
        return self._beat_answer(code, key, InstanceKey(ip, port, cluster))

    def _beat_answer(self, code: int, key: ServiceKey, wanted: InstanceKey) -> Response:
        registry = self._registry
        service = registry.services.get(key)
        publication = None
        if service is not None and code == BEAT_KNOWN:
            publication = service.publishers.get(address_client_id(wanted.ip, wanted.port, ephemeral=True))
        instance = instances_of(publication)[0] if publication is not None else None
        interval_ms = client_beat_interval_ms(registry, key, instance)
        variant = (interval_ms, code, registry.switches.light_beat_enabled)
        answer = self._beat_answers.get(variant)
        if answer is None:
            answer = as_json({"clientBeatInterval": interval_ms, "code": code, "lightBeatEnabled": variant[2]})
            if len(self._beat_answers) < BEAT_ANSWERS_MAX:
                self._beat_answers[variant] = answer
        return answer


# --- parameters ------------------------------------------------------------------------------------------------------


def cluster_of(form: Form) -> str:
    cluster = optional(form, "clusterName") or optional(form, "cluster")
    return sys.intern(cluster) if cluster and cluster != DEFAULT_CLUSTER else DEFAULT_CLUSTER


def weight_of(text: str) -> float:
    weight = decimal(text.strip() or "1")
    if not 0 <= weight <= WEIGHT_MAX:
        raise NacosError(BAD_REQUEST, "instance format invalid: The weights range from 0.0 to 10000.0")
    return weight


def beat_of(text: str) -> ClientBeat:
    """Raises NacosError; behind the parameter checker, which reads the same text, it does not."""
    try:
        return _read_beat(text.encode())
    except ValueError as error:
        raise unreadable("com.alibaba.nacos.naming.healthcheck.RsInfo", error) from error


def targets_of(text: str) -> list[TargetInstance]:
    """What cannot be read counts as absent, once the parameter checker is off."""
    try:
        return _read_targets(text.encode()) if text else []
    except ValueError:
        return []


def unreadable(kind: str, error: Exception) -> UnreadableError:
    """The words of `NacosDeserializationException`; the reason within them is our JSON reader's."""
    text = f"Nacos deserialize for class [{kind}] failed, cause error[{error}]. "
    return UnreadableError(BAD_REQUEST, f"errCode: 101, errMsg: {text} ;caused: {error}")


# --- checks ----------------------------------------------------------------------------------------------------------


def check_beat(desk: NamingDesk, form: Form) -> str:
    """ip, port; and the same of the beat (`NamingInstanceBeatHttpParamExtractor`)."""
    if not desk.checks.enabled:
        return ""
    refusal = check_ip(form.get("ip")) or check_port(form.get("port"))
    text = form.get("beat")
    if refusal or not text or text.isspace():
        return refusal
    beat = beat_of(text)
    return check_clusters(beat.cluster) or check_ip(beat.ip) or check_port(beat.port)


def check_batch(desk: NamingDesk, form: Form) -> str:
    """metadata; and the address of each instance (`NamingInstanceMetadataBatchHttpParamExtractor`)."""
    if not desk.checks.enabled:
        return ""
    refusal = desk.checks.metadata(checked_metadata(desk, form))
    text = form.get("instances")
    if refusal or not text or text.isspace():
        return refusal
    try:
        targets = _read_targets(text.encode())
    except ValueError as error:
        raise unreadable("java.util.List<com.alibaba.nacos.api.naming.pojo.Instance>", error) from error
    for target in targets:
        refusal = check_clusters(target.cluster_name) or check_ip(target.ip) or check_port(target.port)
        if refusal:
            return refusal
    return ""
