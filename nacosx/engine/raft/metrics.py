"""What a group tells of itself, under the names of SOFAJRaft's NodeMetrics.

What happens all the time is counted; what is seldom is measured, too: count, sum and largest.
"""

from __future__ import annotations

from collections.abc import Mapping


class Measured:
    """A size, or a latency in milliseconds."""

    __slots__ = ("count", "largest", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self.largest = 0

    def add(self, value: int) -> None:
        self.count += 1
        self.total += value
        if value > self.largest:
            self.largest = value


class RaftMetrics:
    """Of one group."""

    __slots__ = (
        *("append_logs", "append_logs_count", "apply_task_overload_times", "fsm_apply_tasks", "fsm_apply_tasks_count"),
        *("fsm_snapshot_load", "fsm_snapshot_save", "read_index_rounds", "replicate_snapshot_bytes", "save_raft_meta"),
    )

    def __init__(self) -> None:
        self.append_logs = 0  # writes
        self.append_logs_count = 0  # entries in them
        self.fsm_apply_tasks = 0  # batches
        self.fsm_apply_tasks_count = 0  # entries in them
        self.fsm_snapshot_save = Measured()
        self.fsm_snapshot_load = Measured()
        self.save_raft_meta = Measured()
        self.replicate_snapshot_bytes = 0  # sent to other members in chunks
        self.apply_task_overload_times = 0
        self.read_index_rounds = 0

    def numbers(self) -> Mapping[str, int]:
        """Name → value; of what is measured its count, sum (`-total`) and largest (`-max`)."""
        numbers: dict[str, int] = {}
        for slot in self.__slots__:
            name, value = slot.replace("_", "-"), getattr(self, slot)
            if isinstance(value, Measured):
                numbers[name] = value.count
                numbers[f"{name}-total"] = value.total
                numbers[f"{name}-max"] = value.largest
            else:
                numbers[name] = value
        return numbers
