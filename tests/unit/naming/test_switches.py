"""The SwitchDomain: its JSON, and what PUT /operator/switches takes (contract/semantics.md §2, golden/2.5.1/220–223)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nacosx.errors import NacosError
from nacosx.naming.commands import OverrideSwitch, UpdateSwitch
from nacosx.naming.registry import Registry
from nacosx.naming.switches import HealthParams, Switches, updated


def test_the_defaults_are_those_of_the_java_server_byte_for_byte() -> None:
    assert msgspec.json.encode(Switches()).decode() == (
        '{"masters":null,"adWeightMap":{},"defaultPushCacheMillis":10000,"clientBeatInterval":5000,'
        '"defaultCacheMillis":3000,"distroThreshold":0.7,"healthCheckEnabled":true,"autoChangeHealthCheckEnabled":true,'
        '"distroEnabled":true,"enableStandalone":true,"pushEnabled":true,"checkTimes":3,'
        '"httpHealthParams":{"max":5000,"min":500,"factor":0.85},"tcpHealthParams":{"max":5000,"min":1000,"factor":0.75},'
        '"mysqlHealthParams":{"max":3000,"min":2000,"factor":0.65},"incrementalList":[],'
        '"serverStatusSynchronizationPeriodMillis":2000,"serviceStatusSynchronizationPeriodMillis":5000,'
        '"disableAddIP":false,"sendBeatOnly":false,"lightBeatEnabled":true,"limitedUrlMap":{},'
        '"distroServerExpiredMillis":10000,"pushGoVersion":"0.1.0","pushJavaVersion":"0.1.0","pushPythonVersion":"0.4.3",'
        '"pushCVersion":"1.0.12","pushCSharpVersion":"0.9.0","enableAuthentication":false,"overriddenServerStatus":null,'
        '"defaultInstanceEphemeral":true,"healthCheckWhiteList":[],"name":"00-00---000-NACOS_SWITCH_DOMAIN-000---00-00",'
        '"checksum":null}'
    )


@pytest.mark.parametrize(
    ("entry", "value", "member", "expected"),
    [
        ("distroThreshold", "0.5", "distro_threshold", 0.5),
        ("clientBeatInterval", "7000", "client_beat_interval", 7000),
        ("pushVersion", "java:1.2.3", "push_java_version", "1.2.3"),
        ("pushVersion", "python:1.2.3", "push_python_version", "1.2.3"),
        ("pushVersion", "c:1.2.3", "push_c_version", "1.2.3"),
        ("pushVersion", "go:1.2.3", "push_go_version", "1.2.3"),
        ("pushVersion", "csharp:1.2.3", "push_csharp_version", "1.2.3"),
        ("pushCacheMillis", "10000", "default_push_cache_millis", 10_000),
        ("defaultCacheMillis", "1000", "default_cache_millis", 1_000),
        ("masters", "a,b", "masters", ["a", "b"]),
        ("distro", "false", "distro_enabled", False),
        ("check", "false", "health_check_enabled", False),
        ("pushEnabled", "FALSE", "push_enabled", False),
        ("pushEnabled", "nonsense", "push_enabled", False),
        ("serviceStatusSynchronizationPeriodMillis", "5000", "service_status_synchronization_period_millis", 5_000),
        ("serverStatusSynchronizationPeriodMillis", "1000", "server_status_synchronization_period_millis", 1_000),
        ("healthCheckTimes", "5", "check_times", 5),
        ("disableAddIP", "true", "disable_add_ip", True),
        ("sendBeatOnly", "true", "send_beat_only", True),
        ("limitedUrlMap", "/a:503,/b:404", "limited_url_map", {"/a": 503, "/b": 404}),
        ("limitedUrlMap", "", "limited_url_map", {}),
        ("enableStandalone", "false", "enable_standalone", False),
        ("overriddenServerStatus", "DOWN", "overridden_server_status", "DOWN"),
        ("overriddenServerStatus", "null", "overridden_server_status", None),
        ("defaultInstanceEphemeral", "false", "default_instance_ephemeral", False),
        ("distroServerExpiredMillis", "20000", "distro_server_expired_millis", 20_000),
        ("lightBeatEnabled", "false", "light_beat_enabled", False),
        ("autoChangeHealthCheckEnabled", "false", "auto_change_health_check_enabled", False),
        ("httpHealthParams", '{"max":4000,"min":600,"factor":1}', "http_health_params", HealthParams(4000, 600, 1.0)),
        ("tcpHealthParams", '{"max":4000,"min":600,"factor":0.5}', "tcp_health_params", HealthParams(4000, 600, 0.5)),
        ("mysqlHealthParams", '{"max":4000,"min":600,"factor":0}', "mysql_health_params", HealthParams(4000, 600, 0.0)),
    ],
)
def test_each_entry_sets_its_member_and_no_other(entry: str, value: str, member: str, expected: Any) -> None:
    changed = updated(Switches(), entry, value)
    assert getattr(changed, member) == expected
    assert msgspec.structs.replace(changed, **{member: getattr(Switches(), member)}) == Switches()


def test_an_unknown_entry_is_accepted_and_ignored() -> None:
    assert updated(Switches(), "nonsense", "1") == Switches()


@pytest.mark.parametrize(
    ("entry", "value", "text"),
    [
        ("distroThreshold", "0", "distroThreshold can not be zero or negative: 0.0"),
        ("distroThreshold", "nan", "distroThreshold can not be zero or negative: nan"),
        ("distroThreshold", "abc", 'For input string: "abc"'),
        ("clientBeatInterval", "abc", 'For input string: "abc"'),
        ("clientBeatInterval", "1" * 5000, f'For input string: "{"1" * 5000}"'),
        ("pushVersion", "java:1.2", r"illegal version, must match: [0-9]+\.[0-9]+\.[0-9]+"),
        ("pushVersion", "java", r"illegal version, must match: [0-9]+\.[0-9]+\.[0-9]+"),
        ("pushVersion", "rust:1.2.3", "unsupported client type: rust"),
        ("pushCacheMillis", "9999", "min cache time for http or tcp is too small(<10000)"),
        ("defaultCacheMillis", "999", "min default cache time  is too small(<1000)"),
        (
            "serviceStatusSynchronizationPeriodMillis",
            "4999",
            "serviceStatusSynchronizationPeriodMillis is too small(<5000)",
        ),
        (
            "serverStatusSynchronizationPeriodMillis",
            "999",
            "serverStatusSynchronizationPeriodMillis is too small(<15000)",
        ),
        ("limitedUrlMap", "/a", "invalid input for limited urls"),
        ("limitedUrlMap", ":503", "url can not be empty, url: "),
        ("limitedUrlMap", "/a:0", "illegal normal status code: 0"),
        ("limitedUrlMap", "/a:x", 'For input string: "x"'),
        ("httpHealthParams", '{"max":4000,"min":499,"factor":1}', "minCheckTime is too small(<500)"),
        ("httpHealthParams", '{"max":2999,"min":500,"factor":1}', "maxCheckTime is too small(<3000)"),
        ("httpHealthParams", '{"max":3000,"min":500,"factor":1.1}', "malformed factor"),
    ],
)
def test_bad_values_are_refused_with_the_text_of_the_java_server(entry: str, value: str, text: str) -> None:
    with pytest.raises(NacosError) as refused:
        updated(Switches(), entry, value)
    assert (refused.value.code, refused.value.detail) == (400, text)


@pytest.mark.parametrize("value", ["{bad", "\ud800", "[]", '{"max":1}'])
def test_health_parameters_that_are_no_json_are_refused(value: str) -> None:
    with pytest.raises(NacosError, match="malformed tcp_health_params"):
        updated(Switches(), "tcpHealthParams", value)


def test_an_override_is_forgotten_with_the_process_and_an_update_is_not() -> None:
    registry = Registry()
    registry.apply(OverrideSwitch("pushEnabled", "false"))
    registry.apply(UpdateSwitch("sendBeatOnly", "true"))
    assert (registry.switches.push_enabled, registry.switches.send_beat_only) == (False, True)
    restored = Registry()
    restored.restore(registry.snapshot())
    assert (restored.switches.push_enabled, restored.switches.send_beat_only) == (True, True)
    with pytest.raises(NacosError):
        registry.check(UpdateSwitch("pushCacheMillis", "1"))
