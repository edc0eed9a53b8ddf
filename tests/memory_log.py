"""A log storage that keeps its promises in memory, and can be made to break them: what is queued reaches it when told."""

from __future__ import annotations

from collections.abc import Sequence

from nacosx._core.entry import CONFIGURATION, Entry


class MemoryLog:
    """Implements the `Storage` of the rules; `append` and `truncate` are what a disk would do at once."""

    def __init__(self) -> None:
        self.first_index = 1
        self.kept: list[Entry] = []

    @property
    def last_index(self) -> int:
        return self.first_index + len(self.kept) - 1

    def term(self, index: int) -> int | None:
        return self.kept[index - self.first_index].term if self.first_index <= index <= self.last_index else None

    def entries(self, from_index: int, *, bytes_max: int) -> list[Entry]:
        if from_index < self.first_index:
            raise ValueError(f"entries before {self.first_index} are forgotten")
        taken, size = 0, 0
        for entry in self.kept[from_index - self.first_index :]:
            size += len(entry.data)
            if taken and size > bytes_max:
                break
            taken += 1
        start = from_index - self.first_index
        return self.kept[start : start + taken]

    def configurations(self) -> list[Entry]:
        return [entry for entry in self.kept if entry.kind == CONFIGURATION]

    def append(self, entries: Sequence[Entry]) -> None:
        if entries[0].index != self.last_index + 1:
            raise ValueError(f"{entries[0].index} does not follow {self.last_index}")
        self.kept.extend(entries)

    def truncate_suffix(self, last_index_kept: int) -> None:
        if not self.first_index - 1 <= last_index_kept <= self.last_index:
            raise ValueError(f"{last_index_kept} is not in the log")
        del self.kept[last_index_kept + 1 - self.first_index :]

    def truncate_prefix(self, first_index_kept: int) -> None:
        if first_index_kept > self.last_index + 1:
            raise ValueError(f"{first_index_kept} is beyond the log")
        if first_index_kept > self.first_index:
            del self.kept[: first_index_kept - self.first_index]
            self.first_index = first_index_kept

    def reset(self, next_index: int) -> None:
        self.kept.clear()
        self.first_index = next_index
