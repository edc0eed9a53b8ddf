"""Snapshots of a group behind `engine.ports.Snapshots`: written beside, fsynced, renamed; the newest two are kept.

::

    <index, 16 hex digits>.snapshot    magic 8 │ crc32c u32 of the rest │ msgpack {format, index, term, rooms, …}

A snapshot travels to another member as this file, in chunks. Format 1 had neither configuration nor digest.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from nacosx._core.entry import Configuration, crc32c
from nacosx.engine.ports import Snapshot

log = logging.getLogger(__name__)

MAGIC = b"NACOSXSN"
FORMAT = 2
FORMATS = (1, 2)
KEPT = 2
BYTES_MAX = 4 << 30  # limit: of one that another member sends

HEADER_BYTES = len(MAGIC) + 4
NAME = re.compile(r"([0-9a-f]{16})\.snapshot")


class Content(msgspec.Struct, frozen=True):
    format: int
    index: int
    term: int
    rooms: dict[str, bytes]
    configuration: bytes = b""  # empty: unknown
    digest: int = 0


class SnapshotDirectory:
    """The snapshots in a directory, which it creates."""

    __slots__ = ("_directory",)

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = Path(directory)
        self._directory.mkdir(parents=True, exist_ok=True)
        sync_directory(self._directory.parent)

    def load(self) -> Iterator[Snapshot]:
        """The newest first. A damaged one is logged and skipped: the one before it and the log hold the same state."""
        for index, path in reversed(self._files()):
            try:
                yield read(path, index)
            except (ValueError, OSError) as error:
                log.error("the snapshot %s is skipped: %s", path, error)

    def save(self, snapshot: Snapshot) -> int:
        """Returns the index of the oldest one kept."""
        configuration = b"" if snapshot.configuration is None else snapshot.configuration.encode()
        body = msgspec.msgpack.encode(
            Content(FORMAT, snapshot.index, snapshot.term, snapshot.rooms, configuration, snapshot.digest)
        )
        draft = self._directory / "draft.tmp"
        try:
            with draft.open("wb") as file:
                file.write(MAGIC + crc32c(body).to_bytes(4, "little"))
                file.write(body)
                file.flush()
                os.fsync(file.fileno())  # io
            return self.keep(draft, snapshot.index)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def size(self, index: int) -> int:
        return self._path(index).stat().st_size

    def read(self, index: int, offset: int, size: int) -> bytes:
        with self._path(index).open("rb", buffering=0) as file:
            return os.pread(file.fileno(), size, offset)  # io

    def receive(self, index: int, size: int) -> IncomingFile:
        if not 0 < size <= BYTES_MAX:
            raise ValueError(f"a snapshot of {size} bytes, {BYTES_MAX} are allowed")
        return IncomingFile(self, self._directory / "incoming.tmp", index, size)

    def keep(self, draft: Path, index: int) -> int:
        """Takes a file that is on disk among the snapshots and forgets old ones; the index of the oldest one kept."""
        draft.rename(self._path(index))
        sync_directory(self._directory)
        kept = self._files()
        for _, path in kept[:-KEPT]:
            path.unlink()
        return kept[-KEPT:][0][0] if len(kept) >= KEPT else index

    def _path(self, index: int) -> Path:
        return self._directory / f"{index:016x}.snapshot"  # of a number: no name comes from outside

    def _files(self) -> list[tuple[int, Path]]:
        """(index, path), the oldest first."""
        found = ((NAME.fullmatch(path.name), path) for path in self._directory.iterdir())
        return sorted((int(match[1], 16), path) for match, path in found if match)


class IncomingFile:
    """`engine.ports.IncomingSnapshot`: gathers in a file beside the snapshots."""

    __slots__ = ("_directory", "_file", "_index", "_path", "_rest_bytes")

    def __init__(self, directory: SnapshotDirectory, path: Path, index: int, size: int) -> None:
        self._directory = directory
        self._path = path
        self._index = index
        self._rest_bytes = size
        self._file: BinaryIO = path.open("wb")

    def write(self, chunk: bytes) -> None:
        if len(chunk) > self._rest_bytes:
            raise ValueError(f"{len(chunk)} bytes of the snapshot arrived, {self._rest_bytes} were left")
        self._file.write(chunk)
        self._rest_bytes -= len(chunk)

    def finish(self) -> Snapshot:
        if self._rest_bytes:
            raise ValueError(f"{self._rest_bytes} bytes of the snapshot are missing")
        self._file.flush()
        os.fsync(self._file.fileno())  # io
        self._file.close()
        snapshot = read(self._path, self._index)
        self._directory.keep(self._path, self._index)
        return snapshot

    def discard(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


def read(path: Path, index: int) -> Snapshot:
    """ValueError when the file is not a whole, intact snapshot of that entry, of a format this version reads."""
    data = path.read_bytes()
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("this is not a snapshot")
    body = memoryview(data)[HEADER_BYTES:]
    if crc32c(body).to_bytes(4, "little") != data[len(MAGIC) : HEADER_BYTES]:
        raise ValueError("the checksum does not match")
    content = msgspec.msgpack.decode(body, type=Content)
    if content.format not in FORMATS:
        raise ValueError(f"written by a later version (format {content.format}, this one reads {FORMAT})")
    if content.index != index:
        raise ValueError(f"it was renamed, it is of entry {content.index}")
    configuration = Configuration.decode(content.configuration) if content.configuration else None
    return Snapshot(index, content.term, configuration, content.digest, content.rooms)


def sync_directory(path: Path) -> None:
    """Makes creations and renames in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)  # io
    finally:
        os.close(fd)
