"""Groups that begin in the middle of a story."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nacosx._core.entry import DATA, Entry
from nacosx.raft.messages import Message
from nacosx.raft.ready import HardState
from tests.raft_cluster import RaftCluster

Logs = Callable[..., RaftCluster]


@pytest.fixture
def with_logs() -> Logs:
    """A group whose members restarted with logs of these terms: `with_logs(a=[1, 1, 2], b=[1], c=[])`. Each knows the term of
    its last entry, or the one given in `terms`. Not `watched`: messages are made up, nobody looks who has what is committed."""

    def build(*, terms: dict[str, int] | None = None, watched: bool = True, **logs: list[int]) -> RaftCluster:
        cluster = RaftCluster(logs)
        if not watched:
            cluster.committed_index = 1 << 62
        for name, entry_terms in logs.items():
            member = cluster.members[name]
            if entry_terms:
                member.disk.append(entries_of(entry_terms))
            member.hard_state = HardState((terms or {}).get(name, max(entry_terms, default=0)), "")
            member.start(0)
        return cluster

    return build


def entries_of(terms: list[int], first: int = 1) -> list[Entry]:
    """Entries of one (index, term) are always the same."""
    return [Entry(index, term, DATA, b"%d/%d" % (index, term)) for index, term in enumerate(terms, first)]


def sent(cluster: RaftCluster, name: str) -> list[tuple[str, Message]]:
    """What a member has to say now; it is not delivered."""
    cluster.network.clear()
    while cluster.pump(cluster.members[name]):
        pass
    letters, cluster.network = cluster.network, []
    return [(letter.to, letter.message) for letter in letters if letter.sender == name]
