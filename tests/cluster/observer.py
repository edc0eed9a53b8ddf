"""A peer of the members that belongs to no group: it asks them what they hold."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from random import randrange

import uvloop

from nacosx.clock import SystemClock
from nacosx.engine.address_book import AddressBook
from nacosx.engine.ports import ForwardReply, Standing
from nacosx.engine.ticker import Ticker
from nacosx.raft.messages import Message
from nacosx.server import GROUP
from nacosx.wire.peers import CapnpPeers, kj_loop
from nacosx.wire.peers_tls import Contexts

ANSWER_S_MAX = 5


class Deaf:
    """`engine.ports.PeerService` of one that is in no group."""

    def on_message(self, sender: str, group: str, message: Message) -> None: ...

    def read_chunk(self, group: str, index: int, offset: int, size: int) -> bytes:
        raise OSError("an observer has no snapshots")

    def standing(self, group: str) -> Standing:
        raise OSError("an observer is in no group")

    async def on_proposals(self, group: str, proposals: Sequence[bytes]) -> Sequence[ForwardReply]:
        raise OSError("an observer is in no group")


class Observer:
    """In a thread of its own, with a connection to each address."""

    def __init__(self, host: str, addresses: Sequence[str], secret: bytes, tls: Contexts | None = None) -> None:
        self._socket = socket.create_server((host, 0))
        self._address = f"{host}:{self._socket.getsockname()[1]}"
        self._book = AddressBook(addresses)
        self._secret = secret
        self._tls = tls
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._started.wait()

    def id(self, address: str) -> str | None:
        """Who answered there last."""
        return self._book.member(address)

    def standing(self, address: str) -> Standing | None:
        """None when it does not answer."""
        asked = asyncio.run_coroutine_threadsafe(self._ask(address), self._loop)
        return asked.result(ANSWER_S_MAX)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    async def _ask(self, address: str) -> Standing | None:
        member = self._book.member(address)
        if member is None or not self._peers.connected(member):
            return None
        try:
            return await self._peers.standing(member, GROUP)
        except OSError:
            return None

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        ticker = Ticker(self._loop, SystemClock())
        self._peers = CapnpPeers(
            "observer",
            self._address,
            self._book,
            Deaf(),
            secret=self._secret,
            tls=self._tls.client if self._tls else None,
            server_tls=self._tls.server if self._tls else None,
            loop=self._loop,
            ticker=ticker,
            random_below=randrange,
        )
        async with kj_loop():
            await self._peers.start(self._socket)
            self._started.set()
            await self._stopping.wait()
            await self._peers.stop()
        ticker.stop()
