"""The snapshots and the hard state on a simulated disk."""

from __future__ import annotations

import errno
import zlib
from collections.abc import Callable, Iterator

import msgspec

from nacosx._core.entry import Configuration
from nacosx.engine.ports import Snapshot
from nacosx.raft.ready import HardState
from tests.sim.disk import Disk, error_of
from tests.sim.loop import ProcessLoop

KEPT = 2

Saved = Callable[[Snapshot], None]


class Content(msgspec.Struct, frozen=True, array_like=True):
    index: int
    term: int
    configuration: bytes  # empty: unknown
    digest: int
    rooms: dict[str, bytes]


def encode(snapshot: Snapshot) -> bytes:
    configuration = b"" if snapshot.configuration is None else snapshot.configuration.encode()
    body = msgspec.msgpack.encode(
        Content(snapshot.index, snapshot.term, configuration, snapshot.digest, snapshot.rooms)
    )
    return zlib.crc32(body).to_bytes(4, "little") + body


def decode(data: bytes) -> Snapshot:
    """ValueError when it is not what was written."""
    if zlib.crc32(data[4:]).to_bytes(4, "little") != data[:4]:
        raise ValueError("the checksum does not match")
    content = msgspec.msgpack.decode(data[4:], type=Content)
    configuration = Configuration.decode(content.configuration) if content.configuration else None
    return Snapshot(content.index, content.term, configuration, content.digest, content.rooms)


class DiskSnapshots:
    """`engine.ports.Snapshots`. `saved` hears of every snapshot that this member took or received."""

    def __init__(self, disk: Disk, loop: ProcessLoop, saved: Saved) -> None:
        self._disk = disk
        self._loop = loop
        self._saved = saved
        self.incoming: Incoming | None = None

    def load(self) -> Iterator[Snapshot]:
        for index in sorted(self._disk.snapshots, reverse=True):
            try:
                yield decode(self._disk.snapshots[index])
            except ValueError:
                continue

    def save(self, snapshot: Snapshot) -> int:
        return self.keep(snapshot, encode(snapshot))

    def keep(self, snapshot: Snapshot, data: bytes) -> int:
        self.check()
        self._saved(snapshot)
        self._disk.snapshots[snapshot.index] = data
        self._disk.flipped_snapshots.discard(snapshot.index)
        for index in sorted(self._disk.snapshots)[:-KEPT]:
            del self._disk.snapshots[index]
        self._disk.snapshot_index = max(self._disk.snapshot_index, snapshot.index)
        return min(self._disk.snapshots)

    def check(self) -> None:
        if self._loop.ended:
            raise error_of(errno.EBADF)
        self._disk.check()

    def size(self, index: int) -> int:
        return len(self._file(index))

    def read(self, index: int, offset: int, size: int) -> bytes:
        return self._file(index)[offset : offset + size]

    def receive(self, index: int, size: int) -> Incoming:
        self.check()
        self.incoming = Incoming(self, index, size)
        return self.incoming

    def _file(self, index: int) -> bytes:
        try:
            return self._disk.snapshots[index]
        except KeyError:
            raise error_of(errno.ENOENT) from None


class Incoming:
    """`engine.ports.IncomingSnapshot`."""

    def __init__(self, snapshots: DiskSnapshots, index: int, size: int) -> None:
        self._snapshots = snapshots
        self._index = index
        self._size = size
        self._data = b""

    def write(self, chunk: bytes) -> None:
        self._check()
        if len(self._data) + len(chunk) > self._size:
            raise ValueError("there is more than was announced")
        self._data += chunk

    def finish(self) -> Snapshot:
        self._check()
        if len(self._data) != self._size:
            raise ValueError("there is less than was announced")
        snapshot = decode(self._data)
        if snapshot.index != self._index:
            raise ValueError("it is of another entry")
        self._snapshots.keep(snapshot, self._data)
        return snapshot

    def discard(self) -> None:
        if self._snapshots.incoming is self:
            self._snapshots.incoming = None

    def _check(self) -> None:
        self._snapshots.check()
        if self._snapshots.incoming is not self:
            raise error_of(errno.EBADF)


class DiskHardStates:
    """`engine.ports.HardStates`."""

    def __init__(self, disk: Disk, loop: ProcessLoop) -> None:
        self._disk = disk
        self._loop = loop

    def load(self) -> HardState:
        return self._disk.hard_state

    def save(self, state: HardState) -> None:
        if self._loop.ended:
            raise error_of(errno.EBADF)
        if self._disk.trouble == errno.EIO and self._disk.draw.random() < 0.5:
            self._disk.hard_state = state  # it is there, and nobody knows
        self._disk.check()
        self._disk.hard_state = state
