"""One gRPC connection: calls are answered, the client introduces itself on its stream, pushes go out and are acknowledged.

A call walks: `data_received` → `_call` → the handler of the desk → `_reply` → `flush`. It costs no task unless the handler
returns a coroutine.

Source: Nacos 2.5.1 `GrpcRequestAcceptor`, `GrpcBiStreamRequestAcceptor`, `GrpcConnection` (contract/grpc.md §2, §3, §8).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from nacosx._core.grpc_call import INTERNAL, RESOURCE_EXHAUSTED, UNAVAILABLE
from nacosx._core.http2 import CALL, CLOSED, HALF_CLOSED, MESSAGE, Session
from nacosx._core.payload import decode, head
from nacosx._core.wheel import Timeout
from nacosx.api.grpc.internal import (
    CLUSTER_ONLY,
    DETECTION_TYPE,
    INTERNAL_MEMBERS,
    SETUP_ACK,
    SETUP_ACK_TYPE,
    read_push_response,
    read_setup,
)
from nacosx.api.grpc.rpc import WaitingReply, error_body
from nacosx.api.later import Later
from nacosx.errors import NacosError
from nacosx.wire.grpc_writes import STOPPING, Writes

if TYPE_CHECKING:
    from nacosx.wire.grpc import GrpcServer, Served

logger = logging.getLogger(__name__)

UNARY_PATH = b"/Request/request"
STREAM_PATH = b"/BiRequestStream/requestBiStream"

AWAITED_MAX = 1024  # calls that wait, of one connection; as many as it may have open calls
PUSHES_MAX = 16_384  # not acknowledged yet, of one connection
IDLE_MS = 20_000  # without a call or an acknowledgement, until the client is asked whether it is there
BLOCKED_MS_MAX = 300_000  # of a push queue that stays full
DETECTION_TIMEOUT_MS = 5_000
UNREGISTERED_MS_MAX = 120_000  # of silence on a connection that no client registered
CLOSE_MS_MAX = 5_000  # until a transport that does not close is cut
OVER_THRESHOLD_DELAY_MS = 1_000  # a client that is over a limit retries at once: its answer comes late

NO_PAYLOAD = "Invalid protobuf byte sequence"  # in the words of grpc-java

ERROR_TYPE = "ErrorResponse"
STARTING = error_body(500, 300, "Server is starting,please try later.")
NO_HANDLER = error_body(500, 302, "RequestHandler Not Found")
UNREGISTERED = error_body(500, 301, "Connection is unregistered.")


class Push:
    """A request to the client that is not answered yet."""

    __slots__ = ("answered", "request_id", "timeout")

    def __init__(self, request_id: str, answered: Callable[[bool], None], timeout: Timeout) -> None:
        self.request_id = request_id
        self.answered = answered
        self.timeout = timeout


class GrpcConnection(asyncio.Protocol):
    """One client. Lives from `connection_made` to `connection_lost`, or until its last task has ended."""

    __slots__ = (
        "_active_ms",
        "_awaited",
        "_blocked_ms",
        "_closing",
        "_detecting",
        "_flush_due",
        "_gathered",
        "_heard_ms",
        "_is_registered",
        "_leaving",
        "_lost",
        "_monotonic_ms",
        "_paused",
        "_pinged_ms",
        "_push_stream",
        "_pushes",
        "_receive",
        "_server",
        "_session",
        "_transport",
        "_waiting",
        "app_name",
        "client_ip",
        "client_version",
        "connection_id",
        "labels",
        "remote_ip",
        "remote_port",
    )

    _transport: asyncio.Transport

    def __init__(self, server: GrpcServer) -> None:
        self._server = server
        self._session = Session(
            unary_path=UNARY_PATH,
            stream_path=STREAM_PATH,
            message_bytes_max=server.message_bytes_max,
            send_queue_bytes_max=server.send_queue_bytes_max,
            permit_keep_alive_ms=server.permit_keep_alive_ms,
        )
        self._receive = self._session.receive
        self._monotonic_ms = server.clock.monotonic_ms
        self._is_registered = False
        self._push_stream = 0  # the id of the stream that pushes take; 0 = none yet
        self._pushes: dict[str, Push] = {}  # request id → push
        self._awaited: set[Writes | asyncio.Task[bytes]] = set()  # what brings replies
        self._gathered: list[Writes] = []  # of the calls that are being read
        self._waiting = 0  # calls without a reply
        self._paused = False  # the transport takes nothing now: its buffer is full, or it is closing
        self._flush_due = False
        self._leaving = False  # GOAWAY is out
        self._closing: Timeout | None = None
        self._lost = False
        self._detecting = False
        self._heard_ms = self._active_ms = self._monotonic_ms()  # last bytes; last call or acknowledgement
        self._pinged_ms: int | None = None  # when the ping went out that is not answered yet
        self._blocked_ms: int | None = None  # since when pushes find the queue full
        self.connection_id = ""
        self.remote_ip = ""
        self.remote_port = 0
        self.client_ip = ""
        self.client_version = ""
        self.labels: dict[str, str] = {}
        self.app_name = "-"

    def __repr__(self) -> str:
        return f"<connection {self.connection_id} of {self.client_ip or self.remote_ip} {self.client_version}>"

    # --- transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        if address:  # None when the client is gone already
            self.remote_ip = address[0].removeprefix("::ffff:")  # an IPv4 client of a dual-stack socket
            self.remote_port = address[1]
        self.connection_id = f"{self._server.clock.wall_ms()}_{self.remote_ip}_{self.remote_port}"
        if not self._server.add(self):
            self.cut()
            return
        if self._server.stopping:
            self.leave()
        self.flush()

    def data_received(self, data: bytes) -> None:
        now_ms = self._heard_ms = self._monotonic_ms()
        for kind, stream_id, value in self._receive(data, now_ms):
            if kind == CALL:
                self._call(stream_id, value)
            elif kind == MESSAGE:
                self._stream_message(stream_id, value)
            elif kind == HALF_CLOSED:
                # Ending the stream does not unregister; the server completes its side.
                self._session.end(stream_id)
            elif kind == CLOSED and stream_id == self._push_stream:
                self._push_stream = 0
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            for writes in gathered:
                self._await(writes)
        self.flush()

    def flush(self) -> None:
        """Writes what waits, as far as the transport takes it."""
        self._flush_due = False
        session = self._session
        while not self._paused:
            data = session.drain()
            if data:
                self._transport.write(data)  # io
            if session.drained:
                if session.closed:
                    self._close_transport()
                return

    def _flush_soon(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._server.flush_soon(self)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        if self._closing is None:
            self._paused = False
            self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = self._paused = True
        if self._closing is not None:
            self._closing.cancel()
        self._unregister()
        if self._awaited:
            for awaited in self._awaited:
                awaited.cancel()  # the connection is forgotten when the last has ended
        else:
            self._server.forget(self)

    # --- unary calls ---

    def _call(self, stream_id: int, message: bytes) -> None:
        try:
            type_name, _, headers, body = decode(message)
        except ValueError:
            self._session.end(stream_id, INTERNAL, NO_PAYLOAD)
            return
        served = self._server.served.get(type_name)
        if served is None or not self._is_registered or not self._server.started:
            self._call_early(stream_id, type_name, served)
            return
        self._active_ms = self._heard_ms
        try:
            request = served.read(body)
        except ValueError as error:
            self._reply(stream_id, ERROR_TYPE, unreadable(type_name, error))
            return
        try:
            reply = served.handler(self, request, headers)
        except Exception as error:
            self._refuse(stream_id, type_name, error)
        else:
            if type(reply) is bytes:
                self._session.respond(stream_id, head(served.reply_type, len(reply)), reply)
            else:
                self._wait_for(stream_id, type_name, served, reply)

    def _call_early(self, stream_id: int, type_name: str, served: Served | None) -> None:
        """A call of a type we do not serve, from a client that is not registered, or while the server starts."""
        if type_name in CLUSTER_ONLY:
            # the blank at the beginning is Java's
            self._reply(stream_id, ERROR_TYPE, error_body(500, 502, f" invoke {type_name} from sdk is forbidden"))
        elif not self._server.started:
            self._reply(stream_id, ERROR_TYPE, STARTING)
        elif served is None:
            self._reply(stream_id, ERROR_TYPE, NO_HANDLER)
        elif not served.before_registration:
            self._reply(stream_id, ERROR_TYPE, UNREGISTERED)
        else:
            self._reply(stream_id, served.reply_type, served.handler(self, None, {}))

    def _reply(self, stream_id: int, type_name: str, body: bytes) -> None:
        self._session.respond(stream_id, head(type_name, len(body)), body)

    def _refuse(self, stream_id: int, type_name: str, error: BaseException) -> None:
        """A handler raised: resultCode and errorCode are the exception's code."""
        if not isinstance(error, NacosError):
            logger.error("%s of %s failed", type_name, self, exc_info=error)
            self._reply(stream_id, ERROR_TYPE, error_body(500, 500, "server error"))
            return
        body = error_body(error.code, error.code, error.detail)
        if error.code == 503:
            self._server.ticker.schedule(OVER_THRESHOLD_DELAY_MS, self._reply_late, (stream_id, body))
        else:
            self._reply(stream_id, ERROR_TYPE, body)

    def _reply_late(self, late: tuple[int, bytes]) -> None:
        stream_id, body = late
        self._reply(stream_id, ERROR_TYPE, body)
        self.flush()

    def _wait_for(self, stream_id: int, type_name: str, served: Served, reply: WaitingReply) -> None:
        if self._waiting >= AWAITED_MAX:
            if not isinstance(reply, Later):
                reply.close()
            self._session.end(stream_id, RESOURCE_EXHAUSTED, "too many calls wait on this connection")
            return
        self._waiting += 1
        if isinstance(reply, Later):
            gathered = self._gathered
            if not gathered or gathered[-1].served is not served:
                gathered.append(Writes(type_name, served))
            gathered[-1].calls.append((stream_id, reply))
        else:
            task = self._server.loop.create_task(reply)
            self._awaited.add(task)
            task.add_done_callback(partial(self._settled, stream_id, type_name, served.reply_type, reply))

    def _await(self, writes: Writes) -> None:
        self._awaited.add(writes)
        writes.last.add_done_callback(partial(self._written, writes))

    def _written(self, writes: Writes, _: asyncio.Future[Any]) -> None:
        self._awaited.discard(writes)
        late = writes.answer(self._session, self._refuse)
        if late is not None:
            self._await(late)
        self._replied(len(writes.calls) - (0 if late is None else len(late.calls)))

    def _settled(
        self,
        stream_id: int,
        type_name: str,
        reply_type: str,
        reply: Coroutine[Any, Any, bytes],
        task: asyncio.Task[bytes],
    ) -> None:
        self._awaited.discard(task)
        if task.cancelled():
            reply.close()  # in case it was cancelled before its first step
            self._session.end(stream_id, UNAVAILABLE, STOPPING)
        elif (error := task.exception()) is None:
            self._reply(stream_id, reply_type, task.result())
        else:
            self._refuse(stream_id, type_name, error)
        self._replied(1)

    def _replied(self, count: int) -> None:
        """To so many calls that waited."""
        self._waiting -= count
        if not self._awaited and self._lost:
            self._server.forget(self)
        elif not self._awaited and self._leaving:
            self._end_streams()
        self._flush_soon()

    # --- the stream ---

    def _stream_message(self, stream_id: int, message: bytes) -> None:
        try:
            type_name, client_ip, _, body = decode(message)
        except ValueError:
            self._session.end(stream_id, INTERNAL, NO_PAYLOAD)
            return
        try:
            if type_name == "ConnectionSetupRequest":
                self._set_up(stream_id, client_ip, body)
            elif type_name.endswith("Response"):
                self._answered(body)
            else:
                logger.warning("%s sent a %s on its stream: dropped", self, type_name)
        except ValueError as error:
            logger.warning("%s sent a %s that cannot be read: dropped: %s", self, type_name, error)

    def _set_up(self, stream_id: int, client_ip: str, body: bytes) -> None:
        setup = read_setup(body)
        if not self._is_registered:
            self.client_ip = client_ip or self.remote_ip
            self.client_version = setup.client_version
            self.labels = setup.labels
            self.app_name = setup.labels.get("AppName", "-")
            self._push_stream = stream_id
            self._active_ms = self._heard_ms
            if self._leaving or not self._server.register(self):
                self.close()
                return
            self._is_registered = True
        elif not self._session.is_open(self._push_stream):
            self._push_stream = stream_id  # a client that lost its stream, but not its connection
        if setup.ability_table is not None:
            ack_head = head(SETUP_ACK_TYPE, len(SETUP_ACK), self._server.local_ip)
            self._session.send(stream_id, ack_head, SETUP_ACK)

    # --- pushes ---

    def push(
        self, request_id: str, type_name: str, members: bytes, answered: Callable[[bool], None], timeout_ms: int
    ) -> None:
        """Sends a request; `answered` tells later what became of it."""
        lead = b'{"headers":{},"requestId":"%b",' % request_id.encode()
        size = len(lead) + len(members) + 1
        ticker = self._server.ticker
        if len(self._pushes) < PUSHES_MAX and self._session.send(
            self._push_stream, head(type_name, size, self._server.local_ip, lead), members, b"}"
        ):
            self._blocked_ms = None
            self._pushes[request_id] = Push(
                request_id, answered, ticker.schedule(timeout_ms, self._push_timed_out, request_id)
            )
            self._flush_soon()
            return
        if not self._session.is_open(self._push_stream):
            # Java: ConnectionAlreadyClosedException → unregister
            ticker.schedule(0, self._close_without_stream)
        elif self._blocked_ms is None:
            self._blocked_ms = self._monotonic_ms()
        ticker.schedule(0, answered, False)

    def _answered(self, body: bytes) -> None:
        response = read_push_response(body)
        self._active_ms = self._heard_ms
        push = self._pushes.pop(response.request_id, None)
        if push is not None:
            push.timeout.cancel()
            push.answered(response.result_code == 200)

    def _push_timed_out(self, request_id: str) -> None:
        push = self._pushes.pop(request_id, None)
        if push is not None:
            push.answered(False)

    def _close_without_stream(self, _: None) -> None:
        if self._is_registered and not self._session.is_open(self._push_stream):
            self.close()

    # --- time and the end ---

    def sweep(self, now_ms: int) -> None:
        """Every few seconds: keepalive, detection of clients that are silent, ejection of those that are gone."""
        server = self._server
        if self._pinged_ms is not None and not self._session.ping_pending:
            self._pinged_ms = None
        if self._pinged_ms is not None:
            if now_ms - self._pinged_ms >= server.keep_alive_timeout_ms:
                self.cut()
                return
        elif now_ms - self._heard_ms >= server.keep_alive_ms:
            self._pinged_ms = now_ms
            self._session.ping()
            self.flush()
        if not self._is_registered:
            if now_ms - self._heard_ms >= UNREGISTERED_MS_MAX:
                self.close()
        elif not self._detecting and (
            now_ms - self._active_ms >= IDLE_MS
            or (self._blocked_ms is not None and now_ms - self._blocked_ms >= BLOCKED_MS_MAX)
        ):
            self._detecting = server.push(
                self.connection_id, DETECTION_TYPE, INTERNAL_MEMBERS, self._detected, timeout_ms=DETECTION_TIMEOUT_MS
            )

    def _detected(self, alive: bool) -> None:
        self._detecting = False
        if not alive and self._is_registered:
            logger.info("%s does not answer: ejected", self)
            self.close()

    def leave(self) -> None:
        """The server stops: no new calls; the connection ends when the open ones are answered."""
        self._leaving = True
        self._session.goaway()
        if not self._awaited:
            self._end_streams()
        self.flush()

    def close(self) -> None:
        """Unregisters the client and closes the transport when what waits is written, or after CLOSE_MS_MAX."""
        if not self._leaving:
            self._leaving = True
            self._session.goaway()
        self._end_streams()
        self.flush()
        self._close_transport()

    def _end_streams(self) -> None:
        """Unregisters the client, and makes it notice: this status makes every SDK reconnect, an orderly end does not."""
        self._unregister()
        self._session.end_streams(UNAVAILABLE, "the server closes this connection")

    def cut(self) -> None:
        """Ends the transport now, whatever waits."""
        self._unregister()
        self._transport.abort()

    def _close_transport(self) -> None:
        if self._closing is None and not self._lost:
            self._paused = True
            self._transport.close()
            self._closing = self._server.ticker.schedule(CLOSE_MS_MAX, self._close_timed_out)

    def _close_timed_out(self, _: None) -> None:
        self._transport.abort()

    def _unregister(self) -> None:
        if self._is_registered:
            self._is_registered = False
            self._server.unregister(self)
        pushes, self._pushes = self._pushes, {}
        for push in pushes.values():
            push.timeout.cancel()
            push.answered(False)


def unreadable(type_name: str, error: ValueError) -> bytes:
    return error_body(500, 502, f"errCode: 101, errMsg: Nacos deserialize for class [{type_name}] failed. {error}")
