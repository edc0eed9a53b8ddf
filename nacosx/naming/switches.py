"""The SwitchDomain: the knobs an operator turns at run time. Durable.

Source: Nacos 2.5.1 `SwitchDomain`, `SwitchManager` (contract/semantics.md §2, golden/2.5.1/220). JSON of a `Switches` is the
body of GET /operator/switches.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from nacosx.errors import BAD_REQUEST, NacosError

PUSH_CACHE_MS_MIN = 10_000
DEFAULT_CACHE_MS_MIN = 1_000
SERVICE_STATUS_SYNC_MS_MIN = 5_000
SERVER_STATUS_SYNC_MS_MIN = 1_000  # the text of the refusal says 15000; the Java server checks 1000
HEALTH_CHECK_MS_MIN = 500
HEALTH_CHECK_MS_MAX_MIN = 3_000


class HealthParams(msgspec.Struct, frozen=True):
    """How the pace of active health checks adapts, milliseconds."""

    max: int
    min: int
    factor: float


class Switches(msgspec.Struct, frozen=True, rename="camel"):
    masters: list[str] | None = None
    ad_weight_map: dict[str, int] = {}
    default_push_cache_millis: int = 10_000
    client_beat_interval: int = 5_000
    default_cache_millis: int = 3_000
    distro_threshold: float = 0.7
    health_check_enabled: bool = True
    auto_change_health_check_enabled: bool = True
    distro_enabled: bool = True
    enable_standalone: bool = True
    push_enabled: bool = True
    check_times: int = 3
    http_health_params: HealthParams = HealthParams(5_000, 500, 0.85)
    tcp_health_params: HealthParams = HealthParams(5_000, 1_000, 0.75)
    mysql_health_params: HealthParams = HealthParams(3_000, 2_000, 0.65)
    incremental_list: list[str] = []
    server_status_synchronization_period_millis: int = 2_000
    service_status_synchronization_period_millis: int = 5_000
    disable_add_ip: bool = msgspec.field(default=False, name="disableAddIP")
    send_beat_only: bool = False
    light_beat_enabled: bool = True
    limited_url_map: dict[str, int] = {}
    distro_server_expired_millis: int = 10_000
    push_go_version: str = "0.1.0"
    push_java_version: str = "0.1.0"
    push_python_version: str = "0.4.3"
    push_c_version: str = msgspec.field(default="1.0.12", name="pushCVersion")
    push_csharp_version: str = msgspec.field(default="0.9.0", name="pushCSharpVersion")
    enable_authentication: bool = False
    overridden_server_status: str | None = None
    default_instance_ephemeral: bool = True
    health_check_white_list: list[str] = []
    name: str = "00-00---000-NACOS_SWITCH_DOMAIN-000---00-00"
    checksum: str | None = None


def updated(switches: Switches, entry: str, value: str) -> Switches:
    """The switches with one entry set as PUT /operator/switches does.

    An unknown entry changes nothing. A bad value raises NacosError(BAD_REQUEST) with the text of the Java server.
    """
    reader = _ENTRIES.get(entry)
    if reader is None:
        return switches
    changes = reader(value)
    return msgspec.structs.replace(switches, **changes) if changes else switches


def _refuse(text: str) -> NacosError:
    return NacosError(BAD_REQUEST, text)


def _whole(value: str) -> int:
    if re.fullmatch(r"[+-]?[0-9]{1,19}", value) is None:
        raise _refuse(f'For input string: "{value}"')
    return int(value)


def _is_true(value: str) -> bool:
    """`Boolean.parseBoolean`."""
    return value.lower() == "true"


def _flag(member: str) -> Callable[[str], dict[str, Any]]:
    return lambda value: {member: _is_true(value)}


def _number(member: str, smallest: int | None = None, refusal: str = "") -> Callable[[str], dict[str, Any]]:
    def read(value: str) -> dict[str, Any]:
        number = _whole(value)
        if smallest is not None and number < smallest:
            raise _refuse(refusal)
        return {member: number}

    return read


def _distro_threshold(value: str) -> dict[str, Any]:
    try:
        threshold = float(value)
    except ValueError:
        raise _refuse(f'For input string: "{value}"') from None
    if not threshold > 0:
        raise _refuse(f"distroThreshold can not be zero or negative: {threshold}")
    return {"distro_threshold": threshold}


_PUSH_VERSIONS = {
    "java": "push_java_version",
    "python": "push_python_version",
    "c": "push_c_version",
    "go": "push_go_version",
    "csharp": "push_csharp_version",
}


def _push_version(value: str) -> dict[str, Any]:
    client, _, rest = value.partition(":")
    version = rest.partition(":")[0]
    if re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version) is None:
        raise _refuse(r"illegal version, must match: [0-9]+\.[0-9]+\.[0-9]+")
    member = _PUSH_VERSIONS.get(client)
    if member is None:
        raise _refuse(f"unsupported client type: {client}")
    return {member: version}


def _limited_urls(value: str) -> dict[str, Any]:
    """`url:code,url:code`. An empty value changes nothing, as in the Java server."""
    urls: dict[str, int] = {}
    for item in filter(None, value.split(",")):
        url, colon, rest = item.partition(":")
        if not colon:
            raise _refuse("invalid input for limited urls")
        if not url:
            raise _refuse("url can not be empty, url: ")
        code = _whole(rest.partition(":")[0])
        if code <= 0:
            raise _refuse(f"illegal normal status code: {code}")
        urls[url] = code
    return {"limited_url_map": urls} if urls else {}


def _health_params(member: str) -> Callable[[str], dict[str, Any]]:
    def read(value: str) -> dict[str, Any]:
        try:
            params = msgspec.json.decode(value, type=HealthParams)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise _refuse(f"malformed {member}: {error}") from None
        if params.min < HEALTH_CHECK_MS_MIN:
            raise _refuse(f"minCheckTime is too small(<{HEALTH_CHECK_MS_MIN})")
        if params.max < HEALTH_CHECK_MS_MAX_MIN:
            raise _refuse(f"maxCheckTime is too small(<{HEALTH_CHECK_MS_MAX_MIN})")
        if not 0 <= params.factor <= 1:
            raise _refuse("malformed factor")
        return {member: params}

    return read


_ENTRIES: dict[str, Callable[[str], dict[str, Any]]] = {
    "distroThreshold": _distro_threshold,
    "clientBeatInterval": _number("client_beat_interval"),
    "pushVersion": _push_version,
    "pushCacheMillis": _number(
        "default_push_cache_millis", PUSH_CACHE_MS_MIN, "min cache time for http or tcp is too small(<10000)"
    ),
    "defaultCacheMillis": _number(
        "default_cache_millis", DEFAULT_CACHE_MS_MIN, "min default cache time  is too small(<1000)"
    ),
    "masters": lambda value: {"masters": value.split(",")},
    "distro": _flag("distro_enabled"),
    "check": _flag("health_check_enabled"),
    "pushEnabled": _flag("push_enabled"),
    "serviceStatusSynchronizationPeriodMillis": _number(
        "service_status_synchronization_period_millis",
        SERVICE_STATUS_SYNC_MS_MIN,
        "serviceStatusSynchronizationPeriodMillis is too small(<5000)",
    ),
    "serverStatusSynchronizationPeriodMillis": _number(
        "server_status_synchronization_period_millis",
        SERVER_STATUS_SYNC_MS_MIN,
        "serverStatusSynchronizationPeriodMillis is too small(<15000)",
    ),
    "healthCheckTimes": _number("check_times"),
    "disableAddIP": _flag("disable_add_ip"),
    "sendBeatOnly": _flag("send_beat_only"),
    "limitedUrlMap": _limited_urls,
    "enableStandalone": _flag("enable_standalone"),
    "overriddenServerStatus": lambda value: {"overridden_server_status": None if value == "null" else value},
    "defaultInstanceEphemeral": _flag("default_instance_ephemeral"),
    "distroServerExpiredMillis": _number("distro_server_expired_millis"),
    "lightBeatEnabled": _flag("light_beat_enabled"),
    "autoChangeHealthCheckEnabled": _flag("auto_change_health_check_enabled"),
    "httpHealthParams": _health_params("http_health_params"),
    "tcpHealthParams": _health_params("tcp_health_params"),
    "mysqlHealthParams": _health_params("mysql_health_params"),
}
