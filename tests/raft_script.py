"""Scripts that drive a Raft group step by step, with what is to be seen after each (as the `datadriven` tests of etcd's raft).

A file is a sequence of paragraphs: commands, one a line, `----`, and what they print. `#` begins a comment. Members do nothing
by themselves: `ready` lets one do what its next Ready says, `deliver` lets letters arrive, `write` lets a disk do what it was
given. `settle` does all three until nothing is left, `run` lets time pass besides.

Run the tests with NACOSX_REWRITE=1 to write what is printed now into the files; then explain the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from nacosx._core.entry import CONFIGURATION, NO_OP, Configuration, Entry
from nacosx.raft.errors import RaftError
from nacosx.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    InstallSnapshotReply,
    Message,
    ReadIndex,
    ReadIndexReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from nacosx.raft.node import NEVER_MS, Node
from nacosx.raft.options import Options
from nacosx.raft.ready import Leadership, Ready
from tests.raft_cluster import RaftCluster

Paragraph = tuple[list[str], list[str]]  # commands and comments, what they print


def paragraphs(text: str) -> Iterator[Paragraph]:
    for block in text.strip().split("\n\n"):
        commands, _, printed = block.partition("\n----")
        yield commands.split("\n"), printed.strip("\n").split("\n") if printed.strip() else []


def replay(text: str) -> str:
    """The file as it would be if it were right."""
    script = Script()
    blocks = []
    for commands, _ in paragraphs(text):
        printed = [line for command in commands if not command.startswith("#") for line in script.do(command)]
        only_comments = all(command.startswith("#") for command in commands)
        blocks.append("\n".join(commands if only_comments else [*commands, "----", *printed]))
    return "\n\n".join(blocks) + "\n"


class Script:
    """Commands are methods; words `name=value` are keywords, lists are separated by commas."""

    def __init__(self) -> None:
        self.cluster = RaftCluster([])
        self._draws: list[int] = []

    def do(self, command: str) -> list[str]:
        name, *words = command.split()
        plain = [word for word in words if "=" not in word]
        named = dict(word.split("=", 1) for word in words if "=" in word)
        method: Callable[..., list[str]] = getattr(self, name.replace("-", "_"))
        try:
            printed = method(*plain, **named)
        except RaftError as error:
            leader = f", ask {error.leader}" if error.leader else ""
            return [f"{error.code.name}: {error}{leader}"]
        self.cluster.check()
        return printed

    # --- the group ---------------------------------------------------------------------------------------------------

    def group(self, *names: str, voters: str = "", learners: str = "", **options: str) -> list[str]:
        """Members named, all of them voters unless told. Options of the node by their names."""
        types = {field.name: field.type for field in msgspec.structs.fields(Options)}
        given: dict[str, Any] = {key: int(value) if types[key] is int else value for key, value in options.items()}
        self.cluster = RaftCluster(
            names,
            voters=split(voters) or names,
            learners=split(learners),
            options=Options(**given),
            random_below=self._draw,
            instant=False,
        )
        return []

    def _draw(self, below: int) -> int:
        """Of the members the first are the most impatient: 0, 100, 200 … ms, again and again."""
        self._draws.append(below)
        return (len(self._draws) - 1) % 5 * 100 % below

    # --- what happens ------------------------------------------------------------------------------------------------

    def ready(self, *names: str) -> list[str]:
        printed = []
        for name in names:
            if self.cluster.pump(self.cluster.members[name]):
                printed += told(name, self.cluster.readies[-1][1])
            else:
                printed.append(f"{name} wants nothing")
        return printed

    def deliver(self, sender: str, to: str, count: str = "99", **how: str) -> list[str]:
        """Letters from one to another, the oldest first; with last=1 the newest first, with keep=1 they stay."""
        printed = []
        for _ in range(int(count)):
            found = [p for p, letter in enumerate(self.cluster.network) if letter[:2] == (sender, to)]
            if not found:
                break
            position = found[-1 if how.get("last") else 0]
            printed.append(letter_text(*self.cluster.network[position]))
            self.cluster.deliver(position, keep="keep" in how)
        return printed

    def drop_all(self) -> list[str]:
        """Also what those have to say who did not say it yet."""
        self.cluster.settle()
        self.cluster.network.clear()
        return []

    def drop(self, sender: str, to: str) -> list[str]:
        lost = [letter for letter in self.cluster.network if letter[:2] == (sender, to)]
        self.cluster.network = [letter for letter in self.cluster.network if letter[:2] != (sender, to)]
        return [f"lost: {letter_text(*letter)}" for letter in lost]

    def write(self, name: str, count: str = "99") -> list[str]:
        self.cluster.write(name, int(count))
        return [f"{name} has {self.cluster.members[name].disk.last_index} on disk"]

    def fail_disk(self, name: str) -> list[str]:
        self.cluster.fail_disk(name)
        return []

    def slow(self, *names: str) -> list[str]:
        """Their disks do nothing but what `write` tells them, also while others settle."""
        self.cluster.slow = set(names)
        return []

    def settle(self, *, cut: str = "", quiet: str = "") -> list[str]:
        return self._watch(lambda: self.cluster.deliver_all(cut_off=split(cut)), quiet)

    def run(self, for_ms: str, *, cut: str = "", quiet: str = "") -> list[str]:
        return self._watch(lambda: self.cluster.run(int(for_ms), cut_off=split(cut)), quiet)

    def _watch(self, do: Callable[[], None], quiet: str) -> list[str]:
        """Prints what changed: who leads, what was committed, what was read; without `quiet` also everything sent."""
        self.cluster.readies.clear()
        self.cluster.instant = True
        for name, member in self.cluster.members.items():
            if member.alive and name not in self.cluster.slow:
                self.cluster.write(name, len(member.queue))
        do()
        self.cluster.instant = False
        printed = []
        for name, ready in self.cluster.readies:
            if not quiet:
                printed += told(name, ready)
            elif ready.leadership is not None:
                printed.append(f"{name} {leadership_text(ready.leadership)}")
        return printed

    def tick(self, for_ms: str) -> list[str]:
        self.cluster.advance(self.cluster.now_ms + int(for_ms))
        return []

    def crash(self, name: str, written: str = "0") -> list[str]:
        self.cluster.crash(name, int(written))
        return []

    def restart(self, name: str) -> list[str]:
        self.cluster.restart(name)
        return self.state(name)

    def wipe(self, name: str) -> list[str]:
        """Its disk is new."""
        member = self.cluster.members[name]
        fresh = RaftCluster([name]).members[name]
        member.disk, member.hard_state = fresh.disk, fresh.hard_state
        member.snapshot = fresh.snapshot._replace(configuration=Configuration([]))
        return []

    def snapshot(self, name: str, *, keep: str = "0") -> list[str]:
        self.cluster.take_snapshot(name, keep=int(keep))
        return [f"{name} has a snapshot at {self.cluster.members[name].snapshot.index}"]

    def install(self, name: str) -> list[str]:
        self.cluster.install_snapshot(name)
        return []

    # --- what is asked -----------------------------------------------------------------------------------------------

    def campaign(self, name: str) -> list[str]:
        self.cluster.node(name).campaign(self.cluster.now_ms)
        return []

    def propose(self, name: str, *data: str, term: str = "") -> list[str]:
        entries = [text.encode() for text in data]
        index = self.cluster.node(name).propose(entries, expected_term=int(term) if term else None)
        return [f"up to {index}"]

    def read(self, name: str, *requests: str) -> list[str]:
        for request in requests:
            self.cluster.node(name).read(int(request), self.cluster.now_ms)
        return []

    def transfer(self, name: str, to: str) -> list[str]:
        self.cluster.node(name).transfer(to, self.cluster.now_ms)
        return []

    def change(self, name: str, *, peers: str, learners: str = "") -> list[str]:
        self.cluster.node(name).change(Configuration(split(peers), split(learners)))
        return []

    def reset_peers(self, name: str, *, peers: str) -> list[str]:
        self.cluster.node(name).reset_peers(Configuration(split(peers)))
        return []

    # --- what is seen ------------------------------------------------------------------------------------------------

    def state(self, *names: str) -> list[str]:
        members = self.cluster.members
        return [state_text(members[name].node) for name in names or members if members[name].alive]

    def log(self, *names: str) -> list[str]:
        """index/term of every entry that is kept; an asterisk for those that are not on disk."""
        printed = []
        for name in names or self.cluster.members:
            member = self.cluster.members[name]
            entries = [entry_text(e) + "*" * (e.index > member.node.log.stable_index) for e in member.entries()]
            at = f"snapshot {member.node.log.snapshot_index}: " if member.node.log.snapshot_index else ""
            printed.append(f"{name}: {at}{' '.join(entries)}")
        return printed

    def replicators(self, name: str) -> list[str]:
        return [
            f"{name}→{one.id}: {one.state.value} match {one.match_index} next {one.next_index}"
            f" inflight {len(one.inflights)}"
            for one in self.cluster.node(name).replicators.values()
        ]

    def wakes(self, *names: str) -> list[str]:
        found = ((name, self.cluster.node(name).wakes_ms) for name in names)
        return [
            f"{name}: " + ("never" if at == NEVER_MS else f"in {at - self.cluster.now_ms} ms") for name, at in found
        ]


def split(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


# --- how things are written ------------------------------------------------------------------------------------------


def entry_text(entry: Entry) -> str:
    if entry.kind == NO_OP:
        return f"{entry.index}/{entry.term}"
    if entry.kind == CONFIGURATION:
        configuration = entry.configuration
        assert configuration is not None
        return f"{entry.index}/{entry.term}({configuration_text(configuration)})"
    return f"{entry.index}/{entry.term}:{entry.data.decode()}"


def configuration_text(configuration: Configuration) -> str:
    text = ",".join(configuration.peers) or "nobody"
    if configuration.learners:
        text += "+" + ",".join(configuration.learners)
    if configuration.old_peers:
        text += "←" + ",".join(configuration.old_peers)
        if configuration.old_learners:
            text += "+" + ",".join(configuration.old_learners)
    return text


def leadership_text(leadership: Leadership) -> str:
    of = f" of {leadership.leader}" if leadership.leader else ""
    return f"is {leadership.role.value}{of} in term {leadership.term}"


def state_text(node: Node) -> str:
    of = f" of {node.leader}" if node.leader else ""
    return (
        f"{node.id}: {node.role.value}{of}, term {node.term}, log {node.log.first_index}…{node.log.last_index},"
        f" committed {node.commit_index}, members {configuration_text(node.configuration)}"
    )


def told(name: str, ready: Ready) -> Iterator[str]:
    if ready.leadership is not None:
        yield f"{name} {leadership_text(ready.leadership)}"
    if ready.hard_state is not None:
        yield f"{name} saves term {ready.hard_state.term} vote {ready.hard_state.vote or 'none'}"
    if ready.truncate_suffix is not None:
        yield f"{name} cuts its log after {ready.truncate_suffix}"
    if ready.entries:
        yield f"{name} appends {' '.join(map(entry_text, ready.entries))}"
    for to, message in ready.messages:
        yield "  " + letter_text(name, to, message)
    for request, index in ready.reads:
        yield f"{name} read {request}: " + ("refused" if index is None else f"at {index}")
    if ready.snapshot is not None:
        yield f"{name} is to fetch the snapshot at {ready.snapshot[1].last_index} from {ready.snapshot[0]}"
    yield f"{name} may apply up to {ready.commit_index}"


def letter_text(sender: str, to: str, message: Message) -> str:
    return f"{sender}→{to} {message_text(message)}"


def message_text(message: Message) -> str:
    match message:
        case RequestVote(term, last_index, last_term, pre, transfer):
            kind = "pre-vote?" if pre else "vote?"
            return f"{kind} term {term} with {last_index}/{last_term}" + " for a transfer" * transfer
        case RequestVoteReply(term, granted, pre):
            return f"{'pre-vote' if pre else 'vote'} {'yes' if granted else 'no'} term {term}"
        case AppendEntries(term, sequence, previous_index, previous_term, commit_index, entries):
            carried = " ".join(map(entry_text, entries)) or "probe"
            return f"append #{sequence} term {term} after {previous_index}/{previous_term} commit {commit_index}: {carried}"
        case AppendEntriesReply(term, sequence, True, last_index):
            return f"append #{sequence} yes term {term} up to {last_index}"
        case AppendEntriesReply(term, sequence, False, last_index, conflict_term):
            return f"append #{sequence} no term {term} at most {last_index}/{conflict_term}"
        case Heartbeat(term, commit_index, number):
            return f"heartbeat #{number} term {term} commit {commit_index}"
        case HeartbeatReply(term, number):
            return f"heartbeat #{number} yes term {term}"
        case InstallSnapshot(term, last_index, last_term, configuration):
            return f"snapshot? term {term} at {last_index}/{last_term} members {configuration_text(configuration)}"
        case InstallSnapshotReply(term, success, last_index):
            return f"snapshot {'yes' if success else 'no'} term {term} up to {last_index}"
        case TimeoutNow(term):
            return f"stand now! term {term}"
        case ReadIndex(request):
            return f"read {request}?"
        case ReadIndexReply(request, index):
            return f"read {request}: {'refused' if index is None else index}"
    raise AssertionError(message)
