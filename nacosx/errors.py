"""The one table of errors a client can meet.

A `Kind` holds what each protocol generation says about the same failure:

* `code`: the NacosException code. HTTP v1 and v2 use it as the status, gRPC as errorCode.
* `result_code`, `summary`: the v2/v3 `Result` envelope (`{"code":result_code,"message":summary,"data":detail}`).

Source: Nacos 2.5.1 `NacosException`, `ErrorCode` (contract/http-v2-v3.md §1, grpc.md §3).
"""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    code: int
    result_code: int
    summary: str


PARAMETER_MISSING = Kind(400, 10000, "parameter missing")
ACCESS_DENIED = Kind(403, 10001, "access denied")
DATA_ACCESS = Kind(500, 10002, "data access error")
PARAMETER_INVALID = Kind(400, 20002, "parameter validate error")
NOT_FOUND = Kind(404, 20004, "resource not found")
CONFIG_CONFLICT = Kind(500, 20005, "resource conflict")
CONFIG_GRAY_MAX = Kind(400, 20010, "config gray version version over max count")
SERVICE_NAME = Kind(400, 21000, "service name error")
WEIGHT = Kind(400, 21001, "weight error")
INSTANCE = Kind(400, 21004, "instance error")
SELECTOR = Kind(400, 21006, "selector error")
SERVICE_EXISTS = Kind(400, 21007, "service already exist")
SERVICE_MISSING = Kind(400, 21008, "service not exist")
SERVICE_NOT_EMPTY = Kind(400, 21009, "service delete failure")
NAMESPACE_ILLEGAL = Kind(400, 22000, "illegal namespace")
NAMESPACE_MISSING = Kind(404, 22001, "namespace not exist")
SERVER = Kind(500, 30000, "server error")
OVER_THRESHOLD = Kind(503, 30000, "server error")
BAD_REQUEST = Kind(400, 30000, "server error")
CLIENT_DISCONNECTED = Kind(
    -401, 30000, "server error"
)  # gRPC only: the connection ended while its request was under way


class NacosError(Exception):
    """A refusal the client is told about. Anything else that escapes a handler is our bug and is logged."""

    __slots__ = ("detail", "kind")

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail

    @property
    def code(self) -> int:
        return self.kind.code
