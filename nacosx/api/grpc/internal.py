"""The internal gRPC messages: server check, connection set-up, health check, detection, reset. contract/grpc.md §2, §5.1.

Source: Nacos 2.5.1 `GrpcRequestAcceptor`, `GrpcBiStreamRequestAcceptor`, `HealthCheckRequestHandler`, `ConnectionManager`;
golden/wire/c2.5.1-s2.5.1.types.md.
"""

from __future__ import annotations

import msgspec

from nacosx.api.grpc.rpc import Connection, Headers, Rpc, Rpcs
from nacosx.api.jackson import reader

# Sent by other servers, to the cluster port only.
CLUSTER_ONLY = frozenset(
    {
        "ConfigChangeClusterSyncRequest",
        "DistroDataRequest",
        "MemberReportRequest",
        "ServerLoaderInfoRequest",
        "ServerReloadRequest",
    }
)

# The abilities of 2.5.1.
SETUP_ACK_TYPE = "SetupAckRequest"
SETUP_ACK = b'{"headers":{},"abilityTable":{"supportPersistentInstanceByGrpc":true},"module":"internal"}'

DETECTION_TYPE = "ClientDetectionRequest"
RESET_TYPE = "ConnectResetRequest"
INTERNAL_MEMBERS = b'"module":"internal"'  # of a request that has no others

HEALTHY = b'{"resultCode":200,"errorCode":0,"success":true}'


class ServerCheckRequest(msgspec.Struct):
    """Is this a Nacos server, and which connection am I to it?"""


class HealthCheckRequest(msgspec.Struct):
    """Am I still registered? The answer to a connection that is not is the wire's (301)."""


class ConnectionSetupRequest(msgspec.Struct, rename="camel"):
    """The first message on the stream. Clients before 2.3 send `abilities` instead of an ability table."""

    client_version: str = ""
    labels: dict[str, str] = {}
    ability_table: dict[str, bool] | None = None


class PushResponse(msgspec.Struct, rename="camel"):
    """What every answer to a push has in common. Java leaves out null, and 200 is the default there."""

    result_code: int = 200
    request_id: str = ""


read_setup = reader(ConnectionSetupRequest)
read_push_response = reader(PushResponse)


def reset_members(connection_id: str = "", server: str = "") -> bytes:
    """The members of a ConnectResetRequest: "go elsewhere", to `server` ("ip:port") when it is given."""
    members: list[tuple[str, str]] = []
    ip, colon, port = server.rpartition(":")
    if colon:
        members += [("serverIp", ip), ("serverPort", port)]
    if connection_id:
        members.append(("connectionId", connection_id))
    return msgspec.json.encode({**dict(members), "module": "internal"})[1:-1]


def rpcs() -> Rpcs:
    return {
        "ServerCheckRequest": Rpc(ServerCheckRequest, "ServerCheckResponse", check_server, before_registration=True),
        "HealthCheckRequest": Rpc(HealthCheckRequest, "HealthCheckResponse", check_health),
    }


def check_server(connection: Connection, _request: ServerCheckRequest, _headers: Headers) -> bytes:
    """The ability negotiation it promises is the SetupAckRequest: a client waits 5 s for it."""
    return (
        b'{"resultCode":200,"errorCode":0,"connectionId":'
        + msgspec.json.encode(connection.connection_id)
        + b',"supportAbilityNegotiation":true,"success":true}'
    )


def check_health(_connection: Connection, _request: HealthCheckRequest, _headers: Headers) -> bytes:
    return HEALTHY
