"""The gRPC door: what all connections share, the pushes to registered clients, the ejector.

A *connection* is one HTTP/2 transport (`wire.grpc_connection`). It becomes *registered* with a ConnectionSetupRequest on its
stream, under the id it was told in the server check, and stays so until the transport ends or the ejector removes it.

Source: Nacos 2.5.1 `ConnectionManager`, `NacosRuntimeConnectionEjector`, `RpcPushService` (contract/grpc.md §2).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from nacosx._core.http2 import MESSAGE_BYTES_MAX
from nacosx._core.wheel import Timeout
from nacosx.api.grpc.internal import RESET_TYPE, reset_members
from nacosx.api.grpc.rpc import Connection, Headers, Rpcs
from nacosx.api.jackson import reader
from nacosx.clock import Clock
from nacosx.engine.ticker import Ticker
from nacosx.wire.grpc_connection import GrpcConnection

logger = logging.getLogger(__name__)

SWEEP_MS = 3_000  # NacosRuntimeConnectionEjector: every 3 s
KEEP_ALIVE_MS = 7_200_000  # nacos.remote.server.grpc.sdk.keep-alive-time
KEEP_ALIVE_TIMEOUT_MS = 20_000  # …keep-alive-timeout
PERMIT_KEEP_ALIVE_MS = 300_000  # …permit-keep-alive-time
SEND_QUEUE_BYTES_MAX = 4 * 1024 * 1024
TRANSPORTS_MAX = 100_000  # registered or not
RESET_TIMEOUT_MS = 3_000  # ConnectionManager.loadSingle


class Served(NamedTuple):
    """An Rpc, ready to be used."""

    read: Callable[[bytes], Any]
    handler: Callable[[Connection, Any, Headers], Any]
    reply_type: str
    before_registration: bool


class GrpcServer:
    """`connection` is the protocol factory. Implements `engine.ports.Pushes`.

    `on_connected(connection)` is called when a client has registered, `on_disconnected(connection_id)` when it is gone.
    `connections_max` counts registered clients, -1 = no limit; `transports_max` those that are not, too.
    `local_ip` is told in the metadata of pushes, as Java does.
    Until `started` is set, requests are answered with error 300 and SDK clients are not registered.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ticker: Ticker,
        clock: Clock,
        on_connected: Callable[[Connection], object],
        on_disconnected: Callable[[str], object],
        *,
        local_ip: str = "",
        connections_max: int = -1,
        transports_max: int = TRANSPORTS_MAX,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
        send_queue_bytes_max: int = SEND_QUEUE_BYTES_MAX,
        keep_alive_ms: int = KEEP_ALIVE_MS,
        keep_alive_timeout_ms: int = KEEP_ALIVE_TIMEOUT_MS,
        permit_keep_alive_ms: int = PERMIT_KEEP_ALIVE_MS,
    ) -> None:
        self.loop = loop
        self.ticker = ticker
        self.clock = clock
        self.started = False
        self.stopping = False
        self.served: dict[str, Served] = {}
        self.registered: dict[str, GrpcConnection] = {}  # connection id → connection
        self.transports: set[GrpcConnection] = set()  # registered or not
        self.local_ip = local_ip
        self.connections_max = connections_max
        self.message_bytes_max = message_bytes_max
        self.send_queue_bytes_max = send_queue_bytes_max
        self.keep_alive_ms = keep_alive_ms
        self.keep_alive_timeout_ms = keep_alive_timeout_ms
        self.permit_keep_alive_ms = permit_keep_alive_ms
        self._transports_max = transports_max
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._request_ids = 0
        self._unflushed: list[GrpcConnection] = []
        self._sweep_timeout: Timeout | None = None
        self._drained: asyncio.Future[None] | None = None

    def serve(self, rpcs: Rpcs) -> None:
        """What to answer. Called before the first connection; apart from the constructor, because desks push, too."""
        for name, rpc in rpcs.items():
            self.served[name] = Served(reader(rpc.request), rpc.handler, rpc.reply_type, rpc.before_registration)

    def connection(self) -> GrpcConnection:
        return GrpcConnection(self)

    # --- pushes ---

    def push(
        self, client_id: str, type_name: str, members: bytes, answered: Callable[[bool], None], *, timeout_ms: int
    ) -> bool:
        """See `engine.ports.Pushes`. `answered` is never called before this returns."""
        connection = self.registered.get(client_id)
        if connection is None:
            return False
        self._request_ids += 1
        connection.push(str(self._request_ids), type_name, members, answered, timeout_ms)
        return True

    def reset(self, connection_id: str, server: str = "") -> bool:
        """Asks a client to reconnect, to `server` ("ip:port") if it knows it. False when there is no such connection."""
        connection = self.registered.get(connection_id)
        if connection is None or connection.labels.get("source") != "sdk":
            return False
        members = reset_members(connection_id if server else "", server)
        return self.push(connection_id, RESET_TYPE, members, lambda _: None, timeout_ms=RESET_TIMEOUT_MS)

    def disconnect(self, connection_id: str) -> None:
        """Gives a client up: unregisters it and ends its transport. Unknown is not an error."""
        connection = self.registered.get(connection_id)
        if connection is not None:
            connection.close()

    # --- what connections tell ---

    def add(self, connection: GrpcConnection) -> bool:
        """A transport is there; False when it is one too many."""
        if len(self.transports) >= self._transports_max:
            return False
        self.transports.add(connection)
        if self._sweep_timeout is None:
            self._sweep_timeout = self.ticker.schedule(SWEEP_MS, self._sweep)
        return True

    def register(self, connection: GrpcConnection) -> bool:
        """A client has introduced itself; False when it cannot be served now."""
        if connection.labels.get("source") == "sdk" and not self.started:
            logger.warning("%s is refused: the server is starting", connection)
            return False
        if 0 <= self.connections_max <= len(self.registered):
            logger.warning("%s is refused: there are %d connections", connection, self.connections_max)
            return False
        self.registered[connection.connection_id] = connection
        self._on_connected(connection)
        return True

    def unregister(self, connection: GrpcConnection) -> None:
        """A client is gone, whether its transport is or not.

        When the server stops, nobody is told: a client must not hear on its last breath that the others are gone.
        """
        if self.registered.pop(connection.connection_id, None) is not None and not self.stopping:
            self._on_disconnected(connection.connection_id)

    def forget(self, connection: GrpcConnection) -> None:
        """A transport has ended, and so have its tasks."""
        self.transports.discard(connection)
        if not self.transports and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def flush_soon(self, connection: GrpcConnection) -> None:
        """In the next turn of the loop: what many tasks or pushes have to say to a client leaves in one write."""
        if not self._unflushed:
            self.loop.call_soon(self._flush)
        self._unflushed.append(connection)

    def _flush(self) -> None:
        unflushed, self._unflushed = self._unflushed, []
        for connection in unflushed:
            try:
                connection.flush()
            except Exception as error:
                logger.error("%s failed", connection, exc_info=error)
                connection.cut()

    # --- time and the end ---

    def _sweep(self, _: None) -> None:
        """Looks after all connections; sleeps when there are none."""
        self._sweep_timeout = None
        now_ms = self.clock.monotonic_ms()
        for connection in tuple(self.transports):
            connection.sweep(now_ms)
        if self.transports and not self.stopping:
            self._sweep_timeout = self.ticker.schedule(SWEEP_MS, self._sweep)

    async def stop(self, grace_ms: int) -> None:
        """Refuses new calls (GOAWAY), lets the open ones end, closes; what is left after `grace_ms` is cut.

        The caller has stopped to accept. No task of a connection is left when this returns.
        """
        self.stopping = True
        if self._sweep_timeout is not None:
            self._sweep_timeout.cancel()
        for connection in tuple(self.transports):
            connection.leave()
        if self.transports:
            self._drained = self.loop.create_future()
            timeout = self.ticker.schedule(grace_ms, self._cut)
            try:
                await self._drained
            finally:
                timeout.cancel()

    def _cut(self, _: None) -> None:
        for connection in tuple(self.transports):
            connection.cut()
