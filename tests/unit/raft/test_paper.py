"""The rules of the Raft paper (extended version), §5 to §8, one test each."""

from __future__ import annotations

import pytest

from nacosx._core.entry import Configuration
from nacosx.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    InstallSnapshotReply,
    ReadIndexReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from nacosx.raft.ready import HardState, Role
from tests.raft_cluster import RaftCluster
from tests.unit.raft.conftest import Logs, entries_of, sent


def led(*names: str) -> RaftCluster:
    """The first of them leads term 1; its first two entries are committed: the no-op, and who is in the group."""
    cluster = RaftCluster(names)
    cluster.node(names[0]).campaign(0)
    cluster.deliver_all()
    assert cluster.leader.id == names[0]
    return cluster


# --- §5.1 basics -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        AppendEntries(7, 1, 0, 0, 0),
        Heartbeat(7, 0, 1),
        InstallSnapshot(7, 9, 7, Configuration(["a", "b"])),
        RequestVote(7, 9, 6, False, True),
        RequestVoteReply(7, False),
        AppendEntriesReply(7, 1, False, 0),
        HeartbeatReply(7, 1),
        InstallSnapshotReply(7, False, 0),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_higher_term_makes_a_follower_and_is_saved(message: object) -> None:
    """§5.1: whoever meets a higher term takes it over; a leader of an earlier one is none any longer."""
    cluster = led("a", "b", "c")
    cluster.node("a").step("b", message, 0)  # type: ignore[arg-type]
    cluster.settle()
    assert cluster.node("a").role is Role.FOLLOWER
    assert cluster.members["a"].hard_state.term == 7


@pytest.mark.parametrize(
    "message",
    [
        AppendEntries(1, 5, 2, 1, 2),
        Heartbeat(1, 2, 5),
        InstallSnapshot(1, 9, 1, Configuration(["a"])),
        RequestVote(1, 9, 9),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_lower_term_is_refused_with_the_higher_one(message: object, with_logs: Logs) -> None:
    """§5.1: and changes nothing, so that its sender learns of the term."""
    cluster = with_logs(a=[1, 3], b=[1], c=[1])
    cluster.advance(900)
    cluster.node("a").step("b", message, 900)  # type: ignore[arg-type]
    ((to, answer),) = sent(cluster, "a")
    assert (to, answer.term) == ("b", 3)  # type: ignore[union-attr]
    assert not getattr(answer, "success", False)
    assert not getattr(answer, "granted", False)
    assert cluster.node("a").log.last_index == 2


def test_the_term_and_the_vote_are_asked_to_be_saved_until_they_are() -> None:
    """§5.1: and with nothing sent before, a Ready that follows asks again."""
    cluster = RaftCluster(["a", "b", "c"])
    node = cluster.node("a")
    node.step("b", RequestVote(4, 0, 0), 0)
    first = node.ready()
    again = node.ready()
    assert first is not None
    assert again is not None
    assert first.hard_state == again.hard_state == HardState(4, "b")
    assert not again.messages, "messages are taken once"
    node.hard_state_saved(HardState(4, "b"))
    assert node.ready() is None


# --- §5.2 elections --------------------------------------------------------------------------------------------------


def test_who_hears_of_no_leader_becomes_a_candidate() -> None:
    """§5.2: after the election timeout and a random part of it."""
    cluster = RaftCluster(["a", "b", "c"], random_below=lambda below: 250)
    assert cluster.node("a").wakes_ms == 1250
    cluster.advance(1249)
    assert cluster.node("a").role is Role.FOLLOWER
    cluster.advance(1250)
    assert cluster.node("a").role is Role.CANDIDATE


def test_a_candidate_votes_for_itself_in_a_new_term() -> None:
    """§5.2: saved before anybody is asked."""
    cluster = RaftCluster(["a", "b", "c"])
    cluster.node("a").campaign(0)
    cluster.deliver_all()
    assert cluster.members["a"].hard_state == HardState(1, "a")


def test_a_member_votes_once_in_a_term() -> None:
    """§5.2: first come, first served; the same candidate may ask again."""
    cluster = RaftCluster(["a", "b", "c"])
    node = cluster.node("a")
    for candidate, granted in (("b", True), ("c", False), ("b", True)):
        node.step(candidate, RequestVote(1, 0, 0), 0)
        assert sent(cluster, "a") == [(candidate, RequestVoteReply(1, granted))]


def test_a_vote_survives_a_restart() -> None:
    """§5.2, figure 2: else it could be given twice."""
    cluster = RaftCluster(["a", "b", "c"])
    cluster.node("a").step("b", RequestVote(1, 0, 0), 0)
    cluster.settle()
    cluster.crash("a")
    cluster.restart("a")
    cluster.advance(5000)
    cluster.node("a").step("c", RequestVote(1, 5, 1), 5000)
    assert ("c", RequestVoteReply(1, False)) in sent(cluster, "a")


def test_a_majority_of_votes_makes_a_leader() -> None:
    """§5.2: of five, three."""
    cluster = RaftCluster(["a", "b", "c", "d", "e"])
    node = cluster.node("a")
    node.campaign(0)
    for pre, term in ((True, 0), (False, 1)):
        sent(cluster, "a")
        node.step("b", RequestVoteReply(1, True, pre), 0)
        assert node.role is Role.CANDIDATE
        node.step("b", RequestVoteReply(1, True, pre), 0)
        assert node.term == term, "a vote that is told twice counts once"
        node.step("c", RequestVoteReply(1, True, pre), 0)
    assert node.role is Role.LEADER


def test_a_candidate_follows_the_leader_of_its_term() -> None:
    """§5.2: another one has won."""
    cluster = RaftCluster(["a", "b", "c"])
    node = cluster.node("a")
    node.step("b", RequestVoteReply(3, False), 0)
    node.campaign(0)
    node.step("b", Heartbeat(3, 0, 1), 0)
    assert (node.role, node.leader) == (Role.FOLLOWER, "b")


def test_a_candidate_that_nobody_elects_tries_again_in_another_term() -> None:
    """§5.2: a split vote ends when one waits shorter than the others."""
    cluster = RaftCluster(["a", "b", "c"])
    cluster.node("a").campaign(0)
    cluster.settle()
    cluster.node("a").step("b", RequestVoteReply(1, True, True), 0)
    assert (cluster.node("a").role, cluster.node("a").term) == (Role.CANDIDATE, 1)
    cluster.settle()
    cluster.network.clear()
    cluster.run(3000)
    assert cluster.leader.term >= 2


def test_a_vote_of_an_earlier_election_does_not_count() -> None:
    """§5.2: nor does one of somebody who is no voter."""
    cluster = RaftCluster(["a", "b", "c"])
    node = cluster.node("a")
    node.step("b", RequestVoteReply(3, False), 0)
    node.campaign(0)
    node.step("b", RequestVoteReply(4, True, True), 0)
    assert node.term == 4
    node.step("c", RequestVoteReply(3, True), 0)
    node.step("x", RequestVoteReply(4, True), 0)
    node.step("c", RequestVoteReply(4, True, True), 0)
    assert node.role is Role.CANDIDATE


def test_a_leader_keeps_its_followers_patient() -> None:
    """§5.2: heartbeats at multiples of the interval, so that those of many groups travel together."""
    cluster = led("a", "b", "c")
    cluster.run(37)
    assert cluster.node("a").wakes_ms == 100
    cluster.run(20_000)
    assert cluster.leader.term == 1


def test_two_leaders_of_one_term_are_a_broken_rule() -> None:
    """§5.2, election safety: a member that saw both stops, rather than to choose."""
    cluster = led("a", "b", "c")
    with pytest.raises(AssertionError, match="two leaders"):
        cluster.node("b").step("c", Heartbeat(1, 0, 1), 0)


# --- §5.3 replication ------------------------------------------------------------------------------------------------


def test_an_entry_is_committed_once_a_majority_has_it_on_disk() -> None:
    """§5.3: and applied then, by all."""
    cluster = led("a", "b", "c")
    index = cluster.node("a").propose([b"x"])
    cluster.deliver_all()
    assert [member.state[-1].data for member in cluster.members.values()] == [b"x"] * 3
    assert cluster.committed_index == index


def test_the_disks_of_the_others_are_enough() -> None:
    """§5.3, thesis §10.2.1: the leader's own may be the slowest; it applies what is on it."""
    cluster = led("a", "b", "c")
    cluster.slow = {"a"}
    index = cluster.node("a").propose([b"x"])
    cluster.deliver_all()
    assert cluster.node("a").commit_index == index
    assert cluster.members["b"].state[-1].index == index
    assert cluster.members["a"].state[-1].index == index - 1
    cluster.write("a")
    cluster.settle()
    assert cluster.members["a"].state[-1].index == index


def test_an_append_is_refused_where_the_logs_do_not_match(with_logs: Logs) -> None:
    """§5.3: the entry before is missing, or of another term. The answer skips a term at a time (end of §5.3)."""
    cluster = with_logs(a=[1, 1, 2, 2, 2], b=[], c=[])
    node = cluster.node("a")
    node.step("b", AppendEntries(4, 1, 9, 4, 0), 0)
    assert sent(cluster, "a") == [("b", AppendEntriesReply(4, 1, False, 5, 2))]
    node.step("b", AppendEntries(4, 2, 4, 1, 0), 0)
    assert sent(cluster, "a") == [("b", AppendEntriesReply(4, 2, False, 2, 1))]
    assert node.log.last_index == 5, "nothing is cut off before entries conflict"


def test_entries_in_conflict_are_replaced_with_all_after_them(with_logs: Logs) -> None:
    """§5.3: those that match stay."""
    cluster = with_logs(a=[1, 1, 2, 2], b=[], c=[])
    cluster.node("a").step("b", AppendEntries(4, 1, 1, 1, 0, entries_of([1, 3, 3], first=2)), 0)
    assert sent(cluster, "a") == [("b", AppendEntriesReply(4, 1, True, 4))]
    assert cluster.members["a"].disk.kept == entries_of([1, 1, 3, 3])


def test_entries_that_are_there_are_not_cut_off_by_an_old_message(with_logs: Logs) -> None:
    """§5.3: a late, shorter message of the leader repeats what it had sent before."""
    cluster = with_logs(a=[1, 1], b=[], c=[])
    node = cluster.node("a")
    node.step("b", AppendEntries(4, 2, 2, 1, 0, entries_of([4, 4], first=3)), 0)
    node.step("b", AppendEntries(4, 1, 2, 1, 0, entries_of([4], first=3)), 0)
    answers = [message for _, message in sent(cluster, "a")]
    assert node.log.last_index == 4
    assert answers[0] == AppendEntriesReply(4, 2, True, 4)


def test_nothing_is_confirmed_before_it_is_on_disk(with_logs: Logs) -> None:
    """§5.3, figure 2: an answer to an append is a promise."""
    cluster = with_logs(a=[1], b=[], c=[])
    cluster.slow = {"a"}
    cluster.node("a").step("b", AppendEntries(4, 1, 1, 1, 0, entries_of([4, 4], first=2)), 0)
    assert sent(cluster, "a") == []
    cluster.write("a")
    assert sent(cluster, "a") == [("b", AppendEntriesReply(4, 1, True, 3))]


def test_a_leader_brings_every_log_of_figure_7_to_its_own(with_logs: Logs) -> None:
    """§5.3, figure 7: missing entries, too many, and both."""
    cluster = with_logs(
        leader=[1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
        a=[1, 1, 1, 4, 4, 5, 5, 6, 6],
        b=[1, 1, 1, 4],
        c=[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
        d=[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
        e=[1, 1, 1, 4, 4, 4, 4],
        f=[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
        terms=dict.fromkeys("abcdef", 7) | {"leader": 7},
    )
    cluster.now_ms = 1000
    cluster.node("leader").campaign(1000)
    cluster.deliver_all()
    cluster.run(1000)
    assert cluster.leader.id == "leader"
    logs = [member.disk.kept for member in cluster.members.values()]
    assert all(log == logs[0] for log in logs)
    assert logs[0][:10] == entries_of([1, 1, 1, 4, 4, 5, 5, 6, 6, 6])


def test_a_leader_never_changes_its_own_log() -> None:
    """§5.3, leader append-only: not even for an answer that makes no sense."""
    cluster = led("a", "b", "c")
    cluster.node("a").propose([b"x", b"y"])
    cluster.settle()
    before = cluster.members["a"].entries()
    for answer in (AppendEntriesReply(1, 3, False, 0, 0), AppendEntriesReply(1, 99, True, 99), HeartbeatReply(1, 99)):
        cluster.node("a").step("b", answer, 0)
        cluster.node("a").step("stranger", answer, 0)
    cluster.settle()
    assert cluster.members["a"].entries() == before


# --- §5.4 safety -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last_term", "last_index", "granted"),
    [(2, 3, True), (2, 4, True), (3, 1, True), (2, 2, False), (1, 9, False)],
)
def test_only_a_log_that_is_as_up_to_date_is_voted_for(
    last_term: int, last_index: int, granted: bool, with_logs: Logs
) -> None:
    """§5.4.1: the later term of the last entry, and of one term the longer log."""
    cluster = with_logs(a=[1, 1, 2], b=[], c=[])
    cluster.node("a").step("b", RequestVote(5, last_index, last_term, transfer=True), 0)
    assert sent(cluster, "a") == [("b", RequestVoteReply(5, granted))]


def test_entries_of_an_earlier_term_are_not_committed_by_their_count(with_logs: Logs) -> None:
    """§5.4.2, figure 8: entry 2 of term 2 is on a majority, and could still be replaced, until one of term 4 is committed."""
    cluster = with_logs(a=[1, 2], b=[1, 2], c=[1], d=[1], e=[1], terms={"a": 3})
    node = cluster.node("a")
    node.campaign(0)
    for voter in ("b", "c"):
        node.step(voter, RequestVoteReply(4, True, True), 0)
    for voter in ("b", "c"):
        node.step(voter, RequestVoteReply(4, True), 0)
    sent(cluster, "a")
    assert (node.role, node.term, node.log.last_index) == (Role.LEADER, 4, 4)
    for voter in ("b", "c"):
        node.step(voter, AppendEntriesReply(4, 1, True, 2), 0)
    assert node.commit_index == 0
    for voter in ("b", "c"):
        node.step(voter, AppendEntriesReply(4, 1, True, 3), 0)
    assert node.commit_index == 3


def test_a_follower_commits_only_what_it_knows_to_match(with_logs: Logs) -> None:
    """§5.3: the leader's commit index may lie in a part of the log where the follower has something else."""
    cluster = with_logs(a=[1, 1, 2, 2], b=[], c=[])
    cluster.node("a").step("b", AppendEntries(4, 1, 2, 1, 4), 0)
    assert cluster.node("a").commit_index == 2


def test_what_is_committed_is_never_compared_or_cut_off(with_logs: Logs) -> None:
    """§5.4.3: a leader that would replace it cannot have been elected."""
    cluster = with_logs(a=[1, 1], b=[], c=[], watched=False)
    cluster.node("a").step("b", AppendEntries(4, 1, 2, 1, 2), 0)
    cluster.settle()
    cluster.node("a").step("b", AppendEntries(4, 2, 0, 0, 2, entries_of([3, 3, 3])), 0)
    assert [entry.term for entry in cluster.members["a"].entries()] == [1, 1, 3], "the first two are not looked at"


# --- §5.5, §5.6 crashes and time -------------------------------------------------------------------------------------


def test_messages_that_come_twice_change_nothing() -> None:
    """§5.5: requests are idempotent."""
    cluster = led("a", "b", "c")
    cluster.node("a").propose([b"x"])
    cluster.settle()
    for _ in range(2):
        for position in range(len(cluster.network)):
            cluster.deliver(position, keep=True)
    cluster.deliver_all()
    cluster.check()
    assert cluster.committed_index == 3


def test_a_restarted_member_has_what_it_had_confirmed() -> None:
    """§5.5: and nothing of what was on its way to the disk."""
    cluster = led("a", "b", "c")
    cluster.slow = {"b"}
    cluster.node("a").propose([b"x"])
    cluster.deliver_all()
    cluster.crash("b")
    cluster.restart("b")
    assert cluster.node("b").log.last_index == 2
    cluster.slow = set()
    cluster.run(500)
    assert cluster.members["b"].state[-1].data == b"x"


# --- §7 snapshots ----------------------------------------------------------------------------------------------------


def test_who_needs_forgotten_entries_is_offered_a_snapshot() -> None:
    """§7: and goes on with the log after it."""
    cluster = led("a", "b", "c")
    cluster.crash("c")
    cluster.node("a").propose([b"x", b"y"])
    cluster.deliver_all()
    cluster.take_snapshot("a")
    cluster.restart("c")
    cluster.run(300)
    offer = cluster.members["c"].offer
    assert offer == ("a", InstallSnapshot(1, 4, 1, Configuration(["a", "b", "c"])))
    cluster.install_snapshot("c")
    cluster.node("a").propose([b"z"])
    cluster.run(300)
    assert [entry.data for entry in cluster.members["c"].state][-3:] == [b"x", b"y", b"z"]


def test_a_snapshot_of_what_is_there_is_not_fetched(with_logs: Logs) -> None:
    """§7: the log has that entry, so all before it matches; what follows it is kept."""
    cluster = with_logs(a=[1, 1, 1], b=[], c=[], watched=False)
    cluster.node("a").step("b", InstallSnapshot(4, 2, 1, Configuration(["a", "b", "c"])), 0)
    assert sent(cluster, "a") == [("b", InstallSnapshotReply(4, True, 2))]
    assert (cluster.node("a").commit_index, cluster.node("a").log.last_index) == (2, 3)


def test_an_offer_is_dropped_when_the_log_was_faster(with_logs: Logs) -> None:
    """§7: installing it would throw away entries that were confirmed."""
    cluster = with_logs(a=[1], b=[], c=[], watched=False)
    node = cluster.node("a")
    node.step("b", InstallSnapshot(4, 3, 4, Configuration(["a", "b", "c"])), 0)
    cluster.settle()
    assert node.snapshot_wanted is not None
    node.step("b", AppendEntries(4, 1, 1, 1, 1, entries_of([4, 4, 4], first=2)), 0)
    cluster.settle()
    assert node.snapshot_wanted is None
    with pytest.raises(AssertionError, match="nobody wants"):
        node.snapshot_installed(3, 4)


def test_of_two_offers_the_newer_is_fetched(with_logs: Logs) -> None:
    """§7: one is on its way already; an older one is refused, and of the same entry the newest leader hears of the end."""
    cluster = with_logs(a=[1], b=[], c=[], watched=False)
    node, members = cluster.node("a"), Configuration(["a", "b", "c"])
    node.step("b", InstallSnapshot(4, 5, 4, members), 0)
    sent(cluster, "a")
    cluster.readies.clear()
    node.step("b", InstallSnapshot(4, 3, 4, members), 0)
    assert sent(cluster, "a") == [("b", InstallSnapshotReply(4, False, 3))]
    node.step("c", InstallSnapshot(6, 5, 4, members), 0)
    assert sent(cluster, "a") == []
    assert not [ready for _, ready in cluster.readies if ready.snapshot is not None]
    assert node.snapshot_wanted == ("c", InstallSnapshot(6, 5, 4, members))
    newer = InstallSnapshot(6, 8, 6, members)
    node.step("c", newer, 0)
    cluster.settle()
    assert cluster.members["a"].offer == node.snapshot_wanted == ("c", newer)
    cluster.members["a"].disk.reset(9)
    node.snapshot_installed(8, 6)
    assert sent(cluster, "a") == [("c", InstallSnapshotReply(6, True, 8))]


def test_a_snapshot_that_was_not_installed_is_offered_again() -> None:
    """§7: with patience, and the follower keeps its leader meanwhile."""
    cluster = led("a", "b", "c")
    cluster.crash("c")
    cluster.node("a").propose([b"x"])
    cluster.deliver_all()
    cluster.take_snapshot("a")
    cluster.restart("c")
    cluster.run(300)
    assert cluster.members["c"].offer is not None
    cluster.members["c"].offer = None
    cluster.node("c").snapshot_failed()
    cluster.run(300)
    cluster.install_snapshot("c")
    cluster.run(100)
    assert cluster.members["c"].state[-1].data == b"x"
    assert cluster.leader.term == 1


def test_a_wiped_member_is_found_out_and_filled_again() -> None:
    """Beyond the paper, which has no such failure: it lost what it had confirmed, and must not be refused for ever."""
    cluster = led("a", "b", "c")
    cluster.node("a").propose([b"x"])
    cluster.deliver_all()
    cluster.crash("c")
    cluster.members["c"].disk.reset(1)
    cluster.members["c"].hard_state = HardState()
    cluster.restart("c")
    cluster.node("a").propose([b"y"])
    cluster.run(500)
    assert [entry.data for entry in cluster.members["c"].state][-2:] == [b"x", b"y"]


# --- §8 clients ------------------------------------------------------------------------------------------------------


def test_a_leader_begins_its_term_with_an_entry_of_it() -> None:
    """§8: without it, it would not know what is committed."""
    cluster = led("a", "b", "c")
    cluster.node("a").propose([b"x"])
    cluster.settle()
    cluster.network.clear()
    cluster.node("b").step("a", TimeoutNow(1), 0)
    cluster.deliver_all()
    assert cluster.leader.id == "b"
    assert cluster.node("b").log.term(cluster.committed_index) == 2


def test_a_read_waits_for_the_first_entry_of_the_term(with_logs: Logs) -> None:
    """§8: what an earlier leader had committed is only known then."""
    cluster = with_logs(a=[1, 2], b=[1, 2], c=[1, 2])
    cluster.now_ms = 1000
    cluster.node("a").campaign(1000)
    cluster.slow = {"a", "b", "c"}
    cluster.deliver_all()
    cluster.node("a").read(1, 1000)
    cluster.deliver_all()
    assert cluster.answers == {}
    for name in ("a", "b"):
        cluster.write(name)
    cluster.deliver_all()
    assert cluster.answers == {("a", 1): 4}  # entry 3 begins the term, 4 says who is in the group


def test_a_deposed_leader_answers_no_read() -> None:
    """§8: it does not know of the next one, so it asks a majority."""
    cluster = led("a", "b", "c")
    cluster.run(3000, cut_off=["a"])
    assert cluster.leader.id != "a"
    cluster = led("a", "b", "c")
    cluster.node("a").read(1, 0)
    cluster.deliver_all(cut_off=["a"])
    assert cluster.answers == {}
    cluster.run(1100, cut_off=["a"])
    assert cluster.answers == {("a", 1): None}


def test_a_follower_without_a_leader_refuses_reads() -> None:
    """§8: there is nobody to ask; one that was asked may have gone meanwhile."""
    cluster = RaftCluster(["a", "b", "c"])
    cluster.node("b").read(1, 0)
    cluster.settle()
    assert cluster.answers == {("b", 1): None}
    cluster = led("a", "b", "c")
    cluster.node("b").read(2, 0)
    cluster.run(1000, cut_off=["a"])
    assert cluster.answers == {("b", 2): None}


def test_an_answer_to_a_read_that_nobody_waits_for_is_dropped() -> None:
    """§8: it came too late, or twice."""
    cluster = led("a", "b", "c")
    cluster.node("b").step("a", ReadIndexReply(5, 2), 0)
    cluster.settle()
    assert cluster.answers == {}
