"""Members of one group in one process, on disks in memory, a network of lists and a clock that moves when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nacosx._core.entry import Configuration
from nacosx.engine.ports import ForwardReply, StateMachine
from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.raft.limits import Limits
from nacosx.engine.raft.node import RaftNode
from nacosx.errors import CONFIG_CONFLICT, NacosError
from nacosx.raft.messages import Message
from nacosx.raft.options import Options
from tests.memory_storage import MemoryHardStates, MemoryLog, MemorySnapshots
from tests.turns import turn
from tests.virtual_time import VirtualTime

GROUP = "g"
ROUNDS_MAX = 200  # turns until nothing moves any more; more is a busy loop
THREAD_S = 0.001  # real time, for a thread to be done with a part of a snapshot; then the others have their turn
QUIET_ROUNDS = 10  # of THREAD_S, in which a snapshot under way does nothing more
ELECTION_MS = 5000  # longer than any election takes


class Words(StateMachine):
    """A list of words; the same word twice in a row is refused, "bug" is a bug. What was told is in `told`."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.told: list[str] = []
        self.asked = 0  # times what was written
        self.bug: Exception | None = None

    def encode(self, command: str) -> bytes:
        return command.encode()

    def decode(self, data: bytes) -> str:
        return data.decode()

    def apply(self, index: int, command: str) -> int:
        if command == "bug" and self.bug is not None:
            raise self.bug
        if self.words[-1:] == [command]:
            raise NacosError(CONFIG_CONFLICT, f"{command} again")
        self.words.append(command)
        return len(self.words)

    def written(self, command: str) -> bytes:
        self.asked += 1
        return f"{len(self.words)} {self.words[-1]}".encode()

    def snapshot(self) -> Mapping[str, bytes]:
        return {"words": " ".join(self.words).encode()}

    def restore(self, index: int, snapshot: Mapping[str, bytes]) -> None:
        self.words = snapshot["words"].decode().split()

    def leader_started(self, term: int) -> None:
        self.told.append(f"leads in term {term}")

    def leader_stopped(self) -> None:
        self.told.append("leads no more")

    def configuration_committed(self, configuration: Configuration, index: int) -> None:
        self.told.append(f"members {' '.join(configuration.peers)}")


class Member:
    """One of them, which can be ended and started again on its disk."""

    def __init__(self, cluster: Cluster, name: str, members: Sequence[str]) -> None:
        self.cluster = cluster
        self.name = name
        self.members = members
        self.log = MemoryLog()
        self.hard_states = MemoryHardStates()
        self.snapshots = MemorySnapshots()
        self.disk_works = True  # else nothing that waits gets to it
        self.start()

    def start(self) -> None:
        self.machine = Words()
        self.node = RaftNode()
        self.group = RaftGroup(
            GROUP,
            self.machine,
            id=self.name,
            configuration=Configuration(self.members),
            log=self.log,
            hard_states=self.hard_states,
            snapshots=self.snapshots,
            peers=Peers(self.cluster, self.name),
            ticker=self.cluster.time.ticker(),
            loop=asyncio.get_running_loop(),
            clock=self.cluster.time.clock,
            random_below=lambda below: (ord(self.name) * 97) % below,
            options=self.cluster.options,
            limits=self.cluster.limits,
        )
        self.node.add(self.group)
        self.group.start()

    def kill(self) -> None:
        """It says nothing more; what was not on disk is not there."""
        self.group._ended = self.group._ended or NacosError(CONFIG_CONFLICT, "killed")  # type: ignore[assignment]
        self.log.appends.clear()


class Peers:
    def __init__(self, cluster: Cluster, sender: str) -> None:
        self.cluster = cluster
        self.sender = sender

    def send(self, to: str, group: str, message: Message) -> None:
        self.cluster.sent.append((self.sender, to, message))

    async def fetch(self, source: str, group: str, index: int, offset: int, size: int) -> bytes:
        return self.cluster.chunk(self._reach(source).node.read_chunk(group, index, offset, size))

    async def forward(self, to: str, group: str, proposals: Sequence[bytes]) -> Sequence[ForwardReply]:
        return await self._reach(to).node.on_proposals(group, proposals)

    def _reach(self, to: str) -> Member:
        if not self.cluster.connected(self.sender, to):
            raise OSError("no way to it")
        return self.cluster[to]


class Cluster:
    def __init__(self, names: str = "abc", *, limits: Limits | None = None, options: Options | None = None) -> None:
        self.time = VirtualTime()
        self.limits = limits or Limits()
        self.options = options or Options()
        self.sent: list[tuple[str, str, Message]] = []
        self.cut: set[str] = set()  # members that nobody reaches
        self.lose: Callable[[str, str, Message], bool] = lambda sender, to, message: False
        self.chunk: Callable[[bytes], bytes] = lambda chunk: chunk  # what becomes of one on its way
        self.members: dict[str, Member] = {}
        for name in names:
            self.members[name] = Member(self, name, list(names))

    def __getitem__(self, name: str) -> Member:
        return self.members[name]

    def join(self, name: str) -> Member:
        """A member that knows of nobody, and waits to be found."""
        self.members[name] = Member(self, name, [])
        return self.members[name]

    def connected(self, sender: str, to: str) -> bool:
        return to in self.members and sender not in self.cut and to not in self.cut

    async def settle(self) -> None:
        """Until nothing moves any more while no time passes."""
        quiet = 0
        for _ in range(ROUNDS_MAX):
            await turn()
            self.time.turn()
            sent, self.sent = self.sent, []
            waits = False
            for sender, to, message in sent:
                if self.connected(sender, to) and not self.lose(sender, to, message):
                    self[to].node.on_message(sender, GROUP, message)
            for member in self.members.values():
                if member.log.appends and member.disk_works:
                    waits = True
                    member.log.sync()
            tasks = [member.group.snapshot_task for member in self.members.values()]
            running = {task for task in tasks if task is not None}
            if running:
                await asyncio.wait(running, timeout=THREAD_S)
            if sent or waits or self.sent or self._scheduled:
                quiet = 0
            elif not running or quiet == QUIET_ROUNDS:  # a snapshot may wait for time to pass
                return
            else:
                quiet += 1
        raise AssertionError("it never settles")

    @property
    def _scheduled(self) -> bool:
        return any(member.group._scheduled for member in self.members.values())

    async def advance(self, delay_ms: int, step_ms: int = 50) -> None:
        for _ in range(0, delay_ms, step_ms):
            self.time.advance(step_ms)
            await self.settle()

    async def leader(self) -> Member:
        """Lets time pass until there is one that all who are reached agree on."""
        for _ in range(0, ELECTION_MS, 50):
            await self.settle()
            reached = [member for member in self.members.values() if member.name not in self.cut]
            leaders = [member for member in reached if member.group.is_leader]
            if len(leaders) == 1 and all(member.group.leader == leaders[0].name for member in reached):
                return leaders[0]
            await self.advance(50)
        raise AssertionError("nobody is elected")

    async def others(self) -> list[Member]:
        leader = await self.leader()
        return [member for member in self.members.values() if member is not leader]

    async def propose(self, member: Member, *words: str) -> list[Any]:
        """The results, or the refusals."""
        futures = [member.group.propose(word) for word in words]
        await self.settle()
        return await asyncio.gather(*futures, return_exceptions=True)

    def words(self) -> list[list[str]]:
        return [member.machine.words for member in self.members.values()]
