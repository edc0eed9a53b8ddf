"""The entries of a log in RocksDB: keys, column families, batches. SOFAJRaft's RocksDBLogStorage.

::

    default         index u64 big-endian → entry (`_core.entry`)
    Configuration   the same for configuration entries alone, and meta/firstLogIndex → index u64 big-endian

rocksdict keeps the GIL while it writes, so a write is not synced; `flush_wal(True)` then does the fdatasync without it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import NamedTuple

from rocksdict import ColumnFamily, DBRecoveryMode, Options, Rdict, WriteBatch

from nacosx._core.entry import CONFIGURATION, CorruptEntryError, Entry, decode, encode
from nacosx._core.wal import CorruptLogError

CONFIGURATIONS = "Configuration"
FIRST_INDEX = b"meta/firstLogIndex"
BEYOND = b"\xff" * 9  # above the key of every index
INFO_LOGS_KEPT = 2
ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # told from the text of an error; the others are EIO


def key_of(index: int) -> bytes:
    return index.to_bytes(8, "big")


def index_of(key: bytes) -> int:
    return int.from_bytes(key, "big")


class Change:
    """What is to be written at once: all of it happens, or nothing."""

    __slots__ = ("_batch", "_configurations", "_first_index", "replaces")

    def __init__(self, configurations: ColumnFamily, first_index: int) -> None:
        self._batch = WriteBatch(raw_mode=True)
        self._configurations = configurations
        self._first_index = first_index
        self.replaces = False  # entries that were on disk before

    def append(self, entry: Entry) -> None:
        key, value = key_of(entry.index), encode(entry)
        self._batch.put(key, value)
        if entry.kind == CONFIGURATION:
            self._batch.put(key, value, self._configurations)

    def forget_above(self, index: int) -> None:
        self.replaces = True
        self._batch.delete_range(key_of(index + 1), BEYOND)
        self._batch.delete_range(key_of(index + 1), BEYOND, self._configurations)
        self.begin_at(self._first_index)  # its key may lie in the range

    def forget_below(self, index: int) -> None:
        self._batch.delete_range(key_of(0), key_of(index))
        self._batch.delete_range(key_of(0), key_of(index), self._configurations)
        self.begin_at(index)

    def begin_at(self, first_index: int) -> None:
        self._first_index = first_index
        self._batch.put(FIRST_INDEX, key_of(first_index), self._configurations)

    def taken(self) -> WriteBatch:
        """For the one write that it is good for. It holds nothing of the database afterwards."""
        batch = self._batch
        del self._batch, self._configurations
        return batch


class Opened(NamedTuple):
    database: Rdict
    configurations: Rdict
    handle: ColumnFamily  # of the configurations, for batches


class RocksEntries:
    """Opens what is there. CorruptLogError or OSError when that cannot be."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = os.fspath(directory)
        os.makedirs(self.directory, exist_ok=True)
        self._opened: Opened | None = self._open()
        stored = self._opened.configurations.get(FIRST_INDEX)
        self.first_index = 1 if stored is None else index_of(stored)
        last = self._opened.database.iter()
        last.seek_to_last()
        self.last_index = index_of(last.key()) if last.valid() else self.first_index - 1
        self._sequence = self._opened.database.latest_sequence_number()  # of the last change known to be on disk
        self._replaced = False  # by a change of which nobody knows

    def _open(self) -> Opened:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.create_missing_column_families(True)
        options.set_keep_log_file_num(INFO_LOGS_KEPT)
        # A write that a crash interrupted is forgiven at the end of the log only; the default also drops what follows damage.
        options.set_wal_recovery_mode(DBRecoveryMode.tolerate_corrupted_tail_records())
        families = {CONFIGURATIONS: Options(raw_mode=True)}
        try:
            database = Rdict(self.directory, options, column_families=families)
            return Opened(
                database,
                database.get_column_family(CONFIGURATIONS),
                database.get_column_family_handle(CONFIGURATIONS),
            )
        except Exception as error:  # rocksdict has no other
            raise refusal(self.directory, error) from error

    def reopen(self, last_index: int) -> None:
        """After a failed write: RocksDB takes nothing more, and what of it is on disk is unknown. Forgets what is above.

        OSError, again and again, when that write is there and has replaced entries: only a restart tells what there is now.
        """
        try:
            self.close()
        except OSError:
            pass  # it tells again of the write that failed
        self._opened = self._open()
        if self._replaced and self._opened.database.latest_sequence_number() != self._sequence:
            raise OSError(errno.EIO, "a write that failed has replaced entries: restart", self.directory)
        change = self.change()
        change.forget_above(last_index)
        change.replaces = False  # nothing that anybody was told of
        self.write(change)
        self._replaced = False

    @property
    def _of(self) -> Opened:
        opened = self._opened
        if opened is None:
            raise OSError(errno.EBADF, "the log is closed", self.directory)
        return opened

    def change(self) -> Change:
        return Change(self._of.handle, self.first_index)

    def write(self, change: Change) -> None:
        """Returns once it is on disk; OSError: nobody knows, `reopen`."""
        failure = self._write(change)
        if failure is not None:
            raise failure  # from here: a traceback that held the database would keep it from being opened again

    def _write(self, change: Change) -> OSError | None:
        opened = self._of
        try:
            opened.database.write(change.taken())
            opened.database.flush_wal(True)  # io
            self._sequence = opened.database.latest_sequence_number()
        except Exception as error:
            self._replaced = self._replaced or change.replaces
            failure = refusal(self.directory, error)
            return failure if isinstance(failure, OSError) else OSError(errno.EIO, str(failure))
        return None

    def get(self, index: int) -> Entry | None:
        try:
            value = self._of.database.get(key_of(index))
        except Exception as error:
            raise refusal(self.directory, error) from error
        return None if value is None else self._entry(index, value)

    def scan(self, first_index: int, last_index: int) -> Iterator[Entry]:
        return self._scan(self._of.database, first_index, last_index)

    def configurations(self, first_index: int, last_index: int) -> Iterator[Entry]:
        return self._scan(self._of.configurations, first_index, last_index)

    def _scan(self, family: Rdict, first_index: int, last_index: int) -> Iterator[Entry]:
        found = family.iter()
        found.seek(key_of(first_index))
        while found.valid():
            key = found.key()
            if len(key) == len(key_of(0)):
                if index_of(key) > last_index:
                    return
                yield self._entry(index_of(key), found.value())
            found.next()
        try:
            found.status()
        except Exception as error:
            raise refusal(self.directory, error) from error

    def _entry(self, index: int, value: bytes) -> Entry:
        try:
            entry, size = decode(value)
        except CorruptEntryError as error:
            raise CorruptLogError(self.directory, index, f"entry {index}: {error}") from error
        if entry.index != index or size != len(value):
            raise CorruptLogError(self.directory, index, f"entry {index} is another one")
        return entry

    def close(self) -> None:
        opened, self._opened = self._opened, None  # the last reference gives the lock back
        if opened is None:
            return
        try:
            opened.configurations.close()
            opened.database.close()
        except Exception as error:
            raise refusal(self.directory, error) from error


def refusal(directory: str, error: Exception) -> OSError | CorruptLogError:
    """What an error of rocksdict, which has only a text, is here."""
    text = str(error)
    if text.startswith("Corruption"):
        return CorruptLogError(directory, 0, text)
    for number in ERRNOS:
        if os.strerror(number) in text:
            return OSError(number, os.strerror(number), directory)
    return OSError(errno.EIO, text, directory)
