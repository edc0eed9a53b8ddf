"""`''`, `public` and null are one namespace in every protocol, in both directions, echoed as the client wrote it.

(Observed 2, 3, 24: Java 2.5.1 differs from itself here.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.config_house import CONFIGS, ConfigHouse

SPELLINGS = (None, "", " ", "public", "PUBLIC", "Public", "null", "NULL")
NAMES = {"dataId": "d", "group": "G"}
MD5_OF_1 = "c4ca4238a0b923820dcc509a6f75849b"


class Client(NamedTuple):
    """One protocol and one way to write the namespace; None = left out."""

    protocol: str
    spelling: str | None

    def names(self) -> dict[str, str]:
        return NAMES if self.spelling is None else {**NAMES, "tenant": self.spelling}

    def publish(self, house: ConfigHouse, content: str, **more: str) -> None:
        if self.protocol == "http":
            assert house.http("POST", CONFIGS, form={**self.names(), "content": content, **more}).body == b"true"
        else:
            body = {**self.names(), "content": content, "additionMap": more}
            assert house.rpc("ConfigPublishRequest", body)["success"]

    def read(self, house: ConfigHouse, **more: str) -> str | None:
        if self.protocol == "http":
            response = house.http("GET", CONFIGS, {**self.names(), **more})
            return response.body.decode() if response.status == 200 else None
        reply = house.rpc("ConfigQueryRequest", {**self.names(), **more})
        return None if reply["errorCode"] == 300 else str(reply["content"])

    def delete(self, house: ConfigHouse, **more: str) -> None:
        if self.protocol == "http":
            assert house.http("DELETE", CONFIGS, {**self.names(), **more}).body == b"true"
        else:
            assert house.rpc("ConfigRemoveRequest", {**self.names(), **more})["success"]

    def listen(self, house: ConfigHouse, md5: str) -> list[dict[str, str]] | str:
        """What has changed, as it is answered."""
        if self.protocol == "grpc":
            context = {**self.names(), "md5": md5}
            return house.rpc("ConfigBatchListenRequest", {"configListenContexts": [context]})["changedConfigs"]  # type: ignore[no-any-return]
        words = ["d", "G", md5] if self.spelling is None else ["d", "G", md5, self.spelling]
        form = {"Listening-Configs": "\x02".join(words) + "\x01"}
        headers = {"Long-Pulling-Timeout": "10000", "Long-Pulling-Timeout-No-Hangup": "true"}
        return house.http("POST", f"{CONFIGS}/listener", form=form, headers=headers).body.decode()

    def changed(self) -> list[dict[str, str]] | str:
        """The answer of `listen` when the config has changed: the namespace as this client wrote it."""
        if self.protocol == "grpc":
            return [self.names()]
        blank = self.spelling is None or self.spelling.isspace() or not self.spelling
        return "d%02G%01\n" if blank else f"d%02G%02{self.spelling}%01\n"


clients = st.builds(Client, st.sampled_from(["http", "grpc"]), st.sampled_from(SPELLINGS))


@settings(max_examples=50, deadline=None)
@given(writer=clients, reader=clients, remover=clients)
def test_what_one_client_writes_every_other_reads_hears_of_and_deletes(
    tmp_path_factory: pytest.TempPathFactory, writer: Client, reader: Client, remover: Client
) -> None:
    house = ConfigHouse(tmp_path_factory.mktemp("house"))
    nothing: list[dict[str, str]] | str = [] if reader.protocol == "grpc" else ""
    assert reader.read(house) is None
    assert reader.listen(house, "") == nothing
    writer.publish(house, "1")
    writer.publish(house, "t", tag="t1")
    assert len(house.catalog.configs) == 1
    assert reader.read(house) == "1"
    assert reader.read(house, tag="t1") == "t"
    assert reader.listen(house, "") == reader.changed()
    assert reader.listen(house, MD5_OF_1) == nothing
    remover.delete(house, tag="tag_t1")
    remover.delete(house)
    assert reader.read(house) is None
    assert reader.listen(house, MD5_OF_1) == reader.changed()
    assert (house.catalog.configs, house.catalog.grays) == ({}, {})
    house.close()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_push_echoes_the_spelling_of_its_listener(house: ConfigHouse, spelling: str | None) -> None:
    listener, writer = Client("grpc", spelling), Client("http", "public" if not spelling else "")
    listener.listen(house, "")
    writer.publish(house, "1")
    ((_, pushed),) = house.pushes.sent
    assert pushed.get("tenant") == (spelling or None)


def _show_all(house: ConfigHouse, query: dict[str, str]) -> Any:
    return house.json("GET", CONFIGS, {**query, "show": "all"})["tenant"]


def _search(house: ConfigHouse, query: dict[str, str]) -> Any:
    page = house.json("GET", CONFIGS, {**query, "search": "blur", "pageNo": "1", "pageSize": "9"})
    return page["pageItems"][0]["tenant"]


def _beta(house: ConfigHouse, query: dict[str, str]) -> Any:
    return house.json("GET", CONFIGS, {**query, "beta": "true"})["data"]["tenant"]


def _catalog(house: ConfigHouse, query: dict[str, str]) -> Any:
    assert house.json("GET", f"{CONFIGS}/catalog", query)["data"]["type"] == "text"
    return query.get("tenant", "")


def _history(house: ConfigHouse, query: dict[str, str]) -> Any:
    page = house.json("GET", "/v1/cs/history", {**query, "search": "accurate"})
    return page["pageItems"][0]["tenant"]


def _history_row(house: ConfigHouse, query: dict[str, str]) -> Any:
    return house.json("GET", "/v1/cs/history", {**query, "nid": "1"})["tenant"]


def _configs(house: ConfigHouse, query: dict[str, str]) -> Any:
    return house.json("GET", "/v1/cs/history/configs", {"tenant": "", **query})[0]["tenant"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("ask", [_show_all, _search, _beta, _catalog, _history, _history_row, _configs])
def test_views_find_the_default_namespace_under_every_spelling(
    house: ConfigHouse, ask: Callable[[ConfigHouse, dict[str, str]], Any], spelling: str | None
) -> None:
    Client("grpc", "public").publish(house, "1")
    Client("grpc", "").publish(house, "b", betaIps="10.0.0.1")
    assert ask(house, Client("http", spelling).names()) == (spelling or "")


def test_other_namespaces_are_apart(house: ConfigHouse) -> None:
    Client("http", "ns1").publish(house, "1")
    assert Client("grpc", "ns1").read(house) == "1"
    assert [Client("grpc", spelling).read(house) for spelling in (*SPELLINGS, "NS1", "publicx")] == [None] * 10
    assert house.json("GET", CONFIGS, {**NAMES, "tenant": "ns1", "show": "all"})["tenant"] == "ns1"
