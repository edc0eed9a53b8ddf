"""RocksDB behind `engine.ports.LogStorage`, the way SOFAJRaft's LogManager drives its storage.

::

    loop ─operation→ ring ─→ disk thread: AppendBatcher ─one write, one fdatasync─→ RocksDB
      ↑                                                                └─ call_soon_threadsafe: outcomes
      └──────────────────────────────── on_durable, in order ←─────────────────────┘

The segmented log (`storage.log`) is what a server uses: it measures faster (`bench/micro/test_log_storage.py`). This one is
its rival and, in the tests, its twin. Needs the extra `rocksdb`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections import deque
from collections.abc import Sequence

from nacosx._core.entry import DATA_BYTES_MAX, KIND_MAX, Entry
from nacosx._core.processor import BatchEventProcessor
from nacosx._core.ring import RingBuffer
from nacosx._core.wal import READ_BYTES_MAX, CorruptLogError
from nacosx.engine.ports import OnDurable
from nacosx.storage.append_batcher import AppendBatcher
from nacosx.storage.rocks_entries import RocksEntries

RING_SIZE = 16384  # limit: operations that wait for the disk; SOFAJRaft: disruptorBufferSize
OFFER_TRIES_MAX = 50  # before EBUSY; SOFAJRaft: APPEND_LOG_RETRY_TIMES


class Operation:
    """One append, or a truncation behind `last_index` when there are no entries."""

    __slots__ = ("entries", "entries_bytes", "entries_count", "generation", "last_index")

    def __init__(self, generation: int, entries: list[Entry], last_index: int) -> None:
        self.generation = generation
        self.entries = entries
        self.last_index = last_index
        self.entries_count = len(entries)
        self.entries_bytes = sum(len(entry.data) for entry in entries)


class Wakeup(Operation):
    """Nothing to answer: the prefix, or the end, is to be looked at."""

    __slots__ = ()


class RocksLog:
    """For the thread of the loop. Recovers when made: CorruptLogError or OSError when that cannot be."""

    def __init__(self, directory: str | os.PathLike[str], loop: asyncio.AbstractEventLoop) -> None:
        self._entries = RocksEntries(directory)
        self._loop = loop
        self._waiting: deque[tuple[int, OnDurable]] = deque()
        self._outcomes: deque[tuple[int, OSError | None]] = (
            deque()
        )  # from the disk thread: operations, what became of them
        self._closing = False
        self._end: Operation | None = None  # the last thing on the ring when the log is closed
        self._last_index = self._entries.last_index
        # Guarded by the lock. An operation of an older generation follows one that failed.
        self._lock = threading.Lock()
        self._generation = 0
        self._first_index = self._entries.first_index
        self._durable_index = self._last_index
        # Of whoever writes: the disk thread, or a reset.
        self._disk = threading.Lock()
        self._error: OSError | None = None
        self._broken = False
        self._ring = RingBuffer(RING_SIZE)
        self._processor = BatchEventProcessor(self._ring, self._ring.barrier(), AppendBatcher(self._write), clear=True)
        self._ring.gate(self._processor.sequence)
        self._thread = threading.Thread(target=self._processor.run, name="nacosx-rocks", daemon=True)
        self._thread.start()

    @property
    def first_index(self) -> int:
        return self._first_index

    @property
    def last_index(self) -> int:
        return self._last_index

    def append_entries(self, entries: Sequence[Entry], on_durable: OnDurable) -> int:
        if not entries:
            raise ValueError("an append takes at least one entry")
        with self._lock:
            for expected, entry in enumerate(entries, self._last_index + 1):
                if entry.index != expected:
                    raise ValueError(f"entry {entry.index} does not follow entry {expected - 1}")
                if not 0 < entry.kind <= KIND_MAX or len(entry.data) > DATA_BYTES_MAX:
                    raise ValueError(
                        f"an entry is of a kind from 1 to {KIND_MAX} and holds at most {DATA_BYTES_MAX} bytes"
                    )
            self._queue(Operation(self._generation, list(entries), entries[-1].index), on_durable)
            return self._last_index

    def truncate_suffix(self, last_index_kept: int, on_durable: OnDurable) -> None:
        with self._lock:
            if not self._first_index <= last_index_kept + 1 <= self._last_index + 1:
                raise ValueError(f"entry {last_index_kept} is not in the log")
            self._queue(Operation(self._generation, [], last_index_kept), on_durable)

    def _queue(self, operation: Operation, on_durable: OnDurable) -> None:
        if self._closing:
            raise OSError(errno.EBADF, "the log is closed")
        for _ in range(OFFER_TRIES_MAX):
            if self._ring.try_put(operation):
                break
            os.sched_yield()
        else:
            raise OSError(errno.EBUSY, "too much waits for the disk")
        self._last_index = operation.last_index
        self._waiting.append((operation.last_index, on_durable))

    def get(self, index: int) -> Entry | None:
        return self._entries.get(index) if self._first_index <= index <= self._durable_index else None

    def term(self, index: int) -> int | None:
        entry = self.get(index)
        return None if entry is None else entry.term

    def entries(self, from_index: int, *, bytes_max: int = READ_BYTES_MAX) -> list[Entry]:
        if from_index < self._first_index:
            raise ValueError(f"entry {from_index} is no longer kept, the first is {self._first_index}")
        found: list[Entry] = []
        size = 0
        for entry in self._entries.scan(from_index, self._durable_index):
            found.append(entry)
            size += len(entry.data)
            if size >= bytes_max:
                break
        return found

    def configurations(self) -> list[Entry]:
        return list(self._entries.configurations(self._first_index, self._durable_index))

    def truncate_prefix(self, first_index_kept: int) -> None:
        with self._lock:
            if first_index_kept > self._durable_index + 1:
                raise ValueError(f"entry {first_index_kept - 1} is not on disk, and may not be forgotten")
            if first_index_kept > self._first_index and not self._closing:
                self._first_index = first_index_kept
                # When the ring is full the disk thread is awake, and looks at the prefix after its next write.
                self._ring.try_put(Wakeup(self._generation, [], 0))

    def reset(self, next_index: int) -> None:
        if next_index == 0:
            raise ValueError("indexes begin at 1")
        if self._closing:
            raise OSError(errno.EBADF, "the log is closed")
        if self._waiting:
            raise ValueError("entries wait for the disk")
        with self._disk, self._lock:
            self._repair()
            change = self._entries.change()
            change.forget_above(0)
            change.begin_at(next_index)
            try:
                self._entries.write(change)  # io
            except OSError:
                self._broken = True
                raise
            self._entries.first_index = self._first_index = next_index
            self._last_index = self._durable_index = next_index - 1

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._end = Wakeup(self._generation, [], 0)
        self._ring.put(self._end)
        self._thread.join()
        self._report()
        try:
            self._entries.close()
        except OSError:
            if not self._broken:  # else it tells again of a write that was answered
                raise

    def _report(self) -> None:
        while self._outcomes:
            operations, error = self._outcomes.popleft()
            for _ in range(operations):
                last_index, on_durable = self._waiting.popleft()
                on_durable(last_index, error)

    # --- the disk thread ---------------------------------------------------------------------------------------------

    def _write(self, operations: list[Operation]) -> None:
        with self._disk:
            self._write_alone(operations)

    def _write_alone(self, operations: list[Operation]) -> None:
        """One write and one fdatasync. What follows a failure fails with it."""
        with self._lock:
            generation = self._generation
        answered = [operation for operation in operations if not isinstance(operation, Wakeup)]
        valid = [operation for operation in answered if operation.generation == generation]
        self._answer(len(answered) - len(valid), self._error)
        if valid:
            error = self._store(valid)
            if error is not None:
                with self._lock:
                    self._error = error
                    self._generation += 1
                    self._last_index = self._durable_index
            self._answer(len(valid), error)
        self._forget_prefix()
        if operations[-1] is self._end:  # not an older wake-up: entries may stand between it and the end
            self._processor.halt()

    def _store(self, operations: list[Operation]) -> OSError | None:
        try:
            self._repair()
            change = self._entries.change()
            for operation in operations:
                if not operation.entries:
                    change.forget_above(operation.last_index)
                for entry in operation.entries:
                    change.append(entry)
            self._entries.write(change)  # io
        except OSError as error:
            self._broken = True
            return error
        except CorruptLogError as error:  # found when it was opened again
            self._broken = True
            return OSError(errno.EIO, str(error))
        with self._lock:
            self._durable_index = operations[-1].last_index
        return None

    def _repair(self) -> None:
        if self._broken:
            self._entries.reopen(self._durable_index)
            self._broken = False

    def _forget_prefix(self) -> None:
        """A failure leaves the entries where they are; the next truncation, or start, meets them again."""
        with self._lock:
            first_index = self._first_index
        if first_index <= self._entries.first_index or self._broken:
            return
        change = self._entries.change()
        change.forget_below(first_index)
        try:
            self._entries.write(change)  # io
        except OSError:
            self._broken = True
        else:
            self._entries.first_index = first_index

    def _answer(self, operations: int, error: OSError | None) -> None:
        if operations:
            self._outcomes.append((operations, error))
            self._loop.call_soon_threadsafe(self._report)
