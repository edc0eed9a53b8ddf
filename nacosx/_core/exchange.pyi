from typing import Any, Self

from typing_extensions import disjoint_base

from nacosx._core.http1 import Http1Parser, Request, Response

@disjoint_base
class HttpShared:
    table: dict[str, dict[str, Any]]
    closing_lines: tuple[bytes, bytes, bytes] | None
    closing_statuses: frozenset[int]
    stopping: bool

    def fresh_closing_lines(self) -> tuple[bytes, bytes, bytes]: ...

@disjoint_base
class HttpExchange:
    write: Any
    remote_ip: str
    awaited: Any
    waiting: list[Request]
    ended: bool
    writing_paused: bool
    held_bytes: int
    answered: int

    @property
    def parser(self) -> Http1Parser: ...
    def __new__(cls, shared: HttpShared, parser: Http1Parser) -> Self: ...
    def data_received(self, data: bytes) -> None: ...
    def answer_waiting(self) -> None:
        """Answers what waits, in order, until an answer has to be waited for or the client does not read."""

    def send(self, request: Request, response: Response) -> None: ...

    # What is rare, and left to the connection.
    def route(self, request: Request) -> Any: ...
    def read_multipart(self, request: Request) -> None: ...
    def refuse(self, request: Request, route: Any, error: Exception) -> Response: ...
    def wait_for(self, request: Request, route: Any, answer: Any) -> None: ...
    def extra_lines(self, request: Request) -> bytes: ...
    def finish(self) -> None: ...
    def hold(self) -> None: ...
    def attend(self) -> None: ...
