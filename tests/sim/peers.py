"""The port `Peers` of one process on the simulated network: messages, and calls that are two messages and a deadline."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from nacosx._core.capnp_call import FIRST_QUESTION, Inbox, call
from nacosx.engine.ports import ForwardReply, PeerService
from nacosx.raft.messages import AppendEntriesReply, Message, RequestVoteReply
from nacosx.wire.peers_messages import NODE, Letter, read, rows
from tests.sim.disk import error_of
from tests.sim.laws import Laws
from tests.sim.loop import Handle, ProcessLoop
from tests.sim.network import Network

CALL_MS_MAX = 500

T = TypeVar("T")


class Station(Protocol):
    """A host as the network sees it."""

    @property
    def process(self) -> ProcessLoop | None:
        """None: it does not run."""

    @property
    def service(self) -> PeerService: ...


class SimulatedPeers:
    def __init__(
        self, name: str, process: ProcessLoop, stations: Mapping[str, Station], network: Network,
        laws: Mapping[str, Laws],
        note: Callable[..., None], *, wire: bool,
    ) -> None:  # fmt: skip
        """`wire`: messages travel as the bytes that real members send each other."""
        self._name = name
        self._wire = wire
        self._process = process
        self._stations = stations
        self._network = network
        self._laws = laws
        self._note = note

    def send(self, to: str, group: str, message: Message) -> None:
        if self._process.ended:
            return
        assert to in self._stations, f"{self._name} sends to {to!r}, which is nobody"
        if isinstance(message, RequestVoteReply):
            if message.granted and not message.pre:
                self._laws[group].voted(self._name, message.term, to)
        elif isinstance(message, AppendEntriesReply) and message.success:
            self._laws[group].confirmed(self._name, message.term, message.last_index)
        self._note("send", self._name, to, message)
        carried = encode(group, message) if self._wire else (group, message)
        self._network.carry(self._name, to, self._deliver, to, carried)

    def _deliver(self, to: str, carried: bytes | tuple[str, Message]) -> None:
        station = self._stations[to]
        if station.process is not None:
            group, message = decode(carried) if isinstance(carried, bytes) else carried
            self._note("arrive", self._name, to, message)
            self._run(station.process, station.service.on_message, self._name, group, message)

    async def fetch(self, source: str, group: str, index: int, offset: int, size: int) -> bytes:
        async def answer(service: PeerService) -> bytes:
            return service.read_chunk(group, index, offset, size)

        return await self._call(source, answer)

    async def forward(self, to: str, group: str, proposals: Sequence[bytes]) -> Sequence[ForwardReply]:
        return await self._call(to, lambda service: service.on_proposals(group, proposals))

    async def _call(self, to: str, answer: Callable[[PeerService], Coroutine[Any, Any, T]]) -> T:
        """OSError when the answer is one, or does not come in time."""
        reply: asyncio.Future[T] = self._process.create_future()
        self._network.carry(self._name, to, self._begin, to, answer, reply, once=True)
        deadline = self._process.call_later(CALL_MS_MAX / 1000, refuse, reply, error_of(errno.ETIMEDOUT))
        try:
            return await reply
        finally:
            deadline.cancel()

    def _begin(
        self, to: str, answer: Callable[[PeerService], Coroutine[Any, Any, T]], reply: asyncio.Future[T]
    ) -> None:
        station = self._stations[to]
        process = station.process
        if process is not None:
            self._run(process, lambda: process.create_task(self._answer(to, answer, station.service, reply)))

    async def _answer(
        self,
        to: str,
        answer: Callable[[PeerService], Coroutine[Any, Any, T]],
        service: PeerService,
        reply: asyncio.Future[T],
    ) -> None:
        try:
            result = await answer(service)
        except OSError as error:
            self._network.carry(to, self._name, self._finish, refuse, reply, error, once=True)
        else:
            self._network.carry(to, self._name, self._finish, resolve, reply, result, once=True)

    def _finish(self, how: Callable[..., None], reply: asyncio.Future[T], what: object) -> None:
        self._run(self._process, how, reply, what)

    def _run(self, process: ProcessLoop, callback: Callable[..., object], *args: object) -> None:
        process.agenda.at(process.agenda.now_us, Handle(process, callback, args, False))


def encode(group: str, message: Message) -> bytes:
    return call(FIRST_QUESTION, 0, NODE, rows([Letter(group, message)]))


def decode(data: bytes) -> tuple[str, Message]:
    [(_, _, told)] = Inbox(NODE).take(data)
    assert isinstance(told, list)
    [message] = read(told)
    return message


def refuse(future: asyncio.Future[T], error: OSError) -> None:
    if not future.done():
        future.set_exception(error)


def resolve(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)
