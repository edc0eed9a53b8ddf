"""Snapshots of a group: SOFAJRaft's SnapshotExecutor.

They keep the log short: the machine is encoded on the loop, written in a thread, and the log is cut once no projection needs
it. A member whose log begins too late for a follower offers its snapshot instead; the follower fetches it in chunks, no faster
than it may, and takes its place among its own before anything else changes.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nacosx._core.entry import Configuration
from nacosx.clock import Clock
from nacosx.engine.ports import IncomingSnapshot, LogStorage, Peers, Snapshot, Snapshots, StateMachine
from nacosx.engine.raft.fsm_caller import FSMCaller, MachineError
from nacosx.engine.raft.limits import Limits
from nacosx.engine.raft.metrics import RaftMetrics
from nacosx.engine.ticker import Ticker
from nacosx.raft.messages import InstallSnapshot
from nacosx.raft.node import Node

log = logging.getLogger(__name__)

SERVED_MAX = 3  # times that others begin to fetch one snapshot before another is taken

Result = TypeVar("Result")


class SnapshotExecutor:
    """invariant: one snapshot at a time is written or installed."""

    def __init__(
        self,
        group: str,
        machine: StateMachine,
        caller: FSMCaller,
        entries: LogStorage,
        snapshots: Snapshots,
        peers: Peers,
        *,
        node: Node,
        told: Callable[[], None],
        installed: Callable[[int], None],
        quiet: Callable[[], Awaitable[None]],
        halt: Callable[[Exception], None],
        initial: Configuration,
        loop: asyncio.AbstractEventLoop,
        ticker: Ticker,
        clock: Clock,
        limits: Limits,
        metrics: RaftMetrics,
    ) -> None:
        """`told()`: the rules have heard something; `installed(index)`: of a snapshot. `quiet()` returns when nothing waits for
        the disk."""
        self.rooms_bytes = 0  # of the last one
        self._served_index = 0  # the one that others fetch
        self._served = 0  # how often
        self.task: asyncio.Task[None] | None = None
        self._offer: tuple[str, InstallSnapshot] | None = None  # what `task` is to install
        self._group = group
        self._machine = machine
        self._caller = caller
        self._entries = entries
        self._snapshots = snapshots
        self._peers = peers
        self._node = node
        self._told = told
        self._installed = installed
        self._quiet = quiet
        self._halt = halt
        self._initial = initial
        self._loop = loop
        self._ticker = ticker
        self._clock = clock
        self._limits = limits
        self._metrics = metrics

    # --- taking ------------------------------------------------------------------------------------------------------

    def maybe_save(self) -> None:
        """Begins one: there are enough entries or bytes, unless the last one holds more than they do."""
        if self._caller.entries_bytes >= self.rooms_bytes and self.task is None:
            self.begin()

    def begin(self) -> asyncio.Task[None]:
        """Takes one now; the one under way when there is one."""
        if self.task is None:
            self.task = self._loop.create_task(self._save())
        return self.task

    async def _save(self) -> None:
        """A failure is logged: the log is longer than it need be, and the next trigger tries again."""
        caller, raft_log = self._caller, self._node.log
        index = caller.applied_index
        if index > raft_log.applied_index:  # a sole voter that has not led yet
            self.task = None
            return
        caller.entries = caller.entries_bytes = 0
        started_ms = self._clock.monotonic_ms()
        try:
            term = raft_log.term(index)
            assert term is not None, "what was applied is in the log, or in the last snapshot"
            rooms = dict(self._machine.snapshot())
            self.rooms_bytes = sum(map(len, rooms.values()))
            configuration = caller.configuration or self._initial
            snapshot = Snapshot(index, term, configuration, caller.digest, rooms)
            oldest_kept, size = await self._in_thread(self._write, snapshot)
            await self._machine.sync(oldest_kept)
        except OSError as error:
            log.error("no snapshot at %d, the log stays as long as it is: %s", index, error)
        except Exception:
            log.exception("no snapshot at %d, the log stays as long as it is", index)
        else:
            self._node.snapshot_taken(index, term, size)
            self._entries.truncate_prefix(oldest_kept + 1)
            self._metrics.fsm_snapshot_save.add(self._clock.monotonic_ms() - started_ms)
        finally:
            self.task = None

    def _write(self, snapshot: Snapshot) -> tuple[int, int]:
        return self._snapshots.save(snapshot), self._snapshots.size(snapshot.index)  # io

    # --- serving and installing --------------------------------------------------------------------------------------

    def read_chunk(self, index: int, offset: int, size: int) -> bytes:
        """For another member; OSError."""
        if not offset:
            self._serve_anew(index)
        chunk = self._snapshots.read(index, offset, min(size, self._limits.snapshot_chunk_bytes))  # io
        self._metrics.replicate_snapshot_bytes += len(chunk)
        return chunk

    def _serve_anew(self, index: int) -> None:
        """One that is fetched again and again may be damaged on this disk, which only who gets it notices. The state is not."""
        if index != self._served_index:
            self._served_index, self._served = index, 0
        self._served += 1
        if self._served > SERVED_MAX and self.task is None:
            self._served = 0
            self.begin()

    def install(self, leader: str, offer: InstallSnapshot) -> None:
        """Fetches what the leader offers; the rules hear of the end. A newer offer takes the place of one that is being
        fetched; one that comes while a snapshot is taken is refused."""
        if self.task is None:
            self._offer = leader, offer
            self.task = self._loop.create_task(self._install())
        elif self._offer is not None:
            self._offer = leader, offer
        else:
            self._failed()

    async def _install(self) -> None:
        try:
            while (offer := self._offer) is not None:
                await self._install_offered(*offer)
                if self._offer is offer:
                    self._offer = None
        finally:
            self.task = None

    async def _install_offered(self, leader: str, offer: InstallSnapshot) -> None:
        started_ms = self._clock.monotonic_ms()
        try:
            snapshot = await self._fetch(leader, offer)
            await self._quiet()
            wanted = self._node.snapshot_wanted
            if (
                wanted is None or wanted[1].last_index != snapshot.index
            ):  # the log was faster, or a newer one is offered
                self._give_up(offer)
                return
            self._entries.reset(snapshot.index + 1)  # io
        except (OSError, ValueError) as error:
            log.warning("the snapshot at %d of %s was not installed: %s", offer.last_index, leader, error)
            self._give_up(offer)
        else:
            self._adopt(snapshot, offer)
            self._metrics.fsm_snapshot_load.add(self._clock.monotonic_ms() - started_ms)

    def _give_up(self, offer: InstallSnapshot) -> None:
        if not self._superseded(offer):
            self._failed()

    def _superseded(self, offer: InstallSnapshot) -> bool:
        return self._offer is not None and self._offer[1] is not offer

    def _adopt(self, snapshot: Snapshot, offer: InstallSnapshot) -> None:
        try:
            self._machine.restore(snapshot.index, snapshot.rooms)
        except (ValueError, KeyError, OSError) as error:
            text = f"the snapshot at entry {snapshot.index} cannot be taken over: {error!r}"
            self._halt(MachineError(text))
            return
        self.rooms_bytes = sum(map(len, snapshot.rooms.values()))
        self._caller.restored(snapshot.index, snapshot.digest, offer.configuration)
        self._caller.entries = self._caller.entries_bytes = 0
        self._machine.configuration_committed(offer.configuration, snapshot.index)
        self._machine.batch_applied(snapshot.index, False)
        self._node.snapshot_installed(snapshot.index, snapshot.term)
        self._installed(snapshot.index)

    def _failed(self) -> None:
        self._node.snapshot_failed()
        self._told()

    async def _fetch(self, leader: str, offer: InstallSnapshot) -> Snapshot:
        """OSError, ValueError."""
        index, size = offer.last_index, offer.size
        incoming: IncomingSnapshot = await self._in_thread(self._snapshots.receive, index, size)
        try:
            offset = 0
            while offset < size:
                wanted = min(size - offset, self._limits.snapshot_chunk_bytes)
                chunk = await self._peers.fetch(leader, self._group, index, offset, wanted)
                if not chunk:
                    raise ValueError(f"it ends at {offset} of {size} bytes")
                await self._in_thread(incoming.write, chunk)
                offset += len(chunk)
                await self._throttle(len(chunk))
                if self._superseded(offer):
                    raise OSError(errno.ECANCELED, "a newer one is offered")
            snapshot: Snapshot = await self._in_thread(incoming.finish)
        except BaseException:
            incoming.discard()
            raise
        if snapshot.term != offer.last_term:
            raise ValueError(f"it is of term {snapshot.term}, {offer.last_term} was offered")
        return snapshot

    async def _throttle(self, size: int) -> None:
        """limit: the bytes a second that arrive."""
        if self._limits.snapshot_bytes_per_s_max:
            waits = self._loop.create_future()
            delay_ms = -(-size * 1000 // self._limits.snapshot_bytes_per_s_max)
            timeout = self._ticker.schedule(delay_ms, waits.set_result)
            try:
                await waits
            finally:
                timeout.cancel()

    async def _in_thread(self, call: Callable[..., Result], *arguments: object) -> Result:
        return await self._loop.run_in_executor(None, call, *arguments)
