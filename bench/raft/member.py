"""`python -m bench.raft.member NUMBER HOME PEER_PORT… GRPC_PORT…`: one of our three members, a `bench.driver` process.

What the server is made of, with a machine that only counts: the log on disk, the rules, Cap'n Proto to the other members, and
a gRPC door for puts. The commands::

    commit IN_FLIGHT SECONDS BYTES    rate p50 p99, on the leader
    read IN_FLIGHT SECONDS            rate p50 p99, on the leader
    state                             leads (0, 1), applied: the index
    succeed DEAD                      at: when this member has committed an entry as the leader after the member numbered DEAD
                                      (nanoseconds of CLOCK_MONOTONIC), or 0 when another one leads
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from random import randrange

import msgspec
import uvloop

from bench.raft.load import run
from bench.raft.put_lines import PUT_TYPE
from bench.raft.puts import HOST
from nacosx import garbage
from nacosx._core.entry import Configuration
from nacosx.api.grpc import internal
from nacosx.api.grpc.rpc import Connection, Headers, Rpc
from nacosx.api.later import Later
from nacosx.clock import SystemClock
from nacosx.engine.address_book import AddressBook
from nacosx.engine.ports import StateMachine
from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.raft.node import RaftNode
from nacosx.engine.ticker import Ticker
from nacosx.storage.hard_state import HardStateFile
from nacosx.storage.log import SegmentedLog
from nacosx.storage.snapshots import SnapshotDirectory
from nacosx.wire.grpc import GrpcServer
from nacosx.wire.listener import bind
from nacosx.wire.peers import CapnpPeers, kj_loop

GROUP = "bench"
SECRET = b"the secret of bench raft, which guards nothing"
LOOK_S = 0.002
PUT_REPLY = b'{"resultCode":200,"errorCode":0,"success":true}'


class Counter(StateMachine):
    """Counts what is applied."""

    def __init__(self) -> None:
        self.count = 0

    def encode(self, command: bytes) -> bytes:
        return command

    def decode(self, data: bytes) -> bytes:
        return data

    def apply(self, index: int, command: bytes) -> int:
        self.count += 1
        return index

    def snapshot(self) -> Mapping[str, bytes]:
        return {"count": self.count.to_bytes(8, "little")}

    def restore(self, index: int, snapshot: Mapping[str, bytes]) -> None:
        self.count = int.from_bytes(snapshot["count"], "little")

    def leader_started(self, term: int) -> None:
        return None

    def leader_stopped(self) -> None:
        return None

    def configuration_committed(self, configuration: Configuration, index: int) -> None:
        return None

    def recovered(self, index: int, last_index: int) -> None:
        return None

    def batch_applied(self, index: int, replayed: bool) -> None:
        return None

    async def sync(self, index: int) -> None:
        return None


class PutRequest(msgspec.Struct):
    value: str


class Member:
    def __init__(self, number: int, home: Path, peer_ports: list[int], grpc_ports: list[int]) -> None:
        self._loop = asyncio.get_running_loop()
        clock = SystemClock()
        self._ticker = Ticker(self._loop, clock)
        self._log = SegmentedLog(home / "log", self._loop)
        node = RaftNode()
        addresses = [f"{HOST}:{port}" for port in peer_ports]
        self._peers = CapnpPeers(
            name(number),
            addresses[number],
            AddressBook(addresses),
            node,
            secret=SECRET,
            loop=self._loop,
            ticker=self._ticker,
            random_below=randrange,
        )
        self._group = RaftGroup(
            GROUP,
            Counter(),
            id=name(number),
            configuration=Configuration([name(each) for each in range(len(peer_ports))]),
            log=self._log,
            hard_states=HardStateFile(home / "raft"),
            snapshots=SnapshotDirectory(home / "snapshots"),
            peers=self._peers,
            ticker=self._ticker,
            loop=self._loop,
            clock=clock,
            random_below=randrange,
        )
        node.add(self._group)
        self._peer_socket = bind(HOST, peer_ports[number])
        self._grpc_socket = bind(HOST, grpc_ports[number])
        self._grpc = GrpcServer(self._loop, self._ticker, clock, ignore, ignore)
        self._grpc.serve(internal.rpcs() | {PUT_TYPE: Rpc(PutRequest, "BenchPutResponse", self._put)})

    async def start(self) -> None:
        await self._peers.start(self._peer_socket)
        self._group.start()
        await self._loop.create_server(self._grpc.connection, sock=self._grpc_socket, backlog=1024)
        self._grpc.started = True

    async def stop(self) -> None:
        await self._grpc.stop(1000)
        await self._group.stop()
        await self._peers.stop()
        self._ticker.stop()
        self._log.close()

    async def answer(self, words: list[str]) -> str:
        match words:
            case ["commit", in_flight, seconds, size]:
                data = b"e" * int(size)
                return await run(partial(self._group.propose, data), int(in_flight), float(seconds))
            case ["read", in_flight, seconds]:
                return await run(self._group.read_index, int(in_flight), float(seconds))
            case ["state"]:
                return f"leads {int(self._group.is_leader)} applied {self._group.applied_index}"
            case ["succeed", dead]:
                return f"at {await self._succeed(name(int(dead)))}"
        return f"error unknown command {' '.join(words)}"

    async def _succeed(self, dead: str) -> int:
        while not self._group.is_leader:
            if self._group.leader not in ("", dead):
                return 0
            await asyncio.sleep(LOOK_S)
        await self._group.propose(b"the first")
        return time.monotonic_ns()

    def _put(self, connection: Connection, request: PutRequest, headers: Headers) -> Later[bytes]:
        return Later(self._group.propose(request.value.encode()), PUT_REPLY)


def name(number: int) -> str:
    return f"m{number}"


def ignore(_: object) -> None:
    return None


async def main(arguments: list[str]) -> None:
    ports = list(map(int, arguments[2:]))
    async with kj_loop():
        member = Member(int(arguments[0]), Path(arguments[1]), ports[: len(ports) // 2], ports[len(ports) // 2 :])
        await member.start()
        garbage.settle()
        await obey(member)
        await member.stop()


async def obey(member: Member) -> None:
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print("ready", flush=True)
    while line := await commands.readline():
        try:
            answer = await member.answer(line.decode().split())
        except Exception as error:
            answer = f"error {error!r}"
        print(answer, flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
