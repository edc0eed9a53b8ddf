"""Who waits for which entry of the log: SOFAJRaft's ClosureQueue."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from nacosx.engine.apply_queue import Task


class ClosureQueue:
    """The tasks this member proposed as the leader of its term, by the indexes they got. None stands for an entry nobody
    waits for: one the leader wrote itself."""

    __slots__ = ("_tasks", "first_index")

    def __init__(self) -> None:
        self.first_index = 0  # of the first task, if there is one
        self._tasks: deque[Task | None] = deque()

    def __len__(self) -> int:
        return len(self._tasks)

    def append(self, last_index: int, tasks: Sequence[Task]) -> None:
        """They got the indexes up to `last_index`."""
        first_index = last_index - len(tasks) + 1
        waiting = self._tasks
        if waiting:
            between = first_index - self.first_index - len(waiting)
            assert between >= 0, "an index was given twice in one term"
            waiting.extend([None] * between)
        else:
            self.first_index = first_index
        waiting.extend(tasks)

    def pop_until(self, last_index: int) -> list[Task | None]:
        """Those of the entries from `first_index` to `last_index`; the queue begins behind them then."""
        waiting = self._tasks
        count = min(last_index - self.first_index + 1, len(waiting))
        self.first_index += count
        if count == len(waiting):
            tasks = list(waiting)
            waiting.clear()
            return tasks
        pop = waiting.popleft
        return [pop() for _ in range(count)]

    def put_back(self, tasks: Sequence[Task | None]) -> None:
        """What `pop_until` took last and could not be applied."""
        self.first_index -= len(tasks)
        self._tasks.extendleft(reversed(tasks))

    def clear(self) -> list[Task]:
        """All that wait: the entries they wait for are no longer this member's to commit."""
        tasks = [task for task in self._tasks if task is not None]
        self._tasks.clear()
        return tasks
