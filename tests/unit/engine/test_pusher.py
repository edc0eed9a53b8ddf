"""Service pushes: who is told of a change, when, and until it was heard."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from nacosx.engine.push.pusher import CLIENTS_A_TURN_MAX, Pusher
from nacosx.naming.commands import (
    ConnectClient,
    DeregisterInstance,
    DisconnectClient,
    EphemeralCommand,
    OverrideSwitch,
    RegisterInstance,
    Subscribe,
    Unsubscribe,
)
from nacosx.naming.events import ServiceChanged, ServiceSubscribed
from nacosx.naming.model import Instance, ServiceKey, Subscriber
from nacosx.naming.registry import Registry
from tests.virtual_time import VirtualTime

ORDERS = ServiceKey("public", "DEFAULT_GROUP", "orders")
PROVIDER = "1_10.0.0.9_1"


class FakeConnections:
    """The gRPC side: remembers what was pushed; the test answers."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.pushed: list[tuple[int, str, dict[str, Any]]] = []
        self.unanswered: list[tuple[str, Callable[[bool], None]]] = []
        self.raw: list[bytes] = []
        self.closed: set[str] = set()
        self.answer_at_once: bool | None = None

    def push(
        self, client_id: str, type_name: str, members: bytes, answered: Callable[[bool], None], *, timeout_ms: int
    ) -> bool:
        assert (type_name, timeout_ms) == ("NotifySubscriberRequest", 5000)
        if client_id in self.closed:
            return False
        self.raw.append(members)
        body = json.loads(b"{" + members + b"}")
        assert body["module"] == "naming"
        self.pushed.append((self.time.clock.monotonic_ms(), client_id, body["serviceInfo"]))
        if self.answer_at_once is None:
            self.unanswered.append((client_id, answered))
        else:
            answered(self.answer_at_once)
        return True

    def answer(self, well: bool = True) -> None:
        """Every push under way is answered."""
        unanswered, self.unanswered = self.unanswered, []
        for _, answered in unanswered:
            answered(well)


class FakeDatagrams:
    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.sent: list[tuple[int, str, int, bytes]] = []

    def send(self, ip: str, port: int, payload: bytes) -> None:
        self.sent.append((self.time.clock.monotonic_ms(), ip, port, payload))


class House:
    """A registry whose events reach a pusher, and the outside of it."""

    def __init__(self) -> None:
        self.time = VirtualTime()
        self.registry = Registry()
        self.connections = FakeConnections(self.time)
        self.datagrams = FakeDatagrams(self.time)
        self.ticker = self.time.ticker()
        self.pusher = Pusher(self.registry, self.connections, self.datagrams, self.ticker, self.time.clock)
        self.submit(ConnectClient(PROVIDER, 0))

    def submit(self, command: EphemeralCommand) -> None:
        for event in self.registry.apply(command):
            if isinstance(event, ServiceChanged):
                self.pusher.on_service_changed(event)
            elif isinstance(event, ServiceSubscribed):
                self.pusher.on_service_subscribed(event)

    @property
    def now_ms(self) -> int:
        return self.time.clock.wall_ms()

    def subscriber(self, client_id: str, service: ServiceKey = ORDERS, clusters: str = "") -> str:
        """A gRPC client that subscribed long ago."""
        self.submit(ConnectClient(client_id, self.now_ms))
        self.submit(Subscribe(client_id, service, Subscriber("10.0.0.1", 0, clusters=clusters), self.now_ms))
        self.settle()
        return client_id

    def datagram_subscriber(self, ip: str = "10.0.0.2", port: int = 54514) -> None:
        """A 1.x client that subscribed long ago."""
        self.submit(Subscribe(f"{ip}:{port}#true", ORDERS, Subscriber(ip, port), self.now_ms))
        self.time.advance(1000)
        self.acknowledge()
        self.datagrams.sent.clear()
        self.pusher.counters.reset()

    def settle(self) -> None:
        """Lets the pushes that follow a subscription pass."""
        for _ in range(3):
            self.time.advance(500)
            self.connections.answer()
        self.connections.pushed.clear()
        self.connections.raw.clear()
        self.pusher.counters.reset()

    def acknowledge(self) -> bool:
        """The 1.x client answers the newest datagram."""
        _, ip, port, payload = self.datagrams.sent[-1]
        return self.pusher.datagrams.acknowledged(ip, port, reference_of(payload))

    def change(self, port: int = 80, cluster: str = "DEFAULT", service: ServiceKey = ORDERS) -> None:
        instance = Instance("10.1.2.3", port, cluster=cluster)
        self.submit(RegisterInstance(PROVIDER, service, instance, self.now_ms))

    def told(self) -> list[tuple[int, str, list[int]]]:
        """(milliseconds since the start of the story, who was told, ports it was told of)."""
        return [
            (moment_ms, client_id, [host["port"] for host in info["hosts"]])
            for moment_ms, client_id, info in self.connections.pushed
        ]


def envelope(payload: bytes) -> Any:
    return json.loads(gzip.decompress(payload) if payload[:2] == b"\x1f\x8b" else payload)


def reference_of(payload: bytes) -> int:
    reference = envelope(payload)["lastRefTime"]
    assert isinstance(reference, int)
    return reference


@pytest.fixture
def house() -> House:
    return House()


# --- when ------------------------------------------------------------------------------------------------------------


def test_the_first_change_in_a_quiet_service_is_pushed_at_once(house: House) -> None:
    house.subscriber("c")
    start_ms = house.time.clock.monotonic_ms()
    house.change(port=80)
    assert house.told() == []  # not within the request that changed it
    house.time.turn()
    assert house.told() == [(start_ms, "c", [80])]


def test_later_changes_are_merged_until_half_a_second_after_the_push(house: House) -> None:
    house.subscriber("c")
    start_ms = house.time.clock.monotonic_ms()
    house.change(port=1)
    house.time.turn()
    house.connections.answer()
    for port in (2, 3, 4):
        house.time.advance(100)
        house.change(port=port)
    assert house.told() == [(start_ms, "c", [1])]
    house.time.advance(5000)
    assert house.told() == [(start_ms, "c", [1]), (start_ms + 500, "c", [4])]


def test_a_service_that_never_rests_is_pushed_twice_a_second(house: House) -> None:
    house.subscriber("c")
    house.connections.answer_at_once = True
    start_ms = house.time.clock.monotonic_ms()
    for port in range(1, 101):
        house.change(port=port)
        house.time.advance(20)
    moments_ms = [moment_ms - start_ms for moment_ms, _, _ in house.told()]
    assert moments_ms == [0, 500, 1000, 1500, 2000]
    house.time.advance(5000)
    assert house.told()[-1][2] == [100]


def test_quiet_again_is_pushed_at_once_again(house: House) -> None:
    house.subscriber("c")
    house.connections.answer_at_once = True
    house.change(port=1)
    house.time.advance(600)
    start_ms = house.time.clock.monotonic_ms()
    house.change(port=2)
    house.time.turn()
    assert house.told()[-1] == (start_ms, "c", [2])


def test_services_do_not_wait_for_each_other(house: House) -> None:
    other = ServiceKey("public", "DEFAULT_GROUP", "other")
    house.subscriber("c")
    house.subscriber("d", service=other)
    house.connections.answer_at_once = True
    house.change(port=1)
    house.time.turn()
    house.change(port=2, service=other)
    house.time.turn()
    assert [who for _, who, _ in house.told()] == ["c", "d"]


def test_a_service_nobody_subscribes_to_costs_no_timer(house: House) -> None:
    house.change()
    assert house.ticker.pending == 0
    assert house.pusher.pending == 0


def test_a_subscription_is_pushed_to_that_client_only_half_a_second_later(house: House) -> None:
    house.change(port=80)
    house.subscriber("old")
    start_ms = house.time.clock.monotonic_ms()
    house.submit(ConnectClient("new", 0))
    house.submit(Subscribe("new", ORDERS, Subscriber("10.0.0.2", 0), house.now_ms))
    assert house.pusher.pending == 1
    house.time.advance(5000)
    assert house.told() == [(start_ms + 500, "new", [80])]
    assert house.pusher.pending == 0


def test_a_subscription_merges_with_a_pending_push_of_the_service(house: House) -> None:
    """A change just after the subscription is pushed at once, to the new subscriber as well, who needs no second push."""
    house.change(port=80)
    house.subscriber("old")
    house.submit(ConnectClient("new", 0))
    house.submit(Subscribe("new", ORDERS, Subscriber("10.0.0.2", 0), house.now_ms))
    house.time.advance(100)
    start_ms = house.time.clock.monotonic_ms()
    house.change(port=81)
    house.time.turn()
    house.connections.answer()
    house.time.advance(5000)
    assert house.told() == [(start_ms, "old", [81]), (start_ms, "new", [81])]


def test_who_unsubscribed_or_left_meanwhile_is_not_pushed_to(house: House) -> None:
    for client_id in ("a", "b", "c"):
        house.subscriber(client_id)
    house.connections.closed.add("c")  # its DisconnectClient has not come through yet
    house.change()
    house.submit(Unsubscribe("a", ORDERS, house.now_ms))
    house.submit(DisconnectClient("b", house.now_ms))
    house.time.advance(60_000)
    assert house.told() == []
    assert house.ticker.pending == 0
    assert house.pusher.counters.failed == 0


def test_nothing_is_pushed_while_the_switch_is_off_and_all_of_it_afterwards(house: House) -> None:
    house.subscriber("c")
    house.submit(OverrideSwitch("pushEnabled", "false"))
    house.change(port=1)
    house.time.advance(60_000)
    house.change(port=2)
    house.time.advance(60_000)
    assert house.told() == []
    house.submit(OverrideSwitch("pushEnabled", "true"))
    house.time.advance(500)
    assert [ports for _, _, ports in house.told()] == [[2]]


# --- what ------------------------------------------------------------------------------------------------------------


def test_the_request_carries_the_service_info_as_java_writes_it(house: House) -> None:
    """golden/wire: `"serviceInfo":{...},"module":"naming"` with the bare name."""
    house.subscriber("c")
    house.change(port=80)
    house.time.turn()
    (members,) = house.connections.raw
    # golden/wire/c2.5.1-s2.5.1.jsonl, other names and times
    assert json.loads(b"{" + members + b"}") == {
        "serviceInfo": {
            "name": "orders",
            "groupName": "DEFAULT_GROUP",
            "clusters": "",
            "cacheMillis": 10000,
            "hosts": [
                {
                    "instanceId": "10.1.2.3#80#DEFAULT#DEFAULT_GROUP@@orders",
                    "ip": "10.1.2.3",
                    "port": 80,
                    "weight": 1.0,
                    "healthy": True,
                    "enabled": True,
                    "ephemeral": True,
                    "clusterName": "DEFAULT",
                    "serviceName": "DEFAULT_GROUP@@orders",
                    "metadata": {},
                    "instanceHeartBeatInterval": 5000,
                    "instanceHeartBeatTimeOut": 15000,
                    "ipDeleteTimeout": 30000,
                    "instanceIdGenerator": "simple",
                }
            ],
            "lastRefTime": house.now_ms,
            "checksum": "",
            "allIPs": False,
            "reachProtectionThreshold": False,
            "valid": True,
        },
        "module": "naming",
    }


def test_each_subscriber_sees_the_clusters_it_asked_for_rendered_once(house: House) -> None:
    for number in range(10):
        house.subscriber(f"all{number}")
        house.subscriber(f"b{number}", clusters="b")
    house.change(port=80, cluster="a")
    house.time.turn()
    assert [ports for _, who, ports in house.told() if who.startswith("all")] == [[80]] * 10
    assert [ports for _, who, ports in house.told() if who.startswith("b")] == [[]] * 10
    assert len({id(members) for members in house.connections.raw}) == 2


def test_a_crowd_of_subscribers_is_pushed_to_in_slices(house: House) -> None:
    """Other events of the loop get their turn between the slices; everybody is told once."""
    crowd = 2 * CLIENTS_A_TURN_MAX + 7
    for number in range(crowd):
        house.submit(ConnectClient(f"c{number}", 0))
        house.submit(Subscribe(f"c{number}", ORDERS, Subscriber("10.0.0.1", 0), 0))
    house.settle()
    house.change()
    wakeups = house.time.wakeups
    house.time.turn()
    assert house.time.wakeups - wakeups >= 3
    assert sorted(who for _, who, _ in house.told()) == sorted(f"c{number}" for number in range(crowd))


# --- until heard, over gRPC ------------------------------------------------------------------------------------------


def test_a_push_that_fails_is_repeated_every_second_until_it_is_heard(house: House) -> None:
    """The retry shows the service as it is by then."""
    house.subscriber("c")
    start_ms = house.time.clock.monotonic_ms()
    house.change(port=1)
    house.time.turn()
    for _ in range(3):
        house.connections.answer(False)
        house.time.advance(1000)
    house.connections.answer(True)
    house.time.advance(60_000)
    assert [moment_ms - start_ms for moment_ms, _, _ in house.told()] == [0, 1000, 2000, 3000]
    assert (house.pusher.counters.total, house.pusher.counters.failed) == (4, 3)
    assert house.ticker.pending == 0


def test_a_retry_ends_when_the_client_is_gone(house: House) -> None:
    house.subscriber("c")
    house.change()
    house.time.turn()
    house.connections.answer(False)
    house.submit(DisconnectClient("c", house.now_ms))
    house.time.advance(60_000)
    assert len(house.told()) == 1
    assert house.ticker.pending == 0


def test_an_answer_that_comes_after_the_client_is_gone_ends_it(house: House) -> None:
    house.subscriber("c")
    house.change(port=1)
    house.time.turn()
    house.submit(DisconnectClient("c", house.now_ms))
    house.connections.answer(False)
    house.time.advance(60_000)
    assert len(house.told()) == 1


def test_a_slow_client_has_one_push_under_way_and_gets_the_newest_next(house: House) -> None:
    """However much changes while it does not answer: one more push, with the state at the time it is sent."""
    house.subscriber("c")
    house.change(port=1)
    house.time.turn()
    for port in range(2, 12):
        house.change(port=port)
        house.time.advance(1000)
    assert [ports for _, _, ports in house.told()] == [[1]]
    house.connections.answer()
    assert [ports for _, _, ports in house.told()] == [[1], [11]]
    house.connections.answer()
    house.time.advance(60_000)
    assert len(house.told()) == 2


def test_a_change_does_not_wait_for_a_retry(house: House) -> None:
    house.subscriber("c")
    house.change(port=1)
    house.time.turn()
    house.time.advance(600)
    house.connections.answer(False)
    start_ms = house.time.clock.monotonic_ms()
    house.change(port=2)
    house.time.turn()
    assert house.told()[-1] == (start_ms, "c", [2])
    house.connections.answer()
    house.time.advance(60_000)
    assert len(house.told()) == 2  # the retry was dropped


def test_a_client_may_answer_within_the_call(house: House) -> None:
    """A connection that fails in the middle of a push answers before `push` returns."""
    house.subscriber("c")
    house.connections.answer_at_once = False
    house.change()
    house.time.turn()
    house.connections.answer_at_once = True
    house.time.advance(60_000)
    assert len(house.told()) == 2
    assert house.ticker.pending == 0


def test_the_counters_tell_how_long_it_took_from_the_change_to_the_answer(house: House) -> None:
    counters = house.pusher.counters
    assert (counters.cost_avg_ms, counters.cost_max_ms) == (-1, -1)
    house.subscriber("c")
    house.change(port=1)
    house.time.advance(10)
    house.connections.answer()
    house.change(port=2)  # waits for the end of the window
    house.time.advance(490)
    house.connections.answer()
    assert (counters.total, counters.failed, counters.empty) == (2, 0, 0)
    assert (counters.cost_count, counters.cost_max_ms, counters.cost_avg_ms) == (2, 490, 250)
    house.submit(DeregisterInstance(PROVIDER, ORDERS, house.now_ms))
    house.time.advance(500)
    house.connections.answer()
    assert counters.empty == 1
    counters.reset()
    assert (counters.total, counters.cost_avg_ms, counters.cost_max_ms) == (0, -1, -1)


# --- until heard, over UDP -------------------------------------------------------------------------------------------


def test_a_datagram_is_the_envelope_of_the_java_server(house: House) -> None:
    """Grouped name, no groupName, the ServiceInfo as a string, and a reference that is a number."""
    # golden/wire/udp-push-s2.5.1.txt, other names and times
    golden = (
        r'{"type":"dom","data":"{\"name\":\"DEFAULT_GROUP@@orders\",\"clusters\":\"\",\"cacheMillis\":10000,\"hosts\":[{'
        r"\"instanceId\":\"10.1.2.3#80#DEFAULT#DEFAULT_GROUP@@orders\",\"ip\":\"10.1.2.3\",\"port\":80,\"weight\":1.0,"
        r"\"healthy\":true,\"enabled\":true,\"ephemeral\":true,\"clusterName\":\"DEFAULT\","
        r"\"serviceName\":\"DEFAULT_GROUP@@orders\",\"metadata\":{},\"instanceHeartBeatInterval\":5000,"
        r"\"instanceHeartBeatTimeOut\":15000,\"ipDeleteTimeout\":30000,\"instanceIdGenerator\":\"simple\"}],"
        r"\"lastRefTime\":%d,\"checksum\":\"\",\"allIPs\":false,\"reachProtectionThreshold\":false,"
        r'\"valid\":true}","lastRefTime":%d}'
    )
    house.datagram_subscriber("127.0.0.1", 54514)
    house.change(port=80)
    house.time.turn()
    ((_, ip, port, payload),) = house.datagrams.sent
    assert (ip, port) == ("127.0.0.1", 54514)
    sent, expected = json.loads(payload), json.loads(golden % (house.now_ms, reference_of(payload)))
    assert list(sent) == list(expected)
    assert json.loads(sent.pop("data")) == json.loads(expected.pop("data"))
    assert sent == expected


@pytest.mark.parametrize(("instances", "compressed"), [(1, False), (2, False), (3, True)])
def test_json_of_1024_bytes_and_more_is_compressed(house: House, instances: int, compressed: bool) -> None:
    house.datagram_subscriber()
    for number in range(instances):
        house.submit(ConnectClient(f"p{number}", 0))
        instance = Instance("10.1.2.3", number, metadata={"note": "x" * 10})
        house.submit(RegisterInstance(f"p{number}", ORDERS, instance, house.now_ms))
    house.time.turn()
    payload = house.datagrams.sent[0][3]
    plain = gzip.decompress(payload) if payload[:2] == b"\x1f\x8b" else payload
    assert (len(plain) >= 1024) is compressed
    assert (payload != plain) is compressed
    assert len(json.loads(json.loads(plain)["data"])["hosts"]) == instances


def test_a_datagram_without_answer_is_resent_once_after_ten_seconds(house: House) -> None:
    """The golden story: first push, no answer, the very same bytes again, no answer: failed, and no more."""
    house.datagram_subscriber()
    start_ms = house.time.clock.monotonic_ms()
    house.change()
    house.time.advance(60_000)
    assert [moment_ms - start_ms for moment_ms, _, _, _ in house.datagrams.sent] == [0, 10_000]
    assert len({payload for _, _, _, payload in house.datagrams.sent}) == 1
    assert (house.pusher.counters.total, house.pusher.counters.failed) == (1, 1)
    assert house.ticker.pending == 0


def test_an_acknowledged_datagram_is_not_resent(house: House) -> None:
    house.datagram_subscriber()
    house.change()
    house.time.advance(30)
    assert house.acknowledge() is True
    assert house.acknowledge() is False  # a second time
    house.time.advance(60_000)
    assert len(house.datagrams.sent) == 1
    counters = house.pusher.counters
    assert (counters.total, counters.failed, counters.cost_max_ms) == (1, 0, 30)


def test_a_late_acknowledgement_of_the_first_attempt_counts(house: House) -> None:
    house.datagram_subscriber()
    house.change()
    house.time.advance(15_000)
    assert house.acknowledge() is True
    assert (house.pusher.counters.total, house.pusher.counters.failed) == (1, 0)


def test_an_acknowledgement_from_elsewhere_is_none(house: House) -> None:
    """Only the address the datagram went to may answer, and only with its reference."""
    house.datagram_subscriber("10.0.0.2", 54514)
    house.change()
    house.time.turn()
    reference = reference_of(house.datagrams.sent[-1][3])
    acknowledged = house.pusher.datagrams.acknowledged
    assert not acknowledged("10.0.0.3", 54514, reference)
    assert not acknowledged("10.0.0.2", 54515, reference)
    assert not acknowledged("10.0.0.2", 54514, reference + 1)
    assert acknowledged("10.0.0.2", 54514, reference)


def test_a_newer_datagram_takes_the_place_of_one_not_acknowledged(house: House) -> None:
    """Else the resend of the old one would undo the new one at the client."""
    house.datagram_subscriber()
    start_ms = house.time.clock.monotonic_ms()
    house.change(port=1)
    house.time.advance(3000)
    old = reference_of(house.datagrams.sent[-1][3])
    house.change(port=2)
    house.time.turn()
    assert not house.pusher.datagrams.acknowledged("10.0.0.2", 54514, old)
    house.acknowledge()
    house.time.advance(60_000)
    assert [moment_ms - start_ms for moment_ms, _, _, _ in house.datagrams.sent] == [0, 3000]
    assert (house.pusher.counters.total, house.pusher.counters.failed) == (2, 1)


def test_what_does_not_fit_into_a_datagram_fails(house: House) -> None:
    house.datagram_subscriber()
    for number in range(400):
        house.submit(ConnectClient(f"p{number}", 0))
        # Random enough not to be compressed away.
        metadata = {"n": "".join(str(hash((number, digit)) % 10_000_000) for digit in range(60))}
        house.submit(RegisterInstance(f"p{number}", ORDERS, Instance("10.1.2.3", number, metadata=metadata), 0))
    house.time.advance(60_000)
    assert house.datagrams.sent == []
    assert (house.pusher.counters.total, house.pusher.counters.failed) == (1, 1)
