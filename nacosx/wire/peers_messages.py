"""The messages of Raft ⇄ `nacosx.capnp`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


def write(into: Any, letters: Sequence[Letter]) -> None:
    """`into` is a list of as many messages, being built."""
    for number, letter in enumerate(letters):
        message = letter.message
        built = into[number]
        built.group = letter.group
        name, fill = WRITERS[type(message)]
        if fill is None:
            setattr(built, name, None)
        else:
            fill(built.init(name), message)
        if type(message) is AppendEntries:
            built.appendEntries.entries = letter.entries
        if not isinstance(message, ReadIndex | ReadIndexReply):
            built.term = message.term


def read(messages: Any) -> Iterator[tuple[str, Message]]:
    """(group, message). CorruptEntryError when the entries or a configuration are not what they should be; KjException when the
    message is none; a kind of message this version does not know is left out."""
    for message in messages:
        kind = message.which()
        build = READERS.get(kind)
        if build is not None:
            yield message.group, build(message.term, getattr(message, kind))


def write_request_vote(into: Any, message: RequestVote) -> None:
    into.lastIndex = message.last_index
    into.lastTerm = message.last_term
    into.pre = message.pre
    into.transfer = message.transfer


def write_request_vote_reply(into: Any, message: RequestVoteReply) -> None:
    into.granted = message.granted
    into.pre = message.pre


def write_append_entries(into: Any, message: AppendEntries) -> None:
    into.sequence = message.sequence
    into.previousIndex = message.previous_index
    into.previousTerm = message.previous_term
    into.commitIndex = message.commit_index


def write_append_entries_reply(into: Any, message: AppendEntriesReply) -> None:
    into.sequence = message.sequence
    into.success = message.success
    into.lastIndex = message.last_index
    into.conflictTerm = message.conflict_term


def write_heartbeat(into: Any, message: Heartbeat) -> None:
    into.commitIndex = message.commit_index
    into.round = message.round


def write_heartbeat_reply(into: Any, message: HeartbeatReply) -> None:
    into.round = message.round


def write_install_snapshot(into: Any, message: InstallSnapshot) -> None:
    into.lastIndex = message.last_index
    into.lastTerm = message.last_term
    into.configuration = message.configuration.encode()
    into.size = message.size


def write_install_snapshot_reply(into: Any, message: InstallSnapshotReply) -> None:
    into.success = message.success
    into.lastIndex = message.last_index


def write_read_index(into: Any, message: ReadIndex) -> None:
    into.request = message.request


def write_read_index_reply(into: Any, message: ReadIndexReply) -> None:
    into.request = message.request
    into.known = message.index is not None
    into.index = message.index or 0


# type → member of the union, and what fills it
WRITERS: dict[type, tuple[str, Callable[[Any, Any], None] | None]] = {
    RequestVote: ("requestVote", write_request_vote),
    RequestVoteReply: ("requestVoteReply", write_request_vote_reply),
    AppendEntries: ("appendEntries", write_append_entries),
    AppendEntriesReply: ("appendEntriesReply", write_append_entries_reply),
    Heartbeat: ("heartbeat", write_heartbeat),
    HeartbeatReply: ("heartbeatReply", write_heartbeat_reply),
    InstallSnapshot: ("installSnapshot", write_install_snapshot),
    InstallSnapshotReply: ("installSnapshotReply", write_install_snapshot_reply),
    TimeoutNow: ("timeoutNow", None),
    ReadIndex: ("readIndex", write_read_index),
    ReadIndexReply: ("readIndexReply", write_read_index_reply),
}


# member of the union → what it becomes with the term
READERS: dict[str, Callable[[int, Any], Message]] = {
    "requestVote": lambda term, m: RequestVote(term, m.lastIndex, m.lastTerm, m.pre, m.transfer),
    "requestVoteReply": lambda term, m: RequestVoteReply(term, m.granted, m.pre),
    "appendEntries": lambda term, m: AppendEntries(
        term, m.sequence, m.previousIndex, m.previousTerm, m.commitIndex, decode_batch(m.entries)
    ),
    "appendEntriesReply": lambda term, m: AppendEntriesReply(term, m.sequence, m.success, m.lastIndex, m.conflictTerm),
    "heartbeat": lambda term, m: Heartbeat(term, m.commitIndex, m.round),
    "heartbeatReply": lambda term, m: HeartbeatReply(term, m.round),
    "installSnapshot": lambda term, m: InstallSnapshot(
        term, m.lastIndex, m.lastTerm, Configuration.decode(m.configuration), m.size
    ),
    "installSnapshotReply": lambda term, m: InstallSnapshotReply(term, m.success, m.lastIndex),
    "timeoutNow": lambda term, _: TimeoutNow(term),
    "readIndex": lambda _, m: ReadIndex(m.request),
    "readIndexReply": lambda _, m: ReadIndexReply(m.request, m.index if m.known else None),
}
