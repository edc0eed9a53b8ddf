"""One machine: a disk and a clock that last, and the process that runs on it, if one does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import ClassVar

from nacosx._core.entry import Configuration
from nacosx._core.segment import CorruptLogError
from nacosx.engine.ports import PeerService, Snapshot
from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.raft.node import RaftNode
from nacosx.engine.raft.refusals import RefusedError
from nacosx.engine.ticker import Ticker
from nacosx.raft.node import Node
from nacosx.raft.options import Options
from tests.sim.disk import Disk, DiskLog
from tests.sim.disk_snapshots import DiskHardStates, DiskSnapshots
from tests.sim.laws import Laws
from tests.sim.loop import Agenda, ProcessClock, ProcessLoop
from tests.sim.member import GroupMember
from tests.sim.network import Network
from tests.sim.options import ShortLog, limits_of, options_of
from tests.sim.peers import SimulatedPeers
from tests.sim.registers import Registers
from tests.sim.script import Settings

GROUP = "registers"
COMPANION = "companion"


class Surroundings:
    """What the hosts of a cluster share."""

    def __init__(
        self, seed: int, agenda: Agenda, network: Network, laws: Mapping[str, Laws], note: Callable[..., None]
    ) -> None:
        self.seed = seed
        self.agenda = agenda
        self.network = network
        self.laws = laws  # by group
        self.note = note
        self.stations: dict[str, Host] = {}


class Companion(GroupMember):
    """Of a second group of the same hosts (MULTI-RAFT-GROUP): it shares process, ticker and peers with the first."""

    def __init__(self, host: Host, disk: Disk) -> None:
        self.id = host.id
        self.disk = disk
        self.log: DiskLog
        self._host = host

    @property
    def incarnation(self) -> int:  # type: ignore[override]
        return self._host.incarnation

    @property
    def started(self) -> bool:
        return self._host.started


class Host(GroupMember):
    """`laws.Member`, `peers.Station` and `client.Server` are what others see of it."""

    # What `broken` replaces.
    node_of: ClassVar[type[Node]] = Node
    log_of: ClassVar[type[DiskLog]] = DiskLog
    hard_states_of: ClassVar[type[DiskHardStates]] = DiskHardStates
    registers_of: ClassVar[type[Registers]] = Registers

    def __init__(
        self, name: str, around: Surroundings, disk: Disk, clock: ProcessClock, first: Configuration, settings: Settings,
        companions: Disk | None,
    ) -> None:  # fmt: skip
        """`companions` is where the member of the second group keeps what it has, if there is one."""
        self.id = name
        self.disk = disk
        self.clock = clock
        self.incarnation = 0
        self.ruined = False  # what is on the disk is no log any more
        self.process: ProcessLoop | None = None
        self.log: DiskLog
        self.companion = None if companions is None else Companion(self, companions)
        self._around = around
        self._first = first
        self._started = False
        self._settings = settings
        self._groups: RaftNode
        self._ticker: Ticker
        self._peers: SimulatedPeers

    # --- the life of a host ------------------------------------------------------------------------------------------

    def start(self) -> None:
        if self.process is not None or self.ruined:
            return
        try:
            self.disk.open()
        except CorruptLogError:
            self.ruined = True
            return
        around = self._around
        self.incarnation += 1
        process = ProcessLoop(around.agenda, self.clock, self.id, self.disk.io_us)  # type: ignore[abstract]
        self._ticker = Ticker(process, self.clock)
        self._peers = SimulatedPeers(
            self.id, process, around.stations, around.network, around.laws, around.note, wire=self._settings.wire
        )
        self._groups = RaftNode()
        self._build(GROUP, self, process, Random(f"{around.seed} {self.id} {self.incarnation}"))
        if self.companion is not None:
            self.companion.disk.open()
            self._build(
                COMPANION, self.companion, process, Random(f"companion {around.seed} {self.id} {self.incarnation}")
            )
        self.process = process
        self._started = False
        process.call_soon(self._start)

    def _build(self, name: str, member: Host | Companion, process: ProcessLoop, draw: Random) -> None:
        laws, disk = self._around.laws[name], member.disk

        def saved(snapshot: Snapshot) -> None:
            laws.snapshot(member.id, snapshot.index, snapshot.rooms["registers"], snapshot.digest)

        member.registers = self.registers_of(partial(laws.apply, member.id))
        member.log = self.log_of(disk, process, partial(laws.appended, member.id))
        member.group = RaftGroup(
            name,
            member.registers,
            id=self.id,
            options=self.options(),
            log=member.log,
            hard_states=self.hard_states_of(disk, process),
            snapshots=DiskSnapshots(disk, process, saved),
            peers=self._peers,
            ticker=self._ticker,
            loop=process,
            clock=self.clock,
            random_below=draw.randrange,
            configuration=self._first,
            limits=limits_of(self._settings),
        )
        self._groups.add(member.group)

    def _start(self) -> None:
        for member in self.members:
            member.group.start()
            member.group.node.__class__ = self.node_of
            if self._settings.short:
                member.group.node.log.__class__ = ShortLog
        self._started = True

    @property
    def members(self) -> list[Host | Companion]:
        """Of its groups."""
        return [self] if self.companion is None else [self, self.companion]

    def options(self) -> Options:
        return options_of(self._settings)

    def crash(self, survives: str) -> None:
        if self.process is not None:
            self.process.end()
            for member in self.members:
                member.log.crash(survives)
            for timeout in self._ticker.wheel.stop():
                timeout.cancel()  # else it keeps the process for ever: no collector sees what a timeout holds
            self.process = None

    def later(self, do: Callable[[], object]) -> None:
        """In a turn of its own loop."""
        if self.process is not None:
            self.process.call_soon(do)

    def ask(self, ask: Callable[[], object]) -> None:
        """A refusal is an answer; so is what becomes of the future."""
        try:
            answer = ask()
        except RefusedError as refusal:
            self._around.note("refused", self.id, str(refusal))
        else:
            if asyncio.iscoroutine(answer):
                assert self.process is not None
                answer = self.process.create_task(answer)
            if isinstance(answer, asyncio.Future):
                answer.add_done_callback(self._told)

    def _told(self, future: asyncio.Future[object]) -> None:
        error = future.exception()
        self._around.note("told", self.id, str(error))
        if error is not None and not isinstance(error, (RefusedError, OSError)):
            raise error

    def story(self) -> str:
        if self.process is None:
            return f"{self.id} {'is ruined' if self.ruined else 'is down'}"
        state = "halted" if self.halted else self.node.role.value
        log = f"log {self.node.log.first_index}…{self.last_index}"
        told = f"{self.id} {state} term {self.term} leader {self.node.leader!r} {log}"
        return f"{told} commit {self.commit_index} applied {self.applied_index} of {','.join(self.configuration.peers)}"

    def stop(self) -> None:
        if self.started and self.process is not None:
            self.process.create_task(self._groups.stop()).add_done_callback(self._stopped)

    def _stopped(self, stopped: asyncio.Future[None]) -> None:
        stopped.result()
        self.crash("kept")

    # --- peers.Station -----------------------------------------------------------------------------------------------

    @property
    def service(self) -> PeerService:
        return self._groups

    # --- laws.Member -------------------------------------------------------------------------------------------------

    @property
    def started(self) -> bool:
        return self.process is not None and self._started

    @property
    def seen_term(self) -> int:
        """What its disk says: known even when it does not run."""
        return self.disk.hard_state.term
