"""What the engine needs from the outside. `server` plugs the real ones in, tests and the simulator plug in others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from nacosx._core.entry import DATA, Entry
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


OnDurable = Callable[[int, OSError | None], None]

# Alone there are no elections. A group of more members begins its first one at the next term.
TERM_ALONE = 1


class LogStorage(Protocol):
    """The durable log of one group: what SOFAJRaft's LogStorage does, with the answers as messages. Indexes start at 1 and
    have no gaps.

    Appends and `truncate_suffix` are queued and carried out in order; `on_durable(last_index, error)` is called on the
    event loop once one is on disk (many ride on one fdatasync), in the same order. With an error it did not happen, nor did
    anything queued after it: the log is what it was, and indexes are used again. OSError at once: nothing was queued, the
    log is closed or too much waits (EBUSY, ENOBUFS: try again later). What is asked of entries is answered for those on disk.
    """

    @property
    def first_index(self) -> int:
        """First entry still kept; last_index + 1 when empty."""

    @property
    def last_index(self) -> int:
        """The last entry appended, on disk or not."""

    def append(
        self, entries: Sequence[bytes], on_durable: OnDurable, *, term: int = TERM_ALONE, kind: int = DATA
    ) -> int:
        """Queues the data of entries that get the next indexes; returns that of the last one."""

    def append_entries(self, entries: Sequence[Entry], on_durable: OnDurable) -> int:
        """Queues entries as they are; ValueError when the first does not follow `last_index`, or another the one before."""

    def truncate_suffix(self, last_index_kept: int, on_durable: OnDurable) -> None:
        """Queues that the entries above are forgotten. ValueError when that one is not in the log."""

    def get(self, index: int) -> Entry | None:
        """None when it is not on disk or no longer kept. OSError, and an error of its own when the bytes have changed."""

    def term(self, index: int) -> int | None:
        """Of an entry on disk that is kept, else None."""

    def entries(self, from_index: int, *, bytes_max: int) -> list[Entry]:
        """Entries from there on, at least one unless there is none; no more are added once they take `bytes_max`.
        ValueError when the first is no longer kept; errors as of `get`."""

    def configurations(self) -> list[Entry]:
        """The configuration entries on disk, in order."""

    def read(self, from_index: int) -> Iterator[tuple[int, bytes]]:
        """Index and data from `from_index` to the end, in order. Used at start, before the first append."""

    def truncate_prefix(self, first_index_kept: int) -> None:
        """Forgets entries below, by and by; some may be there again after a restart. ValueError: beyond what is on disk."""

    def reset(self, next_index: int) -> None:
        """Forgets every entry; the next one appended gets `next_index`. Blocks until that is on disk; OSError.
        ValueError while something is queued."""

    def close(self) -> None:
        """Blocks until everything queued is on disk or has failed, and reported. Nothing more is taken."""


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
