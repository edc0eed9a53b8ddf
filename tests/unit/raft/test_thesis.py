"""What Ongaro's thesis adds: §3.10 transfer, §4 membership, §6.4 reads, §9.6 pre-vote; and SOFAJRaft's priority."""

from __future__ import annotations

import pytest

from nacosx._core.entry import Configuration
from nacosx.raft.errors import EBUSY, EINVAL, EPERM, RaftError
from nacosx.raft.messages import AppendEntries, Heartbeat, RequestVote, RequestVoteReply, TimeoutNow
from nacosx.raft.node import NEVER_MS
from nacosx.raft.options import Options
from nacosx.raft.ready import HardState, Role
from tests.raft_cluster import RaftCluster
from tests.unit.raft.conftest import Logs, sent


def led(*names: str, voters: tuple[str, ...] = (), learners: tuple[str, ...] = (), **options: object) -> RaftCluster:
    """The first of them leads term 1; its first two entries are committed: the no-op, and who is in the group."""
    cluster = RaftCluster(
        names,
        voters=voters or [name for name in names if name not in learners],
        learners=learners,
        options=Options(**options),  # type: ignore[arg-type]
    )
    cluster.node(names[0]).campaign(0)
    cluster.deliver_all()
    assert cluster.leader.id == names[0]
    return cluster


def refused(cluster: RaftCluster, data: bytes = b"x", **how: int) -> RaftError:
    with pytest.raises(RaftError) as caught:
        cluster.node("a").propose([data], **how)
    return caught.value


# --- §3.10 leadership transfer ---------------------------------------------------------------------------------------


def test_leadership_goes_to_the_member_that_is_named() -> None:
    """§3.10: it stands at once, and the others vote for it although they have a leader (§4.2.3)."""
    cluster = led("a", "b", "c")
    cluster.node("a").transfer("c", 0)
    cluster.deliver_all()
    assert (cluster.leader.id, cluster.leader.term) == ("c", 2)
    assert cluster.node("a").leader == "c"


def test_it_is_told_to_stand_when_it_has_the_whole_log() -> None:
    """§3.10: else it could not win."""
    cluster = led("a", "b", "c")
    cluster.slow = {"c"}
    cluster.node("a").propose([b"x"])
    cluster.node("a").transfer("c", 0)
    cluster.deliver_all()
    assert cluster.leader.id == "a"
    cluster.write("c")
    cluster.slow = set()
    cluster.deliver_all()
    assert cluster.leader.id == "c"


def test_nothing_is_proposed_while_leadership_is_handed_over() -> None:
    """§3.10: the other could never catch up. EBUSY, and after an election timeout the leader goes on."""
    cluster = led("a", "b", "c")
    cluster.node("a").transfer("c", 0)
    assert refused(cluster).code is EBUSY
    assert cluster.node("a").transferring
    cluster.run(1000, cut_off=["c"])
    assert not cluster.node("a").transferring
    cluster.node("a").propose([b"x"])


def test_what_makes_no_sense_is_not_handed_over() -> None:
    """§3.10: to who is no voter, by who is no leader, and twice at once; to itself it is done."""
    cluster = led("a", "b", "l", learners=("l",))
    node = cluster.node("a")
    for to in ("l", "x"):
        with pytest.raises(RaftError) as caught:
            node.transfer(to, 0)
        assert caught.value.code is EINVAL
    with pytest.raises(RaftError) as caught:
        cluster.node("b").transfer("a", 0)
    assert (caught.value.code, caught.value.leader) == (EPERM, "a")
    node.transfer("a", 0)
    assert not node.transferring
    node.transfer("b", 0)
    with pytest.raises(RaftError) as caught:
        node.transfer("b", 0)
    assert caught.value.code is EBUSY


def test_a_late_word_to_stand_is_of_an_earlier_term() -> None:
    """§3.10: and of no consequence."""
    cluster = led("a", "b", "c")
    cluster.node("a").transfer("b", 0)
    cluster.deliver_all()
    cluster.node("c").step("a", TimeoutNow(1), 0)
    cluster.deliver_all()
    assert (cluster.leader.id, cluster.leader.term) == ("b", 2)


# --- proposals -------------------------------------------------------------------------------------------------------


def test_who_does_not_lead_names_the_leader() -> None:
    """SOFAJRaft: EPERM, and EPERM where the term is not the one that is expected."""
    cluster = led("b", "a", "c")
    assert (refused(cluster).code, refused(cluster).leader) == (EPERM, "b")
    cluster = led("a", "b", "c")
    assert refused(cluster, expected_term=2).code is EPERM
    assert cluster.node("a").propose([b"x", b"y"], expected_term=1) == 4


# --- §4 membership ---------------------------------------------------------------------------------------------------


def test_a_configuration_counts_as_soon_as_it_is_in_the_log() -> None:
    """§4.1: committed or not, at the leader and at a follower."""
    cluster = led("a", "b", "c")
    cluster.node("a").change(Configuration(["a", "b"]))
    cluster.deliver_all(cut_off=["c"])
    cluster.crash("c")
    assert cluster.node("b").configuration == Configuration(["a", "b"])
    assert cluster.node("a").commit_index == 3


def test_one_change_at_a_time() -> None:
    """§4.1: two at once could each get a majority that does not know of the other."""
    cluster = led("a", "b", "c")
    cluster.node("a").change(Configuration(["a", "b"]))
    assert cluster.node("a").changing
    with pytest.raises(RaftError) as caught:
        cluster.node("a").change(Configuration(["a", "c"]))
    assert caught.value.code is EBUSY
    cluster.deliver_all()
    assert not cluster.node("a").changing
    cluster.node("a").change(Configuration(["a", "b"]))
    assert not cluster.node("a").changing, "it is that already"


def test_no_change_before_an_entry_of_the_own_term_is_committed(with_logs: Logs) -> None:
    """§4.1 as corrected in 2015: a change of an earlier leader may still be committed by others."""
    cluster = with_logs(a=[1], b=[1], c=[1])
    cluster.now_ms = 1000
    cluster.node("a").campaign(1000)
    cluster.slow = {"a", "b", "c"}
    cluster.deliver_all()
    assert cluster.leader.id == "a"
    with pytest.raises(RaftError) as caught:
        cluster.leader.change(Configuration(["a", "b"]))
    assert caught.value.code is EBUSY


@pytest.mark.parametrize(
    "configuration",
    [
        *(Configuration([]), Configuration(["a"], [], ["b"]), Configuration(["a:b"]), Configuration(["a"], ["b:-1"])),
        Configuration(["a:0", "b:0"]),
    ],
)
def test_a_configuration_that_is_none_is_refused(configuration: Configuration) -> None:
    """EINVAL: without voters, with old ones, with a priority that is no number, with nobody who may lead."""
    cluster = led("a", "b", "c")
    for ask in (cluster.node("a").change, cluster.node("b").reset_peers):
        if configuration.learners and ask == cluster.node("b").reset_peers:
            continue
        with pytest.raises(RaftError) as caught:
            ask(configuration)
        assert caught.value.code is EINVAL
    assert cluster.node("a").configuration == Configuration(["a", "b", "c"])


def test_a_new_voter_counts_when_it_has_caught_up() -> None:
    """§4.2.1: before that the group would be worse off with it than without."""
    cluster = led("a", "b", "c", "d", voters=("a", "b", "c"), catchup_margin=0)
    cluster.node("a").propose([b"x"] * 5)
    cluster.deliver_all()
    cluster.slow = {"d"}
    cluster.node("a").change(Configuration(["a", "b", "c", "d"]))
    cluster.deliver_all()
    assert cluster.node("a").configuration == Configuration(["a", "b", "c"])
    cluster.write("d")
    cluster.deliver_all()
    assert cluster.node("d").configuration == Configuration(["a", "b", "c", "d"])


def test_a_leader_that_leaves_leads_until_that_is_committed() -> None:
    """§4.2.2: it does not count itself, and then steps down; one of the others stands at once."""
    cluster = led("a", "b", "c")
    cluster.node("a").change(Configuration(["b", "c"]))
    cluster.deliver_all(cut_off=["c"])
    assert (cluster.leader.id, cluster.leader.commit_index) == ("a", 2)
    cluster.run(500)
    assert (cluster.leader.id, cluster.now_ms) == ("b", 500)
    assert cluster.node("a").role is Role.FOLLOWER
    assert not cluster.node("a").promotable


def test_who_was_removed_hears_of_it() -> None:
    """§4.2.2: it is sent its own leaving, and that it is committed, so that it stands for no election."""
    cluster = led("a", "b", "c")
    cluster.node("a").change(Configuration(["a", "b"]))
    cluster.deliver_all()
    assert cluster.node("c").configuration == Configuration(["a", "b"])
    assert cluster.node("c").commit_index == 3
    assert "c" not in cluster.node("a").replicators
    cluster.run(3000)
    assert cluster.node("c").wakes_ms == NEVER_MS


def test_who_hears_a_leader_helps_nobody_else() -> None:
    """§4.2.3: neither with a vote nor by taking over the term, unless the leader asked for it; nor right after a restart."""
    cluster = led("a", "b", "c")
    cluster.run(500)
    request = RequestVote(9, 99, 1)
    for name in ("a", "b"):
        cluster.node(name).step("x", request, 500)
        assert (sent(cluster, name), cluster.node(name).term) == ([], 1)
        cluster.node(name).step("x", RequestVote(9, 99, 1, pre=True), 500)
        assert sent(cluster, name) == [("x", RequestVoteReply(1, False, True))]
    cluster.crash("b")
    cluster.restart("b")
    cluster.node("b").step("x", request, 1499)
    assert sent(cluster, "b") == []
    cluster.node("b").step("x", request, 1500)
    assert sent(cluster, "b") == [("x", RequestVoteReply(9, True))]


def test_what_was_promised_outlasts_a_term() -> None:
    """§4.2.3, §6.4.1: the leader of an earlier term may still read by its lease."""
    cluster = led("a", "b", "c")
    cluster.run(500)
    last_heard_ms = 500
    cluster.node("b").step("c", TimeoutNow(2), 600)
    sent(cluster, "b")
    cluster.node("b").step("c", RequestVote(9, 99, 1), last_heard_ms + 999)
    assert sent(cluster, "b") == []


def test_both_majorities_are_needed_while_a_configuration_is_joint() -> None:
    """§4.3, paper §6: for committing and for electing."""
    cluster = led("a", "b", "c", "d", "e", voters=("a", "b", "c"))
    cluster.node("a").change(Configuration(["a", "d", "e"]))
    cluster.run(0, cut_off=["b", "c"])
    cluster.run(300, cut_off=["b", "c"])
    assert cluster.node("d").configuration == Configuration(["a", "d", "e"], [], ["a", "b", "c"])
    assert cluster.node("a").commit_index == 2
    cluster.crash("a")
    cluster.run(5000, cut_off=["b", "c"])
    assert not [m for m in cluster.members.values() if m.alive and m.node.role is Role.LEADER]
    cluster.restart("a")
    cluster.run(6000, cut_off=["b"])
    assert cluster.leader.id in "ade"
    assert cluster.leader.configuration == Configuration(["a", "d", "e"])


def test_a_configuration_is_taken_back_with_its_entry(with_logs: Logs) -> None:
    """§4.1, paper §6: who cuts it off uses the one before."""
    cluster = led("a", "b", "c", "d", voters=("a", "b", "c"), catchup_margin=1000)
    cluster.node("a").change(Configuration(["a", "b", "c", "d"]))
    cluster.deliver_all(cut_off=["b", "c"])
    assert cluster.node("a").configuration == Configuration(["a", "b", "c", "d"])
    cluster.run(4000, cut_off=["a", "d"])
    cluster.run(200)
    assert cluster.leader.id in "bc"
    assert cluster.node("a").configuration == Configuration(["a", "b", "c"])


def test_a_configuration_is_taken_back_with_a_write_that_failed() -> None:
    """As after a restart: the log is what the disk says."""
    cluster = led("a", "b", "c")
    cluster.slow = {"a"}
    cluster.node("a").change(Configuration(["a", "b"]))
    cluster.settle()
    cluster.fail_disk("a")
    assert cluster.node("a").configuration == Configuration(["a", "b", "c"])
    assert cluster.node("a").role is Role.FOLLOWER


def test_who_is_started_with_other_members_uses_those_of_the_log() -> None:
    """The first leader writes them down, so that no start-up file can split the group."""
    cluster = led("a", "b", "c")
    member = cluster.members["b"]
    cluster.crash("b")
    member.snapshot = member.snapshot._replace(configuration=Configuration(["b"]))
    cluster.restart("b")
    assert cluster.node("b").configuration == Configuration(["a", "b", "c"])


def test_a_learner_follows_and_counts_for_nothing() -> None:
    """§4.2.1: neither for commitment, nor for votes, nor for the leader's quorum; it does not stand."""
    cluster = led("a", "b", "l", learners=("l",))
    assert cluster.node("l").role is Role.LEARNER
    cluster.node("a").propose([b"x"])
    cluster.run(500, cut_off=["b"])
    assert cluster.committed_index == 2
    assert cluster.members["l"].node.log.last_index == 3
    cluster.run(700, cut_off=["b"])
    assert cluster.node("a").role is Role.FOLLOWER, "a learner's answers keep nobody in office"
    cluster.crash("a")
    cluster.crash("b")
    cluster.run(5000)
    assert cluster.node("l").role is Role.LEARNER
    assert cluster.node("l").leader == ""


# --- §6.4 reads ------------------------------------------------------------------------------------------------------


def test_reads_of_a_turn_share_one_round_of_heartbeats() -> None:
    """§6.4: and it goes to no more voters than a quorum needs; to all of them, not to learners, when those are silent."""
    cluster = led("a", "b", "c", "l", learners=("l",))
    for request in range(5):
        cluster.node("a").read(request, 0)
    assert sent(cluster, "a") == [("b", Heartbeat(1, 2, 1))]
    assert cluster.node("a").wakes_ms == Options().read_patience_ms
    cluster.node("a").tick(Options().read_patience_ms - 1)
    assert sent(cluster, "a") == []
    cluster.node("a").tick(Options().read_patience_ms)
    assert sent(cluster, "a") == [("b", Heartbeat(1, 2, 2)), ("c", Heartbeat(1, 2, 2))]
    assert cluster.node("a").wakes_ms == Options().heartbeat_interval_ms


def test_a_read_is_answered_at_a_follower_and_at_a_learner() -> None:
    """§6.4: they ask the leader how far they must have applied, and are told of it at once."""
    cluster = led("a", "b", "c", "l", learners=("l",))
    index = cluster.node("a").propose([b"x"])
    cluster.deliver_all()
    for name in ("b", "l"):
        cluster.node(name).read(1, 0)
    cluster.deliver_all()
    assert cluster.answers == {("b", 1): index, ("l", 1): index}
    assert cluster.members["l"].state[-1].index == index


def test_a_read_at_a_follower_whose_answer_is_lost_is_refused_in_time() -> None:
    """§6.4: after an election timeout, so that whoever waits can ask again."""
    cluster = led("a", "b", "c")
    cluster.node("b").read(1, 0)
    cluster.settle()
    cluster.network.clear()
    cluster.run(999)
    assert cluster.answers == {}
    cluster.run(1)
    assert cluster.answers == {("b", 1): None}


def test_a_lease_begins_when_the_heartbeat_is_sent() -> None:
    """§6.4.1: not when it is answered: the follower's patience began in between."""
    cluster = led("a", "b", "c", read_only="lease")
    cluster.advance(100)
    cluster.settle()
    cluster.now_ms = 500
    cluster.deliver_all()
    node = cluster.node("a")
    node.read(1, 100 + 899)
    cluster.settle()
    assert cluster.answers == {("a", 1): 2}
    node.read(2, 100 + 900)
    cluster.settle()
    assert ("a", 2) not in cluster.answers


def test_there_is_no_lease_before_a_quorum_has_answered() -> None:
    """§6.4.1: nor before an entry of the term is committed."""
    cluster = led("a", "b", "c", read_only="lease")
    cluster.node("a").read(1, 0)
    cluster.settle()
    assert cluster.answers == {}
    cluster.deliver_all()
    assert cluster.answers == {("a", 1): 2}


def test_who_hands_over_has_no_lease_any_more() -> None:
    """§6.4.1: the word to stand may arrive at any time, even after the leader has given up waiting."""
    cluster = led("a", "b", "c", read_only="lease")
    cluster.run(500)
    cluster.node("a").transfer("b", 500)
    cluster.run(1500, cut_off=["b"])
    assert cluster.leader.id == "a"
    assert not cluster.node("a").transferring
    cluster.node("a").read(1, cluster.now_ms)
    cluster.settle()
    assert cluster.answers == {}


def test_a_pause_of_the_leader_ends_its_lease() -> None:
    """§6.4.1: a process that was stopped reads by the clock it finds."""
    cluster = led("a", "b", "c", read_only="lease")
    cluster.run(500)
    cluster.node("a").read(1, 60_000)
    cluster.settle()
    assert cluster.answers == {}


def test_a_clock_that_goes_back_changes_nothing() -> None:
    """A monotonic clock does not; if it did, time would stand still rather than go back."""
    cluster = led("a", "b", "c", read_only="lease")
    cluster.run(500)
    node = cluster.node("a")
    node.tick(5000)
    node.read(1, 500)
    cluster.settle()
    assert ("a", 1) not in cluster.answers or cluster.answers["a", 1] is None


# --- §6.2, §9.6 ------------------------------------------------------------------------------------------------------


def test_a_leader_that_hears_of_no_quorum_steps_down() -> None:
    """§6.2: within an election timeout and a heartbeat, so that its clients look elsewhere."""
    cluster = led("a", "b", "c", "d", "e")
    cluster.run(5000, cut_off=["d", "e"])
    assert cluster.node("a").role is Role.LEADER
    cluster.run(1100, cut_off=["c", "d", "e"])
    assert cluster.node("a").role is not Role.LEADER


def test_a_pre_vote_changes_nothing_at_the_voter(with_logs: Logs) -> None:
    """§9.6: neither term nor vote; it is refused by a log that is newer, and with a leader about."""
    cluster = with_logs(a=[1, 1], b=[], c=[])
    cluster.now_ms = 1000
    for candidate, last_index, granted in (("b", 2, True), ("c", 2, True), ("b", 1, False)):
        cluster.node("a").step(candidate, RequestVote(2, last_index, 1, pre=True), 1000)
        term = 2 if granted else 1
        assert (candidate, RequestVoteReply(term, granted, True)) in sent(cluster, "a")
    assert cluster.members["a"].hard_state == HardState(1, "")


def test_who_was_cut_off_comes_back_without_an_election() -> None:
    """§9.6: it did not raise its term, as nobody promised a vote."""
    cluster = led("a", "b", "c")
    cluster.run(10_000, cut_off=["c"])
    cluster.run(2000)
    assert [member.node.term for member in cluster.members.values()] == [1, 1, 1]
    assert cluster.node("c").leader == "a"


def test_a_leader_steps_down_for_a_member_of_a_higher_term() -> None:
    """§9.6: else that member, which answers to no earlier term, would stay outside for ever."""
    cluster = led("a", "b", "c")
    cluster.node("c").reset_peers(Configuration(["a", "b", "c"]))
    cluster.run(5000)
    assert cluster.leader.term > 1
    assert {member.node.leader for member in cluster.members.values()} == {cluster.leader.id}


# --- priority, of SOFAJRaft ------------------------------------------------------------------------------------------


def test_the_member_of_the_highest_priority_is_elected() -> None:
    """The others wait for it, twice."""
    cluster = RaftCluster(["a", "b", "c"], voters=["a:20", "b:40", "c:60"])
    cluster.run(2000)
    assert cluster.leader.id == "c"


def test_a_lower_priority_is_enough_when_the_others_are_gone() -> None:
    """The target falls by 10 or a fifth, each second time in vain."""
    cluster = RaftCluster(["a", "b", "c"], voters=["a:20", "b:40", "c:60"])
    cluster.crash("c")
    cluster.run(15_000)
    assert cluster.leader.id == "b"


def test_priority_zero_votes_and_is_never_elected() -> None:
    """Nor where it is the only voter; whoever has no priority takes part in every election."""
    cluster = RaftCluster(["a", "b"], voters=["a:0", "b"])
    cluster.crash("b")
    cluster.run(20_000)
    assert cluster.node("a").role is Role.FOLLOWER
    cluster.restart("b")
    cluster.run(5000)
    assert cluster.leader.id == "b"
    alone = RaftCluster(["a"], voters=["a:0"])
    alone.run(20_000)
    assert alone.node("a").role is Role.FOLLOWER


# --- the operator ----------------------------------------------------------------------------------------------------


def test_the_last_resort_needs_no_quorum() -> None:
    """SOFAJRaft's resetPeers: in force at once, written down by the leader that follows; a log from elsewhere replaces it."""
    cluster = led("a", "b", "c")
    cluster.crash("b")
    cluster.crash("c")
    cluster.node("a").reset_peers(Configuration(["a"]))
    cluster.run(10)
    assert cluster.leader.configuration == Configuration(["a"])
    assert cluster.leader.commit_index == cluster.leader.log.last_index == 4
    cluster.crash("a")
    cluster.restart("a")
    assert cluster.node("a").configuration == Configuration(["a"])


def test_what_the_operator_imposed_gives_way_to_the_log() -> None:
    """There is a leader after all: the members are those of its log."""
    cluster = led("a", "b", "c")
    cluster.node("c").reset_peers(Configuration(["c", "d"]))
    assert cluster.node("c").configuration == Configuration(["c", "d"])
    cluster.node("c").step("a", AppendEntries(1, 9, 2, 1, 2), 0)
    assert cluster.node("c").configuration == Configuration(["c", "d"]), "of an earlier term, and on its way since then"
    cluster.node("c").step("b", AppendEntries(7, 1, 2, 1, 2), 0)
    assert cluster.node("c").configuration == Configuration(["a", "b", "c"])
