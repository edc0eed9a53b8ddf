"""Members of one group: what one of them takes all of them have, whoever leads, whoever is away, whoever joins."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Any

import pytest

from nacosx.engine.raft.limits import Limits
from nacosx.engine.raft.refusals import EPERM, RefusedError
from nacosx.errors import NacosError
from tests.turns import turn
from tests.unit.engine.alone_group import story
from tests.unit.engine.raft_cluster import Cluster, Member


def refusals(results: list[Any]) -> list[Any]:
    return [type(result) if isinstance(result, Exception) else result for result in results]


# --- proposals -----------------------------------------------------------------------------------------------------------


@story
async def test_what_the_leader_takes_all_members_have() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    assert await cluster.propose(leader, "one", "two", "three") == [1, 2, 3]
    await cluster.advance(200)
    assert cluster.words() == [["one", "two", "three"]] * 3
    assert leader.machine.told == ["members a b c", f"leads in term {leader.group.node.term}"]


@story
async def test_a_follower_hands_on_and_answers_with_its_own_result() -> None:
    cluster = Cluster()
    follower = (await cluster.others())[0]
    assert await cluster.propose(follower, "one", "two") == [1, 2]
    assert follower.machine.words == ["one", "two"]
    [refused] = await cluster.propose(follower, "two")
    assert isinstance(refused, NacosError)
    assert refused.detail == "two again"
    await cluster.advance(200)
    assert cluster.words() == [["one", "two"]] * 3


@story
async def test_without_a_quorum_nothing_is_answered_and_the_leader_steps_down() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    cluster.cut |= {member.name for member in await cluster.others()}
    proposed = leader.group.propose("lost?")
    await cluster.advance(200)
    assert not proposed.done()
    await cluster.advance(3000)
    with pytest.raises(RefusedError, match="before the write was confirmed") as caught:
        await proposed
    assert caught.value.unknown
    assert leader.machine.told[-1] == "leads no more"
    assert leader.machine.words == []


@story
async def test_without_a_leader_a_proposal_is_refused_at_once() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    follower = next(member for member in cluster.members.values() if member is not leader)
    cluster.cut |= set("abc")
    await cluster.advance(5000)
    [refused] = await cluster.propose(follower, "one")
    assert isinstance(refused, RefusedError)
    assert (refused.error, refused.leader, refused.unknown) == (EPERM, "", False)


@story
async def test_a_leader_that_was_away_learns_what_it_has_missed() -> None:
    cluster = Cluster()
    old = await cluster.leader()
    await cluster.propose(old, "one")
    cluster.cut.add(old.name)
    old.group.propose("nowhere").add_done_callback(lambda future: future.exception())
    new = await cluster.leader()
    assert new is not old
    assert await cluster.propose(new, "two") == [2]
    cluster.cut.clear()
    await cluster.leader()
    await cluster.advance(1000)
    assert cluster.words() == [["one", "two"]] * 3


@story
async def test_an_expected_term_is_kept_to() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    term = leader.group.node.term
    right, wrong = leader.group.propose("one", expected_term=term), leader.group.propose("two", expected_term=term + 1)
    other = (await cluster.others())[0].group.propose("three", expected_term=term)
    await cluster.settle()
    assert await right == 1
    for future in (wrong, other):
        with pytest.raises(RefusedError) as caught:
            await future
        assert caught.value.error == EPERM


@story
async def test_a_leader_whose_disk_fails_hands_over_and_is_a_follower_then() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    await cluster.propose(leader, "one")
    leader.disk_works = False
    proposed = leader.group.propose("two")
    await turn()
    leader.log.fail(OSError(errno.EIO, "Input/output error"))
    with pytest.raises(NacosError, match="could not be stored: Input/output error"):
        await proposed
    leader.disk_works = True
    new = await cluster.leader()
    assert new is not leader
    await cluster.propose(new, "three")
    await cluster.advance(1000)
    assert len({tuple(words) for words in cluster.words()}) == 1


@story
async def test_a_machine_that_fails_halts_its_member_and_no_other() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    follower = (await cluster.others())[0]
    follower.machine.bug = ZeroDivisionError()
    assert await cluster.propose(leader, "one", "bug", "two") == [1, 2, 3]
    await cluster.advance(500)
    assert follower.machine.words == ["one"]
    with pytest.raises(RefusedError, match=r"applying entry \d+ failed: ZeroDivisionError"):
        follower.group.propose("three")
    assert await cluster.propose(leader, "three") == [4]


@story
async def test_a_leader_that_halts_is_followed_by_another() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    leader.machine.bug = ZeroDivisionError()
    [refused] = await cluster.propose(leader, "bug")
    assert isinstance(refused, RefusedError)
    assert refused.unknown
    cluster.cut.add(leader.name)
    new = await cluster.leader()
    assert new.machine.words == ["bug"]


# --- reads ---------------------------------------------------------------------------------------------------------------


@story
async def test_a_read_on_any_member_sees_what_was_acknowledged_before() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    await cluster.propose(leader, "one", "two")
    for member in cluster.members.values():
        reads = [member.group.read_index() for _ in range(3)]
        await cluster.settle()
        index = max(await asyncio.gather(*reads))
        assert member.group.applied_index >= index
        assert member.machine.words == ["one", "two"]
        assert member.group.metrics.read_index_rounds == 1  # for all three


@story
async def test_a_leader_that_is_cut_off_confirms_no_read() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    cluster.cut.add(leader.name)
    read = leader.group.read_index()
    await cluster.advance(200)
    assert not read.done()
    await cluster.advance(6000)
    with pytest.raises(RefusedError):
        await read


# --- members -------------------------------------------------------------------------------------------------------------


@story
async def test_a_member_joins_and_gets_everything_and_leaves_again() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    await cluster.propose(leader, "one", "two")
    cluster.join("d")
    joined = leader.group.add_peer("d")
    await cluster.advance(1000)
    await joined
    assert cluster["d"].machine.words == ["one", "two"]
    assert leader.group.node.configuration.peers == ("a", "b", "c", "d")
    left = leader.group.remove_peer("d")
    await cluster.advance(500)
    await left
    assert leader.group.node.configuration.peers == ("a", "b", "c")


@story
async def test_several_members_change_at_once_by_joint_consensus() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    await cluster.propose(leader, "one")
    gone = (await cluster.others())[0].name
    stay = [name for name in "abc" if name != gone]
    cluster.join("d")
    cluster.join("e")
    changed = leader.group.change_peers([*stay, "d", "e"])
    await cluster.advance(1000)
    await changed
    assert sorted(leader.group.node.configuration.peers) == sorted([*stay, "d", "e"])
    assert cluster["e"].machine.words == ["one"]


@story
async def test_a_learner_learns_and_does_not_vote() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    learner = cluster.join("l")
    added = leader.group.add_learner("l")
    await cluster.advance(500)
    await added
    await cluster.propose(leader, "one")
    await cluster.advance(300)
    assert learner.machine.words == ["one"]
    cluster.cut |= set("abc")
    await cluster.advance(5000)
    assert not learner.group.is_leader
    cluster.cut.clear()
    removed = (await cluster.leader()).group.remove_learner("l")
    await cluster.advance(500)
    await removed


@story
async def test_leadership_is_handed_over() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    to = (await cluster.others())[1]
    handed = leader.group.transfer_leadership_to(to.name)
    await cluster.advance(500)
    await handed
    assert await cluster.leader() is to


@story
async def test_leadership_stays_when_the_heir_does_not_answer() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    heir = (await cluster.others())[1]
    cluster.cut.add(heir.name)
    handed = leader.group.transfer_leadership_to(heir.name)
    waiting = leader.group.propose("one")
    await cluster.settle()
    with pytest.raises(RefusedError, match=f"leadership goes to {heir.name}"):
        await waiting
    await cluster.advance(1500)
    with pytest.raises(RefusedError, match="has not become the leader"):
        await handed
    assert await cluster.propose(leader, "one") == [1]


@story
async def test_who_does_not_lead_changes_nothing() -> None:
    cluster = Cluster()
    follower = (await cluster.others())[0]
    for ask in (
        lambda: follower.group.add_peer("d"),
        lambda: follower.group.transfer_leadership_to("a"),
    ):
        with pytest.raises(RefusedError) as caught:
            ask()
        assert caught.value.error == EPERM
        assert caught.value.leader == follower.group.leader


@story
async def test_the_operator_saves_what_one_of_three_has() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    await cluster.propose(leader, "one")
    survivor = (await cluster.others())[0]
    await cluster.advance(300)
    cluster.cut |= set("abc") - {survivor.name}
    await cluster.advance(3000)
    survivor.group.reset_peers([survivor.name])
    await cluster.settle()
    assert survivor.group.is_leader
    assert await cluster.propose(survivor, "two") == [2]


# --- snapshots -----------------------------------------------------------------------------------------------------------


@story
async def test_a_member_that_was_away_too_long_gets_a_snapshot() -> None:
    cluster = Cluster(limits=Limits(snapshot_entries=20, snapshot_chunk_bytes=7))
    leader = await cluster.leader()
    away = (await cluster.others())[0]
    cluster.cut.add(away.name)
    for number in range(100):
        await cluster.propose(leader, f"word{number}")
    assert leader.log.first_index > 20
    cluster.cut.clear()
    await cluster.advance(3000)
    assert away.machine.words == leader.machine.words
    assert away.group.metrics.fsm_snapshot_load.count == 1
    assert await cluster.propose(leader, "more") == [101]
    await cluster.advance(200)
    assert away.machine.words == leader.machine.words
    assert away.group._caller.digest == leader.group._caller.digest


async def one_away(limits: Limits) -> tuple[Cluster, Member, Member]:
    """A cluster whose leader has forgotten what a member that was away needs: it is connected again, and no time has passed."""
    cluster = Cluster(limits=limits)
    leader = await cluster.leader()
    away = (await cluster.others())[0]
    cluster.cut.add(away.name)
    for number in range(100):
        await cluster.propose(leader, f"word{number}")
    cluster.cut.clear()
    return cluster, leader, away


def breaks_off(chunk: bytes) -> bytes:
    raise OSError("the connection broke off")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (breaks_off, "the connection broke off"),
        (lambda chunk: b"", "it ends at 0 of"),
        (lambda chunk: chunk + b"x", "the snapshot is not whole"),
    ],
)
def test_a_snapshot_that_does_not_arrive_whole_is_offered_again(
    fault: Callable[[bytes], bytes], error: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def tell() -> None:
        cluster, leader, away = await one_away(Limits(snapshot_entries=20))
        cluster.chunk = fault
        await cluster.advance(2000)
        assert away.machine.words == []
        assert away.snapshots.kept == {}
        cluster.chunk = lambda chunk: chunk
        await cluster.advance(4000)
        assert away.machine.words == leader.machine.words

    asyncio.run(tell())
    assert error in caplog.text


@story
async def test_a_snapshot_that_is_damaged_on_the_leaders_disk_is_replaced() -> None:
    cluster, leader, away = await one_away(Limits(snapshot_entries=20))
    taken = leader.group.metrics.fsm_snapshot_save.count

    def damaged(chunk: bytes) -> bytes:
        return chunk if leader.group.metrics.fsm_snapshot_save.count > taken else chunk[:-1]

    cluster.chunk = damaged
    await cluster.advance(10_000)
    assert away.machine.words == leader.machine.words


@story
async def test_a_snapshot_comes_no_faster_than_it_may() -> None:
    """About 800 bytes, 2000 a second."""
    cluster, leader, away = await one_away(
        Limits(snapshot_entries=20, snapshot_chunk_bytes=50, snapshot_bytes_per_s_max=2000)
    )
    await cluster.advance(350)
    assert away.machine.words == []
    assert away.group.snapshot_task is not None
    await cluster.advance(650)
    assert away.machine.words == leader.machine.words


@story
async def test_a_newer_snapshot_takes_the_place_of_one_that_is_being_fetched() -> None:
    """Neither is lost: else a follower on a slow way would never get one from a leader that takes them often."""
    cluster, leader, away = await one_away(
        Limits(snapshot_entries=20, snapshot_chunk_bytes=50, snapshot_bytes_per_s_max=200)
    )
    await cluster.advance(500)
    fetching = away.group.snapshot_task
    assert fetching is not None
    for number in range(30):
        await cluster.propose(leader, f"later{number}")
    await leader.group.snapshot()
    newest = max(leader.snapshots.kept)
    await cluster.advance(2000)
    assert away.group.snapshot_task is fetching
    await cluster.advance(6000)
    assert list(away.snapshots.kept) == [newest]
    assert away.group.metrics.fsm_snapshot_load.count == 1
    assert away.machine.words == leader.machine.words


def test_a_snapshot_that_the_machine_cannot_read_halts_the_member(caplog: pytest.LogCaptureFixture) -> None:
    async def tell() -> None:
        cluster, _, away = await one_away(Limits(snapshot_entries=20))

        def restore(index: int, snapshot: object) -> None:
            raise ValueError("of a later version")

        away.machine.restore = restore  # type: ignore[method-assign]
        await cluster.advance(3000)
        assert away.group.ended

    asyncio.run(tell())
    assert "cannot be taken over: ValueError('of a later version')" in caplog.text


@story
async def test_a_member_that_starts_again_has_what_it_had() -> None:
    cluster = Cluster(limits=Limits(snapshot_entries=20))
    leader = await cluster.leader()
    for number in range(30):
        await cluster.propose(leader, f"word{number}")
    await cluster.advance(200)
    for member in cluster.members.values():
        member.kill()
        member.start()
    leader = await cluster.leader()
    assert await cluster.propose(leader, "more") == [31]
    await cluster.advance(300)
    assert cluster.words() == [[*(f"word{number}" for number in range(30)), "more"]] * 3


@story
async def test_a_stop_ends_what_waits_for_a_quorum_that_does_not_come() -> None:
    cluster = Cluster(limits=Limits(stop_wait_ms=1000))
    leader = await cluster.leader()
    cluster.cut |= {member.name for member in await cluster.others()}
    proposed = leader.group.propose("one")
    await cluster.settle()
    stopping = asyncio.ensure_future(leader.group.stop())
    await cluster.advance(900)
    assert not stopping.done()
    await cluster.advance(200)
    await stopping
    with pytest.raises(RefusedError):
        await proposed
