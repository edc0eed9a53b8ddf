"""The parameter checker of Nacos 2.2.3+: lengths and characters of names, whatever the handler makes of them.

Every check returns the refusal, "" when the parameters are legal. Over HTTP a refusal is a 400 of plain text, over gRPC the
handler's own reply with errorCode 400 (`refused_reply`). Blank values are not checked: whether a parameter is required is the
handler's business.

Source: Nacos 2.5.1 `DefaultParamChecker`, `ParamCheckRule` (contract/semantics.md §1, golden/2.5.1/151–157).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

NAMESPACE_SHOW_NAME_LENGTH_MAX = 256
NAMESPACE_LENGTH_MAX = 64
DATA_ID_LENGTH_MAX = 256
GROUP_LENGTH_MAX = 128
SERVICE_NAME_LENGTH_MAX = 512
CLUSTER_LENGTH_MAX = 64
IP_LENGTH_MAX = 128
PORT_MAX = 65_535
METADATA_LENGTH_MAX = 1_024

_WRONG_PORT = "Param 'port' is illegal, the value should be between 0 and 65535."


def _rule(name: str, length_max: int, pattern: str) -> Callable[[str | None], str]:
    matches = re.compile(pattern, re.ASCII).fullmatch

    def check(value: str | None) -> str:
        if not value or (len(value) <= length_max and matches(value)) or value.isspace():
            return ""
        if len(value) > length_max:
            return f"Param '{name}' is illegal, the param length should not exceed {length_max}."
        return f"Param '{name}' is illegal, illegal characters should not appear in the param."

    return check


check_namespace_show_name = _rule("namespaceShowName", NAMESPACE_SHOW_NAME_LENGTH_MAX, r"[^@#$%^&*]+")
check_namespace = _rule("namespaceId/tenant", NAMESPACE_LENGTH_MAX, r"[\w-]+")
check_data_id = _rule("dataId", DATA_ID_LENGTH_MAX, r"[a-zA-Z0-9\-_:.]*")
check_group = _rule("group", GROUP_LENGTH_MAX, r"[a-zA-Z0-9\-_:.]*")
check_service_name = _rule("serviceName", SERVICE_NAME_LENGTH_MAX, r"(?!@).(?:(?!@@)[^\u4E00-\u9FA5\s])*")
check_ip = _rule("ip", IP_LENGTH_MAX, r"[^\u4E00-\u9FA5\s]*")
_check_cluster = _rule("cluster", CLUSTER_LENGTH_MAX, r"[0-9a-zA-Z\-_]+")


# What nearly all groups, bare service names and addresses are made of: one cheap look instead of a rule for each.
_plain = re.compile(r"[0-9A-Za-z_.:\-]*").fullmatch
_PLAIN_LENGTH_MAX = GROUP_LENGTH_MAX  # of both together: the smaller of their limits


def check_clusters(clusters: str | None) -> str:
    """A cluster, or a comma list of them."""
    if not clusters:
        return ""
    if "," not in clusters:
        return _check_cluster(clusters)
    return next(filter(None, map(_check_cluster, clusters.split(","))), "")


def check_port(port: int | str | None) -> str:
    """The port as a number, or as it was written."""
    if isinstance(port, int):
        return "" if 0 <= port <= PORT_MAX else _WRONG_PORT
    if not port or port.isspace():
        return ""
    if len(port) <= 5 and port.isascii() and port.isdigit():
        return "" if int(port) <= PORT_MAX else _WRONG_PORT
    if re.fullmatch(r"[+-]?[0-9]{1,10}", port) is None or not 0 <= int(port) <= PORT_MAX:
        return _WRONG_PORT
    return ""


class Checks:
    """The checks of whole requests, with the settings of this server.

    `enabled`: nacos.core.param.check.enabled; `metadata_length_max`: nacos.naming.service.metadata.length.
    """

    __slots__ = ("enabled", "metadata_length_max")

    def __init__(self, *, enabled: bool = True, metadata_length_max: int = METADATA_LENGTH_MAX) -> None:
        self.enabled = enabled
        self.metadata_length_max = metadata_length_max

    def service(self, namespace: str | None, group: str | None, name: str | None, clusters: str | None = None) -> str:
        """Names of a service (bare name) and of clusters in it."""
        if not self.enabled:
            return ""
        both = f"{group or ''}{name or ''}"
        if (namespace == "public" or not check_namespace(namespace)) and (
            len(both) <= _PLAIN_LENGTH_MAX and _plain(both) and not clusters
        ):
            return ""
        return check_namespace(namespace) or check_service_name(name) or check_group(group) or check_clusters(clusters)

    def instance(
        self, ip: str | None, port: int | str | None, clusters: str | None, metadata: Mapping[str, str | None] | None
    ) -> str:
        """The address of an instance, its cluster and its metadata."""
        if not self.enabled:
            return ""
        return (
            (check_clusters(clusters) if clusters and clusters != "DEFAULT" else "")
            or ("" if ip and len(ip) <= IP_LENGTH_MAX and _plain(ip) else check_ip(ip))
            or check_port(port)
            or (self.metadata(metadata) if metadata else "")
        )

    def metadata(self, metadata: Mapping[str, str | None] | None) -> str:
        """Keys and values together have a limit."""
        if not self.enabled or not metadata:
            return ""
        length = 0
        for key, value in metadata.items():
            length += len(key) + len(value or "")
        if length > self.metadata_length_max:
            return f"Param 'Metadata' is illegal, the param length should not exceed {self.metadata_length_max}."
        return ""

    def config(self, tenant: str | None, data_id: str | None, group: str | None) -> str:
        """Names of a config."""
        if not self.enabled:
            return ""
        return check_namespace(tenant) or check_data_id(data_id) or check_group(group)


def refused_reply(refusal: str, members: bytes = b"") -> bytes:
    """The gRPC reply for a refusal: the handler's own type, with `members` (`"count":0,`) that it never leaves out."""
    message = msgspec.json.encode(f"Param check invalid:{refusal}")
    return b'{"resultCode":500,"errorCode":400,"message":' + message + b"," + members + b'"success":false}'
