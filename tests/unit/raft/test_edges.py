"""Rules that only matter in a corner: each of these once changed nothing in any other test when it was left out."""

from __future__ import annotations

import pytest

from nacosx._core.entry import Configuration
from nacosx.raft.election import TargetPriority
from nacosx.raft.errors import EBUSY, RaftError
from nacosx.raft.membership import Members, first_step
from nacosx.raft.messages import AppendEntries, AppendEntriesReply, Heartbeat, RequestVote, RequestVoteReply
from nacosx.raft.options import Options
from nacosx.raft.replicator import Progress
from tests.raft_cluster import RaftCluster
from tests.unit.raft.conftest import Logs, entries_of, sent


def led(*names: str, voters: tuple[str, ...] = (), **options: int) -> RaftCluster:
    cluster = RaftCluster(names, voters=voters or names, options=Options(**options))  # type: ignore[arg-type]
    cluster.node(names[0]).campaign(0)
    cluster.deliver_all()
    return cluster


def test_who_has_seen_the_leader_of_a_term_votes_for_nobody_else_in_it(with_logs: Logs) -> None:
    """However long ago that was: a majority has voted already."""
    cluster = with_logs(a=[1], b=[], c=[])
    cluster.node("a").step("b", Heartbeat(4, 0, 1), 0)
    sent(cluster, "a")
    cluster.node("a").step("c", RequestVote(4, 9, 3), 3000)
    assert sent(cluster, "a") == [("c", RequestVoteReply(4, False))]


def test_entries_are_not_written_before_the_term_they_belong_to() -> None:
    """The hard state of a Ready comes first."""
    node = RaftCluster(["a"]).node("a")
    node.campaign(0)
    ready = node.ready()
    assert ready is not None
    with pytest.raises(AssertionError, match="before the term"):
        node.stable(ready.entries[-1].index, 1, 0)


def test_what_an_earlier_leader_sent_is_confirmed_to_nobody(with_logs: Logs) -> None:
    """The next one may have other entries there."""
    cluster = with_logs(a=[1], b=[], c=[])
    cluster.slow = {"a"}
    cluster.node("a").step("b", AppendEntries(4, 1, 1, 1, 0, entries_of([4, 4], first=2)), 0)
    cluster.settle()
    cluster.node("a").step("c", Heartbeat(5, 0, 0), 0)
    sent(cluster, "a")
    cluster.write("a")
    assert sent(cluster, "a") == []


def test_a_log_that_is_ahead_of_the_hard_state_tells_the_term(with_logs: Logs) -> None:
    """A stand-alone server wrote one before there was the other."""
    cluster = with_logs(a=[1, 3], b=[], c=[], terms={"a": 0})
    assert cluster.node("a").term == 3


def test_no_change_while_the_first_entry_of_the_term_is_not_committed() -> None:
    """Also where the configuration in force is (thesis §4.1, erratum of 2015)."""
    cluster = led("a", "b", "c")
    cluster.slow = {"a", "b", "c"}
    cluster.node("a").transfer("b", 0)
    cluster.deliver_all()
    assert cluster.leader.id == "b"
    assert not cluster.leader.changing
    with pytest.raises(RaftError) as caught:
        cluster.leader.change(Configuration(["a", "b"]))
    assert caught.value.code is EBUSY


def test_what_the_operator_imposed_is_in_the_log_and_can_be_changed() -> None:
    """Once the leader has written it down it is a configuration as any other."""
    cluster = led("a", "b", "c")
    cluster.node("a").reset_peers(Configuration(["a"]))
    cluster.run(10, cut_off=["b", "c"])
    cluster.node("a").change(Configuration(["a"], ["l"]))
    cluster.run(10, cut_off=["b", "c"])
    assert cluster.node("a").configuration == Configuration(["a"], ["l"])


@pytest.mark.parametrize(
    ("target", "joint"), [("ab", False), ("abcd", False), ("abd", True), ("a", True), ("abcde", True), ("abc", False)]
)
def test_one_voter_more_or_less_is_one_step(target: str, joint: bool) -> None:
    """Two majorities overlap for certain only then (thesis §4.1)."""
    step = first_step(Configuration("abc"), Configuration(target))
    assert bool(step.old_peers) is joint
    assert step.peers == tuple(target)


def test_refusals_of_what_was_sent_before_a_fault_are_stale() -> None:
    """One probe, not one for each message that was on its way."""
    cluster = led("a", "b", "c")
    node = cluster.node("a")
    for data in (b"x", b"y", b"z"):
        node.propose([data])
        sent(cluster, "a")
    node.step("b", AppendEntriesReply(1, 4, False, 2, 1), 0)
    assert [message.entries for to, message in sent(cluster, "a") if isinstance(message, AppendEntries)] == [()]
    node.step("b", AppendEntriesReply(1, 5, False, 2, 1), 0)
    assert sent(cluster, "a") == []


def test_a_silent_member_is_asked_anew_when_the_log_was_cut() -> None:
    """Its window is full of what was lost, and what it would be asked about is forgotten."""
    cluster = led("a", "b", "c", max_replicator_inflight_msgs=1)
    for _ in range(4):
        cluster.node("a").propose([b"x"] * 1000)
        cluster.deliver_all(cut_off=["c"])
    cluster.take_snapshot("a")
    assert cluster.node("a").replicators["c"].state is Progress.REPLICATE
    cluster.run(600)
    assert cluster.members["c"].offer is not None
    cluster.install_snapshot("c")
    cluster.run(300)
    assert cluster.members["c"].state[-1].index == cluster.leader.log.last_index


def test_a_snapshot_is_offered_with_the_members_as_of_its_last_entry() -> None:
    """Not with those of today: the entries in between say what came of them."""
    cluster = led("a", "b", "c")
    cluster.crash("c")
    cluster.node("a").propose([b"x"])
    cluster.deliver_all()
    cluster.take_snapshot("a")
    cluster.node("a").change(Configuration(["a", "b", "c"], ["l"]))
    cluster.deliver_all()
    assert cluster.node("a").configuration.learners == ("l",)
    cluster.restart("c")
    cluster.run(500)
    offer = cluster.members["c"].offer
    assert offer is not None
    assert offer[1].configuration == Configuration(["a", "b", "c"])


def test_the_target_priority_falls_every_second_time() -> None:
    """By a fifth or the gap, whichever is more; from the top again once somebody leads."""
    members = Members(Configuration(["a:40", "b:60", "c:0", "d"]))
    target = TargetPriority(10)
    assert [target.allows("a", members) for _ in range(5)] == [False, False, False, True, True]
    target.reset()
    assert not target.allows("a", members)
    assert target.allows("b", members)
    assert target.allows("d", members)
    assert not target.allows("c", members)
