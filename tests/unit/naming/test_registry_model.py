"""The registry against its slow twin: whatever is done in whatever order, indexes, content and events agree.

Durable commands are proposed (checked) and committed (applied) apart from each other, as the gateway does: what happens in
between is part of the story.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nacosx.errors import NacosError
from nacosx.naming import commands as c
from nacosx.naming.client import is_ephemeral
from nacosx.naming.expiry import expired_metadata
from nacosx.naming.metadata import NO_SELECTOR
from nacosx.naming.model import Instance, InstanceKey, ServiceKey, Subscriber, instances_of
from nacosx.naming.registry import Registry
from tests.models.registry import RefusedError, SlowRegistry, Visible

KEYS = st.sampled_from([ServiceKey("public", "g", "a"), ServiceKey("public", "g", "b"), ServiceKey("ns", "h", "a")])
CONNECTIONS = st.sampled_from(["1_10.0.0.1_1", "2_10.0.0.2_2"])
CLIENTS = CONNECTIONS | st.sampled_from(["10.0.0.1:1#true", "10.0.0.2:2#true"])
IPS = st.sampled_from(["10.0.0.1", "10.0.0.2"])
PORTS = st.sampled_from([1, 2])
CLUSTERS = st.sampled_from(["DEFAULT", "c"])
METADATA = st.sampled_from([{}, {"a": "1"}, {"a": "2", "b": "1"}])
THRESHOLDS = st.sampled_from([0.0, 0.5])
INSTANCES = st.builds(
    Instance,
    ip=IPS,
    port=PORTS,
    weight=st.sampled_from([1.0, 2.0]),
    healthy=st.booleans(),
    enabled=st.booleans(),
    cluster=CLUSTERS,
    metadata=METADATA,
)
INSTANCE_KEYS = st.builds(InstanceKey, IPS, PORTS, CLUSTERS)
FLAGS = st.booleans()


class RegistryStory(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.registry = Registry()
        self.again = Registry()  # the same commands: must be the same, byte for byte
        self.replayed = Registry()  # durable commands only, as after a restart
        self.twin = SlowRegistry()
        self.proposed: list[c.DurableCommand] = []
        self.now_ms = 0

    def time(self) -> int:
        self.now_ms += 1
        return self.now_ms

    def submit(self, command: c.EphemeralCommand | c.DurableCommand) -> None:
        try:
            expected = self.twin.apply(command)
        except RefusedError:
            before = self.state(self.registry)
            for registry in (self.registry, self.again):
                assert raises(registry.apply, command), f"{command} had to be refused"
            assert self.state(self.registry) == before, "a refusal changes nothing"
            return
        events = self.registry.apply(command)
        assert sorted(map(repr, events)) == sorted(map(repr, expected))
        assert self.again.apply(command) == events

    def propose(self, command: c.DurableCommand) -> None:
        refused = raises(self.twin.check, command)
        assert raises(self.registry.check, command) == refused, command
        if not refused:
            self.proposed.append(command)

    @rule()
    def commit(self) -> None:
        for command in self.proposed:
            self.submit(command)
            raises(self.replayed.apply, command)
        self.proposed.clear()

    # --- clients -----------------------------------------------------------------------------------------------------

    @rule(client=CONNECTIONS)
    def connect(self, client: str) -> None:
        self.submit(c.ConnectClient(client, self.time()))

    @rule(client=CLIENTS)
    def disconnect(self, client: str) -> None:
        self.submit(c.DisconnectClient(client, self.time()))

    @rule(client=CLIENTS, key=KEYS, instance=INSTANCES)
    def register(self, client: str, key: ServiceKey, instance: Instance) -> None:
        self.submit(c.RegisterInstance(client, key, instance, self.time()))

    @rule(client=CLIENTS, key=KEYS, instances=st.lists(INSTANCES, max_size=3).map(tuple))
    def register_batch(self, client: str, key: ServiceKey, instances: tuple[Instance, ...]) -> None:
        self.submit(c.RegisterBatch(client, key, instances, self.time()))

    @rule(client=CLIENTS, key=KEYS)
    def deregister(self, client: str, key: ServiceKey) -> None:
        self.submit(c.DeregisterInstance(client, key, self.time()))

    @rule(client=CLIENTS, key=KEYS, healthy=FLAGS)
    def set_health(self, client: str, key: ServiceKey, healthy: bool) -> None:
        self.submit(c.SetHealth(client, key, healthy, self.time()))

    @rule(client=CLIENTS, key=KEYS, clusters=st.sampled_from(["", "c"]))
    def subscribe(self, client: str, key: ServiceKey, clusters: str) -> None:
        self.submit(c.Subscribe(client, key, Subscriber("10.0.0.9", 1, clusters=clusters), self.time()))

    @rule(client=CLIENTS, key=KEYS)
    def unsubscribe(self, client: str, key: ServiceKey) -> None:
        self.submit(c.Unsubscribe(client, key, self.time()))

    @rule(age_ms=st.integers(0, 5))
    def remove_idle(self, age_ms: int) -> None:
        now_ms = self.time()
        self.submit(c.RemoveIdleServices(now_ms - age_ms, now_ms))

    # --- operators ---------------------------------------------------------------------------------------------------

    @rule(key=KEYS, instance=INSTANCES)
    def register_persistent(self, key: ServiceKey, instance: Instance) -> None:
        self.propose(c.RegisterPersistent(key, instance, self.time()))

    @rule(key=KEYS, ip=IPS, port=PORTS)
    def deregister_persistent(self, key: ServiceKey, ip: str, port: int) -> None:
        self.propose(c.DeregisterPersistent(key, ip, port, self.time()))

    @rule(key=KEYS, ip=IPS, port=PORTS, cluster=CLUSTERS, healthy=FLAGS)
    def set_persistent_health(self, key: ServiceKey, ip: str, port: int, cluster: str, healthy: bool) -> None:
        self.propose(c.SetPersistentHealth(key, ip, port, cluster, healthy, self.time()))

    @rule(key=KEYS, ephemeral=FLAGS, threshold=THRESHOLDS, metadata=METADATA)
    def create(self, key: ServiceKey, ephemeral: bool, threshold: float, metadata: dict[str, str]) -> None:
        self.propose(c.CreateService(key, ephemeral, threshold, metadata, NO_SELECTOR, self.time()))

    @rule(key=KEYS, threshold=THRESHOLDS, metadata=METADATA)
    def update(self, key: ServiceKey, threshold: float, metadata: dict[str, str]) -> None:
        self.propose(c.UpdateService(key, threshold, metadata, NO_SELECTOR, self.time()))

    @rule(key=KEYS)
    def delete(self, key: ServiceKey) -> None:
        self.propose(c.DeleteService(key, self.time()))

    @rule(key=KEYS, cluster=CLUSTERS, port=PORTS)
    def update_cluster(self, key: ServiceKey, cluster: str, port: int) -> None:
        self.propose(c.UpdateCluster(key, cluster, port, True, {"type": "NONE"}, {}, self.time()))

    @rule(
        key=KEYS,
        instance=INSTANCE_KEYS,
        weight=st.sampled_from([None, 1.0, 2.0]),
        enabled=st.sampled_from([None, True, False]),
        metadata=st.none() | METADATA,
    )
    def update_instance(
        self,
        key: ServiceKey,
        instance: InstanceKey,
        weight: float | None,
        enabled: bool | None,
        metadata: dict[str, str] | None,
    ) -> None:
        self.propose(c.UpdateInstanceMetadata(key, *instance, weight, enabled, metadata, self.time()))

    @rule(key=KEYS, instances=st.lists(INSTANCE_KEYS, max_size=2).map(tuple), put=METADATA, removed=FLAGS)
    def merge(self, key: ServiceKey, instances: tuple[InstanceKey, ...], put: dict[str, str], removed: bool) -> None:
        self.propose(c.MergeInstanceMetadata(key, instances, put, ("b",) if removed else (), self.time()))

    @rule(age_ms=st.integers(0, 5))
    def forget(self, age_ms: int) -> None:
        since_ms = self.time() - age_ms
        expected = {what for what, gone_ms in self.twin.gone.items() if gone_ms <= since_ms}
        command = expired_metadata(self.registry, since_ms)
        assert (set() if command is None else {*command.services, *command.instances}) == expected
        if command is not None:
            self.propose(command)

    # --- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def the_content_is_the_union_over_clients(self) -> None:
        registry, twin = self.registry, self.twin
        seen: dict[ServiceKey, Visible] = {}
        for key, service in registry.services.items():
            if service.publishers:
                metadata = registry.metadata.get(key)
                shown = [(who, registry._shown(key, what)) for who, what in sorted(service.publishers.items())]
                seen[key] = (service.ephemeral, None if metadata is None else metadata.protect_threshold, shown)
        assert seen == twin.visible()
        assert {key: service.ephemeral for key, service in registry.services.items()} == twin.kinds
        assert registry.gone == twin.gone

    @invariant()
    def indexes_agree(self) -> None:
        registry = self.registry
        assert set(registry.clients) == self.twin.clients
        assert registry.empty == self.twin.empty_since
        published = {(who, key) for key, service in registry.services.items() for who in service.publishers}
        assert {(who, key) for who, client in registry.clients.items() for key in client.published} == published
        subscribed = {(who, key): one for key, each in registry.subscribers.items() for who, one in each.items()}
        assert subscribed == self.twin.subscriptions
        assert {(who, key) for who, client in registry.clients.items() for key in client.subscribed} == set(subscribed)
        assert registry.subscriber_count == len(subscribed)
        listed = [key for keys in registry.groups.values() for key in keys]
        assert sorted(listed) == sorted(registry.services)
        assert all(keys and all(key[:2] == group for key in keys) for group, keys in registry.groups.items())
        count = sum(
            len(instances_of(each)) for service in registry.services.values() for each in service.publishers.values()
        )
        assert registry.instance_count == count

    @invariant()
    def the_durable_part_is_the_same_everywhere(self) -> None:
        snapshot = self.registry.snapshot()
        assert self.again.snapshot() == snapshot
        assert self.replayed.snapshot() == snapshot
        restored = Registry()
        restored.restore(snapshot)
        assert restored.snapshot() == snapshot
        persistent = {
            (who, key): instances_of(what)
            for key, service in restored.services.items()
            for who, what in service.publishers.items()
        }
        overlays = {(key, at): overlay for key, each in restored.overlays.items() for at, overlay in each.items()}
        assert (restored.metadata, overlays, persistent) == self.twin.durable()
        assert not any(is_ephemeral(client) for client in restored.clients)

    @staticmethod
    def state(registry: Registry) -> object:
        """Enough to see that nothing changed."""
        ephemeral = [(key, service.ephemeral, dict(service.publishers)) for key, service in registry.services.items()]
        clients = [msgspec.structs.asdict(client) for client in registry.clients.values()]
        return registry.snapshot(), ephemeral, clients, dict(registry.empty), dict(registry.gone)


def raises(do: Callable[[c.DurableCommand], object], command: c.EphemeralCommand | c.DurableCommand) -> bool:
    try:
        do(command)  # type: ignore[arg-type]
    except (NacosError, RefusedError):
        return True
    return False


RegistryStory.TestCase.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestRegistryStory = RegistryStory.TestCase
