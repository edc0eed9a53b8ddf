from typing import final

from nacosx._core.request import Request as Request
from nacosx._core.response import Response as Response
from nacosx._core.response import SharedHeaders as SharedHeaders

HEAD_BYTES_MAX: int
HEADERS_MAX: int
BODY_BYTES_MAX: int

@final
class Http1Parser:
    """The stream of one connection. Never raises on bad input: it stops and tells in `refusal_status` and `refusal`."""

    @property
    def refusal_status(self) -> int:
        """0, or the status to answer before closing; nothing is parsed after it."""

    @property
    def refusal(self) -> str:
        """Why, for the log."""

    @property
    def continue_wanted(self) -> bool:
        """The last `feed` completed a head whose client waits for "100 Continue" before it sends the body."""

    @property
    def unsettled(self) -> bool:
        """One look for what is rare: refused, or `continue_wanted`, or `held_bytes`."""

    @property
    def in_request(self) -> bool:
        """A request has begun and is not complete."""

    @property
    def body_bytes(self) -> int:
        """How much of an incomplete body has come."""

    @property
    def held_bytes(self) -> int:
        """What is buffered of an incomplete request."""

    def __init__(
        self,
        head_bytes_max: int = ...,
        headers_max: int = ...,
        body_bytes_max: int = ...,
    ) -> None: ...
    def feed(self, data: bytes) -> list[Request]:
        """The requests completed by `data`, in order."""
