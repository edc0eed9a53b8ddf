"""The registry: services, clients and what operators said about them. `apply` is the only mutator.

Indexes (invariants, checked by the twin in tests/models/registry.py):

* `client_id in service.publishers` ⇔ `service.key in clients[client_id].published`
* `client_id in subscribers[key]` ⇔ `key in clients[client_id].subscribed`; a service need not exist to be subscribed to
* `key in empty` ⇔ `services[key]` has no publisher
* `groups` holds every service, under its namespace and group; none of them is empty
* a service with persistent instances is persistent
* an ip:port client exists only as long as it publishes or subscribes

Durable: `metadata`, `overlays`, persistent instances, the switches without overrides. A durable command reads and writes
nothing else to decide what to do (see `commands`), so a replay of the log ends in the same state.
"""

from __future__ import annotations

import sys

import msgspec

from nacosx.naming import refusals
from nacosx.naming import switches as switch_entries
from nacosx.naming.client import Client, address_client_id, is_connection, is_ephemeral, with_key, without_key
from nacosx.naming.commands import (
    ConnectClient,
    CreateService,
    DeleteService,
    DeregisterInstance,
    DeregisterPersistent,
    DisconnectClient,
    DurableCommand,
    EphemeralCommand,
    ForgetMetadata,
    MergeInstanceMetadata,
    OverrideSwitch,
    RegisterBatch,
    RegisterInstance,
    RegisterPersistent,
    RemoveIdleServices,
    SetHealth,
    SetPersistentHealth,
    Subscribe,
    Unsubscribe,
    UpdateCluster,
    UpdateInstanceMetadata,
    UpdateService,
    UpdateSwitch,
)
from nacosx.naming.events import ClientReleased, Event, ServiceChanged, ServiceSubscribed
from nacosx.naming.legality import check_instance
from nacosx.naming.metadata import NO_OVERLAY, ClusterMetadata, InstanceOverlay, ServiceMetadata, overlaid
from nacosx.naming.model import Instance, InstanceKey, Publication, ServiceKey, Subscriber, instances_of
from nacosx.naming.rendered import RenderedAnswers
from nacosx.naming.service import Service
from nacosx.naming.sharing import SharedParts
from nacosx.naming.snapshot import SNAPSHOT_VERSION, Snapshot, decode_snapshot, encode_snapshot
from nacosx.naming.switches import Switches


class Registry:
    """Everything the room knows. Read it freely; change it by `apply` only."""

    __slots__ = (
        "clients",
        "durable_switches",
        "empty",
        "gone",
        "groups",
        "instance_count",
        "metadata",
        "overlays",
        "rendered",
        "services",
        "shared",
        "subscriber_count",
        "subscribers",
        "switches",
    )

    def __init__(self) -> None:
        self.services: dict[ServiceKey, Service] = {}
        self.groups: dict[tuple[str, str], dict[ServiceKey, None]] = {}  # (namespace, group) → its services, in order
        self.clients: dict[str, Client] = {}
        self.subscribers: dict[ServiceKey, dict[str, Subscriber]] = {}  # → client id → how it is shown
        self.metadata: dict[ServiceKey, ServiceMetadata] = {}
        self.overlays: dict[ServiceKey, dict[InstanceKey, InstanceOverlay]] = {}
        self.switches = Switches()
        self.durable_switches = self.switches  # those without overrides
        self.empty: dict[ServiceKey, int] = {}  # service without publishers → since when, wall ms
        # Metadata of a dropped service, overlay of a withdrawn instance → since when, wall ms. See `ForgetMetadata`.
        self.gone: dict[ServiceKey | tuple[ServiceKey, InstanceKey], int] = {}
        self.instance_count = 0
        self.subscriber_count = 0
        self.rendered = RenderedAnswers()
        self.shared = SharedParts()  # whoever registers builds his instances by it

    # --- commands ----------------------------------------------------------------------------------------------------

    def apply(self, command: EphemeralCommand | DurableCommand) -> list[Event]:
        """Changes the state and says what has happened. Raises NacosError when refused: then nothing changed."""
        match command:  # the frequent ones first
            case RegisterInstance():
                return self._register(command)
            case SetHealth():
                return self._set_health(command.client_id, command.service, command.healthy, command.now_ms)
            case Subscribe():
                return self._subscribe(command)
            case Unsubscribe():
                return self._unsubscribe(command)
            case DeregisterInstance():
                return self._deregister(command.client_id, command.service, command.now_ms)
            case RegisterBatch():
                return self._register_batch(command)
            case ConnectClient():
                self.clients.setdefault(command.client_id, Client(command.client_id, command.now_ms))
                return []
            case DisconnectClient():
                return self._disconnect(command)
            case RemoveIdleServices():
                return self._remove_idle(command)
            case OverrideSwitch():
                self._set_switches(switch_entries.updated(self.switches, command.entry, command.value))
                return []
            case _:
                return self._apply_durable(command)

    def _apply_durable(self, command: DurableCommand) -> list[Event]:
        match command:
            case RegisterPersistent():
                return self._register_persistent(command)
            case DeregisterPersistent():
                client_id = address_client_id(command.ip, command.port, ephemeral=False)
                return self._deregister(client_id, command.service, command.now_ms)
            case SetPersistentHealth():
                return self._set_persistent_health(command)
            case CreateService():
                return self._create_service(command)
            case UpdateService():
                return self._update_service(command)
            case DeleteService():
                return self._delete_service(command)
            case UpdateCluster():
                return self._update_cluster(command)
            case UpdateInstanceMetadata():
                return self._update_overlay(command)
            case MergeInstanceMetadata():
                return self._merge_overlays(command)
            case ForgetMetadata():
                return self._forget(command)
            case UpdateSwitch():
                self.durable_switches = switch_entries.updated(self.durable_switches, command.entry, command.value)
                self._set_switches(switch_entries.updated(self.switches, command.entry, command.value))
                return []

    def check(self, command: DurableCommand) -> None:
        """Raises what a command has to be refused for in the state of now. To be asked before it is logged."""
        match command:
            case RegisterPersistent(service=key, instance=instance):
                check_instance(instance)
                service = self.services.get(key)
                if service is not None and service.ephemeral:
                    raise refusals.other_kind(key, "ephemeral", "register persistent")
            case CreateService(service=key):
                if key in self.services:
                    raise refusals.service_exists(key)
            case UpdateService(service=key):
                self._existing(key)
            case DeleteService(service=key):
                if self._existing(key).publishers:
                    raise refusals.not_empty(key)
            case UpdateCluster(service=key):
                if key not in self.services:
                    raise refusals.no_service(key)
            case UpdateInstanceMetadata(service=key):
                if key not in self.services:
                    raise refusals.no_service_of_instance(key)
            case UpdateSwitch(entry=entry, value=value):
                switch_entries.updated(self.switches, entry, value)
            case _:
                pass

    # --- the durable part --------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The durable part: equal states give equal bytes."""
        return encode_snapshot(
            Snapshot(
                SNAPSHOT_VERSION,
                sorted(self.metadata.items(), key=lambda row: row[0]),
                sorted(
                    (
                        (key, instance, overlay)
                        for key, each in self.overlays.items()
                        for instance, overlay in each.items()
                    ),
                    key=lambda row: row[:2],
                ),
                sorted(
                    (
                        (service.key, instance)
                        for service in self.services.values()
                        if not service.ephemeral
                        for client_id, publication in service.publishers.items()
                        if not is_ephemeral(client_id)
                        for instance in instances_of(publication)
                    ),
                    key=lambda row: row[0],
                ),
                self.durable_switches,
            )
        )

    def restore(self, data: bytes) -> None:
        """Becomes what the snapshot says; nothing ephemeral survives. Raises ValueError when it cannot be read."""
        snapshot = decode_snapshot(data)
        Registry.__init__(self)
        self.durable_switches = self.switches = snapshot.switches
        for key, metadata in snapshot.metadata:
            self._write_metadata(key, metadata, 0)
        for key, of_instance, overlay in snapshot.overlays:
            self._write_overlays(key, {of_instance: overlay})
        for key, instance in snapshot.instances:
            self._register_persistent(RegisterPersistent(key, instance, 0))

    # --- ephemeral commands ------------------------------------------------------------------------------------------

    def _register(self, command: RegisterInstance) -> list[Event]:
        instance = command.instance
        check_instance(instance)
        return self._publish_ephemeral(command.client_id, command.service, instance, command.now_ms, "register")

    def _register_batch(self, command: RegisterBatch) -> list[Event]:
        instances = command.instances
        for instance in instances:
            check_instance(instance)
        if not instances:
            self._check_ephemeral(command.service, "batch register")
            return self._deregister(command.client_id, command.service, command.now_ms)
        publication = instances if len(instances) > 1 else instances[0]
        return self._publish_ephemeral(
            command.client_id, command.service, publication, command.now_ms, "batch register"
        )

    def _publish_ephemeral(
        self, client_id: str, key: ServiceKey, publication: Publication, now_ms: int, what: str
    ) -> list[Event]:
        service = self.services.get(key)
        if service is not None and not service.ephemeral:
            raise refusals.other_kind(key, "persistent", f"{what} ephemeral")
        client = self.clients.get(client_id) or self._new_address_client(client_id, now_ms)
        if service is None:
            service = self._new_service(key, ephemeral=True, now_ms=now_ms)
        return self._publish(client, service, publication, now_ms)

    def _check_ephemeral(self, key: ServiceKey, what: str) -> None:
        service = self.services.get(key)
        if service is not None and not service.ephemeral:
            raise refusals.other_kind(key, "persistent", f"{what} ephemeral")

    def _deregister(self, client_id: str, key: ServiceKey, now_ms: int) -> list[Event]:
        client = self.clients.get(client_id)
        if client is None or key not in client.published:
            return []
        client.updated_ms = now_ms
        client.published = without_key(client.published, key)
        events: list[Event] = [self._withdraw(client_id, self.services[key], now_ms)]
        self._release_idle_address(client, events)
        return events

    def _disconnect(self, command: DisconnectClient) -> list[Event]:
        client = self.clients.pop(command.client_id, None)
        if client is None:
            return []
        events: list[Event] = [
            self._withdraw(client.client_id, self.services[key], command.now_ms) for key in client.published
        ]
        for key in client.subscribed:
            self._drop_subscriber(client.client_id, key)
        events.append(ClientReleased(client.client_id))
        return events

    def _set_health(self, client_id: str, key: ServiceKey, healthy: bool, now_ms: int) -> list[Event]:
        client = self.clients.get(client_id)
        if client is None or key not in client.published:
            return []
        service = self.services[key]
        publication = service.publishers[client_id]
        if all(instance.healthy is healthy for instance in instances_of(publication)):
            return []
        return self._publish(client, service, _with_health(publication, healthy), now_ms)

    def _subscribe(self, command: Subscribe) -> list[Event]:
        client_id, key, subscriber = command.client_id, command.service, command.subscriber
        client = self.clients.get(client_id) or self._new_address_client(client_id, command.now_ms)
        client.updated_ms = command.now_ms
        subscribers = self.subscribers.get(key)
        if subscribers is None:
            key = _interned(key)
            subscribers = self.subscribers[key] = {}
        before = subscribers.get(client_id)
        subscribers[client_id] = subscriber
        if before is None:
            client.subscribed = with_key(client.subscribed, key)
            self.subscriber_count += 1
        elif before.clusters == subscriber.clusters:
            return []
        return [ServiceSubscribed(key, client_id)]

    def _unsubscribe(self, command: Unsubscribe) -> list[Event]:
        client = self.clients.get(command.client_id)
        if client is None or command.service not in client.subscribed:
            return []
        client.updated_ms = command.now_ms
        client.subscribed = without_key(client.subscribed, command.service)
        self._drop_subscriber(client.client_id, command.service)
        events: list[Event] = []
        self._release_idle_address(client, events)
        return events

    def _remove_idle(self, command: RemoveIdleServices) -> list[Event]:
        idle = [key for key, since_ms in self.empty.items() if since_ms <= command.idle_since_ms]
        for key in idle:
            self._drop_service(key)
            if key in self.metadata:
                self.gone[key] = command.now_ms
        return []

    # --- durable commands --------------------------------------------------------------------------------------------

    def _register_persistent(self, command: RegisterPersistent) -> list[Event]:
        key, instance, now_ms = command.service, command.instance, command.now_ms
        service = self.services.get(key)
        if service is None:
            service = self._new_service(key, ephemeral=False, now_ms=now_ms)
        # An ephemeral registration that came between `check` and now loses: what is on disk must not depend on it.
        turned, service.ephemeral = service.ephemeral and bool(service.publishers), False
        client_id = address_client_id(instance.ip, instance.port, ephemeral=False)
        client = self.clients.get(client_id) or self._new_address_client(client_id, now_ms)
        events = self._publish(client, service, instance, now_ms)
        return events if events or not turned else [self._changed(service)]

    def _set_persistent_health(self, command: SetPersistentHealth) -> list[Event]:
        client_id = address_client_id(command.ip, command.port, ephemeral=False)
        service = self.services.get(command.service)
        publication = service.publishers.get(client_id) if service is not None else None
        if publication is None or all(each.cluster != command.cluster for each in instances_of(publication)):
            return []
        return self._set_health(client_id, command.service, command.healthy, command.now_ms)

    def _create_service(self, command: CreateService) -> list[Event]:
        key = command.service
        if self._has_persistent(key):  # registered between `check` and now
            raise refusals.service_exists(key)
        before = self._visible(key)
        metadata = ServiceMetadata(command.ephemeral, command.protect_threshold, command.metadata, command.selector)
        self._write_metadata(key, metadata, command.now_ms)
        self.services[key].ephemeral = command.ephemeral
        return self._news(key, before)

    def _update_service(self, command: UpdateService) -> list[Event]:
        before = self._durable_metadata(command.service)
        after = msgspec.structs.replace(
            before,
            protect_threshold=command.protect_threshold,
            metadata=command.metadata,
            selector=command.selector,
        )
        visible = self._visible(command.service)
        self._write_metadata(command.service, after, command.now_ms)
        return self._news(command.service, visible)

    def _update_cluster(self, command: UpdateCluster) -> list[Event]:
        before = self._durable_metadata(command.service)
        cluster = ClusterMetadata(
            command.check_port, command.use_instance_port, command.health_checker, command.metadata
        )
        after = msgspec.structs.replace(before, clusters={**before.clusters, command.cluster: cluster})
        visible = self._visible(command.service)
        self._write_metadata(command.service, after, command.now_ms)
        return self._news(command.service, visible)

    def _delete_service(self, command: DeleteService) -> list[Event]:
        key = command.service
        if self._has_persistent(key):
            raise refusals.not_empty(key)
        service = self.services.get(key)
        before = self._visible(key)
        self.metadata.pop(key, None)
        self.gone.pop(key, None)
        for instance in self.overlays.pop(key, ()):
            self.gone.pop((key, instance), None)
        if service is not None and not service.publishers:
            self._drop_service(key)
        return self._news(key, before)  # some when an ephemeral registration came between `check` and now

    def _update_overlay(self, command: UpdateInstanceMetadata) -> list[Event]:
        instance = InstanceKey(command.ip, command.port, command.cluster)
        before = self.overlays.get(command.service, {}).get(instance, NO_OVERLAY)
        after = InstanceOverlay(
            before.weight if command.weight is None else command.weight,
            before.enabled if command.enabled is None else command.enabled,
            before.metadata if command.metadata is None else command.metadata,
        )
        return self._write_overlays(command.service, {instance: after})

    def _merge_overlays(self, command: MergeInstanceMetadata) -> list[Event]:
        overlays = self.overlays.get(command.service, {})
        after: dict[InstanceKey, InstanceOverlay] = {}
        for instance in command.instances:
            before = overlays.get(instance, NO_OVERLAY)
            metadata = {**before.metadata, **command.put}
            for name in command.removed:
                metadata.pop(name, None)
            after[instance] = msgspec.structs.replace(before, metadata=metadata)
        return self._write_overlays(command.service, after)

    def _forget(self, command: ForgetMetadata) -> list[Event]:
        keys = dict.fromkeys([*command.services, *(key for key, _ in command.instances)])
        before = {key: self._visible(key) for key in keys}
        for key in command.services:
            self.gone.pop(key, None)
            self.metadata.pop(key, None)
        for key, instance in command.instances:
            self.gone.pop((key, instance), None)
            overlays = self.overlays.get(key)
            if overlays is not None:
                overlays.pop(instance, None)
                if not overlays:
                    del self.overlays[key]
        return [event for key, visible in before.items() for event in self._news(key, visible)]

    # --- steps -------------------------------------------------------------------------------------------------------

    def _publish(self, client: Client, service: Service, publication: Publication, now_ms: int) -> list[Event]:
        key = service.key
        publishers = service.publishers
        before = publishers.get(client.client_id)
        client.updated_ms = now_ms
        if before is None:
            if not publishers:
                del self.empty[key]
            client.published = with_key(client.published, key) if client.published else service.alone
            self.instance_count += len(instances_of(publication))
        elif before == publication:
            return []
        else:
            self.instance_count += len(instances_of(publication)) - len(instances_of(before))
        publishers[client.client_id] = publication
        if key in self.overlays:
            self._note_gone(service, () if before is None else instances_of(before), now_ms)
            if before is not None and self._shown(key, before) == self._shown(key, publication):
                return []  # the client changed what an operator overrides
        return [self._changed(service)]

    def _withdraw(self, client_id: str, service: Service, now_ms: int) -> ServiceChanged:
        instances = instances_of(service.publishers.pop(client_id))
        self.instance_count -= len(instances)
        if not service.publishers:
            self.empty[service.key] = now_ms
        if service.key in self.overlays:
            self._note_gone(service, instances, now_ms)
        return self._changed(service)

    def _note_gone(self, service: Service, before: tuple[Instance, ...], now_ms: int) -> None:
        """Overlays of instances that disappeared wait to be forgotten; those of instances that are here do not."""
        key = service.key
        overlays = self.overlays[key]
        here = {instance.key for instance in service.instances()}
        for instance in before:
            if instance.key in overlays and instance.key not in here:
                self.gone[key, instance.key] = now_ms
        for present in here & overlays.keys():
            self.gone.pop((key, present), None)

    def _changed(self, service: Service) -> ServiceChanged:
        if service.rendered is not None:
            self.rendered.forget(service)
        return ServiceChanged(service.key)

    def _new_service(self, key: ServiceKey, *, ephemeral: bool, now_ms: int) -> Service:
        key = _interned(key)
        service = self.services[key] = Service(key, ephemeral, {})
        self.groups.setdefault(key[:2], {})[key] = None
        self.empty[key] = now_ms
        metadata = self.metadata.get(key)
        # A service of the other kind is another service: what was said about the old one goes when its time is up.
        if metadata is not None and metadata.ephemeral is ephemeral:
            self.gone.pop(key, None)
        return service

    def _drop_service(self, key: ServiceKey) -> None:
        service = self.services.pop(key)
        del self.empty[key]
        group = self.groups[key[:2]]
        del group[key]
        if not group:
            del self.groups[key[:2]]
        if service.rendered is not None:
            self.rendered.forget(service)

    def _new_address_client(self, client_id: str, now_ms: int) -> Client:
        if is_connection(client_id):
            raise refusals.disconnected(client_id)
        client = self.clients[client_id] = Client(client_id, now_ms)
        return client

    def _release_idle_address(self, client: Client, events: list[Event]) -> None:
        """An ip:port client that does nothing any more is gone; a connection lives as long as its transport."""
        if not client.published and not client.subscribed and not is_connection(client.client_id):
            del self.clients[client.client_id]
            events.append(ClientReleased(client.client_id))

    def _drop_subscriber(self, client_id: str, key: ServiceKey) -> None:
        subscribers = self.subscribers[key]
        del subscribers[client_id]
        self.subscriber_count -= 1
        if not subscribers:
            del self.subscribers[key]

    def _existing(self, key: ServiceKey) -> Service:
        service = self.services.get(key)
        if service is None:
            raise refusals.service_missing(key)
        return service

    def _durable_metadata(self, key: ServiceKey) -> ServiceMetadata:
        """What is on disk about a service; if nothing, its kind is told by the persistent instances it has."""
        metadata = self.metadata.get(key)
        return ServiceMetadata(ephemeral=not self._has_persistent(key)) if metadata is None else metadata

    def _has_persistent(self, key: ServiceKey) -> bool:
        service = self.services.get(key)
        return service is not None and not all(is_ephemeral(client_id) for client_id in service.publishers)

    def _write_metadata(self, key: ServiceKey, metadata: ServiceMetadata, now_ms: int) -> None:
        service = self.services.get(key)
        if service is None:  # replayed, or dropped by the cleaner a moment ago
            service = self._new_service(key, ephemeral=metadata.ephemeral, now_ms=now_ms)
        self.metadata[service.key] = metadata
        self.gone.pop(key, None)
        if not service.publishers:
            self.empty[service.key] = now_ms

    def _write_overlays(self, key: ServiceKey, after: dict[InstanceKey, InstanceOverlay]) -> list[Event]:
        before = self._visible(key)
        overlays = self.overlays.get(key)
        if overlays is None:
            overlays = self.overlays[_interned(key)] = {}
        overlays.update(after)
        return self._news(key, before)

    def _shown(self, key: ServiceKey, publication: Publication) -> list[Instance]:
        overlays = self.overlays.get(key, {})
        return [overlaid(each, overlays.get(each.key, NO_OVERLAY)) for each in instances_of(publication)]

    def _visible(self, key: ServiceKey) -> tuple[object, ...] | None:
        """Everything a subscriber's view of a service is made of; None while nobody publishes. For operators' commands."""
        service = self.services.get(key)
        if service is None or not service.publishers:
            return None
        metadata = self.metadata.get(key)
        threshold = None if metadata is None else metadata.protect_threshold
        return service.ephemeral, threshold, [self._shown(key, each) for each in service.publishers.values()]

    def _news(self, key: ServiceKey, before: tuple[object, ...] | None) -> list[Event]:
        return [] if self._visible(key) == before else [self._changed(self.services[key])]

    def _set_switches(self, switches: Switches) -> None:
        self.switches = switches
        self.rendered.forget_all()  # every answer says how long it may be cached


def _interned(key: ServiceKey) -> ServiceKey:
    """The key as it is kept: thousands of services share their namespace and group."""
    return ServiceKey(sys.intern(key.namespace), sys.intern(key.group), key.name)


def _with_health(publication: Publication, healthy: bool) -> Publication:
    if isinstance(publication, Instance):
        return msgspec.structs.replace(publication, healthy=healthy)
    return tuple(msgspec.structs.replace(instance, healthy=healthy) for instance in publication)
