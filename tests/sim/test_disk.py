"""The simulated disk: what a crash leaves of what was written, and what its troubles do."""

from __future__ import annotations

import errno
from random import Random

import pytest

from nacosx._core.entry import DATA, Entry
from nacosx._core.segment import CorruptLogError
from tests.log_entries import data_of, following
from tests.sim.disk import Disk, DiskLog
from tests.sim.loop import MS, Agenda, ProcessClock, ProcessLoop


class Machine:
    def __init__(self, seed: int = 1) -> None:
        self.agenda = Agenda()
        self.disk = Disk(Random(seed), 1000)
        self.told: list[tuple[int, int]] = []
        self.start()

    def start(self) -> None:
        self.disk.open()
        self.process = ProcessLoop(self.agenda, ProcessClock(self.agenda), "n0", lambda: 0)  # type: ignore[abstract]
        self.log = DiskLog(self.disk, self.process, lambda entry, previous: None)

    def append(self, *data: bytes) -> int:
        return self.log.append_entries(following(self.log, data, term=3), self.hear)

    def hear(self, last_index: int, error: OSError | None) -> None:
        self.told.append((last_index, error.errno or 0 if error else 0))

    def run(self) -> None:
        self.agenda.run(self.agenda.now_us + 1000 * MS, lambda process: None)

    def crash(self, survives: str) -> list[bytes]:
        self.process.end()
        self.log.crash(survives)
        self.start()
        return [data for _, data in data_of(self.log, self.log.first_index)]


def test_what_is_synced_survives_and_what_is_not_is_lost_kept_or_torn() -> None:
    found = set()
    for seed in range(40):
        for survives in ("lost", "kept", "torn"):
            machine = Machine(seed)
            machine.append(b"a", b"b")
            machine.run()
            machine.append(b"c", b"d")
            machine.append(b"e")
            found.add((survives, b"".join(machine.crash(survives))))
    torn = {data for survives, data in found if survives == "torn"}
    assert torn == {b"ab", b"abc", b"abcd", b"abcde"}
    assert found - {("torn", data) for data in torn} == {("lost", b"ab"), ("kept", b"abcde")}


def test_reports_come_in_order_and_only_once_it_is_on_disk() -> None:
    machine = Machine()
    assert machine.append(b"a") == 1
    assert machine.append(b"b", b"c") == 3
    assert machine.log.last_index == 3
    assert machine.log.get(1) is None
    machine.log.truncate_suffix(2, machine.hear)
    machine.run()
    assert machine.told == [(1, 0), (3, 0), (2, 0)]
    assert [entry.data for entry in machine.log.entries(1)] == [b"a", b"b"]
    assert machine.log.term(2) == 3


def test_a_full_disk_refuses_everything_queued_and_indexes_are_used_again() -> None:
    machine = Machine()
    machine.append(b"a")
    machine.run()
    machine.disk.trouble = errno.ENOSPC
    machine.append(b"b")
    machine.append(b"c")
    machine.run()
    assert machine.told[1:] == [(1, errno.ENOSPC), (1, errno.ENOSPC)]
    machine.disk.trouble = 0
    assert machine.append(b"d") == 2


def test_entries_that_do_not_follow_are_refused() -> None:
    machine = Machine()
    with pytest.raises(ValueError, match="follow"):
        machine.log.append_entries([Entry(2, 1, DATA, b"")], machine.hear)
    with pytest.raises(ValueError, match="not in the log"):
        machine.log.truncate_suffix(1, machine.hear)


def test_what_was_cut_off_the_head_may_be_there_again_after_a_crash() -> None:
    firsts = set()
    for seed in range(30):
        machine = Machine(seed)
        machine.append(b"a", b"b", b"c")
        machine.run()
        machine.log.truncate_prefix(3)
        assert machine.log.first_index == 3
        with pytest.raises(ValueError, match="no longer kept"):
            machine.log.entries(2)
        machine.crash("lost")
        firsts.add(machine.log.first_index)
    assert firsts == {1, 2, 3}


def test_a_flipped_bit_is_found_when_it_is_read_and_at_the_next_start() -> None:
    machine = Machine()
    machine.append(b"a")
    machine.run()
    machine.disk.flip_log()
    with pytest.raises(CorruptLogError):
        machine.log.get(1)
    with pytest.raises(CorruptLogError):
        machine.log.entries(1)
    with pytest.raises(CorruptLogError):
        machine.crash("kept")


def test_a_reset_log_goes_on_where_it_is_told() -> None:
    machine = Machine()
    machine.append(b"a")
    with pytest.raises(ValueError, match="queued"):
        machine.log.reset(9)
    machine.run()
    machine.log.reset(9)
    assert machine.append(b"i") == 9
    machine.run()
    assert machine.crash("lost") == [b"i"]
