"""One thread writes many logs: each gets its own writes and its own failures; all share the ring, and what it can hold."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.core import log_stress
from nacosx._core.disk import Faults
from nacosx._core.disk_thread import OPERATIONS_MAX, DiskThread
from nacosx._core.wal import Wal
from tests.models.wal import SlowEntry, SlowLog
from tests.wal_directory import SEGMENT_BYTES, entries, recovered, settle, stored, until

WRITE_OPERATIONS_MAX = 256  # of `_core.append_batcher`
WRITE_BYTES_MAX = 1 << 20


class House:
    """Logs that share a thread; the first one's disk can be held."""

    def __init__(self, folder: Path, logs: int) -> None:
        self.folder = folder
        self.disk = DiskThread()
        self.faults = [Faults() for _ in range(logs)]
        self.logs = [self.open(number) for number in range(logs)]

    def open(self, number: int) -> Wal:
        return Wal(
            str(self.folder / f"{number}"), segment_bytes=SEGMENT_BYTES, disk=self.disk, faults=self.faults[number]
        )

    def hold(self) -> None:
        """The thread is in a sync of the first log, until `release`."""
        self.faults[0].hold()
        self.logs[0].append([b"held"], term=1)
        self.faults[0].wait_held()

    def release(self) -> None:
        self.faults[0].release()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, 3)
    yield house
    house.release()
    for log in house.logs:
        log.close()


def disk_threads() -> set[str]:
    """Their ids. One that has just ended may still be there."""
    found = set()
    for path in Path("/proc/self/task").glob("*/comm"):
        with contextlib.suppress(OSError):
            if path.read_text() == "nacosx-disk\n":
                found.add(path.parent.name)
    return found


def test_each_log_holds_what_its_twin_holds(house: House) -> None:
    """Appends, truncations at both ends and resets of three logs, taken in turns; then each is opened again."""
    twins = [SlowLog() for _ in house.logs]
    for turn in range(60):
        for number, (log, twin) in enumerate(zip(house.logs, twins, strict=True)):
            data = [b"%d of log %d " % (turn, number) * (turn + 1)] * (number + 1)
            assert log.append(data, term=turn, kind=1) == twin.append(data, turn, 1)
            if turn % 7 == number:
                log.truncate_suffix(twin.last_index - 1)
                twin.truncate_suffix(twin.last_index - 1)
        if turn % 20 == 19:
            for number, (log, twin) in enumerate(zip(house.logs, twins, strict=True)):
                operations = 20 + sum(earlier % 7 == number for earlier in range(turn - 19, turn + 1))
                assert settle(log, operations) == [0] * operations
                kept = twin.last_index - 5
                log.truncate_prefix(kept)
                twin.truncate_prefix(kept)
                if turn == 19 + 20 * number:
                    log.reset(1000 * turn)
                    twin.reset(1000 * turn)
    for number, (log, twin) in enumerate(zip(house.logs, twins, strict=True)):
        assert entries(log) == twin.entries
        log.close()
        house.logs[number] = house.open(number)
        assert [entry for entry in entries(house.logs[number]) if entry.index >= twin.first_index] == twin.entries


@pytest.mark.parametrize("seed", range(3))
def test_whatever_three_owners_do_at_once_each_log_is_what_it_was_told_to_be(seed: int) -> None:
    """Appends, truncations, resets, reads and a disk that fails, at random, from a thread each; many operations wait."""
    owners = log_stress.run(3000, seed)
    assert all(owner.failures for owner in owners)


def test_what_waits_is_one_write_and_one_fdatasync_for_each_log(house: House) -> None:
    house.hold()
    for number in range(100):
        for log in house.logs:
            log.append([b"%d" % number], term=1)
    assert [log.syncs for log in house.logs] == [0, 0, 0]
    house.release()
    assert [settle(log, operations) for log, operations in zip(house.logs, (101, 100, 100), strict=True)] == [
        *([0] * 101, [0] * 100, [0] * 100)
    ]
    assert [log.syncs for log in house.logs] == [2, 1, 1]


def test_a_log_whose_disk_fails_does_so_alone(house: House) -> None:
    house.hold()
    house.faults[1].fail("sync", errno.EIO, times=1)
    house.faults[2].fail("write", errno.ENOSPC, times=1)
    for log in house.logs:
        log.append([b"1"], term=1)
        log.append([b"2"], term=1)
    house.release()
    assert [set(settle(log, n)) for log, n in zip(house.logs, (3, 2, 2), strict=True)] == [
        *({0}, {errno.EIO}, {errno.ENOSPC})
    ]
    assert [log.last_index for log in house.logs] == [3, 0, 0]
    assert [stored(log, b"again") for log in house.logs] == [4, 1, 1]


def test_what_is_queued_before_a_failure_is_known_fails_and_what_comes_after_does_not(house: House) -> None:
    """More than one write waits behind the one that fails: all of them are refused, and none is written."""
    log = house.logs[0]
    house.hold()
    house.faults[0].fail("sync", errno.EIO, times=1)
    waiting = 2 * WRITE_OPERATIONS_MAX
    for _ in range(waiting):
        log.append([b"refused"], term=1)
    writes = house.faults[0].calls("write")
    house.release()
    assert settle(log, 1 + waiting) == [errno.EIO] * (1 + waiting)
    assert house.faults[0].calls("write") == writes
    assert log.last_index == log.durable_index == 0
    assert stored(log, b"1") == 1
    log.close()
    assert recovered(house.folder / "0") == [SlowEntry(1, 1, 1, b"1")]


def test_a_full_ring_refuses_every_log_and_queues_nothing(house: House) -> None:
    """The answer is EBUSY; once the disk has caught up everything queued is there, in writes of at most 256 operations."""
    house.hold()
    for number in range(1, OPERATIONS_MAX):
        house.logs[number % 2].append([b"%d" % number], term=1)
    last_indexes = [log.last_index for log in house.logs]
    for log in house.logs:
        with pytest.raises(OSError, match="too much waits for the disk") as caught:
            log.append([b"refused"], term=1)
        assert caught.value.errno == errno.EBUSY
    with pytest.raises(OSError, match="too much waits for the disk"):
        house.logs[1].truncate_suffix(1)
    assert [log.last_index for log in house.logs] == last_indexes == [OPERATIONS_MAX // 2, OPERATIONS_MAX // 2, 0]
    house.release()
    for log in house.logs[:2]:
        assert set(settle(log, OPERATIONS_MAX // 2)) == {0}
        assert log.durable_index == OPERATIONS_MAX // 2
        assert log.syncs >= OPERATIONS_MAX // 2 // WRITE_OPERATIONS_MAX
    assert stored(house.logs[2], b"1") == 1


def test_what_no_answer_belongs_to_waits_for_room(house: House) -> None:
    """A full ring refuses neither a truncation of the prefix, nor a reset, nor a close: they wait."""
    assert stored(house.logs[1], b"1", b"2") == 2
    house.hold()
    for _ in range(OPERATIONS_MAX - 1):
        house.logs[0].append([b"x"], term=1)
    calls = (lambda: house.logs[1].truncate_prefix(2), lambda: house.logs[2].reset(7), lambda: house.logs[0].close())
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    house.release()
    for thread in threads:
        thread.join()
    assert [(log.first_index, log.last_index) for log in house.logs] == [(1, OPERATIONS_MAX), (2, 2), (7, 6)]
    assert set(settle(house.logs[0], OPERATIONS_MAX)) == {0}


def test_a_write_is_closed_when_it_holds_a_mebibyte(house: House) -> None:
    """Three appends of 400 KB that wait: two writes. A single append may be larger."""
    log = house.logs[1]
    house.hold()
    for _ in range(3):
        log.append([bytes(400_000)], term=1)
    log.append([bytes(100_000)] * (2 * WRITE_BYTES_MAX // 100_000), term=1)
    house.release()
    assert settle(log, 4) == [0] * 4
    assert log.syncs == 3


def test_the_thread_ends_with_the_last_that_holds_it(tmp_path: Path) -> None:
    before = disk_threads()
    house = House(tmp_path, 2)
    [thread] = disk_threads() - before
    del house.disk
    house.logs[0].close()
    assert stored(house.logs[1], b"written") == 1
    assert thread in disk_threads()
    house.logs[1].close()
    until(lambda: thread not in disk_threads())


def test_a_log_that_is_not_given_a_thread_has_one_of_its_own(tmp_path: Path) -> None:
    before = disk_threads()
    logs = [Wal(str(tmp_path / name)) for name in "ab"]
    threads = disk_threads() - before
    assert len(threads) == 2
    for log in logs:
        log.close()
    until(lambda: not threads & disk_threads())
