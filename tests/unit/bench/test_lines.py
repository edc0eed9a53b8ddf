"""The load's own HTTP/1.1 and HTTP/2 clients are held against other implementations of the protocols."""

from __future__ import annotations

import itertools
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import grpc
import h11
import pytest

from bench.raft.put_lines import PutLine
from bench.raft.puts import PutCalls
from bench.serve import closed_loop, grpc_dialect, http_line
from bench.serve.closed_loop import AnswerError, LineError, call
from bench.serve.dialect import MARK, Numbered, config_content, marked
from bench.serve.grpc_dialect import GrpcDialect, Resident, answer_pushes, json_of
from bench.serve.http_dialect import HttpDialect
from bench.serve.http_line import HttpLine

HOST = "127.0.0.1"
OK = b'{"resultCode":200,"success":true}'


class GrpcOracle(grpc.GenericRpcHandler):
    """A grpcio server that speaks bytes: it answers like a Nacos server and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.streamed: list[bytes] = []
        self.refuse_health = 1  # the set-up travels on another stream: the first call may come before it

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        if details.method == "/Request/request":
            return grpc.unary_unary_rpc_method_handler(self._answer)
        if details.method == "/BiRequestStream/requestBiStream":
            return grpc.stream_stream_rpc_method_handler(self._stream)
        return None

    def _answer(self, request: bytes, _: grpc.ServicerContext) -> bytes:
        self.asked.append(request)
        if b"HealthCheckRequest" in request and self.refuse_health:
            self.refuse_health -= 1
            return b'{"resultCode":500,"errorCode":301}'
        return b"big" * 40_000 + OK if b"ServiceQueryRequest" in request else OK

    def _stream(self, requests: Iterator[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
        for request in requests:
            self.streamed.append(request)
            if b"ConnectionSetupRequest" in request:
                yield grpc_dialect.message("ClientDetectionRequest", {"requestId": "7"})[5:]
                yield grpc_dialect.message("SetupAckRequest", {"abilityTable": {}})[5:]


@contextmanager
def grpc_oracle() -> Iterator[tuple[GrpcOracle, GrpcDialect]]:
    oracle = GrpcOracle()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[oracle])
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    try:
        yield oracle, GrpcDialect(HOST, port)
    finally:
        server.stop(None).wait()


def test_grpcio_understands_the_frames() -> None:
    """Handshake, hundreds of calls, answers over many frames and requests over many frames go through grpcio unchanged."""
    with grpc_oracle() as (oracle, dialect):
        line = dialect.connect()
        assert b"ServerCheckRequest" in oracle.asked[0]
        request = dialect.register("orders", "10.0.0.1")
        for _ in range(300):
            assert call(line, request) == OK
        assert oracle.asked[-1] == request[5:]
        assert call(line, dialect.list_instances("orders")).endswith(OK)
        batch = dialect.register_batch("orders", [f"10.0.{number}.1" for number in range(200)])
        assert len(batch) > http_line.READ_BYTES // 8
        for _ in range(5):  # more than the connection's send window: it has to wait for the server
            call(line, batch)
        assert oracle.asked[-1] == batch[5:]
        line.close()


def test_a_resident_answers_what_the_server_asks() -> None:
    """A detection gets its response with the same requestId, a set-up acknowledgement gets none."""
    with grpc_oracle() as (oracle, dialect):
        line = dialect.connect()
        resident = Resident(line)
        while not any(b"ClientDetectionResponse" in message for message in oracle.streamed):
            answer_pushes(line)
            call(resident, dialect.config_get("some"))
        assert len(oracle.streamed) == 2
        assert json_of(oracle.streamed[1])["requestId"] == "7"
        resident.close()


def test_a_refused_call_is_an_error() -> None:
    """A failed call has no message, and an answer without resultCode 200 is refused."""
    with grpc_oracle() as (oracle, dialect):
        line = dialect.connect()
        oracle.refuse_health = 1
        with pytest.raises(AnswerError, match="301"):
            call(line, grpc_dialect.message("HealthCheckRequest", {}))
        line.close()


def put_calls(dialect: GrpcDialect, requests: list[bytes]) -> PutCalls:
    return PutCalls(dialect.register_line(PutLine(dialect._host, dialect._port)), requests, b'"resultCode":200')


def received(calls: PutCalls, count: int) -> list[int]:
    """How long each of so many calls took."""
    took_ns: list[int] = []
    while len(took_ns) < count:
        calls.receive(took_ns)
    return took_ns


def test_puts_share_a_connection() -> None:
    """Many calls at once are each answered once, and their requests follow each other; frames of other streams are heard."""
    requests = [grpc_dialect.message("BenchPutRequest", {"value": value}) for value in ("a", "bc", "def")]
    with grpc_oracle() as (oracle, dialect):
        calls = put_calls(dialect, requests)
        asked = len(oracle.asked)
        took_ns: list[int] = []
        for count in (7, 1, 30) * 60:  # more streams than there are slots
            calls.begin(count)
            took_ns += received(calls, count)
        calls.close()
        assert len(took_ns) == len(oracle.asked) - asked == 38 * 60
        assert min(took_ns) > 0
        assert Counter(oracle.asked[asked:]) == {request[5:]: 760 for request in requests}


def test_the_first_put_of_a_connection_tells_its_header_fields() -> None:
    """What follows refers to them; etcd has no handshake before."""
    with grpc_oracle() as (oracle, dialect):
        line = PutLine(dialect._host, dialect._port, path=b"/Request/request", bi_path=b"")
        calls = PutCalls(line, [b"\x00\x00\x00\x00\x03put"], b"")
        calls.begin(3)
        received(calls, 3)
        calls.close()
        assert oracle.asked == [b"put"] * 3


def test_one_refused_put_fails_the_run() -> None:
    with grpc_oracle() as (oracle, dialect):
        calls = put_calls(dialect, [grpc_dialect.message("HealthCheckRequest", {})])
        oracle.refuse_health = 1
        calls.begin(2)
        with pytest.raises(AnswerError, match="301"):
            received(calls, 2)
        calls.close()


@contextmanager
def http_oracle(answer: Callable[[h11.Request, bytes], bytes]) -> Iterator[HttpDialect]:
    """An h11 server that serves connections one after another and answers with the bytes that `answer` makes."""
    listener = socket.create_server((HOST, 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                _serve_http(peer, answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield HttpDialect(HOST, listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _serve_http(peer: socket.socket, answer: Callable[[h11.Request, bytes], bytes]) -> None:
    connection = h11.Connection(h11.SERVER)
    head: h11.Request | None = None
    content = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(peer.recv(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            content += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            peer.sendall(answer(head, content))
            connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            connection.send(h11.EndOfMessage())
            connection.start_next_cycle()
            content = b""
        else:
            return


def test_h11_understands_the_requests() -> None:
    """Queries and forms arrive as written, however the answer is framed and cut."""
    asked: list[tuple[bytes, bytes, bytes]] = []
    framings = itertools.cycle(
        [
            b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue",
            b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\ntr\r\n2\r\nue\r\n0\r\n\r\n",
        ]
    )

    def answer(request: h11.Request, content: bytes) -> bytes:
        asked.append((request.method, request.target, content))
        return next(framings)

    with http_oracle(answer) as dialect:
        line = dialect.connect()
        for _ in range(4):
            assert http_line.body(call(line, dialect.config_publish("a.properties", "k=v\nü"))) == b"true"
        call(line, dialect.list_instances("orders"))
        line.close()
    assert asked[0] == (
        b"POST",
        b"/nacos/v1/cs/configs",
        b"dataId=a.properties&type=text&content=k%3Dv%0A%C3%BC&group=DEFAULT_GROUP&",
    )
    assert asked[-1][0] == b"GET"
    assert b"serviceName=DEFAULT_GROUP%40%40orders" in asked[-1][1]


def test_an_answer_may_come_in_pieces() -> None:
    """Nothing is taken for an answer before its last byte, and an answer without length is refused."""
    with socket.create_server((HOST, 0)) as listener:
        line = HttpLine(HOST, listener.getsockname()[1])
        peer, _ = listener.accept()
        with peer:
            for piece in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 4\r\n\r\n", b"tru"):
                peer.sendall(piece)
                assert line.receive() is None
            peer.sendall(b"e")
            assert line.receive() == b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue"
            peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with pytest.raises(LineError, match="without length"):
                line.receive()
        line.close()


def test_the_loop_sends_every_request_once() -> None:
    """A run ends when its sources do, and counts every answer."""
    targets: list[bytes] = []

    def answer(request: h11.Request, _: bytes) -> bytes:
        targets.append(request.target)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    checked: list[bytes] = []
    with http_oracle(answer) as dialect, closing(dialect.connect()) as line:
        source = Numbered([dialect.register(f"orders-{MARK}", "10.0.0.1")])
        load = closed_loop.run([line], [itertools.islice(source, 1200)], seconds=60, check=checked.append)
        assert load.answers == source.issued == len(set(targets)) == 1200
        assert len(checked) == 1200 // closed_loop.SAMPLE_EVERY
        assert 0 < load.latency_ms(0.5) <= load.latency_ms(0.99)


def test_one_refusal_fails_the_run() -> None:
    """A server that is fast because it refuses is not fast."""

    def answer(request: h11.Request, _: bytes) -> bytes:
        status = b"500 " if b"orders-00000007" in request.target else b"200 OK"
        return b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"

    with http_oracle(answer) as dialect, closing(dialect.connect()) as line:
        source = Numbered([dialect.register(f"orders-{MARK}", "10.0.0.1")])
        with pytest.raises(AnswerError, match="500"):
            closed_loop.run([line], [source], seconds=60)
        assert source.issued == 8


def test_numbered_requests_keep_their_length() -> None:
    """The n-th request carries n in eight digits wherever the template has the mark."""
    source = Numbered([f"a{MARK}b{MARK}".encode(), f"c{MARK}".encode()])
    assert [next(source) for _ in range(3)] == [b"a00000000b00000000", b"c00000001", b"a00000002b00000002"]
    assert marked(f"x{MARK}", 12) == "x00000012"
    content = config_content(1024, "# head")
    assert len(content) == 1024
    assert content.startswith("# head\napp.")
