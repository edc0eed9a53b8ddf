"""The rules of Raft. Bars: a group of one ≤ 5 µs for propose, ready, stable, ready; work per batch, not per entry."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from nacosx._core.entry import Configuration, Entry
from nacosx.raft.log import RaftLog
from nacosx.raft.messages import AppendEntries, AppendEntriesReply, Message
from nacosx.raft.node import Node
from nacosx.raft.options import Options
from nacosx.raft.ready import HardState, Ready, Role


class Disk:
    """Takes everything and keeps the terms: what the rules cost, not what a disk does."""

    first_index = 1
    last_index = 0

    def term(self, index: int) -> int | None:
        return 1 if 1 <= index <= self.last_index else 0 if index == 0 else None

    def entries(self, from_index: int, *, bytes_max: int) -> list[Entry]:
        raise AssertionError(f"entry {from_index} is in memory")

    def configurations(self) -> list[Entry]:
        return []


class Member:
    def __init__(self, name: str, peers: tuple[str, ...]) -> None:
        self.disk = Disk()
        self.node = Node(
            name,
            Options(),
            log=RaftLog(self.disk),
            hard_state=HardState(),
            configuration=Configuration(peers),
            now_ms=0,
            random_below=lambda below: 0,
        )

    def cycle(self) -> list[tuple[str, Message]]:
        """One turn with a disk that is done at once."""
        node = self.node
        messages: list[tuple[str, Message]] = []
        while (ready := node.ready()) is not None:
            if ready.hard_state is not None:
                node.hard_state_saved(ready.hard_state)
            messages += ready.messages
            if ready.entries:
                last = ready.entries[-1]
                self.disk.last_index = last.index
                node.stable(last.index, last.term, 0)
            node.applied(ready.commit_index)
        return messages


def group(*names: str) -> dict[str, Member]:
    """One that the first of them leads, with its first entry committed."""
    members = {name: Member(name, names) for name in names}
    members[names[0]].node.campaign(0)
    deliver(members)
    assert members[names[0]].node.role is Role.LEADER
    return members


def deliver(members: dict[str, Member]) -> None:
    moved = True
    while moved:
        moved = False
        for name, member in members.items():
            for to, message in member.cycle():
                moved = True
                members[to].node.step(name, message, 0)


@pytest.mark.parametrize("batch", [1, 32, 512])
def test_group_of_one(benchmark: BenchmarkFixture, batch: int) -> None:
    """propose, ready, stable, ready, applied."""
    member = group("a")["a"]
    node, disk, data = member.node, member.disk, [b"x" * 128] * batch

    def cycle() -> Ready | None:
        node.propose(data)
        ready = node.ready()
        assert ready is not None
        last = ready.entries[-1]
        disk.last_index = last.index
        node.stable(last.index, last.term, 0)
        ready = node.ready()
        assert ready is not None
        node.applied(ready.commit_index)
        return ready

    assert benchmark(cycle) is not None
    assert node.ready() is None


@pytest.mark.parametrize("batch", [1, 32, 512])
def test_leader_of_three(benchmark: BenchmarkFixture, batch: int) -> None:
    """One batch of 128 B entries: propose, send to two, the own disk, an answer of each, commit. All on the leader's side."""
    members = group("a", "b", "c")
    node, disk, data = members["a"].node, members["a"].disk, [b"x" * 128] * batch

    def cycle() -> None:
        node.propose(data)
        ready = node.ready()
        assert ready is not None
        last = ready.entries[-1]
        disk.last_index = last.index
        sent = ready.messages
        node.stable(last.index, last.term, 0)
        for to, message in sent:
            if type(message) is AppendEntries:
                node.step(to, AppendEntriesReply(message.term, message.sequence, True, last.index), 0)
        ready = node.ready()
        assert ready is not None
        assert ready.commit_index == last.index
        node.applied(ready.commit_index)

    benchmark(cycle)


@pytest.mark.parametrize("batch", [1, 32, 512])
def test_follower_of_three(benchmark: BenchmarkFixture, batch: int) -> None:
    """One batch: step, ready, the disk, the answer; what was committed before is applied."""
    members = group("a", "b", "c")
    node, disk = members["b"].node, members["b"].disk
    sequence, term = 1 << 32, node.term

    def appends() -> Callable[[], AppendEntries]:
        first = node.log.last_index + 1
        entries = [Entry(index, term, 1, b"x" * 128) for index in range(first, first + batch)]
        message = AppendEntries(term, sequence, first - 1, term, first - 1, entries)
        return lambda: message

    def setup() -> tuple[tuple[AppendEntries], dict[str, object]]:
        return (appends()(),), {}

    def cycle(message: AppendEntries) -> None:
        node.step("a", message, 0)
        ready = node.ready()
        assert ready is not None
        last = ready.entries[-1]
        disk.last_index = last.index
        node.stable(last.index, last.term, 0)
        node.applied(ready.commit_index)
        ready = node.ready()
        assert ready is not None
        assert len(ready.messages) == 1

    benchmark.pedantic(cycle, setup=setup, rounds=2000)  # type: ignore[no-untyped-call]


def test_reads_of_a_turn(benchmark: BenchmarkFixture) -> None:
    """32 reads of a leader of three: one round of heartbeats and its answers."""
    members = group("a", "b", "c")
    node = members["a"].node

    def turn() -> int:
        for request in range(32):
            node.read(request, 0)
        ready = node.ready()
        assert ready is not None
        for name, message in ready.messages:
            members[name].node.step("a", message, 0)
            answer = members[name].node.ready()
            assert answer is not None
            node.step(name, answer.messages[0][1], 0)
        ready = node.ready()
        assert ready is not None
        return len(ready.reads)

    assert benchmark(turn) == 32
