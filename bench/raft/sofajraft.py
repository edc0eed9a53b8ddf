"""SOFAJRaft: three nodes in one JVM (`java/RaftNodes.java`)."""

from __future__ import annotations

from pathlib import Path

from bench.java import Original
from bench.raft.scenario import ENTRY_BYTES

SOURCES = Path(__file__).parent / "java"


class SofaJRaft:
    name = "SOFAJRaft"
    able = frozenset({"commits", "reads"})

    def __init__(self, folder: Path) -> None:
        self._nodes = Original(SOURCES, "RaftNodes", str(folder / "sofajraft"))

    @property
    def pids(self) -> list[int]:
        return [self._nodes.process.pid]

    def commits(self, in_flight: int, seconds: float) -> dict[str, float]:
        return self._nodes.ask("commit", in_flight, seconds, ENTRY_BYTES)

    def reads(self, in_flight: int, seconds: float) -> dict[str, float]:
        return self._nodes.ask("read", in_flight, seconds)

    def close(self) -> None:
        self._nodes.close()
