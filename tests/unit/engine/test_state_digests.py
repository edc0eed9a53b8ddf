"""A member that holds something else than the others: found by its digests, and out of it when a majority is against it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import cast

import pytest

from nacosx._core.entry import Configuration
from nacosx.engine.address_book import AddressBook
from nacosx.engine.cluster_members import MEET_MS, ClusterMembers
from nacosx.engine.ports import Standing
from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.raft.refusals import RefusedError
from nacosx.engine.raft.state_digests import differs_at, known, odd_one_out_at
from tests.turns import turn
from tests.unit.engine.alone_group import story
from tests.unit.engine.raft_cluster import GROUP, Cluster
from tests.virtual_time import VirtualTime

MEMBERS = Configuration(["a:5", "b", "c"])


def standing(applied_index: int, digest: int, digests: Mapping[int, int] | None = None) -> Standing:
    return Standing(1, "a", MEMBERS, applied_index, digest, dict(digests or {}))


def test_what_both_know_is_compared() -> None:
    ours, theirs = known(standing(9, 90, {3: 30, 6: 60})), known(standing(6, 61, {3: 30}))
    assert differs_at(ours, theirs) == 6
    assert differs_at(ours, {1: 1, 3: 30}) is None
    assert differs_at(ours, {}) is None


@pytest.mark.parametrize(
    ("others", "voters", "index"),
    [
        ([{3: 1}, {3: 1}], 3, 3),
        ([{3: 1}, {3: 2}], 3, None),  # all differ: nobody can tell
        ([{3: 1}, {}], 3, None),  # one against one
        ([{3: 1}], 2, None),
        ([{3: 0, 5: 1}, {3: 0, 5: 1}], 3, 5),
        ([{3: 0}, {3: 0}], 3, None),
        ([{3: 1}, {3: 1}, {3: 0}], 5, None),
        ([{3: 1}, {3: 1}, {3: 1}], 5, 3),
    ],
)
def test_the_odd_one_out_is_who_has_a_majority_against_it(
    others: list[dict[int, int]], voters: int, index: int | None
) -> None:
    assert odd_one_out_at({3: 0, 5: 0}, others, voters) == index


class Group:
    def __init__(self, ours: Standing) -> None:
        self.standing = ours
        self.is_leader = self.ended = False
        self.halted: list[str] = []

    def halt(self, reason: str) -> None:
        self.halted.append(reason)
        self.ended = True


class Others:
    def __init__(self, standings: Mapping[str, Standing]) -> None:
        self.standings = standings

    def connected(self, member: str) -> bool:
        return True

    async def standing(self, member: str, group: str) -> Standing:
        return self.standings[member]


class Book:
    configured: tuple[str, ...] = ()
    addresses = ("a", "b", "c")

    def watch(self, met: object) -> None: ...


@pytest.mark.parametrize(("of_c", "halted"), [(71, True), (70, False)])
def test_a_member_alone_with_its_state_halts_and_two_that_differ_are_only_told(
    of_c: int, halted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def tell() -> None:
        time = VirtualTime()
        group = Group(standing(7, 70))
        others = Others({"b": standing(8, 80, {7: 71}), "c": standing(7, of_c)})
        members = ClusterMembers(
            "a",
            cast(RaftGroup, group),
            cast(AddressBook, Book()),
            others,
            ticker=time.ticker(),
            loop=asyncio.get_running_loop(),
        )
        group.name = "g"  # type: ignore[attr-defined]
        members.start()
        time.advance(MEET_MS)
        for _ in range(5):
            await turn()
        assert bool(group.halted) is halted
        assert members.differences == 1 + halted
        await members.stop()

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(tell())
    assert "b holds another state than this member since entry 7 or before" in caplog.text


def digests(cluster: Cluster) -> dict[str, int]:
    return {name: member.group.standing.digest for name, member in cluster.members.items()}


@story
async def test_a_state_that_differs_though_the_commands_are_the_same_is_seen() -> None:
    """By what the state holds where the next command has written; the data of the entries are the same."""
    cluster = Cluster()
    leader = await cluster.leader()
    await cluster.propose(leader, "one", "one", "two")
    assert len(set(digests(cluster).values())) == 1
    odd = (await cluster.others())[0]
    odd.machine.words.insert(0, "what nobody wrote")
    assert len(set(digests(cluster).values())) == 1
    await cluster.propose(leader, "three")
    found = digests(cluster)
    assert differs_at({7: found.pop(odd.name)}, {7: found[leader.name]}) == 7
    assert len(set(found.values())) == 1
    assert len({member.group.standing.digest & 0xFFFF_FFFF for member in cluster.members.values()}) == 1


@story
async def test_what_was_written_is_asked_of_nobody_who_is_alone() -> None:
    """It would cost every write, and be compared with nothing. With the second member it begins, for both at one entry."""
    cluster = Cluster("a")
    alone = await cluster.leader()
    await cluster.propose(alone, "one", "two")
    assert not alone.machine.asked
    second = cluster.join("b")
    added = alone.group.add_peer("b")
    await cluster.advance(500)
    await added
    assert not second.machine.asked
    await cluster.propose(alone, "three", "four")
    assert alone.machine.asked == second.machine.asked == 2
    assert len(set(digests(cluster).values())) == 1


@story
async def test_the_digest_goes_on_from_a_snapshot() -> None:
    """Where it was when the snapshot was taken, whoever took it."""
    cluster = Cluster()
    leader = await cluster.leader()
    await cluster.propose(leader, "one", "one", "two")
    other = (await cluster.others())[0]
    await other.group.snapshot()
    other.kill()
    other.start()
    leader = await cluster.leader()
    await cluster.propose(leader, "three")
    assert other.machine.asked == 1
    assert len(set(digests(cluster).values())) == 1


@story
async def test_who_halts_takes_no_part_and_the_others_go_on() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    waiting = leader.group.propose("one")
    leader.group.halt("it holds something else")
    assert leader.group.ended
    with pytest.raises(RefusedError) as caught:
        await waiting
    assert caught.value.unknown
    with pytest.raises(RefusedError, match="the group has halted: it holds something else"):
        leader.group.propose("two")
    with pytest.raises(RefusedError, match="has halted"):
        await leader.group.snapshot()
    with pytest.raises(OSError, match="has halted"):
        leader.node.read_chunk(GROUP, 1, 0, 10)
    with pytest.raises(RefusedError, match="has halted"):
        leader.group.read_index()
    cluster.cut.add(leader.name)
    new = await cluster.leader()
    assert await cluster.propose(new, "three")
