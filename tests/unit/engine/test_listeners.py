"""Config listeners over gRPC: who is told what, how often, and when a connection is given up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nacosx.config.catalog import Catalog
from nacosx.config.commands import DurableCommand
from nacosx.config.events import ConfigChanged
from nacosx.config.model import ConfigKey
from nacosx.config.watch import Listening
from nacosx.engine.push.listeners import PUSHES_A_TURN_MAX, Listeners, notification
from nacosx.errors import OVER_THRESHOLD, NacosError
from tests.unit.config.catalog_commands import KEY, publish, publish_beta, publish_tag, remove
from tests.virtual_time import VirtualTime

OTHER = ConfigKey("ns1", "G", "other")


class FakePushes:
    """Keeps what was pushed, and who waits for the answer."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.answers: list[Callable[[bool], None]] = []
        self.gone: set[str] = set()

    def push(
        self, client_id: str, type_name: str, members: bytes, answered: Callable[[bool], None], *, timeout_ms: int
    ) -> bool:
        assert (type_name, timeout_ms) == ("ConfigChangeNotifyRequest", 3_000)
        if client_id in self.gone:
            return False
        self.sent.append((client_id, members))
        self.answers.append(answered)
        return True

    def told(self) -> list[str]:
        """Connections pushed to since the last call."""
        told = [client_id for client_id, _ in self.sent]
        self.sent.clear()
        return told


class Room:
    def __init__(self) -> None:
        self.time = VirtualTime()
        self.catalog = Catalog()
        self.pushes = FakePushes()
        self.disconnected: list[str] = []
        self.listeners = Listeners(self.pushes, self.time.ticker(), self.disconnected.append, push_tries_max=4)

    def apply(self, *commands: DurableCommand) -> None:
        for command in commands:
            for event in self.catalog.apply(command):
                if isinstance(event, ConfigChanged):
                    self.listeners.on_config_changed(event)

    def listen(
        self, connection_id: str, key: ConfigKey = KEY, *, ip: str = "1.1.1.1", tag: str = "", md5: str = "",
        tenant: str | None = "",
    ) -> None:  # fmt: skip
        self.listeners.listen(connection_id, ip, tag, Listening(key, md5, tenant))


def test_a_change_is_pushed_at_once_to_everybody_who_listens_to_it() -> None:
    """A crowd is told in slices: the first leaves before the next is made."""
    room = Room()
    crowd = [f"c{number}" for number in range(2 * PUSHES_A_TURN_MAX + 7)]
    for connection_id in crowd:
        room.listen(connection_id)
    room.listen("elsewhere", OTHER)
    room.apply(publish("1"))
    assert room.pushes.told() == crowd[:PUSHES_A_TURN_MAX]
    room.time.turn()
    assert room.pushes.told() == crowd[PUSHES_A_TURN_MAX:]


def test_who_stops_listening_while_a_crowd_is_told_is_told_nothing() -> None:
    room = Room()
    crowd = [f"c{number}" for number in range(PUSHES_A_TURN_MAX + 2)]
    for connection_id in crowd:
        room.listen(connection_id)
    room.apply(publish("1"))
    room.listeners.release(crowd[-1])
    room.time.turn()
    assert room.pushes.told() == crowd[:-1]


def test_a_change_while_a_crowd_is_told_is_the_same_news_to_those_not_told_yet() -> None:
    room = Room()
    crowd = [f"c{number}" for number in range(PUSHES_A_TURN_MAX + 1)]
    for connection_id in crowd:
        room.listen(connection_id)
    room.apply(publish("1"))
    room.apply(publish("2"))
    room.time.turn()
    assert room.pushes.told() == crowd
    for answered in tuple(room.pushes.answers):
        answered(True)
    assert room.pushes.told() == crowd[:-1]


def test_the_notification_echoes_the_tenant_as_the_client_wrote_it() -> None:
    room = Room()
    for connection_id, tenant in (("c1", ""), ("c2", None), ("c3", "public"), ("c4", "PUBLIC")):
        room.listen(connection_id, tenant=tenant)
    room.listen("c5", OTHER, tenant="ns1")
    room.apply(publish("1"), publish("1", OTHER))
    blank = b'"dataId":"app.yaml","group":"DEFAULT_GROUP","module":"config"'
    assert dict(room.pushes.sent) == {
        "c1": blank,
        "c2": blank,
        "c3": b'"dataId":"app.yaml","group":"DEFAULT_GROUP","tenant":"public","module":"config"',
        "c4": b'"dataId":"app.yaml","group":"DEFAULT_GROUP","tenant":"PUBLIC","module":"config"',
        "c5": b'"dataId":"other","group":"G","tenant":"ns1","module":"config"',
    }


def test_names_are_escaped_in_the_notification() -> None:
    assert (
        notification(ConfigKey("x", 'g"', "ü\n"), None) == '"dataId":"ü\\n","group":"g\\"","module":"config"'.encode()
    )


def test_one_connection_may_listen_under_two_spellings() -> None:
    room = Room()
    room.listen("c1", tenant="")
    room.listen("c1", tenant="public")
    room.apply(publish("1"))
    assert room.pushes.told() == ["c1", "c1"]
    room.listeners.unlisten("c1", KEY, "")
    for answered in room.pushes.answers:
        answered(True)
    room.apply(publish("2"))
    assert [b"tenant" in members for _, members in room.pushes.sent] == [True]


def test_gray_versions_are_told_to_the_clients_they_are_for() -> None:
    room = Room()
    room.apply(publish("formal"))
    room.listen("beta", ip="10.0.0.1")
    room.listen("tagged", tag="t1")
    room.listen("plain")
    room.apply(publish_beta("b", "10.0.0.1"))
    assert room.pushes.told() == ["beta"]
    room.apply(publish_tag("t", "t1"))
    assert room.pushes.told() == ["tagged"]
    room.apply(publish("formal 2"))
    assert room.pushes.told() == ["plain"]


def test_a_deletion_is_told_and_publishing_the_same_again_is_not() -> None:
    room = Room()
    room.listen("c1")
    room.apply(publish("1"))
    room.pushes.answers.pop()(True)
    room.apply(publish("1", type="yaml"))
    assert room.pushes.told() == ["c1"]
    room.apply(remove())
    assert room.pushes.told() == ["c1"]


def test_changes_while_a_notification_is_unanswered_make_one_more() -> None:
    room = Room()
    room.listen("c1")
    room.apply(publish("1"), publish("2"), publish("3"))
    assert room.pushes.told() == ["c1"]
    room.pushes.answers.pop()(True)
    assert room.pushes.told() == ["c1"]
    room.pushes.answers.pop()(True)
    assert room.pushes.told() == []


def test_a_notification_that_fails_is_tried_again_after_2_4_6_seconds_and_then_the_connection_is_given_up() -> None:
    room = Room()
    room.listen("c1")
    room.apply(publish("1"))
    for delay_ms in (2_000, 4_000, 6_000):
        assert room.pushes.told() == ["c1"]
        room.pushes.answers.pop()(False)
        room.apply(publish(f"{delay_ms}"))  # merged into the one that is tried again
        room.time.advance(delay_ms - 1)
        assert room.pushes.told() == []
        room.time.advance(1)
    assert room.pushes.told() == ["c1"]
    room.pushes.answers.pop()(False)
    assert room.disconnected == ["c1"]


def test_tries_count_anew_after_an_answer() -> None:
    room = Room()
    room.listen("c1")
    room.apply(publish("0"))
    for number in range(5):
        room.pushes.answers.pop()(False)
        room.time.advance(2_000)
        room.pushes.answers.pop()(True)
        room.apply(publish(f"again {number}"))
    assert room.disconnected == []
    assert len(room.pushes.sent) == 11


def test_a_released_connection_is_not_told_and_its_tries_end() -> None:
    room = Room()
    room.listen("c1")
    room.apply(publish("1"))
    room.pushes.answers.pop()(False)
    room.listeners.release("c1")
    room.listeners.release("c1")
    room.time.advance(10_000)
    room.apply(publish("2"))
    assert (room.pushes.told(), room.listeners.count, room.time.armed) == (["c1"], 0, room.time.armed)


def test_an_answer_that_comes_after_the_listener_has_gone_is_ignored() -> None:
    room = Room()
    room.listen("c1")
    room.apply(publish("1"))
    room.listeners.unlisten("c1", KEY, "")
    room.listeners.unlisten("c1", KEY, "")
    for success in (True, False):
        room.pushes.answers[0](success)
    room.time.advance(10_000)
    assert room.pushes.told() == ["c1"]


def test_a_connection_that_has_gone_already_is_not_waited_for() -> None:
    room = Room()
    room.listen("c1")
    room.pushes.gone.add("c1")
    room.apply(publish("1"))
    room.pushes.gone.clear()
    room.apply(publish("2"))
    assert room.pushes.told() == ["c1"]


def test_listening_again_renews_the_md5_and_takes_no_more_room() -> None:
    room = Room()
    room.listen("c1", md5="old")
    room.listen("c1", md5="new")
    assert room.listeners.count == 1
    assert room.listeners.of_config(KEY) == {"1.1.1.1": "new"}


def test_views_show_configs_by_client_and_clients_by_config() -> None:
    room = Room()
    plus = ConfigKey("public", "G+", "a%b")
    room.listen("c1", md5="m1")
    room.listen("c2", md5="m2", ip="2.2.2.2")
    room.listen("c3", OTHER, md5="m3", tenant="ns1")
    room.listen("c3", plus, md5="m4", tenant=None)
    assert room.listeners.of_config(KEY) == {"1.1.1.1": "m1", "2.2.2.2": "m2"}
    assert room.listeners.of_config(ConfigKey("public", "G", "nobody")) == {}
    assert room.listeners.of_client("1.1.1.1") == {
        "app.yaml+DEFAULT_GROUP": "m1",
        "other+G+ns1": "m3",
        "a%25b+G%2B": "m4",
    }


def test_listeners_have_a_limit() -> None:
    room = Room()
    listeners = Listeners(room.pushes, room.time.ticker(), room.disconnected.append, listeners_max=1)
    listeners.listen("c1", "1.1.1.1", "", Listening(KEY, "", ""))
    with pytest.raises(NacosError) as refusal:
        listeners.listen("c1", "1.1.1.1", "", Listening(OTHER, "", ""))
    assert refusal.value.kind is OVER_THRESHOLD
    listeners.release("c1")
    listeners.listen("c1", "1.1.1.1", "", Listening(OTHER, "", ""))
