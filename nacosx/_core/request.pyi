from collections.abc import Sequence
from typing import final

@final
class Request:
    """One request, complete with its body.

    The parser makes them; the constructor is for tests.
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
