"""The gRPC door on a real socket, with the client of gRPC itself (grpcio): sizes, compression, deadlines, streams, the end."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import msgspec
import pytest
import uvloop

from nacosx._core.http2 import MESSAGE_BYTES_MAX
from nacosx.api.grpc import internal as internal_grpc
from nacosx.api.grpc.rpc import Rpc, Rpcs
from nacosx.api.later import Later
from nacosx.clock import SystemClock
from nacosx.engine.ticker import Ticker
from nacosx.errors import PARAMETER_INVALID, NacosError
from nacosx.wire.grpc import GrpcServer
from tests.models import payload
from tests.models.grpc_peer import STREAM, UNARY, Peer, framed

WAIT_S = 20
BODY_BYTES_MAX = MESSAGE_BYTES_MAX - 100  # and the envelope

CHANNEL = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
]


class Text(msgspec.Struct):
    text: str = ""
    size: int = 0


class Running:
    """A server on a loop of its own thread. `gate` holds back the WaitRequests."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.connected: queue.Queue[str] = queue.Queue()
        self.disconnected: queue.Queue[str] = queue.Queue()
        self.cancelled: queue.Queue[str] = queue.Queue()
        self.waiting: queue.Queue[str] = queue.Queue()
        self.writes: dict[str, asyncio.Future[None]] = {}
        self.do(self._start())

    def do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(WAIT_S)

    async def _start(self) -> None:
        self.gate = asyncio.Event()
        self.ticker = Ticker(self._loop, SystemClock())
        self.server = GrpcServer(
            self._loop,
            self.ticker,
            SystemClock(),
            lambda connection: self.connected.put(connection.connection_id),
            self.disconnected.put,
        )
        rpcs: Rpcs = internal_grpc.rpcs()
        rpcs["LengthRequest"] = Rpc(Text, "LengthResponse", lambda _, request, __: b'{"size":%d}' % len(request.text))
        rpcs["FillRequest"] = Rpc(Text, "FillResponse", lambda _, request, __: b'{"text":"%b"}' % (b"x" * request.size))
        rpcs["WaitRequest"] = Rpc(Text, "WaitResponse", lambda _, request, __: self._wait(request.text))
        rpcs["WriteRequest"] = Rpc(Text, "WriteResponse", lambda _, request, __: self._write(request.text))
        self.server.serve(rpcs)
        self.server.started = True
        self.listening = await self._loop.create_server(self.server.connection, "127.0.0.1", 0)
        self.port = self.listening.sockets[0].getsockname()[1]

    async def _wait(self, text: str) -> bytes:
        self.waiting.put(text)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.put(text)
            raise
        if text == "refuse":
            raise NacosError(PARAMETER_INVALID, "waited in vain")
        if text == "fail":
            raise ZeroDivisionError
        return b'{"text":"%b"}' % text.encode()

    def _write(self, text: str) -> Later[bytes]:
        written = self._loop.create_future()
        self.writes[text] = written
        self.waiting.put(text)
        return Later(written, b'{"text":"written"}', (lambda _: b'{"text":"lost"}') if text == "worded" else None)

    async def _open(self) -> None:
        self.gate.set()

    def open(self) -> None:
        """Lets the WaitRequests go on."""
        self.do(self._open())

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Calls a function on the loop."""

        async def called() -> Any:
            return function(*arguments, **named)

        return self.do(called())

    async def _stop(self, grace_ms: int) -> None:
        self.listening.close()
        await self.server.stop(grace_ms)
        await self.listening.wait_closed()

    def begin_stop(self, grace_ms: int) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(self._stop(grace_ms), self._loop)

    def close(self) -> None:
        self.do(self._stop(1000))
        self.call(self.ticker.stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Client:
    def __init__(self, port: int, **options: int) -> None:
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{port}", [*CHANNEL, *((f"grpc.{name}", value) for name, value in options.items())]
        )
        self.unary = self.channel.unary_unary(UNARY)
        self._messages: queue.Queue[bytes | None] = queue.Queue()
        self.stream: Any = None

    def call(self, type_name: str, body: bytes = b"{}", **named: Any) -> tuple[str, Any]:
        reply_type, _, _, reply = payload.decode(
            self.unary(payload.encode(type_name, body), timeout=named.pop("timeout", WAIT_S), **named)
        )
        return reply_type, msgspec.json.decode(reply)

    def call_until_refused(self, type_name: str) -> None:
        """Until the client has read a GOAWAY."""
        while True:
            self.call(type_name)

    def future(self, type_name: str, body: bytes = b"{}") -> Any:
        return self.unary.future(payload.encode(type_name, body), timeout=WAIT_S)

    def set_up(self) -> None:
        self.stream = self.channel.stream_stream(STREAM)(iter(self._messages.get, None))
        self.say("ConnectionSetupRequest", b'{"labels":{"source":"sdk"},"abilityTable":{}}')
        assert self.pushed()[0] == "SetupAckRequest"

    def say(self, type_name: str, body: bytes) -> None:
        self._messages.put(payload.encode(type_name, body, "192.0.2.2"))

    def pushed(self) -> tuple[str, bytes]:
        type_name, _, _, body = payload.decode(next(self.stream))
        return type_name, body

    def half_close(self) -> None:
        self._messages.put(None)

    def close(self) -> None:
        self.half_close()
        self.channel.close()


@pytest.fixture
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.close()


@pytest.fixture
def client(running: Running) -> Iterator[Client]:
    client = Client(running.port)
    client.set_up()
    yield client
    client.close()


def test_calls_and_streams_share_a_connection(running: Running, client: Client) -> None:
    """The id of the server check is that of the registered connection; when the channel ends, it is gone."""
    connection_id = client.call("ServerCheckRequest")[1]["connectionId"]
    assert running.connected.get(timeout=WAIT_S) == connection_id
    assert client.call("HealthCheckRequest")[0] == "HealthCheckResponse"
    client.half_close()
    with pytest.raises(StopIteration):
        next(client.stream)
    assert client.stream.code() == grpc.StatusCode.OK
    assert client.call("HealthCheckRequest")[0] == "HealthCheckResponse"
    client.close()
    assert running.disconnected.get(timeout=WAIT_S) == connection_id


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_the_largest_messages_pass_both_ways(client: Client, compression: grpc.Compression | None) -> None:
    """10 MiB with the envelope; one byte more is refused, plain or inflated."""
    text = b'{"text":"%b"}' % (b"x" * BODY_BYTES_MAX)
    assert client.call("LengthRequest", text, compression=compression) == ("LengthResponse", {"size": BODY_BYTES_MAX})
    assert len(client.call("FillRequest", b'{"size":%d}' % BODY_BYTES_MAX)[1]["text"]) == BODY_BYTES_MAX
    with pytest.raises(grpc.RpcError) as refused:
        client.call("LengthRequest", text + b" " * 100, compression=compression)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert client.call("HealthCheckRequest")[0] == "HealthCheckResponse"


def test_another_compression_is_refused_by_name(client: Client) -> None:
    """As grpc-java, which knows gzip only; the client reads which one is understood."""
    with pytest.raises(grpc.RpcError) as refused:
        client.call("LengthRequest", b'{"text":"%b"}' % (b"x" * 1000), compression=grpc.Compression.Deflate)
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert refused.value.details() == "Can't find decompressor for deflate"
    with pytest.raises(grpc.RpcError) as refused:
        client.channel.unary_unary("/Request/other")(b"", timeout=WAIT_S)
    assert (refused.value.code(), refused.value.details()) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "Method not found: Request/other",
    )


def test_many_calls_at_once(client: Client) -> None:
    """More than the client may have open: it waits for its turn."""
    with ThreadPoolExecutor(16) as pool:
        futures = [client.future("FillRequest", b'{"size":%d}' % (number * 10)) for number in range(2000)]
        sizes = list(pool.map(lambda future: len(payload.decode(future.result())[3]), futures))
    assert sizes == [11 + number * 10 for number in range(2000)]


def test_handlers_may_wait(running: Running, client: Client) -> None:
    """Meanwhile others are answered; a refusal after the wait is told like one before it."""
    waiting = [client.future("WaitRequest", b'{"text":"%b"}' % text) for text in (b"a", b"refuse", b"fail")]
    for _ in waiting:
        running.waiting.get(timeout=WAIT_S)
    assert client.call("HealthCheckRequest")[0] == "HealthCheckResponse"
    running.open()
    replies = [payload.decode(future.result()) for future in waiting]
    assert [(reply[0], reply[3]) for reply in replies] == [
        ("WaitResponse", b'{"text":"a"}'),
        ("ErrorResponse", b'{"resultCode":400,"errorCode":400,"message":"waited in vain","success":false}'),
        ("ErrorResponse", b'{"resultCode":500,"errorCode":500,"message":"server error","success":false}'),
    ]


def test_replies_may_wait_for_a_write(running: Running, client: Client) -> None:
    """One that is refused is worded by its handler, or like every refusal."""
    waiting = [client.future("WriteRequest", b'{"text":"%b"}' % text) for text in (b"well", b"plain", b"worded")]
    for _ in waiting:
        running.waiting.get(timeout=WAIT_S)
    refusal = NacosError(PARAMETER_INVALID, "not written")
    running.call(running.writes["well"].set_result, None)
    running.call(running.writes["plain"].set_exception, refusal)
    running.call(running.writes["worded"].set_exception, refusal)
    replies = [payload.decode(future.result()) for future in waiting]
    assert [(reply[0], reply[3]) for reply in replies] == [
        ("WriteResponse", b'{"text":"written"}'),
        ("ErrorResponse", b'{"resultCode":400,"errorCode":400,"message":"not written","success":false}'),
        ("WriteResponse", b'{"text":"lost"}'),
    ]


def test_a_deadline_ends_the_call_and_not_the_handler(running: Running, client: Client) -> None:
    """What a client asked for is done, whether it still waits or not, as in Java."""
    with pytest.raises(grpc.RpcError) as late:
        client.call("WaitRequest", b'{"text":"late"}', timeout=0.2)
    assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert running.waiting.get(timeout=WAIT_S) == "late"
    assert client.call("HealthCheckRequest")[0] == "HealthCheckResponse"
    running.open()
    assert client.call("WaitRequest", b'{"text":"again"}')[1] == {"text": "again"}
    assert running.cancelled.empty()


def test_the_end_of_a_connection_cancels_what_waits(running: Running, client: Client) -> None:
    """Handlers are owned by the connection."""
    future = client.future("WaitRequest", b'{"text":"orphan"}')
    assert running.waiting.get(timeout=WAIT_S) == "orphan"
    client.close()
    assert running.cancelled.get(timeout=WAIT_S) == "orphan"
    assert future.code() == grpc.StatusCode.CANCELLED


def test_pushes_are_read_and_answered(running: Running, client: Client) -> None:
    """A hundred and fifty of 20 KB, read slowly: nothing is lost, the order is kept."""
    connection_id = running.connected.get(timeout=WAIT_S)
    answers: queue.Queue[bool] = queue.Queue()
    for number in range(150):
        members = b'"number":%d,"text":"%b"' % (number, b"x" * 20_000)
        assert running.call(
            running.server.push, connection_id, "PushRequest", members, answers.put, timeout_ms=WAIT_S * 1000
        )
    for number in range(150):
        type_name, body = client.pushed()
        request = msgspec.json.decode(body)
        assert (type_name, request["number"], len(request["text"])) == ("PushRequest", number, 20_000)
        client.say("PushResponse", b'{"resultCode":200,"requestId":"%b"}' % request["requestId"].encode())
    assert all(answers.get(timeout=WAIT_S) for _ in range(150))


def test_a_client_that_reads_nothing_is_sent_only_so_much(running: Running) -> None:
    """Its queue fills, pushes are refused, and what waits is bounded; other clients do not notice."""
    lazy = socket.create_connection(("127.0.0.1", running.port))
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer = Peer(window=2**31 - 1, reads=False)
    peer.connection.increment_flow_control_window(2**31 - 1 - 65535)
    stream_id = peer.open(STREAM)
    peer.write(stream_id, framed(payload.encode("ConnectionSetupRequest", b"{}")))
    lazy.sendall(peer.outgoing())
    connection_id = running.connected.get(timeout=WAIT_S)
    answers: queue.Queue[bool] = queue.Queue()
    members = b'"text":"%b"' % (b"x" * 1_000_000)
    for _ in range(60):
        running.call(running.server.push, connection_id, "PushRequest", members, answers.put, timeout_ms=WAIT_S * 1000)
    assert answers.get(timeout=WAIT_S) is False
    other = Client(running.port)
    assert other.call("ServerCheckRequest")[0] == "ServerCheckResponse"
    other.close()
    lazy.close()
    assert running.disconnected.get(timeout=WAIT_S) == connection_id


def test_a_client_with_a_short_keepalive_is_served(running: Running) -> None:
    """grpcio itself keeps its pings apart while nothing is sent; a busy connection with keepalive lives on."""
    client = Client(
        running.port,
        keepalive_time_ms=100,
        keepalive_timeout_ms=5000,
        keepalive_permit_without_calls=1,
        http2_max_pings_without_data=0,
    )
    client.set_up()
    connection_id = running.connected.get(timeout=WAIT_S)
    for _ in range(50):
        client.call("HealthCheckRequest")
    assert running.disconnected.empty()
    assert client.call("ServerCheckRequest")[1]["connectionId"] == connection_id
    client.close()


def test_stop_lets_open_calls_end(running: Running, client: Client) -> None:
    """GOAWAY: what waits is answered, new calls go nowhere, the stream ends so that the client goes elsewhere."""
    future = client.future("WaitRequest", b'{"text":"last"}')
    assert running.waiting.get(timeout=WAIT_S) == "last"
    stopped = running.begin_stop(WAIT_S * 1000)
    with pytest.raises(grpc.RpcError) as refused:
        client.call_until_refused("HealthCheckRequest")
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert not stopped.done()
    running.open()
    assert payload.decode(future.result())[3] == b'{"text":"last"}'
    stopped.result(WAIT_S)
    with pytest.raises(grpc.RpcError) as ended:
        next(client.stream)
    assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
    assert not running.server.registered
    assert running.disconnected.empty()  # the others are not told that this one is gone: they are all going


def test_stop_does_not_wait_for_ever(running: Running, client: Client) -> None:
    """After the grace the connections are cut, and what waits is cancelled."""
    future = client.future("WaitRequest", b'{"text":"stuck"}')
    assert running.waiting.get(timeout=WAIT_S) == "stuck"
    running.begin_stop(100).result(WAIT_S)
    assert running.cancelled.get(timeout=WAIT_S) == "stuck"
    assert future.exception(WAIT_S).code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    assert not running.server.transports
