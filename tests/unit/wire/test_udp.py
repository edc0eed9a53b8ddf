"""The datagram door, on real sockets of the loopback interface."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from nacosx.wire.udp import DatagramDoor

DEADLINE_S = 10

Acknowledgement = tuple[str, int, int]


class Client:
    """A 1.x client: a UDP socket."""

    def __init__(self, family: int = socket.AF_INET, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)
        self.ip, self.port = self.socket.getsockname()[:2]

    async def receive(self) -> tuple[bytes, Any]:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self.socket, readable.set)
        try:
            await asyncio.wait_for(readable.wait(), DEADLINE_S)
        finally:
            loop.remove_reader(self.socket)
        return self.socket.recvfrom(65536)


class House:
    def __init__(self) -> None:
        self.door = DatagramDoor()
        self.acknowledgements: asyncio.Queue[Acknowledgement] = asyncio.Queue()
        self.client = Client()

    async def open(self, host: str = "127.0.0.1") -> None:
        await self.door.open(asyncio.get_running_loop(), host, self.acknowledged)

    def acknowledged(self, ip: str, port: int, reference: int) -> bool:
        self.acknowledgements.put_nowait((ip, port, reference))
        return reference > 0

    async def acknowledgement(self) -> Acknowledgement:
        return await asyncio.wait_for(self.acknowledgements.get(), DEADLINE_S)

    def close(self) -> None:
        self.door.close()
        self.client.socket.close()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[House], Coroutine[Any, Any, None]]], None]:
    def run_story(story: Callable[[House], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            house = House()
            try:
                await story(house)
            finally:
                house.close()

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(whole())

    return run_story


Run = Callable[[Callable[[House], Coroutine[Any, Any, None]]], None]


def test_a_push_goes_out_and_its_acknowledgement_comes_in(run: Run) -> None:
    """The client answers to where the datagram came from, as `push-ack` with the reference as a string."""

    async def story(house: House) -> None:
        await house.open()
        house.door.send(house.client.ip, house.client.port, b'{"type":"dom","data":"{}","lastRefTime":3426100583418}')
        payload, source = await house.client.receive()
        assert json.loads(payload)["type"] == "dom"
        assert source == ("127.0.0.1", house.door.port)
        house.client.socket.sendto(b'{"type": "push-ack", "lastRefTime": "3426100583418", "data": ""}', source)
        assert await house.acknowledgement() == (house.client.ip, house.client.port, 3426100583418)

    run(story)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"hello",
        b"{}",
        b'{"lastRefTime":null}',
        b'{"lastRefTime":1.5}',
        b'{"lastRefTime":"12x"}',
        b'{"lastRefTime":"' + b"9" * 5000 + b'"}',
        b'{"lastRefTime":' + b"9" * 5000 + b"}",
        b"\xff\xfe\x00",
        b"[" * 60_000,
    ],
)
def test_garbage_does_no_harm(run: Run, garbage: bytes) -> None:
    """Whatever arrives: the next acknowledgement is heard."""

    async def story(house: House) -> None:
        await house.open()
        house.client.socket.sendto(garbage, ("127.0.0.1", house.door.port))
        house.client.socket.sendto(b'{"lastRefTime":7}', ("127.0.0.1", house.door.port))
        heard = await house.acknowledgement()
        if heard[2] < 0:  # a number, though an impossible one
            heard = await house.acknowledgement()
        assert heard == (house.client.ip, house.client.port, 7)

    run(story)


def test_what_cannot_be_sent_is_dropped(run: Run) -> None:
    """No address, no such port, nobody there, too large: the door stays open."""

    async def story(house: House) -> None:
        house.door.send(house.client.ip, house.client.port, b"before open")
        await house.open()
        house.door.send("not an address", 80, b"x")
        house.door.send("::1", 80, b"x")
        house.door.send("127.0.0.1", 0, b"x")
        house.door.send("127.0.0.1", 70_000, b"x")
        house.door.send(house.client.ip, house.client.port, b"x" * 70_000)
        house.door.send("127.0.0.1", 9, b"nobody there")
        house.door.send(house.client.ip, house.client.port, b"well")
        assert (await house.client.receive())[0] == b"well"
        house.door.close()
        assert house.door.port == 0
        house.door.send(house.client.ip, house.client.port, b"after close")

    run(story)


def test_an_ipv6_door_speaks_with_ipv4_clients(run: Run) -> None:
    """Bound to every address, the door calls clients by the address they called themselves."""

    async def story(house: House) -> None:
        try:
            await house.open("::")
        except OSError:
            pytest.skip("no IPv6 on this machine")
        house.door.send("127.0.0.1", house.client.port, b"over IPv4")
        payload, source = await house.client.receive()
        assert payload == b"over IPv4"
        house.client.socket.sendto(b'{"lastRefTime":5}', source)
        assert await house.acknowledgement() == ("127.0.0.1", house.client.port, 5)

    run(story)
