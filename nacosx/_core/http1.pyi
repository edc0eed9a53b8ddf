from collections.abc import Sequence
from typing import final

HEAD_BYTES_MAX: int
HEADERS_MAX: int
BODY_BYTES_MAX: int

@final
class Request:
    """One request, complete with its body.

    The parser makes them; the constructor is for tests: it parses `<method> <target> HTTP/1.1` and raises ValueError
    when that is refused.
    """

    method: str
    path: str  # decoded and normalised, without the query
    body: bytes
    fields: dict[str, str] | None  # of a multipart body, set by the wire
    remote_ip: str  # of the peer, set by the wire
    keep_alive: bool  # the connection lives on after this request
    asks_keep_alive: bool  # the client said "Connection: keep-alive" itself
    has_origin: bool  # there is an Origin header: a browser, so CORS matters
    is_multipart: bool  # the body is multipart/form-data
    def __init__(
        self,
        method: str,
        target: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        remote_ip: str = "127.0.0.1",
    ) -> None: ...
    @property
    def query(self) -> bytes:
        """Raw, without the question mark."""

    @property
    def raw_path(self) -> str:
        """As the client wrote it, without the query."""

    def header(self, name: str) -> str | None:
        """The first value, decoded as ISO-8859-1. `name` in lower case."""

    def headers(self) -> list[tuple[str, str]]: ...
    def form(self) -> dict[str, str]:
        """Query, urlencoded body and multipart fields merged; the first value of a name wins. Values are not trimmed.
        Parsed once; do not change it."""

@final
class Response:
    """An answer. May be kept and sent many times.

    `content_type` "" sends no Content-Type. `bare`: without the `Vary` and `Content-Security-Policy` lines, as where
    the Java server answers before or beside its Spring filters.
    """

    @property
    def body(self) -> bytes: ...
    @property
    def status(self) -> int: ...
    @property
    def content_type(self) -> str: ...
    @property
    def headers(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def bare(self) -> bool: ...
    def __init__(
        self,
        body: bytes = b"",
        status: int = 200,
        content_type: str = "application/json",
        headers: tuple[tuple[str, str], ...] = (),
        bare: bool = False,
    ) -> None: ...
    def render(self, closing_lines: bytes, head_only: bool = False, extra_lines: bytes = b"") -> bytes:
        """The bytes to send. `closing_lines`: Date and Connection, `extra_lines`: CORS; both complete with CRLF."""

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
