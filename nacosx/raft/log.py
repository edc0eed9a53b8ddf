"""The log as the rules see it: its newest entries in memory, the others in the storage.

::

    1 … snapshot_index … │ storage, on disk         │ entries not applied, or not yet on disk
                         └ first_index              └ _first … stable_index … last_index

    take(): what the disk has yet to do, handed out once, and carried out in that order
    stable(): the disk reports one of them done

invariant: what is on disk and was not handed out for replacement is exactly the log up to `stable_index`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import accumulate, repeat
from operator import attrgetter
from typing import Protocol

from nacosx._core.entry import Entry

_DATA = attrgetter("data")


class Storage(Protocol):
    """What the rules read of a `LogStorage`: entries that are on disk."""

    @property
    def first_index(self) -> int: ...

    @property
    def last_index(self) -> int: ...

    def term(self, index: int) -> int | None: ...

    def entries(self, from_index: int, *, bytes_max: int) -> list[Entry]: ...

    def configurations(self) -> list[Entry]: ...


class _Append:
    """Entries on their way to the disk."""

    __slots__ = ("kept_index", "last_index", "last_term")

    def __init__(self, last_index: int, last_term: int) -> None:
        self.last_index = last_index
        self.last_term = last_term
        self.kept_index = last_index  # the entries above were replaced after they had been handed out


class RaftLog:
    """At start nothing may be queued in the storage, and its entries must reach down to the snapshot."""

    # Applied entries stay in memory for followers that are a little behind, until there are that many or they take that.
    KEPT_ENTRIES_MAX = 1024
    KEPT_BYTES_MAX = 1 << 20

    __slots__ = (
        "_appends",
        "_before_bytes",
        "_before_term",
        "_cut_index",
        "_ends",
        "_entries",
        "_first",
        "_sliced",
        "_sliced_at",
        "_sliced_bytes",
        "_storage",
        "_taken_index",
        "applied_index",
        "last_index",
        "last_term",
        "snapshot_index",
        "snapshot_size",
        "snapshot_term",
        "stable_index",
        "taken_bytes",
    )

    def __init__(
        self, storage: Storage, *, snapshot_index: int = 0, snapshot_term: int = 0, snapshot_size: int = 0
    ) -> None:
        assert storage.first_index <= snapshot_index + 1, "entries are missing between the snapshot and the log"
        assert storage.last_index >= snapshot_index, "the log ends before the snapshot: reset it"
        self._storage = storage
        self.snapshot_index = snapshot_index
        self.snapshot_term = snapshot_term
        self.snapshot_size = snapshot_size  # bytes; 0: not known
        self.applied_index = snapshot_index
        self.taken_bytes = 0  # data that were handed to the disk
        self._entries: list[Entry] = []
        self._ends: list[int] = []  # bytes of all data up to each of _entries, counted from some point
        self._appends: deque[_Append] = deque()
        self._end_at(storage.last_index)

    def _end_at(self, last_index: int) -> None:
        """Begins with an empty memory; everything up to there is on disk."""
        self._entries.clear()
        self._ends.clear()
        self._appends.clear()
        self._before_bytes = 0
        self._first = last_index + 1
        self._cut_index: int | None = None
        self._sliced: list[Entry] = []
        self._sliced_at = (0, 0, 0)
        self._sliced_bytes = 0
        self.last_index = self.stable_index = self._taken_index = last_index
        term = self.snapshot_term if last_index == self.snapshot_index else self._storage.term(last_index)
        assert term is not None, f"the storage does not know its last entry, {last_index}"
        self.last_term = self._before_term = term

    # --- reading -----------------------------------------------------------------------------------------------------

    @property
    def first_index(self) -> int:
        return self._storage.first_index

    def term(self, index: int) -> int | None:
        """None: the entry is forgotten, or not there yet."""
        first = self._first
        if index >= first:
            return self._entries[index - first].term if index <= self.last_index else None
        if index == first - 1:
            return self._before_term
        if index == self.snapshot_index:
            return self.snapshot_term
        return self._storage.term(index) if index >= self._storage.first_index else None

    def matches(self, index: int, term: int) -> bool:
        return self.term(index) == term

    def slice(self, low: int, high: int, bytes_max: int) -> list[Entry]:
        """Entries from `low` to at most `high`: at least one, and no more once they take `bytes_max`. Not to be changed:
        it is the same list for everybody who asks for the same. OSError, CorruptEntryError of the storage."""
        assert self.first_index <= low <= high <= self.last_index, (low, high)
        if self._sliced_at == (low, high, bytes_max):
            return self._sliced
        first = self._first
        if low < first:
            entries = self._storage.entries(low, bytes_max=bytes_max)  # io
            assert entries, f"the storage has no entry {low}"
            sliced = entries[: min(high, first - 1) - low + 1]
            size = sum(map(len, map(_DATA, sliced)))
        else:
            begin, end = low - first, high - first + 1
            before = self._ends[begin - 1] if begin else self._before_bytes
            if self._ends[end - 1] > before + bytes_max:
                end = max(bisect_right(self._ends, before + bytes_max, begin, end), begin + 1)
            sliced = self._entries[begin:end]
            size = self._ends[end - 1] - before
        self._sliced, self._sliced_at, self._sliced_bytes = sliced, (low, high, bytes_max), size
        return sliced

    @property
    def sliced_bytes(self) -> int:
        """What the data of the last slice take."""
        return self._sliced_bytes

    def in_memory(self, index: int) -> bool:
        """A slice from there on asks no disk."""
        return index >= self._first

    def last_index_of_term(self, term: int, low: int, high: int) -> int:
        """The last index in low … high whose term is not above `term`, else `low`. Terms never fall along a log."""
        while low < high:
            middle = (low + high + 1) // 2
            found = self.term(middle)
            if found is None or found <= term:
                low = middle
            else:
                high = middle - 1
        return low

    def configurations(self) -> list[Entry]:
        """The configuration entries above the snapshot. Only while memory holds nothing: after a start, after `reload`."""
        assert not self._entries
        above = (entry for entry in self._storage.configurations() if entry.index > self.snapshot_index)
        return [entry for entry in above if entry.index <= self.last_index]

    # --- writing -----------------------------------------------------------------------------------------------------

    def append_data(self, kind: int, term: int, data: Sequence[bytes]) -> int:
        """Entries of a leader. Returns the index of the last."""
        index = self.last_index + 1
        count = len(data)
        self._entries.extend(map(Entry, range(index, index + count), repeat(term), repeat(kind), data))
        self._extend_ends(data)
        self.last_index = index = index + count - 1
        self.last_term = term
        return index

    def append(self, entries: Sequence[Entry]) -> None:
        """Entries of somebody else."""
        assert entries[0].index == self.last_index + 1, "a gap in the log"
        self._entries.extend(entries)
        self._extend_ends(list(map(_DATA, entries)))
        last = entries[-1]
        self.last_index, self.last_term = last.index, last.term

    def _extend_ends(self, data: Sequence[bytes]) -> None:
        before = self._ends[-1] if self._ends else self._before_bytes
        if len(data) == 1:
            self._ends.append(before + len(data[0]))
        else:
            ends = accumulate(map(len, data), initial=before)
            next(ends)
            self._ends.extend(ends)

    def truncate(self, last_index_kept: int) -> None:
        """Forgets the entries above: they conflict with the leader's."""
        kept = last_index_kept
        assert self.applied_index <= kept < self.last_index, "entries that were applied are never replaced"
        if kept < self._taken_index:
            self._cut_index = kept if self._cut_index is None else min(self._cut_index, kept)
            self._taken_index = kept
            for append in self._appends:
                append.kept_index = min(append.kept_index, kept)
        term = self.term(kept)
        assert term is not None
        if kept >= self._first - 1:
            del self._entries[kept + 1 - self._first :]
            del self._ends[kept + 1 - self._first :]
        else:
            self._entries.clear()
            self._ends.clear()
            self._first, self._before_term, self._before_bytes = kept + 1, term, 0
        self.last_index, self.last_term = kept, term
        self.stable_index = min(self.stable_index, kept)
        self._sliced_at = (0, 0, 0)

    def take(self) -> tuple[int | None, list[Entry]]:
        """What the disk has yet to do, once: (forget the entries above this one, then append these)."""
        begin = self._taken_index + 1 - self._first
        entries = self._entries[begin:]
        cut, self._cut_index = self._cut_index, None
        if entries:
            self.taken_bytes += self._ends[-1] - (self._ends[begin - 1] if begin else self._before_bytes)
            self._taken_index = self.last_index
            self._appends.append(_Append(self.last_index, self.last_term))
        return cut, entries

    @property
    def waits(self) -> bool:
        """There is something for `take` to hand out."""
        return self._taken_index != self.last_index

    def stable(self, last_index: int, term: int) -> bool:
        """The disk has done an append that ended there, and all before it. False: nothing of it counts any longer.

        Reports come in the order of the appends. So one of an append whose entries were replaced since tells nothing about
        entries of the same index and term that were handed out again later.
        """
        appends = self._appends
        for append in appends:
            if append.last_index == last_index and append.last_term == term:
                break
        else:
            return False
        while appends.popleft() is not append:
            pass
        if append.kept_index <= self.stable_index:
            return False
        self.stable_index = append.kept_index
        self._forget()
        return True

    def reload(self, durable_index: int) -> None:
        """The disk failed and is what it was before what it was last given: as after a restart."""
        assert self.applied_index <= durable_index, "entries that were applied are not on disk"
        assert self._storage.last_index == durable_index, "the storage does not end where it is said to"
        self._end_at(durable_index)

    def applied(self, index: int) -> None:
        """These entries will be asked for by followers only."""
        assert self.applied_index <= index <= self.stable_index, "applied what was not committed, or not on disk"
        self.applied_index = index
        self._forget()

    def _forget(self) -> None:
        count = min(self.applied_index, self.stable_index) + 1 - self._first
        if count <= 0:
            return
        end = self._ends[count - 1]
        if count < self.KEPT_ENTRIES_MAX and end - self._before_bytes < self.KEPT_BYTES_MAX:
            return
        self._before_term = self._entries[count - 1].term
        self._before_bytes = end
        self._first += count
        del self._entries[:count]
        del self._ends[:count]

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def compacted(self, index: int, term: int, size: int = 0) -> None:
        """There is a snapshot as of this entry: the storage may forget the entries up to it."""
        assert self.snapshot_index <= index <= self.applied_index
        assert self.matches(index, term)
        self.snapshot_index, self.snapshot_term, self.snapshot_size = index, term, size

    def restore(self, index: int, term: int, size: int = 0) -> None:
        """The snapshot of another member replaces everything: the storage is empty and continues after `index`."""
        assert index > self.applied_index
        assert self._storage.last_index == index, "the storage was not reset to continue after the snapshot"
        self.snapshot_index, self.snapshot_term, self.snapshot_size = index, term, size
        self.applied_index = index
        self._end_at(index)
