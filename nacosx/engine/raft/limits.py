"""The limits of a group."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    pending_max: int = 16384  # proposals not yet answered; more are refused
    pending_bytes_max: int = 64 << 20  # of them
    entry_bytes_max: int = 12 << 20  # one command; a gRPC request is at most 10 MiB
    batch_entries_max: int = 1024  # what is proposed does not wait for the end of the turn when there is so much of it
    batch_bytes_max: int = 1 << 20  # or it takes this
    # A sole voter lets what is proposed gather while so many appends are under way: the disk could not write it sooner.
    appends_max: int = 1
    # A snapshot is due when the log since the last one holds this many entries or bytes, and at least as many bytes as
    # the last snapshot: then writing snapshots never costs more than writing the log.
    snapshot_entries: int = 50_000
    snapshot_bytes: int = 32 << 20
    # At a stop a snapshot is written when replay would take longer than this many entries.
    stop_entries: int = 2_000
    stop_wait_ms: int = 10_000  # at a stop, for what is proposed and not answered: there may be no quorum
    snapshot_chunk_bytes: int = 128 << 10  # a snapshot travels in these; SOFAJRaft: maxByteCountPerRpc
    snapshot_bytes_per_s_max: int = (
        0  # of one that arrives; 0: as fast as it comes. SOFAJRaft: ThroughputSnapshotThrottle
    )
