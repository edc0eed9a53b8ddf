from typing import final

@final
class Headers:
    """The headers of a message, read when somebody asks."""

    def get(self, name: str) -> str | None: ...
    def all(self) -> dict[str, str]: ...

def decode(message: bytes) -> tuple[str, str, Headers, bytes]:
    """The parts of a Payload: `(type, client_ip, headers, body)`. ValueError when it is not one."""

def head(type_name: str, body_size: int, client_ip: str = "", lead: bytes = b"") -> bytes:
    """A gRPC message as far as the body: frame prefix, metadata, the head of the Any, and `lead`, the first bytes of the body.

    The caller sends `body_size - len(lead)` more bytes: so a body can be shared by many messages. ValueError when the body
    is shorter than its lead, or longer than a frame can tell.
    """
