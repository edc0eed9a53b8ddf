"""Members on loopback, each with a service that writes down what it is told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import uvloop

from nacosx._core.entry import Configuration
from nacosx.clock import SystemClock
from nacosx.engine.address_book import AddressBook
from nacosx.engine.ports import ForwardReply, Standing
from nacosx.engine.ticker import Ticker
from nacosx.raft.messages import Message
from nacosx.wire.peers import CapnpPeers, kj_loop

SECRET = b"the secret of the cluster"
SECONDS_MAX = 10.0


STANDING = Standing(3, "b", Configuration(["a", "b"]), 300, 7 << 32 | 1, {256: 0xFFFF_FFFF_FFFF_FFFF})


class Service:
    def __init__(self) -> None:
        self.received: list[tuple[str, str, Message]] = []
        self.on: Callable[[str, str, Message], None] = lambda *_: None

    def on_message(self, sender: str, group: str, message: Message) -> None:
        self.received.append((sender, group, message))
        self.on(sender, group, message)

    def read_chunk(self, group: str, index: int, offset: int, size: int) -> bytes:
        if group != "g":
            raise OSError(f"there is no group {group}")
        return bytes([index]) * min(size, max(0, 100 - offset))

    def standing(self, group: str) -> Standing:
        if group != "g":
            raise OSError(f"there is no group {group}")
        return STANDING

    async def on_proposals(self, group: str, proposals: Sequence[bytes]) -> Sequence[ForwardReply]:
        if group != "g":
            raise OSError(f"there is no group {group}")
        return [ForwardReply(len(proposal), 7, 0, "") for proposal in proposals[:-1]] + [
            ForwardReply(error=1, leader="b")
        ]


class Member:
    """`address` is known before it starts: the socket is bound."""

    def __init__(self, member: str, *, secret: bytes = SECRET, port: int = 0, **options: Any) -> None:
        self.id = member
        self.service = Service()
        self.options = options
        self.secret = secret
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.book = AddressBook()

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    async def start(self, *addresses: str) -> None:
        loop = asyncio.get_running_loop()
        self.book = AddressBook(addresses)
        self.ticker = Ticker(loop, SystemClock())
        random = Random(self.port)
        self.peers = CapnpPeers(
            self.id,
            self.address,
            self.book,
            self.service,
            secret=self.secret,
            loop=loop,
            ticker=self.ticker,
            random_below=random.randrange,
            **self.options,
        )
        await self.peers.start(self.socket)

    async def stop(self) -> None:
        await self.peers.stop()
        self.ticker.stop()


@asynccontextmanager
async def running(*members: Member) -> AsyncIterator[None]:
    """Every one knows the address of every other one."""
    for member in members:
        await member.start(*[other.address for other in members])
    try:
        yield
    finally:
        for member in members:
            await member.stop()


async def eventually(holds: Callable[[], bool]) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SECONDS_MAX
    while not holds():
        assert loop.time() < deadline
        moment = loop.create_future()
        loop.call_later(0.002, moment.set_result, None)
        await moment


async def met(*members: Member) -> None:
    """Everybody is connected to everybody."""
    await eventually(
        lambda: all(one.peers.connected(other.id) for one in members for other in members if one is not other)
    )


async def inside(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async with kj_loop():
        await story()


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(inside(story))
