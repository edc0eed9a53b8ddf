"""What the engine needs from the outside. `server` plugs the real ones in, tests and the simulator plug in others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol


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


class LogStorage(Protocol):
    """The durable log. Indexes start at 1 and have no gaps."""

    first_index: int  # first entry still kept; last_index + 1 when empty
    last_index: int

    def append(self, entries: list[bytes], on_durable: Callable[[int, OSError | None], None]) -> int:
        """Queues entries; returns the index of the last one. `on_durable(last_index, error)` is called on the event loop
        once they are on disk (many appends ride on one fdatasync), or with the error: then none of them is in the log."""

    def read(self, from_index: int) -> Iterable[tuple[int, bytes]]:
        """Entries from `from_index` to the end, in order. Used at start, before the first append."""

    def truncate_prefix(self, first_index_kept: int) -> None:
        """Forgets entries below; whole segments are deleted."""

    def close(self) -> None: ...
