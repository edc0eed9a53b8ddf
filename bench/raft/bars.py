"""The bars of `bench raft`, in the words of issue 5."""

from __future__ import annotations

from bench.raft.scenario import ELECTION_TIMEOUT_MS, IN_FLIGHT
from bench.report import Bar

# (scenario, metric, rival) → bar
BARS: dict[tuple[str, str, str | None], Bar] = {
    ("commit, 512 in flight", "rate", "SOFAJRaft"): Bar("commits/s at 512 in flight ≥ 1.0 ×", least_ratio=1.0),
    ("commit, 1 in flight", "p50", "SOFAJRaft"): Bar("p50 at 1 in flight ≤ 1.0 ×", ratio=1.0),
    **{
        (f"read index, {count} in flight", "rate", "SOFAJRaft"): Bar("ReadIndex ≥ 1.0 ×", least_ratio=1.0)
        for count in IN_FLIGHT
    },
    ("put, 512 clients", "rate", "etcd"): Bar("≥ 5 × etcd's puts/s end to end", least_ratio=5.0),
    ("fail-over", "p99", "etcd"): Bar("fail-over p99 ≤ 2 election timeouts", limit=2 * ELECTION_TIMEOUT_MS),
}
