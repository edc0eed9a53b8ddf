"""Whom a leader asks when it needs a quorum and no more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nacosx.raft.quorum import Quorum

MEMBERS = "abcdefg"
VOTERS = st.lists(st.sampled_from(MEMBERS), unique=True, max_size=7).map(tuple)


@given(VOTERS.filter(bool), VOTERS, st.permutations(MEMBERS), st.sampled_from(MEMBERS))
def test_the_fewest_are_a_quorum_of_both_configurations_and_begin_with_the_preferred(
    voters: tuple[str, ...], old_voters: tuple[str, ...], preferred: list[str], present: str
) -> None:
    quorum = Quorum(voters, old_voters)
    preferred.remove(present)
    asked = quorum.fewest(preferred, present)
    assert quorum.reached(lambda voter: voter in (present, *asked)) == 1
    if asked:
        assert quorum.reached(lambda voter: voter in (present, *asked[:-1])) == 0
    if not old_voters:
        others = [member for member in preferred if member in voters]
        assert asked == others[: len(asked)]
        assert len(asked) == len(voters) // 2 + 1 - (present in voters)
