"""The options of a simulated group: elections within 200 ms, so that a few virtual seconds hold many."""

from __future__ import annotations

from nacosx.engine.limits import Limits
from nacosx.raft.options import Options
from tests.sim.script import Settings

ELECTION_MS = 200


def options_of(settings: Settings) -> Options:
    return Options(
        election_timeout_ms=ELECTION_MS,
        max_election_delay_ms=ELECTION_MS,
        read_only="lease" if settings.lease_reads else "safe",
    )


def limits_of(settings: Settings) -> Limits:
    """A snapshot after few entries, not after megabytes; the queue of a small group."""
    return Limits(pending_max=256, snapshot_entries=settings.snapshot_entries or 1_000_000)
