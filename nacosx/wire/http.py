"""HTTP/1.1 connections: keep-alive, pipelining, 100-continue, timeouts, back-pressure, drain.

Most handlers answer in the same call, so a request costs no task: bytes → `Http1Parser` → route → handler → bytes. A
handler that returns a coroutine gets a task owned by its connection. The requests behind one that waits, for its task or for
a write, wait too, because answers leave in the order of the requests.

Time: one timeout per connection, from the ticker. It fires every `check_ms` and asks whether anything moved since; a
request only leaves traces it leaves anyway (a counter, the size of a body). After two checks without progress the
connection is closed: idle, a slow client, or one that does not read.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any, cast

from nacosx._core.http1 import BODY_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX, Http1Parser, Request, Response
from nacosx._core.wheel import Timeout
from nacosx.api.http import Route, Routes, WaitingAnswer, http_date
from nacosx.api.later import Later
from nacosx.api.pages import not_routed, preflight, tomcat_error
from nacosx.clock import Clock
from nacosx.engine.ticker import Ticker
from nacosx.errors import SERVER, NacosError
from nacosx.wire.multipart import MultipartError, read_fields

logger = logging.getLogger(__name__)

# Tomcat closes the connection after these (Http11Processor.statusDropsConnection).
CLOSING_STATUSES = frozenset((400, 408, 411, 413, 414, 417, 500, 501, 503, 505))

CONTINUE = b"HTTP/1.1 100 \r\n\r\n"

KEEP_ALIVE_MS = 60_000  # Tomcat keepAliveTimeout as Nacos runs it, told to clients in Keep-Alive
LINGER_MS = 2_000  # how long the rest of a refused request is read away, so that the answer is not lost by a reset
CONNECTIONS_MAX = 10_000
QUIET_CHECKS_MAX = 2
BODY_BYTES_MIN = 16 * 1024  # of an upload, in each check period
UNFINISHED_BYTES_MAX = 256 * 1024 * 1024  # held of incomplete requests, all connections together


class HttpServer:
    """What all connections share: routes, limits, the Date line. `connection` is the protocol factory."""

    __slots__ = (
        "_clock",
        "_context_path",
        "_drained",
        "body_bytes_max",
        "check_ms",
        "closing_lines",
        "connections",
        "connections_max",
        "head_bytes_max",
        "headers_max",
        "loop",
        "stopping",
        "table",
        "ticker",
        "unfinished_bytes",
        "unfinished_bytes_max",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        routes: Routes,
        ticker: Ticker,
        clock: Clock,
        *,
        context_path: str = "/nacos",
        keep_alive_ms: int = KEEP_ALIVE_MS,
        connections_max: int = CONNECTIONS_MAX,
        head_bytes_max: int = HEAD_BYTES_MAX,
        headers_max: int = HEADERS_MAX,
        body_bytes_max: int = BODY_BYTES_MAX,
        unfinished_bytes_max: int = UNFINISHED_BYTES_MAX,
    ) -> None:
        self.loop = loop
        self.ticker = ticker
        self.check_ms = keep_alive_ms // QUIET_CHECKS_MAX
        self.connections: set[HttpConnection] = set()
        self.connections_max = connections_max
        self.head_bytes_max = head_bytes_max
        self.headers_max = headers_max
        self.body_bytes_max = body_bytes_max
        self.unfinished_bytes = 0  # held of incomplete requests, all connections together
        self.unfinished_bytes_max = unfinished_bytes_max
        self.stopping = False
        self._clock = clock
        self._context_path = context_path
        self.serve(routes)
        self.closing_lines: tuple[bytes, bytes, bytes] | None = None  # see `fresh_closing_lines`
        self._drained: asyncio.Future[None] | None = None

    def serve(self, routes: Routes) -> None:
        """These from now on."""
        self.table = table(routes, self._context_path)

    def connection(self) -> HttpConnection:
        return HttpConnection(self)

    async def stop(self, grace_ms: int) -> None:
        """Closes idle connections now and the others after their answer; what is left after `grace_ms` is cut.

        The caller has stopped to accept. Tasks of handlers are cancelled with their connection and have ended when
        this returns.
        """
        self.stopping = True
        for connection in tuple(self.connections):
            connection.close_when_idle()
        if self.connections:
            self._drained = self.loop.create_future()
            timeout = self.ticker.schedule(grace_ms, self._cut, None)
            try:
                await self._drained
            finally:
                timeout.cancel()

    def _cut(self, _: None) -> None:
        for connection in tuple(self.connections):
            connection.abort()

    def forget(self, connection: HttpConnection) -> None:
        self.connections.discard(connection)
        if not self.connections and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # --- answers ---

    def route(self, request: Request) -> Route | Response:
        """The route of a request, or the answer to one that has none."""
        methods = self.table.get(request.path)
        if methods is not None:
            method = request.method
            route = methods.get(method) or methods.get("*")
            if route is None and method == "HEAD":
                route = methods.get("GET")
            if route is not None and (method != "OPTIONS" or not request.has_origin):
                return route
        if request.method == "OPTIONS" and request.has_origin:
            wanted = request.header("access-control-request-method")
            if wanted is not None and request.path.startswith(self._context_path + "/"):
                origin = request.header("origin") or ""
                return preflight(origin, wanted, request.header("access-control-request-headers"))
        return not_routed(request, methods, self._context_path, self._clock.wall_ms())

    def fresh_closing_lines(self) -> tuple[bytes, bytes, bytes]:
        """The last header lines: for a connection that is kept, that is kept on the client's word, that is closed.

        Made once a second while there is traffic; a quiet server does not wake up for it.
        """
        if self.closing_lines is not None:
            return self.closing_lines
        date = f"Date: {http_date(self._clock.wall_ms() // 1000)}\r\n".encode()
        keep_alive = (
            f"Keep-Alive: timeout={QUIET_CHECKS_MAX * self.check_ms // 1000}\r\nConnection: keep-alive\r\n".encode()
        )
        lines = self.closing_lines = (date, date + keep_alive, date + b"Connection: close\r\n")
        # the part of a second that is left, so that the date is never a second late
        self.ticker.schedule(1000 - self._clock.wall_ms() % 1000, self._forget_date, None)
        return lines

    def _forget_date(self, _: None) -> None:
        self.closing_lines = None


def table(routes: Routes, context_path: str) -> Routes:
    """The routes by whole path. Spring takes a slash at the end of a path; the filter before naming v1 does not."""
    routed: Routes = {}
    for path, methods in routes.items():
        routed[context_path + path] = methods
        if not path.startswith("/v1/ns/"):
            routed[f"{context_path}{path}/"] = methods
    return routed


class HttpConnection(asyncio.Protocol):
    """One client. Lives from `connection_made` to `connection_lost`, or until its last task has ended."""

    __slots__ = (
        "_answered",
        "_answered_seen",
        "_awaited",
        "_body_bytes_seen",
        "_continue_due",
        "_eof",
        "_held_bytes",
        "_lingering",
        "_parser",
        "_quiet_checks",
        "_reading_paused",
        "_remote_ip",
        "_server",
        "_timeout",
        "_transport",
        "_unread_bytes_seen",
        "_waiting",
        "_writing_paused",
    )

    _transport: asyncio.Transport
    _timeout: Timeout

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._parser = Http1Parser(server.head_bytes_max, server.headers_max, server.body_bytes_max)
        self._waiting: list[Request] = []  # not yet answered, the next one last
        self._awaited: asyncio.Future[Any] | None = None  # a write or a task, which brings the answer
        self._remote_ip = ""
        self._continue_due = False  # a client waits for "100 Continue", behind an answer that is not out yet
        self._eof = False  # nothing that comes from the client matters any more
        self._lingering = False  # the last answer is out, the rest of the input is read away
        self._reading_paused = False
        self._writing_paused = False
        self._held_bytes = 0  # our share of `server.unfinished_bytes`
        self._answered = 0
        self._answered_seen = 0
        self._body_bytes_seen = 0
        self._unread_bytes_seen = 0
        self._quiet_checks = 0

    # --- transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self._server
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._remote_ip = peer[0] if peer else ""
        server.connections.add(self)
        self._timeout = server.ticker.schedule(server.check_ms, self._check, None)
        if len(server.connections) > server.connections_max:
            self._transport.write(tomcat_error(503).render(server.fresh_closing_lines()[2]))  # io
            self._transport.close()
        elif server.stopping:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._timeout.cancel()
        self._waiting.clear()
        self._eof = True
        self._server.unfinished_bytes -= self._held_bytes
        if self._awaited is None:
            self._server.forget(self)
        else:
            self._awaited.cancel()  # forgotten when it has ended

    def data_received(self, data: bytes) -> None:
        if self._eof:
            return
        parser = self._parser
        requests = parser.feed(data)
        if requests:
            requests.reverse()
            requests += self._waiting
            self._waiting = requests
            if self._awaited is None:
                self._pump()
            if self._waiting:
                # limit: one request waits behind the one being answered, and what came in the same read
                self._reading_paused = True
                self._transport.pause_reading()
        if parser.unsettled or self._held_bytes:
            self._attend()

    def eof_received(self) -> bool:
        """A client may close its side and still want its answers."""
        self._eof = True
        return self._awaited is not None or bool(self._waiting)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._awaited is None:
            self._go_on()

    # --- requests ---

    def _pump(self) -> None:
        """Answers what waits, in order, until a handler has to wait or the client does not read."""
        waiting = self._waiting
        while waiting and not self._writing_paused:
            request = waiting.pop()
            request.remote_ip = self._remote_ip
            answer = self._answer(request)
            if answer is None:
                return
            self._send(request, answer)

    def _go_on(self) -> None:
        """What held the requests up is over."""
        self._pump()
        if self._awaited is None and not self._waiting:
            self._rest()

    def _answer(self, request: Request) -> Response | None:
        """The answer, or None when it comes later."""
        methods = self._server.table.get(request.path)
        route = methods.get(request.method) if methods is not None else None
        if route is None or request.has_origin:
            found = self._server.route(request)
            if isinstance(found, Response):
                return found
            route = found
        try:
            if request.is_multipart:
                request.fields = read_fields(request)
            answer = route.handler(request)
        except NacosError as error:
            return route.refuse(error)
        except MultipartError as error:
            reason = f"caused: Failed to parse multipart servlet request; nested exception is {error};"
            return route.refuse(NacosError(SERVER, reason))
        except Exception as error:
            return failed(route, request, error)
        if isinstance(answer, Response):
            return answer
        self._wait_for(request, route, answer)
        return None

    def _wait_for(self, request: Request, route: Route, answer: WaitingAnswer) -> None:
        if isinstance(answer, Later):
            self._awaited = answer.written
        else:
            self._awaited = self._server.loop.create_task(answer)
        self._awaited.add_done_callback(partial(self._settled, request, route, answer))

    def _settled(
        self,
        request: Request,
        route: Route,
        answer: WaitingAnswer,
        awaited: asyncio.Future[Any],
    ) -> None:
        self._awaited = None
        if awaited.cancelled():
            if not isinstance(answer, Later):
                answer.close()  # in case it was cancelled before its first step
            self._transport.abort()
            self._server.forget(self)
            return
        response = outcome(request, route, answer, awaited)
        if self._transport.is_closing():
            self._server.forget(self)
        else:
            self._send(request, response)
            self._go_on()

    def _send(self, request: Request, response: Response) -> None:
        self._answered += 1
        server = self._server
        kept, kept_on_word, closed = server.closing_lines or server.fresh_closing_lines()
        close = not request.keep_alive or response.status in CLOSING_STATUSES or server.stopping
        lines = closed if close else kept_on_word if request.asks_keep_alive else kept
        extra = cors_lines(request) if request.has_origin and not response.bare else b""
        self._transport.write(response.render(lines, request.method == "HEAD", extra))  # io
        if close:
            self._finish()

    def _rest(self) -> None:
        """Every request that came is answered."""
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        if self._lingering or self._transport.is_closing():
            return
        if self._parser.refusal_status:
            self._refuse(self._parser.refusal_status)
        elif self._eof:
            self._transport.close()
        elif self._continue_due:
            self._continue_due = False
            self._transport.write(CONTINUE)  # io

    def _attend(self) -> None:
        """A stream that is refused, a client that waits for 100, or bytes held of an incomplete request."""
        parser = self._parser
        server = self._server
        idle = self._awaited is None and not self._waiting
        server.unfinished_bytes += parser.held_bytes - self._held_bytes
        self._held_bytes = parser.held_bytes
        if parser.refusal_status:
            logger.debug("%s: refused: %s", self._remote_ip, parser.refusal)
            if idle:
                self._refuse(parser.refusal_status)
        elif server.unfinished_bytes > server.unfinished_bytes_max and self._held_bytes:
            self._refuse(503)
        elif parser.continue_wanted:
            if idle:
                self._transport.write(CONTINUE)  # io
            else:
                self._continue_due = True

    # --- ends ---

    def _refuse(self, status: int) -> None:
        """Answers what is no request, or one that will not be read to its end."""
        if self._lingering or self._transport.is_closing():
            return
        self._transport.write(tomcat_error(status).render(self._server.fresh_closing_lines()[2]))  # io
        self._linger()

    def _finish(self) -> None:
        """The last answer is out. What the client sent after its request is not answered."""
        self._waiting.clear()
        if self._parser.in_request or self._parser.refusal_status:
            self._linger()
        else:
            self._transport.close()

    def _linger(self) -> None:
        """Closes our side and reads the other away for a while: closing a socket with unread bytes resets it, and the
        client might lose the answer."""
        self._eof = True
        self._lingering = True
        self._transport.write_eof()
        self._timeout.cancel()
        self._timeout = self._server.ticker.schedule(LINGER_MS, self._check, None)

    def close_when_idle(self) -> None:
        if self._awaited is None and not self._waiting and not self._parser.in_request:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def _check(self, _: None) -> None:
        """Closes a connection on which two checks saw no progress."""
        unread_bytes = self._transport.get_write_buffer_size()
        body_bytes = self._parser.body_bytes
        moved = self._answered != self._answered_seen
        if self._writing_paused:
            moved = moved or unread_bytes < self._unread_bytes_seen
        elif self._awaited is not None:
            moved = True
        elif body_bytes:
            moved = moved or body_bytes - self._body_bytes_seen >= BODY_BYTES_MIN
        self._answered_seen = self._answered
        self._body_bytes_seen = body_bytes
        self._unread_bytes_seen = unread_bytes
        self._quiet_checks = 0 if moved else self._quiet_checks + 1
        if self._lingering or self._quiet_checks >= QUIET_CHECKS_MAX:
            # Nothing we wrote is worth waiting for: it is out, or the client does not read.
            self._transport.abort()
        else:
            self._timeout = self._server.ticker.schedule(self._server.check_ms, self._check, None)


def outcome(
    request: Request,
    route: Route,
    answer: WaitingAnswer,
    awaited: asyncio.Future[Any],
) -> Response:
    """The answer, now that what it waited for is done."""
    error = awaited.exception()
    if isinstance(error, NacosError):
        refuse = answer.refused if isinstance(answer, Later) else None
        return (refuse or route.refuse)(error)
    if error is not None:
        return failed(route, request, error)
    return answer.answer if isinstance(answer, Later) else cast(Response, awaited.result())


def failed(route: Route, request: Request, error: BaseException) -> Response:
    """The answer to an exception that is our bug."""
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return route.refuse(NacosError(SERVER, "caused: internal error;"))


def cors_lines(request: Request) -> bytes:
    """What Spring's CORS filter adds for an origin that is not the server itself."""
    origin = request.header("origin") or ""
    host = request.header("host") or ""
    if origin in (f"http://{host}", f"https://{host}"):
        return b""
    return f"Access-Control-Allow-Origin: {origin}\r\nAccess-Control-Allow-Credentials: true\r\n".encode("latin-1")
