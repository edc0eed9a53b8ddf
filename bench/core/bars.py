"""The bars of `bench core`, in the words of issue 4."""

from __future__ import annotations

from bench.core import logs, rings
from bench.report import Bar

_RING = Bar("ring ≥ 1.0 × LMAX", least_ratio=1.0)
_TIMER = Bar("schedule and cancel from Python ≤ 1.0 ×", ratio=1.0)
_APPEND = Bar("append ≥ 1.5 × RocksDB storage", least_ratio=1.5)
_DISK = Bar("append ≥ 0.9 × bare fdatasync", least_ratio=0.9)

# (scenario, metric, rival) → bar
BARS: dict[tuple[str, str, str | None], Bar] = {
    **{
        (scenario.name, metric, rival): _RING
        for scenario in rings.SCENARIOS
        for metric in scenario.units
        for rival in scenario.rivals
    },
    ("timer", "schedule", "SOFAJRaft"): _TIMER,
    ("timer", "cancel", "SOFAJRaft"): _TIMER,
    **{(scenario.name, "entries", "SOFAJRaft"): _APPEND for scenario in logs.SCENARIOS},
    **{(scenario.name, "fdatasyncs", "bare fdatasync"): _DISK for scenario in logs.SCENARIOS},
    ("idle server", "of a core", None): Bar("idle ≤ 0.3 % of a core", limit=0.3),
}
