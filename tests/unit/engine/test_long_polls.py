"""Long polls: they wait, wake up for what concerns them, end in time, and leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from nacosx.config.catalog import Catalog
from nacosx.config.commands import DurableCommand
from nacosx.config.events import ConfigChanged
from nacosx.config.model import ConfigKey
from nacosx.config.watch import Listening
from nacosx.engine.push.long_polls import LongPolls
from nacosx.errors import OVER_THRESHOLD, NacosError
from tests.turns import turn
from tests.unit.config.catalog_commands import KEY, md5_of, publish, publish_beta, remove
from tests.virtual_time import VirtualTime

OTHER = ConfigKey("ns1", "G", "other")


class Room:
    def __init__(self) -> None:
        self.time = VirtualTime()
        self.catalog = Catalog()
        self.polls = LongPolls(self.catalog, self.time.ticker(), listenings_max=100)

    def apply(self, *commands: DurableCommand) -> None:
        for command in commands:
            for event in self.catalog.apply(command):
                if isinstance(event, ConfigChanged):
                    self.polls.on_config_changed(event)

    def poll(
        self, *listenings: Listening, ip: str = "1.1.1.1", timeout_ms: int = 10_000
    ) -> asyncio.Task[Listening | None]:
        return asyncio.create_task(self.polls.wait(ip, "", listenings, timeout_ms))


def story(play: Callable[[Room], Awaitable[None]]) -> None:
    room = Room()

    async def run() -> None:
        await play(room)

    asyncio.run(run())
    assert room.polls.count == 0
    assert (room.polls._by_key, room.polls._listenings) == ({}, 0)


def test_what_a_client_does_not_have_yet_is_changed() -> None:
    room = Room()
    room.apply(publish("1"), publish_beta("b", "10.0.0.1"))
    formal, beta, gone = (Listening(KEY, md5_of(data), "") for data in (b"1", b"b", b"0"))
    nothing = Listening(OTHER, "", "ns1")
    assert room.polls.changed("1.1.1.1", "", [formal, beta, gone, nothing]) == [beta, gone]
    assert room.polls.changed("10.0.0.1", "", [formal, beta, nothing]) == [formal]


def test_a_poll_wakes_up_for_a_change_of_one_of_its_configs() -> None:
    async def play(room: Room) -> None:
        mine, other = Listening(KEY, "", "public"), Listening(OTHER, "", "ns1")
        poll, bystander = room.poll(mine, other), room.poll(other)
        await turn(3)
        room.apply(publish("1"))
        assert await poll == mine
        assert not bystander.done()
        room.apply(publish("1", OTHER))
        assert await bystander == other

    story(play)


def test_a_change_before_the_poll_has_begun_is_not_missed() -> None:
    """The task of a request starts in a later turn of the loop than its handler has compared."""

    async def play(room: Room) -> None:
        mine = Listening(KEY, "", "")
        poll = room.poll(mine)  # not one step so far
        room.apply(publish("1"))
        await turn(3)
        assert poll.done()
        assert await poll == mine

    story(play)


def test_a_poll_ends_when_its_time_is_up() -> None:
    async def play(room: Room) -> None:
        poll = room.poll(Listening(KEY, "", ""), timeout_ms=10_000)
        await turn(3)
        room.time.advance(9_999)
        await turn(3)
        assert not poll.done()
        room.time.advance(1)
        assert await poll is None

    story(play)


def test_a_change_back_before_anybody_looked_answers_with_the_first_change() -> None:
    async def play(room: Room) -> None:
        room.apply(publish("1"))
        mine = Listening(KEY, md5_of(b"1"), "")
        poll = room.poll(mine)
        await turn(3)
        room.apply(publish("2"), publish("1"))
        assert await poll == mine

    story(play)


def test_a_beta_wakes_up_the_clients_it_is_for_and_nobody_else() -> None:
    async def play(room: Room) -> None:
        room.apply(publish("1"))
        mine = Listening(KEY, md5_of(b"1"), "")
        beta, plain = room.poll(mine, ip="10.0.0.1"), room.poll(mine)
        await turn(3)
        room.apply(publish_beta("b", "10.0.0.1"))
        assert await beta == mine
        assert not plain.done()
        room.apply(remove())
        assert await plain == mine

    story(play)


def test_a_client_that_hangs_up_leaves_nothing_behind() -> None:
    async def play(room: Room) -> None:
        poll = room.poll(Listening(KEY, "", ""), Listening(KEY, "", "public"))
        await turn(3)
        assert room.polls.count == 1
        poll.cancel()
        with pytest.raises(asyncio.CancelledError):
            await poll
        room.apply(publish("1"))
        room.time.advance(10_000)

    story(play)


def test_one_config_under_two_spellings_answers_with_the_first() -> None:
    async def play(room: Room) -> None:
        room.apply(publish("1"))
        blank, spelled = Listening(KEY, md5_of(b"1"), ""), Listening(KEY, md5_of(b"1"), "public")
        poll = room.poll(blank, spelled)
        await turn(3)
        room.apply(publish("2"))
        assert await poll == blank

    story(play)


def test_views_show_who_waits_for_what() -> None:
    async def play(room: Room) -> None:
        room.apply(publish("1"))
        poll = room.poll(Listening(KEY, md5_of(b"1"), ""), Listening(OTHER, "", "ns1"))
        await turn(3)
        assert room.polls.of_config(KEY) == {"1.1.1.1": md5_of(b"1")}
        assert room.polls.of_config(ConfigKey("public", "G", "nobody")) == {}
        assert room.polls.of_client("1.1.1.1") == {
            "app.yaml+DEFAULT_GROUP": md5_of(b"1"),
            "other+G+ns1": "",
        }
        assert room.polls.of_client("2.2.2.2") == {}
        poll.cancel()
        await turn(3)

    story(play)


def test_polled_configs_have_a_limit() -> None:
    async def play(room: Room) -> None:
        poll = room.poll(*(Listening(KEY, "", str(number)) for number in range(100)))
        await turn(3)
        with pytest.raises(NacosError) as refusal:
            await room.poll(Listening(KEY, "", ""))
        assert refusal.value.kind is OVER_THRESHOLD
        room.time.advance(10_000)
        assert await poll is None

    story(play)


def test_when_the_server_stops_nobody_waits_any_longer() -> None:
    """Every poll ends at once, as if its time were up."""

    async def play(room: Room) -> None:
        polls = [room.poll(Listening(key, "", "")) for key in (KEY, OTHER)]
        await turn(3)
        assert room.polls.count == 2
        room.polls.end()
        assert await asyncio.gather(*polls) == [None, None]
        assert await room.poll(Listening(KEY, "", "")) is None, "one whose request was on its way"

    story(play)
