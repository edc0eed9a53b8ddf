"""Whatever the network, the disks and the operators do, nothing committed is lost, and the group finds together again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nacosx._core.entry import Configuration
from nacosx.raft.errors import RaftError
from nacosx.raft.membership import Members
from nacosx.raft.options import Options
from nacosx.raft.ready import Role
from tests.raft_cluster import Letter, RaftCluster

NAMES = ("a", "b", "c", "d", "e")

Action = tuple[str, int]


class Chaos:
    """Does what the actions say; the numbers choose among what is possible."""

    def __init__(self, *, read_only: str = "safe", changes: bool = True, voters: int = 3) -> None:
        self._drawn = 0
        self.cluster = RaftCluster(
            NAMES,
            voters=NAMES[:voters],
            options=Options(
                read_only=read_only,  # type: ignore[arg-type]
                election_heartbeat_factor=3,  # so that not most of what happens is a heartbeat
                max_entries_size=3, max_replicator_inflight_msgs=4, catchup_margin=2,
            ),
            random_below=self._random_below,
            instant=False,
        )  # fmt: skip
        self._changes = changes
        self._side: set[str] = set()
        self._one_way = False
        self._proposed = 0
        self._reads = 0
        self._asked: dict[tuple[str, int], int] = {}  # read → what was committed when it was asked

    def _random_below(self, below: int) -> int:
        self._drawn += 1
        return self._drawn * 7919 % below

    def do(self, action: Action) -> None:
        name, number = action
        getattr(self, name)(number)
        self.cluster.settle()
        self.cluster.check()
        for read, index in self.cluster.answers.items():
            asked = self._asked.pop(read, None)
            if asked is not None and index is not None:
                assert index >= asked, f"a read saw {index} where {asked} had been committed"
        self.cluster.answers.clear()

    def _alive(self, number: int) -> str | None:
        alive = [name for name in NAMES if self.cluster.members[name].alive]
        return alive[number % len(alive)] if alive else None

    def _leader(self, number: int) -> str | None:
        leaders = [
            name for name in NAMES if self.cluster.members[name].alive and self.cluster.node(name).role is Role.LEADER
        ]
        return leaders[number % len(leaders)] if leaders else None

    def deliver(self, number: int) -> None:
        """The oldest mostly: a network that mostly works finds deeper states."""
        network = self.cluster.network
        network[:] = [letter for letter in network if not self._lost(letter)]
        for _ in range(number % 8 + 1):
            if network:
                self.cluster.deliver(0 if number % 3 else number % len(network))
                self.cluster.settle()

    def duplicate(self, number: int) -> None:
        if self.cluster.network:
            self.cluster.deliver(number % len(self.cluster.network), keep=True)

    def drop(self, number: int) -> None:
        if self.cluster.network:
            del self.cluster.network[number % len(self.cluster.network)]

    def cut(self, number: int) -> None:
        """From now on letters cross only between those on the same side; or, rarely, not from one side to the other."""
        self._side = {name for bit, name in enumerate(NAMES) if number >> bit & 1}
        self._one_way = number % 7 == 0

    def mend(self, number: int) -> None:
        self._side = set()

    def _lost(self, letter: Letter) -> bool:
        from_us, to_us = letter.sender in self._side, letter.to in self._side
        return from_us != to_us and (from_us or not self._one_way)

    def calm(self, number: int) -> None:
        """For a while everything that can cross does, and disks are fast: most groups get a leader in it."""
        for _ in range(number % 12):
            for _ in range(len(self.cluster.network)):
                self.deliver(1)
            for name in NAMES:
                if self.cluster.members[name].alive:
                    self.cluster.write(name, number // 12 % 4)
            self.cluster.settle()
            self.wake(0)

    def wait(self, number: int) -> None:
        self.cluster.advance(self.cluster.now_ms + number % 400)

    def wake(self, number: int) -> None:
        wakes_ms = self.cluster.wakes_ms()
        if wakes_ms < 1 << 40:
            self.cluster.advance(wakes_ms)

    def write(self, number: int) -> None:
        if (name := self._alive(number)) is not None:
            self.cluster.write(name, number // 5 % 3 + 1)

    def fail_disk(self, number: int) -> None:
        if (name := self._alive(number)) is not None:
            self.cluster.fail_disk(name)

    def crash(self, number: int) -> None:
        if (name := self._alive(number)) is not None:
            self.cluster.crash(name, number // 5 % 3)

    def restart(self, number: int) -> None:
        name = NAMES[number % len(NAMES)]
        if not self.cluster.members[name].alive:
            self.cluster.restart(name)

    def propose(self, number: int) -> None:
        if (name := self._leader(number)) is not None:
            batch = [b"%d" % (self._proposed + more) for more in range(number % 4 + 1)]
            self._proposed += len(batch)
            try:
                self.cluster.node(name).propose(batch)
            except RaftError:
                return

    def read(self, number: int) -> None:
        if (name := self._alive(number)) is not None:
            self._reads += 1
            self._asked[name, self._reads] = max(self.cluster.committed, default=0)
            self.cluster.node(name).read(self._reads, self.cluster.now_ms)

    def transfer(self, number: int) -> None:
        if (name := self._leader(number)) is not None:
            try:
                self.cluster.node(name).transfer(NAMES[number // 5 % len(NAMES)], self.cluster.now_ms)
            except RaftError:
                return

    def change(self, number: int) -> None:
        if not self._changes or (name := self._leader(number)) is None:
            return
        voters = [voter for bit, voter in enumerate(NAMES) if number >> bit & 1]
        learners = [learner for bit, learner in enumerate(NAMES) if number >> bit + 5 & 1 and learner not in voters]
        try:
            self.cluster.node(name).change(Configuration(voters, learners))
        except RaftError:
            return

    def snapshot(self, number: int) -> None:
        if (name := self._alive(number)) is not None:
            self.cluster.take_snapshot(name, keep=number // 5 % 4)

    def install(self, number: int) -> None:
        if (name := self._alive(number)) is not None:
            self.cluster.install_snapshot(name)

    def heal(self) -> None:
        """Everybody runs and hears everybody: one leads, ends what it has begun, commits, and all its members have the same."""
        cluster = self.cluster
        for name in NAMES:
            if not cluster.members[name].alive:
                cluster.restart(name)
        cluster.instant = True
        for name in NAMES:
            cluster.write(name, len(cluster.members[name].queue))
        for _ in range(80):
            cluster.run(250)
            for name in NAMES:
                cluster.install_snapshot(name)
        cluster.check()
        leader = cluster.leader
        assert not leader.changing, "a change of the members waits for something, and nothing happens"
        index = leader.propose([b"last"])
        cluster.run(500)
        assert cluster.committed[index].data == b"last"
        for name in Members(leader.configuration).all:
            state = cluster.members[name].state
            assert state == [cluster.committed[entry.index] for entry in state]
            applied_index = state[-1].index if state else 0
            assert applied_index == leader.log.last_index, f"{name} is behind: it has applied up to {applied_index}"


WEIGHTS = {
    "deliver": 40, "calm": 3, "write": 20, "wake": 12, "propose": 8, "read": 4, "wait": 3, "drop": 2, "duplicate": 2, "cut": 2,
    "mend": 3,
    "crash": 2, "restart": 5, "fail_disk": 1, "transfer": 1, "change": 2, "snapshot": 2, "install": 2,
}  # fmt: skip
ACTIONS = [name for name, weight in WEIGHTS.items() for _ in range(weight)]


@pytest.mark.parametrize("read_only", ["safe", "lease"])
@pytest.mark.parametrize("changes", [False, True])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 1 << 12)), min_size=50, max_size=250))
def test_safety(actions: list[Action], read_only: str, changes: bool) -> None:
    """Election safety, log matching, leader completeness, state machine safety, reads; and then it goes on."""
    chaos = Chaos(read_only=read_only, changes=changes)
    for action in actions:
        chaos.do(action)
    chaos.heal()


def seeded(random_below: Callable[[int], int], count: int) -> list[Action]:
    return [(ACTIONS[random_below(len(ACTIONS))], random_below(1 << 12)) for _ in range(count)]


@pytest.mark.parametrize("seed", range(12))
def test_long_runs_of_chance_are_safe_too(seed: int) -> None:
    """Deeper than lists of actions get that can be shrunk."""
    import random

    chaos = Chaos(read_only="lease" if seed % 2 else "safe")
    for action in seeded(random.Random(seed).randrange, 1200):
        chaos.do(action)
    chaos.heal()
