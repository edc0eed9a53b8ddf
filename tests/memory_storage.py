"""The disk of a log group in memory: nothing is durable, or fails, before the test says so."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence

import msgspec

from nacosx._core.entry import CONFIGURATION, DATA, Configuration, Entry
from nacosx.config.events import Event
from nacosx.engine.ports import Snapshot
from nacosx.raft.ready import HardState

OnDurable = Callable[[int, OSError | None], None]


class MemoryLog:
    """`appends` holds what waits; `sync` makes it durable, `fail` refuses it. `full` refuses appends at once."""

    def __init__(self, entries: Sequence[bytes] = (), first_index: int = 1, *, term: int = 1) -> None:
        self.first_index = first_index
        self.kept = [Entry(index, term, DATA, data) for index, data in enumerate(entries, first_index)]
        # What waits, in order: the index it ends at, what it does, who hears of it.
        self.appends: list[tuple[int, Sequence[Entry] | None, OnDurable]] = []
        self.full: OSError | None = None
        self.closed = False

    @property
    def data(self) -> list[bytes]:
        """Of the commands that wait."""
        return [entry.data for _, entries, _ in self.appends for entry in entries or () if entry.kind == DATA]

    @property
    def durable_index(self) -> int:
        return self.first_index + len(self.kept) - 1

    @property
    def last_index(self) -> int:
        return self.appends[-1][0] if self.appends else self.durable_index

    def append_entries(self, entries: Sequence[Entry], on_durable: OnDurable) -> int:
        if self.full is not None:
            raise self.full
        if entries[0].index != self.last_index + 1:
            raise ValueError(f"entry {entries[0].index} does not follow {self.last_index}")
        self.appends.append((entries[-1].index, list(entries), on_durable))
        return entries[-1].index

    def truncate_suffix(self, last_index_kept: int, on_durable: OnDurable) -> None:
        if self.full is not None:
            raise self.full
        if last_index_kept > self.last_index:
            raise ValueError(f"entry {last_index_kept} is not in the log")
        self.appends.append((last_index_kept, None, on_durable))

    def sync(self, count: int | None = None) -> None:
        """The first `count` of what waits is on disk, or all of it."""
        synced, self.appends = self.appends[:count], self.appends[len(self.appends[:count]) :]
        for index, entries, _ in synced:
            if entries is None:
                del self.kept[index - self.first_index + 1 :]
            else:
                self.kept += entries
        for index, _, on_durable in synced:
            on_durable(index, None)

    def fail(self, error: OSError) -> None:
        appends, self.appends = self.appends, []
        for _, _, on_durable in appends:
            on_durable(self.last_index, error)

    def get(self, index: int) -> Entry | None:
        return self.kept[index - self.first_index] if self.first_index <= index <= self.durable_index else None

    def term(self, index: int) -> int | None:
        entry = self.get(index)
        return None if entry is None else entry.term

    def entries(self, from_index: int, *, bytes_max: int) -> list[Entry]:
        found: list[Entry] = []
        size = 0
        for entry in self.kept[from_index - self.first_index :]:
            if size >= bytes_max:
                break
            found.append(entry)
            size += len(entry.data)
        return found

    def configurations(self) -> list[Entry]:
        return [entry for entry in self.kept if entry.kind == CONFIGURATION]

    def truncate_prefix(self, first_index_kept: int) -> None:
        assert first_index_kept <= self.durable_index + 1
        del self.kept[: max(first_index_kept - self.first_index, 0)]
        self.first_index = max(first_index_kept, self.first_index)

    def reset(self, next_index: int) -> None:
        if self.appends:
            raise ValueError("entries wait for the disk")
        self.kept = []
        self.first_index = next_index

    def close(self) -> None:
        self.closed = True


class MemoryHardStates:
    """`error` is raised by `save`."""

    def __init__(self, state: HardState | None = None) -> None:
        self.saved = [state or HardState()]
        self.error: OSError | None = None

    def load(self) -> HardState:
        return self.saved[-1]

    def save(self, state: HardState) -> None:
        if self.error is not None:
            raise self.error
        self.saved.append(state)


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
