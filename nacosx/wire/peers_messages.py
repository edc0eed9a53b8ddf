"""The messages of Raft ⇄ the rows of `_core.capnp_call`, which are `Message` of nacosx.capnp."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import capnp

from nacosx._core.entry import Configuration, decode_batch, encode_batch
from nacosx.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    InstallSnapshotReply,
    Message,
    ReadIndex,
    ReadIndexReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)

SCHEMA: Final[Any] = capnp.load(str(Path(__file__).with_name("nacosx.capnp")))
NODE: Final[int] = SCHEMA.Node.schema.node.id  # of the interface

# kind, term, a, b, flags, c, d, group, data
Row = tuple[int, int, int, int, int, int, int, str, bytes]

REPLIES = frozenset({RequestVoteReply, AppendEntriesReply, HeartbeatReply, InstallSnapshotReply, ReadIndexReply})

MESSAGE_BYTES = 160  # about what a message takes beside its entries


class Letter:
    """A message under way to a member, its entries encoded."""

    __slots__ = ("can_wait", "entries", "group", "message", "size")

    def __init__(self, group: str, message: Message) -> None:
        self.group = group
        self.message = message
        self.entries = encode_batch(message.entries) if type(message) is AppendEntries else b""
        self.size = MESSAGE_BYTES + len(self.entries)
        # It tells of the commit index, and asks nothing.
        self.can_wait = type(message) is Heartbeat and not message.round

    def says_more_than(self, earlier: Letter) -> bool:
        """The one before it need not be sent."""
        said, message = earlier.message, self.message
        return (
            earlier.can_wait
            and earlier.group == self.group
            and isinstance(said, Heartbeat)
            and isinstance(message, AppendEntries | Heartbeat)
            and message.term == said.term
            and message.commit_index >= said.commit_index
        )


def rows(letters: Iterable[Letter]) -> list[Row]:
    return [WRITERS[type(letter.message)](letter.group, letter.message, letter.entries) for letter in letters]


def read(rows: Iterable[Row]) -> Iterator[tuple[str, Message]]:
    """(group, message). CorruptEntryError when the entries or a configuration are not what they should be; a kind of message
    this version does not know is left out."""
    for kind, term, a, b, flags, c, d, group, data in rows:
        if kind < len(READERS):
            yield group, READERS[kind](term, a, b, flags, c, d, data)


# Where `Message` of nacosx.capnp has the fields of its members. Its order is that of READERS, too.
WRITERS: Final[dict[type, Callable[[str, Any, bytes], Row]]] = {
    RequestVote: lambda group, m, _: (
        *(0, m.term, m.last_index, m.last_term, m.pre | m.transfer << 1, 0, 0), group, b"",
    ),
    RequestVoteReply: lambda group, m, _: (1, m.term, 0, 0, m.granted | m.pre << 1, 0, 0, group, b""),
    AppendEntries: lambda group, m, entries: (
        *(2, m.term, m.sequence, m.previous_index, 0, m.previous_term, m.commit_index), group, entries,
    ),
    AppendEntriesReply: lambda group, m, _: (
        *(3, m.term, m.sequence, m.last_index, m.success, m.conflict_term, 0), group, b"",
    ),
    Heartbeat: lambda group, m, _: (4, m.term, m.commit_index, m.round, 0, 0, 0, group, b""),
    HeartbeatReply: lambda group, m, _: (5, m.term, m.round, 0, 0, 0, 0, group, b""),
    InstallSnapshot: lambda group, m, _: (
        *(6, m.term, m.last_index, m.last_term, 0, m.size, 0), group, m.configuration.encode(),
    ),
    InstallSnapshotReply: lambda group, m, _: (7, m.term, m.last_index, 0, m.success, 0, 0, group, b""),
    TimeoutNow: lambda group, m, _: (8, m.term, 0, 0, 0, 0, 0, group, b""),
    ReadIndex: lambda group, m, _: (9, 0, m.request, 0, 0, 0, 0, group, b""),
    ReadIndexReply: lambda group, m, _: (10, 0, m.request, m.index or 0, m.index is not None, 0, 0, group, b""),
}  # fmt: skip
READERS: Final[tuple[Callable[[int, int, int, int, int, int, bytes], Message], ...]] = (
    lambda term, a, b, flags, c, d, data: RequestVote(term, a, b, bool(flags & 1), bool(flags & 2)),
    lambda term, a, b, flags, c, d, data: RequestVoteReply(term, bool(flags & 1), bool(flags & 2)),
    lambda term, a, b, flags, c, d, data: AppendEntries(term, a, b, c, d, decode_batch(data)),
    lambda term, a, b, flags, c, d, data: AppendEntriesReply(term, a, bool(flags & 1), b, c),
    lambda term, a, b, flags, c, d, data: Heartbeat(term, a, b),
    lambda term, a, b, flags, c, d, data: HeartbeatReply(term, a),
    lambda term, a, b, flags, c, d, data: InstallSnapshot(term, a, b, Configuration.decode(data), c),
    lambda term, a, b, flags, c, d, data: InstallSnapshotReply(term, bool(flags & 1), a),
    lambda term, a, b, flags, c, d, data: TimeoutNow(term),
    lambda term, a, b, flags, c, d, data: ReadIndex(a),
    lambda term, a, b, flags, c, d, data: ReadIndexReply(a, b if flags & 1 else None),
)
