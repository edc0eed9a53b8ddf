"""Forms of any content on every naming v1 endpoint: each is answered, in the words of the Java server."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nacosx._core.http1 import Request
from tests.naming_house import NamingHouse

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ENDPOINTS = [
    (path.removeprefix("/v1/ns"), method)
    for path, methods in NamingHouse().routes.items()
    for method in METHODS
    if method in methods or "*" in methods
]

NAMES = [
    *(
        "serviceName",
        "groupName",
        "namespaceId",
        "ip",
        "port",
        "clusterName",
        "cluster",
        "clusters",
        "weight",
        "enabled",
    ),
    *(
        "enable",
        "healthy",
        "valid",
        "ephemeral",
        "metadata",
        "beat",
        "instances",
        "consistencyType",
        "udpPort",
        "clientIP",
    ),
    *("healthyOnly", "app", "key", "pageNo", "pageSize", "selector", "protectThreshold", "expr", "withInstances"),
    *(
        "hasIpCount",
        "serviceNameParam",
        "groupNameParam",
        "checkPort",
        "useInstancePort4Check",
        "healthChecker",
        "entry",
    ),
    *("value", "debug", "detail", "reset", "onlyStatus", "logName", "logLevel", "encoding"),
]
NASTY = [
    *("", " ", "s", "g@@s", "@@", "@@s", "g@@", "a@@b@@c", "public", "null", "n", "10.0.0.1", "80", "0", "-1", "65536"),
    *("1e999", "NaN", "Infinity", "-Infinity", "true", "FALSE", "1", "2147483648", "-2147483649", "９", "x" * 600),
    *(
        "a=1,b=2",
        "a=1,,",
        ",",
        "=",
        "{}",
        "[]",
        "null",
        "{",
        '"',
        '{"a":1}',
        '{"a":{"b":[]}}',
        '{"a":null}',
        "[" * 5000,
    ),
    *('{"ip":"10.0.0.1","port":80}', '[{"ip":"10.0.0.1","port":80}]', '[{"port":"x"}]', "[null]", '{"type":"TCP"}'),
    *('{"type":"label","expression":"a"}', '{"type":"HTTP","path":1}', "\ud7ff\U0010ffff", "\0", "\r\n", "é", "中"),
    *(".*.*.*.*.*.*x", "overriddenServerStatus", "limitedUrlMap", "/:1", "/nacos:418", "GBK", "idna", "10200", "TCP"),
    *("masters", "pushVersion", "java:9.9.9", "99999999999999999999"),
]

forms = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(NASTY) | st.text(max_size=8), max_size=12)
STATUSES = {200, 400, 404, 500, 503}


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(ENDPOINTS), forms, st.booleans()), min_size=1, max_size=12), st.booleans())
def test_every_form_is_answered(requests: list[tuple[tuple[str, str], dict[str, str], bool]], checks: bool) -> None:
    house = NamingHouse(checks=checks)
    house.ask("POST", "/instance", serviceName="s", ip="10.0.0.1", port=80)
    for (path, method), form, from_java in requests:
        headers = (("User-Agent", "Nacos-Java-Client:v1.4.7"),) if from_java else ()
        response = house.ask(method, path, headers=headers, **form)
        limits = house.registry.switches.limited_url_map.values()
        assert response.status in STATUSES or response.status in limits
        assert response.render(b"").startswith(b"HTTP/1.1 ")
        house.time.advance(7_000)


@given(st.sampled_from(ENDPOINTS), st.binary(max_size=200))
def test_bodies_of_any_bytes_are_answered(endpoint: tuple[str, str], body: bytes) -> None:
    path, method = endpoint
    headers = (("Content-Type", "application/x-www-form-urlencoded"),)
    request = Request(method, f"/nacos/v1/ns{path}", headers=headers, body=body)
    assert NamingHouse().answer(path, request).status in STATUSES
