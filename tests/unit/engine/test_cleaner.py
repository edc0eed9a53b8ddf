"""The periodic cleaner: what is empty or gone for long is forgotten, and nothing before its time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import cast

import pytest

from nacosx.config.catalog import Catalog
from nacosx.engine.cleaner import Cleaner
from nacosx.engine.gateway import Gateway
from nacosx.engine.ports import RowStore
from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.rooms import Rooms
from nacosx.engine.rooms_machine import RoomsMachine
from nacosx.errors import OVER_THRESHOLD, SERVER, NacosError
from nacosx.namespaces import Namespaces
from nacosx.naming.commands import (
    ConnectClient,
    CreateService,
    DeregisterInstance,
    RegisterInstance,
    UpdateInstanceMetadata,
)
from nacosx.naming.commands import DurableCommand as NamingCommand
from nacosx.naming.model import Instance, ServiceKey
from nacosx.naming.registry import Registry
from tests.memory_storage import MemoryRows
from tests.turns import turn
from tests.virtual_time import VirtualTime

ORDERS = ServiceKey("public", "DEFAULT_GROUP", "orders")


class FakeGroup:
    """A disk without waiting: what is proposed is applied, unless the disk is full."""

    def __init__(self, registry: Registry, loop: asyncio.AbstractEventLoop) -> None:
        self.registry = registry
        self.loop = loop
        self.proposed: list[NamingCommand] = []
        self.full = False
        self.busy = False
        self.waiting: asyncio.Future[None] | None = None  # the next command ends when the test says so

    def propose(self, command: NamingCommand) -> asyncio.Future[None]:
        if self.busy:
            raise NacosError(OVER_THRESHOLD, "try again later")
        self.proposed.append(command)
        done = self.waiting or self.loop.create_future()
        if self.full:
            done.set_exception(NacosError(SERVER, "disk full"))
        elif done is not self.waiting:
            self.registry.apply(command)
            done.set_result(None)
        return done


class House:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.time = VirtualTime()
        self.registry = Registry()
        self.group = FakeGroup(self.registry, loop)
        catalog, namespaces = Catalog(), Namespaces()
        machine = RoomsMachine(Rooms(self.registry, catalog, namespaces), cast(RowStore, MemoryRows()), {})
        self.gateway = Gateway(
            self.registry, catalog, namespaces, machine, cast(RaftGroup, self.group), self.time.clock, {}
        )
        Cleaner(self.gateway, self.time.ticker(), self.time.clock).start()
        self.gateway.submit(ConnectClient("c", 0))

    @property
    def now_ms(self) -> int:
        return self.time.clock.wall_ms()

    def advance(self, delay_ms: int) -> None:
        """One second at a time, so that futures are answered in between."""
        for _ in range(delay_ms // 1000):
            self.time.advance(1000)
            self.loop.run_until_complete(asyncio.wait_for(turn(), 10))

    def register(self) -> None:
        self.gateway.submit(RegisterInstance("c", ORDERS, Instance("10.0.0.1", 80), self.now_ms))

    def deregister(self) -> None:
        self.gateway.submit(DeregisterInstance("c", ORDERS, self.now_ms))

    def overlay(self) -> None:
        self.registry.apply(
            UpdateInstanceMetadata(ORDERS, "10.0.0.1", 80, "DEFAULT", 5.0, None, None, self.now_ms)
        )  # fmt: skip


@pytest.fixture
def house() -> Iterator[House]:
    loop = asyncio.new_event_loop()
    try:
        yield House(loop)
    finally:
        loop.close()


def test_an_empty_service_goes_in_the_first_round_after_a_minute(house: House) -> None:
    """Rounds are at 30 s, 90 s, 150 s…; a service with instances stays."""
    house.register()
    house.advance(40_000)
    assert ORDERS in house.registry.services
    house.deregister()
    house.advance(109_000)  # 90 s: empty for 50 s only
    assert ORDERS in house.registry.services
    house.advance(1_000)  # 150 s
    assert ORDERS not in house.registry.services


def test_a_service_that_was_only_created_goes_too_and_its_metadata_a_minute_later(house: House) -> None:
    house.registry.apply(CreateService(ORDERS, True, 0.5, {}, {"type": "none"}, house.now_ms))
    house.advance(90_000)
    assert ORDERS not in house.registry.services
    assert ORDERS in house.registry.metadata
    house.advance(60_000)
    assert ORDERS in house.registry.metadata
    house.advance(5_000)
    assert ORDERS not in house.registry.metadata


def test_a_service_that_a_restart_brought_back_stays_as_if_it_were_new(house: House) -> None:
    before = Registry()
    before.apply(CreateService(ORDERS, False, 0.5, {}, {"type": "none"}, 1))
    house.registry.restore(before.snapshot())
    house.advance(89_000)
    assert ORDERS in house.registry.services
    house.advance(1_000)
    assert ORDERS not in house.registry.services


def test_the_overlay_of_an_instance_survives_its_restart(house: House) -> None:
    house.register()
    house.overlay()
    house.deregister()
    house.advance(50_000)
    house.register()
    house.advance(120_000)
    assert ORDERS in house.registry.overlays
    assert house.group.proposed == []


def test_the_overlay_of_an_instance_gone_for_a_minute_is_forgotten(house: House) -> None:
    house.register()
    house.overlay()
    house.deregister()
    house.advance(60_000)
    assert ORDERS in house.registry.overlays
    house.advance(5_000)
    assert house.registry.overlays == {}
    house.advance(60_000)
    assert len(house.group.proposed) == 1


def test_a_full_disk_is_tried_again(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.register()
    house.overlay()
    house.deregister()
    house.group.full = True
    with caplog.at_level(logging.WARNING):
        house.advance(65_000)
    assert "cannot forget: disk full" in caplog.text
    assert ORDERS in house.registry.overlays
    house.group.full = False
    house.advance(5_000)
    assert house.registry.overlays == {}


def test_a_busy_disk_is_tried_again(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.register()
    house.overlay()
    house.deregister()
    house.group.busy = True
    with caplog.at_level(logging.WARNING):
        house.advance(65_000)
    assert "cannot forget: try again later" in caplog.text
    house.group.busy = False
    house.advance(5_000)
    assert house.registry.overlays == {}


def test_one_command_at_a_time_is_on_its_way_to_the_disk(house: House) -> None:
    house.register()
    house.overlay()
    house.deregister()
    house.group.waiting = waiting = house.loop.create_future()
    house.advance(120_000)
    assert len(house.group.proposed) == 1
    house.group.waiting = None
    waiting.set_result(None)
    house.advance(10_000)
    assert house.registry.overlays == {}
