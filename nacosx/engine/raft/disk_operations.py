"""What a group writes: its log and its hard state, and what becomes of it when the disk refuses."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Callable
from functools import partial

from nacosx._core.entry import Entry
from nacosx.engine.ports import HardStates, LogStorage
from nacosx.engine.raft.metrics import RaftMetrics
from nacosx.engine.raft.refusals import RefusedError
from nacosx.raft.node import Node
from nacosx.raft.ready import HardState

log = logging.getLogger("nacosx.engine.raft.group")  # a part of it


class DiskOperations:
    """A part of `RaftGroup`. What was handed to the log is reported in order, on the loop."""

    node: Node
    metrics: RaftMetrics
    log_storage: LogStorage
    _hard_states: HardStates
    _loop: asyncio.AbstractEventLoop
    _now_ms: Callable[[], int]
    _ended: RefusedError | None

    def _begin_disk(self) -> None:
        self._appends = 0  # handed to the log and not reported
        self._quiet: list[asyncio.Future[None]] = []  # who waits for none
        # A write failed. Nothing more is written until the last append is reported: then the rules hear of it, and begin
        # again with what is on disk.
        self._failed = False
        self._unsaved = False  # the hard state is not on disk: nothing may be sent
        self._refusing: OSError | None = None  # why nothing could be written since the last success
        self._refused = 0  # proposals, since then

    @abstractmethod
    def _pump(self) -> None:
        """Does what the rules want done."""

    @abstractmethod
    def _go_on(self) -> None:
        """The same, when there is room for more on the disk: what has gathered is due, too."""

    def _save(self, state: HardState) -> None:
        started_ms = self._now_ms()
        try:
            self._hard_states.save(state)  # io
        except OSError as error:
            self._unsaved = True
            self._on_failure(error)
        else:
            self._unsaved = False
            self.metrics.save_raft_meta.add(self._now_ms() - started_ms)
            self.node.hard_state_saved(state)

    def _append(self, truncate_suffix: int | None, entries: list[Entry]) -> None:
        if self._failed or self._unsaved:
            # What follows something that was not written must not be written either.
            self._failed = True
            return
        try:
            if truncate_suffix is not None:
                self.log_storage.truncate_suffix(truncate_suffix, self._on_truncated)  # io
                self._appends += 1
            if entries:
                self.log_storage.append_entries(
                    entries, partial(self._on_durable, entries[-1].term, self._now_ms())
                )  # io
                self._appends += 1
                self.metrics.append_logs_count += len(entries)
                self.metrics.append_logs_bytes = self.node.log.taken_bytes
        except OSError as error:
            self._on_failure(error)
        except ValueError:
            if not self._appends:
                raise
            # It follows entries that are not there: a write has failed, and its report is on the way.
            self._failed = True

    def _on_truncated(self, _: int, error: OSError | None) -> None:
        self._reported(error)

    def _on_durable(self, term: int, since_ms: int, last_index: int, error: OSError | None) -> None:
        if error is not None or self._ended is not None:
            self._reported(error)
            return
        now_ms = self._now_ms()
        self.metrics.append_logs.add(now_ms - since_ms)
        self.node.stable(last_index, term, now_ms)
        if self._refusing is not None and not self._failed:
            log.warning("the log can be written again, %d writes were refused meanwhile", self._refused)
            self._refusing = None
            self._refused = 0
        self._reported(None)

    def _reported(self, error: OSError | None) -> None:
        """One operation of the log is over; what has gathered meanwhile is written with what this makes ready."""
        self._appends -= 1
        if error is not None:
            self._on_failure(error)
        if self._quiet and not self._appends:
            waiting, self._quiet = self._quiet, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)
        if self._failed:
            self._pump()
        else:
            self._go_on()

    def _on_failure(self, error: OSError) -> None:
        self._failed = True
        if self._refusing is None:  # once, not for every write: the disk that is full may hold the server's own log
            log.error("the log cannot be written, writes are refused until it can: %s", error)
        self._refusing = error

    def _tell_failure(self) -> None:
        """Nothing more is under way: the log ends where it says it does. Who led has stepped down after this."""
        self._failed = False
        self.node.disk_failed(self.log_storage.last_index)

    async def _disk_quiet(self) -> None:
        """Returns when nothing waits for the disk."""
        while self._appends:
            future: asyncio.Future[None] = self._loop.create_future()
            self._quiet.append(future)
            await future
