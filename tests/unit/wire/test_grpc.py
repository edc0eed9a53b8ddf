"""The gRPC door: calls and their refusals, registration, pushes and their answers, detection, keepalive (contract/grpc.md)."""

from __future__ import annotations

from typing import Any

import pytest

from nacosx.api.grpc.rpc import Headers
from nacosx.errors import OVER_THRESHOLD, PARAMETER_INVALID, NacosError
from tests.models.grpc_peer import STREAM, UNARY, Peer, framed
from tests.unit.wire.grpc_wire import Client, Echo, Wire

UNAVAILABLE, INTERNAL, UNIMPLEMENTED = 14, 13, 12
UNREGISTERED = (500, 301, "Connection is unregistered.")
CONNECTION_ID = "1700000000000_10.0.0.5_4000"


# --- unary calls: order of checks, §3 ------------------------------------------------------------------------------


def test_a_registered_client_is_answered() -> None:
    """Headers of the metadata reach the handler, the reply carries the type of the handler."""
    client = Wire().registered()
    assert client.call("EchoRequest", b'{"name":"x","other":1}', headers={"app": "a"}) == (
        "EchoResponse",
        {"name": "x", "app": "a"},
    )
    assert client.call("HealthCheckRequest") == (
        "HealthCheckResponse",
        {"resultCode": 200, "errorCode": 0, "success": True},
    )


@pytest.mark.parametrize("body", [b"{}", b"", b"nonsense"])
def test_the_server_check_is_answered_before_registration(body: bytes) -> None:
    """It tells the connection id; its body is not looked at."""
    client = Wire().client()
    assert client.call("ServerCheckRequest", body) == (
        "ServerCheckResponse",
        {
            "resultCode": 200,
            "errorCode": 0,
            "connectionId": CONNECTION_ID,
            "supportAbilityNegotiation": True,
            "success": True,
        },
    )


def test_refusals_come_in_the_order_of_java() -> None:
    """Source, started, handler, registration, body."""
    wire = Wire(started=False)
    client = wire.client()
    forbidden = (500, 502, " invoke DistroDataRequest from sdk is forbidden")
    starting = (500, 300, "Server is starting,please try later.")
    assert client.error("DistroDataRequest") == forbidden
    assert [client.error(name) for name in ("ServerCheckRequest", "NoRequest", "EchoRequest")] == [starting] * 3
    wire.server.started = True
    assert client.error("DistroDataRequest") == forbidden
    assert client.error("NoRequest") == (500, 302, "RequestHandler Not Found")
    assert client.error("EchoRequest", b"nonsense") == UNREGISTERED
    assert client.error("HealthCheckRequest") == UNREGISTERED
    client.set_up()
    result_code, error_code, message = client.error("EchoRequest", b"nonsense")
    assert (result_code, error_code) == (500, 502)
    assert message.startswith("errCode: 101, errMsg: Nacos deserialize for class [EchoRequest] failed. ")
    assert client.error("NoRequest") == (500, 302, "RequestHandler Not Found")


def test_a_refusal_of_the_handler_is_an_error_response() -> None:
    """resultCode and errorCode are the code of the error."""
    wire = Wire()
    client = wire.registered()

    def refuse(*_: Any) -> bytes:
        raise NacosError(PARAMETER_INVALID, "no such kind")

    wire.handle = refuse
    assert client.error("EchoRequest") == (400, 400, "no such kind")


def test_an_error_nobody_expected_is_logged_and_told_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    """The client hears 500, the log has the traceback, and the connection goes on."""
    wire = Wire()
    client = wire.registered()
    handle = wire.handle

    def fail(*_: Any) -> bytes:
        raise ZeroDivisionError("secret")

    wire.handle = fail
    assert client.error("EchoRequest") == (500, 500, "server error")
    assert "secret" in caplog.text
    wire.handle = handle
    assert client.call("EchoRequest")[0] == "EchoResponse"


def test_who_is_over_a_limit_is_answered_late() -> None:
    """Clients try again at once when they read 503."""
    wire = Wire()
    client = wire.registered()

    def refuse(*_: Any) -> bytes:
        raise NacosError(OVER_THRESHOLD, "slow down")

    wire.handle = refuse
    stream_id = client.begin("EchoRequest")
    wire.advance(999)
    assert not client.peer.answers[stream_id].ended
    wire.advance(1)
    assert client.result(stream_id)[1]["errorCode"] == 503


def test_what_is_no_envelope_ends_with_a_status() -> None:
    """In the words of grpc-java; unknown methods, too."""
    client = Wire().registered()
    for path, status, message in (
        (UNARY, INTERNAL, "Invalid protobuf byte sequence"),
        ("/other", UNIMPLEMENTED, "Method not found: other"),
    ):
        stream_id = client.peer.call(b"\xff", path)
        client.exchange()
        assert (client.peer.answers[stream_id].status, client.peer.answers[stream_id].message) == (status, message)
    client.peer.write(client.stream_id, framed(b"\xff"))
    client.exchange()
    assert client.peer.answers[client.stream_id].status == INTERNAL
    assert client.call("EchoRequest")[0] == "EchoResponse"


# --- registration, §2 and §8 ---------------------------------------------------------------------------------------


def test_a_client_registers_on_its_stream() -> None:
    """What it tells of itself is known to the handlers; a client with an ability table gets a SetupAckRequest."""
    wire = Wire()
    client = wire.client()
    client.set_up(
        b'{"clientVersion":"Nacos-Java-Client:v2.5.1","labels":{"source":"sdk","AppName":"a"},"abilityTable":{"x":true}}'
    )
    assert client.pushed() == [
        (
            "SetupAckRequest",
            "192.0.2.1",
            b'{"headers":{},"abilityTable":{"supportPersistentInstanceByGrpc":true},"module":"internal"}',
        )
    ]
    assert wire.log == ["+" + CONNECTION_ID]
    connection = wire.server.registered[CONNECTION_ID]
    assert (connection.client_ip, connection.remote_ip, connection.remote_port) == ("192.0.2.2", "10.0.0.5", 4000)
    assert (connection.client_version, connection.app_name) == ("Nacos-Java-Client:v2.5.1", "a")
    assert connection.labels == {"source": "sdk", "AppName": "a"}
    client.transport.lose()
    assert wire.log == ["+" + CONNECTION_ID, "-" + CONNECTION_ID]
    assert not wire.server.registered
    assert not wire.server.transports


def test_a_client_without_ability_table_gets_no_ack() -> None:
    """2.0 to 2.2 send `abilities`; the app name is "-" when it is not told, the client ip that of the socket."""
    wire = Wire()
    client = wire.client(ip="::ffff:10.0.0.7")
    client.set_up(b'{"abilities":{},"labels":null}', client_ip="")
    assert client.pushed() == []
    (connection,) = wire.server.registered.values()
    assert connection.connection_id == "1700000000000_10.0.0.7_4000"
    assert (connection.client_ip, connection.app_name, connection.labels) == ("10.0.0.7", "-", {})


def test_a_second_setup_is_acknowledged_and_changes_nothing() -> None:
    """§8: an id that is registered is accepted and ignored. Pushes stay on the first stream while it is open."""
    wire = Wire()
    client = wire.registered()
    first = client.stream_id
    client.set_up(b'{"clientVersion":"other","abilityTable":{}}')
    assert [type_name for type_name, _, _ in client.pushed()] == ["SetupAckRequest"]
    assert wire.server.registered[CONNECTION_ID].client_version == ""
    assert wire.log == []
    assert wire.server.push(CONNECTION_ID, "PushRequest", b'"a":1', lambda _: None, timeout_ms=1000)
    client.exchange()
    assert client.pushed() == []
    assert len(client.peer.answers[first].messages) == 2


def test_a_client_that_ends_its_stream_stays_registered() -> None:
    """§8: only the end of the transport unregisters. With a new stream it is pushed to again."""
    wire = Wire()
    client = wire.registered()
    client.peer.write(client.stream_id, b"", end=True)
    client.exchange()
    assert (client.peer.answers[client.stream_id].status, client.peer.answers[client.stream_id].ended) == (0, True)
    assert client.call("EchoRequest")[0] == "EchoResponse"
    client.set_up()
    client.pushed()
    assert wire.server.push(CONNECTION_ID, "PushRequest", b'"a":1', lambda _: None, timeout_ms=1000)
    client.exchange()
    assert [type_name for type_name, _, _ in client.pushed()] == ["PushRequest"]
    client.peer.connection.reset_stream(client.stream_id)
    client.exchange()
    assert client.call("EchoRequest")[0] == "EchoResponse"
    assert wire.log == []


@pytest.mark.parametrize(
    ("type_name", "body"),
    [
        ("ConnectionSetupRequest", b"nonsense"),
        ("ConnectionSetupRequest", b'{"labels":[]}'),
        ("EchoRequest", b"{}"),
        ("NobodyKnows", b"{}"),
        ("", b""),
        ("NotifySubscriberResponse", b"nonsense"),
        ("NotifySubscriberResponse", b'{"requestId":"999"}'),
    ],
)
def test_what_does_not_belong_on_the_stream_is_dropped(type_name: str, body: bytes) -> None:
    """§8: silently, for the client."""
    wire = Wire()
    client = wire.client()
    client.stream_id = client.peer.open(STREAM)
    client.say(type_name, body)
    assert not client.peer.answers[client.stream_id].ended
    assert client.pushed() == []
    assert not wire.server.registered
    client.say("ConnectionSetupRequest", b"{}")
    assert wire.log == ["+" + CONNECTION_ID]


def test_clients_are_refused_while_the_server_starts() -> None:
    """The connection is closed without a word; other servers may register."""
    wire = Wire(started=False)
    client = wire.client()
    client.set_up()
    assert client.lost
    assert client.peer.answers[client.stream_id].status == UNAVAILABLE
    assert wire.log == []
    other = wire.client(4001)
    other.set_up(b'{"labels":{"source":"cluster"}}')
    assert not other.lost


def test_connections_have_a_limit() -> None:
    """Of registered clients; the one above is closed, the others do not notice."""
    wire = Wire(connections_max=2)
    first, _, third = (wire.registered(port) for port in (4000, 4001, 4002))
    assert third.lost
    assert len(wire.server.registered) == 2
    first.transport.lose()
    fourth = wire.registered(4003)
    assert not fourth.lost


def test_transports_have_a_limit() -> None:
    """Also those that nobody registered: the one above is cut."""
    wire = Wire(transports_max=1)
    first = wire.client(4000)
    second = wire.client(4001)
    assert second.transport.aborted
    assert first.call("ServerCheckRequest")[0] == "ServerCheckResponse"
    first.transport.lose()
    assert not wire.client(4002).lost


def test_a_client_that_is_gone_before_it_is_served_is_no_trouble() -> None:
    """The kernel does not know its address any more."""
    wire = Wire()
    client = Client(wire, None)
    assert client.connection.connection_id == "1700000000000__0"
    client.transport.lose()
    assert not wire.server.transports


# --- pushes ----------------------------------------------------------------------------------------------------------


class Pushing:
    """One push and what was answered."""

    def __init__(
        self, wire: Wire, connection_id: str = CONNECTION_ID, timeout_ms: int = 3000, members: bytes = b'"a":1'
    ) -> None:
        self.answers: list[bool] = []
        self.accepted = wire.server.push(
            connection_id, "PushRequest", members, self.answers.append, timeout_ms=timeout_ms
        )
        assert self.answers == [], "answered before push returns"


def test_a_push_is_answered() -> None:
    """The request id comes first, the members follow; the metadata tells the server's ip, as Java does."""
    wire = Wire()
    client = wire.registered()
    good, bad = Pushing(wire), Pushing(wire)
    assert good.accepted
    client.exchange()
    pushed = client.pushed()
    assert pushed == [
        ("PushRequest", "192.0.2.1", b'{"headers":{},"requestId":"1","a":1}'),
        ("PushRequest", "192.0.2.1", b'{"headers":{},"requestId":"2","a":1}'),
    ]
    client.acknowledge(pushed[1][2], 500)
    client.acknowledge(pushed[0][2])
    client.acknowledge(pushed[0][2], 500)
    assert (good.answers, bad.answers) == ([True], [False])
    wire.advance(10_000)
    assert (good.answers, bad.answers) == ([True], [False])


def test_a_push_that_is_not_answered_in_time_has_failed() -> None:
    """An answer that comes later is ignored."""
    wire = Wire()
    client = wire.registered()
    push = Pushing(wire, timeout_ms=3000)
    wire.advance(2999)
    assert push.answers == []
    wire.advance(1)
    assert push.answers == [False]
    client.acknowledge(client.pushed()[0][2])
    assert push.answers == [False]


def test_a_push_to_nobody_is_refused() -> None:
    """Unknown ids, connections that have not registered, and those that are gone."""
    wire = Wire()
    assert not Pushing(wire, "1_2_3").accepted
    client = wire.client()
    assert not Pushing(wire).accepted
    client.set_up()
    push = Pushing(wire)
    assert push.accepted
    client.transport.lose()
    assert push.answers == [False]
    assert not Pushing(wire).accepted


def test_a_push_to_a_client_without_stream_ends_its_connection() -> None:
    """Java: ConnectionAlreadyClosedException → unregister. The client reconnects and is served again."""
    wire = Wire()
    client = wire.registered()
    client.peer.write(client.stream_id, b"", end=True)
    client.exchange()
    push = Pushing(wire)
    assert push.accepted
    wire.advance(1)
    assert push.answers == [False]
    assert client.lost
    assert wire.log == ["-" + CONNECTION_ID]


def test_a_push_into_a_full_queue_has_failed_and_harms_nobody() -> None:
    """ "Busy": the client does not read; once it does, pushes arrive again."""
    wire = Wire(send_queue_bytes_max=2000)
    client = wire.client(peer=Peer(window=300, reads=False))
    client.set_up()
    first, second = (Pushing(wire, members=b'"a":"%b"' % (b"x" * 1500)) for _ in range(2))
    wire.advance(1)
    assert (first.accepted, first.answers) == (True, [])
    assert (second.accepted, second.answers) == (True, [False])
    assert not client.lost
    client.peer.read(client.stream_id, 300)
    client.peer.connection.increment_flow_control_window(100_000, client.stream_id)
    client.exchange()
    third = Pushing(wire)
    client.exchange()
    assert third.answers == []
    assert [type_name for type_name, _, _ in client.pushed()] == ["SetupAckRequest", "PushRequest", "PushRequest"]


def test_a_client_whose_socket_takes_nothing_costs_no_more_than_its_queue() -> None:
    """Nothing is written while the transport is full; when it takes bytes again, all of it goes out in order."""
    wire = Wire(send_queue_bytes_max=100_000)
    client = wire.registered()
    client.transport.blocked = True
    pushes = [Pushing(wire, members=b'"a":"%b"' % (b"x" * 1000)) for _ in range(200)]
    wire.time.turn()
    assert len(client.transport.written) < 300_000
    failed = sum(push.answers == [False] for push in pushes)
    assert 80 <= failed <= 110
    client.transport.blocked = False
    client.connection.resume_writing()
    client.exchange()
    assert len(client.pushed()) == 200 - failed


def test_a_client_is_asked_to_reconnect() -> None:
    """ConnectResetRequest, golden/wire/reset-auth-c2.5.1-s2.5.1.jsonl; only SDKs can follow it."""
    wire = Wire()
    client = wire.registered()
    assert wire.server.reset(CONNECTION_ID)
    assert wire.server.reset(CONNECTION_ID, "10.0.0.9:8848")
    client.exchange()
    assert [body for _, _, body in client.pushed()] == [
        b'{"headers":{},"requestId":"1","module":"internal"}',
        b'{"headers":{},"requestId":"2","serverIp":"10.0.0.9","serverPort":"8848","connectionId":"%b","module":"internal"}'
        % CONNECTION_ID.encode(),
    ]
    assert not wire.server.reset("1_2_3")
    other = wire.client(4001)
    other.set_up(b'{"labels":{"source":"cluster"}}')
    assert not wire.server.reset("1700000000000_10.0.0.5_4001")


def test_a_client_is_given_up() -> None:
    """It is unregistered at once, and its transport ends."""
    wire = Wire()
    client = wire.registered()
    wire.server.disconnect(CONNECTION_ID)
    assert wire.log == ["-" + CONNECTION_ID]
    client.exchange()
    assert client.lost
    assert client.peer.answers[client.stream_id].status == UNAVAILABLE
    wire.server.disconnect(CONNECTION_ID)


# --- detection and keepalive -----------------------------------------------------------------------------------------


def test_a_silent_client_is_asked_and_stays_when_it_answers() -> None:
    """20 s idle, looked at every 3 s."""
    wire = Wire()
    client = wire.registered()
    for _ in range(3):
        wire.advance(19_999)
        assert client.pushed() == []
        wire.advance(3_001)
        ((type_name, _, body),) = client.pushed()
        assert type_name == "ClientDetectionRequest"
        client.acknowledge(body, type_name="ClientDetectionResponse")
    assert wire.log == []


def test_a_client_that_does_not_answer_is_ejected() -> None:
    """After 5 s: unregistered, told by the status of its stream, closed."""
    wire = Wire()
    client = wire.registered()
    wire.advance(24_000)
    assert len(client.pushed()) == 1
    assert wire.log == []
    wire.advance(5_000)
    assert wire.log == ["-" + CONNECTION_ID]
    assert client.lost
    assert client.peer.answers[client.stream_id].status == UNAVAILABLE


def test_calls_and_answers_are_activity() -> None:
    """A client that calls, or answers pushes, is not asked."""
    wire = Wire()
    client = wire.registered()
    for _ in range(10):
        wire.advance(15_000)
        client.call("HealthCheckRequest")
    assert client.pushed() == []
    for _ in range(10):
        Pushing(wire)
        wire.advance(15_000)
        ((_, _, body),) = client.pushed()
        client.acknowledge(body)
    assert wire.log == []


def test_a_client_whose_socket_is_dead_is_cut() -> None:
    """It neither answers the detection nor takes the good-bye."""
    wire = Wire()
    client = wire.registered()
    client.transport.blocked = True
    wire.advance(30_000)
    assert wire.log == ["-" + CONNECTION_ID]
    assert not client.lost
    wire.advance(5_000)
    assert client.transport.aborted
    assert client.lost
    assert not wire.server.transports


def test_a_client_with_a_full_queue_is_looked_after() -> None:
    """Blocked for five minutes: it is asked, although it calls; the question does not fit, so it is gone."""
    wire = Wire(send_queue_bytes_max=1000)
    client = wire.client(peer=Peer(window=100, reads=False))
    client.set_up()
    wire.log.clear()
    Pushing(wire, members=b'"a":"%b"' % (b"x" * 600))
    Pushing(wire, members=b'"a":"%b"' % (b"x" * 600))
    for _ in range(29):
        wire.advance(10_000)
        client.begin("HealthCheckRequest")
        assert not client.lost
    wire.advance(16_000)
    assert wire.log == ["-" + CONNECTION_ID]


def test_a_connection_nobody_registered_is_closed_after_a_silence() -> None:
    """Two minutes without a byte."""
    wire = Wire()
    client = wire.client()
    wire.advance(100_000)
    client.call("ServerCheckRequest")
    wire.advance(119_000)
    assert not client.lost
    wire.advance(4_000)
    assert client.lost
    assert client.peer.goaway == (0, b"")


def test_a_quiet_connection_is_pinged_and_cut_when_no_answer_comes() -> None:
    """keep-alive-time and keep-alive-timeout."""
    wire = Wire(keep_alive_ms=10_000, keep_alive_timeout_ms=4_000)
    client = wire.client()
    wire.advance(60_000)
    assert client.peer.pings == 5
    assert not client.lost
    wire.clients.remove(client)  # it hears nothing any more
    wire.advance(20_000)
    assert client.transport.aborted
    assert client.lost


def test_a_server_without_connections_sleeps() -> None:
    """No timer is armed before the first connection, nor after the last."""
    wire = Wire()
    assert wire.time.armed == 0
    client = wire.registered()
    assert wire.time.armed == 1
    client.transport.lose()
    wire.advance(10_000)
    assert wire.time.armed == 0


def test_what_many_pushes_say_leaves_in_one_write() -> None:
    """A hundred changed services are one system call for each client."""
    wire = Wire()
    client = wire.registered()
    writes: list[bytes] = []
    write = client.transport.write

    def counted(data: bytes) -> None:
        writes.append(data)
        write(data)

    client.transport.write = counted  # type: ignore[method-assign]
    for _ in range(100):
        Pushing(wire)
    client.exchange()
    assert len(client.pushed()) == 100
    assert len(writes) == 1


def test_a_handler_may_push_to_its_own_caller() -> None:
    """Reply and push go out together."""
    wire = Wire()
    client = wire.registered()

    def pushing(*_: Any) -> bytes:
        Pushing(wire)
        return b"{}"

    wire.handle = pushing
    assert client.call("EchoRequest") == ("EchoResponse", {})
    assert len(client.pushed()) == 1


def test_the_names_of_a_payload_may_be_anything() -> None:
    """Types, ips and headers in any script."""
    wire = Wire()
    client = wire.registered()
    seen: list[str | None] = []

    def look(_: Any, request: Echo, headers: Headers) -> bytes:
        seen.append(headers.get("应用"))
        return b'{"name":"%b"}' % request.name.encode()

    wire.handle = look
    assert client.call("EchoRequest", '{"name":"服务"}'.encode(), headers={"应用": "甲"})[1] == {"name": "服务"}
    assert seen == ["甲"]
    assert client.error("请求") == (500, 302, "RequestHandler Not Found")
