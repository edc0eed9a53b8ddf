"""What tests append to a log, and what they find in it, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nacosx._core.entry import DATA, Entry
from nacosx.engine.ports import LogStorage

READ_BYTES_MAX = 1 << 20


def following(log: LogStorage, data: Iterable[bytes], *, term: int = 1, kind: int = DATA) -> list[Entry]:
    """`data` as the next entries of the log."""
    return [Entry(index, term, kind, item) for index, item in enumerate(data, log.last_index + 1)]


def data_of(log: LogStorage, from_index: int) -> Iterator[tuple[int, bytes]]:
    """Index and data of the entries on disk, from there on."""
    while entries := log.entries(from_index, bytes_max=READ_BYTES_MAX):
        for entry in entries:
            yield entry.index, entry.data
        from_index = entries[-1].index + 1
