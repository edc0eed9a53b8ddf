"""Long polls over HTTP v1, byte for byte (contract/http-v1-config.md §1.15, §1.16, golden/2.5.1/067–080)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from nacosx._core.http1 import Response
from nacosx.api.checks import Checks
from nacosx.api.v1.config_listener import parse_listenings, version_number
from nacosx.errors import NacosError
from tests.config_house import CONFIGS, ConfigHouse
from tests.turns import turn

LISTENER = f"{CONFIGS}/listener"
JSON = "application/json;charset=UTF-8"
NO_CACHE = (
    ("Pragma", "no-cache"),
    ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("Cache-Control", "no-cache,no-store"),
)
LONG = {"Long-Pulling-Timeout": "30000"}
MD5_OF_1 = "c4ca4238a0b923820dcc509a6f75849b"


def entry(data_id: str = "d", group: str = "G", md5: str = "", tenant: str | None = None) -> str:
    """As clients write it: without a tenant the md5 ends the entry."""
    words = [data_id, group, md5] if tenant is None else [data_id, group, md5, tenant]
    return "\x02".join(words) + "\x01"


def listen(house: ConfigHouse, listening: str, **headers: str) -> Response:
    """A poll that is answered at once."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return house.http("POST", LISTENER, form={"Listening-Configs": quote(listening)}, headers=LONG | headers)


def whole(response: Response) -> tuple[int, str, tuple[tuple[str, str], ...], str]:
    return response.status, response.content_type, response.headers, response.body.decode()


def poll(house: ConfigHouse, listening: str, timeout_ms: int = 30_000, ip: str = "127.0.0.1") -> asyncio.Task[Response]:
    headers = {"Long-Pulling-Timeout": str(timeout_ms), "X-Real-IP": ip}
    answer = house.answer(
        house.request("POST", LISTENER, form={"Listening-Configs": quote(listening)}, headers=headers)
    )
    assert isinstance(answer, Coroutine), "answered at once"
    return asyncio.get_running_loop().create_task(answer)


def play(house: ConfigHouse, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    house.runner.run(story())
    assert house.polls.count == 0


async def post(house: ConfigHouse, **form: str) -> None:
    answer = house.answer(house.request("POST", CONFIGS, form={"dataId": "d", "group": "G", **form}))
    assert isinstance(answer, Response)
    assert answer.body == b"true"


def test_what_has_changed_is_answered_at_once(house: ConfigHouse) -> None:
    house.publish()
    assert whole(listen(house, entry(md5="stale"))) == (200, JSON, NO_CACHE, "d%02G%01\n")
    both = entry("e", tenant="ns1", md5="x") + entry("d", md5="stale")
    assert listen(house, both).body == b"e%02G%02ns1%01d%02G%01\n"


def test_the_tenant_is_echoed_as_the_client_wrote_it(house: ConfigHouse) -> None:
    house.publish()
    for tenant, echoed in (("", ""), ("public", "%02public"), ("PUBLIC", "%02PUBLIC"), ("null", "%02null")):
        assert listen(house, entry(md5="stale", tenant=tenant)).body == f"d%02G{echoed}%01\n".encode()


def test_names_are_percent_encoded_as_java_does(house: ConfigHouse) -> None:
    assert listen(house, entry("com.a:b-c_d", md5="x")).body == b"com.a%3Ab-c_d%02G%01\n"


def test_the_form_may_decode_the_list_once_only(house: ConfigHouse) -> None:
    """curl --data-urlencode encodes once, SDKs twice; both are understood (golden 067)."""
    response = house.http("POST", LISTENER, form={"Listening-Configs": entry(md5="x")}, headers=LONG)
    assert response.body == b"d%02G%01\n"


def test_no_hang_up_answers_at_once_that_nothing_has_changed(house: ConfigHouse) -> None:
    house.publish()
    response = listen(house, entry(md5=MD5_OF_1), Long_Pulling_Timeout_No_Hangup="true")
    assert whole(response) == (200, JSON, (), "")


def test_a_poll_hangs_until_its_config_changes(house: ConfigHouse) -> None:
    async def story() -> None:
        waiting = poll(house, entry("other", tenant="ns1") + entry("d", tenant="public"))
        await turn(3)
        await post(house, content="1")
        assert whole(await waiting) == (200, JSON, NO_CACHE, "d%02G%02public%01\n")

    play(house, story)


@pytest.mark.parametrize(("asked_ms", "waits_ms"), [(30_000, 29_500), (10_000, 10_000), (3_000, 10_000), (0, 10_000)])
def test_a_poll_ends_half_a_second_before_the_client_gives_up_but_holds_ten_seconds(
    house: ConfigHouse, asked_ms: int, waits_ms: int
) -> None:
    async def story() -> None:
        waiting = poll(house, entry(), asked_ms)
        await turn(3)
        house.time.advance(waits_ms - 1)
        await turn(3)
        assert not waiting.done()
        house.time.advance(1)
        assert whole(await waiting) == (200, JSON, (), "")

    play(house, story)


def test_a_list_without_an_end_listens_to_nothing(house: ConfigHouse) -> None:
    """What stands behind the last ^A is ignored, as Java's parser does."""

    async def story() -> None:
        waiting = poll(house, "d\x02G\x02md5")
        await turn(3)
        await post(house, content="1")
        house.time.advance(29_500)
        assert (await waiting).body == b""

    play(house, story)


def test_old_clients_read_the_answer_in_headers(house: ConfigHouse) -> None:
    house.publish()
    form = {"Listening-Configs": quote(entry(md5="stale") + entry("e", md5="x", tenant="ns1"))}
    answered = (
        ("Probe-Modify-Response", "d:G;e:G;"),
        ("Probe-Modify-Response-New", "d%02G%01e%02G%02ns1%01"),
        *NO_CACHE,
    )
    assert whole(house.http("POST", LISTENER, form=form)) == (200, JSON, answered, "")
    newer = house.http("POST", LISTENER, form=form, headers={"Client-Version": "2.0.4"})
    assert whole(newer) == (200, JSON, NO_CACHE, "")


def test_versions_are_numbers_without_dots() -> None:
    assert [version_number(text) for text in ("2.0.4", "2.0.0", "3", "1.4.7", "2.x.5", "")] == [204, 200, 3, 147, 25, 0]


def test_a_poll_without_a_list_is_refused(house: ConfigHouse) -> None:
    for form in ({}, {"Listening-Configs": " "}):
        response = house.http("POST", LISTENER, form=form, headers=LONG)
        assert whole(response) == (400, "text/plain;charset=UTF-8", (), "caused: invalid probeModify;")


@pytest.mark.parametrize("garbage", ["garbage", "a\x02b\x02c\x02d\x02e\x01", "\x01", "d\x02G\x02\x01x\x01"])
def test_garbage_is_refused_by_the_filter_before_the_handler(house: ConfigHouse, garbage: str) -> None:
    """Golden 074: nobody words what the filter throws, so Spring's error page answers."""
    response = listen(house, garbage)
    assert (response.status, response.content_type, response.bare) == (500, JSON, True)
    assert response.body == (
        b'{"timestamp":"2023-11-14T22:13:20.000+00:00","status":500,"error":"Internal Server Error",'
        b'"message":"invalid probeModify","path":"/nacos/v1/cs/configs/listener"}'
    )


def test_illegal_names_in_a_list_are_refused(house: ConfigHouse) -> None:
    for listening, name in (
        (entry("bad id!"), "dataId"),
        (entry("d", "no group"), "group"),
        (entry("d") + entry("d", md5="x", tenant="bad ns!"), "namespaceId/tenant"),
    ):
        response = listen(house, listening)
        message = f"Param '{name}' is illegal, illegal characters should not appear in the param.\r\n"
        assert whole(response) == (400, JSON, NO_CACHE, message)


def test_without_the_checker_the_handler_refuses(tmp_path: Path) -> None:
    house = ConfigHouse(tmp_path, checks=Checks(enabled=False))
    for garbage in ("a\x01", "a\x02b\x01", "a\x02b\x02c\x02d\x02e\x01"):
        assert whole(listen(house, garbage))[3] == "caused: invalid probeModify;"
    house.close()


def test_a_timeout_that_is_no_number_is_refused(house: ConfigHouse) -> None:
    response = listen(house, entry(), Long_Pulling_Timeout="soon")
    assert (response.status, response.body) == (400, b'caused: For input string: "soon";')


def test_a_list_has_a_limit() -> None:
    assert len(parse_listenings("".join(entry(str(number)) for number in range(10_000)))) == 10_000
    with pytest.raises(NacosError, match="invalid probeModify"):
        parse_listenings("".join(entry(str(number)) for number in range(10_001)))


@given(st.text(st.sampled_from("ab\x01\x02%+ü \n"), max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    entries = text.split("\x01")[:-1]
    if all(2 <= each.count("\x02") <= 3 for each in entries):
        assert len(parse_listenings(text)) <= len(entries)
    else:
        with pytest.raises(NacosError, match="invalid probeModify"):
            parse_listenings(text)


names = st.text(st.sampled_from("abc.:-_"), min_size=1, max_size=8)


@given(st.lists(st.tuples(names, names, st.sampled_from(["", "m"]), st.one_of(st.none(), names)), max_size=8))
def test_every_list_is_read_back(entries: list[tuple[str, str, str, str | None]]) -> None:
    listenings = parse_listenings("".join(entry(*each) for each in entries))
    newest = {(data_id, group, tenant or ""): md5 for data_id, group, md5, tenant in entries}
    assert {(each.key.data_id, each.key.group, each.tenant): each.md5 for each in listenings} == newest


def test_views_show_who_listens_by_poll_or_over_grpc(house: ConfigHouse) -> None:
    async def story() -> None:
        waiting = poll(house, entry("d") + entry("e", tenant="ns1"))
        await turn(3)
        context = {"dataId": "d", "group": "G", "tenant": "public", "md5": ""}
        house.call("ConfigBatchListenRequest", {"configListenContexts": [context]}, house.connection("c1", "10.0.0.7"))
        d, ip = {"dataId": "d", "group": "G"}, {"ip": "127.0.0.1"}
        for path, query, shown in (
            (LISTENER, d, {"127.0.0.1": "", "10.0.0.7": ""}),
            (LISTENER, {**d, "tenant": "public"}, {"127.0.0.1": "", "10.0.0.7": ""}),
            (LISTENER, {"dataId": "d", "group": "other"}, {}),
            ("/v1/cs/listener", ip, {"d+G": ""}),
            ("/v1/cs/listener", {**ip, "all": "true"}, {"d+G": "", "e+G+ns1": ""}),
            ("/v1/cs/listener", {**ip, "tenant": "ns1"}, {"d+G": "", "e+G+ns1": ""}),
            ("/v1/cs/listener", {"ip": "10.0.0.7"}, {"d+G+public": ""}),
        ):
            response = house.answer(house.request("GET", path, query))
            assert isinstance(response, Response)
            assert response.body == encode({"collectStatus": 200, "lisentersGroupkeyStatus": shown}), (path, query)
        for path, query, shown in (
            ("/v1/cs/communication/configWatchers", d, {"127.0.0.1": "", "10.0.0.7": ""}),
            ("/v1/cs/communication/watcherConfigs", ip, {"d+G": "", "e+G+ns1": ""}),
        ):
            response = house.answer(house.request("GET", path, query))
            assert isinstance(response, Response)
            assert response.body == encode({"lisentersGroupkeyStatus": shown})
        house.time.advance(29_500)
        await waiting

    play(house, story)
