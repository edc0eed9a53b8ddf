"""The options of a simulated group: elections within 200 ms, so that a few virtual seconds hold many."""

from __future__ import annotations

import msgspec

from nacosx.engine.raft.limits import Limits
from nacosx.raft.log import RaftLog
from nacosx.raft.options import Options
from tests.sim.script import Settings

ELECTION_MS = 200
QUEUE = 256  # proposals


def options_of(settings: Settings) -> Options:
    usual = Options(
        election_timeout_ms=ELECTION_MS,
        max_election_delay_ms=ELECTION_MS,
        read_only="lease" if settings.lease_reads else "safe",
    )
    if not settings.short:
        return usual
    return msgspec.structs.replace(
        usual, max_entries_size=3, max_body_size=100, max_replicator_inflight_msgs=2, apply_batch=2, catchup_margin=1
    )


def limits_of(settings: Settings) -> Limits:
    """A snapshot after few entries, not after megabytes."""
    usual = Limits(pending_max=QUEUE, snapshot_entries=settings.snapshot_entries or 1_000_000, stop_entries=5)
    if not settings.short:
        return usual
    return msgspec.structs.replace(
        usual, pending_max=3, batch_entries_max=2, snapshot_chunk_bytes=32, snapshot_bytes_per_s_max=20_000
    )


class ShortLog(RaftLog):
    """Keeps next to nothing in memory: what followers need, and what is applied, is read from the disk."""

    __slots__ = ()
    KEPT_ENTRIES_MAX = 2
