"""The 2.x client model: services, clients, publications, subscriptions (contract/semantics.md §2, grpc.md §5.2)."""

from __future__ import annotations

import pytest

from nacosx.errors import NacosError
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
from nacosx.naming.events import ClientReleased, ServiceChanged, ServiceSubscribed
from nacosx.naming.expiry import expired_metadata
from nacosx.naming.metadata import NO_SELECTOR
from nacosx.naming.model import Instance, InstanceKey, ServiceKey, Subscriber
from nacosx.naming.registry import Registry
from nacosx.naming.views import content, hosts

KEY = ServiceKey("public", "DEFAULT_GROUP", "s")
OTHER = ServiceKey("public", "DEFAULT_GROUP", "other")
CONNECTION = "1700000000000_10.0.0.9_50000"
ADDRESS = "10.0.0.1:80#true"


def an_instance(last: int = 1, **members: object) -> Instance:
    return Instance(**{"ip": f"10.0.0.{last}", "port": 80, **members})  # type: ignore[arg-type]


def ips(registry: Registry, key: ServiceKey = KEY) -> list[str]:
    return [host.ip for host in hosts(registry, key)]


def refusal(registry: Registry, command: DurableCommand) -> str:
    with pytest.raises(NacosError) as refused:
        registry.check(command)
    return refused.value.detail


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.apply(ConnectClient(CONNECTION, 0))
    return registry


# --- publications ----------------------------------------------------------------------------------------------------


def test_a_client_has_one_publication_per_service_and_the_newest_wins(registry: Registry) -> None:
    assert registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(1), 1)) == [ServiceChanged(KEY)]
    assert registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(2), 2)) == [ServiceChanged(KEY)]
    assert ips(registry) == ["10.0.0.2"]
    batch = (an_instance(3), an_instance(4))
    assert registry.apply(RegisterBatch(CONNECTION, KEY, batch, 3)) == [ServiceChanged(KEY)]
    assert ips(registry) == ["10.0.0.3", "10.0.0.4"]
    assert registry.instance_count == 2


def test_the_content_of_a_service_is_the_union_over_its_clients(registry: Registry) -> None:
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(1), 1))
    registry.apply(RegisterInstance(ADDRESS, KEY, an_instance(2), 1))
    assert ips(registry) == ["10.0.0.1", "10.0.0.2"]


def test_equal_publications_of_two_clients_are_one_instance_and_unequal_ones_two(registry: Registry) -> None:
    """A client that reconnects publishes the same over its new connection before the old one is noticed to be dead."""
    registry.apply(ConnectClient("2_10.0.0.9_50001", 0))
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(1), 1))
    registry.apply(RegisterInstance("2_10.0.0.9_50001", KEY, an_instance(1), 1))
    assert ips(registry) == ["10.0.0.1"]
    registry.apply(RegisterInstance("2_10.0.0.9_50001", KEY, an_instance(1, weight=2.0), 1))
    assert [host.weight for host in hosts(registry, KEY)] == [1.0, 2.0]


def test_publishing_the_same_again_changes_nothing(registry: Registry) -> None:
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(metadata={"a": "1", "b": "2"}), 1))
    assert registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(metadata={"b": "2", "a": "1"}), 2)) == []
    registry.apply(RegisterBatch(CONNECTION, OTHER, (an_instance(1), an_instance(2)), 2))
    assert registry.apply(RegisterBatch(CONNECTION, OTHER, (an_instance(1), an_instance(2)), 3)) == []


def test_a_batch_of_one_is_an_instance_and_an_empty_one_withdraws(registry: Registry) -> None:
    registry.apply(RegisterBatch(CONNECTION, KEY, (an_instance(),), 1))
    assert registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(), 2)) == []
    assert registry.apply(RegisterBatch(CONNECTION, KEY, (), 3)) == [ServiceChanged(KEY)]
    assert registry.apply(RegisterBatch(CONNECTION, KEY, (), 4)) == []
    assert ips(registry) == []


def test_withdrawing_what_is_not_there_is_no_error(registry: Registry) -> None:
    assert registry.apply(DeregisterInstance(CONNECTION, KEY, 1)) == []
    assert registry.apply(DeregisterInstance("nobody", KEY, 1)) == []
    assert registry.apply(DeregisterPersistent(KEY, "10.0.0.1", 80, 1)) == []
    assert KEY not in registry.services


def test_a_client_that_leaves_takes_everything_with_it(registry: Registry) -> None:
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(), 1))
    registry.apply(RegisterInstance(CONNECTION, OTHER, an_instance(), 1))
    registry.apply(Subscribe(CONNECTION, KEY, Subscriber("10.0.0.9", 0), 1))
    assert registry.apply(DisconnectClient(CONNECTION, 2)) == [
        ServiceChanged(KEY),
        ServiceChanged(OTHER),
        ClientReleased(CONNECTION),
    ]
    assert (registry.instance_count, registry.subscriber_count) == (0, 0)
    assert not registry.subscribers
    assert registry.apply(DisconnectClient(CONNECTION, 3)) == []


def test_an_address_exists_as_long_as_it_does_something() -> None:
    registry = Registry()
    registry.apply(RegisterInstance(ADDRESS, KEY, an_instance(), 1))
    registry.apply(Subscribe(ADDRESS, OTHER, Subscriber("10.0.0.1", 80), 1))
    assert registry.apply(DeregisterInstance(ADDRESS, KEY, 2)) == [ServiceChanged(KEY)]
    assert registry.apply(Unsubscribe(ADDRESS, OTHER, 3)) == [ClientReleased(ADDRESS)]
    assert not registry.clients


def test_a_connection_lives_as_long_as_its_transport(registry: Registry) -> None:
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(), 1))
    registry.apply(DeregisterInstance(CONNECTION, KEY, 2))
    assert CONNECTION in registry.clients
    with pytest.raises(NacosError) as refused:
        registry.apply(RegisterInstance("9_10.0.0.9_1", KEY, an_instance(), 3))
    assert (refused.value.code, refused.value.detail) == (
        -401,
        "errCode: -401, errMsg: Client [9_10.0.0.9_1] connection already disconnect, can't register ephemeral instance. ",
    )


def test_a_client_of_many_services_keeps_their_order(registry: Registry) -> None:
    keys = [ServiceKey("public", "g", f"s{number}") for number in range(20)]
    for key in keys:
        registry.apply(RegisterInstance(CONNECTION, key, an_instance(), 1))
    for key in (keys[0], keys[7], keys[19]):
        registry.apply(DeregisterInstance(CONNECTION, key, 2))
    left = [key for key in keys if key not in (keys[0], keys[7], keys[19])]
    assert list(registry.clients[CONNECTION].published) == left
    assert registry.apply(DisconnectClient(CONNECTION, 3))[:-1] == [ServiceChanged(key) for key in left]


def test_health_is_part_of_what_is_published(registry: Registry) -> None:
    registry.apply(RegisterBatch(CONNECTION, KEY, (an_instance(1), an_instance(2)), 1))
    assert registry.apply(SetHealth(CONNECTION, KEY, False, 2)) == [ServiceChanged(KEY)]
    assert registry.apply(SetHealth(CONNECTION, KEY, False, 3)) == []
    assert [host.healthy for host in hosts(registry, KEY)] == [False, False]
    assert registry.apply(RegisterInstance(ADDRESS, KEY, an_instance(3), 4)) == [ServiceChanged(KEY)]
    assert registry.apply(SetHealth(ADDRESS, KEY, False, 5)) == [ServiceChanged(KEY)]
    assert registry.apply(SetHealth("nobody", KEY, False, 6)) == []
    assert registry.apply(SetHealth(ADDRESS, OTHER, False, 6)) == []


# --- subscriptions ---------------------------------------------------------------------------------------------------


def test_a_service_need_not_exist_to_be_subscribed_to(registry: Registry) -> None:
    assert registry.apply(Subscribe(CONNECTION, KEY, Subscriber("10.0.0.9", 0), 1)) == [
        ServiceSubscribed(KEY, CONNECTION)
    ]
    assert KEY not in registry.services
    assert registry.subscriber_count == 1


def test_only_the_first_subscription_and_other_clusters_are_pushed(registry: Registry) -> None:
    registry.apply(Subscribe(CONNECTION, KEY, Subscriber("10.0.0.9", 0), 1))
    assert registry.apply(Subscribe(CONNECTION, KEY, Subscriber("10.0.0.9", 0, app="a"), 2)) == []
    assert registry.subscribers[KEY][CONNECTION].app == "a"
    changed = Subscribe(CONNECTION, KEY, Subscriber("10.0.0.9", 0, clusters="c1"), 3)
    assert registry.apply(changed) == [ServiceSubscribed(KEY, CONNECTION)]
    assert registry.subscriber_count == 1
    assert registry.apply(Unsubscribe(CONNECTION, KEY, 4)) == []
    assert registry.apply(Unsubscribe(CONNECTION, KEY, 5)) == []
    assert (registry.subscriber_count, registry.subscribers) == (0, {})


# --- kinds -----------------------------------------------------------------------------------------------------------


def test_the_first_registration_fixes_the_kind_of_a_service(registry: Registry) -> None:
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(), 1))
    registry.apply(DeregisterInstance(CONNECTION, KEY, 2))
    assert refusal(registry, RegisterPersistent(KEY, an_instance(), 3)) == (
        "errCode: 400, errMsg: Current service DEFAULT_GROUP@@s is ephemeral service, can't register persistent instance. "
    )
    registry.check(RegisterPersistent(OTHER, an_instance(), 4))
    registry.apply(RegisterPersistent(OTHER, an_instance(), 4))
    with pytest.raises(NacosError) as refused:
        registry.apply(RegisterInstance("10.0.0.7:1#true", OTHER, an_instance(7), 5))
    assert refused.value.detail == (
        "errCode: 400, errMsg: Current service DEFAULT_GROUP@@other is persistent service, can't register ephemeral instance. "
    )
    assert "10.0.0.7:1#true" not in registry.clients, "a refusal changes nothing"


def test_once_removed_a_service_may_come_back_as_the_other_kind(registry: Registry) -> None:
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(), 1))
    registry.apply(DeregisterInstance(CONNECTION, KEY, 2))
    registry.apply(RemoveIdleServices(idle_since_ms=2, now_ms=9))
    registry.check(RegisterPersistent(KEY, an_instance(), 10))


def test_a_service_made_by_an_operator_is_persistent(registry: Registry) -> None:
    registry.apply(CreateService(KEY, False, 0.0, {}, NO_SELECTOR, 1))
    with pytest.raises(NacosError) as refused:
        registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(), 2))
    assert refused.value.code == 400


def test_a_registration_between_check_and_log_loses_its_kind(registry: Registry) -> None:
    """What is on disk must not depend on ephemeral state, so the persistent instance that was checked is taken."""
    command = RegisterPersistent(KEY, an_instance(1), 1)
    registry.check(command)
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(2), 2))
    registry.apply(command)
    assert ips(registry) == ["10.0.0.2", "10.0.0.1"]
    replayed = Registry()
    replayed.apply(command)
    assert replayed.snapshot() == registry.snapshot()


# --- persistent instances --------------------------------------------------------------------------------------------


def test_persistent_instances_have_a_client_of_their_own(registry: Registry) -> None:
    registry.apply(RegisterPersistent(KEY, an_instance(1), 1))
    registry.apply(RegisterPersistent(KEY, an_instance(2), 1))
    assert set(registry.clients) == {CONNECTION, "10.0.0.1:80#false", "10.0.0.2:80#false"}
    released = registry.apply(DeregisterPersistent(KEY, "10.0.0.1", 80, 2))
    assert released == [ServiceChanged(KEY), ClientReleased("10.0.0.1:80#false")]
    assert ips(registry) == ["10.0.0.2"]


def test_the_health_of_a_persistent_instance_is_set_by_address_and_cluster(registry: Registry) -> None:
    registry.apply(RegisterPersistent(KEY, an_instance(1, cluster="c"), 1))
    assert registry.apply(SetPersistentHealth(KEY, "10.0.0.1", 80, "DEFAULT", False, 2)) == []
    assert registry.apply(SetPersistentHealth(OTHER, "10.0.0.1", 80, "c", False, 2)) == []
    assert registry.apply(SetPersistentHealth(KEY, "10.0.0.1", 80, "c", False, 2)) == [ServiceChanged(KEY)]
    assert [host.healthy for host in hosts(registry, KEY)] == [False]


# --- operators -------------------------------------------------------------------------------------------------------


def test_services_are_created_updated_and_deleted_with_the_texts_of_the_java_server(registry: Registry) -> None:
    registry.apply(CreateService(KEY, False, 0.4, {"a": "1"}, NO_SELECTOR, 1))
    create = CreateService(KEY, False, 0.0, {}, NO_SELECTOR, 2)
    assert refusal(registry, create) == "specified service DEFAULT_GROUP@@s already exists!"
    assert refusal(registry, UpdateService(OTHER, 0.0, {}, NO_SELECTOR, 2)) == "service DEFAULT_GROUP@@other not found!"
    assert refusal(registry, DeleteService(OTHER, 2)) == "service DEFAULT_GROUP@@other not found!"
    registry.apply(UpdateService(KEY, 0.8, {}, NO_SELECTOR, 3))
    assert (registry.metadata[KEY].protect_threshold, registry.metadata[KEY].metadata) == (0.8, {})
    registry.apply(RegisterPersistent(KEY, an_instance(), 4))
    not_empty = "Service DEFAULT_GROUP@@s is not empty, can't be delete. Please unregister instance first"
    assert refusal(registry, DeleteService(KEY, 5)) == not_empty
    with pytest.raises(NacosError, match="is not empty"):
        registry.apply(DeleteService(KEY, 5))
    registry.apply(DeregisterPersistent(KEY, "10.0.0.1", 80, 6))
    registry.check(DeleteService(KEY, 7))
    registry.apply(DeleteService(KEY, 7))
    assert (KEY in registry.services, KEY in registry.metadata) == (False, False)


def test_clusters_and_instances_of_missing_services_cannot_be_described(registry: Registry) -> None:
    cluster = UpdateCluster(KEY, "c", 80, True, {"type": "NONE"}, {}, 1)
    assert refusal(registry, cluster) == "service not found, namespace: public, serviceName: DEFAULT_GROUP@@s"
    overlay = UpdateInstanceMetadata(KEY, "10.0.0.1", 80, "DEFAULT", 1.0, True, {}, 1)
    assert refusal(registry, overlay) == (
        "service not found, namespace: public, "
        "service: Service{namespace='public', group='DEFAULT_GROUP', name='s', ephemeral=true, revision=0}"
    )


def test_a_cluster_is_described_once_and_the_service_keeps_the_rest(registry: Registry) -> None:
    registry.apply(CreateService(KEY, False, 0.4, {"a": "1"}, NO_SELECTOR, 1))
    registry.apply(UpdateCluster(KEY, "c", 8080, False, {"type": "NONE"}, {"x": "y"}, 2))
    registry.apply(UpdateService(KEY, 0.5, {}, NO_SELECTOR, 3))
    cluster = registry.metadata[KEY].clusters["c"]
    assert (cluster.check_port, cluster.use_instance_port, cluster.health_checker) == (8080, False, {"type": "NONE"})


def test_what_an_operator_says_of_an_instance_survives_its_registration(registry: Registry) -> None:
    """observed.md 20: PUT wins over what the client publishes, and PATCH replaces the metadata of an earlier PUT."""
    published = an_instance(1, weight=2.0, metadata={"a": "client", "b": "client"})
    registry.apply(RegisterInstance(CONNECTION, KEY, published, 1))
    put = UpdateInstanceMetadata(KEY, "10.0.0.1", 80, "DEFAULT", 5.0, False, {"a": "operator"}, 2)
    assert registry.apply(put) == [ServiceChanged(KEY)]
    assert registry.apply(put) == []
    registry.apply(DeregisterInstance(CONNECTION, KEY, 3))
    registry.apply(RegisterInstance(CONNECTION, KEY, published, 4))
    [host] = hosts(registry, KEY)
    assert (host.weight, host.enabled, host.metadata) == (5.0, False, {"a": "operator", "b": "client"})
    patch = UpdateInstanceMetadata(KEY, "10.0.0.1", 80, "DEFAULT", None, True, {"p": "1"}, 5)
    assert registry.apply(patch) == [ServiceChanged(KEY)]
    [host] = hosts(registry, KEY)
    assert (host.weight, host.enabled, host.metadata) == (5.0, True, {"a": "client", "b": "client", "p": "1"})


def test_metadata_of_several_instances_is_merged_and_taken_out_again(registry: Registry) -> None:
    """golden/2.5.1/181, 182"""
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(1), 1))
    registry.apply(RegisterInstance(ADDRESS, KEY, an_instance(2), 1))
    both = (an_instance(1).key, an_instance(2).key)
    assert registry.apply(MergeInstanceMetadata(KEY, both, {"bk": "bv"}, (), 2)) == [ServiceChanged(KEY)]
    assert [host.metadata for host in hosts(registry, KEY)] == [{"bk": "bv"}, {"bk": "bv"}]
    assert registry.apply(MergeInstanceMetadata(KEY, both[:1], {}, ("bk", "nothing"), 3)) == [ServiceChanged(KEY)]
    assert [host.metadata for host in hosts(registry, KEY)] == [{}, {"bk": "bv"}]


def test_an_overlay_for_an_instance_that_is_not_there_waits_for_it(registry: Registry) -> None:
    registry.apply(RegisterInstance(ADDRESS, KEY, an_instance(2), 1))
    assert registry.apply(UpdateInstanceMetadata(KEY, "10.0.0.1", 80, "DEFAULT", 5.0, None, None, 2)) == []
    assert expired_metadata(registry, 10**9) is None
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(1), 3))
    assert [host.weight for host in hosts(registry, KEY)] == [1.0, 5.0]


def test_a_threshold_is_news_to_subscribers_only_when_there_is_something_to_protect(registry: Registry) -> None:
    assert registry.apply(CreateService(OTHER, False, 0.5, {}, NO_SELECTOR, 1)) == []
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(), 1))
    assert registry.apply(UpdateService(KEY, 0.5, {}, NO_SELECTOR, 2)) == [ServiceChanged(KEY)]
    assert registry.apply(UpdateService(KEY, 0.5, {"a": "b"}, NO_SELECTOR, 3)) == []


# --- forgetting ------------------------------------------------------------------------------------------------------


def test_a_service_without_publishers_goes_when_it_was_idle_long_enough(registry: Registry) -> None:
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(), 1))
    registry.apply(RegisterInstance(CONNECTION, OTHER, an_instance(), 1))
    registry.apply(DeregisterInstance(CONNECTION, KEY, 100))
    registry.apply(RemoveIdleServices(idle_since_ms=99, now_ms=160))
    assert set(registry.services) == {KEY, OTHER}
    registry.apply(RemoveIdleServices(idle_since_ms=100, now_ms=160))
    assert set(registry.services) == {OTHER}
    assert registry.groups == {("public", "DEFAULT_GROUP"): {OTHER: None}}


def test_what_was_said_of_a_removed_service_is_forgotten_later_unless_it_comes_back(registry: Registry) -> None:
    for key in (KEY, OTHER):
        registry.apply(CreateService(key, False, 0.5, {}, NO_SELECTOR, 1))
    registry.apply(RemoveIdleServices(idle_since_ms=1, now_ms=100))
    assert not registry.services
    registry.apply(RegisterPersistent(OTHER, an_instance(), 120))
    assert expired_metadata(registry, 99) is None
    command = expired_metadata(registry, 100)
    assert command == ForgetMetadata((KEY,), ())
    registry.apply(command)
    assert set(registry.metadata) == {OTHER}
    assert expired_metadata(registry, 10**9) is None


def test_metadata_of_the_other_kind_is_not_kept_alive(registry: Registry) -> None:
    registry.apply(CreateService(KEY, False, 0.5, {}, NO_SELECTOR, 1))
    registry.apply(RemoveIdleServices(idle_since_ms=1, now_ms=100))
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(), 110))
    command = expired_metadata(registry, 100)
    assert command == ForgetMetadata((KEY,), ())
    assert registry.apply(command) == [ServiceChanged(KEY)]


def test_created_anew_a_service_is_not_forgotten_for_its_past(registry: Registry) -> None:
    registry.apply(CreateService(KEY, False, 0.5, {}, NO_SELECTOR, 1))
    registry.apply(RemoveIdleServices(idle_since_ms=1, now_ms=100))
    create = CreateService(KEY, True, 0.5, {}, NO_SELECTOR, 110)
    registry.check(create)
    registry.apply(create)
    assert expired_metadata(registry, 10**9) is None


def test_an_overlay_is_forgotten_when_its_instance_has_been_gone_long_enough(registry: Registry) -> None:
    registry.apply(RegisterBatch(CONNECTION, KEY, (an_instance(1), an_instance(2)), 1))
    for last in (1, 2):
        registry.apply(UpdateInstanceMetadata(KEY, f"10.0.0.{last}", 80, "DEFAULT", 5.0, None, None, 2))
    registry.apply(RegisterBatch(CONNECTION, KEY, (an_instance(2), an_instance(3)), 100))
    assert expired_metadata(registry, 99) is None
    gone = ForgetMetadata((), ((KEY, InstanceKey("10.0.0.1", 80, "DEFAULT")),))
    assert expired_metadata(registry, 100) == gone
    registry.apply(RegisterBatch(CONNECTION, KEY, (an_instance(1),), 120))
    assert expired_metadata(registry, 120) == ForgetMetadata((), ((KEY, InstanceKey("10.0.0.2", 80, "DEFAULT")),))
    registry.apply(gone)
    assert set(registry.overlays[KEY]) == {InstanceKey("10.0.0.2", 80, "DEFAULT")}


def test_an_overlay_stays_while_another_client_publishes_its_instance(registry: Registry) -> None:
    registry.apply(ConnectClient("2_10.0.0.9_50001", 0))
    for client_id in (CONNECTION, "2_10.0.0.9_50001"):
        registry.apply(RegisterInstance(client_id, KEY, an_instance(), 1))
    registry.apply(UpdateInstanceMetadata(KEY, "10.0.0.1", 80, "DEFAULT", 5.0, None, None, 2))
    registry.apply(DisconnectClient(CONNECTION, 3))
    assert expired_metadata(registry, 10**9) is None


def test_deleting_a_service_forgets_its_overlays(registry: Registry) -> None:
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(), 1))
    registry.apply(UpdateInstanceMetadata(KEY, "10.0.0.1", 80, "DEFAULT", 5.0, None, None, 2))
    registry.apply(DeregisterInstance(CONNECTION, KEY, 3))
    registry.apply(DeleteService(KEY, 4))
    assert (registry.overlays, registry.gone) == ({}, {})


# --- durable ---------------------------------------------------------------------------------------------------------


def test_the_durable_part_comes_back_from_its_snapshot(registry: Registry) -> None:
    commands: list[EphemeralCommand | DurableCommand] = [
        CreateService(OTHER, False, 0.4, {"a": "1"}, NO_SELECTOR, 1),
        RegisterPersistent(KEY, an_instance(2, metadata={"m": "1"}), 1),
        RegisterPersistent(KEY, an_instance(1), 1),
        RegisterInstance(CONNECTION, ServiceKey("public", "g", "ephemeral"), an_instance(3), 1),
        UpdateInstanceMetadata(KEY, "10.0.0.1", 80, "DEFAULT", 5.0, None, {"o": "1"}, 2),
        UpdateCluster(OTHER, "c", 8080, False, {"type": "HTTP", "expectedResponseCode": 200}, {}, 2),
        UpdateSwitch("pushEnabled", "false"),
        OverrideSwitch("lightBeatEnabled", "false"),
    ]
    for command in commands:
        registry.apply(command)
    restored = Registry()
    restored.apply(RegisterInstance("10.0.0.1:1#true", KEY, an_instance(9), 1))
    restored.restore(registry.snapshot())
    assert restored.snapshot() == registry.snapshot()
    assert ips(restored) == ["10.0.0.2", "10.0.0.1"]
    assert content(restored, restored.services[KEY]) == content(registry, registry.services[KEY])
    assert set(restored.services) == {KEY, OTHER}
    assert set(restored.clients) == {"10.0.0.1:80#false", "10.0.0.2:80#false"}
    assert (restored.switches.push_enabled, restored.switches.light_beat_enabled) == (False, True)


def test_a_snapshot_of_another_version_is_not_read(registry: Registry) -> None:
    with pytest.raises(ValueError, match="version"):
        registry.restore(b"\x95\x63" + registry.snapshot()[2:])
    with pytest.raises(ValueError, match=r"truncated|Invalid|Expected"):
        registry.restore(registry.snapshot()[:-3])
    assert CONNECTION in registry.clients, "what cannot be read changes nothing"


def test_a_replay_of_the_durable_commands_alone_ends_in_the_same_durable_state(registry: Registry) -> None:
    """UpdateService on a service that only ephemeral clients made: the replay has never heard of it."""
    registry.apply(RegisterInstance(CONNECTION, KEY, an_instance(), 1))
    durable: list[DurableCommand] = [
        UpdateService(KEY, 0.8, {"a": "1"}, NO_SELECTOR, 2),
        UpdateInstanceMetadata(KEY, "10.0.0.1", 80, "DEFAULT", 5.0, None, None, 3),
    ]
    replayed = Registry()
    for command in durable:
        registry.check(command)
        registry.apply(command)
        replayed.apply(command)
    assert replayed.snapshot() == registry.snapshot()
    replayed.apply(ConnectClient(CONNECTION, 9))
    replayed.apply(RegisterInstance(CONNECTION, KEY, an_instance(), 10))
    assert [host.weight for host in hosts(replayed, KEY)] == [5.0]
