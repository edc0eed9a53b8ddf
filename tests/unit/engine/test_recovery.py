"""How the rooms come back: the newest snapshot that the log continues, the entries after it, and the rows caught up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from nacosx._core.entry import DATA, Entry
from nacosx.config.catalog import Catalog
from nacosx.config.events import ConfigWritten
from nacosx.config.model import ConfigKey
from nacosx.engine.ports import Snapshot
from nacosx.engine.raft.recovery import RecoveryError
from nacosx.engine.rooms import DurableCommand, Rooms, encode
from nacosx.errors import NacosError
from nacosx.namespaces import CreateNamespace, Namespaces
from nacosx.naming.commands import CreateService
from nacosx.naming.model import ServiceKey
from nacosx.naming.registry import Registry
from tests.memory_storage import MemoryLog, MemoryRows, MemorySnapshots
from tests.unit.config.catalog_commands import KEY, publish, remove
from tests.unit.engine.alone_group import Group


class Recovered(NamedTuple):
    applied_index: int
    entries: int  # replayed
    entries_bytes: int
    snapshot_bytes: int


class Disk:
    """What a server left: entries, snapshots of the state after some of them, rows up to one of them."""

    def __init__(self, commands: Sequence[DurableCommand], *, rows_index: int, snapshots: Sequence[int] = ()) -> None:
        self.log = MemoryLog([encode(command) for command in commands])
        self.rows = MemoryRows(rows_index)
        self.snapshots = MemorySnapshots()
        self.states: list[dict[str, bytes]] = []
        rooms = Rooms(Registry(), Catalog(), Namespaces())
        self.states.append(rooms.snapshot())
        for index, command in enumerate(commands, 1):
            apply_or_refuse(rooms, command)
            self.states.append(rooms.snapshot())
            if index in snapshots:
                self.snapshots.save(Snapshot(index, 1, None, 0, rooms.snapshot()))

    def recover(self, catalog: Catalog | None = None) -> Recovered:
        """As the start of a server does it; what the leader writes then stays in memory."""

        async def start() -> Recovered:
            g = Group(log=self.log, snapshots=self.snapshots, rows=self.rows, catalog=catalog, sync=False)
            self.rooms = g.rooms
            caller = g.group._caller
            recovered = Recovered(
                g.group.applied_index, caller.entries, caller.entries_bytes, g.group._executor.rooms_bytes
            )
            self.log.appends.clear()
            return recovered

        return asyncio.run(start())

    @property
    def written(self) -> list[bytes | None]:
        """The contents handed to the rows, in order."""
        return [
            None if event.config is None else event.config.content
            for _, events in self.rows.written
            for event in events
            if isinstance(event, ConfigWritten)
        ]


def apply_or_refuse(rooms: Rooms, command: DurableCommand) -> None:
    try:
        rooms.apply(command)
    except NacosError:
        return


COMMANDS: list[DurableCommand] = [
    publish("1"),
    CreateNamespace("dev", "dev", None, 1),
    publish("3"),
    CreateNamespace("dev", "refused", None, 1),
    CreateService(ServiceKey("public", "g", "orders"), False, 0.5, {"a": "b"}, {"type": "none"}, 1),
    remove(),
    publish("7", ConfigKey("dev", "g", "other")),
]


def test_an_empty_disk_is_an_empty_state() -> None:
    disk = Disk([], rows_index=0)
    assert disk.recover() == Recovered(0, 0, 0, 0)
    assert disk.rooms.snapshot() == disk.states[0]
    assert disk.rows.rebuilt == disk.rows.written == []


def test_the_log_alone_brings_everything_back_and_what_was_refused_is_refused_again() -> None:
    disk = Disk(COMMANDS, rows_index=0)
    recovered = disk.recover()
    assert (recovered.applied_index, recovered.entries, recovered.snapshot_bytes) == (7, 7, 0)
    assert recovered.entries_bytes == sum(len(entry.data) for entry in disk.log.kept)
    assert disk.rooms.snapshot() == disk.states[7]
    assert disk.written == [b"1", b"3", None, b"7"]
    assert disk.rows.written[-1][0] == 7


@pytest.mark.parametrize("snapshot", range(1, 8))
def test_a_snapshot_and_the_entries_after_it_bring_everything_back(snapshot: int) -> None:
    disk = Disk(COMMANDS, rows_index=7, snapshots=[snapshot])
    recovered = disk.recover()
    assert (recovered.applied_index, recovered.entries) == (7, 7 - snapshot)
    assert recovered.snapshot_bytes == sum(map(len, disk.states[snapshot].values()))
    assert disk.rooms.snapshot() == disk.states[7]
    assert disk.rows.written == []


def test_rows_continue_from_where_they_were() -> None:
    disk = Disk(COMMANDS, rows_index=3, snapshots=[2])
    disk.recover()
    assert disk.written == [None, b"7"]
    assert disk.rows.rebuilt == []


def test_the_older_snapshot_is_taken_when_the_rows_have_to_catch_up_from_there() -> None:
    disk = Disk(COMMANDS, rows_index=2, snapshots=[2, 6])
    assert disk.recover().entries == 5
    assert disk.written == [b"3", None, b"7"]
    assert disk.rooms.snapshot() == disk.states[7]


def test_rows_that_are_older_than_every_snapshot_are_built_anew() -> None:
    disk = Disk(COMMANDS, rows_index=0, snapshots=[3, 6])
    disk.recover()
    [[index, rows]] = disk.rows.rebuilt
    assert index == 3
    assert [row.config.content for row in rows if isinstance(row, ConfigWritten) and row.config] == [b"3"]
    assert disk.written == [None, b"7"]


def test_rows_of_another_log_are_built_anew() -> None:
    """They claim entries that this log does not have."""
    disk = Disk(COMMANDS, rows_index=100, snapshots=[6])
    disk.recover()
    assert [index for index, _ in disk.rows.rebuilt] == [6]
    assert disk.written == [b"7"]


def test_a_damaged_newest_snapshot_costs_nothing() -> None:
    """`Snapshots.load` skips it; the log reaches back to the one before."""
    disk = Disk(COMMANDS, rows_index=7, snapshots=[2, 6])
    del disk.snapshots.kept[6]
    disk.log.truncate_prefix(3)
    disk.recover()
    assert disk.rooms.snapshot() == disk.states[7]


def test_a_snapshot_that_the_log_does_not_continue_is_not_taken() -> None:
    disk = Disk(COMMANDS, rows_index=0, snapshots=[2, 6])
    disk.log.truncate_prefix(5)
    assert disk.recover().entries == 1
    assert disk.rooms.snapshot() == disk.states[7]


def test_a_log_without_its_beginning_and_without_a_snapshot_is_refused() -> None:
    disk = Disk(COMMANDS, rows_index=0)
    disk.log.truncate_prefix(3)
    with pytest.raises(RecoveryError, match="begins at entry 3 and there is no intact snapshot"):
        disk.recover()


def test_a_log_that_was_taken_away_begins_anew_after_the_snapshot() -> None:
    disk = Disk(COMMANDS, rows_index=7, snapshots=[7])
    disk.log = MemoryLog()
    assert disk.recover().applied_index == 7
    assert (disk.log.first_index, disk.log.last_index) == (8, 7)
    assert disk.rooms.snapshot() == disk.states[7]


def test_an_empty_log_behind_a_snapshot_is_left_as_it_is() -> None:
    disk = Disk(COMMANDS, rows_index=7, snapshots=[7])
    disk.log.truncate_prefix(8)
    assert disk.recover() == Recovered(7, 0, 0, sum(map(len, disk.states[7].values())))
    assert disk.log.first_index == 8


def test_an_entry_of_a_later_version_is_refused_by_its_index() -> None:
    disk = Disk(COMMANDS, rows_index=0)
    disk.log.kept[3] = Entry(4, 1, DATA, encode({"command": "Teleport"}))
    with pytest.raises(RecoveryError, match="entry 4 is not a command this version knows"):
        disk.recover()


def test_a_snapshot_of_a_later_version_is_refused_by_its_index() -> None:
    disk = Disk(COMMANDS, rows_index=7, snapshots=[2])
    for kept in ({"config": b"\xc1"}, {"teleports": b""}):
        disk.snapshots.kept[2] = Snapshot(2, 1, None, 0, kept)
        with pytest.raises(RecoveryError, match="the snapshot at entry 2 is not one this version can read"):
            disk.recover()


def test_a_gap_in_the_log_is_refused() -> None:
    class Gap(MemoryLog):
        def entries(self, from_index: int, *, bytes_max: int) -> list[Entry]:
            return [entry for entry in super().entries(from_index, bytes_max=bytes_max) if entry.index != 3]

    disk = Disk(COMMANDS, rows_index=0)
    disk.log = Gap([entry.data for entry in disk.log.kept])
    with pytest.raises(RecoveryError, match="entry 3 is missing: the log continues with 4"):
        disk.recover()


def test_a_bug_met_in_replay_is_logged_and_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """It was met when the entry was applied first, and changed nothing then either."""
    disk = Disk([publish("1"), publish("2"), publish("3")], rows_index=0)

    class Broken(Catalog):
        def apply(self, command):  # type: ignore[no-untyped-def]
            if getattr(command, "content", b"") == b"2":
                raise ZeroDivisionError
            return super().apply(command)

    assert disk.recover(Broken()).applied_index == 3
    assert disk.rooms.catalog.configs[KEY].content == b"3"
    assert "applying entry 2 failed" in caplog.text


def test_many_rows_are_handed_over_in_parts() -> None:
    disk = Disk([publish(str(n)) for n in range(3000)], rows_index=0)
    disk.recover()
    assert len(disk.written) == 3000
    assert len(disk.rows.written) > 1
    assert [index for index, _ in disk.rows.written] == sorted(index for index, _ in disk.rows.written)
