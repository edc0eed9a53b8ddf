"""The log. Bars: an append of 32 costs at most 1.5 × what a bare fdatasync of as many bytes costs; a publish in a group of one,
of 16 at once, ≤ 50 µs without the kernel's part."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable, Iterator
from hashlib import md5
from pathlib import Path
from random import randrange
from typing import cast

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from nacosx._core.entry import Configuration, Entry, crc32c, crc32c_table, decode, encode
from nacosx._core.wal import Wal
from nacosx.clock import SystemClock
from nacosx.config.catalog import Catalog
from nacosx.config.commands import PublishConfig
from nacosx.config.model import ConfigKey
from nacosx.engine.ports import RowStore
from nacosx.engine.raft.alone import ALONE
from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.rooms import Rooms
from nacosx.engine.rooms_machine import RoomsMachine
from nacosx.engine.ticker import Ticker
from nacosx.namespaces import Namespaces
from nacosx.naming.registry import Registry
from nacosx.storage.hard_state import HardStateFile
from nacosx.storage.log import SegmentedLog
from nacosx.storage.snapshots import SnapshotDirectory
from tests.memory_storage import MemoryRows
from tests.models.wal import write_frames

PUBLISHERS = 16
PUBLISHES_EACH = 50
REPLAYED = 10_000
MILLION = 1_000_000
SEGMENTS = 10


@pytest.fixture
def wal(tmp_path: Path) -> Iterator[Wal]:
    wal = Wal(str(tmp_path))
    yield wal
    wal.close()


@pytest.mark.parametrize("size", [128, 1024])
@pytest.mark.parametrize("batch", [1, 32, 256])
def test_append(benchmark: BenchmarkFixture, wal: Wal, size: int, batch: int) -> None:
    """Until it is on disk."""
    data = [os.urandom(size) for _ in range(batch)]

    def append() -> list[tuple[int, int]]:
        wal.append(data, term=1)
        select.select([wal], [], [])
        return wal.completed()

    assert benchmark(append) == [(1, 0)]
    assert wal.durable_index == wal.last_index > 0


@pytest.mark.parametrize("size", [128, 32 * 1024])
def test_bare_fdatasync(benchmark: BenchmarkFixture, tmp_path: Path, size: int) -> None:
    """What the disk can do: one write and one fdatasync into preallocated space."""
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(fd, 0, 64 << 20)
    os.fsync(fd)
    data = os.urandom(size)
    offset = 0

    def write() -> None:
        nonlocal offset
        os.pwrite(fd, data, offset % (48 << 20))
        os.fdatasync(fd)
        offset += size

    benchmark(write)
    assert os.pread(fd, size, 0) == data
    os.close(fd)


@pytest.mark.parametrize("publishers", [1, PUBLISHERS])
def test_propose_publish(benchmark: BenchmarkFixture, tmp_path: Path, publishers: int) -> None:
    """PUBLISHES_EACH configs of 1 KB from each of the publishers, acknowledged one by one."""
    loop = uvloop.new_event_loop()
    log = SegmentedLog(tmp_path / "log", loop)
    catalog = Catalog()
    clock = SystemClock()
    group = RaftGroup(
        "bench",
        RoomsMachine(Rooms(Registry(), catalog, Namespaces()), cast(RowStore, MemoryRows()), {}),
        id="a",
        configuration=Configuration(["a"]),
        log=log,
        hard_states=HardStateFile(tmp_path / "raft"),
        snapshots=SnapshotDirectory(tmp_path / "snapshots"),
        peers=ALONE,
        ticker=Ticker(loop, clock),
        loop=loop,
        clock=clock,
        random_below=randrange,
    )
    group.start()
    content = os.urandom(512).hex().encode()
    digest = md5(content).hexdigest()

    async def publish(number: int) -> None:
        for round_number in range(PUBLISHES_EACH):
            key = ConfigKey("public", "g", f"{number}-{round_number}")
            await group.propose(PublishConfig(key=key, content=content, md5=digest, now_ms=1, src_ip="127.0.0.1"))

    async def all_publish() -> None:
        await asyncio.gather(*map(publish, range(publishers)))

    benchmark(lambda: loop.run_until_complete(all_publish()))
    assert len(catalog.configs) == publishers * PUBLISHES_EACH
    loop.run_until_complete(group.stop())
    log.close()
    loop.close()


def test_open_and_replay(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """REPLAYED entries of 1 KB: read, checked, handed out."""
    wal = Wal(str(tmp_path))
    wal.append([os.urandom(1024)] * REPLAYED, term=1)
    wal.close()

    def replay() -> int:
        wal = Wal(str(tmp_path))
        index = 1
        while entries := wal.read(index):
            index += len(entries)
        wal.close()
        return index - 1

    assert benchmark(replay) == REPLAYED


@pytest.mark.parametrize("size", [128, 1024])
def test_encode_and_decode_an_entry(benchmark: BenchmarkFixture, size: int) -> None:
    entry = Entry(1, 1, 1, os.urandom(size))
    assert benchmark(lambda: decode(encode(entry))) == (entry, 25 + size)


@pytest.mark.parametrize("checksum", [crc32c, crc32c_table], ids=["processor", "table"])
def test_checksum_of_64_kib(benchmark: BenchmarkFixture, checksum: Callable[[bytes], int]) -> None:
    assert benchmark(checksum, bytes(64 << 10)) == crc32c_table(bytes(64 << 10))


@pytest.mark.parametrize("frame", [1, 256])
def test_recovery_of_a_million_entries(benchmark: BenchmarkFixture, tmp_path: Path, frame: int) -> None:
    """Bar: 2 s. Entries of 128 B, in frames of one or of 256: read, every checksum verified, ready for the next append."""
    write_segments(tmp_path, frame)

    def recover() -> int:
        wal = Wal(str(tmp_path))
        wal.close()
        return wal.last_index

    assert benchmark(recover) == MILLION


def write_segments(directory: Path, frame: int) -> None:
    """A million entries as a log writes them that syncs a million times, but without the syncs."""
    end = 0
    for number in range(SEGMENTS):
        first = 1 + number * (MILLION // SEGMENTS)
        end = write_frames(directory, number + 1, end, first, frames(first, first + MILLION // SEGMENTS, frame), crc32c)


def frames(first: int, end: int, frame: int) -> Iterator[tuple[int, bytes]]:
    """Entries and bytes of each."""
    data = os.urandom(128)
    for begin in range(first, end, frame):
        indexes = range(begin, min(begin + frame, end))
        yield len(indexes), b"".join(encode(Entry(index, 1, 1, data)) for index in indexes)
