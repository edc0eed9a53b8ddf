"""One port for both protocols, and the pair of ports."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import cast

import pytest
import uvloop

from nacosx.clock import SystemClock
from nacosx.engine.ticker import Ticker
from nacosx.wire.listener import SILENCE_MS_MAX, Doorman, listen, reserve
from tests.fake_transport import FakeTransport
from tests.virtual_time import VirtualTime


class Door(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: asyncio.BaseTransport | None = None
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data


class Doors:
    def __init__(self) -> None:
        self.time = VirtualTime()
        self.http: list[Door] = []
        self.grpc: list[Door] = []
        self.transport = FakeTransport()
        self.ticker = self.time.ticker()
        self.transport.connect(Doorman(self.open_http, self.open_grpc, self.ticker))

    def open_http(self) -> Door:
        self.http.append(Door())
        return self.http[-1]

    def open_grpc(self) -> Door:
        self.grpc.append(Door())
        return self.grpc[-1]

    def receive(self, data: bytes) -> None:
        assert isinstance(self.transport.protocol, asyncio.Protocol)
        self.transport.protocol.data_received(data)


@pytest.mark.parametrize("step", [1, 3, 100])
def test_the_preface_of_http2_goes_to_grpc(step: int) -> None:
    doors = Doors()
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nframes"
    for at in range(0, len(preface), step):
        doors.receive(preface[at : at + step])
    assert doors.http == []
    assert [door.data for door in doors.grpc] == [preface]
    assert doors.grpc[0].transport is doors.transport
    assert doors.ticker.pending == 0


@pytest.mark.parametrize("stream", [b"GET / HTTP/1.1", b"PUT /", b"PRIX", b"PR\0", b"\x16\x03\x01"])
def test_everything_else_goes_to_http(stream: bytes) -> None:
    doors = Doors()
    for at in range(len(stream)):
        doors.receive(stream[at : at + 1])
    assert doors.grpc == []
    assert [door.data for door in doors.http] == [stream]


def test_a_client_that_says_nothing_is_cut_off() -> None:
    doors = Doors()
    doors.receive(b"PR")
    doors.time.advance(SILENCE_MS_MAX)
    assert doors.transport.aborted
    doors.transport.lose()


def test_a_client_that_goes_before_it_spoke_leaves_no_timeout() -> None:
    doors = Doors()
    doors.transport.lose()
    assert doors.ticker.pending == 0


# --- ports ---


def test_port_0_reserves_a_pair_that_is_free() -> None:
    with_taken = [reserve("127.0.0.1", 0, 1000) for _ in range(3)]
    try:
        for main, second in with_taken:
            assert second.getsockname()[1] == main.getsockname()[1] + 1000
    finally:
        for pair in with_taken:
            for sock in pair:
                sock.close()


def test_a_port_that_is_taken_is_told() -> None:
    main, second = reserve("127.0.0.1", 0, 1000)
    with main, second:
        main.listen()
        second.listen()
        port = main.getsockname()[1]
        for wanted in (port, port + 1000 - 500):
            offset = 500
            with pytest.raises(
                OSError, match=f"cannot bind 127.0.0.1:{port}|cannot bind 127.0.0.1:{port + 1000}"
            ) as told:
                reserve("127.0.0.1", wanted, offset)
            assert told.value.errno == errno.EADDRINUSE


def test_a_pair_beyond_the_last_port_cannot_be() -> None:
    with pytest.raises(OSError, match=r"cannot bind 127\.0\.0\.1:65600"):
        reserve("127.0.0.1", 64600, 1000)
    with pytest.raises(OSError, match="no free pair"):
        reserve("127.0.0.1", 0, 65535)


def test_both_protocols_are_served_on_a_real_socket() -> None:
    """The hand-over works with the transports of uvloop."""

    class Greeter(Door):
        def __init__(self, greeting: bytes) -> None:
            super().__init__()
            self.greeting = greeting

        def data_received(self, data: bytes) -> None:
            transport = cast(asyncio.Transport, self.transport)
            transport.write(self.greeting + data)
            transport.close()

    async def ask(port: int, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def story() -> None:
        loop = asyncio.get_running_loop()
        main, second = reserve("127.0.0.1", 0, 1000)
        second.close()
        ticker = Ticker(loop, SystemClock())
        server = await listen(loop, main, lambda: Greeter(b"1:"), lambda: Greeter(b"2:"), ticker)
        port = main.getsockname()[1]
        try:
            assert await ask(port, b"GET /") == b"1:GET /"
            assert await ask(port, b"PRI * HTTP/2.0") == b"2:PRI * HTTP/2.0"
        finally:
            server.close()
            await server.wait_closed()
        assert ticker.pending == 0
        ticker.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())


def test_ipv6_has_pairs_too() -> None:
    try:
        main, second = reserve("::1", 0, 1000)
    except OSError as error:
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            pytest.skip("this machine has no IPv6")
        raise
    with main, second:
        assert main.family == socket.AF_INET6
