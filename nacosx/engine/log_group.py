"""The group of one: what makes a durable command durable.

::

    propose ─→ entries of this turn of the loop ─append→ log (disk thread) ─on_durable→ apply, in order ─→ the proposer
                                                                                    └→ reactions, rows

A command is applied only when it is on disk, so nobody reads what a crash could take back. The proposer hears of both: of
a refusal of `apply`, and of a disk that fails. After a failure the state serves reads, and the next proposal tries the disk
again.

Snapshots keep the log short: the rooms are encoded on the loop, written in a thread, and the log is cut once the rows are
on disk up to there, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import cast

import msgspec

from nacosx.config.catalog import Catalog
from nacosx.config.events import Event as ConfigEvent
from nacosx.engine.ports import TERM_ALONE, LogStorage, RowStore, Snapshot, Snapshots
from nacosx.engine.reactions import Reactions, react
from nacosx.engine.recovery import recover
from nacosx.engine.rooms import CONFIG_COMMANDS, DurableCommand, Rooms, encode
from nacosx.errors import OVER_THRESHOLD, PARAMETER_INVALID, SERVER, NacosError
from nacosx.namespaces import Namespaces
from nacosx.naming.registry import Registry

log = logging.getLogger(__name__)

Proposal = tuple[DurableCommand, "asyncio.Future[None]"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    pending_max: int = 16384  # proposals not yet answered; more are refused
    pending_bytes_max: int = 64 << 20  # of them
    entry_bytes_max: int = 12 << 20  # one command; a gRPC request is at most 10 MiB
    batch_entries_max: int = 256  # one append
    batch_bytes_max: int = 1 << 20  # one append is closed when it holds this
    # A snapshot is due when the log since the last one holds this many entries or bytes, and at least as many bytes as
    # the last snapshot: then writing snapshots never costs more than writing the log.
    snapshot_entries: int = 50_000
    snapshot_bytes: int = 32 << 20
    # At a stop a snapshot is written when replay would take longer than this many entries.
    stop_entries: int = 2_000


class LogGroup:
    """invariant: what is applied is on disk; entries are applied in the order of their indexes, each once."""

    def __init__(
        self,
        registry: Registry,
        catalog: Catalog,
        namespaces: Namespaces,
        *,
        log: LogStorage,
        snapshots: Snapshots,
        rows: RowStore,
        reactions: Reactions,
        loop: asyncio.AbstractEventLoop,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
    ) -> None:
        self.applied_index = 0  # every entry up to this one is in the rooms
        self._rooms = Rooms(registry, catalog, namespaces)
        self._log = log
        self._snapshots = snapshots
        self._rows = rows
        self._reactions = reactions
        self._loop = loop
        self._limits = limits
        self._stopping = False
        # The batch of this turn of the loop; `_flush` is scheduled while it is not empty.
        self._batch: list[Proposal] = []
        self._entries: list[bytes] = []
        self._batch_bytes = 0
        # Not yet answered, the batch included.
        self._pending = 0
        self._pending_bytes = 0
        self._idle: asyncio.Future[None] | None = None
        self._refused = 0  # by the disk, since it last took a write
        # Since the last snapshot.
        self._entries_since = 0
        self._bytes_since = 0
        self._snapshot_bytes = 0
        self._snapshot_task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Restores the rooms from disk. Blocks; RecoveryError when the disk does not hold one consistent state."""
        recovered = recover(self._rooms, self._log, self._snapshots, self._rows)
        self.applied_index = recovered.applied_index
        self._entries_since = recovered.entries
        self._bytes_since = recovered.entries_bytes
        self._snapshot_bytes = recovered.snapshot_bytes

    def propose(self, command: DurableCommand) -> asyncio.Future[None]:
        """Done once the command is on disk and applied. NacosError at once when it cannot be taken."""
        if self._stopping:
            raise NacosError(SERVER, "the server is stopping")
        limits = self._limits
        if self._pending >= limits.pending_max or self._pending_bytes >= limits.pending_bytes_max:
            raise NacosError(OVER_THRESHOLD, f"{self._pending} writes wait for the disk, try again later")
        if self._rows.behind and type(command) in CONFIG_COMMANDS:
            raise NacosError(OVER_THRESHOLD, "the database is behind by too many changes, try again later")
        entry = encode(command)
        size = len(entry)
        if size > limits.entry_bytes_max:
            raise NacosError(PARAMETER_INVALID, f"the write takes {size} bytes, {limits.entry_bytes_max} are allowed")
        if not self._entries:
            self._loop.call_soon(self._flush)
        future = self._loop.create_future()
        self._entries.append(entry)
        self._batch.append((command, future))
        self._batch_bytes += size
        self._pending += 1
        self._pending_bytes += size
        if len(self._entries) >= limits.batch_entries_max or self._batch_bytes >= limits.batch_bytes_max:
            self._flush()
        return future

    async def stop(self) -> None:
        """Waits for everything proposed, leaves a snapshot when it makes the next start faster. Takes nothing more."""
        self._stopping = True
        if self._pending:
            self._idle = self._loop.create_future()
            await self._idle
        if self._snapshot_task is not None:
            await self._snapshot_task
        if self._entries_since >= self._limits.stop_entries:
            await self._take_snapshot()

    # --- the log -----------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        if not self._entries:  # the batch was full before its turn ended
            return
        entries, batch, size = self._entries, self._batch, self._batch_bytes
        self._entries, self._batch, self._batch_bytes = [], [], 0
        try:
            self._log.append(entries, partial(self._on_durable, batch, size))  # io
        except OSError as error:
            self._on_durable(batch, size, 0, error)

    def _on_durable(self, batch: Sequence[Proposal], size: int, last_index: int, error: OSError | None) -> None:
        self._pending -= len(batch)
        self._pending_bytes -= size
        if error is None:
            self._entries_since += len(batch)
            self._bytes_since += size
            if self._refused:
                log.warning("the log can be written again, %d writes were refused meanwhile", self._refused)
                self._refused = 0
            self._apply(batch, last_index)
            self._maybe_snapshot()
        else:
            self._refuse(batch, error)
        if self._idle is not None and not self._pending:
            self._idle.set_result(None)
            self._idle = None

    def _apply(self, batch: Sequence[Proposal], last_index: int) -> None:
        assert last_index == self.applied_index + len(batch), "a gap in the log"
        rows: list[ConfigEvent] = []
        for command, future in batch:
            self.applied_index += 1
            events: Sequence[object] = ()
            refusal: NacosError | None = None
            try:
                events = self._rooms.apply(command)
            except NacosError as error:
                refusal = error
            except Exception as error:
                # A bug of a room. Replay meets it again in the same way, so the state stays what it is now.
                log.exception("applying entry %d failed: %r", self.applied_index, type(command))
                refusal = NacosError(SERVER, f"caused: {error!r}")
            if future.done():  # cancelled: the proposer has gone
                pass
            elif refusal is None:
                future.set_result(None)
            else:
                future.set_exception(refusal)
            if type(command) in CONFIG_COMMANDS:
                rows.extend(cast("Sequence[ConfigEvent]", events))
            # After the answer is on its way: whoever proposed need not wait for a crowd to be told.
            react(self._reactions, events)
        if rows:
            self._rows.write(last_index, rows)

    def _refuse(self, batch: Sequence[Proposal], error: OSError) -> None:
        if not self._refused:  # once, not for every write: the disk that is full may hold the server's own log
            log.error("the log cannot be written, writes are refused until it can: %s", error)
        self._refused += len(batch)
        for _, future in batch:
            if not future.done():
                future.set_exception(NacosError(SERVER, f"the write could not be stored: {error.strerror or error}"))

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def _maybe_snapshot(self) -> None:
        due = self._entries_since >= self._limits.snapshot_entries or self._bytes_since >= self._limits.snapshot_bytes
        if due and self._bytes_since >= self._snapshot_bytes and self._snapshot_task is None and not self._stopping:
            self._snapshot_task = self._loop.create_task(self._take_snapshot())

    async def _take_snapshot(self) -> None:
        """A failure is logged: the log is longer than it need be, and the next trigger tries again."""
        index = self.applied_index
        self._entries_since = self._bytes_since = 0
        try:
            rooms = self._rooms.snapshot()
            self._snapshot_bytes = sum(map(len, rooms.values()))
            snapshot = Snapshot(index, TERM_ALONE, None, 0, rooms)
            oldest_kept = await self._loop.run_in_executor(None, self._snapshots.save, snapshot)
            await self._rows.sync(oldest_kept)
        except OSError as error:
            log.error("no snapshot at %d, the log stays as long as it is: %s", index, error)
        except Exception:
            log.exception("no snapshot at %d, the log stays as long as it is", index)
        else:
            self._log.truncate_prefix(oldest_kept + 1)
        finally:
            self._snapshot_task = None
