"""The slow twin of the naming registry: flat tables and no index; events are what differs when it looks at everything."""

from __future__ import annotations

import msgspec

from nacosx.naming import commands as c
from nacosx.naming.events import ClientReleased, Event, ServiceChanged, ServiceSubscribed
from nacosx.naming.metadata import ClusterMetadata, InstanceOverlay, ServiceMetadata
from nacosx.naming.model import Instance, InstanceKey, ServiceKey, Subscriber

Visible = tuple[bool, float | None, list[tuple[str, list[Instance]]]]


class RefusedError(Exception):
    """The command is refused."""


class SlowRegistry:
    def __init__(self) -> None:
        self.connections: set[str] = set()
        self.kinds: dict[ServiceKey, bool] = {}  # existing services: is it ephemeral?
        self.publications: dict[tuple[str, ServiceKey], tuple[Instance, ...]] = {}
        self.subscriptions: dict[tuple[str, ServiceKey], Subscriber] = {}
        self.empty_since: dict[ServiceKey, int] = {}
        self.metadata: dict[ServiceKey, ServiceMetadata] = {}
        self.overlays: dict[tuple[ServiceKey, InstanceKey], InstanceOverlay] = {}
        self.gone: dict[object, int] = {}

    # --- what can be seen --------------------------------------------------------------------------------------------

    @property
    def clients(self) -> set[str]:
        return self.connections | {client for client, _ in [*self.publications, *self.subscriptions]}

    def publishers(self, key: ServiceKey) -> dict[str, tuple[Instance, ...]]:
        return {client: instances for (client, each), instances in self.publications.items() if each == key}

    def shown(self, key: ServiceKey, instance: Instance) -> Instance:
        overlay = self.overlays.get((key, instance.key))
        if overlay is None:
            return instance
        changes: dict[str, object] = {"metadata": instance.metadata | overlay.metadata}
        if overlay.weight is not None:
            changes["weight"] = overlay.weight
        if overlay.enabled is not None:
            changes["enabled"] = overlay.enabled
        return msgspec.structs.replace(instance, **changes)

    def visible(self) -> dict[ServiceKey, Visible]:
        """Services somebody publishes for: all that a subscriber's view is made of."""
        return {
            key: (
                ephemeral,
                self.metadata[key].protect_threshold if key in self.metadata else None,
                [(who, [self.shown(key, each) for each in what]) for who, what in sorted(self.publishers(key).items())],
            )
            for key, ephemeral in self.kinds.items()
            if self.publishers(key)
        }

    def durable(self) -> object:
        """What must survive a restart."""
        persistent = {who: what for who, what in self.publications.items() if who[0].endswith("#false")}
        return self.metadata, self.overlays, persistent

    # --- commands ----------------------------------------------------------------------------------------------------

    def check(self, command: c.DurableCommand) -> None:
        key = getattr(command, "service", None)
        exists = key in self.kinds
        match command:
            case c.RegisterPersistent():
                refused = exists and self.kinds[command.service]
            case c.CreateService():
                refused = exists
            case c.DeleteService():
                refused = not exists or bool(self.publishers(command.service))
            case c.UpdateService() | c.UpdateCluster() | c.UpdateInstanceMetadata():
                refused = not exists
            case _:
                refused = False
        if refused:
            raise RefusedError

    def apply(self, command: c.EphemeralCommand | c.DurableCommand) -> list[Event]:
        before, subscribed, clients = self.visible(), dict(self.subscriptions), self.clients
        self._change(command)
        after = self.visible()
        events: list[Event] = [ServiceChanged(key) for key in {*before, *after} if before.get(key) != after.get(key)]
        events += [
            ServiceSubscribed(key, client)
            for (client, key), subscriber in self.subscriptions.items()
            if (old := subscribed.get((client, key))) is None or old.clusters != subscriber.clusters
        ]
        events += [ClientReleased(client) for client in clients - self.clients]
        return events

    def _change(self, command: c.EphemeralCommand | c.DurableCommand) -> None:
        match command:
            case c.ConnectClient():
                self.connections.add(command.client_id)
            case c.DisconnectClient(client_id=client):
                self.connections.discard(client)
                for who, key in [each for each in self.publications if each[0] == client]:
                    self._publish(who, key, (), command.now_ms)
                for each in [each for each in self.subscriptions if each[0] == client]:
                    del self.subscriptions[each]
            case c.RegisterInstance():
                self._publish_ephemeral(command.client_id, command.service, (command.instance,), command.now_ms)
            case c.RegisterBatch():
                if command.instances:
                    self._publish_ephemeral(command.client_id, command.service, command.instances, command.now_ms)
                elif not self.kinds.get(command.service, True):
                    raise RefusedError
                else:
                    self._publish(command.client_id, command.service, (), command.now_ms)
            case c.DeregisterInstance():
                self._publish(command.client_id, command.service, (), command.now_ms)
            case c.SetHealth():
                self._set_health(command.client_id, command.service, command.healthy, None, command.now_ms)
            case c.Subscribe():
                if "#" not in command.client_id and command.client_id not in self.connections:
                    raise RefusedError
                self.subscriptions[command.client_id, command.service] = command.subscriber
            case c.Unsubscribe():
                self.subscriptions.pop((command.client_id, command.service), None)
            case c.RemoveIdleServices():
                for key in [key for key, since in self.empty_since.items() if since <= command.idle_since_ms]:
                    del self.kinds[key], self.empty_since[key]
                    if key in self.metadata:
                        self.gone[key] = command.now_ms
            case _:
                self._change_durably(command)

    def _change_durably(self, command: c.EphemeralCommand | c.DurableCommand) -> None:
        match command:
            case c.RegisterPersistent(service=key, instance=instance):
                self._exist(key, False, command.now_ms)
                self.kinds[key] = False
                self._publish(f"{instance.ip}:{instance.port}#false", key, (instance,), command.now_ms)
            case c.DeregisterPersistent():
                self._publish(f"{command.ip}:{command.port}#false", command.service, (), command.now_ms)
            case c.SetPersistentHealth():
                client = f"{command.ip}:{command.port}#false"
                self._set_health(client, command.service, command.healthy, command.cluster, command.now_ms)
            case c.CreateService(service=key):
                if self._has_persistent(key):
                    raise RefusedError
                metadata = ServiceMetadata(
                    command.ephemeral, command.protect_threshold, command.metadata, command.selector
                )
                self._write_metadata(key, metadata, command.now_ms)
                self.kinds[key] = command.ephemeral
            case c.UpdateService(service=key):
                old = self._durable_metadata(key)
                metadata = ServiceMetadata(
                    old.ephemeral, command.protect_threshold, command.metadata, command.selector, old.clusters
                )
                self._write_metadata(key, metadata, command.now_ms)
            case c.UpdateCluster(service=key):
                cluster = ClusterMetadata(
                    command.check_port, command.use_instance_port, command.health_checker, command.metadata
                )
                old = self._durable_metadata(key)
                metadata = msgspec.structs.replace(old, clusters=old.clusters | {command.cluster: cluster})
                self._write_metadata(key, metadata, command.now_ms)
            case c.DeleteService(service=key):
                if self._has_persistent(key):
                    raise RefusedError
                self._forget(key)
                for of, instance in [each for each in self.overlays if each[0] == key]:
                    self._forget((of, instance))
                if not self.publishers(key):
                    self.kinds.pop(key, None)
                    self.empty_since.pop(key, None)
            case c.UpdateInstanceMetadata():
                at = command.service, InstanceKey(command.ip, command.port, command.cluster)
                overlay = self.overlays.get(at, InstanceOverlay())
                for member in ("weight", "enabled", "metadata"):
                    if getattr(command, member) is not None:
                        overlay = msgspec.structs.replace(overlay, **{member: getattr(command, member)})
                self.overlays[at] = overlay
            case c.MergeInstanceMetadata():
                for instance in command.instances:
                    overlay = self.overlays.get((command.service, instance), InstanceOverlay())
                    merged = {k: v for k, v in (overlay.metadata | command.put).items() if k not in command.removed}
                    self.overlays[command.service, instance] = msgspec.structs.replace(overlay, metadata=merged)
            case c.ForgetMetadata():
                for what in [*command.services, *command.instances]:
                    self._forget(what)
            case _:
                raise AssertionError(f"{command} is not for the twin")

    # --- steps -------------------------------------------------------------------------------------------------------

    def _publish_ephemeral(self, client: str, key: ServiceKey, what: tuple[Instance, ...], now_ms: int) -> None:
        if not self.kinds.get(key, True) or ("#" not in client and client not in self.connections):
            raise RefusedError
        self._exist(key, True, now_ms)
        self._publish(client, key, what, now_ms)

    def _publish(self, client: str, key: ServiceKey, what: tuple[Instance, ...], now_ms: int) -> None:
        """Nothing = withdraw."""
        old = self.publications.pop((client, key), ())
        if what:
            self.publications[client, key] = what
            self.empty_since.pop(key, None)
        elif old and not self.publishers(key):
            self.empty_since[key] = now_ms
        here = {each.key for each in sum(self.publishers(key).values(), ())}
        for instance in old:
            if (key, instance.key) in self.overlays and instance.key not in here:
                self.gone[key, instance.key] = now_ms
        if old or what:
            for present in here:
                self.gone.pop((key, present), None)

    def _set_health(self, client: str, key: ServiceKey, healthy: bool, cluster: str | None, now_ms: int) -> None:
        what = self.publications.get((client, key))
        if what and (cluster is None or cluster in [each.cluster for each in what]):
            what = tuple(msgspec.structs.replace(each, healthy=healthy) for each in what)
            self._publish(client, key, what, now_ms)

    def _exist(self, key: ServiceKey, ephemeral: bool, now_ms: int) -> None:
        if key not in self.kinds:
            self.kinds[key] = ephemeral
            self.empty_since[key] = now_ms
            if key in self.metadata and self.metadata[key].ephemeral == ephemeral:
                self.gone.pop(key, None)

    def _durable_metadata(self, key: ServiceKey) -> ServiceMetadata:
        return self.metadata.get(key, ServiceMetadata(ephemeral=not self._has_persistent(key)))

    def _has_persistent(self, key: ServiceKey) -> bool:
        return any(client.endswith("#false") for client in self.publishers(key))

    def _write_metadata(self, key: ServiceKey, metadata: ServiceMetadata, now_ms: int) -> None:
        self._exist(key, metadata.ephemeral, now_ms)
        self.metadata[key] = metadata
        self.gone.pop(key, None)
        if not self.publishers(key):
            self.empty_since[key] = now_ms

    def _forget(self, what: object) -> None:
        self.gone.pop(what, None)
        self.metadata.pop(what, None)  # type: ignore[call-overload]
        self.overlays.pop(what, None)  # type: ignore[call-overload]
