"""Who founds a cluster, who is taken in, who is put out, and what is left to people: decided by what the others say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import cast

import pytest

from nacosx._core.entry import Configuration
from nacosx.engine.address_book import AddressBook
from nacosx.engine.cluster_members import MEET_MS, ROUND_MS, ClusterMembers
from nacosx.engine.ports import Standing
from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.raft.metrics import RaftMetrics
from nacosx.engine.raft.refusals import RefusedError
from tests.turns import turn
from tests.virtual_time import VirtualTime

FRESH: Sequence[str] = ()


def standing(peers: Sequence[str], *, old: Sequence[str] = (), applied: int = 0, digest: int = 0) -> Standing:
    return Standing(1, "a", Configuration(peers, (), old), applied, digest, {})


class Group:
    """Of member a."""

    name = "g"

    def __init__(self) -> None:
        self.metrics = RaftMetrics()
        self.halted: list[str] = []
        self.standing = standing(FRESH)
        self.is_leader = False
        self.founded: list[list[str]] = []
        self.changes: list[list[str]] = []
        self.refusal: RefusedError | None = None

    def found(self, members: Sequence[str]) -> None:
        self.founded.append(list(members))
        self.standing = standing(members)

    def change_peers(self, members: Sequence[str]) -> asyncio.Future[None]:
        if self.refusal is not None:
            raise self.refusal
        self.changes.append(list(members))
        self.standing = standing(members)
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    @property
    def ended(self) -> bool:
        return bool(self.halted)

    def halt(self, reason: str) -> None:
        self.halted.append(reason)

    def lead(self, *members: str, old: Sequence[str] = ()) -> None:
        self.is_leader = True
        self.standing = standing(members, old=old)


class House:
    """Member a at address A; the others are named alike."""

    def __init__(self, configured: str) -> None:
        self.group = Group()
        self.book = AddressBook(configured)
        self.book.learn("a", "A")
        self.standings: dict[str, Standing] = {}  # of those that are connected
        self.time = VirtualTime()
        self.members = ClusterMembers(
            "a",
            cast(RaftGroup, self.group),
            self.book,
            self,
            ticker=self.time.ticker(),
            loop=asyncio.get_running_loop(),
        )

    def connected(self, member: str) -> bool:
        return member in self.standings

    async def standing(self, member: str, group: str) -> Standing:
        assert group == "g"
        found = self.standings[member]
        if found.applied_index < 0:
            raise OSError("gone in this moment")
        return found

    def meet(self, member: str, address: str, peers: Sequence[str] = FRESH) -> None:
        self.standings[member] = standing(peers)
        self.book.learn(member, address)

    async def look(self, delay_ms: int = ROUND_MS) -> None:
        self.time.advance(delay_ms)
        await turn(10)


def tell(story: Callable[[House], object], configured: str = "ABC") -> None:
    async def told() -> None:
        house = House(configured)
        house.members.start()
        await story(house)  # type: ignore[misc]
        await house.members.stop()
        await house.look()

    asyncio.run(told())


def test_a_cluster_is_founded_when_the_last_one_is_met_and_by_the_sorted_ids() -> None:
    async def story(house: House) -> None:
        house.meet("c", "B")
        await house.look()
        assert house.group.founded == []
        house.meet("b", "C")
        await house.look(MEET_MS)
        assert house.group.founded == [["a", "b", "c"]]
        await house.look()
        assert len(house.group.founded) == 1

    tell(story)


def test_none_is_founded_while_one_of_them_does_not_answer() -> None:
    async def story(house: House) -> None:
        house.meet("b", "B")
        house.meet("c", "C")
        house.standings["c"] = standing(FRESH, applied=-1)
        await house.look()
        del house.standings["c"]
        await house.look()
        assert house.group.founded == []
        house.meet("c", "C")
        await house.look()
        assert house.group.founded == [["a", "b", "c"]]

    tell(story)


def test_none_is_founded_where_there_is_one() -> None:
    async def story(house: House) -> None:
        house.meet("b", "B", ["b", "c", "x"])
        house.meet("c", "C")
        await house.look()
        assert house.group.founded == []

    tell(story)


def test_none_is_founded_by_who_is_not_in_its_own_list() -> None:
    async def story(house: House) -> None:
        house.meet("b", "B")
        house.meet("c", "C")
        await house.look()
        assert house.group.founded == []

    tell(story, "BC")


def test_a_wiped_member_takes_the_place_of_its_former_self() -> None:
    async def story(house: House) -> None:
        house.group.lead("a", "b", "c:5")
        house.meet("c", "C", ["a", "b", "c:5"])
        house.meet("b", "B", ["a", "b", "c:5"])
        await house.look()
        assert house.group.changes == []
        del house.standings["b"]
        await house.look()
        assert house.group.changes == []  # silence is no reason
        house.meet("d", "B")
        await house.look()
        assert house.group.changes == [["a", "c:5", "d"]]

    tell(story)


def test_new_members_are_added_while_there_is_room() -> None:
    async def story(house: House) -> None:
        house.group.lead("a")
        house.meet("b", "B")
        await house.look()
        house.meet("c", "C")
        await house.look()
        assert house.group.changes == [["a", "b"], ["a", "b", "c"]]

    tell(story)


def test_only_the_leader_takes_in_and_not_during_a_change() -> None:
    async def story(house: House) -> None:
        house.group.lead("a", "b", old=["a"])
        house.meet("d", "C")
        await house.look()
        house.group.lead("a", "b")
        house.group.is_leader = False
        await house.look()
        assert house.group.changes == []

    tell(story)


def test_who_has_data_of_a_cluster_or_is_not_in_the_list_is_not_taken_in() -> None:
    async def story(house: House) -> None:
        house.group.lead("a", "b")
        house.meet("b", "B", ["a", "b"])
        house.meet("d", "C", ["d"])
        house.meet("e", "E")
        await house.look()
        assert house.group.changes == []

    tell(story)


def test_a_member_that_moved_where_the_list_does_not_know_it_is_not_put_out() -> None:
    async def story(house: House) -> None:
        house.group.lead("a", "b", "c")
        house.meet("b", "B", ["a", "b", "c"])
        house.meet("c", "elsewhere", ["a", "b", "c"])
        house.meet("d", "C")
        await house.look()
        assert house.group.changes == []

    tell(story)


def test_which_of_two_silent_members_was_wiped_is_left_open_until_one_of_them_answers() -> None:
    async def story(house: House) -> None:
        house.group.lead("a", "b", "c", "d", "e")
        for member in "bc":
            house.meet(member, member.upper(), list("abcde"))
        house.meet("x", "E")
        await house.look()
        assert house.group.changes == []
        house.meet("e", "D", list("abcde"))
        await house.look()
        assert house.group.changes == [["a", "b", "c", "e", "x"]]

    tell(story, "ABCDE")


def test_a_refused_change_is_asked_for_again() -> None:
    async def story(house: House) -> None:
        house.group.lead("a", "b")
        house.group.refusal = RefusedError.busy("a change is under way")
        house.meet("c", "C")
        await house.look()
        house.group.refusal = None
        await house.look()
        assert house.group.changes == [["a", "b", "c"]]

    tell(story)


def test_members_that_hold_something_else_are_noticed(caplog: pytest.LogCaptureFixture) -> None:
    async def story(house: House) -> None:
        house.group.standing = Standing(1, "a", Configuration("abc"), 300, 7, {256: 6})
        house.meet("b", "B")
        house.meet("c", "C")
        house.standings["b"] = Standing(1, "a", Configuration("abc"), 300, 7, {256: 6})
        house.standings["c"] = Standing(1, "a", Configuration("abc"), 310, 9, {256: 6, 300: 7})
        await house.look()
        assert house.members.differences == 0
        house.standings["c"] = Standing(1, "a", Configuration("abc"), 310, 9, {256: 6, 300: 8})
        await house.look()
        assert house.members.differences == 1
        assert house.group.halted == []  # b holds what a holds

    with caplog.at_level(logging.CRITICAL):
        tell(story)
    assert caplog.messages == ["c holds another state than this member since entry 300 or before"]


def test_the_one_that_holds_something_else_than_a_majority_halts() -> None:
    async def story(house: House) -> None:
        house.group.standing = Standing(1, "b", Configuration("abc"), 300, 7, {256: 6})
        house.meet("b", "B")
        house.meet("c", "C")
        house.standings["b"] = Standing(1, "b", Configuration("abc"), 300, 8, {256: 6})
        await house.look()
        assert house.group.halted == []
        house.standings["c"] = Standing(1, "b", Configuration("abc"), 310, 9, {256: 6, 300: 8})
        await house.look()
        await house.look()
        assert house.group.halted == ["a majority of the members holds another state since entry 300 or before"]

    tell(story)
