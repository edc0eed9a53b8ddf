"""Configuration over HTTP v1 answers as Nacos 2.5.1 (contract/http-v1-config.md, golden/2.5.1/025–119)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nacosx._core.http1 import Response
from nacosx.api.checks import Checks
from nacosx.errors import SERVER, NacosError
from nacosx.storage.rows import BATCH_DELAY_MS, BATCHES_WAITING_MAX
from tests.config_house import CONFIGS, ConfigHouse

JSON, TEXT = "application/json;charset=UTF-8", "text/plain;charset=UTF-8"
NO_CACHE = (
    ("Pragma", "no-cache"),
    ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("Cache-Control", "no-cache,no-store"),
)
D = {"dataId": "d", "group": "G"}


def text(response: Response) -> tuple[int, str, str]:
    return response.status, response.content_type, response.body.decode()


# --- contents --------------------------------------------------------------------------------------------------------


def test_a_config_is_published_and_read_with_its_headers(house: ConfigHouse) -> None:
    assert text(house.publish(content="a: ünï\n", type="yaml")) == (200, JSON, "true")
    response = house.http("GET", CONFIGS, D)
    assert text(response) == (200, TEXT, "a: ünï\n")
    assert response.headers == (
        ("Config-Type", "yaml"),
        ("Content-MD5", "9f732f41fe30ebe366da0961a7f56ccf"),
        *NO_CACHE,
        ("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("Encrypted-Data-Key", ""),
    )


def test_parameters_may_stand_in_the_query_too(house: ConfigHouse) -> None:
    house.http("POST", CONFIGS, {**D, "content": "1", "encryptedDataKey": "KEY"})
    response = house.http("GET", CONFIGS, D)
    assert response.body == b"1"
    assert dict(response.headers)["Encrypted-Data-Key"] == "KEY"


def test_a_missing_config_is_404(house: ConfigHouse) -> None:
    assert text(house.http("GET", CONFIGS, D)) == (404, JSON, "config data not exist\n")


def test_an_unknown_type_is_text(house: ConfigHouse) -> None:
    house.publish(type="nonsense")
    assert dict(house.http("GET", CONFIGS, D).headers)["Config-Type"] == "text"


def test_compare_and_set_by_header(house: ConfigHouse) -> None:
    house.publish(content="1")
    refused = house.publish(content="2", headers={"casMd5": "0000"})
    assert text(refused) == (500, TEXT, "caused: Cas publish fail, server md5 may have changed.;")
    house.publish(content="2", headers={"casMd5": "c4ca4238a0b923820dcc509a6f75849b"})
    assert house.read() == "2"


def test_beta_is_for_the_client_a_proxy_speaks_for(house: ConfigHouse) -> None:
    house.publish(content="formal", type="yaml")
    house.publish(content="beta", headers={"betaIps": "10.0.0.1,10.0.0.2"})
    for headers in ({"X-Forwarded-For": "10.0.0.1, 10.1.1.1"}, {"X-Real-IP": "10.0.0.2"}):
        response = house.http("GET", CONFIGS, D, headers=headers)
        assert (response.body, response.headers[0], response.headers[-1]) == (
            *(b"beta", ("Config-Type", "yaml"), ("isBeta", "true")),
        )
        assert "Encrypted-Data-Key" not in dict(response.headers)
    assert house.read() == "formal"


def test_a_tag_is_a_parameter_or_a_header(house: ConfigHouse) -> None:
    house.publish(content="formal")
    house.publish(content="tagged", tag="t:1", encryptedDataKey="K")
    response = house.http("GET", CONFIGS, {**D, "tag": "t:1"})
    assert (response.body, response.headers[-2:]) == (b"tagged", (("Encrypted-Data-Key", "K"), ("tag", "t%3A1")))
    assert house.read(headers={"Vipserver-Tag": "t:1"}) == "tagged"
    assert house.read(headers={"Vipserver-Tag": "t2"}) == "formal"
    assert house.read(tag="t2") is None


def test_deleting_removes_what_is_there_and_is_content_with_what_is_not(house: ConfigHouse) -> None:
    house.publish()
    for _ in range(2):
        assert text(house.http("DELETE", CONFIGS, D)) == (200, JSON, "true")
        assert house.read() is None


def test_a_tag_is_deleted_by_its_name_or_by_itself(house: ConfigHouse) -> None:
    """2.5.1 answers 500 (a NullPointerException) to the latter; 1.4 understands only the latter."""
    for tag in ("t1", "t2"):
        house.publish(tag=tag)
    for tag in ("tag_t1", "t2", "t2"):
        assert text(house.http("DELETE", CONFIGS, {**D, "tag": tag})) == (200, JSON, "true")
    assert house.catalog.grays == {}


def test_a_beta_is_shown_and_stopped(house: ConfigHouse) -> None:
    house.publish(content="b", headers={"betaIps": "10.0.0.1"}, appName="shop")
    assert house.http("GET", CONFIGS, {**D, "beta": "true"}).body == (
        b'{"code":200,"message":"query beta ok","data":{"id":"1","dataId":"d","group":"G","content":"b",'
        b'"md5":"92eb5ffee6ae2fec3ad71c777531578f","encryptedDataKey":null,"tenant":"","appName":"shop","type":null,'
        b'"betaIps":"10.0.0.1"}}'
    )
    stop = {**D, "beta": "true"}
    assert text(house.http("DELETE", CONFIGS, stop)) == (200, JSON, '{"code":200,"message":"stop beta ok","data":true}')
    again = (200, JSON, '{"code":500,"message":"remove beta data error","data":false}')
    assert text(house.http("DELETE", CONFIGS, stop)) == again
    assert house.json("GET", CONFIGS, stop) == {"code": 200, "message": "query beta ok", "data": None}


def test_configs_are_deleted_by_id_and_unknown_ids_skipped(house: ConfigHouse) -> None:
    for data_id in ("a", "b", "c"):
        house.publish(data_id)
    assert house.json("DELETE", CONFIGS, {"delType": "ids", "ids": "1,3,99"}) == {
        "code": 200, "message": None, "data": True,
    }  # fmt: skip
    assert [key.data_id for key in house.catalog.configs] == ["b"]


def missing(name: str, kind: str = "String") -> str:
    return f"caused: Required request parameter &#39;{name}&#39; for method parameter type {kind} is not present;"


def illegal(name: str) -> str:
    return f"Param '{name}' is illegal, illegal characters should not appear in the param.\r\n"


@pytest.mark.parametrize(
    ("method", "query", "status", "body"),
    [
        ("GET", {"dataId": "d"}, 500, missing("group")),
        ("GET", {}, 500, missing("dataId")),
        ("GET", {"dataId": "", "group": "G"}, 400, "caused: invalid dataId : ;"),
        ("GET", {**D, "tag": "no tag"}, 400, "caused: invalid tag : no tag;"),
        ("GET", {"dataId": "bad id!"}, 400, illegal("dataId")),
        ("GET", {**D, "tenant": "bad ns!"}, 400, illegal("namespaceId/tenant")),
        ("GET", {**D, "namespace": "bad ns!"}, 400, illegal("namespaceId/tenant")),
        ("GET", {"dataId": "d", "group": "g" * 129}, 400,
         "Param 'group' is illegal, the param length should not exceed 128.\r\n"),
        ("POST", {"dataId": "d", "group": "G"}, 500, missing("content")),
        ("POST", {"group": "G", "content": "1"}, 500, missing("dataId")),
        ("POST", {**D, "content": ""}, 400, "caused: content is blank : ;"),
        ("POST", {**D, "content": "1", "tag": "t" * 17}, 400, "caused: too long tag, over 16;"),
        ("POST", {**D, "content": "1", "effect": "e" * 33}, 400, "caused: too long effect, over 32;"),
        ("POST", {"dataId": "d", "group": "no group", "content": "1"}, 400, illegal("group")),
        ("DELETE", {"dataId": "d"}, 500, missing("group")),
        ("DELETE", {**D, "tag": "no tag"}, 400, "caused: invalid tag : no tag;"),
        ("DELETE", {"delType": "ids"}, 500, missing("ids", "List")),
        ("DELETE", {"delType": "ids", "ids": "1,x"}, 500,
         "caused: Failed to convert value of type &#39;java.lang.String&#39; to required type &#39;java.lang.Long&#39;; "
         "nested exception is java.lang.NumberFormatException: For input string: &quot;x&quot;;"
         "caused: For input string: &quot;x&quot;;"),
        ("DELETE", {"dataId": "d", "beta": "true"}, 500, missing("group")),
        ("GET", {"dataId": "d", "show": "all"}, 500, missing("group")),
        ("GET", {"dataId": "d", "beta": "true"}, 500, missing("group")),
    ],
)  # fmt: skip
def test_bad_requests_are_refused_in_the_words_of_java(
    house: ConfigHouse, method: str, query: dict[str, str], status: int, body: str
) -> None:
    response = house.http(method, CONFIGS, query)
    assert (response.status, response.body.decode()) == (status, body)
    checker = body.startswith("Param")
    assert (response.content_type, response.bare) == ((JSON, True) if checker else (TEXT, False))
    assert response.headers == (NO_CACHE if checker else ())


def test_without_the_checker_handlers_still_look_at_names(tmp_path: Path) -> None:
    house = ConfigHouse(tmp_path, checks=Checks(enabled=False))
    assert house.http("GET", CONFIGS, {"dataId": "bad id!", "group": "G"}).body == b"caused: invalid dataId : bad id!;"
    assert house.http("GET", CONFIGS, {**D, "tenant": "bad ns!"}).body == b"caused: invalid tenant;"
    assert house.http("GET", CONFIGS, {**D, "tenant": "n" * 129}).body == b"caused: too long tenant, over 128;"
    assert text(house.publish("名前", group="группа")) == (200, JSON, "true")
    house.close()


def test_a_disk_that_fails_is_told(house: ConfigHouse) -> None:
    house.publish()
    house.refusal = NacosError(SERVER, "No space left on device")
    for response in (house.publish(content="2"), house.http("DELETE", CONFIGS, D)):
        assert text(response) == (500, TEXT, "caused: No space left on device;")
    assert house.read() == "1"


# --- details and search ----------------------------------------------------------------------------------------------


def full(house: ConfigHouse) -> None:
    house.publish(
        "full", '{"a":1}', type="json", config_tags="t1,t2,t1", desc="some desc", use="u", effect="e", schema="s",
        appName="app1", src_user="joe",
    )  # fmt: skip


def test_show_all_shows_all(house: ConfigHouse) -> None:
    full(house)
    query = {"dataId": "full", "group": "G", "show": "all"}
    assert house.http("GET", CONFIGS, query).body == (
        b'{"id":"1","dataId":"full","group":"G","content":"{\\"a\\":1}","md5":"bb6cb5c68df4652941caf652a366f2d8",'
        b'"encryptedDataKey":"","tenant":"","appName":"app1","type":"json","createTime":1700000000000,'
        b'"modifyTime":1700000000000,"createUser":"joe","createIp":"127.0.0.1","desc":"some desc","use":"u","effect":"e",'
        b'"schema":"s","configTags":"t1,t2"}'
    )
    assert text(house.http("GET", CONFIGS, {**query, "dataId": "none"})) == (200, JSON, "")


def test_the_catalog_shows_what_describes_a_config(house: ConfigHouse) -> None:
    full(house)
    query = {"dataId": "full", "group": "G"}
    assert house.http("GET", f"{CONFIGS}/catalog", query).body == (
        b'{"code":200,"message":null,"data":{"createTime":1700000000000,"modifyTime":1700000000000,"createUser":"joe",'
        b'"createIp":"127.0.0.1","desc":"some desc","use":"u","effect":"e","type":"json","schema":"s",'
        b'"configTags":"t1,t2"}}'
    )
    assert house.json("GET", f"{CONFIGS}/catalog", D) == {"code": 200, "message": None, "data": None}


def search(house: ConfigHouse, **query: str) -> Any:
    return house.json("GET", CONFIGS, {"dataId": "", "group": "", "pageNo": "1", "pageSize": "10", **query})


def test_a_search_sees_what_was_published_before_it(house: ConfigHouse) -> None:
    full(house)
    house.publish("other", encryptedDataKey="K")
    assert house.http("GET", CONFIGS, {"search": "accurate", "dataId": "full", "group": "", "pageNo": "1",
                                       "pageSize": "10"}).body == (
        b'{"totalCount":1,"pageNumber":1,"pagesAvailable":1,"pageItems":[{"id":"1","dataId":"full","group":"G",'
        b'"content":"{\\"a\\":1}","md5":null,"encryptedDataKey":null,"tenant":"","appName":"app1","type":"json"}]}'
    )  # fmt: skip
    blur = search(house, search="blur", dataId="*t*r", types="text,yaml", appName="")
    assert [(item["dataId"], item["encryptedDataKey"]) for item in blur["pageItems"]] == [("other", "K")]
    tagged = search(house, search="accurate", config_tags="t1", appName="app1")
    assert [(item["dataId"], item["type"]) for item in tagged["pageItems"]] == [("full", None)]
    tagged = search(house, search="blur", config_tags="t1")
    assert [(item["type"], item["encryptedDataKey"]) for item in tagged["pageItems"]] == [("json", None)]
    page = search(house, search="blur", pageNo="9", pageSize="1")
    assert page == {"totalCount": 2, "pageNumber": 9, "pagesAvailable": 2, "pageItems": []}


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ({"search": "blur", **D}, 500, missing("pageNo", "int")),
        ({"search": "blur", **D, "pageNo": "1"}, 500, missing("pageSize", "int")),
        ({"search": "blur", "group": "G", "pageNo": "1", "pageSize": "1"}, 500, missing("dataId")),
        ({"search": "blur", **D, "pageNo": "1", "pageSize": "x"}, 500,
         "caused: Failed to convert value of type &#39;java.lang.String&#39; to required type &#39;int&#39;; nested "
         "exception is java.lang.NumberFormatException: For input string: &quot;x&quot;;"
         "caused: For input string: &quot;x&quot;;"),
        ({"search": "blur", **D, "pageNo": "0", "pageSize": "1"}, 500,
         "caused: serialize page error, dataId=d, group=G;caused: pageNo and pageSize must be greater than zero;"),
        ({"search": "accurate", "dataId": "gd*", "group": "", "pageNo": "1", "pageSize": "1"}, 400, illegal("dataId")),
        ({"search": "nonsense", "dataId": "gd*", "group": "", "pageNo": "1", "pageSize": "1"}, 400, illegal("dataId")),
    ],
)  # fmt: skip
def test_bad_searches_are_refused(house: ConfigHouse, query: dict[str, str], status: int, body: str) -> None:
    response = house.http("GET", CONFIGS, query)
    assert (response.status, response.body.decode()) == (status, body)


def test_the_database_is_up_until_it_is_too_far_behind(house: ConfigHouse) -> None:
    assert text(house.http("GET", "/v1/cs/health")) == (200, TEXT, "UP")
    connection = house.rows._connection
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    for number in range(BATCHES_WAITING_MAX):
        house.publish(content="x" * 10_000 + str(number))
        house.time.advance(BATCH_DELAY_MS)
    assert text(house.http("GET", "/v1/cs/health")) == (200, TEXT, "DOWN:search and history are too far behind")
    refused = house.http("GET", "/v1/cs/history", {"search": "accurate", **D})
    assert text(refused) == (500, TEXT, "caused: database or disk is full;")
    connection.execute("PRAGMA max_page_count = 1000000")
    assert house.json("GET", "/v1/cs/history", {"search": "accurate", **D})["totalCount"] == BATCHES_WAITING_MAX
    assert text(house.http("GET", "/v1/cs/health")) == (200, TEXT, "UP")


# --- history ---------------------------------------------------------------------------------------------------------


def test_history_is_listed_newest_first_and_shown_by_nid(house: ConfigHouse) -> None:
    house.publish(content="1", type="yaml")
    house.publish(content="tagged", tag="tg1")
    listed = house.http("GET", "/v1/cs/history", {"search": "accurate", **D}).body.decode()
    assert listed == (
        '{"totalCount":2,"pageNumber":1,"pagesAvailable":1,"pageItems":[{"id":"2","lastId":-1,"dataId":"d","group":"G",'
        '"tenant":"","appName":"","md5":null,"content":null,"srcIp":"127.0.0.1","srcUser":null,"opType":"I         ",'
        '"publishType":"gray","grayName":"tag_tg1","extInfo":"{\\"gray_name\\":\\"tag_tg1\\",\\"gray_rule\\":'
        '\\"{\\\\\\"type\\\\\\":\\\\\\"tag\\\\\\",\\\\\\"expr\\\\\\":\\\\\\"tg1\\\\\\",\\\\\\"version\\\\\\":'
        '\\\\\\"1.0.0\\\\\\",\\\\\\"priority\\\\\\":\\\\\\"2147483646\\\\\\"}\\"}",'
        '"createdTime":"2023-11-14T22:13:20.000+00:00","lastModifiedTime":"2023-11-14T22:13:20.000+00:00",'
        '"encryptedDataKey":null},{"id":"1","lastId":-1,"dataId":"d","group":"G","tenant":"","appName":"","md5":null,'
        '"content":null,"srcIp":"127.0.0.1","srcUser":null,"opType":"I         ","publishType":"formal","grayName":"",'
        '"extInfo":"{\\"type\\":\\"yaml\\"}","createdTime":"2023-11-14T22:13:20.000+00:00",'
        '"lastModifiedTime":"2023-11-14T22:13:20.000+00:00","encryptedDataKey":null}]}'
    )
    row = house.json("GET", "/v1/cs/history", {**D, "nid": "1"})
    assert (row["id"], row["content"], row["md5"], row["encryptedDataKey"]) == (
        *("1", "1", "c4ca4238a0b923820dcc509a6f75849b", ""),
    )


def test_a_history_row_that_is_not_there_is_empty_and_one_of_another_config_forbidden(house: ConfigHouse) -> None:
    house.publish()
    assert text(house.http("GET", "/v1/cs/history", {**D, "nid": "99"})) == (200, JSON, "")
    other = {"dataId": "other", "group": "G", "nid": "1"}
    assert text(house.http("GET", "/v1/cs/history", other)) == (403, TEXT, "Please check dataId, group or namespaceId.")


def test_the_previous_row_is_the_newest_change_of_a_config_id(house: ConfigHouse) -> None:
    house.publish(content="1")
    assert text(house.http("GET", "/v1/cs/history/previous", {**D, "id": "1"})) == (200, JSON, "")
    house.publish(content="2")
    assert house.json("GET", "/v1/cs/history/previous", {**D, "id": "1"})["content"] == "1"


def test_history_pages_hold_at_most_500_rows(house: ConfigHouse) -> None:
    for number in range(3):
        house.publish(content=str(number))
    query = {"search": "accurate", **D}
    page = house.json("GET", "/v1/cs/history", {**query, "pageNo": "2", "pageSize": "2"})
    assert [item["id"] for item in page["pageItems"]] == ["1"]
    assert house.json("GET", "/v1/cs/history", {**query, "pageSize": "1000"})["pagesAvailable"] == 1
    assert house.http("GET", "/v1/cs/history", {**query, "pageNo": "0"}).status == 500


def test_configs_of_a_namespace_are_listed_in_the_order_of_their_creation(house: ConfigHouse) -> None:
    house.publish("b")
    house.publish("a", tenant="ns1")
    house.publish("a")
    assert house.http("GET", "/v1/cs/history/configs", {"tenant": "ns1"}).body == (
        b'[{"id":"0","dataId":"a","group":"G","content":null,"md5":null,"encryptedDataKey":null,"tenant":"ns1",'
        b'"appName":"","type":"text","lastModified":1700000000000}]'
    )
    listed = house.json("GET", "/v1/cs/history/configs", {"tenant": ""})
    assert [(item["dataId"], item["tenant"]) for item in listed] == [("b", ""), ("a", "")]


@pytest.mark.parametrize(
    ("path", "query", "body"),
    [
        ("/v1/cs/history", {**D}, missing("nid", "Long")),
        ("/v1/cs/history", {"dataId": "d", "nid": "1"}, missing("group")),
        ("/v1/cs/history/previous", {**D}, missing("id", "Long")),
        ("/v1/cs/history/configs", {}, missing("tenant")),
        (f"{CONFIGS}/catalog", {"dataId": "d"}, missing("group")),
        (f"{CONFIGS}/listener", {"dataId": "d"}, missing("group")),
        ("/v1/cs/listener", {}, missing("ip")),
        ("/v1/cs/communication/watcherConfigs", {}, missing("ip")),
        ("/v1/cs/communication/configWatchers", {}, missing("dataId")),
    ],
)
def test_missing_parameters_are_named(house: ConfigHouse, path: str, query: dict[str, str], body: str) -> None:
    assert text(house.http("GET", path, query)) == (500, TEXT, body)
