ENTRY_FAULTS: tuple[str, ...]

class CorruptLogError(Exception):
    path: str
    offset: int
    def __init__(self, path: str, offset: int, reason: str) -> None: ...
