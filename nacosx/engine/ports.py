"""What the engine needs from the outside. `server` plugs the real ones in, tests and the simulator plug in others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from nacosx._core.entry import Configuration, Entry
from nacosx.config.events import Event
from nacosx.config.model import ConfigKey
from nacosx.config.rows import ConfigRow, ConfigSearch, HistoryRow, Page
from nacosx.raft.messages import Message
from nacosx.raft.ready import HardState


class Pushes(Protocol):
    """Server-to-client requests over the gRPC stream of a connection."""

    def push(
        self,
        client_id: str,
        type_name: str,
        members: bytes,
        answered: Callable[[bool], None],
        *,
        timeout_ms: int,
    ) -> bool:
        """Sends `{"headers":{},"requestId":"<n>",<members>}` as `type_name`; `members` is JSON without the outer braces.

        `answered(True)` on a successful response, `answered(False)` on failure, timeout or a connection that ended.
        False, and `answered` is never called, when there is no such connection.
        """


class Datagrams(Protocol):
    """UDP to 1.x naming clients."""

    def send(self, ip: str, port: int, payload: bytes) -> None: ...


OnDurable = Callable[[int, OSError | None], None]


class LogStorage(Protocol):
    """The durable log of one group: what SOFAJRaft's LogStorage does, with the answers as messages. Indexes start at 1 and
    have no gaps.

    Appends and `truncate_suffix` are queued and carried out in order; `on_durable(last_index, error)` is called on the
    event loop once one is on disk (many ride on one fdatasync), in the same order. With an error it did not happen, nor did
    anything queued after it: the log is what it was, and indexes are used again. OSError at once: nothing was queued, the
    log is closed or too much waits (EBUSY, ENOBUFS: try again later). What is asked of entries is answered for those on disk.
    """

    @property
    def first_index(self) -> int:
        """First entry still kept; last_index + 1 when empty."""

    @property
    def last_index(self) -> int:
        """The last entry appended, on disk or not."""

    def append_entries(self, entries: Sequence[Entry], on_durable: OnDurable) -> int:
        """Queues entries as they are; ValueError when the first does not follow `last_index`, or another the one before."""

    def truncate_suffix(self, last_index_kept: int, on_durable: OnDurable) -> None:
        """Queues that the entries above are forgotten. ValueError when that one is not in the log."""

    def get(self, index: int) -> Entry | None:
        """None when it is not on disk or no longer kept. OSError, and an error of its own when the bytes have changed."""

    def term(self, index: int) -> int | None:
        """Of an entry on disk that is kept, else None."""

    def entries(self, from_index: int, *, bytes_max: int) -> list[Entry]:
        """Entries from there on, at least one unless there is none; no more are added once they take `bytes_max`.
        ValueError when the first is no longer kept; errors as of `get`."""

    def configurations(self) -> list[Entry]:
        """The configuration entries on disk, in order."""

    def truncate_prefix(self, first_index_kept: int) -> None:
        """Forgets entries below, by and by; some may be there again after a restart. ValueError: beyond what is on disk."""

    def reset(self, next_index: int) -> None:
        """Forgets every entry; the next one appended gets `next_index`. Blocks until that is on disk; OSError.
        ValueError while something is queued."""

    def close(self) -> None:
        """Blocks until everything queued is on disk or has failed, and reported. Nothing more is taken."""


class Snapshot(msgspec.Struct, frozen=True):
    """The state of a machine after the entry at `index`."""

    index: int
    term: int  # of that entry
    configuration: Configuration | None  # in force there; None: written before a group had members
    digest: int  # of everything applied up to there (`engine.raft.fsm_caller`)
    rooms: dict[str, bytes]  # room name → its snapshot


class IncomingSnapshot(Protocol):
    """A snapshot that arrives in chunks. It blocks: call it in a thread."""

    def write(self, chunk: bytes) -> None:
        """The next chunk. OSError; ValueError when there is more than was announced."""

    def finish(self) -> Snapshot:
        """Checks it and puts it among the others, durably. OSError; ValueError: damaged, or not the one announced."""

    def discard(self) -> None:
        """Forgets what arrived."""


class Snapshots(Protocol):
    """The snapshots of one group on disk. It blocks: while serving, call it in a thread."""

    def load(self) -> Iterator[Snapshot]:
        """The newest first; damaged ones are logged and skipped."""

    def save(self, snapshot: Snapshot) -> int:
        """Returns the index of the oldest snapshot still kept: the log up to it is not needed. OSError on failure."""

    def size(self, index: int) -> int:
        """Bytes of the snapshot at `index` as it travels; OSError when there is none."""

    def read(self, index: int, offset: int, size: int) -> bytes:
        """A chunk of it, as it travels; OSError when there is none (any more)."""

    def receive(self, index: int, size: int) -> IncomingSnapshot:
        """Begins one of so many bytes; what another began and did not finish is forgotten. OSError, ValueError: too large."""


class HardStates(Protocol):
    """What a member must remember of its votes. It blocks; it is rarely called (elections)."""

    def load(self) -> HardState:
        """What was saved last; HardState() when nothing was. OSError; ValueError when it is damaged."""

    def save(self, state: HardState) -> None:
        """Returns once it is on disk. OSError: it may or may not be."""


class StateMachine(Protocol):
    """What a group replicates. Everything is called on the event loop, in the order of the indexes.

    The methods with a body need not be there: what inherits from this class has them.
    """

    def encode(self, command: Any) -> bytes: ...

    def decode(self, data: bytes) -> Any:
        """ValueError when the bytes are not a command this version knows: that halts the group."""

    def apply(self, index: int, command: Any) -> Any:
        """The result for the proposer. NacosError: refused, nothing has changed, and every member refuses it alike. Any other
        exception halts the group: what this member holds can no longer be trusted."""

    def snapshot(self) -> Mapping[str, bytes]:
        """The state as bytes, by room; equal states give equal bytes."""

    def restore(self, index: int, snapshot: Mapping[str, bytes]) -> None:
        """Becomes what the snapshot says. ValueError or KeyError when it cannot be read."""

    def leader_started(self, term: int) -> None:
        """This member leads, and has applied everything that was committed before its term."""

    def leader_stopped(self) -> None: ...

    def configuration_committed(self, configuration: Configuration, index: int) -> None: ...

    def written(self, command: Any) -> bytes:
        """What the state holds where the command has written, asked right after `apply` where there are other members: they
        compare it. Equal states give equal bytes, in every process. A machine without this method is not asked."""
        return b""

    def recovered(self, index: int, last_index: int) -> None:
        """At start, once: the state at `index` is there (0: the empty one) and the log reaches to `last_index`."""
        return

    def behind(self, index: int) -> bool:
        """At start: a projection of this machine does not reach `index` yet, so it wants an older snapshot."""
        return False

    def batch_applied(self, index: int, replayed: bool) -> None:
        """Everything up to `index` is applied and its proposers are answered. `replayed`: at start, nobody is to be told."""
        return

    async def sync(self, index: int) -> None:
        """Returns once the log up to `index` is not needed by a projection. OSError when it cannot."""
        return


class ForwardReply(msgspec.Struct, frozen=True):
    """What became of a proposal handed to the leader: its place in the log, where it may be committed or not, or a refusal."""

    index: int = 0
    term: int = 0
    error: int = 0  # 0: it has a place; else EPERM or EBUSY of SOFAJRaft's RaftError
    leader: str = ""  # with EPERM: who might be the leader


class Standing(msgspec.Struct, frozen=True):
    """What a member tells of itself in a group."""

    term: int
    leader: str  # its id; empty when none is known
    configuration: Configuration  # without members: it belongs to no cluster yet
    applied_index: int
    digest: int  # of everything applied up to there and of what that did; members that hold the same have the same
    digests: dict[int, int]  # the same of some earlier indexes


class Peers(Protocol):
    """The other members of the cluster, by their ids."""

    def send(self, to: str, group: str, message: Message) -> None:
        """It may be lost. Never blocks; what is sent in one turn of the loop leaves in one call."""

    async def fetch(self, source: str, group: str, index: int, offset: int, size: int) -> bytes:
        """A chunk of the snapshot at `index`; OSError."""
        ...

    async def forward(self, to: str, group: str, proposals: Sequence[bytes]) -> Sequence[ForwardReply]:
        """To the leader, one reply each; OSError: nobody knows whether it took them."""
        ...


class PeerService(Protocol):
    """The other side of `Peers`: what whoever listens to the other members calls."""

    def on_message(self, sender: str, group: str, message: Message) -> None: ...

    def read_chunk(self, group: str, index: int, offset: int, size: int) -> bytes:
        """OSError when there is no such group or snapshot."""

    def standing(self, group: str) -> Standing:
        """OSError when there is no such group."""

    async def on_proposals(self, group: str, proposals: Sequence[bytes]) -> Sequence[ForwardReply]:
        """OSError when there is no such group."""
        ...


class RowStore(Protocol):
    """The SQL projection of config data: search, paging and history. Behind the log, never ahead of it.

    Writes are queued and applied in batches by one thread; a query sees every write made before it was asked.
    """

    applied_index: int  # the projection holds everything up to this index of the log

    @property
    def behind(self) -> bool:
        """So far behind that no more should be published until it has caught up."""

    def write(self, index: int, events: Sequence[Event]) -> None:
        """Queues what the entries up to `index` did since the last call. Indexes not above `applied_index` are ignored."""

    def rebuild(self, index: int, rows: Sequence[Event]) -> None:
        """Replaces all rows but history by the state at `index`: the projection was lost, fell behind a snapshot, or another
        member's snapshot was installed. What was written before is forgotten. Blocks; raises OSError."""

    async def flushed(self, index: int) -> None:
        """Returns once everything up to `index` that was written here can be queried."""

    async def sync(self, index: int) -> None:
        """Returns once everything up to `index` is on disk; only then may the log forget entries up to `index`. Everything
        up to `index` must have been written here, except entries without events. Raises OSError when it cannot."""

    async def search(self, search: ConfigSearch) -> Page[ConfigRow]: ...

    async def history(self, key: ConfigKey, page_number: int, page_size: int) -> Page[HistoryRow]:
        """Newest first, without contents."""

    async def history_row(self, history_id: int) -> HistoryRow | None: ...

    async def previous_row(self, config_id: int) -> HistoryRow | None:
        """The newest row about an update or deletion of this config."""

    async def forget_history(self, before_ms: int) -> None:
        """Deletes history rows older than this (wall clock)."""

    def close(self) -> None: ...
