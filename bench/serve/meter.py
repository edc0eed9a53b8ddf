"""What the kernel says about a process: the CPU time of all its threads, dead ones too, and its resident memory."""

from __future__ import annotations

import time
from pathlib import Path

SETTLE_STEP_S = 0.1
SETTLE_S_MAX = 10.0
SETTLE_IDLE_SHARE = 0.02  # of one core: less than this is a process at rest


def cpu_ns(pid: int) -> int:
    """User and system time of every thread the process ever had.

    This is the process's own CPU clock, the sum that `utime + stime` of /proc/<pid>/stat rounds to 10 ms.
    """
    return time.clock_gettime_ns((~pid << 3) | 2)  # the kernel's MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)


def rss_mb(pid: int) -> float:
    """Resident memory in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(f"process {pid} has no memory any more")


def settle(pid: int) -> None:
    """Wait until the process rests: what it does after its last answer (projection, pushes) is its cost too."""
    before = cpu_ns(pid)
    for _ in range(int(SETTLE_S_MAX / SETTLE_STEP_S)):
        time.sleep(SETTLE_STEP_S)
        now = cpu_ns(pid)
        if now - before < SETTLE_IDLE_SHARE * SETTLE_STEP_S * 1e9:
            return
        before = now
