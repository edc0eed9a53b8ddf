"""What only the RocksDB log does: batches like SOFAJRaft's, column families, and what it refuses to guess."""

from __future__ import annotations

import asyncio
import errno
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from nacosx._core.entry import CONFIGURATION, DATA, Configuration, Entry, encode
from nacosx._core.wal import CorruptLogError
from nacosx.storage.append_batcher import BYTES_MAX, ENTRIES_MAX, AppendBatcher
from nacosx.storage.rocks_entries import CONFIGURATIONS, FIRST_INDEX, Change, RocksEntries, key_of
from nacosx.storage.rocks_log import RING_SIZE, Operation, RocksLog
from tests.log_entries import following


def operation(*sizes: int) -> Operation:
    return Operation(0, [Entry(1, 1, 1, bytes(size)) for size in sizes], 1)


class Writes:
    def __init__(self) -> None:
        self.batcher: AppendBatcher[Operation] = AppendBatcher(self.write)
        self.seen: list[int] = []  # entries of each write

    def write(self, operations: list[Operation]) -> None:
        self.seen.append(sum(operation.entries_count for operation in operations))


def test_a_batch_is_one_write_unless_it_reaches_a_limit() -> None:
    writes = Writes()
    for number in range(3):
        writes.batcher(operation(10), number, number == 2)
    assert writes.seen == [3]
    for number in range(ENTRIES_MAX + 1):
        writes.batcher(operation(10), number, number == ENTRIES_MAX)
    assert writes.seen == [3, ENTRIES_MAX, 1]
    for number in range(3):
        writes.batcher(operation(BYTES_MAX // 2), number, number == 2)
    assert writes.seen[3:] == [2, 1]


def test_an_append_is_never_split_however_large() -> None:
    writes = Writes()
    writes.batcher(operation(1), 0, False)
    writes.batcher(operation(*[BYTES_MAX] * (ENTRIES_MAX + 1)), 1, False)
    writes.batcher(operation(1), 2, True)
    assert writes.seen == [1, ENTRIES_MAX + 1, 1]


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def ignored(last_index: int, error: OSError | None) -> None:
    assert error is None


def fill(log: RocksLog) -> None:
    for _ in range(RING_SIZE + 1):
        log.append_entries(following(log, [b"more"]), ignored)


def families(directory: Path) -> tuple[Rdict, Rdict]:
    database = Rdict(str(directory), Options(raw_mode=True), column_families={CONFIGURATIONS: Options(raw_mode=True)})
    return database, database.get_column_family(CONFIGURATIONS)


def test_keys_and_column_families_are_those_of_sofajraft(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    log = RocksLog(tmp_path, loop)
    members = Configuration(["a", "b"]).encode()
    log.append_entries(following(log, [b"1", b"2"]), ignored)
    log.append_entries(following(log, [members], kind=CONFIGURATION), ignored)
    log.close()
    log = RocksLog(tmp_path, loop)
    log.truncate_prefix(2)
    log.close()
    database, configurations = families(tmp_path)
    third = encode(Entry(3, 1, CONFIGURATION, members))
    assert list(database.items()) == [(key_of(2), encode(Entry(2, 1, DATA, b"2"))), (key_of(3), third)]
    assert list(configurations.items()) == [(key_of(3), third), (FIRST_INDEX, key_of(2))]
    configurations.close()
    database.close()


def test_an_entry_that_is_another_one_is_refused(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    log = RocksLog(tmp_path, loop)
    log.append_entries(following(log, [b"1", b"2"]), ignored)
    log.close()
    database, configurations = families(tmp_path)
    database[key_of(1)], database[key_of(2)] = database[key_of(2)], database[key_of(1)][:-1]
    configurations.close()
    database.close()
    log = RocksLog(tmp_path, loop)
    with pytest.raises(CorruptLogError, match="entry 1 is another one"):
        log.get(1)
    with pytest.raises(CorruptLogError, match=r"entry 2: .*ends before"):
        log.get(2)
    log.close()


def test_a_damaged_database_is_refused(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    log = RocksLog(tmp_path, loop)
    log.append_entries(following(log, [b"1" * 100_000] * 3), ignored)
    log.close()
    for path in tmp_path.glob("MANIFEST-*"):
        path.write_bytes(b"damaged" * 10)
    with pytest.raises(CorruptLogError, match="Corruption"):
        RocksLog(tmp_path, loop)


def test_a_log_that_is_open_elsewhere_is_refused(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    log = RocksLog(tmp_path, loop)
    with pytest.raises(OSError, match="lock"):
        RocksLog(tmp_path, loop)
    log.close()


def test_more_than_the_ring_holds_is_busy(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    """The disk thread is held in an answer; the operations behind fill the ring: EBUSY, and nothing is queued."""

    class HeldLoop(asyncio.SelectorEventLoop):
        entered = threading.Event()
        release = threading.Event()

        def call_soon_threadsafe(self, callback, *args, context=None):  # type: ignore[no-untyped-def]
            self.entered.set()
            assert self.release.wait(30)
            return super().call_soon_threadsafe(callback, *args, context=context)

    held = HeldLoop()
    log = RocksLog(tmp_path, held)
    log.append_entries(following(log, [b"1"]), ignored)
    assert held.entered.wait(30)
    with pytest.raises(OSError, match="too much waits for the disk") as caught:
        fill(log)
    assert caught.value.errno == errno.EBUSY
    held.release.set()
    last = log.last_index
    log.close()
    held.close()
    log = RocksLog(tmp_path, loop)
    assert log.last_index == last >= RING_SIZE
    log.close()


def test_a_failed_write_that_replaced_entries_is_not_guessed_about(tmp_path: Path) -> None:
    """It may be there or not. Not there: the log goes on with what it had. There: nothing more until a restart tells."""
    entries = RocksEntries(tmp_path)
    change = entries.change()
    for index in range(1, 4):
        change.append(Entry(index, 1, 1, b"old"))
    entries.write(change)
    replaced = entries.change()
    replaced.forget_above(1)
    replaced.append(Entry(2, 2, 1, b"x" * 300_000))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            entries.write(replaced)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    del replaced
    entries.reopen(3)
    assert [entry.data for entry in entries.scan(1, 3)] == [b"old"] * 3
    entries.close()


def test_a_replacing_write_that_is_there_although_it_failed_stops_the_log(tmp_path: Path) -> None:
    """As when only its fdatasync failed: whoever goes on would find the replacement under the entries it was told of."""

    class Doubtful(RocksEntries):
        def write(self, change: Change) -> None:
            sequence = self._sequence
            super().write(change)
            if change.replaces:
                self._sequence, self._replaced = sequence, True
                raise OSError(errno.EIO, "nobody knows")

    entries = Doubtful(tmp_path)
    change = entries.change()
    change.append(Entry(1, 1, 1, b"old"))
    entries.write(change)
    change = entries.change()
    change.forget_above(0)
    with pytest.raises(OSError, match="nobody knows"):
        entries.write(change)
    del change
    for _ in range(2):
        with pytest.raises(OSError, match="has replaced entries: restart"):
            entries.reopen(1)
    entries.close()
    entries = Doubtful(tmp_path)
    assert entries.last_index == 0
    entries.close()
