from typing import Final, Self, final

OPERATIONS_MAX: Final[int]

@final
class DiskThread:
    def __new__(cls) -> Self: ...
