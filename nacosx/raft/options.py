"""The knobs of a group, with the names and defaults of SOFAJRaft 1.3.14 (NodeOptions, RaftOptions)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Options(Struct, frozen=True, kw_only=True):
    election_timeout_ms: int = 1000  # a follower waits this long at least, and a leader this long for its quorum
    max_election_delay_ms: int = 1000  # limit: of the random part that is added to a follower's wait
    election_heartbeat_factor: int = 10  # heartbeats in one election timeout
    leader_lease_time_ratio: int = 90  # percent of the election timeout
    # safe: a quorum confirms the leader for every round of reads. lease: by the clock, right as long as no member's clock
    # runs faster than the leader's by more than what leader_lease_time_ratio leaves.
    read_only: Literal["safe", "lease"] = "safe"
    max_entries_size: int = 1024  # limit: entries in one AppendEntries
    max_body_size: int = 512 << 10  # limit: bytes of them; one larger entry goes alone
    max_replicator_inflight_msgs: int = 256  # limit: AppendEntries sent to one member and not answered
    max_replicator_inflight_bytes: int = 16 << 20  # limit: bytes of them: less than what the way to a member holds
    apply_batch: int = 32  # proposals that become one append: the engine's
    catchup_margin: int = 1000  # entries a new voter may be behind when it begins to vote
    decay_priority_gap: int = 10  # by at least this much the target priority falls while nobody is elected

    @property
    def heartbeat_interval_ms(self) -> int:
        return max(self.election_timeout_ms // self.election_heartbeat_factor, 1)

    @property
    def read_patience_ms(self) -> int:
        """The few that a leader asks to confirm it for reads may take so long before it asks all."""
        return max(self.heartbeat_interval_ms // 10, 1)

    @property
    def leader_lease_ms(self) -> int:
        return self.election_timeout_ms * self.leader_lease_time_ratio // 100
