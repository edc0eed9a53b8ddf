"""Reads that gather in one turn share one round, and are served when its index is applied."""

from __future__ import annotations

import asyncio

import pytest

from nacosx.engine.raft.read_only_service import ReadOnlyService
from nacosx.engine.raft.refusals import EBUSY, EPERM, ETIMEDOUT, RefusedError
from tests.unit.engine.alone_group import story
from tests.virtual_time import VirtualTime


class Service:
    def __init__(self, reads_max: int = 100) -> None:
        self.time = VirtualTime()
        self.asked: list[int] = []
        self.reads = ReadOnlyService(
            self.asked.append, self.time.ticker(), asyncio.get_running_loop(), reads_max=reads_max, timeout_ms=1000
        )


@story
async def test_the_reads_of_one_turn_share_one_round() -> None:
    s = Service()
    first = [s.reads.read() for _ in range(3)]
    s.reads.flush()
    second = s.reads.read()
    s.reads.flush()
    s.reads.flush()
    assert s.asked == [1, 2]
    s.reads.answered([(1, 7)], 7)
    assert await asyncio.gather(*first) == [7, 7, 7]
    assert not second.done()


@story
async def test_a_read_waits_until_its_index_is_applied() -> None:
    s = Service()
    reads = []
    for _ in range(3):
        reads.append(s.reads.read())
        s.reads.flush()
    s.reads.answered([(1, 9), (2, 8), (3, 11)], 7)
    s.reads.applied(8)
    assert [read.done() for read in reads] == [False, True, False]
    s.reads.applied(10)
    assert [read.done() for read in reads] == [True, True, False]
    s.reads.applied(11)
    assert await asyncio.gather(*reads) == [9, 8, 11]


@story
async def test_without_a_leader_a_read_is_refused() -> None:
    s = Service()
    read = s.reads.read()
    s.reads.flush()
    s.reads.answered([(1, None), (99, 4)], 7)
    with pytest.raises(RefusedError) as caught:
        await read
    assert caught.value.error == EPERM


@story
async def test_a_round_that_is_not_answered_is_given_up_and_its_answer_is_too_late() -> None:
    s = Service()
    read = s.reads.read()
    s.reads.flush()
    s.time.advance(1000)
    with pytest.raises(RefusedError) as caught:
        await read
    assert caught.value.error == ETIMEDOUT
    s.reads.answered([(1, 7)], 7)


@story
async def test_no_more_reads_wait_than_may() -> None:
    s = Service(reads_max=2)
    gone, read = s.reads.read(), s.reads.read()
    gone.cancel()
    with pytest.raises(RefusedError, match="2 reads wait") as caught:
        s.reads.read()
    assert caught.value.error == EBUSY
    s.reads.flush()
    s.reads.answered([(1, 1)], 1)
    await read
    s.reads.read()


@story
async def test_a_stop_refuses_all_that_wait() -> None:
    s = Service()
    reads = [s.reads.read()]
    s.reads.flush()
    s.reads.answered([(1, 9)], 7)
    reads.append(s.reads.read())
    s.reads.flush()
    reads.append(s.reads.read())
    s.reads.stop(RefusedError.stopped("the end"))
    for read in reads:
        with pytest.raises(RefusedError, match="the end"):
            await read
    assert s.time.armed == 1  # the wheel's own wake-up; no timeout is left in it
