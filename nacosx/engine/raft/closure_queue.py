"""Who waits for which entry of the log: SOFAJRaft's ClosureQueue."""

from __future__ import annotations

from collections import deque

from nacosx.engine.raft.apply_queue import Task

# The index of the first entry, the tasks that became this one and those after it, and their data.
Batch = tuple[int, list[Task], list[bytes]]


class ClosureQueue:
    """The tasks this member proposed as the leader of its term, in the batches in which they entered the log. Between two
    batches there may be entries nobody waits for: those the leader wrote itself."""

    __slots__ = ("_batches", "first_index")

    def __init__(self) -> None:
        self.first_index = 0  # that somebody waits for; 0: nobody waits
        self._batches: deque[Batch] = deque()

    def append(self, last_index: int, tasks: list[Task], data: list[bytes]) -> None:
        """They got the indexes up to `last_index`."""
        first_index = last_index - len(tasks) + 1
        if not self._batches:
            self.first_index = first_index
        self._batches.append((first_index, tasks, data))

    def pop(self, last_index: int) -> Batch:
        """The first batch; of one that reaches beyond `last_index` the tasks up to there."""
        batches = self._batches
        batch = batches.popleft()
        first_index, tasks, data = batch
        count = last_index - first_index + 1
        if count < len(tasks):
            batches.appendleft((last_index + 1, tasks[count:], data[count:]))
            batch = first_index, tasks[:count], data[:count]
        self.first_index = batches[0][0] if batches else 0
        return batch

    def put_back(self, batch: Batch) -> None:
        """What `pop` took last and could not be applied."""
        self._batches.appendleft(batch)
        self.first_index = batch[0]

    def clear(self) -> list[Task]:
        """All that wait: the entries they wait for are no longer this member's to commit."""
        tasks = [task for _, batch, _ in self._batches for task in batch]
        self._batches.clear()
        self.first_index = 0
        return tasks
