"""What a log storage promises (`engine.ports.LogStorage`), kept by the segmented log and by RocksDB alike."""

from __future__ import annotations

import asyncio
import errno
import resource
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nacosx._core.entry import CONFIGURATION, DATA, DATA_BYTES_MAX, NO_OP, Configuration, Entry
from nacosx.engine.ports import LogStorage
from nacosx.storage.log import SegmentedLog
from nacosx.storage.rocks_log import RocksLog
from tests.log_entries import following
from tests.models.wal import SlowEntry, SlowLog

Open = Callable[[Path, asyncio.AbstractEventLoop], LogStorage]
SECONDS_MAX = 30


STORAGES: dict[str, Open] = {"segmented": SegmentedLog, "rocksdb": RocksLog}


def small_segments(directory: Path, loop: asyncio.AbstractEventLoop) -> LogStorage:
    """A story meets many of them."""
    return SegmentedLog(directory, loop, segment_bytes=16 << 10)


class Story:
    """A log, and the answers it gave."""

    def __init__(self, open_log: Open, directory: Path) -> None:
        self.open_log = open_log
        self.directory = directory
        self.loop = asyncio.new_event_loop()
        self.log = open_log(directory, self.loop)
        self.answers: list[tuple[int, int]] = []  # last index, errno or 0
        self.queued = 0
        self.next_answer: asyncio.Future[None] | None = None

    def answered(self, last_index: int, error: OSError | None) -> None:
        self.answers.append((last_index, 0 if error is None else error.errno or -1))
        if self.next_answer is not None and not self.next_answer.done():
            self.next_answer.set_result(None)

    def append(self, *data: bytes, term: int = 1, kind: int = DATA) -> int:
        index = self.log.append_entries(following(self.log, data, term=term, kind=kind), self.answered)
        self.queued += 1
        return index

    def append_entries(self, *entries: Entry) -> int:
        index = self.log.append_entries(entries, self.answered)
        self.queued += 1
        return index

    def truncate_suffix(self, last_index_kept: int) -> None:
        self.log.truncate_suffix(last_index_kept, self.answered)
        self.queued += 1

    def settle(self) -> list[tuple[int, int]]:
        """Runs the loop until everything is answered; the answers since the last time."""

        while len(self.answers) < self.queued:
            self.next_answer = self.loop.create_future()
            self.loop.run_until_complete(asyncio.wait_for(self.next_answer, SECONDS_MAX))
        answers, self.answers, self.queued = self.answers, [], 0
        return answers

    def stored(self, *data: bytes, term: int = 1, kind: int = DATA) -> int:
        index = self.append(*data, term=term, kind=kind)
        assert self.settle()[-1] == (index, 0)
        return index

    def restart(self) -> None:
        self.log.close()
        self.answers, self.queued = [], 0
        self.log = self.open_log(self.directory, self.loop)

    def kept(self) -> list[SlowEntry]:
        found: list[SlowEntry] = []
        index = self.log.first_index
        while entries := self.log.entries(index, bytes_max=1000):
            found += [SlowEntry(entry.index, entry.term, entry.kind, entry.data) for entry in entries]
            index = found[-1].index + 1
        return found

    def close(self) -> None:
        self.log.close()
        self.loop.close()


@pytest.fixture(params=STORAGES)
def story(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Story]:
    story = Story(STORAGES[request.param], tmp_path / "log")
    yield story
    story.close()


class StorageMachine(RuleBasedStateMachine):
    """Whatever is appended, cut at either end, reset, closed and opened: the log holds what the slow twin holds."""

    open_log: Open

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="log-")

    @initialize()
    def begin(self) -> None:
        self.story = Story(type(self).open_log, Path(self.folder.name) / "log")
        self.slow = SlowLog()
        self.expected: list[tuple[int, int]] = []

    @rule(
        data=st.lists(st.binary(max_size=2000), min_size=1, max_size=6), term=st.integers(0, 3), kind=st.integers(1, 4)
    )
    def append(self, data: list[bytes], term: int, kind: int) -> None:
        last_index = self.slow.append(data, term, kind)
        assert self.story.append(*data, term=term, kind=kind) == last_index
        self.expected.append((last_index, 0))

    @rule(
        items=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.binary(max_size=500)), min_size=1, max_size=6)
    )
    def append_entries(self, items: list[tuple[int, int, bytes]]) -> None:
        first = self.slow.last_index + 1
        for term, kind, data in items:
            self.slow.append([data], term, kind)
        entries = [Entry(index, *item) for index, item in enumerate(items, first)]
        assert self.story.append_entries(*entries) == self.slow.last_index
        self.expected.append((self.slow.last_index, 0))

    @precondition(lambda self: self.slow.entries)
    @rule(data=st.data())
    def truncate_suffix(self, data: st.DataObject) -> None:
        kept = data.draw(st.integers(self.slow.first_index - 1, self.slow.last_index))
        self.story.truncate_suffix(kept)
        self.slow.truncate_suffix(kept)
        self.expected.append((kept, 0))

    @rule()
    def settle(self) -> None:
        assert self.story.settle() == self.expected
        self.expected = []

    @rule(data=st.data())
    def truncate_prefix(self, data: st.DataObject) -> None:
        self.settle()
        kept = data.draw(st.integers(0, self.slow.last_index + 1))
        self.story.log.truncate_prefix(kept)
        self.slow.truncate_prefix(kept)

    @rule(next_index=st.integers(1, 2**63))
    def reset(self, next_index: int) -> None:
        self.settle()
        self.story.log.reset(next_index)
        self.slow.reset(next_index)

    @rule()
    def restart(self) -> None:
        self.story.restart()
        self.expected = []
        assert self.story.log.last_index == self.slow.last_index
        self.story.log.truncate_prefix(self.slow.first_index)  # what was not gone yet may be there again
        self.look()

    @rule()
    def look(self) -> None:
        self.settle()
        assert self.story.kept() == self.slow.entries
        configurations = [entry.index for entry in self.slow.entries if entry.kind == CONFIGURATION]
        assert [entry.index for entry in self.story.log.configurations()] == configurations

    @rule(data=st.data())
    def look_up(self, data: st.DataObject) -> None:
        self.settle()
        slow = {entry.index: entry for entry in self.slow.entries}
        index = data.draw(st.integers(max(self.slow.first_index - 2, 0), self.slow.last_index + 2))
        entry = self.story.log.get(index)
        found = None if entry is None else SlowEntry(entry.index, entry.term, entry.kind, entry.data)
        assert found == slow.get(index)
        assert self.story.log.term(index) == (slow[index].term if index in slow else None)

    @invariant()
    def indexes_agree(self) -> None:
        log = self.story.log
        assert (log.first_index, log.last_index) == (self.slow.first_index, self.slow.last_index)

    def teardown(self) -> None:
        if hasattr(self, "story"):
            self.story.close()
        self.folder.cleanup()


class SegmentedMachine(StorageMachine):
    open_log = staticmethod(small_segments)


class RocksMachine(StorageMachine):
    open_log = RocksLog


TestSegmentedMachine = SegmentedMachine.TestCase
TestSegmentedMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestRocksMachine = RocksMachine.TestCase
TestRocksMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_answers_come_in_the_order_of_the_operations(story: Story) -> None:
    expected = []
    for number in range(300):
        expected.append((story.append(b"%d" % number, b"more"), 0))
        if number % 7 == 6:
            story.truncate_suffix(story.log.last_index - 3)
            expected.append((story.log.last_index, 0))
    assert story.settle() == expected


def test_what_is_not_on_disk_is_not_answered_for(story: Story) -> None:
    """Only its answer makes an entry exist; whoever reads before it gets what is durable."""
    story.append(b"1")
    assert story.log.last_index == 1
    found = story.log.get(1)
    assert found is None or found.data == b"1"
    story.settle()
    assert story.log.get(1) == Entry(1, 1, DATA, b"1")


def test_a_follower_replaces_what_conflicts(story: Story) -> None:
    """Raft §5.3: entries of a deposed leader go, those of the new one come, in one row of operations; a restart agrees."""
    story.stored(b"1", b"2", b"3", b"4", term=1)
    story.truncate_suffix(2)
    story.append_entries(Entry(3, 2, NO_OP, b""), Entry(4, 2, DATA, b"four"), Entry(5, 3, DATA, b"five"))
    assert story.settle() == [(2, 0), (5, 0)]
    for _ in range(2):
        assert [story.log.term(index) for index in range(7)] == [None, 1, 1, 2, 2, 3, None]
        assert [entry.data for entry in story.kept()] == [b"1", b"2", b"", b"four", b"five"]
        story.restart()


def test_configurations_are_told_apart_and_go_with_the_entries(story: Story) -> None:
    first = Configuration(["a", "b", "c"])
    joint = Configuration(["a", "b", "d"], ["l"], old_peers=["a", "b", "c"])
    story.stored(first.encode(), kind=CONFIGURATION)
    story.stored(b"data")
    story.stored(joint.encode(), kind=CONFIGURATION, term=2)
    story.stored(b"data")
    for _ in range(2):
        assert [(entry.id, entry.configuration) for entry in story.log.configurations()] == [
            ((1, 1), first),
            ((2, 3), joint),
        ]
        story.restart()
    story.truncate_suffix(2)
    story.settle()
    assert [entry.index for entry in story.log.configurations()] == [1]
    story.log.truncate_prefix(2)
    assert story.log.configurations() == []


def test_reads_are_bounded_by_bytes_and_give_at_least_one(story: Story) -> None:
    for number in range(20):
        story.stored(b"%d" % number * 1000)
    assert [entry.index for entry in story.log.entries(5, bytes_max=1)] == [5]
    assert 2 <= len(story.log.entries(11, bytes_max=5000)) <= 5
    assert story.log.entries(21, bytes_max=1000) == []
    with pytest.raises(ValueError, match="no longer kept, the first is 1"):
        story.log.entries(0, bytes_max=1000)


def test_everything_forgotten_leaves_the_next_index(story: Story) -> None:
    story.stored(b"1", b"2", b"3")
    story.log.truncate_prefix(4)
    assert (story.log.first_index, story.log.last_index, story.kept()) == (4, 3, [])
    assert story.stored(b"4") == 4
    story.log.reset(100)
    assert (story.log.first_index, story.log.last_index, story.kept()) == (100, 99, [])
    story.restart()
    assert (story.log.first_index, story.log.last_index) == (100, 99)
    assert story.stored(b"100") == 100
    assert story.log.get(3) is None


def test_what_is_no_entry_or_not_there_is_refused_and_nothing_is_queued(story: Story) -> None:
    story.stored(b"1", b"2")
    refused: list[tuple[str, Callable[[], Any]]] = [
        ("at least one entry", story.append),
        ("at least one entry", story.append_entries),
        ("a kind from 1 to 254", lambda: story.append(b"", kind=255)),
        ("a kind from 1 to 254", lambda: story.append_entries(Entry(3, 1, 255, b""))),
        ("at most 16777216", lambda: story.append(b"good", bytes(DATA_BYTES_MAX + 1))),
        ("entry 4 does not follow", lambda: story.append_entries(Entry(4, 1, 1, b""))),
        ("entry 5 does not follow entry 3", lambda: story.append_entries(Entry(3, 1, 1, b""), Entry(5, 1, 1, b""))),
        ("entry 3 is not in the log", lambda: story.truncate_suffix(3)),
        ("entry 4 is not on disk", lambda: story.log.truncate_prefix(5)),
        ("indexes begin at 1", lambda: story.log.reset(0)),
    ]
    for reason, operation in refused:
        with pytest.raises(ValueError, match=reason):
            operation()
    assert story.log.last_index == 2
    story.append(b"3")
    with pytest.raises(ValueError, match="wait for the disk"):
        story.log.reset(7)
    assert story.settle() == [(3, 0)]


def test_closing_answers_what_was_under_way_and_takes_nothing_more(story: Story) -> None:
    story.append(b"1")
    story.truncate_suffix(0)
    story.append(b"one")
    story.log.close()
    assert story.answers == [(1, 0), (0, 0), (1, 0)]
    for operation in (lambda: story.append(b"2"), lambda: story.truncate_suffix(0), lambda: story.log.reset(3)):
        with pytest.raises(OSError, match="closed"):
            operation()
    story.restart()
    assert [entry.data for entry in story.kept()] == [b"one"]


def test_a_full_disk_refuses_everything_that_waited_and_space_heals_without_a_restart(story: Story) -> None:
    """EFBIG stands for it: the kernel takes part of a write, then nothing. Nothing that was answered is lost, nothing that
    was refused comes back."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    stored: list[SlowEntry] = []
    for _ in range(2):
        resource.setrlimit(resource.RLIMIT_FSIZE, (96 << 10, limits[1]))
        try:
            answers: list[tuple[int, int]] = []
            while not answers or not answers[-1][1]:
                before = story.log.last_index
                for number in range(1, 4):
                    story.append(b"%d " % (before + number) * 300)
                answers = story.settle()
                stored += [SlowEntry(index, 1, DATA, b"%d " % index * 300) for index, error in answers if not error]
                assert len(stored) < 10_000
            assert {error for _, error in answers if error} == {errno.EFBIG}
            assert story.log.last_index == len(stored)
            assert story.kept() == stored
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert story.stored(b"space again") == len(stored) + 1
        stored.append(SlowEntry(len(stored) + 1, 1, DATA, b"space again"))
        story.restart()
        assert story.kept() == stored
