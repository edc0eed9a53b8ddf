"""The life of ip:port clients: unhealthy after 15 s of silence, gone after 30 s, unless somebody said otherwise."""

from __future__ import annotations

import pytest

from nacosx.engine.beats import Beats
from nacosx.naming.commands import (
    CreateService,
    DeregisterInstance,
    EphemeralCommand,
    OverrideSwitch,
    RegisterInstance,
    Subscribe,
    Unsubscribe,
    UpdateInstanceMetadata,
)
from nacosx.naming.commands import DurableCommand as NamingCommand
from nacosx.naming.events import ClientReleased, ServiceChanged
from nacosx.naming.model import NO_METADATA, Instance, ServiceKey, Subscriber
from nacosx.naming.registry import Registry
from tests.virtual_time import VirtualTime

ORDERS = ServiceKey("public", "DEFAULT_GROUP", "orders")
STOCK = ServiceKey("public", "DEFAULT_GROUP", "stock")
PAYMENT = ServiceKey("public", "DEFAULT_GROUP", "payment")

CLIENT = "10.0.0.1:8080#true"


class House:
    """A registry with beats, and a story of what became of its instances."""

    def __init__(self, *, expire_instances: bool = True) -> None:
        self.time = VirtualTime()
        self.registry = Registry()
        self.ticker = self.time.ticker()
        self.changes = 0
        self.beats = Beats(
            self.registry, self.submit, self.ticker, self.time.clock, expire_instances=expire_instances
        )  # fmt: skip

    def submit(self, command: EphemeralCommand | NamingCommand) -> None:
        for event in self.registry.apply(command):
            if isinstance(event, ClientReleased):
                self.beats.on_client_released(event)
            elif isinstance(event, ServiceChanged):
                self.changes += 1

    @property
    def now_ms(self) -> int:
        return self.time.clock.wall_ms()

    def register(
        self, service: ServiceKey = ORDERS, client_id: str = CLIENT, metadata: dict[str, str] = NO_METADATA
    ) -> None:
        ip, _, port = client_id.removesuffix("#true").rpartition(":")
        instance = Instance(ip, int(port), metadata=metadata)
        self.submit(RegisterInstance(client_id, service, instance, self.now_ms))
        self.beats.watch(client_id, service)

    def subscribe(self, client_id: str = CLIENT, service: ServiceKey = ORDERS) -> None:
        ip, _, port = client_id.removesuffix("#true").rpartition(":")
        self.submit(Subscribe(client_id, service, Subscriber(ip, int(port)), self.now_ms))
        self.beats.watch_subscriber(client_id)

    def state(self, service: ServiceKey = ORDERS) -> str:
        instances = list(self.registry.services[service].instances())
        assert len(instances) <= 1
        return "gone" if not instances else "healthy" if instances[0].healthy else "unhealthy"

    def story(self, until_ms: int, service: ServiceKey = ORDERS) -> list[tuple[int, str]]:
        """(milliseconds from now, state) at each change of state."""
        changes: list[tuple[int, str]] = [(0, self.state(service))]
        for passed_ms in range(1, until_ms + 1):
            self.time.advance(1)
            if self.state(service) != changes[-1][1]:
                changes.append((passed_ms, self.state(service)))
        return changes[1:]


@pytest.fixture
def house() -> House:
    return House()


# --- instances -------------------------------------------------------------------------------------------------------


def test_silence_makes_an_instance_unhealthy_and_then_removes_it(house: House) -> None:
    """More than 15 s, more than 30 s: strictly, as in the Java server, and to the millisecond."""
    house.register()
    assert house.story(40_000) == [(15_001, "unhealthy"), (30_001, "gone")]
    assert house.changes == 3
    assert house.registry.clients == {}
    assert (house.beats.watched, house.ticker.pending) == (0, 0)


def test_beats_keep_an_instance_alive_and_cost_no_change(house: House) -> None:
    house.register()
    for _ in range(100):
        house.time.advance(5000)
        assert house.beats.renew(CLIENT, ORDERS) is True
    assert (house.state(), house.changes) == ("healthy", 1)
    assert house.story(40_000) == [(15_001, "unhealthy"), (30_001, "gone")]


def test_the_next_beat_makes_an_unhealthy_instance_healthy(house: House) -> None:
    house.register()
    house.time.advance(20_000)
    assert house.state() == "unhealthy"
    assert house.beats.renew(CLIENT, ORDERS) is True
    assert house.state() == "healthy"
    assert house.story(40_000) == [(15_001, "unhealthy"), (30_001, "gone")]


def test_a_beat_of_an_unknown_instance_is_refused(house: House) -> None:
    """The desk answers 20404, and the client registers."""
    assert house.beats.renew(CLIENT, ORDERS) is False
    house.register()
    house.time.advance(31_000)
    assert house.beats.renew(CLIENT, ORDERS) is False
    house.register()
    assert house.beats.renew(CLIENT, ORDERS) is True
    assert house.beats.renew(CLIENT, STOCK) is False


def test_registering_again_is_as_good_as_a_beat(house: House) -> None:
    house.register()
    house.time.advance(14_000)
    house.register()
    assert house.story(40_000) == [(15_001, "unhealthy"), (30_001, "gone")]


def test_a_deregistered_instance_leaves_no_timeout_behind(house: House) -> None:
    house.register()
    house.submit(DeregisterInstance(CLIENT, ORDERS, house.now_ms))
    assert (house.beats.watched, house.ticker.pending) == (0, 0)


def test_metadata_of_the_instance_says_how_long_it_may_be_silent(house: House) -> None:
    """preserved.heart.beat.timeout and preserved.ip.delete.timeout, from the registration on."""
    metadata = {
        "preserved.heart.beat.interval": "1000",
        "preserved.heart.beat.timeout": "3000",
        "preserved.ip.delete.timeout": "7000",
    }
    house.register(metadata=metadata)
    assert house.story(10_000) == [(3001, "unhealthy"), (7001, "gone")]
    house.register(metadata={**metadata, "preserved.ip.delete.timeout": "120000"})
    house.time.advance(2000)
    house.beats.renew(CLIENT, ORDERS)
    assert house.story(130_000) == [(3001, "unhealthy"), (120_001, "gone")]


def test_a_delete_timeout_below_the_beat_timeout_removes_at_once(house: House) -> None:
    house.register(metadata={"preserved.heart.beat.timeout": "20000", "preserved.ip.delete.timeout": "6000"})
    assert house.story(30_000) == [(6001, "gone")]


def test_the_overlay_of_an_operator_wins_over_the_metadata_of_the_client(house: House) -> None:
    house.register(metadata={"preserved.heart.beat.timeout": "60000", "preserved.ip.delete.timeout": "90000"})
    overlay = {"preserved.heart.beat.timeout": "6000", "preserved.ip.delete.timeout": "8000"}
    house.submit(
        UpdateInstanceMetadata(ORDERS, "10.0.0.1", 8080, "DEFAULT", None, None, overlay, house.now_ms)
    )  # fmt: skip
    house.beats.renew(CLIENT, ORDERS)
    assert house.story(20_000) == [(6001, "unhealthy"), (8001, "gone")]


def test_an_overlay_that_comes_while_the_instance_is_silent_is_heeded(house: House) -> None:
    house.register()
    house.time.advance(10_000)
    overlay = {"preserved.heart.beat.timeout": "20000", "preserved.ip.delete.timeout": "25000"}
    house.submit(
        UpdateInstanceMetadata(ORDERS, "10.0.0.1", 8080, "DEFAULT", None, None, overlay, house.now_ms)
    )  # fmt: skip
    assert house.story(20_000) == [(10_001, "unhealthy"), (15_001, "gone")]


def test_an_instance_that_is_not_to_be_checked_stays_healthy(house: House) -> None:
    """enableClientBeat=true in its metadata; yet nothing heard of a client for three minutes means it is gone."""
    house.register(metadata={"enableClientBeat": "true"})
    assert house.story(200_000) == [(180_001, "gone")]


def test_a_service_may_say_that_none_of_its_instances_is_checked(house: House) -> None:
    house.submit(
        CreateService(ORDERS, True, 0.0, {"enableClientBeat": "true"}, {"type": "none"}, house.now_ms)
    )  # fmt: skip
    house.register()
    assert house.story(100_000) == []


def test_instances_are_not_removed_when_the_setting_says_so() -> None:
    """nacos.naming.expireInstance=false: unhealthy, and it stays until nothing was heard of the client for three minutes."""
    house = House(expire_instances=False)
    house.register()
    assert house.story(170_000) == [(15_001, "unhealthy")]
    assert house.story(20_000) == [(10_001, "gone")]
    assert (house.beats.watched, house.ticker.pending) == (0, 0)


def test_each_service_of_a_client_beats_for_itself(house: House) -> None:
    """A Dubbo provider registers one address for many services; one of them falls silent."""
    for service in (ORDERS, STOCK, PAYMENT):
        house.register(service)
    assert house.beats.watched == 3
    for _ in range(8):
        house.time.advance(5000)
        assert house.beats.renew(CLIENT, ORDERS)
        assert house.beats.renew(CLIENT, STOCK)
    assert [house.state(service) for service in (ORDERS, STOCK, PAYMENT)] == ["healthy", "healthy", "gone"]
    assert house.beats.watched == 2
    house.register(PAYMENT)
    assert house.story(40_000, PAYMENT) == [(15_001, "unhealthy"), (30_001, "gone")]
    assert (house.registry.clients, house.beats.watched, house.ticker.pending) == ({}, 0, 0)


def test_a_second_service_does_not_renew_the_first(house: House) -> None:
    house.register(ORDERS)
    house.time.advance(10_000)
    house.register(STOCK)
    assert house.story(40_000, ORDERS) == [(5001, "unhealthy"), (20_001, "gone")]


def test_a_client_may_move_from_one_service_to_another(house: House) -> None:
    house.subscribe()  # so that it stays in between
    house.register(ORDERS)
    house.submit(DeregisterInstance(CLIENT, ORDERS, house.now_ms))
    house.time.advance(5000)
    house.register(STOCK)
    assert house.story(40_000, STOCK) == [(15_001, "unhealthy"), (30_001, "gone")]


def test_persistent_clients_are_not_watched(house: House) -> None:
    house.beats.watch("10.0.0.1:8080#false", ORDERS)
    assert house.beats.watched == 0


def test_many_instances_share_one_wake_up_of_the_loop(house: House) -> None:
    """One hundred clients that beat every 5 s cost the loop a wake-up per client and timeout at most, none per beat."""
    for number in range(100):
        house.register(client_id=f"10.0.0.{number}:80#true")
    before = house.time.wakeups
    for _ in range(12):  # one minute
        for number in range(100):
            house.beats.renew(f"10.0.0.{number}:80#true", ORDERS)
            house.time.advance(50)
    assert house.time.wakeups - before <= 600
    assert house.time.armed == 1
    assert len(house.registry.services[ORDERS].publishers) == 100


# --- clients ---------------------------------------------------------------------------------------------------------


def test_a_client_that_only_subscribes_is_gone_after_thirty_seconds(house: House) -> None:
    house.subscribe()
    house.time.advance(30_000)
    assert CLIENT in house.registry.clients
    house.time.advance(1)
    assert house.registry.clients == {}
    assert house.registry.subscribers == {}
    assert (house.beats.watched, house.ticker.pending) == (0, 0)


def test_a_subscriber_that_asks_again_is_kept(house: House) -> None:
    """The list request of a 1.x client comes every ten seconds or so."""
    house.subscribe()
    for _ in range(30):
        house.time.advance(10_000)
        house.subscribe()
    assert CLIENT in house.registry.clients
    house.time.advance(30_001)
    assert house.registry.clients == {}


def test_a_long_push_cache_keeps_subscribers_longer(house: House) -> None:
    """A client told to come back in 40 s is not gone after 30."""
    house.submit(OverrideSwitch("pushCacheMillis", "40000"))
    house.subscribe()
    house.time.advance(40_000)
    assert CLIENT in house.registry.clients
    house.time.advance(1)
    assert house.registry.clients == {}


def test_an_unsubscribed_client_leaves_no_timeout_behind(house: House) -> None:
    house.subscribe()
    house.submit(Unsubscribe(CLIENT, ORDERS, house.now_ms))
    assert (house.beats.watched, house.ticker.pending) == (0, 0)


def test_a_subscription_lives_as_long_as_its_client_beats(house: House) -> None:
    house.subscribe()
    house.register()
    for _ in range(60):
        house.time.advance(5000)
        house.beats.renew(CLIENT, ORDERS)
    assert list(house.registry.subscribers[ORDERS]) == [CLIENT]
    house.submit(DeregisterInstance(CLIENT, ORDERS, house.now_ms))
    house.time.advance(60_001)
    assert house.registry.clients == {}
    assert (house.beats.watched, house.ticker.pending) == (0, 0)


def test_a_client_that_published_and_subscribes_goes_soon_after_its_instance(house: House) -> None:
    """Its instance is removed after 30 s of silence, and what is left of it when that is noticed."""
    house.subscribe()
    house.register()
    assert house.story(40_000) == [(15_001, "unhealthy"), (30_001, "gone")]
    house.time.advance(25_000)
    assert house.registry.clients == {}
    assert (house.beats.watched, house.ticker.pending) == (0, 0)
