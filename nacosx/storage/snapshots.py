"""Snapshots of the rooms behind `engine.ports.Snapshots`: written beside, fsynced, renamed; the newest two are kept.

::

    <index, 16 hex digits>.snapshot    magic 8 │ crc32c u32 of the rest │ msgpack {format, index, term, rooms}
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from nacosx._core.entry import crc32c
from nacosx.engine.ports import TERM_ALONE

log = logging.getLogger(__name__)

MAGIC = b"NACOSXSN"
FORMAT = 1
KEPT = 2

HEADER_BYTES = len(MAGIC) + 4
NAME = re.compile(r"([0-9a-f]{16})\.snapshot")


class Content(msgspec.Struct, frozen=True):
    format: int
    index: int
    term: int
    rooms: dict[str, bytes]


class SnapshotDirectory:
    """The snapshots in a directory, which it creates."""

    __slots__ = ("_directory",)

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = Path(directory)
        self._directory.mkdir(parents=True, exist_ok=True)
        sync_directory(self._directory.parent)

    def load(self) -> Iterator[tuple[int, dict[str, bytes]]]:
        """The newest first. A damaged one is logged and skipped: the one before it and the log hold the same state."""
        for index, path in reversed(self._files()):
            try:
                content = read(path)
            except (ValueError, OSError) as error:
                log.error("the snapshot %s is skipped: %s", path, error)
                continue
            if content.index != index:
                log.error("the snapshot %s is skipped: it was renamed, it is of entry %d", path, content.index)
                continue
            yield index, content.rooms

    def save(self, index: int, rooms: Mapping[str, bytes]) -> int:
        """Returns the index of the oldest one kept."""
        body = msgspec.msgpack.encode(Content(FORMAT, index, TERM_ALONE, dict(rooms)))
        draft = self._directory / "draft.tmp"
        try:
            with draft.open("wb") as file:
                file.write(MAGIC + crc32c(body).to_bytes(4, "little"))
                file.write(body)
                file.flush()
                os.fsync(file.fileno())  # io
            draft.rename(self._directory / f"{index:016x}.snapshot")
            sync_directory(self._directory)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        *old, _ = kept = self._files()
        for _, path in kept[:-KEPT]:
            path.unlink()
        return old[-(KEPT - 1)][0] if len(kept) >= KEPT else index

    def _files(self) -> list[tuple[int, Path]]:
        """(index, path), the oldest first."""
        found = ((NAME.fullmatch(path.name), path) for path in self._directory.iterdir())
        return sorted((int(match[1], 16), path) for match, path in found if match)


def read(path: Path) -> Content:
    """ValueError when the file is not a whole, intact snapshot of a format this version reads."""
    data = path.read_bytes()
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("this is not a snapshot")
    body = memoryview(data)[HEADER_BYTES:]
    if crc32c(body).to_bytes(4, "little") != data[len(MAGIC) : HEADER_BYTES]:
        raise ValueError("the checksum does not match")
    content = msgspec.msgpack.decode(body, type=Content)
    if content.format != FORMAT:
        raise ValueError(f"written by a later version (format {content.format}, this one reads {FORMAT})")
    return content


def sync_directory(path: Path) -> None:
    """Makes creations and renames in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)  # io
    finally:
        os.close(fd)
