"""SQLite as the projection of config data behind `engine.ports.RowStore`.

::

    write ──rows──→ batch ──64 rows a statement, one transaction with the applied index──→ SQLite ←── queries
      (event loop)        └──────────────── one thread, in order ──────────────────────────────┘

A batch leaves for the thread when it is full, when it is old, or when somebody asks something; so a query sees every write
made before it. Write-ahead journal with synchronous=NORMAL: a commit costs no fsync, a checkpoint does, and a power cut
loses the newest rows but nothing else; the log brings them back. When the disk refuses (full), batches wait and are tried
again with the next one.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, cast

from nacosx.config.events import ConfigWritten, Event, GrayWritten, HistoryRecorded
from nacosx.config.history import gray_rule_json
from nacosx.config.model import ConfigKey
from nacosx.config.rows import ConfigRow, ConfigSearch, HistoryRow, Page
from nacosx.errors import DATA_ACCESS, OVER_THRESHOLD, NacosError
from nacosx.storage import rows_sql as sql

_log = logging.getLogger("nacosx.rows")

Answer = TypeVar("Answer")
Row = TypeVar("Row")
# One value of a row; never None (rows_sql says why).
Value = int | str

BATCH_ROWS_MAX = 4_096  # the pages of the indexes are written once a batch
BATCH_BYTES_MAX = 4 << 20  # of contents
BATCH_DELAY_MS = 250
BATCHES_WAITING_MAX = 128
BYTES_WAITING_MAX = 64 << 20
QUERIES_WAITING_MAX = 64
JOURNAL_PAGES_MAX = 4_000  # of PAGE_BYTES, then a commit checkpoints
CACHE_KIB_MAX = 16 << 10  # a batch fits; else its pages are written to the journal before their time, and read again
FORGET_ROWS = 1_000  # a transaction, so that writes get between


class _Batch:
    """Rows of consecutive entries; of a config written twice only the newest is kept. The thread makes values of them."""

    __slots__ = ("bytes", "configs", "grays", "history", "index", "rows", "tags")

    def __init__(self, index: int) -> None:
        self.index = index
        self.rows = 0
        self.bytes = 0
        self.configs: dict[int, ConfigWritten] = {}  # by id
        self.grays: dict[int, GrayWritten] = {}
        self.tags: dict[int, ConfigWritten] = {}  # by id: all its tags are written
        self.history: list[HistoryRecorded] = []

    def add(self, events: Sequence[Event]) -> None:
        for event in events:
            if type(event) is ConfigWritten:
                self.rows += 1
                self.configs[event.id] = event
                if event.tagged:
                    self.tags[event.id] = event
            elif type(event) is HistoryRecorded:
                self.rows += 1
                self.bytes += len(event.version.content)
                self.history.append(event)
            elif type(event) is GrayWritten:
                self.rows += 1
                self.grays[event.id] = event


class Rows:
    """The projection in one file. Made by `open_rows`; every method belongs to the event loop's thread."""

    __slots__ = (
        *("_batch", "_committed_bytes", "_connection", "_handed_bytes", "_handed_index", "_later", "_path", "_queries"),
        *("_thread", "_timer", "_waiting", "applied_index", "written_index"),
    )

    def __init__(
        self, path: Path, connection: sqlite3.Connection, later: Callable[[int, Callable[[object], None]], object]
    ) -> None:
        self._path = path
        self._connection = connection  # used by `_thread` only
        self._later = later
        self._thread = ThreadPoolExecutor(1, "nacosx-rows")
        self._queries = 0
        self._timer = False
        # Handed over and not committed yet. The loop appends, the thread pops what it has committed.
        self._waiting: deque[_Batch] = deque()
        # Of contents, ever; each is written by one thread only.
        self._handed_bytes = 0
        self._committed_bytes = 0
        row = connection.execute(sql.GET_APPLIED).fetchone()
        self.applied_index: int = row[0] if row else 0
        self.written_index = self.applied_index
        self._handed_index = self.applied_index
        self._batch = _Batch(self.applied_index)

    @property
    def behind(self) -> bool:
        return (
            len(self._waiting) >= BATCHES_WAITING_MAX or self._handed_bytes - self._committed_bytes >= BYTES_WAITING_MAX
        )

    # --- writes ------------------------------------------------------------------------------------------------------

    def write(self, index: int, events: Sequence[Event]) -> None:
        if index <= self.written_index:
            return  # replayed at start, and already here
        self.written_index = index
        batch = self._batch
        batch.index = index
        if not events:
            return
        batch.add(events)
        if batch.rows >= BATCH_ROWS_MAX or batch.bytes >= BATCH_BYTES_MAX:
            self._hand_over()
        elif not self._timer:
            self._timer = True
            self._later(BATCH_DELAY_MS, self._on_timer)

    def rebuild(self, index: int, rows: Sequence[Event]) -> None:
        batch = _Batch(index)
        batch.add(rows)
        try:
            self._thread.submit(self._replace_all, batch).result()
        except sqlite3.Error as error:
            raise OSError(f"cannot rebuild {self._path}: {error}") from error
        self.written_index = index
        self._handed_index = index
        self._batch = _Batch(index)

    async def flushed(self, index: int) -> None:
        if index > self.applied_index:
            await self._query(lambda _: None)

    async def sync(self, index: int) -> None:
        self.written_index = max(self.written_index, index)
        self._batch.index = self.written_index
        self._close_batch()
        try:
            await asyncio.wrap_future(self._thread.submit(self._checkpoint))
        except sqlite3.Error as error:
            raise OSError(f"cannot write {self._path}: {error}") from error

    def close(self) -> None:
        """Writes what is queued and closes the file. What the disk refuses now, the log brings back at the next start."""
        self._close_batch()
        try:
            self._thread.submit(self._checkpoint).result()
        except sqlite3.Error as error:
            _log.warning("rows are behind the log: %s: %s", self._path, error)
        self._thread.shutdown()
        self._connection.close()

    def _on_timer(self, _: object) -> None:
        self._timer = False
        self._hand_over()

    def _hand_over(self) -> None:
        self._close_batch()
        if self._waiting:
            self._thread.submit(self._drain)

    def _close_batch(self) -> None:
        batch = self._batch
        if batch.index > self._handed_index:
            self._handed_index = batch.index
            self._handed_bytes += batch.bytes
            self._waiting.append(batch)
            self._batch = _Batch(batch.index)

    # --- queries -----------------------------------------------------------------------------------------------------

    async def search(self, search: ConfigSearch) -> Page[ConfigRow]:
        where, values = _where(search)
        # The Java server's database answers a search by dataId from the index on it.
        order = "data_id, group_id" if search.blur and search.data_id else "id"

        def work(connection: sqlite3.Connection) -> Page[ConfigRow]:
            total = connection.execute(sql.SEARCH_COUNT + where, values).fetchone()[0]
            limit = (*values, search.page_size, (search.page_number - 1) * search.page_size)
            rows = connection.execute(f"{sql.SEARCH}{where} ORDER BY {order} LIMIT ? OFFSET ?", limit)
            return _page(total, search.page_number, search.page_size, [ConfigRow(*row) for row in rows])

        return await self._query(work)

    async def history(self, key: ConfigKey, page_number: int, page_size: int) -> Page[HistoryRow]:
        values = (key.data_id, key.group, key.namespace)

        def work(connection: sqlite3.Connection) -> Page[HistoryRow]:
            total = connection.execute(sql.HISTORY_COUNT, values).fetchone()[0]
            limit = (*values, page_size, (page_number - 1) * page_size)
            rows = connection.execute(sql.HISTORY_PAGE, limit)
            return _page(total, page_number, page_size, [HistoryRow(*row) for row in rows])

        return await self._query(work)

    async def history_row(self, history_id: int) -> HistoryRow | None:
        return await self._query(lambda connection: _history_row(connection, sql.HISTORY_ROW, history_id))

    async def previous_row(self, config_id: int) -> HistoryRow | None:
        return await self._query(lambda connection: _history_row(connection, sql.PREVIOUS_ROW, config_id))

    async def forget_history(self, before_ms: int) -> None:
        def work(connection: sqlite3.Connection) -> bool:
            oldest = connection.execute(sql.OLDEST_HISTORY, (FORGET_ROWS,)).fetchall()
            old = [nid for nid, at_ms in oldest if at_ms < before_ms]
            if old:
                with _transaction(connection):
                    connection.execute(sql.FORGET_HISTORY, (old[-1],))
            return len(old) == FORGET_ROWS

        while await self._query(work):
            pass

    async def _query(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        if self._queries >= QUERIES_WAITING_MAX:
            raise NacosError(OVER_THRESHOLD, "too many searches at once, please try later.")
        self._queries += 1
        self._close_batch()
        try:
            return await asyncio.wrap_future(self._thread.submit(self._answer, work))
        except sqlite3.Error as error:
            raise NacosError(DATA_ACCESS, str(error)) from error
        finally:
            self._queries -= 1

    # --- in the thread -----------------------------------------------------------------------------------------------

    def _answer(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        self._commit_waiting()
        return work(self._connection)

    def _checkpoint(self) -> None:
        self._commit_waiting()
        busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise sqlite3.OperationalError("another process reads the database")

    def _drain(self) -> None:
        try:
            self._commit_waiting()
        except sqlite3.Error as error:
            _log.warning("rows are behind the log, and wait: %s: %s", self._path, error)
        except Exception as error:
            # Nobody looks at the future of this, so a bug would go unseen.
            _log.error("cannot write rows to %s", self._path, exc_info=error)

    def _commit_waiting(self) -> None:
        while self._waiting:
            batch = self._waiting[0]
            with _transaction(self._connection):
                _write(self._connection, batch)
            self.applied_index = batch.index
            self._committed_bytes += batch.bytes
            self._waiting.popleft()

    def _replace_all(self, batch: _Batch) -> None:
        while self._waiting:  # older than what replaces them
            self._committed_bytes += self._waiting.popleft().bytes
        with _transaction(self._connection):
            for table in ("config_info", "config_info_gray", "config_tags_relation"):
                self._connection.execute(f"DELETE FROM {table}")
            _write(self._connection, batch)
        self.applied_index = batch.index


def open_rows(path: Path, later: Callable[[int, Callable[[object], None]], object]) -> Rows:
    """Opens or makes the file. `later(delay_ms, callback)` is the ticker's `schedule`.

    A file that is not a database, is damaged, or is of another version is put aside: the caller sees `applied_index` 0 and
    rebuilds. Raises OSError when the file can be neither opened nor made.
    """
    try:
        try:
            connection = _connect(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # cannot be opened, which is not the fault of what is in it
            aside = path.with_name(f"{path.name}.damaged")
            _log.warning("%s is damaged (%s); put aside as %s, history starts anew", path, error, aside.name)
            path.replace(aside)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            connection = _connect(path)
    except sqlite3.Error as error:
        raise OSError(f"cannot open {path}: {error}") from error
    return Rows(path, connection, later)


def _connect(path: Path) -> sqlite3.Connection:
    # The one thread of `Rows` uses it after this; isolation_level=None: we say BEGIN ourselves.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA page_size = {sql.PAGE_BYTES}")  # of a file that is not there yet
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB_MAX}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {JOURNAL_PAGES_MAX}")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, sql.SCHEMA_VERSION):
            raise sqlite3.DatabaseError(f"schema version {version} instead of {sql.SCHEMA_VERSION}")
        connection.executescript(sql.SCHEMA)
        connection.execute(f"PRAGMA user_version = {sql.SCHEMA_VERSION}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:  # it failed
            connection.execute("ROLLBACK")


def _write(connection: sqlite3.Connection, batch: _Batch) -> None:
    """Deletions first: a key that was deleted and published again has a new id, and its old row is in the way."""
    configs, grays, tags, history = batch.configs.values(), batch.grays.values(), batch.tags.values(), batch.history
    _in_chunks(connection, sql.DELETE_CONFIGS, [(event.id,) for event in configs if event.config is None])
    _in_chunks(connection, sql.DELETE_GRAYS, [(event.id,) for event in grays if event.gray is None])
    _in_chunks(connection, sql.DELETE_TAGS, [(id_,) for id_ in batch.tags])

    _in_chunks(
        connection, sql.REPLACE_CONFIGS, [event for event in configs if event.config is not None], _config_values
    )
    _in_chunks(connection, sql.REPLACE_GRAYS, [event for event in grays if event.gray is not None], _gray_values)
    _in_chunks(connection, sql.REPLACE_TAGS, list(chain.from_iterable(map(_tag_values, tags))))
    _in_chunks(connection, sql.REPLACE_HISTORY, history, _history_values)
    connection.execute(sql.SET_APPLIED, (batch.index,))


def _in_chunks(
    connection: sqlite3.Connection,
    statement: str,
    rows: Sequence[Row],
    values_of: Callable[[Row], tuple[Value, ...]] = lambda row: cast("tuple[Value, ...]", row),
) -> None:
    for start in range(0, len(rows), sql.CHUNK_ROWS):
        chunk = [values_of(row) for row in rows[start : start + sql.CHUNK_ROWS]]
        values = list(chain.from_iterable(chunk))
        values += [0] * ((sql.CHUNK_ROWS - len(chunk)) * len(chunk[0]))
        connection.execute(statement, values)


def _config_values(event: ConfigWritten) -> tuple[Value, ...]:
    key, config = event.key, event.config
    assert config is not None
    details = config.details
    return (
        *(config.id, key.data_id, key.group, key.namespace, details.app_name, config.type, config.md5),
        *(config.created_ms, config.modified_ms, config.src_user or "", config.src_ip, details.desc or ""),
        *(details.use or "", details.effect or "", config.encrypted_data_key, details.schema or ""),
        config.content.decode(),
    )


def _tag_values(event: ConfigWritten) -> list[tuple[Value, ...]]:
    key, config = event.key, event.config
    if config is None:
        return []
    return [(event.id, tag, key.data_id, key.group, key.namespace) for tag in config.details.tags]


def _gray_values(event: GrayWritten) -> tuple[Value, ...]:
    key, gray = event.key, event.gray
    assert gray is not None
    return (
        *(gray.id, key.data_id, key.group, key.namespace, gray.name, gray_rule_json(gray), gray.app_name, gray.md5),
        *(gray.created_ms, gray.modified_ms, gray.src_user or "", gray.src_ip, gray.encrypted_data_key),
        gray.content.decode(),
    )


def _history_values(event: HistoryRecorded) -> tuple[Value, ...]:
    key, version = event.key, event.version
    return (
        *(event.history_id, event.config_id, key.data_id, key.group, key.namespace, event.op_type),
        *(event.publish_type, event.gray_name, event.app_name, event.src_user or "", event.src_ip, event.at_ms),
        *(version.md5, version.encrypted_data_key, event.ext_info, version.content.decode()),
    )


def _where(search: ConfigSearch) -> tuple[str, list[Value]]:
    where, values = ["tenant_id = ?"], list[Value]([search.namespace])
    for column, value in (("data_id", search.data_id), ("group_id", search.group)):
        if not value:
            continue
        if search.blur and "*" in value:
            # GLOB knows * as we mean it, compares with case, and can use the index; its other signs are made plain.
            where.append(f"{column} GLOB ?")
            values.append(value.replace("[", "[[]").replace("?", "[?]"))
        else:
            where.append(f"{column} = ?")
            values.append(value)
    if search.app_name:
        where.append("app_name = ?")
        values.append(search.app_name)
    if search.types:
        where.append(f"type IN ({','.join('?' * len(search.types))})")
        values.extend(search.types)
    if search.tags:
        marks = ",".join("?" * len(search.tags))
        where.append(f"id IN (SELECT id FROM config_tags_relation WHERE tag_name IN ({marks}))")
        values.extend(search.tags)
    return " AND ".join(where), values


def _page(total: int, number: int, size: int, items: list[Row]) -> Page[Row]:
    return Page(total, number, -(-total // size), items)


def _history_row(connection: sqlite3.Connection, statement: str, id_: int) -> HistoryRow | None:
    row: tuple[Any, ...] | None = connection.execute(statement, (id_,)).fetchone()
    return None if row is None else HistoryRow(*row)
