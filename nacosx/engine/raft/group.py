"""One Raft group of this process: it carries out what the rules say.

::

    propose ─→ apply queue ─batch→ node.propose ─┐                    ┌→ log (disk thread) ─on_durable→ node.stable ─┐
    on_message ──────────────────→ node.step ────┼→ node.ready ─Ready─┼→ messages to the other members               │
    ticker ──────────────────────→ node.tick ────┘        ↑           └→ committed: FSMCaller ─→ the proposer        │
                                                          └──────────────────────────────────────────────────────────┘

Everything that happens in one turn of the loop is handed to the rules at once, and what they want done is done in one go. Alone
in its group a member is a leader whose quorum is its own disk.

After a disk that failed a leader steps down: its proposers hear of it, the state serves reads. A sole voter tries the disk
again with the next proposal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from nacosx._core.entry import Configuration
from nacosx._core.segment import CorruptLogError
from nacosx._core.wheel import Timeout
from nacosx.clock import Clock
from nacosx.engine.ports import ForwardReply, HardStates, LogStorage, Peers, Snapshots, StateMachine
from nacosx.engine.raft.apply_queue import ApplyQueue, Task
from nacosx.engine.raft.closure_queue import ClosureQueue
from nacosx.engine.raft.disk_operations import DiskOperations
from nacosx.engine.raft.forwarder import Forwarder
from nacosx.engine.raft.fsm_caller import FSMCaller, MachineError
from nacosx.engine.raft.gathering import Gathering
from nacosx.engine.raft.limits import Limits
from nacosx.engine.raft.member_operations import MemberOperations
from nacosx.engine.raft.membership import Membership
from nacosx.engine.raft.metrics import RaftMetrics
from nacosx.engine.raft.read_only_service import ReadOnlyService
from nacosx.engine.raft.recovery import RecoveryError, restore
from nacosx.engine.raft.refusals import EBUSY, EINVAL, ESHUTDOWN, RefusedError
from nacosx.engine.raft.snapshot_executor import SnapshotExecutor
from nacosx.engine.ticker import Ticker
from nacosx.errors import PARAMETER_INVALID, SERVER, NacosError
from nacosx.raft.errors import RaftError
from nacosx.raft.log import RaftLog
from nacosx.raft.messages import AppendEntries, Message
from nacosx.raft.node import NEVER_MS, Node
from nacosx.raft.options import Options
from nacosx.raft.ready import HardState, Leadership, Ready, Role

log = logging.getLogger(__name__)

REQUESTS_BELOW = 1 << 48  # where the numbers of the reads of a start begin


class RaftGroup(DiskOperations, MemberOperations):
    """A member of the group `name`. Everything belongs to the thread of the loop.

    invariant: `node.ready` is called by `_pump` only, and what it returns is carried out at once.
    """

    def __init__(
        self,
        name: str,
        machine: StateMachine,
        *,
        id: str,  # noqa: A002 (what every part of the house calls it)
        configuration: Configuration,
        log: LogStorage,
        hard_states: HardStates,
        snapshots: Snapshots,
        peers: Peers,
        ticker: Ticker,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        random_below: Callable[[int], int],
        options: Options = Options(),  # noqa: B008 (frozen)
        limits: Limits = Limits(),  # noqa: B008 (frozen)
    ) -> None:
        """`configuration`: the members of a group that begins; what log and snapshots say comes before it."""
        self.name = name
        self.id = id
        self._alone = frozenset({id})
        self.metrics = RaftMetrics()
        self.log_storage = log
        self._machine = machine
        self._initial = configuration
        self._hard_states = hard_states
        self._snapshots = snapshots
        self._peers = peers
        self._ticker = ticker
        self._loop = loop
        self._clock = clock
        self._now_ms = ticker.now_ms  # the same time as `clock` tells, for half the price
        self._random_below = random_below
        self._options = options
        self._limits = limits
        self._pending_max = limits.pending_max
        self._pending_bytes_max = limits.pending_bytes_max
        self._entry_bytes_max = limits.entry_bytes_max
        self._batch_entries_max = limits.batch_entries_max
        self._batch_bytes_max = limits.batch_bytes_max
        self._encode = machine.encode
        self._create_future = loop.create_future
        self._call_soon = loop.call_soon
        self._nobody = loop.create_future()  # waits here for what another member handed on
        self._nobody.cancel()
        self._begin()
        self._build(loop)

    def _begin(self) -> None:
        """Nothing has happened yet."""
        self._begin_disk()
        # The turn of the loop.
        self._scheduled = False  # `_turn` is on its way
        self._pumping = False
        self._terms_expected = False  # by one of the tasks in the queue
        self._timeout: Timeout | None = None
        self._timeout_ms = NEVER_MS
        # Proposed and not answered.
        self._pending = 0
        self._pending_bytes = 0
        self._handed = 0  # of them those that have left the queue
        self._handed_bytes = 0
        self._idle: asyncio.Future[None] | None = None
        # Leadership.
        self._leads_term = 0  # this member's as a leader, else 0
        self._leads_from = 0  # the first entry of that term
        self._started = False  # the machine knows that it leads
        self._refusal: RefusedError | None = None  # of proposals: it is stopping, or has ended
        self._ended: RefusedError | None = None  # stopped or halted

    def _build(self, loop: asyncio.AbstractEventLoop) -> None:
        self._gathering = Gathering()
        self._queue = ApplyQueue(self._drain, apply_batch=self._options.apply_batch)
        self._put = self._queue.put
        self._closures = ClosureQueue()
        self._caller = FSMCaller(self._machine, self._closures, self._answered)
        self._forwarder = Forwarder(
            self.name, self._peers, self._caller, lambda: self.leader, self._answered, self._ticker, loop
        )
        requests_since = self._random_below(REQUESTS_BELOW)
        self._reads = ReadOnlyService(self._ask_read, self._ticker, loop, requests_since=requests_since)

    def start(self) -> None:
        """Restores the machine and joins the group. Blocks; RecoveryError when the disk does not hold one consistent state.

        A sole voter applies its whole log before this returns, and leads, unless its disk takes no vote.
        """
        restored = restore(self._machine, self.log_storage, self._snapshots)
        caller = self._caller
        caller.restored(restored.index, restored.digest, restored.configuration)
        raft_log = RaftLog(
            self.log_storage,
            snapshot_index=restored.index,
            snapshot_term=restored.term,
            snapshot_size=restored.size,
        )
        self.node = Node(
            self.id,
            self._options,
            log=raft_log,
            hard_state=self._load_hard_state(),
            configuration=restored.configuration or self._initial,
            now_ms=self._now_ms(),
            random_below=self._random_below,
        )
        self._executor = SnapshotExecutor(
            self.name,
            self._machine,
            caller,
            self.log_storage,
            self._snapshots,
            self._peers,
            node=self.node,
            told=self._schedule,
            installed=self._on_installed,
            quiet=self._disk_quiet,
            halt=self._halt,
            initial=self._initial,
            loop=self._loop,
            ticker=self._ticker,
            clock=self._clock,
            limits=self._limits,
            metrics=self.metrics,
        )
        self._executor.rooms_bytes = restored.rooms_bytes
        self._membership = Membership(self.node, self._loop)
        if self.is_sole_voter:
            self._replay()
            self.node.campaign(self._now_ms())
        self._pump()

    def _load_hard_state(self) -> HardState:
        try:
            return self._hard_states.load()
        except ValueError as error:
            raise RecoveryError(str(error)) from error

    def _replay(self) -> None:
        """What is on the disk of a sole voter is committed."""
        caller = self._caller
        caller.commit_index = self.log_storage.last_index
        try:
            while caller.applied_index < caller.commit_index:
                caller.run(self.node.log, replayed=True)
        except MachineError as error:
            raise RecoveryError(str(error)) from error

    # --- what is asked of it -----------------------------------------------------------------------------------------

    @property
    def applied_index(self) -> int:
        """Every entry up to this one is in the machine."""
        return self._caller.applied_index

    @property
    def snapshot_task(self) -> asyncio.Task[None] | None:
        """The snapshot that is being taken or installed."""
        return self._executor.task

    @property
    def ended(self) -> bool:
        """Stopped, or halted by what it could not go on from: it takes no part any more."""
        return self._ended is not None

    @property
    def is_leader(self) -> bool:
        return self.node.role is Role.LEADER

    @property
    def leader(self) -> str:
        """Its id; empty when there is none or it is not known."""
        return self.node.leader

    @property
    def is_sole_voter(self) -> bool:
        return self.node.members.voters == self._alone

    def propose(self, command: Any, *, expected_term: int | None = None) -> asyncio.Future[Any]:
        """Done, with what `machine.apply` returned, once the command is on a majority of disks and applied here.

        NacosError at once when it cannot be taken, else through the future: RefusedError (`unknown` tells whether it may still
        happen), or what `machine.apply` refused it with. A member that does not lead hands it to the leader; with an
        `expected_term` it refuses it.
        """
        if self._refusal is not None:
            raise self._refusal.again()
        if self._pending >= self._pending_max or self._pending_bytes >= self._pending_bytes_max:
            raise RefusedError.busy(f"{self._pending} writes wait for the disk, try again later")
        data = self._encode(command)
        size = len(data)
        if size > self._entry_bytes_max:
            raise NacosError(PARAMETER_INVALID, f"the write takes {size} bytes, {self._entry_bytes_max} are allowed")
        future = self._create_future()
        task = command, data, future, expected_term
        if not self._put(task) and not self._queue.offer(task):
            self.metrics.apply_task_overload_times += 1
            raise RefusedError.busy("too many writes at once, try again later")
        if expected_term is not None:
            self._terms_expected = True
        self._pending = pending = self._pending + 1
        self._pending_bytes = pending_bytes = self._pending_bytes + size
        if not self._scheduled and not self._busy():
            self._scheduled = True
            self._call_soon(self._turn)
        if (
            pending - self._handed >= self._batch_entries_max
            or pending_bytes - self._handed_bytes >= self._batch_bytes_max
        ):
            self._flush(full=True)
        return future

    def read_index(self) -> asyncio.Future[int]:
        """Done once everything that was committed when this was called is applied here: a read is linearizable then."""
        if self._ended is not None:
            raise self._ended.again()
        future = self._reads.read()
        if not self._scheduled:
            self._schedule()
        return future

    async def snapshot(self) -> None:
        """Takes one now. A failure is logged; RefusedError: the group has ended."""
        if self._ended is not None:
            raise self._ended.again()
        await self._executor.begin()

    async def stop(self) -> None:
        """Waits for everything proposed, leaves a snapshot when it makes the next start faster. Takes nothing more."""
        self._refusal = self._ended or RefusedError.stopped("the server is stopping")
        if self._pending:
            self._idle = self._loop.create_future()
            timeout = self._ticker.schedule(self._limits.stop_wait_ms, self._stop_waiting)
            await self._idle
            timeout.cancel()
        if self._executor.task is not None:
            await self._executor.task
        if self._ended is None and self._caller.entries >= self._limits.stop_entries:
            await self._executor.begin()
        self._end(RefusedError.stopped("the server is stopping"))
        await self._forwarder.stop()

    def _stop_waiting(self, _: object) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    # --- other members -----------------------------------------------------------------------------------------------

    def on_message(self, sender: str, message: Message) -> None:
        if self._ended is None:
            if type(message) is AppendEntries:
                self.metrics.handle_append_entries += 1
                self.metrics.handle_append_entries_count += len(message.entries)
            self.node.step(sender, message, self._now_ms())
            if not self._scheduled:
                self._schedule()

    def read_chunk(self, index: int, offset: int, size: int) -> bytes:
        """Of the snapshot at `index`; OSError."""
        if self._ended is not None:
            raise OSError(ESHUTDOWN, self._ended.detail)
        return self._executor.read_chunk(index, offset, size)

    def on_proposals(self, proposals: Sequence[bytes]) -> list[ForwardReply]:
        """What another member hands to this one as the leader; each gets its place in the log, or is refused."""
        count = len(proposals)
        if self._refusal is not None:
            return [ForwardReply(error=ESHUTDOWN)] * count
        if self._pending >= self._limits.pending_max or self._pending_bytes >= self._limits.pending_bytes_max:
            return [ForwardReply(error=EBUSY)] * count
        try:
            commands = list(map(self._machine.decode, proposals))
        except ValueError:  # of a later version: what this member cannot read must not enter its log
            return [ForwardReply(error=EINVAL)] * count
        node = self.node
        try:
            last_index = node.propose(proposals)
        except RaftError as error:
            return [ForwardReply(error=error.code.value, leader=error.leader)] * count
        nobody = self._nobody
        tasks: list[Task] = [(command, data, nobody, None) for command, data in zip(commands, proposals, strict=True)]
        self._closures.append(last_index, tasks, list(proposals))
        size = sum(map(len, proposals))
        self._pending += count
        self._handed += count
        self._pending_bytes += size
        self._handed_bytes += size
        self._schedule()
        term = node.term
        return [ForwardReply(index, term) for index in range(last_index - count + 1, last_index + 1)]

    # --- the turn ----------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        waiting = self._pending - self._handed
        if waiting and self._holds() and not self._busy() and self._gathering.goes_on(waiting):
            self._schedule()
        else:
            self._flush()

    def _go_on(self) -> None:
        waiting = self._pending - self._handed
        if self._gathering.begin(self._pending, waiting) and waiting and self._holds() and not self._busy():
            self._schedule()
            self._pump()
        else:
            self._flush()

    def _flush(self, *, full: bool = False) -> None:
        """Hands what has gathered to the rules, and does what they want done."""
        if self._pumping:
            self._schedule()
            return
        if self._ended is not None:
            return
        if self._pending > self._handed and (full or not self._busy()):
            self._drain()
        if self._reads.gathered:
            self._reads.flush()
        self._pump()

    def _busy(self) -> bool:
        """What is proposed gathers until the disk reports: it could not be written sooner, and costs less together."""
        return self._appends >= self._limits.appends_max and self._holds()

    def _holds(self) -> bool:
        """What is proposed may gather: no other member waits for it."""
        return self.node.role is Role.LEADER and self.is_sole_voter

    def _drain(self) -> None:
        """Empties the apply queue, in batches of `apply_batch`."""
        node = self.node
        if node.role is not Role.LEADER and self.is_sole_voter and self._ended is None:
            node.campaign(self._now_ms())
        self._handed, self._handed_bytes = self._pending, self._pending_bytes
        take, batch = self._queue.take, self._options.apply_batch
        tasks = take()
        while tasks:
            count = len(tasks)
            if node.role is not Role.LEADER or self._ended is not None:
                self._hand_on(tasks)
            else:
                self._append_tasks(self._of_this_term(tasks) if self._terms_expected else tasks)
            tasks = take() if count == batch else []
        self._terms_expected = False

    def _append_tasks(self, tasks: list[Task]) -> None:
        data = [task[1] for task in tasks]
        try:
            last_index = self.node.propose(data) if data else 0
        except RaftError as error:  # leadership is being transferred
            self._refuse(tasks, RefusedError.of(error))
        else:
            self._closures.append(last_index, tasks, data)

    def _hand_on(self, tasks: list[Task]) -> None:
        """To the leader."""
        if self._ended is not None:
            self._refuse(tasks, self._ended)
            return
        leader = self.node.leader
        bound = [task for task in tasks if task[3] is not None]
        free = [task for task in tasks if task[3] is None] if bound else tasks
        if not leader or leader == self.id:
            self._refuse(tasks, RefusedError.not_leader(""))
        else:
            self._refuse(bound, RefusedError.not_leader(leader))
            self._forwarder.forward(leader, free)

    def _of_this_term(self, tasks: list[Task]) -> list[Task]:
        term = self.node.term
        rest: list[Task] = []
        for task in tasks:
            if task[3] in (None, term):
                rest.append(task)
            else:
                self._refuse([task], RefusedError.other_term(task[3] or 0, term))
        return rest

    def _ask_read(self, request: int) -> None:
        self.metrics.read_index_rounds += 1
        self.node.read(request, self._now_ms())

    def _pump(self) -> None:
        """Does what the rules want done, until they want no more."""
        if self._pumping or self._ended is not None:
            return
        self._pumping = True
        node, caller = self.node, self._caller
        saving = told = True
        try:
            while told:
                told = False
                ready = node.ready()
                if ready is not None:
                    if ready.hard_state is not None and saving:
                        told = True
                        self._save(ready.hard_state)
                        saving = not self._unsaved  # a disk that took no vote is asked again next turn, not now
                    if ready.entries or ready.truncate_suffix is not None:
                        self._append(ready.truncate_suffix, ready.entries)
                    if ready.messages and not self._unsaved:  # else they are as good as lost on the way
                        send, name = self._peers.send, self.name
                        for to, message in ready.messages:
                            if type(message) is AppendEntries:
                                self.metrics.replicate_entries += 1
                                self.metrics.replicate_entries_count += len(message.entries)
                            send(to, name, message)
                    if ready.commit_index > caller.commit_index:
                        caller.commit_index = ready.commit_index
                        # Before leadership changes hands: what was committed until then, its proposer hears of.
                        if caller.applied_index < ready.commit_index:
                            self._apply()
                    if ready.leadership is not None or ready.reads or ready.snapshot is not None:
                        told = self._carry_out_rest(ready) or told
                if self._failed and not self._appends:
                    self._tell_failure()
                    told = True
            if caller.applied_index < caller.commit_index:
                self._apply()
            if self._membership.waiting:
                self._membership.settle()
        except OSError as error:  # of reading what another member needs
            self._on_failure(error)
            if not self._appends:
                self._tell_failure()
                self._schedule()
        except (MachineError, CorruptLogError) as error:
            self._halt(error)
            return
        finally:
            self._pumping = False
        if node.wakes_ms < self._timeout_ms:
            self._arm()

    def _carry_out_rest(self, ready: Ready) -> bool:
        """What is seldom. True: the rules have heard something."""
        if ready.leadership is not None:
            self._on_leadership(ready.leadership)
        if ready.reads:
            self._reads.answered(ready.reads, self._caller.applied_index)
        if ready.snapshot is not None:
            self._executor.install(*ready.snapshot)
            return True
        return False

    def _arm(self) -> None:
        """One timer. It stays when the rules want to wake later than it: waking early is harmless."""
        wakes_ms = self.node.wakes_ms
        if self._refusing is not None and self.is_sole_voter:  # it would try again and again
            wakes_ms = max(wakes_ms, self._now_ms() + self._options.election_timeout_ms)
            if wakes_ms >= self._timeout_ms:
                return
        if self._timeout is not None:
            self._timeout.cancel()
        self._timeout_ms = wakes_ms
        self._timeout = self._ticker.schedule(max(0, wakes_ms - self._now_ms()), self._on_timeout)

    def _on_timeout(self, _: object) -> None:
        self._timeout = None
        self._timeout_ms = NEVER_MS
        self.node.tick(self._now_ms())
        self._pump()

    # --- what is committed -------------------------------------------------------------------------------------------

    def _apply(self) -> None:
        caller, node = self._caller, self.node
        before, since_ms = caller.applied_index, self._now_ms()
        caller.run(node.log)
        applied_index = caller.applied_index
        self.metrics.fsm_commit.add(self._now_ms() - since_ms)
        self.metrics.fsm_apply_tasks_count += applied_index - before
        if applied_index <= node.commit_index:  # else replayed by a sole voter that does not lead yet
            node.applied(applied_index)
        if self._reads.applying:
            self._reads.applied(applied_index)
        if self._leads_term and not self._started and applied_index >= self._leads_from:
            self._started = True
            self._machine.leader_started(self._leads_term)
        limits = self._limits
        if (
            caller.entries >= limits.snapshot_entries or caller.entries_bytes >= limits.snapshot_bytes
        ) and self._refusal is None:
            self._executor.maybe_save()
        if applied_index < caller.commit_index:
            self._schedule()

    def _on_installed(self, index: int) -> None:
        self._forwarder.skipped(index)
        self._reads.applied(index)
        self._schedule()

    def _on_leadership(self, leadership: Leadership) -> None:
        led = self._leads_term
        leads = leadership.role is Role.LEADER
        if led and not (leads and leadership.term == led):
            self._leads_term = 0
            tasks = self._closures.clear()
            if self._refusing is not None:
                self._refuse_unstored(tasks)
            else:
                self._refuse(tasks, RefusedError.lost("leadership was lost before the write was confirmed"))
            if self._started:
                self._started = False
                self._machine.leader_stopped()
        if leads and not self._leads_term:
            self._leads_term = leadership.term
            self._leads_from = self.node.log.last_index
            if self._caller.applied_index >= self._leads_from:
                self._started = True
                self._machine.leader_started(leadership.term)

    # --- answers -----------------------------------------------------------------------------------------------------

    def _answered(self, count: int, size: int) -> None:
        self._pending -= count
        self._handed -= count
        self._pending_bytes -= size
        self._handed_bytes -= size
        if self._idle is not None and not self._pending and not self._idle.done():
            self._idle.set_result(None)

    def _refuse(self, tasks: Sequence[Task], refusal: RefusedError) -> None:
        for task in tasks:
            self._answered(1, len(task[1]))
            if not task[2].done():
                task[2].set_exception(refusal.again())

    def _refuse_unstored(self, tasks: Sequence[Task]) -> None:
        error = self._refusing
        assert error is not None
        self._refused += len(tasks)
        # They were sent to the other members all the same: those may have stored them, and elect one of their own.
        self._refuse(tasks, RefusedError.unstored(error, unknown=not self.is_sole_voter))

    # --- the end -----------------------------------------------------------------------------------------------------

    def halt(self, reason: str) -> None:
        """What this member holds is not to be trusted."""
        self._halt(MachineError(reason))

    def _halt(self, error: Exception) -> None:
        """SOFAJRaft: a node in the state ERROR. It takes no part any more; its disk is as it was."""
        log.critical("group %s halts, this member takes no part in it any more: %s", self.name, error)
        self._end(RefusedError(SERVER, f"the group has halted: {error}", ESHUTDOWN, unknown=True))

    def _end(self, refusal: RefusedError) -> None:
        if self._ended is not None:
            return
        self._ended = self._refusal = refusal
        if self._timeout is not None:
            self._timeout.cancel()
        self._drain()
        self._refuse(
            self._closures.clear(), RefusedError.lost(refusal.detail)
        )  # they are in the log, and may be elsewhere
        self._reads.stop(refusal)
        self._membership.stop(refusal)
        if self._started:
            self._started = False
            self._machine.leader_stopped()
