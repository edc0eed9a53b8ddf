from typing import final

@final
class SharedHeaders:
    """Headers of many answers, rendered once."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]: ...
    def __init__(self, headers: tuple[tuple[str, str], ...]) -> None: ...

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
        headers: tuple[tuple[str, str], ...] | SharedHeaders = (),
        bare: bool = False,
    ) -> None: ...
    def render(self, closing_lines: bytes, head_only: bool = False, extra_lines: bytes = b"") -> bytes:
        """The bytes to send. `closing_lines`: Date and Connection, `extra_lines`: CORS; both complete with CRLF."""
