"""Linearizable reads: SOFAJRaft's ReadOnlyService.

The reads of one turn of the loop share one round: the rules find the index that was committed when they were asked (by a
round of heartbeats, or by the lease), and the reads are served once that index is applied here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from nacosx._core.wheel import Timeout
from nacosx.engine.raft.refusals import RefusedError
from nacosx.engine.ticker import Ticker

READS_MAX = 16384  # limit: reads that wait
READ_TIMEOUT_MS = 5_000  # SOFAJRaft: rpcDefaultTimeout

Read = asyncio.Future[int]


class ReadOnlyService:
    """`ask(request)` puts one round to the rules."""

    def __init__(
        self,
        ask: Callable[[int], None],
        ticker: Ticker,
        loop: asyncio.AbstractEventLoop,
        *,
        requests_since: int = 0,
        reads_max: int = READS_MAX,
        timeout_ms: int = READ_TIMEOUT_MS,
    ) -> None:
        """`requests_since`: requests are counted from there. Of every start another number, or an answer that this member was
        sent before it ended, which is of the past, could be taken for that of a read of today."""
        self._ask = ask
        self._ticker = ticker
        self._create_future = loop.create_future
        self._reads_max = reads_max
        self._timeout_ms = timeout_ms
        self._request = requests_since
        self._count = 0  # that wait
        self.gathered: list[Read] = []  # the next round takes them
        self._rounds: dict[int, tuple[list[Read], Timeout]] = {}  # asked
        self.applying: deque[tuple[int, list[Read]]] = deque()  # answered: wait for this index to be applied

    def read(self) -> Read:
        """RefusedError (EBUSY) when too many wait."""
        if self._count >= self._reads_max:
            raise RefusedError.busy(f"{self._count} reads wait for the group, try again later")
        self._count += 1
        future: Read = self._create_future()
        self.gathered.append(future)
        return future

    def flush(self) -> None:
        """Asks for what has gathered."""
        if not self.gathered:
            return
        reads, self.gathered = self.gathered, []
        self._request += 1
        request = self._request
        self._rounds[request] = reads, self._ticker.schedule(self._timeout_ms, self._on_timeout, request)
        self._ask(request)

    def answered(self, answers: Iterable[tuple[int, int | None]], applied_index: int) -> None:
        """What the rules say: the index of each request, or None: there is no leader to know it."""
        for request, index in answers:
            reads, timeout = self._rounds.pop(request, (None, None))
            if reads is None or timeout is None:  # timed out
                continue
            timeout.cancel()
            if index is None:
                self._refuse(reads, RefusedError.not_leader(""))
            elif index <= applied_index:
                self._serve(reads, index)
            else:
                self.applying.append((index, reads))

    def applied(self, applied_index: int) -> None:
        """Serves the reads that waited for it."""
        waiting = self.applying
        if not waiting:
            return
        self.applying = deque()
        for index, reads in waiting:
            if index <= applied_index:
                self._serve(reads, index)
            else:
                self.applying.append((index, reads))

    def stop(self, refusal: RefusedError) -> None:
        """Refuses all that wait."""
        rounds, self._rounds = self._rounds, {}
        for reads, timeout in rounds.values():
            timeout.cancel()
            self._refuse(reads, refusal)
        applying, self.applying = self.applying, deque()
        for _, reads in applying:
            self._refuse(reads, refusal)
        gathered, self.gathered = self.gathered, []
        self._refuse(gathered, refusal)

    def _on_timeout(self, request: int) -> None:
        reads, _ = self._rounds.pop(request)
        self._refuse(reads, RefusedError.timed_out(f"no answer from the group in {self._timeout_ms} ms"))

    def _serve(self, reads: list[Read], index: int) -> None:
        self._count -= len(reads)
        for future in reads:
            if not future.done():
                future.set_result(index)

    def _refuse(self, reads: list[Read], refusal: RefusedError) -> None:
        self._count -= len(reads)
        for future in reads:
            if not future.done():
                future.set_exception(refusal.again())
