"""HTTP connections: order, timeouts, back-pressure, ends. Time is virtual, the transport is a fake."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, cast

import pytest

from nacosx._core.http1 import Request, Response
from nacosx.api.http import Route, Routes
from nacosx.api.later import Later
from nacosx.errors import NOT_FOUND, NacosError
from nacosx.wire.http import BODY_BYTES_MIN, KEEP_ALIVE_MS, LINGER_MS, HttpServer
from tests.fake_transport import HIGH_WATER_BYTES, FakeTransport
from tests.turns import turn
from tests.virtual_time import VirtualTime

CHECK_MS = KEEP_ALIVE_MS // 2
TEXT = "text/plain"


class Clients:
    """A server with some routes, and its clients."""

    def __init__(self, loop: asyncio.AbstractEventLoop, **limits: Any) -> None:
        self.time = VirtualTime()
        self.loop = loop
        self.gates: list[asyncio.Future[bytes]] = []
        self.seen: list[Request] = []
        self.server = HttpServer(loop, self.routes(), self.time.ticker(), self.time.clock, **limits)

    def routes(self) -> Routes:
        def refuse(error: NacosError) -> Response:
            return Response(error.detail.encode(), error.code, TEXT)

        def route(handler: Callable[[Request], Any]) -> Route:
            return Route(handler, refuse)

        return {
            "/echo": {"*": route(self.echo)},
            "/v1/ns/known": {"GET": route(self.echo)},
            "/get": {"GET": route(self.echo), "DELETE": route(self.echo)},
            "/big": {"GET": route(lambda _: Response(b"x" * (HIGH_WATER_BYTES // 2), content_type=TEXT))},
            "/wait": {"GET": route(self.wait)},
            "/form": {"*": route(lambda request: Response(repr(request.form()).encode(), content_type=TEXT))},
            "/refused": {"GET": route(raise_refused)},
            "/bug": {"GET": route(raise_bug)},
            "/late-refused": {"GET": route(late(raise_refused))},
            "/late-bug": {"GET": route(late(raise_bug))},
            "/write": {"GET": route(lambda request: self.write(None))},
            "/write-worded": {"GET": route(lambda request: self.write(lambda error: Response(b"lost", error.code)))},
            "/status": {"GET": route(lambda request: Response(b"", int(request.query), bare=True))},
        }

    def echo(self, request: Request) -> Response:
        self.seen.append(request)
        return Response(request.query + request.body, content_type=TEXT)

    async def wait(self, request: Request) -> Response:
        gate = self.loop.create_future()
        self.gates.append(gate)
        return Response(request.query + await gate, content_type=TEXT)

    def write(self, refused: Callable[[NacosError], Response] | None) -> Later[Response]:
        gate = self.loop.create_future()
        self.gates.append(gate)
        return Later(cast("asyncio.Future[None]", gate), Response(b"written", content_type=TEXT), refused)

    def connect(self) -> FakeTransport:
        transport = FakeTransport()
        transport.connect(self.server.connection())
        return transport

    def turn(self) -> None:
        """Lets tasks run until they wait."""
        self.loop.run_until_complete(turn(5))

    def open_gate(self, number: int = 0, value: bytes = b"!") -> None:
        self.gates[number].set_result(value)
        self.turn()


def raise_refused(_: Request) -> Response:
    raise NacosError(NOT_FOUND, "not here")


def raise_bug(_: Request) -> Response:
    raise ZeroDivisionError


def late(handler: Callable[[Request], Response]) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def handle(request: Request) -> Response:
        return handler(request)

    return handle


def get(target: str, *fields: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> bytes:
    lines = [f"{method} /nacos{target} HTTP/{version}", "Host: a", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def receive(transport: FakeTransport, data: bytes) -> None:
    assert isinstance(transport.protocol, asyncio.Protocol)
    transport.protocol.data_received(data)


def answers(written: bytes) -> list[tuple[int, bytes]]:
    """(status, body) of each answer; the body of an answer to HEAD must not be asked for."""
    found = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        size = int(length[1]) if length else 0
        found.append((int(head.split()[1]), rest[:size]))
        written = rest[size:]
    return found


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def clients(loop: asyncio.AbstractEventLoop) -> Clients:
    return Clients(loop)


# --- answers in order ---


def test_many_requests_are_answered_on_one_connection(clients: Clients) -> None:
    transport = clients.connect()
    for number in range(3):
        receive(transport, get(f"/echo?{number}"))
        assert answers(transport.take()) == [(200, str(number).encode())]
    assert clients.seen[0].remote_ip == "10.0.0.9"
    assert not transport.closing


def test_pipelined_requests_are_answered_in_order_even_behind_one_that_waits(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/echo?1") + get("/wait?2") + get("/echo?3") + get("/wait?4") + get("/echo?5"))
    clients.turn()
    assert answers(transport.take()) == [(200, b"1")]
    assert not transport.reading  # nobody piles requests up behind one that waits
    clients.open_gate(0)
    assert answers(transport.take()) == [(200, b"2!"), (200, b"3")]
    clients.open_gate(1)
    assert answers(transport.take()) == [(200, b"4!"), (200, b"5")]
    assert transport.reading


def test_the_headers_tell_the_date_and_what_becomes_of_the_connection(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/echo"))
    assert transport.take().endswith(b"Content-Length: 0\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n\r\n")
    clients.time.advance(61_000)
    transport = clients.connect()
    receive(transport, get("/echo", "Connection: keep-alive"))
    assert transport.take().endswith(
        b"Date: Tue, 14 Nov 2023 22:14:21 GMT\r\nKeep-Alive: timeout=60\r\nConnection: keep-alive\r\n\r\n"
    )
    receive(transport, get("/echo", "Connection: close"))
    assert transport.take().endswith(b"GMT\r\nConnection: close\r\n\r\n")
    assert transport.closing


def test_a_quiet_server_does_not_wake_up_to_tell_the_date(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/echo"))
    transport.lose()
    clients.time.advance(1000)
    assert clients.time.armed == 0


def test_http_1_0_is_closed_unless_it_asks_for_more(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/echo", "Connection: keep-alive", version="1.0"))
    assert b"Connection: keep-alive\r\n" in transport.take()
    assert not transport.closing
    receive(transport, get("/echo", version="1.0"))
    assert b"Connection: close\r\n" in transport.take()
    assert transport.closing


def test_head_is_answered_like_get_without_the_body(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/get?abc", method="HEAD"))
    written = transport.take()
    assert b"Content-Length: 3\r\n" in written
    assert written.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", [400, 408, 411, 413, 414, 500, 501, 503])
def test_after_some_errors_the_connection_is_closed_as_tomcat_does(clients: Clients, status: int) -> None:
    transport = clients.connect()
    receive(transport, get(f"/status?{status}") + get("/echo"))
    written = transport.take()
    assert answers(written) == [(status, b"")]
    assert b"Connection: close\r\n" in written
    assert transport.closing


def test_other_errors_leave_it_open(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/status?404") + get("/status?403") + get("/echo?1"))
    assert answers(transport.take()) == [(404, b""), (403, b""), (200, b"1")]


# --- handlers that fail ---


@pytest.mark.parametrize("path", ["/refused", "/late-refused"])
def test_a_refusal_is_worded_by_the_route(clients: Clients, path: str) -> None:
    transport = clients.connect()
    receive(transport, get(path))
    clients.turn()
    assert answers(transport.take()) == [(404, b"not here")]


@pytest.mark.parametrize("path", ["/bug", "/late-bug"])
def test_a_bug_is_logged_and_answered_without_telling_what_it_was(
    clients: Clients, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    transport = clients.connect()
    receive(transport, get(path))
    clients.turn()
    assert answers(transport.take()) == [(500, b"caused: internal error;")]
    assert f"GET /nacos{path} failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_an_answer_that_waits_for_a_write_costs_no_task(clients: Clients) -> None:
    """What comes behind it waits, too."""
    transport = clients.connect()
    receive(transport, get("/write") + get("/echo?x"))
    assert asyncio.all_tasks(clients.loop) == set()
    assert transport.take() == b""
    clients.open_gate()
    assert answers(transport.take()) == [(200, b"written"), (200, b"x")]


@pytest.mark.parametrize(
    ("path", "error", "answer"),
    [
        ("/write", NacosError(NOT_FOUND, "not here"), (404, b"not here")),
        ("/write-worded", NacosError(NOT_FOUND, "not here"), (404, b"lost")),
        ("/write-worded", ZeroDivisionError(), (500, b"caused: internal error;")),
    ],
)
def test_a_write_that_is_refused_is_worded_by_the_handler_or_the_route(
    clients: Clients, path: str, error: Exception, answer: tuple[int, bytes]
) -> None:
    transport = clients.connect()
    receive(transport, get(path))
    clients.gates[0].set_exception(error)
    clients.turn()
    assert answers(transport.take()) == [answer]


def test_a_write_nobody_waits_for_any_more_is_forgotten(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/write"))
    transport.lose()
    clients.turn()
    assert clients.gates[0].cancelled()
    assert not clients.server.connections


# --- paths and methods without a handler ---


def answered(clients: Clients, request: bytes) -> bytes:
    transport = clients.connect()
    receive(transport, request)
    return transport.take()


def test_an_unknown_path_gets_the_page_of_spring(clients: Clients) -> None:
    written = answered(clients, get("/nope%20x?y"))
    assert b"Vary: Origin\r\n" in written
    assert answers(written) == [
        (
            404,
            b'{"timestamp":"2023-11-14T22:13:20.000+00:00","status":404,"error":"Not Found",'
            b'"message":"No message available","path":"/nacos/nope%20x"}',
        )
    ]


def test_a_browser_gets_the_whitelabel_page(clients: Clients) -> None:
    written = answered(clients, get("/v1/ns/<b>", "Accept: text/html, */*"))
    assert b"Content-Type: text/html;charset=UTF-8\r\n" in written
    assert b"Tue Nov 14 22:13:20 UTC 2023" in written
    assert b"(type=Not Implemented, status=501)" in written
    assert b"no such api:GET:/nacos/v1/ns/&lt;b&gt;" in written


def test_outside_the_context_path_tomcat_answers(clients: Clients) -> None:
    for target in (b"/", b"/nacosx/echo"):
        written = answered(clients, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert written.startswith(b"HTTP/1.1 404 \r\nContent-Language: en\r\nContent-Type: text/html;charset=utf-8\r\n")
        assert "<h1>HTTP Status 404 – Not Found</h1>".encode() in written


def test_naming_v1_says_not_implemented_for_what_it_has_not(clients: Clients) -> None:
    written = answered(clients, get("/v1/ns/operator/servers"))
    assert b"Vary" not in written
    assert answers(written)[0][0] == 501
    assert b'"message":"no such api:GET:/nacos/v1/ns/operator/servers"' in written


def test_a_method_without_handler_is_refused_in_the_words_of_the_route(clients: Clients) -> None:
    written = answered(clients, get("/get", method="PUT"))
    assert answers(written) == [(500, b"caused: Request method &#39;PUT&#39; not supported;")]


def test_options_tells_the_methods(clients: Clients) -> None:
    assert b"\r\nAllow: GET,HEAD,DELETE,OPTIONS\r\n" in answered(clients, get("/get", method="OPTIONS"))


def test_a_slash_at_the_end_is_forgiven_but_not_by_naming_v1(clients: Clients) -> None:
    assert answers(answered(clients, get("/get/?1"))) == [(200, b"1")]
    assert answers(answered(clients, get("/v1/ns/known?1"))) == [(200, b"1")]
    assert answers(answered(clients, get("/v1/ns/known/?1")))[0][0] == 501


# --- browsers ---


def test_a_preflight_is_allowed_for_every_origin(clients: Clients) -> None:
    fields = ("Origin: http://x", "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: a, b")
    written = answered(clients, get("/get", *fields, method="OPTIONS"))
    assert written.startswith(
        b"HTTP/1.1 200 \r\nVary: Origin\r\nVary: Access-Control-Request-Method\r\n"
        b"Vary: Access-Control-Request-Headers\r\nAccess-Control-Allow-Origin: http://x\r\n"
        b"Access-Control-Allow-Methods: PUT\r\nAccess-Control-Allow-Headers: a, b\r\n"
        b"Access-Control-Allow-Credentials: true\r\nAccess-Control-Max-Age: 18000\r\n"
    )


def test_another_origin_is_told_that_it_may_read(clients: Clients) -> None:
    lines = b"\r\nAccess-Control-Allow-Origin: http://x\r\nAccess-Control-Allow-Credentials: true\r\n"
    assert lines in answered(clients, get("/echo", "Origin: http://x"))
    assert b"Access-Control-Allow" not in answered(clients, get("/echo", "Origin: http://a"))  # the Host itself
    assert b"Access-Control-Allow" not in answered(
        clients, get("/status?404", "Origin: http://x")
    )  # beside the filters


# --- forms ---


def test_multipart_fields_are_parameters_and_files_are_not(clients: Clients) -> None:
    body = (
        b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\nContent-Type: text/plain\r\n\r\n2\r\n'
        b'--B\r\nContent-Disposition: form-data; name="b"\r\n\r\n\xe4\xb8\xad\r\n--B--\r\n'
    )
    fields = ("Content-Type: multipart/form-data; boundary=B",)
    written = answered(clients, get("/form?a=0", *fields, method="POST", body=body))
    assert answers(written) == [(200, repr({"a": "0", "b": "中"}).encode())]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=B", b"x"),
        ("multipart/form-data; boundary=B", b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1'),
        ("multipart/form-data; boundary=B", b"--B\r\nX: " + b"y" * 10_000 + b"\r\n\r\n1\r\n--B--\r\n"),
        ("multipart/form-data; boundary=B", b"--B\r\nX: y\r\n\r\n1\r\n" * 1_001 + b"--B--\r\n"),
    ],
)
def test_a_broken_multipart_body_is_refused(clients: Clients, content_type: str, body: bytes) -> None:
    written = answered(clients, get("/form", f"Content-Type: {content_type}", method="POST", body=body))
    status, text = answers(written)[0]
    assert status == 500
    assert text.startswith(b"caused: Failed to parse multipart servlet request; nested exception is ")


# --- 100-continue ---

UPLOAD = get("/echo", "Content-Length: 3", "Expect: 100-continue", method="PUT")


def test_a_client_that_waits_is_told_to_go_on(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, UPLOAD)
    assert transport.take() == b"HTTP/1.1 100 \r\n\r\n"
    receive(transport, b"abc")
    assert answers(transport.take()) == [(200, b"abc")]


def test_it_is_told_so_after_the_answers_before_it(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/wait?1") + UPLOAD)
    clients.turn()
    assert transport.take() == b""
    clients.open_gate()
    written = transport.take()
    assert written.startswith(b"HTTP/1.1 200 ")
    assert written.endswith(b"1!HTTP/1.1 100 \r\n\r\n")
    receive(transport, b"abc")
    assert answers(transport.take()) == [(200, b"abc")]


# --- what is no request ---


def test_what_is_no_request_is_answered_and_the_rest_read_away(clients: Clients) -> None:
    """Closing a socket with unread bytes would reset it, and the client might lose the answer."""
    transport = clients.connect()
    receive(transport, b"GET / HTTP/9.9\r\n\r\n")
    written = transport.take()
    assert answers(written)[0][0] == 505
    assert b"Connection: close\r\n" in written
    assert transport.eof_written
    receive(transport, get("/echo") * 3)
    assert transport.take() == b""
    assert not transport.closing
    clients.time.advance(LINGER_MS)
    assert transport.aborted


def test_good_requests_before_a_bad_one_are_answered_first(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/wait?1") + get("/echo?2") + b"\0")
    clients.turn()
    assert transport.take() == b""
    clients.open_gate()
    assert [status for status, _ in answers(transport.take())] == [200, 200, 400]
    assert transport.eof_written


def test_a_body_that_is_too_long_is_refused_while_it_comes(loop: asyncio.AbstractEventLoop) -> None:
    clients = Clients(loop, body_bytes_max=10)
    transport = clients.connect()
    receive(transport, get("/echo", "Content-Length: 11", "Expect: 100-continue", method="POST"))
    assert answers(transport.take())[0][0] == 413
    receive(transport, b"x" * 11)
    assert transport.take() == b""


# --- time ---


def test_an_idle_connection_is_closed_after_the_keep_alive_time(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/echo"))
    clients.time.advance(KEEP_ALIVE_MS)
    assert not transport.closing
    clients.time.advance(CHECK_MS)
    assert transport.closing
    transport.lose()
    assert clients.time.armed == 0


def test_a_connection_that_is_used_lives_on(clients: Clients) -> None:
    transport = clients.connect()
    for _ in range(10):
        clients.time.advance(KEEP_ALIVE_MS - 1)
        receive(transport, get("/echo"))
    assert not transport.closing
    assert len(answers(transport.take())) == 10


def test_a_request_has_one_timeout_at_most(clients: Clients) -> None:
    transport = clients.connect()
    pending = clients.server.ticker.pending
    for _ in range(100):
        receive(transport, get("/echo"))
    assert clients.server.ticker.pending <= pending + 1  # the date of this second


def test_a_head_that_trickles_in_is_cut_off(clients: Clients) -> None:
    transport = clients.connect()
    head = get("/echo", "X: " + "y" * 300)
    for at in range(90):
        receive(transport, head[at : at + 1])
        clients.time.advance(1000)
    assert transport.closing


def test_an_upload_may_take_its_time_as_long_as_it_moves(clients: Clients) -> None:
    transport = clients.connect()
    size = 20 * BODY_BYTES_MIN
    receive(transport, get("/echo", f"Content-Length: {size}", method="POST"))
    for _ in range(19):
        receive(transport, b"x" * BODY_BYTES_MIN)
        clients.time.advance(CHECK_MS)
    assert not transport.closing
    receive(transport, b"x" * 10)
    clients.time.advance(2 * CHECK_MS)
    assert transport.closing  # it does not move any more


def test_a_handler_may_wait_as_long_as_it_likes(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/wait?1"))
    clients.turn()
    clients.time.advance(100 * KEEP_ALIVE_MS)
    clients.open_gate()
    assert answers(transport.take()) == [(200, b"1!")]


def test_a_client_that_does_not_read_is_cut_off(clients: Clients) -> None:
    transport = clients.connect()
    transport.stalled = True
    receive(transport, get("/big") * 2)
    clients.time.advance(CHECK_MS)
    transport.drain(1000)
    clients.time.advance(2 * CHECK_MS)
    assert not transport.closing  # it reads, if slowly
    clients.time.advance(CHECK_MS)
    assert transport.aborted


# --- a client that does not read ---


def test_nothing_more_is_answered_or_read_until_the_client_reads(clients: Clients) -> None:
    transport = clients.connect()
    transport.stalled = True
    receive(transport, get("/big") * 5)
    written = len(answers(transport.take()))
    assert written == 2
    assert not transport.reading
    transport.drain()
    assert len(answers(transport.take())) == 2
    transport.drain()
    assert len(answers(transport.take())) == 1
    assert transport.reading


# --- ends ---


def test_a_handler_is_cancelled_when_its_client_goes(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/wait") + get("/echo"))
    clients.turn()
    transport.lose()
    assert clients.server.connections  # its task has not ended
    clients.turn()
    assert clients.gates[0].cancelled()
    assert not clients.server.connections
    assert clients.seen == []


def test_a_handler_that_has_not_begun_is_cancelled_too(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/wait"))
    transport.lose()
    clients.turn()
    assert clients.gates == []
    assert not clients.server.connections


def test_a_client_may_close_its_side_and_still_gets_its_answers(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/wait?1") + get("/echo?2"))
    clients.turn()
    assert isinstance(transport.protocol, asyncio.Protocol)
    assert transport.protocol.eof_received()
    clients.open_gate()
    assert answers(transport.take()) == [(200, b"1!"), (200, b"2")]
    assert transport.closing


def test_a_client_that_closes_its_side_and_waits_for_nothing_is_gone(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/echo"))
    assert isinstance(transport.protocol, asyncio.Protocol)
    assert not transport.protocol.eof_received()


def stopping(clients: Clients, grace_ms: int = 5000) -> asyncio.Task[None]:
    stop = clients.loop.create_task(clients.server.stop(grace_ms))
    clients.turn()
    return stop


def test_stop_closes_the_idle_and_waits_for_the_busy(clients: Clients) -> None:
    idle, busy, uploading = clients.connect(), clients.connect(), clients.connect()
    receive(busy, get("/wait?1") + get("/echo?2"))
    receive(uploading, get("/echo", "Content-Length: 3", method="POST"))
    stop = stopping(clients)
    assert idle.closing
    assert not busy.closing
    receive(uploading, b"abc")
    assert b"Connection: close\r\n" in uploading.take()
    assert uploading.closing
    clients.open_gate()
    written = busy.take()
    assert answers(written) == [(200, b"1!")]
    assert b"Connection: close\r\n" in written
    assert busy.closing
    late_comer = clients.connect()
    assert late_comer.closing
    for transport in (idle, busy, uploading, late_comer):
        transport.lose()
    clients.turn()
    assert stop.done()


def test_stop_cuts_what_is_left_after_the_grace_time(clients: Clients) -> None:
    transport = clients.connect()
    receive(transport, get("/wait"))
    stop = stopping(clients)
    clients.time.advance(4999)
    clients.turn()
    assert not transport.closing
    clients.time.advance(1)
    assert transport.aborted
    transport.lose()
    clients.turn()
    assert stop.done()
    assert clients.gates[0].cancelled()


def test_stop_of_a_server_without_clients_is_done_at_once(clients: Clients) -> None:
    assert stopping(clients).done()


# --- limits ---


def test_there_are_no_more_connections_than_the_limit(loop: asyncio.AbstractEventLoop) -> None:
    clients = Clients(loop, connections_max=2)
    first, _, third = clients.connect(), clients.connect(), clients.connect()
    assert answers(third.take())[0][0] == 503
    assert third.closing
    third.lose()
    first.lose()
    assert not clients.connect().closing


def test_incomplete_requests_of_all_connections_together_have_a_limit(loop: asyncio.AbstractEventLoop) -> None:
    clients = Clients(loop, unfinished_bytes_max=99_999)
    upload = get("/echo", "Content-Length: 60000", method="POST")
    first, second = clients.connect(), clients.connect()
    receive(first, upload + b"x" * 50_000)
    receive(second, upload + b"x" * 50_000)
    assert answers(second.take())[0][0] == 503
    second.lose()
    receive(first, b"x" * 10_000)
    assert len(answers(first.take())) == 1
    assert clients.server.unfinished_bytes == 0
