"""What the engine needs from the outside. `server` plugs the real ones in, tests and the simulator plug in others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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

    @property
    def first_index(self) -> int:
        """First entry still kept; last_index + 1 when empty."""

    @property
    def last_index(self) -> int: ...

    def append(self, entries: Sequence[bytes], on_durable: Callable[[int, OSError | None], None]) -> int:
        """Queues entries; returns the index of the last one.

        `on_durable(last_index, error)` is called on the event loop once they are on disk (many appends ride on one
        fdatasync), in the order of the appends. With an error none of them is in the log and their indexes are used
        again. OSError: the log takes no entries at all.
        """

    def read(self, from_index: int) -> Iterator[tuple[int, bytes]]:
        """Entries from `from_index` to the end, in order. Used at start, before the first append."""

    def truncate_prefix(self, first_index_kept: int) -> None:
        """Forgets entries below, by and by: whole segments are deleted."""

    def reset(self, next_index: int) -> None:
        """Forgets every entry; the next one appended gets `next_index`. Blocks until that is on disk; OSError."""

    def close(self) -> None:
        """Blocks until everything appended is on disk or has failed."""


class Snapshots(Protocol):
    """The state of the rooms at an index of the log, on disk. It blocks: while serving, call it in a thread."""

    def load(self) -> Iterator[tuple[int, dict[str, bytes]]]:
        """(index, room name → its snapshot), the newest first; damaged ones are logged and skipped."""

    def save(self, index: int, rooms: Mapping[str, bytes]) -> int:
        """Returns the index of the oldest snapshot still kept: the log up to it is not needed. OSError on failure."""


class RowStore(Protocol):
    """The SQL projection of config data: search, paging and history. Behind the log, never ahead of it.

    Writes are queued and applied in batches by one thread; a query sees every write made before it was asked.
    """

    applied_index: int  # the projection holds everything up to this index of the log

    @property
    def behind(self) -> bool:
        """So far behind that no more should be published until it has caught up."""

    def write(self, index: int, events: Sequence[Event]) -> None:
        """Queues what the entries up to `index` did since the last call. Indexes not above `applied_index` are ignored."""

    def rebuild(self, index: int, rows: Sequence[Event]) -> None:
        """Replaces all rows but history by the state at `index`: the projection was lost, or fell behind a snapshot.
        Called at start, before the first `write`. Raises OSError."""

    async def flushed(self, index: int) -> None:
        """Returns once everything up to `index` that was written here can be queried."""

    async def sync(self, index: int) -> None:
        """Returns once everything up to `index` is on disk; only then may the log forget entries up to `index`. Everything
        up to `index` must have been written here, except entries without events. Raises OSError when it cannot."""

    async def search(self, search: ConfigSearch) -> Page[ConfigRow]: ...

    async def history(self, key: ConfigKey, page_number: int, page_size: int) -> Page[HistoryRow]:
        """Newest first, without contents."""

    async def history_row(self, history_id: int) -> HistoryRow | None: ...

    async def previous_row(self, config_id: int) -> HistoryRow | None:
        """The newest row about an update or deletion of this config."""

    async def forget_history(self, before_ms: int) -> None:
        """Deletes history rows older than this (wall clock)."""

    def close(self) -> None: ...
