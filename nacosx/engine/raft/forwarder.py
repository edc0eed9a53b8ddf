"""Proposals of a member that does not lead, handed to the leader.

::

    tasks ─batch→ peers.forward ─→ leader: a place in the log (index, term), or a refusal
                                     └─ committed ─→ applied here, too: that result is the proposer's

Every member applies alike, so the result need not travel; and who was answered here reads here what was written.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from nacosx._core.wheel import Timeout
from nacosx.engine.ports import ForwardReply, Peers
from nacosx.engine.raft.apply_queue import Task
from nacosx.engine.raft.fsm_caller import FSMCaller
from nacosx.engine.raft.refusals import EBUSY, RefusedError
from nacosx.engine.ticker import Ticker
from nacosx.errors import NacosError

FORWARD_TIMEOUT_MS = 5_000  # SOFAJRaft: rpcDefaultTimeout
FORWARD_TRIES_MAX = 3  # to leaders that turn out not to lead
BATCH_BYTES_MAX = 512 << 10  # limit: of one call, unless one proposal is larger; SOFAJRaft: maxBodySize
OUTCOMES_MAX = 16384  # limit: applied here before the leader has told where they are

Outcome = tuple[int, object, NacosError | None]  # term of the entry, result of its command, or refusal


class Forwarder:
    """`answered(proposals, bytes)`: so many have heard."""

    def __init__(
        self,
        group: str,
        peers: Peers,
        caller: FSMCaller,
        leader: Callable[[], str],
        answered: Callable[[int, int], None],
        ticker: Ticker,
        loop: asyncio.AbstractEventLoop,
        *,
        timeout_ms: int = FORWARD_TIMEOUT_MS,
    ) -> None:
        self._group = group
        self._peers = peers
        self._caller = caller  # tells of every entry while something may wait for it
        self._leader = leader
        self._answered = answered
        self._ticker = ticker
        self._loop = loop
        self._timeout_ms = timeout_ms
        self._calls: set[asyncio.Task[None]] = set()
        self._waiting: dict[int, list[tuple[int, Task]]] = {}  # index → term, who waits
        self._deadlines: dict[int, Timeout] = {}  # index → when those who wait for it stop
        # What was applied while calls are under way: the reply may come after the entry.
        self._outcomes: dict[int, Outcome] = {}
        self._order: deque[int] = deque()  # of `_outcomes`

    def forward(self, leader: str, tasks: Sequence[Task]) -> None:
        """Each task is answered sooner or later."""
        batch: list[Task] = []
        size = 0
        for task in tasks:
            if batch and size + len(task[1]) > BATCH_BYTES_MAX:
                self._begin(leader, batch)
                batch, size = [], 0
            batch.append(task)
            size += len(task[1])
        if batch:
            self._begin(leader, batch)

    def applied(self, index: int, term: int, result: object, refusal: NacosError | None) -> None:
        """The entry at `index` was applied."""
        waiting = self._waiting.pop(index, None)
        if waiting is not None:
            self._deadlines.pop(index).cancel()
            for expected_term, task in waiting:
                self._settle(task, expected_term, (term, result, refusal))
            self._maybe_rest()
        if self._calls:
            self._outcomes[index] = term, result, refusal
            self._order.append(index)
            if len(self._order) > OUTCOMES_MAX:
                self._outcomes.pop(self._order.popleft(), None)

    def skipped(self, index: int) -> None:
        """A snapshot took the place of the entries up to `index`."""
        for waits in [index_ for index_ in self._waiting if index_ <= index]:
            self._give_up(waits)

    async def stop(self) -> None:
        """Those who wait do not hear what became of it."""
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        for index in list(self._waiting):
            self._deadlines[index].cancel()
            self._give_up(index)

    def _begin(self, leader: str, tasks: list[Task]) -> None:
        call = self._loop.create_task(self._call(leader, tasks))
        self._calls.add(call)
        self._caller.watch = self.applied
        call.add_done_callback(self._done)

    def _done(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        if not self._calls:
            self._outcomes.clear()
            self._order.clear()
        self._maybe_rest()

    def _maybe_rest(self) -> None:
        if not self._calls and not self._waiting:
            self._caller.watch = None

    async def _call(self, leader: str, tasks: list[Task]) -> None:
        for _ in range(FORWARD_TRIES_MAX):
            try:
                replies = await self._peers.forward(leader, self._group, [task[1] for task in tasks])
            except OSError as error:
                self._refuse(tasks, RefusedError.lost(f"the leader {leader} did not answer: {error}"))
                return
            except asyncio.CancelledError:
                self._refuse(tasks, RefusedError.lost("this member stopped before the leader answered"))
                raise
            if len(replies) != len(tasks):
                self._refuse(tasks, RefusedError.lost(f"the leader {leader} answered something else"))
                return
            tasks, told = self._place(tasks, replies)
            if not tasks:
                return
            leader, before = told or self._leader(), leader
            if not leader or leader == before:
                break
        self._refuse(tasks, RefusedError.not_leader(leader))

    def _place(self, tasks: list[Task], replies: Sequence[ForwardReply]) -> tuple[list[Task], str]:
        """Those that another leader may take, and who that might be."""
        rest: list[Task] = []
        leader = ""
        for task, reply in zip(tasks, replies, strict=True):
            if reply.index:
                self._wait(task, reply.index, reply.term)
            elif reply.error == EBUSY:
                self._refuse([task], RefusedError.busy("the leader takes no more now, try again later"))
            else:
                rest.append(task)
                leader = reply.leader
        return rest, leader

    def _wait(self, task: Task, index: int, term: int) -> None:
        outcome = self._outcomes.get(index)
        if outcome is not None:
            self._settle(task, term, outcome)
            return
        waiting = self._waiting.setdefault(index, [])
        if not waiting:
            self._deadlines[index] = self._ticker.schedule(self._timeout_ms, self._give_up, index)
        waiting.append((term, task))

    def _give_up(self, index: int) -> None:
        self._deadlines.pop(index).cancel()
        for _, task in self._waiting.pop(index):
            self._refuse([task], RefusedError.timed_out("the group has not confirmed the write, it may still do so"))

    def _settle(self, task: Task, term: int, outcome: Outcome) -> None:
        entry_term, result, refusal = outcome
        if entry_term != term:  # another leader put something else in its place
            self._refuse([task], RefusedError.not_leader(self._leader()))
            return
        self._answered(1, len(task[1]))
        future = task[2]
        if future.done():
            return
        if refusal is None:
            future.set_result(result)
        else:
            future.set_exception(refusal)

    def _refuse(self, tasks: Sequence[Task], refusal: RefusedError) -> None:
        for task in tasks:
            self._answered(1, len(task[1]))
            if not task[2].done():
                task[2].set_exception(refusal.again())
