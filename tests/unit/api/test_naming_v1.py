"""Naming over HTTP v1 beyond the recordings (tests/contract): filters, kinds, beats, subscriptions, operators."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from nacosx._core.http1 import Request
from nacosx.naming.commands import OverrideSwitch, RegisterPersistent, UpdateSwitch
from nacosx.naming.model import ServiceKey
from tests.naming_house import FORM, NamingHouse

SERVICE = ServiceKey("public", "DEFAULT_GROUP", "s")
ADDRESS = {"serviceName": "s", "ip": "10.0.0.1", "port": 80}
JAVA = (("User-Agent", "Nacos-Java-Client:v1.4.7"),)


@pytest.fixture
def house() -> NamingHouse:
    return NamingHouse()


# --- filters ---


def test_query_and_form_body_are_the_same(house: NamingHouse) -> None:
    request = Request("POST", "/nacos/v1/ns/instance?serviceName=s&ip=10.0.0.1", headers=(FORM,), body=b"port=80&ip=no")
    assert house.answer("/instance", request).body == b"ok"
    assert [host["ip"] for host in house.hosts()] == ["10.0.0.1"]


@pytest.mark.parametrize(
    "spelling", [{}, {"namespaceId": ""}, {"namespaceId": " "}, {"namespaceId": "PUBLIC"}, {"namespaceId": "null"}]
)
def test_every_spelling_of_the_default_namespace_is_one(house: NamingHouse, spelling: dict[str, str]) -> None:
    house.register(**spelling)
    assert list(house.registry.services) == [SERVICE]


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"serviceName": "s", "groupName": "g"}, ("g", "s")),
        ({"serviceName": "h@@s", "groupName": "g"}, ("h", "s")),
        ({"serviceName": " s ", "groupName": " "}, ("DEFAULT_GROUP", "s")),
    ],
)
def test_a_service_is_named_with_or_without_its_group(
    house: NamingHouse, given: dict[str, str], key: tuple[str, str]
) -> None:
    for _ in range(2):  # the second time the name is remembered
        house.register(**given)
    assert list(house.registry.services) == [ServiceKey("public", *key)]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("@@s", "groupName can't be empty"),
        ("g@@", "it should be format as 'groupName@@serviceName'"),
        ("@@", "it should be format as 'groupName@@serviceName'"),
    ],
)
def test_half_a_name_is_refused_by_the_name_filter(house: NamingHouse, name: str, why: str) -> None:
    response = house.ask("GET", "/instance/list", serviceName=name)
    assert (response.status, response.bare) == (400, True)
    message = json.loads(response.body)["message"]
    assert message == f"Service name filter error,caused: Param 'serviceName' is illegal, {why};"


def test_a_blank_name_is_refused_in_other_words(house: NamingHouse) -> None:
    assert house.text("GET", "/instance/list", serviceName=" ") == (
        400,
        "Param 'serviceName' is illegal, it should be format as 'groupName@@serviceName'",
    )


@pytest.mark.parametrize(
    ("path", "form", "why"),
    [
        ("/instance/list", {"serviceName": "a@@b@@c"}, "Param 'serviceName' is illegal, illegal characters"),
        ("/instance/list", {"serviceName": "s" * 513}, "Param 'serviceName' is illegal, the param length should not exceed"),
        ("/instance/list", {"serviceName": "s", "groupName": "a b"}, "Param 'group' is illegal, illegal characters"),
        ("/instance/list", {"serviceName": "s", "namespaceId": "a.b"}, "Param 'namespaceId/tenant' is illegal, illegal"),
        ("/instance/list", {"serviceName": "s", "clusters": "a,b c"}, "Param 'cluster' is illegal, illegal characters"),
        ("/instance", {**ADDRESS, "metadata": '{"k":"%s"}' % ("v" * 1024)}, "Param 'Metadata' is illegal, the param length"),
        ("/instance", {**ADDRESS, "ip": "中"}, "Param 'ip' is illegal, illegal characters"),
        ("/service/list", {"groupName": "a b"}, "Param 'group' is illegal, illegal characters"),
        ("/catalog/services", {"serviceNameParam": "a b"}, "Param 'serviceName' is illegal, illegal characters"),
    ],
)  # fmt: skip
def test_illegal_parameters_are_refused_before_the_handler(
    house: NamingHouse, path: str, form: dict[str, Any], why: str
) -> None:
    for _ in range(2):  # nothing illegal is remembered as legal
        response = house.ask("GET", path, **form)
        assert (response.status, response.content_type, response.bare) == (400, "", True)
        assert response.body.startswith(why.encode())
        assert response.body.endswith(b"\r\n")


def test_the_parameter_checker_can_be_switched_off() -> None:
    house = NamingHouse(checks=False)
    assert house.text("GET", "/instance/list", serviceName="a b")[0] == 200
    assert house.text("POST", "/instance", **ADDRESS, metadata="{bad") == (400, "metadata format incorrect:{bad")
    assert house.text("POST", "/instance", **{**ADDRESS, "port": "x"}) == (400, 'For input string: "x"')
    assert house.text("PUT", "/instance/beat", serviceName="s", beat="{bad")[0] == 400


def test_a_server_that_is_not_up_says_so(house: NamingHouse) -> None:
    house.status.status = "STARTING"
    response = house.ask("GET", "/instance/list", serviceName="s")
    assert (response.status, response.body) == (503, b"server is STARTINGnow, please try again later!")
    assert (
        house.ask("GET", "/instance/list", serviceName="s", headers=(("User-Agent", "Nacos-Server:2.5.1"),)).status
        == 200
    )


@pytest.mark.parametrize(
    ("status", "reads", "writes"), [("READ_ONLY", 200, 503), ("WRITE_ONLY", 503, 200), ("DOWN", 503, 503)]
)
def test_an_operator_may_override_the_status(house: NamingHouse, status: str, reads: int, writes: int) -> None:
    house.gateway.submit(OverrideSwitch("overriddenServerStatus", status))
    assert house.text("GET", "/instance/list", serviceName="s")[0] == reads
    assert house.text("POST", "/instance", **ADDRESS)[0] == writes


def test_limited_urls_are_answered_with_their_status(house: NamingHouse) -> None:
    house.gateway.submit(OverrideSwitch("limitedUrlMap", "/nacos/v1/ns/instance/list?serviceName=s:418"))
    assert house.text("GET", "/instance/list", serviceName="s2") == (418, "")
    assert house.text("GET", "/instance/list", serviceName="t")[0] == 200


# --- instances ---


def test_an_instance_has_what_its_form_says(house: NamingHouse) -> None:
    house.register(weight="2.5", enable="no", healthy="false", cluster="c1", metadata="a=1,b=2")
    instance = house.json("GET", "/instance", **ADDRESS, clusterName="c1")
    assert instance == {
        "service": "DEFAULT_GROUP@@s",
        "ip": "10.0.0.1",
        "port": 80,
        "clusterName": "c1",
        "weight": 2.5,
        "healthy": False,
        "instanceId": "10.0.0.1#80#c1#DEFAULT_GROUP@@s",
        "metadata": {"a": "1", "b": "2"},
    }
    assert house.hosts() == []  # disabled


@pytest.mark.parametrize(
    ("text", "enabled"), [("true", 1), ("T", 1), ("yes", 1), ("on", 1), ("1", 0), ("no", 0), (" ", 1)]
)
def test_booleans_are_read_as_the_java_server_reads_them(house: NamingHouse, text: str, enabled: int) -> None:
    house.register(enabled=text)
    assert len(house.hosts()) == enabled


@pytest.mark.parametrize(
    ("text", "weight"),
    [("0", 0.0), ("10000", 10000.0), ("1e2", 100.0), ("5d", 5.0), (".5", 0.5), (" 3 ", 3.0), ("", 1.0)],
)
def test_weights_that_are_numbers_in_java(house: NamingHouse, text: str, weight: float) -> None:
    house.register(weight=text)
    assert house.hosts()[0]["weight"] == weight


@pytest.mark.parametrize("text", ["-0.1", "10001", "NaN", "Infinity"])
def test_weights_out_of_range_are_refused(house: NamingHouse, text: str) -> None:
    refusal = (400, "instance format invalid: The weights range from 0.0 to 10000.0")
    assert house.text("POST", "/instance", **ADDRESS, weight=text) == refusal
    house.register()
    assert house.text("PATCH", "/instance", **ADDRESS, weight=text) == refusal


@pytest.mark.parametrize("text", ["x", "1_0", "0x10", "1,5"])
def test_weights_that_are_no_numbers_are_refused(house: NamingHouse, text: str) -> None:
    assert house.text("POST", "/instance", **ADDRESS, weight=text) == (400, f'For input string: "{text}"')


@pytest.mark.parametrize(
    ("text", "metadata"),
    [
        ('{"a":"1","b":2,"c":true,"d":null}', {"a": "1", "b": "2", "c": "true"}),
        ("a=1", {"a": "1"}),
        ("{}", {}),
        (" ", {}),
    ],
)
def test_metadata_is_json_or_pairs(house: NamingHouse, text: str, metadata: dict[str, str]) -> None:
    house.register(metadata=text)
    assert house.hosts()[0]["metadata"] == metadata


def test_equal_metadata_is_kept_once(house: NamingHouse) -> None:
    for port in range(3):
        house.register(port=port, metadata='{"a":"1"}')
    kept = {id(instance.metadata) for instance in house.registry.services[SERVICE].instances()}
    assert len(kept) == 1


def test_without_word_the_switch_says_which_kind_an_instance_is(house: NamingHouse) -> None:
    house.gateway.submit(OverrideSwitch("defaultInstanceEphemeral", "false"))
    house.register()
    assert house.hosts()[0]["ephemeral"] is False
    assert [type(command) for command in house.gateway.proposed] == [RegisterPersistent]


def test_an_instance_is_only_withdrawn_as_the_kind_it_is(house: NamingHouse) -> None:
    house.register(ephemeral="false")
    assert house.text("DELETE", "/instance", **ADDRESS) == (200, "ok")
    assert len(house.hosts()) == 1
    assert house.text("DELETE", "/instance", **ADDRESS, ephemeral="false") == (200, "ok")
    assert house.hosts() == []
    proposed = len(house.gateway.proposed)
    assert house.text("DELETE", "/instance", **ADDRESS, ephemeral="false") == (200, "ok")
    assert len(house.gateway.proposed) == proposed  # nothing to write down


def test_an_operators_word_wins_and_survives_a_registration(house: NamingHouse) -> None:
    house.register(metadata='{"a":"1"}')
    assert house.text("PUT", "/instance", **ADDRESS, weight=5, metadata='{"b":"2"}') == (200, "ok")
    house.register(weight=1, metadata='{"a":"3"}')
    assert house.hosts()[0]["weight"] == 5.0
    assert house.hosts()[0]["metadata"] == {"a": "3", "b": "2"}
    assert house.text("PATCH", "/instance", **ADDRESS, metadata='{"c":"4"}') == (200, "ok")
    assert house.hosts()[0]["metadata"] == {"a": "3", "c": "4"}
    assert house.hosts()[0]["weight"] == 5.0


def test_an_overlay_must_be_legal_too(house: NamingHouse) -> None:
    house.register()
    metadata = '{"preserved.heart.beat.timeout":"1000"}'
    assert house.text("PUT", "/instance", **ADDRESS, metadata=metadata)[1].startswith("Instance 'heart beat interval'")
    status, text = house.text("PUT", "/instance", **{**ADDRESS, "serviceName": "ghost"})
    assert (status, text.partition(", service: ")[0]) == (400, "service not found, namespace: public")


def test_metadata_of_many_instances_is_changed_at_once(house: NamingHouse) -> None:
    for port in (80, 81):
        house.register(port=port)
    change = {"serviceName": "s", "metadata": '{"a":"1","b":"2"}'}
    all_updated = ["10.0.0.1:80:unknown:DEFAULT:ephemeral", "10.0.0.1:81:unknown:DEFAULT:ephemeral"]
    assert house.json("PUT", "/instance/metadata/batch", **change) == {"updated": all_updated}
    assert [host["metadata"] for host in house.hosts()] == [{"a": "1", "b": "2"}] * 2
    some = '[{"ip":"10.0.0.1","port":"81"},{"ip":"10.0.0.1","port":82,"ephemeral":false}]'
    assert house.json("DELETE", "/instance/metadata/batch", **change, instances=some) == {"updated": all_updated[1:]}
    assert [host["metadata"] for host in house.hosts()] == [{"a": "1", "b": "2"}, {}]
    proposed = len(house.gateway.proposed)
    nobody = '[{"ip":"10.0.0.9","port":81}]'
    assert house.json("PUT", "/instance/metadata/batch", **change, instances=nobody) == {"updated": []}
    assert len(house.gateway.proposed) == proposed


def test_unreadable_instances_of_a_batch_are_refused_by_the_checker_only(house: NamingHouse) -> None:
    change = {"serviceName": "s", "metadata": "a=1", "instances": "[{"}
    status, text = house.text("PUT", "/instance/metadata/batch", **change)
    assert status == 500
    assert "Server failed, caused: errCode: 101, errMsg: Nacos deserialize for class" in text
    refused = house.ask("PUT", "/instance/metadata/batch", **{**change, "instances": '[{"ip":"a b"}]'})
    assert refused.body.startswith(b"Param 'ip' is illegal")
    unchecked = NamingHouse(checks=False)
    unchecked.register()
    assert len(unchecked.json("PUT", "/instance/metadata/batch", **change)["updated"]) == 1
    assert unchecked.text("PUT", "/instance/metadata/batch", serviceName="s")[1] == "Param 'metadata' is required."


def test_statuses_are_asked_for_with_or_without_namespace(house: NamingHouse) -> None:
    house.register(namespaceId="n")
    house.register(port=81, healthy="false")
    assert house.json("GET", "/instance/statuses", key="n##DEFAULT_GROUP@@s") == {"ips": ["10.0.0.1:80_true"]}
    assert house.json("POST", "/instance/statuses", key="DEFAULT_GROUP@@s") == {"ips": ["10.0.0.1:81_false"]}
    assert house.json("GET", "/instance/statuses", key="g@@ghost") == {"ips": []}
    assert house.text("GET", "/instance/statuses", key="s")[0] == 400
    assert house.text("GET", "/instance/statuses") == (400, "Parameter 'key' is missing")


# --- beats ---

LIGHT = {"serviceName": "s", "ip": "10.0.0.1", "port": 80}


def beat(**members: object) -> dict[str, str]:
    return {
        "serviceName": "s",
        "beat": json.dumps({"serviceName": "DEFAULT_GROUP@@s", "ip": "10.0.0.1", "port": 80, **members}),
    }


def test_an_instance_lives_as_long_as_it_beats(house: NamingHouse) -> None:
    house.register()
    for _ in range(20):
        house.time.advance(5_000)
        assert house.json("PUT", "/instance/beat", **LIGHT)["code"] == 10200
    assert house.hosts()[0]["healthy"] is True
    house.time.advance(15_001)
    assert house.hosts()[0]["healthy"] is False
    house.json("PUT", "/instance/beat", **LIGHT)
    assert house.hosts()[0]["healthy"] is True
    house.time.advance(30_001)
    assert house.hosts() == []
    assert house.json("PUT", "/instance/beat", **LIGHT)["code"] == 20404


def test_a_full_beat_of_an_unknown_instance_registers_it(house: NamingHouse) -> None:
    form = beat(weight=2, cluster="c1", metadata={"a": 1, "b": None}, scheduled=False, period=5000)
    assert house.json("PUT", "/instance/beat", **form)["code"] == 10200
    host = house.hosts()[0]
    assert (host["weight"], host["clusterName"], host["metadata"]) == (2.0, "c1", {"a": "1"})
    house.time.advance(30_001)
    assert house.hosts() == []


def test_the_cluster_of_a_beat_may_stand_beside_it(house: NamingHouse) -> None:
    house.json("PUT", "/instance/beat", **beat(weight=1), clusterName="c2")
    assert house.hosts()[0]["clusterName"] == "c2"


def test_the_answer_tells_how_often_to_beat(house: NamingHouse) -> None:
    house.register(metadata='{"preserved.heart.beat.interval":"3000"}')
    assert house.json("PUT", "/instance/beat", **LIGHT) == {
        "clientBeatInterval": 3000,
        "code": 10200,
        "lightBeatEnabled": True,
    }
    house.gateway.submit(OverrideSwitch("lightBeatEnabled", "false"))
    house.gateway.submit(OverrideSwitch("clientBeatInterval", "7000"))
    assert house.json("PUT", "/instance/beat", **{**LIGHT, "port": 81}) == {
        "clientBeatInterval": 7000,
        "code": 20404,
        "lightBeatEnabled": False,
    }


@pytest.mark.parametrize("members", [{"ip": "a b"}, {"port": 70000}, {"cluster": "a b"}])
def test_what_a_beat_says_is_checked(house: NamingHouse, members: dict[str, object]) -> None:
    assert house.ask("PUT", "/instance/beat", **beat(**members)).body.startswith(b"Param '")


def test_a_beat_into_a_persistent_service_is_refused(house: NamingHouse) -> None:
    house.register(port=81, ephemeral="false")
    status, text = house.text("PUT", "/instance/beat", **beat(weight=1))
    assert (status, text[:20]) == (400, "errCode: 400, errMsg")


# --- subscriptions over UDP ---

SUBSCRIBE = {"serviceName": "s", "udpPort": "54321", "clientIP": "10.9.9.9", "app": "a", "clusters": "c1"}


def test_a_1_x_client_subscribes_with_its_udp_port_at_the_address_it_asks_from(house: NamingHouse) -> None:
    """Datagrams to whatever address a request names would make the server a weapon."""
    house.ask("GET", "/instance/list", **SUBSCRIBE, headers=JAVA)
    assert house.json("GET", "/service/subscribers", serviceName="s") == {
        "subscribers": [
            {
                "addrStr": "10.0.0.9:54321",
                "agent": "Nacos-Java-Client:v1.4.7",
                "app": "a",
                "ip": "10.0.0.9",
                "port": 54321,
                "namespaceId": "public",
                "serviceName": "DEFAULT_GROUP@@s",
                "cluster": "c1",
            }
        ],
        "count": 1,
    }


def test_it_is_forgotten_when_it_asks_no_more(house: NamingHouse) -> None:
    for _ in range(5):
        house.ask("GET", "/instance/list", **SUBSCRIBE, headers=JAVA)
        house.time.advance(20_000)
    assert house.registry.subscriber_count == 1
    house.time.advance(20_000)
    assert house.registry.subscriber_count == 0


@pytest.mark.parametrize(
    ("agent", "subscribed"),
    [
        ("Nacos-Java-Client:v0.0.9", 0),
        ("Nacos-Java-Client:v0.1.0", 1),
        ("Nacos-Java-Client", 0),
        ("Nacos-Go-Client:v1.0", 1),
        ("Nacos-CSharp-Client:v0.8.9", 0),
        ("Nacos-DNS:v0.4.3", 1),
        ("vip-client4cpp:v1.0.12", 1),
        ("Nacos-Python-Client:v9", 0),
        ("Nacos-SDK-Java:v9", 0),
        ("curl/7", 0),
    ],
)
def test_only_generations_that_understand_a_push_subscribe(house: NamingHouse, agent: str, subscribed: int) -> None:
    house.ask("GET", "/instance/list", **SUBSCRIBE, headers=(("User-Agent", agent),))
    assert house.registry.subscriber_count == subscribed


def test_the_client_version_stands_in_for_the_agent(house: NamingHouse) -> None:
    house.ask("GET", "/instance/list", **SUBSCRIBE, headers=(("Client-Version", "Nacos-Java-Client:v1.0.0"),))
    assert house.registry.subscriber_count == 1


@pytest.mark.parametrize("port", ["0", "", "-1", "65536"])
def test_without_a_port_nobody_subscribes(house: NamingHouse, port: str) -> None:
    assert house.ask("GET", "/instance/list", **{**SUBSCRIBE, "udpPort": port}, headers=JAVA).status == 200
    assert house.registry.subscriber_count == 0


def test_a_port_that_is_no_number_is_refused(house: NamingHouse) -> None:
    assert house.text("GET", "/instance/list", **{**SUBSCRIBE, "udpPort": "x"}) == (400, 'For input string: "x"')


def test_nobody_subscribes_while_pushes_are_switched_off(house: NamingHouse) -> None:
    house.gateway.submit(OverrideSwitch("pushEnabled", "false"))
    house.ask("GET", "/instance/list", **SUBSCRIBE, headers=JAVA)
    assert house.registry.subscriber_count == 0


def test_subscribers_are_found_by_fragments_and_paged(house: NamingHouse) -> None:
    for number in range(3):
        house.ask("GET", "/instance/list", **{**SUBSCRIBE, "serviceName": f"svc{number}"}, headers=JAVA)
    page = house.json("GET", "/service/subscribers", serviceName="vc", pageNo=2, pageSize=2)
    assert page["count"] == 3
    assert [row["serviceName"] for row in page["subscribers"]] == ["DEFAULT_GROUP@@svc2"]


# --- services ---

LABELS = "CONSUMER.label.b = PROVIDER.label.b & CONSUMER.label.a=PROVIDER.label.a"


def test_a_label_selector_is_kept_and_shown(house: NamingHouse) -> None:
    selector = json.dumps({"type": "label", "expression": LABELS})
    assert house.text("POST", "/service", serviceName="s", selector=selector) == (200, "ok")
    assert house.json("GET", "/service", serviceName="s")["selector"] == {
        "type": "label",
        "expression": LABELS,
        "labels": ["a", "b"],
        "contextType": "CMDB",
    }
    assert house.text("PUT", "/service", serviceName="s", protectThreshold="0.5") == (200, "ok")
    detail = house.json("GET", "/service", serviceName="s")
    assert (detail["selector"]["type"], detail["protectThreshold"], detail["metadata"]) == ("none", 0.5, {})


@pytest.mark.parametrize(
    ("selector", "refusal"),
    [
        ("{}", (400, "not match any type of selector!")),
        ('{"type":"x"}', (400, "not match any type of selector!")),
        ("[]", (400, "not match any type of selector!")),
        ("{", (400, "not match any type of selector!")),
        ('{"type":"label","expression":"a=b"}', (500, "Selector parses failed: parse expression failed!")),
        (
            '{"type":"label","expression":"CONSUMER.label.a=PROVIDER.label.b"}',
            (500, "Selector parses failed: parse expression failed!"),
        ),
    ],
)
def test_a_selector_that_is_none_is_refused(house: NamingHouse, selector: str, refusal: tuple[int, str]) -> None:
    assert house.text("POST", "/service", serviceName="s", selector=selector) == refusal


def test_a_created_service_is_persistent(house: NamingHouse) -> None:
    house.text("POST", "/service", serviceName="s", protectThreshold="NaN")
    assert house.json("GET", "/service", serviceName="s")["protectThreshold"] == 0.0
    assert "persistent service" in house.text("POST", "/instance", **ADDRESS)[1]


def test_services_are_listed_by_group_in_pages(house: NamingHouse) -> None:
    for name in ("a", "b", "c"):
        house.register(serviceName=name, groupName="g")
    listed = {"pageSize": 2, "groupName": "g"}
    assert house.json("GET", "/service/list", pageNo=1, **listed) == {"count": 3, "doms": ["a", "b"]}
    assert house.json("GET", "/service/list", pageNo=2, **listed) == {"count": 3, "doms": ["c"]}
    assert house.json("GET", "/service/list", pageNo="x", **listed) == {"count": 3, "doms": ["a", "b"]}
    assert house.json("GET", "/service/list", pageNo=1, pageSize=-1, groupName="g") == {"count": 3, "doms": []}


def test_names_are_searched_in_one_namespace_or_all(house: NamingHouse) -> None:
    house.register(serviceName="abc")
    house.register(serviceName="abd", namespaceId="n")
    assert house.json("GET", "/service/names", expr="bc")["META-INF/services"] == {
        "public": ["DEFAULT_GROUP@@abc"],
        "n": [],
    }
    found = house.json("GET", "/service/names", namespaceId="n")
    assert found == {"META-INF/services": {"n": ["DEFAULT_GROUP@@abd"]}, "count": 1}


# --- catalog and clusters ---


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({}, "caused: Optional int parameter 'pageNo' is present but cannot be translated into a null value"),
        ({"pageNo": "x"}, "caused: Failed to convert value of type 'java.lang.String' to required type 'int'"),
        ({"pageNo": "1", "pageSize": "99999999999"}, "caused: Failed to convert value of type 'java.lang.String'"),
        (
            {"pageNo": "1", "pageSize": "1", "hasIpCount": "x"},
            "caused: Failed to convert value of type 'java.lang.String'",
        ),
        ({"withInstances": ""}, "caused: Optional boolean parameter 'withInstances' is present but"),
    ],
)
def test_what_spring_cannot_bind_is_a_500(house: NamingHouse, form: dict[str, str], text: str) -> None:
    status, body = house.text("GET", "/catalog/services", **form)
    assert status == 500
    assert body.startswith(text)


def test_instances_of_a_cluster_are_paged(house: NamingHouse) -> None:
    for port in range(3):
        house.register(port=port, enabled="false")
    page = {"serviceName": "s", "clusterName": "DEFAULT", "pageSize": 2}
    assert [each["port"] for each in house.json("GET", "/catalog/instances", **page, pageNo=2)["list"]] == [2]
    assert house.json("GET", "/catalog/instances", **page, pageNo=0) == {"list": [], "count": 3}
    assert house.text("GET", "/catalog/instances", **page) == (400, "Parameter 'pageNo' is missing")
    assert house.text("GET", "/catalog/instances", **{**page, "clusterName": "x"}, pageNo=1) == (
        404,
        "cluster x is not found!",
    )


def test_a_catalog_without_a_name_finds_nothing(house: NamingHouse) -> None:
    assert house.text("GET", "/catalog/service") == (404, "service @@ is not found!")


@pytest.mark.parametrize(
    ("checker", "kept"),
    [
        ('{"type":"TCP","x":1}', {"type": "TCP"}),
        (
            '{"type":"HTTP","path":"/p","expectedResponseCode":"201"}',
            {"type": "HTTP", "path": "/p", "headers": "", "expectedResponseCode": 201},
        ),
        ('{"type":"MYSQL","user":"u"}', {"type": "MYSQL", "user": "u", "pwd": None, "cmd": None}),
        ('{"type":"x"}', {"type": "NONE"}),
        ("{}", {"type": "NONE"}),
    ],
)  # fmt: skip
def test_a_cluster_is_checked_as_an_operator_says(house: NamingHouse, checker: str, kept: dict[str, Any]) -> None:
    house.register(clusterName="c1")
    form = {
        "serviceName": "s",
        "clusterName": "c1",
        "checkPort": 81,
        "useInstancePort4Check": "no",
        "healthChecker": checker,
    }
    assert house.text("PUT", "/cluster", **form, metadata="a=1") == (200, "ok")
    assert house.json("GET", "/catalog/service", serviceName="s")["clusters"] == [
        {
            "serviceName": "DEFAULT_GROUP@@s",
            "name": "c1",
            "healthChecker": kept,
            "defaultPort": 80,
            "defaultCheckPort": 81,
            "useIPPort4Check": False,
            "metadata": {"a": "1"},
        }
    ]


@pytest.mark.parametrize("checker", ["{", "[]", '"TCP"', '{"type":"HTTP","path":[]}', "[" * 100_000])
def test_a_checker_that_is_none_is_refused(house: NamingHouse, checker: str) -> None:
    form = {
        "serviceName": "s",
        "clusterName": "c1",
        "checkPort": 81,
        "useInstancePort4Check": "no",
        "healthChecker": checker,
    }
    status, text = house.text("PUT", "/cluster", **form)
    assert status == 400
    assert text.startswith(
        "errCode: 101, errMsg: Nacos deserialize for class [com.alibaba.nacos.api.naming.pojo.healthcheck."
    )


# --- operators ---


def test_the_health_of_a_persistent_instance_is_set_by_hand_where_nobody_checks(house: NamingHouse) -> None:
    house.register(ephemeral="false")
    health = {**ADDRESS, "healthy": "false"}
    refused = "health check is still working, service: DEFAULT_GROUP@@s, cluster: DEFAULT"
    assert house.text("PUT", "/health/instance", **health) == (400, refused)
    cluster = {"serviceName": "s", "clusterName": "DEFAULT", "checkPort": 80, "useInstancePort4Check": "true"}
    house.text("PUT", "/cluster", **cluster, healthChecker='{"type":"NONE"}')
    assert house.text("PUT", "/health", **health) == (200, "ok")
    assert house.json("GET", "/instance", **ADDRESS)["healthy"] is False
    assert house.text("PUT", "/health", **ADDRESS, valid="true") == (200, "ok")
    assert house.json("GET", "/instance", **ADDRESS)["healthy"] is True
    assert house.text("PUT", "/health", **{**health, "port": 81}) == (200, "ok")  # unknown is not an error
    assert house.text("PUT", "/health", **ADDRESS) == (400, "Param 'healthy' is required.")


def test_a_switch_is_set_everywhere_or_here_only(house: NamingHouse) -> None:
    assert house.text("PUT", "/operator/switches", entry="checkTimes", value="1") == (200, "ok")
    assert house.text("PUT", "/ops/switches", entry="healthCheckTimes", value="5", debug="true") == (200, "ok")
    assert house.json("GET", "/ops/switches")["checkTimes"] == 5
    assert house.gateway.proposed == [UpdateSwitch("checkTimes", "1")]
    status, text = house.text("PUT", "/operator/switches", entry="pushCacheMillis", value="1")
    assert (status, text) == (400, "min cache time for http or tcp is too small(<10000)")


def test_the_push_state_is_told_and_reset(house: NamingHouse) -> None:
    house.counters.succeeded(20, empty=False)
    house.counters.succeeded(40, empty=False)
    house.counters.total += 1
    house.counters.failed += 1
    assert house.json("GET", "/operator/push/state", detail="true", reset="true") == {
        "succeed": 2,
        "total": 3,
        "ratio": 2 / 3,
        "detail": {"avgPushCost": 30, "maxPushCost": 40},
        "reset": True,
    }
    assert house.json("GET", "/operator/push/state") == {"succeed": 0, "total": 0, "ratio": 0, "reset": False}


def test_metrics_count_what_is_there(house: NamingHouse) -> None:
    house.register()
    house.register(serviceName="p", ephemeral="false")
    house.ask("GET", "/instance/list", **SUBSCRIBE, headers=JAVA)
    metrics = house.json("GET", "/operator/metrics", onlyStatus="false")
    assert metrics.pop("cpu") >= 0
    assert metrics.pop("load") >= 0
    assert 0 <= metrics.pop("mem") <= 1
    assert metrics == {
        "status": "UP",
        "serviceCount": 2,
        "instanceCount": 2,
        "subscribeCount": 1,
        "responsibleInstanceCount": 2,
        "clientCount": 3,
        "connectionBasedClientCount": 0,
        "ephemeralIpPortClientCount": 2,
        "persistentIpPortClientCount": 1,
        "responsibleClientCount": 3,
    }


def test_log_levels_are_set_by_their_names_in_nacos(house: NamingHouse) -> None:
    logger = logging.getLogger("nacosx.engine.push.pusher")
    before = logger.level
    try:
        assert house.text("PUT", "/operator/log", logName="naming-push", logLevel="warn") == (200, "ok")
        assert logger.level == logging.WARNING
        assert house.text("PUT", "/operator/log", logName="naming-push", logLevel="nonsense") == (200, "ok")
        assert logger.level == logging.DEBUG  # as logback takes it
        assert house.text("PUT", "/operator/log", logName="nonsense", logLevel="info") == (200, "ok")
    finally:
        logger.setLevel(before)
