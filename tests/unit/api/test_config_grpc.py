"""Configuration over gRPC answers with the bytes of Nacos 2.5.1 (contract/grpc.md §3, §5.3, golden/wire)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nacosx.api.checks import Checks
from nacosx.api.config_form import ConfigLimits
from nacosx.errors import SERVER, NacosError
from tests.config_house import ConfigHouse

NAMES = {"dataId": "d", "group": "G", "tenant": ""}
SUCCESS = b'{"resultCode":200,"errorCode":0,"success":true}'
NOT_FOUND = (
    b'{"resultCode":500,"errorCode":300,"message":"config data not exist","lastModified":0,"beta":false,'
    b'"success":false}'
)


def publish(
    content: str | None, cas_md5: str | None = None, names: dict[str, Any] = NAMES, **addition: str
) -> dict[str, Any]:
    """A request as the Java client sends it."""
    additions = {"encryptedDataKey": "", "type": "text", **addition}
    body = {"headers": {}, **names, "content": content, "casMd5": cas_md5, "additionMap": additions, "module": "config"}
    return {name: value for name, value in body.items() if value is not None}


def listen(md5: str = "", *, listening: bool = True, **names: Any) -> dict[str, Any]:
    context = {"group": "G", "md5": md5, "dataId": "d", "tenant": "", **names}
    return {"headers": {}, "listen": listening, "configListenContexts": [context], "module": "config"}


def test_what_was_published_is_queried_at_once(house: ConfigHouse) -> None:
    assert house.call("ConfigPublishRequest", publish('{"a":"ü"}', type="json")) == SUCCESS
    assert house.call("ConfigQueryRequest", {**NAMES, "notify": False}) == (
        '{"resultCode":200,"errorCode":0,"content":"{\\"a\\":\\"ü\\"}","encryptedDataKey":"","contentType":"json",'
        '"md5":"f38091feea732597cbc589916142c339","lastModified":1700000000000,"beta":false,"success":true}'.encode()
    )


def test_a_config_that_does_not_exist_is_error_300(house: ConfigHouse) -> None:
    assert house.call("ConfigQueryRequest", NAMES) == NOT_FOUND


def test_a_removed_config_is_gone_and_removing_it_again_succeeds(house: ConfigHouse) -> None:
    house.call("ConfigPublishRequest", publish("1"))
    assert house.call("ConfigRemoveRequest", NAMES) == SUCCESS
    assert house.call("ConfigQueryRequest", NAMES) == NOT_FOUND
    assert house.call("ConfigRemoveRequest", NAMES) == SUCCESS


def test_compare_and_set_fails_in_the_words_of_java(house: ConfigHouse) -> None:
    house.call("ConfigPublishRequest", publish("1", "anything"))
    reply = house.call("ConfigPublishRequest", publish("2", "c4ca4238a0b923820dcc509a6f758490"))
    assert reply == (
        b'{"resultCode":500,"errorCode":500,"message":"Cas publish fail, server md5 may have changed.","success":false}'
    )
    assert house.call("ConfigPublishRequest", publish("2", "c4ca4238a0b923820dcc509a6f75849b")) == SUCCESS


def test_beta_is_for_the_ip_the_client_declared(house: ConfigHouse) -> None:
    house.call("ConfigPublishRequest", publish("formal", type="yaml"))
    house.call("ConfigPublishRequest", publish("beta", betaIps="10.0.0.1"))
    beta = house.rpc("ConfigQueryRequest", NAMES, house.connection(client_ip="10.0.0.1"))
    assert (beta["content"], beta["beta"], beta["contentType"]) == ("beta", True, "yaml")
    assert "encryptedDataKey" not in beta
    plain = house.rpc("ConfigQueryRequest", NAMES)
    assert (plain["content"], plain["beta"]) == ("formal", False)


def test_a_tag_is_asked_for_or_carried_as_a_label(house: ConfigHouse) -> None:
    house.call("ConfigPublishRequest", publish("formal"))
    house.call("ConfigPublishRequest", publish("tagged", tag="t:1", encryptedDataKey="K"))
    asked = house.rpc("ConfigQueryRequest", {**NAMES, "tag": "t:1"})
    assert (asked["content"], asked["tag"], asked["encryptedDataKey"], asked["beta"]) == ("tagged", "t%3A1", "K", False)
    carried = house.rpc("ConfigQueryRequest", NAMES, house.connection(**{"Vipserver-Tag": "t:1"}))
    assert carried["content"] == "tagged"
    other = house.rpc("ConfigQueryRequest", NAMES, house.connection(**{"Vipserver-Tag": "t2"}))
    assert other["content"] == "formal"


def test_an_explicit_tag_never_falls_back_to_the_formal_content(house: ConfigHouse) -> None:
    house.call("ConfigPublishRequest", publish("formal"))
    assert house.call("ConfigQueryRequest", {**NAMES, "tag": "t1"}) == (
        b'{"resultCode":500,"errorCode":300,"message":"config data not exist","lastModified":0,"tag":"t1","beta":false,'
        b'"success":false}'
    )


def test_a_gray_version_is_removed_by_its_name_or_its_tag(house: ConfigHouse) -> None:
    for tag in ("t1", "t2"):
        house.call("ConfigPublishRequest", publish("tagged", tag=tag))
    house.call("ConfigPublishRequest", publish("beta", betaIps="10.0.0.1"))
    for name in ("tag_t1", "t2", "beta", "unknown"):
        assert house.call("ConfigRemoveRequest", {**NAMES, "tag": name}) == SUCCESS
    assert house.catalog.grays == {}


def test_the_details_of_a_publish_are_kept(house: ConfigHouse) -> None:
    addition = {"src_user": "joe", "appName": "shop", "config_tags": "a,b", "desc": "d", "use": "u", "effect": "e",
                "schema": "s", "type": "nonsense", "encryptedDataKey": "K"}  # fmt: skip
    house.call("ConfigPublishRequest", publish("1", **addition))
    (config,) = house.catalog.configs.values()
    details = config.details
    assert (config.src_user, config.src_ip, config.type, config.encrypted_data_key) == ("joe", "192.0.2.2", "text", "K")
    assert (details.app_name, details.tags, details.desc, details.use, details.effect, details.schema) == (
        *("shop", ("a", "b"), "d", "u", "e", "s"),
    )


def failed(code: int, message: str) -> dict[str, Any]:
    return {"resultCode": 500, "errorCode": code, "message": message, "success": False}


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (publish(None), 400, "content is blank : null"),
        (publish(" \n"), 400, "content is blank :  \n"),
        (publish("123456"), 400, "invalid content, over 5"),
        (publish("1", names={"dataId": "", "group": "G"}), 400, "invalid dataId : "),
        (publish("1", names={"dataId": "d"}), 400, "invalid group : null"),
        (publish("1", tag="no tag"), 500, "invalid tag : no tag"),
        (publish("1", tag="t" * 17), 500, "too long tag, over 16"),
        (publish("1", config_tags="1,2,3,4,5,6"), 500, "too much config_tags, over 5"),
        (publish("1", config_tags="t" * 65), 500, "too long tag, over 64"),
        (publish("1", desc="d" * 129), 500, "too long desc, over 128"),
        (publish("1", use="u" * 33), 500, "too long use, over 32"),
        (publish("1", schema="s" * 32769), 500, "too long schema, over 32768"),
        (publish("1", names={**NAMES, "dataId": "bad id!"}), 400,
         "Param check invalid:Param 'dataId' is illegal, illegal characters should not appear in the param."),
    ],
)  # fmt: skip
def test_a_bad_publish_is_refused_in_its_own_reply_type(
    tmp_path: Path, body: dict[str, Any], code: int, message: str
) -> None:
    house = ConfigHouse(tmp_path, limits=ConfigLimits(content_chars_max=5))
    assert house.rpc("ConfigPublishRequest", body) == failed(code, message)
    assert house.catalog.configs == {}
    house.close()


def test_too_many_gray_versions_are_refused(tmp_path: Path) -> None:
    house = ConfigHouse(tmp_path, limits=ConfigLimits(gray_versions_max=1))
    house.call("ConfigPublishRequest", publish("1", tag="t1"))
    reply = house.rpc("ConfigPublishRequest", publish("1", tag="t2"))
    assert reply == failed(500, "gray config version is over max count :1")
    house.close()


def test_a_disk_that_fails_is_told_in_the_reply(house: ConfigHouse) -> None:
    house.call("ConfigPublishRequest", publish("1"))
    house.refusal = NacosError(SERVER, "No space left on device")
    assert house.rpc("ConfigPublishRequest", publish("2")) == failed(500, "No space left on device")
    assert house.rpc("ConfigRemoveRequest", NAMES) == failed(0, "No space left on device")


@pytest.mark.parametrize("type_name", ["ConfigQueryRequest", "ConfigPublishRequest", "ConfigRemoveRequest"])
def test_illegal_names_are_refused_by_the_parameter_checker(house: ConfigHouse, type_name: str) -> None:
    reply = house.rpc(type_name, {"dataId": "d", "group": "no group", "content": "1"})
    assert (reply["errorCode"], reply["message"]) == (
        400,
        "Param check invalid:Param 'group' is illegal, illegal characters should not appear in the param.",
    )


def test_a_query_without_names_is_refused(house: ConfigHouse) -> None:
    for body, message in (({}, "invalid dataId : null"), ({"dataId": "d"}, "invalid group : null")):
        reply = house.rpc("ConfigQueryRequest", body)
        assert (reply["resultCode"], reply["errorCode"], reply["message"]) == (500, 500, message)
    assert house.rpc("ConfigQueryRequest", {"dataId": "", "group": ""})["errorCode"] == 300


def test_a_remove_with_bad_names_is_refused_without_a_code(tmp_path: Path) -> None:
    house = ConfigHouse(tmp_path, checks=Checks(enabled=False))
    assert house.rpc("ConfigRemoveRequest", {"group": "G"}) == failed(0, "invalid dataId : null")
    assert house.rpc("ConfigRemoveRequest", {**NAMES, "tag": "no tag"}) == failed(0, "invalid tag : no tag")
    assert house.rpc("ConfigRemoveRequest", {**NAMES, "tenant": "no tenant"}) == failed(0, "invalid tenant")
    house.close()


# --- listening -------------------------------------------------------------------------------------------------------


def test_listening_answers_what_has_changed_and_echoes_the_tenant(house: ConfigHouse) -> None:
    house.call("ConfigPublishRequest", publish("1"))
    stale = listen("stale", tenant="public")
    assert house.call("ConfigBatchListenRequest", stale) == (
        b'{"resultCode":200,"errorCode":0,"changedConfigs":[{"group":"G","dataId":"d","tenant":"public"}],"success":true}'
    )
    fresh = listen("c4ca4238a0b923820dcc509a6f75849b")
    assert house.call("ConfigBatchListenRequest", fresh) == (
        b'{"resultCode":200,"errorCode":0,"changedConfigs":[],"success":true}'
    )
    blank = house.rpc("ConfigBatchListenRequest", listen("stale", tenant=None))
    assert blank["changedConfigs"] == [{"group": "G", "dataId": "d"}]


def test_a_config_that_does_not_exist_is_no_change_for_a_client_that_has_nothing(house: ConfigHouse) -> None:
    """Observed 2: 2.5.1 told 3.x clients nothing when such a config appeared."""
    for nothing in ("", None):
        body = listen(tenant="public")
        body["configListenContexts"][0]["md5"] = nothing
        assert house.rpc("ConfigBatchListenRequest", body)["changedConfigs"] == []
    house.call("ConfigPublishRequest", publish("1"))
    assert house.pushes.sent == [("c1", {"dataId": "d", "group": "G", "tenant": "public", "module": "config"})]


def test_a_client_that_stops_listening_is_told_nothing(house: ConfigHouse) -> None:
    house.rpc("ConfigBatchListenRequest", listen())
    assert house.rpc("ConfigBatchListenRequest", listen(listening=False))["changedConfigs"] == []
    house.call("ConfigPublishRequest", publish("1"))
    assert house.pushes.sent == []


def test_listening_compares_with_the_version_this_client_is_served(house: ConfigHouse) -> None:
    house.call("ConfigPublishRequest", publish("1"))
    house.call("ConfigPublishRequest", publish("2", betaIps="10.0.0.1"))
    house.call("ConfigPublishRequest", publish("3", tag="t"))
    formal = listen("c4ca4238a0b923820dcc509a6f75849b")
    changed = {"group": "G", "dataId": "d", "tenant": ""}
    for connection, headers, changes in (
        (house.connection("plain"), {}, []),
        (house.connection("beta", "10.0.0.1"), {}, [changed]),
        (house.connection("header"), {"Vipserver-Tag": "t"}, [changed]),
        (house.connection("label", **{"Vipserver-Tag": "t"}), {}, [changed]),
    ):
        reply = house.rpc("ConfigBatchListenRequest", formal, connection, **headers)
        assert reply["changedConfigs"] == changes, connection.connection_id
    house.call("ConfigPublishRequest", publish("4", tag="t"))
    assert [connection_id for connection_id, _ in house.pushes.sent] == ["header", "label"]


def test_bad_listeners_are_refused_and_none_of_them_is_added(house: ConfigHouse) -> None:
    body = listen()
    body["configListenContexts"].append({"dataId": "bad id!", "group": "G"})
    assert house.rpc("ConfigBatchListenRequest", body) == {
        "resultCode": 500, "errorCode": 400, "changedConfigs": [], "success": False,
        "message": "Param check invalid:Param 'dataId' is illegal, illegal characters should not appear in the param.",
    }  # fmt: skip
    for context, message in (({"group": "G"}, "invalid dataId : null"), ({"dataId": "d"}, "invalid group : null")):
        with pytest.raises(NacosError, match=message):
            house.rpc("ConfigBatchListenRequest", {"configListenContexts": [context]})
    with pytest.raises(NacosError, match="invalid tag : no tag"):
        house.rpc("ConfigBatchListenRequest", listen(), None, **{"Vipserver-Tag": "no tag"})
    assert house.listeners.count == 0
    assert house.rpc("ConfigBatchListenRequest", {})["changedConfigs"] == []
