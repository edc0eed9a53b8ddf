"""What the engine needs from the outside. `server` plugs the real ones in, tests and the simulator plug in others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from nacosx.config.events import Event
from nacosx.config.model import ConfigKey
from nacosx.config.rows import ConfigRow, ConfigSearch, HistoryRow, Page


class Pushes(Protocol):
    """Server-to-client requests over the gRPC stream of a connection."""

    def push(
        self,
        client_id: str,
        type_name: str,
        members: bytes,
        answered: Callable[[bool], None],
        *,
        timeout_ms: int,
    ) -> bool:
        """Sends `{"headers":{},"requestId":"<n>",<members>}` as `type_name`; `members` is JSON without the outer braces.

        `answered(True)` on a successful response, `answered(False)` on failure, timeout or a connection that ended.
        False, and `answered` is never called, when there is no such connection.
        """


class Datagrams(Protocol):
    """UDP to 1.x naming clients."""

    def send(self, ip: str, port: int, payload: bytes) -> None: ...


class LogStorage(Protocol):
    """The durable log. Indexes start at 1 and have no gaps."""

    first_index: int  # first entry still kept; last_index + 1 when empty
    last_index: int

    def append(self, entries: list[bytes], on_durable: Callable[[int, OSError | None], None]) -> int:
        """Queues entries; returns the index of the last one. `on_durable(last_index, error)` is called on the event loop
        once they are on disk (many appends ride on one fdatasync), or with the error: then none of them is in the log."""

    def read(self, from_index: int) -> Iterable[tuple[int, bytes]]:
        """Entries from `from_index` to the end, in order. Used at start, before the first append."""

    def truncate_prefix(self, first_index_kept: int) -> None:
        """Forgets entries below; whole segments are deleted."""

    def close(self) -> None: ...


class RowStore(Protocol):
    """The SQL projection of config data: search, paging and history. Behind the log, never ahead of it.

    Writes are queued and applied in batches by one thread; a query sees every write made before it was asked.
    """

    applied_index: int  # the projection holds everything up to this index of the log

    def write(self, index: int, events: Sequence[Event]) -> None:
        """Queues what the entry at `index` did. Indexes not above `applied_index` are ignored (replay at start)."""

    def rebuild(self, index: int, rows: Sequence[Event]) -> None:
        """Replaces all rows but history by the state at `index`: the projection was lost, or fell behind a snapshot."""

    async def flushed(self, index: int) -> None:
        """Returns once everything up to `index` that was written here can be queried."""

    async def sync(self, index: int) -> None:
        """Returns once it is on disk, too; only then may the log forget entries up to `index`."""

    async def search(self, search: ConfigSearch) -> Page[ConfigRow]: ...

    async def history(self, key: ConfigKey, page_number: int, page_size: int) -> Page[HistoryRow]:
        """Newest first, without contents."""

    async def history_row(self, history_id: int) -> HistoryRow | None: ...

    async def previous_row(self, config_id: int) -> HistoryRow | None:
        """The newest row about an update or deletion of this config."""

    async def forget_history(self, before_ms: int) -> None:
        """Deletes history rows older than this (wall clock)."""

    def close(self) -> None: ...
