"""The seam between `wire.grpc` and the gRPC handlers of the desk."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol

import msgspec

from nacosx.api.later import Later

WaitingReply = Later[bytes] | Coroutine[Any, Any, bytes]
Reply = bytes | WaitingReply


class Connection(Protocol):
    """One HTTP/2 transport, as the handlers see it (contract/grpc.md §2)."""

    connection_id: str  # <epochMillis>_<remoteIp>_<remotePort>
    client_ip: str  # declared in the ConnectionSetupRequest's metadata; beta rules and subscriber lists use it
    remote_ip: str
    remote_port: int
    client_version: str
    labels: dict[str, str]
    app_name: str  # "-" when the client did not tell


class Headers(Protocol):
    """The metadata headers of a request."""

    def get(self, name: str, /) -> str | None: ...


class Rpc(NamedTuple):
    """One unary request type.

    `handler(connection, request, headers)` returns the JSON body of `reply_type`, at once, `Later` or as a coroutine (see
    `api.http`). A `NacosError` it raises becomes an ErrorResponse with resultCode = errorCode = its code.
    """

    request: type[msgspec.Struct]
    reply_type: str
    handler: Callable[[Connection, Any, Headers], Reply]
    before_registration: bool = False  # answered on any connection, whatever the body is: ServerCheckRequest


# request type name ("InstanceRequest") → Rpc
Rpcs = dict[str, Rpc]


class ErrorResponse(msgspec.Struct, rename="camel"):
    """The reply of the type `ErrorResponse`, in the member order of the Java server."""

    result_code: int
    error_code: int
    message: str
    success: bool = False


def error_body(result_code: int, error_code: int, message: str) -> bytes:
    return msgspec.json.encode(ErrorResponse(result_code, error_code, message))
