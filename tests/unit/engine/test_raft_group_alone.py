"""The group of one: what is proposed is applied when it is on disk, in order, and its proposer hears what became of it."""

from __future__ import annotations

import asyncio
import errno
import logging
from typing import Any, cast

import pytest

from nacosx.config.commands import PublishConfig
from nacosx.config.events import ConfigChanged
from nacosx.config.model import ConfigKey
from nacosx.engine.raft.gathering import EXPECTED_MAX
from nacosx.engine.raft.limits import Limits
from nacosx.engine.raft.refusals import RefusedError
from nacosx.engine.rooms import decode, encode
from nacosx.errors import CONFIG_CONFLICT, NAMESPACE_ILLEGAL, OVER_THRESHOLD, PARAMETER_INVALID, SERVER, NacosError
from nacosx.namespaces import CreateNamespace, DeleteNamespace
from nacosx.naming.commands import RegisterPersistent
from nacosx.naming.events import ServiceChanged
from nacosx.naming.model import Instance, ServiceKey
from nacosx.raft.ready import HardState
from tests.memory_storage import MemoryLog
from tests.turns import turn
from tests.unit.config.catalog_commands import KEY, publish, remove
from tests.unit.engine.alone_group import OWN_ENTRIES, Group, story

SERVICE = ServiceKey("public", "DEFAULT_GROUP", "orders")
REGISTER = RegisterPersistent(SERVICE, Instance("10.0.0.1", 8080), 1)


# --- the way of a command ----------------------------------------------------------------------------------------------


@story
async def test_a_command_is_applied_when_it_is_on_disk_and_not_before() -> None:
    g = Group()
    proposed = g.group.propose(publish("a: 1"))
    await turn()
    [entry] = g.log.data
    assert decode(entry) == publish("a: 1")
    assert g.content is None
    assert not proposed.done()
    g.log.sync()
    assert g.content == b"a: 1"
    assert g.applied == 1
    await proposed


@story
async def test_the_proposals_of_one_turn_are_one_append_applied_in_order() -> None:
    g = Group()
    futures = [g.group.propose(publish(f"a: {number}")) for number in range(100)]
    assert g.log.appends == []
    await turn()
    assert [len(entries or ()) for _, entries, _ in g.log.appends] == [100]
    g.log.sync()
    assert g.content == b"a: 99"
    await asyncio.gather(*futures)
    assert g.rows.written[0][0] == OWN_ENTRIES + 100


async def turns_without_proposals() -> None:
    """The one in which answers leave, and the one in which somebody could ask again."""
    await turn()
    await turn()


@story
async def test_a_batch_that_is_full_does_not_wait_for_the_end_of_the_turn() -> None:
    """AppendBatcher: at most so many entries, at most so many bytes (the entry that reaches them included)."""
    g = Group(Limits(batch_entries_max=3, batch_bytes_max=10_000))
    futures = [g.group.propose(publish("a: 1")) for _ in range(7)]
    futures += [g.group.propose(publish("x" * 20_000)), g.group.propose(publish("last"))]
    assert [len(entries or ()) for _, entries, _ in g.log.appends] == [3, 3, 2]
    await turn()  # the last one waits for the disk
    assert [len(entries or ()) for _, entries, _ in g.log.appends] == [3, 3, 2]
    g.log.sync()
    await turns_without_proposals()
    assert [len(entries or ()) for _, entries, _ in g.log.appends] == [1]
    g.log.sync()
    await asyncio.gather(*futures)
    assert (g.applied, g.content) == (9, b"last")


@story
async def test_what_apply_refuses_its_proposer_hears_and_nobody_else() -> None:
    g = Group()
    await g.commit(CreateNamespace("dev", "dev", None, 1))
    again = g.group.propose(CreateNamespace("dev", "again", None, 2))
    cas = g.group.propose(publish("a: 1"))
    conflict = g.group.propose(publish("a: 2", cas_md5="0" * 32))
    await turn()
    g.log.sync()
    await cas
    for refused, kind in ((again, NAMESPACE_ILLEGAL), (conflict, CONFIG_CONFLICT)):
        with pytest.raises(NacosError) as caught:
            await refused
        assert caught.value.kind == kind
    assert g.applied == 4
    namespace = g.namespaces.get("dev")
    assert namespace is not None
    assert (namespace.name, g.content) == ("dev", b"a: 1")


@story
async def test_every_room_has_its_commands() -> None:
    g = Group()
    await g.commit(REGISTER, publish("a: 1"), CreateNamespace("dev", "dev", None, 1))
    assert list(g.registry.services) == [SERVICE]
    assert list(g.catalog.configs) == [KEY]
    assert g.namespaces.exists("dev")


@story
async def test_a_proposer_that_has_gone_has_its_command_applied_all_the_same() -> None:
    g = Group()
    gone, refused = g.group.propose(publish("a: 1")), g.group.propose(publish("a: 2", cas_md5="0"))
    gone.cancel()
    refused.cancel()
    await turn()
    g.log.sync()
    assert g.content == b"a: 1"


@story
async def test_while_the_disk_is_busy_proposals_gather_for_the_next_write() -> None:
    g = Group()
    futures = [g.group.propose(publish("a: 1"))]
    await turn()
    for number in range(2, 5):
        futures.append(g.group.propose(publish(f"a: {number}")))
        await turn()
    assert [len(entries or ()) for _, entries, _ in g.log.appends] == [1]
    g.log.sync()
    assert g.content == b"a: 1"
    await turns_without_proposals()
    assert [len(entries or ()) for _, entries, _ in g.log.appends] == [3]
    g.log.sync()
    await asyncio.gather(*futures)
    assert g.content == b"a: 4"


@story
async def test_who_has_been_answered_is_waited_for_as_long_as_every_turn_brings_somebody() -> None:
    g = Group()
    for number in range(4):
        g.group.propose(publish(f"a: {number}"))
    await turn()
    g.log.sync()
    loop = asyncio.get_running_loop()

    def propose_one_a_turn(left: int) -> None:
        g.group.propose(publish(f"a: {left} left"))
        if left:
            loop.call_soon(propose_one_a_turn, left - 1)

    propose_one_a_turn(2)
    for _ in range(4):  # the last of which brings nobody
        await turn()
    assert [len(entries or ()) for _, entries, _ in g.log.appends] == [3]


@story
async def test_when_all_are_back_who_were_answered_nobody_is_waited_for() -> None:
    g = Group()
    for _ in range(2):
        futures = [g.group.propose(publish(f"a: {number}")) for number in range(4)]
        await turn()
        assert [len(entries or ()) for _, entries, _ in g.log.appends] == [4]
        g.log.sync()
        await asyncio.gather(*futures)


@story
async def test_no_more_are_waited_for_than_make_a_write_worth_while() -> None:
    g = Group()
    for number in range(EXPECTED_MAX + 8):
        g.group.propose(publish(f"a: {number}"))
    await turn()
    g.log.sync()
    for number in range(EXPECTED_MAX):
        g.group.propose(publish(f"a: {number}"))
    await turn()
    assert [len(entries or ()) for _, entries, _ in g.log.appends] == [EXPECTED_MAX]


# --- what follows --------------------------------------------------------------------------------------------------------


@story
async def test_events_reach_their_reactions_before_the_proposer_and_rows_once_a_batch() -> None:
    g = Group()
    seen: list[object] = []
    g.reactions[ConfigChanged] = (seen.append, lambda event: seen.append(event.key))
    g.reactions[ServiceChanged] = (seen.append,)
    proposed = [g.group.propose(command) for command in (publish("a: 1"), REGISTER, publish("a: 2"))]
    await turn()
    g.log.sync()
    assert [type(event).__name__ for event in seen] == [
        *("ConfigChanged", "ConfigKey", "ServiceChanged", "ConfigChanged", "ConfigKey")
    ]
    [[index, events]] = g.rows.written
    assert index == OWN_ENTRIES + 3
    assert sorted(type(event).__name__ for event in events) == sorted(
        ["ConfigWritten", "HistoryRecorded", "ConfigChanged"] * 2
    )
    await asyncio.gather(*proposed)


def test_a_reaction_that_fails_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def tell() -> None:
        g = Group()
        seen: list[object] = []
        g.reactions[ConfigChanged] = (lambda event: 1 // 0, seen.append)
        await g.commit(publish("a: 1"), publish("a: 2"))
        assert len(seen) == 2

    asyncio.run(tell())
    assert "ZeroDivisionError" in caplog.text


def test_a_bug_in_a_room_is_told_and_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def tell() -> None:
        g = Group()
        broken = g.group.propose(PublishConfig(KEY, b"", "", 1, "", type=cast(str, 7)))
        good = g.group.propose(publish("a: 1", ConfigKey("public", "g", "other")))
        await turn()
        g.log.sync()
        await good
        with pytest.raises(NacosError, match="caused: TypeError") as caught:
            await broken
        assert caught.value.kind == SERVER
        assert g.applied == 2

    asyncio.run(tell())
    assert f"applying entry {OWN_ENTRIES + 1} failed" in caplog.text


# --- limits and failures -------------------------------------------------------------------------------------------------


def test_a_disk_that_fails_is_told_nothing_is_applied_and_the_next_write_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def tell() -> None:
        g = Group()
        await g.commit(publish("a: 1"))
        refused = [g.group.propose(publish("a: 2")), g.group.propose(remove())]
        await turn()
        g.log.fail(OSError(errno.ENOSPC, "No space left on device"))
        for future in refused:
            with pytest.raises(NacosError, match="could not be stored: No space left on device") as caught:
                await future
            assert caught.value.kind == SERVER
        assert (g.content, g.applied) == (b"a: 1", 1)
        again = g.group.propose(publish("a: 2"))
        await turn()
        g.log.fail(OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(NacosError):
            await again
        await g.commit(publish("a: 3"))
        assert (g.content, g.applied) == (b"a: 3", 3)  # and the first entry of the new term

    asyncio.run(tell())
    assert [record.getMessage() for record in caplog.records] == [
        "the log cannot be written, writes are refused until it can: [Errno 28] No space left on device",
        "the log can be written again, 3 writes were refused meanwhile",
    ]


@story
async def test_a_log_that_takes_nothing_is_told_like_a_disk_that_fails() -> None:
    g = Group()
    g.log.full = OSError(errno.ENOBUFS, "too much waits for the disk")
    refused = g.group.propose(publish("a: 1"))
    with pytest.raises(NacosError, match="too much waits for the disk"):
        await refused
    g.log.full = None
    await g.commit(publish("a: 2"))
    assert g.content == b"a: 2"


@pytest.mark.parametrize(
    ("limits", "content"), [(Limits(pending_max=2), "a: 1"), (Limits(pending_bytes_max=2000), "x" * 950)]
)
def test_more_than_may_wait_is_refused_until_the_disk_has_caught_up(limits: Limits, content: str) -> None:
    async def tell() -> None:
        g = Group(limits)
        first, second = g.group.propose(publish(content)), g.group.propose(publish(content))
        with pytest.raises(NacosError, match="2 writes wait for the disk") as caught:
            g.group.propose(publish(content))
        assert caught.value.kind == OVER_THRESHOLD
        await turn()
        g.log.fail(OSError(errno.EIO, "Input/output error"))
        await asyncio.gather(first, second, return_exceptions=True)
        await g.commit(publish("a: 2"), publish("a: 3"))
        assert g.content == b"a: 3"

    asyncio.run(tell())


@story
async def test_a_command_that_is_too_large_is_refused_at_once() -> None:
    g = Group(Limits(entry_bytes_max=1000))
    with pytest.raises(NacosError, match="1000 are allowed") as caught:
        g.group.propose(publish("x" * 1000))
    assert caught.value.kind == PARAMETER_INVALID
    await g.commit(publish("a: 1"))


@story
async def test_publishes_wait_for_rows_that_are_too_far_behind_and_nothing_else_does() -> None:
    g = Group()
    g.rows.behind = True
    with pytest.raises(NacosError, match="behind by too many changes") as caught:
        g.gateway.propose(publish("a: 1"))
    assert caught.value.kind == OVER_THRESHOLD
    await g.commit(REGISTER, DeleteNamespace("none"))


# --- elections of one --------------------------------------------------------------------------------------------------


@story
async def test_a_log_from_before_there_were_votes_is_continued_in_the_next_term() -> None:
    """Term 1 and no hard state: what the group of one wrote before there were others."""
    g = Group(log=MemoryLog([encode(publish("a: 1")), encode(publish("a: 2"))]), sync=False)
    assert (g.content, g.group.applied_index, g.group.is_leader) == (b"a: 2", 2, True)
    assert g.hard_states.saved[1:] == [HardState(2, "a")]
    g.log.sync()
    await g.commit(publish("a: 3"))
    assert [entry.term for entry in g.log.kept] == [1, 1, 2, 2, 2]


def test_a_disk_that_takes_no_vote_serves_reads_and_is_asked_again_with_the_next_write(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A full disk at the start: nothing is appended either, as the vote has to be there before."""

    async def tell() -> None:
        g = Group(log=MemoryLog([encode(publish("a: 1"))]), sync=False, votes=OSError(errno.ENOSPC, "No space left"))
        assert (g.content, g.group.is_leader, g.log.appends) == (b"a: 1", False, [])
        for _ in range(2):
            refused = g.group.propose(publish("a: 2"))
            await turn()
            with pytest.raises(NacosError, match="could not be stored: No space left"):
                await refused
        assert (g.log.appends, g.log.last_index) == ([], 1)
        g.hard_states.error = None
        await g.commit(publish("a: 3"))
        assert (g.content, g.group.is_leader) == (b"a: 3", True)

    asyncio.run(tell())
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "the log cannot be written, writes are refused until it can: [Errno 28] No space left",
        "the log can be written again, 2 writes were refused meanwhile",
    ]


@story
async def test_each_who_is_refused_has_an_error_of_his_own() -> None:
    g = Group()
    await g.group.stop()
    caught = []
    for _ in range(2):
        with pytest.raises(RefusedError, match="the server is stopping") as refused:
            g.group.propose(publish())
        caught.append(refused.value)
    assert caught[0] is not caught[1]


# --- snapshots and the end -----------------------------------------------------------------------------------------------


def kept_synced_first(g: Group) -> tuple[list[int], list[int], int]:
    """Snapshots kept, rows synced, first entry of the log; in commands since the group began."""
    kept, synced = ([index - OWN_ENTRIES for index in indexes] for indexes in (g.snapshots.kept, g.rows.synced))
    return kept, synced, g.log.first_index - OWN_ENTRIES


async def snapshot_done(g: Group) -> None:
    """The one under way, if it still is."""
    if g.group.snapshot_task is not None:
        await g.group.snapshot_task


@story
async def test_a_snapshot_is_taken_after_so_many_entries_and_the_log_is_cut_behind_the_one_before() -> None:
    """Two are kept, and the log from the older one on: a damaged newest one costs nothing."""
    g = Group(Limits(snapshot_entries=3))
    for number in range(3):
        await g.commit(publish(f"{number}" * 2000))
    await snapshot_done(g)
    assert kept_synced_first(g) == ([3], [3], 4)
    for number in range(3):
        await g.commit(publish(f"{number}" * 2000))
    await snapshot_done(g)
    assert kept_synced_first(g) == ([3, 6], [3, 3], 4)
    for number in range(3):
        await g.commit(publish(f"{number}" * 2000))
    await snapshot_done(g)
    assert kept_synced_first(g) == ([6, 9], [3, 3, 6], 7)


@story
async def test_a_snapshot_is_taken_after_so_many_bytes_but_never_more_than_the_last_one_holds() -> None:
    g = Group(Limits(snapshot_bytes=10_000))
    for number in range(40):
        await g.commit(publish("x" * 1000, ConfigKey("public", "g", str(number))))
        await snapshot_done(g)
    # At 9 entries (10 000 bytes); then at 18, 36: each time as much as the snapshot before.
    first, second = kept_synced_first(g)[0]
    assert second - first >= first
    assert second <= 40


def test_a_snapshot_that_fails_leaves_the_log_and_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def tell() -> None:
        g = Group(Limits(snapshot_entries=2))
        for error_of in (g.snapshots, g.rows):
            error_of.error = OSError(errno.ENOSPC, "No space left on device")
            await g.commit(publish("x" * 2000), publish("y" * 2000))
            await snapshot_done(g)
            assert g.log.first_index == 1
            error_of.error = None
        await g.commit(publish("x" * 2000), publish("y" * 2000))
        await snapshot_done(g)
        assert g.log.first_index == min(g.snapshots.kept) + 1 == OWN_ENTRIES + 5

    asyncio.run(tell())
    assert f"no snapshot at {OWN_ENTRIES + 2}" in caplog.text


def test_a_snapshot_of_a_broken_room_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def tell() -> None:
        g = Group(Limits(snapshot_entries=1))
        g.catalog.configs[KEY] = cast(Any, object())
        await g.commit(REGISTER)
        await snapshot_done(g)
        assert g.snapshots.kept == {}

    asyncio.run(tell())
    assert f"no snapshot at {OWN_ENTRIES + 1}" in caplog.text


@story
async def test_a_stop_waits_for_what_was_proposed_and_takes_nothing_more() -> None:
    g = Group()
    proposed = g.group.propose(publish("a: 1"))
    stopping = asyncio.ensure_future(g.group.stop())
    await turn()
    with pytest.raises(NacosError, match="the server is stopping"):
        g.group.propose(publish("a: 2"))
    assert not stopping.done()
    g.log.sync()
    await stopping
    await proposed
    assert (g.content, g.snapshots.kept) == (b"a: 1", {})


@story
async def test_a_stop_leaves_a_snapshot_when_replay_would_take_long() -> None:
    g = Group(Limits(stop_entries=3))
    await g.commit(publish("a: 1"), publish("a: 2"), publish("a: 3"))
    await g.group.stop()
    assert kept_synced_first(g)[0] == [3]


@story
async def test_a_stop_waits_for_the_snapshot_under_way() -> None:
    g = Group(Limits(snapshot_entries=1))
    await g.commit(publish("a: 1"))
    await g.group.stop()
    assert kept_synced_first(g)[0] == [1]


def test_nothing_here_logs_more_than_it_should(caplog: pytest.LogCaptureFixture) -> None:
    async def tell() -> None:
        g = Group(Limits(snapshot_entries=1))
        await g.commit(publish("a: 1"))
        await g.group.stop()

    with caplog.at_level(logging.INFO):
        asyncio.run(tell())
    assert [record for record in caplog.records if record.name.startswith("nacosx")] == []
