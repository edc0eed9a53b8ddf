"""What a group tells of itself, under the names of SOFAJRaft's NodeMetrics. SIGUSR2 makes a server write it to its log.

Everything is counted or measured once a batch, never once an entry.
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
        *(
            "append_logs",
            "append_logs_bytes",
            "append_logs_count",
            "apply_task_overload_times",
            "fsm_apply_tasks_count",
        ),
        *(
            "fsm_commit",
            "fsm_snapshot_load",
            "fsm_snapshot_save",
            "handle_append_entries",
            "handle_append_entries_count",
        ),
        *("read_index_rounds", "replicate_entries", "replicate_entries_count", "replicate_snapshot_bytes"),
        "save_raft_meta",
    )

    def __init__(self) -> None:
        self.append_logs = Measured()  # writes, until they are on disk
        self.append_logs_count = 0  # entries in them
        self.append_logs_bytes = 0  # data of them
        self.fsm_commit = Measured()  # batches that were applied
        self.fsm_apply_tasks_count = 0  # entries in them
        self.replicate_entries = 0  # AppendEntries sent to one member, empty ones too
        self.replicate_entries_count = 0  # entries in them
        self.handle_append_entries = 0  # AppendEntries of the leader
        self.handle_append_entries_count = 0  # entries in them
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
