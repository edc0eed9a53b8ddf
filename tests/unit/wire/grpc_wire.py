"""A gRPC server, transports and clients without sockets, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec

from nacosx.api.grpc import internal as internal_grpc
from nacosx.api.grpc.rpc import Connection, Headers, Rpc, Rpcs
from nacosx.wire.grpc import GrpcServer
from nacosx.wire.grpc_connection import GrpcConnection
from tests.models import payload
from tests.models.grpc_peer import STREAM, Peer, framed
from tests.virtual_time import VirtualTime


class Transport:
    """A socket that takes everything at once, unless it is `blocked`."""

    def __init__(self, time: VirtualTime, address: tuple[str, int] | None) -> None:
        self._time = time
        self._address = address
        self.blocked = False
        self.written = b""
        self.closing = False
        self.aborted = False
        self.protocol: GrpcConnection | None = None

    def get_extra_info(self, name: str) -> Any:
        return self._address if name == "peername" else None

    def write(self, data: bytes) -> None:
        assert not self.closing, "a write after close"
        self.written += data
        if self.blocked and self.protocol is not None:
            self.protocol.pause_writing()

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        """The connection is lost when the buffer is empty: never, when the peer does not read."""
        self.closing = True
        if not self.blocked:
            self._time.call_soon(self.lose)

    def abort(self) -> None:
        self.closing = self.aborted = True
        self._time.call_soon(self.lose)

    def lose(self) -> None:
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.connection_lost(None)


class Client:
    """One connection of a client: what it sends is heard at once; what it is sent is taken when time turns."""

    def __init__(self, wire: Wire, address: tuple[str, int] | None, peer: Peer | None = None) -> None:
        self.peer = peer or Peer()
        self.transport = Transport(wire.time, address)
        self.connection = wire.server.connection()
        self.transport.protocol = self.connection
        self._wire = wire
        self.connection.connection_made(cast(asyncio.Transport, self.transport))
        self.stream_id = 0
        self._messages_seen = 0

    def exchange(self) -> None:
        """Moves bytes until nobody has anything to say."""
        while True:
            self._wire.time.turn()
            written, self.transport.written = self.transport.written, b""
            if not self.transport.blocked:
                self.peer.take(written)
            sent = self.peer.outgoing()
            if sent and self.transport.protocol is not None and not self.transport.closing:
                self.connection.data_received(sent)
            elif not written:
                return

    @property
    def lost(self) -> bool:
        return self.transport.protocol is None

    # --- calls ---

    def begin(self, type_name: str, body: bytes = b"{}", **metadata: Any) -> int:
        stream_id = self.peer.call(payload.encode(type_name, body, **metadata))
        self.exchange()
        return stream_id

    def result(self, stream_id: int) -> tuple[str, Any]:
        """(reply type, its JSON)."""
        answer = self.peer.answers[stream_id]
        assert answer.status == 0, (answer.status, answer.message)
        type_name, client_ip, headers, body = payload.decode(answer.messages[0])
        assert (client_ip, headers) == ("", {})  # Java tells nothing but the type
        return type_name, msgspec.json.decode(body)

    def call(self, type_name: str, body: bytes = b"{}", **metadata: Any) -> tuple[str, Any]:
        return self.result(self.begin(type_name, body, **metadata))

    def error(self, type_name: str, body: bytes = b"{}") -> tuple[int, int, str]:
        """(resultCode, errorCode, message) of an ErrorResponse."""
        reply_type, reply = self.call(type_name, body)
        assert reply_type == "ErrorResponse", reply
        assert reply["success"] is False
        return reply["resultCode"], reply["errorCode"], reply["message"]

    # --- the stream ---

    def set_up(
        self, body: bytes = b'{"labels":{"source":"sdk"},"abilityTable":{}}', client_ip: str = "192.0.2.2"
    ) -> None:
        """Opens a stream and introduces itself."""
        self.stream_id = self.peer.open(STREAM)
        self._messages_seen = 0
        self.say("ConnectionSetupRequest", body, client_ip=client_ip)

    def say(self, type_name: str, body: bytes, **metadata: Any) -> None:
        self.peer.write(self.stream_id, framed(payload.encode(type_name, body, **metadata)))
        self.exchange()

    def pushed(self) -> list[tuple[str, str, bytes]]:
        """(type, client ip, body) of the messages on the stream that were not asked for yet."""
        messages = self.peer.answers[self.stream_id].messages[self._messages_seen :]
        self._messages_seen += len(messages)
        decoded = [payload.decode(message) for message in messages]
        return [(type_name, client_ip, body) for type_name, client_ip, _, body in decoded]

    def acknowledge(self, body: bytes, result_code: int = 200, type_name: str = "NotifySubscriberResponse") -> None:
        """Answers a push."""
        request_id = msgspec.json.decode(body)["requestId"]
        self.say(type_name, b'{"resultCode":%d,"requestId":"%s"}' % (result_code, request_id.encode()))


class Echo(msgspec.Struct):
    name: str = ""


class Wire:
    """`handle` of an EchoRequest can be replaced; `log` keeps the comings and goings."""

    def __init__(self, *, started: bool = True, **limits: Any) -> None:
        self.time = VirtualTime()
        self.log: list[str] = []
        self.handle: Callable[[Connection, Echo, Headers], bytes] = lambda _, request, headers: msgspec.json.encode(
            {"name": request.name, "app": headers.get("app")}
        )
        self.server = GrpcServer(
            cast(asyncio.AbstractEventLoop, self.time),
            self.time.ticker(),
            self.time.clock,
            lambda connection: self.log.append(f"+{connection.connection_id}"),
            lambda connection_id: self.log.append(f"-{connection_id}"),
            **{"local_ip": "192.0.2.1", **limits},
        )
        rpcs: Rpcs = internal_grpc.rpcs()
        rpcs["EchoRequest"] = Rpc(Echo, "EchoResponse", lambda *arguments: self.handle(*arguments))
        self.server.serve(rpcs)
        self.server.started = started
        self.clients: list[Client] = []

    def client(self, port: int = 4000, ip: str = "10.0.0.5", peer: Peer | None = None) -> Client:
        client = Client(self, (ip, port), peer)
        client.exchange()
        self.clients.append(client)
        return client

    def registered(self, port: int = 4000) -> Client:
        client = self.client(port)
        client.set_up()
        client.pushed()
        self.log.clear()
        return client

    def advance(self, delay_ms: int) -> None:
        """Time passes, and the clients hear what is said to them meanwhile."""
        end_ms = self.time.clock.monotonic_ms() + delay_ms
        while (left_ms := end_ms - self.time.clock.monotonic_ms()) > 0:
            self.time.advance(min(left_ms, 1000))
            for client in self.clients:
                client.exchange()
