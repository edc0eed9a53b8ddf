from typing import Final, final

OK: Final[int]
RESOURCE_EXHAUSTED: Final[int]
UNIMPLEMENTED: Final[int]
INTERNAL: Final[int]
UNAVAILABLE: Final[int]

class RefusedError(Exception):
    """The call ends with `status` and `message`, in the words of grpc-java."""

    status: int
    message: str
    def __init__(self, status: int, message: str) -> None: ...

@final
class Call:
    """One gRPC call. Its members are for `http2` only."""
