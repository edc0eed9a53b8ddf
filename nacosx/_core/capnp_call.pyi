from typing import Final, Self, final

# kind, term, a, b, flags, c, d, group, data
_Row = tuple[int, int, int, int, int, int, int, str, bytes]

FIRST_QUESTION: Final[int]
OTHER: Final[int]
CALL: Final[int]
RESULTS: Final[int]

def call(question: int, target: int, interface: int, rows: list[_Row]) -> bytes:
    """The message that calls the method on the capability `target` of the receiver. ValueError: too much for a message."""

def results(question: int, rows: list[_Row]) -> bytes:
    """The message that answers it; it needs no Finish. ValueError: too much for a message."""

@final
class Inbox:
    """Cuts what arrives on a connection into messages, and reads those that are of the method of `interface`."""

    capability: int
    """That the last results of a number below FIRST_QUESTION brought, as a target for calls; -1: none, or not one alone."""

    def __new__(cls, interface: int) -> Self: ...
    def take(self, data: bytes) -> list[tuple[int, int, list[_Row] | bytes | None]]:
        """What is whole now, in order: (CALL, question, rows), (RESULTS, question, rows; None when it failed there),
        (OTHER, 0, messages). ValueError: what arrives is not Cap'n Proto; nothing may be taken any more.

        Results are those of questions from FIRST_QUESTION on.
        """
