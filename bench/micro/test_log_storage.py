"""The two log storages behind one port, side by side: which one is the default is decided here.

Appends until they are answered on the loop: one at a time, and as the log group does it under load, many at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from nacosx.engine.ports import LogStorage
from nacosx.storage.log import SegmentedLog
from nacosx.storage.rocks_log import RocksLog
from tests.log_entries import data_of, following

Open = Callable[[Path, asyncio.AbstractEventLoop], LogStorage]
STORAGES: dict[str, Open] = {"segmented": SegmentedLog, "rocksdb": RocksLog}
CONCURRENT = 16
REPLAYED = 10_000


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("concurrent", [1, CONCURRENT])
@pytest.mark.parametrize("size", [128, 1024])
@pytest.mark.parametrize("batch", [1, 32, 256])
def test_append_to(
    benchmark: BenchmarkFixture, tmp_path: Path, batch: int, size: int, concurrent: int, storage: str
) -> None:
    """`concurrent` appends of `batch` entries, until the last is answered."""
    loop = uvloop.new_event_loop()
    log = STORAGES[storage](tmp_path, loop)
    data = [os.urandom(size) for _ in range(batch)]
    errors: list[OSError | None] = []

    async def appended() -> None:
        done = loop.create_future()

        def answered(last_index: int, error: OSError | None) -> None:
            errors.append(error)
            if last_index == last:
                done.set_result(None)

        for _ in range(concurrent):
            last = log.append_entries(following(log, data), answered)
        await done

    benchmark(lambda: loop.run_until_complete(appended()))
    assert not any(errors)
    assert log.last_index == len(errors) * batch > 0
    log.close()
    loop.close()


@pytest.mark.parametrize("storage", STORAGES)
def test_open_and_read(benchmark: BenchmarkFixture, tmp_path: Path, storage: str) -> None:
    """REPLAYED entries of 1 KB."""
    loop = uvloop.new_event_loop()
    log = STORAGES[storage](tmp_path, loop)
    log.append_entries(following(log, [os.urandom(1024)] * REPLAYED), lambda last_index, error: None)
    log.close()

    def replay() -> int:
        log = STORAGES[storage](tmp_path, loop)
        count = sum(1 for _ in data_of(log, 1))
        log.close()
        return count

    assert benchmark(replay) == REPLAYED
    loop.close()
