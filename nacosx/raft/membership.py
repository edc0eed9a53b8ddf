"""Who is in the group, and how that changes (Raft §6, thesis §4).

A configuration is in force from the moment it is in the log, committed or not, and no longer once it is cut off again. One
voter more or less is one entry; more than that is two: a joint one, which needs a quorum of the old and of the new, and
once that is committed the new one. Before a new voter counts it has caught up (thesis §4.2.1).
"""

from __future__ import annotations

from collections.abc import Iterable

from nacosx._core.entry import Configuration, Entry
from nacosx.raft.member import PRIORITY_NOT_ELECTED, parse
from nacosx.raft.quorum import Quorum


class Members:
    """A configuration, read."""

    __slots__ = ("all", "configuration", "joint", "leadable", "learners", "priorities", "quorum", "voters")

    def __init__(self, configuration: Configuration) -> None:
        """ValueError when a member of it is not one."""
        peers = [parse(text) for text in configuration.peers]
        old_peers = [parse(text) for text in configuration.old_peers]
        learners = {parse(text).id for text in (*configuration.learners, *configuration.old_learners)}
        self.configuration = configuration
        self.priorities = {member.id: member.priority for member in (*old_peers, *peers)}
        self.quorum = Quorum(tuple(member.id for member in peers), tuple(member.id for member in old_peers))
        self.voters = frozenset(self.priorities)  # of the old configuration, too
        self.learners = frozenset(learners) - self.voters
        self.all = self.voters | self.learners
        self.joint = bool(old_peers)
        self.leadable = any(member.priority != PRIORITY_NOT_ELECTED for member in peers)


def first_step(current: Configuration, target: Configuration) -> Configuration:
    """The first configuration on the way from one to the other: the target itself when that is safe (thesis §4.1)."""
    ours = {parse(text).id for text in current.peers}
    if len(ours ^ {parse(text).id for text in target.peers}) <= 1:
        return target
    return Configuration(target.peers, target.learners, current.peers, current.learners)


class Configurations:
    """Those in the log, and the one before them (SOFAJRaft: ConfigurationManager)."""

    __slots__ = ("_history", "imposed")

    def __init__(self, base_index: int, base: Configuration, entries: Iterable[Entry]) -> None:
        """`base`: of the snapshot at `base_index`, or what the group begins with."""
        self._history: list[tuple[int, Configuration]] = [(base_index, base)]
        self.imposed: Configuration | None = None  # by the operator; until there is a newer one in the log
        self._read(entries)

    def _read(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            configuration = entry.configuration
            assert configuration is not None
            self.append(entry.index, configuration)

    @property
    def index(self) -> int:
        return self._history[-1][0]

    @property
    def current(self) -> Configuration:
        return self.imposed or self._history[-1][1]

    @property
    def recorded(self) -> bool:
        """The one in force is in the log or in the snapshot, not only in what this member was started with."""
        return self.imposed is None and self._history[-1][0] > 0

    def append(self, index: int, configuration: Configuration) -> None:
        assert index > self.index
        self._history.append((index, configuration))
        self.imposed = None

    def truncate(self, last_index_kept: int) -> bool:
        """True: the one in force is another one now."""
        before = len(self._history)
        while self._history[-1][0] > last_index_kept:
            self._history.pop()
            assert self._history, "the configuration of a snapshot is never cut off"
        return len(self._history) != before

    def reload(self, entries: Iterable[Entry]) -> None:
        """The log is what it was: these are the configurations in it."""
        del self._history[1:]
        self._read(entry for entry in entries if entry.index > self.index)

    def restore(self, index: int, configuration: Configuration) -> None:
        self._history = [(index, configuration)]
        self.imposed = None

    def at(self, index: int) -> Configuration:
        """The one in force at an entry that is not before the snapshot."""
        return next(configuration for since, configuration in reversed(self._history) if since <= index)

    def compacted(self, index: int) -> None:
        """Nobody asks for those before the one in force at the snapshot."""
        while len(self._history) > 1 and self._history[1][0] <= index:
            del self._history[0]

    def since(self, commit_index: int) -> list[Configuration]:
        """Those that may be in force at some member: from the last committed one on."""
        found = [self.current]
        for index, configuration in reversed(self._history):
            found.append(configuration)
            if index <= commit_index:
                break
        return found


class CatchingUp:
    """A change that waits for its new voters; they are sent the log before the configuration knows them."""

    __slots__ = ("target", "waiting")

    def __init__(self, target: Configuration, waiting: set[str]) -> None:
        self.target = target
        self.waiting = waiting
