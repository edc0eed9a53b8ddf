"""Proposals handed to the leader: the result is what was applied here, in the place the leader gave them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from nacosx.engine.ports import ForwardReply, Peers
from nacosx.engine.raft.apply_queue import Task
from nacosx.engine.raft.closure_queue import ClosureQueue
from nacosx.engine.raft.forwarder import BATCH_BYTES_MAX, Forwarder
from nacosx.engine.raft.fsm_caller import FSMCaller
from nacosx.engine.raft.refusals import EBUSY, EPERM, ETIMEDOUT, RefusedError
from nacosx.errors import CONFIG_CONFLICT, NacosError
from tests.turns import turn
from tests.unit.engine.alone_group import story
from tests.unit.engine.raft_cluster import Words
from tests.virtual_time import VirtualTime

Answer = Sequence[ForwardReply] | OSError


class Leaders:
    """`answers` holds what each call is answered with, in order; a call without one waits."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[bytes]]] = []
        self.answers: list[Answer] = []
        self.waiting: list[asyncio.Future[Answer]] = []

    async def forward(self, to: str, group: str, proposals: Sequence[bytes]) -> Sequence[ForwardReply]:
        self.calls.append((to, list(proposals)))
        if self.answers:
            answer = self.answers.pop(0)
        else:
            self.waiting.append(asyncio.get_running_loop().create_future())
            answer = await self.waiting[-1]
        if isinstance(answer, OSError):
            raise answer
        return answer


class House:
    def __init__(self) -> None:
        self.time = VirtualTime()
        self.leaders = Leaders()
        self.leader = "a"
        self.answered = 0
        self.caller = FSMCaller(Words(), ClosureQueue(), lambda count, size: None)
        self.forwarder = Forwarder(
            "g",
            cast(Peers, self.leaders),
            self.caller,
            lambda: self.leader,
            self._on_answered,
            self.time.ticker(),
            asyncio.get_running_loop(),
            timeout_ms=1000,
        )

    def _on_answered(self, count: int, size: int) -> None:
        self.answered += count

    async def forward(self, *words: str) -> list[asyncio.Future[Any]]:
        tasks: list[Task] = [(word, word.encode(), asyncio.get_running_loop().create_future(), None) for word in words]
        self.forwarder.forward("a", tasks)
        await self.settle()
        return [task[2] for task in tasks]

    async def settle(self) -> None:
        for _ in range(5):
            await turn()

    def applied(self, index: int, term: int, result: object = None, refusal: NacosError | None = None) -> None:
        assert self.caller.watch is not None
        self.caller.watch(index, term, result, refusal)


@story
async def test_a_proposal_has_the_result_of_its_entry() -> None:
    h = House()
    h.leaders.answers.append([ForwardReply(5, 2), ForwardReply(6, 2)])
    one, two = await h.forward("one", "two")
    assert h.leaders.calls == [("a", [b"one", b"two"])]
    h.applied(5, 2, "ONE")
    h.applied(6, 2, refusal=NacosError(CONFIG_CONFLICT, "two again"))
    assert await one == "ONE"
    with pytest.raises(NacosError, match="two again"):
        await two
    assert h.answered == 2
    assert h.caller.watch is None  # nobody waits any more


@story
async def test_the_entry_may_come_before_the_reply() -> None:
    h = House()
    [one] = await h.forward("one")
    h.applied(4, 2, "other")
    h.applied(5, 2, "ONE")
    h.leaders.waiting[0].set_result([ForwardReply(5, 2)])
    await h.settle()
    assert await one == "ONE"
    assert h.caller.watch is None


@story
async def test_another_entry_in_that_place_means_that_it_did_not_happen() -> None:
    h = House()
    h.leaders.answers.append([ForwardReply(5, 2)])
    [one] = await h.forward("one")
    h.applied(5, 3, "other")
    with pytest.raises(RefusedError) as caught:
        await one
    assert (caught.value.error, caught.value.unknown) == (EPERM, False)


@story
async def test_who_turns_out_not_to_lead_names_another() -> None:
    h = House()
    h.leaders.answers += [[ForwardReply(error=EPERM, leader="b")], [ForwardReply(5, 2)]]
    [one] = await h.forward("one")
    assert [to for to, _ in h.leaders.calls] == ["a", "b"]
    h.applied(5, 2, "ONE")
    assert await one == "ONE"


@story
async def test_after_three_leaders_that_do_not_lead_it_is_given_up() -> None:
    h = House()
    h.leaders.answers += [[ForwardReply(error=EPERM, leader=name)] for name in "baba"]
    [one] = await h.forward("one")
    assert [to for to, _ in h.leaders.calls] == ["a", "b", "a"]
    with pytest.raises(RefusedError) as caught:
        await one
    assert (caught.value.error, caught.value.unknown) == (EPERM, False)


@story
async def test_a_leader_that_is_busy_is_not_asked_again() -> None:
    h = House()
    h.leaders.answers.append([ForwardReply(error=EBUSY)])
    [one] = await h.forward("one")
    with pytest.raises(RefusedError) as caught:
        await one
    assert caught.value.error == EBUSY


@pytest.mark.parametrize("answer", [OSError("gone"), [], [ForwardReply(5, 1)] * 2])
def test_without_a_proper_answer_nobody_knows_what_became_of_it(answer: Answer) -> None:
    async def tell() -> None:
        h = House()
        h.leaders.answers.append(answer)
        [one] = await h.forward("one")
        with pytest.raises(RefusedError) as caught:
            await one
        assert caught.value.unknown
        assert h.answered == 1

    asyncio.run(tell())


@story
async def test_an_entry_that_is_not_committed_in_time_may_still_be() -> None:
    h = House()
    h.leaders.answers.append([ForwardReply(5, 2)])
    [one] = await h.forward("one")
    h.time.advance(1000)
    with pytest.raises(RefusedError) as caught:
        await one
    assert (caught.value.error, caught.value.unknown) == (ETIMEDOUT, True)


@story
async def test_what_a_snapshot_skipped_nobody_knows() -> None:
    h = House()
    h.leaders.answers.append([ForwardReply(5, 2), ForwardReply(9, 2)])
    one, two = await h.forward("one", "two")
    h.forwarder.skipped(7)
    with pytest.raises(RefusedError) as caught:
        await one
    assert caught.value.unknown
    h.applied(9, 2, "TWO")
    assert await two == "TWO"


@story
async def test_large_proposals_travel_in_several_calls() -> None:
    h = House()
    await h.forward("x" * BATCH_BYTES_MAX, "y", "z")
    assert [[len(each) for each in proposals] for _, proposals in h.leaders.calls] == [[BATCH_BYTES_MAX], [1, 1]]
    stopping = asyncio.ensure_future(h.forwarder.stop())
    await stopping


@story
async def test_a_stop_ends_all_that_wait() -> None:
    h = House()
    h.leaders.answers.append([ForwardReply(5, 2)])
    [placed] = await h.forward("placed")
    [called] = await h.forward("called")
    gone = (await h.forward("gone"))[0]
    gone.cancel()
    await h.forwarder.stop()
    for future in (placed, called):
        with pytest.raises(RefusedError) as caught:
            await future
        assert caught.value.unknown
    assert h.answered == 3
