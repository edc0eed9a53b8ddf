"""The rooms as a state machine, when another member's snapshot replaces what they hold while clients are connected."""

from __future__ import annotations

from typing import cast

import pytest

from nacosx.config.catalog import Catalog
from nacosx.config.events import ConfigChanged
from nacosx.config.model import ConfigKey
from nacosx.engine.ports import RowStore
from nacosx.engine.reactions import Reactions
from nacosx.engine.rooms import DurableCommand, Rooms
from nacosx.engine.rooms_machine import RoomsMachine
from nacosx.errors import OVER_THRESHOLD, NacosError
from nacosx.namespaces import CreateNamespace, Namespaces
from nacosx.naming.commands import (
    ConnectClient,
    RegisterBatch,
    RegisterInstance,
    RegisterPersistent,
    Subscribe,
)
from nacosx.naming.ephemeral import ephemeral_commands
from nacosx.naming.events import ServiceChanged
from nacosx.naming.model import Instance, ServiceKey, Subscriber
from nacosx.naming.registry import Registry
from tests.memory_storage import MemoryRows
from tests.unit.config.catalog_commands import KEY, publish, publish_beta, remove

ORDERS, USERS, LEDGER = (ServiceKey("public", "DEFAULT_GROUP", name) for name in ("orders", "users", "ledger"))
CONNECTION, ADDRESS = "1700_10.0.0.1_4711", "10.0.0.2:8080#true"


class House:
    def __init__(self, rows_index: int = 0) -> None:
        self.rooms = Rooms(Registry(), Catalog(), Namespaces())
        self.rows = MemoryRows(rows_index)
        self.told: list[object] = []
        reactions: Reactions = dict.fromkeys((ConfigChanged, ServiceChanged), (self.told.append,))
        self.machine = RoomsMachine(self.rooms, cast(RowStore, self.rows), reactions)

    def connect(self) -> None:
        """Clients, one of each kind."""
        registry = self.rooms.registry
        registry.apply(ConnectClient(CONNECTION, 1))
        registry.apply(RegisterInstance(CONNECTION, ORDERS, Instance("10.0.0.1", 80), 1))
        registry.apply(RegisterBatch(CONNECTION, USERS, (Instance("10.0.0.1", 81), Instance("10.0.0.1", 82)), 1))
        registry.apply(RegisterInstance(ADDRESS, ORDERS, Instance("10.0.0.2", 8080, healthy=False), 2))
        registry.apply(Subscribe(CONNECTION, LEDGER, Subscriber("10.0.0.1", 0), 1))
        registry.apply(Subscribe(ADDRESS, USERS, Subscriber("10.0.0.2", 5000), 2))

    def shown(self) -> dict[ServiceKey, list[Instance]]:
        return {key: list(service.instances()) for key, service in self.rooms.registry.services.items()}


def leaders() -> dict[str, bytes]:
    """What the leader holds."""
    rooms = Rooms(Registry(), Catalog(), Namespaces())
    for command in (
        publish("new"),
        publish("same", ConfigKey("public", "g", "same")),
        CreateNamespace("dev", "dev", None, 1),
        RegisterPersistent(LEDGER, Instance("10.0.0.9", 9), 1),
    ):
        rooms.apply(command)
    return rooms.snapshot()


def test_what_is_ephemeral_outlives_a_snapshot_that_is_installed() -> None:
    h = House()
    h.machine.recovered(0, 0)
    h.connect()
    before = h.shown()
    clients = list(h.rooms.registry.clients)
    h.machine.restore(9, leaders())
    assert {key: h.shown()[key] for key in before} == before
    assert h.shown()[LEDGER] == [Instance("10.0.0.9", 9)]
    assert set(h.rooms.registry.clients) >= set(clients)
    assert set(h.rooms.registry.subscribers) == {LEDGER, USERS}
    assert h.rooms.snapshot() == leaders()


def test_who_waits_for_a_change_hears_of_those_a_snapshot_brings() -> None:
    h = House()
    h.machine.recovered(0, 0)
    h.connect()
    gone = ConfigKey("public", "g", "gone")
    for command in (publish("old"), publish("same", ConfigKey("public", "g", "same")), publish("x", gone)):
        h.rooms.apply(command)
    h.machine.restore(9, leaders())
    h.machine.batch_applied(9, False)
    changed = {event.key: event for event in h.told if isinstance(event, ConfigChanged)}
    assert changed.keys() == {KEY, gone}
    formal = changed[KEY].after.formal
    assert formal is not None
    assert formal.content == b"new"
    assert changed[gone].after.formal is None
    assert {event.service for event in h.told if isinstance(event, ServiceChanged)} == {LEDGER, USERS}


def test_rows_are_those_of_the_snapshot_and_go_on_behind_it() -> None:
    h = House()
    h.machine.recovered(0, 0)
    h.machine.apply(1, publish("never written"))
    h.machine.restore(9, leaders())
    h.machine.batch_applied(9, False)
    [[index, _]] = h.rows.rebuilt
    assert (index, h.rows.written) == (9, [])
    h.machine.apply(10, remove())
    h.machine.batch_applied(10, False)
    assert [index for index, _ in h.rows.written] == [10]


def test_a_registration_in_a_service_that_is_persistent_there_is_dropped_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    h = House()
    h.machine.recovered(0, 0)
    h.rooms.registry.apply(ConnectClient(CONNECTION, 1))
    h.rooms.registry.apply(RegisterInstance(CONNECTION, LEDGER, Instance("10.0.0.1", 80), 1))
    h.machine.restore(9, leaders())
    assert h.shown()[LEDGER] == [Instance("10.0.0.9", 9)]
    assert "did not survive the snapshot at 9" in caplog.text


def test_at_a_start_nobody_is_told_and_the_rows_decide_where_they_go_on() -> None:
    h = House(rows_index=2)
    h.machine.restore(1, leaders())
    h.machine.recovered(1, 3)
    for index, command in ((2, publish("two")), (3, publish_beta("beta", "10.0.0.1"))):
        h.machine.apply(index, command)
    h.machine.batch_applied(3, True)
    assert h.told == []
    [[index, events]] = h.rows.written
    assert (index, h.rows.rebuilt) == (3, [])
    assert {type(event).__name__ for event in events} == {"GrayWritten", "HistoryRecorded", "ConfigChanged"}


def test_publishes_wait_for_rows_and_nothing_else_does() -> None:
    h = House()
    h.rows.behind = True
    h.machine.check(CreateNamespace("dev", "dev", None, 1))
    with pytest.raises(NacosError) as caught:
        h.machine.check(publish())
    assert caught.value.kind == OVER_THRESHOLD


def test_the_ephemeral_part_as_commands_makes_an_equal_registry() -> None:
    h, twin = House(), Registry()
    h.connect()
    for command in ephemeral_commands(h.rooms.registry):
        twin.apply(command)
    assert ephemeral_commands(twin) == ephemeral_commands(h.rooms.registry)
    assert (twin.instance_count, twin.subscriber_count) == (4, 2)


def test_what_every_room_has_written_is_told() -> None:
    """So that two members are known to hold the same, not only to have been told the same."""
    one, other = House(), House()
    commands: list[DurableCommand] = [
        publish("a"), publish_beta("b", "10.0.0.1"), remove(), CreateNamespace("dev", "dev", None, 1),
        RegisterPersistent(LEDGER, Instance("10.0.0.9", 9), 1),
    ]  # fmt: skip
    for index, command in enumerate(commands, 1):
        one.machine.apply(index, command)
        before = other.machine.written(command)
        other.machine.apply(index, command)
        assert one.machine.written(command) == other.machine.written(command) != before
    other.rooms.catalog.apply(publish("of its own", ConfigKey("public", "g", "elsewhere")))
    one.machine.apply(9, publish("c"))
    other.machine.apply(9, publish("c"))
    assert one.machine.written(publish("c")) != other.machine.written(publish("c")), "the numbers of rows went on"
