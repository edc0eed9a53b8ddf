"""The slow twin of `_core.wal`: its bytes, written and read in the plainest way, and its meaning as a list of entries."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

SEGMENT_HEADER = 4096
TRUNCATION = 255
TRAILER = b"\n"

ENTRY = struct.Struct("<IIQQB")  # crc, data size, term, index, kind
FRAME = struct.Struct("<4sIIIQ")  # magic, crc, payload size, entries, offset
HEADER = struct.Struct("<8sIIQQQQ")  # magic, version, crc, sequence, first index, salt, previous end


class SlowEntry(NamedTuple):
    index: int
    term: int
    kind: int
    data: bytes


def slow_crc32c(data: bytes, crc: int = 0) -> int:
    """Bit by bit: the reversed polynomial of Castagnoli."""
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def slow_encode(entry: SlowEntry) -> bytes:
    body = ENTRY.pack(0, len(entry.data), entry.term, entry.index, entry.kind)[4:] + entry.data
    return struct.pack("<I", slow_crc32c(body)) + body


def slow_decode(data: bytes) -> tuple[SlowEntry, int]:
    """(entry, its size). AssertionError when it is none."""
    crc, size, term, index, kind = ENTRY.unpack_from(data)
    end = ENTRY.size + size
    assert end <= len(data)
    assert crc == slow_crc32c(data[4:end])
    return SlowEntry(index, term, kind, data[ENTRY.size : end]), end


def slow_configuration(lists: list[list[str]]) -> bytes:
    """Peers, learners, old peers, old learners."""
    return struct.pack("<4H", *map(len, lists)) + b"".join(
        struct.pack("B", len(member.encode())) + member.encode() for members in lists for member in members
    )


class Frame(NamedTuple):
    offset: int
    size: int
    entries: list[SlowEntry]


class SegmentFile(NamedTuple):
    path: Path
    sequence: int
    first_index: int
    previous_end: int
    salt: bytes
    frames: list[Frame]

    @property
    def end(self) -> int:
        return self.frames[-1].offset + self.frames[-1].size if self.frames else SEGMENT_HEADER


def read_segment(path: Path, end: int | None = None) -> SegmentFile:
    """An undamaged segment up to `end`, or to where no frame begins."""
    data = path.read_bytes()[:end]
    magic, version, crc, sequence, first_index, salt, previous_end = HEADER.unpack_from(data)
    assert (magic, version) == (b"NACOSXWL", 1)
    assert crc == slow_crc32c(data[:12] + bytes(4) + data[16 : HEADER.size])
    assert path.name == f"{sequence:016x}-{first_index:016x}.wal"
    segment = SegmentFile(path, sequence, first_index, previous_end, struct.pack("<Q", salt), [])
    while data[segment.end : segment.end + 4] == b"NFRM":
        segment.frames.append(read_frame(data, segment.end, segment.salt))
    assert end is None or segment.end == end
    return segment


def read_frame(data: bytes, offset: int, salt: bytes) -> Frame:
    _, crc, size, count, at = FRAME.unpack_from(data, offset)
    assert at == offset
    assert crc == slow_crc32c(salt + data[offset + 8 : offset + FRAME.size])
    position, end = offset + FRAME.size, offset + FRAME.size + size
    entries = []
    for _ in range(count):
        entry, entry_size = slow_decode(data[position:end])
        entries.append(entry)
        position += entry_size
    assert position == end
    assert data[end : end + 1] == TRAILER
    return Frame(offset, FRAME.size + size + 1, entries)


def write_segment(
    directory: Path, sequence: int, previous_end: int, first_index: int, batches: list[list[SlowEntry]]
) -> int:
    """A segment with one frame a batch and nothing behind; returns where it ends."""
    payloads = ((len(batch), b"".join(map(slow_encode, batch))) for batch in batches)
    return write_frames(directory, sequence, previous_end, first_index, payloads)


def write_frames(
    directory: Path,
    sequence: int,
    previous_end: int,
    first_index: int,
    payloads: Iterable[tuple[int, bytes]],
    crc32c: Callable[[bytes, int], int] = slow_crc32c,
) -> int:
    """The same of encoded entries, how many and their bytes a frame."""
    salt = struct.pack("<Q", 0x5EED * sequence)
    fields = (sequence, first_index, 0x5EED * sequence, previous_end)
    crc = crc32c(HEADER.pack(b"NACOSXWL", 1, 0, *fields), 0)
    data = bytearray(HEADER.pack(b"NACOSXWL", 1, crc, *fields).ljust(SEGMENT_HEADER, b"\0"))
    for count, payload in payloads:
        tail = struct.pack("<IIQ", len(payload), count, len(data))
        data += b"NFRM" + struct.pack("<I", crc32c(salt + tail, 0)) + tail + payload + TRAILER
    (directory / f"{sequence:016x}-{first_index:016x}.wal").write_bytes(data)
    return len(data)


def read_log(directory: Path) -> list[SlowEntry]:
    """The entries of an undamaged log."""
    paths = sorted(directory.glob("*.wal"))
    headers = [read_segment(path, SEGMENT_HEADER) for path in paths]
    entries: list[SlowEntry] = []
    for number, path in enumerate(paths):
        segment = read_segment(path, headers[number + 1].previous_end if number + 1 < len(paths) else None)
        for frame in segment.frames:
            for entry in frame.entries:
                entries = [kept for kept in entries if kept.index < entry.index + (entry.kind == TRUNCATION)]
                if entry.kind != TRUNCATION:
                    entries.append(entry)
    return entries


class SlowLog:
    """What the operations mean. `first_index` is what was asked for; a log may keep more until its files can go."""

    def __init__(self) -> None:
        self.entries: list[SlowEntry] = []
        self.first_index = 1

    @property
    def last_index(self) -> int:
        return self.first_index + len(self.entries) - 1

    def append(self, data: list[bytes], term: int, kind: int) -> int:
        for item in data:
            self.entries.append(SlowEntry(self.last_index + 1, term, kind, item))
        return self.last_index

    def truncate_suffix(self, last_index_kept: int) -> None:
        self.entries = [entry for entry in self.entries if entry.index <= last_index_kept]

    def truncate_prefix(self, first_index_kept: int) -> None:
        if first_index_kept > self.first_index:
            self.entries = [entry for entry in self.entries if entry.index >= first_index_kept]
            self.first_index = first_index_kept

    def reset(self, next_index: int) -> None:
        self.entries = []
        self.first_index = next_index
