"""Members of a Raft group on a virtual clock, disk and network, driven step by step, and watched.

The smallest engine there can be: it does what a Ready says. The disk does what is queued when it is told to, the network
delivers when it is told to. Whatever is done, `check` must hold (Raft figure 3).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import count
from typing import NamedTuple

from nacosx._core.entry import CONFIGURATION, Configuration, Entry
from nacosx.raft.log import RaftLog
from nacosx.raft.membership import Members
from nacosx.raft.messages import InstallSnapshot, Message
from nacosx.raft.node import NEVER_MS, Node
from nacosx.raft.options import Options
from nacosx.raft.ready import HardState, Leadership, Ready, Role
from tests.memory_log import MemoryLog


class Snapshot(NamedTuple):
    index: int
    term: int
    configuration: Configuration
    state: tuple[Entry, ...]


class Letter(NamedTuple):
    sender: str
    to: str
    message: Message


class RaftMember:
    """A process: what survives a crash, and the node that does not."""

    def __init__(self, name: str, configuration: Configuration, options: Options, random_below: Callable[[int], int]):
        self.name = name
        self.options = options
        self.random_below = random_below
        self.disk = MemoryLog()
        self.hard_state = HardState()
        self.snapshot = Snapshot(0, 0, configuration, ())
        self.alive = False
        self.node: Node

    def start(self, now_ms: int) -> None:
        at = self.snapshot
        if self.disk.last_index < at.index:
            self.disk.reset(at.index + 1)
        self.node = Node(
            self.name,
            self.options,
            log=RaftLog(self.disk, snapshot_index=at.index, snapshot_term=at.term),
            hard_state=self.hard_state,
            configuration=at.configuration,
            now_ms=now_ms,
            random_below=self.random_below,
        )
        self.alive = True
        self.state = list(at.state)
        self.queue: deque[tuple[int | None, list[Entry]]] = deque()  # for the disk
        self.offer: tuple[str, InstallSnapshot] | None = None

    def write(self) -> tuple[int, int]:
        """The disk does the next thing that is queued; returns what is to be reported."""
        cut, entries = self.queue.popleft()
        if cut is not None:
            self.disk.truncate_suffix(cut)
        self.disk.append(entries)
        return entries[-1].index, entries[-1].term

    def entries(self) -> list[Entry]:
        """Of the log, in memory or on disk."""
        log = self.node.log
        low, found = log.first_index, []
        while low <= log.last_index:
            found += log.slice(low, log.last_index, 1 << 30)
            low = found[-1].index + 1
        return found


class RaftCluster:
    def __init__(
        self,
        names: Iterable[str],
        *,
        voters: Iterable[str] | None = None,
        learners: Iterable[str] = (),
        options: Options = Options(),  # noqa: B008 (frozen)
        random_below: Callable[[int], int] | None = None,
        instant: bool = True,
    ) -> None:
        """`instant`: the disk does at once what it is given. `random_below`: else small numbers that differ."""
        draws = count(1)
        random_below = random_below or (lambda below: next(draws) * 7919 % 997 % below)
        self.now_ms = 0
        self.instant = instant
        self.slow: set[str] = set()  # members whose disks do nothing by themselves even so
        self.network: list[Letter] = []
        self.answers: dict[tuple[str, int], int | None] = {}  # (member, request) → what its Ready said
        self.readies: list[tuple[str, Ready]] = []  # since somebody looked
        self.leaders: dict[int, str] = {}  # term → who led it
        self.committed: dict[int, Entry] = {}  # what anybody applied
        self.committed_index = 0  # what a leader committed, as far as it was checked
        names = list(names)
        configuration = Configuration(names if voters is None else voters, learners)
        nobody = Configuration([])
        self.members: dict[str, RaftMember] = {}
        for name in names:
            known = configuration if voters is None or name in Members(configuration).all else nobody
            self.members[name] = member = RaftMember(name, known, options, random_below)
            member.start(self.now_ms)

    # --- the engine --------------------------------------------------------------------------------------------------

    def pump(self, member: RaftMember) -> bool:
        """Does what the next Ready of one member says. False: there was none."""
        self._check_commitment(member.node)
        ready = member.node.ready()
        if ready is None:
            return False
        self.readies.append((member.name, ready))
        if ready.hard_state is not None:
            member.hard_state = ready.hard_state
            member.node.hard_state_saved(ready.hard_state)
        self.network += [Letter(member.name, to, message) for to, message in ready.messages]
        if ready.entries:
            member.queue.append((ready.truncate_suffix, ready.entries))
        else:
            assert ready.truncate_suffix is None
        if ready.leadership is not None:
            self._leadership(member, ready.leadership)
        self._apply(member, ready.commit_index)
        for request, index in ready.reads:
            self.answers[member.name, request] = index
        if ready.snapshot is not None:
            member.offer = ready.snapshot
        if self.instant and member.name not in self.slow:
            self.write(member.name, len(member.queue))
        return True

    def settle(self) -> None:
        for member in self.members.values():
            while member.alive and self.pump(member):
                pass

    def _leadership(self, member: RaftMember, leadership: Leadership) -> None:
        if leadership.role is not Role.LEADER:
            return
        assert self.leaders.setdefault(leadership.term, member.name) == member.name, "two leaders in one term"
        kept = {entry.index: entry for entry in member.entries()}
        for index, entry in self.committed.items():
            if index > member.snapshot.index and entry.term < leadership.term:
                assert kept.get(index) == entry, f"the leader of term {leadership.term} lacks what was committed"

    def _apply(self, member: RaftMember, commit_index: int) -> None:
        log, configuration_at = member.node.log, member.node.configurations.at
        while log.applied_index < commit_index:
            for entry in log.slice(log.applied_index + 1, commit_index, 64):
                if entry.index > self.committed_index:  # the leader that committed it stepped down over it
                    self._check_durable(entry, [member.node.configuration, configuration_at(entry.index)])
                assert self.committed.setdefault(entry.index, entry) == entry, f"two entries applied at {entry.index}"
                member.state.append(entry)
            member.node.applied(member.state[-1].index)

    def _check_commitment(self, node: Node) -> None:
        """What a leader has just committed is on the disks of a quorum."""
        if node.role is not Role.LEADER or node.commit_index <= self.committed_index:
            return
        for entry in node.log.slice(max(self.committed_index + 1, node.log.first_index), node.commit_index, 1 << 30):
            self._check_durable(entry, node.configurations.since(entry.index))
        self.committed_index = node.commit_index

    def _check_durable(self, entry: Entry, configurations: Iterable[Configuration]) -> None:
        """Which of them was in force when it was committed is not known any more."""
        kept = {
            name for name, other in self.members.items()
            if other.disk.term(entry.index) == entry.term or other.snapshot.index >= entry.index
        }  # fmt: skip
        quorums = [Members(configuration).quorum for configuration in configurations]
        assert any(quorum.outcome(kept, set()) for quorum in quorums), f"{entry} is on the disks of {kept} only"
        self.committed_index = entry.index

    # --- what can happen ---------------------------------------------------------------------------------------------

    def write(self, name: str, count: int = 1) -> None:
        member = self.members[name]
        for _ in range(min(count, len(member.queue))):
            member.node.stable(*member.write(), self.now_ms)

    def fail_disk(self, name: str) -> None:
        """What is queued fails."""
        member = self.members[name]
        if member.queue:
            member.queue.clear()
            member.node.disk_failed(member.disk.last_index)

    def crash(self, name: str, written: int = 0) -> None:
        """`written` of what is queued is on disk all the same."""
        member = self.members[name]
        for _ in range(min(written, len(member.queue))):
            member.write()
        member.alive = False

    def restart(self, name: str) -> None:
        self.members[name].start(self.now_ms)

    def deliver(self, position: int = 0, *, keep: bool = False) -> None:
        letter = self.network[position] if keep else self.network.pop(position)
        member = self.members.get(letter.to)
        if member is not None and member.alive:
            member.node.step(letter.sender, letter.message, self.now_ms)

    def deliver_all(self, *, cut_off: Iterable[str] = (), rounds_max: int = 1000) -> None:
        """Until nothing is under way any longer. What those cut off send, or are sent, is lost."""
        lost = set(cut_off)
        self.settle()
        for _ in range(rounds_max):
            if not self.network:
                return
            letters, self.network = self.network, []
            for letter in letters:
                if not lost & {letter.sender, letter.to}:
                    self.network.insert(0, letter)
                    self.deliver()
            self.settle()
        raise AssertionError(f"they talk without end: {self.network[:4]}")

    def wakes_ms(self) -> int:
        return min((member.node.wakes_ms for member in self.members.values() if member.alive), default=NEVER_MS)

    def run(self, for_ms: int, *, cut_off: Iterable[str] = ()) -> None:
        """Time passes, everything queued is done at once."""
        end_ms = self.now_ms + for_ms
        self.deliver_all(cut_off=cut_off)
        while (wakes_ms := self.wakes_ms()) <= end_ms:
            self.advance(wakes_ms)
            self.deliver_all(cut_off=cut_off)
        self.advance(end_ms)

    def advance(self, to_ms: int) -> None:
        self.now_ms = max(self.now_ms, to_ms)
        for member in self.members.values():
            if member.alive and member.node.wakes_ms <= self.now_ms:
                member.node.tick(self.now_ms)

    def take_snapshot(self, name: str, *, keep: int = 0) -> None:
        """Of what is applied; the log is cut `keep` entries before it."""
        member = self.members[name]
        if not member.state or member.state[-1].index == member.snapshot.index:
            return
        last = member.state[-1]
        configuration = member.node.configurations.at(last.index)
        member.snapshot = Snapshot(last.index, last.term, configuration, tuple(member.state))
        member.node.snapshot_taken(last.index, last.term)
        member.disk.truncate_prefix(max(last.index + 1 - keep, member.disk.first_index))

    def install_snapshot(self, name: str) -> None:
        """Fetches what was offered, if it is still there and wanted."""
        member = self.members[name]
        offer, member.offer = member.offer, None
        if offer is None:
            return
        self.write(name, len(member.queue))
        while self.pump(member):
            self.write(name, len(member.queue))
        source = self.members[offer[0]]
        if not source.alive or source.snapshot.index != offer[1].last_index:
            member.node.snapshot_failed()
        elif (wanted := member.node.snapshot_wanted) is not None and wanted[1].last_index == offer[1].last_index:
            member.snapshot = source.snapshot
            member.state = list(source.snapshot.state)
            member.disk.reset(source.snapshot.index + 1)
            member.node.snapshot_installed(source.snapshot.index, source.snapshot.term)

    # --- looking -----------------------------------------------------------------------------------------------------

    @property
    def leader(self) -> Node:
        """Of the highest term."""
        leaders = [m.node for m in self.members.values() if m.alive and m.node.role is Role.LEADER]
        assert leaders, "nobody leads"
        return max(leaders, key=lambda node: node.term)

    def node(self, name: str) -> Node:
        return self.members[name].node

    def check(self) -> None:
        """Log matching, and that configurations are those of the log."""
        seen: dict[tuple[int, int], tuple[int, Entry]] = {}  # (index, term) → the term before it, and the entry
        for member in self.members.values():
            if not member.alive:
                continue
            node = member.node
            entries = member.entries()
            before = node.log.term(node.log.first_index - 1)
            for entry in entries:
                if before is not None:
                    there = seen.setdefault((entry.index, entry.term), (before, entry))
                    assert there == (before, entry), f"logs that match at {entry.index} differ before"
                before = entry.term
            configured = [entry for entry in entries if entry.kind == CONFIGURATION]
            if configured and configured[-1].index > node.log.snapshot_index and node.configurations.imposed is None:
                assert node.configuration == configured[-1].configuration
            assert node.commit_index >= node.log.applied_index
