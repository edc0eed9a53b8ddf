"""The parts that a proposal passes: the apply queue, the closures that wait for its entry, and the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from nacosx._core.entry import CONFIGURATION, DATA, NO_OP, Configuration, Entry, crc32c
from nacosx.engine.ports import StateMachine
from nacosx.engine.raft.apply_queue import ApplyQueue, Task
from nacosx.engine.raft.closure_queue import ClosureQueue
from nacosx.engine.raft.fsm_caller import DIGEST_MASK, DIGESTS_MAX, TURN_ENTRIES_MAX, FSMCaller, MachineError
from nacosx.errors import CONFIG_CONFLICT, NacosError
from tests.unit.engine.alone_group import story


def task(word: str) -> Task:
    return word, word.encode(), asyncio.get_running_loop().create_future(), None


# --- the apply queue -----------------------------------------------------------------------------------------------------


@story
async def test_tasks_leave_in_order_in_batches() -> None:
    queue = ApplyQueue(lambda: None, size=16, apply_batch=3)
    tasks = [task(str(number)) for number in range(8)]
    assert all(map(queue.put, tasks))
    assert [queue.take() for _ in range(4)] == [tasks[:3], tasks[3:6], tasks[6:], []]


@story
async def test_a_full_queue_is_emptied_before_a_task_is_refused() -> None:
    taken: list[Task] = []

    def drain() -> None:
        while tasks := queue.take():
            taken.extend(tasks)

    queue = ApplyQueue(drain, size=4)
    tasks = [task(str(number)) for number in range(5)]
    assert [queue.put(each) for each in tasks] == [True] * 4 + [False]
    assert queue.offer(tasks[4])
    assert taken == tasks[:4]


@story
async def test_after_three_tries_a_task_is_refused() -> None:
    tries: list[int] = []
    queue = ApplyQueue(lambda: tries.append(1), size=4)
    for number in range(4):
        assert queue.put(task(str(number)))
    assert not queue.offer(task("more"))
    assert len(tries) == 3


@story
async def test_who_empties_the_queue_and_proposes_meanwhile_is_refused_and_not_called_again() -> None:
    offered: list[bool] = []
    queue = ApplyQueue(lambda: offered.append(queue.offer(task("inner"))), size=4)
    for number in range(4):
        assert queue.put(task(str(number)))
    assert not queue.offer(task("outer"))
    assert offered == [False] * 3


# --- closures ------------------------------------------------------------------------------------------------------------


def batch(*words: str) -> tuple[list[Task], list[bytes]]:
    return [task(word) for word in words], [word.encode() for word in words]


def words(popped: tuple[int, list[Task], list[bytes]]) -> tuple[int, list[str], list[bytes]]:
    return popped[0], [command for command, *_ in popped[1]], popped[2]


@story
async def test_closures_wait_by_index_and_a_batch_may_be_committed_in_parts() -> None:
    closures = ClosureQueue()
    assert closures.first_index == 0
    closures.append(7, *batch("a", "b", "c"))  # entries 5 to 7
    closures.append(11, *batch("d"))  # 8 to 10 are not of proposals
    assert closures.first_index == 5
    assert words(closures.pop(6)) == (5, ["a", "b"], [b"a", b"b"])
    assert closures.first_index == 7
    assert words(closures.pop(20)) == (7, ["c"], [b"c"])
    assert closures.first_index == 11
    popped = closures.pop(11)
    assert closures.first_index == 0
    closures.put_back(popped)
    assert closures.first_index == 11
    assert [command for command, *_ in closures.clear()] == ["d"]
    assert closures.first_index == 0


# --- the machine ---------------------------------------------------------------------------------------------------------


class Recorder(StateMachine):
    """Notes what it applies. "no" is refused, "bug" fails, "?" cannot be decoded."""

    def __init__(self) -> None:
        self.applied: list[tuple[int, str]] = []
        self.batches: list[tuple[int, bool]] = []
        self.members: list[tuple[int, tuple[str, ...]]] = []

    def encode(self, command: str) -> bytes:
        return command.encode()

    def decode(self, data: bytes) -> str:
        if data == b"?":
            raise ValueError("what is that")
        return data.decode()

    def apply(self, index: int, command: str) -> str:
        if command == "bug":
            raise ZeroDivisionError
        if command == "no":
            raise NacosError(CONFIG_CONFLICT, "no")
        self.applied.append((index, command))
        return command.upper()

    def snapshot(self) -> Mapping[str, bytes]:
        return {}

    def restore(self, index: int, snapshot: Mapping[str, bytes]) -> None: ...

    def leader_started(self, term: int) -> None: ...

    def leader_stopped(self) -> None: ...

    def configuration_committed(self, configuration: Configuration, index: int) -> None:
        self.members.append((index, configuration.peers))

    def batch_applied(self, index: int, replayed: bool) -> None:
        self.batches.append((index, replayed))


class Entries:
    """A log; `slice` returns at most `at_most`, as one that is read in parts."""

    def __init__(self, *entries: str | Entry, at_most: int = 1 << 30) -> None:
        self.entries = [
            entry if isinstance(entry, Entry) else Entry(index, 1, DATA, entry.encode())
            for index, entry in enumerate(entries, 1)
        ]
        self.at_most = at_most
        self.slices: list[tuple[int, int]] = []

    def slice(self, low: int, high: int, bytes_max: int) -> Sequence[Entry]:
        self.slices.append((low, high))
        return self.entries[low - 1 : min(high, low - 1 + self.at_most)]


class Caller:
    def __init__(self) -> None:
        self.machine = Recorder()
        self.closures = ClosureQueue()
        self.answered: list[tuple[int, int]] = []
        self.caller = FSMCaller(self.machine, self.closures, lambda count, size: self.answered.append((count, size)))

    def run(self, entries: Entries, commit_index: int, *, replayed: bool = False) -> None:
        self.caller.commit_index = commit_index
        self.caller.run(entries, replayed=replayed)


def test_entries_of_others_are_read_decoded_and_applied_in_order() -> None:
    c = Caller()
    members = Entry(3, 1, CONFIGURATION, Configuration(["a", "b"]).encode())
    c.run(Entries("one", "two", members, Entry(4, 1, NO_OP, b""), "no", "six", at_most=2), 6)
    assert c.machine.applied == [(1, "one"), (2, "two"), (6, "six")]
    assert c.machine.members == [(3, ("a", "b"))]
    assert c.caller.configuration == Configuration(["a", "b"])
    assert c.machine.batches == [(6, False)]
    assert (c.caller.applied_index, c.caller.entries) == (6, 4)
    assert c.answered == []


@story
async def test_own_proposals_are_answered_and_not_read() -> None:
    c = Caller()
    tasks, data = batch("two", "no", "four")
    gone = tasks[2][2]
    gone.cancel()
    c.closures.append(4, tasks, data)
    log = Entries("one", "-", "-", "-", "five")
    c.run(log, 5)
    assert c.machine.applied == [(1, "one"), (2, "two"), (4, "four"), (5, "five")]
    assert log.slices == [(1, 1), (5, 5)]
    assert await tasks[0][2] == "TWO"
    with pytest.raises(NacosError, match="no"):
        await tasks[1][2]
    assert c.answered == [(3, 9)]


@story
async def test_a_batch_that_is_committed_in_part_is_applied_in_part() -> None:
    c = Caller()
    tasks, data = batch("one", "two", "three")
    c.closures.append(3, tasks, data)
    c.run(Entries(), 2)
    assert [future.done() for _, _, future, _ in tasks] == [True, True, False]
    c.run(Entries(), 3)
    assert c.machine.applied == [(1, "one"), (2, "two"), (3, "three")]


@story
async def test_members_that_applied_the_same_have_the_same_digest_however_it_came() -> None:
    """As a leader or as a follower, in whatever parts; what was refused counts."""
    texts = ["one", "no", "three", "four", "no", "six"]
    follower, leader, other = Caller(), Caller(), Caller()
    follower.run(Entries(*texts, at_most=4), 6)
    leader.closures.append(3, *batch(*texts[:3]))
    leader.closures.append(6, *batch(*texts[3:]))
    leader.run(Entries(), 5)
    leader.run(Entries(), 6)
    other.run(Entries(*texts[:4], "five", "six"), 6)
    assert follower.caller.digest == leader.caller.digest != other.caller.digest
    assert follower.caller.digest & 0xFFFF_FFFF == crc32c("".join(texts).encode())
    restored = Caller()
    restored.caller.restored(6, leader.caller.digest, None)
    for c in (follower, restored):
        c.run(Entries(*texts, "seven"), 7)
    assert restored.caller.digest == follower.caller.digest


@story
async def test_digests_are_remembered_at_the_same_indexes_on_every_member() -> None:
    count = 3 * (DIGEST_MASK + 1)
    texts = [str(number) for number in range(1, count + 1)]
    follower, leader = Caller(), Caller()
    while follower.caller.applied_index < count:
        follower.run(Entries(*texts, at_most=100), count)
    for first in range(0, count, 60):
        some = texts[first : first + 60]
        leader.closures.append(first + len(some), *batch(*some))
    leader.run(Entries(), count)
    assert list(leader.caller.digests) == [DIGEST_MASK, 2 * DIGEST_MASK + 1, 3 * DIGEST_MASK + 2]
    assert leader.caller.digests == follower.caller.digests


def test_no_more_digests_are_remembered_than_may_be() -> None:
    c = Caller()
    for number in range(DIGESTS_MAX + 5):
        c.caller.applied_index = number
        c.caller._remember()
    assert list(c.caller.digests) == list(range(5, DIGESTS_MAX + 5))


def test_a_turn_takes_so_many_entries_from_the_log_and_goes_on_in_the_next() -> None:
    c = Caller()
    log = Entries(*["x"] * 5000)
    turns = 0
    while c.caller.applied_index < 5000:
        before = c.caller.applied_index
        c.run(log, 5000)
        assert c.caller.applied_index - before <= 2 * TURN_ENTRIES_MAX
        turns += 1
    assert turns > 2
    assert len(c.machine.applied) == 5000


@pytest.mark.parametrize(
    ("entries", "error", "applied"),
    [
        (("one", "bug", "three"), "applying entry 2 failed: ZeroDivisionError", 1),
        (("one", "?"), "entry 2 is not a command this version knows: what is that", 0),
        (("one", Entry(3, 1, DATA, b"x")), "entry 2 is missing: the log continues with 3", 0),
        ((Entry(1, 1, NO_OP, b""), "bug"), "applying entry 2 failed", 1),
    ],
)
def test_what_the_machine_cannot_do_is_told_by_its_index(
    entries: tuple[str | Entry, ...], error: str, applied: int
) -> None:
    c = Caller()
    with pytest.raises(MachineError, match=error):
        c.run(Entries(*entries), len(entries))
    assert c.caller.applied_index == applied


@story
async def test_a_machine_that_fails_leaves_the_rest_to_be_refused() -> None:
    c = Caller()
    tasks, data = batch("one", "bug", "three")
    c.closures.append(3, tasks, data)
    with pytest.raises(MachineError, match="applying entry 2 failed: ZeroDivisionError"):
        c.run(Entries(), 3)
    assert await tasks[0][2] == "ONE"
    assert [command for command, *_ in c.closures.clear()] == ["bug", "three"]
    assert (c.caller.applied_index, c.answered) == (1, [(1, 3)])


def test_a_watch_sees_every_entry_of_the_log() -> None:
    c = Caller()
    seen: list[tuple[Any, ...]] = []
    watch: Callable[..., None] = lambda *told: seen.append(told)  # noqa: E731
    c.caller.watch = watch
    c.run(Entries("one", Entry(2, 1, NO_OP, b""), "no"), 3)
    assert seen[:2] == [(1, 1, "ONE", None), (2, 1, None, None)]
    assert isinstance(seen[2][3], NacosError)
