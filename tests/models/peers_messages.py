"""The messages of members as pycapnp reads and writes them, with rpc.capnp and nacosx.capnp: the slow twin of `capnp_call`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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
from nacosx.wire.peers_messages import NODE, SCHEMA

FOLDER = Path(capnp.__file__).parent
RPC: Any = capnp.load(str(FOLDER / "rpc.capnp"), imports=[str(FOLDER.parent)])
PARAMS: Any = SCHEMA.Node.schema.methods["deliver"].param_type
RESULTS: Any = SCHEMA.Node.schema.methods["deliver"].result_type

Letters = Sequence[tuple[str, Message]]


def call(question: int, target: int, letters: Letters) -> bytes:
    message = RPC.Message.new_message()
    made = message.init("call")
    made.questionId, made.target.importedCap, made.interfaceId, made.methodId = question, target, NODE, 0
    content = capnp._MallocMessageBuilder().init_root(PARAMS)
    write(content.init("messages", len(letters)), letters)
    made.init("params").content = content
    return bytes(message.to_bytes())


def results(question: int, letters: Letters) -> bytes:
    message = RPC.Message.new_message()
    made = message.init("return")
    made.answerId = question
    content = capnp._MallocMessageBuilder().init_root(RESULTS)
    write(content.init("replies", len(letters)), letters)
    made.init("results").content = content
    return bytes(message.to_bytes())


def bringing(*capabilities: int) -> bytes:
    """Results with capabilities of their sender, of a call of another method."""
    message = RPC.Message.new_message()
    made = message.init("return")
    table = made.init("results").init("capTable", len(capabilities))
    for number, capability in enumerate(capabilities):
        table[number].senderHosted = capability
    return bytes(message.to_bytes())


def read_call(message: bytes) -> tuple[int, int, list[tuple[str, Message]]]:
    """Question, target, letters."""
    with RPC.Message.from_bytes(message) as read_message:
        made = read_message.call
        assert (made.interfaceId, made.methodId) == (NODE, 0)
        letters = list(map(read, made.params.content.as_struct(PARAMS).messages))
        return made.questionId, made.target.importedCap, letters


def read_results(message: bytes) -> tuple[int, list[tuple[str, Message]]]:
    with RPC.Message.from_bytes(message) as read_message:
        made = getattr(read_message, "return")
        assert made.noFinishNeeded
        return made.answerId, list(map(read, made.results.content.as_struct(RESULTS).replies))


def write(into: Any, letters: Letters) -> None:
    for number, (group, message) in enumerate(letters):
        built = into[number]
        built.group = group
        name, fill = WRITERS[type(message)]
        if fill is None:
            setattr(built, name, None)
        else:
            fill(built.init(name), message)
        if type(message) is AppendEntries:
            built.appendEntries.entries = encode_batch(message.entries)
        if not isinstance(message, ReadIndex | ReadIndexReply):
            built.term = message.term


def read(message: Any) -> tuple[str, Message]:
    kind = message.which()
    return message.group, READERS[kind](message.term, getattr(message, kind))


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
