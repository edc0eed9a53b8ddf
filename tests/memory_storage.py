"""The disk of a log group in memory: nothing is durable, or fails, before the test says so."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence

import msgspec

from nacosx._core.entry import Configuration
from nacosx.config.events import Event
from nacosx.engine.ports import Snapshot

OnDurable = Callable[[int, OSError | None], None]


class MemoryLog:
    """`appends` holds what waits; `sync` makes it durable, `fail` refuses it. `full` refuses appends at once."""

    def __init__(self, entries: Sequence[bytes] = (), first_index: int = 1) -> None:
        self.first_index = first_index
        self.entries = list(entries)
        self.appends: list[tuple[list[bytes], OnDurable]] = []
        self.full: OSError | None = None
        self.closed = False

    @property
    def last_index(self) -> int:
        return self.first_index + len(self.entries) - 1

    def append(self, entries: Sequence[bytes], on_durable: OnDurable) -> int:
        if self.full is not None:
            raise self.full
        self.appends.append((list(entries), on_durable))
        return self.last_index + sum(len(waiting) for waiting, _ in self.appends)

    def sync(self) -> None:
        appends, self.appends = self.appends, []
        for entries, on_durable in appends:
            self.entries += entries
            on_durable(self.last_index, None)

    def fail(self, error: OSError) -> None:
        appends, self.appends = self.appends, []
        for _, on_durable in appends:
            on_durable(self.last_index, error)

    def read(self, from_index: int) -> Iterator[tuple[int, bytes]]:
        for index, entry in enumerate(self.entries, self.first_index):
            if index >= from_index:
                yield index, entry

    def truncate_prefix(self, first_index_kept: int) -> None:
        del self.entries[: first_index_kept - self.first_index]
        self.first_index = first_index_kept

    def reset(self, next_index: int) -> None:
        self.entries = []
        self.first_index = next_index

    def close(self) -> None:
        self.closed = True


class MemorySnapshots:
    """Keeps the newest two. `error` is raised by `save`."""

    def __init__(self) -> None:
        self.kept: dict[int, Snapshot] = {}
        self.error: OSError | None = None

    def load(self) -> Iterator[Snapshot]:
        for _, snapshot in sorted(self.kept.items(), reverse=True):
            yield snapshot

    def save(self, snapshot: Snapshot) -> int:
        if self.error is not None:
            raise self.error
        self.kept[snapshot.index] = snapshot
        self.kept = dict(sorted(self.kept.items())[-2:])
        return min(self.kept)

    def size(self, index: int) -> int:
        return len(self._encoded(index))

    def read(self, index: int, offset: int, size: int) -> bytes:
        return self._encoded(index)[offset : offset + size]

    def receive(self, index: int, size: int) -> MemoryIncoming:
        return MemoryIncoming(self, index, size)

    def _encoded(self, index: int) -> bytes:
        kept = self.kept.get(index)
        if kept is None:
            raise OSError(errno.ENOENT, "No such snapshot")
        configuration = None if kept.configuration is None else kept.configuration.encode()
        return msgspec.msgpack.encode((kept.index, kept.term, configuration, kept.digest, kept.rooms))


def decode_snapshot(content: bytes) -> Snapshot:
    row = msgspec.msgpack.decode(content, type=tuple[int, int, bytes | None, int, dict[str, bytes]])
    index, term, configuration, digest, rooms = row
    return Snapshot(index, term, None if configuration is None else Configuration.decode(configuration), digest, rooms)


class MemoryIncoming:
    """A snapshot that arrives."""

    def __init__(self, snapshots: MemorySnapshots, index: int, size: int) -> None:
        self.snapshots = snapshots
        self.index = index
        self.size = size
        self.content = b""

    def write(self, chunk: bytes) -> None:
        self.content += chunk

    def finish(self) -> Snapshot:
        if len(self.content) != self.size:
            raise ValueError("the snapshot is not whole")
        snapshot = decode_snapshot(self.content)
        self.snapshots.save(snapshot)
        return snapshot

    def discard(self) -> None:
        self.content = b""


class MemoryRows:
    """The write side of the projection: what was written when."""

    def __init__(self, applied_index: int = 0) -> None:
        self.applied_index = applied_index
        self.behind = False
        self.written: list[tuple[int, list[Event]]] = []
        self.rebuilt: list[tuple[int, list[Event]]] = []
        self.synced: list[int] = []
        self.error: OSError | None = None

    def write(self, index: int, events: Sequence[Event]) -> None:
        self.written.append((index, list(events)))

    def rebuild(self, index: int, rows: Sequence[Event]) -> None:
        self.rebuilt.append((index, list(rows)))
        self.applied_index = index

    async def sync(self, index: int) -> None:
        if self.error is not None:
            raise self.error
        self.synced.append(index)
