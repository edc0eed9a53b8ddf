"""How busy the machine is, for /operator/metrics: Linux, from /proc; 0 elsewhere.

Source: Nacos 2.5.1 `EnvUtil`: CPU and memory as fractions, load as the system's one-minute average.
"""

from __future__ import annotations

import os


class Machine:
    """`cpu()` tells of the time since it was asked last."""

    __slots__ = ("_busy", "_total")

    def __init__(self) -> None:
        self._busy = 0
        self._total = 0

    def cpu(self) -> float:
        busy, total = _ticks()
        share = (busy - self._busy) / (total - self._total) if total > self._total else 0.0
        self._busy, self._total = busy, total
        return share

    def load(self) -> float:
        return os.getloadavg()[0]

    def memory(self) -> float:
        try:
            with open("/proc/meminfo") as file:
                members = dict(line.split(":", 1) for line in file)
            total = int(members["MemTotal"].split()[0])
            return 1 - int(members["MemAvailable"].split()[0]) / total
        except (OSError, KeyError, ValueError):
            return 0.0


def _ticks() -> tuple[int, int]:
    """(busy, all) of all processors since the start of the machine."""
    try:
        with open("/proc/stat") as file:
            ticks = [int(text) for text in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return 0, 0
    return sum(ticks) - sum(ticks[3:5]), sum(ticks)
