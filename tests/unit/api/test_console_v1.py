"""Namespaces, health and state answer as Nacos 2.5.1 (contract/http-v1-config.md §3, golden/2.5.1/001–009, 291–317)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from nacosx.api.checks import Checks
from nacosx.errors import SERVER, NacosError
from tests.config_house import ConfigHouse

V1, V2 = "/v1/console/namespaces", "/v2/console/namespace"
JSON, TEXT = "application/json", "text/plain;charset=UTF-8"


def create(house: ConfigHouse, namespace_id: str = "ns1", name: str = "NS one", desc: str | None = "first") -> bytes:
    form = {"customNamespaceId": namespace_id, "namespaceName": name}
    return house.http("POST", V1, form=form if desc is None else {**form, "namespaceDesc": desc}).body


def listed(house: ConfigHouse) -> list[str]:
    return [each["namespace"] for each in house.json("GET", V1)["data"]]


def test_the_default_namespace_is_always_there_and_counts_its_configs(house: ConfigHouse) -> None:
    house.publish()
    response = house.http("GET", V1)
    assert (response.content_type, response.body) == (
        JSON,
        b'{"code":200,"message":null,"data":[{"namespace":"","namespaceShowName":"public","namespaceDesc":'
        b'"Default Namespace","quota":200,"configCount":1,"type":0}]}',
    )


def test_a_namespace_is_created_shown_changed_and_deleted(house: ConfigHouse) -> None:
    assert create(house) == b"true"
    house.publish(tenant="ns1")
    shown = house.http("GET", V1, {"show": "all", "namespaceId": "ns1"})
    assert shown.body == (
        b'{"namespace":"ns1","namespaceShowName":"NS one","namespaceDesc":"first","quota":200,"configCount":1,"type":2}'
    )
    changed = house.http("PUT", V1, form={"namespace": "ns1", "namespaceShowName": "NS 1"})
    assert changed.body == b"true"
    assert house.json("GET", V1)["data"][1]["namespaceShowName"] == "NS 1"
    assert house.json("GET", V1)["data"][1]["namespaceDesc"] is None
    assert house.http("DELETE", V1, {"namespaceId": "ns1"}).body == b"true"
    assert listed(house) == [""]
    assert house.read(tenant="ns1") == "1"  # its configs stay


def test_a_blank_id_is_drawn(house: ConfigHouse) -> None:
    assert create(house, "") == b"true"
    _, drawn = listed(house)
    assert len(drawn) == 36


@pytest.mark.parametrize(
    ("namespace_id", "name"),
    [("ns1", "again"), ("public", "x"), ("null", "x")],
)
def test_what_cannot_be_created_is_false(house: ConfigHouse, namespace_id: str, name: str) -> None:
    create(house)
    assert create(house, namespace_id, name) == b"false"
    assert listed(house) == ["", "ns1"]


def test_without_the_checker_ids_and_names_are_still_looked_at(tmp_path: Path) -> None:
    house = ConfigHouse(tmp_path, checks=Checks(enabled=False))
    for namespace_id, name in (("bad id!", "x"), ("n" * 129, "x"), ("ns1", "bad@name"), ("ns1", "")):
        assert create(house, namespace_id, name) == b"false"
    assert house.http("PUT", V1, form={"namespace": "ns1", "namespaceShowName": "bad@name"}).body == b"false"
    for namespace_id, name, detail in (
        ("bad id!", "x", "namespaceId [bad id!] mismatch the pattern"),
        ("n" * 129, "x", "too long namespaceId, over 128"),
        ("ns1", "bad@name", "namespaceName [bad@name] contains illegal char"),
    ):
        refused = house.http("POST", V2, form={"namespaceId": namespace_id, "namespaceName": name})
        assert refused.body == msgspec.json.encode({"code": 22000, "message": "illegal namespace", "data": detail})
    refused = house.http("PUT", V2, form={"namespaceId": "ns1", "namespaceName": "bad@name"})
    assert refused.status == 400
    house.close()


def test_ids_are_known_or_not(house: ConfigHouse) -> None:
    create(house)
    query = {"checkNamespaceIdExist": "true"}
    for namespace_id, known in (("ns1", b"true"), ("nsX", b"false"), ("", b"false"), ("public", b"true")):
        assert house.http("GET", V1, {**query, "customNamespaceId": namespace_id}).body == known


def test_the_default_namespace_is_shown_as_it_was_asked_for(house: ConfigHouse) -> None:
    for spelled in ("", "public", "null"):
        shown = house.json("GET", V1, {"show": "all", "namespaceId": spelled})
        assert (shown["namespace"], shown["namespaceShowName"], shown["type"]) == (spelled, "public", 0)
        assert house.json("GET", V2, {"namespaceId": spelled})["data"] == shown


def test_unknown_namespaces_are_changed_and_deleted_with_success(house: ConfigHouse) -> None:
    assert house.http("PUT", V1, form={"namespace": "nsX", "namespaceShowName": "x"}).body == b"true"
    assert house.http("DELETE", V1, {"namespaceId": "nsX"}).body == b"true"
    assert house.json("PUT", V2, form={"namespaceId": "nsX", "namespaceName": "x"})["data"] is True
    assert house.json("DELETE", V2, {"namespaceId": "nsX"})["data"] is True
    assert listed(house) == [""]


def test_v2_has_the_envelope_of_its_generation(house: ConfigHouse) -> None:
    form = {"namespaceId": "ns2", "namespaceName": "NS two", "namespaceDesc": "second"}
    done = b'{"code":0,"message":"success","data":true}'
    assert house.http("POST", V2, form=form).body == done
    assert house.http("GET", V2, {"namespaceId": "ns2"}).body == (
        b'{"code":0,"message":"success","data":{"namespace":"ns2","namespaceShowName":"NS two","namespaceDesc":"second",'
        b'"quota":200,"configCount":0,"type":2}}'
    )
    assert house.http("PUT", V2, form={**form, "namespaceName": "NS 2"}).body == done
    assert [each["namespaceShowName"] for each in house.json("GET", f"{V2}/list")["data"]] == ["public", "NS 2"]
    again = house.http("POST", V2, form=form)
    assert (again.status, again.content_type, again.body) == (
        400,
        JSON,
        b'{"code":22000,"message":"illegal namespace","data":"the namespaceId is existed, namespaceId: ns2"}',
    )
    assert house.http("DELETE", V2, {"namespaceId": "ns2"}).body == done


def refusal(code: int, message: str, data: str) -> dict[str, Any]:
    return {"code": code, "message": message, "data": data}


@pytest.mark.parametrize(
    ("method", "path", "query", "status", "body"),
    [
        ("POST", V2, {"namespaceId": "ns3"}, 400,
         refusal(10000, "parameter missing", "required parameter 'namespaceName' is missing")),
        ("PUT", V2, {"namespaceName": "x"}, 400,
         refusal(10000, "parameter missing", "required parameter 'namespaceId' is missing")),
        ("GET", V2, {}, 400, refusal(10000, "parameter missing",
         "Required request parameter 'namespaceId' for method parameter type String is not present")),
        ("GET", V2, {"namespaceId": "nsX"}, 404,
         refusal(22001, "namespace not exist", "namespaceId [ nsX ] not exist")),
    ],
)  # fmt: skip
def test_v2_refuses_with_its_envelope(
    house: ConfigHouse, method: str, path: str, query: dict[str, str], status: int, body: dict[str, Any]
) -> None:
    response = house.http(method, path, query)
    assert (response.status, msgspec.json.decode(response.body)) == (status, body)


def test_v1_refuses_in_text(house: ConfigHouse) -> None:
    missing = house.http("POST", V1, form={"namespaceName": "x"})
    assert (missing.status, missing.content_type, missing.body) == (
        500,
        TEXT,
        b"caused: Required request parameter &#39;customNamespaceId&#39; for method parameter type String is not present;",
    )
    unknown = house.http("GET", V1, {"show": "all", "namespaceId": "nsX"})
    assert (unknown.status, unknown.body) == (500, b"caused: namespaceId [ nsX ] not exist;")


@pytest.mark.parametrize(
    ("path", "form", "name"),
    [
        (V1, {"customNamespaceId": "bad id!", "namespaceName": "x"}, "namespaceId/tenant"),
        (V1, {"customNamespaceId": "ns9", "namespaceName": "bad@#$%name"}, "namespaceShowName"),
        (V2, {"namespaceId": "bad id!", "namespaceName": "x"}, "namespaceId/tenant"),
    ],
)
def test_the_parameter_checker_speaks_for_itself(
    house: ConfigHouse, path: str, form: dict[str, str], name: str
) -> None:
    response = house.http("POST", path, form=form)
    assert (response.status, response.content_type, response.bare) == (400, "", True)
    assert response.body == (
        f"Param '{name}' is illegal, illegal characters should not appear in the param.\r\n".encode()
    )


def test_a_disk_that_fails_is_told_and_a_race_for_an_id_is_lost_quietly(house: ConfigHouse) -> None:
    house.refusal = NacosError(SERVER, "No space left on device")
    response = house.http("POST", V1, form={"customNamespaceId": "ns1", "namespaceName": "x"})
    assert (response.status, response.body) == (500, b"caused: No space left on device;")
    assert house.http("POST", V2, form={"namespaceId": "ns1", "namespaceName": "x"}).status == 500
    house.refusal = None
    first, second = (house.answer(house.request("POST", V1, form={"customNamespaceId": "ns1", "namespaceName": name}))
                     for name in ("a", "b"))  # fmt: skip
    bodies = [house.runner.run(answer).body for answer in (first, second)]  # type: ignore[arg-type]
    assert bodies == [b"true", b"false"]


def test_health_is_told_in_both_generations(house: ConfigHouse) -> None:
    for probe in ("liveness", "readiness"):
        v1 = house.http("GET", f"/v1/console/health/{probe}")
        assert (v1.status, v1.content_type, v1.body) == (200, TEXT, b"OK")
        v2 = house.http("GET", f"/v2/console/health/{probe}")
        assert (v2.content_type, v2.body) == (JSON, b'{"code":0,"message":"success","data":"ok"}')
    house.is_ready = False
    v1 = house.http("GET", "/v1/console/health/readiness")
    assert (v1.status, v1.body) == (500, b"config and naming not in readiness")
    assert house.json("GET", "/v2/console/health/readiness")["code"] == 30000
    assert house.http("GET", "/v1/console/health/liveness").body == b"OK"


def test_the_state_has_the_members_of_the_java_server(house: ConfigHouse) -> None:
    """Golden 009; the order of its members is that of a hash table."""
    assert house.json("GET", "/v1/console/server/state") == {
        "defaultMaxSize": "102400", "auth_system_type": "nacos", "auth_enabled": "false", "defaultMaxAggrSize": "1024",
        "maxHealthCheckFailCount": "12", "maxContent": "10485760", "console_ui_enabled": "true",
        "defaultMaxAggrCount": "10000", "auth_admin_request": "false", "defaultGroupQuota": "200",
        "config_retention_days": "30", "startup_mode": "standalone", "isHealthCheck": "true", "version": "2.5.1",
        "function_mode": None, "isManageCapacity": "true", "isCapacityLimitCheck": "false", "datasource_platform": "",
        "notifyConnectTimeout": "100", "server_port": "8848", "notifySocketTimeout": "200",
        "defaultClusterQuota": "100000", "login_page_enabled": "false", "plugin_datasource_log_enabled": "false",
    }  # fmt: skip
