"""The groups of one process: what arrives finds its group by name; what they tell of themselves."""

from __future__ import annotations

import asyncio

import pytest

from nacosx.engine.ports import ForwardReply
from nacosx.engine.raft.refusals import EINVAL, EPERM, ESHUTDOWN
from nacosx.raft.messages import TimeoutNow
from tests.unit.engine.alone_group import story
from tests.unit.engine.raft_cluster import GROUP, Cluster


@story
async def test_a_group_is_found_by_its_name() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    node = leader.node
    assert list(node) == [node[GROUP]] == [leader.group]
    node.on_message("b", "other", TimeoutNow(1))  # of a member that knows more groups
    for ask in (lambda: node.read_chunk("other", 1, 0, 10), lambda: node.standing("other")):
        with pytest.raises(OSError, match="'other' is not here"):
            ask()
    with pytest.raises(OSError, match="'other' is not here"):
        await node.on_proposals("other", [b"one"])
    with pytest.raises(AssertionError, match="two groups of one name"):
        node.add(leader.group)


@story
async def test_the_leader_gives_what_it_is_handed_a_place() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    before = leader.group.node.log.last_index
    term = leader.group.node.term
    assert await leader.node.on_proposals(GROUP, [b"one", b"two"]) == [
        ForwardReply(before + 1, term),
        ForwardReply(before + 2, term),
    ]
    await cluster.advance(200)
    assert cluster.words() == [["one", "two"]] * 3
    assert leader.group._pending == leader.group._pending_bytes == 0


@story
async def test_what_the_leader_cannot_read_does_not_enter_the_log() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    assert await leader.node.on_proposals(GROUP, [b"good", b"\xff"]) == [ForwardReply(error=EINVAL)] * 2


@story
async def test_who_does_not_lead_names_the_leader() -> None:
    cluster = Cluster()
    follower = (await cluster.others())[0]
    [reply] = await follower.node.on_proposals(GROUP, [b"one"])
    assert (reply.error, reply.leader) == (EPERM, follower.group.leader)
    await follower.node.stop()
    assert follower.group.ended
    [reply] = await follower.node.on_proposals(GROUP, [b"one"])
    assert reply.error == ESHUTDOWN


@story
async def test_latencies_are_those_of_the_disk_and_of_the_machine() -> None:
    """In milliseconds, measured once a batch."""
    cluster = Cluster("a")
    alone = await cluster.leader()
    before = alone.group.metrics.numbers()
    alone.disk_works = False
    told = alone.group.propose("slow")
    await cluster.advance(300)
    alone.disk_works = True
    apply = alone.group._caller._apply

    def slow(index: int, command: str) -> object:
        cluster.time.clock.advance(20)
        return apply(index, command)

    alone.group._caller._apply = slow
    await cluster.settle()
    await told
    after = alone.group.metrics.numbers()
    assert after["append-logs"] == before["append-logs"] + 1
    assert 250 <= after["append-logs-max"] <= 300
    assert after["fsm-commit"] == before["fsm-commit"] + 1
    assert after["fsm-commit-max"] == 20


@story
async def test_metrics_have_the_names_of_sofajraft() -> None:
    cluster = Cluster()
    leader = await cluster.leader()
    await cluster.propose(leader, "one", "two")
    numbers = leader.group.metrics.numbers()
    assert numbers["append-logs-count"] == leader.group.node.log.last_index
    assert numbers["fsm-apply-tasks-count"] == leader.group.applied_index
    assert numbers["apply-task-overload-times"] == 0
    assert numbers["save-raft-meta"] >= 1
    assert {"save-raft-meta-total", "save-raft-meta-max", "fsm-snapshot-save", "append-logs-max"} <= numbers.keys()
    assert numbers["append-logs-bytes"] > len("onetwo")
    assert 2 <= numbers["append-logs"] <= numbers["append-logs-count"]
    assert 2 <= numbers["fsm-commit"] <= numbers["fsm-apply-tasks-count"]
    assert numbers["replicate-entries-count"] == 2 * leader.group.node.log.last_index
    followers = [member.group.metrics.numbers() for member in await cluster.others()]
    assert sum(each["handle-append-entries"] for each in followers) == numbers["replicate-entries"]
    assert all(each["handle-append-entries-count"] == leader.group.node.log.last_index for each in followers)


def test_a_process_may_hold_many_groups() -> None:
    """Each with its own leader; what is said in one is not heard in another."""

    async def tell() -> None:
        clusters = [Cluster("ab"), Cluster("ab")]
        for number, cluster in enumerate(clusters):
            leader = await cluster.leader()
            await cluster.propose(leader, f"word{number}")
            await cluster.advance(200)
        assert [cluster.words() for cluster in clusters] == [[["word0"]] * 2, [["word1"]] * 2]

    asyncio.run(tell())
