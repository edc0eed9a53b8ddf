"""The process as its keepers see it: ports, settings, locks, signals; an error is one line and never a traceback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import grpc
import pytest

from nacosx import __version__
from nacosx.wire.listener import PREFACE
from tests.models import payload
from tests.server import ROOT, ServerProcess, wait_until

ENDS_S_MAX = 20
POLL = (
    b"POST /nacos/v1/cs/configs/listener HTTP/1.1\r\nHost: a\r\nLong-Pulling-Timeout: 30000\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 29\r\n\r\nListening-Configs=d%02g%02%01"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path / "home")
    yield server
    server.kill()


def refused(home: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    """Starts a server that must not start; what it says."""
    ended = subprocess.run(
        [sys.executable, "-m", "nacosx", "start", "--home", str(home), "--host", "127.0.0.1", *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=ENDS_S_MAX,
        check=False,
    )
    assert ended.returncode == 1, ended
    assert "Traceback" not in ended.stderr
    return ended.stderr


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=ENDS_S_MAX) as answer:
        return str(answer.read().decode())


def speaks_http2(port: int) -> bool:
    """The server's preface begins with a SETTINGS frame (RFC 9113 §3.4)."""
    with socket.create_connection(("127.0.0.1", port), ENDS_S_MAX) as sock:
        sock.sendall(PREFACE + b"\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        return sock.recv(9)[3:4] == b"\x04"


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_version_is_told_without_starting_anything() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "nacosx", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout == f"nacosx {__version__}\n"


def test_a_free_pair_of_ports_serves_both_protocols_on_both(server: ServerProcess) -> None:
    server.start()
    assert server.grpc_port == server.port + 1000
    for port in (server.port, server.grpc_port):
        assert get(port, "/nacos/v1/console/health/liveness") == "OK"
        assert speaks_http2(port)
    server.stop()
    assert str(server.home / "data" / "nacosx") in server.printed()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_even_with_a_client_connected(server: ServerProcess, signum: signal.Signals) -> None:
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), ENDS_S_MAX) as idle:
        server.stop(signum)
        assert idle.recv(1) == b""
    assert "Traceback" not in server.printed()


def test_sigusr2_makes_it_tell_the_metrics_of_its_groups(server: ServerProcess) -> None:
    server.start()
    os.kill(server.pid, signal.SIGUSR2)
    wait_until(lambda: "metrics of the group" in server.printed(), "they are told", ENDS_S_MAX)
    [line] = [line for line in server.printed().splitlines() if "metrics of the group" in line]
    for name in ("append-logs", "append-logs-count", "append-logs-bytes", "fsm-commit", "apply-task-overload-times"):
        assert f" {name} " in line
    server.stop()


def test_a_grpc_port_of_ones_own_may_be_the_main_port(server: ServerProcess, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    server.arguments = ("--grpc-port", str(free))
    server.start()
    assert server.grpc_port == free
    assert speaks_http2(free)
    server.stop()

    alone = ServerProcess(tmp_path / "alone", environment={**os.environ, "NACOS_SERVER_GRPC_PORT_OFFSET": "0"})
    try:
        alone.start()
        assert alone.grpc_port == alone.port
        assert speaks_http2(alone.port)
        assert get(alone.port, "/nacos/v1/console/health/liveness") == "OK"
        alone.stop()
    finally:
        alone.kill()


def test_a_second_server_on_the_same_data_is_refused_and_told_who_has_it(server: ServerProcess) -> None:
    server.start()
    said = refused(server.home, "--port", "0")
    assert f"process {server.pid}" in said
    assert get(server.port, "/nacos/v1/console/health/liveness") == "OK"


@pytest.mark.parametrize("offset", [0, 1000])
def test_a_taken_port_is_named(tmp_path: Path, offset: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        main = port - offset if port > offset + 1024 else port
        said = refused(tmp_path / "home", "--port", str(main), *(() if main != port else ("--grpc-port", str(port))))
    assert f"127.0.0.1:{port}" in said


def test_the_home_of_a_java_server_is_read_and_each_unsupported_key_named_once(server: ServerProcess) -> None:
    (server.home / "conf").mkdir(parents=True)
    (server.home / "conf" / "application.properties").write_text(
        "server.servlet.contextPath=/registry\nnacos.core.auth.enabled=false\nserver.tomcat.basedir=file:.\n"
        "nacos.cmdb.loadDataAtStart=false\n"
    )
    server.start()
    assert get(server.port, "/registry/v1/console/health/liveness") == "OK"
    server.stop()
    for key in ("server.tomcat.basedir", "nacos.cmdb.loadDataAtStart"):
        assert server.printed().count(key) == 1
    assert "auth" not in server.printed()


def test_an_open_server_does_not_look_closed(tmp_path: Path) -> None:
    said = refused(tmp_path / "home", "--port", "0", environment={"NACOS_AUTH_ENABLE": "true"})
    assert "NACOS_AUTH_ENABLE=true is not supported yet" in said


def test_a_damaged_log_is_refused_with_its_file(server: ServerProcess) -> None:
    server.start()
    for n in range(50):
        form = f"dataId=d{n}&group=g&content={'x' * 2000}".encode()
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/nacos/v1/cs/configs", form, ENDS_S_MAX).close()
    server.kill()
    segment = min((server.home / "data" / "nacosx" / "log").iterdir())
    content = bytearray(segment.read_bytes())
    content[20_000] ^= 0xFF
    segment.write_bytes(content)
    assert segment.name in refused(server.home, "--port", "0")


def test_a_client_that_reads_nothing_does_not_keep_the_server_from_stopping(server: ServerProcess) -> None:
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), ENDS_S_MAX) as poll:
        poll.sendall(POLL)
        get(server.port, "/nacos/v1/console/health/liveness")  # the poll was there before
        server.stop()


def test_polls_and_streams_are_ended_in_order_when_the_server_stops(server: ServerProcess) -> None:
    """They get their answer, which those who are cut when the grace is over do not."""
    server.start()
    setup = b'{"clientVersion":"Nacos-Test:v1","labels":{"source":"sdk","module":"config"},"abilityTable":{}}'
    with (
        socket.create_connection(("127.0.0.1", server.port), ENDS_S_MAX) as poll,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
    ):
        poll.sendall(POLL)
        get(server.port, "/nacos/v1/console/health/liveness")  # the poll was there before
        check = payload.encode("ServerCheckRequest", b"{}")
        channel.unary_unary("/Request/request")(check, timeout=ENDS_S_MAX)
        setups: SimpleQueue[bytes | None] = SimpleQueue()  # never ends by itself
        setups.put(payload.encode("ConnectionSetupRequest", setup))
        stream = channel.stream_stream("/BiRequestStream/requestBiStream")(iter(setups.get, None))
        assert payload.decode(next(stream))[0] == "SetupAckRequest"
        server.stop()
        said = poll.makefile("rb").read()
        assert said.startswith(b"HTTP/1.1 200")
        assert b"\r\nConnection: close\r\n" in said
        with pytest.raises(grpc.RpcError, match="the server closes this connection"):
            next(stream)
        setups.put(None)


@pytest.mark.parametrize(("version", "refusal"), [("v1", b"HTTP/1.1 500"), ("v2", b'"code":30000')])
def test_a_server_that_stops_is_not_ready(server: ServerProcess, version: str, refusal: bytes) -> None:
    """A request that had begun to come is answered to its end."""
    server.start()
    head, end = f"GET /nacos/{version}/console/health/readiness HTTP/1.1\r\nHost: a\r\n".encode(), b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), ENDS_S_MAX) as asking:
        asking.sendall(head + end)
        assert asking.recv(1 << 16).startswith(b"HTTP/1.1 200")
        asking.sendall(head)
        get(server.port, "/nacos/v1/console/health/liveness")  # the head was there before
        os.kill(server.pid, signal.SIGTERM)
        wait_until(lambda: not listens(server.port), "nobody new is let in", ENDS_S_MAX)
        asking.sendall(end)
        assert refusal in asking.makefile("rb").read()
    server.stop()
