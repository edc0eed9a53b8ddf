"""Windows, sizes, and what is read from disk at once: every limit of the rules, at it."""

from __future__ import annotations

from nacosx.raft.log import RaftLog
from nacosx.raft.messages import AppendEntries
from nacosx.raft.options import Options
from nacosx.raft.replicator import READ_INFLIGHTS_MAX, Progress
from tests.memory_log import MemoryLog
from tests.raft_cluster import RaftCluster
from tests.unit.raft.conftest import Logs, entries_of, sent


def led(**options: int) -> RaftCluster:
    cluster = RaftCluster(["a", "b", "c"], options=Options(**options))  # type: ignore[arg-type]
    cluster.node("a").campaign(0)
    cluster.deliver_all()
    return cluster


def appends(cluster: RaftCluster, to: str = "b") -> list[int]:
    """How many entries each message to one member has."""
    messages = [message for receiver, message in sent(cluster, "a") if receiver == to]
    return [len(message.entries) for message in messages if isinstance(message, AppendEntries)]


def test_a_message_has_so_many_entries_at_most() -> None:
    cluster = led(max_entries_size=4)
    cluster.node("a").propose([b"x"] * 10)
    assert appends(cluster) == [4, 4, 2]


def test_a_message_has_so_many_bytes_at_most_and_one_entry_at_least() -> None:
    cluster = led(max_body_size=100)
    cluster.node("a").propose([b"x" * 40] * 3 + [b"x" * 500] + [b"x"])
    assert appends(cluster) == [2, 1, 1, 1]


def test_so_many_messages_are_on_their_way_at_most() -> None:
    """What is confirmed makes room."""
    cluster = led(max_replicator_inflight_msgs=2, max_entries_size=1)
    cluster.node("a").propose([b"x"] * 5)
    assert appends(cluster) == [1, 1]
    assert appends(cluster) == []
    assert len(cluster.node("a").replicators["b"].inflights) == 2
    cluster.run(500)
    assert cluster.members["b"].state[-1].index == cluster.leader.log.last_index


def test_so_many_bytes_are_on_their_way_at_most() -> None:
    """An append more is sent as long as there are less."""
    cluster = led(max_replicator_inflight_bytes=100, max_entries_size=1)
    cluster.node("a").propose([b"x" * 60] * 5)
    assert appends(cluster) == [1, 1]
    assert cluster.node("a").replicators["b"].inflight_bytes == 120
    cluster.run(500)
    assert cluster.node("a").replicators["b"].inflight_bytes == 0
    assert cluster.members["b"].state[-1].index == cluster.leader.log.last_index


def test_so_much_is_read_from_disk_for_one_member_at_most(with_logs: Logs) -> None:
    """A member that is far behind does not hold up the others."""
    cluster = with_logs(a=[1] * 9000, b=[1] * 9000, c=[])
    cluster.now_ms = 1000
    cluster.node("a").campaign(1000)
    cluster.deliver_all(cut_off=["c"])
    cluster.advance(1100)
    cluster.settle()
    for _ in range(4):  # probes
        letters = [letter for letter in cluster.network if "c" in letter[:2]]
        cluster.network.clear()
        if cluster.node("a").replicators["c"].state is Progress.REPLICATE:
            break
        for letter in letters:
            cluster.node(letter.to).step(letter.sender, letter.message, 1100)
        while cluster.pump(cluster.members["c"]):
            pass
        letters = [letter for letter in cluster.network if letter.to == "a"]
        cluster.network.clear()
        for letter in letters:
            cluster.node("a").step(letter.sender, letter.message, 1100)
        while cluster.pump(cluster.members["a"]):
            pass
    assert len(cluster.node("a").replicators["c"].inflights) == READ_INFLIGHTS_MAX
    cluster.run(1000)
    assert cluster.members["c"].state[-1].index == cluster.leader.log.last_index


# --- the log in memory -----------------------------------------------------------------------------------------------


def stored(terms: list[int]) -> tuple[MemoryLog, RaftLog]:
    storage = MemoryLog()
    if terms:
        storage.append(entries_of(terms))
    return storage, RaftLog(storage)


def test_applied_entries_are_kept_for_followers_and_not_for_ever() -> None:
    """So many, or so many bytes, whichever is first; what was not applied stays."""
    storage, log = stored([])
    for batch in range(4):
        log.append_data(1, 1, [b"x"] * 512)
        _, entries = log.take()
        storage.append(entries)
        assert log.stable(log.last_index, 1)
        log.applied(log.last_index)
        assert log.in_memory(1) is (batch == 0)
    log.append_data(1, 1, [b"x" * (1 << 20)])
    _, entries = log.take()
    storage.append(entries)
    log.stable(log.last_index, 1)
    assert log.in_memory(log.last_index)
    log.applied(log.last_index)
    assert not log.in_memory(log.last_index)
    assert log.term(log.last_index) == 1


def test_a_slice_goes_over_from_disk_to_memory() -> None:
    """What is on disk first, and the rest with the next slice; the same slice is the same list."""
    _, log = stored([1] * 5)
    log.append_data(1, 2, [b"x"] * 5)
    assert [entry.index for entry in log.slice(4, 10, 1 << 20)] == [4, 5]
    assert [entry.index for entry in log.slice(6, 10, 1 << 20)] == [6, 7, 8, 9, 10]
    assert log.slice(6, 10, 1 << 20) is log.slice(6, 10, 1 << 20)
    assert log.slice(6, 9, 1 << 20) is not log.slice(6, 10, 1 << 20)


def test_a_slice_is_not_remembered_over_a_truncation() -> None:
    """The entries that come in its place are others."""
    _, log = stored([1] * 5)
    log.append(entries_of([2, 2], first=6))
    before = log.slice(6, 7, 100)
    log.truncate(5)
    log.append(entries_of([3, 3], first=6))
    assert log.slice(6, 7, 100) != before
    assert log.term(6) == 3


def test_terms_are_known_on_both_sides_of_every_border() -> None:
    """Before the log, at the snapshot, on disk, in memory, behind the end."""
    storage = MemoryLog()
    storage.append(entries_of([1, 1, 2, 2, 3]))
    storage.truncate_prefix(3)
    log = RaftLog(storage, snapshot_index=2, snapshot_term=1)
    log.append(entries_of([4], first=6))
    assert [log.term(index) for index in range(-1, 9)] == [None, None, None, 1, 2, 2, 3, 4, None, None]
    assert [log.last_index_of_term(term, 2, 6) for term in range(6)] == [2, 2, 4, 5, 6, 6]


def test_a_log_that_ends_before_the_snapshot_is_refused() -> None:
    """The engine resets it first."""
    storage = MemoryLog()
    storage.append(entries_of([1, 1]))
    for snapshot_index in (3, 9):
        try:
            RaftLog(storage, snapshot_index=snapshot_index, snapshot_term=1)
        except AssertionError:
            continue
        raise AssertionError("there is a gap")
