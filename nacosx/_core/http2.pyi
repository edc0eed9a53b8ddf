from typing import Any, Final, Self, final

from nacosx._core.grpc_call import INTERNAL as INTERNAL
from nacosx._core.grpc_call import OK as OK
from nacosx._core.grpc_call import RESOURCE_EXHAUSTED as RESOURCE_EXHAUSTED
from nacosx._core.grpc_call import UNIMPLEMENTED as UNIMPLEMENTED
from nacosx._core.grpc_call import RefusedError as RefusedError

CALL: Final[int]
OPENED: Final[int]
MESSAGE: Final[int]
HALF_CLOSED: Final[int]
CLOSED: Final[int]

MESSAGE_BYTES_MAX: Final[int]

@final
class Session:
    """One HTTP/2 connection of a client. It serves a unary method and a streaming one, told by their paths.

    After `receive`, `drain` until it is `drained` and look at `closed`: then the connection has nothing more to do.
    """

    def __new__(
        cls,
        *,
        unary_path: bytes,
        stream_path: bytes,
        message_bytes_max: int = ...,
        inbound_bytes_max: int = ...,
        send_queue_bytes_max: int = ...,
        concurrent_streams_max: int = 1024,
        permit_keep_alive_ms: int = 300_000,
    ) -> Self:
        """`message_bytes_max`: of a request message, also when inflated. `inbound_bytes_max`: received for all calls that are
        not over. `send_queue_bytes_max`: messages waiting on streams; above it, pushes and new calls are refused, but into an
        empty queue a message of any size goes.
        `permit_keep_alive_ms`: a client that pings more often, with nothing sent to it in between, is told to go away."""

    def receive(self, data: bytes, now_ms: int) -> list[tuple[int, int, Any]]:
        """Takes bytes of the peer; returns the events in their order: `(kind, stream_id, value)`.

        CALL         a unary call is complete; its message. Answer it with `respond` or `end`.
        OPENED       a stream call began; None
        MESSAGE      a message on a stream call; the message
        HALF_CLOSED  the client will send no more on a stream call; None. Answer with `end`, now or later.
        CLOSED       a stream call is over; the HTTP/2 error code
        """

    def drain(self) -> bytes:
        """The next bytes to write; none when nothing waits or the peer's windows are full."""

    def respond(self, stream_id: int, head: bytes, body: bytes) -> bool:
        """Answers a unary call with one framed message, given in two parts, and status OK. False when the client gave it up."""

    def send(self, stream_id: int, head: bytes, body: bytes, tail: bytes = b"") -> bool:
        """Queues one framed message, given in three parts, on a stream call. False when the call is over or the queue full."""

    def end(self, stream_id: int, status: int = 0, message: str = "") -> None:
        """Ends a call with a status; what is queued on it is sent before. Nothing happens when it is over already."""

    def end_streams(self, status: int, message: str) -> None:
        """Ends all stream calls; unary ones go on."""

    def is_open(self, stream_id: int) -> bool:
        """Whether messages can still be sent on a stream call."""

    def ping(self) -> None:
        """Asks the peer for a sign of life; `ping_pending` until it comes."""

    def goaway(self, error_code: int = 0, reason: bytes = b"") -> None:
        """Accepts no new calls. Without an error the open ones go on, with one the connection is over."""

    @property
    def open_streams(self) -> int: ...
    @property
    def queued_bytes(self) -> int:
        """Of messages and replies that wait to be sent."""

    @property
    def ping_pending(self) -> bool:
        """A ping of ours is not acknowledged yet."""

    @property
    def drained(self) -> bool:
        """The last `drain` took all that could go."""

    @property
    def closed(self) -> bool:
        """Nothing more will be read; once drained, the connection can be closed."""
