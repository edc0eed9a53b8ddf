"""Members that talk over Cap'n Proto RPC: what is sent arrives in order, from whom it says, and breaks heal by themselves."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nacosx._core import capnp_call
from nacosx._core.capnp_call import CALL, FIRST_QUESTION, OTHER, RESULTS, Inbox
from nacosx._core.entry import CONFIGURATION, DATA, Configuration, Entry
from nacosx.engine.ports import ForwardReply
from nacosx.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    InstallSnapshotReply,
    Message,
    ReadIndex,
    ReadIndexReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from nacosx.wire import peers_link
from nacosx.wire.peers_messages import NODE, Letter, Row, read, rows
from tests.models import peers_messages as oracle
from tests.unit.wire.peers_house import STANDING, Member, eventually, met, run, running

UINT64 = st.integers(0, 2**64 - 1)
ENTRIES = st.lists(st.builds(Entry, UINT64, UINT64, st.sampled_from((DATA, CONFIGURATION)), st.binary(max_size=64)))
CONFIGURATIONS = st.lists(st.text(min_size=1, max_size=8), max_size=5, unique=True).map(Configuration)
MESSAGES = st.one_of(
    st.builds(RequestVote, UINT64, UINT64, UINT64, st.booleans(), st.booleans()),
    st.builds(RequestVoteReply, UINT64, st.booleans(), st.booleans()),
    st.builds(AppendEntries, UINT64, UINT64, UINT64, UINT64, UINT64, ENTRIES),
    st.builds(AppendEntriesReply, UINT64, UINT64, st.booleans(), UINT64, UINT64),
    st.builds(Heartbeat, UINT64, UINT64, UINT64),
    st.builds(HeartbeatReply, UINT64, UINT64),
    st.builds(InstallSnapshot, UINT64, UINT64, UINT64, CONFIGURATIONS, UINT64),
    st.builds(InstallSnapshotReply, UINT64, st.booleans(), UINT64),
    st.builds(TimeoutNow, UINT64),
    st.builds(ReadIndex, UINT64),
    st.builds(ReadIndexReply, UINT64, st.none() | UINT64),
)


Letters = list[tuple[str, Message]]
LETTERS = st.lists(st.tuples(st.text(max_size=8), MESSAGES), max_size=5)


@given(st.integers(0, 2**32 - 1), LETTERS)
def test_a_call_is_what_cap_n_proto_takes_for_one(target: int, letters: Letters) -> None:
    message = capnp_call.call(FIRST_QUESTION, target, NODE, rows(Letter(*letter) for letter in letters))
    assert oracle.read_call(message) == (FIRST_QUESTION, target, letters)
    assert inbox_reads(message) == [(CALL, FIRST_QUESTION, letters)]


@given(LETTERS)
def test_results_are_what_cap_n_proto_takes_for_them(letters: Letters) -> None:
    message = capnp_call.results(FIRST_QUESTION, rows(Letter(*letter) for letter in letters))
    assert oracle.read_results(message) == (FIRST_QUESTION, letters)
    assert inbox_reads(message) == [(RESULTS, FIRST_QUESTION, letters)]


@given(LETTERS)
def test_what_cap_n_proto_writes_is_read(letters: Letters) -> None:
    for message in (oracle.call(7, 3, letters), oracle.results(FIRST_QUESTION, letters)):
        assert inbox_reads(message)[0][2] == letters


def test_a_capability_that_pycapnp_is_given_is_known_by_its_number() -> None:
    inbox = Inbox(NODE)
    assert inbox.capability == -1
    for capability in (0, 7, 2**32 - 1):
        message = oracle.bringing(capability)
        assert inbox.take(message) == [(OTHER, 0, message)]
        assert inbox.capability == capability
    for capabilities in ((), (1, 2)):
        inbox.take(oracle.bringing(3))
        inbox.take(oracle.bringing(*capabilities))
        assert inbox.capability == -1


def inbox_reads(message: bytes) -> list[tuple[int, int, Letters]]:
    return [
        (kind, question, list(read(cast(list[Row], content)))) for kind, question, content in Inbox(NODE).take(message)
    ]


def appends(count: int, size: int = 16) -> list[AppendEntries]:
    return [
        AppendEntries(1, number, number, 1, 0, [Entry(number + 1, 1, DATA, bytes(size))]) for number in range(count)
    ]


def test_messages_arrive_in_order_and_replies_ride_back() -> None:
    async def story() -> None:
        a, b = Member("a"), Member("b")

        def answer(sender: str, group: str, message: Message) -> None:
            if isinstance(message, AppendEntries):
                b.peers.send(sender, group, AppendEntriesReply(1, message.sequence, True, message.sequence + 1))

        async with running(a, b):
            await met(a, b)
            b.service.on = answer
            sent = appends(500)
            for message in sent:
                a.peers.send("b", "g", message)
            await eventually(lambda: len(a.service.received) == 500)
            assert b.service.received == [("a", "g", message) for message in sent]
            assert a.service.received == [("b", "g", AppendEntriesReply(1, n, True, n + 1)) for n in range(500)]

    run(story)


def test_whoever_has_no_call_to_ride_on_makes_one() -> None:
    async def story() -> None:
        a, b = Member("a"), Member("b")
        async with running(a, b):
            await met(a, b)
            b.peers.send("a", "g", HeartbeatReply(1, 1))
            b.peers.send("a", "g", TimeoutNow(3))
            await eventually(lambda: len(a.service.received) == 2)
            assert a.service.received == [("b", "g", HeartbeatReply(1, 1)), ("b", "g", TimeoutNow(3))]

    run(story)


def test_a_commit_index_goes_with_the_next_entries_or_soon_by_itself() -> None:
    async def story() -> None:
        a, b = Member("a"), Member("b")
        async with running(a, b):
            await met(a, b)
            entry = AppendEntries(1, 1, 6, 1, 6, [Entry(7, 1, DATA, b"entry")])
            for message in (Heartbeat(1, 5, 0), Heartbeat(1, 6, 0), entry):
                a.peers.send("b", "g", message)
            await eventually(lambda: len(b.service.received) == 1)
            a.peers.send("b", "g", Heartbeat(1, 7, 0))
            await eventually(lambda: len(b.service.received) == 2)
            assert b.service.received == [("a", "g", entry), ("a", "g", Heartbeat(1, 7, 0))]

    run(story)


@pytest.mark.parametrize(
    "after",
    [
        ("g", Heartbeat(1, 5, 1)),
        ("other", AppendEntries(1, 1, 6, 1, 6, [Entry(7, 1, DATA, b"entry")])),
        ("g", AppendEntries(2, 1, 6, 1, 6, [Entry(7, 1, DATA, b"entry")])),
        ("g", TimeoutNow(1)),
    ],
)
def test_what_says_less_takes_no_place(after: tuple[str, Message]) -> None:
    async def story() -> None:
        a, b = Member("a"), Member("b")
        async with running(a, b):
            await met(a, b)
            told = ("g", Heartbeat(1, 6, 0))
            for group, message in (told, after):
                a.peers.send("b", group, message)
            await eventually(lambda: len(b.service.received) == 2)
            assert b.service.received == [("a", *told), ("a", *after)]

    run(story)


def test_a_flood_of_large_appends_is_slowed_down_and_arrives() -> None:
    """64 MiB at once: more than may be under way, less than may wait once some is."""

    async def story() -> None:
        a, b = Member("a"), Member("b")
        async with running(a, b):
            await met(a, b)
            count = (peers_link.QUEUED_BYTES_MAX >> 20) - 1
            sent = appends(count, 1 << 20)
            for message in sent:
                a.peers.send("b", "g", message)
            await eventually(lambda: len(b.service.received) == count)
            assert [message for _, _, message in b.service.received] == sent

    run(story)


def test_what_is_too_much_to_wait_is_dropped_and_the_rest_goes_on() -> None:
    async def story() -> None:
        a, b = Member("a"), Member("b")
        async with running(a, b):
            await met(a, b)
            beyond = 10
            for message in appends((peers_link.QUEUED_BYTES_MAX >> 20) + beyond, 1 << 20):
                a.peers.send("b", "g", message)
            a.peers.send("b", "g", RequestVote(9, 1, 1))  # a vote is never too much
            await eventually(lambda: ("a", "g", RequestVote(9, 1, 1)) in b.service.received)
            assert len(b.service.received) == (peers_link.QUEUED_BYTES_MAX >> 20) + 1
            a.peers.send("b", "g", appends(1)[0])
            await eventually(lambda: b.service.received[-1][2] == appends(1)[0])

    run(story)


def test_chunks_proposals_and_standings_are_asked_for() -> None:
    async def story() -> None:
        a, b = Member("a"), Member("b")
        async with running(a, b):
            await met(a, b)
            assert await a.peers.fetch("b", "g", 3, 90, 64) == bytes([3]) * 10
            with pytest.raises(OSError, match="there is no group h"):
                await a.peers.fetch("b", "h", 3, 0, 64)
            with pytest.raises(OSError, match="at most"):
                await a.peers.fetch("b", "g", 3, 0, 64 << 20)
            places = await a.peers.forward("b", "g", [b"x", b"yy", b""])
            assert places == [ForwardReply(1, 7), ForwardReply(2, 7), ForwardReply(error=1, leader="b")]
            with pytest.raises(OSError, match="there is no group h"):
                await a.peers.forward("b", "h", [b"x"])
            assert await a.peers.standing("b", "g") == STANDING
            with pytest.raises(OSError, match="there is no group h"):
                await a.peers.standing("b", "h")
            with pytest.raises(OSError, match="nobody knows"):
                await a.peers.standing("c", "g")

    run(story)


def test_a_member_that_comes_back_elsewhere_is_the_same_member() -> None:
    """It knows the others; they learn of its new address when it comes in."""

    async def story() -> None:
        a, b = Member("a"), Member("b")
        async with running(a):
            await b.start(a.address)
            await met(a, b)
            assert a.book.address("b") == b.address
            await b.stop()
            await eventually(lambda: not a.peers.connected("b"))
            again = Member("b")
            await again.start(a.address)
            await met(a, again)
            assert a.book.addresses == {"a": a.address, "b": again.address}
            a.peers.send("b", "g", TimeoutNow(1))
            await eventually(lambda: again.service.received == [("a", "g", TimeoutNow(1))])
            await again.stop()

    run(story)


def test_another_member_at_a_known_address_gets_nothing_meant_for_the_one_before() -> None:
    async def story() -> None:
        a, b = Member("a"), Member("b")
        await a.start(b.address)
        await b.start(a.address)
        await met(a, b)
        await b.stop()
        await eventually(lambda: not a.peers.connected("b"))
        a.peers.send("b", "g", TimeoutNow(1))
        c = Member("c", port=b.port)
        await c.start(a.address)
        await met(a, c)
        assert a.book.addresses == {"a": a.address, "c": b.address}
        a.peers.send("c", "g", TimeoutNow(2))
        await eventually(lambda: bool(c.service.received))
        assert c.service.received == [("a", "g", TimeoutNow(2))]
        a.peers.send("b", "g", TimeoutNow(3))
        assert a.peers.unreachable == 1
        await c.stop()
        await a.stop()

    run(story)


def test_two_that_have_one_id_are_noticed(caplog: pytest.LogCaptureFixture) -> None:
    """The copy of a data directory beside its original: the first one that was met is the member."""

    async def story() -> None:
        a, b, copy = Member("a"), Member("b"), Member("b")
        await b.start()
        await copy.start()
        await a.start(b.address)
        await eventually(lambda: a.peers.connected("b"))
        a.peers._dial(copy.address)
        await eventually(lambda: any("have one id" in message for message in caplog.messages))
        assert a.book.address("b") == b.address
        for member in (a, copy, b):
            await member.stop()

    run(story)
