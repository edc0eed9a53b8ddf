"""One machine: a disk and a clock that last, and the process that runs on it, if one does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import ClassVar

from nacosx._core.entry import Configuration, Entry
from nacosx._core.segment import CorruptLogError
from nacosx.engine.ports import PeerService, Snapshot
from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.raft.node import RaftNode
from nacosx.engine.raft.refusals import RefusedError
from nacosx.engine.ticker import Ticker
from nacosx.raft.node import Node
from nacosx.raft.options import Options
from nacosx.raft.ready import Role
from tests.sim.disk import Disk, DiskLog
from tests.sim.disk_snapshots import DiskHardStates, DiskSnapshots
from tests.sim.laws import Laws
from tests.sim.loop import Agenda, ProcessClock, ProcessLoop
from tests.sim.network import Network
from tests.sim.options import ShortLog, limits_of, options_of
from tests.sim.peers import SimulatedPeers
from tests.sim.registers import Command, Registers
from tests.sim.script import Settings

GROUP = "registers"


class Surroundings:
    """What the hosts of a cluster share."""

    def __init__(self, seed: int, agenda: Agenda, network: Network, laws: Laws, note: Callable[..., None]) -> None:
        self.seed = seed
        self.agenda = agenda
        self.network = network
        self.laws = laws
        self.note = note
        self.stations: dict[str, Host] = {}


class Host:
    """`laws.Member`, `peers.Station` and `client.Server` are what others see of it."""

    # What `broken` replaces.
    node_of: ClassVar[type[Node]] = Node
    log_of: ClassVar[type[DiskLog]] = DiskLog
    hard_states_of: ClassVar[type[DiskHardStates]] = DiskHardStates
    registers_of: ClassVar[type[Registers]] = Registers

    def __init__(
        self, name: str, around: Surroundings, disk: Disk, clock: ProcessClock, first: Configuration, settings: Settings
    ) -> None:
        self.id = name
        self.disk = disk
        self.clock = clock
        self.incarnation = 0
        self.ruined = False  # what is on the disk is no log any more
        self.process: ProcessLoop | None = None
        self.group: RaftGroup
        self.registers: Registers
        self._around = around
        self._first = first
        self._started = False
        self._settings = settings
        self._groups: RaftNode
        self._log: DiskLog
        self._ticker: Ticker

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
        draw = Random(f"{around.seed} {self.id} {self.incarnation}")
        process = ProcessLoop(around.agenda, self.clock, self.id, self.disk.io_us)  # type: ignore[abstract]
        self.registers = self.registers_of(self._applied)
        self._log = self.log_of(self.disk, process, self._appended)
        self._ticker = Ticker(process, self.clock)
        self.group = RaftGroup(
            GROUP,
            self.registers,
            id=self.id,
            options=self.options(),
            log=self._log,
            hard_states=self.hard_states_of(self.disk, process),
            snapshots=DiskSnapshots(self.disk, process, self._saved),
            peers=SimulatedPeers(
                self.id, process, around.stations, around.network, around.laws, around.note, wire=self._settings.wire
            ),
            ticker=self._ticker,
            loop=process,
            clock=self.clock,
            random_below=draw.randrange,
            configuration=self._first,
            limits=limits_of(self._settings),
        )
        self._groups = RaftNode()
        self._groups.add(self.group)
        self.process = process
        self._started = False
        process.call_soon(self._start)

    def _start(self) -> None:
        self.group.start()
        self.group.node.__class__ = self.node_of
        if self._settings.short:
            self.group.node.log.__class__ = ShortLog
        self._started = True

    def options(self) -> Options:
        return options_of(self._settings)

    def crash(self, survives: str) -> None:
        if self.process is not None:
            self.process.end()
            self._log.crash(survives)
            for timeout in self._ticker.wheel.stop():
                timeout.cancel()  # else it keeps the process for ever: no collector sees what a timeout holds
            self.process = None

    @property
    def halted(self) -> bool:
        """The group has given up: its disk or its machine failed it."""
        return self.started and self.group.ended

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
            self.process.create_task(self.group.stop()).add_done_callback(self._stopped)

    def _stopped(self, stopped: asyncio.Future[None]) -> None:
        stopped.result()
        self.crash("kept")

    def _appended(self, entry: Entry, previous_term: int | None) -> None:
        self._around.laws.appended(self.id, entry, previous_term)

    def _applied(self, index: int, command: Command) -> None:
        self._around.laws.apply(self.id, index, command)

    def _saved(self, snapshot: Snapshot) -> None:
        self._around.laws.snapshot(self.id, snapshot.index, snapshot.rooms["registers"], snapshot.digest)

    # --- peers.Station -----------------------------------------------------------------------------------------------

    @property
    def service(self) -> PeerService:
        return self._groups

    # --- laws.Member -------------------------------------------------------------------------------------------------

    @property
    def node(self) -> Node:
        return self.group.node

    @property
    def term(self) -> int:
        return self.node.term

    @property
    def leads(self) -> bool:
        return self.started and self.node.role is Role.LEADER and not self.group.ended

    @property
    def started(self) -> bool:
        return self.process is not None and self._started

    @property
    def seen_term(self) -> int:
        """What its disk says: known even when it does not run."""
        return self.disk.hard_state.term

    @property
    def applied_index(self) -> int:
        return self.group.applied_index

    @property
    def digest(self) -> int:
        return self.group._caller.digest

    @property
    def snapshot_index(self) -> int:
        return self.disk.snapshot_index

    @property
    def commit_index(self) -> int:
        return self.node.commit_index

    @property
    def last_index(self) -> int:
        return self.node.log.last_index

    @property
    def configuration(self) -> Configuration:
        return self.node.configuration

    def moment(self) -> object:
        group = self.group
        node = group.node
        log = node.log
        return (
            *(node.term, node.role, node.commit_index, log.last_index, log.last_term, node.configuration),
            *(group.applied_index, group.ended),
        )

    def term_at(self, index: int) -> int | None:
        return self.node.log.term(index)
