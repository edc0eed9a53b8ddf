"""The log port on the segmented log: one wake-up of the event loop a frame, outcomes in order, errors with their text."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from nacosx._core.disk import Faults
from nacosx.storage.log import SegmentedLog
from tests.log_entries import data_of, following
from tests.models.wal import read_log
from tests.unit.core.test_wal_recovery import SECTOR, Killed, overwrite

Outcome = tuple[int, OSError | None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    loop = request.param()
    yield loop
    loop.close()


class Outcomes:
    """Collects what is reported."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.seen: list[Outcome] = []
        self.wanted = 0
        self.reached: asyncio.Future[None] | None = None

    def __call__(self, last_index: int, error: OSError | None) -> None:
        self.seen.append((last_index, error))
        if self.reached is not None and len(self.seen) >= self.wanted:
            self.reached.set_result(None)
            self.reached = None

    def wait(self, wanted: int) -> list[Outcome]:
        self.wanted = wanted
        if len(self.seen) < wanted:
            self.reached = self.loop.create_future()
            run(self.loop, asyncio.wait_for(self.reached, 30))
        return self.seen


def run(loop: asyncio.AbstractEventLoop, story: Coroutine[Any, Any, Any]) -> Any:
    return loop.run_until_complete(story)


def test_appends_are_reported_in_order_and_found_again(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    log = SegmentedLog(tmp_path, loop)
    outcomes = Outcomes(loop)
    assert (log.first_index, log.last_index) == (1, 0)
    assert log.append_entries(following(log, [b"1", b"2"]), outcomes) == 2
    assert log.append_entries(following(log, [b"3"]), outcomes) == 3
    assert outcomes.wait(2) == [(2, None), (3, None)]
    log.close()
    assert [(entry.index, entry.term, entry.data) for entry in read_log(tmp_path)] == [
        *((1, 1, b"1"), (2, 1, b"2"), (3, 1, b"3"))
    ]
    log = SegmentedLog(tmp_path, loop)
    assert list(data_of(log, 2)) == [(2, b"2"), (3, b"3")]
    assert list(data_of(log, 4)) == []
    log.close()


def test_a_long_log_is_read_in_parts(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    log = SegmentedLog(tmp_path, loop, segment_bytes=1 << 20)
    outcomes = Outcomes(loop)
    data = [b"%d " % number * 5000 for number in range(200)]
    for item in data:
        log.append_entries(following(log, [item]), outcomes)
    outcomes.wait(200)
    assert list(data_of(log, 1)) == list(enumerate(data, 1))
    log.close()


def test_many_appends_wake_the_loop_once(tmp_path: Path) -> None:
    """The report of everything that rode on one fdatasync is one callback of the reader."""

    class CountingLoop(asyncio.SelectorEventLoop):
        wakeups = 0

        def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
            def counted() -> None:
                self.wakeups += 1
                callback(*args)

            super().add_reader(fd, counted)

    loop = CountingLoop()
    faults = Faults()
    log = SegmentedLog(tmp_path, loop, faults=faults)
    outcomes = Outcomes(loop)
    faults.hold()
    log.append_entries(following(log, [b"first"]), outcomes)
    faults.wait_held()
    for _ in range(100):
        log.append_entries(following(log, [b"more"]), outcomes)
    faults.release()
    outcomes.wait(101)
    assert loop.wakeups <= 2
    log.close()
    loop.close()


def test_a_failure_comes_with_its_text_and_the_next_append_works(
    tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> None:
    faults = Faults()
    log = SegmentedLog(tmp_path, loop, faults=faults)
    outcomes = Outcomes(loop)
    faults.fail("write", errno.ENOSPC, times=1)
    log.append_entries(following(log, [b"refused"]), outcomes)
    [(_, error)] = outcomes.wait(1)
    assert error is not None
    assert (error.errno, error.strerror) == (errno.ENOSPC, "No space left on device")
    assert log.append_entries(following(log, [b"1"]), outcomes) == 1
    assert outcomes.wait(2)[1] == (1, None)
    log.close()


def test_closing_reports_what_was_still_under_way(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    log = SegmentedLog(tmp_path, loop)
    outcomes = Outcomes(loop)
    log.append_entries(following(log, [b"1"]), outcomes)
    log.close()
    assert outcomes.seen == [(1, None)]
    with pytest.raises(OSError, match="closed"):
        log.append_entries(following(log, [b"2"]), outcomes)


def test_a_torn_end_is_told_in_the_log_of_the_server(
    tmp_path: Path, loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    killed = Killed(tmp_path, [[b"1"], [b"2" * 3000]])
    overwrite(killed.paths[-1], (killed.last.offset // SECTOR + 1) * SECTOR, bytes(SECTOR))
    log = SegmentedLog(killed.directory, loop)
    assert list(data_of(log, 1)) == [(1, b"1")]
    log.close()
    assert "bytes of a write that a crash interrupted" in caplog.text


def test_forgetting_and_beginning_anew(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    log = SegmentedLog(tmp_path, loop)
    outcomes = Outcomes(loop)
    log.append_entries(following(log, [b"1", b"2", b"3"]), outcomes)
    outcomes.wait(1)
    log.truncate_prefix(3)
    assert (log.first_index, list(data_of(log, 3))) == (3, [(3, b"3")])
    log.reset(50)
    assert log.append_entries(following(log, [b"50"]), outcomes) == 50
    assert outcomes.wait(2)[1] == (50, None)
    log.close()
