"""Configuration as an SDK sees it: every scenario once, for every client."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.interop.driver import Client, DriverError
from tests.interop.observer import Observer
from tests.interop.sdk import needs
from tests.server import wait_until

GROUP = "interop"
SEEN_S_MAX = 5.0
NOTIFIED_S_MAX = 1.0
LISTENING_S_MAX = 45.0  # 1.x clients add a listener only with their next long poll
BIG_BYTES = 1_000_000

UNICODE = 'ключ=значение\n配置: "你好，世界" 🚀\r\n\ttab & = + % # ? \\ \x02\x01 ünï\n'


def md5(content: str) -> str:
    return hashlib.md5(content.encode()).hexdigest()


def big() -> str:
    lines = (f"{number:06d} 配置 and more\n" for number in itertools.count())
    content = "".join(itertools.islice(lines, BIG_BYTES // 20))
    assert len(content.encode()) >= BIG_BYTES
    return content


def is_config(data_id: str, content: str) -> Any:
    return lambda event: event["event"] == "config" and event["data_id"] == data_id and event["content"] == content


def wait_listening(client: Client, observer: Observer, data_id: str, tenant: str = "") -> None:
    """Changes the config until the client notices: from then on it listens."""
    deadline = time.monotonic() + LISTENING_S_MAX
    for number in itertools.count():
        content = f"is anybody listening? {number}"
        observer.publish(data_id, GROUP, content, tenant)
        try:
            client.wait_event(is_config(data_id, content), "a first notification", NOTIFIED_S_MAX)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        else:
            return


def check_notified(client: Client, data_id: str, content: str, publish: Callable[[str], Any]) -> None:
    """`publish(content)` changes the config; the client is told within NOTIFIED_S_MAX.

    An SDK that cannot take haste may lose a change that comes while it handles the one before; the next one it must not.
    """
    for changed in [content, content + " "] if "haste" in client.sdk.cannot else [content]:
        since = client.mark()
        started = time.monotonic()
        publish(changed)
        what = f"{changed!r:.60} arrives within {NOTIFIED_S_MAX} s of its publication"
        try:
            arrived = client.wait_event(is_config(data_id, changed), what, 2 * NOTIFIED_S_MAX, since)
        except AssertionError:
            if changed == content and "haste" in client.sdk.cannot:
                continue
            raise
        assert arrived - started <= NOTIFIED_S_MAX
        return


class TestConfig:
    def test_a_config_is_there_from_publish_to_remove(self, client: Client, observer: Observer, data_id: str) -> None:
        """Missing, published, overwritten, removed; an observer sees the same."""
        assert client.do("get", data_id=data_id, group=GROUP) is None
        for content in ("one", "two"):
            assert client.do("publish", data_id=data_id, group=GROUP, content=content)
            assert client.do("get", data_id=data_id, group=GROUP) == content
            assert observer.get(data_id, GROUP) == content
        assert client.do("remove", data_id=data_id, group=GROUP)
        assert observer.get(data_id, GROUP) is None
        assert client.do("get", data_id=data_id, group=GROUP) is None

    def test_what_another_client_publishes_is_found(self, client: Client, observer: Observer, data_id: str) -> None:
        """And what another client removes is gone."""
        observer.publish(data_id, GROUP, "from outside")
        assert client.do("get", data_id=data_id, group=GROUP) == "from outside"
        observer.remove(data_id, GROUP)
        assert client.do("get", data_id=data_id, group=GROUP) is None

    def test_every_character_survives(self, client: Client, observer: Observer, data_id: str) -> None:
        """Scripts, emoji, line ends, form and separator characters, both ways."""
        assert client.do("publish", data_id=data_id, group=GROUP, content=UNICODE)
        assert observer.get(data_id, GROUP) == UNICODE
        observer.publish(data_id, GROUP, UNICODE + "again")
        assert client.do("get", data_id=data_id, group=GROUP) == UNICODE + "again"

    @needs("publish_big")
    def test_a_megabyte_is_published(self, client: Client, observer: Observer, data_id: str) -> None:
        """One config of 1 MB arrives whole."""
        assert client.do("publish", data_id=data_id, group=GROUP, content=big())
        arrived = observer.get(data_id, GROUP)
        assert arrived is not None
        assert md5(arrived) == md5(big())

    def test_a_megabyte_is_read(self, client: Client, observer: Observer, data_id: str) -> None:
        """And is read whole."""
        observer.publish(data_id, GROUP, big())
        assert md5(client.do("get", data_id=data_id, group=GROUP)) == md5(big())

    @needs("cas")
    def test_compare_and_set_refuses_a_stale_writer(self, client: Client, observer: Observer, data_id: str) -> None:
        """The md5 of what the writer read must still be the current one."""
        observer.publish(data_id, GROUP, "one")
        try:
            accepted = client.do("cas", data_id=data_id, group=GROUP, content="stale", md5=md5("older"))
        except DriverError:
            accepted = False
        assert not accepted
        assert observer.get(data_id, GROUP) == "one"
        assert client.do("cas", data_id=data_id, group=GROUP, content="two", md5=md5("one"))
        assert observer.get(data_id, GROUP) == "two"

    def test_a_listener_is_notified_within_a_second(self, client: Client, observer: Observer, data_id: str) -> None:
        """Of a change by an observer, of the next one, of unicode and of 1 MB."""
        observer.publish(data_id, GROUP, "before")
        client.do("listen", data_id=data_id, group=GROUP)
        wait_listening(client, observer, data_id)
        for content in ("first", "second", UNICODE, big(), "last"):
            check_notified(client, data_id, content, lambda text: observer.publish(data_id, GROUP, text))

    def test_a_listener_hears_of_a_config_that_did_not_exist(
        self, sdk_client: Any, observer: Observer, data_id: str
    ) -> None:
        """Listen first, publish later, by the same SDK."""
        listener, publisher = sdk_client("listener"), sdk_client("publisher")
        listener.do("listen", data_id=data_id, group=GROUP)
        wait_listening(listener, observer, data_id)
        check_notified(
            listener,
            data_id,
            "made by a client",
            lambda text: publisher.do("publish", data_id=data_id, group=GROUP, content=text),
        )

    @needs("unlisten")
    def test_a_listener_that_left_is_left_alone(self, sdk_client: Any, observer: Observer, data_id: str) -> None:
        """A change that reaches one listener does not reach the one that left."""
        staying, leaving = sdk_client("staying"), sdk_client("leaving")
        for client in (staying, leaving):
            client.do("listen", data_id=data_id, group=GROUP)
            wait_listening(client, observer, data_id)
        check_notified(staying, data_id, "for both", lambda text: observer.publish(data_id, GROUP, text))
        leaving.wait_event(is_config(data_id, observer.get(data_id, GROUP)), "it hears of it, too", 2 * NOTIFIED_S_MAX)
        leaving.do("unlisten", data_id=data_id, group=GROUP)
        since = leaving.mark()
        check_notified(staying, data_id, "for one", lambda text: observer.publish(data_id, GROUP, text))
        assert leaving.mark() == since

    def test_a_namespace_is_a_world_of_its_own(self, sdk_client: Any, observer: Observer, data_id: str) -> None:
        """The same dataId in another namespace is another config."""
        observer.create_namespace("interop-config")
        client = sdk_client("elsewhere", namespace="interop-config")
        observer.publish(data_id, GROUP, "in public")
        assert client.do("publish", data_id=data_id, group=GROUP, content="elsewhere")
        assert observer.get(data_id, GROUP, "interop-config") == "elsewhere"
        assert observer.get(data_id, GROUP) == "in public"
        client.do("listen", data_id=data_id, group=GROUP)
        wait_listening(client, observer, data_id, "interop-config")

    @pytest.mark.parametrize("spelling", ["", "public"])
    def test_the_public_namespace_has_more_than_one_name(
        self, sdk_client: Any, observer: Observer, data_id: str, spelling: str
    ) -> None:
        """A client of '' and one of 'public' share configs and notifications."""
        other = "public" if spelling == "" else ""
        writer, reader = sdk_client("writer", namespace=spelling), sdk_client("reader", namespace=other)
        assert writer.do("publish", data_id=data_id, group=GROUP, content="shared")
        assert reader.do("get", data_id=data_id, group=GROUP) == "shared"
        assert [observer.get(data_id, GROUP, tenant) for tenant in ("", "public")] == ["shared", "shared"]
        reader.do("listen", data_id=data_id, group=GROUP)
        wait_listening(reader, observer, data_id, spelling)
        check_notified(
            reader, data_id, "news", lambda text: writer.do("publish", data_id=data_id, group=GROUP, content=text)
        )
        assert writer.do("remove", data_id=data_id, group=GROUP)
        wait_until(lambda: reader.do("get", data_id=data_id, group=GROUP) is None, "it is gone for both", SEEN_S_MAX)
